//! Finds the guests.

use std::path::{Path, PathBuf};

use bg_manifest::Manifest;

use crate::workspace::{Package, Workspace};
use crate::{BuildError, files};

/// The guest that runs charms written in JavaScript and TypeScript: the only one that is not an integration.
const SCRIPT: &str = "script";

/// The folders of integrations: ours, and those for tests.
const PARENTS: [&str; 2] = ["integrations", "tests/guests"];

/// One guest.
#[derive(Debug)]
pub(crate) struct Guest {
    /// Its name: the integration's ID, or `script`.
    pub(crate) id: String,
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// Its package there.
    pub(crate) package: Package,
    /// Its manifest, if it is an integration.
    pub(crate) manifest: Option<Manifest>,
}

impl Guest {
    /// The name of its component's file.
    pub(crate) fn file_name(&self) -> String {
        format!("{}.wasm", self.id)
    }

    /// The name of its library, as cargo reports it.
    pub(crate) fn module(&self) -> String {
        self.package.name.replace('-', "_")
    }

    fn integration(workspace: &Workspace, folder: PathBuf) -> Result<Self, BuildError> {
        let path = folder.join("integration.toml");
        let manifest = Manifest::parse(&files::read_text(&path)?)
            .map_err(|source| BuildError::Manifest { path, source: Box::new(source) })?;
        Ok(Self {
            id: manifest.integration.id.to_string(),
            package: workspace.package(&folder)?,
            manifest: Some(manifest),
            folder,
        })
    }
}

/// Every guest of the workspace, by ID.
pub(crate) fn find(workspace: &Workspace) -> Result<Vec<Guest>, BuildError> {
    let mut guests = Vec::new();
    for parent in PARENTS {
        for folder in folders(&workspace.root().join(parent))? {
            if folder.join("integration.toml").is_file() {
                guests.push(Guest::integration(workspace, folder)?);
            }
        }
    }
    let folder = workspace.root().join("host").join(SCRIPT);
    if folder.is_dir() {
        guests.push(Guest { id: SCRIPT.to_owned(), package: workspace.package(&folder)?, manifest: None, folder });
    }
    guests.sort_by(|a, b| a.id.cmp(&b.id));
    if let Some(pair) = guests.windows(2).find(|pair| pair[0].id == pair[1].id) {
        return Err(BuildError::SameId {
            id: pair[0].id.clone(),
            first: pair[0].folder.clone(),
            second: pair[1].folder.clone(),
        });
    }
    Ok(guests)
}

fn folders(parent: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(parent).map_err(BuildError::file("read", parent))? {
        let path = entry.map_err(BuildError::file("read", parent))?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guests_are_the_integrations_with_a_manifest_and_the_script_engine() {
        let guests = find(&Workspace::find().unwrap()).unwrap();
        let found = guests.iter().map(|guest| (guest.id.as_str(), guest.module())).collect::<Vec<_>>();
        assert_eq!(
            found,
            [
                ("gcal", "bg_gcal".to_owned()),
                ("gmail", "bg_gmail".to_owned()),
                ("news", "bg_news".to_owned()),
                ("script", "bg_script".to_owned()),
                ("thief", "bg_thief".to_owned())
            ]
        );
        for guest in guests {
            assert_eq!(guest.manifest.is_some(), guest.id != SCRIPT, "{}", guest.id);
        }
    }
}
