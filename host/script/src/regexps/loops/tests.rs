//! The matcher against regress, and against a browser's engine (V8).

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use regress::Regex;
use serde_json::{Value, json};

use super::syntax::{Node, Syntax};
use super::{Found, Loops};

/// Numbers that are the same at each run.
struct Random(u64);

impl Random {
    fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % count as u64).expect("small")
    }

    fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.below(of.len())]
    }

    /// A pattern, most of whose parts are repeated groups.
    fn pattern(&mut self, depth: usize, groups: &mut usize) -> String {
        const ATOMS: [&str; 22] = [
            "a",
            "b",
            "c",
            ".",
            "[ab]",
            "[^a]",
            r"\w",
            r"\d",
            r"\s",
            r"\W",
            "é",
            "A",
            "k",
            "-",
            r"\u0061",
            r"\x62",
            "[a-c]",
            "1",
            r"\.",
            "ſ",
            "[^]",
            "\u{1f600}",
        ];
        let mut text = String::new();
        for index in 0..=self.below(3) {
            if index > 0 && self.below(5) == 0 {
                text.push('|');
            }
            let before = text.len();
            match if depth == 0 { self.below(3) } else { self.below(12) } {
                0..=2 => text.push_str(self.one(&ATOMS)),
                3..=5 => {
                    let inner = self.pattern(depth - 1, groups);
                    write!(text, "(?:{inner})").expect("a text");
                }
                6..=8 => {
                    *groups += 1;
                    let inner = self.pattern(depth - 1, groups);
                    write!(text, "({inner})").expect("a text");
                }
                9 => {
                    let start = self.one(&["(?=", "(?!", "(?<=", "(?<!"]);
                    let inner = self.pattern(depth - 1, groups);
                    write!(text, "{start}{inner})").expect("a text");
                    continue;
                }
                10 if *groups > 0 => write!(text, "\\{}", 1 + self.below(*groups)).expect("a text"),
                _ => {
                    text.push_str(self.one(&["^", "$", r"\b", r"\B"]));
                    continue;
                }
            }
            if text.len() > before && self.below(3) > 0 {
                text.push_str(self.one(&["*", "+", "?", "{2}", "{1,}", "{0,2}", "{2,3}", "{0,17}"]));
                text.push_str(self.one(&["", "", "?"]));
            }
        }
        text
    }

    fn text(&mut self) -> String {
        let pieces = ["a", "b", "c", "ab", "A", "1", " ", "-", ".", "\n", "é", "k", "\u{212a}", "ſ", "\u{1f600}", "B"];
        let narrow = self.below(2) == 0;
        (0..self.below(9)).map(|_| self.one(&pieces[..if narrow { 12 } else { pieces.len() }])).collect()
    }
}

fn units(text: &str, unicode: bool) -> Vec<u32> {
    if unicode { text.chars().map(u32::from).collect() } else { text.encode_utf16().map(u32::from).collect() }
}

fn told(found: Option<&Found>) -> Value {
    let range = |range: &Option<std::ops::Range<usize>>| range.as_ref().map(|range| [range.start, range.end]);
    found.map_or(Value::Null, |found| json!(found.groups().map(|one| range(&one)).collect::<Vec<_>>()))
}

/// Whether a loop in it may match nothing.
fn stalls(node: &Node) -> bool {
    match node {
        Node::Loop { body, .. } => body.may_be_empty() || stalls(body),
        Node::Sequence(parts) | Node::Either(parts) => parts.iter().any(stalls),
        Node::Group(_, body) | Node::Look { body, .. } => stalls(body),
        _ => false,
    }
}

/// A pattern with its flags, a text, what is found here, and what regress finds, if that comes to an end.
struct Pair {
    asked: Value,
    ours: Value,
    regress: Option<Value>,
}

fn pairs(count: usize) -> Vec<Pair> {
    let mut random = Random(0x5eed_1234_5678_9abc);
    let mut pairs = Vec::with_capacity(count);
    while pairs.len() < count {
        let (pattern, text) = (random.pattern(2, &mut 0), random.text());
        let flags = random.one(&["d", "di", "du", "diu", "dm", "ds", "dms"]);
        let unicode = flags.contains('u');
        let source = units(&pattern, unicode);
        let Ok(regex) = Regex::from_unicode(source.iter().copied(), flags) else { continue };
        let Some(loops) = Loops::new(&source, flags) else { continue };
        let utf16: Vec<u16> = text.encode_utf16().collect();
        let ours = told(loops.find(&utf16, unicode, 0, false).expect("a short text").as_ref());
        // Where a loop may match nothing, regress may go round for ever.
        let regress =
            Syntax::of(&source, flags).is_some_and(|syntax| !syntax.again && !stalls(&syntax.pattern)).then(|| {
                let found = if unicode {
                    regex.find_from_utf16(&utf16, 0).next()
                } else {
                    regex.find_from_ucs2(&utf16, 0).next()
                };
                told(found.map(Found::from).as_ref())
            });
        pairs.push(Pair { asked: json!([pattern, flags, text]), ours, regress });
    }
    pairs
}

/// How many pairs are tried; `BG_REGEXPS` says how many.
fn count() -> usize {
    std::env::var("BG_REGEXPS").ok().and_then(|count| count.parse().ok()).unwrap_or(3_000)
}

