//! Nodes, each of which knows its neighbours.

use html5ever::{Attribute, QualName, ns};

/// Which node of a tree.
pub(crate) type NodeId = u32;

/// Like `Option<NodeId>`, in the size of one.
const NONE: NodeId = NodeId::MAX;

/// What a node is.
#[derive(Debug)]
pub(crate) enum Kind {
    Document,
    Element { name: QualName, attributes: Vec<Attribute> },
    Text(String),
    Comment,
}

#[derive(Debug)]
struct Node {
    kind: Kind,
    parent: NodeId,
    previous: NodeId,
    next: NodeId,
    first: NodeId,
    last: NodeId,
    /// How many nodes are above, as it was when the node was put there.
    depth: u32,
}

/// A document. Its first node is the document itself.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    deepest: u32,
}

fn some(id: NodeId) -> Option<NodeId> {
    (id != NONE).then_some(id)
}

impl Tree {
    pub(crate) const DOCUMENT: NodeId = 0;

    pub(super) fn new() -> Self {
        let mut tree = Self { nodes: Vec::new(), deepest: 0 };
        tree.add(Kind::Document);
        tree
    }

    pub(super) fn add(&mut self, kind: Kind) -> NodeId {
        let id = NodeId::try_from(self.nodes.len()).unwrap_or(NONE);
        self.nodes.push(Node { kind, parent: NONE, previous: NONE, next: NONE, first: NONE, last: NONE, depth: 0 });
        id
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// How deep the deepest node is.
    pub(super) fn deepest(&self) -> u32 {
        self.deepest
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    fn at(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id as usize]
    }

    pub(crate) fn kind(&self, id: NodeId) -> &Kind {
        &self.node(id).kind
    }

    pub(super) fn kind_mut(&mut self, id: NodeId) -> &mut Kind {
        &mut self.at(id).kind
    }

    pub(crate) fn parent(&self, id: NodeId) -> Option<NodeId> {
        some(self.node(id).parent)
    }

    pub(crate) fn previous(&self, id: NodeId) -> Option<NodeId> {
        some(self.node(id).previous)
    }

    pub(crate) fn next(&self, id: NodeId) -> Option<NodeId> {
        some(self.node(id).next)
    }

    pub(crate) fn first_child(&self, id: NodeId) -> Option<NodeId> {
        some(self.node(id).first)
    }

    pub(crate) fn last_child(&self, id: NodeId) -> Option<NodeId> {
        some(self.node(id).last)
    }

    pub(crate) fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::successors(self.first_child(id), |child| self.next(*child))
    }

    /// The node that follows in the order of the text, within `root`.
    pub(crate) fn following(&self, id: NodeId, root: NodeId) -> Option<NodeId> {
        self.first_child(id).or_else(|| self.beyond(id, root))
    }

    /// The node that follows on all that is in this one, within `root`.
    pub(crate) fn beyond(&self, id: NodeId, root: NodeId) -> Option<NodeId> {
        let mut at = id;
        while at != root {
            if let Some(next) = self.next(at) {
                return Some(next);
            }
            at = self.parent(at)?;
        }
        None
    }

    /// All nodes within one, in the order of the text.
    pub(crate) fn within(&self, root: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::successors(self.following(root, root), move |id| self.following(*id, root))
    }

    /// The name of an element, in lower case unless it is of SVG.
    pub(crate) fn local_name(&self, id: NodeId) -> Option<&str> {
        match self.kind(id) {
            Kind::Element { name, .. } => Some(&name.local),
            _ => None,
        }
    }

    /// Whether it is an element of HTML with this name.
    pub(crate) fn is(&self, id: NodeId, local: &str) -> bool {
        matches!(self.kind(id), Kind::Element { name, .. } if name.ns == ns!(html) && *name.local == *local)
    }

    pub(crate) fn is_element(&self, id: NodeId) -> bool {
        matches!(self.kind(id), Kind::Element { .. })
    }

    pub(crate) fn text(&self, id: NodeId) -> Option<&str> {
        match self.kind(id) {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn set_text(&mut self, id: NodeId, text: String) {
        *self.kind_mut(id) = Kind::Text(text);
    }

    pub(crate) fn attributes(&self, id: NodeId) -> &[Attribute] {
        match self.kind(id) {
            Kind::Element { attributes, .. } => attributes,
            _ => &[],
        }
    }

    pub(crate) fn attribute(&self, id: NodeId, name: &str) -> Option<&str> {
        self.attributes(id).iter().find(|one| *one.name.local == *name).map(|one| &*one.value)
    }

    /// The texts within a node, one after the other.
    pub(crate) fn text_content(&self, id: NodeId) -> String {
        match self.text(id) {
            Some(text) => text.to_owned(),
            None => self.within(id).filter_map(|id| self.text(id)).collect(),
        }
    }

    pub(super) fn append(&mut self, parent: NodeId, child: NodeId) {
        self.detach(child);
        let last = self.node(parent).last;
        let depth = self.node(parent).depth + 1;
        self.deepest = self.deepest.max(depth);
        let node = self.at(child);
        (node.parent, node.previous, node.depth) = (parent, last, depth);
        match some(last) {
            Some(last) => self.at(last).next = child,
            None => self.at(parent).first = child,
        }
        self.at(parent).last = child;
    }

    pub(super) fn insert_before(&mut self, sibling: NodeId, child: NodeId) {
        self.detach(child);
        let Node { parent, previous, depth, .. } = *self.node(sibling);
        let node = self.at(child);
        (node.parent, node.previous, node.next, node.depth) = (parent, previous, sibling, depth);
        match (some(previous), some(parent)) {
            (Some(previous), _) => self.at(previous).next = child,
            (None, Some(parent)) => self.at(parent).first = child,
            (None, None) => {}
        }
        self.at(sibling).previous = child;
    }

    /// Takes a node away from its parent.
    pub(crate) fn detach(&mut self, id: NodeId) {
        let Node { parent, previous, next, .. } = *self.node(id);
        let Some(parent) = some(parent) else { return };
        match some(previous) {
            Some(previous) => self.at(previous).next = next,
            None => self.at(parent).first = next,
        }
        match some(next) {
            Some(next) => self.at(next).previous = previous,
            None => self.at(parent).last = previous,
        }
        let node = self.at(id);
        (node.parent, node.previous, node.next) = (NONE, NONE, NONE);
    }
}
