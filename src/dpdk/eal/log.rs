//! DPDK's log: kept for error messages, and passed on to `tracing`.
//!
//! DPDK has one log a process, so this file has one too. Nothing of it goes to stderr by itself: while something is
//! being started, what DPDK says is a detail (or the cause of *our* one sentence); later, its errors are warnings.

use core::ffi::{c_char, c_int};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dpdk_sys as sys;

/// Lines kept.
const KEPT: usize = 256;

/// DPDK's levels: 4 is an error, less is worse; 8 is the least.
const LEVEL_ERROR: c_int = 4;

/// What was said, newest last.
struct Log {
    /// The number of the first of `lines`.
    first: u64,
    lines: VecDeque<(c_int, String)>,
    partial: String,
}

static LOG: Mutex<Log> = Mutex::new(Log { first: 0, lines: VecDeque::new(), partial: String::new() });

/// How many are listening for the cause of a failure.
static LISTENERS: AtomicUsize = AtomicUsize::new(0);

fn log() -> MutexGuard<'static, Log> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What DPDK logs from its creation on. While one lives, DPDK's errors are details.
#[derive(Debug)]
pub(in crate::dpdk) struct Listener {
    from: u64,
    /// Whether the C library's standard output and error go to DPDK's log, too.
    capturing: bool,
}

/// What DPDK says after it has said why.
const CONSEQUENCES: &[&str] =
    &["Driver cannot attach the device", "Failed to attach device on primary process"];

impl Listener {
    pub(in crate::dpdk) fn new() -> Self {
        LISTENERS.fetch_add(1, Ordering::Relaxed);
        let log = log();
        Self { from: log.first + log.lines.len() as u64, capturing: false }
    }

    /// One that also keeps what drivers and their libraries (libbpf, libxdp) print past DPDK's log. For start-up: what
    /// others print through C's streams meanwhile is kept from them, too.
    pub(in crate::dpdk) fn capturing() -> Self {
        // SAFETY: changes two variables of the C library's, under a lock of its own.
        unsafe { sys::shim_capture(1) };
        let mut listener = Self::new();
        listener.capturing = true;
        listener
    }

    /// The errors since, as one line; if there were none, the last thing that was said.
    pub(in crate::dpdk) fn heard(&self) -> String {
        let last = || {
            let log = log();
            let said = log.lines.back().filter(|_| log.first + log.lines.len() as u64 > self.from);
            said.map(|(_, line)| line.clone()).unwrap_or_default()
        };
        self.errors().unwrap_or_else(last)
    }

    /// The errors since, as one line.
    pub(super) fn errors(&self) -> Option<String> {
        let log = log();
        let since =
            || log.lines.iter().zip(log.first..).filter(|(_, number)| *number >= self.from).map(|(l, _)| l);
        let mut errors: Vec<&str> = Vec::new();
        let is_cause =
            |line: &str| !line.is_empty() && !CONSEQUENCES.iter().any(|known| line.contains(known));
        for (_, line) in since().filter(|(level, line)| *level <= LEVEL_ERROR && is_cause(line)) {
            let line =
                line.strip_prefix("EAL: FATAL: ").or_else(|| line.strip_prefix("EAL: ")).unwrap_or(line);
            if errors.last() != Some(&line) {
                errors.push(line);
            }
        }
        match errors.as_slice() {
            [] => None,
            // The first is the cause, the last the consequence.
            [first, second, _, _, .., last] => Some([first, second, "...", last].join("; ")),
            few => Some(few.join("; ")),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        LISTENERS.fetch_sub(1, Ordering::Relaxed);
        if self.capturing {
            // SAFETY: as in `capturing`, whose effect this undoes.
            unsafe { sys::shim_capture(0) };
        }
    }
}

/// Takes what DPDK writes, on any of its threads.
pub(super) extern "C" fn write(level: c_int, text: *const c_char, len: usize) {
    // SAFETY: the shim passes what it was given by the C library: `len` bytes, alive during the call.
    let text = unsafe { core::slice::from_raw_parts(text.cast::<u8>(), len) };
    let mut log = log();
    log.partial.push_str(&String::from_utf8_lossy(text));
    while let Some(end) = log.partial.find('\n') {
        let rest = log.partial.split_off(end + 1);
        let line = core::mem::replace(&mut log.partial, rest).trim().to_owned();
        pass_on(level, &line);
        log.lines.push_back((level, line));
        if log.lines.len() > KEPT {
            log.lines.pop_front();
            log.first += 1;
        }
    }
}

fn pass_on(level: c_int, line: &str) {
    if level <= LEVEL_ERROR && LISTENERS.load(Ordering::Relaxed) == 0 {
        tracing::warn!(target: "dpdk", "{line}");
    } else {
        tracing::debug!(target: "dpdk", "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(level: c_int, text: &str) {
        write(level, text.as_ptr().cast(), text.len());
    }

    #[test]
    fn errors_are_heard_from_the_listeners_start_and_whole_lines_only() {
        say(4, "EAL: before\n");
        let listener = Listener::new();
        say(7, "EAL: Detected CPU lcores: 2\n");
        say(4, "EAL: cannot open ");
        say(4, "the thing\n");
        say(4, "EAL: FATAL: Cannot init\nEAL: Cannot init\n");
        assert_eq!(listener.heard(), "cannot open the thing; Cannot init");
        assert_eq!(LISTENERS.load(Ordering::Relaxed), 1);
        drop(listener);
        let listener = Listener::capturing();
        assert_eq!(LISTENERS.load(Ordering::Relaxed), 1, "each counts once");
        assert_eq!(listener.heard(), "");
        for i in 0..1000 {
            say(4, &format!("line {i}\n"));
        }
        assert!(listener.heard().ends_with("line 999"));
    }
}
