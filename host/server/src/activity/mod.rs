//! The recent activity of this process's guests, for pages and metrics: calls and requests. Kept in memory, within
//! limits.

mod calls;
mod egress;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bg_charm_api::wire::{FunctionCalls, OwnerEgress};
use bg_egress::{AuditHook, Owner};
use bg_identity::IntegrationId;
use bg_poller::{LogLine, PollHook, UnixMillis};
use bg_sandbox::CallObserver;

use calls::Calls;
use egress::Egress;

use crate::metrics::Metrics;

/// The activity of guests, as hooks report it.
#[derive(Default)]
pub struct Activity {
    calls: Mutex<Calls>,
    egress: Mutex<Egress>,
    metrics: Metrics,
    lost_spans: OnceLock<Arc<AtomicU64>>,
}

impl Activity {
    /// Nothing yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// For the gate: records each request.
    pub fn audit_hook(self: &Arc<Self>) -> AuditHook {
        let this = self.clone();
        Arc::new(move |record| {
            this.metrics.request(record);
            this.egress().note(record, UnixMillis::now());
        })
    }

    /// For the sandbox: records each call.
    pub fn call_observer(self: &Arc<Self>) -> CallObserver {
        let this = self.clone();
        CallObserver::new(move |record| {
            this.metrics.call(record);
            this.calls().note(record);
        })
    }

    /// For the poll loop: counts each poll. `known`: the integrations that have a component.
    pub fn poll_hook(self: &Arc<Self>, known: BTreeSet<IntegrationId>) -> PollHook {
        let this = self.clone();
        Arc::new(move |event| this.metrics.poll(event, &known))
    }

    /// Sets the counter of spans that could not be sent. The first one stays.
    pub fn count_lost_spans(&self, counter: Arc<AtomicU64>) {
        let _ = self.lost_spans.set(counter);
    }

    pub(crate) fn lost_spans(&self) -> u64 {
        self.lost_spans.get().map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    /// Counts a component that was loaded: compiled, or from the cache.
    pub fn component_loaded(&self, from_cache: bool) {
        self.metrics.component_loaded(from_cache);
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn calls_of(&self, owner: &Owner) -> Vec<FunctionCalls> {
        self.calls().of(owner)
    }

    pub(crate) fn failed_log_of(&self, owner: &Owner) -> Vec<LogLine> {
        self.calls().failed_log(owner)
    }

    pub(crate) fn egress_of(&self, owner: &Owner) -> OwnerEgress {
        self.egress().of(owner)
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn egress(&self) -> MutexGuard<'_, Egress> {
        self.egress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Activity").finish_non_exhaustive()
    }
}
