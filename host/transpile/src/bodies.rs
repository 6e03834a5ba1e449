//! What a pattern's body computes of its cells.
//!
//! Charms of the newer module, `commonfabric`, write `const isEmpty = items.get().length === 0` or `name ? a : b` in the
//! body of a pattern, and mean what follows from the cells: `__follow([{name, a, b}, {items}], ({…}) => …)`. The guest
//! makes a derived cell of it if there is a cell among what it uses, and computes it at once if there is none. What makes
//! cells, streams or pages is left as it is.

use std::collections::{HashMap, HashSet};

use oxc::ast::AstKind;
use oxc::ast::ast::{
    Argument, ArrowFunctionBody, CallExpression, ChainElement, Declaration, Expression, FormalParameters, FunctionBody,
    IdentifierReference, NewExpression, ObjectPropertyKind, Program, Statement, TSType, TSTypeName, TSTypeReference,
    VariableDeclarationKind,
};
use oxc::ast_visit::{Visit, walk};
use oxc::span::GetSpan;

use super::captures::{Captures, is_method, root};
use super::inspect::Walk;

/// Types whose values are no data: a function that takes one is given what the body has.
const HANDLES: [&str; 9] =
    ["Cell", "Factory", "Handler", "OpaqueCell", "OpaqueRef", "Reactive", "Stream", "VNode", "Writable"];

/// What is a function of values, whatever it is called with.
const VALUES: [&str; 8] = ["Array", "Boolean", "Date", "JSON", "Math", "Number", "Object", "String"];

/// Functions of a file that take values alone, and make nothing.
pub(super) type Plain<'a> = HashMap<&'a str, bool>;

/// Those that are declared at the top level of a program; `is_maker` says whether a call of that name makes something.
pub(super) fn plain_functions<'a>(program: &Program<'a>, is_maker: &dyn Fn(&str) -> bool) -> Plain<'a> {
    let mut plain = Plain::new();
    for statement in &program.body {
        let declaration = match statement {
            Statement::ExportDeclaration(export) => Some(&export.declaration),
            statement => statement.as_declaration(),
        };
        match declaration {
            Some(Declaration::FunctionDeclaration(function)) => {
                if let (Some(id), Some(body)) = (&function.id, &function.body) {
                    let takes_values = !function.r#async
                        && !function.generator
                        && is_plain(&function.params, is_maker, |makers| makers.visit_function_body(body));
                    plain.insert(id.name.as_str(), takes_values);
                }
            }
            Some(Declaration::VariableDeclaration(variables)) => {
                for variable in &variables.declarations {
                    let init = variable.init.as_ref().map(Expression::get_inner_expression);
                    if let (Some(name), Some(Expression::ArrowFunctionExpression(arrow))) =
                        (variable.id.get_identifier_name(), init)
                    {
                        let visit = |makers: &mut Makers<'_>| makers.visit_arrow_function_body(&arrow.body);
                        plain.insert(name.as_str(), !arrow.r#async && is_plain(&arrow.params, is_maker, visit));
                    }
                }
            }
            _ => {}
        }
    }
    plain
}

/// The names of what a program's top level makes that makes cells, streams or pages in turn: handlers, patterns.
pub(super) fn makers<'a>(program: &Program<'a>) -> HashSet<&'a str> {
    let mut names = HashSet::new();
    for statement in &program.body {
        let declaration = match statement {
            Statement::ExportDeclaration(export) => Some(&export.declaration),
            Statement::ImportDeclaration(import) => {
                names.extend(import.specifiers.iter().flatten().map(|specifier| specifier.local().name.as_str()));
                None
            }
            statement => statement.as_declaration(),
        };
        let Some(Declaration::VariableDeclaration(variables)) = declaration else { continue };
        for variable in &variables.declarations {
            let init = variable.init.as_ref().map(Expression::get_inner_expression);
            if let (Some(name), Some(Expression::CallExpression(_))) = (variable.id.get_identifier_name(), init) {
                names.insert(name.as_str());
            }
        }
    }
    names
}

