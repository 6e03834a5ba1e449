//! `run`: the service.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use bg_charm_runtime::LocalRuntime;
use bg_identity::IntegrationId;
use bg_poller::{
    CharmRuntime, Integration, IntegrationState, Limit, OutcomeKind, PollStore, Poller, PollerOptions, Summary,
};
use bg_server::{Activity, Polling, Server, Site};
use clap::Parser as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::args::{Cli, Command, Common, RunArgs};
use crate::config::ReadFile;
use crate::confine::Confinement;
use crate::connect::Endpoint;
use crate::integrations::Loaded;
use crate::names::{self, Names};
use crate::options::{Count, Options as _, Percent};
use crate::reload::{self, Reloader, Watcher};
use crate::reporting::{Failing, Recording, Reporter, is_here, keep_health};
use crate::restart::Restart;
use crate::{connect, integrations, listening, paths, restart, telemetry};

/// How many requested polls can be queued before the requester waits.
const REQUESTS: usize = 64;

/// Adds the contents of the configuration file, determines what the service needs to open, and starts the process that
/// watches its components.
pub(crate) fn prepare(common: &Common, args: &mut RunArgs) -> anyhow::Result<(Confinement, Option<Watcher>)> {
    // Validation comes first: nothing is created for a service that does not start.
    if let Some(path) = &args.config.clone() {
        ReadFile::open(path)?.merge(args);
    }
    for component in &args.component {
        paths::check_component(component)?;
    }
    args.listen = args.listen.map(listening::with_port).transpose()?;
    let mut confinement = connect::confinement(common)?;
    if let Some(path) = args.config.clone() {
        let files = std::iter::once(&path).chain(&args.component).chain(args.server.files()).map(PathBuf::as_path);
        confinement = restart::open_folders(confinement.read(&path), files);
    }
    if let Some(listen) = args.listen {
        confinement = listening::confine(confinement, listen, &args.server);
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

/// Polls until `shutdown`, or until the limit of the options. Call [`prepare`] first.
pub(crate) async fn run(
    common: &Common,
    args: RunArgs,
    watcher: Option<Watcher>,
    shutdown: CancellationToken,
    restart: &Restart,
) -> anyhow::Result<ExitCode> {
    let limits = args.handlers.limits();
    // Before anything slow, so that a mistake is reported at once.
    let server = match listens(common, &args).await? {
        Some(listen) => Some(listening::bind(common, listen, &args.server, limits.server, restart).await?),
        None => None,
    };
    let activity = Activity::new();
    activity.count_lost_spans(telemetry::lost_spans());
    let sandbox = connect::observed_sandbox(common, &limits.sandbox, activity.call_observer())?;
    let tenancy = args.server.tenancy(server.as_ref().map(Server::local_addr));
    let listeners = server.iter().map(Server::local_addr).collect();
    let gate = connect::gate(&args.handlers, listeners, Some(&activity));
    let starting = async {
        let loaded = integrations::load(&sandbox, &args.component, &args.grants, &args.sha256).await?;
        anyhow::Ok((loaded, connect::service(common, &args.handlers, &sandbox, &gate, tenancy).await?))
    };
    // Compiling takes a while, and nothing is in progress that must be completed.
    let (loaded, mut service) = tokio::select! {
        started = starting => started?,
        () = shutdown.cancelled() => return Ok(ExitCode::SUCCESS),
    };

    let runtime: Arc<dyn CharmRuntime> = service.runtime.clone();
    let store = Arc::new(service.store.clone());
    let state: Arc<dyn IntegrationState> = store.clone();
    let mut store: Arc<dyn PollStore> = store;
    let mut options = options_with(&args, &loaded);
    let (requests, asked) = mpsc::channel(REQUESTS);
    let wanted = options.integrations.clone();
    let is_wanted = move |loaded: &Loaded| wanted.as_ref().is_none_or(|wanted| wanted.contains(loaded.id()));
    let known = loaded.iter().map(|loaded| loaded.id().clone()).collect();
    options.on_poll = Some(activity.poll_hook(known));
    let polling = Arc::new(Polling::new(options.gauges.clone(), requests, options.interval, options.min_interval));
    for loaded in &loaded {
        introduce(loaded, is_wanted(loaded), service.local.as_deref(), &polling, &activity);
    }
    let loop_ended = CancellationToken::new();
    let is_part = args.once || args.polls.is_some() || !args.charms.is_empty() || !args.integration.is_empty();
    let keeping = keep_health(service.store.clone(), polling.clone(), activity.clone(), loop_ended.clone(), is_part);
    // A server that this data directory names is on this machine, at any address.
    let reporting = service.remote.filter(|remote| args.report || common.api_url.is_none() || is_here(remote.url()));
    let reporter = reporting.map(|remote| {
        let failing = Arc::<Failing>::default();
        store = Arc::new(Recording { store: store.clone(), failing: failing.clone() });
        Reporter::new(remote, polling.clone(), activity.clone(), failing)
    });
    let site = match (&server, service.local) {
        (Some(_), Some(runtime)) => Some(Site { runtime, activity, polling: Some(polling.clone()) }),
        _ => None,
    };
    let components = loaded.iter().map(integrations::Loaded::followed).collect();
    let mut linked: Vec<Arc<dyn Integration>> = Vec::new();
    for loaded in loaded.into_iter().filter(|loaded| is_wanted(loaded)) {
        linked.push(loaded.link(&sandbox, &gate, &limits.http, runtime.clone(), state.clone())?);
    }

    announce(&args, &*runtime, &linked, &service.shown).await?;
    let mut poller = Poller::new(runtime.clone(), store, linked, options).with_requests(asked);
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
            polling,
        };
        let (replaced, replacements) = mpsc::channel(1);
        poller = poller.with_replacements(replacements);
        following = Some(tokio::spawn(reloader.follow(watcher, replaced, shutdown.clone())));
    }
    // The server stops with the loop, for any reason.
    let stopping = shutdown.child_token();
    let mut serving = None;
    if let Some((server, site)) = server.zip(site) {
        let url = listening::note(&mut service.lock, &server, &args.server)?;
        tracing::info!("listening on {url}");
        listening::announce(common, &server, &args.server, &site.runtime).await?;
        serving = Some(tokio::spawn(server.serve(site, stopping.clone())));
    }
    let keeping = tokio::spawn(keeping);
    let reporting = reporter.map(|reporter| tokio::spawn(reporter.run(loop_ended.clone())));
    let ended = poller.run(shutdown).await;
    loop_ended.cancel();
    stopping.cancel();
    if let Some(serving) = serving
        && let Ok(Err(error)) = serving.await
    {
        tracing::warn!("{error}");
    }
    for task in [Some(keeping), reporting].into_iter().flatten() {
        task.await?;
    }
    let summary = ended?;
    if let Some(following) = following {
        following.await?;
    }
    tracing::info!(polls = summary.polls, failed = summary.failed(), "stopped");
    Ok(if args.once && !all_succeeded(&summary) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Whether all lists and all polls succeeded.
fn all_succeeded(summary: &Summary) -> bool {
    summary.polls == summary.count(OutcomeKind::Success) && summary.failed_lists == 0
}

/// Logs what is polled, unless there is nothing of that name.
async fn announce(
    args: &RunArgs,
    runtime: &dyn CharmRuntime,
    linked: &[Arc<dyn Integration>],
    shown: &str,
) -> anyhow::Result<()> {
    check_names(args, runtime, linked).await?;
    tracing::info!("polling the charms of {shown}");
    Ok(())
}

/// Reports unknown names among those that the service is to poll. A service that keeps running waits for them to be
/// registered; one that would end without having done anything fails.
async fn check_names(
    args: &RunArgs,
    runtime: &dyn CharmRuntime,
    linked: &[Arc<dyn Integration>],
) -> anyhow::Result<()> {
    let RunArgs { charms, integration, .. } = args;
    if charms.is_empty() && integration.is_empty() {
        return Ok(());
    }
    // If they cannot be read, the loop reports it.
    let Ok(registrations) = runtime.registrations().await else { return Ok(()) };
    let names = Names::of(&registrations);
    let has_component = |id: &IntegrationId| linked.iter().any(|linked| linked.id() == id);
    let integrations = integration.iter().filter(|id| !has_component(id)).filter_map(|id| names.no_integration(id));
    let problems: Vec<String> = integrations.chain(charms.iter().filter_map(|charm| names.no_charm(charm))).collect();
    let ends_by_itself = args.once || args.polls.is_some();
    if ends_by_itself && problems.len() == charms.len() + integration.len() {
        return names::check(problems);
    }
    for problem in problems {
        tracing::warn!("{problem}");
    }
    Ok(())
}

/// Passes the loaded component's data to everything that needs it. Like its grants, its bound tokens are fixed at the
/// start: a component that replaces it cannot change them. Tokens are bound even if its own charms are not polled,
/// since another integration's may have the same.
fn introduce(loaded: &Loaded, is_wanted: bool, local: Option<&LocalRuntime>, polling: &Polling, activity: &Activity) {
    if let Some(local) = local {
        local.credential_origins().set_asked(loaded.id().clone(), loaded.asked());
    }
    if !is_wanted {
        return;
    }
    polling.set_integration(loaded.view());
    activity.component_loaded(loaded.is_from_cache());
}

/// The address to listen on. A configuration file may also be for the `serve` that holds the charm runtime; in that
/// case, `serve` listens.
async fn listens(common: &Common, args: &RunArgs) -> anyhow::Result<Option<SocketAddr>> {
    match (args.listen, connect::endpoint(common).await?) {
        (Some(listen), Endpoint::Local(_)) => Ok(Some(listen)),
        (Some(_), Endpoint::Remote { url, .. }) if !args.may_listen => bail!(
            "--listen serves the local charm runtime, but this service polls the charms of {url}; remove it: the \
            admin page is there"
        ),
        _ => Ok(None),
    }
}

/// Whether a start with the command line and the configuration file's current contents would succeed, and which options
/// differ from `before`. Compiles components that are not cached, so that the start is quick.
pub(crate) async fn recheck(common: &Common, before: &RunArgs) -> anyhow::Result<Vec<&'static str>> {
    let Command::Run(mut args) = Cli::try_parse()?.command else { bail!("the command line is not that of `run`") };
    let Some(path) = args.config.clone() else {
        bail!("there is no configuration file (--config FILE); changed components are reloaded without this");
    };
    if args.once || args.polls.is_some() {
        bail!("a service that ends by itself (--once, --polls) does not reload");
    }
    ReadFile::open(&path).map_err(|error| restart::explain(error.into()))?.merge(&mut args);
    let sandbox = connect::sandbox(common, &args.handlers.limits().sandbox)?;
    let loaded = integrations::load_unsettled(&sandbox, &args.component, &args.grants, &args.sha256).await;
    loaded.map_err(restart::explain)?;
    listening::recheck(before.listen, args.listen, &args.server)?;
    // It goes on at its address: where the file says that any port will do, it has one.
    args.listen = before.listen;
    Ok(before.changed(&args))
}

/// The loop's options for these components.
fn options_with(args: &RunArgs, loaded: &[Loaded]) -> PollerOptions {
    let mut options = options(args);
    let named = named_components(args);
    if args.once && named > 0 && args.charms.is_empty() && args.integration.is_empty() {
        // With components on the command line, only their charms are polled, for trying them out.
        options.integrations = Some(loaded.iter().take(named).map(|loaded| loaded.id().clone()).collect());
    }
    if args.interval.is_none() {
        options.intervals = reload::intervals(loaded);
    }
    options
}

/// How many components the command line names; those of the configuration file belong to the permanent service.
fn named_components(args: &RunArgs) -> usize {
    args.component.len().saturating_sub(args.configured_components)
}

/// The loop's options.
fn options(args: &RunArgs) -> PollerOptions {
    let defaults = PollerOptions::default();
    PollerOptions {
        interval: args.interval.unwrap_or(defaults.interval),
        max_concurrent: args.max_concurrent.map_or(defaults.max_concurrent, Count::size),
        per_integration: args.per_integration.map_or(defaults.per_integration, Count::size),
        per_space: args.per_space.map_or(defaults.per_space, |count| count.0),
        min_interval: args.min_interval,
        jitter: args.jitter.map_or(defaults.jitter, Percent::fraction),
        failures: args.failures.map_or(defaults.failures, NonZeroU32::get),
        log_interval: args.log_interval.unwrap_or(defaults.log_interval),
        charms: if args.charms.is_empty() { None } else { Some(args.charms.clone()) },
        integrations: (!args.integration.is_empty()).then(|| args.integration.iter().cloned().collect()),
        patient: args.charms.is_empty() && args.integration.is_empty() && named_components(args) == 0,
        limit: match args.polls {
            _ if args.once => Limit::Once,
            Some(polls) => Limit::Polls(polls),
            None => Limit::None,
        },
        initialize: args.initialize,
        ..defaults
    }
}
