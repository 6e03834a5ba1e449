//! What a person may type. Names are the original's where it has them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bg_identity::{IntegrationId, Secret};
use bg_manifest::{OperatorGrant, Origin};
use bg_poller::CharmRef;
use clap::{Args, Parser, Subcommand, ValueEnum};
use url::Url;

/// Runs background work for Common Tools charms, with integrations that are untrusted WebAssembly components.
#[derive(Debug, Parser)]
#[command(name = "bg-wasm-host", version, max_term_width = 120)]
pub(crate) struct Cli {
    #[command(flatten)]
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
    Run(Box<RunArgs>),
    /// Offer the local charm runtime over HTTP
    Serve(ServeArgs),
    /// Give the operator access to the system space, where registrations live
    AddAdminCharm,
    /// Register a charm to be polled
    Register {
        /// The charm, as <space DID>/<charm ID>
        charm: CharmRef,
        /// The integration that decides about it
        #[arg(long, value_name = "NAME")]
        integration: IntegrationId,
    },
    /// List all registrations
    List(JsonArg),
    /// Show one registration
    Show {
        /// The charm, as <space DID>/<charm ID>
        charm: CharmRef,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Poll a charm again that was disabled
    Enable {
        /// The charm, as <space DID>/<charm ID>
        charm: CharmRef,
    },
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
    Trigger {
        /// The charm, as <space DID>/<charm ID>
        charm: CharmRef,
        /// Another stream
        #[arg(long, value_name = "NAME")]
        stream: Option<String>,
        /// Another event
        #[arg(long, value_name = "JSON", default_value = "{}")]
        event: String,
        #[command(flatten)]
        handlers: HandlerArgs,
    },
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
    /// Deploy and look at charms
    #[command(subcommand)]
    Charm(CharmCommand),
    /// Tell what a component is, what it imports and what it asks for, without running it
    Inspect {
        /// The component
        file: PathBuf,
        #[command(flatten)]
        json: JsonArg,
        #[command(flatten)]
        grants: GrantArgs,
    },
    /// Print the DID of a space, by its name
    SpaceDid {
        /// The name of the space
        name: String,
    },
    /// Make keys, and tell who the operator is
    #[command(subcommand)]
    Identity(IdentityCommand),
    /// Check that everything the service needs is in order
    Doctor,
}

/// Commands about charms.
#[derive(Debug, Subcommand)]
pub(crate) enum CharmCommand {
    /// Deploy a charm from its source and print <charm ID>
    Deploy {
        /// The source: .tsx, .ts, .jsx or .js
        file: PathBuf,
        /// The space it will live in: a name, or a DID
        #[arg(long, value_name = "NAME|DID")]
        space: String,
        /// Initial values of the charm's inputs, a JSON object, or @FILE with one. Values may be secret: prefer @FILE
        #[arg(long, value_name = "JSON|@FILE")]
        inputs: Option<String>,
    },
    /// Show a charm's cells, secrets masked
    Show {
        /// The charm, as <space DID>/<charm ID>
        charm: CharmRef,
    },
    /// List the charms of a space
    List {
        /// The space: a name, or a DID
        #[arg(long, value_name = "NAME|DID")]
        space: String,
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
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct GrantArgs {
    /// Let an integration that asks for it send HTTP there: [NAME=][METHOD,…␣]URL-PREFIX; all that ask, without NAME
    #[arg(long, value_name = "[NAME=]URL")]
    pub(crate) allow_http: Vec<OperatorGrant>,

    /// `requested` grants every component all that its manifest asks for
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) grant: Option<GrantAll>,

    /// Set a configuration value of an integration
    #[arg(long, value_name = "NAME.KEY=VALUE")]
    pub(crate) set: Vec<Setting>,
}

/// Grants by the dozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum GrantAll {
    /// All that the manifests ask for.
    Requested,
}

/// What charms' handlers may do, where this process runs them.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct HandlerArgs {
    /// Let charms' handlers send HTTP there: [METHOD,…␣]URL-PREFIX
    #[arg(long, value_name = "URL")]
    pub(crate) allow_charm_http: Vec<bg_manifest::HttpGrant>,

    /// Except this origin from the refusal of private addresses, for development; it needs a grant all the same
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) allow_private: Vec<Origin>,

    /// Where OAuth tokens of charms are renewed
    #[arg(long, value_name = "URL")]
    pub(crate) oauth_refresh_url: Option<Url>,
}

