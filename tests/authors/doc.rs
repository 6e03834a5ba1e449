//! `integrations/README.md`, which tells authors what to type.

use super::build::{JAVASCRIPT, PYTHON, RUST, root};

/// The blocks of shell commands in a section.
pub(super) fn blocks(section: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("integrations/README.md")).unwrap();
    let heading = format!("\n## {section}\n");
    let (_, rest) = text.split_once(&heading).unwrap_or_else(|| panic!("there is no section {section}"));
    let body = rest.split("\n## ").next().unwrap();
    body.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn its_sections_are_the_ways_that_are_tested() {
    // `common::component` does the same.
    assert_eq!(blocks("Rust, in this repository"), ["cargo guests\n"]);
    for way in [RUST, JAVASCRIPT, PYTHON] {
        assert_eq!(blocks(way.section).len(), 2, "{}", way.section);
        assert!(way.folder().join("integration.toml").is_file(), "{way:?}");
    }
    let run = "bg-wasm-host inspect news-rust.wasm\nbg-wasm-host run --component news-rust.wasm\n";
    assert_eq!(blocks("Run it"), [run]);
}

#[test]
fn the_templates_ask_for_the_same() {
    let manifests = [RUST, JAVASCRIPT, PYTHON].map(|way| {
        let text = std::fs::read_to_string(way.folder().join("integration.toml")).unwrap();
        let mut manifest = bg_manifest::Manifest::parse(&text).unwrap();
        assert_eq!(manifest.integration.id.to_string(), way.id);
        manifest.integration.id = RUST.id.parse().unwrap();
        manifest.integration.name.clear();
        manifest
    });
    assert!(manifests.iter().all(|manifest| *manifest == manifests[0]), "{manifests:?}");
}
