//! A process that keeps running.

use std::io::Write as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::output::Lines;
use super::{Finished, Line, Output};
use crate::measured::memory_kib;

/// How long a process may take to end after SIGTERM. The service drains for 10 s at most.
const TERMINATE_TIMEOUT: Duration = Duration::from_secs(30);

/// How often an ending process is checked: Rust's standard library has no wait with a time limit.
const LOOK: Duration = Duration::from_millis(10);

/// How long to keep reading after a process has ended: one of its children may hold its outputs open forever.
const REST: Duration = Duration::from_secs(2);

/// A running process; killed when dropped.
#[derive(Debug)]
pub struct Running {
    command: String,
    child: Child,
    lines: Arc<Lines>,
}

impl Running {
    pub(super) fn start(mut command: Command) -> anyhow::Result<Self> {
        let shown = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|part| part.to_string_lossy().into_owned())
            .collect::<Vec<_>>()
            .join(" ");
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {shown}"))?;
        let lines = Arc::new(Lines::default());
        lines.read(Output::Stdout, child.stdout.take().context("standard output is not piped")?);
        lines.read(Output::Stderr, child.stderr.take().context("standard error is not piped")?);
        Ok(Self { command: shown, child, lines })
    }

    /// Its process ID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes to its standard input, if that is not empty from the start.
    pub fn type_text(&mut self, text: &str) -> anyhow::Result<()> {
        let input = self.child.stdin.as_mut().context("it has no input")?;
        input.write_all(text.as_bytes()).and_then(|()| input.flush()).context("it does not read its input")
    }

    /// Ends its standard input.
    pub fn end_input(&mut self) {
        self.child.stdin = None;
    }

    /// The peak of its memory so far, in KiB. `None` once it has ended.
    pub fn peak_kib(&self) -> Option<u64> {
        memory_kib(self.pid(), "VmHWM").ok()
    }

    /// The next line of either output that was not yet taken by this or by [`wait_for_line`](Self::wait_for_line);
    /// `None` once the process has closed both, or after `timeout`.
    pub fn next_line(&mut self, timeout: Duration) -> Option<Line> {
        self.lines.next(Instant::now() + timeout)
    }

    /// Takes lines until one matches, and returns its text. If none does within `timeout` or before the process closes
    /// its outputs, an error with everything written so far.
    pub fn wait_for_line(&mut self, fits: impl Fn(&str) -> bool, timeout: Duration) -> anyhow::Result<String> {
        let deadline = Instant::now() + timeout;
        while let Some(line) = self.lines.next(deadline) {
            if fits(&line.text) {
                return Ok(line.text);
            }
        }
        let why =
            if Instant::now() < deadline { "it has closed its outputs".to_owned() } else { format!("in {timeout:?}") };
        bail!("no line as awaited ({why})\n{}", self.shown())
    }

    /// All lines so far, taken or not.
    pub fn lines(&self) -> Vec<Line> {
        self.lines.all()
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end. After `timeout` it is killed, and that is an error with everything written so far.
    pub fn wait_for_exit(mut self, timeout: Duration) -> anyhow::Result<Finished> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(self.finished(status));
            }
            if Instant::now() >= deadline {
                self.end();
                bail!("not done after {timeout:?}\n{}", self.shown());
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Sends SIGTERM and waits for the end. If that takes longer than 30 s, kills it and returns an error.
    pub fn terminate(self) -> anyhow::Result<Finished> {
        self.signal(Signal::TERM)?;
        self.wait_for_exit(TERMINATE_TIMEOUT)
    }

    /// Stops it (SIGSTOP) until [`go_on`](Self::go_on).
    pub fn stop(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it continue (SIGCONT).
    pub fn go_on(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Makes it reload its configuration (SIGHUP).
    pub fn hang_up(&self) -> anyhow::Result<()> {
        self.signal(Signal::HUP)
    }

    /// The same as [`terminate`](Self::terminate) with SIGINT, as Ctrl-C sends it.
    pub fn interrupt(self) -> anyhow::Result<Finished> {
        self.signal(Signal::INT)?;
        self.wait_for_exit(TERMINATE_TIMEOUT)
    }

    /// Kills it (SIGKILL).
    pub fn kill(mut self) -> anyhow::Result<Finished> {
        self.child.kill().with_context(|| format!("cannot kill {}", self.command))?;
        let status = self.child.wait()?;
        Ok(self.finished(status))
    }

    /// The child is not yet waited for, so its process ID is still its own.
    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("a process ID out of range")?;
        kill_process(pid, signal).with_context(|| format!("cannot signal {}\n{}", self.command, self.shown()))
    }

    fn finished(&self, status: ExitStatus) -> Finished {
        self.lines.wait_for_end(Instant::now() + REST);
        Finished {
            command: self.command.clone(),
            status,
            stdout: self.lines.text(Output::Stdout),
            stderr: self.lines.text(Output::Stderr),
        }
    }

    fn end(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn shown(&self) -> String {
        let (stdout, stderr) = (self.lines.text(Output::Stdout), self.lines.text(Output::Stderr));
        format!("{}\n--- stdout ---\n{stdout}\n--- stderr ---\n{stderr}\n---", self.command)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
