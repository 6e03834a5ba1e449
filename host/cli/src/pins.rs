//! Checks components against their pins.

use std::path::Path;

use anyhow::bail;
use bg_identity::IntegrationId;

use crate::args::Pin;

/// Refuses a component that is not the one its integration is pinned to, and a pin of an integration without a
/// component: a file under another name would bypass its pin.
pub(crate) fn check(pins: &[Pin], components: &[(&Path, &IntegrationId, &str)]) -> anyhow::Result<()> {
    for pin in pins {
        if !components.iter().any(|(_, id, _)| *id == pin.integration()) {
            bail!("--sha256 {pin}: there is no component of that name");
        }
    }
    components.iter().try_for_each(|(path, id, found)| check_one(pins, path, id, found))
}

/// Refuses a component that matches none of its integration's pins. Several pins allow several versions.
pub(crate) fn check_one(pins: &[Pin], path: &Path, integration: &IntegrationId, found: &str) -> anyhow::Result<()> {
    let mut allowed = pins.iter().filter(|pin| pin.integration() == integration).map(Pin::sha256).peekable();
    if allowed.peek().is_none() || allowed.clone().any(|sha256| sha256 == found) {
        return Ok(());
    }
    let allowed: Vec<&str> = allowed.collect();
    bail!(
        "{} is not the component that {integration} is pinned to: its SHA-256 is {found}, and the pin says {}. Look at \
         it with `bg-wasm-host inspect`, and change the pin only if you expected a new version",
        path.display(),
        allowed.join(" or ")
    )
}
