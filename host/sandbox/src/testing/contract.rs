//! Components from a core module and `wit/` itself: the tools' own encoder generates their imports, for any version of
//! WASI.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use bg_test_support::wat::ALLOCATE;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{Function, Resolve, WorldId};

/// The version of WASI in `wit/deps`.
pub(crate) const WASI: &str = "0.2.12";
/// What programs of WASI export, and nothing here imports.
const EXPORTS: [&str; 2] = ["wasi:cli/run", "wasi:http/incoming-handler"];
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");

/// World `integration` plus every interface of WASI, at one version.
pub(crate) struct Contract {
    version: String,
    resolve: Resolve,
    world: WorldId,
}

/// A core module of world `integration`, as text. Each function's body returns the address of its result; address 16
/// holds zeros, that is, an empty `ok`.
pub(crate) struct CoreGuest {
    /// Interface, function, and its name in the text: `("wasi:io/poll", "[method]pollable.block", "block")` is
    /// `$block`.
    pub(crate) imports: Vec<(String, String, String)>,
    pub(crate) items: String,
    pub(crate) initialize: String,
    pub(crate) fetch_charms: String,
    /// Its parameter is `$charm`; ends after dropping it.
    pub(crate) is_valid_charm: String,
    /// Instructions before memory is allocated.
    pub(crate) realloc: String,
    /// Instructions after `initialize` has returned; `None` for no such function.
    pub(crate) post_initialize: Option<String>,
    /// The initial number of 64 KiB pages.
    pub(crate) pages: u32,
}

impl Default for CoreGuest {
    fn default() -> Self {
        Self {
            imports: Vec::new(),
            items: String::new(),
            initialize: "(i32.const 16)".into(),
            fetch_charms: "(i32.const 16)".into(),
            // `true`, at the address of the payload.
            is_valid_charm: "(i32.store (i32.const 36) (i32.const 1)) (i32.const 32)".into(),
            realloc: String::new(),
            post_initialize: None,
            pages: 2,
        }
    }
}

impl CoreGuest {
    /// A guest with these imports whose `initialize` does this, and succeeds.
    pub(crate) fn initialize(imports: &[(&str, &str, &str)], items: impl Into<String>, body: &str) -> Self {
        let initialize = format!("{body} (i32.const 16)");
        Self { imports: owned(imports), items: items.into(), initialize, ..Self::default() }
    }

    /// The component, with the version of WASI in `wit/`.
    pub(crate) fn build(&self) -> Vec<u8> {
        Contract::at(WASI).component(self)
    }
}

pub(crate) fn owned(imports: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    imports.iter().map(|&(interface, function, name)| (interface.into(), function.into(), name.into())).collect()
}

impl Contract {
    /// Reads `wit/`, with another version number of WASI. It still contains what WASI gained since that version, so the
    /// guests only import more.
    pub(crate) fn at(version: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(Path::new(FOLDER), folder.path(), version);
        let read = || {
            let mut resolve = Resolve::default();
            let (package, _) = resolve.push_dir(folder.path()).unwrap();
            (resolve, package)
        };
        let (resolve, _) = read();
        let mut world = String::from("package commontools:background@0.1.1;\nworld hostile {\ninclude integration;\n");
        for (interface, _) in wasi(&resolve) {
            writeln!(world, "import {interface}@{version};").unwrap();
        }
        world.push('}');
        fs::write(folder.path().join("hostile.wit"), world).unwrap();
        let (resolve, package) = read();
        let world = resolve.packages[package].worlds["hostile"];
        Self { version: version.into(), resolve, world }
    }

    /// Every function of every interface of WASI that a guest may import.
    pub(crate) fn wasi_functions(&self) -> Vec<(String, String)> {
        let interfaces = wasi(&self.resolve);
        let functions = interfaces.into_iter().flat_map(|(interface, functions)| {
            functions.into_iter().map(move |function| (interface.clone(), function.name.clone()))
        });
        functions.collect()
    }

