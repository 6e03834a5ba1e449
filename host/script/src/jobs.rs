//! What is still to be run: promise jobs, timers, and requests whose responses are awaited.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};

use boa_engine::builtins::promise::{OperationType, Promise};
use boa_engine::context::HostHooks;
use boa_engine::context::time::{Clock, JsInstant};
use boa_engine::job::{GenericJob, Job, JobCallback, JobExecutor, NativeAsyncJob, PromiseJob};
use boa_engine::object::JsObject;
use boa_engine::object::builtins::{JsArray, JsArrayBuffer, JsFunction};
use boa_engine::realm::Realm;
use boa_engine::{Context, JsNativeError, JsResult, JsString, JsValue};

use crate::host::{Host, Request, RequestId, Response};
use crate::parts::Parts;
use crate::pressure;
use crate::tasks::Tasks;
use crate::timers::{Origin, Timer, Timers};
use crate::types::Type;
use crate::waits::{may_wait, nests_too_deeply};

/// The largest `ArrayBuffer`: half of a charm's memory, since the copy that JavaScript makes next has to fit as well.
const MAX_BUFFER: u64 = 64 * 1024 * 1024;

/// The jobs of the engine that runs.
pub(crate) fn jobs(context: &Context) -> JsResult<Rc<Jobs>> {
    let jobs = context.downcast_job_executor::<Jobs>();
    jobs.ok_or_else(|| JsNativeError::error().with_message("there is no host").into())
}

enum Next {
    Promise(PromiseJob),
    Generic(GenericJob),
    Async(NativeAsyncJob),
}

/// What is called when a request is done: with `[status, [name, value, …], body]`, or with the text of what went wrong;
/// and with its number.
pub(crate) struct Settle {
    pub(crate) done: JsFunction,
    pub(crate) failed: JsFunction,
}

/// A request that is under way.
struct Pending {
    settle: Settle,
    /// What led to it.
    origin: Origin,
}

/// The jobs of one engine, and its host, which the natives find here.
pub(crate) struct Jobs {
    pub(crate) host: Rc<dyn Host>,
    ready: RefCell<VecDeque<Next>>,
    pub(crate) timers: Timers,
    requests: RefCell<HashMap<RequestId, Pending>>,
    pub(crate) tasks: Tasks,
    /// Where a function waited that the engine has dropped, as a frame of a stack.
    pub(crate) dropped: RefCell<Option<String>>,
    /// What the functions keep that replace the engine's.
    parts: Parts,
    /// Of cells that are written, by their numbers.
    pub(crate) types: RefCell<Vec<Type>>,
}

impl Jobs {
    pub(crate) fn new(host: Rc<dyn Host>) -> Rc<Self> {
        Rc::new(Self {
            host,
            ready: RefCell::default(),
            timers: Timers::default(),
            requests: RefCell::default(),
            tasks: Tasks::default(),
            dropped: RefCell::default(),
            parts: Parts::default(),
            types: RefCell::default(),
        })
    }

