//! The only place where WIT becomes Rust: one file per version of `flowgate:flow` and of
//! `flowgate:transform`.
//!
//! Each file runs `bindgen!` on its frozen folder of `wit/` and converts between the generated types and those of
//! [`crate::trigger`], so no other room knows which version a guest was built for.

pub mod transform_v0_1;
pub mod v0_1;
