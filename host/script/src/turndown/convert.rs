//! Writes a tree as Markdown.

use std::rc::Rc;

use super::escape::{is_space, markdown, trim};
use super::facts::{self, Facts};
use super::rules::Rule;
use super::whitespace::collapse;
use crate::html::{NodeId, TooMuch, Tree, outer, parse};

/// The element around the text, which keeps together what a document would take apart.
const ROOT: &str = "x-turndown";

/// The package's options, by their names there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) heading_style: String,
    pub(crate) hr: String,
    pub(crate) bullet_list_marker: String,
    pub(crate) code_block_style: String,
    pub(crate) fence: String,
    pub(crate) em_delimiter: String,
    pub(crate) strong_delimiter: String,
    pub(crate) link_style: String,
    pub(crate) link_reference_style: String,
    pub(crate) br: String,
    pub(crate) preformatted_code: bool,
}

/// The elements that a rule of the charm's is for.
#[derive(Debug, Clone)]
pub(crate) enum Names {
    /// Those of these names, in lower case.
    These(Vec<String>),
    /// The charm's function says.
    Asked,
}

/// What a charm has a function for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Other {
    /// The rule of its own with this number.
    Rule(usize),
    /// Elements that show nothing.
    Blank,
    /// Elements that are kept as HTML.
    Keep,
    /// Elements for which there is no rule.
    Default,
}

/// What of a conversion is the charm's affair.
pub(crate) trait Hooks {
    type Error;

    /// Whether the charm's filter with this number takes a node.
    fn takes(&mut self, filter: usize, id: NodeId) -> Result<bool, Self::Error>;

    /// How the charm writes an element; nothing if it leaves that to the package.
    fn write(&mut self, what: Other, id: NodeId, content: &str) -> Result<Option<String>, Self::Error>;

    /// A text in which nothing means anything in Markdown; nothing if the charm leaves that to the package.
    fn escape(&mut self, text: &str) -> Result<Option<String>, Self::Error>;

    /// What the charm's rules add at the end.
    fn appended(&mut self) -> Result<Vec<String>, Self::Error>;
}

/// A text that is to be converted.
pub(crate) struct Document {
    pub(crate) tree: Rc<Tree>,
    pub(super) root: NodeId,
    pub(super) facts: Vec<Facts>,
    pub(super) options: Options,
}

/// An element whose content is being written.
struct Frame {
    id: NodeId,
    choice: Choice,
    next: Option<NodeId>,
    written: String,
}

#[derive(Clone, Copy)]
enum Choice {
    Own(Rule),
    Other(Other),
    Remove,
    /// The text as a whole.
    Root,
}

/// Filters of the charm: its rules', and of what is kept and removed, in the order in which they are tried.
pub(crate) struct Filters {
    pub(crate) rules: Vec<Names>,
    pub(crate) kept: Vec<Names>,
    pub(crate) removed: Vec<Names>,
}

impl Document {
    pub(crate) fn new(html: &str, options: Options) -> Result<Self, TooMuch> {
        let mut tree = parse(&format!("<{ROOT}>{html}</{ROOT}>"))?;
        let root = tree.within(Tree::DOCUMENT).find(|id| tree.is(*id, ROOT));
        let root = root.unwrap_or(Tree::DOCUMENT);
        let keeps_code = options.preformatted_code;
        collapse(&mut tree, root, |tree, id| tree.is(id, "pre") || keeps_code && tree.is(id, "code"));
        let facts = facts::of(&tree, root);
        Ok(Self { tree: Rc::new(tree), root, facts, options })
    }

    /// Whether a node shows nothing, whether it is a block, whether it is code, and the white space at its sides.
    pub(crate) fn facts(&self, id: NodeId) -> (bool, bool, bool, (String, String)) {
        let Some(facts) = self.facts.get(id as usize) else { return Default::default() };
        let flanks = facts::flanks(&self.tree, &self.facts, id, self.options.preformatted_code);
        (facts.is_blank, facts.is_block, facts.is_code, flanks)
    }

