//! What the rules ask of each node, found once for all of them: to look each time would take as long as the text is,
//! for each element.

use html5ever::ns;

use super::escape::{is_ascii_space, is_space};
use crate::html::{Kind, NodeId, Tree};

const BLOCKS: [&str; 49] = [
    "address",
    "article",
    "aside",
    "audio",
    "blockquote",
    "body",
    "canvas",
    "center",
    "dd",
    "dir",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "frameset",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hgroup",
    "hr",
    "html",
    "isindex",
    "li",
    "main",
    "menu",
    "nav",
    "noframes",
    "noscript",
    "ol",
    "output",
    "p",
    "pre",
    "section",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "ul",
];
const VOIDS: [&str; 16] = [
    "area", "base", "br", "col", "command", "embed", "hr", "img", "input", "keygen", "link", "meta", "param", "source",
    "track", "wbr",
];
const MEANINGFUL: [&str; 11] =
    ["a", "table", "thead", "tbody", "tfoot", "th", "td", "iframe", "script", "audio", "video"];

fn is_one_of(tree: &Tree, id: NodeId, sorted: &[&str]) -> bool {
    matches!(tree.kind(id), Kind::Element { name, .. } if name.ns == ns!(html) && sorted.contains(&&*name.local))
}

pub(super) fn is_block(tree: &Tree, id: NodeId) -> bool {
    is_one_of(tree, id, &BLOCKS)
}

pub(super) fn is_void(tree: &Tree, id: NodeId) -> bool {
    is_one_of(tree, id, &VOIDS)
}

/// Of one node, with what is in it.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Facts {
    pub(super) is_block: bool,
    /// Whether it is code, or within some.
    pub(super) is_code: bool,
    /// Whether it shows nothing.
    pub(super) is_blank: bool,
    /// Whether it, or something in it, counts though it has no text.
    counts: bool,
    /// The first and the last character of its text.
    first: Option<char>,
    last: Option<char>,
    /// Whether its text has more than white space.
    has_words: bool,
    /// Which of its parent's elements it is.
    pub(super) index: u32,
    /// The last of its elements.
    pub(super) last_element: Option<NodeId>,
}

/// The facts of all nodes within `root`.
pub(super) fn of(tree: &Tree, root: NodeId) -> Vec<Facts> {
    let mut all = vec![Facts::default(); tree.len()];
    let ids: Vec<NodeId> = tree.within(root).collect();
    let mut elements = vec![0_u32; tree.len()];
    for &id in &ids {
        let parent = tree.parent(id).unwrap_or(root);
        let is_code = tree.is(id, "code") || parent != root && all[parent as usize].is_code;
        let is_element = tree.is_element(id);
        let facts = &mut all[id as usize];
        (facts.is_block, facts.is_code) = (is_block(tree, id), is_code);
        if let Some(text) = tree.text(id) {
            facts.first = text.chars().next();
            facts.last = text.chars().next_back();
            facts.has_words = !text.chars().all(is_space);
        }
        if is_element {
            facts.index = elements[parent as usize];
            elements[parent as usize] += 1;
            all[parent as usize].last_element = Some(id);
        }
    }
    // From the last to the first, so that what is in a node comes before it, and a later node before an earlier one.
    for &id in ids.iter().rev() {
        let counts = is_void(tree, id) || is_one_of(tree, id, &MEANINGFUL);
        let facts = &mut all[id as usize];
        facts.counts |= counts;
        facts.is_blank = !facts.counts && !facts.has_words;
        let facts = *facts;
        let above = &mut all[tree.parent(id).unwrap_or(root) as usize];
        above.counts |= facts.counts;
        above.has_words |= facts.has_words;
        above.first = facts.first.or(above.first);
        above.last = above.last.or(facts.last);
    }
    all
}

/// The white space that is moved out of an inline element to its sides, before and behind.
pub(super) fn flanks(tree: &Tree, all: &[Facts], id: NodeId, keeps_code: bool) -> (String, String) {
    let facts = all[id as usize];
    let edges = facts.first.is_some_and(is_space) || facts.last.is_some_and(is_space);
    if facts.is_block || !edges || keeps_code && facts.is_code {
        return Default::default();
    }
    let text = tree.text_content(id);
    let leading_end = text.len() - text.trim_start_matches(is_space).len();
    let (leading, rest) = text.split_at(leading_end);
    let trailing = &rest[rest.trim_end_matches(is_space).len()..];
    let leading_other = leading.trim_start_matches(is_ascii_space);
    let trailing_other = trailing.trim_end_matches(is_ascii_space);
    let abandons_leading = leading_other.len() < leading.len()
        && tree.previous(id).is_some_and(|before| borders(tree, all, before, keeps_code, |facts| facts.last));
    let abandons_trailing = trailing_other.len() < trailing.len()
        && tree.next(id).is_some_and(|behind| borders(tree, all, behind, keeps_code, |facts| facts.first));
    (
        if abandons_leading { leading_other } else { leading }.to_owned(),
        if abandons_trailing { trailing_other } else { trailing }.to_owned(),
    )
}

/// Whether a sibling has a space where it borders.
fn borders(
    tree: &Tree,
    all: &[Facts],
    sibling: NodeId,
    keeps_code: bool,
    edge: impl Fn(&Facts) -> Option<char>,
) -> bool {
    let facts = &all[sibling as usize];
    let is_inline = tree.is_element(sibling) && !facts.is_block && !(keeps_code && tree.is(sibling, "code"));
    (tree.text(sibling).is_some() || is_inline) && edge(facts) == Some(' ')
}
