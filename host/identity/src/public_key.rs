//! Keys that everybody can derive, since the passphrase is public.

use std::sync::OnceLock;

use crate::{Did, Identity};

/// The original's passphrase of the operator, for a first try without any setup.
pub const DEFAULT_PASSPHRASE: &str = "implicit trust";

/// Whether everybody can sign with the key of that DID: whether it is the key of the [`DEFAULT_PASSPHRASE`].
pub fn is_public_key(did: &Did) -> bool {
    static PUBLIC: OnceLock<Did> = OnceLock::new();
    PUBLIC.get_or_init(|| Identity::from_passphrase(DEFAULT_PASSPHRASE).did()) == did
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_default_passphrase_is_public_and_another_is_not() {
        assert!(is_public_key(&Identity::from_passphrase("implicit trust").did()));
        assert!(!is_public_key(&Identity::generate().unwrap().did()));
    }
}
