//! When the engine collects garbage because the guest's memory gets short.
//!
//! By itself the engine collects after a number of values, whatever these own: a long array counts as much as a short
//! one. So the guest's allocator counts bytes, and the engine collects once a part of the memory that was free after
//! the last collection is in use.

#![cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "only the guest's allocator counts"))]

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use boa_engine::gc;

const MIB: usize = 1024 * 1024;

/// The memory that a call has, unless the host says otherwise: the default of its limit `charm-memory`, without the
/// stack.
const DEFAULT_ROOM: usize = 124 * MIB;

/// The part of the free memory that fills before a collection. The other parts stay for a single large allocation.
const PART: usize = 4;

/// How many bytes are allocated between two collections: at least, so that a call with little memory left does more
/// than collect, and at most, so that it uses the same memory again.
const STEP: (usize, usize) = (4 * MIB, 32 * MIB);

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(STEP.1);
static ROOM: AtomicUsize = AtomicUsize::new(DEFAULT_ROOM);

/// Has the engine ask here whether to collect.
pub(crate) fn install() {
    gc::set_pressure(gc::Pressure { is_high, collected });
}

/// Counts an allocation.
pub(crate) fn allocated(bytes: usize) {
    IN_USE.store(IN_USE.load(Relaxed).wrapping_add(bytes), Relaxed);
}

/// Counts what is given back.
pub(crate) fn freed(bytes: usize) {
    IN_USE.store(IN_USE.load(Relaxed).wrapping_sub(bytes), Relaxed);
}

/// How much memory there is for values, in bytes.
pub(crate) fn set_room(bytes: usize) {
    ROOM.store(bytes, Relaxed);
    collected();
}

/// Collects if memory is short.
pub(crate) fn relieve() {
    if is_high() {
        gc::force_collect();
    }
}

fn is_high() -> bool {
    IN_USE.load(Relaxed) > LIMIT.load(Relaxed)
}

fn collected() {
    LIMIT.store(limit(IN_USE.load(Relaxed), ROOM.load(Relaxed)), Relaxed);
}

/// How many bytes may be in use before the next collection, if `in_use` of `room` are after the last one.
fn limit(in_use: usize, room: usize) -> usize {
    let (least, most) = STEP;
    // With much more memory than usual, a collection has much more to look at.
    let most = most.max(in_use / PART);
    in_use.saturating_add((room.saturating_sub(in_use) / PART).clamp(least, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_collection_comes_while_most_of_the_free_memory_is_left() {
        for (in_use, room, expected) in [
            (4, 124, 34),
            (64, 124, 79),
            (100, 124, 106),
            (120, 124, 124),
            (130, 124, 134),
            (4, 28, 10),
            (4, 1024, 36),
            (512, 1024, 640),
        ] {
            assert_eq!(limit(in_use * MIB, room * MIB), expected * MIB, "{in_use} of {room} MiB");
        }
    }
}
