//! What can go wrong, and who has to act.

use std::net::IpAddr;
use std::time::Duration;

/// What an error means for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The provider is unreachable, busy or broken. Try again later; nothing has changed.
    Temporary,
    /// The grant has ended. The person must sign in again.
    Ended,
    /// The provider rejects the client, or what it asks for. The operator must fix that.
    WrongClient,
    /// This sign-in is over: the person refused it, or it took too long. A new sign-in can succeed.
    Refused,
    /// The answer is none that this code understands or trusts.
    Odd,
}

/// Why a request to a provider, or a sign-in, failed. No message contains a token, a code, a verifier or a client
/// secret.
#[derive(Debug, thiserror::Error)]
pub enum OAuthError {
    /// No answer.
    #[error("{origin} does not answer: {problem}; try again later")]
    Unreachable {
        /// Where it was looked for.
        origin: String,
        /// The reason.
        problem: String,
    },
    /// An answer that says "later".
    #[error("{origin} answers {status}{}; try again later", code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default())]
    Busy {
        /// Who answered.
        origin: String,
        /// The status.
        status: u16,
        /// The provider's error code.
        code: Option<String>,
        /// The time to wait, if the answer says.
        retry_after: Option<Duration>,
    },
    /// The grant has ended.
    #[error("{origin} answers {code}: the sign-in has ended; sign in again")]
    Ended {
        /// Who answered.
        origin: String,
        /// The provider's error code.
        code: String,
    },
    /// The provider rejects the client or its request.
    #[error("{origin} answers {code}{}; check the client's ID, secret, redirect URL and scopes at the provider", said(description.as_ref()))]
    WrongClient {
        /// Who answered.
        origin: String,
        /// The provider's error code.
        code: String,
        /// The provider's explanation.
        description: Option<String>,
    },
    /// The person, or the provider on their behalf, refused the sign-in.
    #[error("the sign-in was refused: {code}{}; start it again", said(description.as_ref()))]
    Refused {
        /// The provider's error code.
        code: String,
        /// The provider's explanation.
        description: Option<String>,
    },
    /// The answer carries a state that belongs to no sign-in of ours, to another one, or to one of another provider.
    #[error("this answer belongs to another sign-in, or to none; finish the sign-in in the window that it began in")]
    Stray,
    /// The answer names another issuer than the one that was asked (RFC 9207).
    #[error("the answer comes from another issuer than {expected}; start the sign-in again")]
    OtherIssuer {
        /// The issuer that was asked.
        expected: String,
    },
    /// An answer that is not as the standards say.
    #[error("{origin} gives an answer that cannot be used: {problem}")]
    Odd {
        /// Who answered.
        origin: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The text that a person pasted is not the answer of a sign-in.
    #[error("{0}")]
    Pasted(&'static str),
    /// The provider's address is one that nothing may reach.
    #[error("{origin} is not asked: {address} is {what}{}", option.as_ref().map(|option| format!("; if that is intended, {option}")).unwrap_or_default())]
    Address {
        /// The origin.
        origin: String,
        /// Its address.
        address: IpAddr,
        /// The kind of address.
        what: &'static str,
        /// The option that permits it, if one does.
        option: Option<String>,
    },
    /// The provider's URL has no TLS.
    #[error("{origin} is not asked: secrets are sent over TLS only")]
    Plain {
        /// The origin.
        origin: String,
    },
    /// The provider offers no such thing.
    #[error("{provider} has no {what}")]
    Unsupported {
        /// The provider's name.
        provider: String,
        /// What is missing.
        what: &'static str,
    },
    /// The operating system has no random numbers.
    #[error("the operating system provided no random bytes: {0}")]
    Random(String),
}

impl OAuthError {
    /// What the error means for an account.
    pub fn class(&self) -> Class {
        match self {
            Self::Unreachable { .. } | Self::Busy { .. } | Self::Random(_) => Class::Temporary,
            Self::Ended { .. } => Class::Ended,
            Self::WrongClient { .. } | Self::Address { .. } | Self::Plain { .. } | Self::Unsupported { .. } => {
                Class::WrongClient
            }
            Self::Refused { .. } => Class::Refused,
            Self::Stray | Self::OtherIssuer { .. } | Self::Odd { .. } | Self::Pasted(_) => Class::Odd,
        }
    }

    /// The provider's error code, such as `invalid_grant`.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Busy { code, .. } => code.as_deref(),
            Self::Ended { code, .. } | Self::WrongClient { code, .. } | Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// The time that the provider wants no requests for.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub(crate) fn odd(origin: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Odd { origin: origin.into(), problem: problem.into() }
    }
}

impl From<getrandom::Error> for OAuthError {
    fn from(error: getrandom::Error) -> Self {
        Self::Random(error.to_string())
    }
}

fn said(description: Option<&String>) -> String {
    description.map(|text| format!(" ({text})")).unwrap_or_default()
}
