//! The server's use of the machine, and the end of a siege that uses too much.

use std::time::{Duration, Instant};

use bg_test_support::{Running, memory};

use crate::siege::Plan;
use crate::stage::Stage;

/// How many samples are shown.
const SHOWN: usize = 10;

/// The server's memory and disk use over time.
pub(crate) struct Watch {
    began: Instant,
    disk_before: f64,
    samples: Vec<Sample>,
    /// The peak memory so far, in MiB: it is lost when the process ends.
    pub(crate) peak: f64,
}

/// One measurement, in MiB.
#[derive(Clone, Copy)]
struct Sample {
    at: Duration,
    resident: f64,
    grown: f64,
}

impl Watch {
    /// Starts; if the machine runs out of memory, the kernel kills this server first.
    pub(crate) fn begin(stage: &Stage, server: &Running) -> anyhow::Result<Self> {
        std::fs::write(format!("/proc/{}/oom_score_adj", server.pid()), "1000")?;
        Ok(Self { began: Instant::now(), disk_before: stage.disk(), samples: Vec::new(), peak: 0.0 })
    }

    /// Takes a sample. Returns why the siege must end, if it must.
    pub(crate) fn look(&mut self, stage: &Stage, server: &mut Running, plan: &Plan) -> Option<String> {
        let at = self.began.elapsed();
        let (Ok(resident), Ok(peak)) = (memory(server.pid(), "VmRSS"), memory(server.pid(), "VmHWM")) else {
            return Some(format!("the server ended after {:.0} s", at.as_secs_f64()));
        };
        let grown = stage.disk() - self.disk_before;
        self.peak = self.peak.max(peak);
        self.samples.push(Sample { at, resident, grown });
        let over = |what: &str, is: f64, most: f64| {
            (is > most).then(|| format!("{what} was over {most:.0} MiB after {:.0} s", at.as_secs_f64()))
        };
        over("the server's memory", resident, plan.most_memory)
            .or_else(|| over("what it keeps on disk", grown, plan.most_disk))
    }

    /// By how much the data directory has grown, MiB.
    pub(crate) fn grown(&self) -> f64 {
        self.samples.last().map_or(0.0, |sample| sample.grown)
    }

    /// Some samples: seconds since the start, resident memory, growth of the disk.
    pub(crate) fn over_time(&self) -> Vec<(u64, f64, f64)> {
        let step = self.samples.len().div_ceil(SHOWN).max(1);
        let shown = self.samples.iter().skip(step - 1).step_by(step);
        shown.map(|sample| (sample.at.as_secs(), sample.resident, sample.grown)).collect()
    }
}
