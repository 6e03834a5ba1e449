//! Charm programs that are components.

use bg_poller::OutcomeKind;

use crate::Sandbox;
use crate::bindings::{charm as contract, preloaded};
use crate::call::{Call, Function};
use crate::cells::CellWrites;
use crate::charm_call::CharmCall;
use crate::failure::{CallFailure, GuestError};
use crate::host::{self, CallState, CharmWorld};
use crate::image::Memory;
use crate::load::{LoadError, LoadedComponent, World};
use crate::preload::Preloader;
use crate::share::Share;

/// The longest name of a charm, a cell or a stream, in bytes.
const NAME_BYTES: usize = 256;
/// At most this many streams of a charm, and this many secret paths.
const SHAPE_ITEMS: usize = 1_000;
/// Names in a path.
const PATH_NAMES: usize = 32;

/// What a charm consists of, besides its cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Its display name.
    pub name: Option<String>,
    /// The names of its streams.
    pub streams: Vec<String>,
    /// Paths of secrets: a cell's name, then object keys; `*` is any key or index.
    pub secrets: Vec<Vec<String>>,
}

/// A component of world `charm`. Each call has its own store. Each `CharmComponent` has its own share of the service's
/// threads, although many charms may use the same component.
pub struct CharmComponent {
    sandbox: Sandbox,
    pre: contract::CharmPre<CallState<CharmWorld>>,
    /// `None` if the component can't preload programs.
    preloader: Option<Preloader>,
    /// Whether it reports which request an error comes from. Components for the first version of the contract cannot.
    says_causes: bool,
}

impl CharmComponent {
    /// Links a component that was loaded for [`World::Charm`] by the same sandbox.
    pub fn new(sandbox: &Sandbox, loaded: &LoadedComponent) -> Result<Self, LoadError> {
        let linker = host::charm_linker(sandbox.engine()).map_err(|error| LoadError::Compile(error.to_string()))?;
        let pre = loaded.link(&linker, World::Charm, contract::CharmPre::new)?;
        let preloader = Preloader::new(sandbox, loaded, &linker)?;
        let says_causes = loaded.imports("errors");
        Ok(Self { sandbox: sandbox.clone(), pre, preloader, says_causes })
    }

    /// Sets up a charm: returns its shape and its first cells.
    pub async fn setup(&self, context: CharmCall) -> Result<(Shape, CellWrites), CallFailure> {
        let call = self.begin("setup", context).await?;
        let pre = self.pre.clone();
        let work = |mut store| async move {
            let end = async {
                let guest = pre.instantiate_async(&mut store).await?;
                Ok(guest.call_setup(&mut store).await?.map_err(GuestError::from))
            };
            let end = end.await;
            (store, end)
        };
        let (shape, state) = call.run(&Share::new(), work).await.map_err(CallFailure::of_charm)?;
        let writes = state.world.cells.into_writes();
        Ok((check(shape, &writes)?, writes))
    }

    /// A charm's page for its current cells, as JSON, if it has one. Its writes are discarded.
    pub async fn page(&self, context: CharmCall) -> Result<Option<String>, CallFailure> {
        let call = self.begin("page", context).await?;
        let pre = self.pre.clone();
        let work = |mut store| async move {
            let end = async {
                let guest = pre.instantiate_async(&mut store).await?;
                Ok(guest.call_page(&mut store).await?.map_err(GuestError::from))
            };
            let end = end.await;
            (store, end)
        };
        let (page, _) = call.run(&Share::new(), work).await.map_err(CallFailure::of_charm)?;
        Ok(page)
    }

