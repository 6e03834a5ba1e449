//! Helpers of the tests here.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub(crate) use bg_test_support::SOON;
use bg_test_support::{Running, TestHost};
use serde_json::Value;

/// `is-valid-charm` of a [`guest`](crate::guest::guest) that finds every charm fit: `ok(true)`, at address 48.
pub(crate) const VALID: &str =
    "(i32.store8 (i32.const 48) (i32.const 0)) (i32.store8 (i32.const 52) (i32.const 1)) (i32.const 48)";

/// A host with its own data directory. Compiled components are shared between tests, since compiling takes seconds.
pub(crate) fn host() -> TestHost {
    guests();
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("component-cache");
    TestHost::new(env!("CARGO_BIN_EXE_bg-wasm-host")).unwrap().env("BG_WASM_HOST_CACHE", cache)
}

/// Where screenshots of pages are stored for people.
pub(crate) fn pictures() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots")
}

/// The built guests; built first if needed.
fn guests() -> &'static bg_build::Dist {
    static GUESTS: OnceLock<bg_build::Dist> = OnceLock::new();
    GUESTS.get_or_init(|| bg_build::ensure_guests().expect("the guests can be built"))
}

/// A built component, by its name.
pub(crate) fn component(name: &str) -> String {
    guests().path(name).unwrap().to_str().unwrap().to_owned()
}

/// The source of a charm: an example, or a file of `tests/fixtures`.
pub(crate) fn fixture(name: &str) -> String {
    bg_test_support::charm_source(name).to_str().unwrap().to_owned()
}

/// Deploys a charm into a space, and returns its name, `<space DID>/<charm ID>`.
pub(crate) fn deploy(host: &TestHost, source: &str, space: &str, inputs: &Value) -> String {
    let inputs = host.write("inputs.json", inputs.to_string()).unwrap();
    let inputs = format!("@{}", inputs.display());
    let deployed = host.command(["charm", "deploy", source, "--space", space, "--inputs", &inputs]).unwrap();
    let id = deployed.success().unwrap().stdout.trim().to_owned();
    let space = host.command(["space-did", space]).unwrap().success().unwrap().stdout.trim().to_owned();
    format!("{space}/{id}")
}

/// Registers a charm.
pub(crate) fn register(host: &TestHost, charm: &str, integration: &str) {
    host.command(["register", charm, "--integration", integration]).unwrap().success().unwrap();
}

/// A cell of a charm, as `charm show` prints it.
pub(crate) fn cell(host: &TestHost, charm: &str, name: &str) -> Value {
    let shown = host.command(["charm", "show", charm]).unwrap().success().unwrap();
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    shown["cells"][name].clone()
}

/// Waits until the service reports a successful poll of that charm.
pub(crate) fn wait_for_success(service: &mut Running, charm: &str) {
    let expected = format!("Successfully executed charm {charm}");
    service.wait_for_line(|line| line.contains(&expected), SOON).unwrap();
}

/// Starts `serve` with these options at an address, and returns it with the address at which it listens.
pub(crate) fn serve(host: &TestHost, listen: &str, options: &[&str]) -> (Running, SocketAddr) {
    let mut server = host.spawn(["serve", "--listen", listen].iter().chain(options)).unwrap();
    let line = server.wait_for_line(|line| line.contains("listening on http://"), SOON).unwrap();
    let address = line.split("http://").nth(1).unwrap().split_whitespace().next().unwrap();
    (server, address.parse().unwrap())
}

/// Replaces a file by renaming a new one, as editors and installers do.
pub(crate) fn replace(file: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    let new = file.as_ref().with_extension("new");
    std::fs::write(&new, content).unwrap();
    std::fs::rename(new, file).unwrap();
}
