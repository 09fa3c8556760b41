//! Sockets for a program's own threads: what lies between a thread and the workers.
//!
//! A thread touches no device and no packet buffer: what it sends and receives is copied, and what it wants changed it asks of
//! control ([`call`]).

pub mod call;