    /// The text as Markdown.
    pub(crate) fn convert<H: Hooks>(&self, filters: &Filters, hooks: &mut H) -> Result<String, H::Error> {
        let mut references = Vec::new();
        let mut open = vec![self.frame(self.root, Choice::Root)];
        loop {
            let Some(frame) = open.last_mut() else { return Ok(String::new()) };
            if let Some(id) = frame.next {
                frame.next = self.tree.next(id);
                if let Some(text) = self.tree.text(id) {
                    let escaped = if self.facts[id as usize].is_code { text.to_owned() } else { escaped(text, hooks)? };
                    join(&mut frame.written, &escaped);
                } else if self.tree.is_element(id) {
                    let choice = self.choose(id, filters, hooks)?;
                    open.push(self.frame(id, choice));
                }
                continue;
            }
            let Some(Frame { id, choice, written, .. }) = open.pop() else { return Ok(String::new()) };
            let Some(above) = open.last_mut() else { return finish(written, &references, hooks) };
            join(&mut above.written, &self.element(id, choice, &written, &mut references, hooks)?);
        }
    }

    fn frame(&self, id: NodeId, choice: Choice) -> Frame {
        Frame { id, choice, next: self.tree.first_child(id), written: String::new() }
    }

    fn choose<H: Hooks>(&self, id: NodeId, filters: &Filters, hooks: &mut H) -> Result<Choice, H::Error> {
        if self.facts[id as usize].is_blank {
            return Ok(Choice::Other(Other::Blank));
        }
        let name = self.tree.local_name(id).unwrap_or_default().to_ascii_lowercase();
        let mut takes = |names: &Names, number| match names {
            Names::These(names) => Ok(names.contains(&name)),
            Names::Asked => hooks.takes(number, id),
        };
        for (number, names) in filters.rules.iter().enumerate() {
            if takes(names, number)? {
                return Ok(Choice::Other(Other::Rule(number)));
            }
        }
        if let Some(rule) = Rule::of(self, id) {
            return Ok(Choice::Own(rule));
        }
        for (number, names) in filters.kept.iter().enumerate() {
            if takes(names, filters.rules.len() + number)? {
                return Ok(Choice::Other(Other::Keep));
            }
        }
        for (number, names) in filters.removed.iter().enumerate() {
            if takes(names, filters.rules.len() + filters.kept.len() + number)? {
                return Ok(Choice::Remove);
            }
        }
        Ok(Choice::Other(Other::Default))
    }

    fn element<H: Hooks>(
        &self,
        id: NodeId,
        choice: Choice,
        written: &str,
        references: &mut Vec<String>,
        hooks: &mut H,
    ) -> Result<String, H::Error> {
        let (leading, trailing) = facts::flanks(&self.tree, &self.facts, id, self.options.preformatted_code);
        let has_flanks = !(leading.is_empty() && trailing.is_empty());
        let content = if has_flanks { trim(written) } else { written };
        let replacement = match choice {
            Choice::Own(rule) => rule.write(self, id, content, references),
            Choice::Other(other) => match hooks.write(other, id, content)? {
                Some(text) => text,
                None => self.other(other, id, content),
            },
            Choice::Remove | Choice::Root => String::new(),
        };
        Ok(if has_flanks { format!("{leading}{replacement}{trailing}") } else { replacement })
    }

    /// How the package writes what it has no rule for.
    fn other(&self, other: Other, id: NodeId, content: &str) -> String {
        let is_block = self.facts[id as usize].is_block;
        match other {
            Other::Blank if is_block => "\n\n".to_owned(),
            Other::Blank => String::new(),
            Other::Keep if is_block => format!("\n\n{}\n\n", outer(&self.tree, id)),
            Other::Keep => outer(&self.tree, id),
            Other::Default | Other::Rule(_) if is_block => format!("\n\n{content}\n\n"),
            Other::Default | Other::Rule(_) => content.to_owned(),
        }
    }
}

fn escaped<H: Hooks>(text: &str, hooks: &mut H) -> Result<String, H::Error> {
    Ok(hooks.escape(text)?.unwrap_or_else(|| markdown(text)))
}

/// Adds a text to what is written, with one empty line between them at most.
fn join(written: &mut String, text: &str) {
    let kept = written.trim_end_matches('\n').len();
    let rest = text.trim_start_matches('\n');
    let lines = (written.len() - kept).max(text.len() - rest.len()).min(2);
    written.truncate(kept);
    written.push_str(&"\n\n"[..lines]);
    written.push_str(rest);
}

fn finish<H: Hooks>(mut written: String, references: &[String], hooks: &mut H) -> Result<String, H::Error> {
    for text in hooks.appended()? {
        join(&mut written, &text);
    }
    if !references.is_empty() {
        join(&mut written, &format!("\n\n{}\n\n", references.join("\n")));
    }
    let text = written.trim_start_matches(['\t', '\r', '\n']).trim_end_matches(is_space);
    Ok(text.to_owned())
}
