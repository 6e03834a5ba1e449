//! The bg-wasm-host program.

mod args;
mod commands;
mod config;
mod confine;
mod connect;
mod damaged;
mod degraded;
mod health;
mod integrations;
mod layout;
mod limits;
mod listening;
mod logging;
mod names;
mod open_files;
mod open_spaces;
mod options;
mod output;
mod paths;
mod pins;
mod progress;
mod providers;
#[cfg(test)]
mod reference;
mod reload;
mod reporting;
mod restart;
mod services;
mod states;
mod telemetry;
mod units;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use tokio_util::sync::CancellationToken;

use args::{Cli, Command};
use commands::{
    backup, charm, compile, config as config_check, doctor, egress, identity, inspect, new, oauth, registrations,
    renew, run, serve, setup, shell, space, status, transpile,
};
use confine::Confined;
use reload::Watcher;
use restart::Restart;
use telemetry::Telemetry;

fn main() -> ExitCode {
    restart::hold_hangup_if_restarted();
    let mut cli = Cli::try_parse().unwrap_or_else(|error| output::exit(&error));
    cli.common.makes_data_dir = cli.command.makes_data_dir();
    if matches!(cli.command, Command::Setup(_)) && cli.common.log == "info" {
        // It prints its steps; lines about them would come twice.
        "warn".clone_into(&mut cli.common.log);
    }
    match &cli.command {
        Command::CompileComponent { options } => return compile::run(options),
        Command::TranspileCharm { options } => return transpile::run(options),
        Command::RenewAccount { database, account, generation, secrets_key } => {
            return renew::run(database, account, *generation, secrets_key.as_deref());
        }
        Command::WatchComponents { most, components } => return reload::watch(components, *most),
        _ => {}
    }
    let restart = Restart::inherit();
    let mut confined = None;
    let telemetry = Telemetry::new(&cli.common);
    let ended = logging::start(&cli.common, cli.command.guest_log(), telemetry.as_ref()).and_then(|()| {
        let prepared = prepare(&mut cli)?;
        confined = prepared.confined;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let sending = telemetry.map(Telemetry::start).transpose()?;
            let ended = perform(cli, prepared.watcher, &restart).await;
            if let Some(sending) = sending {
                sending.finish().await;
            }
            ended
        })
    });
    let ended = match (ended, confined) {
        (Ok(_), Some(confined)) if restart.is_wanted() => Err(restart::exec(&confined, &restart)),
        (ended, _) => ended,
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            paths::remove_made();
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}

/// The preparations for a command.
#[derive(Default)]
struct Prepared {
    watcher: Option<Watcher>,
    /// How a service is confined.
    confined: Option<Confined>,
}

/// Reads a service's configuration, raises its limit of open files, and confines this process to the configured files:
/// before other threads exist, which would not be confined.
///
/// The process that watches components is started before that.
fn prepare(cli: &mut Cli) -> anyhow::Result<Prepared> {
    if matches!(cli.command, Command::Run(_) | Command::Serve(_)) {
        restart::hold_hangup()?;
    }
    let (confinement, watcher) = match &mut cli.command {
        Command::Run(args) => run::prepare(&cli.common, args)?,
        Command::Serve(args) => (serve::prepare(&cli.common, args)?, None),
        _ => return Ok(Prepared::default()),
    };
    open_files::allow_many();
    let confined = restart::confine(&confinement);
    confined.log();
    Ok(Prepared { watcher, confined: Some(confined) })
}

async fn perform(cli: Cli, watcher: Option<Watcher>, restart: &Restart) -> anyhow::Result<ExitCode> {
    let Cli { common, command } = cli;
    match command {
        Command::Run(args) => {
            let shutdown = shutdown_or_restart(restart.clone())?;
            let started_with = Arc::new((common.clone(), args.clone()));
            restart.on_hangup(shutdown.clone(), move || {
                let started_with = started_with.clone();
                async move { run::recheck(&started_with.0, &started_with.1).await }
            })?;
            return run::run(&common, *args, watcher, shutdown, restart).await;
        }
        Command::Serve(args) => {
            let shutdown = shutdown_or_restart(restart.clone())?;
            let started_with = args.clone();
            restart.on_hangup(shutdown.clone(), move || std::future::ready(serve::recheck(&started_with)))?;
            serve::run(&common, &args, shutdown, restart).await?;
        }
        Command::AddAdminCharm => registrations::add_admin_charm(&common).await?,
        Command::Register { charm, integration, interval } => {
            registrations::register(&common, &charm, &integration, interval).await?;
        }
        Command::Interval { charm, interval } => registrations::set_interval(&common, &charm, interval.0).await?,
        Command::List(args) => registrations::list(&common, args).await?,
        Command::Show { charm, json } => registrations::show(&common, &charm, json.json).await?,
        Command::Enable(args) => registrations::enable(&common, args).await?,
        Command::Disable { charm } => registrations::disable(&common, &charm).await?,
        Command::Remove { charm } => registrations::remove(&common, &charm).await?,
        Command::Trigger(args) => charm::trigger::run(&common, &args).await?,
        Command::Runs { charm, limit, json } => registrations::runs(&common, &charm, limit, json.json).await?,
        Command::Charm(command) => return charm::run(&common, &command).await,
        Command::OAuth(command) => oauth::run(&common, &command).await?,
        Command::Setup(command) => setup::run(&common, &command).await?,
        Command::New(args) => new::run(&args)?,
        Command::Inspect { file, json, grants } => inspect::run(&file, json.json, &grants).await?,
        Command::Egress(command) => return Ok(egress::run(&command).await),
        Command::Config(command) => config_check::run(&command).await?,
        Command::SpaceDid { name } => identity::print_space_did(&name)?,
        Command::Space(command) => space::run(&common, &command).await?,
        Command::Identity(command) => identity::run(&common, &command)?,
        // Handled first, see `main`.
        Command::CompileComponent { .. }
        | Command::TranspileCharm { .. }
        | Command::RenewAccount { .. }
        | Command::WatchComponents { .. } => {}
        Command::Backup { file } => backup::run(&common, &file).await?,
        Command::Completions { shell } => shell::completions(shell)?,
        Command::Man { folder } => shell::man(folder.as_deref())?,
        Command::Status(args) => status::run(&common, args).await?,
        Command::Doctor(args) => return doctor::run(&common, &args).await,
    }
    Ok(ExitCode::SUCCESS)
}

/// A token that is cancelled by the first SIGINT (Ctrl-C) or SIGTERM. A second one ends the process at once.
fn shutdown_on_signal() -> anyhow::Result<CancellationToken> {
    shutdown_or_restart(Restart::default())
}

/// The same for a service, which then does not restart, even if a restart was requested.
fn shutdown_or_restart(restart: Restart) -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};

    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        let mut next = async || tokio::select! { _ = interrupt.recv() => 130, _ = terminate.recv() => 143 };
        next().await;
        tracing::info!("stopping; send the signal again to stop at once");
        restart::end_within(restart::STOP);
        restart.stop();
        cancelled.cancel();
        let status = next().await;
        std::process::exit(status);
    });
    Ok(token)
}
