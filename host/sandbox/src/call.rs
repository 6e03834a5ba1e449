//! One call of a component: a fresh store with its limits and its deadline, and a typed end.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bg_poller::OutcomeKind;
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::{Store, UpdateDeadline};

use crate::Sandbox;
use crate::failure::{CallFailure, GuestError, OutOfTime};
use crate::host::log::CallLog;
use crate::host::{CallState, Surroundings};

/// What is called, within which limits.
pub(crate) struct Function {
    /// As the contract names it.
    pub(crate) name: &'static str,
    /// Wall clock, host calls included.
    pub(crate) time: Duration,
    /// The sum of all memories, bytes.
    pub(crate) memory: usize,
}

/// One call. Its store is never used again, whatever its end.
pub(crate) struct Call<W: 'static> {
    pub(crate) store: Store<CallState<W>>,
    function: Function,
    deadline: Instant,
    log: Arc<CallLog>,
    _place: OwnedSemaphorePermit,
}

/// How the work of a call ended: in time or not; with an answer or a trap; with a value or the guest's error.
type End<T> = Result<wasmtime::Result<Result<T, GuestError>>, tokio::time::error::Elapsed>;

impl<W: Send + 'static> Call<W> {
    /// Waits for a place among the calls under way, and makes the store. The deadline counts from then on.
    pub(crate) async fn begin(
        sandbox: &Sandbox,
        function: Function,
        around: Surroundings,
        world: W,
    ) -> Result<Self, CallFailure> {
        let place = sandbox.place().await;
        let limits = sandbox.limits();
        let deadline = Instant::now() + function.time;
        let state = CallState::new(limits, function.memory, deadline, around, world);
        let log = state.log.clone();
        let mut store = Store::try_new(sandbox.engine(), state).map_err(|error| {
            CallFailure::new(OutcomeKind::Unavailable, format!("no store for {}: {error:#}", function.name))
        })?;
        store.limiter(|state| &mut state.store_limits);
        store.set_hostcall_fuel(limits.hostcall_bytes);
        store.set_max_component_handles(limits.resources);
        // A new store's deadline has passed already, so it is set before anything of the guest runs. At each tick the guest
        // stands back, so that none keeps a thread of the host from others.
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| {
            if Instant::now() < deadline { Ok(UpdateDeadline::Yield(1)) } else { Err(OutOfTime.into()) }
        });
        Ok(Self { store, function, deadline, log, _place: place })
    }

    /// Until when it may take.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What it came to, and the data of its store.
    pub(crate) fn finish<T>(self, end: End<T>) -> Result<(T, CallState<W>), CallFailure> {
        self.log.finish();
        let Function { name, time, .. } = self.function;
        match end {
            Ok(Ok(Ok(value))) => Ok((value, self.store.into_data())),
            Ok(Ok(Err(error))) => Err(CallFailure::guest(error, self.store.data().outbound.denied())),
            Ok(Err(error)) => Err(CallFailure::of_error(name, time, &error, &self.store.data().store_limits)),
            Err(_) => Err(CallFailure::timeout(name, time)),
        }
    }
}

/// Does the work of a call until `deadline`. Epochs end a guest that computes; this ends one that waits in the host.
pub(crate) async fn until<T>(
    deadline: Instant,
    work: impl Future<Output = wasmtime::Result<Result<T, GuestError>>>,
) -> End<T> {
    tokio::time::timeout_at(deadline.into(), work).await
}
