//! What the examples share: SIGINT (Ctrl-C) and SIGTERM stop the host, which leaves its groups and stops its ports, and every call
//! that waits on one of its sockets then says that it is down.
//!
//! The library handles no signals: they are the program's, as here.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use pollcast::host::{Running, Shutdown};
use pollcast::socket::RecvError;
use signal_hook::consts::{SIGINT, SIGIO, SIGTERM};
use signal_hook::iterator::Signals;

/// Stops `host` at the first SIGINT or SIGTERM.
pub(crate) fn on_signals(host: &Running) -> io::Result<()> {
    // DPDK's taps tell of packets by a signal, and by SIGIO, which ends a program that does not know it, when there are too many.
    signal_hook::flag::register(SIGIO, Arc::new(AtomicBool::new(false)))?;
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let shutdown: Shutdown = host.shutdown();
    thread::Builder::new().name("signals".into()).spawn(move || {
        if signals.forever().next().is_some() {
            shutdown.request();
        }
    })?;
    Ok(())
}

/// What was received, or `None` if the host has stopped.
pub(crate) fn unless_down<T>(received: Result<T, RecvError>) -> Result<Option<T>, RecvError> {
    match received {
        Ok(received) => Ok(Some(received)),
        Err(RecvError::Down) => Ok(None),
        Err(e) => Err(e),
    }
}
