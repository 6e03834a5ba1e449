//! The health of an integration, derived from its standing and its newest requests.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bg_identity::IntegrationId;
use bg_poller::{Cause, ComponentFailure, LogLine, UnixMillis};
use serde::{Deserialize, Serialize};

use super::{IntegrationReport, OwnerEgress};

/// Requests count for this long, and for three intervals at least.
const RECENT: Duration = Duration::from_mins(15);
/// The function that names charms.
const FETCH_CHARMS: &str = "fetch-charms";
/// If fewer than one in this many requests fail (no response, or 5xx), the integration still works. A denied request
/// always degrades it.
const FAILED_SHARE: usize = 10;

/// The health of an integration in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthState {
    /// No problem is known.
    Works,
    /// It answers, but some of its requests are denied, or fail.
    Degraded,
    /// A function of its component fails.
    Failing,
    /// It is not called because its component kept failing.
    Paused,
}

impl HealthState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Works, Self::Degraded, Self::Failing, Self::Paused];

    /// The name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Degraded => "degraded",
            Self::Failing => "failing",
            Self::Paused => "paused",
        }
    }
}

impl fmt::Display for HealthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The health of an integration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IntegrationHealth {
    /// Which one.
    pub integration: IntegrationId,
    /// In one word.
    pub state: HealthState,
    /// Why, for people; empty if it works.
    pub reason: String,
    /// The option that allows what was denied, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// When the pause ends; never if it is not paused.
    pub paused_until: UnixMillis,
    /// Whether its charms are not polled because there is no list of them.
    pub without_list: bool,
    /// The last failure of its component, also if it works again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<ComponentFailure>,
    /// The last lines that it logged in its last call that failed; oldest first.
    pub log: Vec<LogLine>,
    /// Its newest requests.
    pub requests: RecentRequests,
}

/// The health of all integrations of a poll loop, stored for other commands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptHealth {
    /// As of when; never if an older version stored it.
    pub at: UnixMillis,
    /// The process that stored it, if it uses this data directory; otherwise it was reported to the server there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<u32>,
    /// Whether the loop has ended.
    #[serde(default)]
    pub ended: bool,
    /// Each of them.
    pub integrations: Vec<IntegrationHealth>,
    /// Those of them of which this is of an earlier time: the process that keeps this does not poll them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub earlier: BTreeMap<IntegrationId, UnixMillis>,
}

impl KeptHealth {
    /// How often it is stored although nothing has changed.
    pub const AGAIN: Duration = Duration::from_mins(1);

    /// Adds what was kept `before` of integrations that this says nothing of.
    #[must_use]
    pub fn with_others_of(mut self, before: &Self) -> Self {
        for health in &before.integrations {
            if !self.integrations.iter().any(|known| known.integration == health.integration) {
                let at = before.earlier.get(&health.integration).copied().unwrap_or(before.at);
                self.earlier.insert(health.integration.clone(), at);
                self.integrations.push(health.clone());
            }
        }
        self
    }
}

/// The newest requests of an integration, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecentRequests {
    /// The number of known requests.
    pub all: usize,
    /// Requests that the gate denied.
    pub denied: usize,
    /// Requests that got no response, or a 5xx.
    pub failed: usize,
}

impl RecentRequests {
    fn of(egress: &OwnerEgress, since: UnixMillis) -> Self {
        let mut counted = Self::default();
        for sent in egress.newest.iter().filter(|sent| sent.at >= since) {
            counted.all += 1;
            if sent.denied {
                counted.denied += 1;
            } else if sent.error.is_some() || sent.status.is_some_and(|status| status >= 500) {
                counted.failed += 1;
            }
        }
        counted
    }

    fn is_troubled(&self) -> bool {
        self.denied > 0 || (self.failed > 0 && self.failed * FAILED_SHARE >= self.all)
    }

    /// The percentage of denied or failed requests.
    pub fn troubled_percent(&self) -> usize {
        ((self.denied + self.failed) * 100).checked_div(self.all).unwrap_or(0)
    }
}

impl IntegrationHealth {
    /// An integration without known problems.
    pub fn working(integration: IntegrationId) -> Self {
        Self {
            integration,
            state: HealthState::Works,
            reason: String::new(),
            fix: None,
            paused_until: UnixMillis::NEVER,
            without_list: false,
            failure: None,
            log: Vec::new(),
            requests: RecentRequests::default(),
        }
    }

