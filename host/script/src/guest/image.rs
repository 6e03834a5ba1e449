//! The memory that a program makes when it is loaded: how it is handed to the host, and how it is put back.
//!
//! What is kept is all of the memory above the stack: the stack is empty where a call of the host begins and where it
//! ends, and in between it belongs to the call that puts the rest back.

#![allow(unsafe_code, reason = "the memory as such is what this is about")]

use std::alloc::Layout;
use std::arch::wasm32::{memory_grow, memory_size};
use std::mem::ManuallyDrop;
use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::bindings::commontools::background::image;

/// What memory grows by, bytes.
const PAGE: usize = 64 * 1024;

/// The part of the stack that the few calls which put memory back do not reach: half of it; `build.rs` sets its size.
const DEEP: usize = 2 * 1024 * 1024;

/// What the host's memory is managed by, bytes.
const HOST_PAGE: usize = 4096;

/// Where at most this many bytes stay as they are between two pieces, their pages are written to as well. What a call
/// has written is put back quickest where it lies in few runs of pages: of more than 32, wasmtime gives all the others
/// to the system, and each of those is requested again by the next call, which takes longer than to copy a few more.
const GAP: usize = 12 * HOST_PAGE;

/// How much memory a call finds ready, bytes: what most of them need.
const SPARE: usize = 1024 * 1024;

/// The sizes of free memory that are looked for, as powers of two: from less than anything is, to more than there is in
/// one piece.
const GAPS: (u32, u32) = (4, 16);

/// Set while a program is loaded ahead.
static LOADING: AtomicBool = AtomicBool::new(false);
/// Set for one allocation that is to lie where nothing is put back.
static ASIDE: AtomicBool = AtomicBool::new(false);

unsafe extern "C" {
    /// The linker's: its address is where the stack ends and all else begins.
    static __global_base: u8;
    /// The same: where all that is allocated begins.
    static __heap_base: u8;
}

/// Where an allocation lies that is to lie where nothing is put back; none if it is not such a one.
pub(super) fn take_aside(layout: Layout) -> Option<*mut u8> {
    ASIDE.swap(false, Relaxed).then(|| aside(layout.size()))
}

/// Whether a program is being loaded ahead.
pub(super) fn is_loading() -> bool {
    LOADING.load(Relaxed)
}

/// A place for `bytes` that nothing is put over: deep in the stack, which is not in use yet, or else beyond the memory.
/// It is good until a call nests deeply.
fn aside(bytes: usize) -> *mut u8 {
    let start = if bytes <= DEEP { Some(PAGE) } else { grow(bytes.div_ceil(PAGE)) };
    start.map_or(ptr::null_mut(), ptr::with_exposed_provenance_mut)
}

/// Adds pages, and returns the address of the first; `None` if the host grants none.
fn grow(pages: usize) -> Option<usize> {
    let size = memory_grow::<0>(pages);
    (size != usize::MAX).then_some(size * PAGE)
}

/// The memory above the stack.
fn memory() -> &'static [u8] {
    let start = &raw const __global_base;
    let length = memory_size::<0>() * PAGE - start.addr();
    // SAFETY: that far the memory goes. Nothing writes to it while the host reads it, which is all that is done with
    // this.
    unsafe { slice::from_raw_parts(start, length) }
}

/// Ends the call if a program is being loaded ahead: whatever it asks of the outside would be the same for every call.
pub(super) fn ask() {
    assert!(!is_loading(), "nothing outside answers while a program is loaded ahead");
}

/// Hands in the memory as `load` makes it, if it answers that it has loaded something.
pub(super) fn keep(load: impl FnOnce() -> bool) -> bool {
    image::before(memory());
    LOADING.store(true, Relaxed);
    let loaded = load();
    LOADING.store(false, Relaxed);
    if loaded {
        image::after(memory());
    }
    loaded
}

/// Puts the memory back as it was when it had `bytes` bytes above the stack.
pub(super) fn restore(bytes: u32) {
    let start = (&raw const __global_base).cast_mut();
    let missing = (start.addr() + bytes as usize).div_ceil(PAGE).saturating_sub(memory_size::<0>());
    assert!(grow(missing).is_some(), "there is no room for what was loaded ahead");
    ASIDE.store(true, Relaxed);
    // It is not the allocator's, which never hears of it.
    let pieces = ManuallyDrop::new(image::pieces());
    let mut rest = pieces.as_slice();
    let mut at = start;
    while let Some((head, tail)) = rest.split_first_chunk::<8>() {
        let [skip, length] = [head.first_chunk(), head.last_chunk()]
            .map(|number| number.map_or(0, |bytes: &[u8; 4]| u32::from_le_bytes(*bytes) as usize));
        let (piece, tail) = tail.split_at(length);
        if skip <= GAP {
            // SAFETY: as below.
            unsafe { touch(at, skip) };
        }
        // SAFETY: the host hands out what `keep` handed in, of an instance like this one, so that it fits. Nothing that
        // runs here is up there: neither the stack nor the pieces.
        unsafe {
            at = at.add(skip);
            ptr::copy_nonoverlapping(piece.as_ptr(), at, length);
            at = at.add(length);
        }
        rest = tail;
    }
}

/// Writes to each page of `bytes` bytes what is in it.
///
/// # Safety
///
/// There is memory there.
unsafe fn touch(at: *mut u8, bytes: usize) {
    for skip in (0..bytes).step_by(HOST_PAGE) {
        // SAFETY: as the caller says.
        unsafe {
            let byte = at.add(skip);
            byte.write_volatile(byte.read_volatile());
        }
    }
}

/// Leaves nothing free between what is in use, so that all that a call allocates lies together: the fewer pages a call
/// writes to, the sooner they are put back. What it allocates is there already, and need not be asked for.
pub(super) fn tidy() {
    assert!((&raw const __global_base).addr() >= 2 * DEEP, "the stack is not where it should be");
    let spare = Vec::<u8>::with_capacity(SPARE);
    let beyond = spare.as_ptr().addr();
    drop(std::hint::black_box(spare));
    for size in (GAPS.0..=GAPS.1).rev().map(|bits| 1_usize << bits) {
        loop {
            let block = std::hint::black_box(Vec::<u8>::with_capacity(size));
            if block.as_ptr().addr() >= beyond {
                break;
            }
            std::mem::forget(block);
        }
    }
}

/// How many of `bytes` bytes of memory are left for values: those beyond the stack and the program's own data.
pub(super) fn room(bytes: usize) -> usize {
    bytes.saturating_sub((&raw const __heap_base).addr())
}
