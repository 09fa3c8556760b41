//! stack (being built).

pub mod gmp;
pub mod membership;
mod source_filter;
