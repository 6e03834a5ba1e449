//! Which charms are slow, or may be.

use std::collections::BTreeSet;

use super::slots::Slot;

/// The slow charms of one integration, and those that may be slow, or of all that have no component.
#[derive(Debug, Default)]
pub(super) struct SlowCharms {
    /// How many of them are being polled.
    pub(super) running: usize,
    /// Those that wait until another slow one has been polled, and since when they do, the longest first. One that no
    /// longer waits is not taken out: its phase and its time say so.
    pub(super) aside: BTreeSet<(i64, Slot)>,
}
