//! JavaScript values to JSON.
//!
//! The engine's `JSON.stringify` calls itself for each level of a value, until the guest's stack ends, and with it the
//! call. This one ends with an error of the charm's, which has a line.

use std::cell::OnceCell;

use boa_engine::object::builtins::JsFunction;
use boa_engine::property::PropertyKey;
use boa_engine::string::JsStrVariant;
use boa_engine::{
    Context, JsArgs as _, JsBigInt, JsError, JsNativeError, JsObject, JsResult, JsString, JsValue, js_string,
};

use crate::builtins::{fault, method, replace_method};
use crate::jobs::jobs;
use crate::strings::Output;

/// How deep arrays and objects may nest.
const MAX_DEPTH: usize = 1_000;

/// The longest indentation, in characters.
const MAX_GAP: usize = 10;

/// The engine's functions that this stands on.
struct Builtins {
    is_array: JsFunction,
    is_raw: JsFunction,
    keys: JsFunction,
}

/// Where an engine keeps them.
type Stringify = OnceCell<Builtins>;

/// Puts the function in the place of the engine's.
pub(crate) fn install(context: &mut Context) -> JsResult<()> {
    let json = context.global_object().get(js_string!("JSON"), context)?;
    let json = json.as_object().ok_or_else(|| fault("the engine has no JSON"))?;
    replace_method(&json, js_string!("stringify"), "stringify", stringify, 3, context)?;
    let constructors = context.intrinsics().constructors();
    let (array, object) = (constructors.array().constructor(), constructors.object().constructor());
    let builtins = Builtins {
        is_array: method(&array, "isArray", context)?,
        is_raw: method(&json, "isRawJSON", context)?,
        keys: method(&object, "keys", context)?,
    };
    jobs(context)?.part::<Stringify>().set(builtins).ok();
    Ok(())
}

fn stringify(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let stringify = jobs(context)?.part::<Stringify>();
    let builtins = stringify.get().ok_or_else(|| fault("`JSON.stringify` was not replaced"))?;
    let mut writer =
        Writer { builtins, output: Output::new(), replacer: None, keys: None, gap: Vec::new(), around: Vec::new() };
    writer.replace_by(args.get_or_undefined(1), context)?;
    writer.gap = gap(args.get_or_undefined(2), context)?;
    let value = args.get_or_undefined(0).clone();
    // Only a function sees what is around the whole.
    let holder = if writer.replacer.is_some() {
        let holder = JsObject::with_object_proto(context.intrinsics());
        holder.create_data_property_or_throw(js_string!(), value.clone(), context)?;
        Some(holder)
    } else {
        None
    };
    let value = writer.prepared(holder.as_ref(), &js_string!(), value, context)?;
    if !is_written(&value) {
        return Ok(JsValue::undefined());
    }
    writer.write(&value, context)?;
    Ok(writer.output.finish().into())
}

/// What a level is indented by.
fn gap(space: &JsValue, context: &mut Context) -> JsResult<Vec<u16>> {
    let object = space.as_object();
    let is =
        |number: bool| object.as_ref().is_some_and(|one| if number { one.is::<f64>() } else { one.is::<JsString>() });
    if space.is_number() || is(true) {
        let count = space.to_integer_or_infinity(context)?.clamp_finite(0, 10);
        return Ok(vec![u16::from(b' '); usize::try_from(count).unwrap_or(0)]);
    }
    if space.is_string() || is(false) {
        return Ok(space.to_string(context)?.iter().take(MAX_GAP).collect());
    }
    Ok(Vec::new())
}

struct Writer<'b> {
    builtins: &'b Builtins,
    output: Output,
    /// What is asked for each value.
    replacer: Option<JsObject>,
    /// The keys of objects that are written, unless all are.
    keys: Option<Vec<PropertyKey>>,
    gap: Vec<u16>,
    /// The arrays and objects around what is written.
    around: Vec<JsObject>,
}

