//! `config check`: what is wrong in a configuration file, or what it amounts to. Nothing of its components runs.

mod components;
mod summary;

use std::path::{Path, PathBuf};

use crate::args::{ConfigCommand, RunArgs, ServeArgs};
use crate::config::{ConfigError, ReadFile};
use crate::output;

/// Where the file is that the unit of `install/` names.
const INSTALLED: &str = "/etc/bg-wasm-host/config.toml";

/// `config …`
pub(crate) async fn run(command: &ConfigCommand) -> anyhow::Result<()> {
    let ConfigCommand::Check { file } = command;
    check(&file.clone().unwrap_or_else(|| PathBuf::from(INSTALLED))).await
}

/// What a file says, if nothing is wrong with it.
pub(crate) struct Looked {
    run: RunArgs,
    serve: ServeArgs,
    seen: Vec<components::Seen>,
}

/// Reads a file, and looks into its components.
pub(crate) async fn look(path: &Path) -> anyhow::Result<Looked> {
    let (mut run, mut serve) = (RunArgs::default(), ServeArgs::default());
    let document = ReadFile::open(path)?.merge_both(&mut run, &mut serve);
    let (seen, mistakes) = components::check(&run, &document).await;
    if !mistakes.is_empty() {
        return Err(ConfigError::Wrong { path: path.to_owned(), mistakes }.into());
    }
    Ok(Looked { run, serve, seen })
}

/// The options of `run` that have other values in the one than in the other, but for its components.
pub(crate) fn changed(before: &RunArgs, now: &RunArgs) -> Vec<&'static str> {
    let all = |args: &RunArgs| summary::of(args, &ServeArgs::default(), &[]).into_iter().flat_map(|(_, rows)| rows);
    let differ = all(before).zip(all(now)).filter(|(before, now)| before.1 != now.1);
    differ.map(|(_, (name, _))| name).collect()
}

async fn check(path: &Path) -> anyhow::Result<()> {
    let Looked { run, serve, seen } = look(path).await?;
    output::line(format_args!("{} is in order. What it amounts to:", path.display()))?;
    for (heading, rows) in summary::of(&run, &serve, &seen) {
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
