//! The functions that the files in `js/` stand on.

use std::rc::Rc;

use boa_engine::object::builtins::{JsArray, JsArrayBuffer, JsFunction, JsPromise};
use boa_engine::object::{JsObject, ObjectInitializer};
use boa_engine::{Context, JsArgs as _, JsNativeError, JsResult, JsString, JsValue, NativeFunction};
use data_encoding::{BASE64, BASE64_NOPAD};

use crate::host::{Level, Request};
use crate::jobs::{Jobs, buffer};
use crate::json;

type Native = fn(&JsValue, &[JsValue], &mut Context) -> JsResult<JsValue>;

/// The object that the files in `js/` know as `host`.
pub(crate) fn object(context: &mut Context) -> JsObject {
    const FUNCTIONS: [(&str, Native, usize); 12] = [
        ("apiUrl", api_url, 0),
        ("getCell", get_cell, 1),
        ("setCell", set_cell, 2),
        ("parse", parse, 1),
        ("log", log, 2),
        ("setTimer", set_timer, 2),
        ("clearTimer", clear_timer, 1),
        ("encode", encode, 1),
        ("decode", decode, 1),
        ("fromBase64", from_base64, 1),
        ("toBase64", to_base64, 1),
        ("fetch", fetch, 4),
    ];
    let mut object = ObjectInitializer::new(context);
    for (name, function, length) in FUNCTIONS {
        object.function(NativeFunction::from_fn_ptr(function), JsString::from(name), length);
    }
    object.build()
}

fn jobs(context: &Context) -> JsResult<Rc<Jobs>> {
    let jobs = context.downcast_job_executor::<Jobs>();
    jobs.ok_or_else(|| JsNativeError::error().with_message("there is no host").into())
}

fn text(value: &JsValue) -> JsResult<String> {
    let text = value.as_string().ok_or_else(|| JsNativeError::typ().with_message("expected a text"))?;
    Ok(text.to_std_string_lossy())
}

fn fault(message: impl Into<String>) -> boa_engine::JsError {
    JsNativeError::error().with_message(message.into()).into()
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

fn parse(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    json::parse(&text(args.get_or_undefined(0))?, context)
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

fn set_timer(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let function = args.get_or_undefined(0).as_object().and_then(JsFunction::from_object);
    let function = function.ok_or_else(|| JsNativeError::typ().with_message("expected a function"))?;
    let milliseconds = args.get_or_undefined(1).to_number(context)?;
    Ok(jobs(context)?.set_timer(function, milliseconds).into())
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

fn decode(_: &JsValue, args: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let bytes = bytes(args.get_or_undefined(0))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    Ok(JsString::from(String::from_utf8_lossy(bytes).as_ref()).into())
}

fn from_base64(_: &JsValue, args: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let mut digits = text(args.get_or_undefined(0))?;
    digits.retain(|char| !char.is_ascii_whitespace());
    let bytes = BASE64_NOPAD.decode(digits.trim_end_matches('=').as_bytes());
    let bytes = bytes.map_err(|_| fault("atob: this is not base64"))?;
    let units: Vec<u16> = bytes.into_iter().map(u16::from).collect();
    Ok(JsString::from(units.as_slice()).into())
}

fn to_base64(_: &JsValue, args: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let text = args.get_or_undefined(0).as_string().unwrap_or_default();
    let bytes: Result<Vec<u8>, _> = text.to_vec().into_iter().map(u8::try_from).collect();
    let bytes = bytes.map_err(|_| fault("btoa: a character is over 255; encode the text first"))?;
    Ok(JsString::from(BASE64.encode(&bytes).as_str()).into())
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
    let (promise, settle) = JsPromise::new_pending(context);
    jobs(context)?.fetch(request, settle, context)?;
    Ok(promise.into())
}

/// The property of an object, as a function.
pub(crate) fn method(object: &JsObject, name: &str, context: &mut Context) -> JsResult<JsFunction> {
    let value = object.get(JsString::from(name), context)?;
    let function = value.as_object().and_then(JsFunction::from_object);
    function.ok_or_else(|| JsNativeError::typ().with_message(format!("{name} is not a function")).into())
}
