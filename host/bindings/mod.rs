//! The only place where WIT becomes Rust: one file per version of `flowgate:flow` and of `flowgate:transform`, and one for
//! each standard that no crate of wasmtime's binds as the host needs it.
//!
//! The file of a version runs `bindgen!` on its frozen folder of `wit/` and converts between the generated types and those of
//! [`crate::trigger`], so no other room knows which version a guest was built for.

pub mod keyvalue;
pub mod transform_v0_1;
pub mod v0_1;
