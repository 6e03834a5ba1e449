//! What a person may type. Names are the original's where it has them.

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
    /// Where the local charm runtime keeps its database, keys and cache
    #[arg(long, global = true, env = "BG_WASM_HOST_DATA", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Whether that directory is made, if it is not there.
    #[arg(skip)]
    pub(crate) makes_data_dir: bool,

    /// Where compiled components are kept [default: bg-wasm-host in the user's cache directory]
    #[arg(long, global = true, env = "BG_WASM_HOST_CACHE", value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,

    /// The charm runtime to use, over HTTP [default: the local one in the data directory]
    #[arg(long, global = true, env = "API_URL", value_name = "URL", value_parser = parse_api_url)]
    pub(crate) api_url: Option<Url>,

    /// The operator's key: a PKCS#8 key file (see `identity new`). Wins over the passphrase
    #[arg(long, global = true, env = "IDENTITY", value_name = "FILE", hide_env_values = true)]
    pub(crate) identity: Option<PathBuf>,

    /// The passphrase that the operator's key is made from, where there is no key file [default: implicit trust]
    #[arg(long, global = true, env = "OPERATOR_PASS", value_name = "PASSPHRASE", hide_env_values = true, value_parser = parse_secret)]
    pub(crate) operator_pass: Option<Secret>,

    /// Where traces go, over OTLP (HTTP); none are made without it. `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER` and others hold as usual
    #[arg(long, global = true, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", value_parser = parse_api_url)]
    pub(crate) otlp_endpoint: Option<Url>,

    /// How log lines are written
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,

    /// Which log lines are written: a level, or `target=level,…` (targets: poller, egress, guest, …)
    #[arg(long, global = true, env = "BG_WASM_HOST_LOG", default_value = "info", value_name = "FILTER")]
    pub(crate) log: String,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Poll the registered charms: the service
    #[command(after_help = limits::help())]
    Run(Box<RunArgs>),
    /// Offer the local charm runtime over HTTP, with an admin page
    #[command(after_help = limits::help())]
    Serve(Box<ServeArgs>),
    /// Give the operator access to the system space, where registrations live
    AddAdminCharm,
    /// Register a charm to be polled
    Register {
        /// The charm, as <space DID>/<charm ID>
        charm: CharmRef,
        /// The integration that decides about it
        #[arg(long, value_name = "NAME")]
        integration: IntegrationId,
        /// From one poll of this charm to its next, if it is not to be its integration's interval: seconds, or with a unit (5m)
        #[arg(long, value_name = "SECONDS", value_parser = parse_duration)]
        interval: Option<Duration>,
    },
    /// Set how often a registered charm is polled
    Interval {
        /// The charm, as <space DID>/<charm ID>
        charm: CharmRef,
        /// From one poll to the next: seconds, or with a unit (5m); `default` is the interval of its integration
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
    /// Poll a charm again that was disabled, or many: of an integration, of a space, in a state, or all
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
    /// Send `{}` to a charm's updater stream, once and now
    #[command(after_help = limits::help())]
    Trigger(Box<TriggerArgs>),
    /// Show the newest runs of a charm
    Runs {
        /// The charm, as <space DID>/<charm ID>
        charm: CharmRef,
        /// How many
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: usize,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Deploy charms, try them out, and see what they do
    #[command(subcommand)]
    Charm(CharmCommand),
    /// Write a new integration that works: its source, manifest and test
    New(NewArgs),
    /// Tell what a component is, what it imports and what it asks for, without running it
    Inspect {
        /// The component
        file: PathBuf,
        #[command(flatten)]
        json: JsonArg,
        #[command(flatten)]
        grants: GrantArgs,
    },
    /// Tell what the gate for outbound HTTP would do, without sending anything
    #[command(subcommand)]
    Egress(EgressCommand),
    /// Look into a configuration file
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the DID of a space, by its name
    SpaceDid {
        /// The name of the space
        name: String,
    },
    /// Make spaces that are yours alone, and list the spaces of the charm runtime
    #[command(subcommand)]
    Space(SpaceCommand),
    /// Make keys, and tell who the operator is
    #[command(subcommand)]
    Identity(IdentityCommand),
    /// Copy the local database into a new file, also while services work on it
    Backup {
        /// The copy; it must not exist
        file: PathBuf,
    },
    /// Show the service at a glance: who polls, how many charms are in which state, and the newest failures
    Status(StatusArgs),
    /// Check the installation and print a fix for each problem
    Doctor(Box<DoctorArgs>),
    /// Print what a shell needs to complete this program's arguments
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
    /// Look whether components change, for the service that starts this
    #[command(hide = true)]
    WatchComponents {
        /// How long a component may be, bytes
        most: usize,
        /// Their files
        components: Vec<PathBuf>,
    },
    /// Compile a component, sent by the service that starts this
    #[command(hide = true)]
    CompileComponent {
        /// Its limits
        options: Vec<String>,
    },
    /// Transpile a charm, sent by the service that starts this
    #[command(hide = true)]
    TranspileCharm {
        /// Its limits
        options: Vec<String>,
    },
}

/// Commands about the gate.
#[derive(Debug, Subcommand)]
pub(crate) enum EgressCommand {
    /// Tell whether a request would be allowed, by which rule, and what would change that. Nothing is looked up or sent.
    /// Status 0: allowed, to everyone that is asked for; 1: denied; 2: wrong use
    Check(Box<EgressCheckArgs>),
}

/// Options of `egress check`.
#[derive(Debug, Clone, Args)]
pub(crate) struct EgressCheckArgs {
    /// Where the request would go
    pub(crate) url: String,

    /// With which method
    #[arg(long, value_name = "METHOD", default_value = "GET")]
    pub(crate) method: http::Method,

    /// For the integration of this component. May be repeated; without any, all that is granted counts as asked for
    #[arg(long, value_name = "FILE")]
    pub(crate) component: Vec<PathBuf>,

    /// Read the components and grants from a configuration file of `run`
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) grants: GrantArgs,

    /// What charms' handlers are granted: then they are asked for, too
    #[arg(long, value_name = "URL")]
    pub(crate) allow_charm_http: Vec<bg_manifest::HttpGrant>,

    /// Where secrets of charms may go: then it is said of each whether a handler may send it there
    #[arg(long, value_name = "PATH=ORIGIN")]
    pub(crate) charm_credential: Vec<CharmCredential>,

    /// Except this origin from the refusal of private addresses; it needs a grant all the same
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) allow_private: Vec<Origin>,

    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// Commands about spaces.