fn is_plain(
    parameters: &FormalParameters<'_>,
    is_maker: &dyn Fn(&str) -> bool,
    visit: impl FnOnce(&mut Makers<'_>),
) -> bool {
    let typed = parameters.items.iter().all(|parameter| {
        parameter.type_annotation.as_ref().is_some_and(|annotation| is_data(&annotation.type_annotation))
    });
    let mut makers = Makers { is_maker, found: false };
    visit(&mut makers);
    typed && parameters.rest.is_none() && !makers.found
}

fn is_data(ty: &TSType<'_>) -> bool {
    let mut handles = Handles {
        found: matches!(ty, TSType::TSAnyKeyword(_) | TSType::TSUnknownKeyword(_) | TSType::TSFunctionType(_)),
    };
    handles.visit_ts_type(ty);
    !handles.found
}

struct Handles {
    found: bool,
}

impl<'a> Visit<'a> for Handles {
    fn visit_ts_type_reference(&mut self, reference: &TSTypeReference<'a>) {
        if let TSTypeName::IdentifierReference(name) = &reference.type_name {
            self.found |= HANDLES.iter().any(|handle| name.name.ends_with(handle));
        }
        walk::walk_ts_type_reference(self, reference);
    }
}

/// Whether something makes cells, streams or pages.
struct Makers<'m> {
    is_maker: &'m dyn Fn(&str) -> bool,
    found: bool,
}

impl<'a> Visit<'a> for Makers<'_> {
    fn enter_node(&mut self, kind: AstKind<'a>) {
        self.found |= matches!(kind, AstKind::JSXElement(_) | AstKind::JSXFragment(_));
    }

    fn visit_call_expression(&mut self, call: &CallExpression<'a>) {
        if let Some(name) = root(&call.callee) {
            self.found |= (self.is_maker)(name.name.as_str());
        }
        walk::walk_call_expression(self, call);
    }

    fn visit_new_expression(&mut self, new: &NewExpression<'a>) {
        if let Some(name) = root(&new.callee) {
            self.found |= (self.is_maker)(name.name.as_str());
        }
        walk::walk_new_expression(self, new);
    }
}

