//! A JavaScript engine that knows `commontools`, and runs one charm once.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use boa_engine::builtins::promise::PromiseState;
use boa_engine::module::{MapModuleLoader, SyntheticModuleInitializer};
use boa_engine::object::builtins::JsPromise;
use boa_engine::property::PropertyKey;
use boa_engine::vm::RuntimeLimits;
use boa_engine::{
    Context, JsError, JsNativeError, JsObject, JsResult, JsString, JsValue, Module, Source, gc, js_string,
};
use serde::Deserialize;

use crate::builtins::method;
use crate::failure::Failure;
use crate::host::Host;
use crate::jobs::{Hooks, HostClock, Jobs};
use crate::source_map::{SourceMap, without_map};
use crate::tasks::OWN_MODULE;
use crate::{awaits, libraries, natives, pressure, primitives, regexps, stringify, strings};

/// How deep calls nest. Calls that go through a function of the engine (`map`, a getter) take some 1,500 bytes of the
/// guest's stack each, which has a mebibyte.
const MAX_CALLS: usize = 320;

/// How many values the engine's own stack holds: [`MAX_CALLS`] calls of a few hundred values each.
const MAX_VALUES: usize = 128 * 1024;

/// How many frames of a stack the engine keeps: all, since the charm's own may lie below as many frames of evaluated
/// texts.
const MAX_FRAMES: usize = 2 * MAX_CALLS;

/// What is in each program that asks whether two things are the same: then it is noted where values come from.
const COMPARING: [&str; 6] = ["equals", "equalLinks", "addUnique", ".remove(", ".remove?", ".removeAll"];

/// The files in `js/`, as the body of one function. It is a block, in which a name that two files declare is an error;
/// in a function the later one would replace the other.
const RUNTIME: &str = concat!(
    "(function (host) { \"use strict\"; {\n",
    include_str!("js/schema.js"),
    include_str!("js/documents.js"),
    include_str!("js/links.js"),
    include_str!("js/cells.js"),
    include_str!("js/views.js"),
    include_str!("js/equality.js"),
    include_str!("js/secrets.js"),
    include_str!("js/derive.js"),
    include_str!("js/pages.js"),
    include_str!("js/requests.js"),
    include_str!("js/generators.js"),
    // A block of its own: what these files call their things is their own affair.
    "{\n",
    include_str!("js/web/base.js"),
    include_str!("js/web/events.js"),
    include_str!("js/web/timers.js"),
    include_str!("js/web/encoding.js"),
    include_str!("js/web/blobs.js"),
    include_str!("js/web/url.js"),
    include_str!("js/web/headers.js"),
    include_str!("js/web/body.js"),
    include_str!("js/web/fetch.js"),
    include_str!("js/web/clone.js"),
    include_str!("js/web/console.js"),
    include_str!("js/web/locale.js"),
    include_str!("js/web/dates.js"),
    "}\n",
    include_str!("js/packages.js"),
    include_str!("js/people.js"),
    include_str!("js/wishes.js"),
    include_str!("js/tests.js"),
    include_str!("js/texts.js"),
    include_str!("js/cfc.js"),
    include_str!("js/patterns.js"),
    "}})"
);

/// A charm that is loaded ahead and never called: `commontools` is linked, and the parser has met what charms are made
/// of.
const WARM_UP: &str = "import { Cell, NAME, UI, h, handler, pattern } from 'commontools';
const add = handler(async (event, { count, ...rest }) => {
  for (const [key, value] of Object.entries(rest)) if (key !== 'x') count.set(`${count.get() + 1}`);
});
export default pattern(({ count }) => ({ [NAME]: 'Ahead', [UI]: h('div', null, count), add: add({ count }) }));
";

/// A charm's program, as the host hands it in.
#[derive(Debug, Clone, Copy)]
pub struct Program<'p> {
    /// The name of the author's file, for stacks.
    pub file: &'p str,
    /// An ES module in JavaScript; may end with a source map.
    pub module: &'p str,
    /// Further modules by the names under which they are imported, which are those of the author's files.
    pub files: &'p BTreeMap<String, String>,
}

