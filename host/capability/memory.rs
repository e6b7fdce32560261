//! `memory.grow` and `table.grow`: one budget of bytes for all memories and tables of an execution, and one for those of
//! all executions together.
//!
//! A request beyond a budget traps. Guests rarely survive an allocation that fails, and a trap says why.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use wasmtime::ResourceLimiter;

/// Core instances, memories and tables of one component. The largest guests seen (Python) have 67 core instances.
const INSTANCES_MAX: usize = 256;
const MEMORIES_MAX: usize = 16;
const TABLES_MAX: usize = 128;

/// Bytes that every execution has for its own, whatever the others have taken. Most flows need no more.
const OWN_BYTES: usize = 4 << 20;

/// Counts what an execution's memories and tables take.
#[derive(Debug)]
pub struct Memory {
    bytes_max: usize,
    table_elements_max: usize,
    bytes: usize,
    peak_bytes: usize,
    stock: Arc<Stock>,
    /// What of `bytes` was taken from the stock.
    taken: usize,
}

/// The memory that all executions share, beyond the 4 MiB that each has for its own.
///
/// While at least half of it is left, an execution may have all that its own limit allows. Below that its share shrinks
/// with what is left, so that many that want much leave something for those that want less, and fail before them.
#[derive(Debug)]
pub struct Stock {
    bytes: usize,
    left: AtomicUsize,
}

/// The trap of a guest for which there is no more memory now, although it may have more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the guest wanted {wanted} bytes of memory, and of the {stock} for all executions together too few are left")]
pub struct OutOfStock {
    /// Bytes of all its memories and tables, had the request been granted.
    pub wanted: usize,
    /// Bytes for all executions together.
    pub stock: usize,
}

/// The trap of a guest that wanted more memory than it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the guest wanted {wanted} bytes of memory and may have {allowed}")]
pub struct OutOfMemory {
    /// Bytes of all memories and tables, had the request been granted.
    pub wanted: usize,
    /// Bytes that they may take.
    pub allowed: usize,
}

impl Memory {
    pub(super) fn new(bytes_max: usize, table_elements_max: usize, stock: Arc<Stock>) -> Self {
        Self { bytes_max, table_elements_max, bytes: 0, peak_bytes: 0, stock, taken: 0 }
    }

    /// The most bytes that were in use at one time.
    pub fn peak_bytes(&self) -> usize {
        self.peak_bytes
    }

    /// What the guest has now.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts from what there is, under another limit.
    pub(super) fn renew(&mut self, bytes_max: usize) {
        (self.bytes_max, self.peak_bytes) = (bytes_max, self.bytes);
    }

    fn grow(&mut self, current: usize, desired: usize) -> wasmtime::Result<()> {
        let wanted = self.bytes.saturating_add(desired.saturating_sub(current));
        if wanted > self.bytes_max {
            return Err(OutOfMemory { wanted, allowed: self.bytes_max }.into());
        }
        let shared = wanted.saturating_sub(OWN_BYTES);
        if shared > self.taken {
            if !self.stock.take(self.taken, shared, self.bytes_max) {
                return Err(OutOfStock { wanted, stock: self.stock.bytes }.into());
            }
            self.taken = shared;
        }
        self.bytes = wanted;
        self.peak_bytes = self.peak_bytes.max(wanted);
        Ok(())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.taken > 0 {
            self.stock.left.fetch_add(self.taken, Relaxed);
        }
    }
}

impl Stock {
    /// So many bytes.
    pub fn new(bytes: usize) -> Self {
        Self { bytes, left: AtomicUsize::new(bytes) }
    }

    /// Whether at least half of it is left.
    pub fn is_plenty(&self) -> bool {
        self.left.load(Relaxed) >= self.bytes / 2
    }

