//! Options of the operator's commands: `status`, `doctor`, `config`, `completions`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::common::JsonArg;
use super::grants::GrantArgs;
use super::pin::Pin;

/// Shells with completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// `source <(bg-wasm-host completions bash)`
    Bash,
    /// In a folder of `fpath`, as `_bg-wasm-host`
    Zsh,
    /// In `~/.config/fish/completions`, as `bg-wasm-host.fish`
    Fish,
}

/// Options of `status`.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct StatusArgs {
    /// Update every 2 s, until Ctrl-C
    #[arg(long, conflicts_with = "json")]
    pub(crate) watch: bool,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `list`.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ListArgs {
    /// Print full names and statuses, even if the terminal is too narrow
    #[arg(long)]
    pub(crate) wide: bool,

    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// Options of `doctor`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DoctorArgs {
    /// Also check this component: whether it loads, what it asks for, and what is granted. May be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) component: Vec<PathBuf>,

    /// Check that the component of this integration has this SHA-256. May be repeated
    #[arg(long, value_name = "NAME=SHA-256")]
    pub(crate) sha256: Vec<Pin>,

    /// Check this configuration file of the services, and the files that it names
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Check whether `serve` could listen there [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,

    #[command(flatten)]
    pub(crate) grants: GrantArgs,

    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// Commands about configuration files.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Report every problem of a configuration file with its line, or print the resulting configuration. Its components
    /// are inspected, but not run. Status 0: no problems; 1: problems
    Check {
        /// The file [default: /etc/bg-wasm-host/config.toml]
        file: Option<PathBuf>,
    },
}
