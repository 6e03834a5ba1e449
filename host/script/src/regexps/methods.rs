//! `match`, `replace` and `split`, each with all matches in one loop.
//!
//! Where a charm has changed what a regular expression does, the engine's own functions run, which ask it at each step.

use boa_engine::object::builtins::{JsArray, JsFunction};
use boa_engine::{Context, JsArgs as _, JsResult, JsValue, js_string};

use super::known::Regexps;
use super::pattern::is_wide;
use super::result::{group, named};
use crate::jobs::jobs;
use crate::strings::substitution::{Groups, substitute};
use crate::strings::{Output, Strings};

/// `RegExp.prototype[Symbol.match]`.
pub(super) fn match_all_texts(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let text = args.get_or_undefined(0).to_string(context)?;
    let jobs = jobs(context)?;
    let (regexps, strings) = (jobs.part::<Regexps>(), jobs.part::<Strings>());
    let plain = regexps.plain(this, context)?.filter(|(_, pattern)| pattern.flags.global);
    let Some((regexp, pattern)) = plain else {
        return regexps.builtins()?.r#match.call(this, &[text.into()], context);
    };
    regexp.set(js_string!("lastIndex"), 0, true, context)?;
    let units = strings.units(&text);
    let (wide, mut from) = (is_wide(&text), 0);
    let mut texts: Vec<JsValue> = Vec::new();
    while from <= text.len()
        && let Some(found) = pattern.find(&units, wide, from)?
    {
        from = if found.range.is_empty() { pattern.next(&units, found.end()) } else { found.end() };
        texts.push(strings.piece(&text, found.range.clone()).into());
    }
    Ok(if texts.is_empty() { JsValue::null() } else { JsArray::from_iter(texts, context).into() })
}

/// `RegExp.prototype[Symbol.replace]`.
pub(super) fn replace(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let text = args.get_or_undefined(0).to_string(context)?;
    let replacement = args.get_or_undefined(1);
    let function = replacement.as_object().and_then(JsFunction::from_object);
    let template = if function.is_some() { js_string!() } else { replacement.to_string(context)? };
    let jobs = jobs(context)?;
    let (regexps, strings) = (jobs.part::<Regexps>(), jobs.part::<Strings>());
    let plain = regexps.plain(this, context)?.filter(|(_, pattern)| pattern.flags.global);
    let Some((regexp, pattern)) = plain else {
        let replacement = if function.is_some() { replacement.clone() } else { template.into() };
        return regexps.builtins()?.replace.call(this, &[text.into(), replacement], context);
    };
    // It would be 0 again where no match is left.
    regexp.set(js_string!("lastIndex"), 0, true, context)?;
    let units = strings.units(&text);
    let (wide, mut from) = (is_wide(&text), 0);
    let mut output = Output::new();
    let mut done = 0;
    while from <= text.len()
        && let Some(found) = pattern.find(&units, wide, from)?
    {
        output.push_part(&text, done..found.start());
        if let Some(function) = &function {
            let mut given: Vec<_> = found.groups().map(|range| group(&strings, &text, range)).collect();
            given.extend([found.start().into(), text.clone().into()]);
            let groups = named(&found, |range, _| group(&strings, &text, range), context)?;
            given.extend((!groups.is_undefined()).then_some(groups));
            let made = function.call(&JsValue::undefined(), &given, context)?.to_string(context)?;
            output.push(&made);
        } else {
            substitute(&mut output, &template, &text, &Groups::of(found.range.clone(), &found.captures, &found.names));
        }
        done = found.end();
        from = if found.range.is_empty() { pattern.next(&units, done) } else { done };
    }
    if done == 0 && from == 0 {
        return Ok(text.into());
    }
    output.push_part(&text, done..text.len());
    Ok(output.finish().into())
}

/// `RegExp.prototype[Symbol.split]`.
pub(super) fn split(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let text = args.get_or_undefined(0).to_string(context)?;
    let limit = args.get_or_undefined(1);
    let jobs = jobs(context)?;
    let (regexps, strings) = (jobs.part::<Regexps>(), jobs.part::<Strings>());
    let Some((_, pattern)) = regexps.plain(this, context)? else {
        return regexps.builtins()?.split.call(this, &[text.into(), limit.clone()], context);
    };
    let limit = if limit.is_undefined() { u32::MAX } else { limit.to_u32(context)? };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let units = strings.units(&text);
    let (wide, size) = (is_wide(&text), text.len());
    let mut parts: Vec<JsValue> = Vec::new();
    if size == 0 && pattern.find_first(&units, wide, 0)?.is_some() {
        return Ok(JsArray::new(context)?.into());
    }
    let (mut done, mut from) = (0, 0);
    while parts.len() < limit
        && let Some(found) = pattern.find_first(&units, wide, from)?.filter(|found| found.start() < size)
    {
        if found.end() == done {
            from = pattern.next(&units, found.start());
            continue;
        }
        parts.push(strings.piece(&text, done..found.start()).into());
        parts.extend(found.captures.iter().map(|range| group(&strings, &text, range.clone())));
        done = found.end();
        from = done;
    }
    parts.push(strings.piece(&text, done..size).into());
    parts.truncate(limit);
    Ok(JsArray::from_iter(parts, context).into())
}
