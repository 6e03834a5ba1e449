//! What the last build was made from, stored next to its results.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{BuildError, Component, files, toolchain};

const NAME: &str = "stamp.json";

/// The inputs and the results of the last build.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// [`crate::sources::digest`] at that time.
    pub(crate) inputs: String,
    /// The compiler, which need not be the active one.
    pub(crate) compiler: Compiler,
    /// The SHA-256 of each component.
    pub(crate) components: BTreeMap<String, String>,
}

/// A compiler: the same file with the same size and date counts as the same compiler.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Compiler {
    pub(crate) path: PathBuf,
    pub(crate) identity: String,
}

impl Stamp {
    pub(crate) fn new(inputs: &str, compiler: &Path, components: &[Component]) -> Result<Self, BuildError> {
        let identity = toolchain::file_identity(compiler)
            .ok_or_else(|| BuildError::file("read", compiler)(std::io::Error::from(std::io::ErrorKind::NotFound)))?;
        Ok(Self {
            inputs: inputs.to_owned(),
            compiler: Compiler { path: compiler.to_path_buf(), identity },
            components: components.iter().map(|one| (one.id.clone(), one.sha256.clone())).collect(),
        })
    }

    /// The stamp in a folder; `None` if there is none, or it can't be read: then everything is built.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join(NAME)).ok()?).ok()
    }

    pub(crate) fn write(&self, folder: &Path) -> Result<(), BuildError> {
        let path = folder.join(NAME);
        let json = serde_json::to_vec_pretty(self)
            .map_err(|error| BuildError::file("write", &path)(std::io::Error::other(error)))?;
        files::write_if_changed(&path, &json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_survives_writing_and_a_damaged_one_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Stamp::read(folder.path()), None);
        let stamp = Stamp::new("inputs", &std::env::current_exe().unwrap(), &[]).unwrap();
        stamp.write(folder.path()).unwrap();
        assert_eq!(Stamp::read(folder.path()), Some(stamp));
        fs::write(folder.path().join(NAME), "{\"inputs\": ").unwrap();
        assert_eq!(Stamp::read(folder.path()), None);
    }
}
