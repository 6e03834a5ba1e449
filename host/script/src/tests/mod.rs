//! The engine against a host that is a few maps. The same module runs in the sandbox in the product's tests.

mod abort;
mod blob;
mod charms;
mod clone;
mod console;
mod dates;
mod derived;
mod encoding;
mod equality;
mod fetch;
mod globals;
mod headers;
mod intl;
mod links;
mod locale;
mod nodes;
mod runtime;
mod texts;
mod timers;
mod url;
mod views;
mod wishes;
mod writes;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use serde_json::Value;

use crate::engine::{Engine, Program, Shape};
use crate::failure::Failure;
use crate::host::{Host, Level, Request, RequestId, Response};

/// What answers a request.
type Answer = Box<dyn Fn(&Request) -> Result<Response, String>>;

/// Cells in a map, a clock that moves only when somebody waits, and a function for the network.
#[derive(Default)]
pub(crate) struct Outside {
    cells: RefCell<BTreeMap<String, String>>,
    lines: RefCell<Vec<(Level, String)>>,
    time: Cell<u64>,
    /// How often a clock was read.
    clock_reads: Cell<u32>,
    requests: RefCell<Vec<Request>>,
    /// Requests that wait for their answers, and how many waited at once at most.
    waiting: RefCell<VecDeque<RequestId>>,
    most_waiting: Cell<usize>,
    answer: RefCell<Option<Answer>>,
    /// Requests that the engine did not want any more.
    forgotten: RefCell<Vec<RequestId>>,
    /// Paths of what is secret.
    secrets: RefCell<Value>,
    /// Names of cells that others have written.
    changed: RefCell<Vec<&'static str>>,
    /// How long an answer takes, in nanoseconds.
    slowness: Cell<u64>,
}

impl Host for Outside {
    fn cell(&self, name: &str) -> Result<Option<String>, String> {
        Ok(self.cells.borrow().get(name).cloned())
    }

    fn set_cell(&self, name: &str, json: &str) -> Result<(), String> {
        if name.is_empty() {
            return Err("bad name".into());
        }
        serde_json::from_str::<Value>(json).map_err(|error| error.to_string())?;
        self.cells.borrow_mut().insert(name.into(), json.into());
        Ok(())
    }

    fn secrets(&self) -> String {
        let secrets = self.secrets.borrow();
        if secrets.is_null() { "[]".into() } else { secrets.to_string() }
    }

    fn changed(&self) -> String {
        serde_json::json!(*self.changed.borrow()).to_string()
    }

    fn api_url(&self) -> String {
        "http://localhost:8000/".into()
    }

    fn log(&self, level: Level, message: &str) {
        self.lines.borrow_mut().push((level, message.into()));
    }

    fn now(&self) -> u64 {
        self.clock_reads.set(self.clock_reads.get() + 1);
        self.time.get()
    }

    fn wall_clock(&self) -> i64 {
        self.clock_reads.set(self.clock_reads.get() + 1);
        1_700_000_000_123
    }

    fn send(&self, request: Request) -> Result<RequestId, String> {
        if !request.url.starts_with("http") {
            return Err("not an absolute URL".into());
        }
        self.requests.borrow_mut().push(request);
        let id = RequestId::try_from(self.requests.borrow().len()).expect("few");
        self.waiting.borrow_mut().push_back(id);
        self.most_waiting.set(self.most_waiting.get().max(self.waiting.borrow().len()));
        Ok(id)
    }

    fn forget(&self, id: RequestId) {
        self.forgotten.borrow_mut().push(id);
        self.waiting.borrow_mut().retain(|one| *one != id);
    }

    fn wait(&self, deadline: Option<u64>) -> Option<(RequestId, Result<Response, String>)> {
        let answered = self.time.get() + self.slowness.get();
        let late = deadline.is_some_and(|deadline| deadline < answered);
        let next = if late { None } else { self.waiting.borrow_mut().pop_front() };
        let Some(id) = next else {
            self.time.set(deadline.expect("never called for nothing"));
            return None;
        };
        self.time.set(answered);
        let request = self.requests.borrow()[id as usize - 1].clone();
        let answer = self.answer.borrow();
        Some((id, answer.as_ref().expect("a network")(&request)))
    }
}

