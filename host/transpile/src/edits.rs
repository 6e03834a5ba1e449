//! What the transpiler changes in a program: arguments of calls, and where functions are handed values of cells.
//!
//! Everything is done to the tree, at the nodes that it was found at. The nodes that are kept have the places that they
//! had, so that the emitted module's source map leads to the author's files, and no change moves another.

use std::collections::{BTreeSet, HashMap};

use oxc::allocator::{Allocator, ArenaVec, TakeIn};
use oxc::ast::ast::{
    Argument, ArrayExpressionElement, ArrowFunctionBody, BindingPattern, BindingProperty, CallExpression, Expression,
    FormalParameter, FormalParameterKind, FormalParameters, JSXElement, JSXExpression, JSXExpressionContainer,
    JSXFragment, NewExpression, ObjectProperty, ObjectPropertyKind, Program, PropertyKey, PropertyKind,
};
use oxc::ast::builder::AstBuilder;
use oxc::ast_visit::{VisitMut, walk_mut};
use oxc::semantic::NodeId;
use oxc::span::{GetSpan, GetSpanMut, SPAN, Span};

use super::captures::Used;

/// What makes a page only when somebody looks at it, and what hands values to a part of one.
const PAGE: &str = "__page";
const VALUE: &str = "__value";
/// What JSX becomes calls of.
pub(super) const ELEMENT: &str = "h";

/// A change of a node.
pub(super) enum Edit<'a> {
    /// Of a call: arguments before the ones that it has, and after them.
    Arguments {
        /// Those before.
        before: Vec<Expression<'a>>,
        /// Those after.
        after: Vec<Expression<'a>>,
    },
    /// Of `computed(() => …)`: its function is handed what it uses.
    Computed(Used<'a>),
    /// Of `action((event) => …)`: it is handed what its function uses, and a function that makes it of that.
    Action(Used<'a>),
    /// Of a property: its value is a page.
    Page,
    /// Of an expression in JSX: it is handed the values of what it uses.
    Shown(Used<'a>),
}

/// The changes of a program.
#[derive(Default)]
pub(super) struct Edits<'a> {
    by_node: HashMap<NodeId, Edit<'a>>,
}

impl<'a> Edits<'a> {
    pub(super) fn add(&mut self, node: NodeId, edit: Edit<'a>) {
        self.by_node.insert(node, edit);
    }

    /// Changes the program; without `pages`, nothing of a page is left. Answers which of `commontools`' functions the
    /// program uses now.
    pub(super) fn apply(self, allocator: &'a Allocator, program: &mut Program<'a>, pages: bool) -> Vec<&'static str> {
        let build = AstBuilder::new(allocator);
        let mut changes = Changes { build, edits: self.by_node, pages, helpers: BTreeSet::new() };
        changes.visit_program(program);
        changes.helpers.into_iter().collect()
    }
}

struct Changes<'a> {
    build: AstBuilder<'a>,
    edits: HashMap<NodeId, Edit<'a>>,
    pages: bool,
    helpers: BTreeSet<&'static str>,
}

impl<'a> Changes<'a> {
    /// Changes the arguments of a call that is at `call`.
    fn arguments(&mut self, node: NodeId, call: Span, arguments: &mut ArenaVec<'a, Argument<'a>>) {
        // What is inserted ends where the first argument begins, so that it is no part of what is mapped before.
        let first = arguments.first().map_or(SPAN, |first| Span::new(call.start, first.span().start + 1));
        match self.edits.remove(&node) {
            Some(Edit::Arguments { before, after }) => {
                for (at, mut argument) in before.into_iter().enumerate() {
                    *argument.span_mut() = first;
                    arguments.insert(at, Argument::from(argument));
                }
                arguments.extend(after.into_iter().map(Argument::from));
            }
            Some(Edit::Computed(used)) => {
                let function = arguments.first_mut().and_then(Argument::as_expression_mut);
                let parameters = match function.map(Expression::get_inner_expression_mut) {
                    Some(Expression::ArrowFunctionExpression(arrow)) => &mut arrow.params,
                    Some(Expression::FunctionExpression(function)) => &mut function.params,
                    _ => return,
                };
                parameters.items.push(self.parameter(&used));
                arguments.insert(0, Argument::from(self.values(&used)));
            }
            Some(Edit::Action(used)) => {
                let Some(function) = arguments.first_mut().and_then(Argument::as_expression_mut) else { return };
                let function = function.take_in(&self.build);
                arguments[0] = Argument::from(self.values(&used));
                arguments.push(Argument::from(self.arrow(Some(self.parameter(&used)), function)));
            }
            _ => {}
        }
    }

