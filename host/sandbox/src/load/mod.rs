//! From a component's file to something that can be run.

mod cache;
mod compiler;
mod inspect;
mod protocol;
mod world;

use std::sync::Arc;
use std::time::Duration;

use bg_manifest::ManifestError;
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

pub(crate) use self::cache::Cache;
pub(crate) use self::compiler::ChildCompiler;
pub use self::compiler::{Compiler, compile_as_child, inspect_by};
pub(crate) use self::inspect::inspect_with;
pub use self::inspect::{ComponentInfo, Item, ItemKind, Metadata, inspect};
pub use self::protocol::ChildOptions;
pub use self::world::{World, WorldError};

use crate::text;

/// The longest text of wasmtime's that is shown: it may quote names of the component, bytes.
const PROBLEM_BYTES: usize = 2048;

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
    /// Checking or compiling it takes too long.
    #[error(
        "checking and compiling the component takes more than {} s; build it with optimisation, with less code generated from tables and \
         macros, or raise the limit (compile-time, compile-cpu) if you trust it", limit.as_secs()
    )]
    CompileTime {
        /// What it may take: processor time, or wall clock.
        limit: Duration,
    },
    /// Checking or compiling it takes too much memory.
    #[error(
        "checking and compiling the component takes more than {} MiB of memory; build it smaller, or raise the limit (compile-memory) if \
         you trust it", limit >> 20
    )]
    CompileMemory {
        /// What it may take, bytes.
        limit: usize,
    },
    /// It is too large once compiled.
    #[error("the component has more than {} KiB of machine code; build it for size (`opt-level = \"s\"`)", limit >> 10)]
    CompiledSize {
        /// What is allowed, bytes.
        limit: usize,
    },
    /// It brings the compiler down.
    #[error(
        "the component crashes the compiler, which runs in a process of its own, so that nothing else came of it ({0}); build the \
         component again, with other tools or options"
    )]
    CompilerCrash(String),
    /// The process that checks and compiles does not work.
    #[error("the process that checks and compiles components does not work: {0}")]
    Compiler(String),
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
            let problem = text::one_line(&format!("{error:#}"), PROBLEM_BYTES);
            let problems = vec![format!("wrong type: {problem}; build it against this host's wit/")];
            WorldError { world, problems }.into()
        })
    }
}

/// Looks for the machine code of a component in the cache. It stays in its file, which is mapped: only what is run takes memory.
pub(crate) fn cached(engine: &Engine, cache: &Cache, info: &ComponentInfo) -> Option<Component> {
    let file = cache.get(&info.sha256)?;
    // SAFETY: as in `activate`: the file was just checked, and files of the cache are never written to, but replaced.
    #[allow(unsafe_code, reason = "the only way to use compiled code again")]
    let mapped = unsafe { Component::deserialize_file(engine, &file.path) };
    let component = mapped.or_else(|error| {
        // Where the cache is on a disk that nothing may be run from.
        tracing::debug!(%error, "a cached component cannot be mapped; it is read into memory");
        activate(engine, &file.read().map_err(|error| LoadError::Compile(error.to_string()))?)
    });
    component
        .inspect_err(|error| {
            tracing::warn!(sha256 = info.sha256, %error, "a cached component does not load; compiling it again");
        })
        .ok()
}

/// From a valid component to machine code. Takes a processor for as long as that takes.
pub(crate) fn compile(engine: &Engine, component: &[u8]) -> Result<Vec<u8>, String> {
    engine.precompile_component(component).map_err(|error| text::one_line(&format!("{error:#}"), PROBLEM_BYTES))
}

impl LoadedComponent {
    pub(crate) fn new(component: Component, info: ComponentInfo, world: World, origin: Origin) -> Arc<Self> {
        Arc::new(Self { component, info, world, origin })
    }
}

/// From machine code to a component.
pub(crate) fn activate(engine: &Engine, code: &[u8]) -> Result<Component, LoadError> {
    // SAFETY: `deserialize` trusts that wasmtime made `code` and nobody changed it. It comes from `compile` above, from a
    // process that this very program started for it, or from the cache, which hands out only what these made for an engine
    // like this one: the folder and the file are ours alone, and the code has the SHA-256 that was noted when it was written.
    #[allow(unsafe_code, reason = "the only way to use compiled code again")]
    let component = unsafe { Component::deserialize(engine, code) };
    component.map_err(|error| LoadError::Compile(text::one_line(&format!("{error:#}"), PROBLEM_BYTES)))
}
