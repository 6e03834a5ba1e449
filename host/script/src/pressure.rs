//! When the engine collects garbage because the guest's memory gets short.
//!
//! By itself the engine collects after a number of values, whatever these own: a long array counts as much as a short
//! one. So the guest's allocator counts bytes, and the guest collects once a part of the memory that was free after the
//! last collection is in use. It can do so only where the engine runs code of the guest's: between jobs, before each
//! `ArrayBuffer`, and in functions of the guest's own. So it also wraps those of the engine's that make large values
//! ([`install`]).

#![cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "only the guest's allocator counts"))]

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use boa_engine::object::builtins::JsFunction;
use boa_engine::object::{FunctionObjectBuilder, JsObject};
use boa_engine::property::PropertyDescriptor;
use boa_engine::{Context, JsResult, JsString, NativeFunction, gc, js_string};

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

/// Has the engine's functions that make large values collect before they do if memory is short.
pub(crate) fn install(context: &mut Context) -> JsResult<()> {
    const ARRAYS: &[&str] = &[
        "concat",
        "copyWithin",
        "fill",
        "filter",
        "flat",
        "flatMap",
        "join",
        "map",
        "push",
        "slice",
        "splice",
        "toReversed",
        "toSorted",
        "toSpliced",
        "unshift",
        "with",
    ];
    const TEXTS: &[&str] = &["concat", "normalize", "padEnd", "padStart", "repeat", "toLowerCase", "toUpperCase"];
    const OBJECTS: &[&str] = &["assign", "entries", "fromEntries", "getOwnPropertyNames", "groupBy", "keys", "values"];
    let constructors = context.intrinsics().constructors();
    let (array, map) = (constructors.array(), constructors.map());
    let (arrays, array, texts) = (array.prototype(), array.constructor(), constructors.string().prototype());
    let (objects, maps, sets) = (constructors.object().constructor(), map.prototype(), constructors.set().prototype());
    let json = context.intrinsics().objects().json();
    let all: [(&JsObject, &[&str]); 7] = [
        (&arrays, ARRAYS),
        (&array, &["from", "of"]),
        (&texts, TEXTS),
        (&objects, OBJECTS),
        (&maps, &["set"]),
        (&sets, &["add"]),
        (&json, &["parse"]),
    ];
    for (object, names) in all {
        for name in names {
            wrap(object, JsString::from(*name), context)?;
        }
    }
    Ok(())
}

/// Puts a function in the place of one of the engine's that collects, if memory is short, and then does the same.
fn wrap(object: &JsObject, name: JsString, context: &mut Context) -> JsResult<()> {
    let wrapped = object.get(name.clone(), context)?.as_object().and_then(JsFunction::from_object);
    let Some(wrapped) = wrapped else { return Ok(()) };
    let length = wrapped.get(js_string!("length"), context)?.to_length(context)?;
    let function = NativeFunction::from_copy_closure_with_captures(
        |this, args, wrapped, context| {
            relieve();
            wrapped.call(this, args, context)
        },
        wrapped,
    );
    let function = FunctionObjectBuilder::new(context.realm(), function)
        .name(name.clone())
        .length(usize::try_from(length).unwrap_or(0))
        .build();
    let property = PropertyDescriptor::builder().value(function).writable(true).enumerable(false).configurable(true);
    object.define_property_or_throw(name, property, context).map(drop)
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
    LIMIT.store(limit(IN_USE.load(Relaxed), bytes), Relaxed);
}

/// Collects if memory is short. The engine may hold no value's content meanwhile, as where it calls a function.
pub(crate) fn relieve() {
    if IN_USE.load(Relaxed) > LIMIT.load(Relaxed) {
        gc::force_collect();
        LIMIT.store(limit(IN_USE.load(Relaxed), ROOM.load(Relaxed)), Relaxed);
    }
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
