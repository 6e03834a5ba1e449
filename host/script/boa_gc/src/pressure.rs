//! Collections that the program asks for because memory gets short.
//!
//! Not part of the published crate.

use std::cell::Cell;

/// What decides whether memory is short.
#[derive(Debug, Clone, Copy)]
pub struct Pressure {
    /// Whether to collect before the next value is allocated. Must not allocate values itself.
    pub is_high: fn() -> bool,
    /// Called after each collection, whatever caused it. Must not allocate values itself.
    pub collected: fn(),
}

thread_local!(static PRESSURE: Cell<Option<Pressure>> = const { Cell::new(None) });

/// Collects from now on, on this thread, whenever `pressure` says so and a value is allocated.
pub fn set_pressure(pressure: Pressure) {
    PRESSURE.set(Some(pressure));
}

/// Whether to collect now.
pub(crate) fn is_high() -> bool {
    PRESSURE.get().is_some_and(|pressure| (pressure.is_high)())
}

/// Reports a collection.
pub(crate) fn collected() {
    if let Some(pressure) = PRESSURE.get() {
        (pressure.collected)();
    }
}
