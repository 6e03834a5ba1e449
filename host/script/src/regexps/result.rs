//! What describes a match.

use std::ops::Range;

use boa_engine::object::builtins::JsArray;
use boa_engine::{Context, JsObject, JsResult, JsString, JsValue, js_string};

use super::loops::Found;
use crate::strings::Strings;

/// The array that describes a match.
pub(super) fn result(
    strings: &Strings,
    text: &JsString,
    found: &Found,
    indices: bool,
    context: &mut Context,
) -> JsResult<JsArray> {
    let texts = found.groups().map(|range| group(strings, text, range));
    let array = JsArray::from_iter(texts.collect::<Vec<_>>(), context);
    array.create_data_property_or_throw(js_string!("index"), found.start(), context)?;
    array.create_data_property_or_throw(js_string!("input"), text.clone(), context)?;
    let groups = named(found, |range, _| group(strings, text, range), context)?;
    array.create_data_property_or_throw(js_string!("groups"), groups, context)?;
    if indices {
        let pairs: Vec<_> = found.groups().map(|range| pair(range, context)).collect();
        let pairs = JsArray::from_iter(pairs, context);
        let groups = named(found, pair, context)?;
        pairs.create_data_property_or_throw(js_string!("groups"), groups, context)?;
        array.create_data_property_or_throw(js_string!("indices"), pairs, context)?;
    }
    Ok(array)
}

pub(super) fn group(strings: &Strings, text: &JsString, range: Option<Range<usize>>) -> JsValue {
    range.map_or_else(JsValue::undefined, |range| strings.piece(text, range).into())
}

fn pair(range: Option<Range<usize>>, context: &mut Context) -> JsValue {
    let Some(range) = range else { return JsValue::undefined() };
    JsArray::from_iter([range.start.into(), range.end.into()], context).into()
}

/// What `value` makes of the groups that have names, by these; undefined if none has.
pub(super) fn named(
    found: &Found,
    mut value: impl FnMut(Option<Range<usize>>, &mut Context) -> JsValue,
    context: &mut Context,
) -> JsResult<JsValue> {
    if found.names.is_empty() {
        return Ok(JsValue::undefined());
    }
    let groups = JsObject::with_null_proto();
    for (name, range) in &found.names {
        let value = value(range.clone(), context);
        groups.create_data_property_or_throw(JsString::from(name.as_str()), value, context)?;
    }
    Ok(groups.into())
}
