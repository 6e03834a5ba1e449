//! Regular expressions whose matches cost no more than what they look at.
//!
//! The engine converts the whole text at each match, and where a match has to be at one place (the flag `y`, which
//! `split` uses as well), it searches all the rest of the text for it. `RegExp.prototype.exec` is ours, therefore, with
//! the same matcher (regress): its text is converted once, see [`crate::strings`], and a match at one place looks
//! nowhere else. The engine's other functions of regular expressions call `exec`; those that call it for all matches at
//! once have their own loops here, which need no array for each match. Patterns that repeat groups have a matcher of
//! their own, see [`loops`].

mod known;
mod lazy;
mod loops;
mod methods;
mod pattern;
mod result;

use boa_engine::builtins::regexp::RegExp;
use boa_engine::property::PropertyKey;
use boa_engine::{Context, JsArgs as _, JsNativeError, JsObject, JsResult, JsSymbol, JsValue, js_string};

use crate::builtins::{Native, fault, getter, replace_getter, replace_method};
use crate::jobs::jobs;
use crate::strings::Strings;
use known::{Builtins, Regexps};
use loops::Found;
use pattern::Flags;
use result::result;

/// Puts the functions in the place of the engine's.
pub(crate) fn install(context: &mut Context) -> JsResult<()> {
    let regexp = context.intrinsics().constructors().regexp();
    let (constructor, prototype) = (regexp.constructor(), regexp.prototype());
    let mut replace = |key: PropertyKey, name: &str, function: Native, length| {
        replace_method(&prototype, key, name, function, length, context)
    };
    replace(js_string!("exec").into(), "exec", exec, 1)?;
    let r#match = replace(JsSymbol::r#match().into(), "[Symbol.match]", methods::match_all_texts, 1)?;
    let replaced = replace(JsSymbol::replace().into(), "[Symbol.replace]", methods::replace, 2)?;
    let split = replace(JsSymbol::split().into(), "[Symbol.split]", methods::split, 2)?;
    let compile = replace(js_string!("compile").into(), "compile", compile, 2)?;
    let source = replace_getter(&prototype, "source", source, context)?;
    let unicode_sets = getter(&prototype, "unicodeSets", context)?;
    let exec = prototype.get(js_string!("exec"), context)?;
    let exec = exec.as_object().ok_or_else(|| fault("exec is not a function"))?;
    let builtins =
        Builtins { constructor, prototype, exec, source, unicode_sets, r#match, replace: replaced, split, compile };
    jobs(context)?.part::<Regexps>().builtins.set(builtins).ok();
    Ok(())
}

fn receiver(this: &JsValue, name: &str) -> JsResult<JsObject> {
    this.as_object().filter(|object| object.is::<RegExp>()).ok_or_else(|| {
        let message = format!("RegExp.prototype.{name} called on what is not a regular expression");
        JsNativeError::typ().with_message(message).into()
    })
}

/// The standard's `RegExpBuiltinExec`.
fn exec(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let regexp = receiver(this, "exec")?;
    let text = args.get_or_undefined(0).to_string(context)?;
    let last = regexp.get(js_string!("lastIndex"), context)?.to_length(context)?;
    let jobs = jobs(context)?;
    let strings = jobs.part::<Strings>();
    let pattern = jobs.part::<Regexps>().pattern(&regexp, context)?;
    let Flags { global, sticky, .. } = pattern.flags;
    let from = if global || sticky { usize::try_from(last).unwrap_or(usize::MAX) } else { 0 };
    let found =
        if from > text.len() { None } else { pattern.find(&strings.units(&text), pattern::is_wide(&text), from)? };
    if global || sticky {
        let next = found.as_ref().map_or(0, Found::end);
        regexp.set(js_string!("lastIndex"), next, true, context)?;
    }
    let Some(found) = found else { return Ok(JsValue::null()) };
    Ok(result(&strings, &text, &found, pattern.flags.indices, context)?.into())
}

/// Annex B's, after which the same object is another regular expression.
fn compile(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let regexps = jobs(context)?.part::<Regexps>();
    if let Some(regexp) = this.as_object() {
        regexps.recent.borrow_mut().retain(|(known, _)| !JsObject::equals(known, &regexp));
    }
    regexps.builtins()?.compile.call(this, args, context)
}

/// The engine's `source` escapes what is escaped.
fn source(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let regexps = jobs(context)?.part::<Regexps>();
    let source = regexps.builtins()?.source.call(this, args, context)?;
    Ok(source.as_string().map_or(source, |source| pattern::spelled(&source).into()))
}
