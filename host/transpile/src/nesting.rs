//! How deep a program nests.

use oxc::ast::AstKind;
use oxc::ast::ast::Program;
use oxc::ast_visit::Visit;
use oxc::span::{GetSpan, Span};

/// How deep a charm's syntax may nest. Far more than people write, and what the script guest's parser reads in half of
/// its stack.
const MAX_NESTING: usize = 128;

/// How many brackets may be open at one place of a source, including those in its comments and texts: no program that
/// [nests](MAX_NESTING) within the limit has more.
const MAX_BRACKETS: usize = 1_000;

/// Where a source has more brackets open than any charm, if it does: to look for that takes no memory, and to parse it
/// a thousand times its size, or the square of it where each may begin a function. Comments may hide brackets from this
/// count; what limits those is that a [process](super::child) reads them.
pub(super) fn brackets_too_deep(source: &str) -> Option<(usize, String)> {
    let mut open = 0_usize;
    for (offset, byte) in source.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > MAX_BRACKETS {
            return Some((offset, format!("more than {MAX_BRACKETS} brackets are open here")));
        }
    }
    None
}

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