#[derive(Debug, Subcommand)]
pub(crate) enum SpaceCommand {
    /// Make a space whose key is random, so that who knows its name does not own it, and print its DID
    New {
        /// Its name, by which --space finds it for the same operator
        name: String,
    },
    /// List the spaces that you have made or own; all of them, where you are the operator
    List {
        #[command(flatten)]
        json: JsonArg,
    },
}

/// Commands about keys.
#[derive(Debug, Subcommand)]
pub(crate) enum IdentityCommand {
    /// Make a new key file
    New {
        /// Where; it must not exist
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
    /// Let an integration that asks for it send HTTP there: [NAME=][METHOD,…␣]URL-PREFIX; all that ask, without NAME
    #[arg(long, value_name = "[NAME=]URL")]
    #[option(sample = r#"["gmail=https://gmail.googleapis.com/gmail/v1/"]"#)]
    pub(crate) allow_http: Vec<OperatorGrant>,

    /// `requested` grants every component all that its manifest asks for
    #[arg(long, value_enum, value_name = "WHAT")]
    #[option(unset = "nothing but what allow-http says", example = r#""requested""#)]
    pub(crate) grant: Option<GrantAll>,

    /// Set a configuration value of an integration
    #[arg(long, value_name = "NAME.KEY=VALUE")]
    #[option(table = "[set.gmail]\n# api-base-url = \"https://gmail.googleapis.com\"")]
    pub(crate) set: Vec<Setting>,
}

/// Grants by the dozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum GrantAll {
    /// All that the manifests ask for.
    Requested,
}

/// The heading of [`ServerArgs`] in help texts.
const SERVER: &str = "Who may reach the server";

/// The heading of [`GrantArgs`] in help texts.
pub(crate) const GRANTS: &str = "What integrations get";

/// The heading of [`HandlerArgs`] in help texts.
pub(crate) const GUESTS: &str = "What charms and integrations may do";

