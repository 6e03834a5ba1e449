//! `charm test` of a test in the original's form, `*.test.tsx`: a pattern that uses the one it tests, and has a list of
//! steps. An action is an event; an assertion is a cell that holds `true` when its turn comes.
//!
//! What is deployed is a pattern around it, which gives each step a name: then events and cells are those of any charm.

use std::fmt;

use anyhow::{Context as _, bail};
use bg_charm_api::Runtime;
use bg_poller::{CharmRef, LogLine, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::source::Source;

/// What the names of such files end in, before the extension.
const TEST: &str = ".test";
/// The cell with the list of steps, and what the names of their streams and cells begin with.
const STEPS: &str = "steps";
/// What the name of the pattern around the test begins with.
const AROUND: &str = "steps-of-";

/// The pattern around a test; `{TEST}` is the test's file.
const PATTERN: &str = r#"import { TESTS, pattern } from "commontools";
import test from "./{TEST}";

export default pattern(() => {
  const made = test({});
  const steps = made?.[TESTS] ?? made?.tests;
  if (!Array.isArray(steps)) throw new TypeError("a test returns a list of its steps as [TESTS]");
  const named = {};
  const listed = steps.map((step, index) => {
    const kind = step?.action !== undefined ? "action" : step?.assertion !== undefined ? "assertion" : "other";
    if (kind !== "other") named[`steps ${index}`] = step[kind];
    return { kind, skip: step?.skip === true, keys: Object.keys(step ?? {}).join(", ") };
  });
  return { ...named, steps: listed };
});
"#;

/// A step, as the pattern lists it.
#[derive(Debug, Deserialize)]
struct Listed {
    kind: Kind,
    skip: bool,
    keys: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Action,
    Assertion,
    Other,
}

/// How a step ended.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    kind: Kind,
    result: Ending,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What the action's handler logged.
    pub(super) log: Vec<LogLine>,
    #[serde(skip)]
    pub(super) outcome: Option<Outcome>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Ending {
    Passed,
    Failed,
    Skipped,
}

impl Step {
    fn of(kind: Kind, result: Ending, reason: Option<String>) -> Self {
        Self { kind, result, reason, log: Vec::new(), outcome: None }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.result == Ending::Failed
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Action => "action",
            Kind::Assertion => "assertion",
            Kind::Other => "step",
        };
        let result = match self.result {
            Ending::Passed => "passed",
            Ending::Failed => "FAILED",
            Ending::Skipped => "skipped",
        };
        write!(f, "{kind} {result}")?;
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

/// Whether a file is a test in the original's form.
pub(super) fn is_test(file_name: &str) -> bool {
    let stem = file_name.rsplit_once('.').map_or(file_name, |(stem, _)| stem);
    stem.ends_with(TEST) && stem.len() > TEST.len()
}

/// The charm that has a test's steps as its streams and cells.
pub(super) fn around(test: Source) -> anyhow::Result<Source> {
    let (folder, name) =
        test.file_name.rsplit_once('/').map_or(("", &*test.file_name), |(folder, name)| (folder, name));
    let slash = if folder.is_empty() { "" } else { "/" };
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let file_name = format!("{folder}{slash}{AROUND}{stem}.ts");
    if test.further.contains_key(&file_name) {
        bail!("{file_name} has the name of the pattern that runs the steps of {}; rename it", test.file_name);
    }
    let pattern = PATTERN.replace("{TEST}", name);
    let Source { file_name: first, text: source, mut further, files } = test;
    further.insert(first, source);
    Ok(Source { file_name, text: pattern, further, files })
}

/// Takes the steps of a deployed test, one after another, and hands each to `done`. After an action that failed, the
/// others are taken all the same.
pub(super) async fn take(
    runtime: &dyn Runtime,
    charm: &CharmRef,
    mut done: impl AsyncFnMut(usize, Step) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let steps = cell(runtime, charm, STEPS).await?;
    let steps: Vec<Listed> = serde_json::from_value(steps).context("the test has no list of its steps")?;
    if steps.is_empty() {
        bail!("the test has no steps");
    }
    for (index, Listed { kind, skip, keys }) in steps.into_iter().enumerate() {
        let name = format!("{STEPS} {index}");
        let step = match kind {
            _ if skip => Step::of(kind, Ending::Skipped, None),
            Kind::Other => {
                let reason = format!("a step has an `action` or an `assertion`; this one has: {keys}");
                Step::of(kind, Ending::Failed, Some(reason))
            }
            Kind::Action => act(runtime.trigger(charm, &name, &json!({})).await?),
            Kind::Assertion => assert(&cell(runtime, charm, &name).await?),
        };
        done(index + 1, step).await?;
    }
    Ok(())
}

fn act(outcome: Outcome) -> Step {
    let (result, reason) =
        if outcome.is_success() { (Ending::Passed, None) } else { (Ending::Failed, Some(outcome.to_string())) };
    Step { outcome: Some(outcome), ..Step::of(Kind::Action, result, reason) }
}

fn assert(value: &Value) -> Step {
    match value {
        Value::Bool(true) => Step::of(Kind::Assertion, Ending::Passed, None),
        other => Step::of(Kind::Assertion, Ending::Failed, Some(format!("it is {other}, not true"))),
    }
}

async fn cell(runtime: &dyn Runtime, charm: &CharmRef, name: &str) -> anyhow::Result<Value> {
    Ok(runtime.show(charm).await?.cells.get(name).cloned().unwrap_or(Value::Null))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn tests_are_known_by_their_names() {
        for (name, is) in [
            ("counter.test.tsx", true),
            ("lib/counter.test.ts", true),
            ("counter.tsx", false),
            ("test.tsx", false),
            (".test.ts", false),
            ("a.test.b.ts", false),
        ] {
            assert_eq!(is_test(name), is, "{name}");
        }
    }

    #[test]
    fn the_pattern_around_a_test_stands_beside_it_and_takes_no_others_name() {
        let source = |further: &[&str]| Source {
            file_name: "lib/a.test.tsx".into(),
            text: "the test".into(),
            further: further.iter().map(|name| ((*name).to_owned(), String::new())).collect(),
            files: Vec::new(),
        };
        let made = around(source(&["lib/a.tsx"])).unwrap();
        assert_eq!(made.file_name, "lib/steps-of-a.test.ts");
        assert!(made.text.contains("from \"./a.test.tsx\""), "{}", made.text);
        let files: BTreeMap<_, _> = made.further;
        assert_eq!(files["lib/a.test.tsx"], "the test");
        assert!(around(source(&["lib/steps-of-a.test.ts"])).is_err());
    }
}
