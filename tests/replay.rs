//! `charm test` of tests in the original's form.

use std::path::PathBuf;

use bg_test_support::TestHost;
use serde_json::{Value, json};

use crate::common::{fixture, host};

const COUNTER: &str = r#"import { Cell, Default, action, computed, handler, pattern } from "commonfabric";
const bump = handler<{ by?: number }, { value: Cell<number> }>((event, { value }) => {
  console.info("by", event.by);
  if (event.by === 0) throw new Error("by nothing");
  value.set(value.get() + (event.by ?? 1));
});
export default pattern<{ value: Default<number, 0> }>(({ value }) => ({
  value,
  double: computed(() => value * 2),
  bump: bump({ value }),
  reset: action(() => { value.set(0); }),
}));
"#;

/// Writes a test of the counter with these steps.
fn with_steps(host: &TestHost, steps: &str) -> PathBuf {
    host.write("counter.tsx", COUNTER).unwrap();
    let test = format!(
        r#"import {{ Cell, TESTS, action, assert, computed, handler, pattern }} from "commonfabric";
import Counter from "./counter.tsx";
const failing = handler((_, {{ list }}: {{ list: Cell<number[]> }}) => {{ list.push(1); throw new Error("on purpose"); }});
export default pattern(() => {{
  const one = Counter({{}}), five = Counter({{ value: 5 }}), list = Cell.of<number[]>([]);
  return {{ {steps} }};
}});
"#
    );
    host.write("counter.test.tsx", test).unwrap()
}

/// The report of `charm test`, and whether it succeeded.
fn report(host: &TestHost, steps: &str) -> (Value, bool) {
    let file = with_steps(host, steps);
    let done = host.command(["charm", "test", file.to_str().unwrap(), "--json"]).unwrap();
    (serde_json::from_str(&done.stdout).unwrap_or(Value::Null), done.success().is_ok())
}

fn results(report: &Value) -> Vec<(&str, &str)> {
    let text = |step: &'_ Value, name: &str| step[name].as_str().unwrap().to_owned();
    let steps = report["steps"].as_array().unwrap();
    let all = steps.iter().map(|step| (text(step, "kind"), text(step, "result")));
    all.map(|(kind, result)| (&*kind.leak(), &*result.leak())).collect()
}

#[test]
fn the_test_of_the_guide_passes() {
    let host = host();
    let done = host.command(["charm", "test", &fixture("counter.test.tsx"), "--json"]).unwrap().success().unwrap();
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(results(&report), [("assertion", "passed"), ("action", "passed"), ("assertion", "passed")], "{report}");
}

#[test]
fn the_steps_of_a_test_are_taken_in_their_order() {
    let host = host();
    for list in ["[TESTS]", "tests"] {
        let (report, success) = report(
            &host,
            &format!(
                "{list}: [
                  {{ assertion: assert(() => one.value === 0 && five.value === 5) }},
                  {{ action: action(() => {{ one.bump.send({{}}); five.bump.send({{ by: 10 }}); }}) }},
                  {{ assertion: assert(() => one.value === 1 && five.double === 30) }},
                  {{ action: failing({{ list }}), skip: true }},
                  {{ action: five.reset }},
                  {{ assertion: computed(() => five.double === 0 && one.double === 2) }},
                ]"
            ),
        );
        assert!(success, "{report}");
        let passed = [
            ("assertion", "passed"),
            ("action", "passed"),
            ("assertion", "passed"),
            ("action", "skipped"),
            ("action", "passed"),
            ("assertion", "passed"),
        ];
        assert_eq!(results(&report), passed);
        let logged: Vec<&str> =
            report["steps"][1]["log"].as_array().unwrap().iter().filter_map(|line| line["text"].as_str()).collect();
        assert_eq!(logged, ["by undefined", "by 10"]);
    }
}

#[test]
fn a_step_that_fails_is_named_with_its_reason_and_the_others_are_taken() {
    let host = host();
    let steps = "[TESTS]: [
      { assertion: assert(() => one.value === 1) },
      { action: failing({ list }) },
      { assertion: assert(() => list.get().length === 0) },
      { wait: 1 },
    ]";
    let (report, success) = report(&host, steps);
    assert!(!success);
    let expected = [("assertion", "failed"), ("action", "failed"), ("assertion", "passed"), ("other", "failed")];
    assert_eq!(results(&report), expected);
    let reasons: Vec<&Value> = [0, 1, 3].iter().map(|step| &report["steps"][*step]["reason"]).collect();
    assert_eq!(reasons[0], "it is false, not true");
    assert!(reasons[1].as_str().unwrap().contains("on purpose"), "{report}");
    assert_eq!(reasons[2], "a step has an `action` or an `assertion`; this one has: wait");
    assert_eq!(report["success"], json!(false));
    // For people, with the place of the error.
    let file = with_steps(&host, steps);
    let shown = host.command(["charm", "test", file.to_str().unwrap()]).unwrap();
    let shown = shown.failure().unwrap().stdout;
    for part in ["step 1, assertion FAILED: it is false, not true", "counter.test.tsx:3:", "4 steps, 3 failed"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn what_has_no_steps_is_refused_and_a_test_takes_no_inputs() {
    let host = host();
    for (steps, options, reason) in [
        ("one", &[][..], "a test returns a list of its steps as [TESTS]"),
        ("[TESTS]: []", &[], "the test has no steps"),
        ("[TESTS]: [{ assertion: 1 }]", &["--inputs", "{\"a\":1}"], "takes no inputs"),
    ] {
        let file = with_steps(&host, steps);
        let arguments = ["charm", "test", file.to_str().unwrap()];
        let done = host.command(arguments.iter().chain(options)).unwrap().failure().unwrap();
        assert!(done.stderr.contains(reason), "{steps}: {}", done.stderr);
    }
}
