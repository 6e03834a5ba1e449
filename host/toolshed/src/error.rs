//! What can go wrong between this client and a server.

use std::time::Duration;

use bg_identity::{Lines, Most, excerpt};

use crate::decode::{DecodeError, TAG};
use crate::wire::PROTOCOL;

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The address of a server is none.
    #[error("\"{address}\" is not the address of a server: {problem}; give it as http://HOST:PORT or https://HOST")]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// No connection to the server, or none any more. A session tries again by itself.
    #[error("the server at {server} is not reachable: {problem}")]
    Unreachable {
        /// The server.
        server: String,
        /// What happened.
        problem: String,
    },
    /// The server answers, but does not offer the memory protocol there.
    #[error("the server at {server} refused a WebSocket with status {status}; is it the original's server?")]
    NoWebSocket {
        /// The server.
        server: String,
        /// The status of its answer.
        status: u16,
    },
    /// The server speaks another version of the protocol.
    #[error("the server speaks {theirs}, and this program {ours}; use a version of one that fits the other")]
    Version {
        /// What this client speaks.
        ours: &'static str,
        /// What is known of the server's.
        theirs: String,
    },
    /// The server has another identity than before, or than is configured.
    #[error("the server says it is {found}, but it must be {expected}; nothing was signed for it")]
    AnotherServer {
        /// The identity that was seen first, or is configured.
        expected: String,
        /// The identity that the server has now.
        found: String,
    },
    /// The server sent what the protocol does not have.
    #[error("the server sent {what}, which this program does not understand: {problem}")]
    Malformed {
        /// What was read.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The server sent more than the limit allows.
    #[error("the server sent {0}")]
    TooLarge(String),
    /// The key of this client may not do this in the space.
    #[error("access is denied: {0}; the owner of the space must grant it")]
    Denied(String),
    /// The server refuses the handshake for now.
    #[error("the server refuses the session for now: {0}; check the clocks of both machines if this continues")]
    Handshake(String),
    /// A document was changed since it was read. Nothing was written.
    #[error("the document has changed since it was read: {message}")]
    Conflict {
        /// What the server says.
        message: String,
        /// After this sequence number, trying again is of use.
        retry_after: Option<u64>,
    },
    /// A precondition of a commit does not hold. Nothing was written.
    #[error("a precondition does not hold ({precondition}): {message}")]
    Precondition {
        /// Its name, such as `receipt-exists` for a document that exists already.
        precondition: String,
        /// What the server says.
        message: String,
    },
    /// The event is in the stream already. Nothing was written, and nothing needs to be.
    #[error("the event was appended before: {0}")]
    EventExists(String),
    /// The server does not run handlers by itself, so no event can be appended.
    #[error("the server takes no events: {0}")]
    NoEvents(String),
    /// The server ended the session.
    #[error("the server ended the session: {0}")]
    Revoked(String),
    /// Any other refusal.
    #[error("the server refused: {name}: {message}")]
    Refused {
        /// The name of the error.
        name: String,
        /// What the server says.
        message: String,
    },
    /// No answer came in time. A query changes nothing.
    #[error("the server did not answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// No answer came to a commit: it may have been made, or not.
    #[error("it is unknown whether the server committed: {0}; read the document before you commit again")]
    Unknown(String),
    /// More requests wait for their answers than may.
    #[error("{0} requests wait for the server already")]
    Busy(usize),
    /// This machine gives no random bytes.
    #[error("this machine gives no random bytes: {0}")]
    Randomness(String),
}

/// What this client speaks, in the words of [`Error::Version`].
pub(crate) const OURS: &str = "protocol \"memory\" with values in format fvj1 and links in their form of 2025";

impl Error {
    /// Whether the same may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Handshake(_) | Self::Timeout(_) | Self::Busy(_) | Self::Conflict { .. }
        )
    }

    pub(crate) fn version(theirs: impl Into<String>) -> Self {
        Self::Version { ours: OURS, theirs: theirs.into() }
    }

    pub(crate) fn malformed(what: &'static str, problem: impl ToString) -> Self {
        Self::Malformed { what, problem: shown(&problem.to_string()) }
    }

    /// A frame that is none.
    pub(crate) fn frame(error: &DecodeError) -> Self {
        match error {
            DecodeError::Format(start) if start.starts_with("fvj") => {
                Self::version(format!("\"{PROTOCOL}\" with values in format {}", start.trim_end_matches(':')))
            }
            DecodeError::Format(start) => {
                Self::version(format!("another protocol: its messages start with \"{start}\", not \"{TAG}\""))
            }
            other => Self::malformed("a message", other),
        }
    }
}

/// A server's text, short and on one line.
pub(crate) fn shown(text: &str) -> String {
    excerpt(text, Lines::Escaped, Most::Chars(300))
}
