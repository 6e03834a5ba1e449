//! The files from which a charm is deployed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use bg_charm_api::DeployRequest;
use bg_identity::CharmId;
use bg_transpile::gather;
use serde_json::{Map, Value};

use super::folder::Folder;
use crate::paths;

/// A charm's source, read from files.
#[derive(Debug)]
pub(super) struct Source {
    file_name: String,
    text: String,
    /// The texts of the other files that it imports.
    further: BTreeMap<String, String>,
    /// The files that were read: if one of them changes, so does the charm.
    pub(super) files: Vec<PathBuf>,
}

/// Reads a charm's source, and the files it imports from its folder and those below. All commands read charms here.
pub(super) fn read(file: &Path) -> anyhow::Result<Source> {
    let text = String::from_utf8(paths::read(file, "the charm's source")?)
        .with_context(|| format!("{} is not UTF-8 text", file.display()))?;
    let file_name = file.file_name().and_then(|name| name.to_str()).context("the file's name is not UTF-8")?;
    let folder = Folder::of(file)?;
    let mut files = vec![file.to_owned()];
    let further = gather(file_name, &text, |import| {
        let text =
            folder.read(import.path).with_context(|| format!("{} cannot import {:?}", import.from, import.source))?;
        if text.is_some() {
            files.push(folder.at(import.path));
        }
        Ok::<_, anyhow::Error>(text)
    })?;
    Ok(Source { file_name: file_name.to_owned(), text, further, files })
}

impl Source {
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
