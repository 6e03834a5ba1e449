//! The addresses that a request may dial.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use bg_manifest::{Origin, command_line_option};

use crate::address::{METADATA, special};
use crate::error::{EgressError, Part, Rule, Wait};
use crate::limits::HttpLimits;
use crate::shared::Shared;
use crate::target::Target;

/// Finds the target's addresses, asking the resolver once, and checks every one. One that may not be reached spoils them all:
/// a name with a public and a private address is an attempt to be let through.
pub(crate) async fn find(
    gate: &Shared,
    limits: &HttpLimits,
    target: &Target,
    within: Duration,
) -> Result<Vec<SocketAddr>, EgressError> {
    let addresses = match target.literal() {
        Some(address) => vec![address],
        None => lookup(gate, limits, target.host(), within).await?,
    };
    for address in &addresses {
        check(gate, target, *address)?;
    }
    Ok(addresses.into_iter().map(|address| SocketAddr::new(address, target.origin().port())).collect())
}

async fn lookup(gate: &Shared, limits: &HttpLimits, host: &str, within: Duration) -> Result<Vec<IpAddr>, EgressError> {
    let failed = |message: String| EgressError::Dns { host: host.to_owned(), message };
    let found = match tokio::time::timeout(within, gate.resolver.lookup(host)).await {
        Err(_) => return Err(EgressError::Timeout { what: Wait::Lookup, after: within }),
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Ok(Ok(found)) => found,
    };
    if found.is_empty() {
        return Err(failed("it has no addresses".to_owned()));
    }
    if found.len() > limits.addresses_per_name {
        return Err(EgressError::TooLarge { what: Part::Addresses, limit: limits.addresses_per_name as u64 });
    }
    Ok(found)
}

/// Checks the address that is known without a look-up, if one is: the host is one, or a name that every system knows.
pub(crate) fn check_known(gate: &Shared, target: &Target) -> Result<(), EgressError> {
    let is_here = target.host() == "localhost" || target.host().ends_with(".localhost");
    let known = target.literal().or(is_here.then_some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    known.map_or(Ok(()), |address| check(gate, target, address))
}

/// Checks one address, and the port on it.
fn check(gate: &Shared, target: &Target, address: IpAddr) -> Result<(), EgressError> {
    let origin = target.origin();
    let named = gate.allow_private.contains(origin);
    let option = || Some(command_line_option("--allow-private", &origin.to_string()));
    if let Some(own) = own_listener(gate, address, origin.port()) {
        // A name could be led here by whoever owns it, so it is not this very origin, even if it is named itself.
        if !(named && is_literal(origin)) {
            return Err(EgressError::Denied {
                rule: Rule::OwnPort,
                message: format!("{origin} is this service itself, which listens on {own}"),
                option: if is_literal(origin) { option() } else { None },
            });
        }
    }
    match special(address) {
        // It hands out the credentials of this machine: there is nothing to try out there.
        Some(what) if what.starts_with(METADATA) => {
            Err(EgressError::Address { origin: origin.to_string(), address, what, option: None })
        }
        Some(what) if !named => {
            Err(EgressError::Address { origin: origin.to_string(), address, what, option: option() })
        }
        _ => Ok(()),
    }
}

/// Whether the origin is named by an address, or by a name that every system knows as one.
fn is_literal(origin: &Origin) -> bool {
    !matches!(origin.host(), url::Host::Domain(name) if name != "localhost")
}

/// Which of the service's own listeners would take a connection to that address and port.
fn own_listener(gate: &Shared, address: IpAddr, port: u16) -> Option<SocketAddr> {
    let address = address.to_canonical();
    gate.listeners().into_iter().find(|own| {
        let ip = own.ip().to_canonical();
        own.port() == port
            && (ip == address || address.is_unspecified() || (ip.is_unspecified() && is_of_this_machine(address)))
    })
}

/// Whether an address is one of this machine's: only such a one can be bound to. Asked for our own ports alone.
fn is_of_this_machine(address: IpAddr) -> bool {
    address.is_loopback() || UdpSocket::bind(SocketAddr::new(address, 0)).is_ok()
}
