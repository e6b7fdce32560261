//! The only place where WIT becomes Rust: one file per version of `flowgate:flow` and of `flowgate:transform`, and one for
//! each standard that no crate of wasmtime's binds as the host needs it.
//!
//! The file of a version runs `bindgen!` on its frozen folder of `wit/` and converts between the generated types and those of
//! [`crate::trigger`], so no other room knows which version a guest was built for.

pub mod keyvalue;
pub mod transform_v0_1;
pub mod v0_1;
pub mod v0_2;

use wasmtime::AsContextMut;
use wasmtime::component::Instance;

/// What a guest is told beside the trigger.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The execution's id.
    pub execution: &'a str,
    /// The flow's name.
    pub flow: &'a str,
    /// The digest of the running version.
    pub version: &'a str,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Unix time in milliseconds.
    pub deadline_ms: u64,
}

/// A flow gave something that its types allow and its contract does not.
#[derive(Debug, thiserror::Error)]
#[error("{member} of the reply is not one JSON text: {reason}")]
pub struct BadReply {
    member: &'static str,
    reason: serde_json::Error,
}

/// Calls the function `describe` of the optional export `interface`; none when the component has no such export.
pub async fn describe<S>(instance: &Instance, mut store: S, interface: &str) -> wasmtime::Result<Option<String>>
where
    S: AsContextMut,
    S::Data: Send,
{
    let Some(interface) = instance.get_export_index(&mut store, None, interface) else { return Ok(None) };
    let Some(function) = instance.get_export_index(&mut store, Some(&interface), "describe") else { return Ok(None) };
    let describe = instance.get_typed_func::<(), (String,)>(&mut store, function)?;
    let (text,) = describe.call_async(&mut store, ()).await?;
    Ok(Some(text))
}
