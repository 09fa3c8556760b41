//! The same random sequence of socket calls and datagrams, played to Linux's sockets and to pollcast's.

#![allow(dead_code, unreachable_pub)] // Each test file uses its part of it.

pub mod compare;
pub mod examples;
pub mod exceptions;
pub mod generate;
pub mod host;
pub mod kernel;
pub mod once_differed;
pub mod ops;
pub mod options;
pub mod packets;
pub mod pollcast;
pub mod short;
