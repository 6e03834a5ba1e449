//! Verifying.

use std::time::SystemTime;

use ed25519_dalek::Signature;
use http::{HeaderMap, Method};
use sfv::{BareItem, Dictionary, InnerList, ListEntry, Parser};
use sha2::{Digest, Sha256};

use super::base::{COMPONENTS, Components, unix_seconds};
use super::{ALGORITHM, LIFETIME, MAX_CLOCK_SKEW, TAG};
use crate::{Did, ParseDidError};

/// A nonce has at least 96 bits in base64; a long one is not worth storing.
const NONCE_CHARS: std::ops::RangeInclusive<usize> = 16..=128;

/// The head of a request whose signature is valid: its signer, and the signed digest of its body. A server can decide
/// by it before it reads a byte of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Who signed it, and when.
    pub verified: Verified,
    digest: [u8; 32],
}

impl Head {
    /// Fails unless `body` is the one that was signed.
    pub fn check_body(&self, body: &[u8]) -> Result<(), SignatureError> {
        if self.digest[..] == Sha256::digest(body)[..] { Ok(()) } else { Err(SignatureError::Digest) }
    }
}

/// A request whose signature is valid, with its signer. Whether it is a replay is for [`NonceCache`](super::NonceCache)
/// to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The signer.
    pub did: Did,
    /// Unique among this signer's requests.
    pub nonce: String,
    /// When it was made, by the signer's clock, in seconds since 1970.
    pub created: u64,
    /// Until when it is valid, in seconds since 1970.
    pub expires: u64,
}

/// Why a request is not validly signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A header is missing.
    #[error(
        "the request is not signed: it has no {0} header (RFC 9421, ed25519, tag=\"bg-wasm-host\"); see the API's \
        description"
    )]
    Missing(&'static str),
    /// A header can't be parsed.
    #[error("the {0} header is malformed")]
    Malformed(&'static str),
    /// There is no signature with our tag, or more than one.
    #[error("the request must have exactly one signature with tag=\"{TAG}\"")]
    Tag,
    /// It does not cover exactly the required components.
    #[error(
        "the signature must cover exactly \"@method\", \"@authority\", \"@path\", \"@query\" and \"content-digest\""
    )]
    Components,
    /// A parameter is missing or invalid.
    #[error("the signature's parameter {0} is missing or invalid")]
    Parameter(&'static str),
    /// The `keyid` is not a DID.
    #[error("the signature's keyid must be the signer's DID: {0}")]
    Key(ParseDidError),
    /// It is no longer valid.
    #[error("the signature has expired; sign each request when it is sent, and check the clocks of both machines")]
    Expired,
    /// It is not valid yet.
    #[error("the signature was made in the future; check the clocks of both machines")]
    Future,
    /// The body is not the one that was signed.
    #[error("the request's body does not match the signed content-digest (sha-256)")]
    Digest,
    /// It is not a signature of this request by this key.
    #[error("the signature does not match this request and the key that it names")]
    Wrong,
    /// It was made before the server started, so an earlier process may have accepted the request.
    #[error("the signature was made before this server started; sign each request when it is sent")]
    BeforeStart,
    /// The request was accepted before.
    #[error("the request was received before; each one needs a new nonce")]
    Replayed,
    /// An earlier process may have accepted it, from a signer whose clock was fast.
    #[error(
        "the server has just started, and does not know yet whether it received this request before; send a new one \
        in {0} s"
    )]
    Starting(u64),
    /// This signer, or this client's address, has sent more requests than are remembered for one.
    #[error("too many signed requests from you; try again in a minute")]
    BusySigner,
    /// Too many requests to remember.
    #[error("too many signed requests at once; try again in a minute")]
    Busy,
}

/// The signer of a request of which only the head was read. `authority` is its `Host` header (HTTP/1) or `:authority`
/// (HTTP/2); `path_and_query` is the received text. [`Head::check_body`] completes the verification.
pub fn verify_head(
    method: &Method,
    authority: &str,
    path_and_query: &str,
    headers: &HeaderMap,
    now: SystemTime,
) -> Result<Head, SignatureError> {
    let digest = joined(headers, "content-digest")?;
    let (label, list) = our_signature(&dictionary("signature-input", &joined(headers, "signature-input")?)?)?;
    let signature = signature(&label, &dictionary("signature", &joined(headers, "signature")?)?)?;
    check_components(&list)?;
    let verified = check_parameters(&list, unix_seconds(now))?;

    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let components = Components {
        method,
        authority: &authority.to_ascii_lowercase(),
        path: if path.is_empty() { "/" } else { path },
        query,
        digest: &digest,
    };
    let base = components.signature_base(&list).ok_or(SignatureError::Components)?;
    verified.did.verifying_key().verify_strict(base.as_bytes(), &signature).map_err(|_| SignatureError::Wrong)?;

    let digests = dictionary("content-digest", &digest)?;
    let Some(ListEntry::Item(item)) = digests.get("sha-256") else { return Err(SignatureError::Digest) };
    let bytes = item.bare_item.as_byte_sequence().and_then(|bytes| bytes.try_into().ok());
    Ok(Head { verified, digest: bytes.ok_or(SignatureError::Digest)? })
}

