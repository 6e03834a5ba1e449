//! The functions of `String.prototype` that search and cut.

use std::cell::OnceCell;
use std::ops::Range;

use boa_engine::object::builtins::{JsArray, JsFunction};
use boa_engine::value::IntegerOrInfinity;
use boa_engine::{Context, JsArgs as _, JsNativeError, JsResult, JsString, JsValue};

use super::known::Strings;
use super::output::Output;
use super::search;
use super::substitution::{Groups, substitute};
use crate::builtins::{Native, fault, replace_method};
use crate::jobs::jobs;

/// The engine's functions, for what these leave to them.
struct Builtins {
    includes: JsFunction,
    split: JsFunction,
    replace_all: JsFunction,
}

/// Puts the functions in the place of the engine's.
pub(crate) fn install(context: &mut Context) -> JsResult<()> {
    const FUNCTIONS: [(&str, Native, usize); 8] = [
        ("slice", slice, 2),
        ("substring", substring, 2),
        ("substr", substr, 2),
        ("trim", trim, 0),
        ("trimStart", trim_start, 0),
        ("trimEnd", trim_end, 0),
        ("indexOf", index_of, 1),
        ("lastIndexOf", last_index_of, 1),
    ];
    let prototype = context.intrinsics().constructors().string().prototype();
    let mut replace = |name: &str, function, length| {
        replace_method(&prototype, JsString::from(name), name, function, length, context)
    };
    for (name, function, length) in FUNCTIONS {
        replace(name, function, length)?;
    }
    let builtins = Builtins {
        includes: replace("includes", includes, 1)?,
        split: replace("split", split, 2)?,
        replace_all: replace("replaceAll", replace_all, 2)?,
    };
    // The old names are other names of the same functions.
    for (old, new) in [("trimLeft", "trimStart"), ("trimRight", "trimEnd")] {
        let function = prototype.get(JsString::from(new), context)?;
        prototype.set(JsString::from(old), function, true, context)?;
    }
    jobs(context)?.part::<OnceCell<Builtins>>().set(builtins).ok();
    Ok(())
}

/// One of the engine's functions.
fn engines(which: fn(&Builtins) -> &JsFunction, context: &Context) -> JsResult<JsFunction> {
    let builtins = jobs(context)?.part::<OnceCell<Builtins>>();
    let builtins = builtins.get().ok_or_else(|| fault("the functions of texts were not replaced"))?;
    Ok(which(builtins).clone())
}

/// `this` as a text.
fn receiver(this: &JsValue, name: &str, context: &mut Context) -> JsResult<JsString> {
    if this.is_null_or_undefined() {
        let message = format!("String.prototype.{name} called on null or undefined");
        return Err(JsNativeError::typ().with_message(message).into());
    }
    this.to_string(context)
}

fn piece(text: &JsString, range: Range<usize>, context: &Context) -> JsResult<JsValue> {
    let range = range.start..range.end.max(range.start);
    Ok(jobs(context)?.part::<Strings>().piece(text, range).into())
}

/// A place in a text of that length, counted from its end if it is negative.
fn relative(place: IntegerOrInfinity, length: usize) -> usize {
    match place {
        IntegerOrInfinity::Integer(place) if place < 0 => {
            length.saturating_sub(usize::try_from(place.unsigned_abs()).unwrap_or(usize::MAX))
        }
        place => clamped(place, length),
    }
}

/// The place in a text of that length which is next to it.
fn clamped(place: IntegerOrInfinity, length: usize) -> usize {
    match place {
        IntegerOrInfinity::PositiveInfinity => length,
        IntegerOrInfinity::NegativeInfinity => 0,
        IntegerOrInfinity::Integer(place) if place < 0 => 0,
        IntegerOrInfinity::Integer(place) => usize::try_from(place).unwrap_or(usize::MAX).min(length),
    }
}

/// An argument that may be left out.
fn optional(args: &[JsValue], at: usize, context: &mut Context) -> JsResult<IntegerOrInfinity> {
    let value = args.get_or_undefined(at);
    if value.is_undefined() { Ok(IntegerOrInfinity::PositiveInfinity) } else { value.to_integer_or_infinity(context) }
}

fn slice(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let text = receiver(this, "slice", context)?;
    let start = relative(args.get_or_undefined(0).to_integer_or_infinity(context)?, text.len());
    let end = relative(optional(args, 1, context)?, text.len());
    piece(&text, start..end, context)
}

fn substring(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let text = receiver(this, "substring", context)?;
    let start = clamped(args.get_or_undefined(0).to_integer_or_infinity(context)?, text.len());
    let end = clamped(optional(args, 1, context)?, text.len());
    piece(&text, start.min(end)..start.max(end), context)
}

