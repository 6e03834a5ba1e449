//! Links are made by the charm's program alone, and lead to nothing secret.

use serde_json::{Value, json};

use super::{Charm, response};

/// What a link to a cell looks like.
fn link(cell: &str, path: &[&str]) -> Value {
    json!({"/": {"link@1": {"id": format!("of:{cell}"), "path": path}}})
}

/// How data of that shape is stored.
fn stored(cell: &str, path: &[&str]) -> Value {
    json!({"//": {"link@1": {"id": format!("of:{cell}"), "path": path}}})
}

/// A charm with a token, that writes back what it reads, keeps what it is sent and what a server answers, and derives from that.
fn copier() -> Charm {
    let charm = Charm::new(
        r#"
import { pattern, handler, computed, derive, Cell } from "commontools";
const poll = handler((_, { items }) => items.set(items.get()));
const keep = handler((event, { items, made }) => {
  items.push(event);
  made.set(event);
  made.key("twice").key("/").set(event?.["/"] ?? null);
  items.push({ [Symbol.for("x")]: 1, toJSON: () => event });
  items.push(JSON.parse(JSON.stringify(event)));
});
const ask = handler(async (_, { items }) => items.set([await (await fetch("https://api.example/")).json()]));
const show = handler((_, { items, derived, made, out }) => out.set(JSON.stringify([items.get(), derived.get(), made.get()])));
export default pattern(({ auth, items }) => {
  const out = Cell.of(null), made = Cell.of(null), derived = derive(items, (items) => ({ copy: items }));
  return { auth, items, derived, made, out, poll: poll({ items }), keep: keep({ items, made }), ask: ask({ items }), show: show({ items, derived, made, out }) };
}, { properties: { auth: { default: { token: "t0ken" }, properties: { token: { ifc: { classification: ["secret"] } } } }, items: { default: [] } } });"#,
    );
    charm.outside.secrets.replace(json!([["auth", "token"]]));
    charm
}

fn texts(charm: &Charm) -> String {
    let cells = charm.outside.cells.borrow();
    cells.iter().filter(|(name, _)| *name != "auth").map(|(_, text)| text.as_str()).collect()
}

#[test]
fn data_in_the_shape_of_a_link_is_kept_and_given_back_as_it_came_whichever_way_it_comes_in() {
    let forged = [
        link("auth", &["token"]),
        link("auth", &[]),
        json!({"a": [link("auth", &["token"])], "/": 1, "//": {"/": 2}, "x/": 3}),
    ];
    for data in forged {
        for stream in ["keep", "ask"] {
            let charm = copier();
            let answer = data.to_string();
            let charm = charm.answering(move |_| Ok(response(200, &answer)));
            charm.setup(&json!({"items": [data]}).to_string()).expect("a good charm");
            charm.handle(stream, &data.to_string()).expect("keeps");
            charm.handle("poll", "{}").expect("polls");
            charm.handle("poll", "{}").expect("polls");
            assert!(!texts(&charm).contains("t0ken"), "{stream}: {}", texts(&charm));
            assert!(!texts(&charm).contains("{\"/\":"), "{stream}: {}", texts(&charm));
            charm.handle("show", "{}").expect("shows");
            let shown: Value = serde_json::from_str(charm.cell("out").as_str().expect("a text")).expect("JSON");
            let items = shown[0].as_array().expect("a list");
            assert!(items.iter().all(|item| *item == data), "{shown} is not {data}");
            assert_eq!(shown[1]["copy"], shown[0]);
            if stream == "keep" {
                assert_eq!(items.len(), 4);
                assert_eq!(shown[2]["twice"]["/"], data.get("/").cloned().unwrap_or_default());
            }
        }
    }
    let charm = copier();
    charm.setup(&json!({"items": [link("auth", &["token"])]}).to_string()).expect("a good charm");
    assert_eq!(charm.cell("items"), json!([stored("auth", &["token"])]));
    assert_eq!(charm.cell("derived"), json!({"copy": [stored("auth", &["token"])]}));
}

