//! A pattern, compiled.

use std::cell::OnceCell;

use boa_engine::string::JsStrVariant;
use boa_engine::{JsNativeError, JsResult, JsString};
use regress::{Match, Regex};

use super::lazy;
use super::loops::{Found, Loops, TooMuch};

const SLASH: u16 = b'/' as u16;
const BACKSLASH: u16 = b'\\' as u16;

/// The flags that make a difference outside of the matcher.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the standard")]
pub(super) struct Flags {
    pub(super) global: bool,
    pub(super) sticky: bool,
    pub(super) indices: bool,
    pub(super) unicode: bool,
    /// All of them, in the order of the standard.
    pub(super) text: String,
}

/// A pattern and its flags.
pub(super) struct Pattern {
    pub(super) flags: Flags,
    regex: Regex,
    /// What matches instead where groups are repeated.
    loops: Option<Loops>,
    source: Vec<u32>,
    /// Of the same pattern, for matches at one place: what else may match there, so that no match is looked for behind
    /// it. The first matches nothing instead, the second one character. None if the pattern can't be put into another.
    here: OnceCell<Option<[Regex; 2]>>,
}

/// Whether the matcher finds characters of two units in a text.
pub(super) fn is_wide(text: &JsString) -> bool {
    matches!(text.variant(), JsStrVariant::Utf16(_))
}

impl Pattern {
    /// `source` is as the engine's getter spells it.
    pub(super) fn new(source: &JsString, flags: &str) -> JsResult<Self> {
        let unicode = flags.contains(['u', 'v']);
        let units = original(source);
        let source = if unicode { code_points(&units) } else { units.into_iter().map(u32::from).collect() };
        let loops = Loops::new(&source, flags);
        let compile = |source: &[u32]| Regex::from_unicode(source.iter().copied(), flags);
        // The flag `v` has classes within classes.
        let bounded = if flags.contains('v') { Vec::new() } else { lazy::bounded(&source, unicode) };
        let compiled = match compile(&bounded) {
            Ok(regex) if !bounded.is_empty() => Ok((regex, bounded)),
            _ => compile(&source).map(|regex| (regex, source)),
        };
        let (regex, source) = compiled.map_err(|error| {
            JsNativeError::syntax().with_message(format!("failed to create matcher: {}", error.text))
        })?;
        let [global, sticky, indices] = ['g', 'y', 'd'].map(|flag| flags.contains(flag));
        let flags = Flags { global, sticky, indices, unicode, text: flags.into() };
        Ok(Self { flags, regex, loops, source, here: OnceCell::new() })
    }

    /// The first match that begins at `from` or, unless the pattern is sticky, behind it.
    pub(super) fn find(&self, units: &[u16], wide: bool, from: usize) -> JsResult<Option<Found>> {
        self.found(units, wide, from, self.flags.sticky)
    }

    /// The first match that begins at `from` or behind it, even if the pattern is sticky.
    pub(super) fn find_first(&self, units: &[u16], wide: bool, from: usize) -> JsResult<Option<Found>> {
        self.found(units, wide, from, false)
    }

    fn found(&self, units: &[u16], wide: bool, from: usize, here: bool) -> JsResult<Option<Found>> {
        let Some(loops) = &self.loops else {
            let found = if here { self.find_here(units, wide, from) } else { self.run(&self.regex, units, wide, from) };
            return Ok(found.map(Found::from));
        };
        loops.find(units, wide && self.flags.unicode, from, here).map_err(|TooMuch| {
            let message = format!(
                "a regular expression takes more memory than a charm has, on a text of {} characters: match parts of the text",
                units.len()
            );
            JsNativeError::range().with_message(message).into()
        })
    }

    fn find_here(&self, units: &[u16], wide: bool, from: usize) -> Option<Match> {
        let here = self.here.get_or_init(|| Some([self.or("")?, self.or("[^]")?]));
        let Some([nothing, character]) = here else {
            return self.run(&self.regex, units, wide, from).filter(|found| found.start() == from);
        };
        let found = self.run(nothing, units, wide, from).filter(|found| found.start() == from)?;
        if !found.range().is_empty() {
            return Some(found);
        }
        // The pattern itself matched nothing if it was not the turn of a character.
        let other = self.run(character, units, wide, from)?;
        (other.start() == from && other.range().is_empty()).then_some(found)
    }

    /// This pattern, or else that one.
    fn or(&self, other: &str) -> Option<Regex> {
        let parts = ["(?:", ")|", other].map(|part| part.chars().map(u32::from));
        let [open, close, other] = parts;
        let source = open.chain(self.source.iter().copied()).chain(close).chain(other);
        Regex::from_unicode(source, self.flags.text.as_str()).ok()
    }

    fn run(&self, regex: &Regex, units: &[u16], wide: bool, from: usize) -> Option<Match> {
        if wide && self.flags.unicode {
            regex.find_from_utf16(units, from).next()
        } else {
            regex.find_from_ucs2(units, from).next()
        }
    }

    /// The place of the next character.
    pub(super) fn next(&self, units: &[u16], at: usize) -> usize {
        let pair = |pair: &[u16]| (0xd800..0xdc00).contains(&pair[0]) && (0xdc00..0xe000).contains(&pair[1]);
        if self.flags.unicode && units.get(at..at + 2).is_some_and(pair) { at + 2 } else { at + 1 }
    }
}

/// The source that the engine has spelled: it puts a backslash before each slash, even where there is one. (It spells a
/// line feed `\n`, which means the same, unless an odd number of backslashes is before it, which nobody writes.)
fn original(spelled: &JsString) -> Vec<u16> {
    let mut units = Vec::with_capacity(spelled.len());
    for unit in spelled {
        if unit == SLASH {
            units.pop();
        }
        units.push(unit);
    }
    units
}

/// The standard's spelling of a source that the engine has spelled: a slash has a backslash where it would end a
/// literal.
pub(super) fn spelled(engines: &JsString) -> JsString {
    let mut spelled = Vec::with_capacity(engines.len());
    let mut in_class = false;
    let mut escaped = false;
    for unit in original(engines) {
        if unit == SLASH && !escaped && !in_class {
            spelled.push(BACKSLASH);
        }
        spelled.push(unit);
        if !escaped && (unit == u16::from(b'[') || unit == u16::from(b']')) {
            in_class = unit == u16::from(b'[');
        }
        escaped = unit == BACKSLASH && !escaped;
    }
    JsString::from(spelled.as_slice())
}

fn code_points(units: &[u16]) -> Vec<u32> {
    let decoded = char::decode_utf16(units.iter().copied());
    decoded.map(|char| char.map_or_else(|lone| lone.unpaired_surrogate().into(), u32::from)).collect()
}
