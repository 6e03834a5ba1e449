//! Options of `run` and `serve`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use bg_identity::IntegrationId;
use bg_poller::CharmRef;
use clap::Args;
use clap::builder::TypedValueParser as _;

use super::grants::{GRANTS, GrantArgs};
use super::handlers::{GUESTS, HandlerArgs};
use super::pin::Pin;
use super::server::ServerArgs;
use crate::options::{Count, Options, Percent};
use crate::units::parse_duration;

/// The heading of [`ServerArgs`] in help texts.
const SERVER: &str = "Access to the server";

/// Options of `run`.
#[derive(Debug, Clone, Default, Args, Options)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate option")]
pub(crate) struct RunArgs {
    /// An integration: a component built for world `integration`. May be repeated
    #[arg(long, value_name = "FILE")]
    #[option(key = "components", sample = r#"["/usr/share/bg-wasm-host/gmail.wasm"]"#)]
    pub(crate) component: Vec<PathBuf>,

    /// Refuse the component of this integration unless it has this SHA-256. May be repeated, to allow several versions
    /// of an integration
    #[arg(long, value_name = "NAME=SHA-256")]
    #[option(table = "[sha256]\n# gmail = \"…\"")]
    pub(crate) sha256: Vec<Pin>,

    /// Read options from a TOML file; the command line overrides it, lists are combined
    #[arg(long, value_name = "FILE")]
    #[option(command_line)]
    pub(crate) config: Option<PathBuf>,

    /// The time from the start of one poll of a charm to the start of the next: seconds, or with a unit (500ms, 2s, 5m)
    /// [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = parse_duration)]
    #[option(unset = "60s, unless a component asks for another")]
    pub(crate) interval: Option<Duration>,

    /// The shortest interval that a registration may set for itself [default: the interval that it has otherwise]
    #[arg(long, value_name = "SECONDS", value_parser = parse_duration)]
    #[option(example = r#""10s""#)]
    pub(crate) min_interval: Option<Duration>,

    /// Lengthen each interval at random by up to this percentage, to spread polls [default: 0]
    #[arg(long, value_name = "PERCENT")]
    pub(crate) jitter: Option<Percent>,

    /// How many charms are polled concurrently [default: 16]
    #[arg(long, value_name = "N")]
    pub(crate) max_concurrent: Option<Count<1, 100_000>>,

    /// How many charms of one integration are polled concurrently; charms without a component count as one integration
    /// [default: max-concurrent]
    #[arg(long, value_name = "N")]
    #[option(example = "16")]
    pub(crate) per_integration: Option<Count<1, 100_000>>,

    /// How many charms of one space are polled concurrently [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) per_space: Option<Count<1, 100_000>>,

    /// After how many consecutive failed polls a charm is disabled [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..).try_map(NonZeroU32::try_from))]
    #[option(sample = "5")]
    pub(crate) failures: Option<NonZeroU32>,

    /// How often to log a line of statistics [default: 300]
    #[arg(long, value_name = "SECONDS", value_parser = parse_duration)]
    pub(crate) log_interval: Option<Duration>,

    /// Poll only these charms: <space DID>/<charm ID>,…
    #[arg(long, value_name = "CHARM,…", value_delimiter = ',')]
    #[option(unset = "all registered charms", example = "[]")]
    pub(crate) charms: Vec<CharmRef>,

    /// Poll only charms of this integration. May be repeated
    #[arg(long, value_name = "NAME")]
    #[option(command_line)]
    pub(crate) integration: Vec<IntegrationId>,

    /// Also report components, their configuration, calls and requests to the admin page of a charm runtime on another
    /// machine
    #[arg(long)]
    #[option(command_line)]
    pub(crate) report: bool,

    /// First call `initialize` of every integration
    #[arg(long)]
    #[option(command_line)]
    pub(crate) initialize: bool,

    /// Poll every charm once, then exit, with status 1 if one failed. With --component, only charms of these
    /// integrations. Includes charms that back off, if --charms, --integration or --component selects them
    #[arg(long, conflicts_with = "polls")]
    #[option(command_line)]
    pub(crate) once: bool,

    /// Exit after N polls
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    #[option(command_line)]
    pub(crate) polls: Option<u64>,

    /// Also serve the charm runtime and the admin page over HTTP, at this address
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,

    /// Whether `listen` comes from the configuration file, which may mean it for `serve`.
    #[arg(skip)]
    pub(crate) may_listen: bool,

    /// How many of the components come from the configuration file: they are the last ones.
    #[arg(skip)]
    pub(crate) configured_components: usize,

    // A heading applies to everything after it.
    #[command(flatten, next_help_heading = SERVER)]
    pub(crate) server: ServerArgs,

    #[command(flatten, next_help_heading = GRANTS)]
    pub(crate) grants: GrantArgs,

    #[command(flatten, next_help_heading = GUESTS)]
    pub(crate) handlers: HandlerArgs,
}

/// Options of `serve`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ServeArgs {
    /// The address to listen on [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,

    /// Read options from a TOML file, which may be the one of `run`; the command line overrides it, lists are combined
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    #[command(flatten, next_help_heading = SERVER)]
    pub(crate) server: ServerArgs,

    #[command(flatten, next_help_heading = GUESTS)]
    pub(crate) handlers: HandlerArgs,
}

/// The default address: the original's.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8000);

impl ServeArgs {
    /// The address to listen on.
    pub(crate) fn listen(&self) -> SocketAddr {
        self.listen.unwrap_or(LISTEN)
    }
}
