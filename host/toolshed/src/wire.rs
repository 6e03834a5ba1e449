//! The messages of a server.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::decode::{DecodeError, TAG};
use crate::error::{Error, shown};

/// The name of the protocol, which both sides send.
pub(crate) const PROTOCOL: &str = "memory";

/// One message. What a document contains stays text, so that a malformed document does not spoil the others.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Message<'a> {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) request_id: Option<String>,
    #[serde(borrow)]
    pub(crate) ok: Option<&'a RawValue>,
    pub(crate) error: Option<Refusal>,
    pub(crate) effect: Option<Sync<'a>>,
    pub(crate) protocol: Option<String>,
    pub(crate) flags: Option<Flags>,
    pub(crate) session_open: Option<Challenged>,
    pub(crate) reason: Option<String>,
}

/// What a server is able to do, as far as it matters here.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Flags {
    #[serde(default)]
    pub(crate) modern_cell_rep: bool,
    #[serde(default)]
    pub(crate) commit_preconditions: bool,
}

/// What a session must be signed for.
#[derive(Clone, Deserialize)]
pub(crate) struct Challenged {
    pub(crate) audience: String,
    pub(crate) challenge: Challenge,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Challenge {
    pub(crate) value: String,
}

/// Why the server did not do what it was asked.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Refusal {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) message: String,
    pub(crate) precondition: Option<String>,
    pub(crate) retry_after_seq: Option<u64>,
    #[serde(default)]
    pub(crate) retriable: bool,
}

/// The answer to the opening of a session.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Opened {
    pub(crate) session_id: String,
    pub(crate) session_token: String,
}

/// The answer to a watch.
#[derive(Deserialize)]
pub(crate) struct Watched<'a> {
    #[serde(borrow)]
    pub(crate) sync: Sync<'a>,
}

/// The answer to a query.
#[derive(Deserialize)]
pub(crate) struct Found<'a> {
    #[serde(borrow)]
    pub(crate) entities: Vec<Snapshot<'a>>,
}

/// The answer to a commit.
#[derive(Deserialize)]
pub(crate) struct Applied {
    pub(crate) seq: u64,
    #[serde(default)]
    pub(crate) replayed: bool,
}

/// What changed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sync<'a> {
    pub(crate) to_seq: u64,
    #[serde(borrow)]
    pub(crate) upserts: Vec<Snapshot<'a>>,
    pub(crate) removes: Vec<Removed>,
}

/// A document, as it is now.
#[derive(Deserialize)]
pub(crate) struct Snapshot<'a> {
    pub(crate) id: String,
    pub(crate) scope: Option<String>,
    pub(crate) seq: u64,
    /// In an answer to a query, `document`; without one, the document does not exist.
    #[serde(borrow, alias = "document")]
    pub(crate) doc: Option<&'a RawValue>,
}

/// A document that is no longer among the watched ones.
#[derive(Deserialize)]
pub(crate) struct Removed {
    pub(crate) id: String,
    pub(crate) scope: Option<String>,
}

/// Reads a message.
pub(crate) fn message(text: &str) -> Result<Message<'_>, Error> {
    let json = text
        .strip_prefix(TAG)
        .ok_or_else(|| Error::frame(&DecodeError::Format(shown(text.get(..TAG.len()).unwrap_or(text)))))?;
    read(json, "a message")
}

/// Reads a part of a message.
pub(crate) fn read<'a, T: Deserialize<'a>>(json: &'a str, what: &'static str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|error| Error::malformed(what, error))
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let message = shown(&refusal.message);
        match refusal.name.as_str() {
            "AuthorizationError" if refusal.retriable => Self::Handshake(message),
            "AuthorizationError" => Self::Denied(message),
            "ConflictError" => Self::Conflict { message, retry_after: refusal.retry_after_seq },
            "PreconditionFailedError" => {
                Self::Precondition { precondition: shown(&refusal.precondition.unwrap_or_default()), message }
            }
            "EventAppendDuplicateError" => Self::EventExists(message),
            "SessionError" | "SessionRevokedError" => Self::Revoked(message),
            name => Self::Refused { name: shown(name), message },
        }
    }
}
