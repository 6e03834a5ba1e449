//! What a charm's files export, and whether what they import from one another is there.

use std::collections::{HashMap, HashSet};

use oxc::ast::ast::{Declaration, ImportDeclarationSpecifier, Program, Statement};
use oxc::span::{GetSpan, Span};

use super::Finding;
use super::files::{is_module, package};
use super::places::Place;

/// The names of one file that cross its borders, when its types are gone and its sources are files' names.
#[derive(Default)]
pub(super) struct Exports {
    names: HashSet<String>,
    /// Files of which everything is exported.
    stars: Vec<String>,
    imports: Vec<Import>,
}

struct Import {
    place: Place,
    /// The file that it comes from.
    from: String,
    name: String,
}

impl Exports {
    /// Those of a program; `places` says where in the author's file spans begin.
    pub(super) fn of(program: &Program<'_>, places: impl FnOnce(&[Span]) -> Vec<Place>) -> Self {
        let mut exports = Self::default();
        let mut spans = Vec::new();
        for statement in &program.body {
            exports.statement(statement, &mut spans);
        }
        for (import, place) in exports.imports.iter_mut().zip(places(&spans)) {
            import.place = place;
        }
        exports
    }

    fn statement(&mut self, statement: &Statement<'_>, spans: &mut Vec<Span>) {
        match statement {
            Statement::ImportDeclaration(import) if !is_module(&import.source.value) => {
                for specifier in import.specifiers.iter().flatten() {
                    let name = match specifier {
                        ImportDeclarationSpecifier::ImportSpecifier(one) => one.imported.name().to_string(),
                        ImportDeclarationSpecifier::ImportDefaultSpecifier(_) => "default".to_owned(),
                        ImportDeclarationSpecifier::ImportNamespaceSpecifier(_) => continue,
                    };
                    self.import(&import.source.value, name, || spans.push(specifier.span()));
                }
            }
            Statement::ExportDeclaration(export) => match &export.declaration {
                Declaration::VariableDeclaration(variables) => {
                    let bound = variables.declarations.iter().flat_map(|one| one.id.get_binding_identifiers());
                    self.names.extend(bound.map(|id| id.name.to_string()));
                }
                Declaration::FunctionDeclaration(function) => {
                    self.names.extend(function.id.as_ref().map(|id| id.name.to_string()));
                }
                Declaration::ClassDeclaration(class) => {
                    self.names.extend(class.id.as_ref().map(|id| id.name.to_string()));
                }
                _ => {}
            },
            Statement::ExportDefaultDeclaration(_) => {
                self.names.insert("default".to_owned());
            }
            Statement::ExportNamedDeclaration(export) => {
                self.names.extend(export.specifiers.iter().map(|one| one.exported.name().to_string()));
            }
            Statement::ExportFromDeclaration(export) => {
                for one in &export.specifiers {
                    self.names.insert(one.exported.name().to_string());
                    let name = one.local.name().to_string();
                    self.import(&export.source.value, name, || spans.push(one.span));
                }
            }
            Statement::ExportAllDeclaration(export) => match &export.exported {
                Some(name) => {
                    self.names.insert(name.name().to_string());
                }
                None => self.stars.push(export.source.value.to_string()),
            },
            _ => {}
        }
    }

    fn import(&mut self, from: &str, name: String, keep_span: impl FnOnce()) {
        if !is_module(from) {
            keep_span();
            self.imports.push(Import { place: Place { line: 0, column: 0 }, from: from.to_owned(), name });
        }
    }
}

/// What is imported and is not there.
pub(super) fn missing(files: &HashMap<&str, Exports>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, exports) in files {
        for Import { place, from, name } in &exports.imports {
            if !has(files, from, name, &mut HashSet::new()) {
                findings.push(Finding::new(file, *place, format!("{from} exports no {name:?}")));
            }
        }
    }
    findings.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    findings
}

fn has<'f>(files: &'f HashMap<&str, Exports>, file: &'f str, name: &str, seen: &mut HashSet<&'f str>) -> bool {
    if let Some(exports) = package(file) {
        return exports.contains(&name);
    }
    let Some(exports) = files.get(file).filter(|_| seen.insert(file)) else { return false };
    exports.names.contains(name)
        // A default export is the file's own.
        || name != "default" && exports.stars.iter().any(|star| is_module(star) || has(files, star, name, seen))
}
