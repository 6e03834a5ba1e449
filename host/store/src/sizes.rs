//! How much a charm's cells take, and may take.

use bg_poller::CharmRef;

use crate::charm::{CellTexts, MAX_CELL_BYTES, MAX_CELLS};

/// What a charm's cells take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// How many cells.
    pub cells: u64,
    /// Their bytes, as they are stored.
    pub bytes: u64,
}

/// What a charm's cells take, and what they would take after some writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    now: Size,
    then: Size,
}

impl Sizes {
    /// Of a charm whose cells take `now`. `before` is what the cell of a name takes, if there is one.
    pub fn of<E>(
        now: Size,
        writes: &CellTexts,
        mut before: impl FnMut(&str) -> Result<Option<u64>, E>,
    ) -> Result<Self, E> {
        let mut then = now;
        for (name, text) in writes {
            match before(name)? {
                Some(before) => then.bytes = then.bytes.saturating_sub(before),
                None => then.cells += 1,
            }
            then.bytes += text.len() as u64;
        }
        Ok(Self { now, then })
    }

    /// Whether it would be more than a charm may have.
    pub fn is_too_much(&self) -> bool {
        self.then.cells > MAX_CELLS || self.then.bytes > MAX_CELL_BYTES
    }

    /// What that charm would have too much of, if it would, for people.
    pub fn excess(&self, charm: &CharmRef) -> Option<String> {
        let Self { now, then: Size { cells, bytes } } = *self;
        self.is_too_much().then(|| {
            if cells > MAX_CELLS {
                format!("{charm} has {} cells, would have {cells}, and may have {MAX_CELLS}", now.cells)
            } else {
                format!(
                    "the cells of {charm} take {} bytes, would take {bytes}, and may take {MAX_CELL_BYTES}",
                    now.bytes
                )
            }
        })
    }

    /// By how many bytes the cells would grow.
    pub fn growth(&self) -> i64 {
        let bytes = |size: Size| i64::try_from(size.bytes).unwrap_or(i64::MAX);
        bytes(self.then) - bytes(self.now)
    }
}