    /// Lets an execution that has taken `taken` bytes have `wanted` of them, if that is not more than its share: of
    /// `bytes_max` as large a part as what is left is of the half.
    fn take(&self, taken: usize, wanted: usize, bytes_max: usize) -> bool {
        let half = (self.bytes / 2).max(1) as u128;
        let taking = self.left.fetch_update(Relaxed, Relaxed, |left| {
            let share = bytes_max as u128 * left as u128 / half;
            left.checked_sub(wanted - taken).filter(|_| wanted as u128 <= share)
        });
        taking.is_ok()
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) && desired <= self.bytes_max {
            return Ok(false);
        }
        self.grow(current, desired)?;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.table_elements_max.min(maximum.unwrap_or(usize::MAX)) {
            return Ok(false);
        }
        let size = size_of::<usize>();
        self.grow(current.saturating_mul(size), desired.saturating_mul(size))?;
        Ok(true)
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 64 << 10;
    const MIB: usize = 1 << 20;

    fn memory(bytes_max: usize, table_elements_max: usize) -> Memory {
        Memory::new(bytes_max, table_elements_max, Arc::new(Stock::new(1 << 30)))
    }

    /// Grows until it is refused, or has `bytes`. Returns what it has in the end.
    fn grown(memory: &mut Memory, bytes: usize) -> usize {
        while memory.bytes < bytes && memory.memory_growing(memory.bytes, memory.bytes + PAGE, None).is_ok() {}
        memory.bytes
    }

    #[test]
    fn memories_and_tables_share_one_budget() {
        let mut memory = memory(200_000, 10_000);
        assert!(memory.memory_growing(0, 131_072, None).unwrap());
        assert!(memory.table_growing(0, 8_000, None).unwrap());
        let error = memory.memory_growing(0, 65_536, None).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&OutOfMemory { wanted: 260_608, allowed: 200_000 }));
        assert_eq!(memory.peak_bytes(), 195_072);
    }

    #[test]
    fn a_table_past_its_own_limit_is_refused_without_a_trap() {
        let mut memory = memory(1 << 20, 100);
        assert!(!memory.table_growing(0, 101, None).unwrap());
        assert!(!memory.table_growing(0, 60, Some(50)).unwrap());
        assert_eq!(memory.peak_bytes(), 0);
    }

    #[test]
    fn one_alone_gets_all_that_its_limit_allows() {
        let stock = Arc::new(Stock::new(256 * MIB));
        let mut alone = Memory::new(128 * MIB, 0, stock.clone());
        assert_eq!(grown(&mut alone, usize::MAX), 128 * MIB);
        assert!(stock.is_plenty());
        let refused = alone.memory_growing(0, PAGE, None).unwrap_err();
        assert!(refused.is::<OutOfMemory>(), "its own limit, not the stock's: {refused}");
    }

    #[test]
    fn many_bombs_fail_before_one_that_wants_less() {
        let stock = Arc::new(Stock::new(1024 * MIB));
        let mut bombs: Vec<_> = (0..128).map(|_| Memory::new(128 * MIB, 0, stock.clone())).collect();
        let all: usize = bombs.iter_mut().map(|bomb| grown(bomb, usize::MAX)).sum();
        assert!(all <= 1024 * MIB + 128 * OWN_BYTES, "{all}");
        let refused = bombs[127].memory_growing(0, PAGE, None).unwrap_err();
        let wanted = bombs[127].bytes + PAGE;
        assert_eq!(refused.downcast_ref(), Some(&OutOfStock { wanted, stock: 1024 * MIB }));

        let mut honest = Memory::new(128 * MIB, 0, stock.clone());
        assert_eq!(grown(&mut honest, OWN_BYTES), OWN_BYTES, "what is its own");
        drop(bombs);
        assert_eq!(grown(&mut honest, 64 * MIB), 64 * MIB, "what the bombs had is there again");
        drop(honest);
        assert_eq!(stock.left.load(Relaxed), 1024 * MIB);
    }

    #[test]
    fn while_bombs_grow_together_there_is_something_left() {
        let stock = Arc::new(Stock::new(4096 * MIB));
        let mut bombs: Vec<_> = (0..96).map(|_| Memory::new(128 * MIB, 0, stock.clone())).collect();
        let mut refused = 0;
        while refused < bombs.len() {
            let grow = |bomb: &mut Memory| bomb.memory_growing(0, PAGE, None).is_err();
            refused = bombs.iter_mut().map(grow).filter(|refused| *refused).count();
        }
        let mut honest = Memory::new(128 * MIB, 0, stock);
        assert_eq!(grown(&mut honest, 32 * MIB), 32 * MIB);
    }
}