/// What a charm is made of, beside its cells.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Shape {
    /// The charm's name for people.
    pub name: Option<String>,
    /// The names of its streams.
    pub streams: Vec<String>,
    /// Paths of what is secret: a cell's name, then object keys; `*` is any key or index.
    pub secrets: Vec<Vec<String>>,
}

/// How far a program has come when its handler is called.
#[derive(Debug, Clone)]
pub enum Loaded {
    /// It was evaluated; this is the pattern.
    Program(JsValue),
    /// The pattern has run.
    Charm,
}

/// A fresh engine. It is for one call: what a charm leaves behind in it would be seen by the next.
pub struct Engine {
    context: Context,
    jobs: Rc<Jobs>,
    hooks: Rc<Hooks>,
    loader: Rc<MapModuleLoader>,
    runtime: JsObject,
}

impl Engine {
    /// Starts an engine.
    pub fn new(host: Rc<dyn Host>) -> Result<Self, Failure> {
        let failed = |error: JsError| Failure::new(format!("the JavaScript engine did not start: {error}"));
        let jobs = Jobs::new(Rc::clone(&host));
        let hooks = Hooks::new(&jobs);
        let loader = Rc::new(MapModuleLoader::new());
        let mut context = Context::builder()
            .clock(Rc::new(HostClock(host)))
            .host_hooks(Rc::clone(&hooks))
            .job_executor(Rc::clone(&jobs))
            .module_loader(Rc::clone(&loader))
            .build()
            .map_err(failed)?;
        let mut limits = RuntimeLimits::default();
        limits.set_recursion_limit(MAX_CALLS);
        limits.set_stack_size_limit(MAX_VALUES);
        limits.set_backtrace_limit(MAX_FRAMES);
        context.set_runtime_limits(limits);
        let runtime = start(&loader, &mut context).map_err(failed)?;
        Ok(Self { context, jobs, hooks, loader, runtime })
    }

    /// Does what every call would do first, and leaves nothing of it but what it made ready.
    pub fn warm_up(&mut self) -> Result<(), Failure> {
        let files = BTreeMap::new();
        let program = Program { file: "warm-up", module: WARM_UP, files: &files };
        self.evaluate(program).map_err(|error| self.failure(&error, program))?;
        gc::force_collect();
        Ok(())
    }

    /// Runs the charm's pattern for the first time: stores its cells, with `inputs`, a JSON object, over their
    /// defaults.
    pub fn setup(&mut self, program: Program<'_>, inputs: &str) -> Result<Shape, Failure> {
        let shape = self.try_setup(program, inputs).map_err(|error| self.failure(&error, program))?;
        serde_json::from_str(&shape).map_err(|error| Failure::new(format!("the charm's shape can't be read: {error}")))
    }

    /// Loads the program for a call of a handler; `whole`, runs its pattern, too, which makes the charm's cells and
    /// streams.
    pub fn load(&mut self, program: Program<'_>, whole: bool) -> Result<Loaded, Failure> {
        self.try_load(program, whole).map_err(|error| self.failure(&error, program))
    }

