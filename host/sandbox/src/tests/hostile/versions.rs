//! Every interface of WASI, at old and new versions: linked, with no more access than the current version.

use std::sync::{Arc, Mutex};

use bg_egress::{AuditRecord, Decision};
use bg_poller::Integration;
use bg_poller::OutcomeKind::Trapped;

use super::limits;
use crate::testing::{self, Contract, CoreGuest, Server, WASI, runtime_with, web};
use crate::{IntegrationComponent, World};

/// The first release, some between, the linked one, and a future one.
const VERSIONS: [&str; 5] = ["0.2.0", "0.2.3", "0.2.6", WASI, "0.2.99"];

/// Interface, function, and its name in the text.
type Import = (String, String, String);

#[tokio::test]
async fn every_interface_links_at_every_version() {
    let sandbox = testing::sandbox(limits());
    let runtime = runtime_with(&[]);
    for version in VERSIONS {
        let attempt = bg_abuse::Attempt::begin("versions", format!("every function of WASI, at {version}"));
        let contract = Contract::at(version);
        let mut all: Vec<(String, Vec<Import>)> = Vec::new();
        for (interface, function) in contract.wasi_functions() {
            let name = format!("f{}", all.iter().map(|(_, functions)| functions.len()).sum::<usize>());
            if all.last().is_none_or(|(last, _)| *last != interface) {
                all.push((interface.clone(), Vec::new()));
            }
            all.last_mut().unwrap().1.push((interface, function, name));
        }
        assert!(all.len() > 20, "{} interfaces", all.len());
        for (interface, imports) in &all {
            let guest = contract.component(&CoreGuest { imports: imports.clone(), ..CoreGuest::default() });
            let guest = testing::load_integration(&sandbox, guest, &runtime).await;
            let guest = guest.unwrap_or_else(|error| panic!("{interface}@{version}: {error}"));
            guest.initialize().await.unwrap();
        }
        let functions: usize = all.iter().map(|(_, functions)| functions.len()).sum();
        attempt.ended(format!("{} interfaces with {functions} functions linked", all.len()));
    }
}

#[tokio::test]
async fn requests_pass_the_same_gate_at_every_version() {
    let sandbox = testing::sandbox(limits());
    for version in VERSIONS {
        let attempt = bg_abuse::Attempt::begin("versions", format!("requests by wasi:http@{version}"));
        let (granted, denied) = (Server::start().await, Server::start().await);
        let records: Arc<Mutex<Vec<AuditRecord>>> = Arc::default();
        let seen = records.clone();
        let http = testing::http_to(
            &granted,
            Some(Arc::new(move |record: &AuditRecord| seen.lock().unwrap().push(record.clone()))),
        );
        let contract = Contract::at(version);
        for (server, decision) in [(&granted, Decision::Allowed), (&denied, Decision::Denied)] {
            let guest = web::visitor(&server.authority, "/ok", "(drop (call $wait (call $send (call $request))))");
            let loaded = sandbox.load(contract.component(&guest), World::Integration).await.unwrap();
            let mut setup = testing::setup(&runtime_with(&[]));
            setup.http = http.clone();
            let end = IntegrationComponent::new(&sandbox, &loaded, setup).unwrap().initialize().await;
            // The guest traps if it gets an error.
            assert_eq!(end.is_ok(), decision == Decision::Allowed, "{version}: {end:?}");
            let record = records.lock().unwrap().pop().unwrap();
            assert_eq!(record.decision, decision, "{version}");
        }
        assert_eq!((granted.accepted(), denied.accepted()), (1, 0), "{version}");
        attempt.ended("granted: sent; otherwise denied, nothing sent");
    }
}

/// What is searched for, the functions for it, and how.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str, &'a str)], &'a str);

#[tokio::test]
async fn no_version_gives_access_to_this_machine() {
    let network = ("wasi:sockets/instance-network", "instance-network", "network");
    // Each traps unless it finds nothing.
    let cases: [Case<'_>; 8] = [
        ("environment", &[("wasi:cli/environment", "get-environment", "get")], "(call $get (i32.const 64)) (if \
            (i32.load (i32.const 68)) (then unreachable))"),
        ("arguments", &[("wasi:cli/environment", "get-arguments", "get")], "(call $get (i32.const 64)) (if (i32.load \
            (i32.const 68)) (then unreachable))"),
        ("working folder", &[("wasi:cli/environment", "initial-cwd", "get")], "(call $get (i32.const 64)) (if \
            (i32.load8_u (i32.const 64)) (then unreachable))"),
        ("folders", &[("wasi:filesystem/preopens", "get-directories", "get")], "(call $get (i32.const 64)) (if \
            (i32.load (i32.const 68)) (then unreachable))"),
        (
            "TCP",
            &[("wasi:sockets/tcp-create-socket", "create-tcp-socket", "create")],
            "(call $create (i32.const 0) (i32.const 64)) (if (i32.ne (i32.load8_u (i32.const 64)) (i32.const 1)) \
            (then unreachable))
            (call $create (i32.const 1) (i32.const 64)) (if (i32.ne (i32.load8_u (i32.const 68)) (i32.const 1)) (then unreachable))",
        ),
        (
            "UDP",
            &[("wasi:sockets/udp-create-socket", "create-udp-socket", "create")],
            "(call $create (i32.const 0) (i32.const 64)) (if (i32.ne (i32.load8_u (i32.const 64)) (i32.const 1)) \
            (then unreachable))
            (call $create (i32.const 1) (i32.const 64)) (if (i32.ne (i32.load8_u (i32.const 68)) (i32.const 1)) (then unreachable))",
        ),
        (
            "names",
            &[network, ("wasi:sockets/ip-name-lookup", "resolve-addresses", "resolve")],
            "(call $resolve (call $network) (i32.const 1024) (i32.const 9) (i32.const 64))
            (if (i32.ne (i32.load8_u (i32.const 64)) (i32.const 1)) (then unreachable))",
        ),
        (
            "standard input",
            &[("wasi:cli/stdin", "get-stdin", "stdin"), ("wasi:io/streams", "[method]input-stream.blocking-read", "read")],
            "(call $read (call $stdin) (i64.const 10) (i32.const 64))
            (if (i32.ne (i32.load8_u (i32.const 64)) (i32.const 1)) (then unreachable))",
        ),
    ];
    let sandbox = testing::sandbox(limits());
    let runtime = runtime_with(&[]);
    for version in VERSIONS {
        let contract = Contract::at(version);
        for (what, imports, body) in &cases {
            let attempt = bg_abuse::Attempt::begin("versions", format!("{what}, at {version}"));
            let guest = CoreGuest::initialize(imports, r#"(data (i32.const 1024) "localhost")"#, body);
            let guest = testing::load_integration(&sandbox, contract.component(&guest), &runtime).await.unwrap();
            guest.initialize().await.unwrap_or_else(|error| panic!("{what} at {version}: {error}"));
            attempt.ended("nothing there");
        }
    }
    // The cases can fail: there is a clock.
    let clock = ("wasi:clocks/monotonic-clock", "now", "now");
    let guest = CoreGuest::initialize(&[clock], "", "(if (i64.ne (call $now) (i64.const 0)) (then unreachable))");
    let guest = testing::load_integration(&sandbox, guest.build(), &runtime).await.unwrap();
    assert_eq!(guest.initialize().await.unwrap_err().kind, Trapped);
}
