//! A plain build, the demo, the tests and the lints share compiled crates, since they resolve the same features.

use std::collections::{BTreeMap, BTreeSet};

use crate::workshop::{root, run};

/// Each crate that these kinds of dependencies lead to, with its features: two sets of them if build scripts and macros
/// use it with others.
fn resolved(edges: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut tree = bg_build::same_cargo();
    tree.args(["tree", "--offline", "--locked", "--no-dedupe", "--prefix", "none", "--format", "{p}\t{f}"]);
    let printed = run(tree.args(["--edges", edges]).current_dir(root())).unwrap();
    let mut resolved: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (package, features) in printed.lines().filter_map(|line| line.split_once('\t')) {
        // Where a crate of this workspace and its tests depend on each other, the second time is marked.
        let features = features.trim_end_matches(" (*)");
        resolved.entry(package.to_owned()).or_default().insert(features.to_owned());
    }
    resolved
}

#[test]
fn tests_turn_on_no_feature_that_a_plain_build_does_not() {
    let (plain, tested) = (resolved("normal,build"), resolved("normal,build,dev"));
    assert!(plain.len() > 300, "{plain:?}");
    for (package, features) in &plain {
        assert_eq!(features, &tested[package], "{package}: see tests/support/Cargo.toml");
    }
}
