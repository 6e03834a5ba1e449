//! Charm IDs, in the old and the new form.

use std::str::FromStr;
use std::sync::Arc;

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

use crate::shown::Shown;
use crate::text::written_as_text;

/// Version 1, codec 0x07, then a multihash: SHA-256 (0x12), 32 bytes (0x20).
const CID_HEADER: [u8; 4] = [0x01, 0x07, 0x12, 0x20];
const CID_BYTES: usize = CID_HEADER.len() + 32;
/// `b`, the multibase prefix of lower-case base32, and 36 bytes at 5 bits per character.
const CID_CHARS: usize = 1 + (CID_BYTES * 8).div_ceil(5);
const FID_PREFIX: &str = "fid1:";
/// A 256-bit hash in base64url needs 43 characters; this leaves room for longer ones.
const FID_MAX_CHARS: usize = 128;

/// The ID of a charm within its space: `baedrei…`, a content address of 59 characters, or `fid1:…`, the newer form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CharmId(Arc<str>);

/// A text that is not a charm ID. The message shows the text and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{shown} is not a charm ID: {problem}; a charm ID looks like baedrei… (59 characters) or fid1:… (letters, digits, \
    - and _)"
)]
pub struct ParseCharmIdError {
    shown: Shown,
    problem: CharmIdProblem,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum CharmIdProblem {
    #[error("it is empty")]
    Empty,
    #[error("leave out the \"of:\" in front")]
    OfPrefix,
    #[error("it starts with neither \"baedrei\" nor \"fid1:\"")]
    Prefix,
    #[error("it has {0} bytes instead of 59")]
    CidLength(usize),
    #[error("it has a character that base32 does not have (a–z and 2–7 are used), or its last one is not possible")]
    Base32,
    #[error("there must be 1 to {FID_MAX_CHARS} characters in all, and something after \"fid1:\"")]
    FidLength,
    #[error("it has a character that is not a letter, a digit, - or _")]
    FidCharacter,
}

impl CharmId {
    /// The ID (of the form `baedrei…`) of this content.
    pub fn for_content(content: &[u8]) -> Self {
        Self::from_digest(Sha256::digest(content).into())
    }

    /// The ID (of the form `baedrei…`) that contains this SHA-256.
    pub fn from_digest(digest: [u8; 32]) -> Self {
        let mut cid = [0; CID_BYTES];
        cid[..CID_HEADER.len()].copy_from_slice(&CID_HEADER);
        cid[CID_HEADER.len()..].copy_from_slice(&digest);
        let mut text = [b'b'; CID_CHARS];
        BASE32_NOPAD.encode_mut(&cid, &mut text[1..]);
        text.make_ascii_lowercase();
        Self(std::str::from_utf8(&text).expect("base32 is ASCII").into())
    }

    /// The SHA-256 in an ID of the form `baedrei…`; `None` for one of the newer form.
    pub fn digest(&self) -> Option<[u8; 32]> {
        if self.0.starts_with(FID_PREFIX) {
            return None;
        }
        let mut text: [u8; CID_CHARS] = self.0.as_bytes().try_into().ok()?;
        text.make_ascii_uppercase();
        let mut cid = [0; CID_BYTES + 1];
        let length = BASE32_NOPAD.decode_len(CID_CHARS - 1).ok()?;
        let length = BASE32_NOPAD.decode_mut(&text[1..], cid.get_mut(..length)?).ok()?;
        cid.get(CID_HEADER.len()..length)?.try_into().ok()
    }

    /// The ID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CharmId {
    type Err = ParseCharmIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match check(text) {
            Ok(()) => Ok(Self(text.into())),
            Err(problem) => Err(ParseCharmIdError { shown: Shown::new(text), problem }),
        }
    }
}

/// The header's bits reach into the eighth character, and the last character has two spare bits.
const PATTERN: &str = "^(baedrei[a-h][a-z2-7]{50}[aeimquy4]|fid1:[A-Za-z0-9_-]{1,123})$";

written_as_text!(
    CharmId,
    ParseCharmIdError,
    PATTERN,
    "The ID of a charm within its space.",
    "baedreiew6ioyvfnvp2bdvmgkkz64ffk6gssvgmibh7yaw43yqhtv2nq75a"
);

