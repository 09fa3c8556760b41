//! `pollcast run CONFIG`.

use std::io;

use super::args::ConfigArgs;
use super::check::plan;
use super::failure::{Failure, Result};
use crate::host::{Host, Shutdown};

pub(super) fn run(args: &ConfigArgs, before_run: impl FnOnce(&Shutdown) -> io::Result<()>) -> Result {
    let plan = plan(args)?;
    let shutdown = Shutdown::default();
    before_run(&shutdown).map_err(|e| Failure::Running(format!("cannot handle signals: {e}")))?;
    Host::new(plan).run(&shutdown).map_err(|e| {
        let sentence = e.to_string();
        if e.is_configuration() { Failure::Asking(sentence) } else { Failure::Running(sentence) }
    })
}
