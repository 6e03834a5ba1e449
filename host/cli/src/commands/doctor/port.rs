//! The address at which `serve` listens.

use std::io::ErrorKind;
use std::net::TcpListener;

use bg_charms::Holder;

use super::row::Row;
use crate::args::{Common, ServeArgs};

/// Whether it is free, or held by our own server. None where the charm runtime is on another machine.
pub(super) fn listen(common: &Common, serve: &ServeArgs, serves: Option<&Holder>) -> Option<Row> {
    const WHAT: &str = "listen address";
    if common.api_url.is_some() {
        return None;
    }
    let address = serve.listen();
    let Err(error) = TcpListener::bind(address) else {
        return Some(Row::ok(WHAT, format!("{address} is free")));
    };
    let own =
        serves.filter(|holder| holder.url.as_ref().is_some_and(|url| url.ends_with(&format!(":{}", address.port()))));
    Some(match (own, error.kind()) {
        (Some(holder), ErrorKind::AddrInUse) => Row::ok(WHAT, format!("{address} is that of {holder}")),
        (None, ErrorKind::AddrInUse) => Row::weak(WHAT, format!("another program listens at {address}"))
            .mended_by(format!("ss -ltnp 'sport = :{}' tells which; or serve --listen ADDRESS:PORT", address.port())),
        _ => Row::weak(WHAT, format!("`serve` cannot listen at {address}: {error}"))
            .mended_by("serve --listen ADDRESS:PORT"),
    })
}
