//! The checks of a component's file before it is compiled: `inspect` of `host/sandbox`, and its world.
//!
//! Input: the file. `seeds/loader/*.wasm` are encoded from the `.wat` next to them.

#![no_main]

// Included as modules, since their crate depends on the engine, whose instrumentation would take most of a build.
#[path = "../../../host/sandbox/src/features.rs"]
mod features;
#[path = "../../../host/sandbox/src/limits.rs"]
#[allow(dead_code, reason = "the crate uses the rest")]
mod limits;
#[path = "../../../host/sandbox/src/text.rs"]
#[allow(dead_code, reason = "the crate uses the rest")]
mod text;
#[path = "../../../host/sandbox/src/load"]
#[allow(dead_code, reason = "the crate uses the rest")]
mod load {
    pub(crate) mod error;
    pub(crate) mod inspect;
    pub(crate) mod world;
}

use libfuzzer_sys::fuzz_target;
use load::error::{LoadError, World};
use load::inspect::{ComponentInfo, Item, ItemKind, inspect};
use wasmparser::{Encoding, Parser, Payload, Validator};

/// More than any text of a component's metadata may have.
const METADATA_BYTES: usize = 2048;

/// The packages of WASI 0.2 that a guest may import from.
const WASI: [&str; 7] = ["cli", "clocks", "filesystem", "http", "io", "random", "sockets"];

fuzz_target!(|data: &[u8]| {
    let is_valid = Validator::new_with_features(features::features()).validate_all(data).is_ok();
    match inspect(data) {
        Ok(info) => {
            assert!(is_valid && Parser::is_component(data), "inspected, but not valid");
            described_correctly(data, &info);
            fits(World::Integration, &info);
            fits(World::Charm, &info);
        }
        Err(error) => {
            let duplicate_or_wrong = |error: &LoadError| match error {
                LoadError::Manifest(_) => true,
                LoadError::Invalid(problem) => {
                    problem.contains("more than one manifest") || problem.contains("imports and exports")
                }
                _ => false,
            };
            let usable = is_valid && Parser::is_component(data);
            assert!(!usable || duplicate_or_wrong(&error), "valid, but: {error}");
            assert_eq!(matches!(error, LoadError::CoreModule), Parser::is_core_wasm(data), "{error}");
            let text = error.to_string();
            assert!(is_safe_to_show(&text), "{text:?}");
            assert!(text.len() <= METADATA_BYTES + data.len(), "{} bytes of {text}", text.len());
        }
    }
});

/// The description of a component matches a separate walk over its top level.
fn described_correctly(data: &[u8], info: &ComponentInfo) {
    assert_eq!(info.size, data.len() as u64);
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let mut outer = 0_usize;
    for payload in Parser::new(0).parse_all(data) {
        match payload.expect("it is valid") {
            Payload::Version { encoding: Encoding::Module | Encoding::Component, .. } => outer += 1,
            Payload::End(_) => outer -= 1,
            Payload::ComponentImportSection(section) if outer == 1 => {
                imports.extend(section.into_iter().map(|import| import.expect("it is valid").name.name.to_owned()));
            }
            Payload::ComponentExportSection(section) if outer == 1 => {
                exports.extend(section.into_iter().map(|export| export.expect("it is valid").name.name.to_owned()));
            }
            _ => {}
        }
    }
    for (items, names) in [(&info.imports, &imports), (&info.exports, &exports)] {
        assert_eq!(items.len(), names.len());
        for (item, name) in items.iter().zip(names) {
            let is_usual = is_safe_to_show(name) && name.is_ascii() && name.len() < 1000;
            assert!(!is_usual || item.name == *name, "{name:?} is reported as {:?}", item.name);
        }
    }

    // The manifest's own texts are checked with the manifest.
    let metadata = serde_json::to_value(&info.metadata).expect("it is made of texts");
    let texts = metadata.as_object().into_iter().flatten().filter_map(|(_, text)| text.as_str());
    for text in texts {
        assert!(is_safe_to_show(text) && text.len() <= METADATA_BYTES, "{text:?}");
    }
    for item in info.imports.iter().chain(&info.exports) {
        for name in std::iter::once(&item.name).chain(&item.functions) {
            assert!(is_safe_to_show(name), "{name:?}");
        }
    }
}

/// A component that fits a world has every function that the host calls, and imports nothing that the host lacks.
fn fits(world: World, info: &ComponentInfo) {
    if let Err(error) = world.check(info) {
        assert!(!error.problems.is_empty());
        assert!(error.problems.iter().all(|problem| is_safe_to_show(problem)), "{error:?}");
        return;
    }
    let called: &[&str] = match world {
        World::Integration => &["initialize", "fetch-charms", "is-valid-charm"],
        World::Charm => &["setup", "page", "handle"],
    };
    for name in called {
        let is_it = |item: &&Item| item.name == *name && item.kind == ItemKind::Function;
        assert_eq!(info.exports.iter().filter(is_it).count(), 1, "{name}");
    }
    for import in info.imports.iter().filter(|import| import.kind != ItemKind::Type) {
        assert_eq!(import.kind, ItemKind::Interface, "{}", import.name);
        let ours = import.name.starts_with("commontools:background/") && import.name.contains("@0.1.");
        let package = import.name.strip_prefix("wasi:").and_then(|name| name.split('/').next());
        let wasi = package.is_some_and(|package| WASI.contains(&package)) && import.name.contains("@0.2.");
        assert!(ours || wasi, "{}", import.name);
        let of_the_other = match world {
            World::Integration => "commontools:background/cells@",
            World::Charm => "commontools:background/charms@",
        };
        assert!(!import.name.starts_with(of_the_other), "{} in the world {world}", import.name);
    }
}

/// One line, without terminal control and without text that changes direction.
fn is_safe_to_show(text: &str) -> bool {
    let obeyed = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !text.contains(obeyed)
}
