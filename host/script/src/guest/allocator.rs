//! The guest's allocator: the system's, which counts, and which puts what calls write to in one place.
//!
//! A call writes to few of the values that were made ahead of it, and mostly to their counts of references. But these
//! values would lie all over the memory, and each page that a call writes to is put back after it. So the builder finds
//! out which allocations a call writes to (`integrations/build/src/rehearsal.rs`), and those are made in an arena.
//! Allocations are numbered from [`record`] or [`place`] on.

#![allow(unsafe_code, reason = "an allocator is unsafe")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;

use super::image;
use crate::pressure;

/// The alignment of the list of numbers, and of each allocation in the arena.
const ALIGN: usize = 16;
/// What the host's memory is managed by, bytes: the arena has pages of its own.
const HOST_PAGE: usize = 4096;
/// In the list of what was allocated, the size of what was freed.
const FREED: u32 = u32::MAX;
/// How much longer the list gets when it is full.
const MORE: usize = 1 << 16;

/// What happens to allocations while the engine is made ahead.
#[derive(Clone, Copy)]
enum Plan {
    None,
    /// Each is noted with its address and size, and when it is freed.
    Record(List<[u32; 2]>),
    /// Those with these numbers, which are sorted, go into the arena.
    Place {
        numbers: List<u32>,
        passed: usize,
        count: u32,
    },
}

/// A list that is not the allocator's.
#[derive(Clone, Copy)]
struct List<T> {
    start: *mut T,
    length: usize,
    capacity: usize,
}

/// Memory for allocations that are not freed.
#[derive(Clone, Copy)]
struct Arena {
    start: usize,
    next: usize,
    end: usize,
}

thread_local! {
    static PLAN: Cell<Plan> = const { Cell::new(Plan::None) };
    static ARENA: Cell<Arena> = const { Cell::new(Arena { start: 0, next: 0, end: 0 }) };
}

impl<T> List<T> {
    fn layout(capacity: usize) -> Layout {
        Layout::array::<T>(capacity).and_then(|layout| layout.align_to(ALIGN)).expect("the list fits into the memory")
    }

    fn new(capacity: usize) -> Self {
        // SAFETY: the size is not zero.
        let start = unsafe { System.alloc(Self::layout(capacity.max(1))) }.cast();
        assert!(!ptr::eq(start, ptr::null()), "there is no room for a list");
        Self { start, length: 0, capacity: capacity.max(1) }
    }

    fn push(&mut self, item: T) {
        if self.length == self.capacity {
            let longer = Self::new(self.capacity + MORE);
            // SAFETY: the new list is longer, and the old one is not used again.
            unsafe {
                ptr::copy_nonoverlapping(self.start, longer.start, self.length);
                System.dealloc(self.start.cast(), Self::layout(self.capacity));
            }
            *self = Self { length: self.length, ..longer };
        }
        // SAFETY: there is room for it.
        unsafe { self.start.add(self.length).write(item) };
        self.length += 1;
    }
}

/// From now on, allocations are noted.
pub(super) fn record() {
    PLAN.set(Plan::Record(List::new(MORE)));
}

/// What was allocated and freed since: the address of the list, and its length. Ends it.
pub(super) fn recorded() -> (usize, usize) {
    match PLAN.replace(Plan::None) {
        Plan::Record(list) => (list.start.addr(), list.length),
        _ => (0, 0),
    }
}

/// From now on, the allocations with `count` numbers go into an arena of `bytes` bytes. Returns where the numbers are
/// to be written to.
pub(super) fn place(count: usize, bytes: usize) -> *mut u32 {
    let pages = Layout::from_size_align(bytes.max(1), HOST_PAGE).expect("it fits into the memory").pad_to_align();
    // SAFETY: the size is not zero.
    let start = unsafe { System.alloc(pages) }.expose_provenance();
    assert!(start != 0, "there is no room for the arena");
    ARENA.set(Arena { start, next: start, end: start + pages.size() });
    let numbers = List::new(count);
    PLAN.set(Plan::Place { numbers: List { length: count, ..numbers }, passed: 0, count: 0 });
    numbers.start
}

/// Ends what [`place`] began.
pub(super) fn placed() {
    if let Plan::Place { numbers, .. } = PLAN.replace(Plan::None) {
        // SAFETY: it was allocated so, and nobody uses it any more. Zeros take no room in what is kept.
        unsafe {
            ptr::write_bytes(numbers.start, 0, numbers.length);
            System.dealloc(numbers.start.cast(), List::<u32>::layout(numbers.capacity));
        }
    }
}

