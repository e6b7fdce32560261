//! `memory.grow` and `table.grow`: one budget of bytes for all memories and tables of an execution.
//!
//! A request beyond the budget traps. Guests rarely survive an allocation that fails, and a trap says why.

use wasmtime::ResourceLimiter;

/// Core instances, memories and tables of one component. The largest guests seen (Python) have 67 core instances.
const INSTANCES_MAX: usize = 256;
const MEMORIES_MAX: usize = 16;
const TABLES_MAX: usize = 128;

/// Counts what an execution's memories and tables take.
#[derive(Debug)]
pub struct Memory {
    bytes_max: usize,
    table_elements_max: usize,
    bytes: usize,
    peak_bytes: usize,
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
    pub(super) fn new(bytes_max: usize, table_elements_max: usize) -> Self {
        Self { bytes_max, table_elements_max, bytes: 0, peak_bytes: 0 }
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

    fn grow(&mut self, current: usize, desired: usize) -> Result<(), OutOfMemory> {
        let wanted = self.bytes.saturating_add(desired.saturating_sub(current));
        if wanted > self.bytes_max {
            return Err(OutOfMemory { wanted, allowed: self.bytes_max });
        }
        self.bytes = wanted;
        self.peak_bytes = self.peak_bytes.max(wanted);
        Ok(())
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

    #[test]
    fn memories_and_tables_share_one_budget() {
        let mut memory = Memory::new(200_000, 10_000);
        assert!(memory.memory_growing(0, 131_072, None).unwrap());
        assert!(memory.table_growing(0, 8_000, None).unwrap());
        let error = memory.memory_growing(0, 65_536, None).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&OutOfMemory { wanted: 260_608, allowed: 200_000 }));
        assert_eq!(memory.peak_bytes(), 195_072);
    }

    #[test]
    fn a_table_past_its_own_limit_is_refused_without_a_trap() {
        let mut memory = Memory::new(1 << 20, 100);
        assert!(!memory.table_growing(0, 101, None).unwrap());
        assert!(!memory.table_growing(0, 60, Some(50)).unwrap());
        assert_eq!(memory.peak_bytes(), 0);
    }
}
