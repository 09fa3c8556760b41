//! Where pollcast does otherwise than Linux on purpose, and why.

use std::net::IpAddr;

use nix::errno::Errno;

use super::ops::{
    At, Complaint, Domain, Left, NO_INTERFACE, Op, Opt, Port, Received, Report, Slot, Step, Value, who,
};

/// One of them: whether a step that differs is one of its kind.
pub struct Exception {
    /// The row, or the reason.
    pub why: &'static str,
    is_it: fn(&Case<'_>) -> bool,
}

/// A step that differs.
struct Case<'a> {
    op: &'a Op,
    before: &'a [Op],
    linux: &'a Step,
    pollcast: &'a Step,
}

/// Each has an [example](super::examples::examples), which must really differ.
pub const EXCEPTIONS: &[Exception] = &[
    Exception {
        why: "RFC 1122 3.3.4.2: a datagram leaves by the interface that has its source; on Linux by the route alone",
        is_it: |case| {
            let both = first(case.linux).zip(first(case.pollcast));
            let differ = |a: &Sent, b: &Sent| {
                a.interface != b.interface && a.ends == b.ends || case.is_bound() && a.ends.0 != b.ends.0
            };
            case.is_way() && both.is_some_and(|(a, b)| differ(&a, &b))
        },
    },
    Exception {
        why: "U27: what goes to a group with a TTL or hop limit of 0 never leaves; Linux lets it out where no loopback copy takes its \
            place",
        is_it: |case| {
            let left = first(case.linux);
            case.leaves_nothing() && left.is_some_and(|sent| sent.ttl == 0 && sent.ends.1.is_multicast())
        },
    },
    Exception {
        why: "P12: a link-local address needs its scope id to be sent to; Linux guesses",
        is_it: |case| {
            let to = case.to();
            to.is_some_and(|to| is_of_link(to.ip) && to.scope == NO_INTERFACE) && case.fails(Errno::EINVAL)
        },
    },
    Exception {
        why: "what is bound to one interface sends by no other; Linux by that of a link-local destination's scope",
        is_it: |case| {
            let names = case.to().is_some_and(|to| to.scope != NO_INTERFACE);
            names && case.is_bound() && (case.fails(Errno::EINVAL) || case.fails(Errno::EADDRNOTAVAIL))
        },
    },
    Exception {
        why: "an interface that is named is the only one, and what no route leads to is not on its link; Linux sends by \
            another's route, or asks that link",
        is_it: |case| {
            (case.names_interface() || case.is_way() && case.is_bound()) && case.fails(Errno::ENETUNREACH)
        },
    },
    Exception {
        why: "an interface that is named is the only one; Linux finds an own address of IPv6 by whichever is named",
        is_it: |case| {
            let is_own = |op: &Op| matches!(op, Op::Send { to: Some(to), .. } if who::OWN6.contains(&to.ip));
            let to_own = case.sends().any(is_own);
            let ours = first(case.pollcast);
            let is_elsewhere = |sent: &Sent| who::interface_of(sent.ends.1) != Some(sent.interface);
            case.names_interface()
                && to_own
                && case.linux.result == case.pollcast.result
                && ours.is_some_and(|sent| is_elsewhere(&sent))
        },
    },
    Exception {
        why: "U12, U14: of those that share a port the best hears, and of the best a flow's; Linux asks the first that it meets, and a \
            connected one among them confuses it",
        is_it: |case| {
            let connects = case.before.iter().any(|op| matches!(op, Op::Connect(..)));
            let is_on_one = case.before.iter().any(names_interface);
            let shares = case.before.iter().any(|op| matches!(op, Op::Set(_, Opt::ReusePort, 1)));
            let by_flow = match (&case.linux.result, &case.pollcast.result) {
                (
                    Ok(Value::Shared { before, keeps: true, .. }),
                    Ok(Value::Shared { before: ours, keeps: true, .. }),
                ) => before == ours && (connects || is_on_one),
                _ => false,
            };
            by_flow
                || shares
                    && is_on_one
                    && case.hears_otherwise(|one| one.to.is_some_and(|to| !is_for_many(to)))
        },
    },
    Exception {
        why: "U16, U18: a membership is of one interface; Linux's sockets of IPv6 are ruled by the first membership of the group that is \
            found, wherever that is",
        is_it: |case| {
            let joins = |op: &Op| match op {
                Op::Member { group, .. } | Op::SetFilter { group, .. } => group.is_ipv6(),
                _ => false,
            };
            case.before.iter().any(joins)
                && case.hears_otherwise(|one| one.to.is_some_and(|to| to.is_ipv6() && to.is_multicast()))
        },
    },
    Exception {
        why: "U29: beside a source of another interface of ours, our address is one of the interface by which it came; on Linux that \
            source",
        is_it: |case| match (&case.linux.result, &case.pollcast.result) {
            (Ok(Value::Received(all)), Ok(Value::Received(ours))) => {
                let is_so = |(one, other): (&Received, &Received)| {
                    let from = one.from.map(|from| from.ip.to_canonical());
                    let elsewhere = from.and_then(who::interface_of).is_some_and(|of| of != one.interface);
                    one == other || elsewhere && Received { local: one.local, ..other.clone() } == *one
                };
                all.len() == ours.len() && all.iter().zip(ours).all(is_so)
            }
            _ => false,
        },
    },
    Exception {
        why: "T01, RFC 8201: a path is one of one interface; Linux's to a group of IPv6 is one of every interface",
        is_it: |case| {
            let too_big = |op: &Op| matches!(op, Op::Complain { what: Complaint::TooBig(_), .. });
            let is_group = |sent: &Sent| sent.ends.1.is_ipv6() && sent.ends.1.is_multicast();
            let both = first(case.linux).zip(first(case.pollcast));
            let alike = |(a, b): &(Sent, Sent)| {
                is_group(a) && a.ends == b.ends && a.interface == b.interface && a.piece < b.piece
            };
            case.before.iter().any(too_big) && both.as_ref().is_some_and(alike)
        },
    },
    Exception {
        why: "C15, RFC 1122 3.2.2: no error about a datagram to everyone is believed; Linux tells of it",
        is_it: |case| {
            let sent = |op: &Op| match op {
                Op::Send { to: Some(to), .. } | Op::Connect(_, to) => is_for_many(to.ip.to_canonical()),
                _ => false,
            };
            let complained = case.before.iter().any(|op| matches!(op, Op::Complain { .. }));
            let is_told = case.is_told() || matches!(case.op, Op::Arrive { .. });
            is_told && complained && case.before.iter().any(sent) && case.linux_tells_more()
        },
    },
    Exception {
        why: "what is bound to one interface is told what becomes of what it sends this host; on Linux another one, of the loopback \
            device, is asked for that",
        is_it: |case| {
            let own = |op: &Op| match op {
                Op::Send { to: Some(to), .. } | Op::Connect(_, to) => {
                    who::interface_of(to.ip.to_canonical()).is_some()
                }
                _ => false,
            };
            case.is_told() && case.is_bound() && case.before.iter().any(own) && case.pollcast_tells_more()
        },
    },
    Exception {
        why: "P09: whoever dissolves a connection hears on all its addresses again; Linux's socket of IPv6 is found only where the \
            connection was",
        is_it: |case| {
            let v6 = |slot: Slot| {
                case.before.iter().any(|op| matches!(op, Op::Open(of, Domain::V6) if *of == slot))
            };
            let dissolved = case.before.iter().any(|op| matches!(op, Op::Disconnect(slot) if v6(*slot)));
            let refused = |step: &Step| matches!(step.left.first(), Some(Left::Error { .. }));
            let arrives =
                matches!(case.op, Op::Arrive { .. }) && refused(case.linux) && !refused(case.pollcast);
            dissolved && (arrives || case.hears_more() || case.is_told() && case.pollcast_tells_more())
        },
    },
    Exception {
        why: "P06: a filter is read of the interface on which a group is joined that no interface is named for, over IPv6 as by IP_MSFILTER; \
            Linux finds none of IPv6 there",
        is_it: |case| {
            matches!(case.op, Op::Filter { interface: NO_INTERFACE, group: IpAddr::V6(_), .. })
                && case.linux.result == Err(Errno::EADDRNOTAVAIL)
                && case.pollcast.result.is_ok()
        },
    },
    Exception {
        why: "RFC 4007 6: a link-local address is none on another link; Linux sends from it there, once its socket may use every \
            interface",
        is_it: |case| {
            let slot = case.op.slot();
            let is_local = |op: &Op| matches!(op, Op::Bind(of, at) if Some(*of) == slot && is_of_link(at.ip));
            case.is_way() && case.fails(Errno::EADDRNOTAVAIL) && case.before.iter().any(is_local)
        },
    },
    Exception {
        why: "UDP_CORK, MSG_MORE: where a datagram goes, its first piece says, and a connection's do its peer; Linux has one place for the \
            addresses of both, and connect(2) to one of IPv4 writes over those of a datagram that is begun, or that over the connection's",
        is_it: |case| {
            let of_it = || case.of_its_socket();
            let connects =
                of_it().any(|op| matches!(op, Op::Connect(_, to) if to.ip.to_canonical().is_ipv4()));
            // It may look for the new address on the old link, where nobody answers.
            let theirs = first(case.linux).map(|sent| (sent.ends, sent.ports));
            let differs = |ours: Sent| theirs != Some((ours.ends, ours.ports));
            let goes_elsewhere = first(case.pollcast).is_some_and(differs);
            of_it().any(begins) && connects && (goes_elsewhere || case.is_told_of_another())
        },
    },
    Exception {
        why: "UDP_CORK, MSG_MORE: who has given its port up since it began a datagram ends that as it was begun; Linux sends from port 0",
        is_it: |case| {
            let gives_up = case.of_its_socket().any(|op| matches!(op, Op::Disconnect(_)));
            let both = first(case.linux).zip(first(case.pollcast));
            gives_up
                && case.of_its_socket().any(begins)
                && both.is_some_and(|(a, b)| a.ports.0 == Port::Number(0) && a.ends == b.ends)
        },
    },
];

