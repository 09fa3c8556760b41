//! The same random sequence of socket calls and datagrams, played to Linux's sockets and to pollcast's.

#![allow(dead_code, unreachable_pub)] // Each test file uses its part of it.

pub mod compare;
pub mod generate;
pub mod host;
pub mod kernel;
pub mod ops;
pub mod options;
pub mod packets;