/// A charm, and what it has outside.
struct Charm {
    module: String,
    files: BTreeMap<String, String>,
    outside: Rc<Outside>,
}

impl Charm {
    fn new(module: &str) -> Self {
        Self { module: module.to_owned(), files: BTreeMap::new(), outside: Rc::default() }
    }

    /// A charm with one handler, of which `body` is the body, and one cell, `out`.
    fn with_handler(body: &str) -> Self {
        Self::new(&format!(
            "import {{ pattern, handler, Cell, NAME, UI, h }} from 'commontools';\nconst run = handler(async (event, {{ out }}) => {{ {body} }});\nexport default pattern(() => {{ const out = Cell.of(null); return {{ out, run: run({{ out }}) }}; }});"
        ))
    }

    fn answering(self, answer: impl Fn(&Request) -> Result<Response, String> + 'static) -> Self {
        *self.outside.answer.borrow_mut() = Some(Box::new(answer));
        self
    }

    fn program(&self) -> Program<'_> {
        Program { file: "charm.js", module: &self.module, files: &self.files }
    }

    fn engine(&self) -> Engine {
        let mut engine = Engine::new(Rc::clone(&self.outside) as Rc<dyn Host>).expect("the runtime is sound");
        engine.warm_up().expect("it asks the outside for nothing");
        engine
    }

    /// What the shape says to be secret, the host knows from then on.
    fn setup(&self, inputs: &str) -> Result<Shape, Failure> {
        let shape = self.engine().setup(self.program(), inputs)?;
        self.outside.secrets.replace(serde_json::json!(shape.secrets));
        Ok(shape)
    }

    fn handle(&self, stream: &str, event: &str) -> Result<(), Failure> {
        let mut engine = self.engine();
        let loaded = engine.load(self.program(), false)?;
        engine.handle(|| self.program(), loaded, stream, event)
    }

    /// Runs the one handler of [`Self::with_handler`], and returns what it left in `out`.
    fn out(&self) -> Result<Value, Failure> {
        self.setup("{}")?;
        self.handle("run", "{}")?;
        Ok(self.cell("out"))
    }

    fn page(&self) -> Result<Value, Failure> {
        let page = self.engine().page(self.program())?;
        Ok(page.map_or(Value::Null, |json| serde_json::from_str(&json).expect("JSON")))
    }

    fn cell(&self, name: &str) -> Value {
        self.outside.cells.borrow().get(name).map_or(Value::Null, |json| serde_json::from_str(json).expect("JSON"))
    }

    fn names(&self) -> Vec<String> {
        self.outside.cells.borrow().keys().cloned().collect()
    }
}

fn response(status: u16, body: &str) -> Response {
    Response { status, headers: vec![("content-type".into(), "application/json".into())], body: body.into() }
}

/// Evaluates each expression, which may `await`, in one handler, and compares what came of it. What is thrown is a
/// text.
fn expect_each(cases: &[(&str, Value)]) {
    expect_each_of(Charm::with_handler, cases);
}

/// The same in a charm that [`Charm::with_handler`] makes of a body, and that gets a network or the like.
fn expect_each_of(charm: impl Fn(&str) -> Charm, cases: &[(&str, Value)]) {
    let bodies = cases.iter().map(|(expression, _)| {
        format!(
            "try {{ found.push(await (async () => ({expression}))() ?? null); }} catch (e) {{ found.push(`${{e?.name}}: ${{e?.message}}`); }}\n"
        )
    });
    let body = format!("const found = [];\n{}out.set(found);", bodies.collect::<Vec<_>>().concat());
    let found = charm(&body).out().unwrap_or_else(|failure| panic!("{failure:?}"));
    let found = found.as_array().expect("a list");
    assert_eq!(found.len(), cases.len());
    let wrong: Vec<String> = cases
        .iter()
        .zip(found)
        .filter(|((_, expected), found)| expected != *found)
        .map(|((expression, expected), found)| format!("{expression}\n    should be {expected}\n    but is    {found}"))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
