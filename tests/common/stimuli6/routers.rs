//! What routers say of themselves, right and wrong: each speaks of a prefix of its own.

use std::net::Ipv6Addr;

use ::pollcast::sim::frames::{
    Extension, IcmpFrame6, NdpFrame, NdpMessage, NdpOption, Prefix, RouterAdvertisement,
};

use super::super::frames::Mac;
use super::super::six::{GROUP6, HOST6, HOST6_LOCAL, Host6};
use super::{Stimulus, destination, fragments::cut_packet, group_mac6, mac, one, some};

/// Its first router; the others have the numbers behind it.
const ROUTER: u16 = 0xa0;

/// An advertisement in the making.
struct Said {
    router: Host6,
    frame: NdpFrame,
}

/// The prefix that the advertisement of this number speaks of.
pub fn prefix_of(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0x1000 + number, 0, 0, 0, 0, 0)
}

/// Each advertisement under its name, in the order of their numbers.
pub fn advertisements() -> Vec<Stimulus> {
    let mut all = Vec::new();
    for (row, what, change) in PREFIXES {
        let number = u16::try_from(all.len()).unwrap();
        let mut prefix = Prefix::new(prefix_of(number), 64);
        change(&mut prefix);
        let Said { frame, .. } = said(number, &[prefix]);
        all.push(one(&format!("{row} {what}"), frame.frame()));
    }
    for (row, what, change) in MESSAGES {
        let number = u16::try_from(all.len()).unwrap();
        let mut said = said(number, &[Prefix::new(prefix_of(number), 64)]);
        change(&mut said);
        all.push(one(&format!("{row} {what}"), said.frame.frame()));
    }
    for (row, what, change) in BYTES {
        let number = u16::try_from(all.len()).unwrap();
        let mut icmp = said(number, &[Prefix::new(prefix_of(number), 64)]).frame.icmp();
        change(&mut icmp);
        all.push(one(&format!("{row} {what}"), icmp.frame()));
    }
    let number = u16::try_from(all.len()).unwrap();
    let frame = said(number, &[Prefix::new(prefix_of(number), 64)]).frame.frame();
    all.push(some("W12 in two fragments", cut_packet(&frame, 77, &[16])));
    let number = number + 1;
    let mut frame = said(number, &[Prefix::new(prefix_of(number), 64)]).frame.frame();
    frame[56] ^= 1;
    all.push(one("N13 with a wrong checksum", frame));
    all
}

fn said(number: u16, prefixes: &[Prefix]) -> Said {
    let router = Host6::local(ROUTER + number);
    let mut frame = NdpFrame::router_advertisement(router.ip, &[]);
    frame.source_mac = mac(router.mac);
    frame.options = vec![NdpOption::SourceLinkLayer(mac(router.mac))];
    frame.options.extend(prefixes.iter().copied().map(NdpOption::Prefix));
    Said { router, frame }
}

type Change<T> = (&'static str, &'static str, fn(&mut T));

/// RFC 4862 5.5.3.
const PREFIXES: &[Change<Prefix>] = &[
    ("N13", "a prefix", |_| {}),
    ("N13", "a prefix that is not for addresses", |p| p.autonomous = false),
    ("N17", "a prefix that is not on the link", |p| p.on_link = false),
    ("N13", "a prefix that is for ever", |p| (p.valid_s, p.preferred_s) = (u32::MAX, u32::MAX)),
    ("N13", "a prefix preferred for longer than it is valid", |p| (p.valid_s, p.preferred_s) = (600, 700)),
    ("N13", "a prefix that is over", |p| (p.valid_s, p.preferred_s) = (0, 0)),
    ("N13", "a prefix that is not preferred", |p| p.preferred_s = 0),
    ("N13", "a prefix for an hour", |p| (p.valid_s, p.preferred_s) = (3600, 1800)),
    ("N13", "a prefix of 48 bits", |p| p.len = 48),
    ("N13", "a prefix of 63 bits", |p| p.len = 63),
    ("N13", "a prefix of 65 bits", |p| p.len = 65),
    ("N13", "a prefix of 128 bits", |p| p.len = 128),
    ("N13", "a prefix of 0 bits", |p| p.len = 0),
    ("N13", "the link-local prefix", |p| p.prefix = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)),
    ("N13", "a group for a prefix", |p| p.prefix = GROUP6),
    ("N13", "a prefix with bits behind it", |p| {
        p.prefix = Ipv6Addr::from_bits(p.prefix.to_bits() | 0x0123_4567_89ab_cdef);
    }),
];

