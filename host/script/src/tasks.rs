//! Which functions of a charm go on after an `await`.
//!
//! Where calls nest too deeply in such a function, the engine drops the function and reports nothing: what waits for its promise would wait
//! for ever. The transpiler has each function call `back` where it goes on, and `end` at its end; that one waits again, the engine says where
//! it asks for the callbacks that will resume it. One that went on in a job, and neither ended nor waits after it, was dropped.

use std::cell::{Cell, OnceCell, RefCell};

use boa_engine::builtins::function::OrdinaryFunction;
use boa_engine::object::builtins::JsFunction;
use boa_engine::{Context, JsArgs as _, JsObject, JsResult, JsString, JsValue, js_string};

use crate::natives::{Native, fault, jobs, method, replace_method};

/// What `natives` offers of this file.
pub(crate) const FUNCTIONS: [(&str, Native, usize); 2] = [("back", back, 2), ("end", end, 0)];

/// The functions that went on in the present job.
#[derive(Default)]
pub(crate) struct Tasks {
    /// How many calls are around each, and where it went on, as a frame of a stack. Outer ones first.
    running: RefCell<Vec<(usize, JsString)>>,
    then: OnceCell<Then>,
    /// Whether callbacks are those of a call of `then`.
    in_then: Cell<bool>,
}

/// The engine's `Promise.prototype.then`, and what is in its place.
struct Then {
    engines: JsFunction,
    ours: JsFunction,
}

impl Tasks {
    /// A job begins.
    pub(crate) fn start(&self) {
        self.running.borrow_mut().clear();
    }

    /// After a job: where a function went on that was dropped.
    pub(crate) fn dropped(&self) -> Option<String> {
        self.running.borrow().last().map(|(_, frame)| frame.to_std_string_lossy())
    }

    /// The engine makes callbacks of a promise: for a function that waits, unless it is `then` that was called.
    pub(crate) fn wait(&self, callback: &JsFunction, context: &Context) {
        if self.in_then.get() || self.running.borrow().is_empty() {
            return;
        }
        // A promise that is resolved with a thenable calls that.
        let is_then = callback.is::<OrdinaryFunction>()
            || self.then.get().is_some_and(|then| JsObject::equals(&then.ours, callback));
        if !is_then {
            self.leave(depth(context));
        }
    }

    fn go_on(&self, depth: usize, frame: JsString) {
        let mut running = self.running.borrow_mut();
        running.retain(|(other, _)| *other < depth);
        running.push((depth, frame));
    }

    fn leave(&self, depth: usize) {
        self.running.borrow_mut().retain(|(other, _)| *other < depth);
    }
}

/// How many of the charm's calls are around what runs.
fn depth(context: &Context) -> usize {
    context.stack_trace().size_hint().0
}

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

fn back(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let frame = args.get_or_undefined(0).as_string().unwrap_or_default();
    jobs(context)?.tasks.go_on(depth(context), frame);
    Ok(args.get_or_undefined(1).clone())
}

fn end(_: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    jobs(context)?.tasks.leave(depth(context));
    Ok(JsValue::undefined())
}
