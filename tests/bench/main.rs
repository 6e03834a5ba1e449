//! What a poll costs, what the service needs of memory, and how soon after its start it polls, beside what the original takes.
//! `cargo bench --bench poll` prints a table, and with `-- --json` JSON. BENCHMARKS.md says what limits each figure.

#![allow(clippy::print_stdout, reason = "what it measures is its output")]

mod charms;
mod poll;
mod report;
mod service;

use report::Report;

fn main() -> anyhow::Result<()> {
    let mut report = Report::new(std::env::args().any(|argument| argument == "--json"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let bench = runtime.block_on(charms::Bench::start())?;
    runtime.block_on(poll::measure(&bench, &mut report))?;
    runtime.block_on(service::measure(&bench, &mut report))?;
    report.end();
    Ok(())
}