/// Options of `run`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RunArgs {
    /// An integration: a component built for world `integration`. May be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) component: Vec<PathBuf>,

    /// Read options from a TOML file; those on the command line win, lists add up
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) grants: GrantArgs,

    #[command(flatten)]
    pub(crate) handlers: HandlerArgs,

    /// From the start of one poll of a charm to the start of its next: seconds, or with a unit (500ms, 2s, 5m) [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = parse_duration)]
    pub(crate) interval: Option<Duration>,

    /// How many charms are polled at once [default: 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) max_concurrent: Option<u32>,

    /// After how many failed polls in a row a charm is disabled [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) failures: Option<u32>,

    /// How often a line of statistics is logged [default: 300]
    #[arg(long, value_name = "SECONDS", value_parser = parse_duration)]
    pub(crate) log_interval: Option<Duration>,

    /// Poll these charms only: <space DID>/<charm ID>,…
    #[arg(long, value_name = "CHARM,…", value_delimiter = ',')]
    pub(crate) charms: Vec<CharmRef>,

    /// Call every integration's `initialize` first
    #[arg(long)]
    pub(crate) initialize: bool,

    /// Poll every charm once, then end; status 1 if one failed
    #[arg(long, conflicts_with = "polls")]
    pub(crate) once: bool,

    /// End after N polls
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) polls: Option<u64>,
}

/// Options of `serve`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServeArgs {
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1:8000", value_name = "ADDRESS:PORT")]
    pub(crate) listen: SocketAddr,

    /// A further host name under which clients may address the server, beside localhost and the address it listens on
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_host: Vec<String>,

    #[command(flatten)]
    pub(crate) handlers: HandlerArgs,
}

/// One configuration value of an integration, `gmail.api-base-url=http://127.0.0.1:9000`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Of which integration.
    pub(crate) integration: IntegrationId,
    /// Which one.
    pub(crate) key: String,
    /// What it is.
    pub(crate) value: String,
}

impl std::str::FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "a setting is NAME.KEY=VALUE, such as gmail.api-base-url=http://127.0.0.1:9000";
        let (name, value) = text.split_once('=').ok_or(FORM)?;
        let (integration, key) = name.split_once('.').ok_or(FORM)?;
        let integration = integration.parse().map_err(|error| format!("{error}; {FORM}"))?;
        if key.is_empty() {
            return Err(FORM.into());
        }
        Ok(Self { integration, key: key.into(), value: value.into() })
    }
}

/// Seconds, as the original counts, or a number with `ms`, `s`, `m` or `h`; between 100 ms and 7 days.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    const FORM: &str = "a time is a number of seconds, or a number with ms, s, m or h, such as 60, 500ms, 2s or 5m";
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| FORM)?;
    let millis = match unit {
        "ms" => Some(number),
        "" | "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => return Err(FORM.into()),
    };
    match millis {
        Some(millis @ 100..=604_800_000) => Ok(Duration::from_millis(millis)),
        _ => Err("a time is at least 100ms and at most 7 days".into()),
    }
}

fn parse_api_url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|error| format!("{error}; expected something like http://localhost:8000"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("expected an http or https URL such as http://localhost:8000".into());
    }
    Ok(url)
}

#[expect(clippy::unnecessary_wraps, reason = "the form clap asks for")]
fn parse_secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text.to_owned()))
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
    fn times_are_seconds_or_have_a_unit() {
        for (text, millis) in [("60", 60_000), ("2s", 2_000), ("500ms", 500), ("5m", 300_000), ("1h", 3_600_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "-1", "1.5", "1d", "0", "99ms", "8000000000h", "18446744073709551615h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_setting_names_integration_key_and_value() {
        let setting: Setting = "gmail.api-base-url=http://127.0.0.1:9000/?a=b".parse().unwrap();
        assert_eq!((setting.integration.to_string().as_str(), setting.key.as_str()), ("gmail", "api-base-url"));
        assert_eq!(setting.value, "http://127.0.0.1:9000/?a=b");
        for text in ["", "gmail", "gmail=1", "gmail.=1", ".key=1", "gm ail.key=1"] {
            assert!(text.parse::<Setting>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_passphrase_is_not_shown_in_help_or_debug_output() {
        let cli = Cli::parse_from(["bg-wasm-host", "--operator-pass", "hunter2", "list"]);
        assert!(!format!("{cli:?}").contains("hunter2"));
    }
}
