//! What a component's file says of itself, without compiling or running any of it.

use bg_manifest::Manifest;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wasmparser::component_types::{ComponentEntityType, ComponentItem};
use wasmparser::types::Types;
use wasmparser::{Chunk, ComponentName, Encoding, KnownCustom, Parser, Payload, Validator, WasmFeatures};

use super::error::LoadError;
use crate::features::features;
use crate::text;

/// The longest text of a component's metadata that is shown, and the longest name, bytes.
const TEXT_BYTES: usize = 1024;
/// The names of imports, of exports, and of the functions in them, together. Components that import all of WASI have some 500.
const NAMES: usize = 10_000;
/// What is read of a manifest: more than the 256 KiB that one may have, so that it is still too large.
const MANIFEST_BYTES: usize = 1 << 20;

/// What a component's file says of itself. Texts are escaped and cut, so they are safe to show.
#[derive(Clone, Debug, Serialize)]
pub struct ComponentInfo {
    /// The file's size, bytes.
    pub size: u64,
    /// The file's SHA-256, hexadecimal.
    pub sha256: String,
    /// Its standard metadata.
    pub metadata: Metadata,
    /// What the integration asks for, from the section that `build-integrations` puts there.
    pub manifest: Option<Manifest>,
    /// What it imports, in its order.
    pub imports: Vec<Item>,
    /// What it exports, in its order.
    pub exports: Vec<Item>,
}

/// The metadata sections that tools agree on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Its name.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Who wrote it.
    pub authors: Option<String>,
    /// Under which licences (an SPDX expression) it may be used.
    pub licenses: Option<String>,
    /// What it is.
    pub description: Option<String>,
    /// Where to read more of it.
    pub homepage: Option<String>,
    /// Where its source is.
    pub source: Option<String>,
    /// Which revision of the source it was made of.
    pub revision: Option<String>,
}

/// Something that a component imports or exports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its name: `wasi:io/poll@0.2.6` or `fetch-charms`.
    pub name: String,
    /// What it is.
    pub kind: ItemKind,
    /// The names of the functions in it, if it is an interface.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<String>,
}

/// What is imported or exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemKind {
    /// An interface: a set of functions and types.
    Interface,
    /// A single function.
    Function,
    /// A type.
    Type,
    /// Something that no world here has: a core module, a component, a value.
    Other,
}

/// What a look into a component's file came to: all that takes time and memory in no proportion to its size. A process of its
/// own does that for a service, which gets this.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Look {
    /// It is valid.
    Valid(Box<Structure>),
    /// The file stops in the middle of something.
    Truncated,
    /// It is not valid, and why.
    Invalid(String),
}

/// What is at the top level of a valid component.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Structure {
    metadata: Metadata,
    /// As it stands there.
    manifest: Option<Vec<u8>>,
    imports: Vec<Item>,
    exports: Vec<Item>,
}

/// Reads and validates `bytes`, in this process. Hostile ones take minutes and gigabytes: components of others are inspected in
/// a process of its own, by [`inspect_by`](super::inspect_by).
pub fn inspect(bytes: &[u8]) -> Result<ComponentInfo, LoadError> {
    inspect_with(bytes, crate::limits::COMPONENT_BYTES, features())
}

pub(crate) fn inspect_with(bytes: &[u8], limit: usize, features: WasmFeatures) -> Result<ComponentInfo, LoadError> {
    recognise(bytes, limit)?;
    look(bytes, features).info(bytes)
}

/// Looks into what was [recognised](recognise) as a component.
pub(crate) fn look(bytes: &[u8], features: WasmFeatures) -> Look {
    match Validator::new_with_features(features).validate_all(bytes) {
        Ok(types) => read(bytes, &types).map_or_else(Look::Invalid, |structure| Look::Valid(Box::new(structure))),
        Err(_) if is_truncated(bytes) => Look::Truncated,
        Err(error) => Look::Invalid(text::one_line(&error.to_string(), TEXT_BYTES)),
    }
}

impl Look {
    /// The same, with what the file's bytes themselves tell.
    pub(crate) fn info(self, bytes: &[u8]) -> Result<ComponentInfo, LoadError> {
        let Structure { metadata, manifest, imports, exports } = match self {
            Self::Valid(structure) => *structure,
            Self::Truncated => return Err(LoadError::Truncated { size: bytes.len() }),
            Self::Invalid(problem) => return Err(LoadError::Invalid(problem)),
        };
        let manifest = manifest.map(|json| Manifest::from_json(&json)).transpose().map_err(LoadError::Manifest)?;
        Ok(ComponentInfo { size: bytes.len() as u64, sha256: sha256(bytes), metadata, manifest, imports, exports })
    }
}

