//! Integrations as authors build them, in Rust, JavaScript and Python: the same gate applies to all.

mod build;

use std::path::Path;
use std::time::Duration;

use bg_test_support::{Authorization, FakeGoogle, Finished, TestHost};
use serde_json::{Value, json};

use crate::common::{deploy, fixture, host, register};
use crate::gmail::not_on_disk;
use crate::workshop::{JAVASCRIPT, Language, PYTHON, RUST};
use build::{WAYS, Way};

/// Compiling 22 MB takes half a minute on a fast processor.
const PATIENCE: Duration = Duration::from_mins(10);

#[test]
fn a_component_in_rust_for_wasip2_goes_through_the_gate() {
    goes_through_the_gate(RUST);
}

#[test]
fn a_component_in_javascript_goes_through_the_gate() {
    goes_through_the_gate(JAVASCRIPT);
}

#[test]
fn a_component_in_python_goes_through_the_gate() {
    goes_through_the_gate(PYTHON);
}

#[test]
fn all_three_have_the_same_manifest() {
    let manifests = WAYS.map(|way| {
        let text = std::fs::read_to_string(way.sources().join("integration.toml")).unwrap();
        let mut manifest = bg_manifest::Manifest::parse(&text).unwrap();
        assert_eq!(manifest.integration.id.to_string(), way.id);
        manifest.integration.id = WAYS[0].id.parse().unwrap();
        manifest.integration.name.clear();
        manifest
    });
    assert!(manifests.iter().all(|manifest| *manifest == manifests[0]), "{manifests:?}");
}

/// A mailbox charm with a token and a charm without a token or a stream, both registered for the integration.
struct World {
    way: Way,
    component: String,
    host: TestHost,
    google: FakeGoogle,
    secrets: [String; 2],
    charm: String,
    unfit: String,
}

impl World {
    fn new(way: Way, component: &Path) -> Self {
        let host = host().timeout(PATIENCE);
        let google = FakeGoogle::start().unwrap();
        let secrets = [google.issue_token(), google.issue_refresh_token()];
        let inputs = json!({
            "auth": {"token": secrets[0], "refreshToken": secrets[1], "user": {"email": google.user()}},
            "settings": {"gmailFilterQuery": "in:INBOX", "limit": 100, "historyId": google.history_id().to_string()},
            "apiBaseUrl": google.base_url(),
        });
        let charm = deploy(&host, &fixture("gmail.tsx"), "mail", &inputs);
        let unfit = deploy(&host, &fixture("counter.tsx"), "elsewhere", &json!({}));
        std::fs::remove_file(host.dir().join("inputs.json")).unwrap();
        register(&host, &charm, way.id);
        register(&host, &unfit, way.id);
        let component = component.to_str().unwrap().to_owned();
        Self { way, component, host, google, secrets, charm, unfit }
    }

    /// `run --once`, with options that grant something.
    fn run(&self, grants: &[&str]) -> Run {
        let (id, base) = (self.way.id, self.google.base_url());
        let settings = [
            format!("{id}.api-base-url={base}"),
            // A listener that could be reached if there were a way around the gate.
            format!("{id}.probe={}", base.trim_start_matches("http://")),
        ];
        let common = ["run", "--once", "--log", "trace", "--log-format", "json", "--component", &self.component];
        let set = settings.iter().flat_map(|setting| ["--set", setting]);
        let charms = ["--allow-private", &base, "--allow-charm-http", &base];
        let args: Vec<&str> = common.into_iter().chain(set).chain(charms).chain(grants.iter().copied()).collect();
        // Because of the unfit charm, the status is 1.
        let run = Run(self.host.command(&args).unwrap());
        for secret in &self.secrets {
            assert!(!run.0.to_string().contains(secret.as_str()), "a token is in the output: {}", run.0);
        }
        run
    }

    /// The gate's lines about this integration.
    fn audit(&self, run: &Run) -> Vec<Value> {
        let owner = format!("integration {}", self.way.id);
        run.lines("egress").into_iter().filter(|line| line["owner"] == owner.as_str()).collect()
    }
}

/// The output of a run.
struct Run(Finished);

impl Run {
    fn lines(&self, target: &str) -> Vec<Value> {
        let lines = self.0.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["target"] == target).collect()
    }

    /// What the component logged.
    fn logged(&self) -> Vec<String> {
        let lines = self.lines("guest").into_iter();
        lines.map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    fn polled(&self, charm: &str) -> bool {
        self.0.stderr.contains(&format!("Successfully executed charm {charm}"))
    }
}

