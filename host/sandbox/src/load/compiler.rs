//! Checking and compiling, which are unmetered: a small component can take minutes and gigabytes of either. So both are done by a
//! process of its own, with limits that the system holds, and the service itself reads no more of a component than its first
//! bytes.
//!
//! The process's environment is empty, and it has no files. The service takes what it answers for machine code of its very own
//! engine, since it was made by this very program. Whoever finds a fault of the compiler that lets a component take over the
//! process can so reach the service; what the process itself can do is next to nothing.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::code;
use super::error::LoadError;
use super::inspect::{self, ComponentInfo, Look, look};
use super::protocol::{ChildOptions, Task};
use crate::Limits;
use crate::child::{ChildCommand, ChildError, work_as_child};
use crate::engine::{self, Allocation};
use crate::features::features;

/// What is told of a component. Its names are 10,000 at most, of 1 KiB each, and its manifest has 256 KiB at most.
const INSPECTED_BYTES: usize = 32 << 20;
/// Who checks and compiles components.
#[derive(Clone, Debug, Default)]
pub enum Compiler {
    /// This process, without any limit: for tests and benchmarks, and for components that one made oneself.
    #[default]
    InProcess,
    /// A process of its own.
    Child(ChildCommand),
}

/// What a component's file says of itself, if it is a valid one. Nothing of it runs; `command` is a program that calls [`compile_as_child`].
pub async fn inspect_by(
    command: ChildCommand,
    limits: &Limits,
    component: impl Into<Arc<[u8]>>,
) -> Result<ComponentInfo, LoadError> {
    ChildCompiler::new(command).inspect(limits, component.into()).await
}

/// The whole of a process that checks or compiles a component; see [`work_as_child`].
pub fn compile_as_child(options: ChildOptions, confine: impl FnOnce()) -> ExitCode {
    work_as_child(options.limits, confine, |component| match options.task {
        Task::Inspect => Ok(serde_json::to_vec(&look(&component, features()))?),
        Task::Compile => {
            let engine = engine::for_compiling(options.allocation).map_err(io::Error::other)?;
            code::compile(&engine, &component).map_err(io::Error::other)
        }
    })
}

/// Runs such processes, one after the other.
#[derive(Debug)]
pub(crate) struct ChildCompiler {
    command: ChildCommand,
    /// One at a time: several would only slow each other down, and take their memory at once.
    turn: Mutex<()>,
}

impl ChildCompiler {
    pub(crate) fn new(command: ChildCommand) -> Self {
        Self { command, turn: Mutex::new(()) }
    }

    /// What a component's file says of itself. Dropping the future ends the process.
    pub(crate) async fn inspect(&self, limits: &Limits, component: Arc<[u8]>) -> Result<ComponentInfo, LoadError> {
        inspect::recognise(&component, limits.component_bytes)?;
        let options = ChildOptions::new(Task::Inspect, limits, Allocation::OnDemand);
        let answer = self.ask(options, limits, &component, INSPECTED_BYTES).await?;
        let read = move || {
            let look: Look = serde_json::from_slice(&answer)
                .map_err(|error| LoadError::Compiler(format!("its answer is damaged: {error}")))?;
            look.info(&component)
        };
        let ended = tokio::task::spawn_blocking(read).await;
        ended.unwrap_or_else(|error| Err(LoadError::Compiler(format!("its answer cannot be read: {error}"))))
    }

    /// Machine code of a valid component. Dropping the future ends the process.
    pub(crate) async fn compile(
        &self,
        limits: &Limits,
        allocation: Allocation,
        component: &[u8],
    ) -> Result<Vec<u8>, LoadError> {
        let options = ChildOptions::new(Task::Compile, limits, allocation);
        self.ask(options, limits, component, limits.compiled_bytes).await
    }

    async fn ask(
        &self,
        options: ChildOptions,
        limits: &Limits,
        component: &[u8],
        most: usize,
    ) -> Result<Vec<u8>, LoadError> {
        let _turn = self.turn.lock().await;
        let arguments = options.to_arguments();
        let asked = self.command.ask(&arguments, options.limits, limits.compile_time, component, most);
        asked.await.map_err(|error| why(error, limits, most))
    }
}

/// Why a component is not compiled.
fn why(error: ChildError, limits: &Limits, most: usize) -> LoadError {
    match error {
        ChildError::Time => LoadError::CompileTime { limit: limits.compile_time },
        ChildError::Cpu => LoadError::CompileTime { limit: limits.compile_cpu },
        ChildError::Memory => LoadError::CompileMemory { limit: limits.compile_memory },
        ChildError::TooLong => LoadError::CompiledSize { limit: most },
        ChildError::Refused(message) => LoadError::Compile(message),
        ChildError::Crash(message) => LoadError::CompilerCrash(message),
        ChildError::Unusable(message) => LoadError::Compiler(message),
    }
}
