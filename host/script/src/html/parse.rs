//! Reads a text as HTML, as browsers do.

use std::cell::Cell;

use html5ever::TokenizerResult;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{BufferQueue, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};
use html5ever::tree_builder::{TreeBuilder, TreeBuilderOpts, TreeSink};
use thiserror::Error;

use super::sink::Sink;
use super::tree::{NodeId, Tree};

/// How deep elements may nest. Browsers stop nesting them there.
const MAX_DEPTH: u32 = 512;
/// How many nodes a text may have: each takes some 100 bytes of the charm's memory.
const MAX_NODES: usize = 250_000;
/// How many characters of one tag may separate attributes: the parser compares each attribute with all before it.
const MAX_SEPARATORS: usize = 4096;
/// The longest piece that is parsed before it is looked at what came of it. A few characters may make as many elements
/// as elements nest.
const PIECE: usize = 512;

/// A text that would take much more time or memory than its length lets expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum TooMuch {
    #[error("its elements nest deeper than {MAX_DEPTH}")]
    Depth,
    #[error("it has more than {MAX_NODES} elements and texts")]
    Nodes,
    #[error("a tag has more than some {MAX_SEPARATORS} attributes")]
    Attributes,
}

/// The document that a text is.
pub(crate) fn parse(html: &str) -> Result<Tree, TooMuch> {
    // What is for readers without scripts is for this one.
    let options = TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() };
    let builder = TreeBuilder::new(Sink::new(), options);
    let tokenizer = Tokenizer::new(Watch { builder, tokens: Cell::new(0) }, TokenizerOpts::default());
    let queue = BufferQueue::default();
    let mut tag = OpenTag::default();
    for piece in pieces(html) {
        let before = tokenizer.sink.tokens.get();
        queue.push_back(StrTendril::from_slice(piece));
        while let TokenizerResult::Script(_) = tokenizer.feed(&queue) {}
        tag.fed(piece, tokenizer.sink.tokens.get() != before)?;
        check(&tokenizer.sink.builder.sink.0.borrow())?;
    }
    tokenizer.end();
    let tree = tokenizer.sink.builder.sink.finish();
    check(&tree)?;
    Ok(tree)
}

fn check(tree: &Tree) -> Result<(), TooMuch> {
    if tree.deepest() > MAX_DEPTH {
        return Err(TooMuch::Depth);
    }
    if tree.len() > MAX_NODES { Err(TooMuch::Nodes) } else { Ok(()) }
}

/// The text in pieces, none of which has a `<` but at its start.
fn pieces(html: &str) -> impl Iterator<Item = &str> {
    let mut rest = html;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?.len_utf8();
        let longest = rest.floor_char_boundary(PIECE).max(first);
        let end =
            rest.as_bytes()[first..longest].iter().position(|byte| *byte == b'<').map_or(longest, |at| first + at);
        let (piece, behind) = rest.split_at(end);
        rest = behind;
        Some(piece)
    })
}

/// A tag of which the end was not seen yet.
#[derive(Default)]
struct OpenTag {
    /// Whether something is open that began with a `<`, and whether it is a tag.
    is_open: bool,
    is_tag: bool,
    separators: usize,
}

impl OpenTag {
    /// A piece was parsed, and gave rise to tokens or did not. In the latter case the parser is within what began at the
    /// piece's start, unless it was within something already.
    fn fed(&mut self, piece: &str, had_tokens: bool) -> Result<(), TooMuch> {
        if had_tokens {
            *self = Self::default();
            return Ok(());
        }
        if !self.is_open {
            let name = piece.strip_prefix('<').map(|tag| tag.strip_prefix('/').unwrap_or(tag));
            let is_tag =
                name.is_some_and(|name| name.is_empty() || name.starts_with(|c: char| c.is_ascii_alphabetic()));
            *self = Self { is_open: true, is_tag, separators: 0 };
        }
        if self.is_tag {
            let separates = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' | b'/' | b'"' | b'\'');
            self.separators += piece.as_bytes().iter().filter(separates).count();
        }
        if self.separators > MAX_SEPARATORS { Err(TooMuch::Attributes) } else { Ok(()) }
    }
}

/// Counts what passes on its way to the tree.
struct Watch {
    builder: TreeBuilder<NodeId, Sink>,
    tokens: Cell<usize>,
}

impl TokenSink for Watch {
    type Handle = NodeId;

    fn process_token(&self, token: Token, line: u64) -> TokenSinkResult<NodeId> {
        if !matches!(token, Token::ParseError(_)) {
            self.tokens.set(self.tokens.get() + 1);
        }
        self.builder.process_token(token, line)
    }

    fn end(&self) {
        self.builder.end();
    }

    fn adjusted_current_node_present_but_not_in_html_namespace(&self) -> bool {
        self.builder.adjusted_current_node_present_but_not_in_html_namespace()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_whole_text() {
        for text in ["", "a", "<", "<<", "é<é", "<p>a<b>c", &"ü".repeat(1000), &"<p".repeat(1000)] {
            assert_eq!(pieces(text).collect::<String>(), text);
            assert!(pieces(text).all(|piece| piece.len() <= PIECE && !piece.chars().skip(1).any(|char| char == '<')));
        }
    }

    #[test]
    fn a_text_may_nest_as_deep_as_in_browsers() {
        assert!(parse(&"<div>".repeat(500)).is_ok());
        assert_eq!(parse(&"<div>".repeat(100_000)).err(), Some(TooMuch::Depth));
        assert_eq!(parse(&"<b><div>".repeat(100_000)).err(), Some(TooMuch::Depth));
        // A paragraph ends the one before, and begins again what was bold there.
        assert_eq!(parse(&"<b><p>".repeat(100_000)).err(), Some(TooMuch::Nodes));
        // Elements that one another's start ends do not nest.
        assert!(parse(&"<p>a".repeat(10_000)).is_ok());
        assert!(parse(&"<li>a".repeat(10_000)).is_ok());
        assert!(parse(&format!("<table>{}", "<tr><td>a".repeat(10_000))).is_ok());
    }

    #[test]
    fn formatting_that_is_never_closed_is_repeated_up_to_a_limit() {
        let open = (0..400).fold(String::new(), |open, n| open + &format!("<b a={n}>"));
        assert_eq!(parse(&format!("<p>{open}</p>{}", "<p>x".repeat(100_000))).err(), Some(TooMuch::Nodes));
    }

    #[test]
    fn a_tag_has_a_limited_number_of_attributes_wherever_its_quotes_are() {
        let many = |between: &str| (0..200_000).fold(String::new(), |all, n| all + &format!("{between}a{n}"));
        for html in [
            format!("<p {}>", many(" ")),
            format!("<p {}", many("/")),
            format!("<!-- <p x=\" --><p x{}>", many("=\">\" ")),
            format!("<p x{}>", many("=\">\" ")),
            format!("<p x=\"<!--\" {}>", many(" ")),
            format!("<script><!-- <p x=' </script><p {}>", many(" ")),
            format!("</p {}>", many("\n")),
        ] {
            assert_eq!(parse(&html).err(), Some(TooMuch::Attributes), "{}", &html[..40]);
        }
        for html in [
            format!("<!-- {} --><p>", many(" ")),
            format!("<style>{}</style>", many(" ")),
            format!("<img src='data:{}'>", "A".repeat(1_000_000)),
            format!("<p>{}", many(" ")),
        ] {
            assert!(parse(&html).is_ok(), "{}", &html[..40]);
        }
    }
}