fn goes_through_the_gate(language: Language) {
    let way = WAYS.into_iter().find(|way| way.language == language).unwrap();
    let Some(component) = way.component() else { return };
    inspect_shows_what_its_imports_give_access_to(way, &component);
    let world = World::new(way, &component);
    let World { host, google, charm, unfit, .. } = &world;
    let attempt = bg_abuse::Attempt::begin("versions", format!("a component made with {}", way.language.section));

    // Nothing is granted: its query is denied by the rule that applies to everyone, and the charm is polled without
    // asking.
    let denied = world.run(&["--initialize"]);
    let found: Vec<String> = denied.logged().into_iter().filter(|line| line.starts_with("probe: ")).collect();
    assert!(found.contains(&"probe: nothing".to_owned()) && !denied.0.stderr.contains("FOUND"), "{}", denied.0);
    let audit = world.audit(&denied);
    assert_eq!(audit.len(), 1, "{audit:#?}");
    let fields = &audit[0];
    let base = google.base_url();
    for (field, expected) in [
        ("decision", json!("denied")),
        ("rule", json!("no-grant")),
        ("charm", json!(charm)),
        ("method", json!("GET")),
        ("origin", json!(base)),
        ("path", json!("/gmail/v1/users/me/history")),
        ("option", json!(format!("--allow-http {}={base}/gmail/v1/", way.id))),
        ("credential", json!(false)),
    ] {
        assert_eq!(fields[field], expected, "{field} in {audit:#?}");
    }
    assert!(denied.logged().contains(&"call 1: 2 of 2 charms are worth a poll".to_owned()), "{}", denied.0);
    assert!(denied.polled(charm), "{}", denied.0);
    // `is-valid-charm` was called: the charm has an updater stream, but no sign-in.
    assert!(!denied.polled(unfit) && denied.0.stderr.contains("finds the charm unfit"), "{}", denied.0);
    attempt.ended(fields["rule"].as_str().unwrap());
    google.take_requests();

    // Everything is granted, and nothing is new: it asks as the charm, and skips it.
    let quiet = world.run(&["--grant", "requested"]);
    assert!(!quiet.polled(charm), "{}", quiet.0);
    assert!(quiet.logged().contains(&"call 2: 1 of 2 charms are worth a poll".to_owned()), "{}", quiet.0);
    let asked = google.take_requests();
    let [question] = asked.as_slice() else { panic!("one question: {asked:?}") };
    assert_eq!((question.authorization, question.token_leaked), (Authorization::Accepted, false), "{question:?}");
    assert!(!question.header_names.contains(&"bg-charm".to_owned()), "{question:?}");
    assert_eq!(world.audit(&quiet)[0]["decision"], "allowed");

    // Mail has arrived.
    google.deliver("Hello", "someone@example.com");
    let news = world.run(&["--grant", "requested"]);
    assert!(news.polled(charm), "{}", news.0);
    assert!(news.logged().contains(&"call 3: 2 of 2 charms are worth a poll".to_owned()), "{}", news.0);
    let asked = google.take_requests();
    assert!(asked.iter().all(|request| request.authorization == Authorization::Accepted), "{asked:?}");

    for secret in &world.secrets {
        not_on_disk(host, secret);
    }
}

/// `inspect` shows what it asks for, from the manifest next to it, and marks the imports that give access to nothing.
fn inspect_shows_what_its_imports_give_access_to(way: Way, component: &Path) {
    let host = host().timeout(PATIENCE);
    let file = component.to_str().unwrap();
    let text = host.command(["inspect", file]).unwrap().success().unwrap().stdout;
    for part in [way.id, "GET https://gmail.googleapis.com/gmail/v1/", "charm.auth.token", "fetch-charms"] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
    let json = host.command(["inspect", file, "--json"]).unwrap().success().unwrap().stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["world"], "integration");
    assert_eq!(json["manifest"]["integration"]["id"], way.id);
    let imports = json["imports"].as_array().unwrap();
    let behind = |package: &str| {
        let found = imports.iter().find(|import| import["name"].as_str().unwrap().starts_with(package));
        found.unwrap_or_else(|| panic!("{package} is not imported: {text}"))["behind"].as_str()
    };
    assert_eq!(behind("wasi:filesystem/preopens@"), Some("empty: no files"));
    assert_eq!(behind("wasi:cli/stdin@"), Some("empty: no input"));
    assert_eq!(behind("wasi:cli/stdout@"), Some("goes to the log"));
    assert!(behind("wasi:http/outgoing-handler@").unwrap().starts_with("through the gate"));
    assert_eq!(behind("commontools:background/charms@"), None);
    // No JavaScript engine imports these.
    if way.language != JAVASCRIPT {
        assert_eq!(behind("wasi:cli/environment@"), Some("empty: no variables, no arguments"));
        assert_eq!(behind("wasi:sockets/tcp@"), Some("empty: no network, no names"));
    }
}
