//! `charm show --ui`: a charm's page as text.

use bg_poller::CharmRef;
use serde_json::{Map, Value};

use crate::args::{Common, HandlerArgs};
use crate::{connect, output};

/// Elements within a line of text.
const INLINE: [&str; 14] =
    ["a", "abbr", "b", "code", "em", "i", "label", "mark", "small", "span", "strong", "sub", "sup", "u"];

/// The deepest nesting that is still indented.
const DEEPEST: usize = 20;

/// Prints the page.
pub(super) async fn run(common: &Common, charm: &CharmRef) -> anyhow::Result<()> {
    let runtime = connect::with_handlers(common, &HandlerArgs::default()).await?.runtime;
    match runtime.page(charm).await? {
        None => output::line(format_args!("{charm} has no page: its pattern returns no UI"))?,
        Some(page) => {
            for line in lines(&page) {
                output::line(line)?;
            }
        }
    }
    Ok(())
}

/// The page's lines.
fn lines(page: &Value) -> Vec<String> {
    let mut text = Text::default();
    text.nodes(page, 0);
    text.end_line();
    text.lines
}

/// The text so far.
#[derive(Default)]
struct Text {
    lines: Vec<String>,
    line: String,
    indent: usize,
}

impl Text {
    fn nodes(&mut self, nodes: &Value, depth: usize) {
        for node in nodes.as_array().into_iter().flatten() {
            match node {
                Value::String(text) => self.words(text),
                Value::Object(node) => self.node(node, depth),
                _ => {}
            }
        }
    }

    fn node(&mut self, node: &Map<String, Value>, depth: usize) {
        let name = node.get("name").and_then(Value::as_str).unwrap_or_default();
        let empty = Map::new();
        let props = node.get("props").and_then(Value::as_object).unwrap_or(&empty);
        let children = node.get("children").unwrap_or(&Value::Null);
        let prop = |name: &str| props.get(name).or_else(|| props.get(&format!("${name}"))).map(plain);
        let kind = name.rsplit('-').next().unwrap_or(name);
        match kind {
            _ if INLINE.contains(&name) => {
                self.nodes(children, depth + 1);
                if let Some(address) = prop("href") {
                    self.words(&format!(" <{address}>"));
                }
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "heading" => {
                self.block(|text| {
                    text.words("# ");
                    text.nodes(children, depth + 1);
                });
            }
            "li" => self.block(|text| {
                text.words("- ");
                text.indented(depth, |text| text.nodes(children, depth + 1));
            }),
            "td" | "th" => {
                if !self.line.is_empty() {
                    self.words(" | ");
                }
                self.nodes(children, depth + 1);
            }
            "br" => self.end_line(),
            "hr" => self.block(|text| text.words("---")),
            "button" => {
                self.words(" [");
                self.nodes(children, depth + 1);
                self.words("] ");
            }
            "input" | "textarea" | "select" | "checkbox" | "switch" => {
                let value = prop("value").or_else(|| prop("checked")).filter(|value| !value.is_empty());
                let shown = value.or_else(|| prop("placeholder").map(|hint| format!("({hint})"))).unwrap_or_default();
                self.words(&format!(" <{shown}> "));
            }
            "img" => self.words(&format!("(image{})", prop("alt").map_or(String::new(), |alt| format!(": {alt}")))),
            "updater" => {
                let integration = prop("integration").unwrap_or_default();
                self.block(|text| text.words(&format!("[register for background updates: {integration}]")));
            }
            "style" | "script" => {}
            _ => self.block(|text| text.nodes(children, depth + 1)),
        }
    }

    fn block(&mut self, write: impl FnOnce(&mut Self)) {
        self.end_line();
        write(self);
        self.end_line();
    }

    fn indented(&mut self, depth: usize, write: impl FnOnce(&mut Self)) {
        let more = usize::from(depth < DEEPEST) * 2;
        self.indent += more;
        write(self);
        self.end_line();
        self.indent -= more;
    }

    fn words(&mut self, text: &str) {
        let joined = text.split_inclusive(char::is_whitespace).map(|word| word.trim_end_matches(char::is_whitespace));
        for (index, word) in joined.enumerate() {
            if (index > 0 || text.starts_with(char::is_whitespace))
                && !self.line.ends_with(' ')
                && !self.line.is_empty()
            {
                self.line.push(' ');
            }
            if self.line.is_empty() && !word.is_empty() && !self.lines.is_empty() {
                self.line.push_str(&" ".repeat(self.indent));
            }
            self.line.push_str(&output::printable(word));
        }
        if text.ends_with(char::is_whitespace) && !self.line.is_empty() && !self.line.ends_with(' ') {
            self.line.push(' ');
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        // An empty line, or the mark of a heading or an item without text.
        if !matches!(line.trim(), "" | "#" | "-") {
            self.lines.push(line.trim_end().to_owned());
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "the call reads like the page")]
    fn node(name: &str, props: Value, children: Value) -> Value {
        json!({"name": name, "props": props, "children": children})
    }

    #[test]
    fn a_page_is_printed_as_text() {
        let page = json!([node(
            "div",
            json!({}),
            json!([
                node("h2", json!({}), json!(["Counter"])),
                node("p", json!({}), json!(["3", " (polled last: ", node("b", json!({}), json!(["never"])), ")"])),
                node("ct-button", json!({}), json!(["Add one"])),
                node("ct-input", json!({"$value": "in:INBOX"}), json!([])),
                node("common-input", json!({"value": "", "placeholder": "a name"}), json!([])),
                node(
                    "ul",
                    json!({}),
                    json!([
                        node("li", json!({}), json!(["one"])),
                        node(
                            "li",
                            json!({}),
                            json!(["two", node("ul", json!({}), json!([node("li", json!({}), json!(["deeper"]))]))])
                        ),
                    ])
                ),
                node(
                    "table",
                    json!({}),
                    json!([node(
                        "tr",
                        json!({}),
                        json!([node("td", json!({}), json!(["a"])), node("td", json!({}), json!(["b\u{1b}[31m"])),])
                    )])
                ),
                node("a", json!({"href": "https://a.example/"}), json!(["link"])),
                node("img", json!({"alt": "a cat"}), json!([])),
                node("hr", json!({}), json!([])),
                node("style", json!({}), json!(["p { color: red }"])),
                node("ct-updater", json!({"integration": "gmail"}), json!([])),
            ])
        )]);
        assert_eq!(
            lines(&page),
            [
                "# Counter",
                "3 (polled last: never)",
                "[Add one] <in:INBOX> <(a name)>",
                "- one",
                "- two",
                "  - deeper",
                "a | b\\u{1b}[31m",
                "link <https://a.example/>(image: a cat)",
                "---",
                "[register for background updates: gmail]",
            ]
        );
        assert_eq!(lines(&json!([])), [""; 0]);
    }
}
