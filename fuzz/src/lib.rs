//! The fuzz bodies, and what feeds them: see README.md beside this crate.

pub mod config;
pub mod gmp_ops;
pub mod host;
pub mod ingress;
pub mod mutate;
pub mod parse;
pub mod reassembly_ops;
pub mod script;
pub mod sent6;
pub mod session;
