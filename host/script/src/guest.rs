//! The world's exports, and a [`Host`] of its imports.

use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use crate::engine::{Engine, Loaded, Program};
use crate::failure::Failure;
use crate::host::{Host, Level, Request, RequestId, Response};
use crate::pressure;

mod allocator;
mod error_code;
mod http;
mod image;
mod rehearsal;

/// What `wit-bindgen` makes of the world `preloaded-charm`.
#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "preloaded-charm", generate_all });

    export!(Script with_types_in self);

    use super::Script;
}

use bindings::commontools::background::{cells, config, errors, log};
use bindings::wasi::clocks::{monotonic_clock, wall_clock};
use bindings::wasi::random::random;
use bindings::{Guest, HandlerError, Shape};

/// Where the original's charm runtime is, unless the host says otherwise.
const DEFAULT_API_URL: &str = "http://localhost:8000/";

struct Script;

impl Guest for Script {
    fn setup() -> Result<Shape, HandlerError> {
        let inputs = config::get("charm.inputs").unwrap_or_else(|| "{}".into());
        let shape = call(|ready, program| ready.engine.setup(program, &inputs))?;
        Ok(Shape { name: shape.name, streams: shape.streams, secrets: shape.secrets })
    }

    fn page() -> Result<Option<String>, HandlerError> {
        call(|ready, program| ready.engine.page(program))
    }

    fn handle(stream: String, event: String) -> Result<(), HandlerError> {
        let result = Ready::take().map(ManuallyDrop::new).and_then(|mut ready| {
            let Some(loaded) = ready.loaded.take() else {
                let handed = Handed::get()?;
                let loaded = ready.engine.load(handed.program(), true)?;
                return ready.engine.handle(|| handed.program(), loaded, &stream, &event);
            };
            // What was loaded ahead is not read again, unless the call fails: its failure names lines of it.
            let handed = OnceCell::new();
            let program = || handed.get_or_init(|| Handed::get().unwrap_or_default()).program();
            ready.engine.handle(program, loaded, &stream, &event)
        });
        result.map_err(reported)
    }

    fn preload(whole: bool) -> bool {
        let load = || {
            let mut ready = Ready::take()?;
            let loaded = Handed::get().and_then(|handed| ready.engine.load(handed.program(), whole))?;
            ready.loaded = Some(loaded);
            READY.set(Some(ready));
            Ok::<_, Failure>(())
        };
        image::keep(|| load().is_ok())
    }

    fn restore(memory: u32) {
        image::restore(memory);
    }
}

/// An engine, and the program if that is loaded.
struct Ready {
    engine: Engine,
    loaded: Option<Loaded>,
}

thread_local! {
    /// What was made ahead. An instance serves one call, which takes it.
    static READY: Cell<Option<Ready>> = const { Cell::new(None) };
}

/// Makes the engine ahead.
fn make() -> Result<(), Failure> {
    let mut ready = Ready::new()?;
    ready.engine.warm_up()?;
    READY.set(Some(ready));
    Ok(())
}

/// Makes the engine ahead. `integrations/build` calls this once and keeps the memory as it is then, so that no call has
/// to wait for it. Nothing outside answers meanwhile: an engine that asked for the time or a random number would fail
/// here.
#[allow(unsafe_code, reason = "the builder calls it by its name")]
#[unsafe(no_mangle)]
extern "C" fn prepare() {
    match make() {
        Ok(()) => {
            allocator::placed();
            image::tidy();
        }
        // The builder says that the start failed. What it would say is lost; natively, tests say it.
        Err(failure) => panic!("{}", failure.message),
    }
}

impl Ready {
    fn new() -> Result<Self, Failure> {
        Ok(Self { engine: Engine::new(Rc::new(Outside::default()))?, loaded: None })
    }

    fn take() -> Result<Self, Failure> {
        READY.take().map_or_else(Self::new, Ok)
    }
}

/// A charm's program, as the host handed it in.
#[derive(Default)]
struct Handed {
    file: String,
    module: String,
    files: BTreeMap<String, String>,
}

impl Handed {
    fn get() -> Result<Self, Failure> {
        let module = config::get("charm.module")
            .ok_or_else(|| Failure::new("the host handed in no module: its configuration lacks `charm.module`"))?;
        let file = config::get("charm.file").unwrap_or_else(|| "charm".into());
        if let Some(memory) = config::get("charm.memory").and_then(|bytes| bytes.parse().ok()) {
            pressure::set_room(image::room(memory));
        }
        let files = config::get("charm.files").and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
        Ok(Self { file, module, files })
    }

