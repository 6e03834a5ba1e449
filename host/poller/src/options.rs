//! What the operator can set, and what the loop reports.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bg_identity::IntegrationId;

use crate::{CharmRef, Clock, Gauges, Outcome, SystemClock, UnixMillis};

/// A tick of the loop's clock: nothing is more often.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// When the loop ends by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limit {
    /// It does not.
    #[default]
    None,
    /// When every enabled charm was polled once; those that a component leaves out are not. Nothing is smeared: all are
    /// due at once.
    Once,
    /// When this many polls have ended.
    Polls(u64),
}

/// What is called after each poll, in order, from the loop itself: it should be quick.
pub type PollHook = Arc<dyn Fn(&PollEvent) + Send + Sync>;

/// Settings of the loop. [`Default`] gives those named at the fields.
#[derive(Clone)]
pub struct PollerOptions {
    /// From the start of one poll of a charm to the start of its next, and of one `fetch-charms` to the next. 60 s, the
    /// original's; 10 ms at least.
    pub interval: Duration,
    /// The same for single integrations, instead of `interval`. None.
    pub intervals: BTreeMap<IntegrationId, Duration>,
    /// How short an interval a registration may ask for. None: no shorter than it would have otherwise.
    pub min_interval: Option<Duration>,
    /// Every interval of a charm that did not fail is longer by a part of it between zero and this, so that charms
    /// which were polled together do not stay so. 0; failed polls have their own jitter.
    pub jitter: f64,
    /// How many charms are polled at once. 16: polls wait for the network most of the time, and a handler may use 128
    /// MiB, so this is 2 GiB at the very most. (The original's default is 5, where a few slow charms delay all others.)
    pub max_concurrent: usize,
    /// How many charms of one integration are polled at once; those without a component count as one. Whatever this is,
    /// one place is kept for each integration that uses none, half of all places at most. No limit.
    pub per_integration: usize,
    /// How many charms of one space are polled at once. 1, as in the original: they may share cells.
    pub per_space: u32,
    /// After how many failed polls in a row a charm is disabled; 0 is never. 5, the original's.
    pub failures: u32,
    /// How often a line with totals is logged; zero is never. 300 s, the original's.
    pub log_interval: Duration,
    /// A poll that takes longer is given up, as a timeout. 180 s: above the sum of what its parts may take (a handler
    /// 60 s, a refresh, a validation), so it matters only where a runtime forgets to answer.
    pub poll_timeout: Duration,
    /// Only these charms are polled. All.
    pub charms: Option<Vec<CharmRef>>,
    /// Only charms that are registered for these integrations are polled. All.
    pub integrations: Option<BTreeSet<IntegrationId>>,
    /// Whether charms that back off wait for their time also where all others are polled at once, by [`Limit::Once`].
    /// No.
    pub patient: bool,
    /// When the loop ends by itself. Never.
    pub limit: Limit,
    /// Whether integrations are initialized first. No.
    pub initialize: bool,
    /// Called after each poll. Nothing.
    pub on_poll: Option<PollHook>,
    /// Where the loop shows how it stands. Nowhere that anybody looks.
    pub gauges: Arc<Gauges>,
    /// The wall clock. The system's.
    pub clock: Arc<dyn Clock>,
}

impl Default for PollerOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_mins(1),
            intervals: BTreeMap::new(),
            min_interval: None,
            jitter: 0.0,
            max_concurrent: 16,
            per_integration: usize::MAX,
            per_space: 1,
            failures: 5,
            log_interval: Duration::from_mins(5),
            poll_timeout: Duration::from_mins(3),
            charms: None,
            integrations: None,
            patient: false,
            limit: Limit::None,
            initialize: false,
            on_poll: None,
            gauges: Arc::default(),
            clock: Arc::new(SystemClock),
        }
    }
}

impl fmt::Debug for PollerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollerOptions")
            .field("interval", &self.interval)
            .field("intervals", &self.intervals)
            .field("min_interval", &self.min_interval)
            .field("jitter", &self.jitter)
            .field("max_concurrent", &self.max_concurrent)
            .field("per_integration", &self.per_integration)
            .field("per_space", &self.per_space)
            .field("failures", &self.failures)
            .field("log_interval", &self.log_interval)
            .field("poll_timeout", &self.poll_timeout)
            .field("charms", &self.charms.as_ref().map(Vec::len))
            .field("integrations", &self.integrations)
            .field("patient", &self.patient)
            .field("limit", &self.limit)
            .field("initialize", &self.initialize)
            .finish_non_exhaustive()
    }
}

impl PollerOptions {
    /// The interval of an integration.
    pub fn interval_of(&self, integration: &IntegrationId) -> Duration {
        self.intervals.get(integration).copied().unwrap_or(self.interval).max(SHORTEST_INTERVAL)
    }

    /// The interval of a registration for that integration, which may ask for another than the integration's.
    pub(crate) fn interval_for(&self, integration: &IntegrationId, asks: Option<Duration>) -> Duration {
        let usual = self.interval_of(integration);
        asks.map_or(usual, |asks| asks.max(self.min_interval.unwrap_or(usual)).max(SHORTEST_INTERVAL))
    }
}

/// One poll has ended.
#[derive(Clone, Debug)]
pub struct PollEvent {
    /// Of which charm.
    pub charm: CharmRef,
    /// For which integration.
    pub integration: IntegrationId,
    /// The stream that was triggered; none if it did not come to that.
    pub stream: Option<&'static str>,
    /// When it started.
    pub started_at: UnixMillis,
    /// How long it took.
    pub duration: Duration,
    /// How long after it was due it started.
    pub late: Duration,
    /// How it ended.
    pub outcome: Outcome,
    /// Failed polls of this charm in a row.
    pub failures: u32,
    /// When the charm is polled next, or comes back if it is disabled now; none if it does neither.
    pub next_due: Option<UnixMillis>,
    /// Whether this poll was one failure too many.
    pub disabled: bool,
}
