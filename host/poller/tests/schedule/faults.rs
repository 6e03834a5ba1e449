//! Schedules that break one promise each, and that the suite notices it.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bg_identity::IntegrationId;
use bg_poller::schedule::suite::{Make, broken_promises, charms, settlement};
use bg_poller::schedule::{Due, Kept, Lease, ListChange, Named, Owed, Schedule, Settled, Settlement, StatusChange};
use bg_poller::{CharmRef, Consequence, Registration, RuntimeError, Servers};
use tokio::time::Instant;

use crate::memory;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Hands out more than there is room for.
    TooMany,
    /// Hands out a charm that another claimer has.
    Twice,
    /// Hands out a charm that was just polled.
    Early,
    /// Hands out nothing for a charm, ever.
    Forgets,
    /// Names a time to look again that is too late.
    Oversleeps,
    /// Keeps leases for ever.
    NeverEnds,
    /// Forgets renewals.
    ForgetsRenewal,
    /// Settles a lease that has ended as if it were the one that its charm has now.
    SettlesLost,
    /// Forgets which leases were settled.
    SettlesTwice,
    /// Forgets releases.
    ForgetsRelease,
    /// Counts a release as a failure.
    CountsRelease,
    /// Has charms wait for each other that were released together.
    ReleasesInTurns,
    /// Counts no failures.
    CountsNothing,
    /// Learns from no poll that a server answers.
    IgnoresPolls,
    /// Learns from no component that a server answers.
    IgnoresComponents,
    /// Takes all servers for one.
    MixesServers,
    /// Has charms polled at once when their server answers.
    Rushes,
    /// Forgets how often a charm has failed again after its server answered.
    ForgetsInVain,
    /// Forgets for how long a server wants no requests.
    ForgetsRetryAfter,
}

impl Fault {
    /// Each, and the promise that it breaks.
    const ALL: [(Self, &str); 19] = [
        (Self::TooMany, "room"),
        (Self::Twice, "one lease"),
        (Self::Early, "not early"),
        (Self::Forgets, "all in turn"),
        (Self::Oversleeps, "wake"),
        (Self::NeverEnds, "end"),
        (Self::ForgetsRenewal, "renewal"),
        (Self::SettlesLost, "lost"),
        (Self::SettlesTwice, "once"),
        (Self::ForgetsRelease, "release"),
        (Self::CountsRelease, "release"),
        (Self::ReleasesInTurns, "as before"),
        (Self::CountsNothing, "counts"),
        (Self::IgnoresPolls, "servers"),
        (Self::IgnoresComponents, "servers"),
        (Self::MixesServers, "servers"),
        (Self::Rushes, "no sooner"),
        (Self::ForgetsInVain, "no sooner"),
        (Self::ForgetsRetryAfter, "no sooner"),
    ];

    /// How soon after its last poll a charm is wrongly polled again when its server answers.
    fn rushes_after(self) -> Option<Duration> {
        match self {
            Self::Rushes => Some(Duration::ZERO),
            // The interval of the suite's charms.
            Self::ForgetsInVain => Some(Duration::from_mins(1)),
            _ => None,
        }
    }

    /// Gets wrong what a poll says about servers.
    fn distort(self, servers: &mut Servers) {
        let Servers { failed, answered, accepted } = servers;
        match self {
            Self::IgnoresPolls => [answered, accepted].into_iter().for_each(Vec::clear),
            Self::MixesServers => {
                let origins = failed.iter_mut().map(|server| &mut server.origin).chain(answered).chain(accepted);
                origins.for_each(|origin| "https://one.example:443".clone_into(origin));
            }
            Self::ForgetsRetryAfter => failed.iter_mut().for_each(|server| server.retry_after = None),
            _ => {}
        }
    }
}

/// A schedule that is right but for one fault.
struct Faulty {
    fault: Fault,
    right: Box<dyn Schedule>,
    /// All that were handed out, in order.
    given: Vec<Due>,
    made_up: u64,
    /// What was settled last.
    last: Option<Due>,
    /// The charm that it forgets.
    ignored: Option<CharmRef>,
    /// Whether it hands out one at a time from now on.
    has_released: bool,
    /// When a server last failed each charm.
    failed: BTreeMap<CharmRef, Instant>,
    /// Those whose server has answered since, and when they are wrongly polled for that.
    rushed: Vec<(CharmRef, Instant)>,
}

impl Faulty {
    async fn rush(&mut self) {
        let now = Instant::now();
        for (charm, _) in self.rushed.extract_if(.., |(_, at)| *at <= now) {
            self.right.poll_soon(&charm).await;
        }
    }

    fn make_up(&mut self, due: &Due) -> Due {
        self.made_up += 1;
        let lease = Lease(u64::MAX - self.made_up);
        Due { lease, ..due.clone() }
    }

    /// The lease that a charm has now.
    fn present(&self, lease: Lease) -> Lease {
        let charm = self.given.iter().find(|due| due.lease == lease).map(|due| &due.charm);
        let newest = self.given.iter().rev().find(|due| Some(&due.charm) == charm);
        newest.map_or(lease, |due| due.lease)
    }
}

#[async_trait]
impl Schedule for Faulty {
    async fn claim(&mut self, room: usize) -> Vec<Due> {
        self.rush().await;
        let room = if self.fault == Fault::TooMany { room + 1 } else { room };
        if self.fault == Fault::NeverEnds {
            let held: Vec<Lease> = self.given.iter().map(|due| due.lease).collect();
            self.right.renew(&held).await;
        }
        let room = if self.has_released { room.min(1) } else { room };
        let mut due = self.right.claim(room).await;
        if self.fault == Fault::Forgets {
            let ignored = self.ignored.get_or_insert_with(|| charms(1, Duration::ZERO)[0].0.clone());
            due.retain(|due| due.charm != *ignored);
        }
        let again = match self.fault {
            Fault::Twice if due.is_empty() => self.given.last().cloned(),
            Fault::Early if due.is_empty() => self.last.take(),
            _ => None,
        };
        self.given.extend(due.iter().cloned());
        if let Some(again) = again {
            due.push(self.make_up(&again));
        }
        due
    }

