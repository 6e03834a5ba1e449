//! The files from which a charm is deployed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use bg_charm_api::DeployRequest;
use bg_identity::CharmId;
use bg_transpile::{Sources, gather, name_from_common_folder};
use serde_json::{Map, Value};

use super::folder::{self, Folder};
use crate::args::SourceArgs;
use crate::paths;

/// A charm's source, read from files.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) file_name: String,
    pub(super) text: String,
    /// The texts of the other files that it imports.
    pub(super) further: BTreeMap<String, String>,
    /// The files that were read: if one of them changes, so does the charm.
    pub(super) files: Vec<PathBuf>,
}

/// Reads a charm's source, and the files it imports. They are below the charm's root: the one that is given, or the
/// nearest package or repository. All commands read charms here.
pub(super) fn read(args: &SourceArgs) -> anyhow::Result<Source> {
    let file = &args.file;
    let text = String::from_utf8(paths::read(file, "the charm's source")?)
        .with_context(|| format!("{} is not UTF-8 text", file.display()))?;
    let (root, path) = place(file, args.root.as_deref())?;
    let folder = Folder::open(root)?;
    let mut files = vec![file.clone()];
    let further = gather(&path, &text, |import| {
        let text =
            folder.read(import.path).with_context(|| format!("{} cannot import {:?}", import.from, import.source))?;
        if text.is_some() {
            files.push(folder.at(import.path));
        }
        Ok::<_, anyhow::Error>(text)
    })?;
    let (file_name, further) = name_from_common_folder(&path, further);
    Ok(Source { file_name, text, further, files })
}

/// The root of the charm whose first file this is, and the file's path from there.
fn place(file: &Path, root: Option<&Path>) -> anyhow::Result<(PathBuf, String)> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let folder = folder.canonicalize().with_context(|| format!("cannot find the folder {}", folder.display()))?;
    let root = match root {
        Some(root) => root.canonicalize().with_context(|| format!("cannot find --root {}", root.display()))?,
        None => folder::root_of(&folder),
    };
    let Ok(below) = folder.strip_prefix(&root) else {
        bail!("{} is not below --root {}; name a folder above it", file.display(), root.display());
    };
    let path = below.join(file.file_name().with_context(|| format!("{} is not a file", file.display()))?);
    let path = path.to_str().with_context(|| format!("the path {} is not UTF-8", path.display()))?.to_owned();
    Ok((root, path))
}

impl Source {
    /// What is to be transpiled.
    pub(super) fn sources(&self) -> Sources<'_> {
        Sources { file_name: &self.file_name, source: &self.text, files: &self.further }
    }

    /// The request to deploy it, as a new charm or as another charm's new program.
    pub(super) fn request(&self, inputs: &Map<String, Value>, charm: Option<CharmId>) -> DeployRequest {
        let Self { file_name, text, further, .. } = self;
        DeployRequest {
            file_name: file_name.clone(),
            source: text.clone(),
            files: further.clone(),
            inputs: inputs.clone(),
            charm,
        }
    }
}

/// Initial values: a JSON object, or `@` and the name of a file with one; empty if not given.
pub(super) fn inputs(given: Option<&str>) -> anyhow::Result<Map<String, Value>> {
    let Some(text) = given else { return Ok(Map::new()) };
    let json = match text.strip_prefix('@') {
        Some(file) => paths::read(file.as_ref(), "the inputs")?,
        None => text.as_bytes().to_owned(),
    };
    // The text may contain secrets. A syntax error shows only the position; a type error would quote the value.
    match serde_json::from_slice(&json).context("--inputs is not JSON")? {
        Value::Object(inputs) => Ok(inputs),
        _ => bail!("--inputs is not a JSON object, such as {{\"limit\": 10}}"),
    }
}
