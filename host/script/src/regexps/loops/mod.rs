//! A matcher for patterns that repeat groups: `(?:a|b)*c`.
//!
//! The engine's matcher (regress) notes several things for each turn of such a loop, and aborts the whole guest when
//! its memory ends: a megabyte of text is too much for `(a|b)*c`. This one notes a way out of a loop only where the
//! next character allows it, drops what it can no longer go back to, and reports when it needs too much. Where a match
//! fails in many ways it remembers from where it failed, so that most patterns that take exponential time elsewhere
//! take linear time here.
//!
//! What a single character, an escape or a class matches, regress is asked, once for each character: the two can't
//! differ there.

mod atoms;
mod program;
mod run;
mod syntax;

#[cfg(test)]
mod tests;

use std::ops::Range;

use program::Program;
use syntax::Syntax;

/// Groups that may be repeated no more often than this are left to regress. It takes all memory even for a few turns,
/// where loops that may match nothing are in one another.
const FEW: usize = 1;

/// It needs more memory than there is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMuch;

/// A match: all of it, and its groups.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) range: Range<usize>,
    pub(super) captures: Vec<Option<Range<usize>>>,
    /// Empty if the pattern names no group.
    pub(super) names: Vec<(String, Option<Range<usize>>)>,
}

impl From<regress::Match> for Found {
    fn from(found: regress::Match) -> Self {
        let names = found.named_groups().map(|(name, range)| (name.to_owned(), range)).collect();
        Self { range: found.range(), captures: found.captures, names }
    }
}

impl Found {
    pub(super) fn start(&self) -> usize {
        self.range.start
    }

    pub(super) fn end(&self) -> usize {
        self.range.end
    }

    /// The whole, and the groups.
    pub(super) fn groups(&self) -> impl Iterator<Item = Option<Range<usize>>> {
        std::iter::once(Some(self.range.clone())).chain(self.captures.iter().cloned())
    }
}

/// A pattern that repeats groups.
pub(super) struct Loops {
    program: Program,
    names: Vec<(String, Vec<usize>)>,
}

impl Loops {
    /// None if a pattern repeats no group, or is not understood. It is known to be one.
    pub(super) fn new(source: &[u32], flags: &str) -> Option<Self> {
        let syntax = Syntax::of(source, flags)?;
        if !syntax.pattern.repeats(FEW) {
            return None;
        }
        Some(Self { program: Program::of(&syntax, flags)?, names: syntax.names })
    }

    /// The first match that begins at `from`, or behind it unless it has to be `here`.
    pub(super) fn find(&self, units: &[u16], pairs: bool, from: usize, here: bool) -> Result<Option<Found>, TooMuch> {
        let Some(slots) = run::find(&self.program, units, pairs, from, here)? else { return Ok(None) };
        let range = |group: usize| {
            let [start, end] = [slots[2 * group], slots[2 * group + 1]];
            (start != run::NOWHERE && end != run::NOWHERE).then_some(start as usize..end as usize)
        };
        let named = |groups: &Vec<usize>| groups.iter().find_map(|group| range(*group));
        Ok(range(0).map(|whole| Found {
            range: whole,
            captures: (1..slots.len() / 2).map(range).collect(),
            names: self.names.iter().map(|(name, groups)| (name.clone(), named(groups))).collect(),
        }))
    }
}
