//! `charm check`.

use serde_json::Value;

use crate::common::{fixture, host};

#[test]
fn all_that_is_wrong_with_a_charm_is_named_at_once() {
    let host = host();
    host.write("client.ts", "import { nobody } from \"commontools\";\nexport const client = () => nobody(document);\n")
        .unwrap();
    let charm = r#"import { Cell, handler, nothing, pattern } from "commontools";
import { client } from "./client";
import axios from "axios";
const poll = handler<unknown, { list: Cell<number[]> }>((_, { list }) => { list.set(axios(client(nothing))); });
export default pattern<{ list: number[] }>(({ list }) => ({ list, bgUpdater: poll({ list }) }));
"#;
    let file = host.write("charm.tsx", charm).unwrap();
    let file = file.to_str().unwrap();
    let shown = host.command(["charm", "check", file]).unwrap().failure().unwrap().stdout;
    for part in [
        "error: charm.tsx:1:25: \"commontools\" has no \"nothing\"",
        "error: charm.tsx:3:1: the package \"axios\" is not available",
        "error: client.ts:1:10: \"commontools\" has no \"nobody\"",
        "error: client.ts:2:36: `document` is not available",
        "the charm cannot be deployed: 4 errors, 0 warnings",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let json = host.command(["charm", "check", file, "--json"]).unwrap().failure().unwrap().stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json["errors"].as_array().unwrap().len(), &json["deploys"]), (4, &Value::Bool(false)));
}

#[test]
fn a_charm_that_fails_when_it_is_set_up_cannot_be_deployed_and_warnings_are_printed() {
    let host = host();
    let charm = |body: &str| {
        format!(
            "import {{ Cell, handler, pattern }} from \"commontools\";\n\
             const poll = handler<unknown, {{ list: Cell<number[]> }}>((_, {{ list }}) => {{ list.set(list.get().push(1)); }});\n\
             export default pattern<{{ list: number[] }}>(({{ list }}) => {{\n{body}\n  return {{ list, bgUpdater: poll({{ list }}) }};\n}});\n"
        )
    };
    let warning = "warning: charm.tsx:2:";
    let file = host.write("charm.tsx", charm("  throw new Error(\"on purpose\");")).unwrap();
    let shown = host.command(["charm", "check", file.to_str().unwrap()]).unwrap().failure().unwrap().stdout;
    for part in ["on purpose", "charm.tsx:4:", warning, "the charm cannot be deployed: 1 error, 1 warning"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let file = host.write("charm.tsx", charm("")).unwrap();
    let shown = host.command(["charm", "check", file.to_str().unwrap()]).unwrap().success().unwrap().stdout;
    assert!(shown.contains(warning) && shown.contains("the charm can be deployed: 0 errors, 1 warning"), "{shown}");
    let shown = host.command(["charm", "check", &fixture("counter.tsx")]).unwrap().success().unwrap().stdout;
    assert_eq!(shown.trim(), "the charm can be deployed: 0 errors, 0 warnings");
}
