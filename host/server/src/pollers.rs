//! All known poll loops: that of this process, and those of other processes that report to this server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bg_charm_api::wire::{IntegrationHealth, IntegrationReport, PollerAnswer, PollerReport, REPORT_EVERY};
use bg_identity::IntegrationId;
use bg_poller::{CharmRef, Registration, UnixMillis};
use tokio::time::Instant;

use crate::activity::Activity;
use crate::polling::{LoopEnded, Polling};

/// A poll loop that has not reported for this long is gone; some reports may be lost or late.
const GONE: Duration = Duration::from_secs(5 * REPORT_EVERY.as_secs());
/// The limit of remembered poll loops, including gone ones. Usually there is one, or a few that share a server's
/// charms.
const MOST: usize = 32;
/// How many charms may wait for an immediate poll by a loop elsewhere.
const WANTED: usize = 1_000;

/// All of them.
#[derive(Debug)]
pub(crate) struct Pollers {
    own: Option<Arc<Polling>>,
    elsewhere: Mutex<BTreeMap<String, Elsewhere>>,
}

/// The reports of a loop in another process.
#[derive(Debug)]
struct Elsewhere {
    heard: Instant,
    heard_at: UnixMillis,
    ended: bool,
    interval: Duration,
    min_interval: Option<Duration>,
    integrations: BTreeMap<IntegrationId, IntegrationReport>,
    wanted: Vec<CharmRef>,
}

impl Elsewhere {
    /// Whether it still polls.
    fn is_there(&self) -> bool {
        !self.ended && self.heard.elapsed() < GONE
    }
}

/// An integration with a component.
#[derive(Debug)]
pub(crate) struct KnownIntegration {
    pub(crate) report: IntegrationReport,
    /// The last report of its loop, if the loop is gone.
    pub(crate) gone: Option<UnixMillis>,
}

impl Pollers {
    pub(crate) fn new(own: Option<Arc<Polling>>) -> Self {
        Self { own, elsewhere: Mutex::default() }
    }

    /// That of this process.
    pub(crate) fn own(&self) -> Option<&Polling> {
        self.own.as_deref()
    }

    /// Whether there is any.
    pub(crate) fn are_there(&self) -> bool {
        self.own.is_some() || self.elsewhere().values().any(Elsewhere::is_there)
    }

    /// Records a report.
    pub(crate) fn note(&self, report: PollerReport) -> PollerAnswer {
        let mut all = self.elsewhere();
        let PollerReport { poller, ends, interval, min_interval, integrations, changed, .. } = report;
        let before = all.remove(&poller);
        let known = before.is_some();
        if !known {
            // Its activity is newer than that of loops that are gone.
            all.retain(|_, one| one.is_there());
            if all.len() >= MOST {
                return PollerAnswer::default();
            }
        }
        let (mut reported, poll) = before.map(|before| (before.integrations, before.wanted)).unwrap_or_default();
        reported.extend(changed.into_iter().map(|report| (report.view.id.clone(), report)));
        reported.retain(|id, _| integrations.contains(id));
        let now = Elsewhere {
            heard: Instant::now(),
            heard_at: UnixMillis::now(),
            ended: ends,
            interval,
            min_interval,
            integrations: reported,
            wanted: Vec::new(),
        };
        all.insert(poller, now);
        PollerAnswer { known, poll }
    }

    /// All integrations with a component, by ID. This process wins over others; then the newest report.
    pub(crate) fn integrations(&self, activity: &Activity) -> Vec<KnownIntegration> {
        let all = self.elsewhere();
        let mut by_age: Vec<&Elsewhere> = all.values().collect();
        by_age.sort_by_key(|one| (one.is_there(), one.heard));
        let reported = by_age.into_iter().flat_map(|one| {
            let gone = (!one.is_there()).then_some(one.heard_at);
            one.integrations.values().map(move |report| KnownIntegration { report: report.clone(), gone })
        });
        let own = self.own.iter().flat_map(|own| own.report(activity));
        let own = own.map(|report| KnownIntegration { report, gone: None });
        let by_id: BTreeMap<_, _> = reported.chain(own).map(|known| (known.report.view.id.clone(), known)).collect();
        by_id.into_values().collect()
    }

