//! From a connection to an open session: both sides say what they speak, and this one signs for the space.

use std::time::{SystemTime, UNIX_EPOCH};

use bg_identity::{Did, Identity, SpaceDid};

use crate::encode::encode;
use crate::error::Error;
use crate::hash::Hash;
use crate::socket::Socket;
use crate::value::Value;
use crate::wire::{self, Challenged, Flags, Message, PROTOCOL};

/// The session as both sides know it.
pub(crate) struct Names {
    pub(crate) id: String,
    /// From the server; proves that a session is resumed by its owner.
    pub(crate) token: Option<String>,
    /// Up to where the server's changes are known.
    pub(crate) seen: u64,
}

/// The most bytes of a challenge. The original's have 36.
const MAX_CHALLENGE: usize = 512;
/// How long a signature is good for, in seconds.
const LIFETIME: u64 = 300;

/// Says hello, and waits for what must be signed.
pub(crate) async fn hello(socket: &mut Socket) -> Result<(Flags, Challenged), Error> {
    let flags = ["commitPreconditions", "pendingReadStacks", "verdictCatchUpMarkers"].map(|flag| (flag, true.into()));
    let flags = Value::object(flags.into_iter().chain([("modernCellRep", false.into())]));
    let hello = [("type", "hello".into()), ("protocol", PROTOCOL.into()), ("flags", flags)];
    socket.send(encode(&Value::object(hello))).await?;
    let text = next(socket).await?;
    let message = wire::message(&text)?;
    if message.kind != "hello.ok" {
        return Err(refused(message));
    }
    match message.protocol.as_deref() {
        Some(PROTOCOL) => {}
        other => {
            return Err(Error::version(format!("protocol \"{}\"", crate::error::shown(other.unwrap_or_default()))));
        }
    }
    let flags = message.flags.unwrap_or_default();
    if flags.modern_cell_rep {
        return Err(Error::version(format!("\"{PROTOCOL}\" with links in a newer form (modernCellRep)")));
    }
    let challenged = message
        .session_open
        .ok_or_else(|| Error::version(format!("\"{PROTOCOL}\" without challenges, as before June 2026")))?;
    if challenged.challenge.value.len() > MAX_CHALLENGE {
        return Err(Error::malformed("a challenge", "it is too long"));
    }
    Ok((flags, challenged))
}

/// A handshake that the server did not accept, in its own words.
fn refused(message: Message<'_>) -> Error {
    match message.error {
        Some(refusal) if matches!(refusal.name.as_str(), "UnsupportedProtocol" | "ProtocolError") => {
            Error::version(format!("another one; it says \"{}\"", crate::error::shown(&refusal.message)))
        }
        Some(refusal) => refusal.into(),
        None => {
            Error::version(format!("another one; it answered hello with \"{}\"", crate::error::shown(&message.kind)))
        }
    }
}

/// The message that opens a session, signed for this space, this server and this challenge.
pub(crate) fn open(
    identity: &Identity,
    space: &SpaceDid,
    names: &Names,
    challenged: &Challenged,
) -> Result<String, Error> {
    let audience: Did =
        challenged.audience.parse().map_err(|error| Error::malformed("the identity of the server", error))?;
    let mut session = vec![("sessionId", names.id.as_str().into())];
    if let Some(token) = &names.token {
        session.push(("sessionToken", token.as_str().into()));
        session.push(("seenSeq", names.seen.into()));
    }
    let session = Value::object(session);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let invocation = Value::object([
        ("iss", identity.did().as_str().into()),
        ("cmd", "session.open".into()),
        ("sub", space.as_str().into()),
        ("aud", audience.as_str().into()),
        ("args", Value::object([("protocol", PROTOCOL.into()), ("session", session.clone())])),
        ("challenge", challenged.challenge.value.as_str().into()),
        ("iat", now.into()),
        ("exp", (now + LIFETIME).into()),
    ]);
    let signature = identity.sign(Hash::of(&invocation).bytes());
    Ok(encode(&Value::object([
        ("type", "session.open".into()),
        ("requestId", "open".into()),
        ("space", space.as_str().into()),
        ("session", session),
        ("invocation", invocation),
        ("authorization", Value::object([("signature", Value::Bytes(signature.to_vec()))])),
    ])))
}

/// The next message, skipping signs of life.
pub(crate) async fn next(socket: &mut Socket) -> Result<String, Error> {
    loop {
        if let Some(text) = socket.receive().await? {
            return Ok(text);
        }
    }
}
