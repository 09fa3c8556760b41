//! Cutting against RFC 791 and RFC 8200, read back by the simulator's own code.

use super::*;
use crate::addr::{Ipv4Cidr, MacAddr, Unicast, Vid};
use crate::io::InterfaceId;
use crate::sim::buf::{ROOM, SimBuf, SimPool};
use crate::sim::frames::fragment::join;
use crate::sim::frames::fragment6::join6;
use crate::sim::frames::{Ethernet, Extension, Ipv4 as IpFrame, Ipv6 as Ip6Frame, UdpFrame, UdpFrame6};
use proptest::prelude::*;

fn interface() -> Interface {
    let addr = Ipv4Cidr::new(Unicast::new([198, 18, 0, 2].into()).unwrap(), 24).unwrap();
    Interface::new(InterfaceId(0), MacAddr([2, 0, 0, 0, 0, 2]), 1500, vec![addr])
}

/// The identification of IPv6 fragments here.
const ID: u32 = 0xdead_beef;

/// `frame` in fragments of at most `mtu` bytes.
fn cut(frame: &[u8], l3: usize, mtu: u16, pool: &SimPool) -> Vec<Result<SimBuf, NoBuffer>> {
    let length = |at| usize::from(u16::from_be_bytes([frame[l3 + at], frame[l3 + at + 1]]));
    let is_v4 = frame[l3] >> 4 == 4;
    let header_len = if is_v4 { 4 * usize::from(frame[l3] & 0x0f) } else { 40 };
    let len = if is_v4 { length(2) - header_len } else { length(4) };
    let offset = l3 + header_len;
    let payload =
        Payload { in_body: false, offset: u16::try_from(offset).unwrap(), len: u16::try_from(len).unwrap() };
    let out = if is_v4 {
        Outgoing::new(frame, l3, payload, mtu)
    } else {
        Outgoing::new6(frame, l3, payload, mtu, ID)
    };
    let (out, interface) = (out.unwrap(), interface());
    let mut cut = Cut::new(&out, &frame[offset..offset + len], &interface);
    core::iter::from_fn(|| cut.next(pool)).collect()
}

fn frames(made: Vec<Result<SimBuf, NoBuffer>>) -> Vec<Vec<u8>> {
    made.into_iter().map(|buf| buf.unwrap().data().to_vec()).collect()
}