/// Whether this is a component at all, of `limit` bytes at most; if not, what else it is. Takes no time worth mentioning.
pub(crate) fn recognise(bytes: &[u8], limit: usize) -> Result<(), LoadError> {
    if bytes.is_empty() {
        return Err(LoadError::Empty);
    }
    // Wasmtime's machine code is an ELF file, too.
    if bytes.starts_with(b"\x7fELF") {
        return Err(LoadError::Precompiled);
    }
    if bytes.len() > limit {
        return Err(LoadError::TooLarge { size: bytes.len(), limit });
    }
    if bytes.starts_with(b"\0asm") {
        return if Parser::is_component(bytes) {
            Ok(())
        } else if Parser::is_core_wasm(bytes) {
            Err(LoadError::CoreModule)
        } else if bytes.len() < 8 {
            Err(LoadError::Truncated { size: bytes.len() })
        } else {
            Err(LoadError::Invalid("its version of WebAssembly is unknown".into()))
        };
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Err(LoadError::Text),
        _ => Err(LoadError::NotWasm),
    }
}

/// Whether the file stops in the middle of something.
fn is_truncated(mut bytes: &[u8]) -> bool {
    let mut parser = Parser::new(0);
    let mut outer = Vec::new();
    loop {
        match parser.parse(bytes, bytes.is_empty()) {
            Ok(Chunk::NeedMoreData(_)) => return true,
            Ok(Chunk::Parsed { consumed, payload }) => {
                bytes = &bytes[consumed..];
                match payload {
                    Payload::ModuleSection { parser: inner, .. } | Payload::ComponentSection { parser: inner, .. } => {
                        outer.push(std::mem::replace(&mut parser, inner));
                    }
                    Payload::End(_) => match outer.pop() {
                        Some(next) => parser = next,
                        None => return false,
                    },
                    _ => {}
                }
            }
            Err(_) => return bytes.is_empty(),
        }
    }
}

/// Reads what is at the top level of a valid component.
fn read(bytes: &[u8], types: &Types) -> Result<Structure, String> {
    let mut found = Structure::default();
    let mut names = Names(NAMES);
    let invalid = |error: wasmparser::BinaryReaderError| error.to_string();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(invalid)? {
            Payload::Version { encoding: Encoding::Module | Encoding::Component, .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            _ if depth > 1 => {}
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let name = import.map_err(invalid)?.name.name;
                    found.imports.push(names.item(name, types.component_item_for_import(name), types)?);
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let name = export.map_err(invalid)?.name.name;
                    found.exports.push(names.item(name, types.component_item_for_export(name), types)?);
                }
            }
            Payload::CustomSection(section) => {
                if section.name() == bg_manifest::SECTION {
                    if found.manifest.is_some() {
                        return Err("it has more than one manifest".into());
                    }
                    found.manifest = Some(section.data().iter().copied().take(MANIFEST_BYTES).collect());
                } else if let KnownCustom::ComponentName(names) = section.as_known() {
                    for name in names.into_iter().flatten() {
                        if let ComponentName::Component { name, .. } = name {
                            found.metadata.name = Some(text::one_line(name, TEXT_BYTES));
                        }
                    }
                } else {
                    found.metadata.take(section.name(), section.data());
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

impl Metadata {
    fn take(&mut self, section: &str, data: &[u8]) {
        let field = match section {
            "version" => &mut self.version,
            "authors" => &mut self.authors,
            "licenses" => &mut self.licenses,
            "description" => &mut self.description,
            "homepage" => &mut self.homepage,
            "source" => &mut self.source,
            "revision" => &mut self.revision,
            _ => return,
        };
        *field = Some(text::one_line(&String::from_utf8_lossy(data), TEXT_BYTES));
    }
}

/// Takes note of names, as many as this.
struct Names(usize);

impl Names {
    fn item(&mut self, name: &str, item: Option<&ComponentItem>, types: &Types) -> Result<Item, String> {
        let name = self.take(name)?;
        let (kind, functions) = match item.map(|item| item.ty) {
            Some(ComponentEntityType::Func(_)) => (ItemKind::Function, Vec::new()),
            Some(ComponentEntityType::Type { .. }) => (ItemKind::Type, Vec::new()),
            Some(ComponentEntityType::Instance(id)) => {
                let exports = types[id].exports.iter();
                let functions = exports.filter(|(_, item)| matches!(item.ty, ComponentEntityType::Func(_)));
                (ItemKind::Interface, functions.map(|(name, _)| self.take(name)).collect::<Result<_, _>>()?)
            }
            _ => (ItemKind::Other, Vec::new()),
        };
        Ok(Item { name, kind, functions })
    }

    /// A name may be a URL, with any character in it. Those that a world knows have none that is changed here.
    fn take(&mut self, name: &str) -> Result<String, String> {
        let rest = self.0.checked_sub(1);
        self.0 = rest.ok_or_else(|| format!("it has more than {NAMES} imports and exports, with what is in them"))?;
        Ok(text::one_line(name, TEXT_BYTES))
    }
}

/// The SHA-256 of `bytes`, hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}
