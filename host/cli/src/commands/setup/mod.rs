//! `setup …`: commands that lead through several others.

mod configuration;
mod gmail;
mod questions;

use crate::args::{Common, SetupCommand};

/// `setup …`
pub(crate) async fn run(common: &Common, command: &SetupCommand) -> anyhow::Result<()> {
    match command {
        SetupCommand::Gmail(args) => gmail::run(common, args).await,
    }
}
