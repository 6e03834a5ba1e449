//! `identity` and `space-did`.

use anyhow::Context as _;
use bg_identity::{Identity, space_did};

use crate::args::{Common, IdentityCommand};
use crate::{connect, output};

/// `identity …`
pub(crate) fn run(common: &Common, command: &IdentityCommand) -> anyhow::Result<()> {
    match command {
        IdentityCommand::New { file } => {
            let identity = Identity::generate()?;
            identity.save_new(file).with_context(|| format!("cannot write the key file {}", file.display()))?;
            output::line(identity.did())?;
        }
        IdentityCommand::Show => output::line(connect::operator(common)?.did())?,
    }
    Ok(())
}

/// `space-did NAME`
pub(crate) fn print_space_did(name: &str) -> anyhow::Result<()> {
    Ok(output::line(space_did(name))?)
}
