//! What the operator grants to integrations, and their configuration.

use bg_manifest::OperatorGrant;
use clap::{Args, ValueEnum};

use super::values::Setting;
use crate::options::Options;

/// The heading of [`GrantArgs`] in help texts.
pub(crate) const GRANTS: &str = "Grants and configuration of integrations";

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
