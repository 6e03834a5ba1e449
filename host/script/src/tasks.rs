//! Whether a function of a charm that went on after an `await` was dropped.
//!
//! Where calls nest too deeply in such a function, the engine drops the function and reports nothing: what waits for
//! its promise would wait for ever. The engine asks for a job's callbacks where a function starts to wait, and calls
//! one where the function goes on; the transpiler has each function call `end` at its end. One that went on in a job,
//! and neither waits nor has ended after it, was dropped.

use std::cell::{Cell, OnceCell, RefCell};

use boa_engine::builtins::function::OrdinaryFunction;
use boa_engine::job::JobCallback;
use boa_engine::object::builtins::JsFunction;
use boa_engine::vm::{CallFrame, SourcePath};
use boa_engine::{Context, JsObject, JsString, JsValue};

/// The module that charms import from, and its name in stacks, where it is left out.
pub(crate) const OWN_MODULE: &str = "commontools";

/// How many calls are around a function that goes on in a job, itself included.
const DEPTH: usize = 1;

/// What is in each module whose functions that wait call `end`.
const MARK: &str = "__end";

#[derive(Default)]
pub(crate) struct Tasks {
    /// Whether the program's functions call `end`; those of the guest's own module never do.
    is_marked: Cell<bool>,
    /// Where functions wait, by their numbers.
    places: RefCell<Vec<Option<Place>>>,
    free: RefCell<Vec<u32>>,
    /// The function that has one of its two callbacks, for success and failure.
    half: Cell<Option<u32>>,
    /// Where the function waited that went on in the present job, until it ends or waits again.
    running: RefCell<Option<Place>>,
    pub(crate) then: OnceCell<Then>,
    /// Whether callbacks are those of a call of `then`.
    pub(crate) in_then: Cell<bool>,
}

/// Where a function waits.
struct Place {
    function: JsString,
    path: SourcePath,
    line: u32,
    column: u32,
}

impl Place {
    fn of(frame: &CallFrame) -> Self {
        let place = frame.position();
        let (line, column) = place.position.map_or((1, 1), |at| (at.line_number(), at.column_number()));
        Self { function: place.function_name, path: place.path, line, column }
    }

    /// Whether the guest itself waits.
    fn is_own(&self) -> bool {
        // As bytes: comparing paths takes them apart, at each `await`.
        matches!(&self.path, SourcePath::Path(path) if path.as_os_str() == OWN_MODULE)
    }
}

/// The engine's `Promise.prototype.then`, and what is in its place.
pub(crate) struct Then {
    pub(crate) engines: JsFunction,
    pub(crate) ours: JsFunction,
}

impl Tasks {
    /// A module of the program is loaded.
    pub(crate) fn loaded(&self, module: &str) {
        if module.contains(MARK) {
            self.is_marked.set(true);
        }
    }

    /// A function of the program ends.
    pub(crate) fn ended(&self, context: &Context) {
        if depth(context) == DEPTH {
            self.running.take();
        }
    }

    /// A job is queued: no further callback belongs to the one before.
    pub(crate) fn queued(&self) {
        self.half.set(None);
    }

    /// After a job: where a function waited that went on and was dropped, as a frame of a stack.
    pub(crate) fn dropped(&self) -> Option<String> {
        let Place { function, path, line, column } = self.running.take()?;
        Some(format!("\n    at {} ({path}:{line}:{column})", function.to_std_string_lossy()))
    }

    /// The engine makes a callback of a promise: of a function that waits, unless it is `then` that was called, or a
    /// promise is resolved with a thenable.
    pub(crate) fn callback(&self, callback: JsFunction, context: &Context) -> JobCallback {
        if self.in_then.get() || !self.is_marked.get() {
            return JobCallback::new(callback, ());
        }
        if let Some(number) = self.half.take() {
            return JobCallback::new(callback, number);
        }
        let is_then = callback.is::<OrdinaryFunction>()
            || self.then.get().is_some_and(|then| JsObject::equals(&then.ours, &callback));
        if is_then {
            return JobCallback::new(callback, ());
        }
        let place = context.stack_trace().next().map(Place::of).filter(|place| !place.is_own());
        let Some(place) = place else { return JobCallback::new(callback, ()) };
        if depth(context) == DEPTH {
            self.running.take();
        }
        let mut places = self.places.borrow_mut();
        let number = self.free.borrow_mut().pop().unwrap_or_else(|| {
            places.push(None);
            u32::try_from(places.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(kept) = places.get_mut(number as usize) {
            *kept = Some(place);
        }
        self.half.set(Some(number));
        JobCallback::new(callback, number)
    }

    /// The engine calls a callback: a function goes on. A thenable is called with two functions.
    pub(crate) fn call(&self, callback: &JobCallback, args: &[JsValue]) {
        let Some(number) = callback.host_defined().downcast_ref::<u32>() else { return };
        let place = self.places.borrow_mut().get_mut(*number as usize).and_then(Option::take);
        self.free.borrow_mut().push(*number);
        self.running.replace(place.filter(|_| args.len() == 1));
    }
}

/// How many of the charm's calls are around what runs.
fn depth(context: &Context) -> usize {
    context.stack_trace().size_hint().0
}
