//! What the host says about itself: one line for each event, on stderr.
//!
//! Stdout stays free for data. The filter comes from the configuration and not from `RUST_LOG`, so that there is one place
//! to look.

use std::io::IsTerminal as _;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// What is logged and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Levels, by comma: `info`, or `warn,flowgate::delivery=debug` for one level in general and another in a part. A level
    /// is `off`, `error`, `warn`, `info`, `debug` or `trace`.
    pub log: String,
    /// The form of a line.
    pub format: Format,
}

impl Default for Options {
    /// `info`, for people.
    fn default() -> Self {
        Self { log: "info".to_owned(), format: Format::Text }
    }
}

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people; in colour on a terminal.
    #[default]
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is not one.
    #[error("`{directive}` is no log filter; allowed: a level (off, error, warn, info, debug, trace) or `part=level`")]
    Filter {
        /// The part of the filter that is wrong.
        directive: String,
    },
    /// Something in this process logs already.
    #[error("logging was started before")]
    Started,
}

/// Starts logging for the whole process; once.
pub fn start(options: &Options) -> Result<(), Error> {
    let stderr = std::io::stderr;
    let lines = tracing_subscriber::fmt().with_env_filter(options.filter()?).with_writer(stderr);
    // A line that cannot be written, because the disk that the log goes to is full, is lost. Told of on stderr, which is that
    // log, it would be a panic of whoever had something to say.
    let lines = lines.log_internal_errors(false);
    let started = match options.format {
        Format::Text => lines.with_ansi(stderr().is_terminal()).try_init(),
        Format::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|_| Error::Started)
}

impl Options {
    /// Whether [`start`] would take them.
    pub fn check(&self) -> Result<(), Error> {
        self.filter().map(drop)
    }

    /// The filter. A bare word is a level here: elsewhere it would be the name of a part, so that `inof` would silence all.
    fn filter(&self) -> Result<EnvFilter, Error> {
        let wrong = |directive: &str| Error::Filter { directive: directive.to_owned() };
        for directive in self.log.split(',').map(str::trim) {
            let fits = if directive.contains(['=', '[']) {
                EnvFilter::try_new(directive).is_ok()
            } else {
                directive.parse::<LevelFilter>().is_ok() && !directive.is_empty()
            };
            if !fits {
                return Err(wrong(directive));
            }
        }
        EnvFilter::try_new(self.log.replace(' ', "")).map_err(|_| wrong(&self.log))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_would_silence_everything_by_mistake_is_refused() {
        let check = |log: &str| Options { log: log.to_owned(), ..Options::default() }.check();
        for good in ["info", "off", "warn,flowgate::delivery=debug", "info, hyper=warn"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for (bad, named) in [("inof", "inof"), ("", ""), ("info,flowgate=loud", "flowgate=loud"), ("hyper", "hyper")] {
            let error = check(bad).unwrap_err();
            assert!(matches!(&error, Error::Filter { directive } if directive == named), "{bad}: {error}");
        }
    }
}