    /// What is handed over, as an argument: `[{a, b}, {c}]`.
    fn values(&self, used: &Used<'a>) -> Expression<'a> {
        let build = &self.build;
        let object = |names: &[&'a str]| {
            let properties = names.iter().map(|name| {
                let key = PropertyKey::new_static_identifier(SPAN, *name, build);
                let value = Expression::new_identifier(SPAN, *name, build);
                let kind = PropertyKind::Init;
                ObjectPropertyKind::new_object_property(SPAN, kind, key, value, false, true, false, build)
            });
            let properties = ArenaVec::from_iter_in(properties, build);
            ArrayExpressionElement::from(Expression::new_object_expression(SPAN, properties, build))
        };
        let parts = ArenaVec::from_array_in([object(&used.values), object(&used.cells)], build);
        Expression::new_array_expression(SPAN, parts, build)
    }

    /// The parameter that takes them: `{a, b, c}`.
    fn parameter(&self, used: &Used<'a>) -> FormalParameter<'a> {
        let build = &self.build;
        let properties = used.all().into_iter().map(|name| {
            let key = PropertyKey::new_static_identifier(SPAN, name, build);
            let value = BindingPattern::new_binding_identifier(SPAN, name, build);
            BindingProperty::new(SPAN, key, value, true, false, build)
        });
        let properties = ArenaVec::from_iter_in(properties, build);
        let pattern = BindingPattern::new_object_pattern(SPAN, properties, None, build);
        FormalParameter::new(SPAN, ArenaVec::new_in(build), pattern, None, None, false, None, false, false, build)
    }

    /// `(parameter) => value`
    fn arrow(&self, parameter: Option<FormalParameter<'a>>, value: Expression<'a>) -> Expression<'a> {
        let build = &self.build;
        let kind = FormalParameterKind::ArrowFormalParameters;
        let parameters = FormalParameters::boxed(SPAN, kind, ArenaVec::from_iter_in(parameter, build), None, build);
        let body = ArrowFunctionBody::from(value);
        Expression::new_arrow_function_expression(SPAN, false, None, parameters, None, body, build)
    }

    fn call<const N: usize>(&mut self, name: &'static str, arguments: [Expression<'a>; N]) -> Expression<'a> {
        self.helpers.insert(name);
        let callee = Expression::new_identifier(SPAN, name, &self.build);
        let arguments = ArenaVec::from_array_in(arguments.map(Argument::from), &self.build);
        Expression::new_call_expression(SPAN, callee, None, arguments, false, &self.build)
    }
}

impl<'a> VisitMut<'a> for Changes<'a> {
    fn visit_call_expression(&mut self, call: &mut CallExpression<'a>) {
        walk_mut::walk_call_expression(self, call);
        self.arguments(call.node_id.get(), call.span, &mut call.arguments);
    }

    fn visit_new_expression(&mut self, new: &mut NewExpression<'a>) {
        walk_mut::walk_new_expression(self, new);
        self.arguments(new.node_id.get(), new.span, &mut new.arguments);
    }

    fn visit_object_property(&mut self, property: &mut ObjectProperty<'a>) {
        let is_page = matches!(self.edits.get(&property.node_id.get()), Some(Edit::Page));
        if is_page && !self.pages {
            property.value = Expression::new_void_0(SPAN, &self.build);
            property.shorthand = false;
            property.method = false;
        }
        walk_mut::walk_object_property(self, property);
        if is_page && self.pages {
            let value = property.value.take_in(&self.build);
            let make = self.arrow(None, value);
            property.value = self.call(PAGE, [make]);
        }
    }

    fn visit_jsx_expression_container(&mut self, container: &mut JSXExpressionContainer<'a>) {
        walk_mut::walk_jsx_expression_container(self, container);
        let Some(Edit::Shown(used)) = self.edits.remove(&container.node_id.get()) else { return };
        let Some(value) = container.expression.as_expression_mut() else { return };
        let value = value.take_in(&self.build);
        let make = self.arrow(Some(self.parameter(&used)), value);
        let values = self.values(&used);
        container.expression = JSXExpression::from(self.call(VALUE, [values, make]));
    }

    fn visit_jsx_element(&mut self, element: &mut JSXElement<'a>) {
        self.helpers.insert(ELEMENT);
        walk_mut::walk_jsx_element(self, element);
    }

    fn visit_jsx_fragment(&mut self, fragment: &mut JSXFragment<'a>) {
        self.helpers.insert(ELEMENT);
        walk_mut::walk_jsx_fragment(self, fragment);
    }
}
