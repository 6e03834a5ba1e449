//! What operators look at their service with: `status`, `doctor`, `config`, `completions`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{GrantArgs, JsonArg, Pin};

/// Shells that complete arguments.
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
    /// Show it again every 2 s, until Ctrl-C
    #[arg(long, conflicts_with = "json")]
    pub(crate) watch: bool,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `list`.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ListArgs {
    /// Print names and statuses whole, also where the terminal is too narrow for them
    #[arg(long)]
    pub(crate) wide: bool,

    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// Options of `doctor`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DoctorArgs {
    /// Check this component as well: whether it loads, what it asks for, and what of it is granted. May be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) component: Vec<PathBuf>,

    /// Whether the component of this integration has this SHA-256. May be repeated
    #[arg(long, value_name = "NAME=SHA-256")]
    pub(crate) sha256: Vec<Pin>,

    /// Check this configuration file of the services, and what it names
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Whether `serve` could listen there [default: 127.0.0.1:8000]
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
    /// Tell all that is wrong in a configuration file, each with its line; or what it amounts to. Its components are looked into, and
    /// nothing of them runs. Status 0: it is in order; 1: it is not
    Check {
        /// The file [default: /etc/bg-wasm-host/config.toml]
        file: Option<PathBuf>,
    },
}