/// The signer of a completely received request; see [`verify_head`].
pub fn verify(
    method: &Method,
    authority: &str,
    path_and_query: &str,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
) -> Result<Verified, SignatureError> {
    let head = verify_head(method, authority, path_and_query, headers, now)?;
    head.check_body(body)?;
    Ok(head.verified)
}

/// The DID that a request claims as its signer. Nothing is verified: use it only to prioritize work.
pub fn claimed_signer(headers: &HeaderMap) -> Option<Did> {
    let inputs = dictionary("signature-input", &joined(headers, "signature-input").ok()?).ok()?;
    let (_, list) = our_signature(&inputs).ok()?;
    text_of(&list, "keyid")?.parse().ok()
}

/// The value of a header; several lines are joined to one value.
fn joined(headers: &HeaderMap, name: &'static str) -> Result<String, SignatureError> {
    let lines: Result<Vec<&str>, _> = headers.get_all(name).iter().map(|value| value.to_str().map(str::trim)).collect();
    match lines {
        Ok(lines) if lines.is_empty() => Err(SignatureError::Missing(name)),
        Ok(lines) => Ok(lines.join(", ")),
        Err(_) => Err(SignatureError::Malformed(name)),
    }
}

fn dictionary(name: &'static str, value: &str) -> Result<Dictionary, SignatureError> {
    Parser::new(value).parse().map_err(|_| SignatureError::Malformed(name))
}

/// The one signature with our tag: its label, the covered components, and the parameters.
fn our_signature(inputs: &Dictionary) -> Result<(String, InnerList), SignatureError> {
    let mut ours = inputs.iter().filter_map(|(label, entry)| match entry {
        ListEntry::InnerList(list) if text_of(list, "tag") == Some(TAG) => {
            Some((label.as_str().to_owned(), list.clone()))
        }
        _ => None,
    });
    match (ours.next(), ours.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(SignatureError::Tag),
    }
}

fn signature(label: &str, signatures: &Dictionary) -> Result<Signature, SignatureError> {
    let malformed = SignatureError::Malformed("signature");
    let Some(ListEntry::Item(item)) = signatures.get(label) else { return Err(malformed) };
    let bytes = item.bare_item.as_byte_sequence().ok_or_else(|| malformed.clone())?;
    Signature::from_slice(bytes).map_err(|_| malformed)
}

/// Requires exactly our components, in any order, and without parameters (which change the meaning of a component).
fn check_components(list: &InnerList) -> Result<(), SignatureError> {
    let mut names: Vec<&str> = Vec::new();
    for item in &list.items {
        let name = item.bare_item.as_string().map(sfv::StringRef::as_str).ok_or(SignatureError::Components)?;
        if !item.params.is_empty() || !COMPONENTS.contains(&name) || names.contains(&name) {
            return Err(SignatureError::Components);
        }
        names.push(name);
    }
    if names.len() == COMPONENTS.len() { Ok(()) } else { Err(SignatureError::Components) }
}

fn check_parameters(list: &InnerList, now: u64) -> Result<Verified, SignatureError> {
    let seconds = |name: &'static str| {
        let integer = list.params.get(name).and_then(BareItem::as_integer);
        integer.and_then(|integer| u64::try_from(integer).ok()).ok_or(SignatureError::Parameter(name))
    };
    let text = |name: &'static str| text_of(list, name).ok_or(SignatureError::Parameter(name));
    let (created, expires) = (seconds("created")?, seconds("expires")?);
    if text("alg")? != ALGORITHM {
        return Err(SignatureError::Parameter("alg"));
    }
    let nonce = text("nonce")?;
    if !NONCE_CHARS.contains(&nonce.len()) {
        return Err(SignatureError::Parameter("nonce"));
    }
    // Otherwise a signer could make us remember nonces for years.
    if expires < created || expires - created > LIFETIME.as_secs() {
        return Err(SignatureError::Parameter("expires"));
    }
    if created > now.saturating_add(MAX_CLOCK_SKEW.as_secs()) {
        return Err(SignatureError::Future);
    }
    if now > expires {
        return Err(SignatureError::Expired);
    }
    let did = text("keyid")?.parse().map_err(SignatureError::Key)?;
    Ok(Verified { did, nonce: nonce.to_owned(), created, expires })
}

fn text_of<'a>(list: &'a InnerList, parameter: &str) -> Option<&'a str> {
    list.params.get(parameter).and_then(BareItem::as_string).map(sfv::StringRef::as_str)
}
