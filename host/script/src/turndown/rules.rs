//! How each element is written that Markdown has.

use super::convert::Document;
use super::escape::{attribute, destination, ends_line, markdown, trim, units, with_backslashes};
use crate::html::NodeId;

/// A rule of the package's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    Paragraph,
    LineBreak,
    Heading(usize),
    Quote,
    List,
    Item,
    IndentedCode,
    FencedCode,
    Line,
    InlineLink,
    ReferenceLink,
    Emphasis,
    Strong,
    Code,
    Image,
}

impl Rule {
    /// The rule for an element, if there is one.
    pub(super) fn of(document: &Document, id: NodeId) -> Option<Self> {
        let (tree, options) = (&*document.tree, &document.options);
        let name = tree.local_name(id).filter(|name| tree.is(id, name))?;
        let links = || tree.attribute(id, "href").is_some_and(|href| !href.is_empty());
        Some(match name {
            "p" => Self::Paragraph,
            "br" => Self::LineBreak,
            "h1" => Self::Heading(1),
            "h2" => Self::Heading(2),
            "h3" => Self::Heading(3),
            "h4" => Self::Heading(4),
            "h5" => Self::Heading(5),
            "h6" => Self::Heading(6),
            "blockquote" => Self::Quote,
            "ul" | "ol" => Self::List,
            "li" => Self::Item,
            "pre" if tree.first_child(id).is_some_and(|child| tree.is(child, "code")) => {
                match options.code_block_style.as_str() {
                    "indented" => Self::IndentedCode,
                    "fenced" => Self::FencedCode,
                    _ => return None,
                }
            }
            "hr" => Self::Line,
            "a" if links() => match options.link_style.as_str() {
                "inlined" => Self::InlineLink,
                "referenced" => Self::ReferenceLink,
                _ => return None,
            },
            "em" | "i" => Self::Emphasis,
            "strong" | "b" => Self::Strong,
            "code" => {
                let is_alone = tree.previous(id).is_none() && tree.next(id).is_none();
                let is_block = is_alone && tree.parent(id).is_some_and(|parent| tree.is(parent, "pre"));
                if is_block {
                    return None;
                }
                Self::Code
            }
            "img" => Self::Image,
            _ => return None,
        })
    }

    /// How the element is written, of which `content` is what is in it.
    pub(super) fn write(self, document: &Document, id: NodeId, content: &str, references: &mut Vec<String>) -> String {
        let (tree, options) = (&*document.tree, &document.options);
        match self {
            Self::Paragraph => format!("\n\n{content}\n\n"),
            Self::LineBreak => format!("{}\n", options.br),
            Self::Heading(level @ 1..=2) if options.heading_style == "setext" => {
                let underline = if level == 1 { "=" } else { "-" }.repeat(units(content));
                format!("\n\n{content}\n{underline}\n\n")
            }
            Self::Heading(level) => format!("\n\n{} {content}\n\n", "#".repeat(level)),
            Self::Quote => format!("\n\n{}\n\n", quoted(content.trim_matches('\n'))),
            Self::List => {
                let parent = tree.parent(id);
                let ends_item = parent.is_some_and(|parent| {
                    tree.is(parent, "li") && document.facts[parent as usize].last_element == Some(id)
                });
                if ends_item { format!("\n{content}") } else { format!("\n\n{content}\n\n") }
            }
            Self::Item => item(document, id, content),
            Self::IndentedCode => {
                let code = tree.first_child(id).map(|code| tree.text_content(code)).unwrap_or_default();
                format!("\n\n    {}\n\n", code.replace('\n', "\n    "))
            }
            Self::FencedCode => fenced(document, id),
            Self::Line => format!("\n\n{}\n\n", options.hr),
            Self::InlineLink => {
                let href = destination(tree.attribute(id, "href").unwrap_or_default());
                format!("[{content}]({href}{})", title(document, id))
            }
            Self::ReferenceLink => {
                let href = destination(tree.attribute(id, "href").unwrap_or_default());
                let target = format!("{href}{}", title(document, id));
                let (written, name) = match options.link_reference_style.as_str() {
                    "collapsed" => (format!("[{content}][]"), content.to_owned()),
                    "shortcut" => (format!("[{content}]"), content.to_owned()),
                    _ => {
                        let number = (references.len() + 1).to_string();
                        (format!("[{content}][{number}]"), number)
                    }
                };
                references.push(format!("[{name}]: {target}"));
                written
            }
            Self::Emphasis | Self::Strong if trim(content).is_empty() => String::new(),
            Self::Emphasis => format!("{0}{content}{0}", options.em_delimiter),
            Self::Strong => format!("{0}{content}{0}", options.strong_delimiter),
            Self::Code => code(content),
            Self::Image => {
                let source = destination(tree.attribute(id, "src").unwrap_or_default());
                if source.is_empty() {
                    return String::new();
                }
                let alternative = markdown(&attribute(tree.attribute(id, "alt").unwrap_or_default()));
                format!("![{alternative}]({source}{})", title(document, id))
            }
        }
    }
}

