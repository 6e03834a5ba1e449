//! Where a text is in another.

use boa_engine::JsString;
use boa_engine::string::JsStrVariant;
use memchr::memmem;

/// Where `needle` is in `text` at `from` or after.
pub(crate) fn first(text: &JsString, needle: &JsString, from: usize) -> Option<usize> {
    let last = text.len().checked_sub(needle.len()).filter(|last| from <= *last)?;
    match (text.variant(), needle.variant()) {
        (JsStrVariant::Latin1(text), _) => {
            let found = memmem::find(&text[from..], &latin1(needle)?)?;
            Some(from + found)
        }
        (JsStrVariant::Utf16(text), JsStrVariant::Utf16(needle)) => {
            (from..=last).find(|at| text[*at..].starts_with(needle))
        }
        (JsStrVariant::Utf16(text), JsStrVariant::Latin1(_)) => {
            let needle = needle.to_vec();
            (from..=last).find(|at| text[*at..].starts_with(&needle))
        }
    }
}

/// Where `needle` is in `text` at `from` or before.
pub(crate) fn last(text: &JsString, needle: &JsString, from: usize) -> Option<usize> {
    let from = text.len().checked_sub(needle.len())?.min(from);
    match text.variant() {
        JsStrVariant::Latin1(text) => memmem::rfind(&text[..from + needle.len()], &latin1(needle)?),
        JsStrVariant::Utf16(text) => {
            let needle = needle.to_vec();
            (0..=from).rev().find(|at| text[*at..].starts_with(&needle))
        }
    }
}

/// A text in Latin-1; none if it has other characters.
fn latin1(text: &JsString) -> Option<Vec<u8>> {
    match text.variant() {
        JsStrVariant::Latin1(bytes) => Some(bytes.to_vec()),
        JsStrVariant::Utf16(units) => units.iter().map(|unit| u8::try_from(*unit).ok()).collect(),
    }
}