    /// The health of the integrations that are polled.
    pub(crate) fn health(&self, activity: &Activity) -> Vec<IntegrationHealth> {
        let now = UnixMillis::now();
        let polled = self.integrations(activity).into_iter().filter(|known| known.gone.is_none());
        polled.map(|known| known.report.health(now)).collect()
    }

    /// One of them.
    pub(crate) fn integration(&self, id: &IntegrationId, activity: &Activity) -> Option<KnownIntegration> {
        self.integrations(activity).into_iter().find(|known| known.report.view.id == *id)
    }

    /// The interval of a registered charm, if anything polls it.
    pub(crate) fn interval_of(&self, registration: &Registration) -> Option<Duration> {
        let Registration { integration, interval: asks, .. } = registration;
        let (standing, interval, min_interval) = if let Some(own) = &self.own {
            (own.gauges().integrations().remove(integration), own.interval(), own.min_interval())
        } else {
            let all = self.elsewhere();
            let mut there = all.values().filter(|one| one.is_there());
            let of_it = there.clone().find(|one| one.integrations.contains_key(integration));
            let one = of_it.or_else(|| there.next())?;
            let standing = one.integrations.get(integration).map(|report| report.standing.clone());
            (standing, one.interval, one.min_interval)
        };
        let usual = standing.map_or(interval, |standing| standing.interval);
        Some(asks.map_or(usual, |asks| asks.max(min_interval.unwrap_or(usual))))
    }

    /// Polls a charm at once. False if the loop of this process does not poll it, `None` if nothing polls. A loop
    /// elsewhere gets the request with the response to its next report.
    pub(crate) async fn poll(&self, charm: &CharmRef) -> Result<Option<bool>, LoopEnded> {
        if let Some(own) = &self.own {
            return own.poll(charm).await.map(Some);
        }
        let mut all = self.elsewhere();
        let mut is_heard = false;
        for one in all.values_mut().filter(|one| one.is_there()) {
            is_heard = true;
            if one.wanted.len() < WANTED && !one.wanted.contains(charm) {
                one.wanted.push(charm.clone());
            }
        }
        Ok(is_heard.then_some(true))
    }

    fn elsewhere(&self) -> MutexGuard<'_, BTreeMap<String, Elsewhere>> {
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bg_charm_api::wire::{IntegrationView, OwnerEgress};
    use bg_identity::{CharmId, space_did};
    use bg_poller::Standing;

    use super::*;

    fn integration(id: &str, version: &str) -> IntegrationReport {
        let view = IntegrationView {
            id: id.parse().unwrap(),
            name: id.to_owned(),
            version: version.to_owned(),
            description: String::new(),
            authors: Vec::new(),
            license: String::new(),
            file: String::new(),
            sha256: String::new(),
            loaded_at: UnixMillis(1),
            asked: Vec::new(),
            config: BTreeMap::new(),
        };
        let standing = Standing { interval: Duration::from_secs(7), ..Standing::default() };
        IntegrationReport { view, standing, calls: Vec::new(), egress: OwnerEgress::default(), log: Vec::new() }
    }

    /// A report of these integrations, of which some changed.
    fn report(poller: &str, integrations: &[&str], changed: &[(&str, &str)]) -> PollerReport {
        PollerReport {
            poller: poller.to_owned(),
            interval: Duration::from_mins(1),
            integrations: integrations.iter().map(|id| id.parse().unwrap()).collect(),
            changed: changed.iter().map(|(id, version)| integration(id, version)).collect(),
            ..PollerReport::default()
        }
    }

    fn known(pollers: &Pollers) -> Vec<(String, String)> {
        let all = pollers.integrations(&Activity::new());
        let text = |known: KnownIntegration| {
            let version = known.report.view.version;
            let gone = if known.gone.is_some() { " (gone)" } else { "" };
            (known.report.view.id.to_string(), format!("{version}{gone}"))
        };
        all.into_iter().map(text).collect()
    }

