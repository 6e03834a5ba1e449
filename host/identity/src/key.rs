//! Key pairs.

use std::fmt;

use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::Did;

/// An Ed25519 key pair: an identity, and the means to prove it. Its memory is cleared when it is dropped.
#[derive(Clone)]
pub struct Identity {
    key: SigningKey,
}

/// The operating system provided no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system provided no random bytes: {0}")]
pub struct RandomnessError(String);

/// `N` random bytes, from the operating system.
pub(crate) fn random_bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, RandomnessError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut()).map_err(|error| RandomnessError(error.to_string()))?;
    Ok(bytes)
}

impl Identity {
    /// A new key pair, from the operating system's random bytes.
    pub fn generate() -> Result<Self, RandomnessError> {
        Ok(Self::from_seed(&*random_bytes()?))
    }

    /// The key pair of a passphrase: its seed is the SHA-256 of the text. As strong as the passphrase.
    pub fn from_passphrase(passphrase: &str) -> Self {
        Self::from_seed(&Zeroizing::new(Sha256::digest(passphrase).into()))
    }

    /// The key pair with that name, derived from this one: its seed is the SHA-256 of this one's signature of the name.
    #[must_use]
    pub fn derive(&self, name: &str) -> Self {
        let signature = Zeroizing::new(self.sign(name.as_bytes()));
        Self::from_seed(&Zeroizing::new(Sha256::digest(*signature).into()))
    }

    /// The key pair of a secret seed (RFC 8032's private key).
    pub(crate) fn from_seed(seed: &[u8; 32]) -> Self {
        Self { key: SigningKey::from_bytes(seed) }
    }

    /// The secret seed.
    pub(crate) fn seed(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// The public half, as a DID.
    pub fn did(&self) -> Did {
        Did::of(&self.key.verifying_key())
    }

    /// An Ed25519 signature of `message` (RFC 8032).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.did())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passphrases_and_names_derive_the_same_keys_as_the_original() {
        let common = Identity::from_passphrase("common user");
        let cases = [
            (common.clone(), "did:key:z6Mkj5HyygpAVo2baUcx7kwTRoUbbBmk5egUQPHnV8arQ3SY"),
            (common.derive("toolshed-system"), "did:key:z6Mkfuw7h6jDwqVb6wimYGys14JFcyTem4Kqvdj9DjpFhY88"),
            (common.derive("my-space"), "did:key:z6Mkm3LRGzJFpnZTwcwxw57UU2XfPt6LeHdoX2Rn4WecqwRo"),
            (Identity::from_passphrase("implicit trust"), "did:key:z6MksHnZGdHxNoCqcC3kPvBSo2goCzLSWheQ8LrVpAtQwgwW"),
        ];
        for (identity, did) in cases {
            assert_eq!(identity.did().as_str(), did);
        }
    }

    #[test]
    fn a_signature_verifies_with_the_dids_key() {
        let identity = Identity::generate().unwrap();
        let signature = ed25519_dalek::Signature::from_bytes(&identity.sign(b"message"));
        let key = identity.did().verifying_key();
        assert!(key.verify_strict(b"message", &signature).is_ok());
        assert!(key.verify_strict(b"massage", &signature).is_err());
    }

    #[test]
    fn two_new_keys_differ() {
        assert_ne!(Identity::generate().unwrap().did(), Identity::generate().unwrap().did());
    }

    #[test]
    fn a_key_is_not_printed() {
        let identity = Identity::from_passphrase("implicit trust");
        assert_eq!(format!("{identity:?}"), "Identity(did:key:z6MksHnZGdHxNoCqcC3kPvBSo2goCzLSWheQ8LrVpAtQwgwW)");
    }
}
