//! `charm test` of a test in the original's form, `*.test.tsx`: a pattern that uses the one it tests, and has a list of
//! steps. An action is an event; an assertion is a cell that holds `true` when its turn comes; at `settle`, nothing is
//! left to do, since each call waits for what it has caused.
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

/// What precedes the reason of an assertion that does not hold.
const UNMET: &str = "Unmet: ";

/// The pattern around a test; `{TEST}` is the test's file.
const PATTERN: &str = r#"import { TESTS, handler, pattern } from "commontools";
import * as file from "./{TEST}";

const { default: test, fetchMocks: mocks } = file;

if (Array.isArray(mocks)) {
  const send = globalThis.fetch;
  globalThis.fetch = async (resource, options) => {
    const url = String(resource?.url ?? resource);
    const found = mocks.find((mock) => url.includes(mock.urlIncludes));
    if (found === undefined) return send(resource, options);
    const body = typeof found.base64Body === "string" ? Uint8Array.from(atob(found.base64Body), (one) => one.charCodeAt(0)) : found.body ?? "";
    return new Response(body, { status: found.status ?? 200, headers: { "content-type": found.contentType ?? "application/json" } });
  };
}

const shown = (value) => {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return "something that has no JSON";
  }
};

// Fails unless the assertion holds.
const check = handler((_event, { assertion }) => {
  const value = typeof assertion?.get === "function" ? assertion.get() : assertion;
  if (value !== true) throw Object.assign(new Error(`it is ${shown(value)}, not true`), { name: "Unmet" });
});

const kinds = ["action", "assertion", "settle"];

export default pattern(() => {
  const made = test({});
  const steps = made?.[TESTS] ?? made?.tests;
  if (!Array.isArray(steps)) throw new TypeError("a test returns a list of its steps as [TESTS]");
  const named = {};
  const listed = steps.map((step, index) => {
    const kind = kinds.find((kind) => step?.[kind] !== undefined) ?? "other";
    if (kind === "action") named[`steps ${index}`] = step.action;
    if (kind === "assertion") named[`steps ${index}`] = check({ assertion: step.assertion });
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
    Settle,
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
            Kind::Settle => "settling",
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
                let reason = format!("a step has an `action`, an `assertion` or `settle`; this one has: {keys}");
                Step::of(kind, Ending::Failed, Some(reason))
            }
            // Each call waits for what it has caused.
            Kind::Settle => Step::of(kind, Ending::Passed, None),
            Kind::Action | Kind::Assertion => ended(kind, runtime.trigger(charm, &name, &json!({})).await?),
        };
        done(index + 1, step).await?;
    }
    Ok(())
}

fn ended(kind: Kind, outcome: Outcome) -> Step {
    let (result, reason) =
        if outcome.is_success() { (Ending::Passed, None) } else { (Ending::Failed, Some(reason_of(kind, &outcome))) };
    Step { outcome: Some(outcome), ..Step::of(kind, result, reason) }
}

/// Why a step failed. The error of an assertion that does not hold is what it holds.
fn reason_of(kind: Kind, outcome: &Outcome) -> String {
    let text = outcome.to_string();
    match (kind, text.split_once(UNMET)) {
        (Kind::Assertion, Some((_, reason))) => reason.lines().next().unwrap_or_default().to_owned(),
        _ => text,
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
