//! The sockets of a program's threads, as Linux has them: what their calls may do, and what they fail with.

mod errno;

pub use errno::Errno;
