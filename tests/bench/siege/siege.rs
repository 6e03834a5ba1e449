//! One siege: who takes part, and when it ends.

use std::time::{Duration, Instant};

use bg_test_support::{TestHost, processor_time};

use crate::attack::{Attack, Orders, Tallies};
use crate::findings::{Findings, Logged, Used};
use crate::operator::Operator;
use crate::polls::Polls;
use crate::stage::Stage;
use crate::watch::Watch;

/// Between two checks of the server.
const LOOK: Duration = Duration::from_millis(100);
/// Polls delayed by the siege may still end after it.
const AFTERMATH: Duration = Duration::from_secs(10);
/// The limit of a siege that ends once everything has happened: it measures nothing, and a slow machine is not a
/// failure.
const LONGEST: Duration = Duration::from_mins(3);

/// The size of a siege.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) charms: u32,
    pub(crate) spaces: u32,
    pub(crate) interval: Duration,
    pub(crate) addresses: u8,
    pub(crate) until: Until,
    /// In MiB, like the next.
    pub(crate) most_memory: f64,
    pub(crate) most_disk: f64,
}

/// When it ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// After this time.
    Over(Duration),
    /// Once every attack was answered and every charm was polled since it began.
    AllDone,
}

/// Starts a server, a service that polls its charms and an operator who looks at it; attacks it; ends all of them.
pub(crate) fn lay(stage: &Stage, plan: &Plan, attacks: &[Attack]) -> anyhow::Result<Findings> {
    let (mut server, address) = stage.serve()?;
    let mut service = stage.poll(address, plan.interval)?;
    let mut polls = Polls::default();
    // A successful poll shows that everything works before the siege.
    polls.read_until(&mut service, crate::stage::SOON, |polls| polls.successes() > 0)?;
    let mut operator = Operator::watch(stage, address)?;

    let orders = Orders {
        server: address,
        attacks: attacks.to_vec(),
        addresses: plan.addresses,
        targets: stage.targets.clone(),
        service_key: stage.service_key().to_owned(),
    };
    let orders = stage.write("orders.json", &serde_json::to_string(&orders)?)?;
    let host = TestHost::new(std::env::current_exe()?)?;
    let mut watch = Watch::begin(stage, &server)?;
    let processors = [processor_time(server.pid())?, processor_time(service.pid())?];
    stage.take_renewals();
    operator.begin();
    polls.begin();
    let mut attackers = host.spawn([std::ffi::OsStr::new("--attackers"), orders.as_os_str()])?;
    let (began, mut tallies, mut logged) = (Instant::now(), Tallies::default(), Logged::default());
    let over = match plan.until {
        Until::Over(time) => time,
        Until::AllDone => LONGEST,
    };
    let mut cut_short = None;
    while began.elapsed() < over && cut_short.is_none() {
        polls.read(&mut service, LOOK)?;
        while let Some(line) = attackers.next_line(Duration::ZERO) {
            tallies.read(&line.text);
        }
        while let Some(line) = server.next_line(Duration::ZERO) {
            logged.take(&line.text);
        }
        cut_short = watch.look(stage, &mut server, plan);
        if !attackers.is_running() {
            let ended = attackers.wait_for_exit(crate::stage::SOON)?;
            anyhow::bail!("the attackers have ended: {ended}");
        }
        let all_done = tallies.all_happened(attacks) && polls.different() == plan.charms as usize;
        if matches!(plan.until, Until::AllDone) && all_done && operator.has_seen_all() {
            break;
        }
    }
    let lasted = began.elapsed();
    let used = Used {
        server: processor_time(server.pid()).unwrap_or_default().saturating_sub(processors[0]),
        service: processor_time(service.pid())?.saturating_sub(processors[1]),
        attackers: processor_time(attackers.pid())?,
    };
    attackers.kill()?;
    polls.end();
    let pages = operator.end(stage)?;
    let in_time = if matches!(plan.until, Until::AllDone) || cut_short.is_some() { LOOK } else { AFTERMATH };
    polls.read(&mut service, in_time)?;
    watch.look(stage, &mut server, plan);
    let findings = Findings {
        plan: plan.clone(),
        attacks: attacks.to_vec(),
        lasted,
        cut_short: cut_short.clone(),
        used,
        tallies,
        polls,
        pages,
        watch,
        logged,
        renewals: stage.take_renewals(),
    };
    if cut_short.is_some() {
        // It may harm the machine, so it gets no time to shut down.
        server.kill()?;
        service.kill()?;
    } else {
        service.terminate()?.success()?;
        // Requests in progress, such as endless loops, get time to drain.
        server.terminate()?;
    }
    Ok(findings)
}
