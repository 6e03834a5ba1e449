//! Regular expressions whose matches cost no more than what they look at.
//!
//! The engine converts the whole text at each match, and where a match has to be at one place (the flag `y`, which
//! `split` uses as well), it searches all the rest of the text for it. `RegExp.prototype.exec` is ours, therefore, with
//! the same matcher (regress): its text is converted once, see [`crate::strings`], and a match at one place looks
//! nowhere else. The engine's other functions of regular expressions call `exec`; those that call it for all matches at
//! once have their own loops here, which need no array for each match. Patterns that repeat groups have a matcher of
//! their own, see [`loops`].

mod lazy;
mod loops;
mod methods;
mod pattern;
pub(crate) mod substitution;

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use boa_engine::builtins::regexp::RegExp;
use boa_engine::object::builtins::{JsArray, JsFunction, JsRegExp};
use boa_engine::property::PropertyKey;
use boa_engine::{
    Context, JsArgs as _, JsError, JsNativeError, JsObject, JsResult, JsString, JsSymbol, JsValue, js_string,
};

use crate::natives::{Native, fault, getter, jobs, replace_getter, replace_method};
use crate::strings::Strings;
use loops::Found;
use pattern::{Flags, Pattern};

/// How many regular expressions are known as objects, and how many by what they are made of.
const MAX_RECENT: usize = 16;
const MAX_PATTERNS: usize = 256;

/// The regular expressions that a charm works with.
#[derive(Default)]
pub(crate) struct Regexps {
    /// The last used first.
    recent: RefCell<Vec<(JsObject, Rc<Pattern>)>>,
    /// By source and flags.
    patterns: RefCell<HashMap<(JsString, String), Rc<Pattern>>>,
    builtins: OnceCell<Builtins>,
}

/// The engine's own.
struct Builtins {
    constructor: JsObject,
    prototype: JsObject,
    /// `exec` as it is here.
    exec: JsObject,
    /// The getters of what a regular expression is made of.
    source: JsFunction,
    unicode_sets: JsFunction,
    r#match: JsFunction,
    replace: JsFunction,
    split: JsFunction,
    compile: JsFunction,
}

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
    jobs(context)?.regexps.builtins.set(builtins).ok();
    Ok(())
}

impl Regexps {
    fn builtins(&self) -> JsResult<&Builtins> {
        self.builtins.get().ok_or_else(|| fault("the functions of regular expressions were not replaced"))
    }

    /// The pattern of a regular expression.
    fn pattern(&self, regexp: &JsObject, context: &mut Context) -> JsResult<Rc<Pattern>> {
        let mut recent = self.recent.borrow_mut();
        if let Some(at) = recent.iter().position(|(known, _)| JsObject::equals(known, regexp)) {
            recent[..=at].rotate_right(1);
            return Ok(Rc::clone(&recent[0].1));
        }
        let builtins = self.builtins()?;
        let this = regexp.clone().into();
        let source = builtins.source.call(&this, &[], context)?.to_string(context)?;
        let sets = builtins.unicode_sets.call(&this, &[], context)?.to_boolean();
        let flags = flags_of(regexp, sets, context)?;
        let mut patterns = self.patterns.borrow_mut();
        let key = (source, flags);
        let pattern = if let Some(pattern) = patterns.get(&key) {
            Rc::clone(pattern)
        } else {
            if patterns.len() >= MAX_PATTERNS {
                patterns.clear();
            }
            let pattern = Rc::new(Pattern::new(&key.0, &key.1)?);
            patterns.insert(key, Rc::clone(&pattern));
            pattern
        };
        recent.truncate(MAX_RECENT - 1);
        recent.insert(0, (regexp.clone(), Rc::clone(&pattern)));
        Ok(pattern)
    }

    /// The pattern of a regular expression that is as the language makes it: nothing that a charm has written decides
    /// how it matches.
    fn plain(&self, this: &JsValue, context: &mut Context) -> JsResult<Option<(JsObject, Rc<Pattern>)>> {
        let Some(regexp) = this.as_object().filter(|object| object.is::<RegExp>()) else { return Ok(None) };
        let Builtins { constructor, prototype, exec, .. } = self.builtins()?;
        if !regexp.prototype().is_some_and(|its| JsObject::equals(&its, prototype)) {
            return Ok(None);
        }
        let is = |object: &JsObject, key: PropertyKey, what: &JsObject, context: &mut Context| {
            let value = object.get(key, context)?;
            Ok::<_, JsError>(value.as_object().is_some_and(|value| JsObject::equals(&value, what)))
        };
        if !is(&regexp, js_string!("exec").into(), exec, context)?
            || !is(&regexp, js_string!("constructor").into(), constructor, context)?
            || !is(constructor, JsSymbol::species().into(), constructor, context)?
        {
            return Ok(None);
        }
        let pattern = self.pattern(&regexp, context)?;
        let flags = regexp.get(js_string!("flags"), context)?;
        let same = flags.as_string().is_some_and(|flags| flags.to_std_string_lossy() == pattern.flags.text);
        Ok(same.then_some((regexp, pattern)))
    }
}

/// The flags that a regular expression was made with, whatever its properties say.
fn flags_of(regexp: &JsObject, sets: bool, context: &mut Context) -> JsResult<String> {
    let regexp = JsRegExp::from_object(regexp.clone())?;
    let flags = [
        ('d', regexp.has_indices(context)?),
        ('g', regexp.global(context)?),
        ('i', regexp.ignore_case(context)?),
        ('m', regexp.multiline(context)?),
        ('s', regexp.dot_all(context)?),
        ('u', regexp.unicode(context)?),
        ('v', sets),
        ('y', regexp.sticky(context)?),
    ];
    Ok(flags.into_iter().filter(|(_, set)| *set).map(|(flag, _)| flag).collect())
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
    let pattern = jobs.regexps.pattern(&regexp, context)?;
    let Flags { global, sticky, .. } = pattern.flags;
    let from = if global || sticky { usize::try_from(last).unwrap_or(usize::MAX) } else { 0 };
    let found = if from > text.len() {
        None
    } else {
        pattern.find(&jobs.strings.units(&text), pattern::is_wide(&text), from)?
    };
    if global || sticky {
        let next = found.as_ref().map_or(0, Found::end);
        regexp.set(js_string!("lastIndex"), next, true, context)?;
    }
    let Some(found) = found else { return Ok(JsValue::null()) };
    Ok(result(&jobs.strings, &text, &found, pattern.flags.indices, context)?.into())
}

/// The array that describes a match.
fn result(
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

fn group(strings: &Strings, text: &JsString, range: Option<Range<usize>>) -> JsValue {
    range.map_or_else(JsValue::undefined, |range| strings.piece(text, range).into())
}

fn pair(range: Option<Range<usize>>, context: &mut Context) -> JsValue {
    let Some(range) = range else { return JsValue::undefined() };
    JsArray::from_iter([range.start.into(), range.end.into()], context).into()
}

/// What `value` makes of the groups that have names, by these; undefined if none has.
fn named(
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

/// Annex B's, after which the same object is another regular expression.
fn compile(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let jobs = jobs(context)?;
    if let Some(regexp) = this.as_object() {
        jobs.regexps.recent.borrow_mut().retain(|(known, _)| !JsObject::equals(known, &regexp));
    }
    jobs.regexps.builtins()?.compile.call(this, args, context)
}

/// The engine's `source` escapes what is escaped.
fn source(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let jobs = jobs(context)?;
    let source = jobs.regexps.builtins()?.source.call(this, args, context)?;
    Ok(source.as_string().map_or(source, |source| pattern::spelled(&source).into()))
}
