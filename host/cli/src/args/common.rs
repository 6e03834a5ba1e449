//! Options of every command, and of several.

use std::path::PathBuf;

use bg_identity::Secret;
use clap::{Args, ValueEnum};
use url::Url;

use super::values::{parse_api_url, parse_secret};

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// The directory of the local charm runtime's database, keys and cache
    #[arg(long, global = true, env = "BG_WASM_HOST_DATA", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Whether the directory is created if it does not exist.
    #[arg(skip)]
    pub(crate) makes_data_dir: bool,

    /// The directory of compiled components [default: bg-wasm-host in the user's cache directory]
    #[arg(long, global = true, env = "BG_WASM_HOST_CACHE", value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,

    /// The charm runtime to use, over HTTP [default: the local one in the data directory]
    #[arg(long, global = true, env = "API_URL", value_name = "URL", value_parser = parse_api_url)]
    pub(crate) api_url: Option<Url>,

    /// The operator's key: a PKCS#8 key file (see `identity new`). Overrides the passphrase
    #[arg(long, global = true, env = "IDENTITY", value_name = "FILE", hide_env_values = true)]
    pub(crate) identity: Option<PathBuf>,

    /// The passphrase from which the operator's key is derived, if there is no key file [default: implicit trust]
    #[arg(
        long,
        global = true,
        env = "OPERATOR_PASS",
        value_name = "PASSPHRASE",
        hide_env_values = true,
        value_parser = parse_secret
    )]
    pub(crate) operator_pass: Option<Secret>,

    /// Where to send traces, over OTLP (HTTP); without it, none are made. `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`
    /// and others apply as usual
    #[arg(long, global = true, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", value_parser = parse_api_url)]
    pub(crate) otlp_endpoint: Option<Url>,

    /// The format of log lines
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,

    /// Which log lines to write: a level, or `target=level,…` (targets: poller, egress, guest, …)
    #[arg(long, global = true, env = "BG_WASM_HOST_LOG", default_value = "info", value_name = "FILTER")]
    pub(crate) log: String,
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Machine-readable output.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct JsonArg {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
