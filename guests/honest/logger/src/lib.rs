//! Logs its message once at each level, once on stdout and once on stderr.

use std::io::{self, Write};

use flowgate::{Result, Trigger, log};

fn handle(trigger: Trigger) -> Result<&'static str> {
    let message = trigger.message()?;
    log::trace!("{message}");
    log::debug!("{message}");
    log::info!("{message}");
    log::warn!("{message}");
    log::error!("{message}");
    log::critical!("{message}");
    writeln!(io::stdout(), "{message}")?;
    writeln!(io::stderr(), "{message}")?;
    Ok("logged")
}

flowgate::flow!(handle);
