//! `config check`: the problems of a configuration file, or the resulting configuration. Runs no components.

mod components;
mod sections;
mod summary;

use std::path::{Path, PathBuf};

use crate::args::{ConfigCommand, RunArgs};
use crate::config::{ConfigError, ReadFile};
use crate::output;
#[cfg(test)]
pub(crate) use sections::sections;

/// The file that the systemd unit of `install/` uses.
const INSTALLED: &str = "/etc/bg-wasm-host/config.toml";

/// `config …`
pub(crate) async fn run(command: &ConfigCommand) -> anyhow::Result<()> {
    let ConfigCommand::Check { file } = command;
    check(&file.clone().unwrap_or_else(|| PathBuf::from(INSTALLED))).await
}

/// The contents of a file without problems.
pub(crate) struct Looked {
    run: RunArgs,
    seen: Vec<components::Seen>,
}

/// Reads a file, and inspects its components.
pub(crate) async fn look(path: &Path) -> anyhow::Result<Looked> {
    let mut run = RunArgs::default();
    let document = ReadFile::open(path)?.merge_located(&mut run);
    let (seen, mistakes) = components::check(&run, &document).await;
    if !mistakes.is_empty() {
        return Err(ConfigError::Wrong { path: path.to_owned(), mistakes }.into());
    }
    Ok(Looked { run, seen })
}

async fn check(path: &Path) -> anyhow::Result<()> {
    let Looked { run, seen } = look(path).await?;
    output::line(format_args!("{} has no problems. The resulting configuration:", path.display()))?;
    for (heading, rows) in summary::of(&run, &seen) {
        output::line(format_args!("\n{heading}"))?;
        for (key, values) in rows {
            let mut name = key;
            for value in values {
                output::line(format_args!("  {name:<18} {}", output::printable(&value)))?;
                name = "";
            }
        }
    }
    Ok(())
}
