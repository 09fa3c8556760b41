//! x
#![cfg(all(feature = "dpdk", feature = "cli"))]
mod common;
use common::*;
use std::time::Duration;

#[test]
fn linux_echoes() {
    if !may_run() {
        return;
    }
    let mut linux = Linux::new();
    let got = linux.wire.exchange(&[udp_frame(PEER, 4000, HOST, 7, b"hello")], Duration::from_millis(20));
    let udp = got[0].udp();
    println!("{udp:?}");
    assert_eq!(udp.payload, b"hello");
    let got = linux.wire.exchange(
        &[udp_frame(PEER, 4000, HOST.with_ip([239, 1, 2, 3].into()), 7, b"hello")],
        Duration::from_millis(20),
    );
    println!("{got:?}");
    let got = linux.wire.exchange(&[udp_frame(PEER, 4000, HOST, 9, b"hello")], Duration::from_millis(20));
    println!("{:?}", got[0].icmp());
    let got = linux.wire.exchange(
        &[igmp_frame(PEER, [224, 0, 0, 1].into(), &igmp_query(1, [0, 0, 0, 0].into(), &[]))],
        Duration::from_millis(300),
    );
    println!("{:?}", got.iter().map(|f| f.report()).collect::<Vec<_>>());
    panic!();
}
