//! Makes a tree of what the parser finds.

use std::borrow::Cow;
use std::cell::{Ref, RefCell};

use html5ever::tendril::StrTendril;
use html5ever::tree_builder::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::{Attribute, QualName};

use super::tree::{Kind, NodeId, Tree};

/// A tree as it grows.
pub(super) struct Sink(pub(super) RefCell<Tree>);

impl Sink {
    pub(super) fn new() -> Self {
        Self(RefCell::new(Tree::new()))
    }

    fn add(&self, kind: Kind) -> NodeId {
        self.0.borrow_mut().add(kind)
    }

    /// Whether a text was added to the one that is there already.
    fn extend(&self, text: Option<NodeId>, more: &str) -> bool {
        let Some(id) = text else { return false };
        match self.0.borrow_mut().kind_mut(id) {
            Kind::Text(text) => {
                text.push_str(more);
                true
            }
            _ => false,
        }
    }
}

impl TreeSink for Sink {
    type Handle = NodeId;
    type Output = Tree;
    type ElemName<'a> = Ref<'a, QualName>;

    fn finish(self) -> Tree {
        self.0.into_inner()
    }

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> NodeId {
        Tree::DOCUMENT
    }

    fn elem_name<'a>(&'a self, target: &'a NodeId) -> Ref<'a, QualName> {
        Ref::map(self.0.borrow(), |tree| match tree.kind(*target) {
            Kind::Element { name, .. } => name,
            _ => unreachable!("the parser names elements only"),
        })
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, _: ElementFlags) -> NodeId {
        self.add(Kind::Element { name, attributes })
    }

    fn create_comment(&self, _: StrTendril) -> NodeId {
        self.add(Kind::Comment)
    }

    fn create_pi(&self, _: StrTendril, _: StrTendril) -> NodeId {
        self.add(Kind::Comment)
    }

    fn append(&self, parent: &NodeId, child: NodeOrText<NodeId>) {
        let last = self.0.borrow().last_child(*parent);
        let child = match child {
            NodeOrText::AppendNode(node) => node,
            NodeOrText::AppendText(text) if self.extend(last, &text) => return,
            NodeOrText::AppendText(text) => self.add(Kind::Text(text.into())),
        };
        self.0.borrow_mut().append(*parent, child);
    }

    fn append_based_on_parent_node(&self, element: &NodeId, previous: &NodeId, child: NodeOrText<NodeId>) {
        if self.0.borrow().parent(*element).is_some() {
            self.append_before_sibling(element, child);
        } else {
            self.append(previous, child);
        }
    }

    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}

    /// What is in a template is no part of the document.
    fn get_template_contents(&self, _: &NodeId) -> NodeId {
        self.add(Kind::Document)
    }

    fn same_node(&self, a: &NodeId, b: &NodeId) -> bool {
        a == b
    }

    fn set_quirks_mode(&self, _: QuirksMode) {}

    fn append_before_sibling(&self, sibling: &NodeId, child: NodeOrText<NodeId>) {
        let previous = self.0.borrow().previous(*sibling);
        let child = match child {
            NodeOrText::AppendNode(node) => node,
            NodeOrText::AppendText(text) if self.extend(previous, &text) => return,
            NodeOrText::AppendText(text) => self.add(Kind::Text(text.into())),
        };
        self.0.borrow_mut().insert_before(*sibling, child);
    }

    fn add_attrs_if_missing(&self, target: &NodeId, more: Vec<Attribute>) {
        if let Kind::Element { attributes, .. } = self.0.borrow_mut().kind_mut(*target) {
            for one in more {
                if attributes.iter().all(|known| known.name != one.name) {
                    attributes.push(one);
                }
            }
        }
    }

    fn remove_from_parent(&self, target: &NodeId) {
        self.0.borrow_mut().detach(*target);
    }

    fn reparent_children(&self, node: &NodeId, parent: &NodeId) {
        let mut tree = self.0.borrow_mut();
        while let Some(child) = tree.first_child(*node) {
            tree.append(*parent, child);
        }
    }
}
