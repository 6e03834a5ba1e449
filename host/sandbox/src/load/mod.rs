//! From a component's file to something that can be run.

mod cache;
mod code;
mod compiler;
mod error;
mod inspect;
mod protocol;
mod world;

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{Component, InstancePre, Linker};

pub(crate) use self::cache::Cache;
use self::code::PROBLEM_BYTES;
pub(crate) use self::code::{activate, cached, compile};
pub(crate) use self::compiler::ChildCompiler;
pub use self::compiler::{Compiler, compile_as_child, inspect_by};
pub use self::error::{LoadError, World, WorldError};
pub(crate) use self::inspect::inspect_with;
pub use self::inspect::{ComponentInfo, Item, ItemKind, Metadata, inspect};
pub use self::protocol::ChildOptions;

use crate::text;

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

    /// Whether it imports an interface of the contract.
    pub(crate) fn imports(&self, interface: &str) -> bool {
        let name = format!("commontools:background/{interface}@");
        self.info.imports.iter().any(|import| import.name.starts_with(&name))
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

impl LoadedComponent {
    pub(crate) fn new(component: Component, info: ComponentInfo, world: World, origin: Origin) -> Arc<Self> {
        Arc::new(Self { component, info, world, origin })
    }
}
