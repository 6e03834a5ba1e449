//! What a parsed file of a charm imports, exports and calls: what is refused, and where schemas belong.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};

use oxc::ast::ast::{
    AccessorProperty, Argument, ArrowFunctionExpression, CallExpression, Class, Decorator, ExportAllDeclaration,
    ExportFromDeclaration, Expression, FormalParameters, Function, ImportDeclaration, ImportDeclarationSpecifier,
    ImportExpression, ImportOrExportKind, NewExpression, Program, RegExpFlags, RegExpLiteral, Statement,
    TSExportAssignment, TSImportEqualsDeclaration, TSType, TSTypeParameterDeclaration, TSTypeParameterInstantiation,
    UnaryExpression, UnaryOperator, VariableDeclaration, VariableDeclarationKind, VariableDeclarator,
};
use oxc::ast::builder::AstBuilder;
use oxc::ast_visit::{Visit, walk};
use oxc::semantic::{NodeId, Scoping};
use oxc::span::{GetSpan, SPAN, Span};
use oxc::syntax::scope::ScopeFlags;
use serde_json::{Value, json};

use super::child::ANSWER_BYTES;
use super::edits::{Edit, Edits};
use super::files::{is_module, is_relative, package};
use super::globals;
use super::schema::{Refusal, Types, Use, length, spell};

/// The module that charms import from.
pub(super) const MODULE: &str = "commontools";

/// How long the schemas of a file may be, all together, in bytes: each use of a type has a schema of its own in the
/// module. Modules that are longer than this are refused in any case.
const MAX_SPELLED: usize = ANSWER_BYTES;

/// One thing that is wrong: the number of the file, where in it, and what.
pub(super) type Fault = (usize, Span, String);

/// What was found in a program.
#[derive(Default)]
pub(super) struct Found<'a> {
    /// What is wrong.
    pub(super) faults: Vec<Fault>,
    /// What to change.
    pub(super) edits: Edits<'a>,
    /// What is wrong with pages, which only somebody who looks at one needs.
    pub(super) pages: Vec<Fault>,
}

/// A file of a charm, parsed.
pub(super) struct File<'f, 'a> {
    /// Its number.
    pub(super) index: usize,
    pub(super) program: &'f Program<'a>,
    pub(super) scoping: &'f Scoping,
    /// The types of all files.
    pub(super) types: &'f Types<'a>,
    /// Whether a relative import leads to a file of the charm.
    pub(super) leads: &'f dyn Fn(&str) -> bool,
    /// What makes the nodes of changes.
    pub(super) build: AstBuilder<'a>,
}

/// Looks through a file.
pub(super) fn inspect<'a>(file: File<'_, 'a>) -> Found<'a> {
    let (program, index) = (file.program, file.index);
    let mut walk = Walk {
        file,
        imported: HashMap::new(),
        factories: HashSet::new(),
        type_tests: HashSet::new(),
        page: None,
        pages: Vec::new(),
        generics: Vec::new(),
        default: false,
        spelled: 0,
        found: Found::default(),
    };
    for statement in &program.body {
        match statement {
            Statement::ImportDeclaration(import) => walk.import(import),
            Statement::ExportDefaultDeclaration(_) => walk.default = true,
            Statement::ExportNamedDeclaration(export) => {
                walk.default |= export.specifiers.iter().any(|specifier| specifier.exported.name() == "default");
            }
            Statement::ExportFromDeclaration(export) => {
                walk.default |= export.specifiers.iter().any(|specifier| specifier.exported.name() == "default");
            }
            _ => {}
        }
    }
    walk.visit_program(program);
    for (span, name) in globals::unknown(program, walk.file.scoping) {
        if !walk.type_tests.contains(&span) {
            walk.page = walk.pages.iter().find(|page| page.contains_inclusive(span)).copied();
            walk.fault(span, globals::missing(&name));
        }
    }
    walk.page = None;
    if index == 0 && !walk.default {
        let end = Span::empty(program.span.end);
        walk.fault(end, "a charm needs an `export default pattern(…)`; there is no default export");
    }
    walk.found
}

