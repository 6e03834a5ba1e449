//! The results of a siege.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::attack::{Attack, Tallies};
use crate::operator::Page;
use crate::polls::Polls;
use crate::report::Report;
use crate::siege::Plan;
use crate::watch::Watch;

/// The goals.
const LATENESS_MS: f64 = 1_000.0;
const PAGE_MS: f64 = 100.0;
const PEAK_MIB: f64 = 512.0;

/// The shown quantiles.
const SHARES: [(&str, f64); 3] = [("median", 0.5), ("p99", 0.99), ("longest", 1.0)];

/// Processor time of each process.
pub(crate) struct Used {
    pub(crate) server: Duration,
    pub(crate) service: Duration,
    pub(crate) attackers: Duration,
}

/// What the server logged.
#[derive(Default)]
pub(crate) struct Logged {
    lines: usize,
    bytes: usize,
    panics: Vec<String>,
}

impl Logged {
    /// Adds a line.
    pub(crate) fn take(&mut self, line: &str) {
        self.lines += 1;
        self.bytes += line.len() + 1;
        if line.contains("panicked") {
            self.panics.push(line.to_owned());
        }
    }
}

/// All results.
pub(crate) struct Findings {
    pub(crate) plan: Plan,
    pub(crate) attacks: Vec<Attack>,
    pub(crate) lasted: Duration,
    pub(crate) cut_short: Option<String>,
    pub(crate) used: Used,
    pub(crate) tallies: Tallies,
    pub(crate) polls: Polls,
    pub(crate) pages: Vec<Page>,
    pub(crate) watch: Watch,
    pub(crate) logged: Logged,
    pub(crate) renewals: usize,
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52 of anything")]
fn number(count: usize) -> f64 {
    count as f64
}

/// The quantile of the values; `None` without values.
fn quantile(values: &mut [f64], share: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length is a place")]
    let place = (number(values.len().checked_sub(1)?) * share).ceil() as usize;
    Some(values[place])
}

impl Findings {
    fn due(&self) -> f64 {
        f64::from(self.plan.charms) * self.lasted.as_secs_f64() / self.plan.interval.as_secs_f64()
    }

    fn behind(&self) -> Vec<f64> {
        self.polls.behind(self.plan.interval, self.plan.charms as usize)
    }

    /// How late each poll was, in ms, by the service's own measure.
    fn lateness(&self) -> Vec<f64> {
        self.polls.since().iter().map(|poll| poll.late_ms).collect()
    }

    /// How long the delivered pages took, in ms; an undelivered one counts as longer than all.
    fn page_times(&self, name: Option<&str>) -> Vec<f64> {
        let asked = self.pages.iter().filter(|page| name.is_none_or(|name| page.name == name));
        let time =
            |page: &Page| if page.status == Some(200) { page.took.as_secs_f64() * 1_000.0 } else { f64::INFINITY };
        asked.map(time).collect()
    }