impl<'a> Walk<'_, 'a> {
    /// The body of a pattern.
    pub(super) fn body(&mut self, function: &Argument<'a>) {
        if !self.follows {
            return;
        }
        match function.as_expression().map(Expression::get_inner_expression) {
            Some(Expression::ArrowFunctionExpression(arrow)) => match &arrow.body {
                ArrowFunctionBody::FunctionBody(body) => self.statements(body),
                body => {
                    if let Some(expression) = body.as_expression() {
                        self.followed(expression);
                    }
                }
            },
            Some(Expression::FunctionExpression(function)) => {
                if let Some(body) = &function.body {
                    self.statements(body);
                }
            }
            _ => {}
        }
    }

    fn statements(&mut self, body: &FunctionBody<'a>) {
        for statement in &body.statements {
            match statement {
                Statement::VariableDeclaration(variables) if variables.kind == VariableDeclarationKind::Const => {
                    for init in variables.declarations.iter().filter_map(|variable| variable.init.as_ref()) {
                        self.followed(init);
                    }
                }
                Statement::ReturnStatement(returned) => {
                    if let Some(value) = &returned.argument {
                        self.followed(value);
                    }
                }
                Statement::ExpressionStatement(statement) => {
                    if let Expression::CallExpression(call) = statement.expression.get_inner_expression() {
                        self.arguments_followed(&call.arguments);
                    }
                }
                _ => {}
            }
        }
    }

    fn arguments_followed(&mut self, arguments: &[Argument<'a>]) {
        for argument in arguments.iter().filter_map(Argument::as_expression) {
            self.followed(argument);
        }
    }

    /// An expression of the body, of which parts may be computed.
    fn followed(&mut self, expression: &Expression<'a>) {
        let expression = expression.get_inner_expression();
        match expression {
            Expression::ObjectExpression(object) => {
                for property in &object.properties {
                    match property {
                        ObjectPropertyKind::ObjectProperty(property) if !self.is_page(property) => {
                            self.followed(&property.value);
                        }
                        _ => {}
                    }
                }
            }
            Expression::ArrayExpression(array) => {
                for element in array.elements.iter().filter_map(|element| element.as_expression()) {
                    self.followed(element);
                }
            }
            Expression::ConditionalExpression(_)
            | Expression::LogicalExpression(_)
            | Expression::BinaryExpression(_)
            | Expression::TemplateLiteral(_)
            | Expression::UnaryExpression(_) => self.follow(expression),
            Expression::CallExpression(call) => self.called(expression, call),
            Expression::ChainExpression(chain) => {
                if let ChainElement::CallExpression(call) = &chain.expression {
                    self.called(expression, call);
                } else if reads(expression) {
                    self.follow(expression);
                }
            }
            Expression::StaticMemberExpression(_) | Expression::ComputedMemberExpression(_) if reads(expression) => {
                self.follow(expression);
            }
            _ => {}
        }
    }

    fn called(&mut self, expression: &Expression<'a>, call: &CallExpression<'a>) {
        let is_of_values = match call.callee.get_inner_expression() {
            Expression::Identifier(name) => self.plain.get(name.name.as_str()).copied() == Some(true),
            Expression::StaticMemberExpression(member) => match root(&member.object) {
                Some(name) if VALUES.contains(&name.name.as_str()) => true,
                // Methods of cells, but for those that read.
                Some(name) => self.is_local(name) && (!makes(&member.property.name) && !self.takes_cells(&name.name)),
                None => reads(&member.object),
            },
            _ => false,
        };
        if is_of_values {
            self.follow(expression);
        } else {
            self.arguments_followed(&call.arguments);
            self.items(call);
        }
    }

    /// What is made of each item of a list, `list.map((item) => { … })`, is a body as well: of pages, and of patterns.
    pub(super) fn items(&mut self, call: &CallExpression<'a>) {
        let is_map =
            matches!(&call.callee, Expression::StaticMemberExpression(member) if member.property.name == "map");
        if let Some(function) = call.arguments.first().filter(|_| is_map) {
            self.body(function);
        }
    }

    fn follow(&mut self, expression: &Expression<'a>) {
        let mut makers = Makers { is_maker: &|name| self.takes_cells(name), found: false };
        makers.visit_expression(expression);
        let span = expression.span();
        let captures = Captures::of(self.file.scoping, span, |captures| captures.visit_following(expression));
        if makers.found || captures.waits {
            return;
        }
        if let Some(used) = captures.used() {
            self.found.edits.follow(span, used);
        }
    }

    fn is_local(&self, name: &IdentifierReference<'a>) -> bool {
        let scoping = self.file.scoping;
        let symbol = name.reference_id.get().and_then(|id| scoping.get_reference(id).symbol_id());
        symbol.is_some_and(|symbol| scoping.symbol_scope_id(symbol) != scoping.root_scope_id())
    }
}

/// Whether a method of that name makes or changes something.
fn makes(name: &str) -> bool {
    (is_method(name) && !matches!(name, "get" | "sample" | "equals")) || matches!(name, "for" | "with" | "then")
}

/// Whether a member of it is one of a value, `items.get().length`, and not the cell of a part.
fn reads(expression: &Expression<'_>) -> bool {
    let mut reads = Reads { found: false };
    reads.visit_expression(expression);
    reads.found
}

struct Reads {
    found: bool,
}

impl<'a> Visit<'a> for Reads {
    fn visit_call_expression(&mut self, call: &CallExpression<'a>) {
        if let Expression::StaticMemberExpression(member) = call.callee.get_inner_expression() {
            self.found |= !makes(&member.property.name);
        }
        walk::walk_call_expression(self, call);
    }
}
