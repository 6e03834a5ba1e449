//! Random charms, inputs and events.

use serde_json::{Map, Value, json};

use crate::program::{
    Bound, CellDef, Cond, Derive, DerivedDef, Expr, Fun, Handler, Origin, Pattern, Ref, Spot, Step, Stmt,
};
use bg_test_support::Random;

const FUNS: [Fun; 7] = [Fun::Kind, Fun::Size, Fun::Sum, Fun::Canon, Fun::First, Fun::Same, Fun::Wrap];
const TEXTS: [&str; 6] = ["", "a", "two words", "é\"\\", "😀😀", "12"];
const KEYS: [&str; 4] = ["n", "t", "list", "o"];

/// How deep statements stand within others.
const DEPTH: usize = 3;

pub(crate) fn pattern(random: &mut Random) -> Pattern {
    let mut cells = Vec::new();
    let mut made = 0;
    for number in 0..2 + random.below(4) {
        let origin = match random.below(5) {
            0 | 1 => Origin::Default,
            2 => Origin::Given,
            other => Origin::Of { returned: other == 3 },
        };
        let stored = match origin {
            Origin::Of { returned: false } => format!("__cell/{made}"),
            _ => format!("c{number}"),
        };
        made += usize::from(matches!(origin, Origin::Of { .. }));
        cells.push(CellDef { origin, initial: value(random, 0), stored });
    }
    let mut derived: Vec<DerivedDef> = Vec::new();
    for _ in 0..=random.below(5) {
        let one = derive(random, cells.len(), &derived);
        derived.push(one);
    }
    if random.chance(30) {
        let parts = (0..2).map(|_| any(random, cells.len(), &derived)).collect();
        derived.push(DerivedDef { returned: true, what: Derive::Group(parts), scalar: false });
    }
    let count = 2 + random.below(3);
    let handlers = (0..count).map(|number| handler(random, number, count, cells.len(), &derived)).collect();
    Pattern { cells, derived, handlers }
}

/// Values for inputs: for all without a default but a few, and for some others.
pub(crate) fn inputs(random: &mut Random, pattern: &Pattern) -> Map<String, Value> {
    let mut inputs = Map::new();
    for cell in &pattern.cells {
        let chance = match cell.origin {
            Origin::Given => 85,
            Origin::Default => 30,
            Origin::Of { .. } => 0,
        };
        if random.chance(chance) {
            inputs.insert(cell.stored.clone(), like(random, &cell.initial));
        }
    }
    inputs
}

/// A value of the same type.
fn like(random: &mut Random, value: &Value) -> Value {
    match value {
        Value::Number(_) => number(random),
        Value::String(_) => text(random),
        Value::Array(_) => Value::Array((0..random.below(4)).map(|_| self::value(random, 1)).collect()),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(key, part)| (key.clone(), like(random, part))).collect())
        }
        other => other.clone(),
    }
}

pub(crate) fn value(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth > 2 { 4 } else { 8 }) {
        0 | 1 => number(random),
        2 => text(random),
        3 => random.pick(&[json!(true), json!(false), Value::Null]).clone(),
        4 | 5 => Value::Array((0..random.below(4)).map(|_| value(random, depth + 1)).collect()),
        _ => Value::Object((0..random.below(4)).map(|_| (key(random), value(random, depth + 1))).collect()),
    }
}

fn number(random: &mut Random) -> Value {
    json!(i64::try_from(random.below(60)).expect("small") - 10)
}

fn text(random: &mut Random) -> Value {
    json!(*random.pick(&TEXTS))
}

fn key(random: &mut Random) -> String {
    (*random.pick(&KEYS)).to_owned()
}

fn path(random: &mut Random) -> Vec<Step> {
    let steps = [0, 0, 1, 1, 1, 2, 2, 3];
    let steps = *random.pick(&steps);
    (0..steps).map(|_| if random.chance(40) { Step::Index(random.below(4)) } else { Step::Key(key(random)) }).collect()
}

/// Few of them throw.
fn fun(random: &mut Random) -> Fun {
    if random.chance(8) { Fun::Strict } else { *random.pick(&FUNS) }
}