    fn texts<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = (String, String)> + 'a {
        pairs.iter().map(|(id, version)| ((*id).to_owned(), (*version).to_owned()))
    }

    fn registration(integration: &str, interval: Option<Duration>) -> Registration {
        let charm = CharmRef { space: space_did("my-space"), charm: CharmId::for_content(b"a") };
        let registered = bg_poller::testing::registration(charm, integration.parse().unwrap());
        Registration { last_run: UnixMillis(2), interval, ..registered }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_is_known_until_it_ends_or_stops_reporting() {
        let pollers = Pollers::new(None);
        assert!(!pollers.are_there());
        assert!(!pollers.note(report("a", &["mail"], &[("mail", "1")])).known);
        assert!(pollers.note(report("a", &["mail"], &[])).known);
        tokio::time::advance(GONE / 2).await;
        assert!(pollers.note(report("a", &["mail"], &[])).known);
        tokio::time::advance(GONE / 2).await;
        assert_eq!(known(&pollers), texts(&[("mail", "1")]).collect::<Vec<_>>());
        tokio::time::advance(GONE / 2).await;
        assert!(!pollers.are_there());
        // Its last activity is still shown.
        assert_eq!(known(&pollers), texts(&[("mail", "1 (gone)")]).collect::<Vec<_>>());
        assert_eq!(pollers.interval_of(&registration("mail", None)), None);
        assert!(pollers.note(report("a", &["mail"], &[])).known && pollers.are_there());
        let last = PollerReport { ends: true, ..report("a", &["mail"], &[("mail", "2")]) };
        assert!(pollers.note(last).known && !pollers.are_there());
        assert_eq!(known(&pollers), texts(&[("mail", "2 (gone)")]).collect::<Vec<_>>());
        // Until there is another.
        assert!(!pollers.note(report("b", &[], &[])).known && pollers.are_there());
        assert_eq!(known(&pollers), []);
        assert!(!pollers.note(report("a", &["mail"], &[])).known);
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_report_of_each_integration_that_a_loop_still_has_is_shown() {
        let pollers = Pollers::new(None);
        pollers.note(report("a", &["cal", "mail"], &[("cal", "1"), ("mail", "1")]));
        pollers.note(report("a", &["cal", "mail"], &[("mail", "2")]));
        assert_eq!(known(&pollers), texts(&[("cal", "1"), ("mail", "2")]).collect::<Vec<_>>());
        tokio::time::advance(Duration::from_secs(1)).await;
        pollers.note(report("b", &["mail"], &[("mail", "3")]));
        assert_eq!(known(&pollers), texts(&[("cal", "1"), ("mail", "3")]).collect::<Vec<_>>());
        pollers.note(report("a", &["mail"], &[]));
        assert_eq!(known(&pollers).len(), 1);
        for more in 0..MOST * 2 {
            pollers.note(report(&format!("more-{more}"), &[], &[]));
        }
        assert_eq!(pollers.elsewhere().len(), MOST);
    }

    #[tokio::test]
    async fn an_interval_is_known_if_a_service_polls() {
        let pollers = Pollers::new(None);
        assert_eq!(pollers.interval_of(&registration("mail", None)), None);
        pollers.note(report("a", &["mail"], &[("mail", "1")]));
        for (integration, asks, interval) in
            [("mail", None, 7), ("cal", None, 60), ("cal", Some(90), 90), ("mail", Some(1), 7)]
        {
            let asked = registration(integration, asks.map(Duration::from_secs));
            assert_eq!(pollers.interval_of(&asked), Some(Duration::from_secs(interval)), "{integration} {asks:?}");
        }
    }

    #[tokio::test]
    async fn every_loop_is_asked_once_to_poll_a_charm() {
        let pollers = Pollers::new(None);
        let Registration { charm, .. } = registration("mail", None);
        assert_eq!(pollers.poll(&charm).await, Ok(None));
        for poller in ["a", "b"] {
            assert_eq!(pollers.note(report(poller, &[], &[])).poll, []);
        }
        for _ in 0..2 {
            assert_eq!(pollers.poll(&charm).await, Ok(Some(true)));
        }
        for poller in ["a", "b"] {
            assert_eq!(pollers.note(report(poller, &[], &[])).poll, std::slice::from_ref(&charm));
            assert_eq!(pollers.note(report(poller, &[], &[])).poll, []);
        }
    }
}
