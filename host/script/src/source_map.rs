//! Reads the source map at the end of a module (version 3), to find the author's lines.

use data_encoding::BASE64;
use serde::Deserialize;

const PREFIX: &str = "//# sourceMappingURL=data:application/json;base64,";

/// Where the pieces of a module come from.
pub(crate) struct SourceMap<'m> {
    file: &'m str,
    module: &'m str,
    /// Emitted line and column, original line and column, all counted from 0, in the order of the module.
    pieces: Vec<[u32; 4]>,
}

#[derive(Deserialize)]
struct Json {
    mappings: String,
}

impl<'m> SourceMap<'m> {
    /// The map that `module` ends with. Without one, its lines are the author's.
    pub(crate) fn of(file: &'m str, module: &'m str) -> Self {
        let pieces = split(module)
            .and_then(|(_, map)| BASE64.decode(map.as_bytes()).ok())
            .and_then(|map| serde_json::from_slice::<Json>(&map).ok())
            .and_then(|map| decode(&map.mappings))
            .unwrap_or_default();
        Self { file, module, pieces }
    }

    /// The name of the charm's file.
    pub(crate) fn file(&self) -> &str {
        self.file
    }

    /// The charm's module.
    pub(crate) fn module(&self) -> &str {
        self.module
    }

    /// The author's line and column, both counted from 1, of a place in the module.
    pub(crate) fn original(&self, line: u32, column: u32) -> (u32, u32) {
        let emitted = [line.saturating_sub(1), column.saturating_sub(1)];
        let after = self.pieces.partition_point(|piece| piece[..2] <= emitted[..]);
        match after.checked_sub(1).and_then(|before| self.pieces.get(before)) {
            Some(piece) => (piece[2] + 1, piece[3] + 1),
            None => (line, column),
        }
    }
}

/// What there is to parse of a module: its map is often longer than all else, and only a comment.
pub(crate) fn without_map(module: &str) -> &str {
    split(module).map_or(module, |(code, _)| code)
}

/// The code of a module, and the map in its last line.
fn split(module: &str) -> Option<(&str, &str)> {
    let (code, last) = module.trim_end().rsplit_once('\n')?;
    let map = last.strip_prefix(PREFIX)?;
    // Anything else in this line would be the end of a text or a comment that the line is within.
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    map.bytes().all(is_base64).then_some((code, map))
}

fn decode(mappings: &str) -> Option<Vec<[u32; 4]>> {
    let mut pieces = Vec::new();
    // Source, line and column of the original, each as a difference.
    let mut original = [0_i64; 3];
    for (line, texts) in mappings.split(';').enumerate() {
        let mut column = 0;
        for text in texts.split(',').filter(|text| !text.is_empty()) {
            let mut digits = text.bytes();
            column += vlq(&mut digits)?;
            if digits.len() == 0 {
                continue;
            }
            for total in &mut original {
                *total += vlq(&mut digits)?;
            }
            let number = |value: i64| u32::try_from(value).ok();
            pieces.push([u32::try_from(line).ok()?, number(column)?, number(original[1])?, number(original[2])?]);
        }
    }
    Some(pieces)
}

/// One number: base64 digits of five bits, least first; the highest bit of a digit says that more follow, the lowest of
/// all is the sign.
fn vlq(digits: &mut impl Iterator<Item = u8>) -> Option<i64> {
    let (mut value, mut shift) = (0_i64, 0);
    loop {
        let digit = match digits.next()? {
            upper @ b'A'..=b'Z' => upper - b'A',
            lower @ b'a'..=b'z' => lower - b'a' + 26,
            figure @ b'0'..=b'9' => figure - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        value |= i64::from(digit & 31).checked_shl(shift)?;
        if digit & 32 == 0 {
            return Some(if value & 1 == 1 { -(value >> 1) } else { value >> 1 });
        }
        shift += 5;
        if shift > 30 {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(mappings: &str) -> String {
        let map = serde_json::json!({"version": 3, "sources": ["a.ts"], "names": [], "mappings": mappings});
        format!("x;\n{PREFIX}{}\n", BASE64.encode(map.to_string().as_bytes()))
    }

    #[test]
    fn a_place_is_that_of_the_last_piece_before_it() {
        // (0,0)->(2,4), (0,8)->(2,0), (2,1)->(5,1)
        let module = module("AAEI,QAAJ;;CAGC");
        let map = SourceMap::of("a.ts", &module);
        for ((line, column), expected) in [
            ((1, 1), (3, 5)),
            ((1, 8), (3, 5)),
            ((1, 9), (3, 1)),
            ((2, 40), (3, 1)),
            ((3, 1), (3, 1)),
            ((3, 2), (6, 2)),
            ((9, 9), (6, 2)),
        ] {
            assert_eq!(map.original(line, column), expected, "{line}:{column}");
        }
    }

    #[test]
    fn the_map_is_not_parsed_as_code() {
        assert_eq!(without_map(&module("AAAA")), "x;");
        let text = format!("`\n{PREFIX}AAAA`;");
        for whole in ["x;", "x;\n// no map\n", "", "\n", &text] {
            assert_eq!(without_map(whole), whole);
        }
    }

    #[test]
    fn without_a_map_that_can_be_read_places_stay() {
        for module in [
            "x;".to_owned(),
            "x;\n//# sourceMappingURL=data:application/json;base64,!!\n".into(),
            module("gggggggggA"),
            module("A?"),
        ] {
            assert_eq!(SourceMap::of("a.js", &module).original(7, 3), (7, 3), "{module}");
        }
    }
}