/// Which of them a difference at the last of `ops` is, if any.
pub fn exception(ops: &[Op], [linux, pollcast]: [&Step; 2]) -> Option<usize> {
    let (op, before) = ops.split_last()?;
    let case = Case { op, before, linux, pollcast };
    EXCEPTIONS.iter().position(|exception| (exception.is_it)(&case))
}

impl Case<'_> {
    fn is_way(&self) -> bool {
        matches!(self.op, Op::Send { .. } | Op::Connect(..) | Op::Set(_, Opt::Cork, _))
    }

    fn fails(&self, errno: Errno) -> bool {
        self.pollcast.result == Err(errno)
    }

    fn to(&self) -> Option<At> {
        match self.op {
            Op::Send { to, .. } => *to,
            Op::Connect(_, to) => Some(*to),
            _ => None,
        }
    }

    /// pollcast takes a datagram and does not send it.
    fn leaves_nothing(&self) -> bool {
        matches!(self.op, Op::Send { .. }) && self.pollcast.result.is_ok() && self.pollcast.left.is_empty()
    }

    /// Its socket is bound to an interface, by an option or an address.
    fn is_bound(&self) -> bool {
        let slot = self.op.slot();
        self.before.iter().any(|op| op.slot() == slot && names_interface(op))
    }

    /// It sends, and says by which interface.
    fn names_interface(&self) -> bool {
        self.sends().any(|op| match op {
            Op::Send { control, .. } => control.info.is_some_and(|(_, on)| on != NO_INTERFACE),
            _ => false,
        })
    }

    /// What its socket has done before.
    fn of_its_socket(&self) -> impl Iterator<Item = &Op> {
        self.before.iter().filter(|op| op.slot() == self.op.slot())
    }

    /// The datagrams that may leave now: this one, and those that were begun.
    fn sends(&self) -> impl Iterator<Item = &Op> {
        self.of_its_socket().filter(|op| begins(op)).chain([self.op])
    }

    /// pollcast has received what Linux has not.
    fn hears_more(&self) -> bool {
        let heard = heard(self.linux).zip(heard(self.pollcast));
        heard.is_some_and(|(all, ours)| ours.len() > all.len())
    }

    /// The one has received what the other has not, and all of that is so.
    fn hears_otherwise(&self, so: fn(&Received) -> bool) -> bool {
        let Some((all, ours)) = heard(self.linux).zip(heard(self.pollcast)) else { return false };
        let only =
            |one: &[Heard], other: &[Heard]| one.iter().filter(|r| !other.contains(r)).all(|(_, r)| so(r));
        all != ours && only(&all, &ours) && only(&ours, &all)
    }

    /// Both tell of the same errors, but of datagrams to others.
    fn is_told_of_another(&self) -> bool {
        let (Ok(Value::Reports(all)), Ok(Value::Reports(ours))) = (&self.linux.result, &self.pollcast.result)
        else {
            return false;
        };
        let nowhere = |all: &[Report]| -> Vec<Report> {
            all.iter().map(|report| Report { to: None, ..report.clone() }).collect()
        };
        nowhere(all) == nowhere(ours)
    }

    /// It may be told of an error.
    fn is_told(&self) -> bool {
        matches!(
            self.op,
            Op::Errors(_)
                | Op::Report(_)
                | Op::TakeError(_)
                | Op::Drain(_)
                | Op::Receive { .. }
                | Op::Send { .. }
        )
    }

    fn linux_tells_more(&self) -> bool {
        tells_more(self.linux, self.pollcast)
    }

    fn pollcast_tells_more(&self) -> bool {
        tells_more(self.pollcast, self.linux)
    }
}

