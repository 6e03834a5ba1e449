//! `charm …`: deploys and inspects charms.

mod acl;
mod charm_test;
mod check;
mod delete;
mod deploy;
mod diff;
mod folder;
mod logs;
mod page;
mod set;
mod source;
mod steps;
mod temporary;
pub(crate) mod trigger;
mod watch;

use std::process::ExitCode;

use crate::args::{CharmCommand, Common};
use crate::commands::space;
use crate::{connect, output};

/// `charm …`
pub(crate) async fn run(common: &Common, command: &CharmCommand) -> anyhow::Result<ExitCode> {
    match command {
        CharmCommand::Deploy(args) if args.watch => watch::run(common, args, crate::shutdown_on_signal()?).await?,
        CharmCommand::Deploy(args) => deploy::run(common, args).await?,
        CharmCommand::Show { charm, ui: false } => output::json(&connect::client(common).await?.show(charm).await?)?,
        CharmCommand::Show { charm, ui: true } => page::run(common, charm).await?,
        CharmCommand::List { space } => list(common, space).await?,
        CharmCommand::Logs(args) => logs::run(common, args).await?,
        CharmCommand::Trigger(args) => trigger::run(common, args).await?,
        CharmCommand::Set(args) => set::run(common, args).await?,
        CharmCommand::Test(args) => return charm_test::run(common, args, crate::shutdown_on_signal()?).await,
        CharmCommand::Check(args) => return check::run(common, args, crate::shutdown_on_signal()?).await,
        CharmCommand::Acl(args) => acl::run(common, args).await?,
        CharmCommand::Delete(args) => delete::run(common, args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Lists the charms of a space.
async fn list(common: &Common, space: &str) -> anyhow::Result<()> {
    let runtime = connect::client(common).await?;
    let charms = runtime.charms(&space::resolve(&*runtime, space).await?).await?;
    let rows: Vec<Vec<String>> = charms
        .iter()
        .map(|charm| {
            vec![
                charm.charm.to_string(),
                output::printable(charm.name.as_deref().unwrap_or("")),
                output::printable(&charm.file_name),
                output::printable(&charm.streams.join(" ")),
            ]
        })
        .collect();
    output::table(&["CHARM", "NAME", "SOURCE", "STREAMS"], &rows)?;
    Ok(())
}
