//! A digest of everything that the components depend on.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::guests::Guest;
use crate::workspace::Workspace;
use crate::{BuildError, files, toolchain};

/// Besides the packages: files that affect how they are built. Missing ones are skipped.
const SHARED: [&str; 5] = ["Cargo.toml", "Cargo.lock", "wit", "rust-toolchain.toml", ".cargo/config.toml"];

/// The digest, in hexadecimal, of the guests' sources, of this builder's (which generates the code around them), of the
/// workspace's packages that either depends on, of the contract, and of the active compiler.
pub(crate) fn digest(workspace: &Workspace, guests: &[Guest]) -> Result<String, BuildError> {
    let mut packages = BTreeSet::new();
    let mut found = guests.iter().map(|guest| guest.folder.clone()).collect::<Vec<_>>();
    found.push(workspace.root().join("integrations").join("build"));
    while let Some(folder) = found.pop() {
        if packages.insert(folder.clone()) {
            found.extend(workspace.package(&folder)?.dependencies);
        }
    }
    let mut digest = Sha256::new();
    for path in packages.into_iter().chain(SHARED.map(|name| workspace.root().join(name))) {
        let name = path.strip_prefix(workspace.root()).unwrap_or(&path).to_path_buf();
        add(&mut digest, &name, &path)?;
    }
    digest.update(toolchain::active_identity()?);
    Ok(HEXLOWER.encode(&digest.finalize()))
}

fn add(digest: &mut Sha256, name: &Path, path: &Path) -> Result<(), BuildError> {
    let Ok(kind) = fs::metadata(path) else { return Ok(()) };
    if kind.is_dir() {
        for (name, path) in entries(name, path)? {
            add(digest, &name, &path)?;
        }
        return Ok(());
    }
    let bytes = files::read(path)?;
    // The length of each part comes first, so that different trees never hash the same.
    for part in [name.as_os_str().as_encoded_bytes(), &bytes] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    Ok(())
}

/// The contents of a folder, sorted, without hidden files (such as an editor's) and build output.
fn entries(name: &Path, folder: &Path) -> Result<Vec<(PathBuf, PathBuf)>, BuildError> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(BuildError::file("read", folder))? {
        let entry = entry.map_err(BuildError::file("read", folder))?;
        let file = entry.file_name();
        let hidden = file.as_encoded_bytes().starts_with(b".") || file.as_encoded_bytes().ends_with(b"~");
        if !hidden && file != "target" && file != "node_modules" {
            entries.push((name.join(&file), entry.path()));
        }
    }
    entries.sort();
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(folder: &Path) -> String {
        let mut digest = Sha256::new();
        add(&mut digest, Path::new(""), folder).unwrap();
        HEXLOWER.encode(&digest.finalize())
    }

    #[test]
    fn the_digest_changes_with_the_sources_and_with_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("src/lib.rs", "one");
        let first = of(folder.path());
        for (name, text, changes) in [
            ("src/lib.rs", "two", true),
            ("src/lib.rs", "one", false),
            ("src/.lib.rs.swp", "x", false),
            ("src/lib.rs~", "x", false),
            ("target/debug/x", "x", false),
            ("src/more.rs", "", true),
        ] {
            write(name, text);
            assert_eq!(of(folder.path()) != first, changes, "{name} = {text}");
        }
    }

    #[test]
    fn text_that_moves_between_files_changes_the_digest() {
        let one = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        for (folder, a, b) in [(&one, "xy", "z"), (&other, "x", "yz")] {
            fs::write(folder.path().join("a"), a).unwrap();
            fs::write(folder.path().join("b"), b).unwrap();
        }
        assert_ne!(of(one.path()), of(other.path()));
    }

    #[test]
    fn the_same_sources_have_the_same_digest() {
        let workspace = Workspace::find().unwrap();
        let guests = crate::guests::find(&workspace).unwrap();
        assert_eq!(digest(&workspace, &guests).unwrap(), digest(&workspace, &guests).unwrap());
    }
}
