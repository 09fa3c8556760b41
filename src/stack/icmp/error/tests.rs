//! About which packets ICMPv6 errors are made: from RFC 4443 2.4(e). The frames that come of it are in `tests/sim/icmp6.rs`, and
//! IPv4's in `tests/sim/icmp.rs`.

use core::net::Ipv6Addr;

use super::*;
use crate::addr::{Cidr, Unicast};
use crate::io::InterfaceId;
use crate::wire::ipv6::Repr;
use proptest::prelude::*;

const OWN: &str = "2001:db8::2";
const PEER: &str = "2001:db8::1";
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

const OPTION_10: Complaint = Complaint::ParameterProblem(Problem::Option { even_to_group: true }, 42);
const OPTION_11: Complaint = Complaint::ParameterProblem(Problem::Option { even_to_group: false }, 42);
const COMPLAINTS: [Complaint; 7] = [
    Complaint::PortUnreachable,
    Complaint::ReassemblyTime,
    Complaint::ParameterProblem(Problem::HeaderField, 4),
    Complaint::ParameterProblem(Problem::NextHeader, 6),
    Complaint::ParameterProblem(Problem::FirstFragment, 0),
    OPTION_10,
    OPTION_11,
];

fn addr(s: &str) -> Ipv6Addr {
    s.parse().unwrap()
}

fn interface() -> Interface {
    let mut interface = Interface::new(InterfaceId(0), MacAddr(MAC), 1500, Vec::new());
    interface.v6 = Inet::new(vec![Cidr::new(Unicast::new(addr(OWN)).unwrap(), 64).unwrap()]);
    interface
}

/// A frame with a packet from `src` to `dst` whose header names `next_header`.
fn frame(mac: [u8; 6], src: &str, dst: &str, next_header: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 54 + payload.len()];
    frame[..6].copy_from_slice(&mac);
    frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    frame[12..14].copy_from_slice(&[0x86, 0xdd]);
    let header = Repr {
        traffic_class: 0,
        flow_label: 0,
        payload_len: u16::try_from(payload.len()).unwrap(),
        next_header,
        hop_limit: 64,
        src: addr(src),
        dst: addr(dst),
    };
    header.emit(&mut frame[14..]).unwrap().copy_from_slice(payload);
    frame
}

/// Of which complaints about `frame` its sender is told.
fn told(frame: &[u8]) -> Vec<Complaint> {
    let interface = interface();
    let of = |complaint: &Complaint| Offender::of(frame, 14, None, *complaint, &interface).is_some();
    COMPLAINTS.into_iter().filter(of).collect()
}

// K03, RFC 4443 2.4(e.3), (e.4): to a group, by either address, only an option that asks for it.
#[test]
fn of_a_groups_packet_only_an_option_is_complained_about() {
    assert_eq!(told(&frame(MAC, PEER, OWN, 17, &[0; 8])), COMPLAINTS);
    let group = [0x33, 0x33, 0, 0, 0, 1];
    assert_eq!(told(&frame(group, PEER, "ff02::1", 60, &[0; 8])), [OPTION_10]);
    assert_eq!(told(&frame(group, PEER, OWN, 17, &[0; 8])), [OPTION_10]);
    assert_eq!(told(&frame(MAC, PEER, "ff02::1", 17, &[0; 8])), [OPTION_10]);
}

// K03, RFC 4443 2.4(e.6): not to nobody, not to many; nor to ourselves.
#[test]
fn who_is_not_one_host_is_not_told() {
    for src in ["::", "::1", "ff02::1", "ff05::2", OWN] {
        assert_eq!(told(&frame(MAC, src, OWN, 17, &[0; 8])), [], "{src}");
        assert_eq!(told(&frame(MAC, src, "ff02::1", 60, &[0; 8])), [], "{src}");
    }
    assert_eq!(told(&frame(MAC, PEER, "2001:db8::3", 17, &[0; 8])), [], "not to us");
}

// K03, RFC 4443 2.4(e.1), (e.2): errors of every type, known or not, and redirects; behind extension headers too.
#[test]
fn nothing_is_said_of_an_error_or_a_redirect() {
    for icmp_type in 0..=255u8 {
        let message = [icmp_type, 0, 0, 0, 0, 0, 0, 0];
        let is_told = icmp_type >= 128 && icmp_type != 137;
        let want = if is_told { COMPLAINTS.to_vec() } else { Vec::new() };
        assert_eq!(told(&frame(MAC, PEER, OWN, 58, &message)), want, "{icmp_type}");
        let options = [&[58, 0, 1, 4, 0, 0, 0, 0], &message[..]].concat();
        assert_eq!(told(&frame(MAC, PEER, OWN, 60, &options)), want, "{icmp_type} behind options");
    }
    assert_eq!(told(&frame(MAC, PEER, OWN, 58, &[])), [], "cut short");
}

// K03: a later fragment may be of an error, whose type is not in it; but none is longer than 1280 bytes (K02).
#[test]
fn a_fragment_of_what_may_be_an_error_is_taken_for_one() {
    let fragment = |next: u8, offset: u16| {
        let [high, low] = (offset | 1).to_be_bytes();
        frame(MAC, PEER, OWN, 44, &[next, 0, high, low, 1, 2, 3, 4, 200, 0, 0, 0, 0, 0, 0, 0])
    };
    assert_eq!(told(&fragment(58, 0)), COMPLAINTS, "the first says that it is none");
    assert_eq!(told(&fragment(58, 8)), []);
    assert_eq!(told(&fragment(58, 1272)), []);
    assert_eq!(told(&fragment(58, 1280)), COMPLAINTS);
    assert_eq!(told(&fragment(17, 8)), COMPLAINTS);
}

// K04: who is behind a router has an account with all of its /64, who is on the link an own one.
#[test]
fn an_error_goes_on_the_account_of_its_receiver() {
    let interface = interface();
    let account = |src: &str| {
        let frame = frame(MAC, src, OWN, 17, &[0; 8]);
        Offender::of(&frame, 14, None, Complaint::PortUnreachable, &interface).unwrap().account(&interface)
    };
    assert_eq!(account(PEER), IpAddr::V6(addr(PEER)));
    assert_eq!(account("2001:db8:1::77"), IpAddr::V6(addr("2001:db8:1::")));
}

proptest! {
    // K03: whatever the packet is, nothing is said to what is not one host, about an error, or to many.
    #[test]
    fn no_packet_is_complained_about_that_must_not_be(
        mac in prop_oneof![Just(MAC), Just([0x33, 0x33, 0, 0, 0, 1])],
        src in prop_oneof![Just(PEER), Just("::"), Just("ff02::1"), Just("2001:db8:5::9"), Just(OWN)],
        dst in prop_oneof![Just(OWN), Just("ff02::1"), Just("2001:db8::3")],
        next in prop_oneof![Just(58), Just(17), Just(60), Just(44), Just(0), Just(43), any::<u8>()],
        payload in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let told = told(&frame(mac, src, dst, next, &payload));
        if mac != MAC || dst == "ff02::1" {
            prop_assert!(told.iter().all(|c| *c == OPTION_10));
        }
        prop_assert!(told.is_empty() || dst != "2001:db8::3" && (src == PEER || src == "2001:db8:5::9"));
        prop_assert!(told.is_empty() || next != 58 || payload[0] >= 128);
    }
}