    /// Runs the handler of one of a charm's streams for an event, a JSON text. Returns the writes only if it succeeds.
    /// The memory as the program left it before it read anything of the charm is kept for later calls with the same
    /// [`CharmCall::program`] and [`CharmCall::config`].
    pub async fn handle(&self, context: CharmCall, stream: &str, event_json: &str) -> Result<CellWrites, CallFailure> {
        let ahead = match &self.preloader {
            Some(preloader) => preloader.image_for(&context).await.map(|image| (preloader.pre().clone(), image)),
            None => None,
        };
        let memory = ahead.as_ref().map_or(Memory::Plain, |(_, image)| Memory::Loaded(image.clone()));
        let left = context.log.clone();
        let call = self.begin_with("handle", context, memory).await?;
        let (pre, stream, event) = (self.pre.clone(), stream.to_owned(), event_json.to_owned());
        let work = |mut store| async move {
            let end = async {
                if let Some((pre, image)) = ahead {
                    let guest = pre.instantiate_async(&mut store).await?;
                    guest.call_restore(&mut store, image.memory).await?;
                    return Ok(guest.call_handle(&mut store, &stream, &event).await?.map_err(GuestError::from));
                }
                let guest = pre.instantiate_async(&mut store).await?;
                Ok(guest.call_handle(&mut store, &stream, &event).await?.map_err(GuestError::from))
            };
            let end = end.await;
            (store, end)
        };
        let ((), state) = call.run(&Share::new(), work).await.map_err(CallFailure::of_charm)?;
        left.note_servers(state.outbound.failures().servers());
        Ok(state.world.cells.into_writes())
    }

    /// How much memory a call may take, in bytes.
    pub fn memory(&self) -> usize {
        self.sandbox.limits().charm_memory
    }

    /// For how many programs the loaded memory is kept.
    pub fn programs_kept(&self) -> usize {
        self.preloader.as_ref().map_or(0, Preloader::count)
    }

    async fn begin(&self, name: &'static str, context: CharmCall) -> Result<Call<CharmWorld>, CallFailure> {
        self.begin_with(name, context, Memory::Plain).await
    }

    async fn begin_with(
        &self,
        name: &'static str,
        context: CharmCall,
        memory: Memory,
    ) -> Result<Call<CharmWorld>, CallFailure> {
        let limits = self.sandbox.limits();
        let function = Function { name, time: limits.charm_time, memory: limits.charm_memory };
        context.begin(&self.sandbox, function, memory, self.says_causes).await
    }
}

/// Refuses a shape that could not be stored or shown.
fn check(shape: contract::Shape, writes: &CellWrites) -> Result<Shape, CallFailure> {
    let contract::Shape { name, streams, secrets } = shape;
    let refused = |what: String| CallFailure::new(OutcomeKind::LimitExceeded, format!("setup: {what}"));
    if streams.len() > SHAPE_ITEMS || secrets.len() > SHAPE_ITEMS {
        return Err(refused(format!("a charm can have {SHAPE_ITEMS} streams and {SHAPE_ITEMS} secret paths")));
    }
    if secrets.iter().any(|path| path.is_empty() || path.len() > PATH_NAMES) {
        return Err(refused(format!("a secret path has 1 to {PATH_NAMES} names")));
    }
    let names = name.iter().chain(&streams).chain(secrets.iter().flatten());
    if names.into_iter().any(|name| name.is_empty() || name.len() > NAME_BYTES) {
        return Err(refused(format!("a name has 1 to {NAME_BYTES} bytes")));
    }
    if let Some(both) = streams.iter().find(|stream| writes.contains_key(*stream)) {
        return Err(refused(format!("{both:?} can't be both a cell and a stream")));
    }
    Ok(Shape { name, streams, secrets })
}

impl From<contract::HandlerError> for GuestError {
    fn from(error: contract::HandlerError) -> Self {
        Self { kind: OutcomeKind::HandlerFailed, message: error.message, stack: error.stack }
    }
}

impl From<preloaded::HandlerError> for GuestError {
    fn from(error: preloaded::HandlerError) -> Self {
        Self { kind: OutcomeKind::HandlerFailed, message: error.message, stack: error.stack }
    }
}
