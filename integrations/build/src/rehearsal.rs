//! Finds out what a guest writes to when it is called, so that it can put all of that in one place.
//!
//! A call writes to few of the values that a guest has made ahead, but these would lie all over its memory, and after
//! the call, the host puts back every page that was written to. So a guest that exports `rehearse` is called while it is
//! built, in an instance that is thrown away: each of its stores marks where it writes to. The numbers of the
//! allocations with a mark are handed to the instance that is kept. Allocations are numbered in the order in which they
//! are made, which is the same in both instances; so the same module gives the same bytes here, too.

use std::collections::BTreeMap;

use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{
    CodeSection, ExportKind, ExportSection, Function, Instruction, MemArg, MemorySection, MemoryType, ValType,
};
use wasmparser::{ExternalKind, FunctionBody, Operator, Parser, Payload, TypeRef};
use wasmtime::{Engine, Error, Instance, Linker, Memory, Module, Result, Store};

/// The exports of a guest that can be rehearsed. `record` is as `prepare`, and keeps a list of the allocations that it
/// makes; `recorded` returns its address (the upper 32 bits) and its length; `rehearse` does what a call would do.
const RECORD: &str = "record";
const RECORDED: &str = "recorded";
const REHEARSE: &str = "rehearse";
/// The export that is called before `prepare`, with how many numbers there are, and how many bytes the allocations with
/// these numbers take. It returns the address where the numbers are to be written, as u32, sorted.
const PLACE: &str = "place";

/// The guest's memory, and the one that is added, in which each byte stands for [`GRAIN`] bytes of the first.
const MEMORY: &str = "memory";
const MARKS: &str = "marks";
/// A power of two.
const GRAIN: u32 = 8;
/// The size of the added memory: enough for the marks of 256 MiB.
const MARKS_PAGES: u64 = 512;

/// In the list of allocations, the size of one that was freed.
const FREED: u32 = u32::MAX;
/// Allocations that are larger than this stay where they are: a call writes to a small part of each, if at all.
const LARGEST: u32 = 2048;

/// What is written to by a call.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// The numbers of the allocations, sorted.
    numbers: Vec<u32>,
    /// What these take, in bytes.
    bytes: u32,
}

impl Written {
    /// Has an instance put these allocations together when it makes them.
    pub(crate) fn place<T: 'static>(&self, store: &mut Store<T>, instance: &Instance) -> Result<()> {
        let place = instance.get_typed_func::<(u32, u32), u32>(&mut *store, PLACE)?;
        let address = place.call(&mut *store, (u32::try_from(self.numbers.len())?, self.bytes))?;
        let numbers: Vec<u8> = self.numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        memory(store, instance, MEMORY)?.write(store, address as usize, &numbers).map_err(Error::from)
    }
}

/// What a call of the module writes to; nothing if the module cannot be rehearsed.
pub(crate) fn rehearse(engine: &Engine, module: &[u8]) -> Result<Option<Written>> {
    if !exports(module, REHEARSE) {
        return Ok(None);
    }
    let marking = marking(module)?;
    let compiled = Module::new(engine, marking)?;
    let mut linker = Linker::new(engine);
    linker.define_unknown_imports_as_traps(&compiled)?;
    let mut store = Store::new(engine, ());
    let instance = linker.instantiate(&mut store, &compiled)?;
    instance.get_typed_func::<(), ()>(&mut store, RECORD)?.call(&mut store, ())?;
    let recorded = instance.get_typed_func::<(), u64>(&mut store, RECORDED)?.call(&mut store, ())?;
    let (address, length) = (usize::try_from(recorded >> 32)?, usize::try_from(recorded & u64::from(u32::MAX))?);
    let list = memory(&mut store, &instance, MEMORY)?.data(&store).get(address..).unwrap_or_default();
    let live = live(list.chunks_exact(8).take(length).map(|entry| {
        let [address, size] = [&entry[..4], &entry[4..]].map(|number| number.try_into().map_or(0, u32::from_le_bytes));
        (address, size)
    }));
    memory(&mut store, &instance, MARKS)?.data_mut(&mut store).fill(0);
    instance.get_typed_func::<(), ()>(&mut store, REHEARSE)?.call(&mut store, ())?;
    let written = written(&live, memory(&mut store, &instance, MARKS)?.data(&store));
    if written.numbers.is_empty() {
        return Err(Error::msg("its rehearsal wrote to nothing that it had made ahead: `record` keeps no list"));
    }
    Ok(Some(written))
}

