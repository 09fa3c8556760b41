//! Short sequences in which pollcast once did otherwise than Linux.

use std::net::IpAddr;

use super::ops::*;
use super::short::*;

/// Each with the sockets that it opens.
pub fn once_differed() -> Vec<Vec<Op>> {
    let (v4, v6) = (Op::Open(0, Domain::V4), Op::Open(0, Domain::V6));
    let plain = Control::default();
    let (more, end) = (Control { more: true, ..plain }, Op::Set(0, Opt::Cork, 0));
    let group_of_link = who::GROUPS6[1];
    vec![
        // U26: the broadcast address of a network may be bound to; U22: and not be connected to unasked.
        vec![v4.clone(), Op::Bind(0, At::new(who::BROADCAST, ANY_PORT))],
        vec![v4.clone(), connect(0, who::BROADCAST), Op::Name(0)],
        vec![v4.clone(), bind(0, who::OWN[0]), Op::Bind(0, At::new(who::FOREIGN, OURS))],
        // U26, U14: who came last decides whether a port is shared.
        vec![
            v4.clone(),
            Op::Set(0, Opt::ReuseAddr, 1),
            bind(0, who::ANY),
            Op::Open(1, Domain::V4),
            Op::Set(1, Opt::ReuseAddr, 1),
            Op::Set(1, Opt::ReusePort, 1),
            bind(1, who::GROUPS[1]),
            Op::Open(2, Domain::V4),
            Op::Set(2, Opt::ReusePort, 1),
            bind(2, who::ANY),
        ],
        // P12: of one link, and of that link.
        vec![v6.clone(), Op::Bind(0, At::new(who::LOCAL6[1], OURS).on(FIRST))],
        vec![v6.clone(), bind(0, group_of_link)],
        vec![
            v6.clone(),
            Op::Bind(0, At::new(group_of_link, OURS).on(FIRST)),
            Op::Set(0, Opt::MulticastIf6, number(SECOND)),
        ],
        vec![
            v6.clone(),
            Op::Set(0, Opt::RecvErr6, 1),
            send(0, Some(At::new(who::LOCAL_PEERS6[0], THEIRS).on(FIRST)), 9, plain),
            Op::Complain { back: 0, what: Complaint::PortUnreachable },
            Op::Errors(0),
        ],
        // U17, P10: a socket of IPv6 hears those IPv4 groups alone that it joined.
        vec![v6.clone(), bind(0, who::ANY6), arrive(who::PEERS[0], who::ALL_HOSTS), Op::Drain(0)],
        // U21: what is for this host goes nowhere else, whatever it is from.
        vec![v4.clone(), bind(0, who::OWN[0]), send(0, to(who::OWN[2]), 9, plain)],
        // U20, P09: what connect(2) chose stays.
        vec![v4.clone(), connect(0, who::PEERS[2]), connect(0, who::FAR), Op::Name(0)],
        // P10: the two versions apart.
        vec![v6.clone(), bind(0, mapped(who::OWN[1])), connect(0, who::PEERS6[0])],
        vec![v6.clone(), bind(0, mapped(who::OWN[0])), send(0, to(who::PEERS6[0]), 9, plain)],
        vec![v6.clone(), bind(0, who::GROUPS6[2]), connect(0, mapped(who::PEERS[0]))],
        // U29: PKTINFO and TTL as they are said.
        vec![v4.clone(), send(0, to(who::PEERS[1]), 20, info(who::FOREIGN, FIRST))],
        vec![v4.clone(), bind(0, who::OWN[1]), send(0, to(who::PEERS[0]), 20, info(who::ANY, NO_INTERFACE))],
        vec![v6.clone(), send(0, to(who::PEERS6[0]), 20, info(who::FOREIGN6, MISSING))],
        vec![v4.clone(), send(0, to(who::PEERS[0]), 20, Control { ttl: Some(0), ..plain })],
        // U24: too long.
        vec![v6.clone(), send(0, None, 65536, plain)],
        vec![v6.clone(), send(0, Some(At::new(who::PEERS6[0], ANY_PORT)), 65536, plain)],
        vec![
            v4.clone(),
            Op::Set(0, Opt::RecvErr, 1),
            send(0, to(who::PEERS[2]), 65508, plain),
            Op::Errors(0),
        ],
        // P01, P02, P06.
        vec![v4.clone(), member(0, Verb::LeaveSource, FIRST, who::GROUPS[0], Some(who::PEERS[0]))],
        vec![v4.clone(), member(0, Verb::Leave, FIRST, who::OWN[0], None)],
        vec![v6.clone(), member(0, Verb::Leave, MISSING, who::GROUPS6[0], None)],
        vec![
            v4.clone(),
            member(0, Verb::Join, FIRST, who::GROUPS[0], None),
            member(0, Verb::Unblock, FIRST, who::GROUPS[0], Some(who::PEERS[0])),
        ],
        vec![
            v6.clone(),
            member(0, Verb::Join, SECOND, who::GROUPS6[0], None),
            member(0, Verb::Join, NO_INTERFACE, who::GROUPS6[0], None),
        ],
        // P01: of the source-specific range, too, from any source.
        vec![
            v4.clone(),
            bind(0, who::ANY),
            member(0, Verb::Join, FIRST, who::GROUPS[2], None),
            arrive(who::PEERS[1], who::GROUPS[2]),
            Op::Drain(0),
        ],
        // P02: joined for no source, it does not hear what others joined.
        vec![
            v4.clone(),
            bind(0, who::ANY),
            member(0, Verb::Join, FIRST, who::GROUPS[0], None),
            member(0, Verb::LeaveSource, FIRST, who::GROUPS[0], Some(who::PEERS[0])),
            Op::Open(1, Domain::V4),
            member(1, Verb::Join, FIRST, who::GROUPS[0], None),
            arrive(who::PEERS[0], who::GROUPS[0]),
            Op::Drain(0),
        ],
        // U20, U10: a peer with port 0.
        vec![
            v4.clone(),
            bind(0, who::OWN[0]),
            Op::Connect(0, At::new(who::PEERS[0], ANY_PORT)),
            Op::Peer(0),
            send(0, None, 9, plain),
            arrive(who::PEERS[0], who::OWN[0]),
            arrive(who::PEERS[1], who::OWN[0]),
            Op::Drain(0),
        ],
        // RFC 8200 3: a hop limit of 0 is enough for a neighbour.
        vec![v6.clone(), send(0, to(who::PEERS6[0]), 9, Control { ttl: Some(0), ..plain })],
        // U24: what is for this host is carried by no link.
        vec![v4.clone(), Op::Set(0, Opt::MtuDiscover, 2), send(0, to(who::OWN[0]), 3000, plain)],
        // U22: everyone of another interface's link is an address like others, and the gateway's to forward to.
        vec![
            v4.clone(),
            Op::Set(0, Opt::BindToDevice, number(FIRST)),
            connect(0, who::BROADCAST_OF_SECOND),
            send(0, None, 9, plain),
        ],
        // U29: beside another address of ours.
        vec![
            v4.clone(),
            bind(0, who::ANY),
            member(0, Verb::Join, FIRST, who::GROUPS[0], None),
            Op::Open(1, Domain::V4),
            send(1, Some(At::new(who::GROUPS[0], OURS)), 9, info(who::OWN[1], FIRST)),
            Op::Drain(0),
        ],
        // P10: whoever complains over IPv4 is told as IPv6.
        vec![
            v6.clone(),
            Op::Set(0, Opt::RecvErr, 1),
            send(0, to(mapped(who::PEERS[0])), 9, plain),
            Op::Complain { back: 0, what: Complaint::HostUnreachable },
            Op::Errors(0),
        ],
        // MSG_MORE, UDP_CORK: what is pending is told to who begins a datagram, and not to who ends it.
        vec![
            v4.clone(),
            connect(0, who::PEERS[0]),
            send(0, None, 9, plain),
            send(0, None, 9, more),
            Op::Complain { back: 0, what: Complaint::PortUnreachable },
            send(0, None, 9, plain),
            Op::TakeError(0),
        ],
        // Nor does it matter where to the rest is said to go, but by which version, nor end what is begun.
        vec![
            v6.clone(),
            send(0, to(who::PEERS6[0]), 9, more),
            send(0, to(mapped(who::PEERS[0])), 9, plain),
            end.clone(),
        ],
        vec![v6.clone(), send(0, to(mapped(who::PEERS[0])), 9, more), send(0, to(who::PEERS6[0]), 9, plain)],
        vec![v4.clone(), send(0, to(who::PEERS[0]), 9, more), send(0, None, 65536, plain), end.clone()],
        vec![v4.clone(), send(0, to(who::PEERS[0]), 9, more), send(0, None, 65507, plain), end.clone()],
        // Of the options those count that there are when it leaves, but for what the first piece or IPv6 has said.
        changed(&v4, who::PEERS[0], Opt::Ttl, 7, plain),
        changed(&v4, who::PEERS[0], Opt::Ttl, 7, Control { ttl: Some(9), ..plain }),
        changed(&v4, who::GROUPS[0], Opt::MulticastTtl, 7, plain),
        changed(&v4, who::PEERS[0], Opt::Tos, 0x10, plain),
        changed(&v4, who::PEERS[0], Opt::MtuDiscover, 0, plain),
        changed(&v4, who::PEERS[0], Opt::NoCheck, 1, plain),
        changed(&v6, who::PEERS6[0], Opt::UnicastHops, 7, plain),
        changed(&v6, who::GROUPS6[0], Opt::MulticastHops, 7, plain),
        changed(&v6, who::PEERS6[0], Opt::TrafficClass, 0x10, plain),
        changed(&v6, who::PEERS6[0], Opt::MtuDiscover6, 0, plain),
        // Of an own address, IPv4 carries no more than IPv4 can.
        vec![
            v6.clone(),
            Op::Set(0, Opt::RecvErr, 1),
            send(0, to(mapped(who::OWN[0])), 65508, plain),
            Op::Errors(0),
        ],
        // U10: connected to port 0 of IPv4's, a socket of IPv6 sends nothing.
        vec![v6.clone(), Op::Connect(0, At::new(mapped(who::PEERS[2]), ANY_PORT)), send(0, None, 9, plain)],
        // Whoever does not want to be told of errors by one version any more has one pending all the same.
        vec![
            v6.clone(),
            Op::Set(0, Opt::RecvErr6, 1),
            send(0, to(who::PEERS6[0]), 9, plain),
            Op::Complain { back: 0, what: Complaint::PortUnreachable },
            Op::Set(0, Opt::RecvErr, 0),
            send(0, None, 9, plain),
            Op::TakeError(0),
        ],
        // Of two errors that are told the second is pending once the first is taken, though it was told as such.
        vec![
            v4.clone(),
            Op::Set(0, Opt::RecvErr, 1),
            send(0, to(who::PEERS[0]), 9, plain),
            Op::Complain { back: 0, what: Complaint::PortUnreachable },
            Op::Complain { back: 0, what: Complaint::HostUnreachable },
            Op::TakeError(0),
            Op::Report(0),
            Op::TakeError(0),
            Op::Report(0),
            Op::TakeError(0),
        ],
        // A piece that is added binds a socket whose port has gone, and over IPv4 the datagram leaves from there.
        unbound_between(&v4, who::PEERS[0]),
        unbound_between(&v6, who::PEERS6[0]),
        // U14: of those that share a port are those that wanted to when they were bound, and are where they were.
        late_sharer(),
        moved_sharer(Domain::V4, who::ANY, 0),
        moved_sharer(Domain::V6, who::ANY6, 1),
        // P06: a filter is read where the route leads.
        vec![
            v4.clone(),
            member(0, Verb::Join, NO_INTERFACE, who::GROUPS[0], None),
            Op::Filter { slot: 0, interface: NO_INTERFACE, group: who::GROUPS[0] },
            member(0, Verb::Join, FIRST, who::GROUPS[1], None),
            Op::Filter { slot: 0, interface: NO_INTERFACE, group: who::GROUPS[1] },
        ],
        vec![
            v4,
            Op::SetFilter {
                slot: 0,
                interface: SECOND,
                group: who::GROUPS[0],
                exclude: false,
                sources: Vec::new(),
            },
        ],
    ]
}

