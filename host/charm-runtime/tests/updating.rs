//! Charms as they live in a local runtime: for real, with their TypeScript run by the script component. Their programs
//! are replaced, come of several files, show pages, and link their cells.

#![allow(clippy::unwrap_used, reason = "a test's helper may panic as its test does")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bg_charm_api::{AccessLevel, Actor, DeployRequest, Deployed, LogQuery, SetRequest, Spaces, Subject};
use bg_charm_runtime::{Handlers, LocalHandle, LocalOptions, LocalRuntime};
use bg_egress::{ClientOptions, Gate, GateOptions, Owner};
use bg_identity::{Identity, SpaceDid, space_did, system_space};
use bg_poller::{CharmRef, CharmRuntime, Lookup, RuntimeError};
use bg_sandbox::{CharmComponent, Sandbox, SandboxOptions, World};
use serde_json::{Map, Value, json};

/// Where things of the workspace are.
fn workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

async fn handlers() -> Handlers {
    let guests = tokio::task::spawn_blocking(bg_build::ensure_guests).await.unwrap().unwrap();
    let cache = Some(workspace("target/script-test-cache"));
    let sandbox = Sandbox::new(SandboxOptions { cache, ..SandboxOptions::default() }).unwrap();
    let loaded = sandbox.load(std::fs::read(guests.path("script").unwrap()).unwrap(), World::Charm).await.unwrap();
    let http = Gate::new(GateOptions::default()).client(ClientOptions::new(Owner::Charms)).unwrap();
    Handlers { component: Arc::new(CharmComponent::new(&sandbox, &loaded).unwrap()), http, api_url: None }
}

struct Home {
    dir: tempfile::TempDir,
    handlers: Handlers,
    runtime: Arc<LocalRuntime>,
}

impl Home {
    async fn new() -> Self {
        let (dir, handlers) = (tempfile::tempdir().unwrap(), handlers().await);
        let runtime = open(dir.path(), &handlers);
        Self { dir, handlers, runtime }
    }

    fn operator(&self) -> LocalHandle {
        self.runtime.as_actor(Actor::Operator)
    }

    fn signed(&self, name: &str) -> LocalHandle {
        self.runtime.as_actor(Actor::Did(Identity::from_passphrase(name).did()))
    }

    /// The same database, as another process has it.
    fn another(&self) -> LocalHandle {
        open(self.dir.path(), &self.handlers).as_actor(Actor::Operator)
    }

    async fn deploy(&self, source: &str) -> CharmRef {
        self.operator().deploy(&space(), &request(source, json!({}), None)).await.unwrap().charm
    }

    async fn update(&self, charm: &CharmRef, source: &str, inputs: Value) -> Result<Deployed, RuntimeError> {
        self.operator().deploy(&charm.space, &request(source, inputs, Some(charm))).await
    }

    async fn cells(&self, charm: &CharmRef) -> Value {
        json!(self.operator().show(charm).await.unwrap().cells)
    }

    async fn poll(&self, charm: &CharmRef) {
        let outcome = self.operator().trigger(charm, "bgUpdater", &json!({})).await.unwrap();
        assert!(outcome.is_success(), "{outcome}");
    }

