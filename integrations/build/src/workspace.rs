//! The workspace: its folder, and its `Cargo.toml` files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{BuildError, files};

/// The workspace whose guests are built.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    manifest: RootToml,
}

/// The relevant parts of the root's `Cargo.toml`.
#[derive(Debug, Deserialize)]
struct RootToml {
    workspace: WorkspaceToml,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WorkspaceToml {
    package: Inherited,
    #[serde(default)]
    dependencies: BTreeMap<String, toml::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Inherited {
    version: String,
    license: String,
    rust_version: String,
}

/// One package of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) version: String,
    pub(crate) license: String,
    /// The folders of the workspace's packages that it depends on.
    pub(crate) dependencies: Vec<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct PackageToml {
    package: PackageSection,
    #[serde(default)]
    dependencies: BTreeMap<String, toml::Value>,
    #[serde(default)]
    build_dependencies: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
struct PackageSection {
    name: String,
    #[serde(default)]
    description: String,
}

impl Workspace {
    /// The workspace that this crate was compiled in, or if that no longer exists, the one around the current folder.
    pub(crate) fn find() -> Result<Self, BuildError> {
        let compiled_in = Path::new(env!("CARGO_MANIFEST_DIR"));
        let here = std::env::current_dir().unwrap_or_default();
        compiled_in
            .ancestors()
            .skip(2)
            .take(1)
            .chain(here.ancestors())
            .find(|folder| is_root(folder))
            .ok_or_else(|| BuildError::NoWorkspace(compiled_in.ancestors().nth(2).unwrap_or(compiled_in).to_path_buf()))
            .and_then(Self::open)
    }

    pub(crate) fn open(root: &Path) -> Result<Self, BuildError> {
        if !is_root(root) {
            return Err(BuildError::NoWorkspace(root.to_path_buf()));
        }
        Ok(Self { root: root.to_path_buf(), manifest: parse(&root.join("Cargo.toml"))? })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The oldest compiler that the workspace supports, such as `1.95`.
    pub(crate) fn rust_version(&self) -> &str {
        &self.manifest.workspace.package.rust_version
    }

    /// Reads the `Cargo.toml` of a folder.
    pub(crate) fn package(&self, folder: &Path) -> Result<Package, BuildError> {
        let path = folder.join("Cargo.toml");
        let toml: PackageToml = parse(&path)?;
        let dependencies = toml
            .dependencies
            .iter()
            .chain(&toml.build_dependencies)
            .filter_map(|(name, dependency)| self.folder_of(folder, name, dependency))
            .collect();
        Ok(Package {
            name: toml.package.name,
            description: toml.package.description,
            version: self.manifest.workspace.package.version.clone(),
            license: self.manifest.workspace.package.license.clone(),
            dependencies,
        })
    }

    /// The folder of a dependency, if it is a local one.
    fn folder_of(&self, dependent: &Path, name: &str, dependency: &toml::Value) -> Option<PathBuf> {
        if dependency.get("workspace").and_then(toml::Value::as_bool) == Some(true) {
            let path = self.manifest.workspace.dependencies.get(name)?.get("path")?.as_str()?;
            return Some(self.root.join(path));
        }
        Some(dependent.join(dependency.get("path")?.as_str()?))
    }
}

fn is_root(folder: &Path) -> bool {
    folder.join("Cargo.lock").is_file() && folder.join("wit").is_dir() && folder.join("integrations").is_dir()
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, BuildError> {
    toml::from_str(&files::read_text(path)?)
        .map_err(|error| BuildError::CargoToml { path: path.to_path_buf(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_is_found_and_a_package_lists_its_local_dependencies() {
        let workspace = Workspace::find().unwrap();
        let gmail = workspace.package(&workspace.root().join("integrations/gmail")).unwrap();
        assert_eq!(gmail.name, "bg-gmail");
        assert!(!gmail.description.is_empty());
        assert_eq!(gmail.dependencies, [workspace.root().join("integrations/sdk")]);
    }

    #[test]
    fn a_folder_that_is_not_a_workspace_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = Workspace::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains("run this from a checkout"), "{error}");
    }
}
