//! The peak memory of a process.

use std::fs;

/// Resets the peak of this process. If that is not possible, the peak is that of its whole life.
pub(crate) fn reset() {
    // "5" resets the peak, see proc_pid_clear_refs(5). If it is not permitted, the figure is only less exact.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The peak of a process, in KiB; `None` if it has ended.
pub(crate) fn of(process: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}
