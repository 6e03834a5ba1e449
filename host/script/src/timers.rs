//! The timers of one engine.
//!
//! The charm's program and its pattern run at each call, as they do wherever the charm is opened. What they start in
//! passing (a clock that ticks for ever) may go on while a call is under way, and never keeps it going: such timers are
//! of the background, and so is all that they lead to.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use boa_engine::object::builtins::JsFunction;

/// Nanoseconds in a millisecond.
pub(crate) const MILLISECOND: f64 = 1_000_000.0;

/// The shortest time that a timer takes which one of the background sets, in milliseconds.
const LEAST: f64 = 4.0;

/// What runs, and led to what it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Origin {
    /// The call: it waits for all that it starts.
    #[default]
    Call,
    /// The charm's program or its pattern: the call waits for its requests, but for none of its timers.
    Program,
    /// A timer of the background: the call waits for nothing that it starts.
    Background,
}

#[derive(Debug)]
pub(crate) struct Timer {
    pub(crate) function: JsFunction,
    /// What runs when it fires.
    pub(crate) origin: Origin,
    /// Whether the call may end without it.
    is_weak: bool,
    /// Whether it is due as soon as it is set.
    at_once: bool,
}

/// By due time and number.
type Key = (u64, u32);

#[derive(Default)]
pub(crate) struct Timers {
    armed: RefCell<BTreeMap<Key, Timer>>,
    /// Timers that were set while the program was loaded, and their delays: their time begins when a clock is read for
    /// them, which is never while a program is loaded ahead.
    early: RefCell<Vec<(u32, f64, Timer)>>,
    last: Cell<u32>,
    /// Whether what runs is the charm's program or its pattern.
    is_loading: Cell<bool>,
    /// What runs.
    pub(crate) origin: Cell<Origin>,
}

impl Timers {
    /// The charm's program begins or has ended.
    pub(crate) fn set_loading(&self, is_loading: bool) {
        self.is_loading.set(is_loading);
        self.turn();
    }

    /// What an event has led to is done.
    pub(crate) fn turn(&self) {
        self.origin.set(if self.is_loading.get() { Origin::Program } else { Origin::Call });
    }

    /// Sets a timer. `now` is a clock that is read only if needed.
    pub(crate) fn set(&self, function: JsFunction, milliseconds: f64, weak: bool, now: impl Fn() -> u64) -> u32 {
        let id = self.last.get().wrapping_add(1);
        self.last.set(id);
        let is_background = !weak && self.origin.get() != Origin::Call;
        let origin = if is_background { Origin::Background } else { Origin::Call };
        // A chain of timers that are due at once would never let the call go on.
        let is_chained = self.origin.get() == Origin::Background;
        let milliseconds = if is_chained { milliseconds.max(LEAST) } else { milliseconds };
        let timer = Timer { function, origin, is_weak: weak || is_background, at_once: milliseconds <= 0.0 };
        if self.is_loading.get() {
            self.early.borrow_mut().push((id, milliseconds, timer));
        } else {
            self.armed.borrow_mut().insert((due(now(), milliseconds), id), timer);
        }
        id
    }

    /// Forgets a timer, if it is still to come.
    pub(crate) fn clear(&self, id: u32) {
        self.early.borrow_mut().retain(|(timer, ..)| *timer != id);
        self.armed.borrow_mut().retain(|(_, timer), _| *timer != id);
    }

    /// Begins the time of those that were set while the program was loaded.
    pub(crate) fn arm(&self, now: impl Fn() -> u64) {
        let early = self.early.take();
        if early.is_empty() {
            return;
        }
        let now = now();
        let mut armed = self.armed.borrow_mut();
        armed.extend(early.into_iter().map(|(id, milliseconds, timer)| ((due(now, milliseconds), id), timer)));
    }

    /// Whether what runs is the charm's program or its pattern, or what these have begun.
    pub(crate) fn is_loading(&self) -> bool {
        self.is_loading.get()
    }

    /// Whether the call has to wait for one.
    pub(crate) fn hold_the_call(&self) -> bool {
        self.armed.borrow().values().any(|timer| !timer.is_weak)
    }

    /// When the first of them is due.
    pub(crate) fn first_due(&self) -> Option<u64> {
        self.armed.borrow().first_key_value().map(|((due, _), _)| *due)
    }

    /// Takes the first of them.
    pub(crate) fn take_first(&self) -> Option<Timer> {
        self.armed.borrow_mut().pop_first().map(|(_, timer)| timer)
    }

    /// Takes the first of the background that is due as soon as it is set: it makes nobody wait.
    pub(crate) fn take_at_once(&self) -> Option<Timer> {
        let mut armed = self.armed.borrow_mut();
        let key =
            armed.iter().find(|(_, timer)| timer.at_once && timer.origin == Origin::Background).map(|(key, _)| *key);
        armed.remove(&key?)
    }
}

fn due(now: u64, milliseconds: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "negative is 0, and too late is never")]
    now.saturating_add((milliseconds * MILLISECOND) as u64)
}
