//! From a component's file to something that can be run.

mod cache;
mod inspect;
mod world;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bg_manifest::ManifestError;
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

pub(crate) use self::cache::Cache;
pub(crate) use self::inspect::inspect_with;
pub use self::inspect::{ComponentInfo, Item, ItemKind, Metadata, inspect};
pub use self::world::{World, WorldError};

use crate::{Limits, text};

/// Why a component can't be loaded, and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is empty.
    #[error("the file is empty; build the component again")]
    Empty,
    /// The file is too large.
    #[error("the file has {size} bytes; {limit} are the limit: build it for size (`opt-level = \"s\"`, `strip`)")]
    TooLarge {
        /// Its size, bytes.
        size: usize,
        /// The limit, bytes.
        limit: usize,
    },
    /// Text: source, or WebAssembly's text format.
    #[error("this is a text file, not a component; give the .wasm file that is built from it")]
    Text,
    /// A core module.
    #[error(
        "this is a core WebAssembly module, not a component; build it for wasm32-wasip2, or encode it with \
         `wasm-tools component new`"
    )]
    CoreModule,
    /// Machine code.
    #[error("this is a precompiled or native file, which is never loaded; give the component that it was made of")]
    Precompiled,
    /// Something else.
    #[error("this is not a WebAssembly file; give a component (.wasm)")]
    NotWasm,
    /// It ends in the middle.
    #[error("the file is incomplete: it ends, after {size} bytes, in the middle of a section; copy or build it again")]
    Truncated {
        /// Its size, bytes.
        size: usize,
    },
    /// It is no valid component, or uses a feature of WebAssembly that is not enabled here.
    #[error("this is not a valid component: {0}; build it again, with tools for WASI 0.2")]
    Invalid(String),
    /// Its manifest can't be read.
    #[error("the component's manifest: {0}")]
    Manifest(#[source] ManifestError),
    /// It does not fit its world.
    #[error(transparent)]
    World(#[from] WorldError),
    /// It could not be compiled, or is more than a call may ever have.
    #[error("the component cannot be compiled: {0}")]
    Compile(String),
}

/// How a component came to be compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Now, in this time.
    Compiled(Duration),
    /// Before, by this user.
    Cached,
}

/// A component, compiled and known to fit its world by name.
pub struct LoadedComponent {
    pub(crate) component: Component,
    info: ComponentInfo,
    world: World,
    origin: Origin,
}

impl LoadedComponent {
    /// What its file says of itself.
    pub fn info(&self) -> &ComponentInfo {
        &self.info
    }

    /// For which world it was loaded.
    pub fn world(&self) -> World {
        self.world
    }

    /// How it came to be compiled.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Links it for `world`; `make` finds its exports. What is wrong here is a wrong type.
    pub(crate) fn link<T, P>(
        &self,
        linker: &Linker<T>,
        world: World,
        make: impl FnOnce(InstancePre<T>) -> wasmtime::Result<P>,
    ) -> Result<P, LoadError> {
        if self.world != world {
            let problems = vec![format!("it was loaded for the world {}", self.world)];
            return Err(WorldError { world, problems }.into());
        }
        linker.instantiate_pre(&self.component).and_then(make).map_err(|error| {
            let problem = text::one_line(&format!("{error:#}"), 2048);
            let problems = vec![format!("wrong type: {problem}; build it against this host's wit/")];
            WorldError { world, problems }.into()
        })
    }
}

/// Checks and compiles `bytes`. Takes a processor for as long as compiling takes.
pub(crate) fn load(
    engine: &Engine,
    cache: Option<&Cache>,
    limits: &Limits,
    bytes: &[u8],
    world: World,
) -> Result<Arc<LoadedComponent>, LoadError> {
    let info = inspect_with(bytes, limits.component_bytes, crate::engine::features())?;
    world.check(&info)?;
    let cached = cache.and_then(|cache| cache.get(&info.sha256)).and_then(|code| match activate(engine, &code) {
        Ok(component) => Some(component),
        Err(error) => {
            tracing::warn!(sha256 = info.sha256, %error, "a cached component does not load; compiling it again");
            None
        }
    });
    let (component, origin) = if let Some(component) = cached {
        (component, Origin::Cached)
    } else {
        let started = Instant::now();
        let code = compile(engine, bytes)?;
        let component = activate(engine, &code)?;
        if let Some(cache) = cache {
            cache.put(&info.sha256, &code);
        }
        (component, Origin::Compiled(started.elapsed()))
    };
    Ok(Arc::new(LoadedComponent { component, info, world, origin }))
}

/// From a valid component to machine code for `engine`.
fn compile(engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
    engine.precompile_component(bytes).map_err(|error| LoadError::Compile(format!("{error:#}")))
}

/// From machine code to a component.
fn activate(engine: &Engine, code: &[u8]) -> Result<Component, LoadError> {
    // SAFETY: `deserialize` trusts that wasmtime made `code` and nobody changed it. It comes from `compile` above or from the
    // cache, which hands out only what `compile` made for an engine like this one: the folder and the file are ours alone, and
    // the code has the SHA-256 that was noted when it was written.
    #[allow(unsafe_code, reason = "the only way to use compiled code again")]
    let component = unsafe { Component::deserialize(engine, code) };
    component.map_err(|error| LoadError::Compile(format!("{error:#}")))
}
