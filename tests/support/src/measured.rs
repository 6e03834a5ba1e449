//! Measurements of this machine and of processes by the kernel, for benchmarks.

use std::time::Duration;

use anyhow::Context as _;

/// Clock ticks a second in `/proc`, on every Linux.
const TICKS: u64 = 100;

/// The machine in one line: how many processors of which kind, and the kernel.
pub fn machine() -> String {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{processors} processors, {}, Linux {}", model.map_or("unknown", |(_, model)| model), kernel.trim())
}

/// Processor time of a process so far: of all its threads, without the processes that it started.
pub fn processor_time(pid: u32) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may contain anything; what follows it is numbers.
    let (_, numbers) = stat.rsplit_once(')').context("no name in stat")?;
    let mut numbers = numbers.split_whitespace().skip(11);
    let mut ticks = || anyhow::Ok(numbers.next().context("stat is too short")?.parse::<u64>()?);
    let (user, system) = (ticks()?, ticks()?);
    Ok(Duration::from_millis((user + system) * 1_000 / TICKS))
}

/// A line of `/proc/PID/status`, in MiB: `VmRSS` is resident memory, `RssAnon` its part that is not in files, `VmHWM`
/// the peak.
pub fn memory(pid: u32, line: &str) -> anyhow::Result<f64> {
    Ok(f64::from(u32::try_from(memory_kib(pid, line)?)?) / 1024.0)
}

/// The same in KiB, the kernel's unit.
pub(crate) fn memory_kib(pid: u32, line: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    Ok(found.with_context(|| format!("no {line}"))?.trim().trim_end_matches(" kB").parse()?)
}
