//! Checking and compiling, which are unmetered: a small component can take minutes and gigabytes of either. So both are done by a
//! process of its own, with limits that the system holds, and the service itself reads no more of a component than its first
//! bytes.
//!
//! The process's environment is empty, and it has no files. The service takes what it answers for machine code of its very own
//! engine, since it was made by this very program. Whoever finds a fault of the compiler that lets a component take over the
//! process can so reach the service; what the process itself can do is next to nothing.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::inspect::{self, ComponentInfo, Look};
use super::protocol::{self, ChildOptions, Task};
use super::worker::REFUSED;
use crate::engine::Allocation;
use crate::load::LoadError;
use crate::{Limits, text};

/// Of what the process says went wrong, bytes.
const MESSAGE_BYTES: u64 = 8 * 1024;
/// What is told of a component. Its names are 10,000 at most, of 1 KiB each, and its manifest has 256 KiB at most.
const INSPECTED_BYTES: usize = 32 << 20;
/// What Rust's standard library writes before it aborts for want of memory, and what the system calls that.
const OUT_OF_MEMORY: [&str; 2] = ["memory allocation of", "Cannot allocate memory"];

/// Who checks and compiles components.
#[derive(Clone, Debug, Default)]
pub enum Compiler {
    /// This process, without any limit: for tests and benchmarks, and for components that one made oneself.
    #[default]
    InProcess,
    /// A process of its own.
    Child(CompilerCommand),
}

/// The program that checks and compiles in a process of its own. It must call
/// [`compile_as_child`](super::worker::compile_as_child), with the arguments that it is given after `arguments`, and be built
/// from the same source.
#[derive(Clone, Debug)]
pub struct CompilerCommand {
    /// The program.
    pub program: PathBuf,
    /// Its first arguments.
    pub arguments: Vec<OsString>,
}

impl CompilerCommand {
    /// This program itself, with these first arguments. Also right after the program's file was replaced by a newer one, which
    /// would not compile for this one.
    pub fn this_program(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let itself = PathBuf::from("/proc/self/exe");
        let program = if itself.exists() { itself } else { env::current_exe().unwrap_or(itself) };
        Self { program, arguments: arguments.into_iter().map(Into::into).collect() }
    }

    /// What a component's file says of itself, if it is a valid one. Nothing of it runs.
    pub async fn inspect(&self, limits: &Limits, component: impl Into<Arc<[u8]>>) -> Result<ComponentInfo, LoadError> {
        ChildCompiler::new(self.clone()).inspect(limits, component.into()).await
    }
}

/// Runs such processes, one after the other.
#[derive(Debug)]
pub(crate) struct ChildCompiler {
    command: CompilerCommand,
    /// One at a time: several would only slow each other down, and take their memory at once.
    turn: Mutex<()>,
}

impl ChildCompiler {
    pub(crate) fn new(command: CompilerCommand) -> Self {
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
        let mut child = self.start(options)?;
        let Some((stdout, stderr)) = child.stdout.take().zip(child.stderr.take()) else {
            return Err(LoadError::Compiler("it has no output".to_owned()));
        };
        // Kept open until the process has answered: that it closes tells the process that nobody waits any more.
        let mut stdin = child.stdin.take();
        let work = async {
            let sent = async {
                let Some(stdin) = &mut stdin else { return Ok(()) };
                stdin.write_all(&u64::try_from(component.len()).unwrap_or(u64::MAX).to_le_bytes()).await?;
                stdin.write_all(component).await?;
                stdin.flush().await
            };
            let (sent, written, message) = tokio::join!(sent, written(stdout, most), said(stderr));
            // Why a process that did not take all of it ended is told by its status.
            let _: io::Result<()> = sent;
            (written, message, child.wait().await)
        };
        let Ok((written, message, status)) = timeout(limits.compile_time, work).await else {
            // Also reaps it. One that is gone already is no failure.
            let _ = child.kill().await;
            return Err(LoadError::CompileTime { limit: limits.compile_time });
        };
        match (written, status) {
            // Whatever became of the process, which could not write all of it.
            (Ok(written), _) if protocol::is_too_large(&written, most) => Err(LoadError::CompiledSize { limit: most }),
            (Ok(written), Ok(status)) if status.success() => protocol::checked(written),
            (_, Ok(status)) => Err(why(status, &message, limits)),
            (_, Err(error)) => Err(LoadError::Compiler(error.to_string())),
        }
    }

    fn start(&self, options: ChildOptions) -> Result<Child, LoadError> {
        let CompilerCommand { program, arguments } = &self.command;
        let mut command = Command::new(program);
        command.args(arguments).args(options.to_arguments()).env_clear().current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command.spawn().map_err(|error| LoadError::Compiler(format!("cannot start {}: {error}", program.display())))
    }
}

/// What the process writes, if that is an answer of `limit` bytes at most; else, its beginning.
async fn written(stdout: ChildStdout, limit: usize) -> io::Result<Vec<u8>> {
    let mut written = Vec::new();
    let most = u64::try_from(protocol::most(limit)).unwrap_or(u64::MAX);
    stdout.take(most).read_to_end(&mut written).await?;
    Ok(written)
}

/// What the process says of its failure: the beginning.
async fn said(stderr: ChildStderr) -> String {
    let mut message = Vec::new();
    let mut rest = stderr.take(MESSAGE_BYTES);
    // What could not be read is missing from a message, no more.
    let _ = rest.read_to_end(&mut message).await;
    let _ = tokio::io::copy(&mut rest.into_inner(), &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&message).into_owned()
}

/// Why a process ended without an answer.
fn why(status: ExitStatus, message: &str, limits: &Limits) -> LoadError {
    const SIGXCPU: i32 = rustix::process::Signal::XCPU.as_raw();
    if status.signal() == Some(SIGXCPU) {
        return LoadError::CompileTime { limit: limits.compile_cpu };
    }
    if OUT_OF_MEMORY.iter().any(|text| message.contains(text)) {
        return LoadError::CompileMemory { limit: limits.compile_memory };
    }
    let message = text::one_line(message.trim(), 2048);
    if status.code() == Some(REFUSED.into()) {
        return LoadError::Compile(message);
    }
    LoadError::CompilerCrash(format!("{status}: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_process_ended_tells_which_limit_it_hit() {
        let limits = Limits::default();
        let ended = |raw, message| why(ExitStatus::from_raw(raw), message, &limits);
        assert!(matches!(ended(24, ""), LoadError::CompileTime { .. }));
        assert!(matches!(ended(6, "memory allocation of 99 bytes failed"), LoadError::CompileMemory { .. }));
        assert!(matches!(ended(3 << 8, "Cannot allocate memory (os error 12)"), LoadError::CompileMemory { .. }));
        assert!(matches!(ended(6, "something else"), LoadError::CompilerCrash(_)));
        assert!(matches!(ended(11, ""), LoadError::CompilerCrash(_)));
        assert!(matches!(ended(3 << 8, "too many types\n"), LoadError::Compile(text) if text == "too many types"));
        assert!(matches!(ended(101 << 8, "\u{1b}[31m"), LoadError::CompilerCrash(text) if !text.contains('\u{1b}')));
    }
}