/// Whether a module exports a function of that name. An invalid module does not; the next step reports that it is
/// invalid.
pub(crate) fn exports(module: &[u8], name: &str) -> bool {
    let exports = Parser::new(0).parse_all(module).find_map(|payload| match payload {
        Ok(Payload::ExportSection(exports)) => Some(exports),
        _ => None,
    });
    exports.into_iter().flatten().flatten().any(|export| export.name == name && export.kind == ExternalKind::Func)
}

fn memory<T: 'static>(store: &mut Store<T>, instance: &Instance, name: &str) -> Result<Memory> {
    instance.get_memory(store, name).ok_or_else(|| Error::msg(format!("the module exports no memory `{name}`")))
}

/// The allocations that were not freed: sizes and numbers by addresses.
fn live(list: impl Iterator<Item = (u32, u32)>) -> BTreeMap<u32, (u32, u32)> {
    let (mut live, mut number) = (BTreeMap::new(), 0);
    for (address, size) in list {
        if size == FREED {
            live.remove(&address);
        } else {
            live.insert(address, (size, number));
            number += 1;
        }
    }
    live
}

/// Those of the allocations that have a mark.
fn written(live: &BTreeMap<u32, (u32, u32)>, marks: &[u8]) -> Written {
    let mut written = Written::default();
    for (&address, &(size, number)) in live {
        let grains = (address / GRAIN) as usize..(address.saturating_add(size)).div_ceil(GRAIN) as usize;
        if size <= LARGEST && marks.get(grains).is_some_and(|marks| marks.iter().any(|mark| *mark != 0)) {
            written.numbers.push(number);
            // As the guest aligns them.
            written.bytes += size.next_multiple_of(16);
        }
    }
    written.numbers.sort_unstable();
    written
}

/// The module with a second memory, `marks`, in which each store marks where it writes to. Of a range of bytes, only the
/// first is marked.
fn marking(module: &[u8]) -> Result<Vec<u8>> {
    let mut parameters = Vec::new();
    let mut marking = Marking::default();
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::TypeSection(types) => {
                for ty in types.into_iter_err_on_gc_types() {
                    parameters.push(u32::try_from(ty?.params().len())?);
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    if matches!(import?.ty, TypeRef::Memory(_)) {
                        return Err(Error::msg("a guest that imports its memory cannot be rehearsed"));
                    }
                }
            }
            Payload::FunctionSection(functions) => {
                for ty in functions {
                    marking.parameters.push(parameters.get(ty? as usize).copied().unwrap_or_default());
                }
            }
            _ => {}
        }
    }
    marking.parameters.reverse();
    let mut marked = wasm_encoder::Module::new();
    marking.parse_core_module(&mut marked, Parser::new(0), module).map_err(|error| Error::msg(error.to_string()))?;
    Ok(marked.finish())
}

#[derive(Default)]
struct Marking {
    /// How many parameters each function has that is still to come; the last one comes next.
    parameters: Vec<u32>,
}

/// The added memory.
const SECOND: u32 = 1;

impl Reencode for Marking {
    type Error = std::convert::Infallible;

