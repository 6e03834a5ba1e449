//! Writes to cells that contradict the cells' types: `list.set(list.get().push(x))` stores how long the list is.
//!
//! A charm may do that all the same, so these are warnings. What is not known for certain is taken to be right: a
//! warning that is wrong would have people overlook those that are not. What this does not see, the script guest sees
//! when it happens.

mod against;
mod budget;
mod kind;
mod schemas;
mod shape;
mod shapes;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use oxc::ast::ast::{
    Argument, ArrowFunctionBody, ArrowFunctionExpression, BindingPattern, CallExpression, Class, Expression,
    FormalParameters, Function, FunctionBody, ImportDeclarationSpecifier, NewExpression, Program, ReturnStatement,
    Statement, TSType, VariableDeclarator,
};
use oxc::ast_visit::{Visit, walk};
use oxc::span::{GetSpan, Span};
use oxc::syntax::scope::ScopeFlags;
use oxc::syntax::symbol::SymbolId;
use serde_json::Value;

use super::MAX_FINDINGS;
use super::files::is_module;
use super::inspect::{Fault, File};
use super::schema::Use;
use against::{Contradiction, against, spell};
use budget::Budget;
use schemas::items_of;
use shape::Shape;

/// How many different types of a file are looked at.
const MAX_TYPES: usize = 200;
/// How many schemas are unfolded, copied or compared for a file: some 50 MiB. What is left over is not checked.
const MAX_SCHEMAS: usize = 300_000;
/// How much of the source a warning repeats.
const MAX_TEXT: usize = 60;

/// The writes of a file that contradict the types of their cells.
pub(super) fn contradictions(file: &File<'_, '_>) -> Vec<Fault> {
    let mut writes = Writes {
        file,
        imported: imported(file.program),
        known: HashMap::new(),
        types: RefCell::default(),
        budget: Budget::new(MAX_SCHEMAS),
        generics: 0,
        depth: Cell::new(0),
        found: Vec::new(),
    };
    writes.visit_program(file.program);
    writes.found
}

/// What the names of a file stand for in the module that charms import from.
fn imported<'a>(program: &Program<'a>) -> HashMap<&'a str, &'a str> {
    let imports = program.body.iter().filter_map(|statement| match statement {
        Statement::ImportDeclaration(import) if is_module(&import.source.value) => Some(import),
        _ => None,
    });
    let specifiers = imports.flat_map(|import| import.specifiers.iter().flatten());
    let named = specifiers.filter_map(|specifier| match specifier {
        ImportDeclarationSpecifier::ImportSpecifier(one) => {
            Some((one.local.name.as_str(), one.imported.name().as_str()))
        }
        _ => None,
    });
    named.collect()
}

struct Writes<'f, 'a> {
    file: &'f File<'f, 'a>,
    imported: HashMap<&'a str, &'a str>,
    /// What names stand for.
    known: HashMap<SymbolId, Shape>,
    /// Types by their texts.
    types: RefCell<HashMap<&'a str, Rc<Value>>>,
    budget: Budget,
    /// How many functions and classes with type parameters are around: what a type's name means there is not known.
    generics: usize,
    /// How many arrays and objects are around what is looked at.
    depth: Cell<usize>,
    found: Vec<Fault>,
}

