//! Pins an integration to a file: its SHA-256, as recorded by the operator.

use std::fmt;
use std::str::FromStr;

use bg_identity::IntegrationId;

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

    /// The integration.
    pub(crate) fn integration(&self) -> &IntegrationId {
        &self.integration
    }

    /// The digest: 64 hexadecimal digits, lower case.
    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Whether both pin the same integration.
    pub(crate) fn is_of_the_same(&self, other: &Self) -> bool {
        self.integration == other.integration
    }
}

/// As written on the command line.
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
