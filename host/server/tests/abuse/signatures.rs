//! Requests that are not signed, or not as they must be.

use std::time::{Duration, SystemTime};

use bg_abuse::Attempt;
use bg_charm_api::wire::path;
use bg_identity::Identity;
use bg_identity::http_signature::{LIFETIME, MAX_CLOCK_SKEW};
use bg_server::Access;
use http::Method;

use crate::common::{Headers, code, error};
use crate::scene::{Request, Scene};

fn stranger() -> Identity {
    Identity::from_passphrase("a stranger")
}

fn to_signed_endpoints(scene: &Scene) -> Vec<Request> {
    scene.requests().into_iter().filter(|request| request.access == Access::Signed).collect()
}

/// The headers, with the value of one of them changed by `change`.
fn altered(mut headers: Headers, name: &str, change: impl Fn(&str) -> String) -> Headers {
    for (_, value) in headers.iter_mut().filter(|(found, _)| found == name) {
        let changed = change(value);
        assert_ne!(changed, *value);
        *value = changed;
    }
    headers
}

/// Another digit in the middle of the signature.
fn with_another_byte(signature: &str) -> String {
    let middle = signature.len() / 2;
    let other = if signature.as_bytes()[middle] == b'A' { "B" } else { "A" };
    format!("{}{other}{}", &signature[..middle], &signature[middle + 1..])
}

/// One way to sign a request wrongly.
struct Wrong {
    what: &'static str,
    /// In the error.
    expected: &'static str,
    sign: fn(&Scene, &Request) -> Headers,
}

const NOT_OF_THIS_REQUEST: &str = "does not match this request and the key that it names";

const WRONG: &[Wrong] = &[
    Wrong { what: "unsigned", expected: "the request is not signed", sign: |_, _| Headers::new() },
    Wrong {
        what: "without the header signature",
        expected: "it has no signature header",
        sign: |scene, request| without(scene, request, "signature"),
    },
    Wrong {
        what: "without the header signature-input",
        expected: "it has no signature-input header",
        sign: |scene, request| without(scene, request, "signature-input"),
    },
    Wrong {
        what: "without the header content-digest",
        expected: "it has no content-digest header",
        sign: |scene, request| without(scene, request, "content-digest"),
    },
    Wrong {
        what: "words in the place of signatures",
        expected: "exactly one signature",
        sign: |_, _| ["signature-input", "signature", "content-digest"].map(|name| (name.into(), "x".into())).into(),
    },
    Wrong {
        what: "an invalid signature",
        expected: "the signature header is malformed",
        sign: |scene, request| altered(scene.sign(request), "signature", |_| "sig=:AAAA:".to_owned()),
    },
    Wrong {
        what: "one byte of the signature changed",
        expected: NOT_OF_THIS_REQUEST,
        sign: |scene, request| altered(scene.sign(request), "signature", with_another_byte),
    },
    Wrong {
        what: "signed by another key than it names",
        expected: NOT_OF_THIS_REQUEST,
        sign: |scene, request| {
            let headers = scene.fixture.sign(&stranger(), request.method.as_str(), &request.target, &request.body);
            let (named, owner) = (stranger().did().to_string(), scene.owner.did().to_string());
            altered(headers, "signature-input", |input| input.replace(&named, &owner))
        },
    },
    Wrong {
        what: "signed for another method",
        expected: NOT_OF_THIS_REQUEST,
        sign: |scene, request| {
            let method = if request.method == Method::GET { Method::POST } else { Method::GET };
            scene.sign(&Request { method, ..request.clone() })
        },
    },
    Wrong {
        what: "signed for another path",
        expected: NOT_OF_THIS_REQUEST,
        sign: |scene, request| {
            let target = request.target.replacen("/api/", "/API/", 1);
            scene.sign(&Request { target, ..request.clone() })
        },
    },
    Wrong {
        what: "signed for another query",
        expected: NOT_OF_THIS_REQUEST,
        sign: |scene, request| {
            let join = if request.target.contains('?') { '&' } else { '?' };
            scene.sign(&Request { target: format!("{}{join}more=1", request.target), ..request.clone() })
        },
    },
    Wrong {
        what: "signed for another body",
        expected: "the request's body does not match the signed content-digest",
        sign: |scene, request| scene.sign(&request.with_body([&request.body[..], b" "].concat())),
    },
    Wrong {
        what: "signed for another host name of ours",
        expected: NOT_OF_THIS_REQUEST,
        sign: |scene, request| {
            let host = format!("localhost:{}", scene.fixture.address.port());
            scene.sign_to(&host, request, SystemTime::now())
        },
    },
    Wrong {
        what: "signed for another port",
        expected: NOT_OF_THIS_REQUEST,
        sign: |scene, request| scene.sign_to("127.0.0.1:1", request, SystemTime::now()),
    },
    Wrong {
        what: "expired",
        expected: "the signature has expired",
        sign: |scene, request| scene.sign_at(request, SystemTime::now() - LIFETIME - Duration::from_secs(2)),
    },
    Wrong {
        what: "made before the server started",
        expected: "the signature was made before this server started",
        sign: |scene, request| scene.sign_at(request, scene.started - Duration::from_secs(10)),
    },
    Wrong {
        what: "of the future",
        expected: "the signature was made in the future",
        sign: |scene, request| scene.sign_at(request, SystemTime::now() + MAX_CLOCK_SKEW + LIFETIME),
    },
    Wrong {
        what: "good for longer than it was signed for",
        expected: NOT_OF_THIS_REQUEST,
        sign: |scene, request| {
            let later = |input: &str| {
                let (start, rest) = input.split_once("created=").unwrap();
                let (created, rest) = rest.split_once(';').unwrap();
                format!("{start}created={};{rest}", created.parse::<u64>().unwrap() + 1)
            };
            altered(scene.sign(request), "signature-input", later)
        },
    },
    Wrong {
        what: "two good signatures",
        expected: "exactly one signature",
        sign: |scene, request| {
            let second =
                scene.sign(request).into_iter().map(|(name, value)| (name, value.replacen("sig=", "more=", 1)));
            scene.sign(request).into_iter().chain(second.filter(|(name, _)| name != "content-digest")).collect()
        },
    },
    Wrong {
        what: "two digests",
        expected: NOT_OF_THIS_REQUEST,
        sign: |scene, request| twice(scene.sign(request), "content-digest", str::to_owned),
    },
    Wrong {
        what: "a good and a wrong signature of one name",
        expected: NOT_OF_THIS_REQUEST,
        sign: |scene, request| twice(scene.sign(request), "signature", with_another_byte),
    },
];

