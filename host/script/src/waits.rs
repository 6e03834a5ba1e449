//! Whether code that is made of a text may wait, or nests too deeply.

/// What ends a line.
const LINE_ENDS: [char; 4] = ['\n', '\r', '\u{2028}', '\u{2029}'];

/// How many brackets may be open in code: the parser takes some 18 KiB of the guest's stack for each, and the stack
/// ends the call.
const MAX_BRACKETS: usize = 128;

/// Whether more brackets are open at once than the parser has room for. Those in strings count as well.
pub(crate) fn nests_too_deeply(code: &str) -> bool {
    let mut open = 0_usize;
    code.bytes().any(|byte| {
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        open > MAX_BRACKETS
    })
}

/// Whether code has the word `async` or `await`. Those in strings and comments count only where it takes a parser to
/// find out that they are there.
pub(crate) fn may_wait(code: &str) -> bool {
    words(code).any(waits) && has_word(code).unwrap_or(true)
}

fn waits(word: &str) -> bool {
    matches!(word, "async" | "await")
}

fn is_part_of_word(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '_' | '$')
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|char| !is_part_of_word(char))
}

/// Whether such a word is outside of strings and comments; none if that can't be found out without a parser.
fn has_word(code: &str) -> Option<bool> {
    let mut rest = code;
    // How many braces are open, in the whole and in each `${` around.
    let mut braces = vec![0_usize];
    while let Some(char) = rest.chars().next() {
        let behind = &rest[char.len_utf8()..];
        rest = match char {
            '"' | '\'' => string(behind, char)?,
            '`' => template(behind, &mut braces)?,
            '/' if behind.starts_with('/') => &behind[behind.find(LINE_ENDS).unwrap_or(behind.len())..],
            '/' if behind.starts_with('*') => behind[1..].split_once("*/")?.1,
            // It divides, or begins a regular expression.
            '/' => return None,
            // Comments of old.
            '<' if behind.starts_with("!--") => return None,
            '-' if behind.starts_with("->") => return None,
            '#' if behind.starts_with('!') => return None,
            '{' => {
                *braces.last_mut()? += 1;
                behind
            }
            '}' if braces.len() > 1 && braces.last() == Some(&0) => {
                braces.pop();
                template(behind, &mut braces)?
            }
            '}' => {
                let open = braces.last_mut()?;
                *open = open.checked_sub(1)?;
                behind
            }
            _ if is_part_of_word(char) => {
                let (word, behind) = rest.split_at(rest.find(|char| !is_part_of_word(char)).unwrap_or(rest.len()));
                if waits(word) {
                    return Some(true);
                }
                behind
            }
            _ => behind,
        };
    }
    (braces.len() == 1).then_some(false)
}

/// What is behind a string, of which this is behind its first quote.
fn string(code: &str, quote: char) -> Option<&str> {
    let mut chars = code.chars();
    loop {
        match chars.next()? {
            '\n' | '\r' => return None,
            '\\' => {
                let escaped = chars.next()?;
                // A line may go on behind a return and a new line.
                if escaped == '\r' && chars.as_str().starts_with('\n') {
                    chars.next();
                }
            }
            char if char == quote => return Some(chars.as_str()),
            _ => {}
        }
    }
}

/// What is behind a part of a template: up to its end, or to the code in it.
fn template<'c>(code: &'c str, braces: &mut Vec<usize>) -> Option<&'c str> {
    let mut chars = code.chars();
    loop {
        match chars.next()? {
            '`' => return Some(chars.as_str()),
            '\\' => {
                chars.next()?;
            }
            '$' if chars.as_str().starts_with('{') => {
                chars.next();
                braces.push(0);
                return Some(chars.as_str());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_BRACKETS, may_wait, nests_too_deeply};

    #[test]
    fn code_nests_too_deeply_if_more_brackets_are_open_than_the_parser_has_room_for() {
        for (open, close) in ["()", "[]", "{}"].map(|pair| pair.split_at(1)) {
            assert!(!nests_too_deeply(&format!("{}{close}", format!("{open}{close}").repeat(10_000))));
            assert!(!nests_too_deeply(&format!("{}{}", open.repeat(MAX_BRACKETS), close.repeat(MAX_BRACKETS))));
            assert!(nests_too_deeply(&open.repeat(MAX_BRACKETS + 1)));
        }
    }

    #[test]
    fn words_in_strings_comments_and_names_do_not_wait() {
        for code in [
            "return 'awaiting reply'",
            "return 'await' + \"async \\\" await\"",
            "return `await ${1 + `async`} await`",
            "return `await ${{ a: 'await' }.a}`",
            "// await\nreturn 1",
            "/* async */ return 1 // await",
            "const awaited = $await + async_ + asynchronous; return `${awaited}`",
            "return 'a \\\r\n await'",
            "return 1 / 2 // awaiting",
        ] {
            assert!(!may_wait(code), "{code}");
        }
    }

    #[test]
    fn words_that_may_be_code_wait() {
        for code in [
            "return (async () => 1)()",
            "return async function* () {}",
            "return `${(async () => 1)()}`",
            "return `${{ a: `}` }.a}${async()=>1}`",
            "'\\'';async()=>1",
            "'//';async()=>1",
            "// 'a\nasync()=>1//'",
            "// 'a\u{2028}async()=>1//'",
            "/* ' */async()=>1/* ' */",
            r"/'/;async()=>1;/'/",
            "/`/;async()=>1;/`/",
            "<!-- `\nasync()=>1\n<!-- `",
            "\n--> `\nasync()=>1\n--> `",
            "#!`\nasync()=>1\n//`",
            "a = `,`, b = async () => 1, c = `,`",
            "}`async",
            "'await",
        ] {
            assert!(may_wait(code), "{code}");
        }
    }
}
