//! HTML as Markdown, and the nodes that a charm's own rules see meanwhile.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use boa_engine::object::JsObject;
use boa_engine::object::builtins::JsArray;
use boa_engine::{Context, JsArgs as _, JsError, JsNativeError, JsResult, JsString, JsValue};

use super::text;
use crate::builtins::{Native, fault, method};
use crate::html::{Kind, NodeId, Tree, inner, outer};
use crate::jobs::jobs;
use crate::turndown::{Document, Filters, Hooks, Names, Options, Other, escaped};

/// What `natives` offers of this file.
pub(super) const FUNCTIONS: [(&str, Native, usize); 3] =
    [("toMarkdown", to_markdown, 4), ("escapeMarkdown", escape_markdown, 1), ("htmlNode", html_node, 4)];

/// Documents that are being converted, by their numbers.
#[derive(Default)]
struct Documents {
    open: RefCell<BTreeMap<u32, Rc<Document>>>,
}

impl Documents {
    fn add(&self, document: &Rc<Document>) -> u32 {
        let mut open = self.open.borrow_mut();
        let number = open.last_key_value().map_or(0, |(last, _)| last + 1);
        open.insert(number, Rc::clone(document));
        number
    }
}

/// `toMarkdown(html, options, filters, hooks)`: `options` as [`options`] has them; `filters` is `[rules, kept, removed]`,
/// each a list with a list of names, or something else, for each; `hooks` has the functions of [`Calls`].
fn to_markdown(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let html = text(args.get_or_undefined(0))?;
    let options = options(args.get_or_undefined(1), context)?;
    let filters = list(args.get_or_undefined(2), context)?;
    let [rules, kept, removed] = filters.as_slice() else { return Err(fault("expected three lists")) };
    let filters =
        Filters { rules: names(rules, context)?, kept: names(kept, context)?, removed: names(removed, context)? };
    let hooks = args.get_or_undefined(3).as_object().ok_or_else(|| fault("expected an object"))?;
    let document = Document::new(&html, options)
        .map_err(|why| JsNativeError::range().with_message(format!("turndown: this HTML is not converted: {why}")))?;
    let document = Rc::new(document);
    let documents = jobs(context)?.part::<Documents>();
    let number = documents.add(&document);
    let markdown = document.convert(&filters, &mut Calls { hooks, number, context });
    documents.open.borrow_mut().remove(&number);
    Ok(JsString::from(markdown?.as_str()).into())
}

/// In the order of the fields.
fn options(value: &JsValue, context: &mut Context) -> JsResult<Options> {
    let texts: Vec<String> = list(value, context)?.iter().map(text).collect::<JsResult<_>>()?;
    let [heading_style, hr, bullet_list_marker, code_block_style, fence, em_delimiter, more @ ..] = texts.as_slice()
    else {
        return Err(fault("expected options"));
    };
    let [strong_delimiter, link_style, link_reference_style, br, preformatted_code] = more else {
        return Err(fault("expected more options"));
    };
    Ok(Options {
        heading_style: heading_style.clone(),
        hr: hr.clone(),
        bullet_list_marker: bullet_list_marker.clone(),
        code_block_style: code_block_style.clone(),
        fence: fence.clone(),
        em_delimiter: em_delimiter.clone(),
        strong_delimiter: strong_delimiter.clone(),
        link_style: link_style.clone(),
        link_reference_style: link_reference_style.clone(),
        br: br.clone(),
        preformatted_code: !preformatted_code.is_empty(),
    })
}

fn list(value: &JsValue, context: &mut Context) -> JsResult<Vec<JsValue>> {
    let array = JsArray::from_object(value.as_object().ok_or_else(|| fault("expected an array"))?)?;
    (0..array.length(context)?).map(|at| array.get(at, context)).collect()
}

fn names(value: &JsValue, context: &mut Context) -> JsResult<Vec<Names>> {
    let mut found = Vec::new();
    for one in list(value, context)? {
        let names = match one.as_object().filter(JsObject::is_array) {
            Some(_) => Names::These(list(&one, context)?.iter().filter_map(|name| text(name).ok()).collect()),
            None => Names::Asked,
        };
        found.push(names);
    }
    Ok(found)
}

/// Asks the charm.
struct Calls<'c> {
    /// `takes(filter, document, id)`, `write(what, document, id, content)`, `escape(text)`, `append()`; one that is not
    /// there leaves it to the package.
    hooks: JsObject,
    number: u32,
    context: &'c mut Context,
}

impl Calls<'_> {
    fn call(&mut self, name: &str, args: &[JsValue]) -> JsResult<Option<JsValue>> {
        if self.hooks.get(JsString::from(name), self.context)?.is_undefined() {
            return Ok(None);
        }
        let function = method(&self.hooks, name, self.context)?;
        function.call(&JsValue::undefined(), args, self.context).map(Some)
    }

    fn text(&mut self, value: Option<JsValue>) -> JsResult<Option<String>> {
        let Some(value) = value.filter(|value| !value.is_undefined()) else { return Ok(None) };
        Ok(Some(value.to_string(self.context)?.to_std_string_lossy()))
    }
}

