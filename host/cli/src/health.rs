//! The health of integrations, as far as it is known here: the service that polls them stores it with its other state.

use std::collections::BTreeMap;
use std::time::Duration;

use bg_charm_api::wire::{HealthState, IntegrationHealth, KeptHealth};
use bg_charm_runtime::SqlitePollStore;
use bg_identity::IntegrationId;
use bg_poller::UnixMillis;
use bg_server_trust::{DatabaseLock, Role};

use crate::args::Common;
use crate::connect::{self, Endpoint};
use crate::output;
use crate::paths::DataDir;

/// Older data is not from a running service. It is stored again each minute.
const STALE: Duration = Duration::from_mins(3);

/// The health of all integrations with a component, as far as it is known.
#[derive(Debug, Default)]
pub(crate) struct Known {
    all: Vec<IntegrationHealth>,
    /// When that was so, if nobody polls them now; [never](UnixMillis::NEVER), if that is not known.
    as_of: Option<UnixMillis>,
    /// The same for those that the last process did not poll.
    earlier: BTreeMap<IntegrationId, UnixMillis>,
}

/// The health of all integrations with a component. Of others, and if no service of this data directory has polled,
/// nothing is known.
pub(crate) async fn read(common: &Common) -> Known {
    match try_read(common).await {
        Ok(known) => known,
        Err(error) => {
            tracing::debug!("it is not known how integrations are doing: {error:#}");
            Known::default()
        }
    }
}

async fn try_read(common: &Common) -> anyhow::Result<Known> {
    let databases = match connect::endpoint(common).await? {
        Endpoint::Remote { url, .. } => {
            let data_dir = DataDir::open(common)?;
            // A `run` elsewhere reports to the server of this data directory, which stores it, too.
            let of_server = common.api_url.is_none().then(|| data_dir.runtime_database());
            [Some(data_dir.poll_database(&url)), of_server].into_iter().flatten().collect()
        }
        Endpoint::Local(data_dir) => vec![data_dir.runtime_database()],
    };
    let now = UnixMillis::now();
    let mut newest: Option<Known> = None;
    for database in databases.into_iter().filter(|database| database.exists()) {
        let store = tokio::task::spawn_blocking({
            let database = database.clone();
            move || SqlitePollStore::open(&database)
        });
        let kept = store.await??.health().await?;
        let is_held = DatabaseLock::holder(&database)?.is_some_and(|holder| holder.role == Role::Run);
        let known = Known::of(kept, is_held, now);
        // Current data first, then the most recent.
        let order = |known: &Known| (known.as_of.is_none(), known.as_of);
        if !known.all.is_empty() && newest.as_ref().is_none_or(|newest| order(newest) < order(&known)) {
            newest = Some(known);
        }
    }
    Ok(newest.unwrap_or_default())
}

impl Known {
    /// Health stored in a database, which a `run` holds or not.
    fn of(kept: KeptHealth, is_held: bool, now: UnixMillis) -> Self {
        let KeptHealth { at, process, ended, integrations, earlier } = kept;
        let goes_on = match process {
            Some(_) => is_held,
            // An earlier version stored no time.
            None if at.is_never() => is_held,
            None => now.since(at) < STALE,
        };
        Self { all: integrations, as_of: (ended || !goes_on).then_some(at), earlier }
    }

    /// The health of integrations that are polled now.
    #[cfg(test)]
    pub(crate) fn now(all: Vec<IntegrationHealth>) -> Self {
        Self { all, ..Self::default() }
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &IntegrationHealth> {
        self.all.iter()
    }

    /// That of one of them.
    pub(crate) fn of_integration(&self, integration: &IntegrationId) -> Option<&IntegrationHealth> {
        self.all.iter().find(|health| health.integration == *integration)
    }

    /// That of one of them, if it is polled now.
    pub(crate) fn of_polled(&self, integration: &IntegrationId) -> Option<&IntegrationHealth> {
        self.of_integration(integration).filter(|_| self.as_of(integration).is_none())
    }

    /// When what is known of one of them was so, if nobody polls it now.
    pub(crate) fn as_of(&self, integration: &IntegrationId) -> Option<UnixMillis> {
        self.earlier.get(integration).copied().or(self.as_of)
    }

    /// One line for people: what [`line()`] says, and whether it is current.
    pub(crate) fn line(&self, health: &IntegrationHealth, now: UnixMillis) -> String {
        line_as_of(health, self.as_of(&health.integration), now)
    }
}

/// The same, with a separate time of recording.
pub(crate) fn line_as_of(health: &IntegrationHealth, as_of: Option<UnixMillis>, now: UnixMillis) -> String {
    let line = line(health, now);
    match as_of {
        None => line,
        Some(UnixMillis::NEVER) => format!("not running; last state: {line}"),
        Some(at) => format!("not running; as of {}: {line}", output::ago(now, at)),
    }
}

/// One line for people: the state, until when it is paused, and why.
fn line(health: &IntegrationHealth, now: UnixMillis) -> String {
    let IntegrationHealth { state, reason, paused_until, failure, .. } = health;
    let left = paused_until.since(now).as_secs();
    let until = match state {
        HealthState::Paused if left > 0 => format!(" until {}, for {}", output::time(*paused_until), wait(left)),
        _ => String::new(),
    };
    let why = if reason.is_empty() { String::new() } else { format!(": {}", output::printable(reason)) };
    let failure = failure.as_ref().filter(|_| *state >= HealthState::Failing);
    let ago = failure.map(|failure| format!(" ({})", output::ago(now, failure.at))).unwrap_or_default();
    format!("{state}{until}{why}{ago}")
}

fn wait(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        _ => format!("{} min", seconds / 60),
    }
}

