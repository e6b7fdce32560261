//! The configuration of wasmtime.
//!
//! [`compiling`] holds all that decides which machine code comes out; the child process that compiles uses it as it is.
//! [`running`] adds where instances live, which the code does not depend on, so both have the same compatibility hash.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::Options;

/// Bytes of the stack of WebAssembly code, and of the fiber around it, on which host calls run too.
const WASM_STACK_BYTES: usize = 512 << 10;
const FIBER_STACK_BYTES: usize = 2 << 20;

/// Frames of a guest's call stack that a trap reports.
const BACKTRACE_FRAMES: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// What one component may have. The largest guests seen (Python) have 67 core instances and one memory.
const CORE_INSTANCES_PER_COMPONENT: u32 = 128;
const MEMORIES_PER_COMPONENT: u32 = 4;
const TABLES_PER_COMPONENT: u32 = 64;

/// Fibers of one asynchronous instance: one for each part of a component that waits within a call.
const STACKS_PER_COMPONENT: u32 = 4;

/// How guests are compiled. Without support for concurrency a call of a synchronous guest costs a fifth less, and the code
/// of the component model's async ABI, where most advisories are, is out of its reach.
pub(super) fn compiling(asynchronous: bool) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .concurrency_support(asynchronous)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES)
        .wasm_backtrace_max_frames(Some(BACKTRACE_FRAMES))
        .wasm_memory64(false);
    config
}

/// How they run: each instance in a slot of a pool, which is handed on without a system call where the kernel can tell
/// which pages were written.
pub(super) fn running(options: &Options, table_elements_max: usize, asynchronous: bool) -> Config {
    // An asynchronous instance runs one execution, so none waits for another.
    let (stacks, warm_max) = if asynchronous { (STACKS_PER_COMPONENT, 0) } else { (1, options.warm_max) };
    let slots = options.instances_max.saturating_add(warm_max);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_stacks(slots.saturating_mul(stacks))
        .total_core_instances(slots.saturating_mul(CORE_INSTANCES_PER_COMPONENT))
        .total_memories(slots.saturating_mul(MEMORIES_PER_COMPONENT))
        .total_tables(slots.saturating_mul(TABLES_PER_COMPONENT))
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .max_unused_warm_slots(slots)
        .max_memory_size(options.memory_bytes_max.next_multiple_of(64 << 10))
        .table_elements(table_elements_max)
        .linear_memory_keep_resident(options.keep_resident_bytes)
        .table_keep_resident(options.keep_resident_bytes)
        .pagemap_scan(Enabled::Auto);
    let mut config = compiling(asynchronous);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// Names the code that `engine` can load, in 16 hex digits.
pub(super) fn compatibility(engine: &Engine) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_child_compiles_the_host_can_load() {
        let options = Options { instances_max: 2, ..Options::default() };
        let both = [false, true].map(|asynchronous| {
            let child = Engine::new(&compiling(asynchronous)).unwrap();
            let host = Engine::new(&running(&options, 1_000, asynchronous)).unwrap();
            assert_eq!(compatibility(&child), compatibility(&host));
            compatibility(&host)
        });
        assert_ne!(both[0], both[1]);
    }
}
