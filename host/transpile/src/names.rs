//! Names for what errors are about.
//!
//! Where nothing is there to read a property of, the engine names neither the property nor the expression, and often
//! not even the line. So `a.b.map(f)` becomes `(a.b ?? __none("reading", "map", "a.b", a.b)).map(f)`, of which only
//! `??` runs where something is there. What is iterated goes through `__items`, which is once for each loop. What has
//! effects is not evaluated again: `__nil` keeps its value.
//!
//! What is assigned is evaluated before the object that it is assigned to is looked at. Where that makes a difference,
//! `a.b = f()` becomes `a.b = (__nil = f(), a ?? __none("setting", "b", "a", a), __nil)`, or
//! `__put(a.c, "b", f(), "a.c")` if `f` could change what the object is.

use std::collections::BTreeSet;

use oxc::allocator::{Allocator, ArenaVec, CloneIn, TakeIn};
use oxc::ast::ast::{
    Argument, AssignmentExpression, AssignmentOperator, AssignmentTarget, AssignmentTargetProperty, BinaryExpression,
    BinaryOperator, BindingPattern, CallExpression, ChainExpression, Class, ComputedMemberExpression, DoWhileStatement,
    Expression, ForInStatement, ForOfStatement, ForStatement, IdentifierReference, LogicalOperator, ObjectPropertyKind,
    PrivateFieldExpression, Program, PropertyKey, SpreadElement, Statement, StaticMemberExpression,
    TaggedTemplateExpression, UnaryExpression, UnaryOperator, VariableDeclarationKind, VariableDeclarator,
    WhileStatement,
};
use oxc::ast::builder::AstBuilder;
use oxc::ast_visit::{VisitMut, walk_mut};
use oxc::semantic::{Reference, Scoping, SymbolFlags};
use oxc::span::{GetSpan, SPAN, Span};
use oxc::str::Str;
use oxc::syntax::scope::{ScopeFlags, ScopeId};

use super::chains::{self, NIL, Plan, kept};

/// What is called where nothing is there, what looks at what is iterated, and where a value is kept meanwhile.
pub(super) const NONE: &str = "__none";
pub(super) const ITEMS: &str = "__items";
const PUT: &str = "__put";

/// How deep expressions nest that are changed: the engine's parser takes stack for each bracket that is added.
const MAX_NESTING: usize = 24;

/// The longest expression in an error, in characters.
const MAX_TEXT: usize = 80;

/// Names what a program uses; answers which of `commontools`' functions it calls now. `source` is what the program was
/// parsed from.
pub(super) fn name<'a>(
    allocator: &'a Allocator,
    program: &mut Program<'a>,
    scoping: &Scoping,
    source: &str,
) -> Vec<&'static str> {
    let build = AstBuilder::new(allocator);
    let mut names = Names {
        build,
        allocator,
        scoping,
        source,
        chains: 0,
        classes: 0,
        nesting: 0,
        loops: 0,
        callee: None,
        writes: None,
        unchecked: None,
        whole: None,
        helpers: BTreeSet::new(),
        nil: false,
    };
    names.visit_program(program);
    if names.nil {
        let id = BindingPattern::new_binding_identifier(SPAN, NIL, &names.build);
        let variable = VariableDeclarator::new(SPAN, id, None, None, false, &names.build);
        let kind = VariableDeclarationKind::Var;
        let declaration = Statement::new_variable_declaration(SPAN, kind, [variable], false, &names.build);
        program.body.insert(0, declaration);
    }
    names.helpers.into_iter().collect()
}

struct Names<'p, 'a> {
    build: AstBuilder<'a>,
    allocator: &'a Allocator,
    scoping: &'p Scoping,
    source: &'p str,
    /// How many optional chains are around: within `a?.b.c`, nothing is read if there is no `a`.
    chains: usize,
    /// How many classes are around.
    classes: usize,
    /// How many changed expressions are around.
    nesting: usize,
    /// How many loops are around: what is read in one, but not called, is named when an error is made, without its
    /// value.
    loops: usize,
    /// The member that is called.
    callee: Option<Span>,
    /// The member that is written, not read.
    writes: Option<Span>,
    /// The member that is written when more has been evaluated than what is left of it.
    unchecked: Option<Span>,
    /// The chain that has to stay one, since what it is of counts: it is deleted, or called as a method.
    whole: Option<Span>,
    /// The functions of the runtime that the changed expressions call.
    helpers: BTreeSet<&'static str>,
    /// Whether they use the variable [`NIL`].
    nil: bool,
}

