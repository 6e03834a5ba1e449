//! `did:key` of Ed25519 keys, the only kind used here.

use std::str::FromStr;
use std::sync::Arc;

use ed25519_dalek::VerifyingKey;

use crate::shown::Shown;
use crate::text::written_as_text;

/// What a `did:key` of this kind starts with; `z` is the multibase prefix of base58btc.
const PREFIX: &str = "did:key:z";
/// The multicodec prefix of an Ed25519 public key.
const ED25519_PUB: [u8; 2] = [0xed, 0x01];
/// An Ed25519 `did:key` has 56 characters; anything much longer is not worth decoding.
const MAX_LEN: usize = 64;

/// A decentralized identifier `did:key:z6Mk…`: an Ed25519 public key, written as text.
///
/// Every value contains a key that can verify signatures: the canonical encoding of a point that is not of small order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Did {
    text: Arc<str>,
}

/// A text that is not the DID of an Ed25519 key. The message shows the text and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{shown} is not a DID: {problem}; a DID looks like did:key:z6Mk… (48 characters after \"did:key:\")")]
pub struct ParseDidError {
    shown: Shown,
    problem: DidProblem,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum DidProblem {
    #[error("it is empty")]
    Empty,
    #[error("it does not start with \"did:key:z\"")]
    Prefix,
    #[error("it is too long")]
    TooLong,
    #[error("it has a character that base58 does not have (0, O, I, l and signs are not used)")]
    Base58,
    #[error("it is the DID of another type of key than Ed25519")]
    KeyType,
    #[error("its key is not 32 bytes long; a part of it may be missing")]
    KeyLength,
    #[error("its key is not a valid Ed25519 public key; it may be mistyped")]
    NotAKey,
}

impl Did {
    /// A regular expression that every DID matches.
    pub const PATTERN: &str = "^did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{44}$";

    /// The DID of a public key that is known to be valid.
    pub(crate) fn of(key: &VerifyingKey) -> Self {
        let mut bytes = [0; 34];
        bytes[..2].copy_from_slice(&ED25519_PUB);
        bytes[2..].copy_from_slice(key.as_bytes());
        Self { text: format!("{PREFIX}{}", bs58::encode(bytes).into_string()).into() }
    }

    /// The DID as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The public key in this DID.
    pub fn verifying_key(&self) -> VerifyingKey {
        decode(&self.text).expect("the text was decoded when this DID was created, and has not changed since")
    }
}

impl FromStr for Did {
    type Err = ParseDidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match decode(text) {
            Ok(_) => Ok(Self { text: text.into() }),
            Err(problem) => Err(ParseDidError { shown: Shown::new(text), problem }),
        }
    }
}

written_as_text!(
    Did,
    ParseDidError,
    Did::PATTERN,
    "A decentralized identifier of the method `key`: an Ed25519 public key. A text that matches the pattern is a DID \
    only if it is the encoding of \
     such a key.",
    "did:key:z6MksHnZGdHxNoCqcC3kPvBSo2goCzLSWheQ8LrVpAtQwgwW"
);

fn decode(text: &str) -> Result<VerifyingKey, DidProblem> {
    if text.is_empty() {
        return Err(DidProblem::Empty);
    }
    let encoded = text.strip_prefix(PREFIX).ok_or(DidProblem::Prefix)?;
    if text.len() > MAX_LEN {
        return Err(DidProblem::TooLong);
    }
    let bytes = bs58::decode(encoded).into_vec().map_err(|_| DidProblem::Base58)?;
    let key = bytes.strip_prefix(&ED25519_PUB).ok_or(DidProblem::KeyType)?;
    let key: &[u8; 32] = key.try_into().map_err(|_| DidProblem::KeyLength)?;
    let key = VerifyingKey::from_bytes(key).map_err(|_| DidProblem::NotAKey)?;
    // A key of small order verifies forged signatures; a second encoding of a key would be a second name for it.
    if key.is_weak() || key.to_edwards().compress().as_bytes() != key.as_bytes() {
        return Err(DidProblem::NotAKey);
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Identity;

    const GOOD: &str = "did:key:z6Mkj5HyygpAVo2baUcx7kwTRoUbbBmk5egUQPHnV8arQ3SY";

    fn encoded(prefix: &[u8], key: &[u8]) -> String {
        format!("{PREFIX}{}", bs58::encode([prefix, key].concat()).into_string())
    }

    #[test]
    fn a_did_survives_text_and_json() {
        let did: Did = GOOD.parse().unwrap();
        assert_eq!(did.to_string(), GOOD);
        assert_eq!(format!("{did:?}"), format!("Did({GOOD})"));
        assert_eq!(serde_json::to_string(&did).unwrap(), format!("\"{GOOD}\""));
        assert_eq!(serde_json::from_str::<Did>(&format!("\"{GOOD}\"")).unwrap(), did);
        assert_eq!(Did::of(&did.verifying_key()), did);
    }

    #[test]
    fn an_error_says_what_is_wrong_with_a_did() {
        let mut not_a_point = [0; 32];
        not_a_point[0] = 2;
        let mut non_canonical = [0xff; 32];
        (non_canonical[0], non_canonical[31]) = (0xf0, 0x7f);
        let cases = [
            (String::new(), DidProblem::Empty),
            ("did:web:example.com".into(), DidProblem::Prefix),
            (GOOD.to_uppercase(), DidProblem::Prefix),
            (format!(" {GOOD}"), DidProblem::Prefix),
            (format!("{GOOD}{GOOD}"), DidProblem::TooLong),
            (format!("{GOOD}\n"), DidProblem::Base58),
            (GOOD.replace('5', "0"), DidProblem::Base58),
            (encoded(&[0xe7, 0x01], &[2; 33]), DidProblem::KeyType),
            (encoded(&ED25519_PUB, &[1; 31]), DidProblem::KeyLength),
            (encoded(&ED25519_PUB, &not_a_point), DidProblem::NotAKey),
            (encoded(&ED25519_PUB, &[0; 32]), DidProblem::NotAKey),
            (encoded(&ED25519_PUB, &non_canonical), DidProblem::NotAKey),
        ];
        for (text, problem) in cases {
            let error = text.parse::<Did>().unwrap_err();
            assert_eq!(error.problem, problem, "{text}");
            assert!(error.to_string().contains("did:key:z6Mk…"), "{error}");
        }
    }

    #[test]
    fn a_did_of_another_key_type_is_refused() {
        // A P-256 key, from the did:key specification.
        let error = "did:key:zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169".parse::<Did>().unwrap_err();
        assert_eq!(error.problem, DidProblem::KeyType);
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,100}") {
            if let Ok(did) = text.parse::<Did>() {
                prop_assert_eq!(did.as_str(), text);
            }
        }

        #[test]
        fn every_key_has_a_did(seed: [u8; 32]) {
            let identity = Identity::from_seed(&seed);
            let did = identity.did();
            prop_assert_eq!(&did.as_str().parse::<Did>().unwrap(), &did);
            prop_assert_eq!(did.as_str().len(), 56);
        }
    }
}
