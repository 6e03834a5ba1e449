//! What one store may allocate, summed over all its memories and tables.

use wasmtime::ResourceLimiter;

use crate::Limits;

/// How many refusals a guest may get. Allocators try a second, smaller allocation, and collect garbage in between; a
/// guest that keeps asking is stopped.
const REFUSALS: u32 = 16;

/// Counts what a store has, and remembers what it was refused.
#[derive(Debug)]
pub(crate) struct StoreLimits {
    memory: Sum,
    elements: Sum,
    memories: usize,
    tables: usize,
    instances: usize,
}

#[derive(Debug)]
struct Sum {
    limit: usize,
    used: usize,
    /// What was added last, in case the allocation fails.
    last: usize,
    refusals: u32,
}

/// A guest kept asking for what it was refused. Its [`StoreLimits`] know what that was.
#[derive(Debug, thiserror::Error)]
#[error("refused {REFUSALS} times")]
struct TooManyRefusals;

impl StoreLimits {
    pub(crate) fn new(limits: &Limits, memory: usize) -> Self {
        Self {
            memory: Sum::new(memory),
            elements: Sum::new(limits.table_elements),
            memories: limits.memories,
            tables: limits.tables,
            instances: limits.instances,
        }
    }

    /// The size of all its memories, in bytes. They never shrink.
    pub(crate) fn memory(&self) -> usize {
        self.memory.used
    }

    /// The limit in bytes, if memory was refused.
    pub(crate) fn refused_memory(&self) -> Option<usize> {
        (self.memory.refusals > 0).then_some(self.memory.limit)
    }

    /// The limit, if table elements were refused.
    pub(crate) fn refused_elements(&self) -> Option<usize> {
        (self.elements.refusals > 0).then_some(self.elements.limit)
    }
}

impl Sum {
    fn new(limit: usize) -> Self {
        Self { limit, used: 0, last: 0, refusals: 0 }
    }

    fn grow(&mut self, current: usize, desired: usize) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let used = self.used.saturating_add(more);
        if used <= self.limit {
            self.used = used;
            self.last = more;
            return Ok(true);
        }
        self.last = 0;
        self.refusals += 1;
        if self.refusals < REFUSALS { Ok(false) } else { Err(TooManyRefusals.into()) }
    }

    fn undo(&mut self) {
        self.used -= self.last;
        self.last = 0;
    }
}

impl ResourceLimiter for StoreLimits {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.memory.grow(current, desired)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        tracing::debug!(%error, "a memory could not grow");
        self.memory.undo();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.elements.grow(current, desired)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        tracing::debug!(%error, "a table could not grow");
        self.elements.undo();
        Ok(())
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.tables
    }

    fn memories(&self) -> usize {
        self.memories
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_summed() {
        let mut limits = StoreLimits::new(&Limits::default(), 100);
        assert!(limits.memory_growing(0, 60, None).unwrap());
        assert!(limits.memory_growing(0, 40, None).unwrap());
        assert_eq!(limits.refused_memory(), None);
        assert!(!limits.memory_growing(40, 41, None).unwrap());
        assert_eq!(limits.refused_memory(), Some(100));
    }

    #[test]
    fn a_failed_allocation_is_not_counted() {
        let mut limits = StoreLimits::new(&Limits::default(), 100);
        assert!(limits.memory_growing(0, 60, None).unwrap());
        limits.memory_grow_failed(wasmtime::Error::msg("no")).unwrap();
        limits.memory_grow_failed(wasmtime::Error::msg("no")).unwrap();
        assert!(limits.memory_growing(0, 100, None).unwrap());
    }

    #[test]
    fn a_guest_that_keeps_asking_is_stopped() {
        let mut limits = StoreLimits::new(&Limits::default(), 100);
        for _ in 1..REFUSALS {
            assert!(!limits.memory_growing(0, usize::MAX, None).unwrap());
        }
        assert!(limits.memory_growing(0, 101, None).is_err());
    }

    #[test]
    fn elements_of_tables_are_summed() {
        let mut limits = StoreLimits::new(&Limits { table_elements: 10, ..Limits::default() }, 0);
        assert!(limits.table_growing(0, 10, None).unwrap());
        assert!(!limits.table_growing(0, 1, None).unwrap());
        assert_eq!(limits.refused_elements(), Some(10));
    }
}
