//! dpdk (being built).
