//! From a charm's source, TypeScript or JavaScript, to the module that the script guest evaluates.
//!
//! Types and JSX go, and what cells need of the types stays as schemas: `handler<E, S>(f)` becomes `handler(schema of E, schema of S,
//! f)`, and `pattern<I>(f)` becomes `pattern(f, schema of I)`. The schemas are inserted into the source, on the lines that they
//! belong to, before it is parsed for good; so lines never move, and columns are mapped back.

mod edits;
mod inspect;
mod schema;
mod source_map;

use std::path::Path;

use oxc::allocator::Allocator;
use oxc::ast::ast::{ImportDeclarationSpecifier, Program, Statement};
use oxc::codegen::{Codegen, CodegenOptions, CommentOptions, IndentChar};
use oxc::diagnostics::OxcDiagnostic;
use oxc::parser::Parser;
use oxc::semantic::SemanticBuilder;
use oxc::span::{GetSpan, SourceType};
use oxc::transformer::{JsxRuntime, TransformOptions, Transformer};
use thiserror::Error;

use edits::{Back, Edits, Place, place};
use source_map::Mapping;

/// The longest source, in bytes. The longest importers that people write have half of it.
pub const MAX_SOURCE: usize = 128 * 1024;

/// How often `<` may stand in a source. At each, the parser may have to try whether type arguments follow, up to the end of the
/// expression: thousands of them in one expression take minutes. 60 KiB of JSX have some 2,000.
const MAX_ANGLES: usize = 4_000;

/// The parser calls itself for each level of nesting, and the shortest level is one byte: a source of [`MAX_SOURCE`] is the deepest
/// there is. Of all syntax, unclosed parentheses take most: measured 1,600 bytes of memory a level, stack and tree together. A
/// page of the stack is memory only when it is touched.
const STACK: usize = 512 * 1024 * 1024;

/// How many findings are told. To tell each one's place takes a walk through the source.
const MAX_FINDINGS: usize = 20;

/// What `commontools` offers to charms at run time; the script guest's module has the same names.
pub const EXPORTS: &[&str] = &["Cell", "NAME", "UI", "Writable", "cell", "h", "handler", "pattern", "recipe"];

/// A module that is ready to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transpiled {
    /// Plain JavaScript, an ES module. Its last line is a source map (`//# sourceMappingURL=data:…`), from which the script guest
    /// tells an error's place in the author's file.
    pub module: String,
}

/// Why a source can't be a charm: one or more findings, each with its place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct TranspileError(pub Vec<Finding>);

/// One thing that is wrong with a source: `gmail.tsx:3:1: …`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
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

/// Turns the text of a charm into a module. `file_name` decides the language: `.ts`, `.tsx`, `.js`, `.jsx`, `.mts` or `.mjs`.
///
/// The time it takes is about that of reading the source (a millisecond for 4 KiB), 128 KiB at most.
pub fn transpile(file_name: &str, source: &str) -> Result<Transpiled, TranspileError> {
    let refuse =
        |message: String| Err(TranspileError(vec![Finding::new(file_name, Place { line: 0, column: 0 }, message)]));
    if source.len() > MAX_SOURCE {
        return refuse(format!("the file has {} bytes; a charm may have {MAX_SOURCE}", source.len()));
    }
    if source.bytes().filter(|byte| *byte == b'<').count() > MAX_ANGLES {
        return refuse(format!("the file has more than {MAX_ANGLES} `<`"));
    }
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let Some(language) = language(file_name) else {
        return refuse("a charm's file ends in .ts, .tsx, .js, .jsx, .mts or .mjs".into());
    };
    let work = || emit(file_name, source, language);
    let done = std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("transpile".into())
            .stack_size(STACK)
            .spawn_scoped(scope, work)
            .map(std::thread::ScopedJoinHandle::join)
    });
    match done {
        Ok(Ok(result)) => result.map_err(TranspileError),
        Ok(Err(_)) => {
            refuse("the transpiler failed on this file; that is a fault of the service, not of the charm".into())
        }
        Err(error) => refuse(format!("can't start the transpiler's thread: {error}")),
    }
}

fn language(file_name: &str) -> Option<SourceType> {
    let known = [".ts", ".tsx", ".js", ".jsx", ".mts", ".mjs"];
    if file_name.ends_with(".d.ts") || !known.iter().any(|known| file_name.ends_with(known)) {
        return None;
    }
    SourceType::from_path(Path::new(file_name)).ok().map(|language| language.with_module(true))
}

