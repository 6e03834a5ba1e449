//! Functions that wait say where they go on, and when they end.
//!
//! Where calls nest too deeply in a function that goes on after an `await`, the engine drops the function and reports nothing: its promise
//! would stay pending for ever. So `async () => { await x; }` becomes `async () => { try { __back("at a.ts:1:15", await x); } finally { __end(); } }`, and the
//! script guest, which sees the engine start to wait, knows after each job whether a function that went on neither waits nor has ended.
//!
//! Async generators are generators by now, and `for await` a loop with an `await` in it: the transformer makes them so, since the engine
//! stops the whole program where calls nest too deeply in one.

use oxc::allocator::{Allocator, ArenaBox, ArenaVec, TakeIn};
use oxc::ast::ast::{
    Argument, ArrowFunctionBody, ArrowFunctionExpression, BindingIdentifier, BlockStatement, Expression, Function,
    FunctionBody, ImportDeclarationSpecifier, ImportOrExportKind, ImportSpecifier, MethodDefinition, ModuleExportName,
    ObjectProperty, Program, Statement, StringLiteral, TryStatement, VariableDeclarator,
};
use oxc::ast::builder::AstBuilder;
use oxc::ast_visit::{VisitMut, walk_mut};
use oxc::span::{GetSpan, SPAN, Span};
use oxc::str::{Ident, Str};
use oxc::syntax::scope::ScopeFlags;

use super::inspect::MODULE;

/// What a function calls where it goes on, and at its end.
const BACK: &str = "__back";
const END: &str = "__end";

/// Marks the functions of a program that wait; `place` writes an author's place as `file:line:column`. Answers which of `commontools`'
/// functions the program calls now.
pub(super) fn mark<'a>(
    allocator: &'a Allocator,
    program: &mut Program<'a>,
    place: &dyn Fn(u32) -> String,
) -> Vec<&'static str> {
    let build = AstBuilder::new(allocator);
    for statement in &mut program.body {
        rename_helper(&build, statement);
    }
    let mut marks =
        Marks { build, place, awaits: vec![0], names: Vec::new(), next: None, around: SPAN, is_used: false };
    marks.visit_program(program);
    if marks.awaits[0] > 0 {
        // What a module does before it waits first must not fail at once, either.
        let first = program.body.iter().find(|statement| !matches!(statement, Statement::ImportDeclaration(_)));
        marks.around = first.map_or(SPAN, GetSpan::span);
        let nothing = Expression::new_void_0(SPAN, &marks.build);
        let first = Expression::new_await_expression(SPAN, nothing, &marks.build);
        let first = marks.back(SPAN, Some(first));
        program.body.insert(0, first);
        let end = marks.end();
        program.body.push(end);
    }
    if marks.is_used { vec![BACK, END] } else { Vec::new() }
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

struct Marks<'p, 'a> {
    build: AstBuilder<'a>,
    place: &'p dyn Fn(u32) -> String,
    /// Of the functions around, the module first, how often each waits.
    awaits: Vec<usize>,
    /// Their names, without the module's.
    names: Vec<Option<String>>,
    /// What the next function is called, if it is written right after a name.
    next: Option<String>,
    /// The statement around, for what the transformer added.
    around: Span,
    is_used: bool,
}

