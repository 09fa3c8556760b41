//! Configurations: what they mean, and what is said of those that are wrong.

#[path = "../config_common/mod.rs"]
mod config_common;

mod errors;
mod file;
mod interface_errors;
mod interfaces;
mod ipv6;
mod ipv6_errors;
mod service_errors;
mod uoa;
