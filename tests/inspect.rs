//! `inspect`, and reproducible builds.

use serde_json::Value;

use crate::common::{component, host};

#[test]
fn inspect_shows_manifest_imports_exports_size_digest_and_requested_grants() {
    let host = host();
    let file = component("gmail");
    let text = host.command(["inspect", &file]).unwrap().success().unwrap().stdout;
    for part in [
        "gmail",
        "Apache-2.0",
        "GET https://gmail.googleapis.com/gmail/v1/",
        "charm.auth.token",
        "--allow-http gmail=https://gmail.googleapis.com/gmail/v1/",
        "commontools:background/charms@0.1.1",
        "wasi:http/outgoing-handler@0.2.12",
        "fetch-charms",
        "is-valid-charm",
        "initialize",
    ] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }

    let json = host.command(["inspect", &file, "--json"]).unwrap().success().unwrap().stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(json["size"], bytes.len());
    assert_eq!(json["manifest"]["integration"]["id"], "gmail");
    let digest = json["sha256"].as_str().unwrap();
    assert_eq!(digest.len(), 64);
    assert!(text.contains(digest));
}
