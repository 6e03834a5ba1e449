//! Patterns whose lazy loops look no further than they have to.
//!
//! Where the matcher comes to a lazy loop over single characters, `[^]*?`, it first looks how far the loop could go: to
//! the end of the text, for each match. `(?:(?:[^]{256})*?[^]{0,255}?)` matches the same in the same order, and looks
//! 256 characters ahead at most.

/// How many characters are looked at in one go.
const STEP: usize = 256;

/// The same pattern, in code points or UTF-16 units. What is not understood stays as it is.
pub(super) fn bounded(source: &[u32], unicode: bool) -> Vec<u32> {
    // Backwards, the two loops would be tried in another order.
    if source.windows(4).any(|four| four == text("(?<=") || four == text("(?<!")) {
        return source.to_vec();
    }
    let mut bounded = Vec::with_capacity(source.len());
    // Where the last character, class or escape begins, if a quantifier would be its own.
    let mut atom = None;
    let mut at = 0;
    while at < source.len() {
        let rest = &source[at..];
        if let Some((length, least)) = lazy(rest)
            && let Some(start) = atom.take()
        {
            let atom: Vec<u32> = bounded.split_off(start);
            let copies = |count: String| atom.iter().copied().chain(count.chars().map(u32::from)).collect::<Vec<_>>();
            let parts = [
                text("(?:"),
                if least > 0 { copies(format!("{{{least}}}")) } else { Vec::new() },
                text("(?:"),
                copies(format!("{{{STEP}}}")),
                text(")*?"),
                copies(format!("{{0,{}}}?", STEP - 1)),
                text(")"),
            ];
            bounded.extend(parts.concat());
            at += length;
            continue;
        }
        let (length, is_atom) = token(rest, unicode);
        atom = is_atom.then_some(bounded.len());
        bounded.extend(&rest[..length]);
        at += length;
    }
    bounded
}

fn text(text: &str) -> Vec<u32> {
    text.chars().map(u32::from).collect()
}

fn is(unit: Option<&u32>, char: char) -> bool {
    unit == Some(&u32::from(char))
}

/// The length up to that character.
fn until(rest: &[u32], close: char) -> usize {
    rest.iter().position(|unit| *unit == u32::from(close)).map_or(rest.len(), |at| at + 1)
}

fn digits(units: &[u32]) -> usize {
    units.iter().take_while(|unit| (0x30..0x3a).contains(*unit)).count()
}

/// The length of a lazy quantifier without an upper bound, and the least number that it asks for.
fn lazy(rest: &[u32]) -> Option<(usize, usize)> {
    let (length, least) = match char::from_u32(*rest.first()?)? {
        '*' => (1, 0),
        '+' => (1, 1),
        '{' => {
            let count = digits(&rest[1..]);
            let number: String = rest[1..=count].iter().filter_map(|unit| char::from_u32(*unit)).collect();
            if !is(rest.get(count + 1), ',') || !is(rest.get(count + 2), '}') {
                return None;
            }
            (count + 3, number.parse().ok()?)
        }
        _ => return None,
    };
    is(rest.get(length), '?').then_some((length + 1, least))
}

/// The length of what comes next, and whether it is one character, or a class of characters, that a quantifier may
/// follow.
fn token(rest: &[u32], unicode: bool) -> (usize, bool) {
    match char::from_u32(rest[0]) {
        Some('\\') => escape(rest, unicode),
        Some('[') => {
            let mut at = 1;
            while at < rest.len() && !is(rest.get(at), ']') {
                at += if is(rest.get(at), '\\') { 2 } else { 1 };
            }
            ((at + 1).min(rest.len()), true)
        }
        // The name of a group is none of the pattern.
        Some('(') if is(rest.get(1), '?') && is(rest.get(2), '<') && !is(rest.get(3), '=') && !is(rest.get(3), '!') => {
            (until(rest, '>'), false)
        }
        Some('(' | ')' | '|' | '^' | '$' | '*' | '+' | '?') => (1, false),
        Some('{') => {
            let count = digits(&rest[1..]);
            let is_quantifier = count > 0 && (is(rest.get(count + 1), '}') || is(rest.get(count + 1), ','));
            if is_quantifier { (until(rest, '}'), false) } else { (1, true) }
        }
        _ => (1, true),
    }
}

fn escape(rest: &[u32], unicode: bool) -> (usize, bool) {
    let hex = |from: usize, count: usize| {
        let digits = rest.get(from..from + count)?;
        digits.iter().try_fold(0, |value, unit| Some(value * 16 + char::from_u32(*unit)?.to_digit(16)?))
    };
    match rest.get(1).copied().and_then(char::from_u32) {
        None => (rest.len().min(2), false),
        // Without the flag, the matcher and the standard read it differently.
        Some('u') if is(rest.get(2), '{') => (until(rest, '}'), unicode),
        Some('u') => match (hex(2, 4), hex(8, 4)) {
            (Some(0xd800..0xdc00), Some(0xdc00..0xe000))
                if unicode && is(rest.get(6), '\\') && is(rest.get(7), 'u') =>
            {
                (12, true)
            }
            (Some(_), _) => (6, true),
            (None, _) => (2, true),
        },
        Some('x') if hex(2, 2).is_some() => (4, true),
        Some('p' | 'P') if unicode => (until(rest, '}'), true),
        // What these are depends on the rest of the pattern.
        Some('k') => (if is(rest.get(2), '<') { until(rest, '>') } else { 2 }, false),
        Some('c') => (rest.len().min(3), false),
        Some('0'..='9') => (1 + digits(&rest[1..]), false),
        Some('b' | 'B') => (2, false),
        Some(_) => (2, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lazy_loops_over_single_characters_are_written_otherwise() {
        let bounded = |source: &str, unicode| {
            let units: Vec<u32> = source.chars().map(u32::from).collect();
            bounded(&units, unicode).into_iter().filter_map(char::from_u32).collect::<String>()
        };
        for (source, expected) in [
            ("<!--[^]*?-->", "<!--(?:(?:[^]{256})*?[^]{0,255}?)-->"),
            ("a+?", "(?:a{1}(?:a{256})*?a{0,255}?)"),
            (r"[\]a]{2,}?", r"(?:[\]a]{2}(?:[\]a]{256})*?[\]a]{0,255}?)"),
            (r"\d*?x", r"(?:(?:\d{256})*?\d{0,255}?)x"),
        ] {
            assert_eq!(bounded(source, false), expected);
        }
        assert_eq!(bounded(r"\u{1f600}*?", true), r"(?:(?:\u{1f600}{256})*?\u{1f600}{0,255}?)");
        let pair = r"\ud83d\ude00";
        assert_eq!(bounded(&format!("{pair}*?"), true), format!("(?:(?:{pair}{{256}})*?{pair}{{0,255}}?)"));
        for same in [
            "a*",
            "a+",
            "a?",
            "a??",
            "a{2}?",
            "a{1,3}?",
            "(ab)*?",
            "(?<a>b)*?",
            r"\1*?",
            r"\18+?",
            r"\k<a>*?",
            "a{,}?",
            "*?",
            r"\",
            "[",
            "(?<",
            r"\u",
            "{",
            "a{",
            r"\b+?",
            r"\cA*?",
            r"\u{61}*?",
            r"(?<=(a)[^]*?)b",
            r"(?<!a)b*?",
        ] {
            assert_eq!(bounded(same, false), same);
        }
    }
}