    fn parse_memory_section(
        &mut self,
        memories: &mut MemorySection,
        section: wasmparser::MemorySectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        reencode::utils::parse_memory_section(self, memories, section)?;
        memories.memory(MemoryType {
            minimum: MARKS_PAGES,
            maximum: Some(MARKS_PAGES),
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: wasmparser::ExportSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        reencode::utils::parse_export_section(self, exports, section)?;
        exports.export(MARKS, ExportKind::Memory, SECOND);
        Ok(())
    }

    fn parse_function_body(&mut self, code: &mut CodeSection, body: FunctionBody<'_>) -> Result<(), reencode::Error> {
        let mut locals = Vec::new();
        let mut count = self.parameters.pop().unwrap_or_default();
        for pair in body.get_locals_reader()? {
            let (more, ty) = pair?;
            count += more;
            locals.push((more, self.val_type(ty)?));
        }
        let own = Own { first: count };
        locals.extend(Own::LOCALS);
        let mut function = Function::new(locals);
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            let operator = reader.read()?;
            if let Some(store) = Stores::of(&operator) {
                own.mark(&mut function, &store);
            }
            function.instruction(&self.instruction(operator)?);
        }
        code.function(&function);
        Ok(())
    }
}

/// What a store takes from the stack: an address, with an offset that is not on the stack, and then these.
struct Stores {
    offset: u64,
    operands: &'static [ValType],
}

impl Stores {
    fn of(operator: &Operator<'_>) -> Option<Self> {
        let (offset, operands): (u64, &[ValType]) = match operator {
            Operator::I32Store { memarg } | Operator::I32Store8 { memarg } | Operator::I32Store16 { memarg } => {
                (memarg.offset, &[ValType::I32])
            }
            Operator::I64Store { memarg }
            | Operator::I64Store8 { memarg }
            | Operator::I64Store16 { memarg }
            | Operator::I64Store32 { memarg } => (memarg.offset, &[ValType::I64]),
            Operator::F32Store { memarg } => (memarg.offset, &[ValType::F32]),
            Operator::F64Store { memarg } => (memarg.offset, &[ValType::F64]),
            Operator::V128Store { memarg } => (memarg.offset, &[ValType::V128]),
            Operator::MemoryCopy { .. } | Operator::MemoryFill { .. } | Operator::MemoryInit { .. } => {
                (0, &[ValType::I32, ValType::I32])
            }
            _ => return None,
        };
        Some(Self { offset, operands })
    }
}

/// The locals that are added to a function.
struct Own {
    first: u32,
}

impl Own {
    /// The address, and one for each operand that there is.
    const LOCALS: [(u32, ValType); 5] =
        [(3, ValType::I32), (1, ValType::I64), (1, ValType::F32), (1, ValType::F64), (1, ValType::V128)];

    /// The local for the operand at that place.
    fn operand(&self, place: u32, ty: ValType) -> u32 {
        self.first
            + match ty {
                ValType::I64 => 3,
                ValType::F32 => 4,
                ValType::F64 => 5,
                ValType::V128 => 6,
                _ => 1 + place,
            }
    }

