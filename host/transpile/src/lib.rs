//! From a charm's sources, TypeScript or JavaScript, to the modules that the script guest evaluates.
//!
//! Types and JSX go, and what cells need of the types stays as schemas: `handler<E, S>(f)` becomes
//! `handler(schema of E, schema of S, f)`, and `pattern<I>(f)` becomes `pattern(f, schema of I)`. Where a page or a
//! computed cell uses cells, it is handed their values. Each file is parsed once; every change is made to its tree.

mod awaits;
mod captures;
mod chains;
mod child;
mod edits;
mod exports;
mod files;
mod globals;
mod inspect;
mod names;
mod nesting;
mod pages;
mod parameters;
mod places;
mod schema;
mod source_map;
mod writes;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use oxc::allocator::Allocator;
use oxc::ast::ast::{ImportDeclarationSpecifier, Program, Statement};
use oxc::ast::builder::AstBuilder;
use oxc::codegen::{Codegen, CodegenOptions, CommentOptions, IndentChar};
use oxc::diagnostics::OxcDiagnostic;
use oxc::parser::Parser;
use oxc::semantic::{Reference, Scoping, SemanticBuilder};
use oxc::span::{GetSpan, SourceType, Span};
use oxc::str::Str;
use oxc::transformer::{JsxRuntime, TransformOptions, Transformer};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use child::transpile_as_child;
pub use child::{ChildFailure, transpile_by};
use edits::Edits;
use exports::Exports;
pub use files::{Import, MAX_FILES, Sources, gather, name_from_common_folder};
pub use globals::GLOBALS;
use inspect::Found;
use places::{Place, place, places};
use source_map::Mapping;

/// The longest source, in bytes. The longest charms that people write have half of it.
pub const MAX_SOURCE: usize = 512 * 1024;

/// How often `<` may stand in a source. At each, the parser may have to try whether type arguments follow, up to the
/// end of the expression: thousands of them in one expression take minutes, which a [process](child) is not given. 60
/// KiB of JSX have some 2,000.
const MAX_ANGLES: usize = MAX_SOURCE / 32;

/// The parser calls itself for each level of nesting, and the shortest level is one byte: a source of [`MAX_SOURCE`] is
/// the deepest there is. Of all syntax, unclosed parentheses take most: measured 1,100 bytes of memory a level, stack
/// and tree together, which is why [`nesting::brackets_too_deep`] looks for them before. A page of the stack is memory
/// only when it is touched.
///
/// For sources that one wrote oneself. Those of others are read by a [process](child) with a smaller stack, where to
/// run out of it harms nobody.
const STACK: usize = 512 * 1024 * 1024;

/// What is said where reading takes more than a process may have.
const TOO_MUCH_MEMORY: &str =
    "the file takes too much memory to read; write what nests deeply, or has many `(`, in another way";

/// Before what is wrong with a page, where pages are left out.
const UNMADE: &str = "the charm's page cannot be made: ";

/// How many findings are reported. To find the place of each takes a walk through the source.
const MAX_FINDINGS: usize = 20;

/// The longest sources of a charm, all its files together, in bytes.
pub const MAX_SOURCES: usize = 4 * 1024 * 1024;

/// What `commontools` offers to charms at run time; the script guest's module has the same names, and some more for
/// what is inserted.
pub const EXPORTS: &[&str] = &[
    "CFC_ATOM_TYPE",
    "CFC_CONCEPT_KIND",
    "CFC_FUSE_ATOM_CLASS",
    "CFC_RUNTIME_SUBJECT",
    "CHIP_UI",
    "Cell",
    "ID",
    "NAME",
    "SELF",
    "TESTS",
    "THIS_POLICY",
    "TILE_UI",
    "UI",
    "Writable",
    "__cf_data",
    "action",
    "assert",
    "cell",
    "cfcAtom",
    "cfcPattern",
    "compileAndRun",
    "computed",
    "derive",
    "equals",
    "exchangeRule",
    "exchangeRules",
    "fetchBinary",
    "fetchData",
    "fetchJson",
    "fetchJsonUnchecked",
    "fetchProgram",
    "fetchText",
    "generateObject",
    "generateText",
    "getPatternEnvironment",
    "getRecipeEnvironment",
    "h",
    "handler",
    "ifElse",
    "lift",
    "llm",
    "llmDialog",
    "navigateTo",
    "pattern",
    "patternTool",
    "recipe",
    "schema",
    "str",
    "toCompactDebugString",
    "toIndentedDebugString",
    "toSchema",
    "unless",
    "v",
    "valueEqual",
    "when",
    "wish",
];