    /// What to do, unless it works. What was denied comes first: the rest may follow from it. What the log says of the
    /// last failure follows word for word.
    pub fn remedy(&self) -> Option<String> {
        let Self { integration, state, fix, failure, .. } = self;
        let allow = fix.as_deref().map(bg_poller::allowing);
        match state {
            HealthState::Works => None,
            HealthState::Degraded => Some(allow.unwrap_or_else(|| {
                format!(
                    "see which of its requests are denied or fail, and why, on its page (/admin/integrations/\
                     {integration}) or in the service's log (target `egress`)"
                )
            })),
            HealthState::Failing | HealthState::Paused => {
                let usual = || Cause::ComponentFailed.fix_of_component(integration);
                let of_failure = failure.as_ref().map_or_else(usual, |failure| failure.fix(integration));
                // A failure that was denied names the option itself.
                let is_denial = failure.as_ref().is_some_and(|failure| failure.cause.is_some_and(Cause::is_denial));
                Some(match allow.filter(|_| !is_denial) {
                    Some(allow) => format!("{allow}. If it still fails: {of_failure}"),
                    None => of_failure,
                })
            }
        }
    }

    /// Whether its charms are polled.
    pub fn polls(&self) -> bool {
        self.state != HealthState::Paused && !self.without_list
    }
}

impl IntegrationReport {
    /// Its health.
    pub fn health(&self, now: UnixMillis) -> IntegrationHealth {
        let Self { view, standing, egress, log, .. } = self;
        let window = RECENT.max(standing.interval * 3);
        let since = UnixMillis(now.0.saturating_sub(u64::try_from(window.as_millis()).unwrap_or(u64::MAX)));
        let requests = RecentRequests::of(egress, since);
        let state = if standing.paused {
            HealthState::Paused
        } else if standing.failing {
            HealthState::Failing
        } else if requests.is_troubled() {
            HealthState::Degraded
        } else {
            HealthState::Works
        };
        let of_list = standing.failure.as_ref().is_some_and(|failure| failure.function == FETCH_CHARMS);
        let failed = standing.failure.as_ref().map(|ComponentFailure { function, kind, reason, in_a_row, .. }| {
            let times = if *in_a_row > 1 { format!(" ({in_a_row} times in a row)") } else { String::new() };
            format!("{function} failed{times}: {kind}: {reason}")
        });
        let failed = failed.unwrap_or_else(|| "its component fails".to_owned());
        let reason = match state {
            HealthState::Works => String::new(),
            HealthState::Degraded => requests_reason(requests, egress),
            HealthState::Failing if standing.without_list => format!("its charms are not polled: {failed}"),
            HealthState::Failing if of_list => format!("{failed}; its charms are still polled by the last list"),
            HealthState::Failing | HealthState::Paused => failed,
        };
        // A denied request is the first thing to fix, also if the component fails because of it.
        let newest_denial = egress.denials.iter().find(|denial| denial.newest >= since && !denial.sent);
        let fix = newest_denial.filter(|_| requests.denied > 0).and_then(|denial| denial.option.clone());
        IntegrationHealth {
            integration: view.id.clone(),
            state,
            reason,
            fix: fix.filter(|_| state != HealthState::Works),
            paused_until: if standing.paused { standing.paused_until } else { UnixMillis::NEVER },
            without_list: standing.without_list,
            failure: standing.failure.clone(),
            log: log.clone(),
            requests,
        }
    }
}

