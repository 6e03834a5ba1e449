//! A server that gets expensive requests from strangers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::SystemTime;

use bg_abuse::Attempt;
use bg_identity::{Identity, http_signature, space_did};
use bg_test_support::{HttpReply, request};
use bg_transpile::{MAX_SOURCE, MAX_SOURCES};
use serde_json::json;

use crate::common::{SOON, cell, deploy, fixture, host};

/// By how much the server's memory may grow, in MiB: many times the size of the requests themselves.
const MORE_MIB: u64 = 128;
/// The number of concurrent requests.
const AT_ONCE: usize = 64;

/// Deploys a program under a stranger's key, to the stranger's space.
fn deploy_as(number: usize, address: SocketAddr, source: &str, files: &BTreeMap<String, String>) -> HttpReply {
    let identity = Identity::from_passphrase(&format!("stranger {number}"));
    let target = format!("/api/v1/spaces/{}/charms", space_did(&format!("space of {number}")));
    let body = json!({ "fileName": "charm.ts", "source": source, "files": files }).to_string();
    let (url, method) = (format!("http://{address}{target}").parse().unwrap(), http::Method::POST);
    let signed = http_signature::sign(&identity, &method, &url, body.as_bytes(), SystemTime::now()).unwrap();
    let headers: Vec<_> = signed.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    request(address, "POST", &target, &headers, body.as_bytes()).unwrap()
}

/// Further files, which are as long as a charm's may be beside a first one.
fn full() -> BTreeMap<String, String> {
    (1..MAX_SOURCES / MAX_SOURCE).map(|number| (format!("file{number}.ts"), " ".repeat(MAX_SOURCE))).collect()
}

/// The reason in the answer to a refused request.
fn detail(reply: &HttpReply) -> String {
    reply.json().unwrap()["detail"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn sources_that_are_expensive_to_parse_take_limited_memory_and_the_operator_deploys_meanwhile() {
    let host = host();
    let mut server = host.spawn(["serve", "--listen", "127.0.0.1:0"]).unwrap();
    let line = server.wait_for_line(|line| line.contains("listening on http://"), SOON).unwrap();
    let address = line.split("http://").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    // So that the memory of the first charm is not counted.
    let charm = deploy(&host, &fixture("counter.tsx"), "my-space", &json!({}));
    let before = server.peak_kib().unwrap();
    let (alone, full) = (BTreeMap::new(), full());
    for (what, source, files, many, expected) in [
        (
            "64 sources of 60,000 brackets at once",
            "(".repeat(60_000),
            &alone,
            AT_ONCE,
            "more than 1000 brackets are open here",
        ),
        // Wherever a function may begin, the parser reads to the end and goes back: parsing this takes quadratic time
        // and memory, gigabytes here. The comments hide the brackets from a parser that counts them.
        (
            "sources that are read over and over",
            format!("x = {}1", "(a=/*)*/".repeat(16_000)),
            &alone,
            3,
            "to read; write what nests deeply",
        ),
        (
            "sources that nest deeply, hidden in comments",
            format!("x = {}1", "(/*)*/".repeat(87_000)),
            &alone,
            3,
            "charm.ts:1:",
        ),
        (
            "sources that are read over and over, with files up to the limit beside them",
            format!("x = {}1", "(a=/*)*/".repeat(16_000)),
            &full,
            4,
            "to read; write what nests deeply",
        ),
    ] {
        let attempt = Attempt::begin("strangers", what).of_process(server.pid());
        thread::scope(|scope| {
            let source = &source;
            let strangers: Vec<_> =
                (0..many).map(|number| scope.spawn(move || deploy_as(number, address, source, files))).collect();
            let updated = deploy(&host, &fixture("counter.tsx"), "another-space", &json!({}));
            assert_eq!(cell(&host, &updated, "count"), cell(&host, &charm, "count"));
            for stranger in strangers {
                let reply = stranger.join().unwrap();
                assert_eq!(reply.status, 400, "{what}: {}", reply.text());
                assert!(detail(&reply).contains(expected), "{what}: {}", detail(&reply));
            }
        });
        let more = (server.peak_kib().unwrap() - before) / 1024;
        assert!(more < MORE_MIB, "{what}: {more} MiB more");
        attempt.ended(format!("400, with {more} MiB more"));
    }
    server.terminate().unwrap().success().unwrap();
}
