//! Options of `egress check`.

use std::path::PathBuf;

use bg_manifest::{CharmCredential, Origin};
use clap::{Args, Subcommand};

use super::common::JsonArg;
use super::grants::GrantArgs;

/// Commands about the gate.
#[derive(Debug, Subcommand)]
pub(crate) enum EgressCommand {
    /// Show whether a request would be allowed, by which rule, and what would change that. Nothing is looked up or
    /// sent. Status 0: allowed, for every owner in question; 1: denied; 2: usage error
    Check(Box<EgressCheckArgs>),
}

/// Options of `egress check`.
#[derive(Debug, Clone, Args)]
pub(crate) struct EgressCheckArgs {
    /// The destination of the request
    pub(crate) url: String,

    /// The method
    #[arg(long, value_name = "METHOD", default_value = "GET")]
    pub(crate) method: http::Method,

    /// For the integration of this component. May be repeated; without any, everything granted counts as asked for
    #[arg(long, value_name = "FILE")]
    pub(crate) component: Vec<PathBuf>,

    /// Read components and grants from a configuration file of `run`
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) grants: GrantArgs,

    /// A grant for charms' handlers; includes charms in the check
    #[arg(long, value_name = "URL")]
    pub(crate) allow_charm_http: Vec<bg_manifest::HttpGrant>,

    /// Where a secret of charms may go; shows for each secret whether a handler may send it to the URL
    #[arg(long, value_name = "PATH=ORIGIN")]
    pub(crate) charm_credential: Vec<CharmCredential>,

    /// Allow this origin although it resolves to a private address; a grant is still required
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) allow_private: Vec<Origin>,

    #[command(flatten)]
    pub(crate) json: JsonArg,
}
