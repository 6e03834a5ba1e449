//! What a component's file says of itself, without compiling or running any of it.

use bg_manifest::Manifest;
use serde::Serialize;
use sha2::{Digest, Sha256};
use wasmparser::component_types::{ComponentEntityType, ComponentItem};
use wasmparser::types::Types;
use wasmparser::{Chunk, ComponentName, Encoding, KnownCustom, Parser, Payload, Validator, WasmFeatures};
use wasmtime::Engine;

use super::LoadError;
use crate::text;

/// The longest text of a component's metadata that is shown, bytes.
const TEXT_BYTES: usize = 1024;

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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Its name: `wasi:io/poll@0.2.6` or `fetch-charms`.
    pub name: String,
    /// What it is.
    pub kind: ItemKind,
    /// The names of the functions in it, if it is an interface.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<String>,
}

/// What is imported or exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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

/// Reads and validates `bytes`. Takes time and memory in proportion to their size.
pub fn inspect(bytes: &[u8]) -> Result<ComponentInfo, LoadError> {
    inspect_with(bytes, crate::limits::COMPONENT_BYTES, crate::engine::features())
}

pub(crate) fn inspect_with(bytes: &[u8], limit: usize, features: WasmFeatures) -> Result<ComponentInfo, LoadError> {
    if bytes.len() > limit {
        return Err(LoadError::TooLarge { size: bytes.len(), limit });
    }
    recognise(bytes)?;
    let types = Validator::new_with_features(features).validate_all(bytes).map_err(|error| {
        if is_truncated(bytes) {
            LoadError::Truncated { size: bytes.len() }
        } else {
            LoadError::Invalid(text::one_line(&error.to_string(), TEXT_BYTES))
        }
    })?;
    read(bytes, &types)
}

/// Whether this is a component at all; if not, what else it is.
fn recognise(bytes: &[u8]) -> Result<(), LoadError> {
    if bytes.is_empty() {
        return Err(LoadError::Empty);
    }
    if Engine::detect_precompiled(bytes).is_some() || bytes.starts_with(b"\x7fELF") {
        return Err(LoadError::Precompiled);
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
fn read(bytes: &[u8], types: &Types) -> Result<ComponentInfo, LoadError> {
    let mut info = ComponentInfo {
        size: bytes.len() as u64,
        sha256: sha256(bytes),
        metadata: Metadata::default(),
        manifest: None,
        imports: Vec::new(),
        exports: Vec::new(),
    };
    let invalid = |error: wasmparser::BinaryReaderError| LoadError::Invalid(error.to_string());
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(invalid)? {
            Payload::Version { encoding: Encoding::Module | Encoding::Component, .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            _ if depth > 1 => {}
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let name = import.map_err(invalid)?.name.name;
                    info.imports.push(item(name, types.component_item_for_import(name), types));
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let name = export.map_err(invalid)?.name.name;
                    info.exports.push(item(name, types.component_item_for_export(name), types));
                }
            }
            Payload::CustomSection(section) => {
                if section.name() == bg_manifest::SECTION {
                    if info.manifest.is_some() {
                        return Err(LoadError::Invalid("it has more than one manifest".into()));
                    }
                    info.manifest = Some(Manifest::from_json(section.data()).map_err(LoadError::Manifest)?);
                } else if let KnownCustom::ComponentName(names) = section.as_known() {
                    for name in names.into_iter().flatten() {
                        if let ComponentName::Component { name, .. } = name {
                            info.metadata.name = Some(text::one_line(name, TEXT_BYTES));
                        }
                    }
                } else {
                    info.metadata.take(section.name(), section.data());
                }
            }
            _ => {}
        }
    }
    Ok(info)
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

fn item(name: &str, item: Option<&ComponentItem>, types: &Types) -> Item {
    let (kind, functions) = match item.map(|item| item.ty) {
        Some(ComponentEntityType::Func(_)) => (ItemKind::Function, Vec::new()),
        Some(ComponentEntityType::Type { .. }) => (ItemKind::Type, Vec::new()),
        Some(ComponentEntityType::Instance(id)) => {
            let exports = types[id].exports.iter();
            let functions = exports.filter(|(_, item)| matches!(item.ty, ComponentEntityType::Func(_)));
            (ItemKind::Interface, functions.map(|(name, _)| name.clone()).collect())
        }
        _ => (ItemKind::Other, Vec::new()),
    };
    Item { name: name.to_owned(), kind, functions }
}

/// The SHA-256 of `bytes`, hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}