/// `one` tells of an error, or of one more.
fn tells_more(one: &Step, other: &Step) -> bool {
    match (&one.result, &other.result) {
        (Ok(Value::Reports(all)), Ok(Value::Reports(others))) => all.len() > others.len(),
        (Ok(Value::Shared { before, .. }), Ok(Value::Shared { before: others, .. })) => {
            before.iter().zip(others).any(|(one, other)| one.1.is_err() && other.1.is_ok())
        }
        (Ok(Value::Number(errno)), Ok(Value::Number(0))) => *errno != 0,
        (Err(_), Ok(_)) => true,
        (Err(errno), Err(Errno::EAGAIN)) => *errno != Errno::EAGAIN,
        _ => false,
    }
}

/// A datagram, and which of several sockets heard it.
type Heard = (Option<Slot>, Received);

/// What a step had sockets hear.
fn heard(step: &Step) -> Option<Vec<Heard>> {
    match &step.result {
        Ok(Value::Received(all)) => Some(all.iter().map(|one| (None, one.clone())).collect()),
        Err(Errno::EAGAIN) => Some(Vec::new()),
        Ok(Value::Shared { before, .. }) => {
            let of = |(slot, all): &(Slot, Result<Vec<Received>, Errno>)| {
                let slot = Some(*slot);
                all.clone().unwrap_or_default().into_iter().map(move |one| (slot, one))
            };
            Some(before.iter().flat_map(of).collect())
        }
        _ => None,
    }
}

