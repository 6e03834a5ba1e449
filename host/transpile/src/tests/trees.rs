//! What is changed in programs, whatever their layout and characters, and where it is said to come from.

use super::*;

/// How a page may be written, with `#` where it shows something.
const PAGES: [&str; 10] = [
    "<p>{#}</p>",
    "(<p>{#}</p>)",
    "(\n    <p>{#}</p>\n  )",
    "(\r\n\r\n<p>{#}</p>\r\n)",
    "// a page\n<p>{#}</p>",
    "/* é */ (\u{2028}<p>{#}</p>)",
    "<><p>Café 😀: {#}</p></>",
    "given ? <p>{#}</p> : <b>{#}</b>",
    "h('p', null, #)",
    "(() => <p>{#}</p>)()",
];

fn charm(page: &str, after: &str) -> String {
    let page = page.replace('#', "shown(given)");
    format!(
        "import {{ computed, h, handler, NAME, pattern, UI }} from 'commontools';\nconst shown = (value: any) => value;\n\
         const poll = handler<unknown, {{ given: any }}>(() => {{}});\n\
         export default pattern<{{ given: number }}>(({{ given }}) => ({{\n  [NAME]: 'Café 😀', [UI]: {page},{after}\n  \
         twice: computed(() => given * 2), bgUpdater: poll({{ given }}) }}));"
    )
}

#[test]
fn pages_are_left_out_whatever_their_layout() {
    for page in PAGES {
        for after in ["", " é: 1,", "\n  note: '😀\u{2028}é',"] {
            let source = charm(page, after);
            let (polled, paged) = both("charm.tsx", &source);
            assert!(polled.contains("[UI]:void0,") && !polled.contains("shown(given)"), "{source}\n{polled}");
            assert!(!polled.contains("__page") && !polled.contains("__value"), "{polled}");
            assert!(paged.contains("[UI]:__page(()=>") && paged.contains("shown(given)"), "{source}\n{paged}");
            for code in [polled, paged] {
                assert!(code.contains("twice:computed([{given},{}],({given})=>given*2)"), "{code}");
                assert!(code.contains("poll({given})}),{\"properties\":{\"given\":{\"type\":\"number\"}}"), "{code}");
            }
        }
    }
}

#[test]
fn what_is_wrong_with_a_page_is_a_warning_until_it_is_made() {
    let source = charm("<p>{document.title}</p>", "");
    let polled = transpile("charm.tsx", &source).expect("a charm");
    let warnings: Vec<_> = polled.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let expected = "charm.tsx:5:32: the charm's page cannot be made: `document` is not available to charms";
    assert!(warnings[0].starts_with(expected), "{}", warnings[0]);
    let sources = Sources { file_name: "charm.tsx", source: &source, files: &BTreeMap::new() };
    let refused = transpile_pages(&sources).expect_err("no page").to_string();
    assert!(refused.starts_with("charm.tsx:5:32: `document` is not available"), "{refused}");
    // Beside the page, it is refused as before.
    assert!(error("charm.tsx", &charm("<p/>", " title: document.title,")).contains("`document` is not available"));
}

/// Where the author's file has what is at a needle in a module.
fn original(module: &str, needle: &str) -> Place {
    let (code, map) = module.split_once("//# sourceMappingURL=data:application/json;base64,").expect("a map");
    let map = BASE64.decode(map.trim().as_bytes()).expect("base64");
    let map: serde_json::Value = serde_json::from_slice(&map).expect("JSON");
    let at = place(code, code.find(needle).unwrap_or_else(|| panic!("{needle}\n{code}")));
    let mappings = decode(map["mappings"].as_str().expect("a text"));
    let before = mappings.into_iter().filter(|(emitted, _)| emitted.line == at.line && emitted.column <= at.column);
    before.max_by_key(|(emitted, _)| emitted.column).expect(needle).1
}

/// The places of all names that begin with `mark` are the author's, in a source and in its module.
fn assert_marks_are_mapped(source: &str, module: &str, least: usize) {
    let starts: Vec<_> = source.match_indices("mark").map(|(at, _)| at).collect();
    let mut found = 0;
    for start in starts {
        let digits = source[start + 4..].find(|char: char| !char.is_ascii_digit()).unwrap_or(0);
        let needle = format!("{}(", &source[start..start + 4 + digits]);
        if digits > 0 && source[start..].starts_with(&needle) && module.contains(&needle) {
            assert_eq!(original(module, &needle), place(source, start), "{needle}\n{source}\n{module}");
            found += 1;
        }
    }
    assert!(found >= least, "{found} of {least}\n{source}\n{module}");
}

#[test]
fn places_are_exact_after_characters_of_every_length() {
    for page in PAGES {
        let after =
            " /* é😀 */ y: mark1(), é: mark2('😀'), \n x: () => () => { mark3(); return a?.mark4().b.mark5(); },";
        let names = "const a: any = 1, mark1: any = 1, mark2: any = 1, mark3: any = 1;\nconst shown";
        let source = charm(page, after).replace("const shown", names);
        let sources = Sources { file_name: "charm.tsx", source: &source, files: &BTreeMap::new() };
        for made in [transpile_files(&sources), transpile_pages(&sources)] {
            let module = made.unwrap_or_else(|error| panic!("{error}\n{source}")).module;
            assert_marks_are_mapped(&source, &module, 5);
        }
    }
}

