//! What a process has used, as the kernel counts it.

use std::time::Duration;

use anyhow::Context as _;

/// Clock ticks a second in `/proc`, on every Linux.
const TICKS: u64 = 100;

/// Processor time of a process so far, that of its threads together.
pub(crate) fn processor_time(pid: u32) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may contain anything; what follows it is numbers.
    let (_, numbers) = stat.rsplit_once(')').context("no name in stat")?;
    let mut numbers = numbers.split_whitespace().skip(11);
    let mut ticks = || anyhow::Ok(numbers.next().context("stat is too short")?.parse::<u64>()?);
    let (user, system) = (ticks()?, ticks()?);
    Ok(Duration::from_millis((user + system) * 1_000 / TICKS))
}

/// A line of `/proc/PID/status`, in MiB: `VmRSS` is what is resident, `RssAnon` as far as it is in no file, `VmHWM` the most so far.
pub(crate) fn memory(pid: u32, line: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let kib: u32 = found.with_context(|| format!("no {line}"))?.trim().trim_end_matches(" kB").parse()?;
    Ok(f64::from(kib) / 1024.0)
}
