//! The `pollcast` program: everything is in [`pollcast::cli`]; signals live here.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use pollcast::host::Shutdown;
use signal_hook::consts::{SIGINT, SIGIO, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

fn main() -> ExitCode {
    pollcast::cli::main(std::env::args_os(), stop_on_signals)
}

/// The first SIGINT or SIGTERM requests `shutdown`; the second ends the process at once, whatever it hangs in.
///
/// No signal is blocked: net_tap is told of packets by a real-time signal, and by SIGIO, which kills by default, when
/// too many of those are pending.
fn stop_on_signals(shutdown: &Shutdown) -> io::Result<()> {
    let asked_before = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag down and raises it.
        flag::register_conditional_shutdown(signal, 1, Arc::clone(&asked_before))?;
        flag::register(signal, Arc::clone(&asked_before))?;
    }
    flag::register(SIGIO, Arc::default())?;

    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let shutdown = shutdown.clone();
    thread::Builder::new().name("signals".into()).spawn(move || {
        if signals.forever().next().is_some() {
            shutdown.request();
        }
    })?;
    Ok(())
}
