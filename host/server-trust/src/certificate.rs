//! The digest of a server's certificate.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The SHA-256 of a certificate. As text, it is 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct CertificateDigest([u8; 32]);

/// A text that is not the digest of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not the SHA-256 of a certificate, which has 64 hexadecimal digits")]
pub struct ParseCertificateDigestError;

impl CertificateDigest {
    /// The digest of a certificate in its binary form, DER.
    pub fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl fmt::Display for CertificateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER_PERMISSIVE.encode(&self.0))
    }
}

impl fmt::Debug for CertificateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateDigest({self})")
    }
}

impl FromStr for CertificateDigest {
    type Err = ParseCertificateDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|_| ParseCertificateDigestError)?;
        Ok(Self(bytes.try_into().map_err(|_| ParseCertificateDigestError)?))
    }
}

impl From<CertificateDigest> for String {
    fn from(digest: CertificateDigest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for CertificateDigest {
    type Error = ParseCertificateDigestError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_survives_printing_and_other_texts_are_refused() {
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let digest = CertificateDigest::of(b"abc");
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.to_uppercase().parse(), Ok(digest));
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<CertificateDigest>(&json).unwrap(), digest);
        for other in ["", "ba", &text[2..], &format!("{text}00"), &text.replace('b', "g")] {
            assert_eq!(other.parse::<CertificateDigest>(), Err(ParseCertificateDigestError), "{other}");
            assert!(serde_json::from_str::<CertificateDigest>(&format!("\"{other}\"")).is_err());
        }
    }
}
