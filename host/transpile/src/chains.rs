//! Chains with `?.`, where what fails in them is to have a place.
//!
//! To the engine, nothing in `a?.b()` has a place: an error there is at the start of the function. So it becomes
//! `(__nil = a) == null ? void 0 : __nil.b()`. Nothing is evaluated between the assignment and where it is read.
//! `a.b?.()`, where `a` is `this`, stays a chain, of which an assignment says the place: `__nil = a.b?.()`.

use oxc::allocator::TakeIn;
use oxc::ast::ast::{
    AssignmentOperator, AssignmentTarget, BinaryOperator, ChainElement, ChainExpression, Expression, MemberExpression,
};
use oxc::ast::builder::AstBuilder;
use oxc::span::{GetSpan, SPAN, Span};

/// Where a value is kept for the rest of an expression.
pub(super) const NIL: &str = "__nil";

/// How many `?.` of a chain are replaced: the engine's parser takes stack for each.
const MAX_LINKS: usize = 8;

/// What to do with a chain.
pub(super) enum Plan {
    /// Nothing in it can fail.
    Keep,
    /// It stays, and its place is that of this.
    Place(Span),
    /// It is replaced by [`replaced`].
    Replace,
}

/// Looks through the links of a chain. In a loop, what is only read costs no more than it must.
pub(super) fn plan(chain: &ChainExpression<'_>, in_loop: bool) -> Plan {
    let mut links = Links { optional: 0, reads: false, calls: false, method: None };
    match &chain.expression {
        ChainElement::CallExpression(call) => {
            links.call(&call.callee, call.optional);
        }
        element => match element.as_member_expression() {
            Some(member) => links.member(member),
            None => return Plan::Keep,
        },
    }
    match links {
        Links { calls: false, reads, .. } if in_loop || !reads => Plan::Keep,
        Links { method: Some(method), .. } => Plan::Place(method),
        Links { optional, .. } if optional > MAX_LINKS => Plan::Keep,
        _ => Plan::Replace,
    }
}

struct Links {
    optional: usize,
    /// Whether something is read of what may be missing.
    reads: bool,
    /// Whether something is called.
    calls: bool,
    /// The name of a method that is called if it is there.
    method: Option<Span>,
}

impl Links {
    fn expression(&mut self, expression: &Expression<'_>) {
        match expression {
            Expression::CallExpression(call) => self.call(&call.callee, call.optional),
            expression => {
                if let Some(member) = expression.as_member_expression() {
                    self.member(member);
                }
            }
        }
    }

    fn call(&mut self, callee: &Expression<'_>, optional: bool) {
        self.optional += usize::from(optional);
        self.calls = true;
        if let Some(member) = callee.as_member_expression().filter(|_| optional) {
            self.method = Some(name_of(member));
        }
        self.expression(callee);
    }

    fn member(&mut self, member: &MemberExpression<'_>) {
        let before = self.optional;
        self.optional += usize::from(member.optional());
        self.expression(member.object());
        // What stands before the first `?.` of a chain has its own place.
        self.reads |= !member.optional() && self.optional > before;
    }
}

fn name_of(member: &MemberExpression<'_>) -> Span {
    match member {
        MemberExpression::StaticMemberExpression(member) => member.property.span,
        MemberExpression::ComputedMemberExpression(member) => member.expression.span(),
        MemberExpression::PrivateFieldExpression(member) => member.field.span,
    }
}

/// The chain without `?.`.
pub(super) fn replaced<'a>(chain: &mut ChainExpression<'a>, build: &AstBuilder<'a>) -> Expression<'a> {
    let expression = match chain.expression.take_in(build) {
        ChainElement::CallExpression(call) => Expression::CallExpression(call),
        ChainElement::TSNonNullExpression(one) => Expression::TSNonNullExpression(one),
        ChainElement::ComputedMemberExpression(one) => Expression::ComputedMemberExpression(one),
        ChainElement::StaticMemberExpression(one) => Expression::StaticMemberExpression(one),
        ChainElement::PrivateFieldExpression(one) => Expression::PrivateFieldExpression(one),
    };
    without_links(expression, build)
}

fn without_links<'a>(mut rest: Expression<'a>, build: &AstBuilder<'a>) -> Expression<'a> {
    let Some(first) = take_first(&mut rest, build) else { return rest };
    let null = Expression::new_null_literal(SPAN, build);
    let is_missing =
        Expression::new_binary_expression(SPAN, kept(SPAN, first, build), BinaryOperator::Equality, null, build);
    let nothing = Expression::new_void_0(SPAN, build);
    Expression::new_conditional_expression(SPAN, is_missing, nothing, without_links(rest, build), build)
}

/// What stands before the first `?.`, in place of which the rest reads [`NIL`].
fn take_first<'a>(rest: &mut Expression<'a>, build: &AstBuilder<'a>) -> Option<Expression<'a>> {
    let (link, optional) = match rest {
        Expression::CallExpression(call) => {
            let call = &mut **call;
            (&mut call.callee, &mut call.optional)
        }
        Expression::StaticMemberExpression(member) => {
            let member = &mut **member;
            (&mut member.object, &mut member.optional)
        }
        Expression::ComputedMemberExpression(member) => {
            let member = &mut **member;
            (&mut member.object, &mut member.optional)
        }
        Expression::PrivateFieldExpression(member) => {
            let member = &mut **member;
            (&mut member.object, &mut member.optional)
        }
        _ => return None,
    };
    if let Some(first) = take_first(link, build) {
        return Some(first);
    }
    if !std::mem::take(optional) {
        return None;
    }
    Some(std::mem::replace(link, Expression::new_identifier(SPAN, NIL, build)))
}

/// `__nil = value`, whose place is that of `span`.
pub(super) fn kept<'a>(span: Span, value: Expression<'a>, build: &AstBuilder<'a>) -> Expression<'a> {
    let target = AssignmentTarget::new_assignment_target_identifier(span, NIL, build);
    Expression::new_assignment_expression(span, AssignmentOperator::Assign, target, value, build)
}
