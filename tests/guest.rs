//! Components of world `integration` that do what a test says, in the text format.

use std::fmt::Write as _;
use std::path::PathBuf;

use bg_test_support::TestHost;
use bg_test_support::wat::{INTEGRATION, VALUES};

/// A component of world `integration` whose functions do this; writes it, with its manifest, and returns its path.
/// `fetch-charms` names these charms unless `fetch` is given.
pub(crate) fn guest(host: &TestHost, id: &str, charms: &[&str], fetch: Option<&str>, valid: &str) -> String {
    let (data, answer) = list(charms);
    let fetch = fetch.unwrap_or(&answer);
    let text = format!(
        r#"(component
        {VALUES}
        (import "commontools:background/charms@0.1.0" (instance $charms
            (export "charm" (type $charm (sub resource)))
            (type $e (variant (case "not-found") (case "malformed" string) (case "unavailable" string)))
            (export "charm-error" (type $error (eq $e)))
            (export "[method]charm.has-stream"
                (func (param "self" (borrow $charm)) (param "name" string) (result (result bool (error $error)))))))
        (alias export $charms "charm" (type $charm))
        (core module $libc
            (memory (export "memory") 2)
            ;; Only for the texts of errors, and there are none.
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
        (core instance $libc (instantiate $libc))
        (core func $drop (canon resource.drop $charm))
        (core func $has-stream (canon lower (func $charms "[method]charm.has-stream")
            (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
        (core module $main
            (import "libc" "memory" (memory 0))
            (import "host" "drop" (func $drop (param i32)))
            (import "host" "has-stream" (func $has-stream (param i32 i32 i32 i32)))
            (table $table 1 funcref)
            (data (i32.const 128) "no way")
            (data (i32.const 136) "add")
            {data}
            (func (export "initialize") (result i32) (i32.const 16))
            (func (export "fetch-charms") (result i32) {fetch})
            (func (export "is-valid-charm") (param $charm i32) (result i32)
                {valid}
                (call $drop (local.get $charm))))
        (core instance $main (instantiate $main
            (with "libc" (instance $libc))
            (with "host" (instance (export "drop" (func $drop)) (export "has-stream" (func $has-stream))))))
        {INTEGRATION})"#
    );
    let folder: PathBuf = host.dir().join(id);
    std::fs::create_dir_all(&folder).unwrap();
    let manifest = format!("[integration]\nid = \"{id}\"\nname = \"{id}\"\nversion = \"0.1.0\"\n");
    std::fs::write(folder.join("integration.toml"), manifest).unwrap();
    let file = folder.join("guest.wasm");
    std::fs::write(&file, wat::parse_str(text).unwrap()).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Data and instructions for `ok` with a list of these charms. Texts from 8,192 on, references from 1,024 on.
fn list(charms: &[&str]) -> (String, String) {
    let (mut data, mut code, mut text) = (String::new(), String::new(), 8_192);
    for (place, charm) in charms.iter().enumerate() {
        let (space, id) = charm.split_once('/').unwrap();
        for (field, part) in [(0, space), (8, id)] {
            let at = 1_024 + place * 16 + field;
            write!(data, "(data (i32.const {text}) \"{part}\")").unwrap();
            write!(code, "(i32.store (i32.const {at}) (i32.const {text}))").unwrap();
            write!(code, "(i32.store (i32.const {}) (i32.const {}))", at + 4, part.len()).unwrap();
            text += part.len();
        }
    }
    let count = charms.len();
    write!(code, "(i32.store (i32.const 20) (i32.const 1024)) (i32.store (i32.const 24) (i32.const {count}))").unwrap();
    (data, code + "(i32.const 16)")
}
