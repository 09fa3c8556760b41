//! Lines on a stream, bounded in length and in time.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Why there is no next line.
#[derive(Debug)]
pub(super) enum LineError {
    /// The peer has closed, with nothing left to read.
    Closed,
    /// The line is longer than allowed.
    TooLong,
    /// The line was not complete in time.
    TimedOut,
    /// The stream broke.
    Broken(std::io::Error),
}

/// The lines that arrive on a stream.
#[derive(Debug)]
pub(super) struct Lines {
    stream: UnixStream,
    /// What was read and not yet returned.
    pending: Vec<u8>,
    /// How much of `pending` holds no end of line.
    searched: usize,
    line_max: usize,
}

impl Lines {
    /// Lines of at most `line_max` bytes.
    pub(super) const fn new(stream: UnixStream, line_max: usize) -> Self {
        Self { stream, pending: Vec::new(), searched: 0, line_max }
    }

    /// The next line, without its end, if it is complete within `patience`.
    pub(super) fn next(&mut self, patience: Duration) -> Result<Vec<u8>, LineError> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(line) = self.complete_line() {
                return Ok(line);
            }
            if self.pending.len() > self.line_max {
                return Err(LineError::TooLong);
            }
            self.read_more(deadline)?;
        }
    }

    fn complete_line(&mut self) -> Option<Vec<u8>> {
        let end =
            self.pending.iter().skip(self.searched).position(|&b| b == b'\n').map(|at| self.searched + at);
        self.searched = if end.is_some() { 0 } else { self.pending.len() };
        let mut line: Vec<u8> = self.pending.drain(..=end?).collect();
        line.pop();
        Some(line)
    }

    fn read_more(&mut self, deadline: Instant) -> Result<(), LineError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(LineError::TimedOut);
        }
        self.stream.set_read_timeout(Some(left)).map_err(LineError::Broken)?;
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(LineError::Closed),
            Ok(n) => {
                self.pending.extend(chunk.iter().take(n));
                Ok(())
            }
            Err(e) => match e.kind() {
                // The next look at the clock decides.
                ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => Ok(()),
                ErrorKind::ConnectionReset => Err(LineError::Closed),
                _ => Err(LineError::Broken(e)),
            },
        }
    }

    /// Sends one line; `line` must not hold an end of line.
    pub(super) fn send(&mut self, mut line: Vec<u8>) -> std::io::Result<()> {
        debug_assert!(!line.contains(&b'\n'));
        line.push(b'\n');
        self.stream.write_all(&line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn pair(line_max: usize) -> (UnixStream, Lines) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (ours, Lines::new(theirs, line_max))
    }

    #[test]
    fn lines_come_whole_however_they_were_cut() {
        let (mut peer, mut lines) = pair(100);
        peer.write_all(b"one\ntw").unwrap();
        assert_eq!(lines.next(PATIENCE).unwrap(), b"one");
        assert!(matches!(lines.next(Duration::from_millis(1)), Err(LineError::TimedOut)));
        peer.write_all(b"o\n\nfour\n").unwrap();
        drop(peer);
        assert_eq!(lines.next(PATIENCE).unwrap(), b"two");
        assert_eq!(lines.next(PATIENCE).unwrap(), b"");
        assert_eq!(lines.next(PATIENCE).unwrap(), b"four");
        assert!(matches!(lines.next(PATIENCE), Err(LineError::Closed)));
    }

    #[test]
    fn a_line_without_end_is_refused_at_its_limit() {
        let (mut peer, mut lines) = pair(10);
        peer.write_all(&[b'x'; 11]).unwrap();
        assert!(matches!(lines.next(PATIENCE), Err(LineError::TooLong)));
    }

    #[test]
    fn a_trickle_does_not_buy_time() {
        let (mut peer, mut lines) = pair(1000);
        let trickle = std::thread::spawn(move || {
            while peer.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        assert!(matches!(lines.next(Duration::from_millis(50)), Err(LineError::TimedOut)));
        drop(lines);
        trickle.join().unwrap();
    }
}
