//! Where log lines go: standard error, so that standard output holds results only.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::args::{Common, LogFormat};

/// Starts logging as the options say; `guests` is how much of what charms log is shown if they do not say.
pub(crate) fn start(common: &Common, guests: Option<&str>) -> anyhow::Result<()> {
    let filter = match guests {
        Some(level) if !common.log.contains("guest") => format!("{},guest={level}", common.log),
        _ => common.log.clone(),
    };
    let filter = EnvFilter::try_new(filter).with_context(|| {
        format!("`{}` is no log filter; write a level such as `debug`, or `info,egress=debug`", common.log)
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match common.log_format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
