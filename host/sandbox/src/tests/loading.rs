//! Files that are not components, components that fit no world, and the cache.

use std::fs;
use std::path::Path;

use crate::testing::{self, CharmGuest, Guest, runtime_with};
use crate::{ItemKind, Limits, LoadError, Origin, Sandbox, SandboxOptions, World, inspect};

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

async fn load(bytes: Vec<u8>, world: World) -> Result<(), LoadError> {
    testing::sandbox(Limits::default()).load(bytes, world).await.map(|_| ())
}

#[test]
fn a_file_that_is_not_a_component_is_named_for_what_it_is() {
    let sandbox = testing::sandbox(Limits::default());
    let component = Guest::default().build();
    let precompiled = sandbox.engine().precompile_component(&component).unwrap();
    let large = vec![0; crate::limits::COMPONENT_BYTES + 1];
    let cases: [(&str, &[u8], &str); 9] = [
        ("empty", b"", "the file is empty"),
        ("text", b"(component)", "this is a text file"),
        ("a page", "<!doctype html> ü".as_bytes(), "this is a text file"),
        ("an archive", b"PK\x03\x04\0\0\xff", "this is not a WebAssembly file"),
        (
            "core module",
            &wat("(module)"),
            "this is a core WebAssembly module, not a component; build it for wasm32-wasip2",
        ),
        ("precompiled", &precompiled, "this is a precompiled or native file"),
        ("native", b"\x7fELF\x02", "this is a precompiled or native file"),
        ("large", &large, "the file has 33554433 bytes; the limit is 33554432"),
        (
            "future version",
            b"\0asm\x09\0\x01\0",
            "this is not a valid component: its version of WebAssembly is unknown",
        ),
    ];
    for (name, bytes, expected) in cases {
        let error = inspect(bytes).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{name}: {error}");
    }
}

#[test]
fn a_truncated_file_is_reported_as_incomplete() {
    let component = Guest::default().build();
    let mut incomplete = 0;
    for end in 1..component.len() {
        match inspect(&component[..end]) {
            Err(LoadError::Truncated { size }) => {
                assert_eq!(size, end);
                incomplete += 1;
            }
            // Cut between two sections it may look complete, with less in it.
            Ok(_) => {}
            Err(LoadError::NotWasm | LoadError::Text) if end < 8 => {}
            Err(error) => panic!("cut at {end}: {error}"),
        }
    }
    assert!(incomplete > component.len() * 9 / 10);
}

#[test]
fn disabled_features_are_not_valid() {
    let error = inspect(&wat("(component (core module (memory i64 1)))")).unwrap_err();
    assert!(matches!(error, LoadError::Invalid(_)), "{error}");
}

#[tokio::test]
async fn everything_missing_or_unknown_is_listed_at_once() {
    let component = wat(r#"(component
            (import "commontools:other/thing" (instance))
            (import "commontools:background/cells@0.1.0" (instance))
            (import "commontools:background/config@0.1.0" (instance (export "guess" (func))))
            (import "commontools:background/log@0.9.0" (instance))
            (import "wasi:clocks/system-clock@0.3.0" (instance))
            (import "wasi:nn/graph@0.2.0" (instance))
            (import "wasi:io/poll@0.2.99" (instance))
            (import "loose" (func))
            (core module $m (func (export "f")))
            (core instance $m (instantiate $m))
            (func (export "initialise") (canon lift (core func $m "f")))
            (func (export "initialize") (canon lift (core func $m "f"))))"#);
    let error = load(component, World::Integration).await.unwrap_err().to_string();
    let expected = "the component does not fit the world commontools:background/integration@0.1.1:
  - missing export: `fetch-charms`: implement it, as wit/ describes it
  - missing export: `is-valid-charm`: implement it, as wit/ describes it
  - unknown import: `commontools:other/thing` is not offered by this host; remove it, or compose the component with one that exports it
  - unknown import: `commontools:background/cells@0.1.0` is not offered to the world integration, which has config, log, values, charms, state; remove it
  - unknown import: `commontools:background/config@0.1.0` has no function `guess`; build against this host's wit/
  - unknown import: `commontools:background/log@0.9.0`: this host speaks version 0.1.1; build against its wit/
  - unknown import: `wasi:clocks/system-clock@0.3.0`: this host offers WASI 0.2; build for it (wasm32-wasip2)
  - unknown import: `wasi:nn/graph@0.2.0` is not offered by this host, which has WASI 0.2's cli world and outgoing HTTP; remove it
  - unknown import: `loose` is not offered by this host; remove it, or get it from an interface of wit/
  - extra export: `initialise` is never called; remove it, unless a tool added it on purpose";
    assert_eq!(error, expected);
}

