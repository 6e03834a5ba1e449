//! Options of a server: `serve`, and `run --listen`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use bg_charm_runtime::{Reach, Tenancy};
use bg_identity::{IntegrationId, Secret};
use bg_server::{AllowedOrigin, RegistrationPolicy};
use clap::{Args, ValueEnum};

use super::tenants::TenantArgs;
use super::values::parse_secret;
use crate::options::Options;

/// Who may reach the server, and what they may do.
#[derive(Debug, Clone, Default, Args, Options)]
pub(crate) struct ServerArgs {
    /// A further host name by which clients may address the server, besides localhost and the address it listens on
    #[arg(long, value_name = "NAME")]
    #[option(example = r#"["charms.example"]"#)]
    pub(crate) allow_host: Vec<String>,

    /// Allow pages of this origin to register charms, besides the server's own pages and, on loopback, pages of this
    /// machine; `*` is every origin
    #[arg(long, value_name = "ORIGIN")]
    #[option(example = r#"["https://charms.example"]"#)]
    pub(crate) allow_origin: Vec<AllowedOrigin>,

    /// Who may register charms: anybody, owners of their spaces by signed requests, or only the operator [default:
    /// open]
    #[arg(long, value_enum, value_name = "WHO")]
    pub(crate) registration: Option<Registration>,

    /// Allow registrations only for this integration; may be repeated. The operator may use any [default: all]
    #[arg(long, value_name = "NAME")]
    #[option(example = r#"["gmail"]"#)]
    pub(crate) allow_integration: Vec<IntegrationId>,

    /// The server's TLS certificate chain: a PEM file, its own certificate first
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    #[option(example = r#""cert.pem""#)]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The key of that certificate: a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    #[option(example = r#""key.pem""#)]
    pub(crate) tls_key: Option<PathBuf>,

    /// A proxy in front speaks TLS; trust its headers about the client (X-Forwarded-For, X-Forwarded-Proto)
    #[arg(long)]
    #[option(example = "true")]
    pub(crate) behind_proxy: bool,

    #[command(flatten)]
    pub(crate) tenants: TenantArgs,

    /// The operator's login token for the admin page, instead of a new one that is printed at each start
    #[arg(
        long,
        env = "BG_WASM_HOST_LOGIN_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        value_parser = parse_secret
    )]
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
    /// Only the operator.
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

impl ServerArgs {
    /// The rights of strangers on a server that listens at this address, if there is one.
    pub(crate) fn tenancy(&self, listen: Option<SocketAddr>) -> Tenancy {
        let reach = listen.map(|listen| {
            if self.is_reached_by_others(listen) {
                Reach::Others { open_spaces: self.tenants.open_spaces }
            } else {
                Reach::Loopback
            }
        });
        Tenancy { reach, quotas: self.tenants.quotas() }
    }

    /// Whether requests may come from other machines: at the address itself, through a proxy, or by a name that is not
    /// this machine's.
    pub(crate) fn is_reached_by_others(&self, listen: SocketAddr) -> bool {
        !listen.ip().to_canonical().is_loopback()
            || self.behind_proxy
            || self.allow_host.iter().any(|name| !is_loopback(name))
    }
}

/// Whether every resolver maps a host name to this machine.
fn is_loopback(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let literal = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&name);
    match literal.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => name == "localhost" || name.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_reached_by_others_at_an_address_by_a_proxy_or_by_a_name() {
        let of = |listen: &str, hosts: &[&str], behind_proxy| {
            let allow_host = hosts.iter().map(|&host| host.to_owned()).collect();
            ServerArgs { allow_host, behind_proxy, ..ServerArgs::default() }
                .is_reached_by_others(listen.parse().unwrap())
        };
        for (listen, hosts, behind_proxy, reached) in [
            ("127.0.0.1:8000", &[][..], false, false),
            ("[::1]:0", &[], false, false),
            ("[::ffff:127.0.0.1]:0", &[], false, false),
            ("127.0.0.1:8000", &["admin.localhost", "LOCALHOST.", "127.0.0.2", "[::1]"], false, false),
            ("127.0.0.1:8000", &["admin.localhost", "charms.example"], false, true),
            ("127.0.0.1:8000", &["192.168.0.5"], false, true),
            ("127.0.0.1:8000", &["localhost.example"], false, true),
            ("127.0.0.1:8000", &[], true, true),
            ("0.0.0.0:8000", &[], false, true),
            ("[::]:8000", &[], false, true),
            ("192.168.0.5:8000", &[], false, true),
        ] {
            assert_eq!(of(listen, hosts, behind_proxy), reached, "{listen} {hosts:?} {behind_proxy}");
        }
    }

    #[test]
    fn spaces_are_open_on_loopback_or_if_the_operator_opens_them() {
        let reach = |listen: Option<&str>, open_spaces| {
            let tenants = TenantArgs { open_spaces, ..TenantArgs::default() };
            let args = ServerArgs { tenants, ..ServerArgs::default() };
            args.tenancy(listen.map(|listen| listen.parse().unwrap())).reach
        };
        assert_eq!(reach(None, true), None);
        assert_eq!(reach(Some("127.0.0.1:1"), false), Some(Reach::Loopback));
        for open_spaces in [false, true] {
            assert_eq!(reach(Some("0.0.0.0:1"), open_spaces), Some(Reach::Others { open_spaces }));
        }
    }
}
