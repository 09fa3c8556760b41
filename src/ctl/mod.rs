//! The control socket: how a running pollcast is asked and told things.
//!
//! A unix stream socket, mode 0600. One JSON object a line each way: a [`Command`](crate::engine::command::Command) in,
//! an [`Answer`](crate::engine::command::Answer) out, any number of times. What the commands mean is the engine's
//! business: a [`Server`] is handed a function that executes them, and only carries. Nothing here may keep the control
//! thread waiting for a slow or silent client.
//!
//! ```
//! use pollcast::ctl::{Client, Server};
//! use pollcast::engine::command::{Answer, Command};
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("ctl.sock");
//! let server = Server::bind(&path)?;
//! let stop = server.stopper();
//! let thread = std::thread::spawn(move || server.run(|command| Answer::Error(format!("{command:?}: not today"))));
//!
//! let mut client = Client::connect(&path)?;
//! assert_eq!(client.request(&Command::Stats)?, Answer::Error("Stats: not today".into()));
//! stop.stop();
//! thread.join().unwrap();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bind;
mod client;
pub mod json;
mod line;
mod server;
mod table;
pub mod text;

pub use bind::BindError;
pub use client::{Client, CtlError};
pub use server::{SESSIONS_MAX, Server, Stopper};

/// Where the control socket is unless somebody says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/pollcast/ctl.sock";

/// The longest path that Linux can bind a unix socket to, in bytes (unix(7): 108 with the terminating zero).
const SOCKET_PATH_MAX: usize = 107;