/// A cell, or a derived one that others may refer to.
fn any(random: &mut Random, cells: usize, derived: &[DerivedDef]) -> Ref {
    let known = derived.iter().filter(|one| !matches!(one.what, Derive::Group(_))).count();
    if known > 0 && random.chance(40) { Ref::Derived(random.below(known)) } else { Ref::Cell(random.below(cells)) }
}

fn derive(random: &mut Random, cells: usize, derived: &[DerivedDef]) -> DerivedDef {
    let [x, y, other] = [(); 3].map(|()| any(random, cells, derived));
    let (f, g) = (fun(random), fun(random));
    let scalars: Vec<_> =
        derived.iter().enumerate().filter(|(_, one)| one.scalar).map(|(number, _)| Ref::Derived(number)).collect();
    let what = match random.below(11) {
        0 | 1 => Derive::One(f, x),
        2 => Derive::Two(f, x, g, y),
        3 => Derive::Lift(f, x),
        4 => Derive::LiftTwo(f, x, g, y),
        5 => Derive::Computed(f, x, g, y),
        6 => Derive::ComputedGet(f, x),
        7 if !scalars.is_empty() => Derive::Str(*random.pick(&scalars), *random.pick(&scalars)),
        7 | 8 => Derive::IfElse(x, y, other),
        9 => Derive::Handed(f, x, g, y),
        _ => {
            let steps = path(random);
            let steps = if steps.is_empty() { vec![Step::Key(key(random))] } else { steps };
            Derive::Part(random.below(cells), steps)
        }
    };
    let scalar = match &what {
        Derive::One(f, _) | Derive::Lift(f, _) | Derive::ComputedGet(f, _) => f.is_scalar(),
        Derive::Str(..) => true,
        _ => false,
    };
    DerivedDef { returned: random.chance(70), what, scalar }
}

fn handler(random: &mut Random, number: usize, count: usize, cells: usize, derived: &[DerivedDef]) -> Handler {
    let mut state = Vec::new();
    for _ in 0..2 + random.below(3) {
        state.push(match random.below(10) {
            0 => Bound::Value(any(random, cells, derived)),
            1 | 2 => Bound::Cell(any(random, cells, derived)),
            _ => Bound::Cell(Ref::Cell(random.below(cells))),
        });
    }
    state.push(Bound::Cell(Ref::Cell(random.below(cells))));
    if number + 1 < count && random.chance(60) {
        state.push(Bound::Stream(number + 1 + random.below(count - number - 1)));
    }
    let is_async = random.chance(60);
    let mut body = Body { random, vars: state.len(), state: &state, is_async };
    let stmts = body.block(0);
    Handler { body: stmts, state, is_async }
}

/// What stands in a handler's body at one place.
struct Body<'g> {
    random: &'g mut Random,
    state: &'g [Bound],
    /// How many variables there are: what is bound, then cells of its own.
    vars: usize,
    is_async: bool,
}