impl Writer<'_> {
    fn replace_by(&mut self, replacer: &JsValue, context: &mut Context) -> JsResult<()> {
        let Some(object) = replacer.as_object() else { return Ok(()) };
        if object.is_callable() {
            self.replacer = Some(object);
            return Ok(());
        }
        if !self.is_array(&object, context)? {
            return Ok(());
        }
        let mut keys: Vec<PropertyKey> = Vec::new();
        for index in 0..object.get(js_string!("length"), context)?.to_length(context)? {
            let key = object.get(index, context)?;
            let is_name = key.is_string()
                || key.is_number()
                || key.as_object().is_some_and(|key| key.is::<JsString>() || key.is::<f64>());
            if is_name {
                let key = PropertyKey::from(key.to_string(context)?);
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
        }
        self.keys = Some(keys);
        Ok(())
    }

    fn is_array(&self, object: &JsObject, context: &mut Context) -> JsResult<bool> {
        if object.is_array() || object.is_ordinary() {
            return Ok(object.is_array());
        }
        let this = JsValue::undefined();
        Ok(self.builtins.is_array.call(&this, &[object.clone().into()], context)?.to_boolean())
    }

    /// A value as it is to be written: what `toJSON`, the replacer, and wrappers of primitives make of it.
    fn prepared(
        &self,
        holder: Option<&JsObject>,
        key: &JsString,
        mut value: JsValue,
        context: &mut Context,
    ) -> JsResult<JsValue> {
        if value.is_object() || value.is_bigint() {
            let to_json = match value.as_object() {
                Some(object) => object.get(js_string!("toJSON"), context)?,
                None => value.to_object(context)?.get(js_string!("toJSON"), context)?,
            };
            if let Some(to_json) = to_json.as_callable() {
                value = to_json.call(&value, &[key.clone().into()], context)?;
            }
        }
        if let (Some(replacer), Some(holder)) = (&self.replacer, holder) {
            value = replacer.call(&holder.clone().into(), &[key.clone().into(), value], context)?;
        }
        let Some(object) = value.as_object().filter(|object| !object.is_array() && !object.is_ordinary()) else {
            return Ok(value);
        };
        if object.is::<f64>() {
            return Ok(value.to_number(context)?.into());
        }
        if object.is::<JsString>() {
            return Ok(value.to_string(context)?.into());
        }
        if let Some(boolean) = object.downcast_ref::<bool>() {
            return Ok((*boolean).into());
        }
        if let Some(number) = object.downcast_ref::<JsBigInt>() {
            return Ok(number.clone().into());
        }
        Ok(value)
    }

    fn write(&mut self, value: &JsValue, context: &mut Context) -> JsResult<()> {
        if let Some(object) = value.as_object() {
            return self.nested(&object, context);
        }
        if let Some(text) = value.as_string() {
            self.quote(&text);
        } else if value.as_number().is_some_and(|number| !number.is_finite()) {
            self.output.push(&js_string!("null"));
        } else if value.is_bigint() {
            return Err(JsNativeError::typ().with_message("Do not know how to serialize a BigInt").into());
        } else {
            self.output.push(&value.to_string(context)?);
        }
        Ok(())
    }

    fn nested(&mut self, object: &JsObject, context: &mut Context) -> JsResult<()> {
        let may_be_raw = !object.is_ordinary() && object.prototype().is_none();
        if may_be_raw
            && self.builtins.is_raw.call(&JsValue::undefined(), &[object.clone().into()], context)?.to_boolean()
        {
            let raw = object.get(js_string!("rawJSON"), context)?.to_string(context)?;
            self.output.push(&raw);
            return Ok(());
        }
        if self.around.iter().any(|one| JsObject::equals(one, object)) {
            return Err(JsNativeError::typ().with_message("Converting circular structure to JSON").into());
        }
        if self.around.len() == MAX_DEPTH {
            let message = format!("JSON.stringify: the value is nested deeper than {MAX_DEPTH} levels");
            return Err(JsNativeError::range().with_message(message).into());
        }
        self.around.push(object.clone());
        if self.is_array(object, context)? {
            self.array(object, context)?;
        } else {
            self.object(object, context)?;
        }
        self.around.pop();
        Ok(())
    }

    fn array(&mut self, array: &JsObject, context: &mut Context) -> JsResult<()> {
        let length = array.get(js_string!("length"), context)?.to_length(context)?;
        self.output.push_units(&[u16::from(b'[')]);
        for index in 0..length {
            self.separate(index == 0);
            let value = array.get(index, context)?;
            let value = self.part(array, &index.into(), value, context)?;
            if is_written(&value) {
                self.write(&value, context)?;
            } else {
                self.output.push(&js_string!("null"));
            }
        }
        self.close(b']', length == 0);
        Ok(())
    }

    fn object(&mut self, object: &JsObject, context: &mut Context) -> JsResult<()> {
        let keys = match &self.keys {
            Some(keys) => keys.clone(),
            None => self.own_keys(object, context)?,
        };
        self.output.push_units(&[u16::from(b'{')]);
        let mut is_empty = true;
        for key in keys {
            let value = object.get(key.clone(), context)?;
            let value = self.part(object, &key, value, context)?;
            if !is_written(&value) {
                continue;
            }
            self.separate(is_empty);
            is_empty = false;
            self.quote(&name(&key));
            self.output.push_units(&[u16::from(b':')]);
            if !self.gap.is_empty() {
                self.output.push_units(&[u16::from(b' ')]);
            }
            self.write(&value, context)?;
        }
        self.close(b'}', is_empty);
        Ok(())
    }

    /// What is at a key of an array or object, as it is to be written. Few values ask for the key.
    fn part(&self, holder: &JsObject, key: &PropertyKey, value: JsValue, context: &mut Context) -> JsResult<JsValue> {
        if self.replacer.is_none() && !value.is_object() && !value.is_bigint() {
            return Ok(value);
        }
        self.prepared(Some(holder), &name(key), value, context)
    }

    /// The names of an object's own enumerable properties.
    fn own_keys(&self, object: &JsObject, context: &mut Context) -> JsResult<Vec<PropertyKey>> {
        if object.is_ordinary() {
            let mut keys = object.own_property_keys(context)?;
            let object = object.borrow();
            let is_enumerable =
                |key: &PropertyKey| object.properties().get(key).is_some_and(|one| one.enumerable() == Some(true));
            keys.retain(|key| !matches!(key, PropertyKey::Symbol(_)) && is_enumerable(key));
            return Ok(keys);
        }
        let keys = self.builtins.keys.call(&JsValue::undefined(), &[object.clone().into()], context)?;
        let keys = keys.as_object().ok_or_else(|| fault("`Object.keys` made no array"))?;
        let length = keys.get(js_string!("length"), context)?.to_length(context)?;
        let key = |index: u64| Ok::<_, JsError>(PropertyKey::from(keys.get(index, context)?.to_string(context)?));
        (0..length).map(key).collect()
    }

    /// What stands before an item.
    fn separate(&mut self, is_first: bool) {
        if !is_first {
            self.output.push_units(&[u16::from(b',')]);
        }
        self.break_line(self.around.len());
    }

    fn close(&mut self, bracket: u8, is_empty: bool) {
        if !is_empty {
            self.break_line(self.around.len().saturating_sub(1));
        }
        self.output.push_units(&[u16::from(bracket)]);
    }

    fn break_line(&mut self, depth: usize) {
        if !self.gap.is_empty() {
            self.output.push_units(&[u16::from(b'\n')]);
            for _ in 0..depth {
                self.output.push_units(&self.gap);
            }
        }
    }

    fn quote(&mut self, text: &JsString) {
        let quote = [u16::from(b'"')];
        self.output.push_units(&quote);
        let mut done = 0;
        let mut look = |at: usize, unit: u16, before: Option<u16>, after: Option<u16>| {
            if let Some(escape) = escape(unit, before, after) {
                self.output.push_part(text, done..at);
                self.output.push(&JsString::from(escape.as_str()));
                done = at + 1;
            }
        };
        match text.variant() {
            JsStrVariant::Latin1(bytes) => {
                for (at, byte) in bytes.iter().enumerate() {
                    look(at, u16::from(*byte), None, None);
                }
            }
            JsStrVariant::Utf16(units) => {
                for (at, unit) in units.iter().enumerate() {
                    let before = at.checked_sub(1).and_then(|at| units.get(at));
                    look(at, *unit, before.copied(), units.get(at + 1).copied());
                }
            }
        }
        self.output.push_part(text, done..text.len());
        self.output.push_units(&quote);
    }
}

