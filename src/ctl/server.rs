//! The server: accepts, reads requests, has them executed, answers.

use std::collections::BTreeMap;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::bind::{BindError, Bound};
use super::line::{LineError, Lines};
use crate::engine::command::{Answer, Command};

/// Clients that are served at once; one more is told so and sent away.
pub const SESSIONS_MAX: usize = 16;

/// The longest request, in bytes.
const REQUEST_MAX: usize = 64 * 1024;

/// How long a client may be silent, or take over one request.
const REQUEST_PATIENCE: Duration = Duration::from_secs(30);

/// How long a client may leave an answer unread.
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);

/// Connections that may wait to be accepted.
pub(super) const BACKLOG: i32 = 16;

/// Enough for JSON of the nesting that requests have.
const SESSION_STACK_BYTES: usize = 256 * 1024;

/// The control socket. Its name in the file system goes when this is dropped.
#[derive(Debug)]
pub struct Server {
    bound: Bound,
    sessions: Arc<Sessions>,
}

/// Stops a [`Server`] from another thread.
#[derive(Clone, Debug)]
pub struct Stopper {
    listener: Arc<UnixListener>,
    sessions: Arc<Sessions>,
}

impl Stopper {
    /// Makes [`Server::run`] return: no client is accepted any more, no further request is read, and requests that are
    /// being executed are still answered.
    pub fn stop(&self) {
        self.sessions.close();
        // Wakes the accept, which then fails; so does every later one.
        let _ = SockRef::from(&*self.listener).shutdown(Shutdown::Both);
    }
}

impl Server {
    /// Listens at `path` (mode 0600), making its directory (0755) if it is missing. A socket that a crash left behind is
    /// replaced.
    ///
    /// # Errors
    ///
    /// A running server there, something there that is no socket, no permission.
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        Ok(Self { bound: Bound::new(path)?, sessions: Arc::default() })
    }

    /// What stops it.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper { listener: Arc::clone(&self.bound.listener), sessions: Arc::clone(&self.sessions) }
    }

    /// Serves until [stopped](Stopper::stop), with a thread for each client, which inherits the CPUs of the calling one.
    ///
    /// `execute` is called on those threads, by several at once. It must come to an end when the engine has: `run`
    /// returns when the last call has.
    pub fn run<E>(self, execute: E)
    where
        E: Fn(Command) -> Answer + Sync,
    {
        let execute = &execute;
        thread::scope(|scope| {
            while let Some(stream) = self.accept() {
                let Some(session) = self.sessions.open(&stream) else {
                    refuse(stream);
                    continue;
                };
                let spawned = thread::Builder::new()
                    .name("ctl session".into())
                    .stack_size(SESSION_STACK_BYTES)
                    .spawn_scoped(scope, move || {
                        serve(stream, execute);
                        drop(session);
                    });
                if let Err(e) = spawned {
                    tracing::warn!(
                        "control socket: a client was sent away, because no thread could be started: {e}"
                    );
                }
            }
        });
    }

    /// The next client; none once stopped.
    fn accept(&self) -> Option<UnixStream> {
        loop {
            match self.bound.listener.accept() {
                Ok((stream, _)) => return Some(stream),
                Err(_) if self.sessions.are_closed() => return None,
                Err(e) => {
                    tracing::warn!("control socket: cannot accept a client: {e}");
                    // Out of file descriptors, most likely: time for others to give some back.
                    thread::sleep(Duration::from_millis(100));
                }
            }
        }
    }
}

/// The clients being served.
#[derive(Debug, Default)]
struct Sessions {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    next: u64,
    /// A second handle on each one's stream, to wake its reader.
    open: BTreeMap<u64, UnixStream>,
}

/// One client's place; free again when this is dropped.
struct Session {
    sessions: Arc<Sessions>,
    id: u64,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.sessions.state().open.remove(&self.id);
    }
}

impl Sessions {
    /// The state is consistent between any two statements, so a panic elsewhere does not matter.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more client, if there is one.
    fn open(self: &Arc<Self>, stream: &UnixStream) -> Option<Session> {
        let mut state = self.state();
        if state.closed || state.open.len() >= SESSIONS_MAX {
            return None;
        }
        let handle = stream.try_clone().ok()?;
        let id = state.next;
        state.next += 1;
        state.open.insert(id, handle);
        Some(Session { sessions: Arc::clone(self), id })
    }

    fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        for stream in state.open.values() {
            // Reading ends; an answer under way still goes out.
            let _ = stream.shutdown(Shutdown::Read);
        }
    }

    fn are_closed(&self) -> bool {
        self.state().closed
    }
}

fn refuse(stream: UnixStream) {
    let answer = Answer::Error(format!("{SESSIONS_MAX} clients are connected already; try again later"));
    let _ = stream.set_write_timeout(Some(ANSWER_PATIENCE));
    let _ = send(&mut Lines::new(stream, 0), &answer);
}

fn serve<E: Fn(Command) -> Answer>(stream: UnixStream, execute: &E) {
    if stream.set_write_timeout(Some(ANSWER_PATIENCE)).is_err() {
        return;
    }
    let mut lines = Lines::new(stream, REQUEST_MAX);
    loop {
        let (answer, more) = match lines.next(REQUEST_PATIENCE) {
            Ok(line) => (answer(&line, execute), true),
            Err(LineError::TooLong) => {
                (Answer::Error(format!("a request is one line of at most {REQUEST_MAX} bytes")), false)
            }
            Err(LineError::Closed | LineError::TimedOut) => return,
            Err(LineError::Broken(e)) => {
                tracing::debug!("control socket: a client was lost: {e}");
                return;
            }
        };
        if let Err(e) = send(&mut lines, &answer) {
            tracing::debug!("control socket: an answer was not taken: {e}");
            return;
        }
        if !more {
            return;
        }
    }
}

fn answer<E: Fn(Command) -> Answer>(line: &[u8], execute: &E) -> Answer {
    match serde_json::from_slice(line) {
        Ok(command) => execute(command),
        Err(e) => Answer::Error(format!(
            "not a request: {e}; a request is one JSON object a line, as {{\"command\":\"stats\"}}"
        )),
    }
}

fn send(lines: &mut Lines, answer: &Answer) -> std::io::Result<()> {
    lines.send(serde_json::to_vec(answer)?)
}

#[cfg(test)]
#[path = "server/tests.rs"]
mod tests;
