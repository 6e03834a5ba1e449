//! The command line. Names are the original's where it has them.

#![allow(
    rustdoc::invalid_html_tags,
    rustdoc::broken_intra_doc_links,
    reason = "doc comments here are help for people, with <charm ID> and [NAME=]"
)]

mod charm;
mod common;
mod egress;
mod enable;
mod grants;
mod handlers;
mod in_files;
mod new;
mod oauth;
mod operator;
mod pin;
mod run;
mod server;
mod setup;
mod tenants;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use bg_identity::IntegrationId;
use bg_poller::CharmRef;
use clap::{Parser, Subcommand};

use crate::limits;
use crate::units::parse_duration;
pub(crate) use charm::{
    AclArgs, AclGrant, CharmCommand, CheckArgs, DeleteArgs, DeployArgs, EventArgs, LogsArgs, SetArgs, SourceArgs,
    TestArgs, TriggerArgs,
};
pub(crate) use common::{Common, JsonArg, LogFormat};
pub(crate) use egress::{EgressCheckArgs, EgressCommand};
pub(crate) use enable::EnableArgs;
pub(crate) use grants::{GRANTS, GrantAll, GrantArgs};
#[cfg(test)]
pub(crate) use handlers::EgressMode;
pub(crate) use handlers::{GUESTS, HandlerArgs};
pub(crate) use new::{Language, NewArgs};
pub(crate) use oauth::{ClientCommand, ClientSetArgs, LoginArgs, OAuthCommand};
pub(crate) use operator::{ConfigCommand, DoctorArgs, ListArgs, Shell, StatusArgs};
pub(crate) use pin::Pin;
pub(crate) use run::{RunArgs, ServeArgs};
#[cfg(test)]
pub(crate) use server::Registration;
pub(crate) use server::ServerArgs;
pub(crate) use setup::{SetupCommand, SetupGmailArgs};
use values::parse_interval;
pub(crate) use values::{CellPath, OwnInterval};

/// Runs background work for Common Tools charms, with integrations that are untrusted WebAssembly components.
#[derive(Debug, Parser)]
#[command(name = "bg-wasm-host", version, max_term_width = 120)]
pub(crate) struct Cli {
    #[command(flatten, next_help_heading = "Options of every command")]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
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
    /// Sign in at other services, and give charms the tokens
    #[command(subcommand, name = "oauth")]
    OAuth(OAuthCommand),
    /// Lead through a whole setup, step by step
    #[command(subcommand)]
    Setup(SetupCommand),
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
    /// Renew an account, for the process that starts this
    #[command(hide = true)]
    RenewAccount {
        /// The database
        database: PathBuf,
        /// The account
        account: String,
        /// The number of its grant
        generation: u64,
        /// The key of the database's secrets
        secrets_key: Option<PathBuf>,
    },
    /// Transpile a charm, sent by the service that starts this
    #[command(hide = true)]
    TranspileCharm {
        /// The limits
        options: Vec<String>,
    },
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

impl Command {
    /// Whether work begins with this command, so that it creates the data directory. A new one contains no charm to
    /// register or update.
    pub(crate) fn makes_data_dir(&self) -> bool {
        match self {
            Self::Run(_) | Self::Serve(_) => true,
            Self::Charm(CharmCommand::Deploy(args)) => args.update.is_none(),
            Self::Setup(_) | Self::OAuth(OAuthCommand::Client(ClientCommand::Set(_))) => true,
            _ => false,
        }
    }

    /// Which guest log lines a command shows by default; everything if that is its purpose.
    pub(crate) fn guest_log(&self) -> Option<&'static str> {
        match self {
            Self::Trigger(_) | Self::Charm(CharmCommand::Trigger(_) | CharmCommand::Deploy(_)) => Some("trace"),
            // The command prints them itself.
            Self::Charm(CharmCommand::Test(_) | CharmCommand::Check(_)) => Some("off"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    /// Whether some command has that option.
    fn has_option(command: &clap::Command, name: &str) -> bool {
        command.get_arguments().any(|arg| arg.get_long() == Some(name))
            || command.get_subcommands().any(|one| has_option(one, name))
    }

    #[test]
    fn the_advice_for_each_cause_names_only_commands_options_and_limits_that_exist() {
        let all = Cli::command();
        let (mut commands, mut options) = (0, 0);
        for cause in bg_poller::Cause::ALL {
            let advice = cause.advice();
            for code in advice.split('`').skip(1).step_by(2) {
                let Some(line) = code.strip_prefix("bg-wasm-host ") else { continue };
                let mut command = &all;
                for word in line.split(' ').take_while(|word| word.bytes().all(|byte| byte.is_ascii_lowercase())) {
                    let found = command.find_subcommand(word);
                    command = found.unwrap_or_else(|| panic!("{cause}: there is no command {word}: {line}"));
                }
                assert!(command.get_name() != "bg-wasm-host" && !command.has_subcommands(), "{cause}: {line}");
                commands += 1;
            }
            let words =
                advice.split([' ', '`', ',', ';', '(', ')', ':', '.']).filter_map(|word| word.strip_prefix("--"));
            for name in words.filter(|name| *name != "help") {
                assert!(has_option(&all, name), "{cause}: there is no option --{name}");
                options += 1;
            }
            for (limit, _) in
                advice.split(' ').filter_map(|word| word.split_once('=')).filter(|(name, _)| *name != "NAME")
            {
                let limit = limit.trim_start_matches("--");
                assert!(limits::help().contains(&format!(" {limit}=")), "{cause}: there is no limit {limit}");
            }
        }
        assert!(commands > 15 && options > 15, "{commands} {options}");
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
