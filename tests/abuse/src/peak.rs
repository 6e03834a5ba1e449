//! The most memory that a process had at once.

use std::fs;

/// Starts counting anew for this process. Where that is not possible, the peak is that of its whole life.
pub(crate) fn reset() {
    // "5" resets the peak, see proc_pid_clear_refs(5). What is not allowed to is only less exact.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The peak of a process, KiB; none if it is gone.
pub(crate) fn of(process: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}
