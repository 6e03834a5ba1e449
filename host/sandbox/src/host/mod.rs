//! The environment of a guest during one call: the data of its store, and the functions it may import.

mod cells;
mod challenges;
mod charms;
mod failures;
mod handle;
mod http;
mod lines;
mod link;
pub(crate) mod log;
mod random;
mod requests;
mod sent;
mod shared;
mod state;
mod stdio;

use std::sync::Arc;
use std::time::Instant;

use bg_egress::{GateClient, KnownSecret};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::Limits;
use crate::config::Config;
use crate::engine::TICK;
use crate::observer::Effort;
use crate::store_limits::StoreLimits;

pub(crate) use self::cells::CharmWorld;
pub(crate) use self::charms::{IntegrationWorld, from_guest};
#[allow(unreachable_pub, reason = "the bindings name it as public")]
pub use self::handle::OpenCharm;
use self::http::Outbound;
pub use self::lines::CallLines;
pub(crate) use self::link::{charm_linker, integration_linker};
use self::log::{CallLog, Output, Scope};
use self::stdio::Printed;

/// The data of one store, that is, of one call. `W` is what only guests of one world have.
pub(crate) struct CallState<W> {
    pub(crate) store_limits: StoreLimits,
    pub(crate) table: ResourceTable,
    pub(crate) limits: Arc<Limits>,
    pub(crate) log: Arc<CallLog>,
    pub(crate) config: Config,
    pub(crate) outbound: Outbound,
    pub(crate) world: W,
    /// When the call ends.
    pub(crate) deadline: Instant,
    /// What it has used.
    pub(crate) effort: Effort,
    /// When the guest yields next, at a call of the host.
    pub(crate) yield_at: Instant,
    /// Created when the guest first calls WASI: it takes a tenth of the time of a short call, and many calls do not
    /// need it.
    wasi: Option<WasiCtx>,
    http: WasiHttpCtx,
    /// The permit of this call; released when the store is dropped, together with the store's resources.
    _permit: OwnedSemaphorePermit,
}

/// The inputs of a call, besides its limits.
pub(crate) struct Surroundings {
    pub(crate) scope: Scope,
    pub(crate) config: Config,
    pub(crate) http: GateClient,
    /// What the guest knows that may go to some origins only, or not to the log.
    pub(crate) secrets: Vec<KnownSecret>,
    /// Whether the guest can report which request its error comes from.
    pub(crate) says_causes: bool,
}

impl<W> CallState<W> {
    pub(crate) fn new(
        limits: &Arc<Limits>,
        memory: usize,
        deadline: Instant,
        around: Surroundings,
        world: W,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let Surroundings { scope, config, http: client, secrets, says_causes } = around;
        let outbound = Outbound::new(client, deadline, scope.charm.as_ref(), secrets, says_causes);
        let log = Arc::new(CallLog::new(scope, limits));
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.resources);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(limits.http_field_bytes);
        Self {
            store_limits: StoreLimits::new(limits, memory),
            table,
            limits: limits.clone(),
            wasi: None,
            log,
            config,
            outbound,
            world,
            deadline,
            effort: Effort::default(),
            yield_at: Instant::now() + TICK,
            http,
            _permit: permit,
        }
    }
}

/// WASI without access to anything: no files, environment, arguments or sockets. Printed text goes to the log.
fn empty_wasi(log: &Arc<CallLog>) -> WasiCtx {
    WasiCtx::builder()
        .stdout(Printed { log: log.clone(), output: Output::Stdout })
        .stderr(Printed { log: log.clone(), output: Output::Stderr })
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .build()
}

impl<W: Send> WasiView for CallState<W> {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let Self { wasi, log, table, .. } = self;
        WasiCtxView { ctx: wasi.get_or_insert_with(|| empty_wasi(log)), table }
    }
}

impl<W: Send> WasiHttpView for CallState<W> {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outbound, table: &mut self.table, ctx: &mut self.http }
    }
}
