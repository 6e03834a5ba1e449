//! The engine's own functions, and how others take their place.

use boa_engine::object::builtins::JsFunction;
use boa_engine::object::{FunctionObjectBuilder, JsObject};
use boa_engine::property::{PropertyDescriptor, PropertyKey};
use boa_engine::{Context, JsNativeError, JsResult, JsString, JsValue, NativeFunction};

use crate::pressure;

pub(crate) type Native = fn(&JsValue, &[JsValue], &mut Context) -> JsResult<JsValue>;

pub(crate) fn fault(message: impl Into<String>) -> boa_engine::JsError {
    JsNativeError::error().with_message(message.into()).into()
}

/// The property of an object, as a function.
pub(crate) fn method(object: &JsObject, name: &str, context: &mut Context) -> JsResult<JsFunction> {
    let value = object.get(JsString::from(name), context)?;
    let function = value.as_object().and_then(JsFunction::from_object);
    function.ok_or_else(|| JsNativeError::typ().with_message(format!("{name} is not a function")).into())
}

/// Puts a function in the place of one of the engine's. Returns that.
pub(crate) fn replace_method(
    object: &JsObject,
    key: impl Into<PropertyKey>,
    name: &str,
    function: Native,
    length: usize,
    context: &mut Context,
) -> JsResult<JsFunction> {
    let key = key.into();
    let replaced = object.get(key.clone(), context)?.as_object().and_then(JsFunction::from_object);
    let replaced = replaced.ok_or_else(|| fault(format!("the engine has no {name}")))?;
    let function = build(name, function, length, context);
    let property = PropertyDescriptor::builder().value(function).writable(true).enumerable(false).configurable(true);
    object.define_property_or_throw(key, property, context)?;
    Ok(replaced)
}

/// The same for a getter.
pub(crate) fn replace_getter(
    object: &JsObject,
    name: &str,
    function: Native,
    context: &mut Context,
) -> JsResult<JsFunction> {
    let replaced = getter(object, name, context)?;
    let function = build(&format!("get {name}"), function, 0, context);
    let property = PropertyDescriptor::builder().get(function).enumerable(false).configurable(true);
    object.define_property_or_throw(JsString::from(name), property, context)?;
    Ok(replaced)
}

/// The function, which collects garbage first if memory is short.
pub(crate) fn relieving(function: Native) -> NativeFunction {
    NativeFunction::from_copy_closure(move |this, args, context| {
        pressure::relieve();
        function(this, args, context)
    })
}

fn build(name: &str, function: Native, length: usize, context: &mut Context) -> JsFunction {
    FunctionObjectBuilder::new(context.realm(), relieving(function)).name(JsString::from(name)).length(length).build()
}

/// The getter of an object's own property.
pub(crate) fn getter(object: &JsObject, name: &str, context: &mut Context) -> JsResult<JsFunction> {
    let describe =
        method(&context.intrinsics().constructors().object().constructor(), "getOwnPropertyDescriptor", context)?;
    let described =
        describe.call(&JsValue::undefined(), &[object.clone().into(), JsString::from(name).into()], context)?;
    let described = described.as_object().ok_or_else(|| fault(format!("the engine has no {name}")))?;
    method(&described, "get", context)
}
