//! What functions and expressions of a page use of the pattern around them.
//!
//! In a pattern's body, names stand for cells. Within `computed(() => …)`, and in the expressions of a page, they are
//! to stand for the cells' values: so `computed(() => count + 1)` becomes
//! `computed([{count}, {}], ({count}) => count + 1)`. A name whose methods of a cell are called there, `count.get()`,
//! stays a cell: it goes into the second object. So does one of which only events are sent, `list.add.send(…)`.

use std::collections::BTreeMap;

use oxc::ast::AstKind;
use oxc::ast::ast::{CallExpression, Expression, IdentifierReference};
use oxc::ast_visit::{Visit, walk};
use oxc::semantic::Scoping;
use oxc::span::Span;

/// Methods of cells that values don't have, or that mean something else there.
const METHODS: [&str; 19] = [
    "addUnique",
    "asSchema",
    "elementById",
    "equalLinks",
    "equals",
    "get",
    "increment",
    "key",
    "mapWithPattern",
    "push",
    "remove",
    "removeAll",
    "removeByValue",
    "resolveAsCell",
    "sample",
    "send",
    "set",
    "sync",
    "update",
];

/// Names that a function or an expression is handed, each list in order.
pub(super) struct Used<'a> {
    /// Those of which it is handed the values.
    pub(super) values: Vec<&'a str>,
    /// Those that stay cells.
    pub(super) cells: Vec<&'a str>,
}

impl<'a> Used<'a> {
    /// All of them, in order.
    pub(super) fn all(&self) -> Vec<&'a str> {
        let mut all = [&self.values[..], &self.cells].concat();
        all.sort_unstable();
        all
    }
}

/// The names that an expression uses of the functions around it.
pub(super) struct Captures<'s, 'a> {
    scoping: &'s Scoping,
    within: Span,
    /// How each is used.
    names: BTreeMap<&'a str, Uses>,
    /// Whether it waits, which another function around it would break.
    pub(super) waits: bool,
}

/// How a name is used.
#[derive(Clone, Copy, Default)]
struct Uses {
    /// How often in all.
    all: usize,
    /// Whether as a cell.
    as_cell: bool,
    /// How often something of it gets an event, `list.add.send(…)`: a stream is one among values, too.
    sends: usize,
}

impl Uses {
    /// Whether it is to stay a cell.
    fn is_cell(self) -> bool {
        self.as_cell || self.sends == self.all
    }
}

impl<'s, 'a> Captures<'s, 'a> {
    /// Those of what `visit` walks through, which is at `within`.
    pub(super) fn of(scoping: &'s Scoping, within: Span, visit: impl FnOnce(&mut Self)) -> Self {
        let mut captures = Self { scoping, within, names: BTreeMap::new(), waits: false };
        visit(&mut captures);
        captures
    }

    /// What is used, if anything is.
    pub(super) fn used(&self) -> Option<Used<'a>> {
        let list = |cells: bool| {
            self.names.iter().filter(|(_, uses)| uses.is_cell() == cells).map(|(name, _)| *name).collect()
        };
        (!self.names.is_empty()).then(|| Used { values: list(false), cells: list(true) })
    }

    fn note(&mut self, identifier: &IdentifierReference<'a>, count: impl FnOnce(&mut Uses)) {
        let Some(reference) = identifier.reference_id.get() else { return };
        let reference = self.scoping.get_reference(reference);
        let Some(symbol) = reference.symbol_id().filter(|_| reference.is_value()) else { return };
        let declared = self.scoping.symbol_span(symbol);
        if self.scoping.symbol_scope_id(symbol) == self.scoping.root_scope_id()
            || (self.within.start <= declared.start && declared.end <= self.within.end)
        {
            return;
        }
        count(self.names.entry(identifier.name.as_str()).or_default());
    }
}

impl<'a> Visit<'a> for Captures<'_, 'a> {
    fn enter_node(&mut self, kind: AstKind<'a>) {
        self.waits |= matches!(kind, AstKind::AwaitExpression(_) | AstKind::YieldExpression(_));
    }

    fn visit_identifier_reference(&mut self, identifier: &IdentifierReference<'a>) {
        self.note(identifier, |uses| uses.all += 1);
    }

    fn visit_call_expression(&mut self, call: &CallExpression<'a>) {
        if let Expression::StaticMemberExpression(member) = &call.callee
            && METHODS.contains(&member.property.name.as_str())
            && let Some(root) = root(&member.object)
        {
            let is_send = member.property.name == "send" && !matches!(member.object, Expression::Identifier(_));
            self.note(root, |uses| if is_send { uses.sends += 1 } else { uses.as_cell = true });
        }
        walk::walk_call_expression(self, call);
    }
}

/// Whether cells have a method of that name.
pub(super) fn is_method(name: &str) -> bool {
    name == "map" || METHODS.contains(&name)
}

/// The name at the start of `a.b.c`.
pub(super) fn root<'e, 'a>(expression: &'e Expression<'a>) -> Option<&'e IdentifierReference<'a>> {
    match expression.get_inner_expression() {
        Expression::Identifier(identifier) => Some(identifier),
        Expression::StaticMemberExpression(member) => root(&member.object),
        _ => None,
    }
}
