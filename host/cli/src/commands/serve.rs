//! `serve`: the local charm runtime over HTTP, with its admin page.

use anyhow::bail;
use bg_charms::Role;
use bg_server::{Activity, Site};
use tokio_util::sync::CancellationToken;

use crate::args::{Common, ServeArgs};
use crate::confine::Confinement;
use crate::paths::DataDir;
use crate::{connect, listening};

/// Tells what the service needs to open.
pub(crate) fn prepare(common: &Common, args: &ServeArgs) -> anyhow::Result<Confinement> {
    Ok(listening::confine(connect::confinement(common)?, args.listen, &args.server))
}

/// Serves until `shutdown`. [`prepare`] comes first.
pub(crate) async fn run(common: &Common, args: &ServeArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    if let Some(url) = &common.api_url {
        bail!("`serve` offers the local charm runtime; it can't be used with --api-url or API_URL ({url})");
    }
    connect::operator(common)?;
    let data_dir = DataDir::open(common.data_dir.as_deref())?;
    let mut lock = connect::lock(&data_dir.runtime_database(), Role::Serve)?;
    let server = listening::bind(common, args.listen, &args.server).await?;
    let address = server.local_addr();
    let activity = Activity::new();
    let gate = connect::gate(&args.handlers, vec![address], Some(&activity));
    tracing::info!("starting; the first start compiles script.wasm");
    let sandbox = connect::observed_sandbox(common, &args.handlers.limits().sandbox, activity.call_observer())?;
    let runtime = tokio::select! {
        runtime = connect::open_with_handlers(common, &data_dir, &args.handlers, &sandbox, &gate) => runtime?,
        () = shutdown.cancelled() => return Ok(()),
    };
    lock.set_url(listening::url(&server, &args.server))?;
    let scheme = if args.server.tls_cert.is_some() { "https" } else { "http" };
    tracing::info!("listening on {scheme}://{address} (charm runtime in {})", data_dir.path().display());
    listening::announce(common, &server, &args.server);
    if let Err(error) = server.serve(Site { runtime, activity, polling: None }, shutdown).await {
        tracing::warn!("{error}");
    }
    tracing::info!("stopped");
    Ok(())
}