impl<'a> Names<'_, 'a> {
    /// An expression as its author wrote it, on one line.
    fn text(&self, span: Span) -> String {
        let text = self.source.get(span.start as usize..span.end as usize).unwrap_or_default();
        // Each call of a chain has a text, which contains those of all calls before it.
        let start = &text[..text.floor_char_boundary(8 * MAX_TEXT)];
        let is_whole = start.len() == text.len();
        let mut text = start.split_whitespace().collect::<Vec<_>>().join(" ").replace(" .", ".");
        if let Some((cut, _)) = text.char_indices().nth(MAX_TEXT) {
            text.truncate(cut);
            text.push('…');
        } else if !is_whole {
            text.push('…');
        }
        text
    }

    fn string(&self, text: &str) -> Expression<'a> {
        Expression::new_string_literal(SPAN, Str::from_str_in(text, &self.build), None, &self.build)
    }

    fn call<const N: usize>(&self, span: Span, name: &'static str, arguments: [Expression<'a>; N]) -> Expression<'a> {
        // An error's place is that of the name.
        let callee = Expression::new_identifier(span, name, &self.build);
        let arguments = ArenaVec::from_array_in(arguments.map(Argument::from), &self.build);
        Expression::new_call_expression(span, callee, None, arguments, false, &self.build)
    }

    /// Whether nothing may be where an expression is. What the language, the module and its imports define is there.
    fn may_be_missing(&self, expression: &Expression<'a>) -> bool {
        match expression.get_inner_expression() {
            Expression::Identifier(identifier) => {
                let reference = identifier.reference_id.get().map(|id| self.scoping.get_reference(id));
                let symbol = reference.and_then(Reference::symbol_id);
                let there = SymbolFlags::Import | SymbolFlags::Function | SymbolFlags::Class | SymbolFlags::Enum;
                symbol.is_some_and(|symbol| !self.scoping.symbol_flags(symbol).intersects(there))
            }
            Expression::StaticMemberExpression(_)
            | Expression::ComputedMemberExpression(_)
            | Expression::PrivateFieldExpression(_)
            | Expression::CallExpression(_)
            | Expression::ChainExpression(_)
            | Expression::AwaitExpression(_)
            | Expression::LogicalExpression(_)
            | Expression::ConditionalExpression(_)
            | Expression::NullLiteral(_) => true,
            _ => false,
        }
    }

    /// Whether an expression has no effect, so that it may be evaluated once more where nothing was there.
    fn is_plain(expression: &Expression<'a>) -> bool {
        match expression.get_inner_expression() {
            Expression::Identifier(_)
            | Expression::ThisExpression(_)
            | Expression::StringLiteral(_)
            | Expression::NumericLiteral(_)
            | Expression::NullLiteral(_) => true,
            Expression::StaticMemberExpression(member) => Self::is_plain(&member.object),
            Expression::ComputedMemberExpression(member) => {
                Self::is_plain(&member.object) && Self::is_plain(&member.expression)
            }
            _ => false,
        }
    }

    /// What a computed key is in an error: its value, if it can be evaluated once more.
    fn key(&self, key: &Expression<'a>) -> Expression<'a> {
        if Self::is_plain(key) {
            return key.clone_in(self.allocator);
        }
        self.string(&format!("[{}]", self.text(key.span())))
    }

    /// `object` becomes `object ?? __none(what, key, "object", object)`; the call is at `span`.
    fn check(
        &mut self,
        object: &mut Expression<'a>,
        original: Option<Expression<'a>>,
        text: &str,
        span: Span,
        what: &str,
        key: Expression<'a>,
    ) {
        let taken = object.take_in(&self.build);
        let (left, value) = if let Some(plain) = original {
            (taken, plain)
        } else {
            self.nil = true;
            (kept(SPAN, taken, &self.build), Expression::new_identifier(SPAN, NIL, &self.build))
        };
        self.helpers.insert(NONE);
        let arguments = [self.string(what), key, self.string(text), value];
        let none = self.call(span, NONE, arguments);
        *object = Expression::new_logical_expression(SPAN, left, LogicalOperator::Coalesce, none, &self.build);
    }

    /// The object of a member expression; `key` says what is read of it, at `span`.
    fn member(
        &mut self,
        object: &mut Expression<'a>,
        member: Span,
        span: Span,
        key: impl FnOnce(&Self) -> Expression<'a>,
    ) {
        let is_called = self.callee.take().is_some_and(|called| called == member);
        let what = if self.writes.take().is_some_and(|written| written == member) { "setting" } else { "reading" };
        if self.unchecked.take().is_some_and(|unchecked| unchecked == member) {
            return self.visit_expression(object);
        }
        let is_changed = (self.loops == 0 || is_called || what == "setting")
            && self.chains == 0
            && self.nesting < MAX_NESTING
            && !span.is_empty()
            && !object.span().is_empty()
            && self.may_be_missing(object);
        if !is_changed {
            return self.visit_expression(object);
        }
        let text = self.text(object.span());
        let original = Self::is_plain(object).then(|| object.clone_in(self.allocator));
        self.nesting += 1;
        self.visit_expression(object);
        self.nesting -= 1;
        let key = key(self);
        self.check(object, original, &text, span, what, key);
    }

    /// Whether an expression has the same value after anything else has been evaluated.
    fn is_fixed(&self, expression: &Expression<'a>) -> bool {
        match expression.get_inner_expression() {
            Expression::NullLiteral(_) => true,
            Expression::Identifier(identifier) => {
                let reference = identifier.reference_id.get().map(|id| self.scoping.get_reference(id));
                reference.and_then(Reference::symbol_id).is_some_and(|symbol| !self.scoping.symbol_is_mutated(symbol))
            }
            _ => false,
        }
    }

    /// Whether a variable is used before its declaration in the same function, where it never has a value. In a class,
    /// fields are evaluated later than what is around them.
    fn is_early(&self, identifier: &IdentifierReference<'a>) -> bool {
        let reference = identifier.reference_id.get().map(|id| self.scoping.get_reference(id));
        let Some((reference, symbol)) = reference.and_then(|one| Some((one, one.symbol_id()?))) else { return false };
        let function = |scope: ScopeId| {
            let mut around = self.scoping.scope_ancestors(scope);
            around.find(|scope| self.scoping.scope_flags(*scope).intersects(ScopeFlags::Function | ScopeFlags::Top))
        };
        let late = SymbolFlags::BlockScopedVariable | SymbolFlags::Class;
        self.classes == 0
            && !identifier.span.is_empty()
            && identifier.span.end <= self.scoping.symbol_span(symbol).start
            && self.scoping.symbol_flags(symbol).intersects(late)
            && function(reference.scope_id()) == function(self.scoping.symbol_scope_id(symbol))
    }

    /// Whether it makes no difference when an expression is evaluated.
    fn is_inert(expression: &Expression<'a>) -> bool {
        match expression.get_inner_expression() {
            Expression::StringLiteral(_)
            | Expression::NumericLiteral(_)
            | Expression::BooleanLiteral(_)
            | Expression::NullLiteral(_)
            | Expression::Identifier(_)
            | Expression::ThisExpression(_)
            | Expression::FunctionExpression(_)
            | Expression::ArrowFunctionExpression(_) => true,
            Expression::UnaryExpression(unary) => {
                matches!(unary.operator, UnaryOperator::LogicalNot | UnaryOperator::Typeof | UnaryOperator::Void)
                    && Self::is_inert(&unary.argument)
            }
            Expression::ArrayExpression(array) => {
                array.elements.iter().all(|element| element.as_expression().is_some_and(Self::is_inert))
            }
            Expression::ObjectExpression(object) => object.properties.iter().all(|property| match property {
                ObjectPropertyKind::ObjectProperty(property) => !property.computed && Self::is_inert(&property.value),
                ObjectPropertyKind::SpreadProperty(_) => false,
            }),
            _ => false,
        }
    }

    /// Whether the object of a member that is assigned to is looked at here, after what is assigned.
    fn is_late(&self, object: &Expression<'a>, key: Span) -> bool {
        self.chains == 0
            && self.nesting < MAX_NESTING
            && !key.is_empty()
            && !object.span().is_empty()
            && self.may_be_missing(object)
    }

    /// `a.b = value` becomes `a.b = (__nil = value, a ?? __none("setting", "b", "a", a), __nil)`.
    fn assign_late(&mut self, object: Expression<'a>, key: Expression<'a>, span: Span, value: &mut Expression<'a>) {
        let text = self.text(object.span());
        self.nesting += 1;
        self.visit_expression(value);
        self.nesting -= 1;
        let mut look = object.clone_in(self.allocator);
        self.check(&mut look, Some(object), &text, span, "setting", key);
        self.nil = true;
        let build = &self.build;
        let keep = kept(SPAN, value.take_in(build), build);
        let kept = Expression::new_identifier(SPAN, NIL, build);
        *value = Expression::new_sequence_expression(SPAN, ArenaVec::from_array_in([keep, look, kept], build), build);
    }

    /// `a.c.b = value` becomes `__put(a.c, "b", value, "a.c")`, if it has to.
    fn put(&mut self, assignment: &mut AssignmentExpression<'a>) -> Option<Expression<'a>> {
        let is_put = match &assignment.left {
            AssignmentTarget::StaticMemberExpression(member) => {
                self.is_late(&member.object, member.property.span) && !self.is_fixed(&member.object)
            }
            AssignmentTarget::ComputedMemberExpression(member) => {
                self.is_late(&member.object, member.expression.span()) && !self.is_fixed(&member.object)
            }
            _ => false,
        };
        if !is_put || assignment.operator != AssignmentOperator::Assign || Self::is_inert(&assignment.right) {
            return None;
        }
        let (mut object, mut key, span) = match &mut assignment.left {
            AssignmentTarget::StaticMemberExpression(member) => {
                let (key, span) = (self.string(member.property.name.as_str()), member.property.span);
                (member.object.take_in(&self.build), key, span)
            }
            AssignmentTarget::ComputedMemberExpression(member) => {
                let (span, key) = (member.expression.span(), member.expression.take_in(&self.build));
                (member.object.take_in(&self.build), key, span)
            }
            _ => return None,
        };
        let text = self.text(object.span());
        self.nesting += 1;
        self.visit_expression(&mut object);
        self.visit_expression(&mut key);
        self.visit_expression(&mut assignment.right);
        self.nesting -= 1;
        self.helpers.insert(PUT);
        let value = assignment.right.take_in(&self.build);
        Some(self.call(span, PUT, [object, key, value, self.string(&text)]))
    }

    /// What an object pattern takes apart.
    fn destructure(&mut self, value: &mut Expression<'a>, first: Option<String>) {
        let span = value.span();
        if self.chains > 0 || self.nesting >= MAX_NESTING || span.is_empty() || !self.may_be_missing(value) {
            return self.visit_expression(value);
        }
        let text = self.text(span);
        let original = Self::is_plain(value).then(|| value.clone_in(self.allocator));
        self.nesting += 1;
        self.visit_expression(value);
        self.nesting -= 1;
        let key = self.string(&first.unwrap_or_default());
        self.check(value, original, &text, span, "destructure", key);
    }

    /// What is iterated: `__items("value", value)`.
    fn iterate(&mut self, value: &mut Expression<'a>) {
        let span = value.span();
        let is_known = matches!(value.get_inner_expression(), Expression::ArrayExpression(_));
        if self.nesting >= MAX_NESTING || span.is_empty() || is_known {
            return self.visit_expression(value);
        }
        let text = self.text(span);
        self.nesting += 1;
        self.visit_expression(value);
        self.nesting -= 1;
        self.helpers.insert(ITEMS);
        let taken = value.take_in(&self.build);
        *value = self.call(span, ITEMS, [self.string(&text), taken]);
    }
}

/// Where the chain is that an expression is.
fn chain_of(expression: &Expression<'_>) -> Option<Span> {
    match expression.get_inner_expression() {
        Expression::ChainExpression(chain) => Some(chain.span),
        _ => None,
    }
}

fn key_name(key: &PropertyKey<'_>) -> Option<String> {
    key.static_name().map(|name| name.to_string())
}

impl<'a> VisitMut<'a> for Names<'_, 'a> {
    fn visit_static_member_expression(&mut self, member: &mut StaticMemberExpression<'a>) {
        let (whole, property) = (member.span, &member.property);
        let (name, span) = (property.name.to_string(), property.span);
        self.member(&mut member.object, whole, span, |names| names.string(&name));
    }

    fn visit_computed_member_expression(&mut self, member: &mut ComputedMemberExpression<'a>) {
        let (whole, span) = (member.span, member.expression.span());
        let key = self.key(&member.expression);
        self.member(&mut member.object, whole, span, |_| key);
        self.visit_expression(&mut member.expression);
    }

    fn visit_private_field_expression(&mut self, member: &mut PrivateFieldExpression<'a>) {
        let (whole, name, span) = (member.span, format!("#{}", member.field.name), member.field.span);
        self.member(&mut member.object, whole, span, |names| names.string(&name));
    }

    /// What is right of `in` or `instanceof`.
    fn visit_binary_expression(&mut self, binary: &mut BinaryExpression<'a>) {
        let span = binary.right.span();
        let what = match binary.operator {
            BinaryOperator::In => "in",
            BinaryOperator::Instanceof => "instanceof",
            _ => "",
        };
        let is_changed = !what.is_empty()
            && self.chains == 0
            && self.nesting < MAX_NESTING
            && !span.is_empty()
            && self.may_be_missing(&binary.right);
        if !is_changed {
            return walk_mut::walk_binary_expression(self, binary);
        }
        let key = self.key(&binary.left);
        let text = self.text(span);
        let original = Self::is_plain(&binary.right).then(|| binary.right.clone_in(self.allocator));
        self.visit_expression(&mut binary.left);
        self.nesting += 1;
        self.visit_expression(&mut binary.right);
        self.nesting -= 1;
        self.check(&mut binary.right, original, &text, span, what, key);
    }

    fn visit_class(&mut self, class: &mut Class<'a>) {
        self.classes += 1;
        walk_mut::walk_class(self, class);
        self.classes -= 1;
    }

    fn visit_chain_expression(&mut self, chain: &mut ChainExpression<'a>) {
        self.chains += 1;
        walk_mut::walk_chain_expression(self, chain);
        self.chains -= 1;
    }

    fn visit_assignment_expression(&mut self, assignment: &mut AssignmentExpression<'a>) {
        let is_plain = assignment.operator == AssignmentOperator::Assign;
        match &assignment.left {
            AssignmentTarget::ObjectAssignmentTarget(pattern) => {
                let first = pattern.properties.first().and_then(|property| match property {
                    AssignmentTargetProperty::AssignmentTargetPropertyIdentifier(one) => {
                        Some(one.binding.name.to_string())
                    }
                    AssignmentTargetProperty::AssignmentTargetPropertyProperty(one) => key_name(&one.name),
                });
                self.visit_assignment_target(&mut assignment.left);
                return self.destructure(&mut assignment.right, first);
            }
            AssignmentTarget::ArrayAssignmentTarget(_) => {
                self.visit_assignment_target(&mut assignment.left);
                return self.iterate(&mut assignment.right);
            }
            AssignmentTarget::AssignmentTargetIdentifier(target) if self.is_early(target) => {
                let (name, span) = (self.string(target.name.as_str()), target.span);
                self.visit_expression(&mut assignment.right);
                self.helpers.insert(NONE);
                let early = self.call(span, NONE, [self.string("early"), name]);
                let value = assignment.right.take_in(&self.build);
                let sequence = ArenaVec::from_array_in([value, early], &self.build);
                assignment.right = Expression::new_sequence_expression(SPAN, sequence, &self.build);
                return;
            }
            target if is_plain && !Self::is_inert(&assignment.right) => {
                let late = match target {
                    AssignmentTarget::StaticMemberExpression(member) => {
                        let span = member.property.span;
                        Some((&member.object, self.string(member.property.name.as_str()), span))
                    }
                    AssignmentTarget::ComputedMemberExpression(member) => {
                        let span = member.expression.span();
                        Some((&member.object, self.key(&member.expression), span))
                    }
                    _ => None,
                };
                let late = late.filter(|(object, _, span)| self.is_late(object, *span) && self.is_fixed(object));
                let late = late.map(|(object, key, span)| (object.clone_in(self.allocator), key, span));
                self.visit_assignment_target(&mut assignment.left);
                return match late {
                    Some((object, key, span)) => self.assign_late(object, key, span, &mut assignment.right),
                    None => self.visit_expression(&mut assignment.right),
                };
            }
            target => self.writes = Some(target.span()).filter(|_| is_plain),
        }
        walk_mut::walk_assignment_target(self, &mut assignment.left);
        self.writes = None;
        self.visit_expression(&mut assignment.right);
    }

    /// Of a pattern or a loop, or what is assigned before its object is looked at.
    fn visit_assignment_target(&mut self, target: &mut AssignmentTarget<'a>) {
        self.unchecked = match target {
            AssignmentTarget::StaticMemberExpression(_)
            | AssignmentTarget::ComputedMemberExpression(_)
            | AssignmentTarget::PrivateFieldExpression(_) => Some(target.span()),
            _ => None,
        };
        walk_mut::walk_assignment_target(self, target);
        self.unchecked = None;
    }

    fn visit_expression(&mut self, expression: &mut Expression<'a>) {
        if let Expression::AssignmentExpression(assignment) = expression
            && let Some(put) = self.put(assignment)
        {
            *expression = put;
            return;
        }
        if let Expression::Identifier(identifier) = expression
            && self.is_early(identifier)
        {
            self.helpers.insert(NONE);
            let (name, span) = (self.string(identifier.name.as_str()), identifier.span);
            *expression = self.call(span, NONE, [self.string("early"), name]);
            return;
        }
        if let Expression::ChainExpression(chain) = expression
            && self.whole.take() != Some(chain.span)
            && self.nesting < MAX_NESTING
        {
            match chains::plan(chain, self.loops > 0) {
                Plan::Keep => {}
                Plan::Replace => {
                    self.nil = true;
                    *expression = chains::replaced(chain, &self.build);
                    self.nesting += 1;
                    walk_mut::walk_expression(self, expression);
                    self.nesting -= 1;
                    return;
                }
                Plan::Place(place) => {
                    self.nil = true;
                    walk_mut::walk_expression(self, expression);
                    *expression = kept(place, expression.take_in(&self.build), &self.build);
                    return;
                }
            }
        }
        walk_mut::walk_expression(self, expression);
    }

    fn visit_unary_expression(&mut self, unary: &mut UnaryExpression<'a>) {
        if unary.operator == UnaryOperator::Delete {
            self.whole = chain_of(&unary.argument);
        }
        walk_mut::walk_unary_expression(self, unary);
    }

    fn visit_tagged_template_expression(&mut self, template: &mut TaggedTemplateExpression<'a>) {
        self.whole = chain_of(&template.tag);
        walk_mut::walk_tagged_template_expression(self, template);
    }

    fn visit_variable_declarator(&mut self, variable: &mut VariableDeclarator<'a>) {
        self.visit_binding_pattern(&mut variable.id);
        let Some(value) = &mut variable.init else { return };
        match &variable.id {
            BindingPattern::ObjectPattern(pattern) => {
                let first = pattern.properties.first().and_then(|property| key_name(&property.key));
                self.destructure(value, first);
            }
            BindingPattern::ArrayPattern(_) => self.iterate(value),
            _ => self.visit_expression(value),
        }
    }

    fn visit_for_of_statement(&mut self, statement: &mut ForOfStatement<'a>) {
        self.visit_for_statement_left(&mut statement.left);
        self.iterate(&mut statement.right);
        self.loops += 1;
        self.visit_statement(&mut statement.body);
        self.loops -= 1;
    }

    fn visit_for_statement(&mut self, statement: &mut ForStatement<'a>) {
        self.loops += 1;
        walk_mut::walk_for_statement(self, statement);
        self.loops -= 1;
    }

    fn visit_for_in_statement(&mut self, statement: &mut ForInStatement<'a>) {
        self.loops += 1;
        walk_mut::walk_for_in_statement(self, statement);
        self.loops -= 1;
    }

    fn visit_while_statement(&mut self, statement: &mut WhileStatement<'a>) {
        self.loops += 1;
        walk_mut::walk_while_statement(self, statement);
        self.loops -= 1;
    }

    fn visit_do_while_statement(&mut self, statement: &mut DoWhileStatement<'a>) {
        self.loops += 1;
        walk_mut::walk_do_while_statement(self, statement);
        self.loops -= 1;
    }

    fn visit_call_expression(&mut self, call: &mut CallExpression<'a>) {
        // Of `for await`, which is a loop with a helper of the transformer's by now.
        if let Expression::Identifier(helper) = &call.callee
            && helper.span.is_empty()
            && helper.name.starts_with("_asyncIterator")
            && let [only] = call.arguments.as_slice()
            && !only.span().is_empty()
        {
            let text = self.string(&self.text(only.span()));
            call.arguments.push(Argument::from(text));
        }
        self.callee = Some(call.callee.span()).filter(|span| !span.is_empty());
        self.whole = chain_of(&call.callee);
        self.visit_expression(&mut call.callee);
        self.callee = None;
        self.visit_arguments(&mut call.arguments);
    }

    /// Of an array, or of arguments.
    fn visit_spread_element(&mut self, spread: &mut SpreadElement<'a>) {
        self.iterate(&mut spread.argument);
    }

    fn visit_object_property_kind(&mut self, property: &mut ObjectPropertyKind<'a>) {
        match property {
            // Nothing may be spread into an object.
            ObjectPropertyKind::SpreadProperty(spread) => self.visit_expression(&mut spread.argument),
            property @ ObjectPropertyKind::ObjectProperty(_) => walk_mut::walk_object_property_kind(self, property),
        }
    }
}
