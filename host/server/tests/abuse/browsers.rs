//! Pages of other origins, and host names that were pointed at this server.

use std::time::SystemTime;

use bg_abuse::Attempt;
use bg_server::Access;
use bg_test_support::{HttpReply, exchange};
use http::Method;

use crate::common::{Headers, code, error};
use crate::scene::{Request, Scene};

fn headers<const N: usize>(headers: [(&str, &str); N]) -> Headers {
    headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// The headers with which a server allows something to pages.
fn allowed(reply: &HttpReply) -> Vec<(&str, &str)> {
    let pairs = reply.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    pairs.filter(|(name, _)| name.starts_with("access-control-") || *name == "timing-allow-origin").collect()
}

/// Pages, and requests that end with 404 or 405, or are refused because of their path.
fn other_requests(scene: &Scene) -> Vec<Request> {
    let some = scene.requests().swap_remove(0);
    let request = |method, target: &str| Request {
        access: Access::Open,
        json: false,
        method,
        target: target.to_owned(),
        body: Vec::new(),
    };
    let elsewhere = ["/api/v1/", "/api/v1/charms/a/b", "/api/v1/spaces/%ff/acl"];
    let mut requests: Vec<_> = elsewhere.map(|target| request(Method::GET, target)).into();
    for method in [Method::OPTIONS, Method::TRACE, Method::DELETE] {
        requests.push(request(method, &some.target));
    }
    // The button's script is for every page.
    requests.extend(scene.page_requests().into_iter().filter(|request| request.access != Access::Pages));
    requests
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_may_read_and_do_nothing_but_register_if_it_is_this_machines() {
    let scene = Scene::start().await;
    let before = scene.state().await;
    let attempt = Attempt::begin("browsers", "requests of a page of another origin");
    let requests = scene.requests().into_iter().chain(other_requests(&scene));
    let (registrations, others): (Vec<_>, Vec<_>) = requests.partition(|request| request.access == Access::Pages);
    // What a page may send without asking first.
    let pages =
        ["https://evil.example", "null"].map(|origin| headers([("Origin", origin), ("Content-Type", "text/plain")]));
    let mut refused = 0;
    for (request, page) in others.iter().flat_map(|request| pages.iter().map(move |page| (request, page))) {
        let reply = scene.send(request, page);
        assert_eq!(allowed(&reply), [], "{request:?}");
        if matches!(request.access, Access::Signed | Access::Operator) {
            assert_eq!(reply.status, 401, "{request:?}: {}", reply.text());
            refused += 1;
        }
    }
    // Nor may it register, unless it is a page of this machine; but it may read why not.
    for (request, page) in registrations.iter().flat_map(|request| pages.iter().map(move |page| (request, page))) {
        let reply = scene.send(request, page);
        assert_eq!((reply.status, allowed(&reply)), (403, vec![("access-control-allow-origin", "*")]));
        assert!(error(&reply).contains("--allow-origin"), "{}", error(&reply));
        refused += 1;
    }
    scene.assert_unharmed(&before).await;
    for request in &registrations {
        let reply = scene.send(request, &headers([("Origin", "http://localhost:5173")]));
        assert_eq!((reply.status, allowed(&reply)), (200, vec![("access-control-allow-origin", "*")]));
    }
    // Nor may it read the response to a permitted request.
    for request in scene.requests().iter().filter(|request| request.access == Access::Signed) {
        scene.register().await;
        let signed = [scene.sign(request), headers([("Origin", "https://evil.example")])].concat();
        let reply = scene.send(request, &signed);
        assert!(reply.status != 401 && allowed(&reply).is_empty(), "{request:?}: {}", reply.text());
    }
    attempt.ended(format!("401 or 403 to {refused} requests, none readable but the reason"));
    scene.fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_allows_the_registration_only() {
    let scene = Scene::start().await;
    let attempt = Attempt::begin("browsers", "preflights of a page of another origin, also from the open network");
    let mut refused = 0;
    for request in scene.requests().into_iter().chain(other_requests(&scene)) {
        let asked = headers([
            ("Origin", "https://evil.example"),
            ("Access-Control-Request-Method", request.method.as_str()),
            ("Access-Control-Request-Headers", "content-digest,content-type,signature,signature-input"),
            ("Access-Control-Request-Private-Network", "true"),
            ("Access-Control-Request-Local-Network", "true"),
        ]);
        let preflight = Request { method: Method::OPTIONS, body: Vec::new(), ..request.clone() };
        let reply = scene.send(&preflight, &asked);
        if request.access == Access::Pages {
            assert_eq!((reply.status, allowed(&reply)), (403, vec![("access-control-allow-origin", "*")]));
            let local = asked.iter().map(|(name, value)| match name.as_str() {
                "Origin" => (name.clone(), "http://localhost:5173".to_owned()),
                _ => (name.clone(), value.clone()),
            });
            let reply = scene.send(&preflight, &local.collect());
            assert_eq!(reply.status, 204);
            let expected = [
                ("access-control-allow-headers", "content-type"),
                ("access-control-allow-methods", "POST"),
                ("access-control-allow-origin", "*"),
                ("access-control-allow-private-network", "true"),
                ("access-control-max-age", "600"),
            ];
            let mut found = allowed(&reply);
            found.sort_unstable();
            assert_eq!(found, expected);
        } else {
            assert!([404, 405].contains(&reply.status), "{request:?}: {}", reply.text());
            assert_eq!(allowed(&reply), [], "{request:?}");
            refused += 1;
        }
    }
    attempt.ended(format!("404 or 405 to {refused}, nothing allowed"));
    scene.fixture.stop().await;
}

/// Every request, good and stray, unsigned and signed for `host`.
fn requests_to(scene: &Scene, host: &str) -> Vec<(Request, Headers)> {
    let requests = scene.requests().into_iter().chain(other_requests(scene));
    requests
        .flat_map(|request| {
            let signed = scene.sign_to(host, &request, SystemTime::now());
            [(request.clone(), Headers::new()), (request, signed)]
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_name_was_pointed_here_is_refused_and_learns_nothing() {
    let scene = Scene::start().await;
    let before = scene.state().await;
    let port = scene.fixture.address.port();
    let attempt = Attempt::begin("browsers", "a rebinding host name, unsigned and signed");
    let mut refused = 0;
    for name in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example"] {
        let host = format!("{name}:{port}");
        let mut replies = Vec::new();
        for (request, mut sent) in requests_to(&scene, &host) {
            sent.extend(headers([
                ("Host", &host),
                ("Origin", &format!("http://{host}")),
                ("X-Forwarded-Host", "localhost"),
                ("Forwarded", "host=localhost"),
            ]));
            let mut reply = scene.send(&request, &sent);
            assert_eq!((reply.status, code(&reply)), (421, "invalid".into()), "{request:?}: {}", reply.text());
            assert!(error(&reply).contains(name) && error(&reply).contains("--allow-host"), "{}", error(&reply));
            assert_eq!(allowed(&reply), []);
            reply.headers.retain(|(name, _)| name != "date");
            replies.push(reply);
        }
        refused += replies.len();
        // The same reply for every request: it does not even show what exists.
        replies.dedup();
        assert_eq!(replies.len(), 1, "{replies:?}");
    }
    scene.assert_unharmed(&before).await;
    attempt.ended(format!("421 to {refused} requests, all answers alike"));
    scene.fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_or_missing_host_name_is_refused_by_every_endpoint() {
    let scene = Scene::start().await;
    let before = scene.state().await;
    let own = scene.fixture.address.to_string();
    let attempt = Attempt::begin("browsers", "two host names, one in the target, none");
    let mut refused = 0;
    for (request, signed) in requests_to(&scene, &own) {
        let elsewhere = Request { target: format!("http://evil.example{}", request.target), ..request.clone() };
        let two = |first: &str, second: &str| [signed.clone(), headers([("Host", first), ("Host", second)])].concat();
        let replies = [
            scene.send(&elsewhere, &[signed.clone(), headers([("Host", &own)])].concat()),
            scene.send(&request, &two(&own, "evil.example")),
            scene.send(&request, &two("evil.example", &own)),
            scene.send(&request, &two(&own, &own)),
            scene.send(&request, &[signed.clone(), headers([("Host", "")])].concat()),
            scene.send(&request, &[signed.clone(), headers([("Host", &format!("evil.example@{own}"))])].concat()),
            exchange(
                scene.fixture.address,
                format!("{} {} HTTP/1.0\r\n\r\n", request.method, request.target).as_bytes(),
            )
            .unwrap(),
        ];
        refused += replies.len();
        for reply in replies {
            assert_eq!((reply.status, code(&reply)), (400, "invalid".into()), "{request:?}: {}", reply.text());
            assert!(error(&reply).contains("exactly one Host header"), "{}", error(&reply));
        }
    }
    scene.assert_unharmed(&before).await;
    attempt.ended(format!("400 to {refused} requests"));
    scene.fixture.stop().await;
}
