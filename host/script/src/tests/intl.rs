//! `Intl`, against what Node.js answers: `intl/cases.txt` has an expression and its value a line, as Node.js with ICU 78
//! gave them in UTC.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{Charm, expect_each};

const CASES: &str = include_str!("intl/cases.txt");

/// The version of the Unicode data that the values are of.
const ICU: &str = "78";

fn cases() -> Vec<(&'static str, Value)> {
    let case = |line: &'static str| {
        let (expression, value) = line.rsplit_once(" => ").expect("an expression and its value");
        // A list is written as a text of JSON.
        let value: Value = serde_json::from_str(value).expect("JSON");
        let list =
            value.as_str().filter(|text| text.starts_with(['[', '{'])).and_then(|text| serde_json::from_str(text).ok());
        (expression, list.unwrap_or(value))
    };
    CASES.lines().map(case).collect()
}

#[test]
fn dates_numbers_lists_and_times_are_written_as_node_writes_them() {
    let cases = cases();
    assert!(cases.len() > 900, "{} cases", cases.len());
    for some in cases.chunks(100) {
        expect_each(some);
    }
}

#[test]
fn the_recorded_values_are_what_node_says() {
    let script = "
        let text = '';
        process.stdin.on('data', (data) => { text += data; });
        process.stdin.on('end', () => {
            const values = JSON.parse(text).map((expression) => new Function(`return (${expression})`)());
            console.log(JSON.stringify([process.versions.icu, values]).replace(/\\u202f/g, ' '));
        });";
    let node = Command::new("node")
        .args(["-e", script])
        .env("TZ", "UTC")
        .env("LANG", "en_US.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut node) = node else {
        eprintln!("skipped: there is no Node.js");
        return;
    };
    let cases = cases();
    let expressions: Vec<&str> = cases.iter().map(|(expression, _)| *expression).collect();
    serde_json::to_writer(node.stdin.take().expect("a pipe"), &expressions).expect("it reads");
    let output = node.wait_with_output().expect("it runs");
    let (icu, values): (String, Vec<Value>) = serde_json::from_slice(&output.stdout).expect("JSON");
    if icu.split('.').next() != Some(ICU) {
        eprintln!("skipped: this Node.js has ICU {icu}, and the values are of {ICU}");
        return;
    }
    let wrong: Vec<_> = cases.iter().zip(&values).filter(|((_, recorded), value)| recorded != *value).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nothing_of_it_is_evaluated_for_a_charm_that_does_not_use_it() {
    let is_door = "typeof Object.getOwnPropertyDescriptor(globalThis, 'In' + 'tl').get";
    let found = Charm::with_handler(&format!("out.set({is_door});")).out().expect("runs");
    assert_eq!(found, json!("function"));
    expect_each(&[
        ("globalThis['In' + 'tl'].NumberFormat().format(1234)", json!("1,234")),
        ("[1234][`to${'Locale'}String`]()", json!("1,234")),
    ]);
}

#[test]
fn what_a_charm_replaces_is_its_own() {
    expect_each(&[
        (
            "(() => { const real = Intl; globalThis.Intl = 5; const seen = Intl; globalThis.Intl = real; return seen; })()",
            json!(5),
        ),
        ("Object.keys(Intl)", json!([])),
        (
            "(() => { class Mine extends Intl.NumberFormat { format2(n) { return `<${this.format(n)}>`; } } return new Mine('en').format2(1234); })()",
            json!("<1,234>"),
        ),
    ]);
}