/// The port is given up between the two pieces of a datagram.
fn unbound_between(open: &Op, whom: IpAddr) -> Vec<Op> {
    let plain = Control::default();
    let begin = send(0, to(whom), 9, Control { more: true, ..plain });
    vec![open.clone(), begin, Op::Disconnect(0), send(0, None, 9, plain), Op::Name(0)]
}

/// An option is changed between the two pieces of a datagram.
fn changed(open: &Op, whom: IpAddr, opt: Opt, value: i32, control: Control) -> Vec<Op> {
    let begin = send(0, to(whom), 9, Control { more: true, ..control });
    vec![open.clone(), begin, Op::Set(0, opt, value), send(0, None, 9, Control::default())]
}

fn arrive_at_first(domain: Domain) -> Op {
    match domain {
        Domain::V4 => arrive(who::PEERS[0], who::OWN[0]),
        Domain::V6 => arrive(who::PEERS6[0], who::OWN6[0]),
    }
}

/// Of three sockets in one place one is bound to share the port, and one that is bound later wants to only then.
fn late_sharer() -> Vec<Op> {
    let open = |slot| [Op::Open(slot, Domain::V4), Op::Set(slot, Opt::ReuseAddr, 1)];
    let sharing = |slot| Op::Set(slot, Opt::ReusePort, 1);
    let mut ops = Vec::from(open(0));
    ops.extend([sharing(0), bind(0, who::OWN[0])]);
    ops.extend(open(1));
    ops.extend([bind(1, who::OWN[0]), sharing(1), arrive_at_first(Domain::V4)]);
    ops
}

/// Of two that share a port, one is dissolved from whom it never was connected to.
fn moved_sharer(domain: Domain, any: IpAddr, slot: Slot) -> Vec<Op> {
    let sharer = |slot| [Op::Open(slot, domain), Op::Set(slot, Opt::ReusePort, 1), bind(slot, any)];
    let mut ops = [sharer(0), sharer(1)].concat();
    ops.extend([Op::Disconnect(slot), arrive_at_first(domain)]);
    ops
}