/// The title of a link or an image, as it stands behind the address.
fn title(document: &Document, id: NodeId) -> String {
    let title = attribute(document.tree.attribute(id, "title").unwrap_or_default());
    if title.is_empty() { title } else { format!(" \"{}\"", with_backslashes(&title, &['"'])) }
}

/// With a mark at the start of each line.
fn quoted(content: &str) -> String {
    let mut quoted = String::from("> ");
    for char in content.chars() {
        quoted.push(char);
        if ends_line(char) {
            quoted.push_str("> ");
        }
    }
    quoted
}

fn item(document: &Document, id: NodeId, content: &str) -> String {
    let tree = &document.tree;
    let list = tree.parent(id).filter(|parent| tree.is(*parent, "ol"));
    let prefix = match list {
        Some(list) => {
            let index = document.facts[id as usize].index;
            let start = tree.attribute(list, "start").filter(|start| !start.is_empty());
            let number = start.map_or(f64::from(index) + 1.0, |start| number(start) + f64::from(index));
            format!("{number}.  ")
        }
        None => format!("{}   ", document.options.bullet_list_marker),
    };
    let end = if content.ends_with('\n') { "\n" } else { "" };
    let content = format!("{}{end}", content.trim_matches('\n'));
    let indented = content.replace('\n', &format!("\n{}", " ".repeat(units(&prefix))));
    let separator = if tree.next(id).is_some() { "\n" } else { "" };
    format!("{prefix}{indented}{separator}")
}

/// What JavaScript makes of a text where a number is needed.
fn number(text: &str) -> f64 {
    let text = trim(text);
    if text.is_empty() {
        return 0.0;
    }
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'));
    if is_decimal { text.parse().unwrap_or(f64::NAN) } else { f64::NAN }
}

fn fenced(document: &Document, id: NodeId) -> String {
    let tree = &document.tree;
    let Some(block) = tree.first_child(id) else { return String::new() };
    let class = tree.attribute(block, "class").unwrap_or_default();
    let language = class.match_indices("language-").map(|(at, mark)| &class[at + mark.len()..]);
    let language = language.map(|rest| rest.split(is_space).next().unwrap_or_default()).find(|name| !name.is_empty());
    let code = tree.text_content(block);
    let mark = document.options.fence.chars().next().unwrap_or('`');
    let runs = code.split(ends_line).map(|line| line.chars().take_while(|char| *char == mark).count());
    let size = runs.filter(|run| *run >= 3).max().map_or(3, |run| run + 1);
    let fence = mark.to_string().repeat(size);
    let code = code.strip_suffix('\n').unwrap_or(&code);
    format!("\n\n{fence}{}\n{code}\n{fence}\n\n", language.unwrap_or_default())
}

fn code(content: &str) -> String {
    if content.is_empty() {
        return String::new();
    }
    let content = content.replace("\r\n", " ").replace(['\r', '\n'], " ");
    let is_padded = content.len() > 2 && content.starts_with(' ') && content.ends_with(' ');
    let needs_space =
        content.starts_with('`') || content.ends_with('`') || is_padded && content.chars().any(|char| char != ' ');
    let space = if needs_space { " " } else { "" };
    let runs: Vec<usize> = content.split(|char| char != '`').map(str::len).collect();
    let size = (1..=runs.len() + 1).find(|size| !runs.contains(size)).unwrap_or(1);
    let delimiter = "`".repeat(size);
    format!("{delimiter}{space}{content}{space}{delimiter}")
}

fn is_space(char: char) -> bool {
    super::escape::is_space(char)
}
