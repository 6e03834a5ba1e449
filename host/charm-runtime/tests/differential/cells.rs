//! The model's cells: JSON values with links, and derived cells that are computed again at each read.

use std::rc::Rc;

use serde_json::{Map, Value, json};

use crate::program::{Derive, Fun, Origin, Pattern, Ref, Step};
use crate::values::{self, Thrown, at};

/// Where links that lead on end.
const MOST_LINKS: usize = 24;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doc {
    Stored(usize),
    Derived(usize),
}

/// A cell: a document, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Loc {
    pub(crate) doc: Doc,
    pub(crate) path: Vec<Step>,
}

impl Loc {
    pub(crate) fn of(doc: Doc) -> Self {
        Self { doc, path: Vec::new() }
    }

    pub(crate) fn down(&self, path: &[Step]) -> Self {
        Self { doc: self.doc, path: [&self.path, path].concat() }
    }
}

/// What is to be written: values with cells in them.
#[derive(Clone, Debug)]
pub(crate) enum Given {
    Undefined,
    Json(Value),
    List(Vec<Given>),
    Object(Vec<(String, Given)>),
    Cell(Loc),
}

impl From<Option<Value>> for Given {
    fn from(value: Option<Value>) -> Self {
        value.map_or(Self::Undefined, Self::Json)
    }
}

/// What a derivation makes.
enum Made {
    Value(Option<Value>),
    Cell(Loc),
}

/// A document. One without a name is a handler's own, to which nothing stored links yet.
#[derive(Clone, Debug)]
struct Stored {
    name: Option<String>,
    value: Option<Value>,
}

/// All cells of a charm at one time.
#[derive(Clone, Debug)]
pub(crate) struct Cells {
    pattern: Rc<Pattern>,
    stored: Vec<Stored>,
    /// Derived cells that are being made.
    making: Vec<usize>,
}

impl Cells {
    /// As they are when the charm is new.
    pub(crate) fn new(pattern: &Rc<Pattern>, inputs: &Map<String, Value>) -> Self {
        let stored = pattern.cells.iter().map(|cell| {
            let initial = (cell.origin != Origin::Given).then(|| cell.initial.clone());
            Stored { name: Some(cell.stored.clone()), value: inputs.get(&cell.stored).cloned().or(initial) }
        });
        Self { pattern: Rc::clone(pattern), stored: stored.collect(), making: Vec::new() }
    }

    /// A cell of a handler's own.
    pub(crate) fn make(&mut self, value: Option<Value>) -> Loc {
        self.stored.push(Stored { name: None, value });
        Loc::of(Doc::Stored(self.stored.len() - 1))
    }

    /// What everybody can see, or what goes wrong in bringing it up to date.
    pub(crate) fn shown(&mut self) -> Result<Map<String, Value>, Thrown> {
        let pattern = Rc::clone(&self.pattern);
        let named = self.stored.iter().filter_map(|stored| Some((stored.name.clone()?, stored.value.clone()?)));
        let mut shown: Map<String, Value> = named.collect();
        for (number, derived) in pattern.derived.iter().enumerate() {
            let value = match &derived.what {
                Derive::Group(parts) if derived.returned => Some(self.group(parts)?),
                Derive::Group(_) => None,
                Derive::Part(..) if !derived.returned => None,
                _ if !derived.returned => self.derive(number).map(|_| None)?,
                _ => self.value(Ref::Derived(number))?,
            };
            if derived.returned {
                shown.insert(format!("d{number}"), value.unwrap_or_default());
            }
        }
        Ok(shown)
    }

    fn group(&mut self, parts: &[Ref]) -> Result<Value, Thrown> {
        let mut made = Map::new();
        for &part in parts {
            let value = self.value(part)?;
            let name = match part {
                Ref::Cell(number) => format!("c{number}"),
                Ref::Derived(number) => format!("d{number}"),
            };
            made.insert(name, json!([value]));
        }
        Ok(Value::Object(made))
    }

    /// The cell that a variable of the pattern is.
    pub(crate) fn place(&self, of: Ref) -> Loc {
        match of {
            Ref::Cell(number) => Loc::of(Doc::Stored(number)),
            Ref::Derived(number) => match &self.pattern.derived[number].what {
                Derive::Part(cell, path) => Loc { doc: Doc::Stored(*cell), path: path.clone() },
                _ => Loc::of(Doc::Derived(number)),
            },
        }
    }

    /// What readers see of a cell whose type they do not name: what the type of an input fills in where nothing is.
    pub(crate) fn value(&mut self, of: Ref) -> Result<Option<Value>, Thrown> {
        let place = self.place(of);
        let value = self.read(&place)?;
        Ok(value.or_else(|| self.filler(&place)))
    }

