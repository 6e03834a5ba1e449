//! A harness around the real binary.

mod output;
mod running;

use std::ffi::{OsStr, OsString};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use tempfile::TempDir;

pub use output::{Line, Output};
pub use running::Running;

/// How long a command may take before [`TestHost::command`] kills it: long enough for a first compilation on a slow
/// machine.
const COMMAND_TIMEOUT: Duration = Duration::from_mins(2);

/// The binary under test, with a separate folder and environment.
///
/// Commands run in a temporary folder, which is also their `HOME` and contains their data directory. Of the caller's
/// environment they only get `PATH`, and `RUST_BACKTRACE` and `LLVM_PROFILE_FILE` if set. Everything is removed when
/// this is dropped.
#[derive(Debug)]
pub struct TestHost {
    binary: PathBuf,
    dir: TempDir,
    env: Vec<(OsString, OsString)>,
    prefix: Vec<OsString>,
    timeout: Duration,
}

impl TestHost {
    /// A harness around `binary`, `env!("CARGO_BIN_EXE_bg-wasm-host")` in a test of that crate.
    pub fn new(binary: impl Into<PathBuf>) -> anyhow::Result<Self> {
        let binary = binary.into();
        ensure!(binary.is_file(), "there is no binary {}", binary.display());
        let dir = tempfile::Builder::new().prefix("bg-wasm-host-test-").tempdir()?;
        std::fs::create_dir(dir.path().join("tmp"))?;
        DirBuilder::new().mode(0o700).create(dir.path().join("data"))?;
        Ok(Self { binary, dir, env: Vec::new(), prefix: Vec::new(), timeout: COMMAND_TIMEOUT })
    }

    /// Sets a variable for every command from now on.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Puts this before every command from now on: a program that executes another one.
    #[must_use]
    pub fn prefix(mut self, prefix: impl IntoIterator<Item = OsString>) -> Self {
        self.prefix = prefix.into_iter().collect();
        self
    }

    /// How long [`command`](Self::command) waits; two minutes by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The folder in which commands run.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The commands' data directory (`BG_WASM_HOST_DATA`).
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Writes a file into the folder, and returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> anyhow::Result<PathBuf> {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Runs a command to its end, without input, and returns its status and output, also of a failure. If it takes too
    /// long, an error with the output so far.
    pub fn command<I, S>(&self, args: I) -> anyhow::Result<Finished>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.spawn(args)?.wait_for_exit(self.timeout)
    }

    /// The same with that text on its standard input.
    pub fn command_with_input<I, S>(&self, args: I, input: &str) -> anyhow::Result<Finished>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut running = self.spawn_with(args, Stdio::piped())?;
        running.type_text(input)?;
        running.end_input();
        running.wait_for_exit(self.timeout)
    }

    /// Starts a command that keeps running, without input.
    pub fn spawn<I, S>(&self, args: I) -> anyhow::Result<Running>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.spawn_with(args, Stdio::null())
    }

    /// Starts a command that reads what [`Running::type_text`] writes.
    pub fn spawn_reading<I, S>(&self, args: I) -> anyhow::Result<Running>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.spawn_with(args, Stdio::piped())
    }

    fn spawn_with<I, S>(&self, args: I, input: Stdio) -> anyhow::Result<Running>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut words = self.prefix.iter().map(OsString::as_os_str).chain([self.binary.as_os_str()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command
            .args(words)
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.dir.path())
            .env("TMPDIR", self.dir.path().join("tmp"))
            .env("BG_WASM_HOST_DATA", self.data_dir())
            .stdin(input);
        for name in ["PATH", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        Running::start(command)
    }
}

/// A command that has ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The command line, for messages.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Finished {
    /// Itself if its status is 0; otherwise an error that shows everything.
    pub fn success(self) -> anyhow::Result<Self> {
        ensure!(self.status.success(), "this should have succeeded: {self}");
        Ok(self)
    }

    /// Itself if it failed by itself: with a status other than 0, and no signal; otherwise an error that shows
    /// everything.
    pub fn failure(self) -> anyhow::Result<Self> {
        ensure!(self.status.code().is_some_and(|code| code != 0), "this should have failed: {self}");
        Ok(self)
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { command, status, stdout, stderr } = self;
        write!(f, "{command}\n{status}\n--- stdout ---\n{stdout}\n--- stderr ---\n{stderr}\n---")
    }
}
