//! `serve`: the local charm runtime over HTTP, with its admin page.

use std::path::PathBuf;

use anyhow::bail;
use bg_server::{Activity, Site};
use bg_server_trust::Role;
use clap::Parser as _;
use tokio_util::sync::CancellationToken;

use crate::args::{Cli, Command, Common, ServeArgs};
use crate::config::ReadFile;
use crate::confine::Confinement;
use crate::options::Options as _;
use crate::paths::DataDir;
use crate::restart::Restart;
use crate::{connect, listening, restart, telemetry};

/// Adds the contents of the configuration file, and determines what the service needs to open.
pub(crate) fn prepare(common: &Common, args: &mut ServeArgs) -> anyhow::Result<Confinement> {
    // Validation comes first: nothing is created for a service that does not start.
    if let Some(path) = &args.config.clone() {
        ReadFile::open(path)?.merge_served(args);
    }
    args.listen = Some(listening::with_port(args.listen())?);
    let mut confinement = connect::confinement(common)?;
    if let Some(path) = args.config.clone() {
        let files = [&path].into_iter().chain(args.server.files()).map(PathBuf::as_path);
        confinement = restart::open_folders(confinement.read(&path), files);
    }
    Ok(listening::confine(confinement, args.listen(), &args.server))
}

/// Whether a start with the command line and the configuration file's current contents would succeed, and which options
/// differ from `before`.
pub(crate) fn recheck(before: &ServeArgs) -> anyhow::Result<Vec<&'static str>> {
    let Command::Serve(mut args) = Cli::try_parse()?.command else { bail!("the command line is not that of `serve`") };
    let Some(path) = args.config.clone() else { bail!("there is no configuration file (--config FILE)") };
    ReadFile::open(&path).map_err(|error| restart::explain(error.into()))?.merge_served(&mut args);
    listening::recheck(Some(before.listen()), Some(args.listen()), &args.server)?;
    Ok([before.server.changed(&args.server), before.handlers.changed(&args.handlers)].concat())
}

/// Serves until `shutdown`. Call [`prepare`] first.
pub(crate) async fn run(
    common: &Common,
    args: &ServeArgs,
    shutdown: CancellationToken,
    restart: &Restart,
) -> anyhow::Result<()> {
    if let Some(url) = &common.api_url {
        bail!("`serve` serves the local charm runtime; it can't be used with --api-url or API_URL ({url})");
    }
    connect::operator(common)?;
    let data_dir = DataDir::open(common)?;
    let mut lock = connect::lock(&data_dir.runtime_database(), Role::Serve)?;
    let limits = args.handlers.limits().server;
    let server = listening::bind(common, args.listen(), &args.server, limits, restart).await?;
    let address = server.local_addr();
    let activity = Activity::new();
    activity.count_lost_spans(telemetry::lost_spans());
    let gate = connect::gate(&args.handlers, vec![address], Some(&activity));
    if let Some(problem) = connect::unbound_tokens(&args.handlers) {
        tracing::warn!("{problem}; bind it with --charm-credential auth.token=https://…");
    }
    tracing::info!("starting; the first start compiles script.wasm");
    let sandbox = connect::observed_sandbox(common, &args.handlers.limits().sandbox, activity.call_observer())?;
    let tenancy = args.server.tenancy(Some(address));
    let runtime = tokio::select! {
        runtime = connect::open_with_handlers(common, &data_dir, &args.handlers, &sandbox, &gate, tenancy) => runtime?,
        () = shutdown.cancelled() => return Ok(()),
    };
    // Their handlers run here, with this process's grants; the loop that polls them may run elsewhere.
    if let Err(error) = runtime.wake_waiting().await {
        tracing::warn!("waiting charms are not polled immediately: {error}");
    }
    listening::note(&mut lock, &server, &args.server)?;
    let scheme = if args.server.tls_cert.is_some() { "https" } else { "http" };
    tracing::info!("listening on {scheme}://{address} (charm runtime in {})", data_dir.path().display());
    listening::announce(common, &server, &args.server, &runtime).await?;
    if let Err(error) = server.serve(Site { runtime, activity, polling: None }, shutdown).await {
        tracing::warn!("{error}");
    }
    tracing::info!("stopped");
    Ok(())
}