impl<'a> Writes<'_, 'a> {
    /// A piece of the source in short, on one line.
    fn name(&self, span: Span) -> String {
        let words: Vec<_> = span.source_text(self.file.program.source_text).split_whitespace().collect();
        let text = words.join(" ");
        match text.char_indices().nth(MAX_TEXT) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }

    /// The schema of a type; null if it is not known.
    fn schema(&self, ty: &TSType<'a>) -> Rc<Value> {
        if self.generics > 0 {
            return Rc::default();
        }
        let text = ty.span().source_text(self.file.program.source_text);
        let mut types = self.types.borrow_mut();
        if let Some(known) = types.get(text) {
            return Rc::clone(known);
        }
        if types.len() >= MAX_TYPES {
            return Rc::default();
        }
        let schema = Rc::new(
            self.file.types.schema(self.file.index, ty, Use::Event, &[], self.budget.left()).unwrap_or_default(),
        );
        types.insert(text, Rc::clone(&schema));
        schema
    }

    /// What the names of a pattern stand for, if the whole is this.
    fn bind(&mut self, pattern: &BindingPattern<'a>, shape: &Shape) {
        match pattern {
            BindingPattern::BindingIdentifier(identifier) => {
                let symbol = identifier.symbol_id.get().filter(|symbol| !self.file.scoping.symbol_is_mutated(*symbol));
                if let Some(symbol) = symbol {
                    self.known.entry(symbol).or_insert_with(|| shape.kept());
                }
            }
            BindingPattern::ObjectPattern(object) => {
                for property in object.properties.iter().filter(|property| !property.computed) {
                    if let Some(key) = property.key.static_name() {
                        self.bind(&property.value, &shape.part(&key, &self.budget));
                    }
                }
            }
            // What a default adds is of the same type.
            BindingPattern::AssignmentPattern(assignment) => self.bind(&assignment.left, shape),
            BindingPattern::ArrayPattern(_) => {}
        }
    }

    /// The names of a function's parameters, of the types that are given or that it says itself.
    fn parameters(&mut self, parameters: &FormalParameters<'a>, given: [Option<&TSType<'a>>; 2], of_cells: bool) {
        for (index, parameter) in parameters.items.iter().enumerate() {
            let annotation = parameter.type_annotation.as_ref().map(|annotation| &annotation.type_annotation);
            let Some(ty) = given.get(index).copied().flatten().or(annotation) else { continue };
            let schema = self.schema(ty);
            let shape = if of_cells && index == 0 { Shape::Cell(schema) } else { Shape::of(schema) };
            self.bind(&parameter.pattern, &shape);
        }
    }

    /// `handler<E, S>(fn)` and `pattern<I>(fn)`: what their functions are given.
    fn made(&mut self, call: &CallExpression<'a>) -> Option<()> {
        let of_cells = match self.callee(&call.callee)? {
            "handler" => false,
            "pattern" | "recipe" => true,
            _ => return None,
        };
        let types = call.type_arguments.as_deref();
        let given = [0, 1].map(|index| types.and_then(|types| types.params.get(index)));
        let parameters = call.arguments.iter().rev().find_map(|argument| {
            match argument.as_expression()?.get_inner_expression() {
                Expression::ArrowFunctionExpression(arrow) => Some(&arrow.params),
                Expression::FunctionExpression(function) => Some(&function.params),
                _ => None,
            }
        })?;
        self.parameters(parameters, given, of_cells);
        Some(())
    }

    /// What a name that is called stands for in the module that charms import from.
    fn callee(&self, callee: &Expression<'a>) -> Option<&'a str> {
        let Expression::Identifier(identifier) = callee.get_inner_expression() else { return None };
        self.imported.get(identifier.name.as_str()).copied()
    }

    fn written(&mut self, call: &CallExpression<'a>) -> Option<()> {
        let Expression::StaticMemberExpression(member) = &call.callee else { return None };
        let method = member.property.name.as_str();
        if !matches!(method, "set" | "send" | "push" | "update") {
            return None;
        }
        let Shape::Cell(schema) = self.shape(&member.object) else { return None };
        let (place, first) = (member.object.span(), call.arguments.first().and_then(Argument::as_expression));
        match method {
            "push" => {
                let Some(items) = items_of(&schema, &self.budget) else {
                    let (name, declared) = (self.name(place), spell(&schema));
                    let message = format!(
                        "`push` is for cells of arrays, and `{name}` is declared as `{declared}`: write `{name}.set(…)`"
                    );
                    self.warn(call.span, message);
                    return None;
                };
                for item in call.arguments.iter().map_while(Argument::as_expression) {
                    self.check(item, &items, place, "[…]");
                }
            }
            "update" => self.updated(first?, &schema, place)?,
            _ => self.check(first?, &schema, place, ""),
        }
        Some(())
    }

    /// `cell.update({ key: value })` and `cell.update((value) => …)`.
    fn updated(&mut self, change: &Expression<'a>, schema: &Rc<Value>, cell: Span) -> Option<()> {
        let change = change.get_inner_expression();
        let parameters = match change {
            Expression::ObjectExpression(_) => {
                self.check(change, schema, cell, "");
                return Some(());
            }
            Expression::ArrowFunctionExpression(arrow) if !arrow.r#async => &arrow.params,
            Expression::FunctionExpression(function) if !function.r#async && !function.generator => &function.params,
            _ => return None,
        };
        self.parameters(parameters, [None, None], false);
        if let Some(parameter) = parameters.items.first().filter(|parameter| parameter.type_annotation.is_none()) {
            self.bind(&parameter.pattern, &Shape::of(Rc::clone(schema)));
        }
        match change {
            Expression::ArrowFunctionExpression(arrow) => match &arrow.body {
                ArrowFunctionBody::FunctionBody(body) => self.returned(body, schema, cell),
                expression => self.check(expression.as_expression()?, schema, cell, ""),
            },
            Expression::FunctionExpression(function) => self.returned(function.body.as_deref()?, schema, cell),
            _ => {}
        }
        Some(())
    }

    /// What a function returns, as far as it is known without what it declares itself.
    fn returned(&mut self, body: &FunctionBody<'a>, schema: &Rc<Value>, cell: Span) {
        let mut returns = Returns { writes: self, found: Vec::new() };
        returns.visit_function_body(body);
        for (at, shape) in returns.found {
            self.tell(against(&shape, schema, at, &self.budget), cell, "");
        }
    }

    fn check(&mut self, value: &Expression<'a>, schema: &Rc<Value>, cell: Span, below: &str) {
        let found = against(&self.shape(value), schema, value.span(), &self.budget);
        self.tell(found, cell, below);
    }

    fn tell(&mut self, found: Option<Contradiction>, cell: Span, below: &str) {
        let Some(Contradiction { at, path, written, declared, by }) = found else { return };
        let cell = self.name(cell);
        let hint = match by {
            Some(method @ ("push" | "unshift")) => format!(
                "; `{method}` returns how long the array is: write `{cell}.push(…)`, or `{cell}.set([...{cell}.get(), …])`"
            ),
            _ => String::new(),
        };
        self.warn(
            at,
            format!("this stores {written} in `{cell}{below}{path}`, which is declared as `{declared}`{hint}"),
        );
    }

    fn warn(&mut self, at: Span, message: String) {
        if self.found.len() == MAX_FINDINGS {
            // No more than that are shown.
            self.budget.left().set(0);
            return;
        }
        self.found.push((self.file.index, at, message));
    }

    fn within(&mut self, has_type_parameters: bool, walk: impl FnOnce(&mut Self)) {
        self.generics += usize::from(has_type_parameters);
        walk(self);
        self.generics -= usize::from(has_type_parameters);
    }
}

