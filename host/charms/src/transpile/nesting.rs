//! How deep a program nests.

use oxc::ast::AstKind;
use oxc::ast::ast::Program;
use oxc::ast_visit::Visit;
use oxc::span::{GetSpan, Span};

/// How deep a charm's syntax may nest. Far more than people write, and what the script guest's parser reads in half of its stack.
const MAX_NESTING: usize = 128;

/// Where a program nests too deeply to be read any further, if it does.
pub(super) fn too_deep(program: &Program<'_>) -> Option<(Span, String)> {
    let mut nesting = Nesting::default();
    nesting.visit_program(program);
    nesting.too_deep.map(|span| (span, format!("this is nested more than {MAX_NESTING} levels deep")))
}

/// Measures how deep a program nests.
#[derive(Default)]
struct Nesting {
    depth: usize,
    too_deep: Option<Span>,
}

impl<'a> Visit<'a> for Nesting {
    fn enter_node(&mut self, kind: AstKind<'a>) {
        self.depth += 1;
        if self.depth > MAX_NESTING && self.too_deep.is_none() {
            self.too_deep = Some(kind.span());
        }
    }

    fn leave_node(&mut self, _: AstKind<'a>) {
        self.depth -= 1;
    }
}
