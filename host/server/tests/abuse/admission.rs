//! Clients that use as much of the server as they can.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime};

use bg_abuse::Attempt;
use bg_charm_api::{AccessLevel, Spaces, Subject};
use bg_identity::{Identity, Secret, space_identity};
use bg_server::{AdmissionLimits, LoginToken, Server, ServerOptions};
use bg_test_support::HttpReply;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::common::{CHARM, Fixture, Headers, borrowed, code, counter, error, my_space, sign_for};

const TOKEN: &str = "a-token-of-the-operator";
/// Nothing here ends because its time is up.
const NEVER: Duration = Duration::from_hours(1);
/// To wait for a place that nobody gives back.
const SHORT: Duration = Duration::from_millis(200);

fn options(limits: AdmissionLimits) -> ServerOptions {
    ServerOptions {
        limits,
        login_token: Some(LoginToken::chosen(Secret::new(TOKEN.to_owned())).unwrap()),
        header_timeout: NEVER,
        body_timeout: NEVER,
        place_timeout: SHORT,
        drain_timeout: Duration::from_millis(100),
        ..ServerOptions::default()
    }
}

/// Ends a server that clients still hold connections to.
async fn stop(fixture: Fixture) {
    fixture.shutdown.cancel();
    let _ = fixture.serving.await.unwrap();
}

fn name(number: usize) -> Identity {
    Identity::from_passphrase(&format!("stranger {number}"))
}

fn health(fixture: &Fixture) -> u16 {
    fixture.send("GET", "/api/health", &[], "").status
}

/// As a client behind the proxy at that address.
fn from(address: &str, mut headers: Headers) -> Headers {
    headers.push(("X-Forwarded-For".to_owned(), address.to_owned()));
    headers
}

fn by_token() -> Headers {
    vec![("Authorization".to_owned(), format!("Bearer {TOKEN}"))]
}

fn retry_after(reply: &HttpReply) -> u64 {
    let text = reply.header("retry-after");
    text.and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("no Retry-After: {} {}", reply.status, reply.text()))
}

