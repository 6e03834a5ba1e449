//! The command line. Names are the original's where it has them.

#![allow(
    rustdoc::invalid_html_tags,
    rustdoc::broken_intra_doc_links,
    reason = "doc comments here are help for people, with <charm ID> and [NAME=]"
)]

mod charm;
mod in_files;
mod new;
mod operator;
mod pin;
mod server;
mod tenants;
mod values;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use bg_egress::Mode;
use bg_identity::{IntegrationId, Secret};
use bg_manifest::{CharmCredential, OperatorGrant, Origin};
use bg_poller::{CharmRef, RegistrationState};
use clap::builder::TypedValueParser as _;
use clap::{Args, Parser, Subcommand, ValueEnum};
use url::Url;

use crate::limits::{self, LimitSetting, OperatorLimits};
use crate::options::{Count, Options, Percent};
use crate::units::parse_duration;
pub(crate) use charm::{
    AclArgs, AclGrant, CharmCommand, DeleteArgs, DeployArgs, EventArgs, LogsArgs, SetArgs, TestArgs, TriggerArgs,
};
pub(crate) use new::{Language, NewArgs};
pub(crate) use operator::{ConfigCommand, DoctorArgs, ListArgs, Shell, StatusArgs};
pub(crate) use pin::Pin;
pub(crate) use server::{Registration, ServerArgs};
pub(crate) use tenants::Size;
pub(crate) use values::{CellPath, OwnInterval, RefreshUrl, Setting};
use values::{parse_api_url, parse_interval, parse_secret};