    /// Sends `event`, a JSON text, to one of the streams of a charm that is loaded, and returns when its handler and
    /// all that it started is done. `program` is what was loaded; it is asked for only if the call fails.
    pub fn handle<'p>(
        &mut self,
        program: impl FnOnce() -> Program<'p>,
        loaded: Loaded,
        stream: &str,
        event: &str,
    ) -> Result<(), Failure> {
        self.try_handle(loaded, stream, event).map_err(|error| self.failure(&error, program()))
    }

    /// The charm's page: the tree that its pattern returns as `UI`, as JSON; none if it returns none.
    pub fn page(&mut self, program: Program<'_>) -> Result<Option<String>, Failure> {
        self.try_page(program).map_err(|error| self.failure(&error, program))
    }

    /// The maps are read only now: most calls have no use for them.
    fn failure(&mut self, error: &JsError, program: Program<'_>) -> Failure {
        let files = program.files.iter().map(|(file, module)| (file.as_str(), module.as_str()));
        let maps = std::iter::once((program.file, program.module)).chain(files);
        let maps: Vec<_> = maps.map(|(file, module)| SourceMap::of(file, module)).collect();
        let dropped = self.jobs.dropped.take().unwrap_or_default();
        Failure::of(error, &dropped, &self.runtime, &maps, &mut self.context)
    }

    fn try_setup(&mut self, program: Program<'_>, inputs: &str) -> JsResult<String> {
        self.call("enter", &[true.into()])?;
        let pattern = self.evaluate(program)?;
        self.call("setup", &[pattern, JsString::from(inputs).into()])?;
        self.loaded()?;
        self.run()?;
        self.settle(true)?;
        let shape = self.call("finish", &[])?;
        shape.to_string(&mut self.context).map(|text| text.to_std_string_lossy())
    }

    fn try_load(&mut self, program: Program<'_>, whole: bool) -> JsResult<Loaded> {
        let pattern = self.evaluate(program)?;
        if !whole {
            return Ok(Loaded::Program(pattern));
        }
        self.make(pattern)?;
        Ok(Loaded::Charm)
    }

    fn try_handle(&mut self, loaded: Loaded, stream: &str, event: &str) -> JsResult<()> {
        if let Loaded::Program(pattern) = loaded {
            self.make(pattern)?;
        }
        self.loaded()?;
        let done = self.call("handle", &[JsString::from(stream).into(), JsString::from(event).into()])?;
        self.finish(done, "the handler waits for a promise that nothing is left to settle")?;
        self.settle(false)?;
        self.call("store", &[]).map(drop)
    }

    /// Runs the charm's pattern, which makes its cells and streams.
    fn make(&mut self, pattern: JsValue) -> JsResult<()> {
        self.call("make", &[pattern])?;
        self.jobs.run_ready(&mut self.context)
    }

    /// What runs from here on is the call itself.
    fn loaded(&mut self) -> JsResult<()> {
        self.jobs.run_ready(&mut self.context)?;
        self.jobs.timers.set_loading(false);
        Ok(())
    }

    fn try_page(&mut self, program: Program<'_>) -> JsResult<Option<String>> {
        let pattern = self.evaluate(program)?;
        let page = self.call("page", &[pattern])?;
        self.run()?;
        Ok(page.as_string().map(|text| text.to_std_string_lossy()))
    }

    /// Runs until what follows from the cells is up to date: derived cells, and the requests that these cause.
    fn settle(&mut self, everything: bool) -> JsResult<()> {
        loop {
            let pending = self.call("settle", &[everything.into()])?;
            if pending.is_undefined() {
                return self.run();
            }
            self.finish(pending, "derived cells wait for a promise that nothing is left to settle")?;
        }
    }

    /// Runs until nothing is left to run, and returns the result of `done`, which may be a promise.
    fn finish(&mut self, done: JsValue, stuck: &'static str) -> JsResult<()> {
        let done = JsPromise::resolve(done, &mut self.context)?;
        let ran = self.run_for(&done);
        match done.state() {
            PromiseState::Rejected(reason) => Err(JsError::from_opaque(reason)),
            PromiseState::Fulfilled(_) => ran,
            PromiseState::Pending => ran.and(Err(never(stuck))),
        }
    }

    /// Evaluates the module, and returns its default export.
    fn evaluate(&mut self, program: Program<'_>) -> JsResult<JsValue> {
        self.jobs.timers.set_loading(true);
        for (file, module) in program.files {
            let module = self.parse(file, module)?;
            self.loader.insert(file, module);
        }
        let module = self.parse(program.file, program.module)?;
        let evaluated = module.load_link_evaluate(&mut self.context);
        self.finish(evaluated.into(), "the module waits for a promise that nothing is left to settle")?;
        module.namespace(&mut self.context).get(js_string!("default"), &mut self.context)
    }

    fn parse(&mut self, file: &str, module: &str) -> JsResult<Module> {
        self.jobs.tasks.loaded(module);
        if COMPARING.iter().any(|word| module.contains(word)) {
            self.call("noteComparisons", &[])?;
        }
        libraries::prepare(module, &mut self.context)?;
        let source = Source::from_bytes(without_map(module)).with_path(Path::new(file));
        Module::parse(source, None, &mut self.context)
    }

    /// Runs until nothing is left to run. A rejection that nobody handles is an error.
    fn run(&mut self) -> JsResult<()> {
        self.run_while(|| false)
    }

    /// As [`Self::run`], and while `promise` is pending, what would not keep the call going by itself is waited for as
    /// well.
    fn run_for(&mut self, promise: &JsPromise) -> JsResult<()> {
        self.run_while(|| matches!(promise.state(), PromiseState::Pending))
    }

    fn run_while(&mut self, waiting: impl Fn() -> bool) -> JsResult<()> {
        self.jobs.run(waiting, &mut self.context)?;
        let Some(promise) = self.hooks.unhandled() else { return Ok(()) };
        match JsPromise::from_object(promise)?.state() {
            PromiseState::Rejected(reason) => Err(JsError::from_opaque(reason)),
            _ => Ok(()),
        }
    }

    fn call(&mut self, function: &str, arguments: &[JsValue]) -> JsResult<JsValue> {
        let function = method(&self.runtime, function, &mut self.context)?;
        function.call(&JsValue::undefined(), arguments, &mut self.context)
    }
}

