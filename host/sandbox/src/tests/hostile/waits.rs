//! Waiting forever in the host.

use std::sync::atomic::Ordering;

use bg_poller::OutcomeKind::Timeout;
use bg_poller::{Cause, Integration};

use super::{Function, short, tried, tried_with};
use crate::testing::{self, CoreGuest, Server, runtime_with, web};
use crate::{IntegrationComponent, World};

const BLOCK: (&str, &str, &str) = ("wasi:io/poll", "[method]pollable.block", "block");
const POLL: (&str, &str, &str) = ("wasi:io/poll", "poll", "poll");
const DURATION: (&str, &str, &str) = ("wasi:clocks/monotonic-clock", "subscribe-duration", "duration");
const INSTANT: (&str, &str, &str) = ("wasi:clocks/monotonic-clock", "subscribe-instant", "instant");

#[tokio::test]
async fn a_guest_that_waits_for_a_clock_ends_in_time() {
    let many = "(local $n i32)
        (loop $again
            (i32.store (i32.add (i32.const 16384) (i32.mul (local.get $n) (i32.const 4)))
                (call $duration (i64.const -1)))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $n) (i32.const 400))))
        (call $poll (i32.const 16384) (i32.const 400) (i32.const 64))";
    let sandbox = testing::sandbox(short());
    for (what, guest) in [
        (
            "a duration of 584 years",
            CoreGuest::initialize(&[BLOCK, DURATION], "", "(call $block (call $duration (i64.const -1)))"),
        ),
        (
            "an instant in 584 years",
            CoreGuest::initialize(&[BLOCK, INSTANT], "", "(call $block (call $instant (i64.const -2)))"),
        ),
        ("400 clocks at once", CoreGuest::initialize(&[POLL, DURATION], "", many)),
        (
            "a clock of no time, again and again",
            CoreGuest::initialize(
                &[BLOCK, DURATION],
                "",
                "(loop $a (call $block (call $duration (i64.const 0))) (br $a))",
            ),
        ),
    ] {
        // The last one leaves its pollables open, so it may run out of handles first.
        let expected = if what.ends_with("again") { bg_poller::OutcomeKind::LimitExceeded } else { Timeout };
        tried(&sandbox, ("sleep", what), guest.build(), Function::Initialize, expected).await;
    }
}

#[tokio::test]
async fn a_guest_that_waits_for_a_charm_runtime_that_does_not_answer_ends_in_time() {
    let sandbox = testing::sandbox(short());
    let registered = ("commontools:background/charms", "registered", "registered");
    let state = ("commontools:background/state", "get", "state");
    for (what, guest) in [
        ("for its registrations", CoreGuest::initialize(&[registered], "", "(call $registered (i32.const 64))")),
        (
            "for its state",
            CoreGuest::initialize(&[state], "", "(call $state (i32.const 0) (i32.const 0) (i32.const 64))"),
        ),
    ] {
        let runtime = runtime_with(&[]);
        runtime.silent.store(true, Ordering::Relaxed);
        let integration = testing::load_integration(&sandbox, guest.build(), &runtime).await.unwrap();
        tried_with(&integration, ("sleep", what), Function::Initialize, Timeout).await;
    }
}

async fn visitor(sandbox: &crate::Sandbox, server: &Server, path: &str, body: &str) -> IntegrationComponent {
    let guest = web::visitor(&server.authority, path, body).build();
    let loaded = sandbox.load(guest, World::Integration).await.unwrap();
    let mut setup = testing::setup(&runtime_with(&[]));
    setup.http = testing::http_to(server, None);
    IntegrationComponent::new(sandbox, &loaded, setup).unwrap()
}

