//! The `flow!` macro and what it expands to.

#[cfg(not(target_family = "wasm"))]
use serde::Serialize;

#[cfg(not(target_family = "wasm"))]
use crate::{Failure, Reply, Result, Trigger};

/// Makes a function the component's export, and so the crate a flow.
///
/// The function takes a [`Trigger`](crate::Trigger) and returns a [`Result`](crate::Result) of a
/// [`Reply`](crate::Reply) or of what becomes one. A closure with written types does as well. Once per crate.
///
/// `describe = …` gives what the flow says about itself: a [`Description`](crate::Description) or any other value that
/// serialises to a JSON object.
///
/// ```
/// use flowgate::{Result, Trigger};
///
/// fn handle(trigger: Trigger) -> Result<String> {
///     Ok(trigger.message()?.to_uppercase())
/// }
///
/// flowgate::flow!(handle);
/// ```
#[macro_export]
macro_rules! flow {
    ($handle:expr $(, describe = $description:expr)? $(,)?) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct __Flow;
            impl $crate::__private::Handler for __Flow {
                fn handle(trigger: $crate::__private::WireTrigger) -> $crate::__private::WireResult {
                    $crate::__private::handle($handle, trigger)
                }
            }
            $crate::bindings::export_handler!(__Flow with_types_in $crate::bindings);
            $(
                impl $crate::__private::Describe for __Flow {
                    fn describe() -> ::std::string::String {
                        $crate::__private::describe(&$description)
                    }
                }
                $crate::bindings::describing::export_describe!(
                    __Flow with_types_in $crate::bindings::describing
                );
            )?
        };
        #[cfg(not(target_family = "wasm"))]
        const _: fn() = || {
            $crate::__private::check($handle);
            $( $crate::__private::check_description(&$description); )?
        };
    };
}

#[cfg(target_family = "wasm")]
pub use crate::host::{Describe, Handler, WireResult, WireTrigger, describe, handle};

/// Off the target there is nothing to export, but the types must be right all the same.
#[cfg(not(target_family = "wasm"))]
pub fn check<R: Into<Reply>>(_handle: impl Fn(Trigger) -> Result<R, Failure>) {}

/// As [`check`], for `describe`.
#[cfg(not(target_family = "wasm"))]
pub fn check_description(_description: &impl Serialize) {}
