//! The functions by which [`crate::tasks`] learns that a function waits, and that it ends.

use boa_engine::{Context, JsResult, JsValue, js_string};

use crate::builtins::{Native, fault, method, replace_method};
use crate::jobs::jobs;
use crate::tasks::Then;

/// What `natives` offers of this file.
pub(crate) const FUNCTIONS: [(&str, Native, usize); 1] = [("end", end, 0)];

/// Has `then` say that it is called.
pub(crate) fn install(context: &mut Context) -> JsResult<()> {
    let prototype = context.intrinsics().constructors().promise().prototype();
    let engines = replace_method(&prototype, js_string!("then"), "then", then, 2, context)?;
    let ours = method(&prototype, "then", context)?;
    jobs(context)?.tasks.then.set(Then { engines, ours }).ok();
    Ok(())
}

fn then(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let jobs = jobs(context)?;
    let tasks = &jobs.tasks;
    let then = tasks.then.get().ok_or_else(|| fault("`then` was not replaced"))?;
    let outer = tasks.in_then.replace(true);
    let promise = then.engines.call(this, args, context);
    tasks.in_then.set(outer);
    promise
}

fn end(_: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    jobs(context)?.tasks.ended(context);
    Ok(JsValue::undefined())
}
