//! `run`: the service.

use std::process::ExitCode;
use std::sync::Arc;

use bg_poller::{CharmRuntime, Integration, IntegrationState, Limit, PollStore, Poller, PollerOptions};
use tokio_util::sync::CancellationToken;

use crate::args::{Common, RunArgs};
use crate::confine::Confinement;
use crate::{config, connect, integrations};

/// Adds what the configuration file says, and tells what the service needs to open.
pub(crate) fn prepare(common: &Common, args: &mut RunArgs) -> anyhow::Result<Confinement> {
    if let Some(path) = args.config.take() {
        config::merge_file(args, &path)?;
    }
    let mut confinement = connect::confinement(common)?;
    for component in &args.component {
        confinement = confinement.read(component).read(&integrations::manifest_beside(component));
    }
    Ok(confinement)
}

/// Polls until `shutdown`, or until the limit that the options set. [`prepare`] comes first.
pub(crate) async fn run(common: &Common, args: RunArgs, shutdown: CancellationToken) -> anyhow::Result<ExitCode> {
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
        options.intervals = loaded.iter().filter_map(integrations::Loaded::interval).collect();
    }
    let mut linked: Vec<Arc<dyn Integration>> = Vec::new();
    for loaded in loaded {
        linked.push(loaded.link(&sandbox, &gate, &limits.http, runtime.clone(), state.clone())?);
    }

    tracing::info!("polling the charms of {}", service.shown);
    let summary = Poller::new(runtime, store, linked, options).run(shutdown).await?;
    tracing::info!(polls = summary.polls, failed = summary.failed(), "stopped");
    let failed = args.once && (summary.failed() > 0 || summary.failed_lists > 0);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn options(args: &RunArgs) -> PollerOptions {
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
