//! Which database, and how to reach it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bg_identity::Secret;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use super::error::OpenError;

/// How long one host is given to answer before the next is tried.
const CONNECT: Duration = Duration::from_secs(5);
/// After this, a connection that nothing comes from is lost: a primary that has no power says nothing.
const SILENCE: Duration = Duration::from_secs(10);

/// A database, named by a URL: `postgres://USER@HOST,HOST/DATABASE`. A host may be the folder of a Unix socket, with
/// `%2F` for each slash.
///
/// The way to a host elsewhere is encrypted, and the host's certificate checked, unless the URL says
/// `sslmode=disable`. Of several hosts, the one is used that takes writes.
#[derive(Clone)]
pub struct Target {
    pub(crate) config: Config,
    pub(crate) root_certificate: Option<PathBuf>,
    shown: String,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.shown).finish()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Target {
    /// The database of that URL.
    pub fn parse(url: &str) -> Result<Self, OpenError> {
        let refused = |problem: String| OpenError::Url { url: without_password(url), problem };
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(refused("it does not begin with postgres://".to_owned()));
        }
        // The client's own message may quote what it cannot read.
        let mut config: Config = url.parse().map_err(|_| refused("it is no URL of that form".to_owned()))?;
        let Some(database) = config.get_dbname().map(str::to_owned) else {
            return Err(refused("it names no database".to_owned()));
        };
        if config.get_hosts().is_empty() {
            return Err(refused("it names no host".to_owned()));
        }
        let mut hosts = Vec::new();
        for host in config.get_hosts() {
            hosts.push(match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(folder) => folder.display().to_string(),
            });
        }
        if config.get_ssl_mode() == SslMode::Prefer {
            let is_here = config.get_hosts().iter().all(is_here);
            config.ssl_mode(if is_here { SslMode::Disable } else { SslMode::Require });
        }
        config
            .application_name("bg-wasm-host")
            .connect_timeout(CONNECT)
            .tcp_user_timeout(SILENCE)
            .keepalives_idle(SILENCE)
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        Ok(Self { config, root_certificate: None, shown: format!("{database} on {}", hosts.join(",")) })
    }

    /// The same with a password. Do not write it into the URL of a command: other users of a machine see that.
    #[must_use]
    pub fn with_password(mut self, password: &Secret) -> Self {
        self.config.password(password.expose());
        self
    }

    /// Whether the URL has a password in it.
    pub fn has_password(&self) -> bool {
        self.config.get_password().is_some()
    }

    /// The same, with the certificates in a PEM file trusted instead of those of public authorities.
    #[must_use]
    pub fn with_root_certificate(mut self, file: &Path) -> Self {
        self.root_certificate = Some(file.to_owned());
        self
    }
}

/// Whether what is sent to a host stays on this machine.
fn is_here(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    }
}

/// A URL without what stands before its last `@`, and without what follows its `?`.
fn without_password(url: &str) -> String {
    let url = url.split('?').next().unwrap_or_default();
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_host_elsewhere_is_encrypted_unless_the_url_says_otherwise() {
        let mode = |url: &str| Target::parse(url).unwrap().config.get_ssl_mode();
        assert_eq!(mode("postgres://u@db.example/d"), SslMode::Require);
        assert_eq!(mode("postgres://u@localhost,db.example/d"), SslMode::Require);
        assert_eq!(mode("postgres://u@db.example/d?sslmode=prefer"), SslMode::Require);
        assert_eq!(mode("postgres://u@db.example/d?sslmode=disable"), SslMode::Disable);
        assert_eq!(mode("postgres://u@localhost/d"), SslMode::Disable);
        assert_eq!(mode("postgresql://u@127.0.0.1/d?sslmode=require"), SslMode::Require);
        assert_eq!(mode("postgres://u@%2Frun%2Fpostgresql/d"), SslMode::Disable);
    }

    #[test]
    fn no_message_has_the_password() {
        let target = Target::parse("postgres://ann:pa55word@db1.example,db2.example/d?sslmode=require").unwrap();
        assert_eq!(target.to_string(), "d on db1.example,db2.example");
        assert!(target.has_password());
        for url in [
            "postgres://ann:pa55word@db.example",
            "postgres://ann:pa55word@db.example/d?nonsense=pa55word",
            "postgres://ann:pa55@word@db.example:port/d",
            "mysql://ann:pa55word@db.example/d",
            "postgres://ann@db.example:pa55word/d",
        ] {
            let Err(error) = Target::parse(url) else { continue };
            assert!(!format!("{error} {error:?}").contains("ann:pa55"), "{error}");
            assert!(!error.to_string().contains("?nonsense"), "{error}");
        }
        assert!(!format!("{target:?}").contains("pa55"));
    }
}
