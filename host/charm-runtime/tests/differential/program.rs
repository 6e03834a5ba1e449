//! What a generated charm is made of.

use serde_json::Value;

/// One key on a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

impl Step {
    /// As a link spells it, and a member of an object.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Key(key) => key.clone(),
            Self::Index(index) => index.to_string(),
        }
    }
}

/// A charm.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) cells: Vec<CellDef>,
    pub(crate) derived: Vec<DerivedDef>,
    pub(crate) handlers: Vec<Handler>,
}

/// A cell that the pattern makes, or is given. Its variable is `c<number>`.
#[derive(Debug)]
pub(crate) struct CellDef {
    pub(crate) origin: Origin,
    pub(crate) initial: Value,
    /// Below which name it is stored.
    pub(crate) stored: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An input with a default.
    Default,
    /// An input without.
    Given,
    /// Made by the pattern, and returned or not.
    Of { returned: bool },
}

/// A cell, or a derived one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ref {
    Cell(usize),
    Derived(usize),
}

/// A derived cell. Its variable, and its name if it is returned, is `d<number>`.
#[derive(Debug)]
pub(crate) struct DerivedDef {
    pub(crate) returned: bool,
    pub(crate) what: Derive,
    /// Whether it is a number or a text whatever comes.
    pub(crate) scalar: bool,
}

#[derive(Debug)]
pub(crate) enum Derive {
    /// `derive(x, f)`
    One(Fun, Ref),
    /// `derive({ x, y }, …)`
    Two(Fun, Ref, Fun, Ref),
    /// `derive({ x, y }, …)` without a type: cells that the pattern made are cells in it.
    Handed(Fun, Ref, Fun, Ref),
    /// `lift(f)(x)`
    Lift(Fun, Ref),
    /// `lift(({ x, y }) => …)({ x, y })`
    LiftTwo(Fun, Ref, Fun, Ref),
    /// `computed(() => …)`, in which cells are values.
    Computed(Fun, Ref, Fun, Ref),
    /// `computed(() => f(x.get()))`
    ComputedGet(Fun, Ref),
    /// `` str`…` `` of what are numbers and texts.
    Str(Ref, Ref),
    /// `ifElse(…)`, whose branches stay cells.
    IfElse(Ref, Ref, Ref),
    /// `x.key(…)`, which is the cell of a part.
    Part(usize, Vec<Step>),
    /// An object of cells. Nothing else refers to it.
    Group(Vec<Ref>),
}

/// A function that is in every charm, and in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fun {
    Kind,
    Size,
    Sum,
    Canon,
    First,
    Same,
    Wrap,
    /// Throws at large sums.
    Strict,
}

impl Fun {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Size => "size",
            Self::Sum => "sum",
            Self::Canon => "canon",
            Self::First => "first",
            Self::Same => "same",
            Self::Wrap => "wrap",
            Self::Strict => "strict",
        }
    }

    pub(crate) fn is_scalar(self) -> bool {
        matches!(self, Self::Kind | Self::Size | Self::Sum | Self::Canon | Self::Strict)
    }
}

/// A handler and its stream, `h<number>`. In its body, `v<number>` is what is bound to it, then what it makes itself.
#[derive(Debug)]
pub(crate) struct Handler {
    pub(crate) state: Vec<Bound>,
    pub(crate) body: Vec<Stmt>,
    pub(crate) is_async: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    Cell(Ref),
    Value(Ref),
    Stream(usize),
}

/// A variable that is a cell, and a path within.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    pub(crate) var: usize,
    pub(crate) path: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(crate) enum Expr {
    Undefined,
    Json(Value),
    /// The event, or a member of it.
    Event(Option<String>),
    /// What is bound as a value.
    Bound(usize),
    /// What a cell holds, unless that is large.
    Get(Spot),
    Add(Box<Expr>, Box<Expr>),
    Call(Fun, Box<Expr>),
    List(Vec<Expr>),
    Object(Vec<(String, Expr)>),
    /// The cell itself.
    Link(Spot),
}

#[derive(Clone, Debug)]
pub(crate) enum Cond {
    Even(Expr),
    Missing(Expr),
    Equal(Spot, Spot),
}

#[derive(Clone, Debug)]
pub(crate) enum Stmt {
    Set(Spot, Expr),
    Update(Spot, Vec<(String, Expr)>),
    /// `update(fn)` with one that adds.
    Increase(Spot, i64),
    /// `update(fn)` with one that appends to the last three items.
    Append(Spot, Expr),
    Push(Spot, Vec<Expr>),
    If(Cond, Vec<Stmt>, Vec<Stmt>),
    Send(usize, Expr),
    /// `await null`
    Tick,
    /// Waits for a timer.
    Timer,
    /// Done by a timer that nobody waits for.
    Later(Vec<Stmt>),
    Throw,
    /// `await Promise.reject(…)`
    Reject,
    /// A rejection that nobody handles.
    RejectUnheard,
    Try(Vec<Stmt>, Vec<Stmt>),
    /// Makes a cell of its own, for these statements.
    Fresh(Expr, Vec<Stmt>),
}
