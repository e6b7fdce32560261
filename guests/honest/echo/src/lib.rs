//! Gives back the trigger that it was given.
#![forbid(unsafe_code)]
use flowgate::{Reply, Result, Trigger};
flowgate::flow!(|trigger: Trigger| -> Result { Ok(Reply::text(format!("hello, {}", trigger.message()?))) });
