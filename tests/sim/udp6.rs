//! UDP over IPv6, and the answers to it: `stack::ingress`, a service's datagram, and `stack::egress`, frame by frame.
//!
//! The frames are built and read by `sim::frames`, which shares no code with what is tested.

use std::collections::BTreeSet;

use crate::ingress6_common::*;
use pollcast::addr::Vid;
use pollcast::io::{ChecksumStatus, DropReason, InterfaceId, PacketBuf, PayloadSum, PmtuDiscovery, RxMeta};
use pollcast::sim::frames::ipv6::{Extension, Ipv6, station_mac6};
use pollcast::sim::frames::udp6::UdpFrame6;
use pollcast::sim::frames::{UdpFrame, UdpSum};
use pollcast::sim::offload;
use pollcast::stack::egress;
use pollcast::stack::fragmentation::Cut;
use pollcast::stack::ingress::Verdict;
use pollcast::stack::pmtu::{Learned, Path, Sending, TooBig};
use pollcast::stack::port_table::Socket;
use pollcast::time::Instant;

// X01, RFC 862; V13, RFC 6437, RFC 4861 6.3.2: no extension headers, traffic class 0, one label to a flow.
#[test]
fn an_answer_is_plain_and_goes_back_between_swapped_ends() {
    let mut host = Host::new();
    let chain = [hop_by_hop(&[5]), destination_options(&[0x1e; 5]), destination_options(&[])];
    let plain = UdpFrame6 { hop_limit: 9, traffic_class: 0xb8, flow_label: 0x12345, ..request() };
    let answers = [plain.clone(), plain.clone().with(&chain)].map(|request| host.echoes(&request.frame()));
    for answer in &answers {
        assert_eq!((answer.source, answer.destination), (plain.destination, plain.source));
        assert_eq!((answer.source_mac, answer.destination_mac), (plain.destination_mac, plain.source_mac));
        assert_eq!((answer.hop_limit, answer.traffic_class), (64, 0));
        assert_eq!((answer.extensions.len(), answer.payload.as_slice()), (0, &b"hello"[..]));
        assert!(answer.flow_label != 0 && answer.flow_label == answers[0].flow_label);
    }
    let other = UdpFrame6::new("[2001:db8::1]:4001", "[2001:db8::2]:7", b"hello");
    assert_ne!(host.echoes(&other.frame()).flow_label, answers[0].flow_label);
    let mut told = Host::with(|interface| interface.v6.hop_limit = 17);
    assert_eq!(told.echoes(&plain.frame()).hop_limit, 17);
}

// U21: a group's request is answered from an address of ours that fits the peer's.
#[test]
fn a_group_request_is_answered_from_our_own_address() {
    let mut host = Host::new();
    for (source, own) in [("2001:db8::1", OWN), ("fe80::1", "fe80::2")] {
        let request = UdpFrame6::new(&format!("[{source}]:4000"), "[ff0e::1:2:3]:7", b"hello");
        let answer = host.echoes(&request.frame());
        assert_eq!((*answer.source.ip(), *answer.destination.ip()), (v6(own), v6(source)));
    }
}

// X03, U10: nobody can be answered at port 0, and nothing changes then.
#[test]
fn what_cannot_be_answered_is_not() {
    let mut host = Host::new();
    let frame = UdpFrame6::new("[2001:db8::1]:0", "[2001:db8::2]:7", b"x").frame();
    let Verdict::Deliver(mut buf, parts) = host.see(&frame) else { panic!() };
    assert!(!host.turn_round(&mut buf, parts));
    assert_eq!(buf.data(), frame);
}

// U05, U06, U08, RFC 8200 8.1; DESIGN 4: by the device's word.
#[test]
fn there_is_always_a_checksum() {
    use ChecksumStatus::{Bad, Good, None, Unknown};
    let mut host = Host::new();
    let sum = |sum| request().with_sum(sum).frame();
    let mut verdict =
        |frame: &[u8], l4_checksum| match host.see_as(frame, RxMeta { l4_checksum, ..RxMeta::default() }) {
            Verdict::Deliver(_, parts) => Ok(parts.sum()),
            Verdict::Drop(why) => Err(why),
            other => panic!("{other:?}"),
        };
    for status in [Unknown, Bad] {
        assert_eq!(verdict(&sum(UdpSum::Right), status), Ok(PayloadSum::Valid));
        assert_eq!(verdict(&sum(UdpSum::Wrong), status), Err(DropReason::UdpChecksum));
    }
    for status in [Unknown, Bad, Good, None] {
        assert_eq!(verdict(&sum(UdpSum::Absent), status), Err(DropReason::UdpChecksum), "{status:?}");
    }
    assert_eq!(verdict(&sum(UdpSum::Right), Good), Ok(PayloadSum::Valid));
    assert_eq!(verdict(&sum(UdpSum::Partial), None), Ok(PayloadSum::Absent));
}

