//! Charms as they are stored.

use std::collections::BTreeMap;
use std::time::Duration;

use bg_charm_api::CharmSummary;
use bg_identity::{CharmId, Secret, SpaceDid, printable};
use bg_poller::CharmRef;
use sha2::{Digest as _, Sha256};

use crate::document::Document;
use crate::paths::SecretPaths;

/// Cells that a charm may have. Charms keep a handful; what grows belongs into a cell as a list.
pub const MAX_CELLS: u64 = 1_000;

/// Bytes that a charm's cells may take in all. A mailbox of 10,000 mails as text is about half of it.
pub const MAX_CELL_BYTES: u64 = 64 * 1024 * 1024;

/// JSON texts of cells, by their names.
pub type CellTexts = BTreeMap<String, String>;

/// The same of all cells. A damaged one has no text.
pub type AllCells = BTreeMap<String, Option<String>>;

/// The digest of a program: charms with the same one run the same modules.
pub type ProgramDigest = [u8; 32];

/// The digest of a program, from its first module and the JSON of the others.
pub fn program_digest(module: &[u8], further: &[u8]) -> ProgramDigest {
    let mut digest = Sha256::new();
    for text in [module, further] {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    }
    digest.finalize().into()
}

/// To which charm and cell the sealed key of a space is bound: no charm has that ID, which is made of other words than
/// a program.
pub fn key_of_space(space: &SpaceDid) -> (CharmRef, &'static str) {
    (CharmRef { space: space.clone(), charm: CharmId::for_content(b"the key of a space") }, "key")
}

/// What a status shows of a text, bytes: a list may have a hundred thousand of them, and their texts are of charms' own
/// making. The run history has all of it.
const STATUS_BYTES: usize = 300;

/// What a status shows of a text: the start of its first line.
pub fn status_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.len() <= STATUS_BYTES {
        line.to_owned()
    } else {
        format!("{}…", &line[..line.floor_char_boundary(STATUS_BYTES)])
    }
}

/// A duration in milliseconds, as it is kept: 49 days at most, so that the sum of all can be kept as well.
pub fn kept_millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// The modules that run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredProgram {
    /// The first.
    pub module: String,
    /// The others, by their paths.
    pub files: BTreeMap<String, String>,
}

/// A charm to be stored.
#[derive(Clone, Debug)]
pub struct NewCharm {
    /// Its name.
    pub charm: CharmRef,
    /// The name of its first file.
    pub file_name: String,
    /// The text of that file.
    pub source: String,
    /// The texts of its other files, by their paths.
    pub files: BTreeMap<String, String>,
    /// What these were made into.
    pub program: StoredProgram,
    /// What it calls itself.
    pub name: Option<String>,
    /// Its streams, sorted.
    pub streams: Vec<String>,
    /// What its program declares secret.
    pub secrets: SecretPaths,
}

/// What a store knows of a charm, without its program.
#[derive(Clone, Debug)]
pub struct StoredCharm {
    /// Its number in the store. The number of a charm that was deleted is not used again.
    pub row: i64,
    /// Rises with each change of its cells.
    pub version: i64,
    /// What it is.
    pub summary: CharmSummary,
    /// What is secret in its cells.
    pub secrets: SecretPaths,
    /// The name of the integration that it is registered for, if it is.
    pub integration: Option<String>,
    /// The cells that others than its handlers have written since its last call; `*` is any of them.
    pub changed: Vec<String>,
    /// The digest of its program.
    pub program: Option<ProgramDigest>,
}

impl StoredCharm {
    /// Whether it has a stream of that name.
    pub fn has_stream(&self, name: &str) -> bool {
        self.summary.streams.binary_search_by(|stream| stream.as_str().cmp(name)).is_ok()
    }

    /// Its streams, for messages.
    pub fn stream_list(&self) -> String {
        if self.summary.streams.is_empty() {
            "none".to_owned()
        } else {
            printable(&self.summary.streams.join(", ")).into_owned()
        }
    }
}

/// A secret text of a charm.
#[derive(Clone, Debug)]
pub struct SecretText {
    /// A cell's name, then object keys and array indices.
    pub path: Vec<String>,
    /// What it is.
    pub text: Secret,
}

/// A cell whose text is not JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadCell(pub String);

/// Every secret text in these cells by which a secret is recognised elsewhere.
pub fn secret_texts_in(paths: &SecretPaths, texts: &CellTexts) -> Result<Vec<SecretText>, BadCell> {
    let mut secrets = Vec::new();
    for (name, text) in texts.iter().filter(|(name, _)| paths.touches_cell(name)) {
        let document = Document::parse(text).map_err(|_| BadCell(name.clone()))?;
        let located = paths.telling(name, document.into_node()).into_iter();
        secrets.extend(located.map(|(path, text)| SecretText { path, text: Secret::new(text) }));
    }
    Ok(secrets)
}
