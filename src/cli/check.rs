//! `pollcast check CONFIG`.

use std::io::Write;

use super::args::ConfigArgs;
use super::failure::{Failure, Result};
use crate::config::{Config, ConfigErrors, Machine, Plan};
use crate::host::builtin_kinds;

pub(super) fn check(args: &ConfigArgs, out: &mut dyn Write) -> Result {
    write!(out, "{}", plan(args)?)?;
    Ok(())
}

/// What the configuration comes to on this machine.
pub(super) fn plan(args: &ConfigArgs) -> Result<Plan> {
    let asking = |errors: ConfigErrors| Failure::Asking(errors.to_string());
    let config = Config::load(&args.config).map_err(asking)?;
    config.check(&Machine::here(), &builtin_kinds()).map_err(asking)
}