// U01, U02, U03, U07, U08: the length field, within what IP brought; a sum over more than it says is wrong.
#[test]
fn the_udp_length_rules_the_payload_and_the_sum() {
    let mut host = Host::new();
    let with_len = |len: u16, summed: u16| {
        let mut frame = request().frame();
        frame[58..60].copy_from_slice(&len.to_be_bytes());
        frame[60..62].fill(0);
        let pseudo = [&frame[22..54], &[0, 0], &summed.to_be_bytes(), &[0, 0, 0, 17]].concat();
        let covered = &frame[54..54 + usize::from(summed).min(13)];
        let sum: u32 = [&pseudo, covered]
            .iter()
            .flat_map(|b| b.chunks(2))
            .map(|w| u32::from(w[0]) << 8 | u32::from(w.get(1).copied().unwrap_or(0)))
            .sum();
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
        frame[60..62].copy_from_slice(&sum.to_be_bytes());
        frame
    };
    for len in [0, 7, 14, 200] {
        host.drops(&with_len(len, 13), DropReason::UdpLengthInvalid);
    }
    assert_eq!(host.delivers(&with_len(8, 8)).payload(), b"");
    assert_eq!(host.delivers(&with_len(10, 10)).payload(), b"he");
    assert_eq!(host.echoes(&with_len(10, 10)).payload, b"he");
    host.drops(&with_len(8, 13), DropReason::UdpChecksum);
}

// U05, RFC 8200 8.1: an answer whose sum comes to zero says so by all ones.
#[test]
fn an_answer_never_has_a_checksum_of_zero() {
    let mut host = Host::new();
    // Over all payloads of two bytes, one in 65,535 sums to zero: found by asking, and computed anew as a group's is.
    let sum_of = |payload: [u8; 2]| {
        let answer = UdpFrame6::new("[2001:db8::2]:7", "[2001:db8::1]:4000", &payload).datagram();
        u16::from_be_bytes([answer[6], answer[7]])
    };
    let payload = sum_of([0, 0]).to_be_bytes();
    assert_eq!(sum_of(payload), 0xffff);
    let answer = host.echoes(&udp("[ff0e::1:2:3]:7", &payload).frame());
    assert_eq!(answer.payload, payload);
}

// U09, K02, RFC 4443 3.1: 1/4, from the address that was asked; U10: port 0 is closed like any other.
#[test]
fn a_closed_port_is_told_to_one_host_and_never_to_many() {
    let mut host = Host::new();
    for destination in ["[2001:db8::2]:80", "[2001:db8::2]:0", "[fe80::2]:80"] {
        host.rejects(&udp(destination, b"x").frame(), DropReason::UdpNoPort, (1, 4, 0));
    }
    host.drops(&udp("[ff0e::1:2:3]:80", b"x").frame(), DropReason::UdpNoListener);
    host.drops(&udp("[2001:db8::2]:80", b"x").with_sum(UdpSum::Wrong).frame(), DropReason::UdpChecksum);
}

// P11, P12, RFC 3542 6, RFC 4007 6: what a service learns of a datagram.
#[test]
fn a_datagram_says_who_sent_it_and_by_which_link() {
    let mut host = Host::new();
    let frame = UdpFrame6 { traffic_class: 0xb9, hop_limit: 3, ..request() }.frame();
    let datagram = host.delivers(&frame);
    assert!(datagram.is_ipv6());
    assert_eq!((datagram.tos(), datagram.ttl()), (0xb9, 3));
    assert_eq!(datagram.source(), "[2001:db8::1]:4000".parse().unwrap());
    assert_eq!(datagram.destination(), "[2001:db8::2]:7".parse().unwrap());
    let link_local = host.delivers(&UdpFrame6::new("[fe80::1]:4000", "[ff02::1]:7", b"x").frame());
    assert_eq!(link_local.source(), "[fe80::1%1]:4000".parse().unwrap());
    assert_eq!(link_local.destination(), "[ff02::1%1]:7".parse().unwrap());
    assert_eq!(host.delivers(&to("ff0e::1:2:3").frame()).destination(), "[ff0e::1:2:3]:7".parse().unwrap());
}

// P10: a socket of IPv6 does not hear IPv4, nor the other way round, however alike they are bound.
#[test]
fn the_versions_have_their_own_sockets() {
    let mut host = Host::new();
    host.table.bind(Socket::new(InterfaceId(0), "0.0.0.0:8".parse().unwrap(), 1)).unwrap();
    host.rejects(&udp("[2001:db8::2]:8", b"x").frame(), DropReason::UdpNoPort, (1, 4, 0));
    let v4 = UdpFrame::new("198.18.0.1:4000", "198.18.0.2:7", b"x").to_mac(station_mac6(v6(OWN)));
    host.drops(&v4.frame(), DropReason::Ipv4NotForUs);
}