/// Whether something of that name is declared or imported at the top level.
pub(super) fn declares(program: &Program<'_>, name: &str) -> bool {
    use oxc::ast::ast::Declaration;
    let binds = |declaration: &Declaration<'_>| match declaration {
        Declaration::VariableDeclaration(variables) => variables
            .declarations
            .iter()
            .any(|variable| variable.id.get_binding_identifiers().iter().any(|id| id.name == name)),
        Declaration::FunctionDeclaration(function) => function.id.as_ref().is_some_and(|id| id.name == name),
        Declaration::ClassDeclaration(class) => class.id.as_ref().is_some_and(|id| id.name == name),
        _ => false,
    };
    program.body.iter().any(|statement| match statement {
        Statement::ImportDeclaration(import) => {
            import.specifiers.iter().flatten().any(|specifier| specifier.local().name == name)
        }
        Statement::ExportDeclaration(export) => binds(&export.declaration),
        statement => statement.as_declaration().is_some_and(binds),
    })
}

pub(super) struct Walk<'f, 'a> {
    pub(super) file: File<'f, 'a>,
    /// What the names of this file stand for in `commontools`.
    imported: HashMap<&'a str, &'a str>,
    /// Names of what `handler`, `lift` or `pattern` made.
    factories: HashSet<&'a str>,
    /// Where a name is only asked whether it is there: `typeof name`.
    type_tests: HashSet<Span>,
    /// The page that is being looked through.
    page: Option<Span>,
    /// All pages.
    pages: Vec<Span>,
    /// What the type parameters of the functions and classes around stand for.
    generics: Vec<(&'a str, Value)>,
    default: bool,
    /// How long the schemas are that were written so far.
    spelled: usize,
    pub(super) found: Found<'a>,
}

impl<'a> Walk<'_, 'a> {
    fn fault(&mut self, span: Span, message: impl Into<String>) {
        self.report((self.file.index, span, message.into()));
    }

    /// A page that cannot be made fails no poll.
    fn report(&mut self, fault: Fault) {
        let faults = if self.page.is_some() { &mut self.found.pages } else { &mut self.found.faults };
        faults.push(fault);
    }

    /// Refuses an import of what is neither `commontools` nor a file of the charm.
    fn check_source(&mut self, span: Span, source: &str) {
        if is_module(source) || package(source).is_some() || is_relative(source) && (self.file.leads)(source) {
            return;
        }
        let message = if is_relative(source) {
            format!("there is no file {source:?} beside this one, in TypeScript or JavaScript")
        } else {
            format!(
                "the package {source:?} is not available: a charm imports from {MODULE:?} and from its own files (\"./…\")"
            )
        };
        self.fault(span, message);
    }

    fn import(&mut self, import: &ImportDeclaration<'a>) {
        let source = import.source.value.as_str();
        if !is_module(source) {
            // Types of other packages vanish; a cell that was made from one is refused where it is.
            if import.import_kind != ImportOrExportKind::Type || is_relative(source) {
                self.check_source(import.span, source);
            }
            return;
        }
        for specifier in import.specifiers.iter().flatten() {
            match specifier {
                ImportDeclarationSpecifier::ImportSpecifier(one) => {
                    self.imported.insert(one.local.name.as_str(), one.imported.name().as_str());
                }
                _ => self.fault(
                    specifier.span(),
                    format!("import from {MODULE:?} by name, as in `import {{ pattern, handler }} from {MODULE:?}`"),
                ),
            }
        }
    }

    /// What an expression that is called stands for: `handler`, or `Cell.of`.
    pub(super) fn callee(&self, callee: &Expression<'a>) -> Option<(&'a str, bool)> {
        match callee.get_inner_expression() {
            Expression::Identifier(identifier) => Some((self.imported.get(identifier.name.as_str()).copied()?, false)),
            Expression::StaticMemberExpression(member) if member.property.name == "of" => {
                let Expression::Identifier(identifier) = &member.object else { return None };
                Some((self.imported.get(identifier.name.as_str()).copied()?, true))
            }
            _ => None,
        }
    }

