//! The contract's versions: what a component of 0.1.0 knows, and what 0.1.1 adds.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bg_poller::{Fitness, Integration, IntegrationState};
use sha2::{Digest as _, Sha256};
use wit_parser::{Resolve, TypeDefKind};

use crate::Limits;
use crate::testing::{self, CoreGuest, Guest, MemoryCharm, charm, owned, runtime_with, runtime_with_polls};

const CHARMS: &str = "commontools:background/charms";
const STATE: &str = "commontools:background/state";

/// The lines of a text that are neither empty nor comments.
fn lines(text: &str) -> Vec<&str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("//") && !line.starts_with("package "))
        .collect()
}

/// How many parts a type has: more parts would make it a different type.
fn parts(kind: &TypeDefKind) -> usize {
    match kind {
        TypeDefKind::Record(record) => record.fields.len(),
        TypeDefKind::Variant(variant) => variant.cases.len(),
        TypeDefKind::Enum(cases) => cases.cases.len(),
        TypeDefKind::Flags(flags) => flags.flags.len(),
        TypeDefKind::Tuple(tuple) => tuple.types.len(),
        _ => 0,
    }
}

/// The types of our interfaces, by their full names, with their parts.
fn types(resolve: &Resolve) -> Vec<(String, usize)> {
    let interfaces = resolve.interfaces.iter().filter_map(|(_, interface)| {
        let package = &resolve.packages[interface.package?].name;
        (package.namespace == "commontools").then_some(interface)
    });
    let types = interfaces.flat_map(|interface| {
        let name = interface.name.clone().unwrap_or_default();
        interface.types.iter().map(move |(of, id)| (format!("{name}.{of}"), parts(&resolve.types[*id].kind)))
    });
    types.collect()
}

/// Every published version, and the digest of its files, as [`digest`] takes it. Publishing a version adds a row. A row
/// never changes: components in use were built against these very files.
const PUBLISHED: [(&str, &str); 1] = [("0.1.0", "8b7a80340a151dfbfbb6b561aa62c554815afa0efe553b6f3fa2c21b244efceb")];

/// The SHA-256 of the files in a folder: of the name of each, a line break and its text, in the order of the names.
fn digest(folder: &Path) -> String {
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    let mut digest = Sha256::new();
    for name in names {
        digest.update([name.to_str().unwrap().as_bytes(), b"\n"].concat());
        digest.update(std::fs::read(folder.join(name)).unwrap());
    }
    data_encoding::HEXLOWER.encode(&digest.finalize())
}

#[test]
fn no_file_of_a_published_version_has_changed() {
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/published");
    let mut versions: Vec<_> = std::fs::read_dir(&published).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    versions.sort();
    assert_eq!(
        versions,
        PUBLISHED.map(|(version, _)| version),
        "a version without a digest, or a digest without its version"
    );
    for (version, expected) in PUBLISHED {
        let found = digest(&published.join(version));
        assert_eq!(
            found, expected,
            "wit/published/{version} is as it was published; undo the change, and add a version"
        );
    }
}

#[test]
fn what_was_published_is_still_there_unchanged() {
    for (version, _) in PUBLISHED {
        is_still_there(version);
    }
}

