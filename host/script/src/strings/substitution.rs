//! What `$1` and the like stand for in a replacement.

use std::ops::Range;

use boa_engine::JsString;

use super::output::Output;
use super::search;

/// Where a match and its groups are in a text.
pub(crate) struct Groups<'m> {
    found: Range<usize>,
    captures: &'m [Option<Range<usize>>],
    /// Empty if the pattern names none.
    names: Vec<(Vec<u16>, Option<Range<usize>>)>,
}

impl<'m> Groups<'m> {
    /// A match without groups.
    pub(crate) fn of_text(found: Range<usize>) -> Self {
        Self { found, captures: &[], names: Vec::new() }
    }

    /// A match with its groups, and those of them that have names.
    pub(crate) fn of(
        found: Range<usize>,
        captures: &'m [Option<Range<usize>>],
        names: &[(String, Option<Range<usize>>)],
    ) -> Self {
        let names = names.iter().map(|(name, range)| (name.encode_utf16().collect(), range.clone())).collect();
        Self { found, captures, names }
    }
}

/// Adds to `output` what takes the place of a match in `text`: the standard's `GetSubstitution`.
pub(crate) fn substitute(output: &mut Output, template: &JsString, text: &JsString, groups: &Groups<'_>) {
    let Some(first) = search::first(template, &JsString::from("$"), 0) else {
        return output.push(template);
    };
    output.push_part(template, 0..first);
    let template = template.to_vec();
    let mut rest = &template[first..];
    while !rest.is_empty() {
        let taken = match step(rest, groups) {
            Some((taken, Part::Dollar)) => {
                output.push_units(&[DOLLAR]);
                taken
            }
            Some((taken, Part::Before)) => {
                output.push_part(text, 0..groups.found.start);
                taken
            }
            Some((taken, Part::After)) => {
                output.push_part(text, groups.found.end..text.len());
                taken
            }
            Some((taken, Part::Group(range))) => {
                if let Some(range) = range {
                    output.push_part(text, range);
                }
                taken
            }
            None => {
                let end = rest.iter().skip(1).position(|unit| *unit == DOLLAR).map_or(rest.len(), |at| at + 1);
                output.push_units(&rest[..end]);
                end
            }
        };
        rest = &rest[taken..];
    }
}

const DOLLAR: u16 = b'$' as u16;

enum Part {
    Dollar,
    Before,
    After,
    Group(Option<Range<usize>>),
}

/// What the beginning of a replacement stands for, and how long that is; none if it stands for itself.
fn step(rest: &[u16], groups: &Groups<'_>) -> Option<(usize, Part)> {
    let [DOLLAR, second, ..] = rest else { return None };
    match u8::try_from(*second).ok()? {
        b'$' => Some((2, Part::Dollar)),
        b'&' => Some((2, Part::Group(Some(groups.found.clone())))),
        b'`' => Some((2, Part::Before)),
        b'\'' => Some((2, Part::After)),
        b'<' if !groups.names.is_empty() => {
            let end = rest.iter().position(|unit| *unit == u16::from(b'>'))?;
            let named = groups.names.iter().find(|(name, _)| name == &rest[2..end]);
            Some((end + 1, Part::Group(named.and_then(|(_, range)| range.clone()))))
        }
        b'0'..=b'9' => {
            let digit = |at: usize| rest.get(at).and_then(|unit| char::from_u32((*unit).into())?.to_digit(10));
            let first = usize::try_from(digit(1)?).ok()?;
            let both = digit(2).and_then(|second| usize::try_from(second).ok()).map(|second| first * 10 + second);
            let group = |number: usize| groups.captures.get(number.checked_sub(1)?).cloned();
            let two = both.and_then(group).map(|range| (3, Part::Group(range)));
            two.or_else(|| Some((2, Part::Group(group(first)?))))
        }
        _ => None,
    }
}