    fn program(&self) -> Program<'_> {
        Program { file: &self.file, module: &self.module, files: &self.files }
    }
}

fn call<T>(run: impl FnOnce(&mut Ready, Program<'_>) -> Result<T, Failure>) -> Result<T, HandlerError> {
    let result = Handed::get().and_then(|handed| {
        // It goes with the instance, which takes less time than to take it apart.
        let mut ready = ManuallyDrop::new(Ready::take()?);
        run(&mut ready, handed.program())
    });
    result.map_err(reported)
}

/// A failure as the host is to see it.
fn reported(failure: Failure) -> HandlerError {
    match (failure.request, failure.status) {
        (Some(request), Some(status)) => errors::came_from_answer(request, status),
        (Some(request), None) => errors::came_from_request(request),
        (None, _) => {}
    }
    HandlerError { message: failure.message, stack: failure.stack }
}

/// The imports of the world.
#[derive(Default)]
struct Outside {
    requests: http::Requests,
    last: Cell<RequestId>,
}

impl Host for Outside {
    fn cell(&self, name: &str) -> Result<Option<String>, String> {
        if rehearsal::is_on() {
            return Ok(None);
        }
        image::ask();
        cells::get(name).map_err(|error| cell_error(&error))
    }

    fn set_cell(&self, name: &str, json: &str) -> Result<(), String> {
        if rehearsal::is_on() {
            return Ok(());
        }
        image::ask();
        cells::set(name, json).map_err(|error| cell_error(&error))
    }

    fn secrets(&self) -> String {
        configured("charm.secrets").unwrap_or_else(|| "[]".into())
    }

    fn changed(&self) -> String {
        configured("charm.changed").unwrap_or_else(|| "[]".into())
    }

    fn api_url(&self) -> String {
        configured("charm.api-url").unwrap_or_else(|| DEFAULT_API_URL.into())
    }

    fn log(&self, level: Level, message: &str) {
        if rehearsal::is_on() {
            return;
        }
        image::ask();
        let level = match level {
            Level::Trace => log::Level::Trace,
            Level::Debug => log::Level::Debug,
            Level::Info => log::Level::Info,
            Level::Warn => log::Level::Warn,
            Level::Error => log::Level::Error,
        };
        log::write(level, message);
    }

    fn now(&self) -> u64 {
        if rehearsal::is_on() {
            return 0;
        }
        image::ask();
        monotonic_clock::now()
    }

    fn wall_clock(&self) -> i64 {
        if rehearsal::is_on() {
            return 0;
        }
        image::ask();
        let now = wall_clock::now();
        i64::try_from(now.seconds).unwrap_or(i64::MAX / 1000).saturating_mul(1000)
            + i64::from(now.nanoseconds / 1_000_000)
    }

    fn send(&self, request: Request) -> Result<RequestId, String> {
        image::ask();
        let id = self.last.get().wrapping_add(1);
        self.requests.send(id, request)?;
        self.last.set(id);
        Ok(id)
    }

    fn forget(&self, id: RequestId) {
        self.requests.forget(id);
    }

    fn wait(&self, deadline: Option<u64>) -> Option<(RequestId, Result<Response, String>)> {
        image::ask();
        self.requests.wait(deadline)
    }
}

/// A value of the configuration. At a rehearsal there is none.
fn configured(key: &str) -> Option<String> {
    if rehearsal::is_on() { None } else { config::get(key) }
}

fn cell_error(error: &cells::CellError) -> String {
    match error {
        cells::CellError::BadName(why) => format!("this is no name for a cell: {why}"),
        cells::CellError::BadJson(why) => format!("its value can't be stored: {why}"),
        cells::CellError::TooLarge(why) => format!("its value is too large: {why}"),
        cells::CellError::Unavailable(why) => format!("the store did not answer: {why}"),
    }
}

/// Where this target's random numbers come from; the name is that of getrandom's `custom` backend.
#[allow(
    unsafe_code,
    clippy::unnecessary_wraps,
    reason = "getrandom calls it by its symbol, with a buffer, and wants a result"
)]
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(destination: *mut u8, length: usize) -> Result<(), getrandom::Error> {
    image::ask();
    let bytes = random::get_random_bytes(length as u64);
    // SAFETY: the caller's buffer has `length` bytes, and no more than that came.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), destination, bytes.len().min(length)) };
    Ok(())
}