/// The first datagram that left.
struct Sent {
    interface: u32,
    ends: (IpAddr, IpAddr),
    ports: (Port, Port),
    ttl: u8,
    /// Length of its first piece.
    piece: usize,
}

fn first(step: &Step) -> Option<Sent> {
    match step.left.first() {
        Some(Left::Datagram { interface, from, to, ttl, pieces, .. }) => {
            let piece = pieces.first().map_or(0, |(_, len)| *len);
            let (ends, ports) = ((from.ip, to.ip), (from.port, to.port));
            Some(Sent { interface: *interface, ends, ports, ttl: *ttl, piece })
        }
        _ => None,
    }
}

fn is_of_link(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

fn is_for_many(ip: IpAddr) -> bool {
    ip.is_multicast() || ip == who::BROADCAST || ip == who::LIMITED
}

/// Whether it puts a socket on one interface.
fn names_interface(op: &Op) -> bool {
    match op {
        Op::Set(_, Opt::BindToDevice, _) => true,
        Op::Bind(_, at) | Op::Connect(_, at) => at.scope != NO_INTERFACE,
        _ => false,
    }
}

/// Whether a datagram may be begun with it that others end.
fn begins(op: &Op) -> bool {
    match op {
        Op::Send { control, .. } => control.more,
        Op::Set(_, opt, value) => *opt == Opt::Cork && *value != 0,
        _ => false,
    }
}
