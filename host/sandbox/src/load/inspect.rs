//! What a component's file says about itself, without compiling or running it.

use bg_manifest::Manifest;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wasmparser::component_types::{ComponentEntityType, ComponentItem};
use wasmparser::types::Types;
use wasmparser::{Chunk, ComponentName, Encoding, KnownCustom, Parser, Payload, Validator, WasmFeatures};

use super::error::LoadError;
use crate::features::features;
use crate::text;

/// The longest text of a component's metadata that is shown, and the longest name, in bytes.
const TEXT_BYTES: usize = 1024;
/// The names of imports, of exports, and of the functions in them, together. Components that import all of WASI have
/// about 500.
const NAMES: usize = 10_000;
/// How much of a manifest is read: more than the allowed 256 KiB, so that a longer one is recognized as too large.
const MANIFEST_BYTES: usize = 1 << 20;

/// What a component's file says about itself. Texts are escaped and cut, so they are safe to show.
#[derive(Clone, Debug, Serialize)]
pub struct ComponentInfo {
    /// The file's size, in bytes.
    pub size: u64,
    /// The file's SHA-256, hexadecimal.
    pub sha256: String,
    /// Its standard metadata.
    pub metadata: Metadata,
    /// Its manifest, from the section that `build-integrations` adds.
    pub manifest: Option<Manifest>,
    /// Its imports, in order.
    pub imports: Vec<Item>,
    /// Its exports, in order.
    pub exports: Vec<Item>,
}

/// The metadata sections that tools agree on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Its name.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Its authors.
    pub authors: Option<String>,
    /// Its licences (an SPDX expression).
    pub licenses: Option<String>,
    /// Its description.
    pub description: Option<String>,
    /// Its home page.
    pub homepage: Option<String>,
    /// Where its source is.
    pub source: Option<String>,
    /// The revision of the source that it was built from.
    pub revision: Option<String>,
}

/// Something that a component imports or exports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its name: `wasi:io/poll@0.2.6` or `fetch-charms`.
    pub name: String,
    /// Its kind.
    pub kind: ItemKind,
    /// The names of the functions in it, if it is an interface.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<String>,
}

/// The kind of an import or export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemKind {
    /// An interface: a set of functions and types.
    Interface,
    /// A single function.
    Function,
    /// A type.
    Type,
    /// Anything else, such as a core module, a component or a value. No world here has one.
    Other,
}

/// The result of inspecting a component's file, which can take time and memory out of proportion to its size. A
/// separate process does that for a service, and sends this.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Look {
    /// It is valid.
    Valid(Box<Structure>),
    /// The file ends in the middle of something.
    Truncated,
    /// It is not valid; the reason.
    Invalid(String),
}

/// The top level of a valid component.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Structure {
    metadata: Metadata,
    /// The bytes of the section.
    manifest: Option<Vec<u8>>,
    imports: Vec<Item>,
    exports: Vec<Item>,
}

/// Parses and validates `bytes` in this process. Hostile components take minutes and gigabytes: inspect those of others
/// with [`inspect_by`](super::inspect_by), in a separate process.
pub fn inspect(bytes: &[u8]) -> Result<ComponentInfo, LoadError> {
    inspect_with(bytes, crate::limits::COMPONENT_BYTES, features())
}

pub(crate) fn inspect_with(bytes: &[u8], limit: usize, features: WasmFeatures) -> Result<ComponentInfo, LoadError> {
    recognise(bytes, limit)?;
    look(bytes, features).info(bytes)
}

/// Inspects a file that was [recognised](recognise) as a component.
pub(crate) fn look(bytes: &[u8], features: WasmFeatures) -> Look {
    match Validator::new_with_features(features).validate_all(bytes) {
        Ok(types) => read(bytes, &types).map_or_else(Look::Invalid, |structure| Look::Valid(Box::new(structure))),
        Err(_) if is_truncated(bytes) => Look::Truncated,
        Err(error) => Look::Invalid(text::one_line(&error.to_string(), TEXT_BYTES)),
    }
}

impl Look {
    /// The complete description, with what follows from the file's bytes.
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

/// Checks that this is a component of at most `limit` bytes; otherwise says what it is. Fast.
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

/// Whether the file ends in the middle of something.
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

/// Reads the top level of a valid component.
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

/// Collects names, up to this number.
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

    /// A name may be a URL, with any character in it. Names that a world knows are never changed by escaping.
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
