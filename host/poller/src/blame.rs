//! Who is to blame for a poll that did not succeed, and what follows from that.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::OutcomeKind;

/// Who is to blame for a poll that did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
    /// The charm: its program, its data, or what others do to it.
    Charm,
    /// The integration's component.
    Integration,
    /// The charm's credential is missing or has ended: somebody must sign in.
    Credential,
    /// Something is missing that the operator or the owner of the space decides: a grant, access, an OAuth client, room
    /// on the disk.
    Configuration,
    /// A service elsewhere, such as the one that renews tokens, fails or asks for fewer requests.
    Upstream,
    /// The charm runtime.
    Runtime,
    /// This service itself.
    Service,
}

/// What follows from a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Consequence {
    /// Clears the charm's failures.
    Clears,
    /// It counts against the charm: it backs off, and is disabled after several in a row.
    Counts,
    /// It counts against the integration, which is paused once it fails for several charms. The charm backs off.
    CountsForIntegration,
    /// It counts against nobody. The charm waits until the cause is fixed.
    Waits,
    /// It counts against nobody. The charm is tried again, each time after a longer wait.
    TriesAgain,
    /// It counts against nobody. Once it happens to two different charms, the loop asks the runtime whether it is
    /// there, and pauses polling if it is not.
    AsksTheRuntime,
}

impl Blame {
    /// All of them, in the order of the table in `docs/polling.md`.
    pub const ALL: [Self; 7] = [
        Self::Charm,
        Self::Integration,
        Self::Credential,
        Self::Configuration,
        Self::Upstream,
        Self::Runtime,
        Self::Service,
    ];

    /// The name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Charm => "charm",
            Self::Integration => "integration",
            Self::Credential => "credential",
            Self::Configuration => "configuration",
            Self::Upstream => "upstream",
            Self::Runtime => "runtime",
            Self::Service => "service",
        }
    }

    /// The one with this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|blame| blame.as_str() == name)
    }
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Consequence {
    /// What follows from a poll with this outcome. `blame` says whose fault it was; without it, the kind says whose it
    /// usually is. Only this function decides; `docs/polling.md` has it as a table.
    pub fn of(kind: OutcomeKind, blame: Option<Blame>) -> Self {
        let Some(blame) = blame.or_else(|| kind.usual_blame()) else { return Self::Clears };
        match (blame, kind) {
            (_, OutcomeKind::Success) => Self::Clears,
            (Blame::Credential | Blame::Configuration, _) => Self::Waits,
            (Blame::Runtime, _) => Self::AsksTheRuntime,
            (Blame::Upstream | Blame::Service, _) | (_, OutcomeKind::Unavailable) => Self::TriesAgain,
            (Blame::Charm, _) => Self::Counts,
            (Blame::Integration, _) => Self::CountsForIntegration,
        }
    }

    /// Whether the cause is elsewhere, where somebody may fix it. The charm is then polled as soon as something related
    /// changes, however long it was to wait.
    pub fn awaits_a_fix(self) -> bool {
        match self {
            Self::Waits | Self::TriesAgain | Self::AsksTheRuntime => true,
            Self::Clears | Self::Counts | Self::CountsForIntegration => false,
        }
    }

    /// The words of the table in `docs/polling.md`.
    pub fn summary(self) -> &'static str {
        match self {
            Self::Clears => "clears the charm's failures",
            Self::Counts => "counts, and backs off",
            Self::CountsForIntegration => "backs off; pauses the integration after five charms",
            Self::Waits => "waits for a change",
            Self::TriesAgain => "is tried again, and does not count",
            Self::AsksTheRuntime => "does not count; pauses the loop if the runtime is away",
        }
    }
}

impl OutcomeKind {
    /// Who is usually to blame for such an outcome. For outcomes that earlier versions of this program stored or sent
    /// without blame.
    pub fn usual_blame(self) -> Option<Blame> {
        match self {
            Self::Success => None,
            Self::Invalid
            | Self::NoStream
            | Self::NotFound
            | Self::HandlerFailed
            | Self::Timeout
            | Self::OutOfMemory
            | Self::LimitExceeded
            | Self::Trapped => Some(Blame::Charm),
            Self::Denied => Some(Blame::Configuration),
            Self::Unavailable => Some(Blame::Upstream),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of the table with this head.
    fn rows<'doc>(doc: &'doc str, head: &str) -> Vec<Vec<&'doc str>> {
        let lines = doc.lines().skip_while(|line| !line.starts_with(head)).skip(2);
        let rows = lines.take_while(|line| line.starts_with('|'));
        rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
    }

    /// The documentation lists all ways in which a poll can end, and what follows from each.
    #[test]
    fn what_follows_from_a_poll_is_what_the_documentation_says() {
        let doc = include_str!("../../../docs/polling.md");
        let rows = rows(doc, "| how a poll ends | outcome | to blame | what follows |");
        let mut blamed = Vec::new();
        let mut kinds = Vec::new();
        for row in &rows {
            let [_, outcomes, blame, follows] = row[..] else { panic!("{row:?}") };
            let blame = (blame != "–").then(|| Blame::of_name(blame).unwrap_or_else(|| panic!("{blame}")));
            blamed.extend(blame);
            for outcome in outcomes.split(", ") {
                let name = outcome.trim_matches('`');
                let kind = OutcomeKind::ALL.into_iter().find(|kind| kind.as_str() == name).expect(name);
                kinds.push(kind);
                assert_eq!(Consequence::of(kind, blame).summary(), follows, "{row:?}");
            }
        }
        assert!(Blame::ALL.iter().all(|blame| blamed.contains(blame)), "{blamed:?}");
        assert!(OutcomeKind::ALL.iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
    }

    #[test]
    fn only_the_charms_own_faults_count_against_it() {
        for kind in OutcomeKind::ALL {
            for blame in Blame::ALL {
                let counts = Consequence::of(kind, Some(blame)) == Consequence::Counts;
                let is_its_own = blame == Blame::Charm;
                let is_final = !matches!(kind, OutcomeKind::Success | OutcomeKind::Unavailable);
                assert_eq!(counts, is_its_own && is_final, "{kind} {blame}");
            }
        }
    }

    #[test]
    fn names_are_those_of_json() {
        for blame in Blame::ALL {
            assert_eq!(serde_json::to_value(blame).unwrap(), blame.as_str());
            assert_eq!(Blame::of_name(blame.as_str()), Some(blame));
        }
    }
}