    /// The part of this type, which begins as its default.
    pub(crate) fn part<T: Default + 'static>(&self) -> Rc<T> {
        self.parts.get()
    }

    /// Calls `function` when `milliseconds` have passed; if it is `weak`, only if something else keeps the call going
    /// until then. Returns the timer's number.
    pub(crate) fn set_timer(&self, function: JsFunction, milliseconds: f64, weak: bool) -> u32 {
        self.timers.set(function, milliseconds, weak, || self.host.now())
    }

    /// Sends a request. Returns its number, unless it failed at once.
    pub(crate) fn fetch(&self, request: Request, settle: Settle, context: &mut Context) -> JsResult<Option<RequestId>> {
        match self.host.send(request) {
            Ok(id) => {
                let origin = self.timers.origin.get();
                self.requests.borrow_mut().insert(id, Pending { settle, origin });
                Ok(Some(id))
            }
            Err(message) => {
                settle.failed.call(&JsValue::undefined(), &[JsString::from(message.as_str()).into()], context)?;
                Ok(None)
            }
        }
    }

    /// Forgets a request, if it is still under way.
    pub(crate) fn cancel_fetch(&self, id: RequestId) {
        if self.requests.borrow_mut().remove(&id).is_some() {
            self.host.forget(id);
        }
    }

    /// Runs until nothing is left to run. Weak timers, and what is of the background, count only as long as somebody is
    /// `waiting`. An error is one that no promise took: a throw in a timer, or a limit of the engine's.
    pub(crate) fn run(&self, waiting: impl Fn() -> bool, context: &mut Context) -> JsResult<()> {
        loop {
            self.run_ready(context)?;
            context.clear_kept_objects();
            self.timers.turn();
            let is_waiting = waiting();
            if is_waiting || !self.timers.is_loading() {
                self.timers.arm(|| self.host.now());
            }
            if !self.alive() && !is_waiting {
                let Some(timer) = self.timers.take_at_once() else { return Ok(()) };
                self.fire(&timer, context)?;
                continue;
            }
            let first = self.timers.first_due();
            if first.is_some_and(|due| due <= self.host.now()) {
                if let Some(timer) = self.timers.take_first() {
                    self.fire(&timer, context)?;
                }
                continue;
            }
            if first.is_none() && self.requests.borrow().is_empty() {
                return Ok(());
            }
            if let Some((id, outcome)) = self.host.wait(first) {
                self.settle(id, outcome, context)?;
            }
        }
    }

    /// Runs promise jobs until none is left.
    pub(crate) fn run_ready(&self, context: &mut Context) -> JsResult<()> {
        pressure::relieve();
        while let Some(job) = self.next_ready() {
            pressure::relieve();
            match job {
                Next::Promise(job) => job.call(context)?,
                Next::Generic(job) => job.call(context)?,
                Next::Async(job) => finish(job, context)?,
            };
            self.check()?;
        }
        Ok(())
    }

    /// Calls a timer's function, which may lead to more until the next event.
    fn fire(&self, timer: &Timer, context: &mut Context) -> JsResult<()> {
        self.timers.origin.set(timer.origin);
        timer.function.call(&JsValue::undefined(), &[], context).map(drop)
    }

    /// Fails if the engine dropped a function in the last job.
    fn check(&self) -> JsResult<()> {
        let Some(place) = self.tasks.dropped() else { return Ok(()) };
        self.dropped.replace(Some(place));
        Err(JsNativeError::range().with_message("the calls are nested too deeply").into())
    }

    /// Whether something is under way that the call has to wait for.
    fn alive(&self) -> bool {
        self.requests.borrow().values().any(|request| request.origin != Origin::Background)
            || self.timers.hold_the_call()
    }

    fn next_ready(&self) -> Option<Next> {
        self.ready.borrow_mut().pop_front()
    }

    fn settle(&self, id: RequestId, outcome: Result<Response, String>, context: &mut Context) -> JsResult<()> {
        let pending = self.requests.borrow_mut().remove(&id);
        let Some(Pending { settle, origin }) = pending else { return Ok(()) };
        self.timers.origin.set(origin);
        match outcome {
            Ok(response) => {
                let value = response_value(&response, context)?;
                settle.done.call(&JsValue::undefined(), &[value, id.into()], context)?;
            }
            Err(message) => {
                let reason = JsString::from(message.as_str()).into();
                settle.failed.call(&JsValue::undefined(), &[reason, id.into()], context)?;
            }
        }
        Ok(())
    }
}

fn response_value(response: &Response, context: &mut Context) -> JsResult<JsValue> {
    let fields = response.headers.iter().flat_map(|(name, value)| [name, value]);
    let fields: Vec<JsValue> = fields.map(|text| JsString::from(text.as_str()).into()).collect();
    let fields = JsArray::from_iter(fields, context);
    let body = buffer(&response.body, context)?;
    Ok(JsArray::from_iter([response.status.into(), fields.into(), body.into()], context).into())
}

/// Bytes as an `ArrayBuffer`.
pub(crate) fn buffer(bytes: &[u8], context: &mut Context) -> JsResult<JsArrayBuffer> {
    let buffer = JsArrayBuffer::new(bytes.len(), context)?;
    if let Some(mut data) = buffer.data_mut() {
        data.copy_from_slice(bytes);
    }
    Ok(buffer)
}

