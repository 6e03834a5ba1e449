//! Metrics in the text format `OpenMetrics`, which Prometheus reads.
//!
//! No label names a charm or a space: there may be 100,000 of them, and anybody may register more. Integrations are
//! named if the operator configured a component for them; all others are `other`.

mod process;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::AtomicU64;

use bg_charm_api::wire::{HealthState, IntegrationHealth};
use bg_egress::{AuditRecord, Decision, Owner};
use bg_identity::IntegrationId;
use bg_poller::{PollEvent, RegistrationState};
use bg_sandbox::CallRecord;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::polling::Polling;

/// The media type of what [`Metrics::encode`] writes.
pub(crate) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Seconds = Counter<f64, AtomicU64>;
type Buckets<L> = Family<L, Histogram, fn() -> Histogram>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Poll {
    integration: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    owner: String,
    function: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndedCall {
    owner: String,
    function: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    owner: String,
    decision: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Whose {
    owner: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Load {
    from: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Integration {
    integration: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InHealth {
    integration: String,
    state: &'static str,
}

/// Buckets from 1 ms to 65 s, doubling.
fn times() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 17))
}

/// Buckets from 64 KiB to 128 MiB, doubling.
fn memories() -> Histogram {
    Histogram::new(exponential_buckets(65_536.0, 2.0, 12))
}

/// Metrics that are counted as events happen.
pub(crate) struct Metrics {
    polls: Family<Poll, Counter>,
    durations: Histogram,
    lateness: Histogram,
    calls: Family<EndedCall, Counter>,
    call_durations: Buckets<Call>,
    busy: Family<Call, Seconds>,
    memory: Buckets<Whose>,
    requests: Family<Request, Counter>,
    received: Family<Whose, Counter>,
    loads: Family<Load, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            polls: Family::default(),
            durations: times(),
            lateness: times(),
            calls: Family::default(),
            call_durations: Family::new_with_constructor(times),
            busy: Family::default(),
            memory: Family::new_with_constructor(memories),
            requests: Family::default(),
            received: Family::default(),
            loads: Family::default(),
        }
    }
}

/// Values that are measured for each request.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Registrations by state.
    pub(crate) registrations: Vec<(RegistrationState, u64)>,
    /// Registrations whose rows in the database are damaged.
    pub(crate) damaged: u64,
    /// The database and its write-ahead log, bytes.
    pub(crate) database: u64,
    /// The health of integrations, whichever process polls them.
    pub(crate) health: Vec<IntegrationHealth>,
    /// Spans that were recorded and never sent.
    pub(crate) lost_spans: u64,
}

impl Metrics {
    /// `known`: the integrations that have a component.
    pub(crate) fn poll(&self, event: &PollEvent, known: &BTreeSet<IntegrationId>) {
        let integration = if known.contains(&event.integration) { event.integration.as_str() } else { "other" };
        let labels = Poll { integration: integration.to_owned(), outcome: event.outcome.kind.as_str() };
        self.polls.get_or_create(&labels).inc();
        self.durations.observe(event.duration.as_secs_f64());
        self.lateness.observe(event.late.as_secs_f64());
    }

    pub(crate) fn call(&self, record: &CallRecord) {
        let (owner, function) = (owner_label(&record.owner), record.function);
        let ended = EndedCall { owner: owner.clone(), function, outcome: record.outcome.as_str() };
        self.calls.get_or_create(&ended).inc();
        let call = Call { owner: owner.clone(), function };
        self.call_durations.get_or_create(&call).observe(record.elapsed.as_secs_f64());
        self.busy.get_or_create(&call).inc_by(record.busy.as_secs_f64());
        if let Some(memory) = record.memory {
            #[expect(clippy::cast_precision_loss, reason = "a guest's memory is far below 2^52 bytes")]
            self.memory.get_or_create(&Whose { owner }).observe(memory as f64);
        }
    }

    pub(crate) fn request(&self, record: &AuditRecord) {
        let owner = owner_label(&record.owner);
        let decision = match record.decision {
            Decision::Allowed => "allowed",
            Decision::Denied => "denied",
            Decision::WouldDeny => "would-deny",
        };
        self.requests.get_or_create(&Request { owner: owner.clone(), decision }).inc();
        self.received.get_or_create(&Whose { owner }).inc_by(record.bytes);
    }

    pub(crate) fn component_loaded(&self, from_cache: bool) {
        self.loads.get_or_create(&Load { from: if from_cache { "cache" } else { "compiler" } }).inc();
    }

