//! Why config values do not fit a manifest.

use crate::grant::ParseGrantError;

/// Why config values do not fit a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value is set that the integration does not read; it may be misspelled.
    #[error("{key:?} is not a config value of this integration; {known}")]
    Unknown {
        /// Its name.
        key: String,
        /// The known names, as a sentence.
        known: String,
    },
    /// A required value is not set and has no default.
    #[error("the config value {key} must be set: {description}")]
    Missing {
        /// Its name.
        key: String,
        /// What it is for.
        description: String,
    },
    /// With config values filled in, an entry's URL is not a valid grant.
    #[error("[[http]] entry {entry} ({filled}): {problem}")]
    Url {
        /// The entry of the manifest, counted from 1.
        entry: usize,
        /// Its URL with values filled in.
        filled: String,
        /// What is wrong with it.
        problem: ParseGrantError,
    },
    /// A token would be sent to hosts that are not named individually.
    #[error("[[http]] entry {entry}: a credential goes to one named host, not to {host}")]
    CredentialForMany {
        /// The entry of the manifest, counted from 1.
        entry: usize,
        /// The hosts.
        host: String,
    },
    /// Two entries name different credentials for the same requests.
    #[error("[[http]] entries {first} and {second} name different credentials for the same requests")]
    TwoCredentials {
        /// One entry of the manifest, counted from 1.
        first: usize,
        /// The other entry.
        second: usize,
    },
}
