//! Options of `enable`.

use bg_identity::IntegrationId;
use bg_poller::{CharmRef, RegistrationState};
use clap::Args;

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
