//! Loads charms' programs ahead of their calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bg_poller::OutcomeKind;
use wasmtime::component::Linker;

use crate::Sandbox;
use crate::bindings::preloaded::PreloadedCharmPre;
use crate::call::Function;
use crate::charm_call::CharmCall;
use crate::config::Config;
use crate::failure::CallFailure;
use crate::host::{CallLines, CallState, CharmWorld};
use crate::image::{Image, Memory};
use crate::images::{Images, Made};
use crate::load::{LoadError, LoadedComponent, World};
use crate::share::Share;

/// By what a component of that world is told from others.
const PRELOAD: &str = "preload";

/// A component that can load programs ahead, and the images of those that it has loaded.
pub(crate) struct Preloader {
    sandbox: Sandbox,
    pre: PreloadedCharmPre<CallState<CharmWorld>>,
    images: Images,
}

impl Preloader {
    /// None if the component can't.
    pub(crate) fn new(
        sandbox: &Sandbox,
        loaded: &LoadedComponent,
        linker: &Linker<CallState<CharmWorld>>,
    ) -> Result<Option<Self>, LoadError> {
        if !loaded.info().exports.iter().any(|export| export.name == PRELOAD) {
            return Ok(None);
        }
        let pre = loaded.link(linker, World::Charm, PreloadedCharmPre::new)?;
        let images = Images::new(sandbox.limits().image_bytes);
        Ok(Some(Self { sandbox: sandbox.clone(), pre, images }))
    }

    pub(crate) fn pre(&self) -> &PreloadedCharmPre<CallState<CharmWorld>> {
        &self.pre
    }

    /// The image of the program of that call, if there is one. It is made when the program is called for the second time.
    pub(crate) async fn image_for(&self, call: &CharmCall) -> Option<Image> {
        let config = Config { program: Arc::clone(&call.program), own: Arc::clone(&call.config) };
        let making = match self.images.find(&config) {
            Ok(image) => return image,
            Err(making) => making,
        };
        let made = self.make(call).await;
        let image = if let Made::Image(image) = &made { Some(image.clone()) } else { None };
        making.end(made);
        image
    }

    /// How many images there are.
    pub(crate) fn count(&self) -> usize {
        self.images.count()
    }

    async fn make(&self, call: &CharmCall) -> Made {
        for whole in [true, false] {
            match self.preload(call, whole).await {
                Ok(Some(image)) => return Made::Image(image),
                // It asked for something, or failed. Without running its pattern, it may not.
                Ok(None) => {}
                Err(CallFailure { kind: OutcomeKind::Unavailable, .. }) => return Made::NotNow,
                Err(failure) => {
                    tracing::debug!(charm = %call.charm, whole, %failure, "a program can't be loaded ahead");
                }
            }
        }
        Made::Impossible
    }

    /// Loads the program of a call, with nothing of the charm around it; `whole`, runs its pattern, too.
    async fn preload(&self, call: &CharmCall, whole: bool) -> Result<Option<Image>, CallFailure> {
        let limits = self.sandbox.limits();
        let function = Function { name: PRELOAD, time: limits.preload_time, memory: limits.charm_memory };
        let alone = CharmCall {
            charm: call.charm.clone(),
            cells: Box::new(BTreeMap::new()),
            streams: BTreeSet::new(),
            program: Arc::clone(&call.program),
            config: Arc::clone(&call.config),
            http: call.http.clone(),
            secrets: Vec::new(),
            log: CallLines::default(),
        };
        let call = alone.begin(&self.sandbox, function, Memory::Unloaded, false).await?;
        let pre = self.pre.clone();
        let work = |mut store| async move {
            let end = async {
                let guest = pre.instantiate_async(&mut store).await?;
                Ok(Ok(guest.call_preload(&mut store, whole).await?))
            };
            let end = end.await;
            (store, end)
        };
        let (loaded, state) = call.run(&Share::new(), work).await?;
        Ok(state.world.memory.into_image().filter(|_| loaded))
    }
}
