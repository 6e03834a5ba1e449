//! Every construct that a charm may contain: what it does here, or how it is refused. The table in `docs/charms.md` is
//! made from this one, and a test holds the two together: `UPDATE_DOCS=1 cargo test --test script constructs` writes
//! it.

mod commontools;
mod javascript;
mod refused;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use bg_transpile::{EXPORTS, Sources, transpile_files};
use serde_json::{Value, json};

use crate::support::{Charm, client, component, workspace};

/// What becomes of a construct.
enum Expect {
    /// The charm is deployed and polled once; then its cell `out` holds this JSON.
    Out(&'static str),
    /// A test of that name, of this folder or of the engine's own, shows it.
    Test(&'static str),
    /// Deploying fails at this line with a message that has this in it.
    Refused(u32, &'static str),
    /// Deploying, or the poll, fails with an error that has this in it, and the author's file and line.
    Fails(&'static str),
    /// The same of what is the whole charm's fault, and no line's.
    FailsWhole(&'static str),
}

/// One row of the table.
struct Row {
    /// As the table names it.
    construct: &'static str,
    /// The charm's source, after a first line that imports everything.
    source: String,
    expect: Expect,
}

/// A construct that shows within a handler, whose cell `out` is what it sets.
fn handler(construct: &'static str, code: &str, out: &'static str) -> Row {
    Row { construct, source: in_handler(code), expect: Expect::Out(out) }
}

fn in_handler(code: &str) -> String {
    format!(
        "const run = handler<unknown, {{ out: Cell<any> }}>(async (event, {{ out }}) => {{ {code} }});\n\
         export default pattern(() => {{ const out = Cell.of<any>(null); return {{ out, bgUpdater: run({{ out }}) }}; }});"
    )
}

/// A construct that takes a whole charm to show.
fn whole(construct: &'static str, source: &str, out: &'static str) -> Row {
    Row { construct, source: source.to_owned(), expect: Expect::Out(out) }
}

/// A construct that other tests show.
fn test(construct: &'static str, name: &'static str) -> Row {
    Row { construct, source: String::new(), expect: Expect::Test(name) }
}

/// A construct that is refused before anything runs.
fn refused(construct: &'static str, source: &str, line: u32, message: &'static str) -> Row {
    Row { construct, source: source.to_owned(), expect: Expect::Refused(line, message) }
}

/// A construct that is an error of the charm's.
fn fails(construct: &'static str, source: &str, message: &'static str) -> Row {
    Row { construct, source: source.to_owned(), expect: Expect::Fails(message) }
}

/// A construct that is the whole charm's fault.
fn fails_whole(construct: &'static str, source: &str, message: &'static str) -> Row {
    Row { construct, source: source.to_owned(), expect: Expect::FailsWhole(message) }
}

/// The table: groups of rows.
fn table() -> Vec<(&'static str, Vec<Row>)> {
    vec![
        ("`commontools`", commontools::rows()),
        ("JavaScript and the web's API", javascript::rows()),
        ("Refused", refused::rows()),
    ]
}

/// Further files that charms of the table import.
fn files() -> BTreeMap<String, String> {
    [
        (
            "lib/types.ts",
            "import type { Secret } from 'commontools'; export interface Auth { token: Secret<string>; user: string }",
        ),
        (
            "lib/add.ts",
            "import { twice } from './twice'; export const add = (a: number, b: number) => twice(a) + b - a;",
        ),
        ("lib/twice.ts", "export function twice(n: number) { return 2 * n; }\nexport default 2;"),
    ]
    .map(|(path, source)| (path.to_owned(), source.to_owned()))
    .into()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_construct_does_what_the_table_says() {
    let component = component(Duration::from_secs(20)).await;
    let imports =
        format!("import {{ {}, type Default, type Secret, type Stream }} from 'commontools';\n", EXPORTS.join(", "));
    let known = tests();
    let mut wrong = Vec::new();
    for row in table().into_iter().flat_map(|(_, rows)| rows) {
        // A row that imports for itself is a whole file.
        let source = if row.source.contains("import ") { row.source.clone() } else { imports.clone() + &row.source };
        let found = match row.expect {
            Expect::Test(name) => known.contains(name).then_some(()).ok_or(format!("there is no test {name}")),
            Expect::Refused(line, message) => {
                let sources = Sources { file_name: "charm.tsx", source: &source, files: &files() };
                match transpile_files(&sources) {
                    Ok(_) => Err("it is not refused".to_owned()),
                    Err(error) => {
                        let text = error.to_string();
                        let there = text.starts_with(&format!("charm.tsx:{line}:")) && text.contains(message);
                        there.then_some(()).ok_or(text)
                    }
                }
            }
            Expect::Out(expected) => match run_twice(&component, &source).await {
                Ok(out) if out == serde_json::from_str::<Value>(expected).unwrap() => Ok(()),
                Ok(out) => Err(format!("{out}, and not {expected}")),
                Err(error) => Err(error),
            },
            Expect::Fails(message) => match run_twice(&component, &source).await {
                Ok(out) => Err(format!("it does not fail, and leaves {out}")),
                Err(error) => (error.contains(message) && error.contains("charm.tsx:")).then_some(()).ok_or(error),
            },
            Expect::FailsWhole(message) => match run_twice(&component, &source).await {
                Ok(out) => Err(format!("it does not fail, and leaves {out}")),
                Err(error) => error.contains(message).then_some(()).ok_or(error),
            },
        };
        if let Err(problem) = found {
            wrong.push(format!("{}: {problem}", row.construct));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // All that have a stream.
    assert!(component.programs_kept() > 50, "{} programs were loaded ahead", component.programs_kept());
}

/// Two charms of one program: the first loads it, the second finds it loaded, and must not show any difference.
async fn run_twice(component: &std::sync::Arc<bg_sandbox::CharmComponent>, source: &str) -> Result<Value, String> {
    let loaded = run(component, source).await;
    let ahead = run(component, source).await;
    if loaded == ahead { ahead } else { Err(format!("{loaded:?} at first, and {ahead:?} when it was loaded ahead")) }
}

/// What a charm's cell `out` holds when it was deployed and polled.
async fn run(component: &std::sync::Arc<bg_sandbox::CharmComponent>, source: &str) -> Result<Value, String> {
    let sources = Sources { file_name: "charm.tsx", source, files: &files() };
    let program = transpile_files(&sources).map_err(|error| error.to_string())?;
    let told = |failure: bg_sandbox::CallFailure| format!("{} {}", failure.message, failure.stack.unwrap_or_default());
    let mut charm = Charm::of_program(component, "charm.tsx", program, &json!({}), client(None)).await.map_err(told)?;
    if charm.shape.streams.iter().any(|stream| stream == "bgUpdater") {
        charm.trigger("bgUpdater", json!({})).await.map_err(told)?;
    }
    Ok(charm.cell("out"))
}

/// The names of all tests in this folder and of the engine.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in
        ["host/charm-runtime/tests/script", "host/script/src/tests", "host/transpile/src", "host/transpile/src/tests"]
    {
        for entry in std::fs::read_dir(workspace(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let lines: Vec<_> = text.lines().collect();
                names.extend(lines.windows(2).filter(|pair| pair[0].contains("test")).filter_map(|pair| {
                    let name = pair[1].trim_start_matches("async ").strip_prefix("fn ")?;
                    Some(name.split('(').next()?.to_owned())
                }));
            }
        }
    }
    names
}

/// The table for people.
fn markdown() -> String {
    let mut text = String::new();
    for (group, rows) in table() {
        let _ = writeln!(text, "\n### {group}\n\n| construct | here | shown by, or message |\n|---|---|---|");
        for Row { construct, expect, .. } in rows {
            let (here, shown) = match expect {
                Expect::Out(_) => ("supported", "a charm of the table, deployed and polled".to_owned()),
                Expect::Test(name) => ("supported", format!("`{name}`")),
                Expect::Refused(_, message) => ("refused at deploy, with file and line", format!("…{message}…")),
                Expect::Fails(message) => ("an error of the charm, with file and line", format!("…{message}…")),
                Expect::FailsWhole(message) => ("an error of the charm", format!("…{message}…")),
            };
            let _ = writeln!(text, "| {} | {here} | {} |", construct.replace('|', "\\|"), shown.replace('|', "\\|"));
        }
    }
    text
}

#[test]
fn the_guide_has_the_table() {
    const MARKS: [&str; 2] = ["<!-- constructs: made by a test -->\n", "<!-- end of constructs -->"];
    let path = workspace("docs/charms.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(MARKS[0]).expect("a mark");
    let (_, after) = rest.split_once(MARKS[1]).expect("an end");
    let whole = [before, MARKS[0], &markdown(), "\n", MARKS[1], after].concat();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &whole).unwrap();
    }
    assert!(
        whole == text || std::env::var_os("UPDATE_DOCS").is_some(),
        "the table in {} is not what the test has; UPDATE_DOCS=1 writes it",
        path.display()
    );
}