#[tokio::test]
async fn a_component_of_the_other_world_is_refused() {
    load(Guest::default().build(), World::Integration).await.unwrap();
    load(CharmGuest::default().build(), World::Charm).await.unwrap();
    let error = load(Guest::default().build(), World::Charm).await.unwrap_err().to_string();
    assert!(
        error.contains("missing export: `setup`")
            && error.contains("`commontools:background/charms@0.1.0` is not offered"),
        "{error}"
    );
}

#[tokio::test]
async fn a_wrong_type_is_reported() {
    let text = r#"(component
        (core module $m (func (export "f") (result i32) (i32.const 0)))
        (core instance $m (instantiate $m))
        (func (export "initialize") (result u32) (canon lift (core func $m "f")))
        (func (export "fetch-charms") (result u32) (canon lift (core func $m "f")))
        (func (export "is-valid-charm") (result u32) (canon lift (core func $m "f"))))"#;
    let sandbox = testing::sandbox(Limits::default());
    let error = testing::load_integration(&sandbox, wat(text), &runtime_with(&[])).await.err().unwrap().to_string();
    assert!(error.contains("wrong type: type-checking export func"), "{error}");
    let import =
        r#"(import "commontools:background/log@0.1.0" (instance (export "write" (func (param "message" string)))))"#;
    let text = text.replacen("(component", &format!("(component {import}"), 1);
    let error = testing::load_integration(&sandbox, wat(&text), &runtime_with(&[])).await.err().unwrap().to_string();
    assert!(error.contains("wrong type") && error.contains("write"), "{error}");
}

#[tokio::test]
async fn a_component_may_export_more_than_it_must() {
    let mut component = Guest::default().build();
    // Appended at the end: an empty instance, exported like WASI's command.
    component.extend(empty_instance_exported_as("wasi:cli/run@0.2.6"));
    let info = inspect(&component).unwrap();
    assert!(info.exports.iter().any(|export| export.name == "wasi:cli/run@0.2.6"));
    load(component, World::Integration).await.unwrap();
}

/// Two sections: an empty instance, and its export. It is at the index after the four imported ones.
fn empty_instance_exported_as(name: &str) -> Vec<u8> {
    let instance = [5, 3, 1, 1, 0];
    let mut export = vec![1, 1, u8::try_from(name.len()).unwrap()];
    export.extend(name.bytes());
    export.extend([5, 4, 0]);
    let mut sections = instance.to_vec();
    sections.extend([11, u8::try_from(export.len()).unwrap()]);
    sections.extend(export);
    sections
}