    /// Adds all results to a report, and prints whether the goals were met.
    pub(crate) fn report(&self, name: &str, report: &mut Report) {
        let mut add = |what: &str, unit, value: f64| report.add(what, unit, vec![value], None);
        add(&format!("{name}: lasted"), "s", self.lasted.as_secs_f64());
        if let Some(why) = &self.cut_short {
            eprintln!("  CUT SHORT: {why}");
        }
        add("  polls done", "", number(self.polls.within().count()));
        add("    of those due by the clock", "%", number(self.polls.within().count()) / self.due() * 100.0);
        for (outcome, count) in self.polls.outcomes() {
            add(&format!("    {outcome}"), "", number(count));
        }
        add("    dropped", "", self.polls.dropped());
        add("    longest time without a success", "s", self.polls.longest_pause().as_secs_f64());
        for (what, mut values) in [("lateness", self.lateness()), ("behind the clock", self.behind())] {
            for (name, share) in SHARES {
                if let Some(value) = quantile(&mut values, share) {
                    add(&format!("  {what}, {name}"), "ms", value);
                }
            }
        }
        for page in [None, Some("list"), Some("charm"), Some("metrics")] {
            let mut times = self.page_times(page);
            let came = times.iter().filter(|time| time.is_finite()).count();
            add(&format!("  operator, {}: asked for", page.unwrap_or("all pages")), "", number(times.len()));
            add("    came", "", number(came));
            for (what, share) in SHARES {
                if let Some(value) = quantile(&mut times, share) {
                    add(&format!("    {what}"), "ms", value);
                }
            }
        }
        add("  server, VmHWM", "MiB", self.watch.peak);
        for (at, resident, grown) in self.watch.over_time() {
            add(&format!("    VmRSS after {at} s"), "MiB", resident);
            add("      the data directory has grown by", "MiB", grown);
        }
        add("  data directory has grown by", "MiB", self.watch.grown());
        add("  server, lines logged", "", number(self.logged.lines));
        add("    of", "MiB", number(self.logged.bytes) / 1024.0 / 1024.0);
        let lasted = self.lasted.as_secs_f64();
        add("  server, processors used", "", self.used.server.as_secs_f64() / lasted);
        add("  service, processors used", "", self.used.service.as_secs_f64() / lasted);
        add("  attackers, processors used", "", self.used.attackers.as_secs_f64() / lasted);
        for attack in &self.attacks {
            for (answer, count) in self.tallies.answers(*attack) {
                add(&format!("  {}: {answer}", attack.name()), "", count);
            }
        }
        add("  tokens renewed at their service", "", number(self.renewals));
        for (goal, met) in self.goals() {
            println!("  {} {goal}", if met { "MET   " } else { "MISSED" });
        }
    }

    fn goals(&self) -> Vec<(String, bool)> {
        let p99 = |mut values: Vec<f64>| quantile(&mut values, 0.99);
        let (late, behind, page) = (p99(self.lateness()), p99(self.behind()), p99(self.page_times(None)));
        let peak = self.watch.peak;
        let breaches: BTreeMap<_, _> = self.tallies.breaches();
        let shown = |value: Option<f64>| value.map_or("none".to_owned(), |value| format!("{value:.0}"));
        vec![
            (format!("no poll dropped: {}", self.polls.dropped()), self.polls.dropped() == 0.0),
            (
                format!("no poll failed: {:?}", self.polls.outcomes()),
                self.polls.outcomes().keys().all(|kind| *kind == "Success"),
            ),
            (
                format!("p99 of lateness under {LATENESS_MS} ms: {}", shown(late)),
                late.is_some_and(|late| late < LATENESS_MS),
            ),
            (
                format!("p99 of the time behind the clock under {LATENESS_MS} ms: {}", shown(behind)),
                behind.is_some_and(|behind| behind < LATENESS_MS),
            ),
            (
                format!("operator's pages under {PAGE_MS} ms at p99: {}", shown(page)),
                page.is_some_and(|page| page < PAGE_MS),
            ),
            (format!("VmHWM under {PEAK_MIB} MiB: {peak:.0}"), peak < PEAK_MIB),
            (format!("nothing done that should be refused: {breaches:?}"), breaches.is_empty()),
            (format!("no panic: {:?}", self.logged.panics), self.logged.panics.is_empty()),
            (format!("lasted to its end: {}", self.cut_short.as_deref().unwrap_or("yes")), self.cut_short.is_none()),
        ]
    }

    /// Fails unless every attack happened and was answered, nothing succeeded that should be refused, every charm was
    /// polled, and every page was seen.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.cut_short.is_none(), "{:?}", self.cut_short);
        for attack in &self.attacks {
            let happened = self.tallies.all_happened(&[*attack]);
            anyhow::ensure!(happened, "{attack:?} had no answer: {:?}", self.tallies.answers(*attack));
        }
        let breaches = self.tallies.breaches();
        anyhow::ensure!(breaches.is_empty(), "this was done, and should have been refused: {breaches:?}");
        anyhow::ensure!(self.logged.panics.is_empty(), "{:?}", self.logged.panics);
        let polled = self.polls.different();
        anyhow::ensure!(polled == self.plan.charms as usize, "{polled} of {} charms were polled", self.plan.charms);
        anyhow::ensure!(self.page_times(None).iter().any(|time| time.is_finite()), "the operator saw no page");
        Ok(())
    }
}
