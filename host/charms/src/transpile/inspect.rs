//! What a parsed charm imports, exports and calls: what is refused, and where schemas belong.

use std::collections::HashMap;

use oxc::ast::AstKind;
use oxc::ast::ast::{
    Argument, CallExpression, ExportAllDeclaration, ExportFromDeclaration, Expression, FormalParameters,
    ImportDeclaration, ImportDeclarationSpecifier, ImportExpression, JSXElement, JSXFragment, NewExpression, Program,
    Statement, TSExportAssignment, TSImportEqualsDeclaration, TSType, TSTypeParameterInstantiation,
};
use oxc::ast_visit::{Visit, walk};
use oxc::span::{GetSpan, Span};

use super::edits::Edits;
use super::schema::Types;

/// The module that charms import from.
pub(super) const MODULE: &str = "commontools";

/// How deep a charm's syntax may nest. Far more than people write, and what the script guest's parser reads in half of its stack.
pub(super) const MAX_NESTING: usize = 128;

/// What was found in a program.
#[derive(Default)]
pub(super) struct Found {
    /// What is wrong, and where.
    pub(super) faults: Vec<(Span, String)>,
    /// What to insert.
    pub(super) edits: Edits,
}

/// Looks through `program`.
pub(super) fn inspect(program: &Program<'_>) -> Found {
    let mut nesting = Nesting::default();
    nesting.visit_program(program);
    let mut found = Found::default();
    if let Some(span) = nesting.too_deep {
        found.faults.push((span, format!("this is nested more than {MAX_NESTING} levels deep")));
        return found;
    }

    let mut walk = Walk {
        types: Types::of(program),
        imported: HashMap::new(),
        source: program.source_text,
        jsx: false,
        default: false,
        found,
    };
    for statement in &program.body {
        match statement {
            Statement::ImportDeclaration(import) => walk.import(import),
            Statement::ExportDefaultDeclaration(_) => walk.default = true,
            Statement::ExportNamedDeclaration(export) => {
                walk.default |= export.specifiers.iter().any(|specifier| specifier.exported.name() == "default");
            }
            _ => {}
        }
    }
    walk.visit_program(program);
    if !walk.default {
        let end = Span::empty(program.span.end);
        walk.found
            .faults
            .push((end, "a charm needs an `export default pattern(…)`; there is no default export".into()));
    }
    if walk.jsx && !declares(program, "h") {
        // On the first line, whose places are mapped back like those after any other insertion.
        walk.found.edits.insert(0, format!("import {{ h }} from {MODULE:?}; "));
    }
    walk.found
}