/// Runs background work for Common Tools charms, with integrations that are untrusted WebAssembly components.
#[derive(Debug, Parser)]
#[command(name = "bg-wasm-host", version, max_term_width = 120)]
pub(crate) struct Cli {
    #[command(flatten, next_help_heading = "Options of every command")]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

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
    #[arg(long, global = true, env = "OPERATOR_PASS", value_name = "PASSPHRASE", hide_env_values = true, value_parser = parse_secret)]
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

/// The command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Poll the registered charms: the service
    #[command(after_help = limits::help())]
    Run(Box<RunArgs>),
    /// Serve the local charm runtime over HTTP, with an admin page
    #[command(after_help = limits::help())]
    Serve(Box<ServeArgs>),
    /// Give the operator access to the system space, where registrations live
    AddAdminCharm,
    /// Register a charm to be polled
    Register {
        /// The charm, as <space DID>/<charm ID>
        charm: CharmRef,
        /// The integration that decides when to poll it
        #[arg(long, value_name = "NAME")]
        integration: IntegrationId,
        /// The time from one poll of this charm to the next, if not its integration's interval: seconds, or with a unit
        /// (5m)
        #[arg(long, value_name = "SECONDS", value_parser = parse_duration)]
        interval: Option<Duration>,
    },
    /// Set how often a registered charm is polled
    Interval {
        /// The charm, as <space DID>/<charm ID>
        charm: CharmRef,
        /// The time from one poll to the next: seconds, or with a unit (5m); `default` is its integration's interval
        #[arg(value_name = "SECONDS", value_parser = parse_interval)]
        interval: OwnInterval,
    },
    /// List all registrations
    List(ListArgs),
    /// Show one registration
    Show {
        /// The charm, as <space DID>/<charm ID>
        charm: CharmRef,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Poll disabled charms again: one, or all of an integration, of a space, in a state, or all
    Enable(EnableArgs),
    /// Stop polling a charm, and keep its registration
    Disable {
        /// The charm, as <space DID>/<charm ID>
        charm: CharmRef,
    },
    /// Remove a registration
    Remove {
        /// The charm, as <space DID>/<charm ID>
        charm: CharmRef,
    },
    /// Send `{}` to a charm's updater stream, once, now
    #[command(after_help = limits::help())]
    Trigger(Box<TriggerArgs>),
    /// Show the newest runs of a charm
    Runs {
        /// The charm, as <space DID>/<charm ID>
        charm: CharmRef,
        /// How many runs
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: usize,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Deploy charms, try them out, and see what they do
    #[command(subcommand)]
    Charm(CharmCommand),
    /// Write a new, working integration: its source, manifest and test
    New(NewArgs),
    /// Describe a component, its imports and the grants it asks for, without running it
    Inspect {
        /// The component
        file: PathBuf,
        #[command(flatten)]
        json: JsonArg,
        #[command(flatten)]
        grants: GrantArgs,
    },
    /// Show what the gate for outbound HTTP would do, without sending anything
    #[command(subcommand)]
    Egress(EgressCommand),
    /// Check a configuration file
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the DID of a space with this name
    SpaceDid {
        /// The name of the space
        name: String,
    },
    /// Create private spaces, and list the spaces of the charm runtime
    #[command(subcommand)]
    Space(SpaceCommand),
    /// Create keys, and show the operator's identity
    #[command(subcommand)]
    Identity(IdentityCommand),
    /// Copy the local database into a new file, even while services use it
    Backup {
        /// The copy; must not exist
        file: PathBuf,
    },
    /// Show the state of the service: who polls, how many charms are in each state, and the newest failures
    Status(StatusArgs),
    /// Check the installation and print a fix for each problem
    Doctor(Box<DoctorArgs>),
    /// Print a shell's completions for this program
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page; or write it, and one for each command, into a folder
    Man {
        /// The folder
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
    },
    /// Watch components for changes, for the service that starts this
    #[command(hide = true)]
    WatchComponents {
        /// The largest component, in bytes
        most: usize,
        /// The files
        components: Vec<PathBuf>,
    },
    /// Compile a component, sent by the service that starts this
    #[command(hide = true)]
    CompileComponent {
        /// The limits
        options: Vec<String>,
    },
    /// Transpile a charm, sent by the service that starts this
    #[command(hide = true)]
    TranspileCharm {
        /// The limits
        options: Vec<String>,
    },
}

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

/// Commands about spaces.
#[derive(Debug, Subcommand)]
pub(crate) enum SpaceCommand {
    /// Create a space with a random key, so that knowing its name does not make anyone its owner, and print its DID
    New {
        /// Its name, by which --space finds it for the same operator
        name: String,
    },
    /// List the spaces that you created or own; all spaces, if you are the operator
    List {
        #[command(flatten)]
        json: JsonArg,
    },
}

/// Commands about keys.
#[derive(Debug, Subcommand)]
pub(crate) enum IdentityCommand {
    /// Create a new key file
    New {
        /// The file; must not exist
        file: PathBuf,
    },
    /// Print the DID of the operator's key
    Show,
}

/// Machine-readable output.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct JsonArg {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What the operator grants.
#[derive(Debug, Clone, Default, Args, Options)]
pub(crate) struct GrantArgs {
    /// Allow an integration to send HTTP to a URL prefix, if its manifest asks for it: [NAME=][METHOD,…␣]URL-PREFIX;
    /// without NAME, all integrations
    #[arg(long, value_name = "[NAME=]URL")]
    #[option(sample = r#"["gmail=https://gmail.googleapis.com/gmail/v1/"]"#)]
    pub(crate) allow_http: Vec<OperatorGrant>,

    /// `requested` grants every component everything its manifest asks for
    #[arg(long, value_enum, value_name = "WHAT")]
    #[option(unset = "only what allow-http grants", example = r#""requested""#)]
    pub(crate) grant: Option<GrantAll>,

    /// Set a configuration value of an integration
    #[arg(long, value_name = "NAME.KEY=VALUE")]
    #[option(table = "[set.gmail]\n# api-base-url = \"https://gmail.googleapis.com\"")]
    pub(crate) set: Vec<Setting>,
}

/// Wholesale grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum GrantAll {
    /// Everything that the manifests ask for.
    Requested,
}

/// The heading of [`ServerArgs`] in help texts.
const SERVER: &str = "Access to the server";

/// The heading of [`GrantArgs`] in help texts.
pub(crate) const GRANTS: &str = "Grants and configuration of integrations";

/// The heading of [`HandlerArgs`] in help texts.
pub(crate) const GUESTS: &str = "Charms and integrations";

/// What charms' handlers, and partly integrations, may do if this process runs them.
#[derive(Debug, Clone, Default, Args, Options)]
pub(crate) struct HandlerArgs {
    /// Allow charms' handlers to send HTTP to a URL prefix: [METHOD,…␣]URL-PREFIX
    #[arg(long, value_name = "URL")]
    #[option(example = r#"["GET https://api.example.com/"]"#)]
    pub(crate) allow_charm_http: Vec<bg_manifest::HttpGrant>,

    /// Allow charms' handlers to send the secret at this path to this origin, and otherwise only to those in its
    /// integration's manifest
    #[arg(long, value_name = "PATH=ORIGIN")]
    #[option(example = r#"["auth.token=https://api.example.com"]"#)]
    pub(crate) charm_credential: Vec<CharmCredential>,

    /// Allow this origin although it resolves to a private address, for development; a grant is still required
    #[arg(long, value_name = "ORIGIN")]
    #[option(example = r#"["http://127.0.0.1:9000"]"#)]
    pub(crate) allow_private: Vec<Origin>,

