//! Functions of texts and regular expressions, beside the engine's own, which they have taken the place of.

use std::cell::RefCell;
use std::rc::Rc;

use boa_engine::{Context, Source};
use proptest::prelude::*;

use super::{Charm, Outside, expect_each};
use crate::host::Host;
use crate::jobs::Jobs;
use crate::{regexps, strings};

/// An engine with our functions, and one without.
struct Both {
    ours: Context,
    theirs: Context,
}

impl Both {
    fn new() -> Self {
        let jobs = Jobs::new(Rc::<Outside>::default() as Rc<dyn Host>);
        let mut ours = Context::builder().job_executor(jobs).build().expect("an engine");
        strings::install(&mut ours).expect("functions to replace");
        regexps::install(&mut ours).expect("functions to replace");
        Self { ours, theirs: Context::default() }
    }

    /// What a script comes to in each.
    fn run(&mut self, script: &str) -> (String, String) {
        // What it declares is gone after it.
        let script = format!("{{ {script} }}");
        (run(&script, &mut self.ours), run(&script, &mut self.theirs))
    }
}

fn run(script: &str, context: &mut Context) -> String {
    match context.eval(Source::from_bytes(script)) {
        Ok(value) => value.to_string(context).expect("a text").to_std_string_lossy(),
        Err(error) => error.to_string(),
    }
}

/// What each use makes of a regular expression, `make()`, and each of the `texts`.
const USES: &str = r"
const seen = [];
for (const t of texts) {
  const re = make();
  const parts = (m) => m && [[...m], m.index, m.input === t, m.groups && Object.entries(m.groups), m.indices && [[...m.indices], m.indices.groups]];
  const uses = [
    () => parts(re.exec(t)), () => parts(re.exec(t)), () => parts(re.exec(t)), () => re.test(t), () => re.test(t), () => t.search(re),
    () => { const m = t.match(re); return re.global ? m : parts(m); },
    () => [...t.matchAll(re)].map(parts),
    () => t.replace(re, '[$&|$1|$2|$<n>|$10|$`|$\x27|$$|$0|$]'), () => t.replaceAll(re, 'x'),
    () => t.replace(re, (...all) => JSON.stringify(all)),
    () => t.split(re), () => t.split(re, 2), () => t.split(re, 0), () => t.split(re).join('').length,
    () => { re.lastIndex = 2; return parts(re.exec(t)); }, () => { re.lastIndex = 1e9; return parts(re.exec(t)); },
    () => { re.lastIndex = t.length; return parts(re.exec(t)); },
    () => { const other = new RegExp(re, 'y'); other.lastIndex = 1; return [parts(other.exec(t)), other.lastIndex, t.replace(other, '<>')]; },
    () => { const other = new (class extends RegExp {})(re); return [t.split(other), t.match(other), t.replace(other, '$1')]; },
  ];
  for (const use of uses) {
    let made;
    try { made = use(); } catch (error) { made = error.name; }
    seen.push(t + ' ' + use + ' ' + JSON.stringify(made, (_, v) => v === undefined ? '(undefined)' : v) + re.lastIndex);
  }
}
seen.join('\n');";

fn agree(both: &mut Both, pattern: &str, flags: &str, texts: &[&str]) -> Result<(), String> {
    let [pattern, texts] =
        [serde_json::to_string(pattern), serde_json::to_string(texts)].map(|json| json.expect("JSON"));
    let (ours, theirs) =
        both.run(&format!("const make = () => new RegExp({pattern}, '{flags}'), texts = {texts};{USES}"));
    let lines = ours.lines().zip(theirs.lines()).find(|(ours, theirs)| ours != theirs);
    match lines {
        Some((ours, theirs)) => Err(format!("/{pattern}/{flags}\nours   {ours}\ntheirs {theirs}")),
        None if ours != theirs => Err(format!("/{pattern}/{flags}: {ours}")),
        None => Ok(()),
    }
}