/// The current contract has all of that version.
fn is_still_there(version: &str) {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let published = wit.join("published").join(version);
    for file in ["values.wit", "integration.wit", "charm.wit"] {
        let (old, new) = (std::fs::read_to_string(published.join(file)), std::fs::read_to_string(wit.join(file)));
        let (old, new) = (old.unwrap(), new.unwrap());
        let mut now = lines(&new).into_iter();
        for line in lines(&old) {
            assert!(now.any(|other| other == line), "{file} has changed or moved: {line}");
        }
    }
    let mut now = Resolve::default();
    now.push_path(&wit).unwrap();
    let before = tempfile::tempdir().unwrap();
    for file in ["values.wit", "integration.wit", "charm.wit"] {
        std::fs::copy(published.join(file), before.path().join(file)).unwrap();
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink(wit.join("deps").canonicalize().unwrap(), before.path().join("deps")).unwrap();
    let mut then = Resolve::default();
    then.push_path(before.path()).unwrap();
    let (now, then) = (types(&now), types(&then));
    assert!(then.len() > 5 && now.len() >= then.len(), "{then:?}");
    for kept in &then {
        assert!(now.contains(kept), "{kept:?} has different parts now");
    }
}

#[tokio::test]
async fn a_component_that_was_built_for_the_first_version_still_runs() {
    let guest = Guest {
        fetch_charms: "(call $registered (i32.const 16)) (i32.const 16)".into(),
        items: r#"(data (i32.const 1024) "bgUpdater")"#.into(),
        is_valid_charm:
            "(call $has-stream (local.get $charm) (i32.const 1024) (i32.const 9) (i32.const 32)) (i32.const 32)".into(),
        ..Guest::default()
    };
    let sandbox = testing::sandbox(Limits::default());
    let component = guest.build();
    let import = b"commontools:background/charms@0.1.0";
    assert!(component.windows(import.len()).any(|bytes| bytes == import));
    let runtime = runtime_with(&[(charm("a"), "gmail", true)]);
    let integration = testing::load_integration(&sandbox, component, &runtime).await.unwrap();
    assert_eq!(integration.fetch_charms().await.unwrap(), [charm("a")]);
    assert_eq!(integration.is_valid_charm(Arc::new(MemoryCharm(charm("a")))).await, Ok(Fitness::Fit));
}

#[tokio::test]
async fn an_integration_says_why_a_charm_is_unfit() {
    let unfit = "(i32.store8 (i32.const 48) (i32.const 0)) (i32.store8 (i32.const 52) (i32.const 0)) (i32.const 48)";
    let explain = "(call $explain (local.get $charm) (i32.const 1024) (i32.const 10))";
    let fit = "(i32.store8 (i32.const 48) (i32.const 0)) (i32.store8 (i32.const 52) (i32.const 1)) (i32.const 48)";
    for (body, expected) in [
        (unfit.to_owned(), Fitness::Unfit(None)),
        (format!("{explain} {unfit}"), Fitness::Unfit(Some("no\\u{1b}sign-in".into()))),
        (format!("{explain} {fit}"), Fitness::Fit),
    ] {
        let guest = CoreGuest {
            imports: owned(&[(CHARMS, "[method]charm.explain", "explain")]),
            items: r#"(data (i32.const 1024) "no\1bsign-in")"#.into(),
            is_valid_charm: body,
            ..CoreGuest::default()
        };
        let runtime = runtime_with(&[(charm("a"), "gmail", true)]);
        let sandbox = testing::sandbox(Limits::default());
        let integration = testing::load_integration(&sandbox, guest.build(), &runtime).await.unwrap();
        assert_eq!(integration.is_valid_charm(Arc::new(MemoryCharm(charm("a")))).await, Ok(expected));
    }
}

#[tokio::test]
async fn an_integration_sees_the_results_of_its_own_charms_polls() {
    // One registration: 64 bytes, with the last success at 16, the last poll at 32, the outcome at 48.
    let body = "(local $at i32) (call $polls (i32.const 64))
        (if (i32.load8_u (i32.const 64)) (then unreachable))
        (if (i32.ne (i32.load (i32.const 72)) (i32.const 1)) (then unreachable))
        (local.set $at (i32.load (i32.const 68)))
        (if (i32.ne (i32.load8_u offset=16 (local.get $at)) (i32.const 1)) (then unreachable))
        (if (i64.ne (i64.load offset=24 (local.get $at)) (i64.const 7)) (then unreachable))
        (if (i64.ne (i64.load offset=40 (local.get $at)) (i64.const 9)) (then unreachable))
        (if (i32.ne (i32.load8_u offset=48 (local.get $at)) (i32.const 1)) (then unreachable))
        (if (i32.ne (i32.load offset=56 (local.get $at)) (i32.const 13)) (then unreachable))
        (call $registered (i32.const 96))
        (if (i32.ne (i32.load (i32.const 104)) (i32.const 1)) (then unreachable))
        (i32.const 16)";
    let guest = CoreGuest {
        imports: owned(&[(CHARMS, "registered-with-polls", "polls"), (CHARMS, "registered", "registered")]),
        fetch_charms: body.into(),
        ..CoreGuest::default()
    };
    let runtime = runtime_with_polls(&[(charm("a"), "gmail", true), (charm("b"), "gcal", true)], 7, 9);
    let sandbox = testing::sandbox(Limits::default());
    let integration = testing::load_integration(&sandbox, guest.build(), &runtime).await.unwrap();
    assert_eq!(integration.fetch_charms().await, Ok(Vec::new()));
    assert_eq!(runtime.listed.load(Ordering::Relaxed), 1, "fetched once per call");
}

#[tokio::test]
async fn an_integration_that_asks_for_its_registrations_endlessly_reads_them_once_per_call() {
    // Each in a loop of a thousand. The answer is dropped, and overwritten by the next.
    let body = "(local $left i32) (local.set $left (i32.const 1000))
        (loop $again
            (call $polls (i32.const 64))
            (call $registered (i32.const 96))
            (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (i32.const 16)";
    for is_away in [false, true] {
        let guest = CoreGuest {
            imports: owned(&[(CHARMS, "registered-with-polls", "polls"), (CHARMS, "registered", "registered")]),
            fetch_charms: body.into(),
            ..CoreGuest::default()
        };
        let runtime = runtime_with_polls(&[(charm("a"), "gmail", true)], 7, 9);
        let sandbox = testing::sandbox(Limits::default());
        let integration = testing::load_integration(&sandbox, guest.build(), &runtime).await.unwrap();
        runtime.is_away.store(is_away, Ordering::Relaxed);
        for calls in 1..=3 {
            assert_eq!(integration.fetch_charms().await, Ok(Vec::new()));
            // Without an answer, it has asked for each of the two.
            let reads = if is_away { 2 * calls } else { calls };
            assert_eq!(runtime.listed.load(Ordering::Relaxed), reads, "away: {is_away}");
        }
    }
}

/// Writes `1` to `etag` in `fetch-charms`, reads it, and returns what `end` says.
fn remembers(end: &str) -> CoreGuest {
    let write = "(call $set (i32.const 1024) (i32.const 4) (i32.const 1028) (i32.const 1) (i32.const 64))
        (if (i32.load8_u (i32.const 64)) (then unreachable))
        (call $get (i32.const 1024) (i32.const 4) (i32.const 64))
        (if (i32.ne (i32.load8_u (i32.const 68)) (i32.const 1)) (then unreachable))
        (if (i32.ne (i32.load (i32.const 76)) (i32.const 1)) (then unreachable))";
    CoreGuest {
        imports: owned(&[(STATE, "set", "set"), (STATE, "get", "get")]),
        items: r#"(data (i32.const 1024) "etag1")"#.into(),
        fetch_charms: format!("{write} {end}"),
        ..CoreGuest::default()
    }
}

#[tokio::test]
async fn writes_of_fetch_charms_are_kept_only_on_request_and_only_if_the_call_succeeded() {
    let id = "gmail".parse().unwrap();
    for (end, fails) in [
        ("(i32.const 16)", false),
        ("(i32.store8 (i32.const 16) (i32.const 1)) (i32.const 16)", true),
        ("unreachable", true),
    ] {
        let runtime = runtime_with(&[]);
        let sandbox = testing::sandbox(Limits::default());
        let integration = testing::load_integration(&sandbox, remembers(end).build(), &runtime).await.unwrap();
        for _ in 0..2 {
            assert_eq!(integration.fetch_charms().await.is_err(), fails, "{end}");
            assert_eq!(integration.has_unkept_state(), !fails, "{end}");
            assert_eq!(runtime.get(&id, "etag").await, Ok(None), "{end}");
        }
        integration.keep_state().await.unwrap();
        assert_eq!(runtime.get(&id, "etag").await.unwrap().is_some(), !fails, "{end}");
        assert!(!integration.has_unkept_state());
    }
}
