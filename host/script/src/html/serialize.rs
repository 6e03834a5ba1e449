//! Trees as HTML texts, as the HTML standard writes fragments.

use std::fmt::Write as _;

use super::tree::{Kind, NodeId, Tree};

/// Elements that have no end tag.
const VOID: [&str; 18] = [
    "area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input", "keygen", "link",
    "meta", "param", "source", "track", "wbr",
];
/// Elements whose texts are written as they are.
const RAW: [&str; 7] = ["style", "script", "xmp", "iframe", "noembed", "noframes", "plaintext"];

/// A node with what is in it.
pub(crate) fn outer(tree: &Tree, id: NodeId) -> String {
    let mut html = String::new();
    start(tree, id, &mut html);
    within(tree, id, &mut html);
    end(tree, id, &mut html);
    html
}

/// What is in a node.
pub(crate) fn inner(tree: &Tree, id: NodeId) -> String {
    let mut html = String::new();
    within(tree, id, &mut html);
    html
}

fn within(tree: &Tree, root: NodeId, html: &mut String) {
    let mut at = root;
    loop {
        if let Some(child) = tree.first_child(at) {
            at = child;
        } else {
            loop {
                if at == root {
                    return;
                }
                end(tree, at, html);
                if let Some(next) = tree.next(at) {
                    at = next;
                    break;
                }
                let Some(parent) = tree.parent(at) else { return };
                at = parent;
            }
        }
        start(tree, at, html);
    }
}

fn is_any(tree: &Tree, id: NodeId, names: &[&str]) -> bool {
    names.iter().any(|name| tree.is(id, name))
}

fn start(tree: &Tree, id: NodeId, html: &mut String) {
    match tree.kind(id) {
        Kind::Element { name, attributes } => {
            // Writing to a text cannot fail.
            let _ = write!(html, "<{}", name.local);
            for one in attributes {
                let _ = write!(html, " {}=\"", one.name.local);
                escape(&one.value, true, html);
                html.push('"');
            }
            html.push('>');
        }
        Kind::Text(text) if tree.parent(id).is_some_and(|parent| is_any(tree, parent, &RAW)) => html.push_str(text),
        Kind::Text(text) => escape(text, false, html),
        Kind::Document | Kind::Comment => {}
    }
}

fn end(tree: &Tree, id: NodeId, html: &mut String) {
    if let Some(name) = tree.local_name(id)
        && !is_any(tree, id, &VOID)
    {
        let _ = write!(html, "</{name}>");
    }
}

fn escape(text: &str, is_attribute: bool, html: &mut String) {
    for char in text.chars() {
        match char {
            '&' => html.push_str("&amp;"),
            '\u{a0}' => html.push_str("&nbsp;"),
            '"' if is_attribute => html.push_str("&quot;"),
            '<' if !is_attribute => html.push_str("&lt;"),
            '>' if !is_attribute => html.push_str("&gt;"),
            char => html.push(char),
        }
    }
}
