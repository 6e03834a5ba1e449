//! Functions that wait say when they end.
//!
//! Where calls nest too deeply in a function that goes on after an `await`, the engine drops the function and reports
//! nothing: its promise would stay pending for ever. So `async () => await x` becomes
//! `async () => { var __waited; try { return __waited = await x; } finally { __end(); } }`, and the script guest knows
//! after each job whether a function that went on neither waits nor has ended. The assignment is there for the place
//! where the function waits: to the engine, an `await` has no place.
//!
//! Async generators are generators by now, and `for await` a loop with an `await` in it: the transformer makes them so,
//! since the engine stops the whole program where calls nest too deeply in one.

use oxc::allocator::{Allocator, ArenaBox, ArenaVec, TakeIn};
use oxc::ast::ast::{
    ArrowFunctionBody, ArrowFunctionExpression, AssignmentOperator, AssignmentTarget, BindingIdentifier,
    BindingPattern, BlockStatement, Expression, Function, FunctionBody, FunctionType, ImportDeclarationSpecifier,
    ImportOrExportKind, ImportSpecifier, ModuleExportName, Program, Statement, StringLiteral, VariableDeclarationKind,
    VariableDeclarator,
};
use oxc::ast::builder::AstBuilder;
use oxc::ast_visit::{VisitMut, walk_mut};
use oxc::span::{GetSpan, SPAN, Span};
use oxc::str::{Ident, Str};
use oxc::syntax::scope::ScopeFlags;

use super::inspect::MODULE;

/// What a function calls at its end.
const END: &str = "__end";
/// What it has waited for.
const WAITED: &str = "__waited";

/// Marks the functions of a program that wait. Answers which of `commontools`' functions the program calls now.
pub(super) fn mark<'a>(allocator: &'a Allocator, program: &mut Program<'a>) -> Vec<&'static str> {
    let build = AstBuilder::new(allocator);
    for statement in &mut program.body {
        rename_helper(&build, statement);
    }
    let mut marks = Marks { build, awaits: vec![0], around: SPAN, is_used: false };
    marks.visit_program(program);
    if marks.awaits[0] > 0 {
        // What a module does before it waits first must not fail at once, either.
        let first = program.body.iter().find(|statement| !matches!(statement, Statement::ImportDeclaration(_)));
        marks.around = first.map_or(SPAN, GetSpan::span);
        let nothing = Expression::new_void_0(SPAN, &marks.build);
        let first = marks.waited(SPAN, Expression::new_await_expression(SPAN, nothing, &marks.build));
        program.body.insert(0, Statement::new_expression_statement(SPAN, first, &marks.build));
        program.body.insert(0, marks.variable());
        program.body.push(marks.end());
    }
    if marks.is_used { vec![END] } else { Vec::new() }
}

/// `import { names } from "commontools";`
pub(super) fn import<'a>(allocator: &'a Allocator, names: &[&'static str]) -> Statement<'a> {
    let build = &AstBuilder::new(allocator);
    let specifiers = names.iter().map(|name| {
        let imported = ModuleExportName::new_identifier_name(SPAN, *name, build);
        let local = BindingIdentifier::new(SPAN, *name, build);
        ImportDeclarationSpecifier::new_import_specifier(SPAN, imported, local, ImportOrExportKind::Value, build)
    });
    let specifiers = ArenaVec::from_iter_in(specifiers, build);
    let source = StringLiteral::new(SPAN, MODULE, None, build);
    Statement::new_import_declaration(SPAN, Some(specifiers), source, None, None, ImportOrExportKind::Value, build)
}

/// The transformer's helpers are `commontools`', too.
fn rename_helper<'a>(build: &AstBuilder<'a>, statement: &mut Statement<'a>) {
    let Statement::ImportDeclaration(import) = statement else { return };
    let Some(helper) = import.source.value.strip_prefix(MODULE).and_then(|rest| rest.strip_prefix("/helpers/")) else {
        return;
    };
    let name = Ident::from_strs_array_in(["__", helper], build);
    for specifier in import.specifiers.iter_mut().flatten() {
        if let ImportDeclarationSpecifier::ImportDefaultSpecifier(one) = specifier {
            let local = one.local.take_in(build);
            let imported = ModuleExportName::new_identifier_name(SPAN, name, build);
            *specifier = ImportDeclarationSpecifier::ImportSpecifier(ImportSpecifier::boxed(
                SPAN,
                imported,
                local,
                ImportOrExportKind::Value,
                build,
            ));
        }
    }
    import.source.value = Str::from(MODULE);
    import.source.raw = None;
}

struct Marks<'a> {
    build: AstBuilder<'a>,
    /// Of the functions around, the module first, how often each waits.
    awaits: Vec<usize>,
    /// The statement around, for what the transformer added.
    around: Span,
    is_used: bool,
}

