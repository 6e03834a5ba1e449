//! What all components share: one engine, its limits, the cache of compiled code.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::Engine;

use crate::Limits;
use crate::engine::{self, Allocation, Ticker};
use crate::load::{self, Cache, LoadError, LoadedComponent, World};

/// How a sandbox is set up.
#[derive(Clone, Debug, Default)]
pub struct SandboxOptions {
    /// What its components may take.
    pub limits: Limits,
    /// Where compiled components are kept; nowhere by default. The folder is made, for this user alone; one that others may
    /// look into is refused.
    pub cache: Option<PathBuf>,
    /// Where the memories of calls come from.
    pub allocation: Allocation,
}

/// The sandbox could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine does not work here.
    #[error("the WebAssembly engine cannot start: {0}")]
    Engine(String),
    /// The folder for compiled components cannot be trusted.
    #[error(
        "compiled components are not kept in {}: {problem}; make it a folder of this user alone (chmod 700), or name another",
        folder.display()
    )]
    Cache {
        /// Which folder.
        folder: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// Runs components. Clones share all of it; the thread that ends endless loops stops with the last of them.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    engine: Engine,
    limits: Arc<Limits>,
    cache: Option<Cache>,
    allocation: Allocation,
    /// Calls that may still begin.
    places: Arc<Semaphore>,
    _ticker: Ticker,
}

impl Sandbox {
    /// Sets it up.
    pub fn new(options: SandboxOptions) -> Result<Self, SandboxError> {
        let SandboxOptions { limits, cache, allocation } = options;
        let (engine, allocation) = engine::engine(&limits, allocation)?;
        let cache = match cache {
            Some(folder) => Cache::open(&folder, &engine)?,
            None => None,
        };
        let ticker = Ticker::start(&engine)?;
        let places = Arc::new(Semaphore::new(limits.calls.clamp(1, Semaphore::MAX_PERMITS)));
        Ok(Self(Arc::new(Inner { engine, limits: Arc::new(limits), cache, allocation, places, _ticker: ticker })))
    }

    /// Checks a component's file and compiles it for `world`, or takes its code from the cache. Runs on a thread for blocking
    /// work; must be called within a tokio runtime.
    pub async fn load(&self, bytes: Vec<u8>, world: World) -> Result<Arc<LoadedComponent>, LoadError> {
        let inner = self.0.clone();
        let load = move || load::load(&inner.engine, inner.cache.as_ref(), &inner.limits, &bytes, world);
        match tokio::task::spawn_blocking(load).await {
            Ok(loaded) => loaded,
            Err(error) => Err(LoadError::Compile(format!("the compiler gave up: {error}"))),
        }
    }

    /// What its components may take.
    pub fn limits(&self) -> &Arc<Limits> {
        &self.0.limits
    }

    /// Where the memories of calls really come from.
    pub fn allocation(&self) -> Allocation {
        self.0.allocation
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// Waits until another call may begin.
    pub(crate) async fn place(&self) -> OwnedSemaphorePermit {
        self.0.places.clone().acquire_owned().await.expect("nobody closes the semaphore")
    }
}