    async fn settle(&mut self, ended: Vec<Settlement>) -> Vec<Settled> {
        let mut settled = Vec::new();
        for mut settlement in ended {
            self.last = self.given.iter().find(|due| due.lease == settlement.lease).cloned();
            match self.fault {
                Fault::SettlesLost => settlement.lease = self.present(settlement.lease),
                Fault::CountsNothing => settlement.consequence = Some(Consequence::Clears),
                _ => {}
            }
            self.fault.distort(&mut settlement.servers);
            if let (Some(due), Some(_)) = (&self.last, &settlement.servers.failed) {
                self.failed.insert(due.charm.clone(), Instant::now());
            }
            let answer = self.right.settle(vec![settlement.clone()]).await.remove(0);
            settled.push(match answer {
                Settled::Lost if self.fault == Fault::SettlesTwice => Settled::Kept(Kept::default()),
                answer => answer,
            });
        }
        settled
    }

    async fn renew(&mut self, leases: &[Lease]) -> Vec<Lease> {
        if self.fault == Fault::ForgetsRenewal {
            return Vec::new();
        }
        self.right.renew(leases).await
    }

    async fn release(&mut self, leases: &[Lease]) {
        match self.fault {
            Fault::ForgetsRelease => {}
            Fault::CountsRelease => {
                for lease in leases {
                    let due = self.given.iter().find(|due| due.lease == *lease).cloned();
                    self.right.settle(vec![settlement(*lease, Consequence::Counts)]).await;
                    self.last = due;
                }
            }
            fault => {
                self.has_released |= fault == Fault::ReleasesInTurns;
                self.right.release(leases).await;
            }
        }
    }

    fn lease_time(&self) -> Option<Duration> {
        self.right.lease_time()
    }

    fn next_claim(&self) -> Option<Instant> {
        let late = if self.fault == Fault::Oversleeps { Duration::from_mins(10) } else { Duration::ZERO };
        self.right.next_claim().map(|at| at + late)
    }

    async fn read_all(&mut self, registrations: &[Registration]) {
        self.right.read_all(registrations).await;
    }

    async fn read_changes(&mut self, changed: &[Registration], removed: &[CharmRef]) {
        self.right.read_changes(changed, removed).await;
    }

    async fn poll_soon(&mut self, charm: &CharmRef) -> bool {
        self.right.poll_soon(charm).await
    }

    async fn servers_answered(&mut self, servers: &Servers) {
        if self.fault == Fault::IgnoresComponents {
            return;
        }
        let mut servers = servers.clone();
        // Polls alone are what that one ignores.
        if self.fault != Fault::IgnoresPolls {
            self.fault.distort(&mut servers);
        }
        self.right.servers_answered(&servers).await;
        if let Some(after) = self.fault.rushes_after() {
            self.rushed.extend(std::mem::take(&mut self.failed).into_iter().map(|(charm, at)| (charm, at + after)));
        }
    }

    fn take_status_changes(&mut self) -> Vec<StatusChange> {
        self.right.take_status_changes()
    }

    async fn status_changed(&mut self, charm: &CharmRef, answer: Result<Registration, RuntimeError>) {
        self.right.status_changed(charm, answer).await;
    }

    async fn list_begins(&mut self, integration: &IntegrationId) {
        self.right.list_begins(integration).await;
    }

    async fn list_names(&mut self, integration: &IntegrationId, charms: &[CharmRef], resumes: bool) -> Named {
        self.right.list_names(integration, charms, resumes).await
    }

    async fn list_fails(&mut self, integration: &IntegrationId) -> Option<ListChange> {
        self.right.list_fails(integration).await
    }

    async fn owe(&mut self, integration: &IntegrationId, charms: &[CharmRef]) -> Owed {
        self.right.owe(integration, charms).await
    }

    async fn pause(&mut self, integration: &IntegrationId, paused: bool) {
        self.right.pause(integration, paused).await;
    }

    async fn replace(&mut self, integration: &IntegrationId, interval: Option<Duration>) {
        self.right.replace(integration, interval).await;
    }

    fn has_list(&self, integration: &IntegrationId) -> bool {
        self.right.has_list(integration)
    }

    fn registrations(&self) -> usize {
        self.right.registrations()
    }

    fn active(&self, of: Option<&IntegrationId>, most: usize) -> usize {
        self.right.active(of, most)
    }

    fn is_active(&self, charm: &CharmRef) -> bool {
        self.right.is_active(charm)
    }

    fn queued(&self) -> usize {
        self.right.queued()
    }

    fn is_done(&self) -> bool {
        self.right.is_done()
    }
}

#[tokio::test(start_paused = true)]
async fn the_suite_notices_each_planted_fault() {
    for (fault, promise) in Fault::ALL {
        let make: Make<'_> = &|charms: &[(CharmRef, Duration)]| -> Box<dyn Schedule> {
            Box::new(Faulty {
                fault,
                right: memory(charms),
                given: Vec::new(),
                made_up: 0,
                last: None,
                ignored: None,
                has_released: false,
                failed: BTreeMap::new(),
                rushed: Vec::new(),
            })
        };
        let broken = broken_promises(make).await;
        assert!(broken.iter().any(|(name, _)| *name == promise), "{fault:?} breaks {promise}, found: {broken:?}");
    }
}
