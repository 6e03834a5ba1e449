//! Runs a guest's start at build time: its memory is saved afterwards, and every instance starts from there.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wasmparser::ValType;
use wasmtime::{Config, Engine, Instance, Linker, Module, OptLevel, Store, Val};
use wasmtime_wizer::{InstanceState, SnapshotVal, Wizer};

use crate::rehearsal;

/// The export of a guest with work to do at build time: `func()`. It is called once, and removed from the exports.
const PREPARE: &str = "prepare";

/// The module after its start; the same module if there is nothing to do.
///
/// Calling an import during the start traps, and the build fails. So neither the clock nor random numbers can get into
/// the saved memory, and the same module gives the same bytes.
pub(crate) fn prepared(module: Vec<u8>) -> wasmtime::Result<Vec<u8>> {
    if !rehearsal::exports(&module, PREPARE) {
        return Ok(module);
    }
    let mut wizer = Wizer::new();
    wizer.init_func(PREPARE);
    let (context, instrumented) = wizer.instrument(&module)?;
    let mut config = Config::new();
    // The module runs once, for a few milliseconds.
    config.cranelift_opt_level(OptLevel::None);
    let engine = Engine::new(&config)?;
    let written = rehearsal::rehearse(&engine, &module)?;
    let compiled = Module::new(&engine, &instrumented)?;
    let mut linker = Linker::new(&engine);
    linker.define_unknown_imports_as_traps(&compiled)?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &compiled)?;
    if let Some(written) = written {
        written.place(&mut store, &instance)?;
    }
    instance.get_typed_func::<(), ()>(&mut store, PREPARE)?.call(&mut store, ())?;
    let mut state = Started { store, instance };
    let snapshot = pin!(wizer.snapshot(&context, &mut state));
    match snapshot.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(module) => module,
        Poll::Pending => Err(wasmtime::Error::msg("reading an instance in this process should not wait")),
    }
}

/// An instance after its start. The names that it is asked for are the exports that were added to read its state.
struct Started {
    store: Store<()>,
    instance: Instance,
}

impl InstanceState for Started {
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        let global = self.instance.get_global(&mut self.store, name).expect("it was exported to be read");
        match global.get(&mut self.store) {
            Val::I32(value) => SnapshotVal::I32(value),
            Val::I64(value) => SnapshotVal::I64(value),
            Val::F32(value) => SnapshotVal::F32(value),
            Val::F64(value) => SnapshotVal::F64(value),
            Val::V128(value) => SnapshotVal::V128(value.as_u128()),
            _ => unreachable!("modules with variables that are references are refused before"),
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        let memory = self.instance.get_memory(&mut self.store, name).expect("it was exported to be read");
        contents(memory.data(&self.store));
    }
}

#[cfg(test)]
mod tests {
    use wasmparser::{Parser, Payload};

    use super::*;

    /// A module whose start does `start`, and whose `answer` is the sum of its memory and its variable.
    fn module(start: &str) -> Vec<u8> {
        let text = format!(
            r#"(module
                (import "outside" "now" (func $now (result i32)))
                (memory 1)
                (global $seen (mut i32) (i32.const 1))
                (func (export "prepare") {start})
                (func (export "answer") (result i32) (i32.add (i32.load (i32.const 64)) (global.get $seen)))
                (func (export "now") (result i32) (call $now))
                (@custom "component-type:x" "kept"))"#
        );
        wat::parse_str(text).unwrap()
    }

    const STORES: &str = "(i32.store (i32.const 64) (i32.const 40)) (global.set $seen (i32.const 2))";

    #[test]
    fn an_instance_begins_where_the_start_ended_and_still_calls_its_imports() {
        let prepared = prepared(module(STORES)).unwrap();
        let engine = Engine::default();
        let compiled = Module::new(&engine, &prepared).unwrap();
        let mut store = Store::new(&engine, 7);
        let mut linker = Linker::new(&engine);
        linker.func_wrap("outside", "now", |caller: wasmtime::Caller<'_, i32>| *caller.data()).unwrap();
        let instance = linker.instantiate(&mut store, &compiled).unwrap();
        assert!(instance.get_func(&mut store, PREPARE).is_none(), "it is removed");
        let mut call =
            |name: &str| instance.get_typed_func::<(), i32>(&mut store, name).unwrap().call(&mut store, ()).unwrap();
        assert_eq!(call("answer"), 42);
        assert_eq!(call("now"), 7);
    }

    #[test]
    fn the_section_that_names_its_world_stays() {
        let prepared = prepared(module(STORES)).unwrap();
        let found = Parser::new(0).parse_all(&prepared).any(|payload| {
            matches!(payload.unwrap(), Payload::CustomSection(section)
                if section.name() == "component-type:x" && section.data() == b"kept")
        });
        assert!(found);
    }

    #[test]
    fn the_same_module_gives_the_same_bytes_and_one_without_a_start_is_unchanged() {
        assert_eq!(prepared(module(STORES)).unwrap(), prepared(module(STORES)).unwrap());
        let plain = wat::parse_str("(module (func (export \"handle\")))").unwrap();
        assert_eq!(prepared(plain.clone()).unwrap(), plain);
    }

    #[test]
    fn a_start_that_calls_an_import_is_refused() {
        let error = format!("{:#}", prepared(module("(drop (call $now))")).unwrap_err());
        assert!(error.contains("now"), "{error}");
    }
}