/// Modules that are ready to run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transpiled {
    /// The module of the file with the default export: plain JavaScript, an ES module. Its last line is a source map
    /// (`//# sourceMappingURL=data:…`), from which the script guest finds an error's place in the author's file.
    pub module: String,
    /// The modules of the other files, by the paths under which they import one another.
    pub files: BTreeMap<String, String>,
    /// What its author should look at. The modules run all the same.
    #[serde(default)]
    pub warnings: Vec<Finding>,
}

/// Why a source can't be a charm: one or more findings, each with its place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct TranspileError(pub Vec<Finding>);

/// One thing that is wrong with a source: `gmail.tsx:3:1: …`.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("{file}:{line}:{column}: {message}")]
pub struct Finding {
    /// The name of the file, as it was handed in.
    pub file: String,
    /// Counted from 1.
    pub line: u32,
    /// In UTF-16 units, counted from 1.
    pub column: u32,
    /// What is wrong, and what to do about it.
    pub message: String,
}

impl Finding {
    fn new(file: &str, place: Place, message: impl Into<String>) -> Self {
        Self { file: file.into(), line: place.line + 1, column: place.column + 1, message: message.into() }
    }
}

/// Turns the text of a charm of one file into a module; see [`transpile_files`].
pub fn transpile(file_name: &str, source: &str) -> Result<Transpiled, TranspileError> {
    transpile_files(&Sources { file_name, source, files: &BTreeMap::new() })
}

/// Turns the texts of a charm into modules. The files' names decide their languages: `.ts`, `.tsx`, `.js`, `.jsx`,
/// `.mts` or `.mjs`.
///
/// The time it takes is about that of reading the sources (a millisecond for 4 KiB).
///
/// Pages are left out: a poll needs none of them, and they are most of many charms. See [`transpile_pages`].
pub fn transpile_files(sources: &Sources<'_>) -> Result<Transpiled, TranspileError> {
    transpile_for(sources, false, STACK)
}

/// The same with the charm's pages, to make one.
pub fn transpile_pages(sources: &Sources<'_>) -> Result<Transpiled, TranspileError> {
    transpile_for(sources, true, STACK)
}

fn transpile_for(sources: &Sources<'_>, pages: bool, stack: usize) -> Result<Transpiled, TranspileError> {
    let inputs = check_sources(sources)?;
    match on_stack(stack, || emit_all(&inputs, pages)) {
        Ok(result) => result.map_err(TranspileError),
        Err(why) => Err(refusal(sources.file_name, Place { line: 0, column: 0 }, why)),
    }
}

fn refusal(file: &str, place: Place, message: String) -> TranspileError {
    TranspileError(vec![Finding::new(file, place, message)])
}

/// What can be checked in sources before they are parsed, without memory.
fn check_sources<'s>(sources: &Sources<'s>) -> Result<Vec<Input<'s>>, TranspileError> {
    let refuse = |file: &str, message: String| Err(refusal(file, Place { line: 0, column: 0 }, message));
    let first = sources.file_name;
    if sources.files.len() >= MAX_FILES {
        return refuse(first, format!("the charm has {} files; it may have {MAX_FILES}", sources.files.len() + 1));
    }
    let further = sources.files.iter().map(|(name, source)| (name.as_str(), source.as_str()));
    let files: Vec<(&str, &str)> = std::iter::once((first, sources.source)).chain(further).collect();
    let bytes = sources.bytes();
    if bytes > MAX_SOURCES {
        return refuse(first, format!("the charm's files have {bytes} bytes; they may have {MAX_SOURCES}"));
    }
    let mut inputs = Vec::with_capacity(files.len());
    for (name, source) in files {
        if !files::is_name(name) {
            return refuse(
                name,
                "a file's name is a relative path that leads out of no folder, such as lib/client.ts".into(),
            );
        }
        if source.len() > MAX_SOURCE {
            return refuse(name, format!("the file has {} bytes; a charm's file may have {MAX_SOURCE}", source.len()));
        }
        if has_too_many_angles(source) {
            return refuse(name, format!("the file has more than {MAX_ANGLES} `<`"));
        }
        if let Some((offset, message)) = nesting::brackets_too_deep(source) {
            return Err(refusal(name, place(source, offset), message));
        }
        let Some(language) = language(name) else {
            return refuse(name, "a charm's file ends in .ts, .tsx, .js, .jsx, .mts or .mjs".into());
        };
        inputs.push(Input { name, source: source.strip_prefix('\u{feff}').unwrap_or(source), language });
    }
    Ok(inputs)
}

