//! Where the sources of charms are.

use std::path::{Path, PathBuf};

/// The file of a charm: an example of `examples/charms`, or one of `tests/fixtures`, which are for tests alone.
pub fn charm_source(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let example = root.join("examples/charms").join(name);
    if example.exists() { example } else { root.join("tests/fixtures").join(name) }
}
