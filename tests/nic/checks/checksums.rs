//! Checksums, over IPv4 and IPv6: whoever computes and verifies them, the device, software or the kernel behind a tap, wrong
//! ones are dropped and right ones are sent.

use std::fs;
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6, UdpSocket};
use std::time::Duration;

use ::pollcast::sim::frames::{UdpFrame6, UdpSum};
use socket2::SockRef;

use super::super::common::*;
use super::{GROUP, MANY, drops, echoed6, pass, udp6};

// C01, U04, U06: bad checksums are dropped and counted, right ones sent, whoever computes them.
pub fn checksums_are_verified_and_right(guest: &Guest) {
    let auto = guest.model.config(ECHO6);
    let mut software = auto.clone();
    software.ports += "checksum = \"software\"\n";
    for (config, offloads) in [(auto, guest.model.offloads), (software, &[][..])] {
        guest.run(&config);
        let port = guest.ctl(&["ports"])[0].take();
        assert_eq!(port["offloads"], serde_json::json!(offloads), "{port}");
        wrong_checksums_are_dropped(guest);
        right_checksums_are_sent(guest);
        wrong_checksums_are_dropped6(guest);
        right_checksums_are_sent6(guest, payloads());
    }
}

fn wrong_checksums_are_dropped(guest: &Guest) {
    let packet =
        |udp: Udp, ip: Ipv4| frame(PEER, HOST, &ip.packet(&udp.datagram(PEER.ip, HOST.ip, b"hello")));
    let (udp, ip) = (Udp::new(4000, 7), Ipv4::new(PEER.ip, HOST.ip, UDP));
    let bad_udp = packet(Udp { checksum: Some(0xbad), ..udp.clone() }, ip.clone());
    let bad_ip = packet(udp.clone(), Ipv4 { checksum: Some(0xbad), ..ip.clone() });
    for (bad, why) in [(bad_udp, "udp_checksum"), (bad_ip, "ipv4_checksum")] {
        let passage = pass(guest, &vec![bad; MANY], 0);
        assert_eq!((passage.answers, passage.drops), (Vec::new(), drops(&[(why, MANY)])));
    }
    // RFC 768: the sender computed none.
    let none = guest.answer(&packet(Udp { checksum: Some(0), ..udp }, ip)).udp();
    assert_eq!(none.payload, b"hello");
}

/// Of even and odd lengths.
fn payloads() -> Vec<Vec<u8>> {
    (0..40_u8).map(|n| vec![n ^ 0xa5; usize::from(n) * 31]).collect()
}

fn right_checksums_are_sent(guest: &Guest) {
    // And one whose sum comes to 0, which is sent as 0xffff.
    let mut payloads = payloads();
    let mut to_zero = vec![0; 100];
    let sum = udp_checksum(
        HOST.ip,
        PEER.ip,
        &Udp { checksum: Some(0), ..Udp::new(7, 4000) }.datagram(HOST.ip, PEER.ip, &to_zero),
    );
    to_zero[..2].copy_from_slice(&sum.to_be_bytes());
    payloads.push(to_zero);
    // The sum of what one host asked is that of the answer; that of what a group was asked is made anew.
    for to in [HOST, PEER.with_ip(GROUP)] {
        let requests: Vec<_> = payloads.iter().map(|p| udp_frame(PEER, 4000, to, 7, p)).collect();
        let answers = guest.wire.exchange(&requests, Duration::from_millis(200));
        // `Frame::udp` judges both sums.
        let echoed: Vec<_> = answers.iter().map(Frame::udp).collect();
        assert!(echoed.iter().all(|udp| udp.checksum != 0), "UDP without a checksum");
        assert_eq!(echoed.last().map(|udp| udp.checksum), Some(0xffff), "U05");
        assert_eq!(echoed.into_iter().map(|udp| udp.payload).collect::<Vec<_>>(), payloads);
    }
}

// U06, RFC 8200 8.1: over IPv6 a checksum of 0 is as wrong as any other, also for a device that takes it for none.
fn wrong_checksums_are_dropped6(guest: &Guest) {
    for sum in [UdpSum::Wrong, UdpSum::Absent] {
        let bad = udp6(PEER6, HOST6, b"hello").with_sum(sum).frame();
        let passage = pass(guest, &vec![bad; MANY], 0);
        assert_eq!(
            (passage.answers, passage.drops),
            (Vec::new(), drops(&[("udp_checksum", MANY)])),
            "{sum:?}"
        );
    }
}