#[tokio::test]
async fn a_guest_that_waits_for_a_server_ends_in_time_and_so_does_its_connection() {
    let sandbox = testing::sandbox(short());
    // The gate gives up a request at the very time that the call ends. A guest that gets this error first does not stop
    // either.
    let spin = "(loop $spin (br $spin))";
    let send = "(local $r i32) (local $s i32) (local.set $r (call $request))";
    let post = "(drop (call $set-method (local.get $r) (i32.const 2) (i32.const 0) (i32.const 0)))
        (local.set $s (call $upload (local.get $r)))";
    let cases = [
        (
            "a response that never begins",
            "/never",
            format!("{send} (call $block (call $subscribe-response (call $send (local.get $r)))) {spin}"),
        ),
        (
            "a response's body that stops",
            "/stall",
            format!(
                "{send} (call $read (call $stream (call $wait (call $send (local.get $r)))) (i64.const 9) (i32.const \
                64)) {spin}"
            ),
        ),
        (
            "an endless body of a response",
            "/drip",
            format!(
                "{send} (local.set $s (call $stream (call $wait (call $send (local.get $r)))))
                (loop $a (call $skip (local.get $s) (i64.const 9) (i32.const 64)) (br $a))"
            ),
        ),
        (
            "trailers that never come",
            "/stall",
            format!(
                "{send} (call $block (call $subscribe-trailers
                    (call $trailers (call $body (call $wait (call $send (local.get $r))))))) {spin}"
            ),
        ),
        (
            "a request that it does not finish itself",
            "/never",
            format!("{send} {post} (call $block (call $subscribe-response (call $send (local.get $r)))) {spin}"),
        ),
        (
            "a server that reads nothing",
            "/deaf",
            format!(
                "{send} {post} (drop (call $send (local.get $r)))
                (loop $a (call $write (local.get $s) (i32.const 0) (i32.const 4096) (i32.const 64)) (br $a))"
            ),
        ),
        (
            "room in the body of a request that is never sent",
            "/ok",
            format!(
                "{send} {post}
                (loop $a (call $write (local.get $s) (i32.const 0) (i32.const 4096) (i32.const 64)) (br $a))"
            ),
        ),
    ];
    for (what, path, body) in cases {
        let server = Server::start().await;
        let integration = visitor(&sandbox, &server, path, &body).await;
        let error = tried_with(&integration, ("sleep", what), Function::Initialize, Timeout).await;
        // Between two pieces of a body, a guest waits for nothing, and a body that it does not finish is its own matter.
        if what.starts_with("a response") || what.starts_with("trailers") {
            assert_eq!(error.cause, Cause::ComponentWaited, "{what}: {error}");
        }
        assert!(server.is_left_alone().await, "{what}: a connection is still open");
    }
}

/// A server does not excuse a guest that does not wait for it.
#[tokio::test]
async fn a_guest_that_computes_or_gave_its_request_up_does_not_wait_for_a_server() {
    let sandbox = testing::sandbox(super::limits());
    let send =
        "(local $r i32) (local $f i32) (local.set $r (call $request)) (local.set $f (call $send (local.get $r)))";
    for (what, then) in [
        ("an endless loop beside a request that is not answered", "(loop $spin (br $spin))"),
        (
            "a wait of 584 years after a request that was given up",
            "(call $drop-response (local.get $f)) (call $block (call $duration (i64.const -1)))",
        ),
    ] {
        let server = Server::start().await;
        let integration = visitor(&sandbox, &server, "/never", &format!("{send} {then}")).await;
        let error = tried_with(&integration, ("sleep", what), Function::Initialize, Timeout).await;
        assert_eq!(error.cause, Cause::ComponentTime, "{what}: {error}");
    }
}

#[tokio::test]
async fn requests_that_a_guest_leaves_open_end_with_its_call() {
    let sandbox = testing::sandbox(super::limits());
    let server = Server::start().await;
    let body = "(drop (call $send (call $request)))".repeat(8);
    let integration = visitor(&sandbox, &server, "/never", &body).await;
    let attempt = bg_abuse::Attempt::begin("cancelled", "eight requests left in flight by a guest that returned");
    integration.initialize().await.unwrap();
    assert!(server.is_left_alone().await);
    // So do those of a call that its caller gives up.
    let waiting = visitor(&sandbox, &server, "/never", "(drop (call $wait (call $send (call $request))))").await;
    let before = server.accepted();
    {
        let call = waiting.initialize();
        tokio::pin!(call);
        while server.accepted() == before {
            tokio::select! {
                end = &mut call => panic!("{end:?}"),
                () = tokio::time::sleep(std::time::Duration::from_millis(5)) => {}
            }
        }
    }
    assert!(server.is_left_alone().await);
    attempt.ended("sockets closed");
}
