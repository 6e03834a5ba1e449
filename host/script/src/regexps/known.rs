//! The regular expressions that a charm works with, and their patterns.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use boa_engine::builtins::regexp::RegExp;
use boa_engine::object::builtins::{JsFunction, JsRegExp};
use boa_engine::property::PropertyKey;
use boa_engine::{Context, JsError, JsObject, JsResult, JsString, JsSymbol, JsValue, js_string};

use super::pattern::Pattern;
use crate::builtins::fault;

/// How many regular expressions are known as objects, and how many by what they are made of.
const MAX_RECENT: usize = 16;
const MAX_PATTERNS: usize = 256;

/// The regular expressions that a charm works with.
#[derive(Default)]
pub(super) struct Regexps {
    /// The last used first.
    pub(super) recent: RefCell<Vec<(JsObject, Rc<Pattern>)>>,
    /// By source and flags.
    patterns: RefCell<HashMap<(JsString, String), Rc<Pattern>>>,
    pub(super) builtins: OnceCell<Builtins>,
}

/// The engine's own.
pub(super) struct Builtins {
    pub(super) constructor: JsObject,
    pub(super) prototype: JsObject,
    /// `exec` as it is here.
    pub(super) exec: JsObject,
    /// The getters of what a regular expression is made of.
    pub(super) source: JsFunction,
    pub(super) unicode_sets: JsFunction,
    pub(super) r#match: JsFunction,
    pub(super) replace: JsFunction,
    pub(super) split: JsFunction,
    pub(super) compile: JsFunction,
}

impl Regexps {
    pub(super) fn builtins(&self) -> JsResult<&Builtins> {
        self.builtins.get().ok_or_else(|| fault("the functions of regular expressions were not replaced"))
    }

    /// The pattern of a regular expression.
    pub(super) fn pattern(&self, regexp: &JsObject, context: &mut Context) -> JsResult<Rc<Pattern>> {
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
    pub(super) fn plain(&self, this: &JsValue, context: &mut Context) -> JsResult<Option<(JsObject, Rc<Pattern>)>> {
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