    /// Whether a text is in one of the runtime's files in the clear.
    fn is_on_disk(&self, text: &str) -> bool {
        std::fs::read_dir(self.dir.path()).unwrap().any(|file| {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
    }
}

fn open(dir: &Path, handlers: &Handlers) -> Arc<LocalRuntime> {
    let options = LocalOptions { handlers: Some(handlers.clone()), ..LocalOptions::new(dir.join("runtime.db")) };
    Arc::new(LocalRuntime::open(options).unwrap())
}

fn space() -> SpaceDid {
    space_did("my-space")
}

fn request(source: &str, inputs: Value, charm: Option<&CharmRef>) -> DeployRequest {
    let inputs = match inputs {
        Value::Object(inputs) => inputs,
        _ => Map::new(),
    };
    let charm = charm.map(|charm| charm.charm.clone());
    DeployRequest {
        file_name: "counter.ts".to_owned(),
        source: source.to_owned(),
        files: BTreeMap::new(),
        inputs,
        charm,
    }
}

const IMPORTS: &str = "import { Cell, Default, handler, NAME, pattern, Secret } from \"commontools\";\n";

/// Adds `by` at each poll.
fn counter(by: u32) -> String {
    format!(
        r#"{IMPORTS}
        const poll = handler<unknown, {{ count: Cell<number> }}>((_event, {{ count }}) => {{ count.set(count.get() + {by}); }});
        export default pattern<{{ count: Default<number, 0> }}>(({{ count }}) => ({{
          [NAME]: "Counter by {by}", count, bgUpdater: poll({{ count }}),
        }}));"#
    )
}

#[tokio::test]
async fn a_charm_keeps_its_id_and_its_cells_and_gets_the_new_programs_shape() {
    let home = Home::new().await;
    let charm = home.deploy(&counter(1)).await;
    home.poll(&charm).await;
    home.poll(&charm).await;

    let more = format!(
        r#"{IMPORTS}
        console.log("set up again");
        interface State {{ count: Cell<number>; settings: Cell<{{ step: number }}> }}
        const poll = handler<unknown, State>((_event, {{ count, settings }}) => {{ count.set(count.get() + settings.get().step); }});
        const reset = handler<unknown, {{ count: Cell<number> }}>((_event, {{ count }}) => {{ count.set(0); }});
        export default pattern<{{ count: Default<number, 0>; settings: Default<{{ step: number }}, {{ step: 10 }}>; who: string }}>(
          ({{ count, settings, who }}) => ({{ [NAME]: "More", count, settings, who, poll: poll({{ count, settings }}), reset: reset({{ count }}) }}));"#
    );
    let updated = home.update(&charm, &more, json!({"count": 100, "who": "ann"})).await.unwrap();
    assert_eq!((&updated.charm, updated.created, updated.updated), (&charm, false, true));
    assert_eq!(
        (updated.name.as_deref(), updated.streams.as_slice()),
        (Some("More"), &["poll".into(), "reset".into()][..])
    );
    let expected = json!({"count": 2, "settings": {"step": 10}, "who": "ann"});
    assert_eq!(home.cells(&charm).await, expected, "what is there stays, and inputs are for what is new");
    let shown = home.operator().show(&charm).await.unwrap().summary;
    assert_eq!((shown.name, shown.streams), (updated.name, updated.streams));

    assert!(home.operator().trigger(&charm, "bgUpdater", &json!({})).await.is_err(), "that stream is gone");
    assert!(home.operator().trigger(&charm, "poll", &json!({})).await.unwrap().is_success());
    assert_eq!(home.cells(&charm).await["count"], 12);
    let query = LogQuery { after: None, limit: 10, wait: false };
    let log = home.operator().logs(&charm, query).await.unwrap();
    assert!(log.iter().any(|entry| entry.line.text == "set up again"), "{log:?}");

    // The same again changes nothing.
    let again = home.update(&charm, &more, json!({"count": 100, "who": "ann"})).await.unwrap();
    assert_eq!((again.created, again.updated), (false, false));
    assert_eq!(home.operator().charms(&space()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_first_program_deployed_again_takes_its_place_again() {
    let home = Home::new().await;
    let charm = home.deploy(&counter(1)).await;
    home.update(&charm, &counter(10), json!({})).await.unwrap();
    home.poll(&charm).await;
    assert_eq!(home.cells(&charm).await["count"], 10);
    let again = home.operator().deploy(&space(), &request(&counter(1), json!({}), None)).await.unwrap();
    assert_eq!((&again.charm, again.created, again.updated), (&charm, false, true));
    home.poll(&charm).await;
    assert_eq!(home.cells(&charm).await["count"], 11);
    assert_eq!(again.name.as_deref(), Some("Counter by 1"));
}

#[tokio::test]
async fn a_cell_that_becomes_secret_is_sealed_and_nothing_of_it_stays_in_the_clear() {
    let home = Home::new().await;
    let program = |secret: bool| {
        let key = if secret { "Secret<string>" } else { "string" };
        format!(
            r#"{IMPORTS}
            const poll = handler<unknown, {{ note: Cell<string> }}>((_event, {{ note }}) => {{ note.set("polled"); }});
            export default pattern<{{ config: Default<{{ key: {key} }}, {{ key: "" }}>; note: Default<string, ""> }}>(
              ({{ config, note }}) => ({{ config, note, bgUpdater: poll({{ note }}) }}));"#
        )
    };
    let inputs = json!({"config": {"key": "tok-IN-THE-CLEAR"}});
    let charm = home.operator().deploy(&space(), &request(&program(false), inputs, None)).await.unwrap().charm;
    assert_eq!(home.cells(&charm).await["config"], json!({"key": "tok-IN-THE-CLEAR"}));
    assert!(home.is_on_disk("IN-THE-CLEAR"));

    home.update(&charm, &program(true), json!({})).await.unwrap();
    assert_eq!(home.cells(&charm).await["config"], json!({"key": "(secret)"}));
    assert!(!home.is_on_disk("IN-THE-CLEAR"));
    let path = ["config", "key"].map(str::to_owned);
    assert_eq!(home.operator().secret(&charm, &path).await.unwrap().expose(), "tok-IN-THE-CLEAR");
    home.poll(&charm).await;

    // A program that does not say it, as one whose types were changed by mistake, does not open it to everybody.
    home.update(&charm, &program(false), json!({})).await.unwrap();
    assert_eq!(home.cells(&charm).await["config"], json!({"key": "(secret)"}));
    assert!(!home.is_on_disk("IN-THE-CLEAR"));
}

#[tokio::test]
async fn what_is_secret_stays_so_under_a_program_that_does_not_say_it() {
    let home = Home::new().await;
    let before = format!(
        "{IMPORTS}import {{ str }} from 'commontools';
        export default pattern<{{ vault: Secret<Default<string, 'v4ult-text'>>; note: Default<string, 'n0te-text'> }}>(({{ vault, note }}) => ({{
          vault, note, header: str`Bearer ${{vault}}`, other: str`${{vault}}` }}));"
    );
    let charm = home.deploy(&before).await;
    let after = format!(
        "{IMPORTS}import {{ str }} from 'commontools';
        export default pattern<{{ vault: Default<string, ''>; note: Default<string, ''> }}>(({{ vault, note }}) => ({{
          vault, note, again: str`<${{vault}}>`, other: str`${{note}}` }}));"
    );
    assert!(home.update(&charm, &after, json!({})).await.unwrap().updated);
    let masked = "(secret)";
    let expected = json!({"vault": masked, "note": "n0te-text", "header": masked, "again": masked, "other": masked});
    assert_eq!(home.cells(&charm).await, expected);
    assert!(!home.is_on_disk("v4ult-text") && home.is_on_disk("n0te-text"));
}

#[tokio::test]
async fn a_program_that_does_not_fit_leaves_the_charm_as_it_was() {
    let home = Home::new().await;
    let charm = home.deploy(&counter(1)).await;
    home.poll(&charm).await;
    let before = (home.cells(&charm).await, home.operator().show(&charm).await.unwrap().summary.streams);
    let takes_the_cell = format!(
        "{IMPORTS}const count = handler<unknown, {{}}>(() => {{}});\nexport default pattern(() => ({{ count: count({{}}) }}));"
    );
    let throws =
        format!("{IMPORTS}console.log('so far');\nthrow new Error('no');\nexport default pattern(() => ({{}}));");
    for (source, expected) in [
        ("export default (", "counter.ts:1:"),
        (takes_the_cell.as_str(), "count is a cell of it, and would become a stream"),
        (throws.as_str(), "logged: so far"),
    ] {
        let error = home.update(&charm, source, json!({})).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert_eq!((home.cells(&charm).await, home.operator().show(&charm).await.unwrap().summary.streams), before);
    home.poll(&charm).await;
    assert_eq!(home.cells(&charm).await["count"], 2);

    let mut nothing = charm;
    nothing.charm = bg_identity::CharmId::for_content(b"nothing");
    assert_eq!(home.update(&nothing, &counter(2), json!({})).await, Err(RuntimeError::NotFound(nothing)));
}

#[tokio::test]
async fn who_may_only_write_cannot_replace_a_program_to_read_its_secrets() {
    let home = Home::new().await;
    let ann = home.signed("ann");
    let plain = ann.deploy(&space(), &request(&counter(1), json!({}), None)).await.unwrap().charm;
    let keeper = format!(
        "{IMPORTS}const poll = handler<unknown, {{ auth: Cell<object> }}>(() => {{}});\n\
         export default pattern<{{ auth: {{ token: Secret<string> }} }}>(({{ auth }}) => ({{ auth, bgUpdater: poll({{ auth }}) }}));"
    );
    let inputs = json!({"auth": {"token": "tok-SECRET"}});
    let secret = ann.deploy(&space(), &request(&keeper, inputs, None)).await.unwrap().charm;
    let thief = format!(
        "{IMPORTS}\nexport default pattern<{{ auth: {{ token: string }} }}>(({{ auth }}) => ({{ auth, copy: auth }}));"
    );

    let ben = home.signed("ben");
    // One that has no secret yet may be given one later, by somebody who signs in.
    let refused = ben.deploy(&space(), &request(&counter(2), json!({}), Some(&plain))).await.unwrap_err();
    assert!(matches!(&refused, RuntimeError::Authorization { .. }), "{refused}");
    let refused = ben.deploy(&space(), &request(&thief, json!({}), Some(&secret))).await.unwrap_err();
    assert!(
        matches!(&refused, RuntimeError::Authorization { message, .. } if message.contains("secrets")),
        "{refused}"
    );
    assert!(refused.to_string().contains("needs OWNER"), "{refused}");
    ann.set_acl(&space(), &Subject::Anyone, Some(AccessLevel::Read)).await.unwrap();
    assert!(ben.deploy(&space(), &request(&counter(3), json!({}), Some(&plain))).await.is_err());
    // The owner may, and so may the service, which has access to secrets anyway.
    let other = format!("{keeper}// changed");
    ann.deploy(&space(), &request(&other, json!({}), Some(&secret))).await.unwrap();
    ann.set_acl(&space(), &Subject::Anyone, Some(AccessLevel::Write)).await.unwrap();
    let service = Subject::Did(Identity::from_passphrase("service").did());
    home.operator().set_acl(&system_space(), &service, Some(AccessLevel::Write)).await.unwrap();
    home.signed("service").deploy(&space(), &request(&keeper, json!({}), Some(&secret))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_runs_in_another_process_meanwhile_runs_again_with_the_new_program() {
    let home = Home::new().await;
    let slow = |by: u32| {
        format!(
            r"{IMPORTS}
            const poll = handler<unknown, {{ count: Cell<number> }}>(async (_event, {{ count }}) => {{
              const before = count.get();
              await new Promise((done) => setTimeout(done, 400));
              count.set(before + {by});
            }});
            export default pattern<{{ count: Default<number, 0> }}>(({{ count }}) => ({{ count, bgUpdater: poll({{ count }}) }}));"
        )
    };
    let charm = home.deploy(&slow(1)).await;
    let (other, name) = (home.another(), charm.clone());
    let poll = tokio::spawn(async move { other.trigger(&name, "bgUpdater", &json!({})).await });
    tokio::time::sleep(Duration::from_millis(150)).await;
    home.update(&charm, &slow(10), json!({})).await.unwrap();
    assert!(poll.await.unwrap().unwrap().is_success());
    let count = home.cells(&charm).await["count"].clone();
    // On a slow machine the poll may have begun after the update, or ended before it.
    assert!(count == json!(10) || count == json!(1), "{count}");
    assert_eq!(home.operator().runs(&charm, 10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_shows_no_secret_in_any_form_and_tells_whether_there_is_one() {
    let home = Home::new().await;
    let source = "import { handler, NAME, pattern, UI, type Secret, type Default } from 'commontools';
const look = handler<unknown, {}>(() => {});
export default pattern<{ auth: { token: Secret<Default<string, ''>>; user: Default<string, 'ann'> } }>(({ auth }) => ({
  [NAME]: 'Page',
  [UI]: <p title={btoa(auth.token)}>{auth.user}: {auth.token ? auth.token.split('').join('-') : 'sign in'}</p>,
  auth,
  bgUpdater: look({}),
}));";
    for (inputs, expected) in [(json!({}), "sign in"), (json!({"auth": {"token": "s3cret-t0ken"}}), "(-s-e-c-r-e-t-)")]
    {
        let request = DeployRequest { file_name: "page.tsx".to_owned(), ..request(source, inputs, None) };
        let charm = home.operator().deploy(&space_did("my-space"), &request).await.unwrap().charm;
        let page = home.operator().page(&charm).await.unwrap().unwrap().to_string();
        assert!(page.contains(expected) && page.contains("ann"), "{page}");
        assert!(!page.contains("s-3-c") && !page.contains("s3cret") && !page.contains("czNjcmV0"), "{page}");
        // Who may not read the space sees no page of it.
        assert!(matches!(
            home.runtime.as_actor(Actor::Anonymous).page(&charm).await,
            Err(RuntimeError::Authorization { .. })
        ));
    }
    let none = home.deploy("import { pattern } from 'commontools';\nexport default pattern(() => ({ a: 1 }));").await;
    assert_eq!(home.operator().page(&none).await, Ok(None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charm_of_several_files_is_one_and_its_links_are_followed_by_who_opens_it() {
    let home = Home::new().await;
    let source = "import { Cell, handler, pattern } from 'commontools';
import { type Auth, first } from './lib/first';
const run = handler<unknown, { mails: Cell<string[]>; latest: Cell<string>; leak: Cell<unknown>; auth: Cell<Auth> }>(
  (_, { mails, latest, leak, auth }) => { mails.set([first]); latest.set(mails.key(0) as any); leak.set({ token: auth.key('token') }); });
export default pattern<{ auth: Auth }>(({ auth }) => {
  const mails = Cell.of<string[]>([]), latest = Cell.of(''), leak = Cell.of<unknown>(null);
  return { auth, mails, latest, leak, bgUpdater: run({ mails, latest, leak, auth }) };
});";
    let lib = "import type { Default, Secret } from 'commontools';\nexport interface Auth { token: Secret<Default<string, 't0ken-in-files'>> }\nexport const first = 'one';";
    let mut request = request(source, json!({}), None);
    request.files.insert("lib/first.ts".into(), lib.into());
    let deployed = home.operator().deploy(&space_did("my-space"), &request).await.unwrap();
    let charm = deployed.charm;
    assert!(home.operator().trigger(&charm, "bgUpdater", &json!({})).await.unwrap().is_success());
    let opened = home.another().open(&charm).await.unwrap();
    let path = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    for (keys, expected) in [
        (&["latest"][..], Lookup::Value(json!("one"))),
        (&["leak", "token"], Lookup::Secret),
        (&["leak"], Lookup::Value(json!({"token": null}))),
        (&["auth", "token"], Lookup::Secret),
    ] {
        assert_eq!(opened.get(&path(keys)).await.unwrap(), expected, "{keys:?}");
    }

    // The same files are the same charm, and another file is another one.
    assert!(!home.operator().deploy(&space_did("my-space"), &request).await.unwrap().created);
    request.files.insert("lib/first.ts".into(), lib.replace("one", "two"));
    let other = home.operator().deploy(&space_did("my-space"), &request).await.unwrap();
    assert!(other.created && other.charm != charm);
    request.charm = Some(charm.charm.clone());
    assert!(home.operator().deploy(&space_did("my-space"), &request).await.unwrap().updated);
    assert!(home.operator().trigger(&charm, "bgUpdater", &json!({})).await.unwrap().is_success());
    assert_eq!(home.operator().show(&charm).await.unwrap().cells["mails"], json!(["two"]));

    request.files.insert("lib/first.ts".into(), "import x from 'left-pad';\nexport const first = x;".into());
    let refused = home.operator().deploy(&space_did("my-space"), &request).await.unwrap_err().to_string();
    assert!(refused.contains("lib/first.ts:1:1: the package \"left-pad\" is not available"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn derived_cells_follow_what_is_set_by_hand_at_the_next_call() {
    let home = Home::new().await;
    let charm = home
        .deploy(
            r#"import { Cell, Default, computed, handler, pattern, str } from "commontools";
const poll = handler<{ fail?: boolean }, { n: Cell<number> }>((event, { n }) => { if (event.fail) throw new Error("no"); n.set(n.get() + 1); });
const look = handler<unknown, { n: Cell<number> }>((_event, { n }) => { n.get(); });
export default pattern<{ title: Default<string, "t">; a: Default<number, 1>; n: Default<number, 0> }>(({ title, a, n }) => ({
  title, a, n, hello: str`hello ${title}`, twice: computed(() => a * 2), bgUpdater: poll({ n }), look: look({ n }),
}));"#,
        )
        .await;
    let set = async |handle: LocalHandle, name: &str, value: Value| {
        let request = SetRequest { path: vec![name.to_owned()], value, create: false };
        handle.set(&charm, &request).await.unwrap();
    };
    let derived = async || {
        let cells = home.cells(&charm).await;
        (cells["hello"].clone(), cells["twice"].clone())
    };
    set(home.operator(), "title", json!("world")).await;
    home.poll(&charm).await;
    assert_eq!(derived().await, (json!("hello world"), json!(2)));
    // Another process sets one, and a handler that fails keeps nothing, so that the next one follows.
    set(home.another(), "a", json!(5)).await;
    let failed = home.operator().trigger(&charm, "bgUpdater", &json!({"fail": true})).await.unwrap();
    assert!(!failed.is_success());
    assert_eq!(derived().await, (json!("hello world"), json!(2)));
    // One that writes nothing follows as well.
    let looked = home.operator().trigger(&charm, "look", &json!({})).await.unwrap();
    assert!(looked.is_success(), "{looked}");
    assert_eq!(derived().await, (json!("hello world"), json!(10)));
    // More than are named one by one.
    for number in 0..70 {
        let request = SetRequest { path: vec![format!("extra{number}")], value: json!(1), create: true };
        home.operator().set(&charm, &request).await.unwrap();
    }
    set(home.operator(), "title", json!("again")).await;
    home.poll(&charm).await;
    assert_eq!(derived().await, (json!("hello again"), json!(10)));
}
