//! The texts that a charm works on, which are cut and converted.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::ops::{Deref, Range};
use std::rc::Rc;

use boa_engine::JsString;
use boa_engine::string::{JsStr, JsStrVariant};

/// The longest piece that is copied, in UTF-16 units. A slice takes more memory than this, and keeps the whole text
/// alive.
const SMALL: usize = 32;

/// The longest text that is converted for each match, in UTF-16 units: to remember it would take as long.
const SHORT: usize = 512;

/// How many texts are remembered.
const MAX_KNOWN: usize = 64;

/// How many units of converted texts are kept: twice what the longest response of a server takes.
const MAX_UNITS: usize = 16 * 1024 * 1024;

/// A text that others were cut from.
struct Known {
    text: JsString,
    /// The same in UTF-16, if a regular expression wanted it and the engine has it in Latin-1.
    units: Option<Rc<[u16]>>,
}

/// The texts that a charm works on, the last used first.
#[derive(Default)]
pub(crate) struct Strings {
    known: RefCell<Vec<Known>>,
}

/// A text's UTF-16 units.
pub(crate) enum Units<'t> {
    Own(&'t [u16]),
    Copied(Vec<u16>),
    Kept(Rc<[u16]>, Range<usize>),
}

impl Deref for Units<'_> {
    type Target = [u16];

    fn deref(&self) -> &[u16] {
        match self {
            Self::Own(units) => units,
            Self::Copied(units) => units,
            Self::Kept(units, range) => &units[range.clone()],
        }
    }
}

impl Strings {
    /// A part of a text. It is never a slice of a slice.
    pub(crate) fn piece(&self, text: &JsString, range: Range<usize>) -> JsString {
        if range == (0..text.len()) {
            return text.clone();
        }
        if range.len() <= SMALL {
            return copy(text, range);
        }
        match self.whole(text) {
            Some((whole, offset)) => whole.slice(offset + range.start, offset + range.end),
            None => copy(text, range),
        }
    }

    /// The text that this one was cut from, or itself, and where it begins in it; none if only the engine knows.
    fn whole(&self, text: &JsString) -> Option<(JsString, usize)> {
        let mut known = self.known.borrow_mut();
        if let Some((at, offset)) = find(&known, text, |_| true) {
            known[..=at].rotate_right(1);
            return Some((known[0].text.clone(), offset));
        }
        if !has_characters(text) {
            return None;
        }
        remember(&mut known, Known { text: text.clone(), units: None });
        Some((text.clone(), 0))
    }

    /// The UTF-16 units of a text. Latin-1 is converted once, however often it is asked for, and together with what it
    /// was cut from.
    pub(crate) fn units<'t>(&self, text: &'t JsString) -> Units<'t> {
        let bytes = match text.variant() {
            JsStrVariant::Utf16(units) => return Units::Own(units),
            JsStrVariant::Latin1(bytes) => bytes,
        };
        let wide = |bytes: &[u8]| bytes.iter().copied().map(u16::from).collect::<Vec<_>>();
        if bytes.len() <= SHORT {
            return Units::Copied(wide(bytes));
        }
        let mut known = self.known.borrow_mut();
        let found = find(&known, text, |known| known.units.is_some()).or_else(|| {
            // To convert what is much longer than this piece pays only if it can be kept.
            find(&known, text, |known| known.text.len() <= MAX_UNITS / 2)
        });
        let offset = if let Some((at, offset)) = found {
            known[..=at].rotate_right(1);
            offset
        } else {
            remember(&mut known, Known { text: text.clone(), units: None });
            0
        };
        let Known { text: whole, units } = &mut known[0];
        let units = units.get_or_insert_with(|| whole.to_vec().into()).clone();
        let mut kept = units.len();
        for older in &mut known[1..] {
            kept += older.units.as_ref().map_or(0, |units| units.len());
            if kept > MAX_UNITS {
                older.units = None;
            }
        }
        Units::Kept(units, offset..offset + text.len())
    }
}

/// The place of a known text that has this one's characters, and where they begin in it.
fn find(known: &[Known], text: &JsString, fits: impl Fn(&Known) -> bool) -> Option<(usize, usize)> {
    let (start, end, width) = place(text);
    known.iter().enumerate().filter(|(_, known)| fits(known)).find_map(|(at, known)| {
        let (first, last, _) = place(&known.text);
        (first <= start && end <= last).then(|| (at, (start - first) / width))
    })
}

/// The addresses of a text's first character and of what follows its last, and how many bytes each takes.
fn place(text: &JsString) -> (usize, usize, usize) {
    let (start, width) = match text.variant() {
        JsStrVariant::Latin1(bytes) => (bytes.as_ptr().addr(), 1),
        JsStrVariant::Utf16(units) => (units.as_ptr().addr(), 2),
    };
    (start, start + text.len() * width, width)
}

/// Puts a text first. Those that nobody else has any more go.
fn remember(known: &mut Vec<Known>, new: Known) {
    known.retain(|known| known.text.refcount() != Some(1));
    known.truncate(MAX_KNOWN - 1);
    known.insert(0, new);
}

/// A part of a text that shares nothing with it.
fn copy(text: &JsString, range: Range<usize>) -> JsString {
    match text.variant() {
        JsStrVariant::Latin1(bytes) => JsString::from(JsStr::latin1(&bytes[range])),
        JsStrVariant::Utf16(units) => JsString::from(&units[range]),
    }
}

/// Whether a text's characters are its own, and not those of another. The engine says so only to people; were its words
/// others, each piece would be copied.
fn has_characters(text: &JsString) -> bool {
    struct Beginning(String);
    impl fmt::Write for Beginning {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.push_str(text);
            // No more than that: what follows prints what a slice was cut from, and so on.
            if self.0.contains(',') { Err(fmt::Error) } else { Ok(()) }
        }
    }
    let mut beginning = Beginning(String::new());
    let _ = write!(beginning, "{:?}", text.debug_info());
    ["Latin1Sequence", "Utf16Sequence", "Static"].iter().any(|kind| beginning.0.contains(kind))
}
