//! Which very file an integration must be: its SHA-256, as the operator noted it.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use anyhow::bail;
use bg_identity::IntegrationId;

use crate::integrations::Plan;

/// One integration's component, `gmail=89daf25e…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pin {
    integration: IntegrationId,
    /// 64 hexadecimal digits, lower case.
    sha256: String,
}

impl Pin {
    /// Checks the digest's form.
    pub(crate) fn new(integration: IntegrationId, sha256: &str) -> Result<Self, String> {
        let is_digest = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_digest {
            return Err(
                "a SHA-256 has 64 hexadecimal digits; `bg-wasm-host inspect FILE` prints a component's".to_owned()
            );
        }
        Ok(Self { integration, sha256: sha256.to_ascii_lowercase() })
    }

    /// Which integration it is of.
    pub(crate) fn integration(&self) -> &IntegrationId {
        &self.integration
    }

    /// Whether both pin the same integration.
    pub(crate) fn is_of_the_same(&self, other: &Self) -> bool {
        self.integration == other.integration
    }
}

/// As it is written on the command line.
impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.integration, self.sha256)
    }
}

impl FromStr for Pin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (integration, sha256) = text.split_once('=').ok_or("write NAME=SHA-256, as `inspect` prints them")?;
        Self::new(integration.parse().map_err(|error: bg_identity::ParseIntegrationIdError| error.to_string())?, sha256)
    }
}

/// Refuses a component that is not the one its integration is pinned to, and a pin of an integration that has no component: a
/// file under another name would get around its pin.
pub(crate) fn check(pins: &[Pin], components: &[(&Path, &Plan, &str)]) -> anyhow::Result<()> {
    for Pin { integration, sha256 } in pins {
        if !components.iter().any(|(_, plan, _)| plan.id() == integration) {
            bail!("--sha256 {integration}={sha256}: there is no component of that name");
        }
    }
    components.iter().try_for_each(|(path, plan, found)| check_one(pins, path, plan.id(), found))
}

/// Refuses a component that is none of those that its integration is pinned to. Several pins of one are several versions of it.
pub(crate) fn check_one(pins: &[Pin], path: &Path, integration: &IntegrationId, found: &str) -> anyhow::Result<()> {
    let mut allowed =
        pins.iter().filter(|pin| pin.integration == *integration).map(|pin| pin.sha256.as_str()).peekable();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_a_name_and_a_whole_digest() {
        let digest = "89DAF25E".repeat(8);
        let pin: Pin = format!("gmail={digest}").parse().unwrap();
        assert_eq!((pin.integration.as_str(), pin.sha256), ("gmail", digest.to_ascii_lowercase()));
        for text in ["", "gmail", "gmail=", &digest, &format!("gmail={}", &digest[1..]), &format!("gmail={digest}0")] {
            text.parse::<Pin>().expect_err(text);
        }
        format!("gmail={}g", &digest[1..]).parse::<Pin>().unwrap_err();
        format!("g mail={digest}").parse::<Pin>().unwrap_err();
    }
}
