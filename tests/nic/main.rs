//! pollcast on NICs that QEMU emulates, a file each: one program, so that the library is linked once.
#![cfg(all(feature = "dpdk", feature = "cli", feature = "sim"))]

#[path = "../common/mod.rs"]
mod common;
#[path = "../offload_common/mod.rs"]
mod offload_common;

mod checks;
mod e1000;
mod e1000e;
mod igb;
mod virtio;
mod virtio_tap;
mod vmxnet3;
