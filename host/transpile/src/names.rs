//! Names for what errors are about.
//!
//! Where nothing is there to read a property of, the engine names neither the property nor the expression, and often not even the line. So
//! `a.b.map(f)` becomes `(a.b ?? __none("reading", "map", "a.b", a.b)).map(f)`, of which only `??` runs where something is there. What is
//! iterated goes through `__items`, which is once for each loop. What has effects is not evaluated again: `__nil` keeps its value.

use oxc::allocator::{Allocator, ArenaVec, CloneIn, TakeIn};
use oxc::ast::ast::{
    Argument, AssignmentExpression, AssignmentOperator, AssignmentTarget, AssignmentTargetProperty, BindingPattern,
    ChainExpression, ComputedMemberExpression, Expression, ForOfStatement, LogicalOperator, ObjectPropertyKind,
    PrivateFieldExpression, Program, PropertyKey, SpreadElement, Statement, StaticMemberExpression,
    VariableDeclarationKind, VariableDeclarator,
};
use oxc::ast::builder::AstBuilder;
use oxc::ast_visit::{VisitMut, walk_mut};
use oxc::semantic::{Scoping, SymbolFlags};
use oxc::span::{GetSpan, SPAN, Span};
use oxc::str::Str;

/// What is called where nothing is there, what looks at what is iterated, and where a value is kept meanwhile.
pub(super) const NONE: &str = "__none";
pub(super) const ITEMS: &str = "__items";
const NIL: &str = "__nil";

/// How deep expressions nest that are changed: the engine's parser takes stack for each bracket that is added.
const MAX_NESTING: usize = 24;

/// The longest expression in an error, in characters.
const MAX_TEXT: usize = 80;

/// Names what a program uses; answers which of `commontools`' functions it calls now. `source` is what the program was parsed from.
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
        nesting: 0,
        writes: None,
        none: false,
        items: false,
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
    [(names.none, NONE), (names.items, ITEMS)].into_iter().filter_map(|(used, name)| used.then_some(name)).collect()
}

struct Names<'p, 'a> {
    build: AstBuilder<'a>,
    allocator: &'a Allocator,
    scoping: &'p Scoping,
    source: &'p str,
    /// How many optional chains are around: within `a?.b.c`, nothing is read if there is no `a`.
    chains: usize,
    /// How many changed expressions are around.
    nesting: usize,
    /// The member that is written, not read.
    writes: Option<Span>,
    none: bool,
    items: bool,
    nil: bool,
}

impl<'a> Names<'_, 'a> {
    /// An expression as its author wrote it, on one line.
    fn text(&self, span: Span) -> String {
        let text = self.source.get(span.start as usize..span.end as usize).unwrap_or_default();
        let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ").replace(" .", ".");
        if let Some((cut, _)) = text.char_indices().nth(MAX_TEXT) {
            text.truncate(cut);
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
                let symbol = reference.and_then(|reference| reference.symbol_id());
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
        let (left, value) = match original {
            Some(plain) => (taken, plain),
            None => {
                self.nil = true;
                let target = AssignmentTarget::new_assignment_target_identifier(SPAN, NIL, &self.build);
                let kept =
                    Expression::new_assignment_expression(SPAN, AssignmentOperator::Assign, target, taken, &self.build);
                (kept, Expression::new_identifier(SPAN, NIL, &self.build))
            }
        };
        self.none = true;
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
        let what = if self.writes.take().is_some_and(|written| written == member) { "setting" } else { "reading" };
        let is_changed = self.chains == 0
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
        self.items = true;
        let taken = value.take_in(&self.build);
        *value = self.call(span, ITEMS, [self.string(&text), taken]);
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
        let key = if Self::is_plain(&member.expression) {
            member.expression.clone_in(self.allocator)
        } else {
            self.string(&format!("[{}]", self.text(span)))
        };
        self.member(&mut member.object, whole, span, |_| key);
        self.visit_expression(&mut member.expression);
    }

    fn visit_private_field_expression(&mut self, member: &mut PrivateFieldExpression<'a>) {
        let (whole, name, span) = (member.span, format!("#{}", member.field.name), member.field.span);
        self.member(&mut member.object, whole, span, |names| names.string(&name));
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
            target => self.writes = Some(target.span()).filter(|_| is_plain),
        }
        self.visit_assignment_target(&mut assignment.left);
        self.writes = None;
        self.visit_expression(&mut assignment.right);
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
        self.visit_statement(&mut statement.body);
    }

    /// Of an array, or of arguments.
    fn visit_spread_element(&mut self, spread: &mut SpreadElement<'a>) {
        self.iterate(&mut spread.argument);
    }

    fn visit_object_property_kind(&mut self, property: &mut ObjectPropertyKind<'a>) {
        match property {
            // Nothing may be spread into an object.
            ObjectPropertyKind::SpreadProperty(spread) => self.visit_expression(&mut spread.argument),
            property => walk_mut::walk_object_property_kind(self, property),
        }
    }
}
