//! Parameters whose names the function's body declares again.
//!
//! Where parameters have defaults, the language gives the body a variable of its own, which begins with the parameter's
//! value. In the engine it begins as undefined, or can't be read by the defaults. So the author is warned. Functions
//! that are declared again are variables only where a function waits, see [`super::awaits`].

use oxc::ast::ast::{
    ArrowFunctionBody, ArrowFunctionExpression, BindingIdentifier, Expression, FormalParameters, Function,
    TSTypeAnnotation,
};
use oxc::ast_visit::{Visit, walk};
use oxc::span::Span;
use oxc::syntax::scope::ScopeFlags;
use oxc::syntax::symbol::{SymbolFlags, SymbolId};

use super::inspect::{Fault, File};

/// Those of a file.
pub(super) fn declared_again(file: &File<'_, '_>) -> Vec<Fault> {
    let mut functions = Functions { file, found: Vec::new() };
    functions.visit_program(file.program);
    functions.found
}

struct Functions<'f, 'a> {
    file: &'f File<'f, 'a>,
    found: Vec<Fault>,
}

impl<'a> Functions<'_, 'a> {
    fn function(&mut self, parameters: &FormalParameters<'a>, body: Span, waits: bool) {
        let mut names = Names::default();
        names.visit_formal_parameters(parameters);
        if !names.has_expressions {
            return;
        }
        for (symbol, name) in names.symbols {
            let again = self.file.scoping.symbol_redeclarations(symbol);
            let is_within = |span: Span| body.start <= span.start && span.end <= body.end;
            let again =
                again.iter().find(|one| is_within(one.span) && (waits || !one.flags.contains(SymbolFlags::Function)));
            if let Some(again) = again {
                let message = format!(
                    "the parameter `{name}` is declared again in its function, which does not work where parameters have defaults: \
                     use another name"
                );
                self.found.push((self.file.index, again.span, message));
            }
        }
    }
}

impl<'a> Visit<'a> for Functions<'_, 'a> {
    fn visit_function(&mut self, function: &Function<'a>, flags: ScopeFlags) {
        if let Some(body) = &function.body {
            self.function(&function.params, body.span, function.r#async);
        }
        walk::walk_function(self, function, flags);
    }

    fn visit_arrow_function_expression(&mut self, arrow: &ArrowFunctionExpression<'a>) {
        if let ArrowFunctionBody::FunctionBody(body) = &arrow.body {
            self.function(&arrow.params, body.span, arrow.r#async);
        }
        walk::walk_arrow_function_expression(self, arrow);
    }
}

/// The names of parameters, and whether something is evaluated among them.
#[derive(Default)]
struct Names<'a> {
    symbols: Vec<(SymbolId, &'a str)>,
    has_expressions: bool,
}

impl<'a> Visit<'a> for Names<'a> {
    fn visit_binding_identifier(&mut self, identifier: &BindingIdentifier<'a>) {
        self.symbols.extend(identifier.symbol_id.get().map(|symbol| (symbol, identifier.name.as_str())));
    }

    fn visit_expression(&mut self, _: &Expression<'a>) {
        // What functions and classes within it declare is no parameter.
        self.has_expressions = true;
    }

    fn visit_ts_type_annotation(&mut self, _: &TSTypeAnnotation<'a>) {}
}