// E12, E09: a tag, in the frame or inserted by the device, and the padding of what is short under it.
#[test]
fn answers_carry_the_vlan_of_their_interface() {
    for insert in [false, true] {
        let mut host = Host::with(|interface| {
            interface.vlan = Vid::new(100);
            interface.tx_vlan_insert = insert;
        });
        let tagged = UdpFrame6 { tci: Some(0xe064), ..request() };
        let Verdict::Deliver(mut buf, parts) = host.see(&tagged.frame()) else { panic!() };
        assert!(host.turn_round(&mut buf, parts));
        let mut frame = buf.data().to_vec();
        if insert {
            assert_eq!(buf.tx_vlan(), Some(100));
            offload::insert_tag(&mut frame, 100).unwrap();
        }
        let answer = UdpFrame6::read(&frame).unwrap();
        assert_eq!((answer.tci, answer.payload.as_slice()), (Some(100), &b"hello"[..]));
        drop(buf);
        host.drops(&request().frame(), DropReason::VlanUnknown);
    }
}

// DESIGN 4: a device that sums is asked to, with the pseudo-header's sum in the field.
#[test]
fn a_device_fills_in_the_checksum_of_a_group_answer() {
    let mut host = Host::with(|interface| interface.tx_udp_checksum = true);
    let request = udp("[ff0e::1:2:3]:7", &[0x5a; 100]).with(&[destination_options(&[0x1e])]);
    let Verdict::Deliver(mut buf, parts) = host.see(&request.frame()) else { panic!() };
    assert!(host.turn_round(&mut buf, parts));
    let mut frame = buf.data().to_vec();
    assert!(UdpFrame6::read(&frame).is_err(), "not before the device has done its part");
    offload::fill_in(&mut frame, buf.tx_checksum().expect("asked to")).expect("obeyed");
    assert_eq!(UdpFrame6::read(&frame).unwrap().payload, [0x5a; 100]);
}

// C16, F18, W13, RFC 8201: what the path does not carry leaves in fragments, of which each has what the whole had.
#[test]
fn an_answer_that_its_path_does_not_carry_is_cut() {
    let mut host = Host::new();
    let payload: Vec<u8> = (0..1400u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    let Verdict::Deliver(mut buf, parts) = host.see(&udp("[2001:db8::2]:7", &payload).frame()) else {
        panic!()
    };
    let interface = host.interfaces.get(InterfaceId(0)).unwrap();
    let out = egress::udp_reply_to_cut(&mut buf, parts, (1280, false), &mut host.ids, interface).unwrap();
    let udp = out.payload.of(&buf).unwrap().to_vec();
    let mut cut = Cut::new(&out, &udp, interface);
    let mut whole = Vec::new();
    let mut ids = BTreeSet::new();
    while let Some(piece) = cut.next(&host.pool) {
        let piece = piece.unwrap();
        let (_, ip, bytes) = Ipv6::read_frame(piece.data()).unwrap();
        let [Extension::Fragment { offset, id, .. }] = ip.extensions[..] else { panic!("{ip:?}") };
        assert_eq!((ip.source, ip.destination, ip.hop_limit), (v6(OWN), v6(PEER), 64));
        assert!(ip.flow_label != 0 && usize::from(offset) * 8 == whole.len() && bytes.len() + 48 <= 1280);
        ids.insert(id);
        whole.extend_from_slice(bytes);
    }
    assert_eq!((ids.len(), whole.as_slice()), (1, udp.as_slice()));
    assert_eq!(whole[8..], payload);
}

// C16, T01, RFC 8201: by the path to whoever asked, which is never narrower than 1280 bytes.
#[test]
fn what_leaves_whole_is_said_by_the_path_and_the_service() {
    let mut host = Host::with(|interface| {
        let too_big = TooBig { dst: v6(PEER), mtu: 1400, quoted_len: 1500 };
        assert_eq!(interface.v6.paths.learn(Instant::ZERO, too_big), Learned::Path(Path::of(1400)));
    });
    let mut sending = |source: &str, len: usize, discovery| {
        let request = UdpFrame6::new(source, "[2001:db8::2]:7", &vec![7; len - 48]);
        let Verdict::Deliver(buf, parts) = host.see(&request.frame()) else { panic!() };
        let interface = host.interfaces.get(InterfaceId(0)).unwrap();
        egress::udp_sending(Instant::ZERO, &buf, parts, discovery, interface).unwrap()
    };
    let [want, strict, probe] = [PmtuDiscovery::Want, PmtuDiscovery::Do, PmtuDiscovery::Probe];
    assert!(matches!(sending("[2001:db8::1]:4000", 1400, want), Sending::Whole { .. }));
    assert_eq!(sending("[2001:db8::1]:4000", 1401, want), Sending::Fragments { mtu: 1400 });
    assert_eq!(sending("[2001:db8::1]:4000", 1401, strict), Sending::TooBig { mtu: 1400 });
    assert!(matches!(sending("[2001:db8::1]:4000", 1500, probe), Sending::Whole { .. }));
    assert!(matches!(sending("[2001:db8::9]:4000", 1500, want), Sending::Whole { .. }));
}
