//! Small components, written as text: a core module's functions inside the boilerplate of a world.

use std::fmt::Write;

use bg_test_support::wat::{ALLOCATE, CELLS, CHARM, INTEGRATION, VALUES};

/// A component of world `integration`. Each function's body is WebAssembly text that returns the address of its result;
/// address 16 holds zeros, that is, an empty `ok`.
pub(crate) struct Guest {
    pub(crate) initialize: String,
    pub(crate) fetch_charms: String,
    pub(crate) is_valid_charm: String,
    /// Further items of the module with these functions.
    pub(crate) items: String,
    /// Further items of the component, before its modules.
    pub(crate) imports: String,
    /// Further functions for the module, as `(export "name" (func $name))`, which the module imports from `more`.
    pub(crate) more: String,
    /// The initial number of 64 KiB pages.
    pub(crate) pages: u32,
}

impl Default for Guest {
    fn default() -> Self {
        Self {
            initialize: "(i32.const 16)".into(),
            fetch_charms: "(i32.const 16)".into(),
            // `true`, at the address of the payload.
            is_valid_charm: "(i32.store (i32.const 36) (i32.const 1)) (i32.const 32)".into(),
            items: String::new(),
            imports: String::new(),
            more: String::new(),
            pages: 2,
        }
    }
}

/// A bump allocator, and its memory.
fn libc(pages: u32) -> String {
    format!(
        r#"(core module $libc
            (memory (export "memory") {pages})
            (global $next (mut i32) (i32.const 4096))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
                {ALLOCATE}))
        (core instance $libc (instantiate $libc))"#
    )
}

impl Guest {
    pub(crate) fn build(&self) -> Vec<u8> {
        let Self { initialize, fetch_charms, is_valid_charm, items, imports, more, pages } = self;
        let libc = libc(*pages);
        let text = format!(
            r#"(component
            {VALUES}
            (import "commontools:background/charms@0.1.0" (instance $charms
                (export "charm" (type $charm (sub resource)))
                (alias outer 1 $ref (type $r))
                (type $e (variant (case "not-found") (case "malformed" string) (case "unavailable" string)))
                (export "charm-error" (type $error (eq $e)))
                (export "registered" (func (result (result (list $r) (error $error)))))
                (export "prepare-list" (func (result (result (error $error)))))
                (export "[method]charm.has-stream"
                    (func (param "self" (borrow $charm)) (param "name" string) (result (result bool (error $error)))))))
            (alias export $charms "charm" (type $charm))
            (import "commontools:background/log@0.1.0" (instance $log
                (type $l (enum "trace" "debug" "info" "warn" "error"))
                (export "level" (type $level (eq $l)))
                (export "write" (func (param "level" $level) (param "message" string)))))
            (import "commontools:background/config@0.1.0" (instance $config
                (export "get" (func (param "key" string) (result (option string))))))
            {libc}
            {imports}
            (core func $drop (canon resource.drop $charm))
            (core func $log (canon lower (func $log "write") (memory (core memory $libc "memory"))))
            (core func $config (canon lower (func $config "get") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
            (core func $registered (canon lower (func $charms "registered")
                (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
            (core func $prepare-list (canon lower (func $charms "prepare-list")
                (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
            (core func $has-stream (canon lower (func $charms "[method]charm.has-stream")
                (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
            (core module $main
                (import "libc" "memory" (memory 0))
                (import "host" "drop" (func $drop (param i32)))
                (import "host" "log" (func $log (param i32 i32 i32)))
                (import "host" "config" (func $config (param i32 i32 i32)))
                (import "host" "registered" (func $registered (param i32)))
                (import "host" "prepare-list" (func $prepare-list (param i32)))
                (import "host" "has-stream" (func $has-stream (param i32 i32 i32 i32)))
                {items}
                (func (export "initialize") (result i32) {initialize})
                (func (export "fetch-charms") (result i32) {fetch_charms})
                (func (export "is-valid-charm") (param $charm i32) (result i32)
                    {is_valid_charm}
                    (call $drop (local.get $charm))))
            (core instance $main (instantiate $main
                (with "libc" (instance $libc))
                (with "host" (instance
                    (export "drop" (func $drop))
                    (export "log" (func $log))
                    (export "config" (func $config))
                    (export "registered" (func $registered))
                    (export "prepare-list" (func $prepare-list))
                    (export "has-stream" (func $has-stream))))
                (with "more" (instance {more}))))
            {INTEGRATION})"#
        );
        wat::parse_str(text).unwrap()
    }
}

/// A module's data and a body of `fetch-charms` that returns these spaces and IDs, valid or not.
pub(crate) fn refs(refs: &[(&str, &str)]) -> (String, String) {
    let (mut items, mut body) = (String::new(), String::new());
    let mut text = 65_536;
    let list = 1024;
    for (index, (space, id)) in refs.iter().enumerate() {
        for (part, string) in [(0, space), (8, id)] {
            let at = list + index * 16 + part;
            write!(items, "(data (i32.const {text}) \"").unwrap();
            string.bytes().for_each(|byte| write!(items, "\\{byte:02x}").unwrap());
            items.push_str("\")");
            write!(body, "(i32.store (i32.const {at}) (i32.const {text}))").unwrap();
            write!(body, "(i32.store (i32.const {}) (i32.const {}))", at + 4, string.len()).unwrap();
            text += string.len();
        }
    }
    write!(body, "(i32.store (i32.const 20) (i32.const {list})) (i32.store (i32.const 24) (i32.const {}))", refs.len())
        .unwrap();
    body.push_str("(i32.const 16)");
    (items, body)
}

/// A component of world `charm`, built the same way.
pub(crate) struct CharmGuest {
    pub(crate) setup: String,
    /// Its parameters are `$stream`, `$stream-len`, `$event` and `$event-len`.
    pub(crate) handle: String,
    pub(crate) items: String,
}

impl Default for CharmGuest {
    fn default() -> Self {
        Self { setup: "(i32.const 16)".into(), handle: "(i32.const 16)".into(), items: String::new() }
    }
}

impl CharmGuest {
    pub(crate) fn build(&self) -> Vec<u8> {
        let Self { setup, handle, items } = self;
        let libc = libc(2);
        let text = format!(
            r#"(component
            {libc}
            {CELLS}
            (core module $main
                (import "libc" "memory" (memory 0))
                (import "host" "get" (func $get (param i32 i32 i32)))
                (import "host" "set" (func $set (param i32 i32 i32 i32 i32)))
                {items}
                (func (export "setup") (result i32) {setup})
                (func (export "page") (result i32) (i32.const 512))
                (func (export "handle") (param $stream i32) (param $stream-len i32) (param $event i32) (param $event-len i32)
                    (result i32) {handle}))
            (core instance $main (instantiate $main
                (with "libc" (instance $libc))
                (with "host" (instance (export "get" (func $get)) (export "set" (func $set))))))
            {CHARM})"#
        );
        wat::parse_str(text).unwrap()
    }
}
