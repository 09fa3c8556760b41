//! Not everything at once: ten thousand groups in the format of version 2 are as many frames.

use core::time::Duration;

use crate::time::Instant;

/// Frames that are sent at one moment: a part of what the queue to the worker that sends them holds.
pub(super) const BURST: u32 = 256;

/// The pause after so many.
pub(super) const PAUSE: Duration = Duration::from_millis(1);

/// Counts the frames of a moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    since: Instant,
    sent: u32,
}

impl Pace {
    /// Whether a frame may be sent `now`.
    pub(super) fn allows(&self, now: Instant) -> bool {
        self.resumes().is_none_or(|at| at <= now)
    }

    /// When the next frame may be sent; at any time if `None`.
    pub(super) fn resumes(&self) -> Option<Instant> {
        (self.sent >= BURST).then(|| self.since + PAUSE)
    }

    /// A frame is sent `now`.
    pub(super) fn sent(&mut self, now: Instant) {
        if now >= self.since + PAUSE {
            *self = Self { since: now, sent: 0 };
        }
        self.sent += 1;
    }
}
