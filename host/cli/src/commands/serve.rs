//! `serve`: the local charm runtime over HTTP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::bail;
use bg_charms::Role;
use bg_server::{Server, ServerOptions};
use clap::Parser as _;
use tokio_util::sync::CancellationToken;

use super::config::changed;
use crate::args::{Cli, Command, Common, RunArgs, ServeArgs};
use crate::config::ReadFile;
use crate::confine::Confinement;
use crate::paths::DataDir;
use crate::{connect, restart};

/// Adds what the configuration file says, and tells what the service needs to open.
pub(crate) fn prepare(common: &Common, args: &mut ServeArgs) -> anyhow::Result<Confinement> {
    let mut confinement = connect::confinement(common)?;
    if let Some(path) = args.config.clone() {
        ReadFile::open(&path)?.merge_served(args);
        confinement = restart::open_folders(confinement.read(&path), [path.as_path()]);
    }
    Ok(confinement.listen(args.listen().port()))
}

/// Whether a start with the command line and what the configuration file says now would succeed, and which options are others then than
/// those of `before`.
pub(crate) fn check_anew(before: &ServeArgs) -> anyhow::Result<Vec<&'static str>> {
    let Command::Serve(mut args) = Cli::try_parse()?.command else { bail!("the command line is not that of `serve`") };
    let Some(path) = args.config.clone() else { bail!("there is no configuration file (--config FILE)") };
    ReadFile::open(&path).map_err(|error| restart::explain(error.into()))?.merge_served(&mut args);
    if args.listen() != before.listen() {
        bail!(
            "`listen` is {} now, which needs a restart: this process may listen at {} only",
            args.listen(),
            before.listen()
        );
    }
    let run = |serve: &ServeArgs| RunArgs { handlers: serve.handlers.clone(), ..RunArgs::default() };
    let mut changed = changed(&run(before), &run(&args));
    if before.allow_host != args.allow_host {
        changed.insert(0, "allow-host");
    }
    Ok(changed)
}

/// Serves until `shutdown`. [`prepare`] comes first.
pub(crate) async fn run(common: &Common, args: &ServeArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    if let Some(url) = &common.api_url {
        bail!("`serve` offers the local charm runtime; it can't be used with --api-url or API_URL ({url})");
    }
    connect::operator(common)?;
    let data_dir = DataDir::open(common.data_dir.as_deref())?;
    let mut lock = connect::lock(&data_dir.runtime_database(), Role::Serve)?;
    let options = ServerOptions { allowed_hosts: args.allow_host.clone(), ..ServerOptions::default() };
    let server = Server::bind_with(args.listen(), options).await?;
    let address = server.local_addr();
    let gate = connect::gate(&args.handlers, vec![address]);
    tracing::info!("starting; the first start compiles script.wasm");
    let sandbox = connect::sandbox(common, &args.handlers.limits().sandbox)?;
    let runtime = tokio::select! {
        runtime = connect::open_with_handlers(common, &data_dir, &args.handlers, &sandbox, &gate) => runtime?,
        () = shutdown.cancelled() => return Ok(()),
    };
    lock.set_url(format!("http://{}", reachable(address)))?;
    tracing::info!("listening on http://{address} (charm runtime in {})", data_dir.path().display());
    if let Err(error) = server.serve(runtime, shutdown).await {
        tracing::warn!("{error}");
    }
    tracing::info!("stopped");
    Ok(())
}

/// How this machine reaches what listens there: "any address" is no address to call.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_any_address_is_reached_on_loopback() {
        for (listens, reached) in [
            ("0.0.0.0:8000", "127.0.0.1:8000"),
            ("[::]:8000", "[::1]:8000"),
            ("127.0.0.1:8000", "127.0.0.1:8000"),
            ("192.168.0.5:80", "192.168.0.5:80"),
        ] {
            assert_eq!(reachable(listens.parse().unwrap()), reached.parse().unwrap());
        }
    }
}
