//! What an object is as a primitive value.
//!
//! Where that asks for the same object's value again, the engine answers with nothing, and a charm's endless recursion
//! would succeed. So each object has a `Symbol.toPrimitive` that does what the language says.

use boa_engine::object::FunctionObjectBuilder;
use boa_engine::property::PropertyDescriptor;
use boa_engine::{
    Context, JsArgs as _, JsNativeError, JsResult, JsString, JsSymbol, JsValue, NativeFunction, js_string,
};

pub(crate) fn install(context: &mut Context) -> JsResult<()> {
    let function = NativeFunction::from_fn_ptr(to_primitive);
    let function = FunctionObjectBuilder::new(context.realm(), function)
        .name(JsString::from("[Symbol.toPrimitive]"))
        .length(1)
        .build();
    let property = PropertyDescriptor::builder().value(function).writable(true).enumerable(false).configurable(true);
    let prototype = context.intrinsics().constructors().object().prototype();
    prototype.define_property_or_throw(JsSymbol::to_primitive(), property, context)?;
    Ok(())
}

fn to_primitive(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let Some(object) = this.as_object() else { return Ok(this.clone()) };
    let hint = args.get_or_undefined(0).as_string();
    let mut methods = [js_string!("valueOf"), js_string!("toString")];
    if hint.is_some_and(|hint| hint == js_string!("string")) {
        methods.reverse();
    }
    for method in methods {
        if let Some(method) = object.get(method, context)?.as_callable() {
            let value = method.call(this, &[], context)?;
            if !value.is_object() {
                return Ok(value);
            }
        }
    }
    Err(JsNativeError::typ().with_message("Cannot convert object to primitive value").into())
}