#[test]
fn regular_expressions_mean_what_they_mean_to_the_engine() {
    // Longer than two steps of a lazy loop.
    let long = "word, ünd <b>😀</b>\n".repeat(30);
    let latin = "one <b>two</b>, three\n".repeat(30);
    let patterns = [
        "",
        "a",
        "a|",
        "(a)|(b)",
        "(?<n>b+)|c",
        "(?:x)?",
        "[^]",
        ".",
        "$",
        "^",
        "\\b",
        "(?=b)",
        "(?<=a)b",
        "(?<!a)b",
        "\\s*,\\s*",
        "(a*)*",
        "(z)((a+)?(b+)?(c))*",
        "\\1(a)",
        "(a)\\2",
        "\\0",
        "[\\u{1F600}]",
        "\\u{1F600}",
        "(?<n>.)\\k<n>",
        "<(\\w+)>",
        "😀",
        "[😀]",
        "\\ud83d",
        "\\/",
        "a/b",
        "[/]",
        "[\\]/]/",
        "ü",
        "(?<year>\\d)(?<n>\\d)",
        "(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)",
        "\\n",
        "(?:)",
        "<b>[^]*?</b>",
        ".*?b",
        "[ab]+?b",
        "a{2,}?",
        "\\u{1F600}*?b",
        "\\ud83d\\ude00+?a",
        "\\18*?8",
        ".*?$",
        "(?:a.*?)+?b",
        "[^]*?three$",
        "(\\w+?)\\W",
        "\\d+?(?=3)",
        "(?<=([abc])[^]*?)$",
        "(?<n>.+?)\\k<n>",
        "()",
    ];
    let mut both = Both::new();
    for flags in ["", "g", "y", "gy", "i", "gi", "u", "gu", "uy", "guy", "m", "gm", "gs", "d", "dg", "dgu"] {
        for pattern in patterns {
            let texts = [
                "",
                "a",
                "abc",
                "aaabbb",
                "😀",
                "a😀b😀",
                "zaacbbbcac",
                "1234567890123",
                "A/B a/b",
                "éüÜ\n\nü",
                &long,
                &latin,
            ];
            let is_lazy = ["*?", "+?", "}?"].iter().any(|lazy| pattern.contains(lazy));
            let texts = if is_lazy && matches!(flags, "" | "gu") { &texts[..] } else { &texts[..texts.len() - 2] };
            agree(&mut both, pattern, flags, texts).unwrap_or_else(|difference| panic!("{difference}"));
        }
    }
}