/// Whether something of that name is declared or imported at the top level.
fn declares(program: &Program<'_>, name: &str) -> bool {
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

/// Measures how deep a program nests.
#[derive(Default)]
struct Nesting {
    depth: usize,
    too_deep: Option<Span>,
}

impl<'a> Visit<'a> for Nesting {
    fn enter_node(&mut self, kind: AstKind<'a>) {
        self.depth += 1;
        if self.depth > MAX_NESTING && self.too_deep.is_none() {
            self.too_deep = Some(kind.span());
        }
    }

    fn leave_node(&mut self, _: AstKind<'a>) {
        self.depth -= 1;
    }
}

struct Walk<'p, 'a> {
    types: Types<'p, 'a>,
    /// What the names of this file stand for in `commontools`.
    imported: HashMap<&'a str, &'a str>,
    source: &'a str,
    jsx: bool,
    default: bool,
    found: Found,
}

impl<'a> Walk<'_, 'a> {
    fn fault(&mut self, span: Span, message: impl Into<String>) {
        self.found.faults.push((span, message.into()));
    }

    fn refuse_source(&mut self, span: Span, source: &str) {
        self.fault(
            span,
            format!(
                "can't import from {source:?}: a charm is one file, and imports from {MODULE:?} only (types as well)"
            ),
        );
    }

    fn import(&mut self, import: &ImportDeclaration<'a>) {
        if import.source.value != MODULE {
            return self.refuse_source(import.span, &import.source.value);
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
    fn callee(&self, callee: &Expression<'a>) -> Option<(&'a str, bool)> {
        match callee.get_inner_expression() {
            Expression::Identifier(identifier) => Some((self.imported.get(identifier.name.as_str()).copied()?, false)),
            Expression::StaticMemberExpression(member) if member.property.name == "of" => {
                let Expression::Identifier(identifier) = &member.object else { return None };
                Some((self.imported.get(identifier.name.as_str()).copied()?, true))
            }
            _ => None,
        }
    }

    /// The schema of `ty` as an expression. A file that has no such type says nothing: then any value fits.
    fn schema(&mut self, ty: Option<&TSType<'a>>) -> String {
        let Some(ty) = ty else { return "{}".into() };
        if let Ok(schema) = self.types.schema(ty) {
            return schema.to_string();
        }
        self.fault(ty.span(), "this type unfolds to too much; write it with fewer levels of aliases");
        "{}".into()
    }

    fn handler(&mut self, types: Option<&TSTypeParameterInstantiation<'a>>, arguments: &[Argument<'a>]) {
        let [only] = arguments else { return };
        let Some(parameters) = function_parameters(only) else { return };
        let from_types = |index: usize| types.and_then(|types| types.params.get(index));
        let event = from_types(0).or_else(|| annotation(parameters, 0));
        let state = from_types(1).or_else(|| annotation(parameters, 1));
        if event.is_some() || state.is_some() {
            let schemas = format!("{}, {}, ", self.schema(event), self.schema(state));
            self.found.edits.insert(only.span().start, schemas);
        }
    }

    fn pattern(&mut self, types: Option<&TSTypeParameterInstantiation<'a>>, arguments: &[Argument<'a>]) {
        let ([last] | [Argument::StringLiteral(_), last]) = arguments else { return };
        let Some(parameters) = function_parameters(last) else { return };
        let input = types.and_then(|types| types.params.first()).or_else(|| annotation(parameters, 0));
        if input.is_some() {
            let schema = format!(", {}", self.schema(input));
            self.found.edits.insert(last.span().end, schema);
        }
    }

    fn cell(&mut self, types: Option<&TSTypeParameterInstantiation<'a>>, arguments: &[Argument<'a>], call: Span) {
        let Some(ty) = types.and_then(|types| types.params.first()) else { return };
        let schema = self.schema(Some(ty));
        match arguments {
            // `new Cell<T>` may do without parentheses.
            [] if self.source[..call.end as usize].ends_with(')') => {
                self.found.edits.insert(call.end - 1, format!("undefined, {schema}"));
            }
            [value] => self.found.edits.insert(value.span().end, format!(", {schema}")),
            _ => {}
        }
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
    fn visit_call_expression(&mut self, call: &CallExpression<'a>) {
        let types = call.type_arguments.as_deref();
        match self.callee(&call.callee) {
            Some(("handler", false)) => self.handler(types, &call.arguments),
            Some(("pattern" | "recipe", false)) => self.pattern(types, &call.arguments),
            Some(("cell", false) | ("Cell" | "Writable", true)) => self.cell(types, &call.arguments, call.span),
            _ => {}
        }
        walk::walk_call_expression(self, call);
    }

    fn visit_new_expression(&mut self, new: &NewExpression<'a>) {
        if let Some(("Cell" | "Writable", false)) = self.callee(&new.callee) {
            self.cell(new.type_arguments.as_deref(), &new.arguments, new.span);
        }
        walk::walk_new_expression(self, new);
    }

    fn visit_jsx_element(&mut self, element: &JSXElement<'a>) {
        self.jsx = true;
        walk::walk_jsx_element(self, element);
    }

    fn visit_jsx_fragment(&mut self, fragment: &JSXFragment<'a>) {
        self.jsx = true;
        walk::walk_jsx_fragment(self, fragment);
    }

    fn visit_import_expression(&mut self, import: &ImportExpression<'a>) {
        self.fault(import.span, "`import(…)` is not available to charms; import at the top of the file");
    }

    fn visit_export_all_declaration(&mut self, export: &ExportAllDeclaration<'a>) {
        self.refuse_source(export.span, &export.source.value);
    }

    fn visit_export_from_declaration(&mut self, export: &ExportFromDeclaration<'a>) {
        self.refuse_source(export.span, &export.source.value);
    }

    fn visit_ts_import_equals_declaration(&mut self, import: &TSImportEqualsDeclaration<'a>) {
        self.fault(import.span, "`import … = …` is not available to charms; write `import { … } from \"commontools\"`");
    }

    fn visit_ts_export_assignment(&mut self, export: &TSExportAssignment<'a>) {
        self.fault(export.span, "`export =` is not available to charms; write `export default`");
    }
}