impl Hooks for Calls<'_> {
    type Error = JsError;

    fn takes(&mut self, filter: usize, id: NodeId) -> JsResult<bool> {
        let args = [filter.into(), self.number.into(), id.into()];
        Ok(self.call("takes", &args)?.is_some_and(|taken| taken.to_boolean()))
    }

    fn write(&mut self, what: Other, id: NodeId, content: &str) -> JsResult<Option<String>> {
        let name: JsValue = match what {
            Other::Rule(number) => number.into(),
            Other::Blank => JsString::from("blankReplacement").into(),
            Other::Keep => JsString::from("keepReplacement").into(),
            Other::Default => JsString::from("defaultReplacement").into(),
        };
        let args = [name, self.number.into(), id.into(), JsString::from(content).into()];
        let written = self.call(if matches!(what, Other::Rule(_)) { "write" } else { "writeOther" }, &args)?;
        self.text(written)
    }

    fn escape(&mut self, text: &str) -> JsResult<Option<String>> {
        let escaped = self.call("escape", &[JsString::from(text).into()])?;
        self.text(escaped)
    }

    fn appended(&mut self) -> JsResult<Vec<String>> {
        let Some(texts) = self.call("append", &[])? else { return Ok(Vec::new()) };
        list(&texts, self.context)?.iter().map(text).collect()
    }
}

fn escape_markdown(_: &JsValue, args: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    Ok(JsString::from(escaped(&text(args.get_or_undefined(0))?).as_str()).into())
}

/// `htmlNode(document, id, what, name)`: what a node is, or its neighbours' numbers.
fn html_node(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let number = args.get_or_undefined(0).to_u32(context)?;
    let id = args.get_or_undefined(1).to_u32(context)?;
    let what = text(args.get_or_undefined(2))?;
    let documents = jobs(context)?.part::<Documents>();
    let document = documents.open.borrow().get(&number).cloned();
    let gone = || JsNativeError::error().with_message("turndown: this node's document is converted, and gone");
    let document = document.ok_or_else(gone)?;
    let tree = &*document.tree;
    let texts = |texts: Vec<String>, context: &mut Context| {
        let texts: Vec<JsValue> = texts.iter().map(|text| JsString::from(text.as_str()).into()).collect();
        JsValue::from(JsArray::from_iter(texts, context))
    };
    let node = |id: Option<NodeId>| id.map_or_else(JsValue::undefined, JsValue::from);
    let string = |text: &str| JsValue::from(JsString::from(text));
    Ok(match what.as_str() {
        "name" => string(&name(tree, id)),
        "type" => match tree.kind(id) {
            Kind::Element { .. } => 1.into(),
            Kind::Text(_) => 3.into(),
            Kind::Comment => 8.into(),
            Kind::Document => 9.into(),
        },
        "value" => tree.text(id).map_or_else(JsValue::undefined, string),
        "text" => string(&tree.text_content(id)),
        "inner" => string(&inner(tree, id)),
        "outer" => string(&outer(tree, id)),
        "attribute" => tree
            .attribute(id, &text(args.get_or_undefined(3))?.to_ascii_lowercase())
            .map_or_else(JsValue::undefined, string),
        "attributes" => {
            let flat = tree.attributes(id).iter();
            texts(flat.flat_map(|one| [one.name.local.to_string(), one.value.to_string()]).collect(), context)
        }
        "parent" => node(tree.parent(id)),
        "previous" => node(tree.previous(id)),
        "next" => node(tree.next(id)),
        "first" => node(tree.first_child(id)),
        "last" => node(tree.last_child(id)),
        "children" => {
            let ids: Vec<JsValue> = tree.children(id).map(JsValue::from).collect();
            JsArray::from_iter(ids, context).into()
        }
        "within" => {
            let ids: Vec<JsValue> = tree.within(id).filter(|id| tree.is_element(*id)).map(JsValue::from).collect();
            JsArray::from_iter(ids, context).into()
        }
        "facts" => {
            let (is_blank, is_block, is_code, (leading, trailing)) = document.facts(id);
            let facts = [is_blank.into(), is_block.into(), is_code.into(), string(&leading), string(&trailing)];
            JsArray::from_iter(facts, context).into()
        }
        other => return Err(fault(format!("a node has no {other}"))),
    })
}

/// As the DOM names nodes.
fn name(tree: &Tree, id: NodeId) -> String {
    match tree.kind(id) {
        Kind::Element { name, .. } if tree.is(id, &name.local) => name.local.to_ascii_uppercase().to_string(),
        Kind::Element { name, .. } => name.local.to_string(),
        Kind::Text(_) => "#text".to_owned(),
        Kind::Comment => "#comment".to_owned(),
        Kind::Document => "#document".to_owned(),
    }
}
