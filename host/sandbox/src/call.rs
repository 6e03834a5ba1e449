//! One call of a component: a fresh store with its limits and its deadline, and a typed result.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bg_egress::Owner;
use bg_poller::OutcomeKind;
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info_span};
use wasmtime::{CallHook, CallHookHandler, Store, StoreContextMut, UpdateDeadline};

use crate::Sandbox;
use crate::engine::TICK;
use crate::failure::{CallFailure, GuestError, OutOfTime};
use crate::host::log::CallLog;
use crate::host::{CallState, Surroundings};
use crate::observer::CallRecord;
use crate::share::Share;

/// Which function is called, and its limits.
pub(crate) struct Function {
    /// Its name in the contract.
    pub(crate) name: &'static str,
    /// Wall clock, host calls included.
    pub(crate) time: Duration,
    /// The sum of all memories, in bytes.
    pub(crate) memory: usize,
}

/// One call. Its store is never reused, however the call ends.
pub(crate) struct Call<W: 'static> {
    sandbox: Sandbox,
    store: Store<CallState<W>>,
    function: Function,
    deadline: Instant,
    log: Arc<CallLog>,
    owner: Owner,
    span: Span,
}

/// What the work of a call returns: an answer or a trap, and in the answer a value or the guest's error. The store
/// comes back with it.
pub(crate) type Worked<T, W> = (Store<CallState<W>>, wasmtime::Result<Result<T, GuestError>>);

impl<W: Send + 'static> Call<W> {
    /// Waits for a permit for another call, and creates the store. The deadline counts from then on.
    pub(crate) async fn begin(
        sandbox: &Sandbox,
        function: Function,
        around: Surroundings,
        world: W,
    ) -> Result<Self, CallFailure> {
        let owner = around.scope.integration.clone().map_or(Owner::Charms, Owner::Integration);
        let span = info_span!(
            target: "span", "call", function = function.name, %owner, charm = around.scope.charm.as_ref().map(display),
            outcome = Empty, busy_ms = Empty, memory = Empty,
        );
        let permit = sandbox.permit().await;
        let limits = sandbox.limits();
        let deadline = Instant::now() + function.time;
        let state = CallState::new(limits, function.memory, deadline, around, world, permit);
        let log = state.log.clone();
        let mut store = Store::try_new(sandbox.engine(), state).map_err(|error| {
            CallFailure::new(OutcomeKind::Unavailable, format!("no store for {}: {error:#}", function.name))
        })?;
        store.limiter(|state| &mut state.store_limits);
        store.set_hostcall_fuel(limits.hostcall_bytes);
        store.set_max_component_handles(limits.resources);
        // A new store has already passed its epoch deadline, so it is set before any guest code runs. The guest yields
        // at each tick, so that none keeps a thread of the host from others.
        store.set_epoch_deadline(1);
        let effort = store.data().effort.clone();
        store.epoch_deadline_callback(move |_| {
            effort.gives_way();
            if Instant::now() >= deadline {
                return Err(OutOfTime.into());
            }
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });
        store.call_hook_async(YieldHook);
        Ok(Self { sandbox: sandbox.clone(), store, function, deadline, log, owner, span })
    }

    /// Does the work of the call until its deadline. Returns its result and the data of its store. Epochs end a guest
    /// that computes; a timer ends one that waits in the host.
    pub(crate) async fn run<T, F>(
        self,
        share: &Share,
        work: impl FnOnce(Store<CallState<W>>) -> F,
    ) -> Result<(T, CallState<W>), CallFailure>
    where
        T: Send + 'static,
        F: Future<Output = Worked<T, W>> + Send + 'static,
    {
        let Self { sandbox, store, function: Function { name, time, .. }, deadline, log, owner, span } = self;
        let started = Instant::now();
        let (failures, effort) = (store.data().outbound.failures().clone(), store.data().effort.clone());
        let work = effort.clone().measure(work(store)).instrument(span.clone());
        let end = tokio::time::timeout_at(deadline.into(), sandbox.slow_lane().run(work, share, &effort)).await;
        let elapsed = started.elapsed();
        log.finish();
        let memory = end.as_ref().ok().map(|(store, _)| store.data().store_limits.memory());
        let too_late = || {
            // The gate gives up a request at the very time that the call ends, and a careful guest a little before. A
            // guest that learns of that may compute at its end, although it has waited all the time.
            let has_waited = effort.has_waited(time, Instant::now());
            let awaited = failures.waits_for().filter(|_| has_waited || effort.is_waiting());
            let awaited = awaited.or_else(|| failures.waited_for(time));
            CallFailure::timeout(name, time, awaited, &effort)
        };
        let result = match end {
            Ok((store, Ok(Ok(value)))) => Ok((value, store.into_data())),
            Ok((store, Ok(Err(error)))) => {
                let failures = store.data().outbound.failures();
                let failure = CallFailure::guest(error, failures.explain(), log.secrets());
                Err(failure.perhaps_of(failures.newest()))
            }
            Ok((_, Err(error))) if error.is::<OutOfTime>() => Err(too_late()),
            Ok((store, Err(error))) => {
                Err(CallFailure::of_error(name, &error, &store.data().store_limits, log.secrets()))
            }
            Err(_) => Err(too_late()),
        };
        let outcome = result.as_ref().err().map_or(OutcomeKind::Success, |failure| failure.kind);
        span.record("outcome", outcome.as_str());
        span.record("busy_ms", u64::try_from(effort.busy().as_millis()).unwrap_or(u64::MAX));
        span.record("memory", memory.map(|bytes| bytes as u64));
        let last_lines = if outcome == OutcomeKind::Success { Vec::new() } else { log.take_last() };
        let busy = effort.busy();
        sandbox.observer().tell(|| CallRecord { owner, function: name, outcome, elapsed, busy, memory, last_lines });
        result
    }
}

/// Yields when a guest makes many host calls in a row. wasmtime checks epochs only where a function or a loop begins,
/// and a guest can make half a million host calls before the next such point, each copying megabytes.
struct YieldHook;

#[async_trait]
impl<W: Send + 'static> CallHookHandler<CallState<W>> for YieldHook {
    async fn handle_call_event(
        &self,
        mut store: StoreContextMut<'_, CallState<W>>,
        event: CallHook,
    ) -> wasmtime::Result<()> {
        if !matches!(event, CallHook::CallingHost) {
            return Ok(());
        }
        let state = store.data_mut();
        let now = Instant::now();
        if now < state.yield_at {
            return Ok(());
        }
        state.effort.gives_way();
        if now >= state.deadline {
            return Err(OutOfTime.into());
        }
        tokio::task::yield_now().await;
        state.yield_at = Instant::now() + TICK;
        Ok(())
    }
}
