//! Holds the API to the OpenAPI document that the server gives of itself: requests that are made of the document's
//! schemas, good and bad ones, get answers that it describes. `OPENAPI_SEED=N cargo test --test openapi -- --nocapture`
//! chooses others, and shows what was tried.
#![allow(clippy::unwrap_used, reason = "a test's helper may panic as its test does")]
#![allow(unreachable_pub, reason = "its modules share what is in them")]

#[path = "../common/mod.rs"]
mod common;
mod document;
mod guide;
mod published;
mod random;
mod scene;
mod tally;
mod valid;
mod wrong;

use std::time::{SystemTime, UNIX_EPOCH};

use bg_test_support::HttpReply;
use serde_json::Value;

use document::{Document, Operation, Parameter};
use random::Random;
use scene::{Request, Scene, Sender};
use tally::Tally;
use valid::Valid;

/// Good requests to each operation.
const GOOD: usize = 40;
/// How many bodies with one mistake are tried, of all.
const WRONG_BODIES: usize = 150;
/// After this many requests, their changes are undone.
const RESTORE: usize = 10;

const JSON: Option<&str> = Some("application/json");

/// A request, its sender, and a description for people.
type Try = (String, Request, Sender);

/// The tries of one operation.
struct Trial<'a> {
    valid: &'a Valid<'a>,
    operation: &'a Operation,
    random: &'a mut Random,
    tries: Vec<Try>,
}

fn seed() -> u64 {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    std::env::var("OPENAPI_SEED").map_or_else(|_| now(), |seed| seed.parse().expect("OPENAPI_SEED is a number"))
}

/// A value as it is written in a path or a query.
fn written(parameter: &Parameter, value: &Value) -> String {
    let text = match value {
        Value::String(text) if !parameter.json => text.clone(),
        other => other.to_string(),
    };
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

impl Trial<'_> {
    /// A request that is as it is described, with another text in place of the parameter of that name.
    fn request(&mut self, changed: Option<(&str, &str)>) -> Request {
        let Self { valid, operation, random, .. } = self;
        let mut target = operation.path.clone();
        let mut query = Vec::new();
        for parameter in &operation.parameters {
            let change = changed.filter(|(name, _)| *name == parameter.name).map(|(_, text)| text.to_owned());
            if change.is_none() && !parameter.required && random.once_in(2) {
                continue;
            }
            let text =
                change.unwrap_or_else(|| written(parameter, &valid.value(&parameter.name, &parameter.schema, random)));
            if parameter.in_path {
                target = target.replace(&format!("{{{}}}", parameter.name), &text);
            } else {
                query.push(format!("{}={text}", parameter.name));
            }
        }
        if !query.is_empty() {
            target = format!("{target}?{}", query.join("&"));
        }
        let body = operation.body.as_ref().map(|schema| valid.value("", schema, random));
        if let Some(body) = &body {
            let problem = valid.document.problem(&operation.body_at, body);
            assert_eq!(problem, None, "{} would be sent what is not valid: {body}", operation.id);
        }
        let content_type = body.is_some().then_some(JSON).flatten();
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        Request { method: operation.method.clone(), target, content_type, body }
    }

    /// Who may do it.
    fn sender(&mut self) -> Sender {
        let Operation { open, signed, token, .. } = *self.operation;
        let all = [(open, Sender::Nobody), (signed, Sender::Owner), (token, Sender::Operator)];
        let may: Vec<Sender> = all.into_iter().filter(|(may, _)| *may).map(|(_, sender)| sender).collect();
        *self.random.one_of(&may)
    }

    fn push(&mut self, what: impl Into<String>, request: Request) {
        let sender = self.sender();
        self.tries.push((what.into(), request, sender));
    }

    fn good(&mut self) {
        for _ in 0..GOOD {
            let request = self.request(None);
            self.push("a good request", request);
        }
    }

    fn by_others(&mut self) {
        for sender in [Sender::Nobody, Sender::Stranger, Sender::Forged, Sender::WrongToken] {
            for _ in 0..5 {
                let request = self.request(None);
                self.tries.push((format!("a good request by {sender:?}"), request, sender));
            }
        }
    }

    fn wrong_parameters(&mut self) {
        let long = "x".repeat(5_000);
        for parameter in &self.operation.parameters {
            // Waiting in vain is tried separately.
            let waits = |text: &str| parameter.name == "wait" && text == "true";
            for text in wrong::PARAMETERS.into_iter().chain([long.as_str()]).filter(|text| !waits(text)) {
                let request = self.request(Some((&parameter.name, text)));
                self.push(format!("the parameter {} is another", parameter.name), request);
            }
            if !parameter.in_path {
                let mut request = self.request(Some((&parameter.name, "1")));
                request.target = format!("{}&{}=2", request.target, parameter.name);
                self.push(format!("the parameter {} is there twice", parameter.name), request);
                let mut request = self.request(None);
                request.target.truncate(request.target.find('?').unwrap_or(request.target.len()));
                self.push("there are no parameters", request);
            }
        }
        for more in ["?", "?x=1&y", "?%ff=%ff"] {
            let mut request = self.request(None);
            request.target = format!("{}{more}", request.target.split('?').next().unwrap());
            self.push("a parameter that is not known", request);
        }
    }

    fn wrong_bodies(&mut self) {
        let Some(schema) = &self.operation.body else {
            let mut request = self.request(None);
            (request.content_type, request.body) = (JSON, b"{}".to_vec());
            return self.push("a body where there is none", request);
        };
        let good = self.valid.value("", schema, self.random);
        let all = wrong::bodies(&good, self.random);
        let every = all.len().div_ceil(WRONG_BODIES);
        for (what, body) in all.into_iter().skip(self.random.below(every)).step_by(every) {
            let request = Request { body: body.to_string().into_bytes(), ..self.request(None) };
            self.push(what, request);
        }
        for body in wrong::texts() {
            let request = Request { body, ..self.request(None) };
            self.push("no JSON", request);
        }
        for content_type in
            [None, Some("text/plain"), Some("application/json; charset=utf-8"), Some("multipart/form-data")]
        {
            let request = Request { content_type, ..self.request(None) };
            self.push("another Content-Type", request);
        }
        let request = Request { body: vec![b' '; 5 << 20], ..self.request(None) };
        self.push("a body of 5 MiB", request);
    }
}