    /// What a name of this file stands for in `commontools`.
    pub(super) fn imported_as(&self, name: &str) -> Option<&'a str> {
        self.imported.get(name).copied()
    }

    /// Whether a call of that name makes a stream or a derived cell of the cells it is given.
    pub(super) fn takes_cells(&self, name: &str) -> bool {
        self.imported.contains_key(name) || self.factories.contains(name)
    }

    /// The schema of `ty` as an expression. A file that has no such type says nothing: then any value fits.
    fn schema(&mut self, ty: Option<&TSType<'a>>, purpose: Use) -> Expression<'a> {
        let known = ty.filter(|_| self.spelled <= MAX_SPELLED).map(|ty| self.known_schema(ty, purpose));
        spell(&known.unwrap_or_else(|| json!({})), &self.file.build)
    }

    fn known_schema(&mut self, ty: &TSType<'a>, purpose: Use) -> Value {
        match self.file.types.schema(self.file.index, ty, purpose, &self.generics, &Cell::new(usize::MAX)) {
            Ok(schema) => {
                self.spelled += length(&schema);
                if self.spelled <= MAX_SPELLED {
                    return schema;
                }
                self.fault(
                    ty.span(),
                    "the types that are used up to here unfold to too much; use smaller or fewer ones",
                );
            }
            Err(Refusal::TooLarge) => {
                self.fault(ty.span(), "this type unfolds to too much; write it with fewer levels of aliases");
            }
            Err(Refusal::Unsupported { file, span, message }) => self.report((file, span, message)),
        }
        json!({})
    }

    /// Walks through what may have type parameters. They stand for what they extend. Where a type of the charm marks
    /// secrets, they are not known at all: what they stand for could be one.
    fn within(&mut self, parameters: Option<&TSTypeParameterDeclaration<'a>>, walk: impl FnOnce(&mut Self)) {
        let outer = self.generics.len();
        for parameter in parameters.iter().flat_map(|list| &list.params).filter(|_| !self.file.types.have_marks()) {
            let schema = parameter.constraint.as_ref().and_then(|constraint| {
                let (file, left) = (self.file.index, Cell::new(usize::MAX));
                self.file.types.schema(file, constraint, Use::Event, &self.generics, &left).ok()
            });
            self.generics.push((parameter.name.name.as_str(), schema.unwrap_or_else(|| json!({}))));
        }
        walk(self);
        self.generics.truncate(outer);
    }

    fn handler(&mut self, call: NodeId, types: Option<&TSTypeParameterInstantiation<'a>>, arguments: &[Argument<'a>]) {
        let [only] = arguments else { return };
        let Some(parameters) = function_parameters(only) else { return };
        let from_types = |index: usize| types.and_then(|types| types.params.get(index));
        let event = from_types(0).or_else(|| annotation(parameters, 0));
        let state = from_types(1).or_else(|| annotation(parameters, 1));
        if event.is_some() || state.is_some() {
            let before = vec![self.schema(event, Use::Event), self.schema(state, Use::Cells)];
            self.found.edits.add(call, Edit::Arguments { before, after: Vec::new() });
        }
    }

    /// `lift(fn)` and `derive(input, fn)`: what they are given. Whether a type says it.
    fn derivation(
        &mut self,
        call: NodeId,
        types: Option<&TSTypeParameterInstantiation<'a>>,
        arguments: &[Argument<'a>],
    ) -> bool {
        let Some(last) = arguments.last() else { return false };
        let Some(parameters) = function_parameters(last) else { return false };
        let input = types.and_then(|types| types.params.first()).or_else(|| annotation(parameters, 0));
        if input.is_some() {
            // Values that pass through a derivation may be of any type; cells that it is given are named.
            let before = vec![self.schema(input, Use::Event), Expression::new_void_0(SPAN, &self.file.build)];
            self.found.edits.add(call, Edit::Arguments { before, after: Vec::new() });
        }
        input.is_some()
    }

    /// `derive(input, (input) => …)`: without a type, those of the input say what is a cell, which the guest knows when
    /// it runs. A function by name gets values.
    fn derive(&mut self, call: NodeId, types: Option<&TSTypeParameterInstantiation<'a>>, arguments: &[Argument<'a>]) {
        let is_inline = arguments.last().and_then(function_parameters).is_some();
        if !self.derivation(call, types, arguments) && is_inline {
            let undefined = || Expression::new_void_0(SPAN, &self.file.build);
            let before = vec![undefined(), undefined()];
            self.found.edits.add(call, Edit::Arguments { before, after: Vec::new() });
        }
    }

    fn pattern(&mut self, call: NodeId, types: Option<&TSTypeParameterInstantiation<'a>>, arguments: &[Argument<'a>]) {
        let ([last] | [Argument::StringLiteral(_), last]) = arguments else { return };
        let Some(parameters) = function_parameters(last) else { return };
        let input = types.and_then(|types| types.params.first()).or_else(|| annotation(parameters, 0));
        if input.is_some() {
            let after = vec![self.schema(input, Use::Cells)];
            self.found.edits.add(call, Edit::Arguments { before: Vec::new(), after });
        }
    }

    /// A call whose last argument is the schema of its type argument, after one other.
    fn typed(&mut self, call: NodeId, types: Option<&TSTypeParameterInstantiation<'a>>, arguments: &[Argument<'a>]) {
        let Some(ty) = types.and_then(|types| types.params.first()) else { return };
        let schema = self.schema(Some(ty), Use::Cells);
        let after = match arguments {
            [] => vec![Expression::new_void_0(SPAN, &self.file.build), schema],
            [_] => vec![schema],
            _ => return,
        };
        self.found.edits.add(call, Edit::Arguments { before: Vec::new(), after });
    }
}

