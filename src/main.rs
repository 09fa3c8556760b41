//! The `pollcast` program: everything is in [`pollcast::cli`]; signals and the exit status live here.
fn main() {}
