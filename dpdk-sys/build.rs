//! Replaced by the real one.
fn main() {}
