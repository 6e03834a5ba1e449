//! Arguments of `setup …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use url::Url;

use super::values::parse_api_url;

/// Commands that lead through several others.
#[derive(Debug, Subcommand)]
pub(crate) enum SetupCommand {
    /// Lead from a Google account to its mail in a charm: the client, the sign-in, the charm, the grants, the first poll
    Gmail(SetupGmailArgs),
}

/// What `setup gmail` does not ask for then.
#[derive(Debug, Args)]
pub(crate) struct SetupGmailArgs {
    /// The file of a client of the type "Desktop app", as Google's console offers it under "Download JSON"
    #[arg(long, value_name = "FILE")]
    pub(crate) client: Option<PathBuf>,
    /// The space for the charm: its name, or its DID
    #[arg(long, value_name = "NAME")]
    pub(crate) space: Option<String>,
    /// The configuration file to write
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The component [default: gmail.wasm, next to script.wasm]
    #[arg(long, value_name = "FILE")]
    pub(crate) component: Option<PathBuf>,
    /// Open no browser: print the URL, and read the URL of the page on which the sign-in ends from standard input
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// Where Gmail's API is, if not at Google
    #[arg(long, value_name = "URL", value_parser = parse_api_url)]
    pub(crate) api_base_url: Option<Url>,
}