fn udp(len: usize) -> UdpFrame {
    let payload: Vec<u8> = (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect();
    // What is to be cut may say "don't fragment": its fragments do not.
    UdpFrame { fragment: 0x4000, ..UdpFrame::new("198.18.0.2:7", "198.18.0.1:40000", &payload) }
}

fn udp6(len: usize) -> UdpFrame6 {
    let payload: Vec<u8> = (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect();
    let frame = UdpFrame6::new("[2001:db8::2]:7", "[2001:db8::1]:40000", &payload);
    UdpFrame6 { traffic_class: 0xb8, flow_label: 0x1_2345, hop_limit: 9, ..frame }
}

// W10, W13, RFC 8200 4.5: 3000 bytes by a path of 1280: eights, one identification, M on all but the last, and all else as it
// was, the flow label among it (RFC 6437 2).
#[test]
fn an_ipv6_datagram_of_3000_bytes_leaves_in_three_packets_of_at_most_1280() {
    let pool = SimPool::new(64, ROOM);
    let frame = udp6(3000);
    let made = frames(cut(&frame.frame(), 14, 1280, &pool));
    assert_eq!(made.iter().map(|f| f.len() - 14).collect::<Vec<_>>(), [1280, 1280, 592]);
    for (n, piece) in made.iter().enumerate() {
        let (_, ip, _) = Ip6Frame::read_frame(piece).unwrap();
        let offset = u16::try_from(n * 154).unwrap();
        assert_eq!(ip.extensions, [Extension::Fragment { offset, more: n < 2, id: ID }]);
        assert_eq!(ip.next_header, 17);
    }
    assert_eq!(UdpFrame6::read(&join6(&made).unwrap()), Ok(frame));
}

// W13, RFC 8200 5, RFC 8201 4: no path carries less than 1280 bytes, whatever was said of it.
#[test]
fn no_ipv6_path_carries_less_than_1280_bytes() {
    let pool = SimPool::new(64, ROOM);
    for mtu in [0, 68, 576, 1279, 1280] {
        let made = frames(cut(&udp6(1400).frame(), 14, mtu, &pool));
        assert_eq!(made.iter().map(|f| f.len() - 14).collect::<Vec<_>>(), [1280, 224], "{mtu}");
    }
}

// RFC 8021 3: what fits into one packet has no fragment header, whatever it was meant for.
#[test]
fn what_fits_into_one_packet_is_no_fragment() {
    let pool = SimPool::new(64, ROOM);
    for (len, packets) in [(1280 - 48, 1), (1280 - 48 + 1, 2)] {
        let frame = udp6(len).frame();
        let made = frames(cut(&frame, 14, 1280, &pool));
        assert_eq!(made.len(), packets);
        assert_eq!(if packets == 1 { made[0].clone() } else { join6(&made).unwrap() }, frame);
    }
}

// F18, RFC 791 3.1: MTU 576, 1400 bytes: eights, one identification, MF, no DF, one checksum.
#[test]
fn a_datagram_of_1400_bytes_leaves_in_three_packets_of_at_most_576() {
    let pool = SimPool::new(64, ROOM);
    let frame = udp(1400);
    let made = frames(cut(&frame.frame(), 14, 576, &pool));
    assert_eq!(made.iter().map(|f| f.len() - 14).collect::<Vec<_>>(), [572, 572, 324]);
    let whole = UdpFrame::read(&join(&made).unwrap()).unwrap();
    assert_eq!(whole, UdpFrame { fragment: 0, ..frame });
}

// F18, RFC 791 3.1: only what has the copied bit is in later fragments.
#[test]
fn later_fragments_have_only_the_copied_options() {
    let pool = SimPool::new(64, ROOM);
    // Record route (not copied), NOP, Router Alert (copied), a security option of RFC 1108 (copied), end.
    let options = [7, 7, 4, 0, 0, 0, 0, 1, 0x94, 4, 0, 0, 0x82, 5, 1, 2, 3, 0, 0, 0];
    let frame = UdpFrame { options: options.to_vec(), ..udp(1400) };
    let made = frames(cut(&frame.frame(), 14, 576, &pool));
    let headers: Vec<IpFrame> = made.iter().map(|f| IpFrame::read(&f[14..]).unwrap().0).collect();
    assert_eq!(headers[0].options, options);
    for later in &headers[1..] {
        assert_eq!(later.options, [0x94, 4, 0, 0, 0x82, 5, 1, 2, 3, 0, 0, 0]);
    }
    assert_eq!(UdpFrame::read(&join(&made).unwrap()).unwrap().payload, frame.payload);
}

// F18: a group's datagram is cut the same way.
#[test]
fn a_datagram_to_a_group_is_cut_the_same_way() {
    let pool = SimPool::new(64, ROOM);
    let payload = vec![0x5a; 3000];
    let frame = UdpFrame { ttl: 1, ..UdpFrame::new("198.18.0.2:7", "239.1.2.3:7", &payload) };
    let made = frames(cut(&frame.frame(), 14, 1500, &pool));
    assert_eq!(UdpFrame::read(&join(&made).unwrap()), Ok(frame));
}

// E12: each fragment has the tag of its interface, in the frame or by the device.
#[test]
fn every_fragment_has_the_tag() {
    let pool = SimPool::new(64, ROOM);
    let frame = UdpFrame { tci: Some(100), ..udp(1400) };
    let made = frames(cut(&frame.frame(), 18, 576, &pool));
    assert_eq!(UdpFrame::read(&join(&made).unwrap()).unwrap().tci, Some(100));

    let frame = udp(1400).frame();
    let payload = Payload { in_body: false, offset: 34, len: 1408 };
    let out = Outgoing::new(&frame, 14, payload, 576).unwrap();
    let interface = Interface { vlan: Vid::new(100), tx_vlan_insert: true, ..interface() };
    let mut cutting = Cut::new(&out, &frame[34..], &interface);
    let made: Vec<SimBuf> = core::iter::from_fn(|| cutting.next(&pool)).map(Result::unwrap).collect();
    assert!(made.len() == 3 && made.iter().all(|buf| buf.tx_vlan() == Some(100)));

    let frame = UdpFrame6 { tci: Some(100), ..udp6(1400) };
    let made = frames(cut(&frame.frame(), 18, 1280, &pool));
    assert_eq!(UdpFrame6::read(&join6(&made).unwrap()), Ok(frame));
}

// E09: a last fragment of a few bytes is padded with zeros.
#[test]
fn a_short_last_fragment_is_padded_with_zeros() {
    let pool = SimPool::new(64, ROOM);
    let made = frames(cut(&udp(552 - 8 + 1).frame(), 14, 572, &pool));
    assert_eq!((made.len(), made[1].len()), (2, 60));
    assert_eq!(&made[1][35..], &[0; 25]);
    assert!(join(&made).is_ok());
}

#[test]
fn without_buffers_there_is_an_end() {
    let pool = SimPool::new(2, ROOM);
    let made = cut(&udp(1400).frame(), 14, 576, &pool);
    assert!(made.len() == 3 && made[2].as_ref().is_err_and(|e| *e == NoBuffer));
    drop(made);
    let pool = SimPool::new(2, 500);
    assert_eq!(cut(&udp(1400).frame(), 14, 576, &pool).len(), 1, "none is large enough");
    assert_eq!(pool.outstanding(), 0);
}

#[test]
fn a_link_that_carries_nothing_behind_the_header_is_none() {
    let frame = udp(100).frame();
    let payload = Payload { in_body: false, offset: 34, len: 108 };
    assert!(Outgoing::new(&frame, 14, payload, 27).is_none());
    assert!(Outgoing::new(&frame, 14, payload, 28).is_some());
    assert!(Outgoing::new(&frame, 13, payload, 576).is_none());
    assert!(Outgoing::new(&frame[..30], 14, payload, 576).is_none());
    assert!(Outgoing::new6(&frame, 14, payload, 1280, ID).is_none(), "of the other family");
    let frame = udp6(100).frame();
    assert!(Outgoing::new6(&frame, 14, payload, 1280, ID).is_some());
    assert!(Outgoing::new6(&frame[..53], 14, payload, 1280, ID).is_none());
    assert!(Outgoing::new(&frame, 14, payload, 576).is_none(), "of the other family");
}

// 65,507 bytes at the least MTU of IPv4, from a body.
#[test]
fn a_body_leaves_in_1365_packets_of_68_bytes() {
    let pool = SimPool::with_large(1400, ROOM, 1);
    let frame = udp(65_507).frame();
    let mut buf = pool.alloc_copy(&frame[..34]).unwrap();
    let mut body = pool.alloc_large().unwrap();
    assert!(body.set_len(65_515));
    body.unique().unwrap().copy_from_slice(&frame[34..]);
    buf.attach(body).unwrap();
    let payload = Payload { in_body: true, offset: 0, len: 65_515 };
    assert!(payload.of_mut(&mut buf).is_some());
    let out = Outgoing::new(buf.data(), 14, payload, 68).unwrap();
    let interface = interface();
    let mut cut = Cut::new(&out, payload.of(&buf).unwrap(), &interface);
    let made = frames(core::iter::from_fn(|| cut.next(&pool)).collect());
    assert_eq!(made.len(), 1365);
    assert_eq!(UdpFrame::read(&join(&made).unwrap()).unwrap().payload, udp(65_507).payload);
}

// W13: 65,527 bytes of UDP, all that IPv6 carries, from a body.
#[test]
fn an_ipv6_body_leaves_in_54_packets() {
    let pool = SimPool::with_large(64, ROOM, 1);
    let frame = udp6(65_527).frame();
    let mut buf = pool.alloc_copy(&frame[..54]).unwrap();
    let mut body = pool.alloc_large().unwrap();
    assert!(body.set_len(65_535));
    body.unique().unwrap().copy_from_slice(&frame[54..]);
    buf.attach(body).unwrap();
    let payload = Payload { in_body: true, offset: 0, len: 65_535 };
    let out = Outgoing::new6(buf.data(), 14, payload, 1280, ID).unwrap();
    let interface = interface();
    let mut cut = Cut::new(&out, payload.of(&buf).unwrap(), &interface);
    let made = frames(core::iter::from_fn(|| cut.next(&pool)).collect());
    assert_eq!(made.len(), 54);
    assert_eq!(join6(&made).unwrap(), frame);
}

proptest! {
    // W10, W13, RFC 8200 4.5.
    #[test]
    fn any_ipv6_datagram_is_whole_again(len in 1233usize..9000, mtu in 1280u16..1500) {
        prop_assume!(48 + len > usize::from(mtu));
        let pool = SimPool::new(256, ROOM);
        let wire = udp6(len);
        let made = frames(cut(&wire.frame(), 14, mtu, &pool));
        prop_assert!(made.iter().all(|f| f.len() <= 14 + usize::from(mtu)));
        // No fragment has room for eight more bytes, but the last.
        prop_assert!(made[..made.len() - 1].iter().all(|f| f.len() - 14 + 8 > usize::from(mtu)));
        prop_assert_eq!(UdpFrame6::read(&join6(&made).unwrap()).unwrap(), wire);
    }

    // F18.
    #[test]
    fn any_datagram_is_whole_again(len in 1usize..8000, mtu in 68u16..1500, words in 0usize..=10) {
        let pool = SimPool::new(256, ROOM);
        let wire = UdpFrame { options: vec![1; words * 4], ..udp(len) };
        let frame = wire.frame();
        prop_assume!(20 + words * 4 + 8 + len > usize::from(mtu));
        let made = frames(cut(&frame, 14, mtu, &pool));
        prop_assert!(made.iter().all(|f| f.len() <= (14 + usize::from(mtu)).max(60)));
        // No fragment has room for eight more bytes, but the last.
        for f in &made[..made.len() - 1] {
            let (_, packet) = Ethernet::read(f).unwrap();
            prop_assert!(packet.len() + 8 > usize::from(mtu));
        }
        let whole = UdpFrame::read(&join(&made).unwrap()).unwrap();
        prop_assert_eq!(whole.payload, wire.payload);
    }
}
