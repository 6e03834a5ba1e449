//! Which types the files of a charm declare, import and export.

use std::collections::{HashMap, HashSet};

use oxc::ast::AstKind;
use oxc::ast::ast::{
    ImportDeclarationSpecifier, Program, Statement, TSEnumDeclaration, TSInterfaceDeclaration, TSTypeAliasDeclaration,
    TSTypeName, VariableDeclarationKind, VariableDeclarator,
};
use oxc::ast_visit::Visit;

use super::marks::is_mark;
use crate::files::is_module;

/// How many files one name may lead through.
const MAX_HOPS: usize = 32;

/// A named type of a file.
#[derive(Clone, Copy)]
pub(super) enum Named<'a> {
    Alias(&'a TSTypeAliasDeclaration<'a>),
    Interface(&'a TSInterfaceDeclaration<'a>),
    Enum(&'a TSEnumDeclaration<'a>),
}

impl<'a> Named<'a> {
    /// The name that its own file gives it.
    pub(super) fn name(&self) -> &'a str {
        match self {
            Self::Alias(alias) => alias.id.name.as_str(),
            Self::Interface(interface) => interface.id.name.as_str(),
            Self::Enum(declaration) => declaration.id.name.as_str(),
        }
    }
}

/// What a name stands for.
pub(super) enum Meaning<'t, 'a> {
    /// A type of that file.
    Declared(usize, &'t [Named<'a>]),
    /// What the module that charms import from calls so.
    Imported(&'a str),
    /// Neither: a type of the language, or an unknown one.
    Global(&'a str),
}

/// Where an imported name comes from.
#[derive(Clone, Copy)]
enum Source<'a> {
    /// The module that charms import from.
    Module(&'a str),
    /// What another file calls so.
    File(usize, &'a str),
}

/// The names of one file.
#[derive(Default)]
pub(super) struct Declared<'a> {
    named: HashMap<&'a str, Vec<Named<'a>>>,
    imports: HashMap<&'a str, Source<'a>>,
    exports: HashMap<&'a str, Export<'a>>,
    /// Files of which everything is exported.
    stars: Vec<usize>,
    /// Classes: types whose values JSON can't hold.
    classes: HashSet<&'a str>,
    constants: HashMap<&'a str, &'a VariableDeclarator<'a>>,
    /// Whether a type of the file may mark secrets.
    has_marks: bool,
}

#[derive(Clone, Copy)]
enum Export<'a> {
    Local(&'a str),
    From(usize, &'a str),
}

impl<'a> Declared<'a> {
    /// The names in `program`; `index` returns the number of the file that an import names.
    pub(super) fn of(program: &Program<'a>, index: impl Fn(&str) -> Option<usize>) -> Self {
        let mut declared = Self::default();
        for statement in &program.body {
            declared.statement(statement, &index);
        }
        let mut collector = Collector::default();
        collector.visit_program(program);
        for (name, named) in collector.outer {
            declared.named.entry(name).or_default().push(named);
        }
        for (name, named) in collector.inner {
            // What a block declares is known by its name unless the file itself has one of that name.
            declared.named.entry(name).or_insert_with(|| vec![named]);
        }
        declared.classes = collector.classes;
        declared.constants = collector.constants;
        declared.has_marks = collector.has_marks;
        declared
    }

    fn statement(&mut self, statement: &Statement<'a>, index: &impl Fn(&str) -> Option<usize>) {
        match statement {
            Statement::ImportDeclaration(import) => {
                for specifier in import.specifiers.iter().flatten() {
                    let name = match specifier {
                        ImportDeclarationSpecifier::ImportSpecifier(one) => one.imported.name().as_str(),
                        ImportDeclarationSpecifier::ImportDefaultSpecifier(_) => "default",
                        ImportDeclarationSpecifier::ImportNamespaceSpecifier(_) => continue,
                    };
                    let source = import.source.value.as_str();
                    let source = if is_module(source) {
                        Some(Source::Module(name))
                    } else {
                        index(source).map(|file| Source::File(file, name))
                    };
                    self.imports.extend(source.map(|source| (specifier.local().name.as_str(), source)));
                }
            }
            Statement::ExportNamedDeclaration(export) => {
                for one in &export.specifiers {
                    self.exports.insert(one.exported.name().as_str(), Export::Local(one.local.name().as_str()));
                }
            }
            Statement::ExportFromDeclaration(export) => {
                let Some(file) = index(&export.source.value) else { return };
                for one in &export.specifiers {
                    self.exports.insert(one.exported.name().as_str(), Export::From(file, one.local.name().as_str()));
                }
            }
            Statement::ExportAllDeclaration(export) if export.exported.is_none() => {
                self.stars.extend(index(&export.source.value));
            }
            _ => {}
        }
    }

    /// Whether a type of the file may mark secrets.
    pub(super) fn has_marks(&self) -> bool {
        self.has_marks
    }

    /// Whether the file declares a class of that name.
    pub(super) fn has_class(&self, name: &str) -> bool {
        self.classes.contains(name)
    }
}

/// Collects types wherever they are declared: those of the file itself, and those of its blocks.
#[derive(Default)]
struct Collector<'a> {
    depth: usize,
    outer: Vec<(&'a str, Named<'a>)>,
    inner: Vec<(&'a str, Named<'a>)>,
    classes: HashSet<&'a str>,
    constants: HashMap<&'a str, &'a VariableDeclarator<'a>>,
    has_marks: bool,
}

/// How deep the declarations of a file itself are: below the program, and below an `export`.
const OUTER: usize = 3;

impl<'a> Visit<'a> for Collector<'a> {
    fn enter_node(&mut self, kind: AstKind<'a>) {
        self.depth += 1;
        let (name, named) = match kind {
            AstKind::TSTypeAliasDeclaration(alias) => (alias.id.name.as_str(), Named::Alias(alias)),
            AstKind::TSInterfaceDeclaration(interface) => (interface.id.name.as_str(), Named::Interface(interface)),
            AstKind::TSEnumDeclaration(one) => (one.id.name.as_str(), Named::Enum(one)),
            AstKind::VariableDeclaration(variables) if variables.kind == VariableDeclarationKind::Const => {
                for variable in &variables.declarations {
                    if let Some(name) = variable.id.get_identifier_name() {
                        if self.depth <= OUTER {
                            self.constants.insert(name.as_str(), variable);
                        } else {
                            self.constants.entry(name.as_str()).or_insert(variable);
                        }
                    }
                }
                return;
            }
            AstKind::TSTypeReference(reference) => {
                if let TSTypeName::IdentifierReference(name) = &reference.type_name {
                    self.has_marks |= is_mark(&name.name);
                }
                return;
            }
            AstKind::TSInterfaceHeritage(heritage) => {
                if let TSTypeName::IdentifierReference(name) = &heritage.type_name {
                    self.has_marks |= is_mark(&name.name);
                }
                return;
            }
            AstKind::ImportSpecifier(import) => {
                self.has_marks |= is_mark(&import.imported.name());
                return;
            }
            AstKind::Class(class) => {
                self.classes.extend(class.id.as_ref().map(|id| id.name.as_str()));
                return;
            }
            _ => return,
        };
        let outer = self.depth <= OUTER;
        let found = if outer { &mut self.outer } else { &mut self.inner };
        found.push((name, named));
    }

    fn leave_node(&mut self, _: AstKind<'a>) {
        self.depth -= 1;
    }
}