    /// The default of an input as a whole, and an empty list where the input's type has a list.
    fn filler(&self, place: &Loc) -> Option<Value> {
        let Doc::Stored(number) = place.doc else { return None };
        let cell = self.pattern.cells.get(number).filter(|cell| !matches!(cell.origin, Origin::Of { .. }))?;
        if place.path.is_empty() && cell.origin == Origin::Default {
            return Some(cell.initial.clone());
        }
        // The type is that of the initial value; the items of a list are of any type.
        let mut part = &cell.initial;
        for step in &place.path {
            part = part.as_object()?.get(&step.text())?;
        }
        part.is_array().then(|| json!([]))
    }

    /// What `look` makes of what a function without a type is handed.
    fn looked_at(&mut self, of: Ref, fun: Fun) -> Result<Value, Thrown> {
        let is_cell = match self.place(of).doc {
            Doc::Stored(number) => matches!(self.pattern.cells[number].origin, Origin::Of { .. }),
            Doc::Derived(_) => false,
        };
        let value = self.value(of)?;
        let n = value.as_ref().and_then(|value| at(value, &Step::Key("n".to_owned())).cloned());
        Ok(json!([is_cell, values::call(fun, value)?, n]))
    }

    fn derive(&mut self, number: usize) -> Result<Made, Thrown> {
        if self.making.contains(&number) {
            return Err(Thrown);
        }
        self.making.push(number);
        let pattern = Rc::clone(&self.pattern);
        let made = self.make_derived(&pattern.derived[number].what);
        self.making.pop();
        made
    }

    fn make_derived(&mut self, what: &Derive) -> Result<Made, Thrown> {
        let value = match what {
            Derive::One(f, x) | Derive::Lift(f, x) | Derive::ComputedGet(f, x) => self.apply(*f, *x)?,
            Derive::Two(f, x, g, y) | Derive::LiftTwo(f, x, g, y) | Derive::Computed(f, x, g, y) => {
                // All that is handed in is read first.
                let (x, y) = (self.value(*x)?, self.value(*y)?);
                Some(json!([values::call(*f, x)?, values::call(*g, y)?]))
            }
            Derive::Handed(f, x, g, y) => {
                let (one, other) = (self.looked_at(*x, *f)?, self.looked_at(*y, *g)?);
                Some(json!([one, other]))
            }
            Derive::Str(x, y) => {
                let (x, y) = (self.value(*x)?, self.value(*y)?);
                let text = |value: Option<Value>| match value {
                    None | Some(Value::Null) => String::new(),
                    Some(Value::String(text)) => text,
                    Some(value) => value.to_string(),
                };
                Some(json!(format!("{} and {}!", text(x), text(y))))
            }
            Derive::IfElse(condition, yes, no) => {
                let condition = self.value(*condition)?;
                return Ok(Made::Cell(self.place(if values::is_true(condition.as_ref()) { *yes } else { *no })));
            }
            Derive::Part(..) | Derive::Group(_) => None,
        };
        Ok(Made::Value(value))
    }

    fn apply(&mut self, fun: Fun, of: Ref) -> Result<Option<Value>, Thrown> {
        let value = self.value(of)?;
        values::call(fun, value)
    }

    /// Where a cell leads: links on the way are followed, and the one at its end if `whole`.
    pub(crate) fn locate(&mut self, loc: &Loc, whole: bool) -> Result<Loc, Thrown> {
        let mut place = loc.clone();
        for _ in 0..=MOST_LINKS {
            let Some(next) = self.hop(&place, whole)? else { return Ok(place) };
            place = next;
        }
        Err(Thrown)
    }

    fn hop(&mut self, place: &Loc, whole: bool) -> Result<Option<Loc>, Thrown> {
        let number = match place.doc {
            Doc::Stored(number) => number,
            Doc::Derived(number) => {
                return Ok(match self.derive(number)? {
                    Made::Cell(cell) => Some(cell.down(&place.path)),
                    Made::Value(_) => None,
                });
            }
        };
        let mut value = self.stored[number].value.as_ref();
        for (depth, step) in place.path.iter().map(Some).chain(whole.then_some(None)).enumerate() {
            let Some(here) = value else { return Ok(None) };
            if let Some(link) = self.link(here) {
                return Ok(Some(link.down(&place.path[depth..])));
            }
            value = step.and_then(|step| at(here, step));
        }
        Ok(None)
    }

    fn link(&self, value: &Value) -> Option<Loc> {
        let link = value.get("/")?.get("link@1")?;
        let name = link["id"].as_str()?.strip_prefix("of:")?;
        let doc = match self.stored.iter().position(|stored| stored.name.as_deref() == Some(name)) {
            Some(number) => Doc::Stored(number),
            None => Doc::Derived(name.strip_prefix('d')?.parse().ok()?),
        };
        let step = |key: &Value| {
            let key = key.as_str().unwrap_or_default();
            key.parse().map_or_else(|_| Step::Key(key.to_owned()), Step::Index)
        };
        Some(Loc { doc, path: link["path"].as_array()?.iter().map(step).collect() })
    }

