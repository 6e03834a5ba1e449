//! How much of types may be looked at.

use std::cell::Cell;

/// A number of schemas that may still be unfolded, copied or compared. A type may have thousands of parts, and each of
/// thousands of expressions may be a copy of most of them.
#[derive(Debug)]
pub(super) struct Budget(Cell<usize>);

impl Budget {
    pub(super) fn new(schemas: usize) -> Self {
        Self(Cell::new(schemas))
    }

    /// What is left. Once it is 0, nothing more is known of any type.
    pub(super) fn left(&self) -> &Cell<usize> {
        &self.0
    }

    /// Takes as much; false, and nothing is left, if there was less.
    pub(super) fn spend(&self, schemas: usize) -> bool {
        let left = self.0.get().checked_sub(schemas);
        self.0.set(left.unwrap_or(0));
        left.is_some()
    }
}