/// What V8 finds, if this machine has it.
fn of_v8(pairs: &[Pair]) -> Option<Vec<Value>> {
    const SCRIPT: &str = "const all = JSON.parse(require('fs').readFileSync(0)); console.log(JSON.stringify(all.map(([p, f, t]) => { \
                          try { const m = new RegExp(p, f).exec(t); return m && [...m.indices].map((r) => r ?? null); } catch (e) { return String(e); } })));";
    let mut node =
        Command::new("node").args(["-e", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    let asked = json!(pairs.iter().map(|pair| &pair.asked).collect::<Vec<_>>()).to_string();
    node.stdin.take().expect("a pipe").write_all(asked.as_bytes()).expect("it reads");
    let answer = node.wait_with_output().expect("it ends");
    Some(serde_json::from_slice(&answer.stdout).expect("JSON"))
}

/// Whether a match begins between the two units of a character.
fn is_within_pair(asked: &Value, found: &Value) -> bool {
    let text: Vec<u16> = asked[2].as_str().expect("a text").encode_utf16().collect();
    let start = found[0][0].as_u64().and_then(|start| usize::try_from(start).ok()).unwrap_or_default();
    asked[1].as_str().is_some_and(|flags| flags.contains('u'))
        && start > 0
        && text.get(start).is_some_and(|unit| (0xdc00..0xe000).contains(unit))
}

#[test]
fn random_patterns_match_as_in_v8_or_else_as_in_regress() {
    let pairs = pairs(count());
    let v8 = of_v8(&pairs);
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for (index, Pair { asked, ours, regress }) in pairs.iter().enumerate() {
        let Some(expected) = v8.as_ref().map(|v8| &v8[index]).or(regress.as_ref()) else { continue };
        compared += 1;
        // V8 may begin in the middle of a pair; the standard goes on by whole characters.
        if ours != expected && !is_within_pair(asked, expected) {
            wrong.push(format!("{asked}: {ours} here, {expected} expected, {regress:?} in regress"));
        }
    }
    assert!(compared > pairs.len() / 4, "{compared} of {}", pairs.len());
    let matched = pairs.iter().filter(|pair| !pair.ours.is_null()).count();
    assert!(matched > pairs.len() / 4, "{matched} of {}", pairs.len());
    assert!(
        wrong.is_empty(),
        "{} of {compared} are wrong, such as\n{}",
        wrong.len(),
        wrong[..wrong.len().min(20)].join("\n")
    );
}

/// Where a match of `pattern` is in `text`.
fn found(pattern: &str, flags: &str, text: &str) -> Option<[usize; 2]> {
    let unicode = flags.contains('u');
    let loops = Loops::new(&units(pattern, unicode), flags).unwrap_or_else(|| panic!("{pattern} repeats no group"));
    let utf16: Vec<u16> = text.encode_utf16().collect();
    loops.find(&utf16, unicode, 0, false).expect("room").map(|found| [found.start(), found.end()])
}

#[test]
fn a_megabyte_is_matched_by_what_repeats_groups() {
    const N: usize = 1 << 20;
    let (letters, words, csv) = ("ab".repeat(N / 2), "word ".repeat(N / 5), "field,".repeat(N / 6));
    let end = |text: &str| Some([0, text.len()]);
    let with_c = format!("{letters}c");
    for (pattern, flags, text, expected) in [
        ("(a|b)*c", "", &with_c, end(&with_c)),
        ("(?:a|b)*c", "", &with_c, end(&with_c)),
        ("(a|b)*c", "", &letters, None),
        ("((a)|(b))*", "", &letters, end(&letters)),
        ("((a)|(b))*(?:c|a)", "", &letters, Some([0, letters.len() - 1])),
        ("(?:a|b)+", "", &letters, end(&letters)),
        ("(?:A|B)+?$", "i", &letters, end(&letters)),
        ("(ab)*", "", &letters, end(&letters)),
        ("(ab)*?$", "u", &letters, end(&letters)),
        (r"(\w+\s)*", "", &words, end(&words)),
        (r"(\w+\s)*x", "", &words, None),
        (r"(?:(\w)+\s)+$", "s", &words, end(&words)),
        ("([^,]*,)*", "", &csv, end(&csv)),
        ("([^,]*,)*;", "", &csv, None),
        ("(?:(?:field),)*$", "", &csv, end(&csv)),
        ("((?:a|b)+)*c", "", &with_c, end(&with_c)),
        ("((?:a|b)+)*d", "", &letters, None),
        ("(?:a|ab|b)*$", "", &letters, end(&letters)),
        ("(?:(?=a)ab)*$", "", &letters, end(&letters)),
        ("(?:ab(?<=b))*$", "", &letters, end(&letters)),
        ("(?:a|b|\u{1f600})*$", "u", &letters, end(&letters)),
        (r"(a)(?:b\1)*b", "", &letters, end(&letters)),
        ("(?<one>a|b)*c", "", &with_c, end(&with_c)),
    ] {
        assert_eq!(found(pattern, flags, text), expected, "{pattern}");
    }
}

#[test]
fn what_others_take_exponential_time_for_is_done() {
    let text = format!("{}!", "a".repeat(5_000));
    for pattern in [
        "(a+)+b",
        "(?:a|a)*b",
        "(?:a|aa)+b",
        "(a*a)*b",
        "(?:(?:a)+)+b",
        "((a|a)|(a|a))*b",
        "(a*)*b",
        "(a*?)*?b",
        "((a?)*|b?)*c",
        "(?:(?:a|b?)*)*c",
    ] {
        assert_eq!(found(pattern, "", &text), None, "{pattern}");
    }
}

#[test]
fn patterns_that_repeat_no_group_and_those_that_are_not_understood_are_left_alone() {
    for (pattern, flags) in [
        ("a*", ""),
        ("(ab)", ""),
        ("(?:ab)?", ""),
        ("(a(b)?c)?", ""),
        ("(?:a)+", ""),
        (r"(?:\c1b)*", ""),
        (r"(?:[\q{ab}]x)*", "v"),
        ("(?:ab){100000}", ""),
    ] {
        assert!(Loops::new(&units(pattern, false), flags).is_none(), "{pattern}");
    }
}
