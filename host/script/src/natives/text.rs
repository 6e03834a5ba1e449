//! Base64, URLs and forms.

use boa_engine::object::builtins::JsArray;
use boa_engine::{Context, JsArgs as _, JsResult, JsString, JsValue};
use data_encoding::{BASE64, BASE64_NOPAD, Encoding};
use url::{Url, form_urlencoded, quirks};

use super::text;
use crate::builtins::{Native, fault};

/// What `natives` offers of this file.
pub(super) const FUNCTIONS: [(&str, Native, usize); 6] = [
    ("fromBase64", from_base64, 1),
    ("toBase64", to_base64, 1),
    ("parseUrl", parse_url, 2),
    ("setUrl", set_url, 3),
    ("parseForm", parse_form, 1),
    ("formatForm", format_form, 1),
];

/// The "forgiving" base64 of the Infra standard: with or without padding, white space and bits that are left over;
/// undefined for what is none.
fn from_base64(_: &JsValue, args: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let mut digits = text(args.get_or_undefined(0))?;
    digits.retain(|char| !matches!(char, ' ' | '\t' | '\n' | '\x0c' | '\r'));
    if digits.len().is_multiple_of(4) {
        let padding = digits.len() - digits.strip_suffix("==").or(digits.strip_suffix('=')).unwrap_or(&digits).len();
        digits.truncate(digits.len() - padding);
    }
    let Ok(bytes) = forgiving()?.decode(digits.as_bytes()) else { return Ok(JsValue::undefined()) };
    let units: Vec<u16> = bytes.into_iter().map(u16::from).collect();
    Ok(JsString::from(units.as_slice()).into())
}

fn forgiving() -> JsResult<Encoding> {
    let mut specification = BASE64_NOPAD.specification();
    specification.check_trailing_bits = false;
    specification.encoding().map_err(|error| fault(format!("no base64: {error}")))
}

/// Undefined if a character is over 255.
fn to_base64(_: &JsValue, args: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let text = args.get_or_undefined(0).as_string().ok_or_else(|| fault("expected a text"))?;
    let bytes: Result<Vec<u8>, _> = text.to_vec().into_iter().map(u8::try_from).collect();
    Ok(bytes.map_or_else(|_| JsValue::undefined(), |bytes| JsString::from(BASE64.encode(&bytes).as_str()).into()))
}

/// The parts of a URL, or a text that says why it is not one.
fn parse_url(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let base = args.get_or_undefined(1);
    let parsed = if base.is_undefined() { Ok(None) } else { Url::parse(&text(base)?).map(Some) };
    let url = text(args.get_or_undefined(0))?;
    match parsed.and_then(|base| Url::options().base_url(base.as_ref()).parse(&url)) {
        Ok(url) => Ok(parts(&url, context)),
        Err(error) => Ok(JsString::from(error.to_string().as_str()).into()),
    }
}

/// The parts of a URL after one of them was set; undefined if that changes nothing, or can't be.
fn set_url(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let (part, value) = (text(args.get_or_undefined(1))?, text(args.get_or_undefined(2))?);
    let mut url = Url::parse(&text(args.get_or_undefined(0))?).map_err(|error| fault(error.to_string()))?;
    let set = match part.as_str() {
        "href" => quirks::set_href(&mut url, &value).map_err(drop),
        "protocol" => quirks::set_protocol(&mut url, &value),
        "username" => quirks::set_username(&mut url, &value),
        "password" => quirks::set_password(&mut url, &value),
        "host" => quirks::set_host(&mut url, &value),
        "hostname" => quirks::set_hostname(&mut url, &value),
        "port" => quirks::set_port(&mut url, &value),
        "pathname" => {
            quirks::set_pathname(&mut url, &value);
            Ok(())
        }
        "search" => {
            quirks::set_search(&mut url, &value);
            Ok(())
        }
        "hash" => {
            quirks::set_hash(&mut url, &value);
            Ok(())
        }
        _ => Err(()),
    };
    Ok(set.map_or_else(|()| JsValue::undefined(), |()| parts(&url, context)))
}

/// In the order that `js/web/url.js` has them.
fn parts(url: &Url, context: &mut Context) -> JsValue {
    let parts = [
        quirks::href(url),
        quirks::protocol(url),
        quirks::username(url),
        quirks::password(url),
        quirks::host(url),
        quirks::hostname(url),
        quirks::port(url),
        quirks::pathname(url),
        quirks::search(url),
        quirks::hash(url),
        &quirks::origin(url),
    ];
    list(parts, context)
}

fn list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>, context: &mut Context) -> JsValue {
    let texts: Vec<JsValue> = texts.into_iter().map(|text| JsString::from(text.as_ref()).into()).collect();
    JsArray::from_iter(texts, context).into()
}

/// The names and values of `application/x-www-form-urlencoded`, one after the other.
fn parse_form(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let form = text(args.get_or_undefined(0))?;
    let pairs = form_urlencoded::parse(form.as_bytes());
    Ok(list(pairs.flat_map(|(name, value)| [name, value]), context))
}

fn format_form(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let flat = args.get_or_undefined(0).as_object().ok_or_else(|| fault("expected an array"))?;
    let flat = JsArray::from_object(flat)?;
    let mut form = form_urlencoded::Serializer::new(String::new());
    for at in (0..flat.length(context)?).step_by(2) {
        form.append_pair(&text(&flat.get(at, context)?)?, &text(&flat.get(at + 1, context)?)?);
    }
    Ok(JsString::from(form.finish().as_str()).into())
}