#[cfg(test)]
mod tests {
    use bg_poller::{ComponentFailure, OutcomeKind};

    use super::*;

    #[test]
    fn a_line_says_what_is_wrong_and_until_when() {
        let now = UnixMillis(1_800_000_000_000);
        let failure = ComponentFailure {
            at: UnixMillis(now.0 - 5_000),
            function: "fetch-charms".to_owned(),
            kind: OutcomeKind::Trapped,
            blame: None,
            cause: None,
            reason: "wasm trap".to_owned(),
            in_a_row: 5,
        };
        let works = IntegrationHealth::working("mail".parse().unwrap());
        assert_eq!(line(&works, now), "works");
        let paused = IntegrationHealth {
            state: HealthState::Paused,
            reason: "fetch-charms failed: \u{1b}[2J".to_owned(),
            paused_until: UnixMillis(now.0 + 240_000),
            failure: Some(failure),
            ..works.clone()
        };
        assert_eq!(
            line(&paused, now),
            "paused until 2027-01-15T08:04:00.000Z, for 4 min: fetch-charms failed: \\u{1b}[2J (5 s ago)"
        );
        let degraded =
            IntegrationHealth { state: HealthState::Degraded, reason: "all were denied".to_owned(), ..works };
        assert_eq!(line(&degraded, now), "degraded: all were denied");
    }

    #[test]
    fn what_a_process_does_not_poll_keeps_its_time() {
        let now = UnixMillis(1_800_000_000_000);
        let [mail, feed] = ["mail", "feed"].map(|name| IntegrationHealth::working(name.parse().unwrap()));
        let kept = |seconds: u64, integrations| KeptHealth {
            at: UnixMillis(now.0 - seconds * 1_000),
            process: Some(7),
            integrations,
            ..KeptHealth::default()
        };
        let first = kept(300, vec![mail.clone(), feed.clone()]);
        let second = kept(60, vec![feed.clone()]).with_others_of(&first);
        let third = kept(1, vec![feed.clone()]).with_others_of(&second);
        let known = Known::of(third, true, now);
        assert_eq!(known.line(&mail, now), "not running; as of 5 min ago: works");
        assert_eq!(known.line(&feed, now), "works");
        assert!(known.of_polled(&mail.integration).is_none() && known.of_polled(&feed.integration).is_some());
    }

    #[test]
    fn what_a_service_said_that_is_gone_is_said_with_its_time() {
        let now = UnixMillis(1_800_000_000_000);
        let works = IntegrationHealth::working("mail".parse().unwrap());
        let kept = |seconds: u64, process, ended| KeptHealth {
            at: UnixMillis(now.0 - seconds * 1_000),
            process,
            ended,
            integrations: vec![works.clone()],
            ..KeptHealth::default()
        };
        for (kept, is_held, expected) in [
            (kept(59, Some(7), false), true, "works"),
            // A killed process cannot record its end.
            (kept(59, Some(7), false), false, "not running; as of 59 s ago: works"),
            (kept(59, Some(7), true), true, "not running; as of 59 s ago: works"),
            (kept(59, None, false), false, "works"),
            (kept(600, None, false), true, "not running; as of 10 min ago: works"),
            (KeptHealth { at: UnixMillis::NEVER, ..kept(0, None, false) }, true, "works"),
            (KeptHealth { at: UnixMillis::NEVER, ..kept(0, None, false) }, false, "not running; last state: works"),
        ] {
            let known = Known::of(kept.clone(), is_held, now);
            assert_eq!(known.line(&works, now), expected, "{kept:?} {is_held}");
            assert_eq!(known.of_polled(&works.integration).is_some(), expected == "works");
        }
    }
}