impl<'a> Marks<'_, 'a> {
    /// `__back("at a.ts:1:15", value)`
    fn called_back(&mut self, span: Span, value: Option<Expression<'a>>) -> Expression<'a> {
        self.is_used = true;
        let place = (self.place)(if span.is_empty() { self.around } else { span }.start);
        let frame = match self.names.last() {
            Some(Some(name)) => format!("at {name} ({place})"),
            _ => format!("at {place}"),
        };
        let build = &self.build;
        let frame = Expression::new_string_literal(SPAN, Str::from_str_in(&frame, build), None, build);
        let mut arguments = ArenaVec::from_value_in(Argument::from(frame), build);
        arguments.extend(value.map(Argument::from));
        let callee = Expression::new_identifier(SPAN, BACK, build);
        Expression::new_call_expression(span, callee, None, arguments, false, build)
    }

    fn back(&mut self, span: Span, value: Option<Expression<'a>>) -> Statement<'a> {
        let call = self.called_back(span, value);
        Statement::new_expression_statement(SPAN, call, &self.build)
    }

    fn end(&self) -> Statement<'a> {
        let build = &self.build;
        let callee = Expression::new_identifier(SPAN, END, build);
        let call = Expression::new_call_expression(SPAN, callee, None, ArenaVec::new_in(build), false, build);
        Statement::new_expression_statement(SPAN, call, build)
    }

    /// Walks through a function. Whether it waits.
    fn within(&mut self, name: Option<String>, walk: impl FnOnce(&mut Self)) -> bool {
        let name = name.or_else(|| self.next.take());
        self.next = None;
        self.names.push(name);
        self.awaits.push(0);
        walk(self);
        self.names.pop();
        self.awaits.pop().is_some_and(|awaits| awaits > 0)
    }

    /// `{ try { statements } finally { __end(); } }`
    fn ended(&self, statements: ArenaVec<'a, Statement<'a>>) -> ArenaVec<'a, Statement<'a>> {
        let build = &self.build;
        let block = BlockStatement::boxed(SPAN, statements, build);
        let end = BlockStatement::boxed(SPAN, [self.end()], build);
        let attempt = Statement::new_try_statement(SPAN, block, None, Some(end), build);
        ArenaVec::from_value_in(attempt, build)
    }

    fn end_body(&self, body: &mut FunctionBody<'a>) {
        let statements = body.statements.take_in(&self.build);
        body.statements = self.ended(statements);
    }

    fn waits(&self) -> usize {
        self.awaits.last().copied().unwrap_or_default()
    }

    fn go_on_in(&mut self, block: &mut BlockStatement<'a>) {
        let back = self.back(block.span, None);
        block.body.insert(0, back);
    }
}

impl<'a> VisitMut<'a> for Marks<'_, 'a> {
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
        if !matches!(expression, Expression::FunctionExpression(_) | Expression::ArrowFunctionExpression(_)) {
            self.next = None;
        }
        walk_mut::walk_expression(self, expression);
        if let Expression::AwaitExpression(wait) = expression {
            let span = wait.span;
            if let Some(awaits) = self.awaits.last_mut() {
                *awaits += 1;
            }
            let wait = expression.take_in(&self.build);
            *expression = self.called_back(span, Some(wait));
        }
    }

    fn visit_variable_declarator(&mut self, variable: &mut VariableDeclarator<'a>) {
        self.visit_binding_pattern(&mut variable.id);
        if let Some(value) = &mut variable.init {
            self.next = variable.id.get_identifier_name().map(|name| name.to_string());
            self.visit_expression(value);
        }
        self.next = None;
    }

    fn visit_object_property(&mut self, property: &mut ObjectProperty<'a>) {
        self.visit_property_key(&mut property.key);
        self.next = property.key.static_name().map(|name| name.to_string());
        self.visit_expression(&mut property.value);
        self.next = None;
    }

    fn visit_method_definition(&mut self, method: &mut MethodDefinition<'a>) {
        self.visit_property_key(&mut method.key);
        self.next = method.key.static_name().map(|name| name.to_string());
        self.visit_function(&mut method.value, ScopeFlags::Function);
        self.next = None;
    }

    fn visit_function(&mut self, function: &mut Function<'a>, flags: ScopeFlags) {
        let name = function.id.as_ref().map(|id| id.name.to_string());
        let waits = self.within(name, |marks| walk_mut::walk_function(marks, function, flags));
        if let Some(body) = function.body.as_mut().filter(|_| waits) {
            self.end_body(body);
        }
    }

    fn visit_arrow_function_expression(&mut self, arrow: &mut ArrowFunctionExpression<'a>) {
        if !self.within(None, |marks| walk_mut::walk_arrow_function_expression(marks, arrow)) {
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

    /// What is thrown where a function waits goes on where it is caught.
    fn visit_try_statement(&mut self, attempt: &mut TryStatement<'a>) {
        let before = self.waits();
        self.visit_block_statement(&mut attempt.block);
        if let Some(handler) = &mut attempt.handler {
            let waited = self.waits() > before;
            self.visit_catch_clause(handler);
            if waited {
                self.go_on_in(&mut handler.body);
            }
        }
        if let Some(last) = &mut attempt.finalizer {
            let waited = self.waits() > before;
            self.visit_block_statement(last);
            if waited {
                self.go_on_in(last);
            }
        }
    }
}
