//! Resource use of this process, from Linux's `/proc` (see proc(5)), by the names that Prometheus's own clients use.

use std::fs;
use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::{Atomic, Counter};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// Ticks per second in `/proc/self/stat`: `USER_HZ`, the same in every kernel for 64-bit x86 and ARM.
const TICKS: f64 = 100.0;

/// Adds what can be read to a registry for the prefix `process`; nothing without `/proc`.
pub(super) fn register(registry: &mut Registry) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(kib) = value(&status, "VmRSS:") {
        let resident = Gauge::<u64, AtomicU64>::default();
        resident.set(kib * 1024);
        registry.register_with_unit("resident_memory", "Memory that is in use", Unit::Bytes, resident);
    }
    if let Some(seconds) = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| cpu(&stat)) {
        let used = Counter::<f64, AtomicU64>::default();
        used.inner().inc_by(seconds);
        registry.register_with_unit("cpu", "Processor time that was used", Unit::Seconds, used);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        let open = Gauge::<u64, AtomicU64>::default();
        open.set(files.count() as u64);
        registry.register("open_fds", "Files and sockets that are open", open);
    }
}

/// The number behind a name.
fn value(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time, fields 14 and 15. The second field is the program's name in brackets, which may contain
/// anything.
fn cpu(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(|field| field.parse::<u32>().ok());
    Some((f64::from(times.next()??) + f64::from(times.next()??)) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_any_name_of_the_program() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 9 0 1 1 1";
        assert_eq!(cpu(stat), Some(3.0));
        assert_eq!(cpu("7 (x"), None);
        assert_eq!(value("VmPeak:\t  9 kB\nVmRSS:\t  1234 kB\n", "VmRSS:"), Some(1234));
    }
}