    /// All metrics, as text. `polling`: the loop of this process, if it has one.
    pub(crate) fn encode(&self, measured: &Measured, polling: Option<&Polling>) -> Result<String, fmt::Error> {
        let mut whole = Registry::default();
        let registry = whole.sub_registry_with_prefix("bg_wasm_host");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program that answers", version);
        let seconds = || Unit::Seconds;
        // If another process polls, nothing is counted here, and zeros would mean that nothing is polled.
        if let Some(polling) = polling {
            self.register_polling(registry, polling);
        }
        let registrations = Family::<State, Gauge<u64, AtomicU64>>::default();
        for (state, count) in &measured.registrations {
            registrations.get_or_create(&State { state: state.slug() }).set(*count);
        }
        registry.register("registrations", "Registrations, by how their polling stands", registrations);
        let help = "Registrations that are not polled because their rows in the database are damaged";
        gauge(registry, "damaged_registrations", help, None, measured.damaged);
        register_health(registry, &measured.health);
        let lost_spans = Counter::<u64, AtomicU64>::default();
        lost_spans.inc_by(measured.lost_spans);
        registry.register("lost_spans", "Spans of traces that were recorded and could not be sent", lost_spans);
        registry.register("guest_calls", "Calls of components that ended, by outcome", self.calls.clone());
        registry.register_with_unit(
            "guest_call_duration",
            "How long calls of components took, waiting included",
            seconds(),
            self.call_durations.clone(),
        );
        registry.register_with_unit(
            "guest_busy",
            "The time in which calls of components held a thread",
            seconds(),
            self.busy.clone(),
        );
        registry.register_with_unit(
            "guest_memory",
            "The memory of a call at its end",
            Unit::Bytes,
            self.memory.clone(),
        );
        registry.register(
            "egress_requests",
            "HTTP requests of guests, by what the gate decided",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "egress_received",
            "What guests received over HTTP",
            Unit::Bytes,
            self.received.clone(),
        );
        registry.register("component_loads", "Components that were loaded", self.loads.clone());
        gauge(registry, "database", "The database and its log", Some(Unit::Bytes), measured.database);
        process::register(whole.sub_registry_with_prefix("process"));
        let mut text = String::new();
        text::encode(&mut text, &whole)?;
        Ok(text)
    }

    fn register_polling(&self, registry: &mut Registry, polling: &Polling) {
        registry.register("polls", "Polls that ended, by outcome", self.polls.clone());
        registry.register_with_unit("poll_duration", "How long polls took", Unit::Seconds, self.durations.clone());
        registry.register_with_unit(
            "poll_lateness",
            "How long after they were due polls started",
            Unit::Seconds,
            self.lateness.clone(),
        );
        let gauges = polling.gauges();
        gauge(registry, "polls_running", "Polls that are under way", None, gauges.running());
        gauge(registry, "polls_queued", "Charms that are due and wait for a place", None, gauges.queued());
        let paused = Family::<Integration, Gauge<u64, AtomicU64>>::default();
        let left_out = Family::<Integration, Gauge<u64, AtomicU64>>::default();
        for (integration, standing) in gauges.integrations() {
            let label = Integration { integration: integration.to_string() };
            paused.get_or_create(&label).set(u64::from(standing.paused));
            left_out.get_or_create(&label).set(standing.left_out);
        }
        registry.register(
            "integration_paused",
            "1 if an integration is paused, since its component keeps failing",
            paused,
        );
        registry.register("integration_left_out", "Enabled charms that an integration's last list left out", left_out);
    }
}

fn register_health(registry: &mut Registry, all: &[IntegrationHealth]) {
    let health = Family::<InHealth, Gauge<u64, AtomicU64>>::default();
    let failures = Family::<Integration, Gauge<f64, AtomicU64>>::default();
    for one in all {
        let integration = one.integration.to_string();
        for state in HealthState::ALL {
            let label = InHealth { integration: integration.clone(), state: state.as_str() };
            health.get_or_create(&label).set(u64::from(one.state == state));
        }
        if let Some(failure) = &one.failure {
            #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^52")]
            failures.get_or_create(&Integration { integration }).set(failure.at.0 as f64 / 1_000.0);
        }
    }
    registry.register("integration_health", "1 for the state that an integration is in", health);
    registry.register_with_unit(
        "integration_last_failure_timestamp",
        "When a component failed last, since 1970",
        Unit::Seconds,
        failures,
    );
}

fn gauge(registry: &mut Registry, name: &str, help: &str, unit: Option<Unit>, value: u64) {
    let gauge = Gauge::<u64, AtomicU64>::default();
    gauge.set(value);
    match unit {
        Some(unit) => registry.register_with_unit(name, help, unit, gauge),
        None => registry.register(name, help, gauge),
    }
}