impl<'a> Visit<'a> for Writes<'_, 'a> {
    fn visit_call_expression(&mut self, call: &CallExpression<'a>) {
        self.made(call);
        self.written(call);
        self.initial(&call.callee, call.type_arguments.as_deref(), &call.arguments, call.span);
        walk::walk_call_expression(self, call);
    }

    fn visit_new_expression(&mut self, new: &NewExpression<'a>) {
        self.initial(&new.callee, new.type_arguments.as_deref(), &new.arguments, new.span);
        walk::walk_new_expression(self, new);
    }

    fn visit_variable_declarator(&mut self, variable: &VariableDeclarator<'a>) {
        let annotation = variable.type_annotation.as_ref().map(|annotation| &annotation.type_annotation);
        let shape = match (annotation, &variable.init) {
            (Some(ty), _) => Shape::of(self.schema(ty)),
            (None, Some(init)) => self.shape(init),
            (None, None) => Shape::Unknown,
        };
        self.bind(&variable.id, &shape);
        walk::walk_variable_declarator(self, variable);
    }

    fn visit_function(&mut self, function: &Function<'a>, flags: ScopeFlags) {
        self.within(function.type_parameters.is_some(), |writes| {
            writes.parameters(&function.params, [None, None], false);
            walk::walk_function(writes, function, flags);
        });
    }

    fn visit_arrow_function_expression(&mut self, arrow: &ArrowFunctionExpression<'a>) {
        self.within(arrow.type_parameters.is_some(), |writes| {
            writes.parameters(&arrow.params, [None, None], false);
            walk::walk_arrow_function_expression(writes, arrow);
        });
    }

    fn visit_class(&mut self, class: &Class<'a>) {
        self.within(class.type_parameters.is_some(), |writes| walk::walk_class(writes, class));
    }
}

/// Finds what a function returns, and not what functions within it do.
struct Returns<'w, 'f, 'a> {
    writes: &'w Writes<'f, 'a>,
    found: Vec<(Span, Shape)>,
}

impl<'a> Visit<'a> for Returns<'_, '_, 'a> {
    fn visit_return_statement(&mut self, statement: &ReturnStatement<'a>) {
        if let Some(value) = &statement.argument {
            self.found.push((value.span(), self.writes.shape(value)));
        }
    }

    fn visit_function(&mut self, _: &Function<'a>, _: ScopeFlags) {}

    fn visit_arrow_function_expression(&mut self, _: &ArrowFunctionExpression<'a>) {}

    fn visit_class(&mut self, _: &Class<'a>) {}
}