fn function_parameters<'p, 'a>(argument: &'p Argument<'a>) -> Option<&'p FormalParameters<'a>> {
    match argument.as_expression()?.get_inner_expression() {
        Expression::ArrowFunctionExpression(arrow) => Some(&arrow.params),
        Expression::FunctionExpression(function) => Some(&function.params),
        _ => None,
    }
}

fn annotation<'p, 'a>(parameters: &'p FormalParameters<'a>, index: usize) -> Option<&'p TSType<'a>> {
    Some(&parameters.items.get(index)?.type_annotation.as_ref()?.type_annotation)
}

impl<'a> Visit<'a> for Walk<'_, 'a> {
    fn visit_function(&mut self, function: &Function<'a>, flags: ScopeFlags) {
        self.within(function.type_parameters.as_deref(), |walk| walk::walk_function(walk, function, flags));
    }

    fn visit_arrow_function_expression(&mut self, arrow: &ArrowFunctionExpression<'a>) {
        let parameters = arrow.type_parameters.as_deref();
        self.within(parameters, |walk| walk::walk_arrow_function_expression(walk, arrow));
    }

    fn visit_class(&mut self, class: &Class<'a>) {
        self.within(class.type_parameters.as_deref(), |walk| walk::walk_class(walk, class));
    }

    fn visit_call_expression(&mut self, call: &CallExpression<'a>) {
        let (id, types) = (call.node_id.get(), call.type_arguments.as_deref());
        match self.callee(&call.callee) {
            Some(("handler", false)) => self.handler(id, types, &call.arguments),
            Some(("lift", false)) if call.arguments.len() == 1 => {
                self.derivation(id, types, &call.arguments);
            }
            Some(("derive", false)) if call.arguments.len() == 2 => self.derive(id, types, &call.arguments),
            Some(("assert" | "computed", false)) => self.computed(id, &call.arguments),
            Some(("action", false)) => self.action(id, &call.arguments),
            Some(("pattern" | "recipe", false)) => self.pattern(id, types, &call.arguments),
            Some(("cell" | "toSchema", false) | ("Cell" | "Writable", true)) => {
                self.typed(id, types, &call.arguments);
            }
            _ => {}
        }
        walk::walk_call_expression(self, call);
    }

