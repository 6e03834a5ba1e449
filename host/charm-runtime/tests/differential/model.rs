//! An interpreter of generated handlers. It knows what charms are promised, and nothing of how that is kept.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use serde_json::Value;

use crate::cells::{Cells, Given, Loc};
use crate::program::{Bound, Cond, Expr, Pattern, Spot, Stmt};
use crate::values::{self, MODULUS, Thrown};

type Task = Pin<Box<dyn Future<Output = Result<(), Thrown>>>>;

/// One call: what it does to the cells, and what waits in it.
#[derive(Clone)]
struct Call {
    pattern: Rc<Pattern>,
    cells: Rc<RefCell<Cells>>,
    queues: Rc<Queues>,
}

/// Jobs and timers, each by the number of the task that goes on then.
#[derive(Default)]
struct Queues {
    new: RefCell<Vec<Task>>,
    started: Cell<usize>,
    jobs: RefCell<VecDeque<usize>>,
    timers: RefCell<VecDeque<usize>>,
    current: Cell<usize>,
}

impl Queues {
    /// The number of a task that somebody will queue.
    fn add(&self, task: Task) -> usize {
        self.new.borrow_mut().push(task);
        self.started.set(self.started.get() + 1);
        self.started.get() - 1
    }
}

/// Waits for its turn in a queue.
async fn pause(queues: &Queues, queue: &RefCell<VecDeque<usize>>) {
    queue.borrow_mut().push_back(queues.current.get());
    let mut waited = false;
    std::future::poll_fn(|_| if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// What a handler's variables are.
#[derive(Clone)]
enum Var {
    Cell(Loc),
    Value(Option<Value>),
    Stream(usize),
}

#[derive(Clone)]
struct Scope {
    event: Option<Value>,
    vars: Vec<Var>,
}

/// Sends an event to a charm: the cells after it, or none if it fails.
pub(crate) fn handle(pattern: &Rc<Pattern>, before: &Cells, handler: usize, event: Value) -> Option<Cells> {
    let cells = Rc::new(RefCell::new(before.clone()));
    let call = Call { pattern: Rc::clone(pattern), cells: Rc::clone(&cells), queues: Rc::default() };
    let first = call.queues.add(Box::pin(run_handler(call.clone(), handler, Some(event))));
    call.queues.jobs.borrow_mut().push_back(first);
    let mut tasks: Vec<Task> = Vec::new();
    loop {
        let job = call.queues.jobs.borrow_mut().pop_front();
        let Some(next) = job.or_else(|| call.queues.timers.borrow_mut().pop_front()) else { break };
        tasks.append(&mut call.queues.new.borrow_mut());
        call.queues.current.set(next);
        if let Poll::Ready(Err(Thrown)) = tasks[next].as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return None;
        }
    }
    let mut after = cells.borrow().clone();
    after.shown().ok()?;
    Some(after)
}

async fn run_handler(call: Call, handler: usize, event: Option<Value>) -> Result<(), Thrown> {
    let pattern = Rc::clone(&call.pattern);
    let handler = &pattern.handlers[handler];
    let mut vars = Vec::new();
    for bound in &handler.state {
        let mut cells = call.cells.borrow_mut();
        vars.push(match bound {
            // A cell of a link is the cell that it leads to.
            Bound::Cell(of) => {
                let place = cells.place(*of);
                Var::Cell(cells.locate(&place, true)?)
            }
            Bound::Value(of) => Var::Value(cells.value(*of)?),
            Bound::Stream(to) => Var::Stream(*to),
        });
    }
    call.run(&handler.body, &mut Scope { event, vars }).await
}

impl Call {
    fn run<'a>(
        &'a self,
        body: &'a [Stmt],
        scope: &'a mut Scope,
    ) -> Pin<Box<dyn Future<Output = Result<(), Thrown>> + 'a>> {
        Box::pin(async move {
            for stmt in body {
                self.step(stmt, scope).await?;
            }
            Ok(())
        })
    }

    async fn step(&self, stmt: &Stmt, scope: &mut Scope) -> Result<(), Thrown> {
        match stmt {
            Stmt::Set(to, value) => {
                let value = self.eval(value, scope)?;
                self.cells.borrow_mut().write(&scope.loc(to), value)
            }
            Stmt::Update(to, members) => {
                let members = self.members(members, scope)?;
                let mut cells = self.cells.borrow_mut();
                members.into_iter().try_for_each(|(key, value)| {
                    cells.write(&scope.loc(to).down(&[crate::program::Step::Key(key)]), value)
                })
            }
            Stmt::Increase(to, by) => {
                let loc = scope.loc(to);
                let mut cells = self.cells.borrow_mut();
                let before = cells.read(&loc)?.unwrap_or_default();
                cells.write(&loc, Given::Json(((values::sum(&before) + by) % MODULUS).into()))
            }
            Stmt::Append(to, item) => {
                let loc = scope.loc(to);
                let before = self.cells.borrow_mut().read(&loc)?;
                let items = before.and_then(|value| value.as_array().cloned()).unwrap_or_default();
                let mut items: Vec<_> =
                    items[items.len().saturating_sub(3)..].iter().cloned().map(Given::Json).collect();
                items.push(self.eval(item, scope)?);
                self.cells.borrow_mut().write(&loc, Given::List(items))
            }
            Stmt::Push(to, items) => {
                let items = self.all(items, scope)?;
                self.cells.borrow_mut().push(&scope.loc(to), items)
            }
            Stmt::If(condition, yes, no) => {
                let body = if self.holds(condition, scope)? { yes } else { no };
                self.run(body, scope).await
            }
            Stmt::Send(to, event) => {
                let event = self.value(event, scope)?;
                let Var::Stream(handler) = scope.vars[*to] else { unreachable!("the generator sends to streams") };
                let task = self.queues.add(Box::pin(run_handler(self.clone(), handler, event)));
                self.queues.jobs.borrow_mut().push_back(task);
                Ok(())
            }
            Stmt::Tick => {
                pause(&self.queues, &self.queues.jobs).await;
                Ok(())
            }
            Stmt::Timer => {
                pause(&self.queues, &self.queues.timers).await;
                Ok(())
            }
            Stmt::Later(body) => {
                let (call, body, mut scope) = (self.clone(), body.clone(), scope.clone());
                let task = self.queues.add(Box::pin(async move { call.run(&body, &mut scope).await }));
                self.queues.timers.borrow_mut().push_back(task);
                Ok(())
            }
            Stmt::Throw => Err(Thrown),
            Stmt::Reject => {
                pause(&self.queues, &self.queues.jobs).await;
                Err(Thrown)
            }
            Stmt::RejectUnheard => {
                self.queues.jobs.borrow_mut().push_back(self.queues.add(Box::pin(async { Err(Thrown) })));
                Ok(())
            }
            Stmt::Try(body, caught) => match self.run(body, scope).await {
                Err(Thrown) => self.run(caught, scope).await,
                Ok(()) => Ok(()),
            },
            Stmt::Fresh(initial, body) => {
                let initial = self.value(initial, scope)?;
                let cell = self.cells.borrow_mut().make(initial);
                let mut inner = scope.clone();
                inner.vars.push(Var::Cell(cell));
                self.run(body, &mut inner).await
            }
        }
    }

    fn holds(&self, condition: &Cond, scope: &Scope) -> Result<bool, Thrown> {
        Ok(match condition {
            Cond::Even(value) => values::sum(&self.value(value, scope)?.unwrap_or_default()) % 2 == 0,
            Cond::Missing(value) => self.value(value, scope)?.is_none_or(|value| value.is_null()),
            Cond::Equal(one, other) => {
                let mut cells = self.cells.borrow_mut();
                cells.locate(&scope.loc(one), true)? == cells.locate(&scope.loc(other), true)?
            }
        })
    }

    /// An expression's value, with what its cells hold in their place.
    fn value(&self, of: &Expr, scope: &Scope) -> Result<Option<Value>, Thrown> {
        let given = self.eval(of, scope)?;
        self.cells.borrow_mut().plain(given, None)
    }

    fn all(&self, of: &[Expr], scope: &Scope) -> Result<Vec<Given>, Thrown> {
        of.iter().map(|one| self.eval(one, scope)).collect()
    }

    fn members(&self, of: &[(String, Expr)], scope: &Scope) -> Result<Vec<(String, Given)>, Thrown> {
        of.iter().map(|(key, one)| Ok((key.clone(), self.eval(one, scope)?))).collect()
    }

    fn eval(&self, of: &Expr, scope: &Scope) -> Result<Given, Thrown> {
        Ok(match of {
            Expr::Undefined => Given::Undefined,
            Expr::Json(value) => Given::Json(value.clone()),
            Expr::Event(None) => scope.event.clone().into(),
            Expr::Event(Some(key)) => scope.event.as_ref().and_then(|event| event.get(key)).cloned().into(),
            Expr::Bound(var) => match &scope.vars[*var] {
                Var::Value(value) => values::small(value.clone()).into(),
                _ => unreachable!("the generator takes values where there are some"),
            },
            Expr::Get(from) => values::small(self.cells.borrow_mut().read(&scope.loc(from))?).into(),
            Expr::Add(one, other) => {
                let (one, other) = (self.value(one, scope)?, self.value(other, scope)?);
                let sum = |value: Option<Value>| values::sum(&value.unwrap_or_default());
                Given::Json(((sum(one) + sum(other)) % MODULUS).into())
            }
            Expr::Call(fun, value) => values::call(*fun, self.value(value, scope)?)?.into(),
            Expr::List(items) => Given::List(self.all(items, scope)?),
            Expr::Object(members) => Given::Object(self.members(members, scope)?),
            Expr::Link(to) => Given::Cell(scope.loc(to)),
        })
    }
}

impl Scope {
    fn loc(&self, spot: &Spot) -> Loc {
        match &self.vars[spot.var] {
            Var::Cell(loc) => loc.down(&spot.path),
            _ => unreachable!("the generator goes down in cells"),
        }
    }
}
