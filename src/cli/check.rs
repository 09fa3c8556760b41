//! `pollcast check CONFIG`.

use std::io::Write;

use super::args::ConfigArgs;
use super::failure::Result;
use crate::config::{Config, Machine, Plan};
use crate::host::builtin_kinds;

pub(super) fn check(args: &ConfigArgs, out: &mut dyn Write) -> Result {
    write!(out, "{}", plan(args)?)?;
    Ok(())
}

/// What the configuration comes to on this machine.
pub(super) fn plan(args: &ConfigArgs) -> Result<Plan> {
    Ok(Config::load(&args.config)?.check(&Machine::here(), &builtin_kinds())?)
}