fn owner_label(owner: &Owner) -> String {
    match owner {
        Owner::Integration(id) => id.to_string(),
        Owner::Charms => "charms".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bg_identity::{CharmId, space_did};
    use bg_poller::{CharmRef, ComponentFailure, Gauges, Outcome, OutcomeKind, UnixMillis};
    use tokio::sync::mpsc;

    use super::*;

    /// One of everything.
    fn metrics() -> Metrics {
        let metrics = Metrics::default();
        let mail: IntegrationId = "mail".parse().unwrap();
        metrics.call(&CallRecord {
            owner: Owner::Integration(mail.clone()),
            function: "fetch-charms",
            outcome: OutcomeKind::Timeout,
            elapsed: Duration::from_millis(3),
            busy: Duration::from_millis(2),
            memory: Some(1 << 20),
            last_lines: Vec::new(),
        });
        metrics.component_loaded(true);
        metrics.request(&AuditRecord {
            owner: Owner::Charms,
            charm: Some("a charm".to_owned()),
            method: "GET".to_owned(),
            origin: "https://a.example".to_owned(),
            path: "/".to_owned(),
            rule: "no-grant".to_owned(),
            decision: Decision::Denied,
            option: None,
            credential: false,
            resent: 0,
            address: None,
            status: None,
            bytes: 7,
            elapsed: Duration::ZERO,
            error: None,
        });
        for integration in [mail.clone(), "anybodys".parse().unwrap()] {
            let event = PollEvent {
                charm: CharmRef { space: space_did("my-space"), charm: CharmId::for_content(b"a") },
                integration,
                stream: None,
                started_at: UnixMillis(1),
                duration: Duration::from_millis(20),
                late: Duration::from_millis(5),
                outcome: Outcome::success(),
                failures: 0,
                next_due: None,
                disabled: false,
            };
            metrics.poll(&event, &[mail.clone()].into());
        }
        metrics
    }

    fn encoded() -> String {
        let failure = ComponentFailure {
            at: UnixMillis(1_800_000_000_500),
            function: "fetch-charms".to_owned(),
            kind: OutcomeKind::Trapped,
            blame: None,
            cause: None,
            reason: String::new(),
            in_a_row: 1,
        };
        let health = IntegrationHealth {
            state: HealthState::Degraded,
            failure: Some(failure),
            ..IntegrationHealth::working("mail".parse().unwrap())
        };
        let measured = Measured {
            registrations: vec![(RegistrationState::Failing, 7)],
            damaged: 2,
            database: 4096,
            health: vec![health],
            lost_spans: 3,
        };
        let polling = Polling::new(Gauges::default().into(), mpsc::channel(1).0, Duration::from_mins(1), None);
        metrics().encode(&measured, Some(&polling)).unwrap()
    }

    #[test]
    fn metrics_are_written_in_the_openmetrics_format() {
        let text = encoded();
        for line in [
            "# TYPE bg_wasm_host_guest_calls counter",
            "bg_wasm_host_guest_calls_total{owner=\"mail\",function=\"fetch-charms\",outcome=\"Timeout\"} 1",
            "bg_wasm_host_guest_call_duration_seconds_bucket{le=\"0.004\",owner=\"mail\",function=\"fetch-charms\"} 1",
            "bg_wasm_host_guest_busy_seconds_total{owner=\"mail\",function=\"fetch-charms\"} 0.002",
            "bg_wasm_host_polls_total{integration=\"mail\",outcome=\"Success\"} 1",
            "bg_wasm_host_polls_total{integration=\"other\",outcome=\"Success\"} 1",
            "bg_wasm_host_poll_lateness_seconds_count 2",
            "bg_wasm_host_egress_requests_total{owner=\"charms\",decision=\"denied\"} 1",
            "bg_wasm_host_egress_received_bytes_total{owner=\"charms\"} 7",
            "bg_wasm_host_registrations{state=\"failing\"} 7",
            "bg_wasm_host_damaged_registrations 2",
            "bg_wasm_host_component_loads_total{from=\"cache\"} 1",
            "bg_wasm_host_database_bytes 4096",
            "bg_wasm_host_integration_health{integration=\"mail\",state=\"degraded\"} 1",
            "bg_wasm_host_integration_health{integration=\"mail\",state=\"works\"} 0",
            "bg_wasm_host_integration_last_failure_timestamp_seconds{integration=\"mail\"} 1800000000.5",
            "bg_wasm_host_lost_spans_total 3",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in:\n{text}");
        }
        assert!(!text.contains("anybodys") && !text.contains("did:key:"), "{text}");
        assert!(text.ends_with("# EOF\n"));
        let resident = text.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
        assert!(resident.and_then(|bytes| bytes.parse::<u64>().ok()).is_some_and(|bytes| bytes > 1 << 20), "{text}");
    }

    #[test]
    fn the_operators_guide_names_every_metric() {
        let guide = include_str!("../../../docs/operating.md");
        let named: BTreeSet<&str> = guide
            .split('`')
            .filter(|code| ["bg_wasm_host_", "process_"].iter().any(|start| code.starts_with(start)))
            .collect();
        let text = encoded();
        // Counters and infos have suffixes in their lines.
        let written: BTreeSet<String> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.rsplit_once(' '))
            .map(|(name, kind)| match kind {
                "counter" => format!("{name}_total"),
                "info" => format!("{name}_info"),
                _ => name.to_owned(),
            })
            .collect();
        // Metrics of integrations need one.
        let missing: Vec<_> = written.iter().filter(|name| !named.contains(name.as_str())).collect();
        let unknown: Vec<_> = named
            .iter()
            .filter(|name| !written.contains(**name) && !name.starts_with("bg_wasm_host_integration_"))
            .collect();
        assert!(missing.is_empty() && unknown.is_empty(), "not named: {missing:?}; not written: {unknown:?}");
    }
}
