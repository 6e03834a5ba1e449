//! Options of whatever listens: `serve`, and `run --listen`.

use std::path::PathBuf;

use bg_identity::{IntegrationId, Secret};
use bg_server::{AllowedOrigin, RegistrationPolicy};
use clap::{Args, ValueEnum};

use super::tenants::TenantArgs;
use super::values::parse_secret;
use crate::options::Options;

/// Who may reach the server, and what they may do.
#[derive(Debug, Clone, Default, Args, Options)]
pub(crate) struct ServerArgs {
    /// A further host name under which clients may address the server, beside localhost and the address it listens on
    #[arg(long, value_name = "NAME")]
    #[option(example = r#"["charms.example"]"#)]
    pub(crate) allow_host: Vec<String>,

    /// Let pages of this origin register charms, beside the server's own pages and, on loopback, pages of this machine; `*` is every origin
    #[arg(long, value_name = "ORIGIN")]
    #[option(example = r#"["https://charms.example"]"#)]
    pub(crate) allow_origin: Vec<AllowedOrigin>,

    /// Who may register charms: anybody, owners of their spaces by signed requests, or the operator alone [default: open]
    #[arg(long, value_enum, value_name = "WHO")]
    pub(crate) registration: Option<Registration>,

    /// Let charms be registered for this integration only; may be repeated. The operator may register them for any [default: all]
    #[arg(long, value_name = "NAME")]
    #[option(example = r#"["gmail"]"#)]
    pub(crate) allow_integration: Vec<IntegrationId>,

    /// The certificate with which the server speaks TLS: a PEM file, its own certificate first
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    #[option(example = r#""cert.pem""#)]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The key of that certificate: a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    #[option(example = r#""key.pem""#)]
    pub(crate) tls_key: Option<PathBuf>,

    /// A proxy in front speaks TLS; it is believed who the client is (X-Forwarded-For, X-Forwarded-Proto)
    #[arg(long)]
    #[option(example = "true")]
    pub(crate) behind_proxy: bool,

    #[command(flatten)]
    pub(crate) tenants: TenantArgs,

    /// What lets the operator into the admin page, instead of a new token at each start that is printed
    #[arg(long, env = "BG_WASM_HOST_LOGIN_TOKEN", value_name = "TOKEN", hide_env_values = true, value_parser = parse_secret)]
    #[option(command_line)]
    pub(crate) login_token: Option<Secret>,
}

impl ServerArgs {
    /// The files that it reads.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.tls_cert, &self.tls_key].into_iter().flatten()
    }
}

/// Who may register charms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Registration {
    /// Anybody, as the original allows.
    Open,
    /// Owners of the charms' spaces, by signed requests.
    Signed,
    /// The operator alone.
    Closed,
}

impl From<Registration> for RegistrationPolicy {
    fn from(registration: Registration) -> Self {
        match registration {
            Registration::Open => Self::Open,
            Registration::Signed => Self::Signed,
            Registration::Closed => Self::Closed,
        }
    }
}
