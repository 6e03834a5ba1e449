//! The functions that the files in `js/` stand on.

use boa_engine::object::builtins::{JsArray, JsArrayBuffer, JsFunction};
use boa_engine::object::{JsObject, ObjectInitializer};
use boa_engine::{Context, JsArgs as _, JsNativeError, JsResult, JsString, JsSymbol, JsValue};

use crate::builtins::{Native, fault, relieving};
use crate::host::{Level, Request};
use crate::jobs::{MILLISECOND, Settle, buffer, jobs};
use crate::types::{Type, short};
use crate::{awaits, json, libraries, zones};

mod digest;
mod text;

/// The object that the files in `js/` know as `host`.
pub(crate) fn object(context: &mut Context) -> JsObject {
    const FUNCTIONS: [(&str, Native, usize); 18] = [
        ("apiUrl", api_url, 0),
        ("secrets", secrets, 0),
        ("changed", changed, 0),
        ("getCell", get_cell, 1),
        ("setCell", set_cell, 2),
        ("parse", parse, 1),
        ("items", items, 2),
        ("typeOf", type_of, 1),
        ("contradiction", contradiction, 3),
        ("log", log, 2),
        ("now", now, 0),
        ("random", random, 1),
        ("setTimer", set_timer, 3),
        ("clearTimer", clear_timer, 1),
        ("encode", encode, 1),
        ("decode", decode, 3),
        ("fetch", fetch, 6),
        ("cancelFetch", cancel_fetch, 1),
    ];
    let mut object = ObjectInitializer::new(context);
    let further = text::FUNCTIONS
        .into_iter()
        .chain(digest::FUNCTIONS)
        .chain(awaits::FUNCTIONS)
        .chain(libraries::FUNCTIONS)
        .chain(zones::FUNCTIONS);
    for (name, function, length) in FUNCTIONS.into_iter().chain(further) {
        object.function(relieving(function), JsString::from(name), length);
    }
    object.build()
}

fn function(value: &JsValue) -> JsResult<JsFunction> {
    let function = value.as_object().and_then(JsFunction::from_object);
    function.ok_or_else(|| JsNativeError::typ().with_message("expected a function").into())
}

fn text(value: &JsValue) -> JsResult<String> {
    let text = value.as_string().ok_or_else(|| JsNativeError::typ().with_message("expected a text"))?;
    Ok(text.to_std_string_lossy())
}

fn get_cell(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = text(args.get_or_undefined(0))?;
    let cell = jobs(context)?.host.cell(&name).map_err(|why| fault(format!("cell {name:?}: {why}")))?;
    Ok(cell.map_or_else(JsValue::undefined, |json| JsString::from(json.as_str()).into()))
}

fn set_cell(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let (name, json) = (text(args.get_or_undefined(0))?, text(args.get_or_undefined(1))?);
    jobs(context)?.host.set_cell(&name, &json).map_err(|why| fault(format!("cell {name:?}: {why}")))?;
    Ok(JsValue::undefined())
}

fn api_url(_: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    Ok(JsString::from(jobs(context)?.host.api_url().as_str()).into())
}

fn secrets(_: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    Ok(JsString::from(jobs(context)?.host.secrets().as_str()).into())
}

fn changed(_: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    Ok(JsString::from(jobs(context)?.host.changed().as_str()).into())
}

fn parse(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    json::parse(&text(args.get_or_undefined(0))?, context)
}

/// What is iterated, which the first argument names, unless it can't be.
fn items(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let value = args.get_or_undefined(1);
    let is_iterable = match value.as_object() {
        Some(object) => object.is_array() || object.get(JsSymbol::iterator(), context)?.is_callable(),
        None => value.is_string(),
    };
    if is_iterable {
        return Ok(value.clone());
    }
    let name = text(args.get_or_undefined(0))?;
    Err(JsNativeError::typ().with_message(format!("{name} is not iterable")).into())
}

/// The number of the type that a schema describes, unless that takes everything.
fn type_of(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let schema = serde_json::from_str(&text(args.get_or_undefined(0))?).unwrap_or_default();
    let Some(ty) = Type::of(&schema) else { return Ok(JsValue::undefined()) };
    let jobs = jobs(context)?;
    let mut types = jobs.types.borrow_mut();
    types.push(ty);
    Ok((types.len() - 1).into())
}