fn substr(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let text = receiver(this, "substr", context)?;
    let start = relative(args.get_or_undefined(0).to_integer_or_infinity(context)?, text.len());
    let length = clamped(optional(args, 1, context)?, text.len() - start);
    piece(&text, start..start + length, context)
}

/// The range that is left when white space is trimmed.
fn trimmed(text: &JsString) -> Range<usize> {
    let start = text.len() - text.trim_start().len();
    let end = text.trim_end().len();
    start.min(end)..end
}

fn trim(this: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let text = receiver(this, "trim", context)?;
    piece(&text, trimmed(&text), context)
}

fn trim_start(this: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let text = receiver(this, "trimStart", context)?;
    piece(&text, text.len() - text.trim_start().len()..text.len(), context)
}

fn trim_end(this: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let text = receiver(this, "trimEnd", context)?;
    piece(&text, 0..trimmed(&text).end, context)
}

/// A place, or -1.
fn index(found: Option<usize>) -> JsValue {
    found.map_or_else(|| (-1).into(), JsValue::from)
}

fn index_of(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let text = receiver(this, "indexOf", context)?;
    let needle = args.get_or_undefined(0).to_string(context)?;
    let from = clamped(args.get_or_undefined(1).to_integer_or_infinity(context)?, text.len());
    Ok(index(search::first(&text, &needle, from)))
}

fn last_index_of(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let text = receiver(this, "lastIndexOf", context)?;
    let needle = args.get_or_undefined(0).to_string(context)?;
    let from = args.get_or_undefined(1).to_number(context)?;
    let from = if from.is_nan() { IntegerOrInfinity::PositiveInfinity } else { from.into() };
    Ok(index(search::last(&text, &needle, clamped(from, text.len()))))
}

fn includes(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let needle = args.get_or_undefined(0);
    if needle.is_object() {
        // It may be a regular expression, which is refused.
        return engines(|engines| &engines.includes, context)?.call(this, args, context);
    }
    let text = receiver(this, "includes", context)?;
    let needle = needle.to_string(context)?;
    let from = clamped(args.get_or_undefined(1).to_integer_or_infinity(context)?, text.len());
    Ok(search::first(&text, &needle, from).is_some().into())
}

fn split(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let [separator, limit] = [0, 1].map(|at| args.get_or_undefined(at));
    if separator.is_object() {
        return engines(|engines| &engines.split, context)?.call(this, args, context);
    }
    let text = receiver(this, "split", context)?;
    let limit = if limit.is_undefined() { u32::MAX } else { limit.to_u32(context)? };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let by = separator.to_string(context)?;
    let strings = jobs(context)?.part::<Strings>();
    let mut parts: Vec<JsValue> = Vec::new();
    if limit == 0 {
    } else if separator.is_undefined() {
        parts.push(text.into());
    } else if by.is_empty() {
        parts.extend((0..text.len().min(limit)).map(|at| JsValue::from(strings.piece(&text, at..at + 1))));
    } else {
        let mut from = 0;
        while let Some(at) = search::first(&text, &by, from).filter(|_| parts.len() < limit) {
            parts.push(strings.piece(&text, from..at).into());
            from = at + by.len();
        }
        if parts.len() < limit {
            parts.push(strings.piece(&text, from..text.len()).into());
        }
    }
    Ok(JsArray::from_iter(parts, context).into())
}

fn replace_all(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let [searched, replacement] = [0, 1].map(|at| args.get_or_undefined(at));
    if searched.is_object() {
        return engines(|engines| &engines.replace_all, context)?.call(this, args, context);
    }
    let text = receiver(this, "replaceAll", context)?;
    let searched = searched.to_string(context)?;
    let function = replacement.as_object().and_then(JsFunction::from_object);
    let template = if function.is_some() { None } else { Some(replacement.to_string(context)?) };
    let mut output = Output::new();
    let mut done = 0;
    let mut from = 0;
    while let Some(at) = search::first(&text, &searched, from) {
        let found = at..at + searched.len();
        output.push_part(&text, done..at);
        match (&function, &template) {
            (Some(function), _) => {
                let given = [searched.clone().into(), at.into(), text.clone().into()];
                let made = function.call(&JsValue::undefined(), &given, context)?.to_string(context)?;
                output.push(&made);
            }
            (None, Some(template)) => substitute(&mut output, template, &text, &Groups::of_text(found.clone())),
            (None, None) => {}
        }
        done = found.end;
        from = at + searched.len().max(1);
    }
    output.push_part(&text, done..text.len());
    Ok(output.finish().into())
}
