//! The server under siege: every attack that a stranger or a tenant can make, all at once, next to a service that polls
//! healthy charms over its API and an operator who views the admin page. BENCHMARKS.md says what it measures; `cargo
//! bench --bench siege -- --help` lists its options.
//!
//! As a test (`cargo test --bench siege`), it ends once every attack was answered and every charm was polled
//! nevertheless.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what it measures is its output")]

mod attack;
mod findings;
mod operator;
mod polls;
#[path = "../report.rs"]
#[allow(dead_code, reason = "shared with the other benchmarks, which have times to report")]
mod report;
mod siege;
mod stage;
mod watch;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use attack::Attack;
use clap::{Parser, ValueEnum as _};
use report::Report;
use siege::{Plan, Until};

/// The command-line options.
#[derive(Debug, Parser)]
struct Args {
    /// The attacks; all by default
    #[arg(long, value_delimiter = ',')]
    attacks: Vec<Attack>,
    /// Run each attack alone, one after the other, instead of all at once
    #[arg(long)]
    each: bool,
    /// How long each siege lasts
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// How many healthy charms are polled
    #[arg(long, default_value_t = 1_000)]
    charms: u32,
    /// In how many spaces
    #[arg(long, default_value_t = 100)]
    spaces: u32,
    /// From one poll of a charm to its next, seconds
    #[arg(long, default_value_t = 60)]
    interval: u64,
    /// From how many addresses each attack comes
    #[arg(long, default_value_t = 1)]
    addresses: u8,
    /// End the siege early if the server uses this much memory, MiB
    #[arg(long, default_value_t = 4_096)]
    most_memory: u32,
    /// End the siege early if the data directory has grown by this much, MiB
    #[arg(long, default_value_t = 4_096)]
    most_disk: u32,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
    /// The attackers' own process, with its orders
    #[arg(long, hide = true)]
    attackers: Option<PathBuf>,
}

impl Args {
    fn plan(&self) -> Plan {
        Plan {
            charms: self.charms,
            spaces: self.spaces.min(self.charms).max(1),
            interval: Duration::from_secs(self.interval),
            addresses: self.addresses,
            until: Until::Over(Duration::from_secs_f64(self.minutes * 60.0)),
            most_memory: f64::from(self.most_memory),
            most_disk: f64::from(self.most_disk),
        }
    }
}

fn main() -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let is_ours = |word: &OsString| {
        let word = word.to_string_lossy();
        ["--bench", "--attackers", "--minutes", "--attacks", "--help"].iter().any(|ours| word.starts_with(ours))
    };
    if !words.iter().any(is_ours) {
        return as_test(&words);
    }
    let args = Args::parse();
    if let Some(orders) = &args.attackers {
        return attack::main(orders);
    }
    let attacks = if args.attacks.is_empty() { Attack::value_variants() } else { &args.attacks };
    let at_once = if args.each { 1 } else { attacks.len() };
    let stage = stage::Stage::build(&args.plan())?;
    let mut report = Report::new(args.json);
    for attacks in attacks.chunks(at_once) {
        let names: Vec<String> = attacks.iter().map(|attack| attack.name()).collect();
        let is_all = attacks.len() == Attack::value_variants().len();
        let name = if is_all { "all at once".to_owned() } else { format!("{} alone", names.join(" and ")) };
        siege::lay(&stage, &args.plan(), attacks)?.report(&name, &mut report);
    }
    report.end();
    Ok(())
}

/// Runs as `cargo test` does, with the arguments for test harnesses: filters, one of which must match this test's name,
/// or a request to list tests.
fn as_test(words: &[OsString]) -> anyhow::Result<()> {
    const NAME: &str = "siege::every_attack_is_answered_and_charms_are_polled_meanwhile";
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    if words.iter().any(|word| word == "--list") {
        println!("{NAME}: test");
        return Ok(());
    }
    let mut names = words.iter().filter(|word| !word.starts_with('-')).peekable();
    if words.iter().any(|word| word == "--ignored")
        || names.peek().is_some() && !names.any(|name| NAME.contains(&**name))
    {
        return Ok(());
    }
    let plan = Plan {
        charms: 30,
        spaces: 10,
        interval: Duration::from_secs(2),
        addresses: 1,
        until: Until::AllDone,
        most_memory: 4_096.0,
        most_disk: 1_024.0,
    };
    let stage = stage::Stage::build(&plan)?;
    let attempt = bg_abuse::Attempt::begin("siege", "eleven attacks at once, until each was answered");
    let findings = siege::lay(&stage, &plan, Attack::value_variants())?;
    findings.report("all at once", &mut Report::new(false));
    findings.check()?;
    attempt.ended("every charm polled, nothing done that should be refused");
    Ok(())
}
