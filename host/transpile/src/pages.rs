//! Pages and computed cells: where functions and expressions are given the values of cells.

use oxc::ast::ast::{
    Argument, Expression, JSXAttribute, JSXAttributeName, JSXAttributeValue, JSXChild, JSXExpressionContainer,
    ObjectProperty, PropertyKey,
};
use oxc::ast_visit::Visit as _;
use oxc::semantic::NodeId;
use oxc::span::GetSpan;

use super::captures::{Captures, is_method, root};
use super::edits::Edit;
use super::inspect::Walk;

/// What the pages are called that a pattern returns: the whole one, and smaller ones.
const PAGES: [&str; 3] = ["CHIP_UI", "TILE_UI", "UI"];

impl<'a> Walk<'_, 'a> {
    /// `computed(() => …)` is handed what it uses of the pattern.
    pub(super) fn computed(&mut self, call: NodeId, arguments: &[Argument<'a>]) {
        let [only] = arguments else { return };
        let Some(function) = only.as_expression() else { return };
        let parameters = match function.get_inner_expression() {
            Expression::ArrowFunctionExpression(arrow) => &arrow.params,
            Expression::FunctionExpression(function) => &function.params,
            _ => return,
        };
        if !parameters.items.is_empty() || parameters.rest.is_some() {
            return;
        }
        let captures = Captures::of(self.file.scoping, function.span(), |captures| captures.visit_expression(function));
        if let Some(used) = captures.used() {
            self.found.edits.add(call, Edit::Computed(used));
        }
    }

    /// `action((event) => …)` is handed what it uses of the pattern, as `action(used, (used) => (event) => …)`.
    pub(super) fn action(&mut self, call: NodeId, arguments: &[Argument<'a>]) {
        let [only] = arguments else { return };
        let Some(function) = only.as_expression() else { return };
        let captures = Captures::of(self.file.scoping, function.span(), |captures| captures.visit_expression(function));
        if let Some(used) = captures.used() {
            self.found.edits.add(call, Edit::Action(used));
        }
    }

    /// Whether a property is a page. It is made only when somebody looks at it.
    pub(super) fn is_page(&self, property: &ObjectProperty<'a>) -> bool {
        let PropertyKey::Identifier(key) = &property.key else { return false };
        property.computed
            && self.imported_as(&key.name).is_some_and(|name| PAGES.contains(&name))
            && !matches!(property.value, Expression::Identifier(_) | Expression::StaticMemberExpression(_))
    }

    /// An attribute shows values. What begins with `on` is a handler, and `$` binds a cell.
    pub(super) fn attribute(&mut self, attribute: &JSXAttribute<'a>) {
        let name = match &attribute.name {
            JSXAttributeName::Identifier(name) => name.name.as_str(),
            JSXAttributeName::NamespacedName(_) => return,
        };
        if name.starts_with("on") || name.starts_with('$') {
            return;
        }
        if let Some(JSXAttributeValue::ExpressionContainer(container)) = &attribute.value {
            self.shown(container);
        }
    }

    /// So does a child.
    pub(super) fn child(&mut self, child: &JSXChild<'a>) {
        if let JSXChild::ExpressionContainer(container) = child {
            self.shown(container);
        }
    }

    fn shown(&mut self, container: &JSXExpressionContainer<'a>) {
        let Some(expression) = container.expression.as_expression().filter(|one| self.wants_values(one)) else {
            return;
        };
        let span = expression.span();
        let captures = Captures::of(self.file.scoping, span, |captures| captures.visit_expression(expression));
        let Some(used) = captures.used().filter(|_| !captures.waits) else { return };
        self.found.edits.add(container.node_id.get(), Edit::Shown(used));
    }

    /// Whether an expression computes something of values. A cell by itself, and what takes cells, is left as it is.
    fn wants_values(&self, expression: &Expression<'a>) -> bool {
        match expression.get_inner_expression() {
            Expression::Identifier(_)
            | Expression::StringLiteral(_)
            | Expression::NumericLiteral(_)
            | Expression::BooleanLiteral(_)
            | Expression::NullLiteral(_)
            | Expression::JSXElement(_)
            | Expression::JSXFragment(_)
            | Expression::ArrowFunctionExpression(_)
            | Expression::FunctionExpression(_)
            | Expression::TaggedTemplateExpression(_) => false,
            // A part that is called as a method of cells is: `item.key`.
            Expression::StaticMemberExpression(member) => {
                root(&member.object).is_none() || is_method(&member.property.name)
            }
            Expression::CallExpression(call) => match &call.callee {
                Expression::Identifier(name) => !self.takes_cells(&name.name),
                // Items of a cell are cells, each with a page of its own.
                Expression::StaticMemberExpression(member) if member.property.name == "map" => {
                    root(&member.object).is_none()
                }
                _ => true,
            },
            _ => true,
        }
    }
}