#[test]
fn what_is_secret_is_absent_behind_a_link() {
    let charm = Charm::new(
        r#"
import { pattern, handler, derive, Cell } from "commontools";
const link = handler((_, { auth, box }) => box.set({ auth, token: auth.token, user: auth.user, all: [auth] }));
const read = handler({}, { properties: { box: { asCell: true }, cells: { asCell: true }, out: { asCell: true } } }, (_, { box, out }) => {
  const keys = [box.key("auth").key("token").get(), box.token.get(), box.auth.get(), box.all[0].token.get()];
  out.set({ box: box.get(), keys, user: box.user.get() });
});
const cells = handler({}, { properties: { box: { properties: { auth: { asCell: true } } }, out: { asCell: true } } }, (_, { box, out }) => {
  out.set([box.auth.get(), box.auth.token.get(), box.auth]);
});
const whole = handler({}, { properties: { box: { properties: { auth: { asCell: true } } } } }, (_, { box }) => {
  box.auth.update((auth) => ({ ...auth, user: "x" }));
});
const part = handler((_, { box }) => { box.auth.user.set("bob"); box.token.set("new"); });
export default pattern(({ auth }) => {
  const box = Cell.of(null), out = Cell.of(null);
  return {
    auth, box, out, shown: derive(box, (box) => box?.auth?.user),
    link: link({ auth, box }), read: read({ box, out }), cells: cells({ box, out }), whole: whole({ box }), part: part({ box }),
  };
}, { properties: { auth: { default: { token: "t0ken", user: "ann" }, properties: { token: { ifc: { classification: ["secret"] } } } } } });"#,
    );
    charm.setup("{}").expect("a good charm");
    charm.handle("link", "{}").expect("links");
    assert_eq!(charm.cell("box")["token"], link("auth", &["token"]));
    charm.handle("read", "{}").expect("reads");
    let ann = json!({"user": "ann"});
    assert_eq!(
        charm.cell("out"),
        json!({"box": {"auth": ann, "user": "ann", "all": [ann]}, "keys": [null, null, ann, null], "user": "ann"})
    );
    charm.handle("cells", "{}").expect("reads");
    assert_eq!(charm.cell("out"), json!([ann, null, link("auth", &[])]));
    let failure = charm.handle("whole", "{}").expect_err("the secret would be lost");
    assert!(failure.message.contains("\"auth\" has secrets, which are not read through a link"), "{failure:?}");
    charm.handle("part", "{}").expect("writes");
    // What is set at a link takes its place; what is set behind it, is set where it leads.
    assert_eq!(charm.cell("auth"), json!({"token": "t0ken", "user": "bob"}));
    assert_eq!(charm.cell("box")["token"], json!("new"));
}

#[test]
fn what_a_patterns_body_computes_from_a_secret_is_secret() {
    let charm = |header: &str| {
        Charm::new(&format!(
            r#"
import {{ pattern, Cell, NAME }} from "commontools";
export default pattern(({{ auth }}) => {{
  const header = `Bearer ${{{header}}}`, made = Cell.of(header);
  return {{ [NAME]: `for ${{{header}}}`, auth, header, list: [header], made, inner: {{ made }} }};
}}, {{ properties: {{ auth: {{ default: {{ token: "t0ken", user: "ann" }}, properties: {{ user: {{ type: "string" }}, token: {{ ifc: {{ classification: ["secret"] }} }} }} }} }} }});"#
        ))
    };
    let secrets = |header: &str| {
        let charm = charm(header);
        let shape = charm.setup("{}").expect("a good charm");
        let mut secrets: Vec<_> = shape.secrets.iter().map(|path| path.join("/")).collect();
        secrets.sort();
        (shape.name, secrets)
    };
    let all = ["auth/token", "header", "inner/made", "list", "made"].map(str::to_owned).to_vec();
    assert_eq!(secrets("auth.token"), (None, all));
    assert_eq!(secrets("auth.user"), (Some("for ann".to_owned()), vec!["auth/token".to_owned()]));
}

#[test]
fn a_cell_that_is_copied_carries_its_secrets_to_secret_places_alone() {
    let charm = Charm::new(
        r#"
import { pattern, handler, derive, str, Cell } from "commontools";
const copy = handler((_, { auth, header, vault, out }) => {
  out.set({ header, made: Cell.of(auth), length: header.get().length });
  vault.set({ token: auth.token, note: auth.token, user: auth.user });
  auth.key("note").set(auth.token);
  auth.key("list").push(auth.token);
});
const fresh = handler((_, { out }) => out.set([Cell.of("x", { ifc: { classification: ["secret"] } })]));
export default pattern(({ auth, vault }) => {
  const out = Cell.of(null), early = Cell.of(auth.token), box = Cell.of({}), header = str`Bearer ${auth.token}`;
  box.set({ auth, list: [auth.token] });
  return { auth, vault, out, early, box, copy: copy({ auth, header, vault, out }), fresh: fresh({ out }) };
}, { properties: {
  auth: { default: { token: "t0ken", user: "ann" }, properties: { token: { ifc: { classification: ["secret"] } } } },
  vault: { properties: { token: { ifc: { classification: ["secret"] } } } },
} });"#,
    );
    let shape = charm.setup("{}").expect("a good charm");
    let mut secrets: Vec<_> = shape.secrets.iter().map(|path| path.join("/")).collect();
    secrets.sort();
    assert_eq!(secrets, ["auth/token", "box/auth/token", "box/list/0", "early", "vault/token"]);
    charm.handle("copy", "{}").expect("copies");
    assert_eq!(charm.cell("vault"), json!({"token": "t0ken", "user": "ann"}));
    assert_eq!(charm.cell("auth"), json!({"token": "t0ken", "user": "ann", "note": null, "list": [null]}));
    let out = charm.cell("out");
    assert_eq!((&out["header"], &out["length"]), (&Value::Null, &json!(12)));
    let cells = charm.outside.cells.borrow();
    let made = cells.iter().find(|(name, _)| name.starts_with("__cell/")).expect("a cell of its own");
    assert_eq!(made.1, r#"{"user":"ann"}"#);
    drop(cells);
    let failure = charm.handle("fresh", "{}").expect_err("nobody would know that it is secret");
    assert!(failure.message.contains("a cell that a handler makes can't hold secrets"), "{failure:?}");
}
