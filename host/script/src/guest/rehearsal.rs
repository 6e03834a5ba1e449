//! A call that happens while the guest is built, so that it shows what calls write to: see `allocator`.

#![allow(unsafe_code, reason = "the builder calls these functions by their names")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::{READY, allocator, make};
use crate::engine::Program;

/// What most charms do when they are polled.
const CHARM: &str = "import { Cell, NAME, UI, h, handler, pattern } from 'commontools';
const schema = { type: 'object', properties: { count: { type: 'number', asCell: true }, last: { type: 'string', asCell: true }, list: { asCell: true } } };
const poll = handler({}, schema, async (event, { count, last, list }) => {
  count.set(count.get() + 1);
  last.set(new Date().toISOString());
  const items = [...(list.get() ?? []), { id: `${count.get()}`, at: Date.now() }].filter((item) => item.id !== '').map(({ id, ...rest }) => ({ ...rest, id }));
  list.set(items.slice(-3).sort((a, b) => a.at - b.at));
  console.log(`polled ${JSON.stringify(items)}`, event);
  await null;
});
export default pattern({ type: 'object', properties: { count: { type: 'number', default: 0 }, last: { type: 'string', default: '' } } }, ({ count, last }) => {
  const list = Cell.of([]);
  return { [NAME]: 'Rehearsal', [UI]: h('div', null, count, last), count, last, list, poll: poll({ count, last, list }) };
});
";

static IS_ON: AtomicBool = AtomicBool::new(false);

/// Whether nothing outside is there to answer.
pub(super) fn is_on() -> bool {
    IS_ON.load(Relaxed)
}

/// As `prepare`, and keeps a list of what is allocated.
#[unsafe(no_mangle)]
extern "C" fn record() {
    allocator::record();
    if let Err(failure) = make() {
        panic!("{}", failure.message);
    }
}

/// The address of the list, and its length, as 32 bits each.
#[unsafe(no_mangle)]
extern "C" fn recorded() -> u64 {
    let (address, length) = allocator::recorded();
    (address as u64) << 32 | length as u64
}

/// Does what a call does.
#[unsafe(no_mangle)]
extern "C" fn rehearse() {
    IS_ON.store(true, Relaxed);
    let files = BTreeMap::new();
    let program = Program { file: "rehearsal", module: CHARM, files: &files };
    let Some(mut ready) = READY.take() else { panic!("nothing was made ahead") };
    let called =
        ready.engine.load(program, true).and_then(|loaded| ready.engine.handle(|| program, loaded, "poll", "{}"));
    if let Err(failure) = called {
        panic!("{}", failure.message);
    }
}

/// Called before `prepare`: `count` allocations, of `bytes` bytes in all, are to lie together. Returns where their
/// numbers are to be written to.
#[unsafe(no_mangle)]
extern "C" fn place(count: u32, bytes: u32) -> *mut u32 {
    allocator::place(count as usize, bytes as usize)
}