fn has_too_many_angles(source: &str) -> bool {
    source.bytes().filter(|byte| *byte == b'<').count() > MAX_ANGLES
}

/// Whether the parser may be let loose on a source.
fn is_acceptable(source: &str) -> bool {
    source.len() <= MAX_SOURCE && !has_too_many_angles(source) && nesting::brackets_too_deep(source).is_none()
}

/// Does the work where there is room for the deepest source. An error says why it could not.
fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    on_stack(STACK, work)
}

/// The same where there is that much.
fn on_stack<T: Send>(stack: usize, work: impl FnOnce() -> T + Send) -> Result<T, String> {
    let done = std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("transpile".into())
            .stack_size(stack)
            .spawn_scoped(scope, work)
            .map(std::thread::ScopedJoinHandle::join)
    });
    match done {
        Ok(Ok(result)) => Ok(result),
        // As the parser's memory ends.
        Ok(Err(panic)) if panic.downcast_ref::<&str>() == Some(&"out of memory") => Err(TOO_MUCH_MEMORY.into()),
        Ok(Err(_)) => {
            Err("the transpiler failed on this file; that is a fault of the service, not of the charm".into())
        }
        Err(error) => Err(format!("can't start the transpiler's thread: {error}")),
    }
}

fn language(file_name: &str) -> Option<SourceType> {
    let known = [".ts", ".tsx", ".js", ".jsx", ".mts", ".mjs"];
    if file_name.ends_with(".d.ts") || !known.iter().any(|known| file_name.ends_with(known)) {
        return None;
    }
    SourceType::from_path(Path::new(file_name)).ok().map(|language| language.with_module(true))
}

/// One file, as it was handed in.
struct Input<'s> {
    name: &'s str,
    source: &'s str,
    language: SourceType,
}

fn emit_all(inputs: &[Input<'_>], pages: bool) -> Result<Transpiled, Vec<Finding>> {
    let index = |from: usize, source: &str| {
        let path = files::resolve(inputs[from].name, source, |path| inputs.iter().any(|input| input.name == path))?;
        inputs.iter().position(|input| input.name == path)
    };
    let allocator = Allocator::default();
    let mut programs = parse(&allocator, inputs)?;
    let Checked { edits, warnings } = check(&allocator, inputs, &programs, &index, pages)?;
    let mut modules = Vec::with_capacity(inputs.len());
    let mut exports = HashMap::new();
    for (number, ((input, program), edits)) in inputs.iter().zip(&mut programs).zip(edits).enumerate() {
        let leads = |source: &str| index(number, source).map(|file| inputs[file].name);
        let mut helpers = edits.apply(&allocator, program, pages);
        helpers.retain(|helper| *helper != edits::ELEMENT || !inspect::declares(program, helper));
        let (module, names) = emit(&allocator, input, program, helpers, leads)?;
        modules.push(module);
        exports.insert(input.name, names);
    }
    let missing = exports::missing(&exports);
    if !missing.is_empty() {
        return Err(missing);
    }
    let mut named = inputs.iter().map(|input| input.name.to_owned()).zip(modules);
    let module = named.next().map(|(_, module)| module).unwrap_or_default();
    Ok(Transpiled { module, files: named.collect(), warnings })
}

/// What to change in all files, and what their authors should look at.
struct Checked<'a> {
    edits: Vec<Edits<'a>>,
    warnings: Vec<Finding>,
}

