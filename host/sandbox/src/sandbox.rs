//! What all components share: one engine, its limits, the cache of compiled code.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::Engine;

use crate::engine::{self, Allocation, Ticker};
use crate::error::SandboxError;
use crate::features::features;
use crate::lane::SlowLane;
use crate::load::{self, Cache, ChildCompiler, Compiler, ComponentInfo, LoadError, LoadedComponent, Origin, World};
use crate::{CallObserver, Limits};

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
    /// Who compiles. Components of others should be compiled in a process of its own.
    pub compiler: Compiler,
    /// Who is told of each call.
    pub observer: CallObserver,
}

/// Runs components. Clones share all of it; the thread that ends endless loops stops with the last of them.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    engine: Engine,
    limits: Arc<Limits>,
    cache: Option<Cache>,
    allocation: Allocation,
    /// None: this process compiles.
    compiler: Option<ChildCompiler>,
    /// Calls that may still begin.
    places: Arc<Semaphore>,
    slow_lane: SlowLane,
    observer: CallObserver,
    _ticker: Ticker,
}

impl Sandbox {
    /// Sets it up.
    pub fn new(options: SandboxOptions) -> Result<Self, SandboxError> {
        let SandboxOptions { limits, cache, allocation, compiler, observer } = options;
        let (engine, allocation) = engine::engine(&limits, allocation)?;
        let cache = match cache {
            Some(folder) => Cache::open(&folder, &engine)?,
            None => None,
        };
        let ticker = Ticker::start(&engine)?;
        let places = Arc::new(Semaphore::new(limits.calls.clamp(1, Semaphore::MAX_PERMITS)));
        let compiler = match compiler {
            Compiler::InProcess => None,
            Compiler::Child(command) => Some(ChildCompiler::new(command)),
        };
        let limits = Arc::new(limits);
        Ok(Self(Arc::new(Inner {
            engine,
            limits,
            cache,
            allocation,
            compiler,
            places,
            slow_lane: SlowLane::default(),
            observer,
            _ticker: ticker,
        })))
    }

    /// What a component's file says of itself, if it is a valid one, within the limit for its size. Nothing of it runs. Must be
    /// called within a tokio runtime.
    pub async fn inspect(&self, bytes: impl Into<Arc<[u8]>>) -> Result<ComponentInfo, LoadError> {
        let bytes = bytes.into();
        if let Some(compiler) = &self.0.compiler {
            return compiler.inspect(&self.0.limits, bytes).await;
        }
        self.blocking(move |inner| load::inspect_with(&bytes, inner.limits.component_bytes, features())).await
    }

    /// Checks a component's file and compiles it for `world`, or takes its code from the cache. Must be called within a tokio
    /// runtime.
    pub async fn load(&self, bytes: impl Into<Arc<[u8]>>, world: World) -> Result<Arc<LoadedComponent>, LoadError> {
        self.load_reporting(bytes, world, || {}).await
    }

    /// The same; calls `compiles` before it compiles, which takes a while.
    pub async fn load_reporting(
        &self,
        bytes: impl Into<Arc<[u8]>>,
        world: World,
        compiles: impl FnOnce(),
    ) -> Result<Arc<LoadedComponent>, LoadError> {
        let bytes = bytes.into();
        let info = self.inspect(bytes.clone()).await?;
        world.check(&info)?;
        let find = move |inner: &Inner| {
            let cached = inner.cache.as_ref().and_then(|cache| load::cached(&inner.engine, cache, &info));
            Ok((cached, info))
        };
        let (cached, info) = self.blocking(find).await?;
        if let Some(component) = cached {
            return Ok(LoadedComponent::new(component, info, world, Origin::Cached));
        }

        compiles();
        let started = Instant::now();
        let code = if let Some(compiler) = &self.0.compiler {
            compiler.compile(&self.0.limits, self.0.allocation, &bytes).await?
        } else {
            self.blocking(move |inner| load::compile(&inner.engine, &bytes).map_err(LoadError::Compile)).await?
        };
        let finish = move |inner: &Inner| {
            let kept = inner.cache.as_ref().and_then(|cache| {
                cache.put(&info.sha256, &code);
                load::cached(&inner.engine, cache, &info)
            });
            let component = kept.map_or_else(|| load::activate(&inner.engine, &code), Ok)?;
            Ok(LoadedComponent::new(component, info, world, Origin::Compiled(started.elapsed())))
        };
        self.blocking(finish).await
    }

    /// Does what takes a processor on a thread for that.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, LoadError> + Send + 'static,
    ) -> Result<T, LoadError> {
        let inner = self.0.clone();
        let ended = tokio::task::spawn_blocking(move || work(&inner)).await;
        ended.unwrap_or_else(|error| Err(LoadError::Compiler(format!("it gave up: {error}"))))
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

    pub(crate) fn observer(&self) -> &CallObserver {
        &self.0.observer
    }

    pub(crate) fn slow_lane(&self) -> &SlowLane {
        &self.0.slow_lane
    }

    /// Waits until another call may begin.
    pub(crate) async fn place(&self) -> OwnedSemaphorePermit {
        self.0.places.clone().acquire_owned().await.expect("nobody closes the semaphore")
    }
}
