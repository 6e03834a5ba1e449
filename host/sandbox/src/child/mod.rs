//! Work that is unmetered, such as compiling and parsing: it is done by a process of its own, with limits that the system holds.
//!
//! The process is this very program. It learns its limits from its arguments, gets its input over its standard input, as a length and that many
//! bytes, and answers on its standard output. Its environment is empty, and it has no files.

mod protocol;
mod worker;

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStderr, ChildStdout, Command};
use tokio::time::timeout;

use crate::text;
use worker::REFUSED;
pub use worker::work_as_child;

/// Of what the process says went wrong, bytes.
const MESSAGE_BYTES: u64 = 8 * 1024;
/// Of that, what is told.
const PROBLEM_BYTES: usize = 2048;
/// What Rust's standard library writes before it aborts for want of memory, and what the system calls that.
const OUT_OF_MEMORY: [&str; 2] = ["memory allocation of", "Cannot allocate memory"];

/// The program that does such work in a process of its own. It must call [`work_as_child`] when it gets the arguments that it is given after
/// `arguments`, and be built from the same source.
#[derive(Clone, Debug)]
pub struct ChildCommand {
    /// The program.
    pub program: PathBuf,
    /// Its first arguments.
    pub arguments: Vec<OsString>,
}

/// What such a process may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildLimits {
    /// Processor time, whole seconds.
    pub cpu: Duration,
    /// Memory that it may write to, bytes.
    pub memory: usize,
    /// Its input, bytes.
    pub input_bytes: usize,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// It did not end in time.
    #[error("it takes too long")]
    Time,
    /// It used all its processor time.
    #[error("it takes too much processor time")]
    Cpu,
    /// It used all its memory.
    #[error("it takes too much memory")]
    Memory,
    /// Its answer is too long.
    #[error("the result is too long")]
    TooLong,
    /// It says why it can't.
    #[error("{0}")]
    Refused(String),
    /// It ended otherwise.
    #[error("{0}")]
    Crash(String),
    /// It cannot be started or heard.
    #[error("{0}")]
    Unusable(String),
}

impl ChildCommand {
    /// This program itself, with these first arguments. Also right after the program's file was replaced by a newer one, which
    /// would not work for this one.
    pub fn this_program(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let itself = PathBuf::from("/proc/self/exe");
        let program = if itself.exists() { itself } else { env::current_exe().unwrap_or(itself) };
        Self { program, arguments: arguments.into_iter().map(Into::into).collect() }
    }

    /// Has a process work on `input`, and answer at most `most` bytes within `time`. It is told `arguments` and its limits. Dropping the future ends
    /// the process.
    pub async fn ask(
        &self,
        arguments: &[String],
        limits: ChildLimits,
        time: Duration,
        input: &[u8],
        most: usize,
    ) -> Result<Vec<u8>, ChildError> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .args(arguments)
            .args(limits.to_arguments())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| ChildError::Unusable(format!("cannot start {}: {error}", self.program.display())))?;
        let Some((stdout, stderr)) = child.stdout.take().zip(child.stderr.take()) else {
            return Err(ChildError::Unusable("it has no output".to_owned()));
        };
        // Kept open until the process has answered: that it closes tells the process that nobody waits any more.
        let mut stdin = child.stdin.take();
        let work = async {
            let sent = async {
                let Some(stdin) = &mut stdin else { return Ok(()) };
                stdin.write_all(&u64::try_from(input.len()).unwrap_or(u64::MAX).to_le_bytes()).await?;
                stdin.write_all(input).await?;
                stdin.flush().await
            };
            let (sent, written, message) = tokio::join!(sent, written(stdout, most), said(stderr));
            // Why a process that did not take all of it ended is told by its status.
            let _: io::Result<()> = sent;
            (written, message, child.wait().await)
        };
        let Ok((written, message, status)) = timeout(time, work).await else {
            // Also reaps it. One that is gone already is no failure.
            let _ = child.kill().await;
            return Err(ChildError::Time);
        };
        match (written, status) {
            // Whatever became of the process, which could not write all of it.
            (Ok(written), _) if protocol::is_too_large(&written, most) => Err(ChildError::TooLong),
            (Ok(written), Ok(status)) if status.success() => protocol::checked(written),
            (_, Ok(status)) => Err(why(status, &message)),
            (_, Err(error)) => Err(ChildError::Unusable(error.to_string())),
        }
    }
}

impl ChildLimits {
    /// How many arguments they are.
    pub const ARGUMENTS: usize = 3;

    fn to_arguments(self) -> [String; Self::ARGUMENTS] {
        [self.cpu.as_secs().max(1).to_string(), self.memory.to_string(), self.input_bytes.to_string()]
    }

    /// Reads the last arguments of such a process.
    pub fn from_arguments(arguments: &[String]) -> Option<Self> {
        let [cpu, memory, input_bytes] = arguments else { return None };
        Some(Self {
            cpu: Duration::from_secs(cpu.parse().ok()?),
            memory: memory.parse().ok()?,
            input_bytes: input_bytes.parse().ok()?,
        })
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
fn why(status: ExitStatus, message: &str) -> ChildError {
    const SIGXCPU: i32 = rustix::process::Signal::XCPU.as_raw();
    if status.signal() == Some(SIGXCPU) {
        return ChildError::Cpu;
    }
    if OUT_OF_MEMORY.iter().any(|text| message.contains(text)) {
        return ChildError::Memory;
    }
    let message = text::one_line(message.trim(), PROBLEM_BYTES);
    if status.code() == Some(REFUSED.into()) {
        return ChildError::Refused(message);
    }
    ChildError::Crash(format!("{status}: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_process_ended_tells_which_limit_it_hit() {
        let ended = |raw, message| why(ExitStatus::from_raw(raw), message);
        assert!(matches!(ended(24, ""), ChildError::Cpu));
        assert!(matches!(ended(6, "memory allocation of 99 bytes failed"), ChildError::Memory));
        assert!(matches!(ended(3 << 8, "Cannot allocate memory (os error 12)"), ChildError::Memory));
        assert!(matches!(ended(6, "something else"), ChildError::Crash(_)));
        assert!(matches!(ended(11, ""), ChildError::Crash(_)));
        assert!(matches!(ended(3 << 8, "too many types\n"), ChildError::Refused(text) if text == "too many types"));
        assert!(matches!(ended(101 << 8, "\u{1b}[31m"), ChildError::Crash(text) if !text.contains('\u{1b}')));
    }

    #[test]
    fn a_child_is_told_its_limits() {
        let limits = ChildLimits { cpu: Duration::from_secs(7), memory: 1 << 20, input_bytes: 9 };
        assert_eq!(ChildLimits::from_arguments(&limits.to_arguments()), Some(limits));
        assert_eq!(ChildLimits::from_arguments(&limits.to_arguments()[1..]), None);
    }
}
