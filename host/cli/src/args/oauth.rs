//! Arguments of `oauth …`.

use std::path::PathBuf;

use bg_poller::CharmRef;
use clap::{Args, Subcommand};

use super::common::JsonArg;

/// Commands about accounts at other services.
#[derive(Debug, Subcommand)]
pub(crate) enum OAuthCommand {
    /// Set or list your OAuth clients: under which name this host asks for tokens at a provider
    #[command(subcommand)]
    Client(ClientCommand),
    /// Sign in at a provider, and give the token to a charm
    Login(LoginArgs),
    /// List the accounts: who signed in, what is allowed, which charms have it, and what is wrong
    Accounts {
        #[command(flatten)]
        json: JsonArg,
    },
    /// Give the token of an account to a charm, now and after each renewal
    Attach {
        /// The account: its ID, or what it is called
        account: String,
        /// The charm, as <space DID>/<charm ID>
        charm: CharmRef,
        /// The cell that gets it [default: auth, or the only cell that is named like a sign-in]
        #[arg(long, value_name = "NAME")]
        cell: Option<String>,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Take the account from a charm, and empty the cell that had its token
    Detach {
        /// The charm, as <space DID>/<charm ID>
        charm: CharmRef,
    },
    /// Renew the token of an account now
    Renew {
        /// The account: its ID, or what it is called
        account: String,
        /// How often, one after the other
        #[arg(long, value_name = "N", default_value_t = 1, hide = true)]
        times: u32,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Remove an account: revoke it at the provider, and empty the cells of its charms
    Logout {
        /// The account: its ID, or what it is called
        account: String,
        #[command(flatten)]
        json: JsonArg,
    },
}

/// Commands about OAuth clients.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Set the client at a provider, in place of another one
    Set(ClientSetArgs),
    /// List the clients, without their secrets
    List {
        #[command(flatten)]
        json: JsonArg,
    },
}

/// A client.
#[derive(Debug, Args)]
pub(crate) struct ClientSetArgs {
    /// The provider: google, github, microsoft, …
    pub(crate) provider: String,
    /// The file that Google's console offers under "Download JSON"
    #[arg(long, value_name = "FILE", required_unless_present = "id", conflicts_with = "id")]
    pub(crate) file: Option<PathBuf>,
    /// Its ID; the secret is read from standard input, and may be empty
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// A sign-in.
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// The provider: google, github, microsoft, …
    pub(crate) provider: String,
    /// The charm that gets the token, as <space DID>/<charm ID>
    #[arg(long, value_name = "CHARM")]
    pub(crate) charm: Option<CharmRef>,
    /// The cell that gets it [default: auth, or the only cell that is named like a sign-in]
    #[arg(long, value_name = "NAME", requires = "charm")]
    pub(crate) cell: Option<String>,
    /// What to ask for, beside what every sign-in there asks for; may be repeated
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Vec<String>,
    /// The account that must sign in again; its scopes are asked for again
    #[arg(long, value_name = "ACCOUNT", conflicts_with = "token_stdin")]
    pub(crate) account: Option<String>,
    /// Open no browser: print the URL, and read the URL of the page on which the sign-in ends from standard input
    #[arg(long, conflicts_with_all = ["device", "token_stdin"])]
    pub(crate) no_browser: bool,
    /// Sign in on another device, with a short code
    #[arg(long, conflicts_with = "token_stdin")]
    pub(crate) device: bool,
    /// Keep a token or key that you made at the provider, from standard input
    #[arg(long)]
    pub(crate) token_stdin: bool,
    /// What to call the account, if the provider does not say whose token it is
    #[arg(long, value_name = "NAME", requires = "token_stdin")]
    pub(crate) name: Option<String>,
    /// The port of this machine that the browser is sent back to [default: a free one, or 53682 if the provider wants
    /// the URL registered]
    #[arg(long, value_name = "PORT", conflicts_with_all = ["device", "token_stdin"])]
    pub(crate) port: Option<u16>,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}
