//! Building blocks of guests that send requests.

use super::contract::{CoreGuest, owned};

/// Short names for the functions of HTTP.
pub(crate) const HTTP: &[(&str, &str, &str)] = &[
    ("wasi:http/types", "[constructor]fields", "new-fields"),
    ("wasi:http/types", "[method]fields.append", "append"),
    ("wasi:http/types", "[constructor]outgoing-request", "new-request"),
    ("wasi:http/types", "[method]outgoing-request.set-method", "set-method"),
    ("wasi:http/types", "[method]outgoing-request.set-scheme", "set-scheme"),
    ("wasi:http/types", "[method]outgoing-request.set-authority", "set-authority"),
    ("wasi:http/types", "[method]outgoing-request.set-path-with-query", "set-path"),
    ("wasi:http/types", "[method]outgoing-request.body", "request-body"),
    ("wasi:http/types", "[method]outgoing-body.write", "body-out"),
    ("wasi:http/outgoing-handler", "handle", "handle"),
    ("wasi:http/types", "[method]future-incoming-response.subscribe", "subscribe-response"),
    ("wasi:http/types", "[method]future-incoming-response.get", "get-response"),
    ("wasi:http/types", "[method]incoming-response.consume", "consume"),
    ("wasi:http/types", "[method]incoming-body.stream", "body-in"),
    ("wasi:http/types", "[static]incoming-body.finish", "trailers"),
    ("wasi:http/types", "[method]future-trailers.subscribe", "subscribe-trailers"),
    ("wasi:io/poll", "[method]pollable.block", "block"),
    ("wasi:io/streams", "[method]input-stream.blocking-read", "read"),
    ("wasi:io/streams", "[method]input-stream.blocking-skip", "skip"),
    ("wasi:io/streams", "[method]output-stream.blocking-write-and-flush", "write"),
    ("wasi:io/streams", "[method]output-stream.blocking-flush", "flush"),
    ("wasi:http/types", "[resource-drop]future-incoming-response", "drop-response"),
    ("wasi:clocks/monotonic-clock", "subscribe-duration", "duration"),
];

/// Where `$request` finds the path.
const PATH: u32 = 1100;

/// `$request` makes a `GET` of a path, `$send` sends a request, `$wait` waits for its response; each returns a handle.
/// `$stream` is the response's body as a stream. Any failure traps.
pub(crate) fn items(authority: &str, path: &str) -> String {
    format!(
        r#"(data (i32.const 1024) "{authority}") (data (i32.const {PATH}) "{path}")
        (func $request (result i32) (local $r i32)
            (local.set $r (call $new-request (call $new-fields)))
            (drop (call $set-scheme (local.get $r) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)))
            (if (call $set-authority (local.get $r) (i32.const 1) (i32.const 1024) (i32.const {}))
                (then unreachable))
            (if (call $set-path (local.get $r) (i32.const 1) (i32.const {PATH}) (i32.const {})) (then unreachable))
            (local.get $r))
        (func $send (param $r i32) (result i32)
            (call $handle (local.get $r) (i32.const 0) (i32.const 0) (i32.const 512))
            (if (i32.load8_u (i32.const 512)) (then unreachable))
            (i32.load (i32.const 520)))
        (func $wait (param $f i32) (result i32)
            (call $block (call $subscribe-response (local.get $f)))
            (call $get-response (local.get $f) (i32.const 544))
            (if (i32.load8_u (i32.const 560)) (then unreachable))
            (i32.load (i32.const 568)))
        (func $body (param $response i32) (result i32)
            (call $consume (local.get $response) (i32.const 512))
            (if (i32.load8_u (i32.const 512)) (then unreachable))
            (i32.load (i32.const 516)))
        (func $stream (param $response i32) (result i32)
            (call $body-in (call $body (local.get $response)) (i32.const 512))
            (if (i32.load8_u (i32.const 512)) (then unreachable))
            (i32.load (i32.const 516)))
        (func $upload (param $request i32) (result i32)
            (call $request-body (local.get $request) (i32.const 512))
            (if (i32.load8_u (i32.const 512)) (then unreachable))
            (call $body-out (i32.load (i32.const 516)) (i32.const 512))
            (if (i32.load8_u (i32.const 512)) (then unreachable))
            (i32.load (i32.const 516)))"#,
        authority.len(),
        path.len(),
    )
}

/// A guest whose `initialize` does this with a request of `path`, and succeeds.
pub(crate) fn visitor(authority: &str, path: &str, body: &str) -> CoreGuest {
    CoreGuest {
        imports: owned(HTTP),
        items: items(authority, path),
        initialize: format!("{body} (i32.const 16)"),
        ..CoreGuest::default()
    }
}