fn advertises(said: &mut Said, change: fn(&mut RouterAdvertisement)) {
    if let NdpMessage::RouterAdvertisement(message) = &mut said.frame.message {
        change(message);
    }
}

fn to(said: &mut Said, ip: Ipv6Addr, address: Mac) {
    (said.frame.destination, said.frame.destination_mac) = (ip, mac(address));
}

/// RFC 4861 6.1.2 and 6.3.4.
const MESSAGES: &[Change<Said>] = &[
    ("N13", "hop limit 254", |s| s.frame.hop_limit = 254),
    ("N13", "hop limit 1", |s| s.frame.hop_limit = 1),
    ("N13", "from a global address", |s| s.frame.source = Host6::number(ROUTER).ip),
    ("N13", "from nobody", |s| s.frame.source = Ipv6Addr::UNSPECIFIED),
    ("N13", "from our own link-local address", |s| s.frame.source = HOST6_LOCAL.ip),
    ("N13", "without its address", |s| drop(s.frame.options.remove(0))),
    ("N13", "to us alone", |s| to(s, HOST6_LOCAL.ip, HOST6.mac)),
    ("N13", "to us alone, at a global address", |s| to(s, HOST6.ip, HOST6.mac)),
    ("N13", "to a joined group", |s| to(s, GROUP6, group_mac6(GROUP6))),
    ("N13", "of no default router", |s| advertises(s, |m| m.lifetime_s = 0)),
    ("N13", "of managed addresses", |s| advertises(s, |m| m.flags = 0xc0)),
    ("N14", "without a hop limit", |s| advertises(s, |m| m.hop_limit = 0)),
    ("N14", "an MTU of 1400", |s| s.frame.options.push(NdpOption::Mtu(1400))),
    ("N14", "an MTU of 1279", |s| s.frame.options.push(NdpOption::Mtu(1279))),
    ("N14", "an MTU of 9000", |s| s.frame.options.push(NdpOption::Mtu(9000))),
    ("N13", "with an unknown option", |s| s.frame.options.push(NdpOption::Other(0xfd, vec![1; 14]))),
    ("N13", "behind destination options", |s| s.frame.extensions = vec![destination(&[])]),
    ("W12", "in one fragment", |s| {
        s.frame.extensions = vec![Extension::Fragment { offset: 0, more: false, id: 9 }];
    }),
    ("N13", "the prefix twice", |s| {
        let again = s.frame.options[1].clone();
        s.frame.options.push(again);
    }),
    ("N13", "for another station", |s| s.frame.destination_mac = mac([2, 0, 0, 0, 0, 0x99])),
    ("N13", "from another station", |s| s.frame.source_mac = mac([2, 0, 0, 0, 0, s.router.mac[5] ^ 1])),
];

/// The same, of its bytes.
const BYTES: &[Change<IcmpFrame6>] = &[
    ("N13", "code 1", |i| i.code = 1),
    ("N13", "too short for a router", |i| i.body.truncate(11)),
    ("N13", "a prefix cut short", |i| i.body.truncate(12 + 8 + 24)),
    ("N13", "an option of length 0 behind the prefix", |i| i.body.extend([1, 0, 0, 0, 0, 0, 0, 0])),
    ("N13", "an option of length 0 before the prefix", |i| i.body[13] = 0),
    ("N13", "an option that is longer than the message", |i| i.body.extend([1, 2, 0, 0, 0, 0, 0, 0])),
    ("N13", "a prefix option of three eights", |i| {
        i.body[21] = 3;
        i.body.truncate(12 + 8 + 24);
    }),
    ("N13", "a prefix option of five eights", |i| {
        i.body[21] = 5;
        i.body.extend([0; 8]);
    }),
];