/// What charms' handlers, and in part also integrations, may do where this process runs them.
#[derive(Debug, Clone, Default, Args, Options)]
pub(crate) struct HandlerArgs {
    /// Let charms' handlers send HTTP there: [METHOD,…␣]URL-PREFIX
    #[arg(long, value_name = "URL")]
    #[option(example = r#"["GET https://api.example.com/"]"#)]
    pub(crate) allow_charm_http: Vec<bg_manifest::HttpGrant>,

    /// Let charms' handlers send the secret at this path to this origin, and to no other but those of its integration's manifest
    #[arg(long, value_name = "PATH=ORIGIN")]
    #[option(example = r#"["auth.token=https://api.example.com"]"#)]
    pub(crate) charm_credential: Vec<CharmCredential>,

    /// Except this origin from the refusal of private addresses, for development; it needs a grant all the same
    #[arg(long, value_name = "ORIGIN")]
    #[option(example = r#"["http://127.0.0.1:9000"]"#)]
    pub(crate) allow_private: Vec<Origin>,

    /// Where OAuth tokens of charms are renewed
    #[arg(long, value_name = "URL")]
    #[option(
        unset = "none: tokens are not renewed",
        example = r#""http://localhost:8000/api/integrations/google-oauth/refresh""#
    )]
    pub(crate) oauth_refresh_url: Option<RefreshUrl>,

    /// The URL of the charm runtime's API that charms see: `getRecipeEnvironment().apiUrl` [default: `http://localhost:8000/`]
    #[arg(long, value_name = "URL", value_parser = parse_api_url)]
    pub(crate) charm_api_url: Option<Url>,

    /// What to do with requests that no grant covers; `report` is for trying out: it logs and sends them [default: enforce]
    #[arg(long, value_enum, value_name = "MODE")]
    pub(crate) egress: Option<EgressMode>,

    /// How many runs of each charm are kept in the history [default: 100]
    #[arg(long, value_name = "N")]
    pub(crate) keep_runs: Option<Count<1, 1_000>>,

    /// Another limit of the sandbox, of HTTP or of the server, such as charm-time=2m; the names are below. May be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    #[option(
        key = "limits",
        unset = "as in `run --help`",
        table = "[limits]\n# charm-time = \"60s\"\n# charm-memory = \"128MiB\""
    )]
    pub(crate) limit: Vec<LimitSetting>,
}