    /// The service that renews OAuth tokens of charms
    #[arg(long, value_name = "URL")]
    #[option(
        unset = "none: tokens are not renewed",
        example = r#""http://localhost:8000/api/integrations/google-oauth/refresh""#
    )]
    pub(crate) oauth_refresh_url: Option<RefreshUrl>,

    /// The URL of the charm runtime's API, as charms see it: `getRecipeEnvironment().apiUrl` [default:
    /// `http://localhost:8000/`]
    #[arg(long, value_name = "URL", value_parser = parse_api_url)]
    pub(crate) charm_api_url: Option<Url>,

    /// What to do with requests that no grant covers. `report` logs and sends them, for trying out [default: enforce]
    #[arg(long, value_enum, value_name = "MODE")]
    pub(crate) egress: Option<EgressMode>,

    /// How many runs of each charm to keep in the history [default: 100]
    #[arg(long, value_name = "N")]
    pub(crate) keep_runs: Option<Count<1, 1_000>>,

    /// Another limit of the sandbox, of HTTP or of the server, such as charm-time=2m; names are listed below. May be
    /// repeated
    #[arg(long, value_name = "NAME=VALUE")]
    #[option(
        key = "limits",
        unset = "as in `run --help`",
        table = "[limits]\n# charm-time = \"60s\"\n# charm-memory = \"128MiB\""
    )]
    pub(crate) limit: Vec<LimitSetting>,
}

impl HandlerArgs {
    /// All limits. The last setting of each wins.
    pub(crate) fn limits(&self) -> OperatorLimits {
        OperatorLimits::of(&self.limit)
    }
}

/// What the gate does with requests that no grant covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EgressMode {
    /// Deny them.
    Enforce,
    /// Log them as `would deny` and send them, without a token. For trying out.
    Report,
}

impl From<EgressMode> for Mode {
    fn from(mode: EgressMode) -> Self {
        match mode {
            EgressMode::Enforce => Self::Enforce,
            EgressMode::Report => Self::Report,
        }
    }
}

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

impl Command {
    /// Whether work begins with this command, so that it creates the data directory. A new one contains no charm to
    /// register or update.
    pub(crate) fn makes_data_dir(&self) -> bool {
        match self {
            Self::Run(_) | Self::Serve(_) => true,
            Self::Charm(CharmCommand::Deploy(args)) => args.update.is_none(),
            _ => false,
        }
    }

    /// Which guest log lines a command shows by default; everything if that is its purpose.
    pub(crate) fn guest_log(&self) -> Option<&'static str> {
        match self {
            Self::Trigger(_) | Self::Charm(CharmCommand::Trigger(_) | CharmCommand::Deploy(_)) => Some("trace"),
            // The command prints them itself.
            Self::Charm(CharmCommand::Test(_)) => Some("off"),
            _ => None,
        }
    }
}

/// Options of `enable`.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct EnableArgs {
    /// The charm, as <space DID>/<charm ID>
    pub(crate) charm: Option<CharmRef>,

    /// All charms of this integration that do not run as they should. May be repeated
    #[arg(long, value_name = "NAME", conflicts_with = "charm")]
    pub(crate) integration: Vec<IntegrationId>,

    /// All charms in this state, such as `disabled-by-failures` or `waiting`. May be repeated
    #[arg(long, value_name = "STATE", value_parser = parse_state, conflicts_with = "charm")]
    pub(crate) state: Vec<RegistrationState>,

    /// All charms in this space that do not run as they should: a name, or a DID. May be repeated
    #[arg(long, value_name = "NAME|DID", conflicts_with = "charm")]
    pub(crate) space: Vec<String>,

    /// All charms that do not run as they should
    #[arg(long, conflicts_with_all = ["charm", "integration", "state", "space"])]
    pub(crate) all: bool,
}

fn parse_state(text: &str) -> Result<RegistrationState, String> {
    let state = RegistrationState::ALL.into_iter().find(|state| state.slug() == text);
    state.ok_or_else(|| format!("expected one of {}", RegistrationState::ALL.map(RegistrationState::slug).join(", ")))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn enable_alone_says_what_it_can_be_given() {
        let refused = Cli::try_parse_from(["bg-wasm-host", "enable"]).unwrap_err().to_string();
        for option in ["CHARM", "--integration <NAME>", "--state <STATE>", "--space <NAME|DID>", "--all"] {
            assert!(refused.contains(option), "{option}: {refused}");
        }
        for args in [&["--all"][..], &["--integration", "mail"], &["--integration", "mail", "--state", "waiting"]] {
            Cli::try_parse_from(["bg-wasm-host", "enable"].iter().chain(args)).unwrap();
        }
    }

    #[test]
    fn a_passphrase_is_not_shown_in_help_or_debug_output() {
        let cli = Cli::parse_from(["bg-wasm-host", "--operator-pass", "hunter2", "list"]);
        assert!(!format!("{cli:?}").contains("hunter2"));
    }
}
