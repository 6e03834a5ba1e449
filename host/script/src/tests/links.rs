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

/// A charm with a token, that writes back what it reads, keeps what it is sent and what a server answers, and derives
/// from that.
fn copier() -> Charm {
    Charm::new(
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
    )
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
    assert_eq!(secrets, ["auth/token", "box/auth/**/<secret>", "box/auth/token", "box/list/0", "early", "vault/token"]);
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

#[test]
fn what_a_derived_cell_follows_from_a_secret_only_later_is_not_stored() {
    let charm = Charm::new(
        r#"
import { pattern, handler, derive, lift, computed, fetchData, Cell } from "commontools";
const turn = handler((_, { flag, auth }) => { flag.set(true); });
const set = handler((_, { googleAuth }) => googleAuth.set({ user: "ann", token: "g00gle" }));
export default pattern(({ auth, flag, googleAuth }) => {
  const late = () => flag.get() ? auth.get().token : "";
  return {
    auth, flag, googleAuth,
    closure: derive(flag, (flag) => flag ? auth.get().token : ""), lifted: lift((flag) => flag ? `Bearer ${auth.token}` : "")(flag),
    named: computed(late), cell: derive(flag, (flag) => flag ? auth : null), group: { list: [derive(flag, (flag) => flag ? auth.token : 0)] },
    user: derive(googleAuth, (all) => JSON.stringify(all)), open: derive(flag, (flag) => String(flag)),
    turn: turn({ flag, auth }), set: set({ googleAuth }),
  };
}, { properties: {
  auth: { default: { token: "t0ken" }, properties: { token: { ifc: { classification: ["secret"] } } } }, flag: { default: false },
  googleAuth: { type: "object", properties: { user: { type: "string", default: "" } } },
} });"#,
    );
    charm.setup("{}").expect("a good charm");
    charm.handle("turn", "{}").expect("turns");
    charm.handle("set", "{}").expect("sets");
    for name in ["closure", "lifted", "named", "cell", "group", "user"] {
        assert_eq!(charm.cell(name), Value::Null, "{name}");
    }
    assert_eq!(charm.cell("open"), json!("true"));
    let lines = charm.outside.lines.borrow();
    assert!(lines.iter().any(|(_, line)| line.starts_with("closure follows from a secret")), "{lines:?}");
}

#[test]
fn cells_that_other_objects_carry_leave_their_secrets_behind() {
    let charm = Charm::new(
        r#"
import { pattern, handler, derive, Cell } from "commontools";
class Info { constructor(cell) { this.cell = cell; } }
class Given { constructor(cell) { this.cell = cell; } toJSON() { return { given: this.cell }; } }
const keep = handler((event, { out }) => out.set(event));
const send = handler((_, { auth, kept, out }) => { kept.send({ account: auth, list: [auth.token] }); });
const give = handler((_, { auth, out }) => out.set([new Given(auth), new Info(auth)]));
const deep = (cell, depth) => depth === 0 ? cell : { in: deep(cell, depth - 1) };
export default pattern(({ auth, flag }) => {
  const out = Cell.of(null), kept = keep({ out });
  return { auth, out, flag, kept, info: new Info(auth), mixed: [new Info(auth), flag], deep: deep(auth, 30), send: send({ auth, kept, out }), give: give({ auth, out }) };
}, { properties: { auth: { default: { token: "t0ken", user: "ann" }, properties: { token: { ifc: { classification: ["secret"] } } } }, flag: { default: 1 } } });"#,
    );
    charm.setup("{}").expect("a good charm");
    charm.handle("send", "{}").expect("sends");
    assert_eq!(charm.cell("out"), json!({"account": {"user": "ann"}, "list": [null]}));
    charm.handle("give", "{}").expect("gives");
    assert_eq!(charm.cell("out")[0], json!({"given": {"user": "ann"}}));
    assert!(!texts(&charm).contains("t0ken"), "{}", texts(&charm));
}

#[test]
fn nothing_is_written_through_a_link_that_stands_in_a_secret() {
    let charm = Charm::new(
        r#"
import { pattern, handler, Cell } from "commontools";
const key = handler((_, { vault }) => vault.key("k").set("s3cret"));
const push = handler((_, { vault }) => vault.key("k").push("s3cret"));
const whole = handler((_, { vault }) => { vault.set({}); vault.key("k").set("s3cret"); });
export default pattern(({ vault, open }) => ({ vault, open, key: key({ vault }), push: push({ vault }), whole: whole({ vault }) }),
  { properties: { vault: { properties: { k: { ifc: { classification: ["secret"] } } } }, open: { default: {} } } });"#,
    );
    charm.setup("{}").expect("a good charm");
    for (stream, stored) in [("key", link("open", &[])), ("push", json!({"k": link("open", &["list"])}))] {
        charm.outside.cells.borrow_mut().insert("vault".into(), stored.to_string());
        let failure = charm.handle(stream, "{}");
        assert!(!charm.cell("open").to_string().contains("s3cret"), "{stream}");
        let failure = failure.expect_err("it would lie in the open");
        assert!(failure.message.contains("there is a link in it from before"), "{failure:?}");
    }
    charm.outside.cells.borrow_mut().insert("vault".into(), link("open", &[]).to_string());
    charm.handle("whole", "{}").expect("sets");
    assert_eq!((charm.cell("vault"), charm.cell("open")), (json!({"k": "s3cret"}), json!({})));
}