thread_local! {
    /// Takes longer to make than a case does.
    static BOTH: RefCell<Both> = RefCell::new(Both::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_regular_expression_means_what_it_means_to_the_engine(
        pattern in r"([ab.]|\(a\||\(|\)|\[\^|\]|\*|\+|\?|\$|\^|\\b|\\1|(\(\?<n>)|(\(\?=)|(\(\?:)|😀|ü|\||\{2\}){0,8}",
        flags in "d?g?i?m?s?u?y?",
        text in "([ab ü\n]|😀){0,12}",
        times in prop_oneof![4 => Just(1_usize), 1 => Just(45)],
    ) {
        if let Err(difference) = BOTH.with_borrow_mut(|both| agree(both, &pattern, &flags, &[&text.repeat(times)])) {
            prop_assert!(false, "{}", difference);
        }
    }

    #[test]
    fn any_text_is_searched_and_cut_as_the_engine_does(
        text in "([ab, ]|[ü\u{a0}\u{feff}]|😀|\u{2028}){0,60}",
        other in "([ab]|ü|😀|, ){0,2}",
        a in -70_i32..70,
        b in -70_i32..70,
    ) {
        let quoted = |text: &str| serde_json::to_string(text).expect("JSON");
        let script = format!(
            "const t = {}, o = {}, a = {a}, b = {b};
            const e = (f) => {{ try {{ return f(); }} catch (error) {{ return error.name; }} }};
            JSON.stringify([t, t.slice(3), t.slice(3).slice(2), t + t].flatMap((t) => [
              t.slice(a, b), t.slice(a), t.substring(a, b), t.substring(a), t.substr(a, b), t.substr(a), t.slice(), t.slice(a, undefined), t.slice(NaN, Infinity),
              t.substring(-Infinity, Infinity), t.substr(-Infinity, undefined), t.trim(), t.trimStart(), t.trimEnd(), t.trimLeft(), t.trimRight(),
              t.indexOf(o), t.indexOf(o, a), t.indexOf(), t.lastIndexOf(o), t.lastIndexOf(o, a), t.lastIndexOf(o, NaN), t.includes(o), t.includes(o, a), e(() => t.includes(/a/)),
              t.split(o), t.split(o, a), t.split(), t.split(undefined, 0), t.split(''), t.split(o).length, t.split({{ [Symbol.split]: (...all) => all }}),
              t.replaceAll(o, '<$&$`$\\'$1$$>'), t.replaceAll(o, (...all) => JSON.stringify(all)), t.replaceAll('', '-'), e(() => t.replaceAll(/a/, '')), t.replaceAll(/a/g, 'x'),
            ]))", quoted(&text), quoted(&other));
        let (ours, theirs) = BOTH.with_borrow_mut(|both| both.run(&script));
        prop_assert_eq!(ours, theirs, "{}", script);
    }
}

#[test]
fn functions_of_texts_look_like_the_languages() {
    let mut both = Both::new();
    for script in [
        "['slice', 'substring', 'substr', 'trim', 'trimStart', 'trimEnd', 'trimLeft', 'indexOf', 'lastIndexOf', 'includes', 'split', 'replaceAll'].map((n) => [n, String.prototype[n].name, String.prototype[n].length, JSON.stringify(Object.getOwnPropertyDescriptor(String.prototype, n)), 'prototype' in String.prototype[n]].join()).join('\\n')",
        "[Symbol.match, Symbol.replace, Symbol.split, 'exec', 'compile'].map((n) => [String(n), RegExp.prototype[n].name, RegExp.prototype[n].length, JSON.stringify(Object.getOwnPropertyDescriptor(RegExp.prototype, n))].join()).join('\\n')",
        "String.prototype.trimLeft === String.prototype.trimStart",
        "try { String.prototype.slice.call(null) } catch (e) { e.name }",
        "try { RegExp.prototype.exec.call({}, '') } catch (e) { e.name }",
        "try { new String.prototype.slice() } catch (e) { e.name }",
        "RegExp.prototype.source + RegExp.prototype.flags",
        // A charm that has changed what they do is asked.
        "const re = /a/g; re.exec = () => null; [String('aa'.match(re)), 'aa'.replace(re, 'x'), 'aa'.split(re)].join()",
        "class Twice extends RegExp { exec(t) { const m = super.exec(t); if (m) m[0] += m[0]; return m; } } 'abc'.replace(new Twice('b', 'g'), '[$&]')",
        "class Mine extends RegExp { static get [Symbol.species]() { return RegExp; } } 'abc'.split(new Mine('b')).join()",
        "const re = /b/g; Object.defineProperty(re, 'flags', { value: '' }); 'abb'.replace(re, 'x')",
        "const frozen = Object.freeze(/a/g); try { 'a'.replace(frozen, '') } catch (e) { e.name }",
        "const again = /a/g; again.test('aa'); again.compile('b', 'y'); [again.lastIndex, again.test('ab'), again.test('b'), String(again)].join()",
        "const seen = []; 'aXbX'.replace(/X/g, function (m) { seen.push(this === undefined || this === globalThis, arguments.length); return '' }); seen.join()",
        "const lone = /\\ud83d/; [lone.test('\\ud83d\\ude00'), /\\ud83d/u.test('\\ud83d\\ude00'), /^.$/u.test('\\ud83d\\ude00'), /^.$/.test('\\ud83d')].join()",
        "const at = /\\ude00/uy; at.lastIndex = 1; [at.test('\\ud83d\\ude00'), at.lastIndex].join()",
    ] {
        let (ours, theirs) = both.run(script);
        assert_eq!(ours, theirs, "{script}");
    }
}

#[test]
fn the_source_of_a_regular_expression_can_be_made_one_again() {
    expect_each(&[
        (r"/a\/b/.source", r"a\/b".into()),
        (r"new RegExp('a/b').source", r"a\/b".into()),
        (r"/[/]\//.source", r"[/]\/".into()),
        (r"new RegExp('\\\\/').source", r"\\\/".into()),
        (r"new RegExp(/a\/b/.source).test('a/b')", true.into()),
        (r"String(/\[\/]/g)", r"/\[\/]/g".into()),
        (r"new RegExp('\n').source", r"\n".into()),
        ("new RegExp('').source", "(?:)".into()),
    ]);
}

/// Steps of the engine count nothing here, and no clock is asked: what would take hours if each step took as long as
/// the text ends.
#[test]
fn texts_are_worked_through_in_the_time_of_their_length() {
    let charm = Charm::with_handler(
        r#"
const text = "<a>x</a>".repeat(15000), wide = "<a>ü😀</a>".repeat(15000);
const found = [];
for (const t of [text, wide]) {
  let n = 0;
  for (const m of t.matchAll(/<([a-z])>/g)) n += m[1].length;
  for (let at = 0; (at = t.indexOf("<a", at)) >= 0; at++) n++;
  const tokens = [/<\w>/y, /<\/\w>/y, /[^<]+/y];
  for (let at = 0; at < t.length;) for (const re of tokens) { re.lastIndex = at; const m = re.exec(t); if (m) { at = re.lastIndex; n++; break; } }
  for (let rest = t, m; (m = /^<\/?\w>|^[^<]+/.exec(rest)); rest = rest.slice(m[0].length)) n++;
  for (let rest = t, m; (m = /^(?:<\/?\w>|[^<]+)([^]*)$/.exec(rest)); rest = rest.length > 1e5 ? m[1] : "") n++;
  for (const m of t.matchAll(/<a>([^]*?)<\/a>|[^]+?$/g)) n += m[0].length;
  n += t.split("<").length + t.split(/<\/?/).length + t.split(/(q)/).length + t.replaceAll("<a", "<b").length - t.replace(/<a/g, "$&").length;
  n += t.replace(/<(a)>/g, (all, name) => name + t.slice(1, 400).replace(/q/, "").length.toString().slice(3)).length - t.length;
  found.push(n);
}
out.set(found);"#,
    );
    let found = charm.out().unwrap_or_else(|failure| panic!("{failure:?}"));
    assert!(found.as_array().is_some_and(|found| found.len() == 2), "{found}");
}

#[test]
fn a_text_that_is_cut_again_and_again_is_dropped_without_running_out_of_stack() {
    for step in [
        "rest = rest.slice(1)",
        "rest = rest.substring(1)",
        "rest = rest.substr(1)",
        "rest = rest.slice(0, -1)",
        "rest = /^a(a*)$/.exec(rest)[1]",
        "rest = rest.match(/a(?=(a*))/)[1]",
        "rest = (' ' + rest).trim().slice(1)",
        "rest = rest.split('b')[0].slice(1)",
        "[, rest] = rest.split(/^a/)",
        "rest = rest.replace(/^a/, '')",
        "rest = rest.match(/a+/g)[0].slice(1)",
    ] {
        let charm = Charm::with_handler(&format!(
            "let rest = 'a'.repeat(60000); for (let n = 0; n < 55000; n++) {{ {step}; if (n % 20 && {}) n += 20; }} out.set(rest.length);",
            step.contains('/') || step.contains('+')
        ));
        let left = charm.out().unwrap_or_else(|failure| panic!("{step}: {failure:?}"));
        assert!(left.as_u64().is_some_and(|left| left >= 5000), "{step}: {left}");
    }
}
