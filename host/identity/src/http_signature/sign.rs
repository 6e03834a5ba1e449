//! Signing.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderName, HeaderValue, Method};
use sfv::{BareItem, InnerList, Integer, Item, Parameters, key_ref, string_ref};
use url::Url;

use super::base::{COMPONENTS, Components, content_digest, serialized, unix_seconds};
use super::{ALGORITHM, LIFETIME, TAG};
use crate::key::random_bytes;
use crate::{Identity, RandomnessError};

/// Why a request was not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// A nonce needs random bytes.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
    /// The URL has no host, so it cannot be requested.
    #[error("a URL without a host can't be signed: {0}")]
    NoHost(Url),
    /// The clock is set to about the year 30,000,000.
    #[error("the system clock is far in the future; set it")]
    Clock,
}

/// The three headers (`content-digest`, `signature-input`, `signature`) that sign a request of `method` to `url` with
/// `body`, valid from `now` for [`LIFETIME`]. The request must be sent to exactly this URL, and once
/// only.
pub fn sign(
    identity: &Identity,
    method: &Method,
    url: &Url,
    body: &[u8],
    now: SystemTime,
) -> Result<[(HeaderName, HeaderValue); 3], SignError> {
    let host = url.host_str().ok_or_else(|| SignError::NoHost(url.clone()))?;
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let digest = content_digest(body);
    let components = Components {
        method,
        authority: &authority,
        path: url.path(),
        query: url.query().unwrap_or_default(),
        digest: &digest,
    };
    let list = covered(identity, now)?;
    let base = components.signature_base(&list).expect("all components are ours");
    let signature = STANDARD.encode(identity.sign(base.as_bytes()));
    let value = |text: String| HeaderValue::try_from(text).expect("base64 and serialised parameters are visible ASCII");
    Ok([
        (HeaderName::from_static("content-digest"), value(digest)),
        (HeaderName::from_static("signature-input"), value(format!("sig={}", serialized(&list)))),
        (HeaderName::from_static("signature"), value(format!("sig=:{signature}:"))),
    ])
}

/// The covered components with the parameters of a new signature.
fn covered(identity: &Identity, now: SystemTime) -> Result<InnerList, SignError> {
    let created = unix_seconds(now);
    let seconds = |seconds: u64| Integer::try_from(seconds).map_err(|_| SignError::Clock);
    let text = |text: &str| BareItem::String(string_ref_of(text).to_owned());
    let nonce = URL_SAFE_NO_PAD.encode(*random_bytes::<16>()?);
    let mut params = Parameters::new();
    params.insert(key_ref("created").to_owned(), seconds(created)?.into());
    params.insert(key_ref("expires").to_owned(), seconds(created.saturating_add(LIFETIME.as_secs()))?.into());
    params.insert(key_ref("nonce").to_owned(), text(&nonce));
    params.insert(key_ref("keyid").to_owned(), text(identity.did().as_str()));
    params.insert(key_ref("alg").to_owned(), text(ALGORITHM));
    params.insert(key_ref("tag").to_owned(), text(TAG));
    let items = COMPONENTS.map(|name| Item::new(string_ref(name).to_owned())).to_vec();
    Ok(InnerList::with_params(items, params))
}

fn string_ref_of(text: &str) -> &sfv::StringRef {
    sfv::StringRef::from_str(text).expect("base64, DIDs and our constants are visible ASCII")
}
