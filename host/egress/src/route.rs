//! The addresses that a request may dial.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use bg_manifest::{Origin, command_line_option};

use crate::address::{RefusedAddress, refused};
use crate::error::{EgressError, Part, Rule, Wait};
use crate::limits::HttpLimits;
use crate::shared::Shared;
use crate::target::Target;

/// Resolves the target once, and checks every address. One refused address refuses them all: a name with a public and a
/// private address is an attempt to get through.
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

/// Checks the address that is known without a lookup: if the host is an address, or a name with the same address on
/// every system.
pub(crate) fn check_known(gate: &Shared, target: &Target) -> Result<(), EgressError> {
    let is_here = target.host() == "localhost" || target.host().ends_with(".localhost");
    let known = target.literal().or(is_here.then_some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    known.map_or(Ok(()), |address| check(gate, target, address))
}

/// Checks one address and its port.
fn check(gate: &Shared, target: &Target, address: IpAddr) -> Result<(), EgressError> {
    let origin = target.origin();
    let named = gate.allow_private.contains(origin);
    let option = || Some(command_line_option("--allow-private", &origin.to_string()));
    if let Some(own) = own_listener(gate, address, origin.port()) {
        // A name's owner could point it here, so naming a name does not open our own ports.
        if !(named && is_literal(origin)) {
            return Err(EgressError::Denied {
                rule: Rule::OwnPort,
                message: format!("{origin} is this service itself, which listens on {own}"),
                option: if is_literal(origin) { option() } else { None },
            });
        }
    }
    match refused(address, named) {
        None => Ok(()),
        Some(RefusedAddress { what, can_be_allowed }) => {
            let option = can_be_allowed.then(option).flatten();
            Err(EgressError::Address { origin: origin.to_string(), address, what, option })
        }
    }
}

/// Whether the origin's host is an address, or a name with the same address on every system.
fn is_literal(origin: &Origin) -> bool {
    !matches!(origin.host(), url::Host::Domain(name) if name != "localhost")
}

/// The service's own listener that would accept a connection to that address and port.
fn own_listener(gate: &Shared, address: IpAddr, port: u16) -> Option<SocketAddr> {
    let address = address.to_canonical();
    gate.listeners().into_iter().find(|own| {
        let ip = own.ip().to_canonical();
        own.port() == port && (ip == address || address.is_unspecified() || (ip.is_unspecified() && is_local(address)))
    })
}

/// Whether this machine has the address: only then can it be bound. Called for our own ports only.
fn is_local(address: IpAddr) -> bool {
    address.is_loopback() || UdpSocket::bind(SocketAddr::new(address, 0)).is_ok()
}
