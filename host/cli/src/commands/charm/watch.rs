//! `charm deploy --watch`: deploys again whenever the source changes.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bg_charm_api::Deployed;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::deploy::{self, Target};
use super::source;
use crate::args::{Common, DeployArgs};
use crate::connect::{self, Runner};
use crate::output;

/// How often the files are checked.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// An editor may write a file in several steps. A change is complete when nothing has changed for this long.
const SETTLED: Duration = Duration::from_millis(50);

/// Identifies a version of a file; `None` while it does not exist, for example while an editor replaces it.
type Stamp = Option<(SystemTime, u64, u64)>;

/// Deploys, and again whenever the source changes, until `shutdown`. Errors are printed, and the next change is
/// awaited.
pub(super) async fn run(common: &Common, args: &DeployArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    let inputs = source::inputs(args.inputs.as_deref())?;
    let runner = connect::with_handlers(common, &args.handlers).await?;
    let target = Target::of(args, &runner).await?;
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = watch(args, &runner, target, &inputs) => ended,
    }
}

async fn watch(
    args: &DeployArgs,
    runner: &Runner,
    mut target: Target,
    inputs: &Map<String, Value>,
) -> anyhow::Result<()> {
    let mut files = vec![args.source.file.clone()];
    loop {
        // Before they are read: a change during the read counts as a change.
        let before = files.clone();
        let mut seen = stamps(&files);
        let stepped = step(runner, &target, args, inputs, &mut files).await;
        if files != before {
            // Files that were not imported before are new, not changed.
            let known: BTreeMap<_, _> = before.into_iter().zip(seen).collect();
            let now = files.iter().zip(stamps(&files));
            seen = now.map(|(file, stamp)| known.get(file).copied().unwrap_or(stamp)).collect();
        }
        match stepped {
            Ok(deployed) => {
                if target.charm.is_none() {
                    output::line(&deployed.charm.charm)?;
                }
                // From now on, this charm is updated.
                target.charm = Some(deployed.charm.clone());
                if args.trigger {
                    tokio::select! {
                        polled = deploy::poll(runner, &deployed.charm) => {
                            polled.map_or_else(|error| output::error(&error), drop);
                        }
                        () = changed(&files, &seen) => {
                            tracing::info!("the source has changed; the poll of the old version was cancelled");
                        }
                    }
                }
            }
            Err(error) => output::error(&error),
        }
        changed(&files, &seen).await;
    }
}

async fn step(
    runner: &Runner,
    target: &Target,
    args: &DeployArgs,
    inputs: &Map<String, Value>,
    files: &mut Vec<PathBuf>,
) -> anyhow::Result<Deployed> {
    let source = source::read(&args.source)?;
    files.clone_from(&source.files);
    deploy::deploy(runner, target, &source, inputs).await
}

/// Waits until the files exist and differ from what was seen.
async fn changed(files: &[PathBuf], seen: &[Stamp]) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let mut now = stamps(files);
        if now == seen || now.contains(&None) {
            continue;
        }
        loop {
            tokio::time::sleep(SETTLED).await;
            let later = stamps(files);
            if later == now {
                return;
            }
            now = later;
        }
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |file: &PathBuf| {
        let found = std::fs::metadata(file).ok()?;
        Some((found.modified().ok()?, found.len(), found.ino()))
    };
    files.iter().map(stamp).collect()
}