/// Parses the sources.
fn parse<'a>(allocator: &'a Allocator, inputs: &[Input<'a>]) -> Result<Vec<Program<'a>>, Vec<Finding>> {
    let mut programs = Vec::with_capacity(inputs.len());
    let mut faults = Vec::new();
    for input in inputs {
        let parsed = Parser::new(allocator, input.source, input.language).parse();
        if !parsed.diagnostics.is_empty() {
            faults.extend(input.findings(&parsed.diagnostics));
        } else if let Some((span, message)) = nesting::too_deep(&parsed.program) {
            faults.push(input.finding(span.start, message));
        }
        programs.push(parsed.program);
    }
    faults.truncate(MAX_FINDINGS);
    if faults.is_empty() { Ok(programs) } else { Err(faults) }
}

/// Finds what is wrong with the programs, and what is to be changed in them.
fn check<'a>(
    allocator: &'a Allocator,
    inputs: &[Input<'_>],
    programs: &[Program<'a>],
    index: &dyn Fn(usize, &str) -> Option<usize>,
    pages: bool,
) -> Result<Checked<'a>, Vec<Finding>> {
    let mut scopings = Vec::with_capacity(inputs.len());
    let mut misspelled = Vec::new();
    for (input, program) in inputs.iter().zip(programs) {
        let semantic = SemanticBuilder::new().with_check_syntax_error(true).build(program);
        if semantic.diagnostics.has_errors() {
            misspelled.extend(input.findings(&semantic.diagnostics));
        }
        scopings.push(semantic.semantic.into_scoping());
    }
    if !misspelled.is_empty() {
        misspelled.truncate(MAX_FINDINGS);
        return Err(misspelled);
    }
    let types = schema::Types::of(&programs.iter().collect::<Vec<_>>(), index);
    let mut all = Vec::with_capacity(inputs.len());
    let (mut faults, mut warnings) = (Vec::new(), Vec::new());
    for (number, (program, scoping)) in programs.iter().zip(&scopings).enumerate() {
        let leads = |source: &str| index(number, source).is_some();
        let build = AstBuilder::new(allocator);
        let file = inspect::File { index: number, program, scoping, types: &types, leads: &leads, build };
        faults.extend(
            unknown_imports(program, scoping, inputs[number].language).map(|(span, text)| (number, span, text)),
        );
        warnings.append(&mut writes::contradictions(&file));
        warnings.append(&mut parameters::declared_again(&file));
        let Found { faults: mut found, edits, pages: mut unmade } = inspect::inspect(file);
        faults.append(&mut found);
        all.push(edits);
        if pages {
            faults.append(&mut unmade);
        } else {
            let warned = unmade.into_iter().map(|(file, span, message)| (file, span, format!("{UNMADE}{message}")));
            warnings.extend(warned);
        }
    }
    let reported = |faults: Vec<inspect::Fault>| {
        let finding = |(file, span, message): inspect::Fault| inputs[file].finding(span.start, message);
        let mut findings: Vec<Finding> = faults.into_iter().take(MAX_FINDINGS).map(finding).collect();
        findings.dedup();
        findings
    };
    if faults.is_empty() { Ok(Checked { edits: all, warnings: reported(warnings) }) } else { Err(reported(faults)) }
}

impl Input<'_> {
    fn finding(&self, offset: u32, message: String) -> Finding {
        Finding::new(self.name, place(self.source, offset as usize), message)
    }

    fn findings(&self, diagnostics: &[OxcDiagnostic]) -> Vec<Finding> {
        let at = |offset: usize| place(self.source, offset);
        diagnostics.iter().take(MAX_FINDINGS).map(|one| finding(self.name, one, at)).collect()
    }
}