fn without(scene: &Scene, request: &Request, name: &str) -> Headers {
    scene.sign(request).into_iter().filter(|(found, _)| found != name).collect()
}

/// The headers, with one of them repeated, its value changed by `change`.
fn twice(mut headers: Headers, name: &str, change: impl Fn(&str) -> String) -> Headers {
    let (_, value) = headers.iter().find(|(found, _)| found == name).unwrap();
    headers.push((name.to_owned(), change(value)));
    headers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_signature_is_refused_by_every_signed_endpoint_and_changes_nothing() {
    let scene = Scene::start().await;
    let before = scene.state().await;
    for Wrong { what, expected, sign } in WRONG {
        let attempt = Attempt::begin("signatures", format!("{what}, on every endpoint"));
        let requests = to_signed_endpoints(&scene);
        for request in &requests {
            let reply = scene.send(request, &sign(&scene, request));
            assert_eq!((reply.status, code(&reply)), (401, "signature".into()), "{what} {request:?}: {}", reply.text());
            assert!(error(&reply).contains(expected), "{what} {request:?}: {}", error(&reply));
        }
        scene.assert_unharmed(&before).await;
        attempt.ended(format!("401 on {} endpoints", requests.len()));
    }
    scene.fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_rights_is_refused_by_every_signed_endpoint_and_changes_nothing() {
    let scene = Scene::start().await;
    let before = scene.state().await;
    let attempt = Attempt::begin("signatures", "a key without rights, on every endpoint");
    // Anyone who signs may create spaces, and list them.
    let is_for_all = |it: &Request| it.is_registration() || it.target == path::SPACES;
    let requests: Vec<_> = to_signed_endpoints(&scene).into_iter().filter(|it| !is_for_all(it)).collect();
    for request in &requests {
        let reply = scene.fixture.send_signed(&stranger(), request.method.as_str(), &request.target, &request.body);
        assert_eq!((reply.status, code(&reply)), (403, "authorization".into()), "{request:?}: {}", reply.text());
        assert!(error(&reply).contains(stranger().did().as_str()), "{request:?}: {}", error(&reply));
    }
    scene.assert_unharmed(&before).await;
    attempt.ended(format!("403 on {} endpoints", requests.len()));
    scene.fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_sent_again_is_refused_by_every_signed_endpoint_and_changes_nothing() {
    let scene = Scene::start().await;
    let attempt = Attempt::begin("signatures", "replayed, on every endpoint");
    let requests = to_signed_endpoints(&scene);
    for request in &requests {
        scene.register().await;
        let signed = scene.sign(request);
        let first = scene.send(request, &signed);
        assert_ne!(first.status, 401, "{request:?}: {}", first.text());
        scene.register().await;
        let before = scene.state().await;
        let again = scene.send(request, &signed);
        assert_eq!((again.status, code(&again)), (401, "signature".into()), "{request:?}: {}", again.text());
        assert!(error(&again).contains("received before"), "{request:?}: {}", error(&again));
        scene.assert_unharmed(&before).await;
    }
    attempt.ended(format!("401 on {} endpoints", requests.len()));
    scene.fixture.stop().await;
}
