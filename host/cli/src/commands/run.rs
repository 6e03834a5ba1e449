//! `run`: the service.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use bg_poller::{CharmRuntime, Integration, IntegrationState, Limit, PollStore, Poller, PollerOptions};
use clap::Parser as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::config::changed;
use crate::args::{Cli, Command, Common, RunArgs};
use crate::config::ReadFile;
use crate::confine::Confinement;
use crate::reload::{self, Reloader, Watcher};
use crate::{connect, integrations, restart};

/// Adds what the configuration file says, tells what the service needs to open, and starts what looks after its components.
pub(crate) fn prepare(common: &Common, args: &mut RunArgs) -> anyhow::Result<(Confinement, Option<Watcher>)> {
    let mut confinement = connect::confinement(common)?;
    if let Some(path) = args.config.clone() {
        ReadFile::open(&path)?.merge(args);
        let files = std::iter::once(&path).chain(&args.component).map(PathBuf::as_path);
        confinement = restart::open_folders(confinement.read(&path), files);
    }
    for component in &args.component {
        confinement = confinement.read(component).read(&integrations::manifest_beside(component));
    }
    let ends_by_itself = args.once || args.polls.is_some();
    let watcher = (!args.component.is_empty() && !ends_by_itself)
        .then(|| Watcher::start(&args.component, args.handlers.limits().sandbox.component_bytes))
        .flatten();
    Ok((confinement, watcher))
}

/// Polls until `shutdown`, or until the limit that the options set. [`prepare`] comes first.
pub(crate) async fn run(
    common: &Common,
    args: RunArgs,
    watcher: Option<Watcher>,
    shutdown: CancellationToken,
) -> anyhow::Result<ExitCode> {
    let limits = args.handlers.limits();
    let sandbox = connect::sandbox(common, &limits.sandbox)?;
    let gate = connect::gate(&args.handlers, Vec::new());
    let starting = async {
        let loaded = integrations::load(&sandbox, &args.component, &args.grants, &args.sha256).await?;
        anyhow::Ok((loaded, connect::service(common, &args.handlers, &sandbox, &gate).await?))
    };
    // Compiling takes a while, and nothing is under way that must come to an end.
    let (loaded, service) = tokio::select! {
        started = starting => started?,
        () = shutdown.cancelled() => return Ok(ExitCode::SUCCESS),
    };

    let runtime: Arc<dyn CharmRuntime> = service.runtime.clone();
    let store = Arc::new(service.store.clone());
    let state: Arc<dyn IntegrationState> = store.clone();
    let store: Arc<dyn PollStore> = store;
    let mut options = options(&args);
    if args.interval.is_none() {
        options.intervals = reload::intervals(&loaded);
    }
    let components = loaded.iter().map(integrations::Loaded::followed).collect();
    let mut linked: Vec<Arc<dyn Integration>> = Vec::new();
    for loaded in loaded {
        linked.push(loaded.link(&sandbox, &gate, &limits.http, runtime.clone(), state.clone())?);
    }

    tracing::info!("polling the charms of {}", service.shown);
    let mut poller = Poller::new(runtime.clone(), store, linked, options);
    let mut following = None;
    if let Some(watcher) = watcher {
        let reloader = Reloader {
            sandbox,
            gate,
            http: limits.http,
            runtime,
            state,
            grants: args.grants,
            pins: args.sha256,
            asked_intervals: args.interval.is_none(),
            components,
        };
        let (replaced, replacements) = mpsc::channel(1);
        poller = poller.with_replacements(replacements);
        following = Some(tokio::spawn(reloader.follow(watcher, replaced, shutdown.clone())));
    }
    let summary = poller.run(shutdown).await?;
    if let Some(following) = following {
        following.await?;
    }
    tracing::info!(polls = summary.polls, failed = summary.failed(), "stopped");
    let failed = args.once && (summary.failed() > 0 || summary.failed_lists > 0);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Whether a start with the command line and what the configuration file says now would succeed, and which options are others then than
/// those of `before`. Compiles what is not in the cache, so that the start is quick.
pub(crate) async fn check_anew(common: &Common, before: &RunArgs) -> anyhow::Result<Vec<&'static str>> {
    let Command::Run(mut args) = Cli::try_parse()?.command else { bail!("the command line is not that of `run`") };
    let Some(path) = args.config.clone() else {
        bail!("there is no configuration file (--config FILE); components that change are taken without this");
    };
    if args.once || args.polls.is_some() {
        bail!("a service that ends by itself, by --once or --polls, does not start anew");
    }
    ReadFile::open(&path).map_err(|error| restart::explain(error.into()))?.merge(&mut args);
    let sandbox = connect::sandbox(common, &args.handlers.limits().sandbox)?;
    let loaded = integrations::load_unsettled(&sandbox, &args.component, &args.grants, &args.sha256).await;
    loaded.map_err(restart::explain)?;
    let mut changed = changed(before, &args);
    if before.component != args.component {
        changed.insert(0, "components");
    }
    Ok(changed)
}

/// How the loop is set.
pub(crate) fn options(args: &RunArgs) -> PollerOptions {
    let defaults = PollerOptions::default();
    PollerOptions {
        interval: args.interval.unwrap_or(defaults.interval),
        max_concurrent: args
            .max_concurrent
            .map_or(defaults.max_concurrent, |n| usize::try_from(n).unwrap_or(usize::MAX)),
        per_integration: args
            .per_integration
            .map_or(defaults.per_integration, |n| usize::try_from(n).unwrap_or(usize::MAX)),
        per_space: args.per_space.unwrap_or(defaults.per_space),
        min_interval: args.min_interval,
        jitter: args.jitter.map_or(defaults.jitter, |percent| f64::from(percent) / 100.0),
        failures: args.failures.unwrap_or(defaults.failures),
        log_interval: args.log_interval.unwrap_or(defaults.log_interval),
        charms: if args.charms.is_empty() { None } else { Some(args.charms.clone()) },
        limit: match args.polls {
            _ if args.once => Limit::Once,
            Some(polls) => Limit::Polls(polls),
            None => Limit::None,
        },
        initialize: args.initialize,
        ..defaults
    }
}