    pub(crate) fn component(&self, guest: &CoreGuest) -> Vec<u8> {
        let CoreGuest { imports, items, initialize, fetch_charms, is_valid_charm, realloc, post_initialize, pages } =
            guest;
        let drop = ("commontools:background/charms".to_owned(), "[resource-drop]charm".to_owned(), "drop".to_owned());
        let imports: String = imports.iter().chain([&drop]).map(|import| self.import(import)).collect();
        let post = post_initialize
            .as_ref()
            .map_or_else(String::new, |body| format!("(func (export \"cabi_post_initialize\") (param i32) {body})"));
        let text = format!(
            r#"(module
            {imports}
            (memory (export "memory") {pages})
            (global $next (mut i32) (i32.const 8192))
            (func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
                {realloc}
                {ALLOCATE})
            {items}
            (func (export "initialize") (result i32) {initialize})
            {post}
            (func (export "fetch-charms") (result i32) {fetch_charms})
            (func (export "is-valid-charm") (param $charm i32) (result i32)
                {is_valid_charm} (call $drop (local.get $charm))))"#
        );
        let mut module = wat::parse_str(text).unwrap();
        embed_component_metadata(&mut module, &self.resolve, self.world, StringEncoding::UTF8).unwrap();
        ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
    }

    fn import(&self, (interface, function, name): &(String, String, String)) -> String {
        let version = if interface.starts_with("wasi:") { &self.version } else { "0.1.1" };
        let (params, results) = if function.starts_with("[resource-drop]") {
            ("i32".to_owned(), String::new())
        } else {
            let signature = self.resolve.wasm_signature(AbiVariant::GuestImport, self.function(interface, function));
            (types(&signature.params), types(&signature.results))
        };
        format!(
            "(import \"{interface}@{version}\" \"{function}\" (func ${name} (param {params}) (result {results})))\n"
        )
    }

    fn function(&self, interface: &str, function: &str) -> &Function {
        let known = self.resolve.interfaces.iter().find(|(id, _)| {
            let id = self.resolve.id_of(*id).unwrap_or_default();
            id.split_once('@').is_some_and(|(name, _)| name == interface)
        });
        let (_, known) = known.unwrap_or_else(|| panic!("no interface {interface}"));
        known.functions.get(function).unwrap_or_else(|| panic!("{interface} has no {function}"))
    }
}

/// The interfaces of WASI, without their version.
fn wasi(resolve: &Resolve) -> Vec<(String, Vec<&Function>)> {
    let interfaces = resolve.interfaces.iter().filter_map(|(id, interface)| {
        let name = resolve.id_of(id)?;
        let (name, _) = name.split_once('@')?;
        let ours = name.starts_with("wasi:") && !EXPORTS.contains(&name);
        ours.then(|| (name.to_owned(), interface.functions.values().collect()))
    });
    interfaces.collect()
}

fn types(types: &[WasmType]) -> String {
    let names = types.iter().map(|one| match one {
        WasmType::I64 | WasmType::PointerOrI64 => "i64 ",
        WasmType::F32 => "f32 ",
        WasmType::F64 => "f64 ",
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32 ",
    });
    names.collect()
}

fn copy(from: &Path, to: &Path, version: &str) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            fs::create_dir(&to).unwrap();
            copy(&from, &to, version);
        } else if from.extension().is_some_and(|extension| extension == "wit") {
            let text = fs::read_to_string(from).unwrap().replace(WASI, version);
            // No item may be newer than its package, so the `@since` annotations are removed.
            let is_about_versions =
                |line: &&str| ["@since", "@deprecated"].iter().any(|gate| line.trim_start().starts_with(gate));
            let lines = text.lines().filter(|line| !is_about_versions(line));
            fs::write(to, lines.collect::<Vec<_>>().join("\n")).unwrap();
        }
    }
}
