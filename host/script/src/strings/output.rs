//! A text that is put together.

use std::ops::Range;

use boa_engine::JsString;
use boa_engine::string::{JsStr, JsStrVariant};

/// What is put together: Latin-1 as long as that is enough, which takes half the memory.
pub(crate) enum Output {
    Latin1(Vec<u8>),
    Utf16(Vec<u16>),
}

impl Output {
    pub(crate) fn new() -> Self {
        Self::Latin1(Vec::new())
    }

    /// Adds a text.
    pub(crate) fn push(&mut self, text: &JsString) {
        self.push_part(text, 0..text.len());
    }

    /// Adds a part of a text.
    pub(crate) fn push_part(&mut self, text: &JsString, range: Range<usize>) {
        match text.variant() {
            JsStrVariant::Latin1(bytes) => match self {
                Self::Latin1(all) => all.extend_from_slice(&bytes[range]),
                Self::Utf16(all) => all.extend(bytes[range].iter().copied().map(u16::from)),
            },
            JsStrVariant::Utf16(units) => self.push_units(&units[range]),
        }
    }

    /// Adds UTF-16 units.
    pub(crate) fn push_units(&mut self, units: &[u16]) {
        if let Self::Latin1(all) = self {
            let before = all.len();
            all.extend(units.iter().map_while(|unit| u8::try_from(*unit).ok()));
            if all.len() - before == units.len() {
                return;
            }
            all.truncate(before);
            *self = Self::Utf16(all.iter().copied().map(u16::from).collect());
        }
        if let Self::Utf16(all) = self {
            all.extend_from_slice(units);
        }
    }

    pub(crate) fn finish(self) -> JsString {
        match self {
            Self::Latin1(all) => JsString::from(JsStr::latin1(&all)),
            Self::Utf16(all) => JsString::from(all.as_slice()),
        }
    }
}