/// What of a JSON text contradicts a type at a path: where, where for all items of an array, and how.
fn contradiction(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let number = usize::try_from(args.get_or_undefined(0).to_u32(context)?).unwrap_or(usize::MAX);
    let path: Vec<serde_json::Value> = serde_json::from_str(&text(args.get_or_undefined(1))?).unwrap_or_default();
    let written = text(args.get_or_undefined(2))?;
    let jobs = jobs(context)?;
    let types = jobs.types.borrow();
    let Some(ty) = types.get(number) else { return Ok(JsValue::undefined()) };
    let Some(found) = ty.contradiction(&path, &written) else { return Ok(JsValue::undefined()) };
    let ([above, above_every], [way, every]) = (ty.spelled(&path), found.ways());
    let parts = [short(&format!("{above}{way}")), short(&format!("{above_every}{every}")), found.words()]
        .map(|part| JsString::from(part.as_str()).into());
    Ok(JsArray::from_iter(parts, context).into())
}

fn log(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let level = match text(args.get_or_undefined(0))?.as_str() {
        "trace" => Level::Trace,
        "debug" => Level::Debug,
        "warn" => Level::Warn,
        "error" => Level::Error,
        _ => Level::Info,
    };
    jobs(context)?.host.log(level, &text(args.get_or_undefined(1))?);
    Ok(JsValue::undefined())
}

/// Milliseconds since some moment.
fn now(_: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    #[expect(clippy::cast_precision_loss, reason = "a fraction of a millisecond is enough")]
    let now = jobs(context)?.host.now() as f64;
    Ok((now / MILLISECOND).into())
}

fn random(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let length = args.get_or_undefined(0).to_u32(context)?;
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    getrandom::fill(&mut bytes).map_err(|error| fault(format!("there are no random numbers: {error}")))?;
    Ok(buffer(&bytes, context)?.into())
}

fn set_timer(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let function = function(args.get_or_undefined(0))?;
    let milliseconds = args.get_or_undefined(1).to_number(context)?;
    let weak = args.get_or_undefined(2).to_boolean();
    Ok(jobs(context)?.set_timer(function, milliseconds, weak).into())
}

fn clear_timer(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let id = args.get_or_undefined(0).to_u32(context)?;
    jobs(context)?.clear_timer(id);
    Ok(JsValue::undefined())
}

fn encode(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    Ok(buffer(text(args.get_or_undefined(0))?.as_bytes(), context)?.into())
}

fn bytes(value: &JsValue) -> JsResult<Vec<u8>> {
    let object = value.as_object().ok_or_else(|| JsNativeError::typ().with_message("expected an ArrayBuffer"))?;
    JsArrayBuffer::from_object(object)?
        .to_vec()
        .ok_or_else(|| JsNativeError::typ().with_message("this ArrayBuffer is detached").into())
}

/// The text of UTF-8, and how many bytes at its end are the beginning of a character, if more may follow (the third
/// argument). What is not UTF-8 is replaced as the Encoding standard says, or is an error (the second).
fn decode(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let bytes = bytes(args.get_or_undefined(0))?;
    let (fatal, more) = (args.get_or_undefined(1).to_boolean(), args.get_or_undefined(2).to_boolean());
    let mut decoded = String::with_capacity(bytes.len());
    let mut rest = 0;
    for chunk in bytes.utf8_chunks() {
        decoded.push_str(chunk.valid());
        let invalid = chunk.invalid();
        if invalid.is_empty() {
            continue;
        }
        if more && std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none()) {
            rest = invalid.len();
        } else if fatal {
            return Err(JsNativeError::typ().with_message("TextDecoder: this is not UTF-8").into());
        } else {
            decoded.push(char::REPLACEMENT_CHARACTER);
        }
    }
    let decoded = JsString::from(decoded.as_str());
    Ok(JsArray::from_iter([decoded.into(), JsValue::from(rest)], context).into())
}

fn fetch(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let fields = args.get_or_undefined(2).as_object().ok_or_else(|| fault("expected an array"))?;
    let fields = JsArray::from_object(fields)?;
    let mut headers = Vec::new();
    let length = fields.length(context)?;
    for at in (0..length).step_by(2) {
        let (name, value) = (fields.get(at, context)?, fields.get(at + 1, context)?);
        headers.push((text(&name)?, text(&value)?));
    }
    let body = args.get_or_undefined(3);
    let request = Request {
        method: text(args.get_or_undefined(0))?,
        url: text(args.get_or_undefined(1))?,
        headers,
        body: if body.is_undefined() { None } else { Some(bytes(body)?) },
    };
    let settle = Settle { done: function(args.get_or_undefined(4))?, failed: function(args.get_or_undefined(5))? };
    let sent = jobs(context)?.fetch(request, settle, context)?;
    Ok(sent.map_or_else(JsValue::undefined, JsValue::from))
}

fn cancel_fetch(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let id = args.get_or_undefined(0).to_u32(context)?;
    jobs(context)?.cancel_fetch(id);
    Ok(JsValue::undefined())
}