fn check(text: &str) -> Result<(), CharmIdProblem> {
    if text.is_empty() {
        return Err(CharmIdProblem::Empty);
    }
    if text.starts_with("of:") {
        return Err(CharmIdProblem::OfPrefix);
    }
    if let Some(rest) = text.strip_prefix(FID_PREFIX) {
        if rest.is_empty() || text.len() > FID_MAX_CHARS {
            return Err(CharmIdProblem::FidLength);
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        return if rest.bytes().all(allowed) { Ok(()) } else { Err(CharmIdProblem::FidCharacter) };
    }
    if !text.starts_with("baedrei") {
        return Err(CharmIdProblem::Prefix);
    }
    if text.len() != CID_CHARS {
        return Err(CharmIdProblem::CidLength(text.len()));
    }
    // The decoder expects upper case; upper case in the text would be a second spelling of the same ID.
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(CharmIdProblem::Base32);
    }
    let cid = BASE32_NOPAD.decode(text[1..].to_ascii_uppercase().as_bytes()).map_err(|_| CharmIdProblem::Base32)?;
    if cid.starts_with(&CID_HEADER) { Ok(()) } else { Err(CharmIdProblem::Prefix) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "baedreiew6ioyvfnvp2bdvmgkkz64ffk6gssvgmibh7yaw43yqhtv2nq75a";

    #[test]
    fn ids_of_both_forms_are_parsed() {
        for text in [GOOD, "fid1:a", "fid1:Ab-9_z", &format!("fid1:{}", "a".repeat(123))] {
            let id: CharmId = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
            assert_eq!(serde_json::from_str::<CharmId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
        }
    }

    #[test]
    fn an_error_says_what_is_wrong_with_an_id() {
        let cases = [
            (String::new(), CharmIdProblem::Empty),
            (format!("of:{GOOD}"), CharmIdProblem::OfPrefix),
            ("../../etc/passwd".into(), CharmIdProblem::Prefix),
            (GOOD.to_uppercase(), CharmIdProblem::Prefix),
            ("bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi".into(), CharmIdProblem::Prefix),
            (GOOD[..58].into(), CharmIdProblem::CidLength(58)),
            (format!("{GOOD}a"), CharmIdProblem::CidLength(60)),
            (GOOD.replace('6', "1"), CharmIdProblem::Base32),
            (GOOD.replace("ew6", "eW6"), CharmIdProblem::Base32),
            (format!("{}b", &GOOD[..58]), CharmIdProblem::Base32),
            ("fid1:".into(), CharmIdProblem::FidLength),
            (format!("fid1:{}", "a".repeat(124)), CharmIdProblem::FidLength),
            ("fid1:a/b".into(), CharmIdProblem::FidCharacter),
            ("fid1:é".into(), CharmIdProblem::FidCharacter),
        ];
        for (text, problem) in cases {
            let error = text.parse::<CharmId>().unwrap_err();
            assert_eq!(error.problem, problem, "{text}");
            assert!(error.to_string().contains("looks like baedrei…"), "{error}");
        }
    }

    #[test]
    fn an_id_with_multibyte_characters_is_refused_without_a_panic() {
        for text in ["baedreié", &format!("baedrei{}", "é".repeat(26)), "bé"] {
            assert!(text.parse::<CharmId>().is_err());
        }
    }

    proptest! {
        #[test]
        fn content_has_an_id_that_parses(content: Vec<u8>) {
            let id = CharmId::for_content(&content);
            prop_assert_eq!(id.as_str().len(), 59);
            prop_assert_eq!(id.digest().map(CharmId::from_digest), Some(id.clone()));
            prop_assert_eq!(id.as_str().parse::<CharmId>().unwrap(), id);
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "(baedrei|fid1:)?.{0,140}") {
            if let Ok(id) = text.parse::<CharmId>() {
                prop_assert_eq!(id.as_str(), text);
                prop_assert!(id.digest().is_none_or(|digest| CharmId::from_digest(digest) == id));
            }
        }
    }
}