// U05: what is echoed of these payloads, and of one whose sum comes to 0.
fn right_checksums_are_sent6(guest: &Guest, mut payloads: Vec<Vec<u8>>) {
    let mut to_zero = vec![0; 100];
    let (host, peer) = (SocketAddrV6::new(HOST6.ip, 7, 0, 0), SocketAddrV6::new(PEER6.ip, 4000, 0, 0));
    let sum = UdpFrame6::between(host, peer, &to_zero).datagram()[6..8].to_vec();
    to_zero[..2].copy_from_slice(&sum);
    payloads.push(to_zero);
    for to in [HOST6, PEER6.with_ip(GROUP6)] {
        let requests: Vec<_> = payloads.iter().map(|p| udp6(PEER6, to, p).frame()).collect();
        let answers = guest.wire.exchange(&requests, Duration::from_millis(200));
        let echoed: Vec<_> = answers.iter().map(|answer| echoed6(answer).payload).collect();
        assert_eq!(echoed, payloads);
        assert_eq!(answers.last().unwrap().bytes[60..62], [0xff; 2], "U05");
    }
}

/// Asserts that the kernel's socket `client` gets its datagrams of many lengths back from `to`, by the address `by`.
fn assert_kernel_is_echoed(client: &UdpSocket, to: IpAddr, by: IpAddr) {
    let longest = if to.is_ipv4() { 1472 } else { 1452 };
    for len in [0, 1, 18, 100, longest] {
        let payload = vec![0x42; len];
        client.send_to(&payload, (to, 7)).unwrap();
        let mut buf = [0; 2000];
        let (len, from) = client.recv_from(&mut buf).unwrap_or_else(|e| panic!("no echo from {to}: {e}"));
        assert_eq!((&buf[..len], from), (&payload[..], (by, 7).into()));
    }
}

/// The kernel on the bridge, with IPv6 as long as this lives.
struct BridgeWithIpv6<'a>(&'a Netns);

/// The kernel on the bridge.
const BRIDGE6: Ipv6Addr = Host6::number(0xf0).ip;

impl<'a> BridgeWithIpv6<'a> {
    fn new(bridge: &'a Netns) -> Self {
        let this = Self(bridge);
        for (key, value) in [("accept_dad", "0"), ("router_solicitations", "0"), ("disable_ipv6", "0")] {
            this.set(key, value);
        }
        bridge.ip(&format!("addr add {BRIDGE6}/64 dev br0 nodad"));
        this
    }

    fn set(&self, key: &str, value: &str) {
        self.0.enter(|| fs::write(format!("/proc/sys/net/ipv6/conf/br0/{key}"), value).unwrap());
    }
}

impl Drop for BridgeWithIpv6<'_> {
    fn drop(&mut self) {
        self.set("disable_ipv6", "1");
    }
}

// C01, U06, virtio 1.2 5.1.6.4: the kernel sends what has no checksum yet, says so, and is answered right; the frame that comes
// to it may have none either.
pub fn checksums_are_left_to_the_kernel_and_by_it(guest: &Guest) {
    let bridge = BridgeWithIpv6::new(guest.wire.raw.bridge());
    let socket = |addr: IpAddr| {
        let socket = UdpSocket::bind((addr, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket
    };
    let (v4, v6) = bridge.0.enter(|| {
        let (v4, v6) = (socket(BRIDGE.ip.into()), socket(BRIDGE6.into()));
        SockRef::from(&v4).set_multicast_if_v4(&BRIDGE.ip).unwrap();
        SockRef::from(&v6).set_multicast_if_v6(nix::net::if_::if_nametoindex("br0").unwrap()).unwrap();
        (v4, v6)
    });
    // Counters from 0.
    guest.stop();
    guest.run(&guest.model.config(ECHO6));
    for (to, by) in [(HOST.ip, HOST.ip), (HOST_SECOND.ip, HOST_SECOND.ip), (GROUP, HOST.ip)] {
        assert_kernel_is_echoed(&v4, to.into(), by.into());
    }
    for (to, by) in [(HOST6.ip, HOST6.ip), (HOST6_SECOND.ip, HOST6_SECOND.ip), (GROUP6, HOST6.ip)] {
        assert_kernel_is_echoed(&v6, to.into(), by.into());
    }
    let reasons = guest.ctl(&["drops"]);
    let wrong = reasons.as_array().unwrap().iter().filter(|row| row["reason"] == "udp_checksum");
    assert!(wrong.into_iter().all(|row| row["packets"] == 0), "{reasons}");
}
