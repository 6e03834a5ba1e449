//! Why a component can't be loaded.

use std::fmt;
use std::time::Duration;

use bg_manifest::ManifestError;

/// Why a component can't be loaded, and how to fix it.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is empty.
    #[error("the file is empty; build the component again")]
    Empty,
    /// The file is too large.
    #[error("the file has {size} bytes; the limit is {limit}: build it for size (`opt-level = \"s\"`, `strip`)")]
    TooLarge {
        /// Its size, in bytes.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// Text: source code, or WebAssembly's text format.
    #[error("this is a text file, not a component; give the .wasm file that is built from it")]
    Text,
    /// A core module.
    #[error(
        "this is a core WebAssembly module, not a component; build it for wasm32-wasip2, or encode it with \
         `wasm-tools component new`"
    )]
    CoreModule,
    /// Machine code.
    #[error("this is a precompiled or native file, which is never loaded; give the component that it was made from")]
    Precompiled,
    /// Something else.
    #[error("this is not a WebAssembly file; give a component (.wasm)")]
    NotWasm,
    /// It ends in the middle of a section.
    #[error("the file is incomplete: it ends, after {size} bytes, in the middle of a section; copy or build it again")]
    Truncated {
        /// Its size, in bytes.
        size: usize,
    },
    /// It is not a valid component, or uses a feature of WebAssembly that is not enabled here.
    #[error("this is not a valid component: {0}; build it again, with tools for WASI 0.2")]
    Invalid(String),
    /// Its manifest is invalid.
    #[error("the component's manifest: {0}")]
    Manifest(#[source] ManifestError),
    /// It does not fit its world.
    #[error(transparent)]
    World(#[from] WorldError),
    /// It could not be compiled, or needs more than a call may ever have.
    #[error("the component cannot be compiled: {0}")]
    Compile(String),
    /// Checking or compiling it takes too long.
    #[error(
        "checking and compiling the component takes more than {} s; build it with optimisation, with less code \
        generated from tables and \
         macros, or raise the limit (compile-time, compile-cpu) if you trust it", limit.as_secs()
    )]
    CompileTime {
        /// The limit: processor time, or wall clock.
        limit: Duration,
    },
    /// Checking or compiling it takes too much memory.
    #[error(
        "checking and compiling the component takes more than {} MiB of memory; build it smaller, or raise the limit \
        (compile-memory) if \
         you trust it", limit >> 20
    )]
    CompileMemory {
        /// The limit, in bytes.
        limit: usize,
    },
    /// It is too large once compiled.
    #[error("the component has more than {} KiB of machine code; build it for size (`opt-level = \"s\"`)", limit >> 10)]
    CompiledSize {
        /// The limit, in bytes.
        limit: usize,
    },
    /// It crashes the compiler.
    #[error(
        "the component crashes the compiler, which runs in a separate process and does no harm ({0}); build the \
         component again, with other tools or options"
    )]
    CompilerCrash(String),
    /// The process that checks and compiles does not work.
    #[error("the process that checks and compiles components does not work: {0}")]
    Compiler(String),
}

/// A world of `wit/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// Decides which charms are polled.
    Integration,
    /// A charm's program.
    Charm,
}

/// How many problems a message lists. A component may have a hundred thousand.
const SHOWN: usize = 50;

/// The version of the contract. It includes everything that components of earlier compatible versions import.
pub(super) const CONTRACT: &str = "0.1.1";

/// Why a component does not fit its world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorldError {
    /// Which world.
    pub world: World,
    /// What is missing or not offered, each with its fix.
    pub problems: Vec<String>,
}

impl std::error::Error for WorldError {}

impl fmt::Display for WorldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the component does not fit the world commontools:background/{}@{CONTRACT}:", self.world)?;
        self.problems.iter().take(SHOWN).try_for_each(|problem| write!(f, "\n  - {problem}"))?;
        match self.problems.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n  - and {more} more"),
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Integration => "integration",
            Self::Charm => "charm",
        })
    }
}
