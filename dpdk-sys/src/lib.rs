//! Raw bindings to the parts of DPDK that pollcast uses.
//!
//! Here: what bindgen makes of DPDK's headers for a short list of functions, and `shim.c`, which gives the functions
//! that exist only as `static inline`, the constants that are macros, and the offsets of mbuf fields (`SHIM_*`), so that
//! no Rust names a field whose place or name changes between releases. Not here: anything safe. The safe room over
//! this one is `pollcast::dpdk`.
#![allow(
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    missing_docs,
    missing_debug_implementations
)]
#![allow(unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic, clippy::restriction)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
