//! `pollcast devices`.

use std::io::Write;

use super::args::DevicesArgs;
use super::failure::{Failure, Result};

pub(super) fn devices(args: &DevicesArgs, out: &mut dyn Write) -> Result {
    let _ = (args, out);
    Err(Failure::Running("placeholder".into()))
}
