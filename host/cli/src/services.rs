//! The services of a data directory.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use bg_server_trust::{DatabaseLock, Holder, Role, ServerTrust, tls_advice};
use serde::Serialize;
use url::{Host, Url};

use crate::args::Common;
use crate::paths::DataDir;

/// The services of this machine that involve the charm runtime of the options.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Services {
    /// The service that polls it.
    pub(crate) polls: Option<Holder>,
    /// The `serve` that serves it over HTTP.
    pub(crate) serves: Option<Holder>,
    /// A service that polls another runtime instead.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) elsewhere: Vec<Elsewhere>,
    /// How the [listener](Self::listener) is identified.
    #[serde(skip)]
    pub(crate) trust: ServerTrust,
}

impl Services {
    /// The service that serves it over HTTP, with the admin page, and its URL: a `serve`, or a `run` that listens as
    /// well.
    pub(crate) fn listener(&self) -> Option<(&Holder, &str)> {
        [&self.serves, &self.polls].into_iter().flatten().find_map(|holder| Some((holder, holder.url.as_deref()?)))
    }
}

/// A `run` of this data directory that polls a charm runtime other than the one of the options.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Elsewhere {
    #[serde(flatten)]
    pub(crate) holder: Holder,
    /// The URL of that charm runtime.
    #[serde(skip)]
    pub(crate) url: Url,
    /// Why it does not answer, if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    /// The URL of this data directory's server, if one runs: there can be no second one.
    #[serde(skip)]
    pub(crate) server: Option<String>,
}

impl Elsewhere {
    /// The fix that connects it to the charm runtime that it polls, which does not answer.
    pub(crate) fn fix(&self) -> String {
        if let Some(advice) = self.problem.as_deref().and_then(|problem| tls_advice(&self.url, problem)) {
            return advice;
        }
        let port = self.url.port_or_known_default().unwrap_or_default();
        let loopback = loopback(&self.url);
        if let (Some(_), Some(server)) = (loopback, &self.server) {
            return format!(
                "stop that `run`, and start it again without API_URL: it then finds the server at {server}"
            );
        }
        match loopback.filter(|_| self.url.scheme() == "http") {
            Some(ip) => format!("bg-wasm-host serve --listen {}", SocketAddr::new(ip, port)),
            None => format!("bg-wasm-host serve, with the address and the options that it had at {}", self.url),
        }
    }
}

/// For people.
impl std::fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} polls {}, ", self.holder, self.url)?;
        match &self.problem {
            Some(problem) => write!(f, "which does not answer: {problem}"),
            None => write!(f, "and not the charm runtime here"),
        }
    }
}

/// The address of a server, if its URL is on this machine.
pub(crate) fn loopback(url: &Url) -> Option<IpAddr> {
    match url.host() {
        Some(Host::Ipv4(ip)) if ip.is_loopback() => Some(ip.into()),
        Some(Host::Ipv6(ip)) if ip.is_loopback() => Some(ip.into()),
        Some(Host::Domain("localhost")) => Some(Ipv4Addr::LOCALHOST.into()),
        _ => None,
    }
}

/// Finds them by the locks that they hold.
pub(crate) async fn find(common: &Common) -> anyhow::Result<Services> {
    let data_dir = DataDir::open(common)?;
    if let Some(url) = &common.api_url {
        let polls = DatabaseLock::holder(&data_dir.poll_database(url))?;
        return Ok(Services { polls, ..Services::default() });
    }
    let database = data_dir.runtime_database();
    let mut services = Services { trust: ServerTrust::LockOf(database.clone()), ..Services::default() };
    let mut polled = None;
    match DatabaseLock::holder(&database)? {
        Some(holder) if holder.role == Role::Run => services.polls = Some(holder),
        Some(serves) => {
            // A process that polls a server has a separate database for that.
            polled = serves.url.as_deref().and_then(|url| url.parse().ok()).map(|url| data_dir.poll_database(&url));
            if let Some(database) = &polled {
                services.polls = DatabaseLock::holder(database)?;
            }
            services.serves = Some(serves);
        }
        None => {}
    }
    for database in data_dir.poll_databases()?.into_iter().filter(|database| polled.as_ref() != Some(database)) {
        let server = services.serves.as_ref().and_then(|holder| holder.url.clone());
        services.elsewhere.extend(elsewhere(&database, server).await?);
    }
    Ok(services)
}

/// The service that polls the charm runtime of a database, and whether that runtime answers; `server` is that of the
/// data directory.
async fn elsewhere(database: &Path, server: Option<String>) -> anyhow::Result<Option<Elsewhere>> {
    let Some(holder) = DatabaseLock::holder(database)? else { return Ok(None) };
    let Some(url) = holder.polls.as_deref().and_then(|url| url.parse::<Url>().ok()) else { return Ok(None) };
    let problem = bg_charm_client::probe(&url, &ServerTrust::PublicRoots).await.err();
    Ok(Some(Elsewhere { holder, url, problem, server }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_restarts_a_server_has_its_address() {
        let of = |url: &str, server: Option<&str>| {
            let holder = Holder {
                pid: 5,
                role: Role::Run,
                url: None,
                certificate: None,
                shared: false,
                polls: Some(url.to_owned()),
            };
            let (problem, server) = (Some("Connection refused".to_owned()), server.map(str::to_owned));
            Elsewhere { holder, url: url.parse().unwrap(), problem, server }.fix()
        };
        let fix = |url| of(url, None);
        for (url, address) in [
            ("http://127.0.0.1:8123", "127.0.0.1:8123"),
            ("http://localhost/", "127.0.0.1:80"),
            ("http://[::1]:8000", "[::1]:8000"),
        ] {
            assert_eq!(fix(url), format!("bg-wasm-host serve --listen {address}"));
        }
        for url in ["https://127.0.0.1:8123", "http://charms.example:8000"] {
            assert!(fix(url).contains(&format!("with the address and the options that it had at {url}")), "{url}");
        }
        // If the server is back at another address, it cannot be started a second time.
        let other = "http://127.0.0.1:8124";
        for url in ["http://127.0.0.1:8123", "https://localhost:8123"] {
            let restart = of(url, Some(other));
            assert!(restart.starts_with("stop that `run`") && restart.ends_with(other), "{restart}");
        }
        // A server on another machine has another data directory.
        assert!(of("http://charms.example:8000", Some(other)).contains("that it had at http://charms.example:8000"));
    }
}