/// The module of one file, and its names that cross its borders; `helpers` are the functions of `commontools` that the
/// program uses and does not import, and `leads` returns the name of the file that an import means.
fn emit<'a, 's>(
    allocator: &'a Allocator,
    input: &Input<'_>,
    program: &mut Program<'a>,
    helpers: Vec<&'static str>,
    leads: impl Fn(&str) -> Option<&'s str>,
) -> Result<(String, Exports), Vec<Finding>> {
    let Input { name: file, source, .. } = *input;
    let scoping = SemanticBuilder::new().with_enum_eval(true).build(program).semantic.into_scoping();
    let transformed = Transformer::new(allocator, Path::new(file), &options()).build_with_scoping(scoping, program);
    if transformed.diagnostics.has_errors() {
        return Err(input.findings(&transformed.diagnostics));
    }
    name_sources(allocator, program, leads);
    let mut inserted = helpers;
    inserted.extend(names::name(allocator, program, &transformed.scoping, source));
    inserted.extend(awaits::mark(allocator, program));
    if !inserted.is_empty() {
        program.body.insert(0, awaits::import(allocator, &inserted));
    }
    let exports = Exports::of(program, |spans| {
        let mut sorted: Vec<usize> = spans.iter().map(|span| span.start as usize).collect();
        sorted.sort_unstable();
        let places: HashMap<usize, Place> =
            sorted.iter().copied().zip(places(source, sorted.iter().copied())).collect();
        spans.iter().map(|span| places[&(span.start as usize)]).collect()
    });
    let options = CodegenOptions {
        source_map_path: Some(file.into()),
        comments: CommentOptions::disabled(),
        indent_char: IndentChar::Space,
        indent_width: 2,
        ..CodegenOptions::default()
    };
    let emitted = Codegen::new().with_options(options).build(program);
    let mappings: Vec<_> = emitted
        .map
        .iter()
        .flat_map(|map| (0..).map_while(|index| map.get_token(index)))
        .map(|token| Mapping {
            emitted: Place { line: token.get_dst_line(), column: token.get_dst_col() },
            original: Place { line: token.get_src_line(), column: token.get_src_col() },
        })
        .collect();
    let mut module = emitted.code;
    if !module.ends_with('\n') {
        module.push('\n');
    }
    module.push_str(&source_map::comment(file, &mappings));
    Ok((module, exports))
}

/// Has each import name its module as the script guest knows it: `commontools`, or a file's path.
fn name_sources<'a, 's>(allocator: &'a Allocator, program: &mut Program<'a>, leads: impl Fn(&str) -> Option<&'s str>) {
    for statement in &mut program.body {
        let source = match statement {
            Statement::ImportDeclaration(import) => &mut import.source,
            Statement::ExportFromDeclaration(export) => &mut export.source,
            Statement::ExportAllDeclaration(export) => &mut export.source,
            _ => continue,
        };
        let name = if files::is_module(&source.value) { Some(inspect::MODULE) } else { leads(&source.value) };
        if let Some(name) = name {
            source.value = Str::from_str_in(name, &allocator);
            source.raw = None;
        }
    }
}

fn options() -> TransformOptions {
    let mut options = TransformOptions::default();
    options.jsx.runtime = JsxRuntime::Classic;
    options.jsx.pragma = Some("h".into());
    options.jsx.pragma_frag = Some("h.fragment".into());
    options.jsx.pure = false;
    options.typescript.jsx_pragma = "h".into();
    options.typescript.jsx_pragma_frag = "h".into();
    options.env.es2018.async_generator_functions = true;
    options.helper_loader.module_name = inspect::MODULE.into();
    options
}

fn finding(file: &str, diagnostic: &OxcDiagnostic, at: impl Fn(usize) -> Place) -> Finding {
    let offset = diagnostic.labels.first().map_or(0, |label| label.offset() as usize);
    let mut message = diagnostic.message.to_string();
    if let Some(help) = &diagnostic.help {
        message.push_str("; ");
        message.push_str(help);
    }
    Finding::new(file, at(offset), message)
}

/// The names that are imported from `commontools`, as more than types, and that nobody offers.
fn unknown_imports<'p>(
    program: &'p Program<'_>,
    scoping: &'p Scoping,
    language: SourceType,
) -> impl Iterator<Item = (Span, String)> + 'p {
    let imports = program.body.iter().filter_map(|statement| match statement {
        Statement::ImportDeclaration(import) if import.import_kind.is_value() => Some(import),
        _ => None,
    });
    let from_here = imports.filter(|import| files::is_module(&import.source.value));
    let specifiers = from_here.flat_map(|import| import.specifiers.iter().flatten());
    specifiers.filter_map(move |specifier| {
        let ImportDeclarationSpecifier::ImportSpecifier(one) = specifier else { return None };
        let name = one.imported.name();
        if EXPORTS.contains(&name.as_str()) || one.import_kind.is_type() {
            return None;
        }
        // TypeScript leaves out what is imported and not used, and what only types use.
        let is_used = |symbol| scoping.get_resolved_references(symbol).any(Reference::is_value);
        if language.is_typescript() && !one.local.symbol_id.get().is_some_and(is_used) {
            return None;
        }
        let message = format!("{:?} has no {:?} here; it has {}", inspect::MODULE, name.as_str(), EXPORTS.join(", "));
        Some((one.span(), message))
    })
}

#[cfg(test)]
mod tests;
