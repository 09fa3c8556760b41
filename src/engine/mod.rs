//! The engine.
pub mod command;
pub mod counters;
pub mod message;
mod port_io;
mod sort;
pub mod worker;
pub use counters::Counter;
