//! `charm …`, and `trigger`.

use std::path::PathBuf;
use std::str::FromStr;

use bg_charm_api::{AccessLevel, Subject};
use bg_poller::CharmRef;
use clap::{Args, Subcommand};

use super::common::JsonArg;
use super::handlers::{GUESTS, HandlerArgs};
use super::values::CellPath;
use crate::limits;

/// Commands about charms.
#[derive(Debug, Subcommand)]
pub(crate) enum CharmCommand {
    /// Deploy a charm from its source and print <charm ID>
    #[command(after_help = limits::help())]
    Deploy(Box<DeployArgs>),
    /// Show a charm's cells, secrets masked
    Show {
        /// The charm, as <space DID>/<charm ID>
        charm: CharmRef,
        /// Show its page as text instead
        #[arg(long)]
        ui: bool,
    },
    /// List the charms of a space
    List {
        /// The space: a name, or a DID
        #[arg(long, value_name = "NAME|DID")]
        space: String,
    },
    /// Show a charm's log; its newest thousand lines are kept
    Logs(LogsArgs),
    /// Poll a charm once, now; print what it logs, and the outcome
    #[command(after_help = limits::help())]
    Trigger(Box<TriggerArgs>),
    /// Set a value in a cell of a charm
    Set(SetArgs),
    /// Test a charm in a temporary runtime: deploy it, poll it, and print what changed
    #[command(after_help = limits::help())]
    Test(Box<TestArgs>),
    /// Check whether a charm can be deployed, and name all that is wrong with it
    #[command(after_help = limits::help())]
    Check(Box<CheckArgs>),
    /// Show or change access to a space
    Acl(AclArgs),
    /// Delete a charm with its registration, cells, secrets, log and runs. This cannot be undone
    Delete(DeleteArgs),
}

/// Where a charm's source is.
#[derive(Debug, Clone, Args)]
pub(crate) struct SourceArgs {
    /// The source: .tsx, .ts, .jsx or .js
    pub(crate) file: PathBuf,

    /// The folder with all files that the source imports; by default, the nearest one above the source that has a
    /// package.json, deno.json or .git
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
}

/// Options of `charm deploy`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DeployArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,

    /// The space to deploy it in: a name, or a DID
    #[arg(long, value_name = "NAME|DID", required_unless_present = "update", conflicts_with = "update")]
    pub(crate) space: Option<String>,

    /// Replace the program of this charm, which keeps its ID and the values of its cells
    #[arg(long, value_name = "CHARM")]
    pub(crate) update: Option<CharmRef>,

    /// Initial values of the charm's inputs: a JSON object, or @FILE with one. If values are secret, use @FILE
    #[arg(long, value_name = "JSON|@FILE")]
    pub(crate) inputs: Option<String>,

    /// Keep running: whenever the source changes, replace the program of the charm. Stop with Ctrl-C
    #[arg(long)]
    pub(crate) watch: bool,

    /// Poll the charm once after each deployment
    #[arg(long)]
    pub(crate) trigger: bool,

    #[command(flatten, next_help_heading = GUESTS)]
    pub(crate) handlers: HandlerArgs,
}

/// Options of `charm logs`.
#[derive(Debug, Clone, Args)]
pub(crate) struct LogsArgs {
    /// The charm, as <space DID>/<charm ID>
    pub(crate) charm: CharmRef,

    /// How many of the newest lines; 0 with --follow shows only new ones
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub(crate) limit: usize,

    /// Keep running, and print new lines as they arrive. Stop with Ctrl-C
    #[arg(long)]
    pub(crate) follow: bool,

    /// Print one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `trigger` and `charm trigger`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TriggerArgs {
    /// The charm, as <space DID>/<charm ID>
    pub(crate) charm: CharmRef,

    #[command(flatten)]
    pub(crate) event: EventArgs,

    #[command(flatten, next_help_heading = GUESTS)]
    pub(crate) handlers: HandlerArgs,
}

/// The event to send.
#[derive(Debug, Clone, Args)]
pub(crate) struct EventArgs {
    /// The stream, if not the updater stream
    #[arg(long, value_name = "NAME")]
    pub(crate) stream: Option<String>,

    /// The event
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub(crate) event: String,
}

/// Options of `charm set`.
#[derive(Debug, Clone, Args)]
pub(crate) struct SetArgs {
    /// The charm, as <space DID>/<charm ID>
    pub(crate) charm: CharmRef,

    /// The cell and the path in it, such as settings.tags.0; or /settings/a.b if a key contains a dot
    pub(crate) path: CellPath,

    /// The value: JSON, @FILE with it, or - for standard input. Do not put secrets on the command line
    #[arg(value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    pub(crate) value: String,

    /// Create the cell if it does not exist
    #[arg(long)]
    pub(crate) create: bool,
}

/// Options of `charm test`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TestArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,

    /// How often to poll it
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) polls: u32,

    /// Initial values of the charm's inputs: a JSON object, or @FILE with one. If values are secret, use @FILE
    #[arg(long, value_name = "JSON|@FILE")]
    pub(crate) inputs: Option<String>,

    #[command(flatten)]
    pub(crate) event: EventArgs,

    #[command(flatten)]
    pub(crate) json: JsonArg,

    #[command(flatten, next_help_heading = GUESTS)]
    pub(crate) handlers: HandlerArgs,
}

/// Options of `charm check`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,

    #[command(flatten)]
    pub(crate) json: JsonArg,

    #[command(flatten, next_help_heading = GUESTS)]
    pub(crate) handlers: HandlerArgs,
}

/// Options of `charm delete`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DeleteArgs {
    /// The charm, as <space DID>/<charm ID>
    pub(crate) charm: CharmRef,

    /// Do not ask for confirmation
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Options of `charm acl`.
#[derive(Debug, Clone, Args)]
pub(crate) struct AclArgs {
    /// The space: a name, or a DID
    pub(crate) space: String,

    /// Give a key READ, WRITE or OWNER access, replacing its previous access; `*` is anyone who signs requests. May be
    /// repeated
    #[arg(long, value_name = "DID=LEVEL")]
    pub(crate) grant: Vec<AclGrant>,

    /// Remove a key's access. May be repeated
    #[arg(long, value_name = "DID")]
    pub(crate) revoke: Vec<Subject>,
}

/// An entry for an access list, `did:key:…=WRITE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AclGrant {
    /// The subject.
    pub(crate) subject: Subject,
    /// Its access level.
    pub(crate) level: AccessLevel,
}

impl FromStr for AclGrant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (subject, level) =
            text.rsplit_once('=').ok_or("expected DID=LEVEL, such as did:key:z6Mk…=WRITE or *=READ")?;
        let subject = subject.parse().map_err(|error| format!("{error}; expected a DID or *"))?;
        Ok(Self { subject, level: level.parse().map_err(|error| format!("{error}"))? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_names_a_key_or_anyone_and_a_level() {
        let grant: AclGrant = "*=read".parse().unwrap();
        assert_eq!(grant, AclGrant { subject: Subject::Anyone, level: AccessLevel::Read });
        let did = "did:key:z6MksHnZGdHxNoCqcC3kPvBSo2goCzLSWheQ8LrVpAtQwgwW";
        let grant: AclGrant = format!("{did}=OWNER").parse().unwrap();
        assert_eq!((grant.subject.to_string().as_str(), grant.level), (did, AccessLevel::Owner));
        for text in ["", "*", "*=", "=READ", "*=ALL", "ann=READ"] {
            assert!(text.parse::<AclGrant>().is_err(), "{text}");
        }
    }
}
