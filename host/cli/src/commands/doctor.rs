//! `doctor`: whether everything that the service needs is in order, and what mends what is not.

use std::process::ExitCode;

use bg_identity::system_space;
use bg_sandbox::World;

use crate::args::Common;
use crate::connect::{self, Place};
use crate::{output, paths};

/// One line of the report.
struct Check {
    what: &'static str,
    found: anyhow::Result<String>,
}

/// Checks the key, the charm runtime, access to the system space, the sandbox and what runs charms. Status 1 if one fails.
pub(crate) async fn run(common: &Common) -> anyhow::Result<ExitCode> {
    let checks = [
        Check { what: "operator's key", found: connect::operator(common).map(|key| key.did().to_string()) },
        Check { what: "runtime's place", found: describe_place(common).await },
        Check { what: "registrations", found: registrations(common).await },
        Check { what: "charms' engine", found: script(common).await },
    ];
    let mut code = ExitCode::SUCCESS;
    for Check { what, found } in checks {
        match found {
            Ok(found) => output::line(format_args!("ok     {what}: {found}"))?,
            Err(error) => {
                code = ExitCode::FAILURE;
                output::line(format_args!("wrong  {what}: {error:#}"))?;
            }
        }
    }
    Ok(code)
}

async fn describe_place(common: &Common) -> anyhow::Result<String> {
    Ok(match connect::place(common).await? {
        Place::Remote(url) => format!("at {url}"),
        Place::Local(data_dir) => format!("the local one in {}", data_dir.path().display()),
    })
}

async fn registrations(common: &Common) -> anyhow::Result<String> {
    let all = connect::client(common).await?.registrations().await?;
    let enabled = all.iter().filter(|entry| entry.is_enabled()).count();
    Ok(format!("{} in the system space {}, {enabled} enabled", all.len(), system_space()))
}

async fn script(common: &Common) -> anyhow::Result<String> {
    let path = paths::script_component()?;
    let loaded = connect::sandbox(common)?.load(paths::read(&path, "the component")?, World::Charm).await?;
    Ok(format!("{} (sha256 {})", path.display(), loaded.info().sha256))
}
