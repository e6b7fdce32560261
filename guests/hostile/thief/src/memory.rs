//! The guest's whole memory.
#![expect(unsafe_code, reason = "what is looked for may lie in memory that belongs to nobody any more")]

/// What each byte of the secret is changed by.
const CHANGE: u8 = 0x5a;

/// Whether the bytes that became `changed` stand anywhere in the memory.
pub(crate) fn holds(changed: &[u8]) -> bool {
    let end = core::arch::wasm32::memory_size(0) << 16;
    let Some(last) = end.checked_sub(changed.len()).filter(|_| !changed.is_empty()) else { return false };
    // SAFETY: each address is below the size of the memory, and every byte of it can be read.
    let byte = |at: usize| unsafe { core::ptr::read_volatile(core::ptr::without_provenance::<u8>(at)) };
    (1..=last).any(|at| changed.iter().enumerate().all(|(place, want)| byte(at + place) ^ CHANGE == *want))
}
