//! The random values of one sign-in: state, nonce, and the verifier of PKCE.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bg_identity::Secret;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::OAuthError;

/// 256 bits: what RFC 7636 recommends for a verifier, and more than anyone can guess for the others.
const BYTES: usize = 32;

fn random_text() -> Result<Secret, OAuthError> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    getrandom::fill(bytes.as_mut())?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(*bytes)))
}

/// Compares digests, so that the time says nothing about where two secrets differ.
fn equal(a: &Secret, b: &str) -> bool {
    Sha256::digest(a.expose()) == Sha256::digest(b)
}

macro_rules! random_value {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(Secret);

        impl $name {
            /// A new one: 256 random bits, as 43 characters.
            pub fn new() -> Result<Self, OAuthError> {
                random_text().map(Self)
            }

            /// One that was kept.
            pub fn from_secret(text: Secret) -> Self {
                Self(text)
            }

            /// The text, to keep it. It must not reach a log.
            pub fn secret(&self) -> &Secret {
                &self.0
            }

            /// Whether it is this text, in a time that does not depend on it.
            pub fn is(&self, text: &str) -> bool {
                equal(&self.0, text)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

random_value! {
    /// Binds the provider's answer to the sign-in that asked for it.
    State
}

random_value! {
    /// Binds an ID token to the sign-in that asked for it.
    Nonce
}

random_value! {
    /// What proves at the token endpoint that the code was asked for here (RFC 7636).
    Verifier
}

impl Verifier {
    /// The challenge of the method `S256`.
    ///
    /// ```
    /// use bg_oauth::Verifier;
    ///
    /// // The example of RFC 7636, appendix B.
    /// let verifier = Verifier::from_secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned().into());
    /// assert_eq!(verifier.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    /// ```
    pub fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.0.expose()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_alike_and_none_is_printed() {
        let (a, b) = (State::new().unwrap(), State::new().unwrap());
        assert_eq!(a.secret().expose().len(), 43);
        assert!(a.is(a.secret().expose()) && !a.is(b.secret().expose()) && !a.is(""));
        assert_eq!(format!("{a:?}"), "State(…)");
    }
}