fn requests_reason(requests: RecentRequests, egress: &OwnerEgress) -> String {
    let RecentRequests { all, denied, failed } = requests;
    let count = |count: usize, what: &str| match count {
        0 => None,
        count if count == all => Some(format!("all {all} of its newest requests {what}")),
        count => Some(format!("{count} of its newest {all} requests {what}")),
    };
    let shares: Vec<String> = [count(denied, "were denied"), count(failed, "failed")].into_iter().flatten().collect();
    let example = egress.newest.iter().find(|sent| if denied > 0 { sent.denied } else { !sent.ok });
    let example = example.map(|sent| format!(", such as {} {}{}", sent.method, sent.origin, sent.path));
    format!("{}{}", shares.join(", "), example.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bg_poller::{Blame, OutcomeKind, Standing};

    use super::super::{Denial, IntegrationView, Sent};
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn report() -> IntegrationReport {
        let view = IntegrationView {
            id: "mail".parse().unwrap(),
            name: "Mail".to_owned(),
            version: "1".to_owned(),
            description: String::new(),
            authors: Vec::new(),
            license: String::new(),
            file: String::new(),
            sha256: String::new(),
            loaded_at: UnixMillis(1),
            asked: Vec::new(),
            config: BTreeMap::new(),
        };
        let standing = Standing { interval: Duration::from_mins(1), ..Standing::default() };
        let (calls, log) = (Vec::new(), Vec::new());
        IntegrationReport { view, standing, calls, egress: OwnerEgress::default(), log }
    }

    fn sent(minutes_ago: u64, denied: bool, status: Option<u16>) -> Sent {
        Sent {
            at: UnixMillis(NOW.0 - minutes_ago * 60_000),
            method: "GET".to_owned(),
            origin: "https://mail.example".to_owned(),
            path: "/v1".to_owned(),
            decision: String::new(),
            ok: !denied,
            denied,
            credential: false,
            status,
            bytes: 0,
            elapsed: Duration::ZERO,
            error: denied.then(|| "denied".to_owned()),
        }
    }

    fn with(requests: &[(u64, bool, Option<u16>)]) -> IntegrationHealth {
        let mut report = report();
        report.egress.newest = requests.iter().map(|(ago, denied, status)| sent(*ago, *denied, *status)).collect();
        report.egress.denials = [Denial {
            method: "GET".to_owned(),
            origin: "https://mail.example".to_owned(),
            path: "/v1".to_owned(),
            rule: String::new(),
            option: Some("--allow-http https://mail.example/".to_owned()),
            sent: false,
            charm: None,
            count: 1,
            newest: NOW,
        }]
        .into();
        report.health(NOW)
    }

    #[test]
    fn an_integration_whose_every_request_is_denied_is_degraded_and_names_the_option() {
        let health = with(&[(1, true, None), (2, true, None)]);
        assert_eq!(health.state, HealthState::Degraded);
        assert_eq!(health.reason, "all 2 of its newest requests were denied, such as GET https://mail.example/v1");
        assert_eq!(health.fix.as_deref(), Some("--allow-http https://mail.example/"));
        assert_eq!(health.requests.troubled_percent(), 100);
        let remedy = health.remedy().unwrap();
        assert!(remedy.contains("--allow-http https://mail.example/"), "{remedy}");
    }

    #[test]
    fn old_requests_and_rare_failures_do_not_degrade_an_integration() {
        let well = |ago| (ago, false, Some(200));
        assert_eq!(with(&[well(1), (20, true, None)]).state, HealthState::Works);
        let mut many = vec![well(1); 19];
        many.push((1, false, Some(503)));
        assert_eq!(with(&many).state, HealthState::Works);
        many.extend([(1, false, Some(503)), (1, false, None)]);
        many.push((1, false, Some(503)));
        let health = with(&many);
        assert_eq!((health.state, health.requests.failed), (HealthState::Degraded, 3));
        assert_eq!(health.fix, None);
        assert!(health.reason.starts_with("3 of its newest 23 requests failed"), "{}", health.reason);
    }

    #[test]
    fn a_component_that_fails_or_is_paused_says_why() {
        let mut report = report();
        let failure = ComponentFailure {
            at: NOW,
            function: "fetch-charms".to_owned(),
            kind: OutcomeKind::Trapped,
            blame: Some(Blame::Integration),
            cause: Some(Cause::ComponentTrapped),
            reason: "wasm trap".to_owned(),
            in_a_row: 3,
        };
        report.standing.failure = Some(failure);
        assert_eq!(report.health(NOW).state, HealthState::Works, "it works again");
        report.standing.failing = true;
        let health = report.health(NOW);
        assert!(health.polls());
        assert_eq!(health.state, HealthState::Failing);
        let remedy = health.remedy().unwrap();
        assert!(remedy.starts_with("replace the component of mail"), "{remedy}");
        let failed = "fetch-charms failed (3 times in a row): Trapped: wasm trap";
        assert_eq!(health.reason, format!("{failed}; its charms are still polled by the last list"));
        report.standing.without_list = true;
        let health = report.health(NOW);
        assert!(!health.polls() && health.reason.starts_with("its charms are not polled: fetch-charms"));
        (report.standing.paused, report.standing.paused_until) = (true, UnixMillis(NOW.0 + 1));
        let health = report.health(NOW);
        assert_eq!((health.state, health.paused_until), (HealthState::Paused, UnixMillis(NOW.0 + 1)));
        assert!(!health.polls());
    }
}
