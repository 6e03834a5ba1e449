//! Takes away white space that a browser would not show.

use super::facts::{is_block, is_void};
use crate::html::{Kind, NodeId, Tree};

/// Collapses the white space of all texts within `root`; those within elements for which `is_pre` holds stay.
pub(super) fn collapse(tree: &mut Tree, root: NodeId, is_pre: impl Fn(&Tree, NodeId) -> bool) {
    if tree.first_child(root).is_none() || is_pre(tree, root) {
        return;
    }
    let mut state = State { text: None, keeps_leading: false };
    let mut before: Option<NodeId> = None;
    let Some(mut at) = next(tree, None, root, &is_pre) else { return };
    while at != root {
        let stays = match tree.kind(at) {
            Kind::Text(_) => state.text(tree, at),
            Kind::Element { .. } => {
                let is_pre = is_pre(tree, at);
                state.element(tree, at, is_pre);
                true
            }
            Kind::Document | Kind::Comment => false,
        };
        let then = if stays {
            let then = next(tree, before, at, &is_pre);
            before = Some(at);
            then
        } else {
            let then = tree.next(at).or(tree.parent(at));
            tree.detach(at);
            then
        };
        let Some(then) = then else { return };
        at = then;
    }
    if let Some(text) = state.trim_text(tree)
        && tree.text(text) == Some("")
    {
        tree.detach(text);
    }
}

/// The node that comes after another: elements come once before and once after what is in them.
fn next(tree: &Tree, before: Option<NodeId>, at: NodeId, is_pre: &impl Fn(&Tree, NodeId) -> bool) -> Option<NodeId> {
    let is_done = before.is_some_and(|before| tree.parent(before) == Some(at)) || is_pre(tree, at);
    let child = if is_done { None } else { tree.first_child(at) };
    child.or(tree.next(at)).or(tree.parent(at))
}

struct State {
    /// The last text of the line.
    text: Option<NodeId>,
    /// Whether a space at a text's start stays.
    keeps_leading: bool,
}

impl State {
    /// Whether anything is left of a text.
    fn text(&mut self, tree: &mut Tree, at: NodeId) -> bool {
        let Some(text) = tree.text(at) else { return false };
        let mut collapsed = collapsed(text);
        let follows_space = self.text.is_none_or(|text| tree.text(text).is_some_and(|text| text.ends_with(' ')));
        if follows_space && !self.keeps_leading && collapsed.starts_with(' ') {
            collapsed.remove(0);
        }
        if collapsed.is_empty() {
            return false;
        }
        tree.set_text(at, collapsed);
        self.text = Some(at);
        true
    }

    fn element(&mut self, tree: &mut Tree, at: NodeId, is_pre: bool) {
        if is_block(tree, at) || tree.is(at, "br") {
            self.trim_text(tree);
            self.text = None;
            self.keeps_leading = false;
        } else if is_void(tree, at) || is_pre {
            self.text = None;
            self.keeps_leading = true;
        } else if self.text.is_some() {
            self.keeps_leading = false;
        }
    }

    /// Takes away the space at the end of the line.
    fn trim_text(&self, tree: &mut Tree) -> Option<NodeId> {
        let id = self.text?;
        if let Some(trimmed) = tree.text(id).and_then(|text| text.strip_suffix(' ')) {
            let trimmed = trimmed.to_owned();
            tree.set_text(id, trimmed);
        }
        Some(id)
    }
}

fn collapsed(text: &str) -> String {
    let mut output = String::with_capacity(text.len());
    let mut in_space = false;
    for char in text.chars() {
        let space = super::escape::is_ascii_space(char);
        if !space {
            output.push(char);
        } else if !in_space {
            output.push(' ');
        }
        in_space = space;
    }
    output
}