#[test]
fn inspecting_describes_the_file() {
    let mut component = Guest::default().build();
    for (name, data) in [
        ("version", b"1.2.3".to_vec()),
        ("authors", b"me\x1b".to_vec()),
        ("licenses", b"Apache-2.0".to_vec()),
        (bg_manifest::SECTION, testing::manifest().to_json()),
    ] {
        component.extend(custom_section(name, &data));
    }
    let info = inspect(&component).unwrap();
    assert_eq!(info.size, component.len() as u64);
    assert_eq!(info.sha256.len(), 64);
    assert_eq!(info.metadata.version.as_deref(), Some("1.2.3"));
    assert_eq!(info.metadata.authors.as_deref(), Some("me\\u{1b}"));
    assert_eq!(info.metadata.licenses.as_deref(), Some("Apache-2.0"));
    assert_eq!(info.manifest.unwrap().integration.name, "Gmail");
    let log = info.imports.iter().find(|import| import.name == "commontools:background/log@0.1.0").unwrap();
    assert_eq!((log.kind, &*log.functions), (ItemKind::Interface, &["write".to_owned()][..]));
    let functions = info.exports.iter().filter(|export| export.kind == ItemKind::Function);
    assert_eq!(
        functions.map(|export| &*export.name).collect::<Vec<_>>(),
        ["initialize", "fetch-charms", "is-valid-charm"]
    );
}

#[tokio::test]
async fn names_are_escaped() {
    let component = wat("(component (import \"url=<https://a.example/\\u{1b}[2J\\u{a}error: none>\" (func)))");
    let shown = "url=<https://a.example/\\u{1b}[2J\\nerror: none>";
    assert_eq!(inspect(&component).unwrap().imports[0].name, shown);
    let error = load(component, World::Charm).await.unwrap_err().to_string();
    assert!(error.contains(shown), "{error}");
    // The names of fields in a manifest are quoted, too.
    let manifest = custom_section(bg_manifest::SECTION, br#"{"\u001b[2J\nerror: none": 1}"#);
    let error = inspect(&[&wat("(component)")[..], &manifest].concat()).unwrap_err().to_string();
    assert!(error.contains("`\\u{1b}[2J\\nerror: none`"), "{error}");
}

#[test]
fn an_invalid_or_second_manifest_is_refused() {
    let mut component = Guest::default().build();
    let wrong = [component.clone(), custom_section(bg_manifest::SECTION, b"{}")].concat();
    assert!(matches!(inspect(&wrong), Err(LoadError::Manifest(_))));
    let manifest = custom_section(bg_manifest::SECTION, &testing::manifest().to_json());
    component.extend([manifest.clone(), manifest].concat());
    assert!(matches!(inspect(&component), Err(LoadError::Invalid(_))));
}

fn custom_section(name: &str, data: &[u8]) -> Vec<u8> {
    let mut content = vec![u8::try_from(name.len()).unwrap()];
    content.extend(name.bytes());
    content.extend(data);
    let mut section = vec![0];
    let mut size = content.len();
    while size >= 128 {
        section.push(u8::try_from(size % 128).unwrap() | 128);
        size /= 128;
    }
    section.push(u8::try_from(size).unwrap());
    section.extend(content);
    section
}

async fn load_with_cache(folder: &Path) -> Origin {
    let options = SandboxOptions { cache: Some(folder.to_owned()), ..SandboxOptions::default() };
    let sandbox = Sandbox::new(options).unwrap();
    let loaded = sandbox.load(Guest::default().build(), World::Integration).await.unwrap();
    let runtime = runtime_with(&[]);
    let integration = crate::IntegrationComponent::new(&sandbox, &loaded, testing::setup(&runtime)).unwrap();
    bg_poller::Integration::initialize(&integration).await.unwrap();
    loaded.origin()
}

#[tokio::test]
async fn a_component_is_compiled_once_and_again_if_its_code_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("cache");
    assert!(matches!(load_with_cache(&folder).await, Origin::Compiled(_)));
    assert_eq!(load_with_cache(&folder).await, Origin::Cached);
    let file = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let mut code = fs::read(&file).unwrap();
    let middle = code.len() / 2;
    code[middle] ^= 1;
    fs::write(&file, code).unwrap();
    assert!(matches!(load_with_cache(&folder).await, Origin::Compiled(_)));
    assert_eq!(load_with_cache(&folder).await, Origin::Cached);
}
