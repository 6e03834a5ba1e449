//! The service's log of its polls.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bg_test_support::Running;
use serde_json::Value;

/// A poll that has ended.
pub(crate) struct Poll {
    charm: String,
    at: Instant,
    pub(crate) late_ms: f64,
    pub(crate) outcome: String,
}

/// All polls, and those of the siege among them.
#[derive(Default)]
pub(crate) struct Polls {
    all: Vec<Poll>,
    totals: Value,
    before: Value,
    first: usize,
    began: Option<Instant>,
    ended: Option<Instant>,
}

impl Polls {
    /// Reads the service's log for that long.
    pub(crate) fn read(&mut self, service: &mut Running, time: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + time;
        while let Some(line) = service.next_line(until.saturating_duration_since(Instant::now())) {
            self.take(&line.text)?;
        }
        anyhow::ensure!(service.is_running(), "the service has ended: {:?}", service.lines().last());
        Ok(())
    }

    /// Reads until something holds.
    pub(crate) fn read_until(
        &mut self,
        service: &mut Running,
        time: Duration,
        holds: impl Fn(&Self) -> bool,
    ) -> anyhow::Result<()> {
        let until = Instant::now() + time;
        while !holds(self) {
            let line = service.next_line(until.saturating_duration_since(Instant::now()));
            self.take(&line.with_context(|| format!("not in {time:?}: {:?}", service.lines().last()))?.text)?;
        }
        Ok(())
    }

    fn take(&mut self, line: &str) -> anyhow::Result<()> {
        // Some lines are for people.
        let Ok(said) = serde_json::from_str::<Value>(line) else { return Ok(()) };
        if said["target"] == "poller::totals" {
            self.totals = said;
        } else if said["target"] == "poller" && said["late_ms"].is_number() {
            let text = |name: &str| {
                anyhow::Ok(said[name].as_str().with_context(|| format!("no {name} in {line}"))?.to_owned())
            };
            let (charm, outcome) = (text("charm_id")?, text("outcome")?);
            let late_ms = said["late_ms"].as_f64().unwrap_or_default();
            self.all.push(Poll { charm, at: Instant::now(), late_ms, outcome });
        }
        Ok(())
    }

    /// The siege begins.
    pub(crate) fn begin(&mut self) {
        self.first = self.all.len();
        self.before = self.totals.clone();
        self.began = Some(Instant::now());
    }

    /// The siege is over.
    pub(crate) fn end(&mut self) {
        self.ended = Some(Instant::now());
    }

    pub(crate) fn successes(&self) -> usize {
        self.all.iter().filter(|poll| poll.outcome == "Success").count()
    }

    /// How many charms were polled successfully since the siege began.
    pub(crate) fn different(&self) -> usize {
        let good = self.all[self.first..].iter().filter(|poll| poll.outcome == "Success");
        good.map(|poll| &poll.charm).collect::<HashSet<_>>().len()
    }

    /// The polls that ended since the siege began, in it or soon after.
    pub(crate) fn since(&self) -> &[Poll] {
        &self.all[self.first..]
    }

    /// The polls that ended during the siege.
    pub(crate) fn within(&self) -> impl Iterator<Item = &Poll> {
        let ended = self.ended;
        self.since().iter().filter(move |poll| ended.is_none_or(|ended| poll.at <= ended))
    }

    /// The polls of the siege, by their outcome.
    pub(crate) fn outcomes(&self) -> BTreeMap<&str, usize> {
        let mut outcomes = BTreeMap::new();
        for poll in self.within() {
            *outcomes.entry(poll.outcome.as_str()).or_default() += 1;
        }
        outcomes
    }

    /// The longest time of the siege without a successful poll.
    pub(crate) fn longest_pause(&self) -> Duration {
        let good = self.within().filter(|poll| poll.outcome == "Success").map(|poll| poll.at);
        let times: Vec<Instant> = self.began.into_iter().chain(good).chain(self.ended).collect();
        times.windows(2).map(|pair| pair[1].saturating_duration_since(pair[0])).max().unwrap_or_default()
    }

    /// How far behind each charm was, in ms: by how much more than an interval it waited from one success to the next,
    /// or until the end. Unlike the service's own lateness, this includes the time in which the server did not answer.
    pub(crate) fn behind(&self, interval: Duration, charms: usize) -> Vec<f64> {
        let (Some(began), Some(ended)) = (self.began, self.ended) else { return Vec::new() };
        let over = |from: Instant, to: Instant| {
            to.saturating_duration_since(from).saturating_sub(interval).as_secs_f64() * 1_000.0
        };
        let (mut last, mut behind) = (HashMap::new(), Vec::new());
        for poll in self.within().filter(|poll| poll.outcome == "Success") {
            let before = last.insert(&poll.charm, poll.at).unwrap_or(began);
            behind.push(over(before, poll.at));
        }
        let never = std::iter::repeat_n(began, charms.saturating_sub(last.len()));
        let waiting = last.into_values().chain(never).map(|from| over(from, ended));
        behind.extend(waiting.filter(|over| *over > 0.0));
        behind
    }

    /// Polls that the service dropped in favour of newer ones of the same charm, since the siege began.
    pub(crate) fn dropped(&self) -> f64 {
        let of = |totals: &Value| totals["dropped"].as_f64().unwrap_or_default();
        of(&self.totals) - of(&self.before)
    }
}