impl Body<'_> {
    fn block(&mut self, depth: usize) -> Vec<Stmt> {
        let most = if depth == 0 { 5 } else { 2 };
        let mut stmts = Vec::new();
        for _ in 0..=self.random.below(most) {
            let stmt = self.stmt(depth);
            // Much of what is generated does not fit what the cells hold, and most calls are to go well.
            stmts.push(if depth == 0 && self.random.chance(75) { Stmt::Try(vec![stmt], Vec::new()) } else { stmt });
        }
        stmts
    }

    fn stmt(&mut self, depth: usize) -> Stmt {
        match self.random.below(if depth < DEPTH { 34 } else { 20 }) {
            6 => Stmt::Set(self.whole(), self.link()),
            7 => Stmt::Set(self.spot(), self.link()),
            8 => Stmt::Set(self.spot(), Expr::Undefined),
            9 | 10 => {
                let members = self.members(0, true);
                Stmt::Update(self.spot(), members)
            }
            11 => Stmt::Increase(self.spot(), i64::try_from(self.random.below(20)).expect("small")),
            12 => Stmt::Append(self.spot(), self.expr(0, true)),
            13..16 => {
                let items = (0..=self.random.below(2)).map(|_| self.expr(0, true)).collect();
                Stmt::Push(if self.random.chance(60) { self.whole() } else { self.spot() }, items)
            }
            16 | 17 => self.send(),
            18 | 19 => self.pause(),
            20..23 => Stmt::If(self.cond(), self.block(depth + 1), self.block(depth + 1)),
            23..26 => {
                let mut body = self.block(depth + 1);
                if self.random.chance(50) {
                    body.push(self.failure());
                }
                Stmt::Try(body, self.block(depth + 1))
            }
            26 | 27 => {
                let is_async = std::mem::replace(&mut self.is_async, false);
                let body = self.block(DEPTH);
                self.is_async = is_async;
                Stmt::Later(body)
            }
            28..32 => {
                let initial = self.expr(0, false);
                self.vars += 1;
                let own = Spot { var: self.vars - 1, path: Vec::new() };
                let mut body = vec![Stmt::Set(self.spot(), Expr::Link(own))];
                body.extend(self.block(depth + 1));
                self.vars -= 1;
                Stmt::Fresh(initial, body)
            }
            32 if self.random.chance(50) => Stmt::If(self.cond(), vec![self.failure()], self.block(depth + 1)),
            _ => Stmt::Set(self.spot(), self.expr(0, true)),
        }
    }

    fn failure(&mut self) -> Stmt {
        match self.random.below(8) {
            0 => Stmt::RejectUnheard,
            1..4 if self.is_async => Stmt::Reject,
            _ => Stmt::Throw,
        }
    }

    fn pause(&mut self) -> Stmt {
        match (self.is_async, self.random.chance(60)) {
            (true, true) => Stmt::Tick,
            (true, false) => Stmt::Timer,
            (false, _) => Stmt::Set(self.spot(), self.expr(0, true)),
        }
    }

    fn send(&mut self) -> Stmt {
        match self.state.last() {
            Some(Bound::Stream(_)) => Stmt::Send(self.state.len() - 1, self.expr(0, false)),
            _ => Stmt::Set(self.spot(), self.expr(0, true)),
        }
    }

    /// A cell as a whole.
    fn whole(&mut self) -> Spot {
        let state = self.state;
        let is_cell = |var: &usize| *var >= state.len() || matches!(state[*var], Bound::Cell(_));
        let cells: Vec<_> = (0..self.vars).filter(is_cell).collect();
        Spot { var: *self.random.pick(&cells), path: Vec::new() }
    }

    fn spot(&mut self) -> Spot {
        Spot { path: path(self.random), ..self.whole() }
    }

    fn link(&mut self) -> Expr {
        Expr::Link(if self.random.chance(60) { self.whole() } else { self.spot() })
    }

    fn cond(&mut self) -> Cond {
        match self.random.below(4) {
            0 | 1 => Cond::Even(self.expr(0, false)),
            2 => Cond::Missing(self.expr(0, false)),
            _ => Cond::Equal(self.spot(), self.spot()),
        }
    }

    /// Members of an object, each key once.
    fn members(&mut self, depth: usize, links: bool) -> Vec<(String, Expr)> {
        let (first, count) = (self.random.below(KEYS.len()), 1 + self.random.below(3));
        (first..first + count).map(|at| (KEYS[at % KEYS.len()].to_owned(), self.expr(depth, links))).collect()
    }

    fn expr(&mut self, depth: usize, links: bool) -> Expr {
        match self.random.below(if depth < 2 { 16 } else { 9 }) {
            0..3 => Expr::Json(value(self.random, 1)),
            3 | 4 => Expr::Event(self.random.chance(80).then(|| key(self.random))),
            5..8 => Expr::Get(self.spot()),
            8 => match self.state.iter().position(|bound| matches!(bound, Bound::Value(_))) {
                Some(var) => Expr::Bound(var),
                None => Expr::Get(self.whole()),
            },
            9 | 10 => Expr::Add(Box::new(self.expr(depth + 1, false)), Box::new(self.expr(depth + 1, false))),
            11 | 12 => Expr::Call(fun(self.random), Box::new(self.expr(depth + 1, false))),
            13 => Expr::List((0..=self.random.below(3)).map(|_| self.expr(depth + 1, links)).collect()),
            14 => Expr::Object(self.members(depth + 1, links)),
            _ if links => self.link(),
            _ => Expr::Get(self.spot()),
        }
    }
}

/// An event, which handlers look into.
pub(crate) fn event(random: &mut Random) -> Value {
    if random.chance(15) {
        return value(random, 0);
    }
    Value::Object((0..random.below(5)).map(|_| (key(random), value(random, 1))).collect())
}