/// What stands in JSON for a unit of a text, if it can't stand for itself: half a surrogate pair is no character.
fn escape(unit: u16, before: Option<u16>, after: Option<u16>) -> Option<String> {
    const FIRST: std::ops::Range<u16> = 0xd800..0xdc00;
    const SECOND: std::ops::Range<u16> = 0xdc00..0xe000;
    let short = match unit {
        0x22 => "\\\"",
        0x5c => "\\\\",
        0x08 => "\\b",
        0x09 => "\\t",
        0x0a => "\\n",
        0x0c => "\\f",
        0x0d => "\\r",
        _ => {
            let is_half = FIRST.contains(&unit) && !after.is_some_and(|after| SECOND.contains(&after))
                || SECOND.contains(&unit) && !before.is_some_and(|before| FIRST.contains(&before));
            return (unit < 0x20 || is_half).then(|| format!("\\u{unit:04x}"));
        }
    };
    Some(short.to_owned())
}

/// Whether JSON has something for a value.
fn is_written(value: &JsValue) -> bool {
    !(value.is_undefined() || value.is_symbol() || value.is_callable())
}

fn name(key: &PropertyKey) -> JsString {
    match key {
        PropertyKey::String(name) => name.clone(),
        PropertyKey::Index(index) => JsString::from(index.get().to_string().as_str()),
        PropertyKey::Symbol(_) => js_string!(),
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use boa_engine::Source;

    use super::*;
    use crate::jobs::Jobs;

    /// What a script evaluates to, with the engine's function and with this one.
    fn both(script: &str) -> [String; 2] {
        [run(script, false), run(script, true)]
    }

    fn ours(script: &str) -> String {
        run(script, true)
    }

    fn run(script: &str, is_ours: bool) -> String {
        let jobs = Jobs::new(Rc::new(crate::tests::Outside::default()));
        let mut context = Context::builder().job_executor(jobs).build().expect("an engine");
        if is_ours {
            install(&mut context).expect("a function to replace");
        }
        match context.eval(Source::from_bytes(script)) {
            Ok(value) => value.to_string(&mut context).map_or("?".into(), |text| format!("{:?}", text.to_vec())),
            Err(error) => error.to_string().split(':').next().unwrap_or_default().to_owned(),
        }
    }

    #[test]
    fn values_become_the_same_json_as_by_the_engine() {
        for arguments in [
            "null",
            "undefined",
            "() => 1",
            "Symbol()",
            "true",
            "-0",
            "1e21",
            "NaN",
            "'a\\u2028\\n\\u0001\\\"é😀'",
            "'\\ud800'",
            "'\\udc00\\ud800\\ud800\\udc00'",
            "[]",
            "{}",
            "[1,,undefined,() => 1,Symbol()]",
            "({ b: 1, a: undefined, 2: 3, 1: 4, [Symbol()]: 5, f() {} })",
            "[[[]], {}, { a: [] }], null, 2",
            "{ a: [1, { b: 2 }] }, null, '-->'",
            "{ a: 1 }, null, 20",
            "{ a: 1 }, null, 'abcdefghijklm'",
            "{ a: 1 }, null, new Number(3)",
            "{ a: 1 }, null, new String('  ')",
            "{ a: 1, b: { a: 2, c: 3 } }, ['b', 'a', 'a', 1]",
            "{ 1: 2, a: 3 }, [1, new String('a'), {}]",
            "{ a: [1, 2], b: 'x' }, (k, v) => typeof v === 'number' ? v + 1 : v",
            "{ a: { b: 1 } }, function (k, v) { return k === 'b' ? Object.keys(this).join() : v }",
            "{ toJSON(key) { return 'k' + key } }",
            "{ a: { toJSON: (key) => key } }",
            "new Date(0)",
            "[new Date(NaN)]",
            "[new Number(1), new String('s'), new Boolean(false)]",
            "Object(1n)",
            "1n",
            "new Map([[1, 2]])",
            "/a/",
            "new Proxy([1, 2], {})",
            "new Proxy({ a: 1 }, {})",
            "new Proxy({}, { ownKeys: () => ['a'], get: () => 1 })",
            "Object.create({ inherited: 1 }, { hidden: { value: 1 }, seen: { value: 2, enumerable: true } })",
            "{ get a() { return 1 } }",
            "Object.create(null)",
            "new Uint8Array([1, 2])",
            "(function () { return arguments })(1, 2)",
            "JSON.rawJSON('1e1000')",
            "[JSON.rawJSON('1')]",
            "new (class A { x = 1; #y = 2; })",
            "new (class extends Array {})(2)",
            "Object.assign([1], { a: 2 })",
            "(() => { const o = {}; o.o = o; return o; })()",
            "new Error('e')",
            "{ __proto__: null, a: 1 }",
            "[new Proxy(() => 1, {})]",
            "{ a: 1 }, null, ''",
            "{ a: 1 }, [], 1",
            "{ a: 1 }, () => undefined",
            "'text', null, 2",
            "{ a() {} , b: [() => 1] }, null, 1",
        ] {
            let [theirs, ours] = both(&format!("JSON.stringify({arguments})"));
            assert_eq!(ours, theirs, "{arguments}");
        }
    }

    #[test]
    fn what_nests_too_deeply_is_an_error() {
        let test = || {
            for part in ["[o]", "({ o })"] {
                let script = |levels| {
                    format!("let o = 1; for (let n = 0; n < {levels}; n++) o = {part}; JSON.stringify(o).length > 9")
                };
                assert_eq!(ours(&script(MAX_DEPTH)), format!("{:?}", js_string!("true").to_vec()), "{part}");
                assert_eq!(ours(&script(20 * MAX_DEPTH)), "RangeError", "{part}");
            }
        };
        std::thread::Builder::new().stack_size(64 << 20).spawn(test).expect("a thread").join().expect("no panic");
    }
}
