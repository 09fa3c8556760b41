//! Short sequences in which pollcast once did otherwise than Linux.

use super::ops::*;
use super::short::*;

/// Each with the sockets that it opens.
pub fn once_differed() -> Vec<Vec<Op>> {
    let (v4, v6) = (Op::Open(0, Domain::V4), Op::Open(0, Domain::V6));
    let plain = Control::default();
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