/// What succeeds only with a provider that knows the client; `tests/accounts.rs` has some.
const ELSEWHERE: [&str; 4] = ["beginDevice", "finishSignIn", "pollDevice", "renewAccount"];

/// What came of all tries.
struct Checker<'a> {
    scene: &'a Scene,
    document: &'a Document,
    tally: Tally,
    wrong: Vec<String>,
}

impl Checker<'_> {
    /// Tries an operation. The first tries are valid, and one of them must succeed.
    async fn check(&mut self, operation: &Operation, tries: Vec<Try>) {
        let mut is_done = false;
        for (number, (what, request, sender)) in tries.into_iter().enumerate() {
            if number % RESTORE == 0 {
                self.scene.restore().await;
            }
            let reply = self.scene.send(&request, sender);
            is_done |= number < GOOD && reply.status == operation.success();
            self.note(operation, &what, &request, sender, &reply);
        }
        if !is_done && !ELSEWHERE.contains(&operation.id.as_str()) {
            self.wrong.push(format!("{}: no good request got {}", operation.id, operation.success()));
        }
    }

    fn note(&mut self, operation: &Operation, what: &str, request: &Request, sender: Sender, reply: &HttpReply) {
        self.tally.add(&operation.id, reply.status);
        let failed = (reply.status >= 500).then(|| "the server failed".to_owned());
        if let Some(problem) = failed.or_else(|| self.document.wrong(operation, reply)) {
            let Request { method, target, body, .. } = request;
            let body: String = String::from_utf8_lossy(body).chars().take(1_000).collect();
            let (status, text) = (reply.status, reply.text());
            self.wrong.push(format!("{method} {target} by {sender:?}, {what}: {problem}\n  {body}\n  {status} {text}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout, reason = "what was tried is for people to see")]
async fn every_operation_responds_as_the_document_says() {
    let seed = seed();
    println!("OPENAPI_SEED={seed}");
    let scene = Scene::start().await;
    let document = scene.fixture.send("GET", "/api/openapi.json", &[], "");
    assert_eq!(document.header("content-type"), Some("application/json"));
    let document = Document::new(document.json().unwrap());
    let known = scene.known();
    let mut checker = Checker { scene: &scene, document: &document, tally: Tally::default(), wrong: Vec::new() };
    let mut random = Random::new(seed);
    // Twice, because what one operation accepted may make another one fail.
    for _ in 0..2 {
        for operation in document.operations() {
            let valid = Valid { document: &document, operation: &operation.id, known: &known };
            let mut trial = Trial { valid: &valid, operation: &operation, random: &mut random, tries: Vec::new() };
            trial.good();
            trial.by_others();
            trial.wrong_parameters();
            trial.wrong_bodies();
            let tries = trial.tries;
            checker.check(&operation, tries).await;
        }
    }
    println!("{}", checker.tally);
    for problem in &checker.wrong {
        println!("{problem}");
    }
    assert!(
        checker.wrong.is_empty(),
        "OPENAPI_SEED={seed}: {} answers are not as the document says",
        checker.wrong.len()
    );
    scene.fixture.stop().await;
}