impl Plan {
    /// Notes an allocation of the system's, and returns it.
    fn note(self, memory: *mut u8, bytes: usize) -> *mut u8 {
        if let Self::Record(mut list) = self
            && !memory.is_null()
        {
            list.push([memory.addr(), bytes].map(|number| u32::try_from(number).unwrap_or(FREED)));
            PLAN.set(Self::Record(list));
        }
        memory
    }

    /// Notes that an allocation of the system's is given back.
    fn note_freed(self, memory: *mut u8) {
        if let Self::Record(mut list) = self {
            list.push([u32::try_from(memory.addr()).unwrap_or(FREED), FREED]);
            PLAN.set(Self::Record(list));
        }
    }

    /// Counts an allocation; its place in the arena, if it belongs there.
    fn in_arena(self, layout: Layout) -> Option<*mut u8> {
        let Self::Place { numbers, passed, count } = self else { return None };
        // SAFETY: the list is that long.
        let is_next = passed < numbers.length && unsafe { numbers.start.add(passed).read() } == count;
        PLAN.set(Self::Place { numbers, passed: passed + usize::from(is_next), count: count + 1 });
        if is_next { ARENA.get().take(layout) } else { None }
    }
}

impl Arena {
    fn has(self, memory: *mut u8) -> bool {
        (self.start..self.end).contains(&memory.addr())
    }

    fn take(self, layout: Layout) -> Option<*mut u8> {
        let next = self.next + layout.size().next_multiple_of(ALIGN);
        if layout.align() > ALIGN || next > self.end {
            return None;
        }
        ARENA.set(Self { next, ..self });
        Some(ptr::with_exposed_provenance_mut(self.next))
    }
}

/// Counts an allocation, unless there was no room for it.
fn counted(bytes: usize, memory: *mut u8) -> *mut u8 {
    if !memory.is_null() {
        pressure::allocated(bytes);
    }
    memory
}

/// It also clears what is given back while something is made ahead, so that less is to be kept.
struct Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

// SAFETY: the system's allocator does it all, but for what is in the arena, which is never given back, and for one
// allocation, which is in pages that nobody else has.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if let Some(memory) = image::take_aside(layout) {
            return memory;
        }
        let plan = PLAN.get();
        let memory = plan.in_arena(layout).unwrap_or_else(|| {
            // SAFETY: as the caller says.
            plan.note(unsafe { System.alloc(layout) }, layout.size())
        });
        counted(layout.size(), memory)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let plan = PLAN.get();
        let memory = match plan.in_arena(layout) {
            Some(memory) => {
                // SAFETY: that much was taken.
                unsafe { ptr::write_bytes(memory, 0, layout.size()) };
                memory
            }
            // SAFETY: as the caller says.
            None => plan.note(unsafe { System.alloc_zeroed(layout) }, layout.size()),
        };
        counted(layout.size(), memory)
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        pressure::freed(layout.size());
        if ARENA.get().has(memory) {
            return;
        }
        let plan = PLAN.get();
        plan.note_freed(memory);
        // SAFETY: as the caller says, who owns it until then.
        unsafe {
            if image::is_loading() || matches!(plan, Plan::Place { .. }) {
                ptr::write_bytes(memory, 0, layout.size());
            }
            System.dealloc(memory, layout);
        }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller says: the size is one that a layout may have.
        let larger = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if image::is_loading() || ARENA.get().has(memory) {
            // SAFETY: as the caller says.
            unsafe { self.moved(memory, layout, larger, self.alloc(larger)) }
        } else if let Some(place) = PLAN.get().in_arena(larger) {
            // SAFETY: as the caller says.
            unsafe { self.moved(memory, layout, larger, counted(size, place)) }
        } else {
            // SAFETY: as the caller says.
            let moved = counted(size, unsafe { System.realloc(memory, layout, size) });
            if !moved.is_null() {
                pressure::freed(layout.size());
                PLAN.get().note_freed(memory);
                PLAN.get().note(moved, size);
            }
            moved
        }
    }
}

impl Allocator {
    /// Moves what is in `memory` to `place`, unless there was no room for it.
    ///
    /// # Safety
    ///
    /// `memory` is an allocation of that layout, and `place` one of the other.
    unsafe fn moved(&self, memory: *mut u8, layout: Layout, other: Layout, place: *mut u8) -> *mut u8 {
        if !place.is_null() {
            // SAFETY: as the caller says.
            unsafe {
                ptr::copy_nonoverlapping(memory, place, layout.size().min(other.size()));
                self.dealloc(memory, layout);
            }
        }
        place
    }
}
