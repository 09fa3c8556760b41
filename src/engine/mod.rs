//! engine (being built).
pub mod command;
/// stub
#[derive(Debug)]
pub struct Counter;