/// Runs a job of the engine's own that is a future. Those that modules cause never wait.
fn finish(job: NativeAsyncJob, context: &mut Context) -> JsResult<JsValue> {
    let context = RefCell::new(context);
    let mut future = job.call(&context);
    match Pin::new(&mut future).poll(&mut std::task::Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(JsNativeError::error().with_message("this waits for something that never comes").into()),
    }
}

impl JobExecutor for Jobs {
    fn enqueue_job(self: Rc<Self>, job: Job, _: &mut Context) {
        self.tasks.queued();
        let next = match job {
            Job::PromiseJob(job) => Next::Promise(job),
            Job::GenericJob(job) => Next::Generic(job),
            Job::AsyncJob(job) => Next::Async(job),
            // Clean-ups need not run at all, and only `Atomics`, which charms don't have, sets the engine's own timers.
            _ => return,
        };
        self.ready.borrow_mut().push_back(next);
    }

    fn run_jobs(self: Rc<Self>, context: &mut Context) -> JsResult<()> {
        self.run(|| false, context)
    }
}

/// What the engine asks of its host in passing.
pub(crate) struct Hooks {
    jobs: Weak<Jobs>,
    /// Promises that were rejected and that nobody handles.
    rejected: RefCell<Vec<JsObject>>,
}

impl Hooks {
    pub(crate) fn new(jobs: &Rc<Jobs>) -> Rc<Self> {
        Rc::new(Self { jobs: Rc::downgrade(jobs), rejected: RefCell::default() })
    }

    /// The first rejected promise that nobody has handled.
    pub(crate) fn unhandled(&self) -> Option<JsObject> {
        self.rejected.borrow().first().cloned()
    }
}

impl HostHooks for Hooks {
    fn make_job_callback(&self, callback: JsFunction, context: &mut Context) -> JobCallback {
        match self.jobs.upgrade() {
            Some(jobs) => jobs.tasks.callback(callback, context),
            None => JobCallback::new(callback, ()),
        }
    }

    fn call_job_callback(
        &self,
        job: &JobCallback,
        this: &JsValue,
        args: &[JsValue],
        context: &mut Context,
    ) -> JsResult<JsValue> {
        if let Some(jobs) = self.jobs.upgrade() {
            jobs.tasks.call(job, args);
        }
        job.callback().call(this, args, context)
    }

    /// Texts are not transpiled: nobody would learn that calls nest too deeply in a function that waits.
    fn ensure_can_compile_strings(
        &self,
        _: Realm,
        parameters: &[JsString],
        body: &JsString,
        _: bool,
        _: &mut Context,
    ) -> JsResult<()> {
        // As the engine puts it together: a string may begin in one parameter and end in the next.
        let parameters: Vec<_> = parameters.iter().map(JsString::to_std_string_lossy).collect();
        let code = format!("{}\n{}", parameters.join(","), body.to_std_string_lossy());
        if nests_too_deeply(&code) {
            return Err(JsNativeError::range().with_message("the code nests too deeply").into());
        }
        if may_wait(&code) {
            let message = "code that is made of a text can't be async here: write it in the charm's file";
            return Err(JsNativeError::typ().with_message(message).into());
        }
        Ok(())
    }

    fn promise_rejection_tracker(&self, promise: &JsObject<Promise>, operation: OperationType, _: &mut Context) {
        let promise = promise.clone().upcast();
        let mut rejected = self.rejected.borrow_mut();
        match operation {
            OperationType::Reject => rejected.push(promise),
            OperationType::Handle => rejected.retain(|one| !JsObject::equals(one, &promise)),
        }
    }

    fn local_timezone_offset_seconds(&self, _: i64) -> i32 {
        0
    }

    fn max_buffer_size(&self, _: &mut Context) -> u64 {
        // The engine asks before each buffer, which may be larger than all that was allocated since the last
        // collection.
        pressure::relieve();
        MAX_BUFFER
    }
}

/// The host's clocks for `Date`.
pub(crate) struct HostClock(pub(crate) Rc<dyn Host>);

impl Clock for HostClock {
    fn now(&self) -> JsInstant {
        const SECOND: u64 = 1_000_000_000;
        let now = self.0.now();
        JsInstant::new(now / SECOND, u32::try_from(now % SECOND).unwrap_or(0))
    }

    fn system_time_millis(&self) -> i64 {
        self.0.wall_clock()
    }
}
