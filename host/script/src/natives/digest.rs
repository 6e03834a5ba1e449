//! Digests.

use boa_engine::{Context, JsArgs as _, JsResult, JsValue};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::{bytes, text};
use crate::builtins::Native;
use crate::jobs::buffer;

/// What `natives` offers of this file.
pub(super) const FUNCTIONS: [(&str, Native, usize); 1] = [("digest", digest, 2)];

/// The digest of bytes by an algorithm's name; undefined if there is none of that name.
fn digest(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let bytes = bytes(args.get_or_undefined(1))?;
    let digest = match text(args.get_or_undefined(0))?.as_str() {
        "SHA-1" => Sha1::digest(&bytes).to_vec(),
        "SHA-256" => Sha256::digest(&bytes).to_vec(),
        "SHA-384" => Sha384::digest(&bytes).to_vec(),
        "SHA-512" => Sha512::digest(&bytes).to_vec(),
        _ => return Ok(JsValue::undefined()),
    };
    Ok(buffer(&digest, context)?.into())
}