fn emit(file: &str, source: &str, language: SourceType) -> Result<Transpiled, Vec<Finding>> {
    let edits = check(file, source, language)?;
    let edited = edits.apply(source);
    let back = edits.back(source);
    let findings = |diagnostics: &[OxcDiagnostic]| -> Vec<Finding> {
        diagnostics
            .iter()
            .take(MAX_FINDINGS)
            .map(|one| finding(file, one, |offset| back.place(place(&edited, offset))))
            .collect()
    };

    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, &edited, language).parse();
    if !parsed.diagnostics.is_empty() {
        return Err(findings(&parsed.diagnostics));
    }
    let mut program = parsed.program;
    let scoping = SemanticBuilder::new().with_enum_eval(true).build(&program).semantic.into_scoping();
    let transformed =
        Transformer::new(&allocator, Path::new(file), &options()).build_with_scoping(scoping, &mut program);
    if transformed.diagnostics.has_errors() {
        return Err(findings(&transformed.diagnostics));
    }
    let unknown = unknown_imports(file, &program, &edited, &back);
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let options = CodegenOptions {
        source_map_path: Some(file.into()),
        comments: CommentOptions::disabled(),
        indent_char: IndentChar::Space,
        indent_width: 2,
        ..CodegenOptions::default()
    };
    let emitted = Codegen::new().with_options(options).build(&program);
    let mappings: Vec<_> = emitted
        .map
        .iter()
        .flat_map(|map| (0..).map_while(|index| map.get_token(index)))
        .map(|token| Mapping {
            emitted: Place { line: token.get_dst_line(), column: token.get_dst_col() },
            original: back.place(Place { line: token.get_src_line(), column: token.get_src_col() }),
        })
        .collect();
    let mut module = emitted.code;
    if !module.ends_with('\n') {
        module.push('\n');
    }
    module.push_str(&source_map::comment(file, &mappings));
    Ok(Transpiled { module })
}

/// Parses the source as it is, and finds what is wrong with it and what is to be inserted.
fn check(file: &str, source: &str, language: SourceType) -> Result<Edits, Vec<Finding>> {
    let at = |offset: usize| place(source, offset);
    let findings = |diagnostics: &[OxcDiagnostic]| -> Vec<Finding> {
        diagnostics.iter().take(MAX_FINDINGS).map(|one| finding(file, one, at)).collect()
    };
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, source, language).parse();
    if !parsed.diagnostics.is_empty() {
        return Err(findings(&parsed.diagnostics));
    }
    let found = inspect::inspect(&parsed.program);
    if !found.faults.is_empty() {
        let fault = |(span, message): (oxc::span::Span, String)| Finding::new(file, at(span.start as usize), message);
        return Err(found.faults.into_iter().take(MAX_FINDINGS).map(fault).collect());
    }
    let semantic = SemanticBuilder::new().with_check_syntax_error(true).build(&parsed.program);
    if semantic.diagnostics.has_errors() {
        return Err(findings(&semantic.diagnostics));
    }
    Ok(found.edits)
}

fn options() -> TransformOptions {
    let mut options = TransformOptions::default();
    options.jsx.runtime = JsxRuntime::Classic;
    options.jsx.pragma = Some("h".into());
    options.jsx.pragma_frag = Some("h.fragment".into());
    options.jsx.pure = false;
    options.typescript.jsx_pragma = "h".into();
    options.typescript.jsx_pragma_frag = "h".into();
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

/// The names that are still imported when types are gone, but that nobody offers.
fn unknown_imports(file: &str, program: &Program<'_>, edited: &str, back: &Back) -> Vec<Finding> {
    let mut findings = Vec::new();
    for statement in &program.body {
        let Statement::ImportDeclaration(import) = statement else { continue };
        for specifier in import.specifiers.iter().flatten() {
            let ImportDeclarationSpecifier::ImportSpecifier(one) = specifier else { continue };
            let name = one.imported.name();
            if !EXPORTS.contains(&name.as_str()) {
                let message =
                    format!("{:?} has no {:?} here; it has {}", inspect::MODULE, name.as_str(), EXPORTS.join(", "));
                findings.push(Finding::new(file, back.place(place(edited, one.span().start as usize)), message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests;
