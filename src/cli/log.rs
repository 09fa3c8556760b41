//! Log lines, to stderr.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// Starts logging. `running` programs tell what they opened; the others speak only of trouble.
pub(super) fn start(verbose: u8, running: bool) {
    let level = match (verbose, running) {
        (0, false) => LevelFilter::WARN,
        (0, true) => LevelFilter::INFO,
        (1, _) => LevelFilter::DEBUG,
        (2.., _) => LevelFilter::TRACE,
    };
    let filter = EnvFilter::builder().with_default_directive(level.into()).from_env_lossy();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(verbose > 0)
        // It would be printed to the stderr that just failed, and panic there.
        .log_internal_errors(false);
    // A program around us may have its own: then that one is used.
    let _ = subscriber.try_init();
}
