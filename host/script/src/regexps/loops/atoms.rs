//! What single characters match.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use regress::Regex;

/// A character, an escape or a class: which characters it matches.
pub(super) struct Test {
    /// The only one, if that is plain.
    only: Option<u32>,
    regex: Regex,
    unicode: bool,
    /// Of the first 256, which are known, and which match.
    known: [Cell<u64>; 4],
    matching: [Cell<u64>; 4],
    others: RefCell<HashMap<u32, bool>>,
}

/// What of the flags decides which characters match.
fn flags_of(flags: &str) -> String {
    flags.chars().filter(|flag| matches!(flag, 'i' | 's' | 'u' | 'v')).collect()
}

impl Test {
    pub(super) fn new(atom: &[u32], flags: &str) -> Option<Self> {
        let mut flags = flags_of(flags);
        let unicode = flags.contains(['u', 'v']);
        // Without `u`, capitals make no difference to these; regress has them take K (the Kelvin sign) and ſ for
        // letters all the same.
        if !unicode && [u32::from('w'), u32::from('W')].iter().any(|class| atom == [u32::from('\\'), *class]) {
            flags.retain(|flag| flag != 'i');
        }
        let only = match atom {
            [only] if !flags.contains('i') && *only != u32::from('.') => Some(*only),
            _ => None,
        };
        let regex = Regex::from_unicode(atom.iter().copied(), flags.as_str()).ok()?;
        Some(Self {
            only,
            regex,
            unicode,
            known: Default::default(),
            matching: Default::default(),
            others: RefCell::default(),
        })
    }

    /// Which characters are part of words.
    pub(super) fn words(flags: &str) -> Option<Self> {
        Self::new(&[u32::from('\\'), u32::from('w')], flags)
    }

    pub(super) fn matches(&self, char: u32) -> bool {
        if let Some(only) = self.only {
            return only == char;
        }
        if char >= 256 {
            return *self
                .others
                .borrow_mut()
                .entry(char)
                .or_insert_with(|| matches_whole(&self.regex, &units(&[char]), self.unicode));
        }
        let (word, bit) = (char as usize / 64, 1 << (char % 64));
        if self.known[word].get() & bit == 0 {
            self.known[word].set(self.known[word].get() | bit);
            if matches_whole(&self.regex, &units(&[char]), self.unicode) {
                self.matching[word].set(self.matching[word].get() | bit);
            }
        }
        self.matching[word].get() & bit != 0
    }
}

/// Whether two characters are one where capitals make no difference.
pub(super) struct Alike {
    regex: Option<Regex>,
    unicode: bool,
    known: RefCell<HashMap<[u32; 2], bool>>,
}

impl Alike {
    pub(super) fn new(flags: &str) -> Option<Self> {
        let mut flags = flags_of(flags);
        let unicode = flags.contains(['u', 'v']);
        let regex = if flags.contains('i') {
            if !flags.contains('s') {
                flags.push('s');
            }
            Some(Regex::from_unicode("(.)\\1".chars().map(u32::from), flags.as_str()).ok()?)
        } else {
            None
        };
        Some(Self { regex, unicode, known: RefCell::default() })
    }

    pub(super) fn are(&self, one: u32, other: u32) -> bool {
        let Some(regex) = self.regex.as_ref().filter(|_| one != other) else { return one == other };
        let mut known = self.known.borrow_mut();
        *known.entry([one, other]).or_insert_with(|| matches_whole(regex, &units(&[one, other]), self.unicode))
    }
}

fn matches_whole(regex: &Regex, units: &[u16], unicode: bool) -> bool {
    let found = if unicode { regex.find_from_utf16(units, 0).next() } else { regex.find_from_ucs2(units, 0).next() };
    found.is_some_and(|found| found.range() == (0..units.len()))
}

fn units(chars: &[u32]) -> Vec<u16> {
    let mut units = Vec::with_capacity(2);
    for char in chars {
        match char::from_u32(*char) {
            Some(char) => units.extend_from_slice(char.encode_utf16(&mut [0; 2])),
            // Half of a pair.
            None => units.extend(u16::try_from(*char)),
        }
    }
    units
}
