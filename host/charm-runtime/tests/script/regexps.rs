//! Regular expressions over long texts, in the memory and the time that a charm has.

use std::time::Duration;

use bg_poller::OutcomeKind;
use serde_json::json;

use crate::support::{Charm, client, component};

fn source(body: &str) -> String {
    format!(
        "import {{ Cell, Default, handler, pattern }} from \"commontools\";\n\
         const poll = handler<unknown, {{ out: Cell<unknown> }}>((_event, {{ out }}) => {{\n{body}\n}});\n\
         export default pattern<{{ out: Default<unknown, null> }}>(({{ out }}) => ({{ out, bgUpdater: poll({{ out }}) }}));"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_megabyte_is_matched_by_patterns_that_repeat_groups() {
    let component = component(Duration::from_mins(1)).await;
    let body = r#"
const text = "ab".repeat(1 << 19), words = "word ".repeat(200_000), csv = "field,".repeat(170_000);
const found: Record<string, unknown> = {};
for (const [re, of] of [
  [/(a|b)*c/, text + "c"], [/(a|b)*c/, text], [/(?:a|b)+/, text], [/(ab)*/, text], [/(\w+\s)*/, words], [/(\w+\s)*x/, words], [/([^,]*,)*/, csv],
  [/((?:a|b)+)*d/, text], [/((a)|(b))*(?:c|a)/, text], [/(?:ab(?<=b))*$/s, text], [/(a)(?:b\1)*b/u, text], [/(?:\w|é)*$/iu, text + "É"],
] as [RegExp, string][]) {
  const match = re.exec(of);
  found[String(re) + of.length] = match && [match.index, match[0].length, match.length];
}
found.nested = /^((?:a?){0,16}|(?:(?:b?){0,2}?){2}){2,3}$/.test("ab".repeat(20));
found.split = words.split(/(?: )+/).length;
found.replaced = csv.replace(/(?:[a-z]+,)+?/g, "x").length;
out.set(found);"#;
    let mut charm =
        Charm::deploy(&component, "charm.ts", &source(body), &json!({}), client(None)).await.expect("a good charm");
    charm.poll().await;
    assert_eq!(
        charm.cell("out"),
        json!({
            "/(a|b)*c/1048577": [0, 1_048_577, 2], "/(a|b)*c/1048576": null, "/(?:a|b)+/1048576": [0, 1_048_576, 1],
            "/(ab)*/1048576": [0, 1_048_576, 2], r"/(\w+\s)*/1000000": [0, 1_000_000, 2], r"/(\w+\s)*x/1000000": null,
            "/([^,]*,)*/1020000": [0, 1_020_000, 2], "/((?:a|b)+)*d/1048576": null,
            "/((a)|(b))*(?:c|a)/1048576": [0, 1_048_575, 4], "/(?:ab(?<=b))*$/s1048576": [0, 1_048_576, 1],
            r"/(a)(?:b\1)*b/u1048576": [0, 1_048_576, 2], r"/(?:\w|é)*$/iu1048577": [0, 1_048_577, 1],
            "nested": false, "split": 200_001, "replaced": 170_000,
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_long_or_too_much_is_the_charms_own_failure() {
    let component = component(Duration::from_secs(3)).await;
    for (body, kind, message) in [
        (r#"out.set(/((a+)\2?)+b\1/.test("a".repeat(60)));"#, OutcomeKind::Timeout, ""),
        (
            r#"out.set(/((a)|(b)|(ab))*(?:c|[ab])x\1/.test("ab".repeat(4 << 20)));"#,
            OutcomeKind::HandlerFailed,
            "RangeError: a regular expression takes more memory",
        ),
        (
            r#"try { /((a)|(b)|(ab))*(?:c|[ab])x\1/.test("ab".repeat(4 << 20)); } catch (e) { out.set(e.name); throw new Error("seen " + e.name); }"#,
            OutcomeKind::HandlerFailed,
            "Error: seen RangeError",
        ),
    ] {
        let mut charm =
            Charm::deploy(&component, "charm.ts", &source(body), &json!({}), client(None)).await.expect("a good charm");
        let failure = charm.trigger("bgUpdater", json!({})).await.expect_err(body);
        assert_eq!(failure.kind, kind, "{body}: {failure:?}");
        assert!(failure.message.starts_with(message), "{body}: {failure:?}");
    }
}