#[test]
fn further_files_have_places_of_their_own() {
    let lib = "\u{feff}// é\nexport const é = () => { const mark1 = (x: any) => x; return mark1(1)?.y.mark2(); };\n";
    let files = BTreeMap::from([("lib/a.ts".to_owned(), lib.to_owned())]);
    let source = "import { pattern } from 'commontools';\nimport { é } from './lib/a';\nexport default pattern(() => ({ x: é() }));";
    let made = transpile_files(&Sources { file_name: "main.tsx", source, files: &files }).expect("a charm");
    // A byte order mark is no character of a line.
    let lib = lib.trim_start_matches('\u{feff}');
    let module = &made.files["lib/a.ts"];
    for needle in ["mark1(1", "mark2("] {
        assert_eq!(original(module, needle), place(lib, lib.find(needle).expect(needle)), "{needle}\n{module}");
    }
}

#[test]
fn what_may_fail_in_a_chain_has_a_place_and_its_value_is_the_same() {
    let source = "import { pattern } from 'commontools';
export const f = (a, b) => [a?.b(), a?.b?.c(1).d, a.b?.(2), a?.b, a?.b?.c, delete a?.b.c, (a?.b)(3), a?.(4), a?.b.c,
  a?.b(b?.c()).d, a?.[b].c, made(a)?.b.c];
for (const x of [1]) f(x?.b.c, x?.b.d());
const made = (x) => x;
export default pattern(() => ({}));";
    let code: String = code("charm.js", source).split_whitespace().collect();
    for expected in [
        "[(__nil=a)==null?void0:__nil.b(),",
        "(__nil=a)==null?void0:(__nil=__nil.b)==null?void0:((__nil=__nil.c(1))??__none(\"reading\",\"d\",\"a?.b?.c(1)\",__nil)).d,",
        ",__nil=a.b?.(2),",
        ",a?.b,a?.b?.c,deletea?.b.c,(a?.b)(3),(__nil=a)==null?void0:__nil(4),",
        "(__nil=a)==null?void0:(__nil.b??__none(\"reading\",\"c\",\"a?.b\",__nil.b)).c,",
        "(__nil=b)==null?void0:__nil.c()",
        "(__nil=made(a))==null?void0:",
        "f(x?.b.c,(__nil=x)==null?void0:(__nil.b??__none(\"reading\",\"d\",\"x?.b\",__nil.b)).d())",
    ] {
        assert!(code.contains(expected), "{expected}\n{code}");
    }
}

proptest! {
    /// Pieces of charms in any order, with anything in their comments and texts.
    #[test]
    fn whatever_a_charm_is_made_of_its_places_are_the_authors(
        pieces in prop::collection::vec((0_usize..7, "[ -~é😀\u{2028}\t]{0,12}"), 1..12),
        page in 0_usize..PAGES.len(),
        ends in prop::sample::select(vec!["\n", "\r\n", "\u{2029}"]),
    ) {
        let mut source = String::from("import { computed, h, handler, pattern, UI } from 'commontools';");
        let mut names = Vec::new();
        let mut body = String::new();
        for (number, (kind, text)) in pieces.iter().enumerate() {
            let text = text.replace(['*', '\'', '\\', '`', '$', '<', '>', '{', '}'], "");
            let text = if *kind == 4 { text.replace(['\u{2028}', '\t'], "") } else { text };
            let mark = format!("mark{number}");
            names.push(mark.clone());
            let piece = match kind {
                0 => format!("/*{text}*/ {mark}('{text}');"),
                1 => format!("const c{number} = computed(() => given + /*{text}*/ {mark}(1));"),
                2 => format!("const h{number} = handler<{{ a: '{text}' }}, {{ b: string[] }}>((event) => {{ {mark}(event); }});"),
                3 => format!("const p{number} = pattern<{{ a: string }}>(({{ a }}) => ({{ [UI]: (\n<i>{text}</i>), b: {mark}(a) }}));"),
                4 => format!("const s{number} = '{text}', t{number} = '{text}' + {mark}(s{number})?.a.b();"),
                5 => format!("for (const x of given) {{ {mark}(x as any); }}"),
                _ => format!("async function f{number}() {{ await {mark}(`{text}`); }}"),
            };
            body.push_str(&piece);
            body.push_str(ends);
        }
        for name in &names {
            source.extend([" const ", name, ": any = 1;"]);
        }
        let page = PAGES[page].replace('#', "given");
        source.extend([ends, "export default pattern<{ given: any }>(({ given }) => { ", &body]);
        source.extend([" return { [UI]: ", &page, ", given }; });"]);
        let sources = Sources { file_name: "charm.tsx", source: &source, files: &BTreeMap::new() };
        for made in [transpile_files(&sources), transpile_pages(&sources)] {
            let module = made.unwrap_or_else(|error| panic!("{error}\n{source}")).module;
            assert_marks_are_mapped(&source, &module, names.len());
        }
    }
}
