//! What can go wrong, as far as the exit status cares.

use crate::config::ConfigErrors;

/// What a command comes to.
pub(super) type Result<T = ()> = core::result::Result<T, Failure>;

/// A command that was not carried out, with one sentence a line.
#[derive(Debug)]
pub(super) enum Failure {
    /// The configuration is at fault, as `FILE:LINE:COLUMN: ...`: exit status 2.
    Configuration(ConfigErrors),
    /// The command line or the configuration is at fault: exit status 2.
    Asking(String),
    /// It failed while running: exit status 1.
    Running(String),
    /// Standard output could not be written.
    Output(std::io::Error),
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Self::Configuration(errors)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Output(error)
    }
}
