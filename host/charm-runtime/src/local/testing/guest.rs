//! A small program for charms, written as WebAssembly text.

use std::fmt::Write;

use bg_test_support::wat::{CELLS, CHARM};

/// Where the strings begin.
const STRINGS: usize = 1024;

/// Strings in the guest's memory.
#[derive(Default)]
struct Strings {
    data: Vec<u8>,
}

impl Strings {
    /// Adds bytes; answers where they are.
    fn add(&mut self, bytes: &[u8]) -> usize {
        self.data.resize(self.data.len().next_multiple_of(4), 0);
        let at = STRINGS + self.data.len();
        self.data.extend_from_slice(bytes);
        at
    }

    /// Adds a text; answers the two operands that name it.
    fn text(&mut self, text: &str) -> String {
        let at = self.add(text.as_bytes());
        format!("(i32.const {at}) (i32.const {})", text.len())
    }

    /// Adds a list of texts; answers where it is.
    fn list(&mut self, texts: &[&str]) -> usize {
        let items: Vec<usize> = texts.iter().flat_map(|text| [self.add(text.as_bytes()), text.len()]).collect();
        self.add(&words(&items))
    }

    fn escaped(&self) -> String {
        self.data.iter().fold(String::new(), |mut text, byte| {
            write!(text, "\\{byte:02x}").unwrap();
            text
        })
    }
}

fn words(words: &[usize]) -> Vec<u8> {
    words.iter().flat_map(|&word| u32::try_from(word).unwrap().to_le_bytes()).collect()
}

/// A component of world `charm`. `setup` keeps the inputs in the cell `auth` and an empty text in `log`; `auth.apiKey`
/// is secret. Its streams: `updater` logs the event and keeps it in the cell `event`; `append` makes `log` a character
/// longer; `copy` copies the cell `event` to `copied`; `fail` does as `updater`, then fails with the event as its
/// message; `hang` does so and never ends; `trap` does so and traps.
pub(crate) fn guest(updater: &str) -> Vec<u8> {
    let mut strings = Strings::default();
    let streams = ["append", "copy", "fail", "hang", "trap", updater];
    let (streams_at, path) = (strings.list(&streams), strings.list(&["auth", "apiKey"]));
    let secrets_at = strings.add(&words(&[path, 2]));
    let name_at = strings.add(b"Guest");
    // ok, then the shape: a name, streams, secrets.
    let answer = strings.add(&words(&[0, 1, name_at, 5, streams_at, streams.len(), secrets_at, 1]));
    let inputs = strings.text("charm.inputs");
    let [auth, log, empty] = ["auth", "log", "\"\""].map(|text| strings.text(text));
    let set_up = strings.text("set up");
    let handle = handle(&mut strings, updater);
    let data = strings.escaped();
    let text = format!(
        r#"(component
        (import "commontools:background/config@0.1.0" (instance $config
            (export "get" (func (param "key" string) (result (option string))))))
        (import "commontools:background/log@0.1.0" (instance $logger
            (type $l (enum "trace" "debug" "info" "warn" "error"))
            (export "level" (type $level (eq $l)))
            (export "write" (func (param "level" $level) (param "message" string)))))
        (core module $libc
            (memory (export "memory") 4)
            (global $next (mut i32) (i32.const 65536))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (global.get $next)
                (global.set $next (i32.and (i32.add (i32.add (global.get $next) (local.get 3)) (i32.const 15)) (i32.const -8)))))
        (core instance $libc (instantiate $libc))
        {CELLS}
        (core func $config (canon lower (func $config "get") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
        (core func $write (canon lower (func $logger "write") (memory (core memory $libc "memory"))))
        (core module $main
            (import "m" "memory" (memory 0))
            (import "h" "get" (func $get (param i32 i32 i32)))
            (import "h" "set" (func $set (param i32 i32 i32 i32 i32)))
            (import "h" "config" (func $config (param i32 i32 i32)))
            (import "h" "write" (func $write (param i32 i32 i32)))
            (data (i32.const {STRINGS}) "{data}")
            (func $put (param i32 i32 i32 i32)
                (call $set (local.get 0) (local.get 1) (local.get 2) (local.get 3) (i32.const 48))
                (if (i32.load8_u (i32.const 48)) (then unreachable)))
            (func (export "setup") (result i32)
                (call $config {inputs} (i32.const 32))
                (call $put {auth} (i32.load (i32.const 36)) (i32.load (i32.const 40)))
                (call $put {log} {empty})
                (call $write (i32.const 1) {set_up})
                (i32.const {answer}))
            (func (export "page") (result i32) (i32.const 512))
            (func (export "handle") (param $stream i32) (param i32) (param $event i32) (param $event-len i32) (result i32)
                (local $end i32)
                {handle}
                unreachable))
        (core instance $main (instantiate $main
            (with "m" (instance $libc))
            (with "h" (instance (export "get" (func $get)) (export "set" (func $set)) (export "config" (func $config))
                (export "write" (func $write))))))
        {CHARM})"#
    );
    wat::parse_str(text).unwrap()
}

/// What `handle` does, by the first letter of the stream.
fn handle(strings: &mut Strings, updater: &str) -> String {
    let [log, event, copied] = ["log", "event", "copied"].map(|text| strings.text(text));
    let keep_event = format!(
        "(call $write (i32.const 2) (local.get $event) (local.get $event-len))
        (call $put {event} (local.get $event) (local.get $event-len))"
    );
    let on = |stream: &str, body: &str| {
        let first = stream.bytes().next().unwrap();
        format!("(if (i32.eq (i32.load8_u (local.get $stream)) (i32.const {first})) (then {body}))")
    };
    [
        on(updater, &format!("{keep_event} (return (i32.const 16))")),
        on(
            "append",
            &format!(
                "(call $get {log} (i32.const 32))
                (local.set $end (i32.add (i32.load (i32.const 40)) (i32.load (i32.const 44))))
                (i32.store8 (i32.sub (local.get $end) (i32.const 1)) (i32.const 97))
                (i32.store8 (local.get $end) (i32.const 34))
                (call $put {log} (i32.load (i32.const 40)) (i32.add (i32.load (i32.const 44)) (i32.const 1)))
                (return (i32.const 16))"
            ),
        ),
        on(
            "copy",
            &format!(
                "(call $get {event} (i32.const 32))
                (call $put {copied} (i32.load (i32.const 40)) (i32.load (i32.const 44)))
                (return (i32.const 16))"
            ),
        ),
        on(
            "fail",
            &format!(
                "{keep_event}
                (i32.store (i32.const 64) (i32.const 1))
                (i32.store (i32.const 68) (local.get $event))
                (i32.store (i32.const 72) (local.get $event-len))
                (return (i32.const 64))"
            ),
        ),
        on("hang", &format!("{keep_event} (loop $ever (br $ever))")),
        on("trap", &keep_event),
    ]
    .concat()
}
