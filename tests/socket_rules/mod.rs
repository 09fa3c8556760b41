//! Random sequences of the calls that rules decide on: bind, connect, options and memberships.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pollcast::rng::Rng;
use pollcast::stack::sockets::{Domain, FilterMode, MemberChange};

use crate::socket_ops::ops::Opt;

/// How many sockets a sequence has.
pub(crate) const SLOTS: usize = 4;

/// An interface of a sequence: none, two that are there, and one that is not.
pub(crate) type Dev = Option<usize>;

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Open(usize, Domain),
    Set(usize, Opt, bool),
    Device(usize, Dev),
    Bind(usize, IpAddr, u16, Dev),
    Connect(usize, IpAddr, u16, Dev),
    Disconnect(usize),
    Member(usize, IpAddr, Dev, MemberChange),
    Filter(usize, IpAddr, Dev),
}

fn one<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[usize::try_from(rng.below(of.len() as u64)).unwrap()]
}

const LOCALS4: [&str; 8] = [
    "0.0.0.0",
    "0.0.0.0",
    "198.18.0.2",
    "198.19.0.2",
    "198.18.0.9",
    "239.1.2.3",
    "198.18.0.255",
    "255.255.255.255",
];
const LOCALS6: [&str; 14] = [
    "::",
    "::",
    "2001:db8::2",
    "2001:db8:1::2",
    "2001:db8::9",
    "fe80::2",
    "fe80::3",
    "ff0e::1234",
    "ff02::1234",
    "::ffff:0.0.0.0",
    "::ffff:198.18.0.2",
    "::ffff:198.19.0.2",
    "::ffff:198.18.0.9",
    "::ffff:239.1.2.3",
];
const PEERS4: [&str; 7] =
    ["198.18.0.7", "198.19.0.7", "192.0.2.1", "198.18.0.255", "255.255.255.255", "239.1.2.3", "198.18.0.2"];
// Not our own over IPv6: by an interface that has it not, that is a matter of routes (a strong host's), not of sockets.
const PEERS6: [&str; 8] = [
    "2001:db8::7",
    "2001:db8:1::7",
    "2001:db8:9::1",
    "fe80::7",
    "ff02::1234",
    "::ffff:198.18.0.7",
    "::ffff:198.19.0.7",
    "::ffff:198.18.0.255",
];
const GROUPS4: [&str; 5] = ["224.0.0.1", "239.1.2.3", "239.1.2.3", "232.1.1.1", "198.18.0.7"];
const GROUPS6: [&str; 5] = ["ff02::1", "ff0e::1234", "ff02::1234", "ff3e::1", "2001:db8::7"];

fn source(rng: &mut Rng, group: IpAddr) -> IpAddr {
    let n = u8::try_from(rng.below(4)).unwrap();
    // Now and then of the other version.
    if group.is_ipv4() != rng.one_in(30) {
        Ipv4Addr::new(198, 18, 0, 100 + n).into()
    } else {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x100 + u16::from(n)).into()
    }
}

/// Sequence number `seed`.
pub(crate) fn sequence(seed: u64) -> Vec<Op> {
    let rng = &mut Rng::new(seed);
    let mut domains = [Domain::V4; SLOTS];
    let mut ops = Vec::new();
    for (slot, domain) in domains.iter_mut().enumerate() {
        *domain = one(rng, &[Domain::V4, Domain::V6]);
        ops.push(Op::Open(slot, *domain));
    }
    // Each is about something: places, or groups.
    let of_groups = rng.one_in(2);
    for _ in 0..40 {
        let slot = usize::try_from(rng.below(SLOTS as u64)).unwrap();
        let is_v6 = (domains[slot] == Domain::V6) != rng.one_in(15);
        let dev = one(rng, &[None, None, Some(0), Some(1)]);
        let pick = |rng: &mut Rng, v4: &[&str], v6: &[&str]| -> IpAddr {
            (if is_v6 { one(rng, v6) } else { one(rng, v4) }).parse().unwrap()
        };
        let op = match rng.below(if of_groups { 20 } else { 10 }) {
            0 => {
                domains[slot] = one(rng, &[Domain::V4, Domain::V6]);
                Op::Open(slot, domains[slot])
            }
            1 | 2 => {
                let opts = [Opt::ReuseAddr, Opt::ReusePort, Opt::V6Only, Opt::Broadcast, Opt::MulticastAll6];
                Op::Set(slot, one(rng, &opts), !rng.one_in(3))
            }
            3 => Op::Device(slot, dev),
            4..=6 => Op::Bind(slot, pick(rng, &LOCALS4, &LOCALS6), one(rng, &[0, 5000, 5000, 5001]), dev),
            7 | 8 => Op::Connect(slot, pick(rng, &PEERS4, &PEERS6), one(rng, &[7, 7, 7, 0]), dev),
            9 => Op::Disconnect(slot),
            n => {
                let group = if rng.one_in(2) {
                    pick(rng, &GROUPS4, &GROUPS6)
                } else {
                    pick(rng, &GROUPS4, &["239.1.2.3"])
                };
                let dev = one(rng, &[None, Some(0), Some(0), Some(1), Some(2)]);
                let from = source(rng, group);
                let change = match n {
                    10 | 11 => MemberChange::Join,
                    12 => MemberChange::Leave,
                    13 | 14 => MemberChange::JoinSource(from),
                    15 => MemberChange::LeaveSource(from),
                    16 => MemberChange::Block(from),
                    17 => MemberChange::Unblock(from),
                    18 => {
                        let count = rng.below(4);
                        let mode = one(rng, &[FilterMode::Include, FilterMode::Exclude]);
                        let sources = (0..count).map(|_| source(rng, group));
                        // Linux reads whatever bytes an IPv6 filter has as IPv6's addresses.
                        let sources = sources.filter(|source| group.is_ipv4() || source.is_ipv6());
                        MemberChange::SetFilter(mode, sources.collect())
                    }
                    _ => {
                        // IP_MSFILTER takes any interface, MCAST_MSFILTER a named one.
                        ops.push(Op::Filter(slot, group, Some(dev.unwrap_or(0))));
                        continue;
                    }
                };
                Op::Member(slot, group, dev, change)
            }
        };
        ops.push(op);
    }
    ops
}
