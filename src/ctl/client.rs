//! The client: one request, one answer.

use std::io::{Error, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use super::SOCKET_PATH_MAX;
use super::line::{LineError, Lines};
use crate::engine::command::{Answer, Command};

/// The longest answer, in bytes: far more than any engine has to say.
const ANSWER_MAX: usize = 64 << 20;

/// How long the engine may take over an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no answer. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum CtlError {
    /// Nobody listens there.
    #[error("no pollcast answers at {}: is it running? (--socket PATH names another)", .0.display())]
    NotRunning(PathBuf),
    /// It is another user's.
    #[error(
        "no permission to use {}: it belongs to the user who runs pollcast; become that user (sudo)",
        .0.display()
    )]
    Permission(PathBuf),
    /// Longer than unix(7) allows.
    #[error(
        "a socket's path has at most {SOCKET_PATH_MAX} bytes, and this one has {}: {}",
        .0.as_os_str().len(), .0.display()
    )]
    TooLong(PathBuf),
    /// Connected, and then silence.
    #[error(
        "pollcast at {} did not answer within {} s: it is stuck, or stopped in a debugger",
        .0.display(), PATIENCE.as_secs()
    )]
    TimedOut(PathBuf),
    /// It went away before it answered.
    #[error(
        "pollcast at {} closed the connection without an answer: it is stopping, or has just stopped",
        .0.display()
    )]
    Closed(PathBuf),
    /// What came back is no answer.
    #[error("what answers at {} is no pollcast of this version: {why}", .path.display())]
    NotAnAnswer {
        /// The socket.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Anything else.
    #[error("cannot talk to pollcast at {}: {error}", .path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        error: Error,
    },
}

/// A connection to a running pollcast.
#[derive(Debug)]
pub struct Client {
    lines: Lines,
    path: PathBuf,
    patience: Duration,
}

impl Client {
    /// Connects to the control socket `path`.
    ///
    /// # Errors
    ///
    /// Nobody listens there, or this user may not connect.
    pub fn connect(path: &Path) -> Result<Self, CtlError> {
        if path.as_os_str().len() > SOCKET_PATH_MAX {
            return Err(CtlError::TooLong(path.to_owned()));
        }
        let stream = connect(path).map_err(|error| {
            let path = path.to_owned();
            match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory => {
                    CtlError::NotRunning(path)
                }
                ErrorKind::PermissionDenied => CtlError::Permission(path),
                ErrorKind::WouldBlock | ErrorKind::TimedOut => CtlError::TimedOut(path),
                _ => CtlError::Io { path, error },
            }
        })?;
        Ok(Self { lines: Lines::new(stream, ANSWER_MAX), path: path.to_owned(), patience: PATIENCE })
    }

    /// Asks `command` and waits for the answer, ten seconds at most.
    ///
    /// # Errors
    ///
    /// No answer. That the engine could not do it is an answer: [`Answer::Error`].
    pub fn request(&mut self, command: &Command) -> Result<Answer, CtlError> {
        let request = serde_json::to_vec(command).map_err(|e| self.io(e.into()))?;
        // A server that has no place for us says so and closes: its words matter more than that our request met a
        // closed door.
        let sent = self.lines.send(request);
        let line = match (self.lines.next(self.patience), sent) {
            (Ok(line), _) => line,
            (Err(LineError::Closed), _) => return Err(CtlError::Closed(self.path.clone())),
            (Err(LineError::TimedOut), _) => return Err(CtlError::TimedOut(self.path.clone())),
            (Err(LineError::TooLong), _) => {
                return Err(self.not_an_answer(format!("its line is longer than {ANSWER_MAX} bytes")));
            }
            (Err(LineError::Broken(_)), Err(e)) | (Err(LineError::Broken(e)), Ok(())) => {
                return Err(self.io(e));
            }
        };
        serde_json::from_slice(&line).map_err(|e| self.not_an_answer(e.to_string()))
    }

    fn io(&self, error: Error) -> CtlError {
        CtlError::Io { path: self.path.clone(), error }
    }

    fn not_an_answer(&self, why: String) -> CtlError {
        CtlError::NotAnAnswer { path: self.path.clone(), why }
    }
}

/// As [`UnixStream::connect`], but it does not wait for ever when the server does not accept.
fn connect(path: &Path) -> std::io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(OwnedFd::from(socket).into())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    use super::*;

    /// A server that takes one connection and treats it so.
    fn against(
        serve: impl FnOnce(UnixStream) + Send + 'static,
        patience: Duration,
    ) -> Result<Answer, CtlError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || serve(listener.accept().unwrap().0));
        let mut client = Client::connect(&path).unwrap();
        client.patience = patience;
        let answer = client.request(&Command::Ports);
        drop(client);
        server.join().unwrap();
        answer
    }

    #[test]
    fn where_nobody_listens_the_sentence_names_the_option() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let expected = format!(
            "no pollcast answers at {}: is it running? (--socket PATH names another)",
            path.display()
        );
        assert_eq!(Client::connect(&path).unwrap_err().to_string(), expected);
        drop(UnixListener::bind(&path).unwrap());
        assert_eq!(Client::connect(&path).unwrap_err().to_string(), expected, "stale");
    }

    #[test]
    fn a_silent_a_dying_and_a_babbling_server_are_told_apart() {
        let ample = Duration::from_secs(10);
        let wait_for_the_end = |mut s: UnixStream| assert!(s.read_to_end(&mut Vec::new()).is_ok());
        let silent = against(wait_for_the_end, Duration::from_millis(30));
        assert!(matches!(silent, Err(CtlError::TimedOut(_))), "{silent:?}");
        let dying = against(drop, ample);
        assert!(matches!(dying, Err(CtlError::Closed(_))), "{dying:?}");
        let babbling = against(|mut s| s.write_all(b"220 ready\n").unwrap(), ample);
        assert!(matches!(babbling, Err(CtlError::NotAnAnswer { .. })), "{babbling:?}");
    }
}
