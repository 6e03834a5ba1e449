//! Why config values do not fit a manifest.

use crate::grant::ParseGrantError;

/// Why config values do not fit a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value is set that the integration does not read; it may be mistyped.
    #[error("{key:?} is no config value of this integration; {known}")]
    Unknown {
        /// Which.
        key: String,
        /// Which there are, as a sentence.
        known: String,
    },
    /// A value that is needed is not set and has no default.
    #[error("the config value {key} must be set: {description}")]
    Missing {
        /// Which.
        key: String,
        /// What it is for.
        description: String,
    },
    /// With its values in place, an entry's URL is no grant.
    #[error("[[http]] entry {entry} ({filled}): {problem}")]
    Url {
        /// Which entry of the manifest, counted from 1.
        entry: usize,
        /// Its URL with values in place.
        filled: String,
        /// What is wrong with it.
        problem: ParseGrantError,
    },
    /// A token would be sent to hosts that nobody named.
    #[error("[[http]] entry {entry}: a credential goes to one named host, not to {host}")]
    CredentialForMany {
        /// Which entry of the manifest, counted from 1.
        entry: usize,
        /// To which hosts it would go.
        host: String,
    },
    /// Two entries name different credentials for the same requests.
    #[error("[[http]] entries {first} and {second} name different credentials for the same requests")]
    TwoCredentials {
        /// One entry of the manifest, counted from 1.
        first: usize,
        /// The other one.
        second: usize,
    },
}