/// A connection on which something was sent, and nothing more comes.
fn begun(fixture: &Fixture, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(fixture.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// Whether the server has closed it.
fn is_closed(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    loop {
        match stream.read(&mut [0; 4096]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
    }
}

/// A signed long poll under way.
fn long_poll(fixture: &Fixture, target: &str, headers: &Headers) -> TcpStream {
    let mut request = format!("GET {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", fixture.address);
    for (name, value) in headers {
        let _ = write!(request, "{name}: {value}\r\n");
    }
    begun(fixture, format!("{request}\r\n").as_bytes())
}

/// The first answer to a signed request that is another than 200; the ones before came while places were being taken.
fn refused(mut get: impl FnMut() -> HttpReply) -> HttpReply {
    let begun = Instant::now();
    loop {
        let reply = get();
        if reply.status != 200 {
            return reply;
        }
        assert!(begun.elapsed() < Duration::from_secs(15), "nothing was refused");
    }
}

/// The head of a request, and no body.
fn head(fixture: &Fixture, target: &str, headers: &Headers, length: usize) -> Vec<u8> {
    let mut head = format!("POST {target} HTTP/1.1\r\nHost: {}\r\nContent-Length: {length}\r\n", fixture.address);
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    (head + "\r\n").into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_say_nothing_keep_nobody_out() {
    let fixture = Fixture::start_with(options(AdmissionLimits::default())).await;
    let open = b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (what, bytes) in [
        ("260 connections that say nothing", &b""[..]),
        ("260 heads that never end", b"GET /api/health HTTP/1.1\r\nHost: local"),
        (
            "260 bodies that never come, of requests that are not signed",
            b"POST /api/integrations/bg HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n",
        ),
        ("260 connections that stay open after an answer", open),
    ] {
        let attempt = Attempt::begin("strangers", what);
        let held: Vec<TcpStream> = (0..260).map(|_| begun(&fixture, bytes)).collect();
        for _ in 0..3 {
            assert_eq!(health(&fixture), 200, "{what}");
        }
        // Some of them had to go.
        let begun = Instant::now();
        while !held.iter().any(is_closed) {
            assert!(begun.elapsed() < Duration::from_mins(1), "{what}: none was closed");
        }
        attempt.ended("others are answered, the connection that has waited longest closes");
    }
    stop(fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_connection_stays_open_while_others_come_and_go() {
    let limits = AdmissionLimits { connections: 16, ..AdmissionLimits::default() };
    let fixture = Fixture::start_with(options(limits)).await;
    let charm = fixture.deploy(&my_space()).await;
    let target = format!("/api/v1/charms/{}/{}/logs?wait=true&after=0", charm.space, charm.charm);
    // A signer may have two requests at work here: the third says when both are.
    let waiting = [0; 2].map(|_| long_poll(&fixture, &target, &fixture.sign(&name(0), "GET", &target, "")));
    let shape = format!("/api/v1/charms/{}/{}", charm.space, charm.charm);
    let full = refused(|| fixture.send_signed(&name(0), "GET", &shape, ""));
    assert_eq!(full.status, 429, "{}", full.text());
    let _silent: Vec<TcpStream> = (0..64).map(|_| begun(&fixture, b"")).collect();
    assert_eq!(health(&fixture), 200);
    // They end when the server does, with their answers.
    fixture.shutdown.cancel();
    for mut waiting in waiting {
        let mut answer = String::new();
        waiting.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    stop(fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_bogus_signatures_take_no_places() {
    let limits = AdmissionLimits { large_bodies: 16 * 1024 * 1024, ..AdmissionLimits::default() };
    let fixture = Fixture::start_with(options(limits)).await;
    let target = format!("/api/v1/spaces/{}/charms", my_space());
    let attempt = Attempt::begin("strangers", "64 bodies of 4 MiB that never come, with bogus signatures");
    let mut bogus = fixture.sign(&name(0), "POST", &target, "");
    for (_, value) in bogus.iter_mut().filter(|(name, _)| name == "signature") {
        *value = format!("sig=:{}:", "A".repeat(86) + "==");
    }
    let _held: Vec<TcpStream> =
        (0..64).map(|_| begun(&fixture, &head(&fixture, &target, &bogus, 4 * 1024 * 1024))).collect();
    // As large as such a request may be, so that it needs a place.
    let body = serde_json::to_string(&counter()).unwrap() + &" ".repeat(100 * 1024);
    let reply = fixture.send_signed(&name(1), "POST", &target, body);
    assert_eq!(reply.status, 200, "{}", reply.text());
    attempt.ended("a good request of that size is done meanwhile");
    stop(fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_uploads_of_one_signer_leave_room_for_others() {
    let limits = AdmissionLimits { large_bodies: 16 * 1024 * 1024, ..AdmissionLimits::default() };
    let fixture = Fixture::start_with(options(limits)).await;
    fixture.deploy(&my_space()).await;
    let target = format!("/api/v1/spaces/{}/charms", my_space());
    let attempt = Attempt::begin("strangers", "bodies of 4 MiB that never come, of one good signer");
    let body = serde_json::to_string(&counter()).unwrap() + &" ".repeat(100 * 1024);
    // Until it holds its share, it succeeds.
    let mut held = Vec::new();
    let refused = loop {
        assert!(held.len() < 16, "there is no share");
        let signed = fixture.sign(&name(0), "POST", &target, "");
        let mut stream = begun(&fixture, &head(&fixture, &target, &signed, 4 * 1024 * 1024));
        stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let mut start = [0; 12];
        if stream.read_exact(&mut start).is_ok() {
            break String::from_utf8(start.to_vec()).unwrap();
        }
        held.push(stream);
    };
    assert_eq!(refused, "HTTP/1.1 429");
    assert_eq!(fixture.send_signed(&name(1), "POST", &target, body).status, 200);
    attempt.ended(format!("429 after {}; those of another signer are received", held.len()));
    stop(fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_rights_uses_up_no_nonces_and_one_with_rights_only_its_own() {
    // 16 for clients on this machine, of which one signer has 2; 16 for the operator.
    let limits = AdmissionLimits { nonces: 64, ..AdmissionLimits::default() };
    let fixture = Fixture::start_with(options(limits)).await;
    fixture.deploy(&my_space()).await;
    let (registrations, space) = ("/api/v1/registrations", format!("/api/v1/spaces/{}/acl", my_space()));

    let attempt = Attempt::begin("strangers", "a key without rights that sends many signed requests");
    for number in 0..200 {
        let reply = fixture.send_signed(&name(number % 7), "GET", registrations, "");
        assert_eq!(reply.status, 403, "{number}: {}", reply.text());
    }
    assert_eq!(fixture.send_signed(&name(0), "GET", &space, "").status, 200);
    attempt.ended("403 to 200, and no nonce is remembered");

    let attempt = Attempt::begin("strangers", "a key with rights that sends many signed requests");
    assert_eq!(fixture.send_signed(&name(0), "GET", &space, "").status, 200);
    let reply = fixture.send_signed(&name(0), "GET", &space, "");
    assert_eq!((reply.status, code(&reply)), (429, "invalid".into()), "{}", reply.text());
    assert!(retry_after(&reply) > 0 && error(&reply).contains("try again"), "{}", error(&reply));
    assert_eq!(fixture.send_signed(&name(1), "GET", &space, "").status, 200);
    attempt.ended("429 to it, others are answered");

    let attempt = Attempt::begin("strangers", "many keys with rights that send signed requests");
    let statuses: Vec<u16> =
        (2..40).map(|number| fixture.send_signed(&name(number), "GET", &space, "").status).collect();
    assert!(statuses.ends_with(&[503]), "{statuses:?}");
    // The operator has the service's own key, or the token.
    for _ in 0..10 {
        assert_eq!(fixture.send_signed(&space_identity("my-space"), "GET", &space, "").status, 200);
    }
    assert_eq!(fixture.send("GET", registrations, &borrowed(&by_token()), "").status, 200);
    attempt.ended("503 to further keys, the operator is answered");
    stop(fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_over_its_rate_gets_retry_after_and_the_operator_is_not_limited() {
    let limits = AdmissionLimits { requests_by_address: 1, requests_by_signer: 1, ..AdmissionLimits::default() };
    let fixture = Fixture::start_with(ServerOptions { behind_proxy: true, ..options(limits) }).await;
    fixture.deploy(&my_space()).await;
    let space = format!("/api/v1/spaces/{}/acl", my_space());
    let get = |headers: Headers, target: &str| fixture.send("GET", target, &borrowed(&headers), "");
    let signed = |who: &Identity| fixture.sign(who, "GET", &space, "");

    let attempt = Attempt::begin("strangers", "an address that asks without end, on every kind of endpoint");
    let eve = "203.0.113.7";
    while get(from(eve, Headers::new()), "/api/health").status == 200 {}
    for target in ["/api/health", "/admin/login", "/nothing", "/metrics", space.as_str()] {
        let reply = get(from(eve, Headers::new()), target);
        assert_eq!(reply.status, 429, "{target}: {}", reply.text());
        assert!(retry_after(&reply) > 0);
    }
    // To claim to be the operator is not enough.
    let owner = space_identity("my-space");
    let mut forged = signed(&owner);
    for (_, value) in forged.iter_mut().filter(|(name, _)| name == "signature") {
        *value = format!("sig=:{}:", "A".repeat(86) + "==");
    }
    let wrong = vec![("Authorization".to_owned(), "Bearer another-token-than-it".to_owned())];
    let cookie = vec![("Cookie".to_owned(), "bg-wasm-host-1=x".to_owned())];
    for (headers, target) in [(forged, space.as_str()), (wrong, &space), (cookie, "/api/health")] {
        assert_eq!(get(from(eve, headers), target).status, 429);
    }
    // From the very same address.
    for _ in 0..30 {
        assert_eq!(get(from(eve, signed(&owner)), &space).status, 200);
        assert_eq!(get(from(eve, by_token()), "/api/v1/registrations").status, 200);
    }
    assert_eq!(get(from("203.0.113.8", Headers::new()), "/api/health").status, 200);
    attempt.ended("429 with Retry-After; the operator and other addresses are answered");

    let attempt = Attempt::begin("strangers", "a key that asks without end, from many addresses");
    let mut sent = 0_u8;
    let reply = loop {
        let reply = get(from(&format!("198.51.100.{sent}"), signed(&name(0))), &space);
        if reply.status != 200 {
            break reply;
        }
        sent += 1;
    };
    assert_eq!((reply.status, code(&reply)), (429, "invalid".into()));
    assert!(retry_after(&reply) > 0);
    assert_eq!(get(from("198.51.100.0", signed(&name(1))), &space).status, 200);
    attempt.ended(format!("429 after {sent}; another key is answered"));
    stop(fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_strangers_leave_permits_for_this_machine_and_the_operator() {
    // 10 for strangers, of which one signer may have 2; 13 with those of this machine.
    let limits = AdmissionLimits { connections: 16, ..AdmissionLimits::default() };
    let fixture = Fixture::start_with(ServerOptions { behind_proxy: true, ..options(limits) }).await;
    let charm = fixture.deploy(&my_space()).await;
    let target = format!("/api/v1/charms/{}/{}/logs?wait=true&after=0", charm.space, charm.charm);
    let attempt = Attempt::begin("strangers", "long polls of many keys, as many as there are connections");
    let mut held = Vec::new();
    for number in 0..10 {
        let headers = from(&format!("203.0.113.{}", number / 2), fixture.sign(&name(number / 2), "GET", &target, ""));
        held.push(long_poll(&fixture, &target, &headers));
    }
    let now = format!("/api/v1/charms/{}/{}", charm.space, charm.charm);
    let get = |headers: Headers| fixture.send("GET", &now, &borrowed(&headers), "");
    let refused = refused(|| get(from("203.0.113.99", fixture.sign(&name(99), "GET", &now, ""))));
    assert_eq!((refused.status, code(&refused)), (503, "unavailable".into()), "{}", refused.text());
    assert!(retry_after(&refused) > 0);
    // Nobody is this machine for coming by way of a proxy there.
    for address in ["203.0.113.99:4711", "[2001:db8::1]:443", "\u{e9}, 203.0.113.99", "unknown"] {
        assert_eq!(get(from(address, fixture.sign(&name(97), "GET", &now, ""))).status, 503, "{address}");
    }
    for (who, headers) in [("this machine", fixture.sign(&name(98), "GET", &now, "")), ("the operator", by_token())] {
        let reply = fixture.send("GET", &now, &borrowed(&headers), "");
        assert_eq!(reply.status, 200, "{who}: {}", reply.text());
    }
    attempt.ended("503 with Retry-After; this machine and the operator are answered");
    stop(fixture).await;
}

/// A client that hangs up may ask for the result again, so the handler continues, and holds what its request was given.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_has_no_more_handlers_under_way_than_one_that_waits() {
    let fails = "(if (i32.eq (local.get $length) (i32.const 6)) (then (return (i32.const 768))))";
    assert!(CHARM.contains(fails));
    let endless = CHARM.replace(fails, "(loop $forever (br $forever))");
    let limits = AdmissionLimits { calls_by_signer: 1, ..AdmissionLimits::default() };
    let fixture = Fixture::start_with_charm(&endless, options(limits)).await;
    let charm = fixture.deploy(&my_space()).await;
    let of_charm = |what: &str| format!("/api/v1/charms/{}/{}/{what}", charm.space, charm.charm);
    let (ann, trigger, page) = (name(1), of_charm("trigger"), of_charm("page"));
    let subject = Subject::Did(ann.did());
    fixture.operator().set_acl(&my_space(), &subject, Some(AccessLevel::Write)).await.unwrap();
    let event = |key: usize| json!({ "stream": "bgUpdater", "event": {}, "key": key.to_string() }).to_string();
    let attempt = Attempt::begin("strangers", "20 events with a key each, and a client that hangs up at once");
    let first = event(0);
    let headers = fixture.sign(&ann, "POST", &trigger, &first);
    let held = begun(&fixture, &[head(&fixture, &trigger, &headers, first.len()), first.into_bytes()].concat());
    // Until the handler has the only place, pages are made in it.
    let full = refused(|| fixture.send_signed(&ann, "GET", &page, ""));
    assert_eq!(full.status, 429, "{}", full.text());
    drop(held);
    for number in 1..20 {
        let reply = fixture.send_signed(&ann, "POST", &trigger, event(number));
        assert_eq!(reply.status, 429, "event {number}: {}", reply.text());
        assert!(retry_after(&reply) > 0);
    }
    attempt.ended("429 with Retry-After while the first handler is under way");
    stop(fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_a_fast_clock_is_not_replayed_after_a_restart_and_delays_no_other() {
    let fixture = Fixture::start_with(options(AdmissionLimits::default())).await;
    fixture.deploy(&my_space()).await;
    let space = format!("/api/v1/spaces/{}/acl", my_space());
    let body = json!({ "subject": "*", "level": "WRITE" }).to_string();
    let runtime = fixture.runtime.clone();
    let address = fixture.address;
    let owner = space_identity("my-space");
    let ann = Identity::from_passphrase("ann");
    let at = |who: &Identity, method: &str, body: &str, time| {
        sign_for(who, method, &format!("{address}{space}"), body, time)
    };
    let serve = async || {
        let server = Server::bind_with(address, options(AdmissionLimits::default())).await.unwrap();
        let shutdown = CancellationToken::new();
        (tokio::spawn(server.serve(runtime.clone(), shutdown.clone())), shutdown)
    };
    let send = |method: &str, headers: &Headers, body: &str| {
        bg_test_support::request(address, method, &space, &borrowed(headers), body.as_bytes()).unwrap()
    };
    fixture.shutdown.cancel();
    fixture.serving.await.unwrap().unwrap();

    // Where all clocks are right, nobody waits.
    let (serving, shutdown) = serve().await;
    assert_eq!(send("GET", &at(&ann, "GET", "", SystemTime::now()), "").status, 200);
    let attempt = Attempt::begin("signatures", "of a clock that is 25 s fast, sent again after a restart");
    let fast = at(&owner, "PUT", &body, SystemTime::now() + Duration::from_secs(25));
    assert_eq!(send("PUT", &fast, &body).status, 200);
    shutdown.cancel();
    serving.await.unwrap().unwrap();

    let (serving, shutdown) = serve().await;
    let again = send("PUT", &fast, &body);
    assert_eq!((again.status, code(&again)), (503, "unavailable".into()), "{}", again.text());
    assert!((1..=32).contains(&retry_after(&again)) && error(&again).contains("just started"), "{}", error(&again));
    // What the operator's key has done makes nobody else wait.
    assert_eq!(send("GET", &at(&ann, "GET", "", SystemTime::now()), "").status, 200);
    shutdown.cancel();
    serving.await.unwrap().unwrap();
    attempt.ended("503 with Retry-After");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_program_is_transpiled_for_a_caller_that_may_not_deploy_it() {
    let fixture = Fixture::start_with(options(AdmissionLimits::default())).await;
    let charm = fixture.deploy(&my_space()).await;
    fixture.operator().set_acl(&my_space(), &bg_charm_api::Subject::Anyone, None).await.unwrap();
    let target = format!("/api/v1/spaces/{}/charms", my_space());
    let attempt = Attempt::begin("strangers", "sources that are costly to read, by a key without rights");
    // Reading it would fail, so that the test notices if anything did.
    let broken = json!({ "fileName": "a.ts", "source": "(".repeat(60_000), "charm": charm.charm });
    for request in [json!({ "fileName": "a.ts", "source": "(".repeat(60_000) }), broken] {
        let reply = fixture.send_signed(&name(0), "POST", &target, request.to_string());
        assert_eq!((reply.status, code(&reply)), (403, "authorization".into()), "{}", reply.text());
    }
    attempt.ended("403, without a look at them");
    // With rights, it is refused before anything is read that takes more memory than it has.
    let request = json!({ "fileName": "a.ts", "source": "(".repeat(60_000) });
    let reply = fixture.send_signed(&space_identity("my-space"), "POST", &target, request.to_string());
    assert_eq!(reply.status, 400);
    assert!(error(&reply).contains("more than 1000 brackets are open here"), "{}", error(&reply));
    stop(fixture).await;
}