    pub(crate) fn read(&mut self, loc: &Loc) -> Result<Option<Value>, Thrown> {
        self.read_below(loc, 0)
    }

    fn read_below(&mut self, loc: &Loc, links: usize) -> Result<Option<Value>, Thrown> {
        let place = self.locate(loc, true)?;
        let value = match place.doc {
            Doc::Stored(number) => self.stored[number].value.clone(),
            Doc::Derived(number) => match self.derive(number)? {
                Made::Value(value) => value,
                Made::Cell(_) => return Err(Thrown),
            },
        };
        let found = place.path.iter().try_fold(value, |value, step| at(&value?, step).cloned().map(Some)).flatten();
        found.map_or(Ok(None), |value| self.resolved(value, links))
    }

    fn resolved(&mut self, value: Value, links: usize) -> Result<Option<Value>, Thrown> {
        if let Some(link) = self.link(&value) {
            return if links == MOST_LINKS { Err(Thrown) } else { self.read_below(&link, links + 1) };
        }
        Ok(Some(match value {
            Value::Array(items) => {
                let items = items.into_iter().map(|item| Ok(self.resolved(item, links)?.unwrap_or_default()));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Value::Object(members) => {
                let mut own = Map::new();
                for (key, part) in members {
                    if let Some(part) = self.resolved(part, links)? {
                        own.insert(key, part);
                    }
                }
                Value::Object(own)
            }
            value => value,
        }))
    }

    /// The value with links in place of its cells where they are to be stored in `owner`, and with what they hold
    /// elsewhere.
    pub(crate) fn plain(&mut self, given: Given, owner: Option<Doc>) -> Result<Option<Value>, Thrown> {
        Ok(match given {
            Given::Undefined => None,
            Given::Json(value) => Some(value),
            Given::List(items) => {
                let items = items.into_iter().map(|item| Ok(self.plain(item, owner)?.unwrap_or_default()));
                Some(Value::Array(items.collect::<Result<_, _>>()?))
            }
            Given::Object(members) => {
                let mut own = Map::new();
                for (key, part) in members {
                    if let Some(part) = self.plain(part, owner)? {
                        own.insert(key, part);
                    }
                }
                Some(Value::Object(own))
            }
            Given::Cell(loc) => match self.name(&loc, owner) {
                Some(name) => {
                    let path: Vec<_> = loc.path.iter().map(Step::text).collect();
                    Some(json!({"/": {"link@1": {"id": format!("of:{name}"), "path": path}}}))
                }
                None => self.read(&loc)?,
            },
        })
    }

    /// By what a link in `owner` to a cell names its document; none if what it holds is copied.
    fn name(&mut self, loc: &Loc, owner: Option<Doc>) -> Option<String> {
        let Some(Doc::Stored(of)) = owner else { return None };
        self.stored[of].name.as_ref()?;
        if owner == Some(loc.doc) {
            return None;
        }
        match loc.doc {
            Doc::Derived(number) => self.pattern.derived[number].returned.then(|| format!("d{number}")),
            Doc::Stored(number) => {
                let stored = &mut self.stored[number];
                if stored.name.is_none() {
                    // From here on it is stored, and there is no JSON for nothing.
                    stored.value.get_or_insert_default();
                }
                Some(stored.name.get_or_insert_with(|| format!("fresh/{number}")).clone())
            }
        }
    }

    pub(crate) fn write(&mut self, loc: &Loc, given: Given) -> Result<(), Thrown> {
        let place = self.locate(loc, false)?;
        let Doc::Stored(number) = place.doc else { return Err(Thrown) };
        // What deletes at a key is a whole that is undefined, and not a cell that holds nothing.
        let deletes = matches!(given, Given::Undefined);
        let value = self.plain(given, Some(place.doc))?;
        values::put(
            &mut self.stored[number].value,
            &place.path,
            if deletes { None } else { Some(value.unwrap_or_default()) },
        )
    }

    pub(crate) fn push(&mut self, loc: &Loc, items: Vec<Given>) -> Result<(), Thrown> {
        let place = self.locate(loc, true)?;
        let Doc::Stored(number) = place.doc else { return Err(Thrown) };
        if !matches!(self.read(&place)?, None | Some(Value::Null | Value::Array(_))) {
            return Err(Thrown);
        }
        let mut added = Vec::new();
        for item in items {
            added.push(self.plain(item, Some(place.doc))?.unwrap_or_default());
        }
        values::array(&mut self.stored[number].value, &place.path)?.extend(added);
        Ok(())
    }
}