fn never(message: &'static str) -> JsError {
    JsNativeError::error().with_message(message).into()
}

/// Evaluates the files in `js/`, and offers what they export as a module.
fn start(loader: &MapModuleLoader, context: &mut Context) -> JsResult<JsObject> {
    // Two would wait in ways that a guest can't; the language has no global of the third name.
    for name in ["Atomics", "SharedArrayBuffer", "TypedArray"] {
        context.global_object().delete_property_or_throw(JsString::from(name), context)?;
    }
    strings::install(context)?;
    regexps::install(context)?;
    awaits::install(context)?;
    primitives::install(context)?;
    stringify::install(context)?;
    pressure::install(context)?;
    let object = |value: JsValue| value.as_object().ok_or_else(|| never("the runtime is not an object"));
    let source = Source::from_bytes(RUNTIME).with_path(Path::new(OWN_MODULE));
    let make = object(context.eval(source)?)?;
    let host = natives::object(context);
    let runtime = object(make.call(&JsValue::undefined(), &[host.into()], context)?)?;
    let exports = object(runtime.get(js_string!("exports"), context)?)?;
    offer(OWN_MODULE, exports, loader, context)?;
    let packages = object(runtime.get(js_string!("packages"), context)?)?;
    for name in names(&packages, context)? {
        let exports = object(packages.get(name.clone(), context)?)?;
        offer(&name.to_std_string_lossy(), exports, loader, context)?;
    }
    Ok(runtime)
}

/// Offers what an object has as a module.
fn offer(module: &str, exports: JsObject, loader: &MapModuleLoader, context: &mut Context) -> JsResult<()> {
    let names = names(&exports, context)?;
    let fill = SyntheticModuleInitializer::from_copy_closure_with_captures(
        |module, (exports, names): &(JsObject, Vec<JsString>), context| {
            for name in names {
                let value = exports.get(name.clone(), context)?;
                module.set_export(name, value)?;
            }
            Ok(())
        },
        (exports, names.clone()),
    );
    loader.insert(module, Module::synthetic(&names, fill, Some(module.into()), None, context));
    Ok(())
}

fn names(object: &JsObject, context: &mut Context) -> JsResult<Vec<JsString>> {
    let keys = object.own_property_keys(context)?.into_iter();
    Ok(keys.filter_map(|key| if let PropertyKey::String(name) = key { Some(name) } else { None }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_files_of_the_runtime_declare_the_same_function() {
        let mut context = Context::default();
        let mut evaluate = |script: &str| context.eval(Source::from_bytes(script)).map(drop);
        evaluate(RUNTIME).expect("the runtime");
        let twice = RUNTIME.replace("\nfunction readAt(", "\nfunction read(");
        assert_ne!(twice, RUNTIME);
        evaluate(&twice).expect_err("`read` is declared twice");
    }
}
