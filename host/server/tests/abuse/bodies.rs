//! Bodies that are too large, no JSON, of the wrong types or in the wrong place.

use std::thread;

use bg_abuse::Attempt;
use bg_server::Access;
use serde_json::{Value, json};

use crate::common::error;
use crate::scene::{Request, Scene};
use crate::upload::{Body, MIB, SIZE, Uploaded, upload};

/// Twice: an endpoint may look at the signature or at the body first.
fn signed_and_unsigned(scene: &Scene) -> Vec<(Request, Vec<(String, String)>)> {
    let requests = scene.requests().into_iter();
    requests.flat_map(|request| [(request.clone(), scene.sign(&request)), (request, Vec::new())]).collect()
}

/// All requests at once, each with such a body.
fn upload_to_all(scene: &Scene, body: Body) -> Vec<(Request, Uploaded)> {
    let address = scene.fixture.address;
    thread::scope(|scope| {
        let start = |(request, headers): (Request, Vec<(String, String)>)| {
            scope.spawn(move || {
                let uploaded = upload(address, &request, &headers, body);
                let (status, expected) = match (request.access, headers.is_empty(), request.json) {
                    (Access::Signed, true, _) => (401, "not signed"),
                    (_, _, true) => (413, "the body is too large: at most"),
                    (_, _, false) => (400, "takes no body"),
                };
                assert_eq!(uploaded.status, status, "{request:?}: {}", uploaded.error);
                assert!(uploaded.error.contains(expected), "{request:?}: {}", uploaded.error);
                (request, uploaded)
            })
        };
        let uploads: Vec<_> = signed_and_unsigned(scene).into_iter().map(start).collect();
        uploads.into_iter().map(|upload| upload.join().unwrap()).collect()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_100_mib_is_refused_by_every_endpoint_and_not_read_to_its_end() {
    let scene = Scene::start().await;
    let before = scene.state().await;
    for (body, what) in [(Body::Announced, "100 MiB, announced"), (Body::Chunked, "100 MiB in chunks")] {
        let attempt = Attempt::begin("bodies", what);
        let uploads = upload_to_all(&scene, body);
        for (request, uploaded) in &uploads {
            // What is not read cannot be held. Some of it is in the system's buffers.
            assert!(uploaded.sent < SIZE / 2, "{request:?}: {} bytes were taken", uploaded.sent);
        }
        scene.assert_unharmed(&before).await;
        let most = uploads.iter().map(|(_, uploaded)| uploaded.sent).max().unwrap_or_default() / MIB;
        attempt.ended(summary(&uploads) + &format!("; at most {most} MiB left a client"));
    }
    scene.fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_100_mib_that_never_comes_is_refused_by_every_endpoint() {
    let scene = Scene::start().await;
    let before = scene.state().await;
    let attempt = Attempt::begin("bodies", "100 MiB, announced and never sent");
    let uploads = upload_to_all(&scene, Body::Missing);
    scene.assert_unharmed(&before).await;
    attempt.ended(summary(&uploads));
    scene.fixture.stop().await;
}

/// How often each status was answered.
fn summary(uploads: &[(Request, Uploaded)]) -> String {
    let count = |status| uploads.iter().filter(|(_, uploaded)| uploaded.status == status).count();
    let counts = [413, 400, 401].map(|status| format!("{status} to {}", count(status)));
    format!("{} of {} requests", counts.join(", "), uploads.len())
}

/// Sends each endpoint that takes JSON all of `bodies`, signed, and expects one answer.
async fn refused_as_json(what: &str, expected: &str, bodies: impl Fn(&Value) -> Vec<Vec<u8>>) {
    let scene = Scene::start().await;
    let before = scene.state().await;
    let attempt = Attempt::begin("bodies", what);
    let (mut endpoints, mut sent) = (0, 0);
    for request in scene.requests().iter().filter(|request| request.json) {
        endpoints += 1;
        for body in bodies(&serde_json::from_slice(&request.body).unwrap()) {
            let request = request.with_body(body);
            let shown = String::from_utf8_lossy(&request.body).chars().take(200).collect::<String>();
            let (method, target) = (&request.method, &request.target);
            let reply = scene.send_signed(&request);
            assert_eq!(reply.status, 400, "{method} {target} {shown}: {}", reply.text());
            assert!(error(&reply).contains(expected), "{method} {target} {shown}: {}", error(&reply));
            sent += 1;
        }
    }
    scene.assert_unharmed(&before).await;
    attempt.ended(format!("400 to {sent} bodies on {endpoints} endpoints"));
    scene.fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_json_is_refused_by_every_endpoint_that_takes_json() {
    refused_as_json("bad JSON", "not the expected JSON", |good| {
        let good = good.to_string();
        let mut bodies: Vec<Vec<u8>> = vec![b"\xff\xfe".to_vec(), b"{\"\xff\":1}".to_vec(), good[1..].into()];
        let texts =
            ["", " ", "{", "{\"a\":", "charmId=x&space=y", "{} {}", "{'a':1}", "{\"a\":NaN}", "<a/>", "\u{feff}{}"];
        bodies.extend(texts.map(Into::into));
        bodies.extend([good[..good.len() - 1].into(), format!("{good},").into(), format!("[{good}").into()]);
        bodies
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_is_nested_very_deep_is_refused_by_every_endpoint_that_takes_json() {
    refused_as_json("JSON nested 30,000 deep, also in each field", "not the expected JSON", |good| {
        let arrays = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
        let objects = format!("{}7{}", "{\"a\":".repeat(9_000), "}".repeat(9_000));
        let deep = [arrays, objects, "[".repeat(60_000)];
        let fields = fields_replaced(good, &json!("@"));
        let in_fields = fields.iter().flat_map(|body| deep.each_ref().map(|deep| body.replace("\"@\"", deep)));
        deep.iter().cloned().chain(in_fields).map(String::into_bytes).collect()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_of_the_wrong_types_is_refused_by_every_endpoint_that_takes_json() {
    refused_as_json("wrong types, in each field and as a whole", "expected", |good| {
        let whole = ["null", "7", "true", "\"text\"", "[]", "[[7]]", "{}"].map(str::to_owned);
        // An event, and the value of a cell, may be any JSON.
        let mut typed = good.clone();
        for any in ["event", "value"] {
            typed.as_object_mut().unwrap().remove(any);
        }
        whole.into_iter().chain(fields_replaced(&typed, &json!([[7]]))).map(String::into_bytes).collect()
    })
    .await;
}

/// The object as text, once for each field, with `value` in that field's place.
fn fields_replaced(good: &Value, value: &Value) -> Vec<String> {
    let names = good.as_object().unwrap().keys();
    names
        .map(|name| {
            let mut body = good.clone();
            body[name] = value.clone();
            body.to_string()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_another_content_type_is_refused_by_every_signed_endpoint() {
    let scene = Scene::start().await;
    let before = scene.state().await;
    let attempt = Attempt::begin("bodies", "wrong Content-Type");
    let mut endpoints = 0;
    // The original's button accepts any Content-Type: its pages send none, or text/plain.
    for request in scene.requests().iter().filter(|request| request.json && request.access == Access::Signed) {
        endpoints += 1;
        for said in
            ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json", "ü", ""]
        {
            let mut headers = scene.sign(request);
            headers.push(("Content-Type".to_owned(), said.to_owned()));
            let reply = scene.send(request, &headers);
            assert_eq!(reply.status, 415, "{request:?} {said}: {}", reply.text());
            assert!(error(&reply).contains("its Content-Type application/json"), "{}", error(&reply));
        }
    }
    scene.assert_unharmed(&before).await;
    attempt.ended(format!("415 on {endpoints} endpoints"));
    scene.fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unexpected_body_is_refused_by_every_endpoint_that_takes_none() {
    let scene = Scene::start().await;
    let before = scene.state().await;
    let attempt = Attempt::begin("bodies", "a body where none belongs");
    let mut endpoints = 0;
    for request in scene.requests().iter().filter(|request| !request.json) {
        endpoints += 1;
        for body in ["{}", "x"] {
            let reply = scene.send_signed(&request.with_body(body));
            assert_eq!(reply.status, 400, "{request:?}: {}", reply.text());
            assert!(error(&reply).contains("takes no body"), "{request:?}: {}", error(&reply));
        }
    }
    scene.assert_unharmed(&before).await;
    attempt.ended(format!("400 on {endpoints} endpoints"));
    scene.fixture.stop().await;
}
