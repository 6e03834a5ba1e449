//! The source map of an emitted module, as the specification of source maps (ECMA-426, version 3) has it.

use data_encoding::BASE64;
use serde_json::json;

use super::places::Place;

/// Where a piece of the emitted module comes from.
pub(super) struct Mapping {
    pub(super) emitted: Place,
    pub(super) original: Place,
}

/// A comment with the places in `file`, for the end of the module. `mappings` are in the order of the module.
pub(super) fn comment(file: &str, mappings: &[Mapping]) -> String {
    let map = json!({"version": 3, "sources": [file], "names": [], "mappings": encode(mappings)});
    format!("//# sourceMappingURL=data:application/json;base64,{}\n", BASE64.encode(map.to_string().as_bytes()))
}

fn encode(mappings: &[Mapping]) -> String {
    let mut text = String::new();
    let (mut line, mut column) = (0, 0);
    let mut before = Place { line: 0, column: 0 };
    let mut first = true;
    for mapping in mappings {
        while line < mapping.emitted.line {
            text.push(';');
            line += 1;
            column = 0;
            first = true;
        }
        if !first {
            text.push(',');
        }
        first = false;
        let difference = |now: u32, then: u32| i64::from(now) - i64::from(then);
        vlq(&mut text, difference(mapping.emitted.column, column));
        vlq(&mut text, 0);
        vlq(&mut text, difference(mapping.original.line, before.line));
        vlq(&mut text, difference(mapping.original.column, before.column));
        column = mapping.emitted.column;
        before = mapping.original;
    }
    text
}

/// Base64 digits of five bits each, least first; the lowest bit of all is the sign, the highest of a digit says that
/// more follow.
fn vlq(text: &mut String, value: i64) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut rest = value.unsigned_abs() << 1 | u64::from(value < 0);
    loop {
        let more = if rest > 31 { 32 } else { 0 };
        text.push(char::from(DIGITS[usize::try_from(rest & 31 | more).unwrap_or(0)]));
        rest >>= 5;
        if rest == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_written_as_the_specification_has_them() {
        for (value, expected) in
            [(0, "A"), (1, "C"), (-1, "D"), (15, "e"), (16, "gB"), (-16, "hB"), (511, "+f"), (1000, "w+B")]
        {
            let mut text = String::new();
            vlq(&mut text, value);
            assert_eq!(text, expected, "{value}");
        }
    }

    #[test]
    fn lines_are_parted_by_semicolons_and_pieces_by_commas() {
        let at = |line, column| Place { line, column };
        let mappings = [(at(0, 0), at(2, 4)), (at(0, 8), at(2, 0)), (at(2, 1), at(5, 1))]
            .map(|(emitted, original)| Mapping { emitted, original });
        assert_eq!(encode(&mappings), "AAEI,QAAJ;;CAGC");
    }
}
