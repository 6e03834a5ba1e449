//! `charm check`: whether a charm can be deployed, without a server.

use std::process::ExitCode;

use bg_charm_api::Deployed;
use bg_poller::RuntimeError;
use bg_sandbox::ChildCommand;
use bg_transpile::{ChildFailure, Finding, TranspileError, transpile_by};
use serde::Serialize;
use serde_json::Map;
use tokio_util::sync::CancellationToken;

use super::source::{self, Source};
use super::{steps, temporary};
use crate::args::{CheckArgs, Common};
use crate::{connect, output};

/// What was found, for programs.
#[derive(Default, Serialize)]
struct Report {
    errors: Vec<Finding>,
    /// Why its setup failed: the error, its stack, and what was logged before.
    #[serde(skip_serializing_if = "Option::is_none")]
    setup: Option<String>,
    warnings: Vec<Finding>,
    /// Whether it can be deployed.
    deploys: bool,
}

/// Prints all problems of a charm. Status 1 if it cannot be deployed.
pub(super) async fn run(common: &Common, args: &CheckArgs, shutdown: CancellationToken) -> anyhow::Result<ExitCode> {
    let source = source::read(&args.source)?;
    let source = if steps::is_test(&source.file_name) { steps::around(source)? } else { source };
    let report = report(common, args, &source, shutdown).await?;
    if args.json.json {
        output::json(&report)?;
    } else {
        print(&report)?;
    }
    Ok(if report.deploys { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn report(
    common: &Common,
    args: &CheckArgs,
    source: &Source,
    shutdown: CancellationToken,
) -> anyhow::Result<Report> {
    let transpiler = ChildCommand::this_program(["transpile-charm"]);
    let warnings = match transpile_by(&transpiler, &source.sources(), false).await {
        Ok(program) => program.warnings,
        Err(ChildFailure::Source(TranspileError(errors))) => return Ok(Report { errors, ..Report::default() }),
        Err(error @ ChildFailure::Unusable(_)) => return Err(error.into()),
    };
    let request = source.request(&Map::new(), None);
    let deployed = temporary::with_data_dir(common, "check", shutdown, async |common| {
        let runtime = connect::with_handlers(common, &args.handlers).await?.runtime;
        Ok(runtime.deploy(&temporary::space(), &request).await)
    });
    let setup = match deployed.await? {
        Ok(Deployed { .. }) => None,
        Err(RuntimeError::Unfit(reason) | RuntimeError::Invalid(reason)) => Some(reason),
        Err(error) => return Err(error.into()),
    };
    Ok(Report { errors: Vec::new(), deploys: setup.is_none(), setup, warnings })
}

fn print(report: &Report) -> anyhow::Result<()> {
    let Report { errors, setup, warnings, .. } = report;
    for error in errors {
        output::line(format_args!("error: {error}"))?;
    }
    for line in setup.iter().flat_map(|setup| setup.lines()) {
        output::line(format_args!("error: {line}"))?;
    }
    for warning in warnings {
        output::line(format_args!("warning: {warning}"))?;
    }
    let count = errors.len() + usize::from(setup.is_some());
    let verdict = if report.deploys { "the charm can be deployed" } else { "the charm cannot be deployed" };
    output::line(format_args!("{verdict}: {}, {}", counted(count, "error"), counted(warnings.len(), "warning")))?;
    Ok(())
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
