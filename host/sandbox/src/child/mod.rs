//! Runs work that wasmtime and parsers do not meter, such as compiling, in a separate process, with limits that the
//! system enforces.
//!
//! The process is this same program. It gets its limits as arguments and its input on standard input, as a length and
//! that many bytes, and answers on standard output. Its environment is empty, and it has no files.

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

/// How much of the process's error message is read, in bytes.
const MESSAGE_BYTES: u64 = 8 * 1024;
/// How much of that is shown.
const PROBLEM_BYTES: usize = 2048;
/// What Rust's standard library writes before it aborts for lack of memory, and the system's own text.
const OUT_OF_MEMORY: [&str; 2] = ["memory allocation of", "Cannot allocate memory"];

/// The command that starts such a process. The program must call [`work_as_child`] with the arguments that follow
/// `arguments`, and be built from the same source.
#[derive(Clone, Debug)]
pub struct ChildCommand {
    /// The program.
    pub program: PathBuf,
    /// Its first arguments.
    pub arguments: Vec<OsString>,
}

/// The limits of such a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildLimits {
    /// Processor time, in whole seconds.
    pub cpu: Duration,
    /// Writable memory, in bytes.
    pub memory: usize,
    /// Its input, in bytes.
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
    /// It refused its input, for the stated reason.
    #[error("{0}")]
    Refused(String),
    /// It ended in another way.
    #[error("{0}")]
    Crash(String),
    /// It could not be started or read from.
    #[error("{0}")]
    Unusable(String),
}

impl ChildCommand {
    /// This program itself, with these first arguments. Works even if the program's file was replaced by a newer
    /// version, which would not be compatible with this process.
    pub fn this_program(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let itself = PathBuf::from("/proc/self/exe");
        let program = if itself.exists() { itself } else { env::current_exe().unwrap_or(itself) };
        Self { program, arguments: arguments.into_iter().map(Into::into).collect() }
    }

    /// Has a process work on `input`, and answer at most `most` bytes within `time`. It gets `arguments` and its
    /// limits. Dropping the future ends the process.
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
        // Kept open until the process has answered: when it closes, the process knows that nobody is waiting.
        let mut stdin = child.stdin.take();
        let work = async {
            let sent = async {
                let Some(stdin) = &mut stdin else { return Ok(()) };
                stdin.write_all(&u64::try_from(input.len()).unwrap_or(u64::MAX).to_le_bytes()).await?;
                stdin.write_all(input).await?;
                stdin.flush().await
            };
            let (sent, written, message) = tokio::join!(sent, written(stdout, most), said(stderr));
            // If the process ended before it took the whole input, its status says why.
            let _: io::Result<()> = sent;
            (written, message, child.wait().await)
        };
        let Ok((written, message, status)) = timeout(time, work).await else {
            // Also reaps it. If it has already ended, that is not a failure.
            let _ = child.kill().await;
            return Err(ChildError::Time);
        };
        match (written, status) {
            // However the process ended: it could not write its whole answer.
            (Ok(written), _) if protocol::is_too_large(&written, most) => Err(ChildError::TooLong),
            (Ok(written), Ok(status)) if status.success() => protocol::checked(written),
            (_, Ok(status)) => Err(why(status, &message)),
            (_, Err(error)) => Err(ChildError::Unusable(error.to_string())),
        }
    }
}

impl ChildLimits {
    /// How many arguments there are.
    pub const ARGUMENTS: usize = 3;

    fn to_arguments(self) -> [String; Self::ARGUMENTS] {
        [self.cpu.as_secs().max(1).to_string(), self.memory.to_string(), self.input_bytes.to_string()]
    }

    /// Parses the last arguments of such a process.
    pub fn from_arguments(arguments: &[String]) -> Option<Self> {
        let [cpu, memory, input_bytes] = arguments else { return None };
        Some(Self {
            cpu: Duration::from_secs(cpu.parse().ok()?),
            memory: memory.parse().ok()?,
            input_bytes: input_bytes.parse().ok()?,
        })
    }
}

/// The output of the process if it is an answer of at most `limit` bytes, otherwise its beginning.
async fn written(stdout: ChildStdout, limit: usize) -> io::Result<Vec<u8>> {
    let mut written = Vec::new();
    let most = u64::try_from(protocol::most(limit)).unwrap_or(u64::MAX);
    stdout.take(most).read_to_end(&mut written).await?;
    Ok(written)
}

/// The beginning of the process's error message.
async fn said(stderr: ChildStderr) -> String {
    let mut message = Vec::new();
    let mut rest = stderr.take(MESSAGE_BYTES);
    // If it could not be read, the message is incomplete, nothing worse.
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
    fn the_status_of_a_process_says_which_limit_it_hit() {
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
    fn a_child_gets_its_limits_as_arguments() {
        let limits = ChildLimits { cpu: Duration::from_secs(7), memory: 1 << 20, input_bytes: 9 };
        assert_eq!(ChildLimits::from_arguments(&limits.to_arguments()), Some(limits));
        assert_eq!(ChildLimits::from_arguments(&limits.to_arguments()[1..]), None);
    }
}