impl HandlerArgs {
    /// All limits, the last setting of each counting.
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
    /// Log them as `would deny`, and send them, without a token. For trying out.
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
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(crate) struct RunArgs {
    /// An integration: a component built for world `integration`. May be repeated
    #[arg(long, value_name = "FILE")]
    #[option(key = "components", sample = r#"["/usr/share/bg-wasm-host/gmail.wasm"]"#)]
    pub(crate) component: Vec<PathBuf>,

    /// Refuse the component of this integration unless it has this SHA-256. May be repeated; several of one integration are versions of
    /// it, any of which may be used
    #[arg(long, value_name = "NAME=SHA-256")]
    #[option(table = "[sha256]\n# gmail = \"…\"")]
    pub(crate) sha256: Vec<Pin>,

    /// Read options from a TOML file; those on the command line win, lists add up
    #[arg(long, value_name = "FILE")]
    #[option(command_line)]
    pub(crate) config: Option<PathBuf>,

    /// From the start of one poll of a charm to the start of its next: seconds, or with a unit (500ms, 2s, 5m) [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = parse_duration)]
    #[option(unset = "60s, unless a component asks for another")]
    pub(crate) interval: Option<Duration>,

    /// How short an interval a registration may have of its own [default: no shorter than it would be otherwise]
    #[arg(long, value_name = "SECONDS", value_parser = parse_duration)]
    #[option(example = r#""10s""#)]
    pub(crate) min_interval: Option<Duration>,

    /// Make each interval longer, at random, by up to this percentage, so that polls do not gather [default: 0]
    #[arg(long, value_name = "PERCENT")]
    pub(crate) jitter: Option<Percent>,

    /// How many charms are polled at once [default: 16]
    #[arg(long, value_name = "N")]
    pub(crate) max_concurrent: Option<Count<1, 100_000>>,

    /// How many charms of one integration are polled at once; those without component count as one [default: as many as in all]
    #[arg(long, value_name = "N")]
    #[option(example = "16")]
    pub(crate) per_integration: Option<Count<1, 100_000>>,

    /// How many charms of one space are polled at once [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) per_space: Option<Count<1, 100_000>>,

    /// After how many failed polls in a row a charm is disabled [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..).try_map(NonZeroU32::try_from))]
    #[option(sample = "5")]
    pub(crate) failures: Option<NonZeroU32>,

    /// How often a line of statistics is logged [default: 300]
    #[arg(long, value_name = "SECONDS", value_parser = parse_duration)]
    pub(crate) log_interval: Option<Duration>,

    /// Poll these charms only: <space DID>/<charm ID>,…
    #[arg(long, value_name = "CHARM,…", value_delimiter = ',')]
    #[option(unset = "all that are registered", example = "[]")]
    pub(crate) charms: Vec<CharmRef>,

    /// Poll charms of this integration only. May be repeated
    #[arg(long, value_name = "NAME")]
    #[option(command_line)]
    pub(crate) integration: Vec<IntegrationId>,

    /// Tell the admin page of a charm runtime on another machine, too, of components, their configuration, calls and requests
    #[arg(long)]
    #[option(command_line)]
    pub(crate) report: bool,

    /// Call every integration's `initialize` first
    #[arg(long)]
    #[option(command_line)]
    pub(crate) initialize: bool,

    /// Poll every charm once, then end; status 1 if one failed. With --component, that is every charm of these integrations. Charms that
    /// back off are polled as well, if --charms, --integration or --component names them
    #[arg(long, conflicts_with = "polls")]
    #[option(command_line)]
    pub(crate) once: bool,

    /// End after N polls
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    #[option(command_line)]
    pub(crate) polls: Option<u64>,

    /// Offer the charm runtime and the admin page over HTTP as well, at this address
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,

    /// Whether that was said by the configuration file, which may be meant for `serve`.
    #[arg(skip)]
    pub(crate) may_listen: bool,

    /// How many of the components the configuration file names: they come last.
    #[arg(skip)]
    pub(crate) configured_components: usize,

    // A heading holds for all that follows it.
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

    /// Read options from a TOML file, which may be that of `run`; those on the command line win, lists add up
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    #[command(flatten, next_help_heading = SERVER)]
    pub(crate) server: ServerArgs,

    #[command(flatten, next_help_heading = GUESTS)]
    pub(crate) handlers: HandlerArgs,
}

/// Where the server listens, unless an option says otherwise: where the original's is.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8000);

impl ServeArgs {
    /// The address to listen on.
    pub(crate) fn listen(&self) -> SocketAddr {
        self.listen.unwrap_or(LISTEN)
    }
}

impl Command {
    /// Whether work begins with this command, so that it makes the data directory. In one that is new there is no charm to register, or to update.
    pub(crate) fn makes_data_dir(&self) -> bool {
        match self {
            Self::Run(_) | Self::Serve(_) => true,
            Self::Charm(CharmCommand::Deploy(args)) => args.update.is_none(),
            _ => false,
        }
    }

    /// How much of what charms log a command shows, unless its options say otherwise: all of it where that is what it is for.
    pub(crate) fn guest_log(&self) -> Option<&'static str> {
        match self {
            Self::Trigger(_) | Self::Charm(CharmCommand::Trigger(_) | CharmCommand::Deploy(_)) => Some("trace"),
            // It prints them itself.
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

    /// All of this integration that do not run as they should. May be repeated
    #[arg(long, value_name = "NAME", conflicts_with = "charm")]
    pub(crate) integration: Vec<IntegrationId>,

    /// All in this state, such as `disabled-by-failures` or `waiting`. May be repeated
    #[arg(long, value_name = "STATE", value_parser = parse_state, conflicts_with = "charm")]
    pub(crate) state: Vec<RegistrationState>,

    /// All in this space that do not run as they should: a name, or a DID. May be repeated
    #[arg(long, value_name = "NAME|DID", conflicts_with = "charm")]
    pub(crate) space: Vec<String>,

    /// All that do not run as they should
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