impl<'a> Marks<'a> {
    /// `__waited = await x`
    fn waited(&mut self, span: Span, wait: Expression<'a>) -> Expression<'a> {
        self.is_used = true;
        let span = if span.is_empty() { self.around } else { span };
        let target = AssignmentTarget::new_assignment_target_identifier(span, WAITED, &self.build);
        Expression::new_assignment_expression(span, AssignmentOperator::Assign, target, wait, &self.build)
    }

    /// `var __waited;`
    fn variable(&self) -> Statement<'a> {
        let id = BindingPattern::new_binding_identifier(SPAN, WAITED, &self.build);
        let variable = VariableDeclarator::new(SPAN, id, None, None, false, &self.build);
        Statement::new_variable_declaration(SPAN, VariableDeclarationKind::Var, [variable], false, &self.build)
    }

    fn end(&self) -> Statement<'a> {
        let build = &self.build;
        let callee = Expression::new_identifier(SPAN, END, build);
        let call = Expression::new_call_expression(SPAN, callee, None, ArenaVec::new_in(build), false, build);
        Statement::new_expression_statement(SPAN, call, build)
    }

    /// Walks through a function. Whether it waits.
    fn within(&mut self, walk: impl FnOnce(&mut Self)) -> bool {
        self.awaits.push(0);
        walk(self);
        self.awaits.pop().is_some_and(|awaits| awaits > 0)
    }

    /// `function f() {}` becomes `var f = function() {};`: at the top of a function, another of that name or a `var`
    /// may stand beside it, but not in a block of strict code.
    fn hoisted(&self, statement: &mut Statement<'a>) -> Option<Statement<'a>> {
        let Statement::FunctionDeclaration(function) = statement else { return None };
        let build = &self.build;
        let span = function.span;
        let id = BindingPattern::BindingIdentifier(ArenaBox::new_in(function.id.take()?, build));
        function.r#type = FunctionType::FunctionExpression;
        let value = Expression::FunctionExpression(function.take_in_box(build));
        let variable = VariableDeclarator::new(span, id, None, Some(value), false, build);
        Some(Statement::new_variable_declaration(span, VariableDeclarationKind::Var, [variable], false, build))
    }

    /// `var __waited; try { functions statements } finally { __end(); }`
    fn ended(&self, mut statements: ArenaVec<'a, Statement<'a>>) -> ArenaVec<'a, Statement<'a>> {
        let build = &self.build;
        let mut hoisted = ArenaVec::new_in(build);
        statements.retain_mut(|statement| match self.hoisted(statement) {
            Some(function) => {
                hoisted.push(function);
                false
            }
            None => true,
        });
        hoisted.append(&mut statements);
        let statements = hoisted;
        let block = BlockStatement::boxed(SPAN, statements, build);
        let end = BlockStatement::boxed(SPAN, [self.end()], build);
        let attempt = Statement::new_try_statement(SPAN, block, None, Some(end), build);
        ArenaVec::from_array_in([self.variable(), attempt], build)
    }

    fn end_body(&self, body: &mut FunctionBody<'a>) {
        let statements = body.statements.take_in(&self.build);
        body.statements = self.ended(statements);
    }
}

impl<'a> VisitMut<'a> for Marks<'a> {
    fn visit_statement(&mut self, statement: &mut Statement<'a>) {
        let outer = self.around;
        let span = statement.span();
        if !span.is_empty() {
            self.around = span;
        }
        walk_mut::walk_statement(self, statement);
        self.around = outer;
    }

    fn visit_expression(&mut self, expression: &mut Expression<'a>) {
        walk_mut::walk_expression(self, expression);
        if let Expression::AwaitExpression(wait) = expression {
            let span = wait.span;
            if let Some(awaits) = self.awaits.last_mut() {
                *awaits += 1;
            }
            let wait = expression.take_in(&self.build);
            *expression = self.waited(span, wait);
        }
    }

    fn visit_function(&mut self, function: &mut Function<'a>, flags: ScopeFlags) {
        let waits = self.within(|marks| walk_mut::walk_function(marks, function, flags));
        if let Some(body) = function.body.as_mut().filter(|_| waits) {
            self.end_body(body);
        }
    }

    fn visit_arrow_function_expression(&mut self, arrow: &mut ArrowFunctionExpression<'a>) {
        if !self.within(|marks| walk_mut::walk_arrow_function_expression(marks, arrow)) {
            return;
        }
        if let ArrowFunctionBody::FunctionBody(body) = &mut arrow.body {
            return self.end_body(body);
        }
        let Some(value) = arrow.body.as_expression_mut().map(|value| value.take_in(&self.build)) else { return };
        let result = Statement::new_return_statement(SPAN, Some(value), &self.build);
        let statements = self.ended(ArenaVec::from_value_in(result, &self.build));
        let body: ArenaBox<'a, FunctionBody<'a>> =
            FunctionBody::boxed(SPAN, ArenaVec::new_in(&self.build), statements, &self.build);
        arrow.body = ArrowFunctionBody::FunctionBody(body);
    }
}
