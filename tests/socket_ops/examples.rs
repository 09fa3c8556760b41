//! The shortest sequence for each of the exceptions, in their order.

use super::ops::*;
use super::short::*;

/// One for each of [`EXCEPTIONS`](super::exceptions::EXCEPTIONS).
pub fn examples() -> Vec<Vec<Op>> {
    let (v4, v6) = (Op::Open(0, Domain::V4), Op::Open(0, Domain::V6));
    let plain = Control::default();
    let complain = |back, what| Op::Complain { back, what };
    let device = |slot, interface| Op::Set(slot, Opt::BindToDevice, number(interface));
    let local = |interface| Some(At::new(who::LOCAL_PEERS6[0], THEIRS).on(interface));
    vec![
        vec![v6.clone(), bind(0, who::OWN6[2]), send(0, to(who::GROUPS6[0]), 9, plain)],
        vec![v6.clone(), send(0, to(who::GROUPS6[0]), 9, Control { ttl: Some(0), ..plain })],
        vec![v6.clone(), send(0, local(NO_INTERFACE), 9, plain)],
        vec![v6.clone(), device(0, SECOND), send(0, local(FIRST), 9, plain)],
        vec![v4.clone(), send(0, to(who::PEERS[0]), 9, info(who::ANY, SECOND))],
        vec![v6.clone(), send(0, to(who::OWN6[2]), 9, info(who::OWN6[1], FIRST))],
        vec![
            v4.clone(),
            Op::Set(0, Opt::ReuseAddr, 1),
            device(0, SECOND),
            bind(0, who::ANY),
            Op::Open(1, Domain::V4),
            Op::Set(1, Opt::ReuseAddr, 1),
            Op::Set(1, Opt::ReusePort, 1),
            bind(1, who::ANY),
            Op::Arrive {
                interface: SECOND,
                from: At::new(who::PEERS[2], THEIRS),
                to: At::new(who::OWN[2], OURS),
                len: 5,
                ttl: 64,
                tos: 0,
            },
            Op::Drain(0),
        ],
        vec![
            v6.clone(),
            bind(0, who::ANY6),
            member(0, Verb::Join, FIRST, who::GROUPS6[0], None),
            member(0, Verb::JoinSource, SECOND, who::GROUPS6[0], Some(who::PEERS6[0])),
            arrive(who::PEERS6[1], who::GROUPS6[0]),
            Op::Drain(0),
        ],
        vec![
            v4.clone(),
            bind(0, who::ANY),
            member(0, Verb::Join, FIRST, who::GROUPS[0], None),
            Op::Open(1, Domain::V4),
            device(1, FIRST),
            send(1, Some(At::new(who::GROUPS[0], OURS)), 9, info(who::OWN[2], NO_INTERFACE)),
            Op::Drain(0),
        ],
        vec![
            v6.clone(),
            send(0, Some(At::new(who::GROUPS6[1], THEIRS).on(SECOND)), 3000, plain),
            complain(0, Complaint::TooBig(1280)),
            send(0, Some(At::new(who::GROUPS6[1], THEIRS).on(FIRST)), 3000, plain),
        ],
        vec![
            v4.clone(),
            Op::Set(0, Opt::RecvErr, 1),
            send(0, to(who::GROUPS[0]), 9, plain),
            complain(0, Complaint::HostUnreachable),
            Op::Errors(0),
        ],
        vec![v4.clone(), device(0, FIRST), connect(0, who::OWN[0]), send(0, None, 9, plain), Op::Drain(0)],
        vec![
            v6.clone(),
            bind(0, who::ANY6),
            connect(0, who::PEERS6[0]),
            Op::Disconnect(0),
            Op::Arrive {
                interface: SECOND,
                from: At::new(who::PEERS6[2], THEIRS),
                to: At::new(who::OWN6[2], OURS),
                len: 5,
                ttl: 64,
                tos: 0,
            },
        ],
        vec![
            v6.clone(),
            member(0, Verb::Join, NO_INTERFACE, who::GROUPS6[0], None),
            Op::Filter { slot: 0, interface: NO_INTERFACE, group: who::GROUPS6[0] },
        ],
        vec![
            v6,
            Op::Bind(0, At::new(who::LOCAL6[1], OURS).on(SECOND)),
            Op::Disconnect(0),
            connect(0, who::PEERS6[0]),
        ],
        vec![
            v4.clone(),
            send(0, to(who::PEERS[0]), 9, Control { more: true, ..plain }),
            connect(0, who::PEERS[1]),
            send(0, None, 9, plain),
        ],
        vec![
            v4,
            send(0, to(who::PEERS[0]), 9, Control { more: true, ..plain }),
            Op::Disconnect(0),
            Op::Set(0, Opt::Cork, 0),
        ],
    ]
}