    /// Marks where a store is going to write to, and leaves the stack as it was.
    fn mark(&self, function: &mut Function, store: &Stores) {
        let locals: Vec<u32> = (0..).zip(store.operands).map(|(place, ty)| self.operand(place, *ty)).collect();
        for local in locals.iter().rev() {
            function.instruction(&Instruction::LocalSet(*local));
        }
        // Offsets of a 32-bit memory have 32 bits.
        let offset = u32::try_from(store.offset).unwrap_or(u32::MAX).cast_signed();
        let shift = GRAIN.trailing_zeros().cast_signed();
        for instruction in [
            Instruction::LocalTee(self.first),
            Instruction::LocalGet(self.first),
            Instruction::I32Const(offset),
            Instruction::I32Add,
            Instruction::I32Const(shift),
            Instruction::I32ShrU,
            Instruction::I32Const(1),
            Instruction::I32Store8(MemArg { offset: 0, align: 0, memory_index: SECOND }),
        ] {
            function.instruction(&instruction);
        }
        for local in locals {
            function.instruction(&Instruction::LocalGet(local));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A guest with five allocations of 16 bytes at 1024, 1040, …, the second of which is freed. Its list is at 64. A
    /// call writes to the bytes that `stores` says.
    fn guest(stores: &str) -> Vec<u8> {
        let text = format!(
            r#"(module
                (import "outside" "now" (func $now (result i32)))
                (memory (export "memory") 1)
                (global $placed (mut i32) (i32.const 0))
                (func (export "record")
                    (i64.store (i32.const 64) (i64.const 0x10_0000_0400))
                    (i64.store (i32.const 72) (i64.const 0x10_0000_0410))
                    (i64.store (i32.const 80) (i64.const 0xffff_ffff_0000_0410))
                    (i64.store (i32.const 88) (i64.const 0x10_0000_0420))
                    (i64.store (i32.const 96) (i64.const 0x10_0000_0430))
                    (i64.store (i32.const 104) (i64.const 0x10_0000_0440)))
                (func (export "recorded") (result i64) (i64.const 0x40_0000_0006))
                (func (export "rehearse") {stores})
                (func (export "place") (param i32 i32) (result i32)
                    (global.set $placed (i32.add (local.get 0) (local.get 1)))
                    (i32.const 512)))"#
        );
        wat::parse_str(text).unwrap()
    }

    /// Beside the last allocation, which is always written to.
    fn numbers(stores: &str) -> Vec<u32> {
        let guest = guest(&format!("{stores} (i32.store (i32.const 1088) (i32.const 0))"));
        let mut numbers = rehearse(&Engine::default(), &guest).unwrap().unwrap().numbers;
        assert_eq!(numbers.pop(), Some(4));
        numbers
    }

    #[test]
    fn an_allocation_counts_if_a_call_writes_to_any_of_its_bytes() {
        assert_eq!(numbers(""), [0_u32; 0]);
        assert_eq!(numbers("(i32.store8 (i32.const 1024) (i32.const 0))"), [0]);
        assert_eq!(numbers("(i32.store8 (i32.const 1039) (i32.const 0))"), [0]);
        assert_eq!(numbers("(i64.store offset=40 (i32.const 1024) (i64.const 0))"), [2]);
        assert_eq!(
            numbers("(f64.store (i32.const 1072) (f64.const 0)) (f32.store (i32.const 1032) (f32.const 0))"),
            [0, 3]
        );
        assert_eq!(numbers("(v128.store (i32.const 1072) (v128.const i64x2 0 0))"), [3]);
        assert_eq!(numbers("(memory.copy (i32.const 1072) (i32.const 1024) (i32.const 16))"), [3]);
        assert_eq!(numbers("(memory.fill (i32.const 1056) (i32.const 0) (i32.const 8))"), [2]);
    }

    #[test]
    fn what_is_only_read_or_was_freed_or_written_to_before_does_not_count() {
        assert_eq!(numbers("(drop (i32.load (i32.const 1024)))"), [0_u32; 0]);
        assert_eq!(numbers("(i32.store (i32.const 1040) (i32.const 1))"), [0_u32; 0]);
        assert_eq!(numbers("(i32.store (i32.const 64) (i32.const 1))"), [0_u32; 0]);
    }

    #[test]
    fn a_store_still_stores_and_its_operands_are_what_they_were() {
        let text = r#"(module (memory (export "memory") 1) (func (export "f") (param i64 f32) (result i64)
            (local f64) (local.set 2 (f64.const 2.5))
            (i64.store offset=8 (i32.const 0) (local.get 0)) (f32.store (i32.const 16) (local.get 1))
            (f64.store (i32.const 24) (local.get 2)) (memory.copy (i32.const 32) (i32.const 8) (i32.const 24))
            (i64.store8 (i32.const 32) (i64.const 7)) (i64.load (i32.const 32))))"#;
        let engine = Engine::default();
        let module = Module::new(&engine, marking(&wat::parse_str(text).unwrap()).unwrap()).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let f = instance.get_typed_func::<(i64, f32), i64>(&mut store, "f").unwrap();
        assert_eq!(f.call(&mut store, (0x0102_0304_0506_0708, 1.5)).unwrap(), 0x0102_0304_0506_0707);
        let data = memory(&mut store, &instance, MEMORY).unwrap().data(&store)[40..56].to_vec();
        assert_eq!(data[..4], 1.5_f32.to_le_bytes());
        assert_eq!(data[8..], 2.5_f64.to_le_bytes());
        let marks = &memory(&mut store, &instance, MARKS).unwrap().data(&store)[..8];
        assert_eq!(marks, [0, 1, 1, 1, 1, 0, 0, 0]);
    }

    #[test]
    fn the_numbers_are_written_where_the_guest_wants_them() {
        let engine = Engine::default();
        let module = guest("(i32.store (i32.const 1024) (i32.const 0)) (i32.store (i32.const 1088) (i32.const 0))");
        let written = rehearse(&engine, &module).unwrap().unwrap();
        assert_eq!(written, Written { numbers: vec![0, 4], bytes: 32 });
        let mut linker = Linker::new(&engine);
        let compiled = Module::new(&engine, &module).unwrap();
        linker.define_unknown_imports_as_traps(&compiled).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &compiled).unwrap();
        written.place(&mut store, &instance).unwrap();
        assert_eq!(memory(&mut store, &instance, MEMORY).unwrap().data(&store)[512..520], [0, 0, 0, 0, 4, 0, 0, 0]);
    }

    #[test]
    fn a_rehearsal_that_shows_nothing_fails_the_build() {
        let error = rehearse(&Engine::default(), &guest("")).unwrap_err().to_string();
        assert!(error.contains("wrote to nothing"), "{error}");
    }

    #[test]
    fn a_module_that_offers_no_rehearsal_is_not_rehearsed() {
        let plain = wat::parse_str("(module (func (export \"prepare\")))").unwrap();
        assert_eq!(rehearse(&Engine::default(), &plain).unwrap(), None);
    }
}
