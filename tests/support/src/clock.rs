//! A wall clock that a test can set, for the processes it starts.

use std::ffi::OsString;
use std::path::Path;

use crate::preload::Preload;

/// Adds the number, as seconds, to the wall clock's answer.
const SOURCE: &str = r"
int clock_gettime(clockid_t clock, struct timespec *time) {
    int failed = (int) syscall(SYS_clock_gettime, clock, time);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += *number;
    return failed;
}
";

/// The wall clock of processes that are started with [`env`](Self::env). Their monotonic clock is the system's.
#[derive(Debug)]
pub struct SteppedClock(Preload);

impl SteppedClock {
    /// A clock that is right so far; its files are in `folder`. Without a C compiler, the reason.
    pub fn new(folder: &Path) -> Result<Self, String> {
        Preload::new(folder, "clock", SOURCE).map(Self)
    }

    /// The variables of a process that uses this clock.
    pub fn env(&self) -> [(&'static str, OsString); 2] {
        self.0.env()
    }

    /// Sets it to that many seconds after (or, if negative, before) the system's clock, at once, for all its processes.
    pub fn set(&self, seconds: i64) -> anyhow::Result<()> {
        self.0.set(seconds)
    }
}
