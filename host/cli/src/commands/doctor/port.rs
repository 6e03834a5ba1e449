//! The address of `serve` or `run --listen`.

use std::io::ErrorKind;
use std::net::TcpListener;

use super::row::Row;
use crate::args::{Common, ServeArgs};
use crate::services::Services;

/// Whether it is free, or held by our own server. `None` if the charm runtime is on another machine.
pub(super) fn listen(common: &Common, serve: &ServeArgs, services: &Services) -> Option<Row> {
    const WHAT: &str = "listen address";
    if common.api_url.is_some() {
        return None;
    }
    let address = serve.listen();
    let Err(error) = TcpListener::bind(address) else {
        return Some(Row::ok(WHAT, format!("{address} is free")));
    };
    let own = services.listener().filter(|(_, url)| url.ends_with(&format!(":{}", address.port())));
    Some(match (own, error.kind()) {
        (Some((holder, _)), ErrorKind::AddrInUse) => Row::ok(WHAT, format!("{address} is used by {holder}")),
        (None, ErrorKind::AddrInUse) => {
            Row::weak(WHAT, format!("another program listens at {address}")).fixed_by(format!(
                "ss -ltnp 'sport = :{}' shows which one; or serve --listen \
                ADDRESS:PORT",
                address.port()
            ))
        }
        _ => Row::weak(WHAT, format!("`serve` cannot listen at {address}: {error}"))
            .fixed_by("serve --listen ADDRESS:PORT"),
    })
}