    fn visit_new_expression(&mut self, new: &NewExpression<'a>) {
        if let Some(("Cell" | "Writable", false)) = self.callee(&new.callee) {
            self.typed(new.node_id.get(), new.type_arguments.as_deref(), &new.arguments);
        }
        walk::walk_new_expression(self, new);
    }

    fn visit_variable_declarator(&mut self, variable: &VariableDeclarator<'a>) {
        if let Some(Expression::CallExpression(call)) = variable.init.as_ref().map(Expression::get_inner_expression)
            && let Some(("handler" | "lift" | "pattern" | "recipe", false)) = self.callee(&call.callee)
            && let Some(name) = variable.id.get_identifier_name()
        {
            self.factories.insert(name.as_str());
        }
        walk::walk_variable_declarator(self, variable);
    }

    fn visit_unary_expression(&mut self, unary: &UnaryExpression<'a>) {
        if unary.operator == UnaryOperator::Typeof {
            self.type_tests.insert(unary.argument.get_inner_expression().span());
        }
        walk::walk_unary_expression(self, unary);
    }

    fn visit_object_property(&mut self, property: &oxc::ast::ast::ObjectProperty<'a>) {
        let outer = self.page;
        if self.is_page(property) {
            self.found.edits.add(property.node_id.get(), Edit::Page);
            self.page = outer.or(Some(property.value.span()));
            self.pages.extend(self.page);
        }
        walk::walk_object_property(self, property);
        self.page = outer;
    }

    fn visit_jsx_attribute(&mut self, attribute: &oxc::ast::ast::JSXAttribute<'a>) {
        self.attribute(attribute);
        walk::walk_jsx_attribute(self, attribute);
    }

    fn visit_jsx_child(&mut self, child: &oxc::ast::ast::JSXChild<'a>) {
        self.child(child);
        walk::walk_jsx_child(self, child);
    }

    fn visit_variable_declaration(&mut self, declaration: &VariableDeclaration<'a>) {
        if matches!(declaration.kind, VariableDeclarationKind::Using | VariableDeclarationKind::AwaitUsing) {
            self.fault(declaration.span, "`using` is not available to charms; write `const`, and `try … finally`");
        }
        walk::walk_variable_declaration(self, declaration);
    }

    fn visit_accessor_property(&mut self, accessor: &AccessorProperty<'a>) {
        self.fault(accessor.span, "`accessor` is not available to charms; write a field, or `get` and `set`");
    }

    fn visit_decorator(&mut self, decorator: &Decorator<'a>) {
        self.fault(decorator.span, "decorators are not available to charms");
    }

    fn visit_reg_exp_literal(&mut self, literal: &RegExpLiteral<'a>) {
        if literal.regex.flags.contains(RegExpFlags::V) {
            self.fault(literal.span, "the flag `v` of regular expressions is not available to charms; use `u`");
        }
    }

    fn visit_import_expression(&mut self, import: &ImportExpression<'a>) {
        self.fault(import.span, "`import(…)` is not available to charms; import at the top of the file");
    }

    fn visit_export_all_declaration(&mut self, export: &ExportAllDeclaration<'a>) {
        self.check_source(export.span, &export.source.value);
    }

    fn visit_export_from_declaration(&mut self, export: &ExportFromDeclaration<'a>) {
        self.check_source(export.span, &export.source.value);
    }

    fn visit_ts_import_equals_declaration(&mut self, import: &TSImportEqualsDeclaration<'a>) {
        self.fault(import.span, "`import … = …` is not available to charms; write `import { … } from \"commontools\"`");
    }

    fn visit_ts_export_assignment(&mut self, export: &TSExportAssignment<'a>) {
        self.fault(export.span, "`export =` is not available to charms; write `export default`");
    }
}
