//! The cost of polls, next to the original's: of one charm, and of as many as the service is built for. `cargo bench
//! --bench poll -- --help` lists what can be measured; BENCHMARKS.md says what limits each figure.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what it measures is its output, and what it does first takes minutes"
)]

mod charms;
mod database;
#[path = "../guest.rs"]
#[allow(clippy::unwrap_used, reason = "shared with the tests")]
mod guest;
mod page;
mod poll;
mod report;
mod scenes;
mod service;

use std::time::Duration;

use clap::{Parser, ValueEnum};
use report::Report;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scene {
    /// One charm.
    Poll,
    /// Memory with a few spaces, and the time to the first poll.
    Service,
    /// Polls in steady state.
    Steady,
    /// The same, each charm validated by gmail.wasm.
    Validated,
    /// A restart with all registrations.
    Restart,
    /// The admin page, while all charms are polled.
    Page,
    /// Healthy spaces next to a slow one and a failing integration.
    Fairness,
}

#[derive(Debug, Parser)]
struct Args {
    /// What to measure: everything by default
    scenes: Vec<Scene>,
    /// How many charms are registered
    #[arg(long, default_value = "100000", value_delimiter = ',')]
    charms: Vec<u32>,
    /// In how many spaces
    #[arg(long, default_value_t = 1_000)]
    spaces: u32,
    /// How long polls are counted, after all charms were polled once
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut report = Report::new(args.json);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let bench = runtime.block_on(charms::Bench::start())?;
    let scenes = if args.scenes.is_empty() { Scene::value_variants() } else { &args.scenes };
    if scenes.contains(&Scene::Poll) {
        runtime.block_on(poll::measure(&bench, &mut report))?;
    }
    if scenes.contains(&Scene::Service) {
        runtime.block_on(service::measure(&bench, &mut report))?;
    }
    for charms in &args.charms {
        let size = database::Size { charms: *charms, spaces: args.spaces.min(*charms) };
        if scenes.iter().all(|scene| matches!(scene, Scene::Poll | Scene::Service)) {
            break;
        }
        let filled = runtime.block_on(database::filled(&bench, size))?;
        for scene in scenes {
            let steady = Duration::from_secs(args.seconds);
            match scene {
                Scene::Steady => scenes::steady(&bench, &filled, false, steady, &mut report)?,
                Scene::Validated => scenes::steady(&bench, &filled, true, steady, &mut report)?,
                Scene::Page => page::measure(&filled, &mut report)?,
                Scene::Restart => scenes::restart(&filled, &mut report)?,
                Scene::Fairness => runtime.block_on(scenes::fairness(&bench, &filled, steady, &mut report))?,
                Scene::Poll | Scene::Service => {}
            }
        }
    }
    report.end();
    Ok(())
}
