//! Log lines, kept with the execution. What goes to stdout and stderr becomes log lines too, but without a level.
//!
//! ```
//! use flowgate::log;
//!
//! let (order, cents) = ("A-7", 1250);
//! log::info!("order {order} comes to {cents} cents");
//! log::write(log::Level::Warn, "pricing", "the price list is old");
//! ```

use crate::host;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it all")]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Critical,
}

/// Writes one line. `context` groups lines; the macros put the module's path there.
pub fn write(level: Level, context: &str, message: &str) {
    host::log(level, context, message);
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:ident, $($message:tt)+) => {
        $crate::log::write($crate::log::Level::$level, ::core::module_path!(), &::std::format!($($message)+))
    };
}

macro_rules! levels {
    ($dollar:tt $($name:ident $hidden:ident $level:ident $doc:literal),+) => {$(
        #[doc = $doc]
        #[doc(hidden)]
        #[macro_export]
        macro_rules! $hidden {
            ($dollar($message:tt)+) => { $crate::__log!($level, $dollar($message)+) };
        }
        #[doc(inline)]
        pub use $hidden as $name;
    )+};
}

levels! { $
    trace __log_trace Trace "Logs a line at [`Level::Trace`]; arguments as for `format!`.",
    debug __log_debug Debug "Logs a line at [`Level::Debug`]; arguments as for `format!`.",
    info __log_info Info "Logs a line at [`Level::Info`]; arguments as for `format!`.",
    warn __log_warn Warn "Logs a line at [`Level::Warn`]; arguments as for `format!`.",
    error __log_error Error "Logs a line at [`Level::Error`]; arguments as for `format!`.",
    critical __log_critical Critical "Logs a line at [`Level::Critical`]; arguments as for `format!`."
}
