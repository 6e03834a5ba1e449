//! What charms' handlers may do, and the limits.

use bg_egress::Mode;
use bg_manifest::{CharmCredential, Origin};
use clap::{Args, ValueEnum};
use url::Url;

use super::values::{RefreshUrl, parse_api_url};
use crate::limits::{LimitSetting, OperatorLimits};
use crate::options::{Count, Options};

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

    /// The service that renews those OAuth tokens of charms that are of no account of this host (see `oauth login`)
    #[arg(long, value_name = "URL")]
    #[option(
        unset = "none: only tokens of accounts are renewed",
        example = r#""https://toolshed.example/api/integrations/google-oauth/refresh""#
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