/// What a name of one file stands for.
pub(super) fn meaning<'t, 'a>(files: &'t [Declared<'a>], file: usize, name: &'a str) -> Meaning<'t, 'a> {
    match origin(files, file, name, |declared, name| declared.named.get(name)) {
        Origin::Found(file, found) => Meaning::Declared(file, found),
        Origin::Module(name) => Meaning::Imported(name),
        Origin::Unknown(name) => Meaning::Global(name),
    }
}

/// The constant that a name of one file stands for, and its file.
pub(super) fn constant<'a>(
    files: &[Declared<'a>],
    file: usize,
    name: &'a str,
) -> Option<(usize, &'a VariableDeclarator<'a>)> {
    match origin(files, file, name, |declared, name| declared.constants.get(name)) {
        Origin::Found(file, found) => Some((file, *found)),
        _ => None,
    }
}

/// Where a name comes from.
enum Origin<'a, T> {
    Found(usize, T),
    Module(&'a str),
    Unknown(&'a str),
}

fn origin<'t, 'a, T>(
    files: &'t [Declared<'a>],
    file: usize,
    name: &'a str,
    get: impl Fn(&'t Declared<'a>, &'a str) -> Option<T>,
) -> Origin<'a, T> {
    let (mut file, mut name) = (file, name);
    for _ in 0..MAX_HOPS {
        let Some(declared) = files.get(file) else { break };
        if let Some(found) = get(declared, name) {
            return Origin::Found(file, found);
        }
        match declared.imports.get(name) {
            Some(Source::Module(imported)) => return Origin::Module(imported),
            Some(Source::File(target, imported)) => match exported(files, *target, imported, 0) {
                Some((target, local)) => (file, name) = (target, local),
                None => break,
            },
            None => break,
        }
    }
    Origin::Unknown(name)
}

/// The file and the name there of what a file exports.
fn exported<'a>(files: &[Declared<'a>], file: usize, name: &'a str, hops: usize) -> Option<(usize, &'a str)> {
    let declared = files.get(file).filter(|_| hops < MAX_HOPS)?;
    match declared.exports.get(name) {
        Some(Export::Local(local)) => return Some((file, local)),
        Some(Export::From(target, there)) => return exported(files, *target, there, hops + 1),
        None => {}
    }
    let is_declared =
        declared.named.contains_key(name) || declared.classes.contains(name) || declared.constants.contains_key(name);
    if is_declared {
        return Some((file, name));
    }
    declared.stars.iter().find_map(|star| exported(files, *star, name, hops + 1))
}
