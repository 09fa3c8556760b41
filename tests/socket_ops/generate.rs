//! Random sequences in which things happen: few ports, addresses and groups, so that sockets conflict, share, and hear the
//! same datagrams.

use std::net::{IpAddr, Ipv4Addr};

use fastrand::Rng;

use super::ops::*;

/// The ports that sockets of sequences ask for.
const PORTS: [u16; 2] = [5000, 5001];
/// Those of the other hosts.
const PEER_PORTS: [u16; 2] = [7000, 7001];

/// What a sequence is mostly about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Theme {
    /// Who may bind, and who hears.
    Binding,
    /// Groups and their sources.
    Groups,
    /// Connected sockets, what they send, and what is said about it.
    Sending,
}

const THEMES: [Theme; 3] = [Theme::Binding, Theme::Groups, Theme::Sending];

/// The sequence of a seed.
pub fn sequence(seed: u64) -> Vec<Op> {
    let mut rng = Rng::with_seed(seed);
    let theme = THEMES[rng.usize(..THEMES.len())];
    // Most sequences speak of one version, or of both at once.
    let domains = match rng.u8(..4) {
        0 | 1 => [Domain::V4; 2],
        2 => [Domain::V6; 2],
        _ => [Domain::V4, Domain::V6],
    };
    let mut made = Made { rng, theme, domains, sockets: [const { None }; SLOTS], ops: Vec::new() };
    let len = made.rng.usize(15..60);
    for slot in 0..made.rng.usize(1..4) {
        made.open(slot);
    }
    while made.ops.len() < len {
        made.next();
    }
    // Whatever is in a queue counts.
    for slot in 0..SLOTS {
        if made.sockets[slot].is_some() {
            made.ops.extend([Op::Drain(slot), Op::Errors(slot)]);
        }
    }
    made.ops
}

struct Made {
    rng: Rng,
    theme: Theme,
    domains: [Domain; 2],
    sockets: [Option<Sketch>; SLOTS],
    ops: Vec<Op>,
}

/// What a socket probably is by now, so that what comes next has to do with it.
#[derive(Clone, Debug)]
struct Sketch {
    domain: Domain,
    local: Option<IpAddr>,
    peer: Option<At>,
    joined: Vec<(u32, IpAddr, Option<IpAddr>)>,
}

impl Made {
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.rng.usize(..from.len())]
    }

    /// Once in so many times.
    fn once_in(&mut self, times: u32) -> bool {
        self.rng.u32(..times) == 0
    }

    /// A socket as programs make one: options, bind, perhaps groups.
    fn open(&mut self, slot: Slot) {
        let domain = self.pick(&self.domains.clone());
        self.sockets[slot] = Some(Sketch { domain, local: None, peer: None, joined: Vec::new() });
        self.ops.push(Op::Open(slot, domain));
        let reuses = match self.theme {
            Theme::Binding => {
                self.pick(&[&[][..], &[Opt::ReuseAddr], &[Opt::ReusePort], &[Opt::ReuseAddr, Opt::ReusePort]])
            }
            _ => self.pick(&[&[Opt::ReuseAddr][..], &[Opt::ReuseAddr], &[Opt::ReusePort], &[]]),
        };
        self.ops.extend(reuses.iter().map(|opt| Op::Set(slot, *opt, 1)));
        for _ in 0..self.rng.u32(..3) {
            self.set(slot);
        }
        if self.rng.bool() || self.theme != Theme::Sending {
            self.bind(slot);
        }
        if self.theme == Theme::Groups {
            for _ in 0..self.rng.u32(1..3) {
                self.member(slot);
            }
        }
    }

    fn next(&mut self) {
        let slot = self.rng.usize(..SLOTS);
        if self.sockets[slot].is_none() {
            if self.once_in(2) {
                self.open(slot);
            } else {
                self.arrive();
            }
            return;
        };
        let [binding, groups, sending] = THEMES.map(|theme| 1 + u32::from(theme == self.theme) * 4);
        let weights = [
            (12 + binding * 2, Self::arrive_to as fn(&mut Self, Slot)),
            (5, |made, slot| made.ops.push(Op::Drain(slot))),
            (3, Self::receive),
            (1 + binding, |made, slot| {
                if made.sketch(slot).local.is_none() || made.once_in(4) {
                    made.bind(slot);
                }
            }),
            (2, Self::set),
            (1, Self::get),
            (groups * 2, Self::member),
            (groups / 2, Self::set_filter),
            (groups / 2, Self::filter),
            (2 + sending * 2, Self::send),
            (sending, Self::connect),
            (sending / 2, |made, slot| {
                let value = made.pick(&[0, 0, 1]);
                made.ops.push(Op::Set(slot, Opt::Cork, value));
            }),
            (sending / 2, |made, slot| {
                made.sketch(slot).peer = None;
                made.ops.push(Op::Disconnect(slot));
            }),
            (sending, |made, _| made.complain(1)),
            (sending, Self::send_in_vain),
            (1, |made, slot| made.ops.push(Op::TakeError(slot))),
            (1, |made, slot| made.ops.push(Op::Errors(slot))),
            (1, |made, slot| made.ops.push(Op::Report(slot))),
            (1, |made, slot| made.ops.push(Op::Name(slot))),
            (1, |made, slot| made.ops.push(Op::Peer(slot))),
            (1, |made, slot| {
                made.sockets[slot] = None;
                made.ops.push(Op::Close(slot));
            }),
        ];
        let all: u32 = weights.iter().map(|(weight, _)| weight).sum();
        let mut left = self.rng.u32(..all);
        for (weight, make) in weights {
            if left < weight {
                return make(self, slot);
            }
            left -= weight;
        }
    }

    fn sketch(&mut self, slot: Slot) -> &mut Sketch {
        self.sockets[slot].as_mut().expect("an open socket")
    }

    fn domain(&self, slot: Slot) -> Domain {
        self.sockets[slot].as_ref().map_or(Domain::V4, |socket| socket.domain)
    }

    fn port(&mut self) -> Port {
        Port::Number(self.pick(&[PORTS[0], PORTS[0], PORTS[0], PORTS[1]]))
    }

    /// The port of a socket, by number or because it is its.
    fn port_of_someone(&mut self) -> Port {
        if self.once_in(3) { Port::Of(self.rng.usize(..SLOTS)) } else { self.port() }
    }

    fn scope(&mut self) -> u32 {
        self.pick(&[FIRST, FIRST, FIRST, SECOND, NO_INTERFACE])
    }

    fn interface(&mut self) -> u32 {
        self.pick(&[FIRST, FIRST, FIRST, SECOND, SECOND, NO_INTERFACE, NO_INTERFACE, MISSING])
    }

    fn bind(&mut self, slot: Slot) {
        let domain = self.domain(slot);
        let port = if self.once_in(6) { Port::Number(0) } else { self.port_of_someone() };
        let ip = match domain {
            Domain::V4 => self.local4(),
            Domain::V6 if self.once_in(6) => match self.local4() {
                who::ANY => who::ANY6,
                ip => mapped(ip),
            },
            Domain::V6 => self.local6(),
        };
        let scope = match who::LOCAL6.iter().position(|own| *own == ip) {
            Some(n) if !self.once_in(8) => [FIRST, SECOND][n],
            _ => self.scope_for(ip),
        };
        self.sketch(slot).local.get_or_insert(ip);
        self.ops.push(Op::Bind(slot, At::new(ip, port).on(scope)));
    }

    fn local4(&mut self) -> IpAddr {
        match self.rng.u8(..16) {
            0..=5 => who::ANY,
            6..=9 => who::OWN[0],
            10 => who::OWN[1],
            11 => who::OWN[2],
            12 | 13 => self.pick(&who::GROUPS),
            14 => self.pick(&[who::BROADCAST, who::LIMITED]),
            _ => self.pick(&[who::FOREIGN, who::ALL_HOSTS]),
        }
    }

    fn local6(&mut self) -> IpAddr {
        match self.rng.u8(..16) {
            0..=5 => who::ANY6,
            6..=9 => who::OWN6[0],
            10 => who::OWN6[1],
            11 => who::OWN6[2],
            12 | 13 => self.pick(&who::GROUPS6),
            14 => self.pick(&who::LOCAL6),
            _ => who::FOREIGN6,
        }
    }

    /// P12: a link-local address needs one, most of the time it has.
    fn scope_for(&mut self, ip: IpAddr) -> u32 {
        match ip {
            IpAddr::V6(ip) if ip.is_unicast_link_local() || ip.octets()[..2] == [0xff, 2] => self.scope(),
            _ => NO_INTERFACE,
        }
    }

    fn set(&mut self, slot: Slot) {
        let of_v4 = [
            Opt::MulticastAll,
            Opt::MulticastLoop,
            Opt::MulticastTtl,
            Opt::MulticastIf,
            Opt::Ttl,
            Opt::Tos,
            Opt::MtuDiscover,
            Opt::RecvErr,
            Opt::Broadcast,
            Opt::NoCheck,
        ];
        let of_v6 = [
            Opt::MulticastAll6,
            Opt::MulticastLoop6,
            Opt::MulticastHops,
            Opt::MulticastIf6,
            Opt::UnicastHops,
            Opt::TrafficClass,
            Opt::MtuDiscover6,
            Opt::RecvErr6,
            Opt::V6Only,
        ];
        let of_both = [Opt::ReuseAddr, Opt::ReusePort, Opt::BindToDevice, Opt::Broadcast];
        let opt = match (self.rng.u8(..4), self.domain(slot)) {
            (0, _) => self.pick(&of_both),
            (1, Domain::V6) | (_, Domain::V4) => self.pick(&of_v4),
            (_, Domain::V6) => self.pick(&of_v6),
        };
        let value = self.value(opt);
        self.ops.push(Op::Set(slot, opt, value));
    }

    fn value(&mut self, opt: Opt) -> i32 {
        match opt {
            Opt::BindToDevice => i32::try_from(self.pick(&[FIRST, FIRST, SECOND, NO_INTERFACE])).unwrap(),
            Opt::MulticastIf | Opt::MulticastIf6 => i32::try_from(self.interface()).unwrap(),
            Opt::MulticastTtl | Opt::MulticastHops => self.pick(&[0, 1, 2, 255, -1, 256]),
            Opt::Ttl | Opt::UnicastHops => self.pick(&[1, 7, 255, 0, -1, 256]),
            Opt::Tos | Opt::TrafficClass => self.pick(&[0, 0x10, 0xb8, 0x03, 255]),
            Opt::MtuDiscover | Opt::MtuDiscover6 => self.pick(&[0, 1, 2, 3, 4, 5, 6]),
            _ => self.pick(&[0, 1, 1]),
        }
    }

    fn get(&mut self, slot: Slot) {
        let opt = match self.domain(slot) {
            Domain::V4 => {
                self.pick(&[Opt::MulticastTtl, Opt::MulticastLoop, Opt::Ttl, Opt::Tos, Opt::MtuDiscover])
            }
            Domain::V6 => self.pick(&[
                Opt::MulticastHops,
                Opt::MulticastLoop6,
                Opt::UnicastHops,
                Opt::TrafficClass,
                Opt::MtuDiscover6,
                Opt::V6Only,
            ]),
        };
        self.ops.push(Op::Get(slot, opt));
    }

    /// A group, in the version of the socket or now and then the other.
    fn group(&mut self, slot: Slot) -> IpAddr {
        match (self.domain(slot), self.rng.u8(..16)) {
            (Domain::V4, 0) => who::OWN[0],
            (Domain::V6, 0) => self.pick(&[who::OWN[0], who::OWN6[0]]),
            (Domain::V4, 1) => who::ALL_HOSTS,
            (Domain::V6, 1) => who::ALL_NODES,
            (Domain::V6, 2) | (Domain::V4, _) => self.pick(&[0, 0, 1, 2].map(|n: usize| who::GROUPS[n])),
            (Domain::V6, _) => self.pick(&[0, 0, 1, 2].map(|n: usize| who::GROUPS6[n])),
        }
    }

    fn source_for(&mut self, group: IpAddr) -> IpAddr {
        if group.is_ipv4() {
            self.pick(&[who::PEERS[0], who::PEERS[0], who::PEERS[1], who::PEERS[2], who::OWN[0]])
        } else {
            self.pick(&[who::PEERS6[0], who::PEERS6[0], who::PEERS6[1], who::PEERS6[2], who::OWN6[0]])
        }
    }

    fn member(&mut self, slot: Slot) {
        let (mut group, mut interface) = (self.group(slot), self.interface());
        let mut source = None;
        let joined = self.sketch(slot).joined.clone();
        if !joined.is_empty() && !self.once_in(3) {
            (interface, group, source) = joined[self.rng.usize(..joined.len())];
        }
        let verb = self.pick(&[
            Verb::Join,
            Verb::Join,
            Verb::Leave,
            Verb::JoinSource,
            Verb::JoinSource,
            Verb::LeaveSource,
            Verb::Block,
            Verb::Unblock,
        ]);
        let is_ssm = group == who::GROUPS[2] || group == who::GROUPS6[2];
        let verb = if is_ssm && verb == Verb::Join && !self.once_in(12) { Verb::JoinSource } else { verb };
        let of_source = !matches!(verb, Verb::Join | Verb::Leave);
        let source = source.filter(|_| self.rng.bool()).unwrap_or_else(|| self.source_for(group));
        let source = of_source.then_some(source);
        if matches!(verb, Verb::Join | Verb::JoinSource | Verb::Block) {
            self.sketch(slot).joined.push((interface, group, source));
        }
        self.ops.push(Op::Member { slot, verb, interface, group, source });
    }

    fn set_filter(&mut self, slot: Slot) {
        let (mut group, mut interface, exclude) = (self.group(slot), self.interface(), self.rng.bool());
        let joined = self.sketch(slot).joined.clone();
        if !joined.is_empty() && !self.once_in(4) {
            (interface, group, _) = joined[self.rng.usize(..joined.len())];
        }
        let mut sources: Vec<_> = (0..self.rng.u32(..3)).map(|_| self.source_for(group)).collect();
        if !self.once_in(8) {
            sources.sort();
            sources.dedup();
        }
        self.ops.push(Op::SetFilter { slot, interface, group, exclude, sources });
    }

    fn filter(&mut self, slot: Slot) {
        let (mut group, mut interface) = (self.group(slot), self.interface());
        let joined = self.sketch(slot).joined.clone();
        if !joined.is_empty() && !self.once_in(6) {
            (interface, group, _) = joined[self.rng.usize(..joined.len())];
        }
        self.ops.push(Op::Filter { slot, interface, group });
    }

    fn peer(&mut self, slot: Slot) -> At {
        let port = Port::Number(self.pick(&PEER_PORTS));
        let v4 = match self.domain(slot) {
            Domain::V4 => !self.once_in(20),
            Domain::V6 => self.once_in(6),
        };
        let ip = match (v4, self.rng.u8(..16)) {
            (true, 0..=5) => who::PEERS[0],
            (true, 6 | 7) => who::PEERS[1],
            (true, 8 | 9) => who::PEERS[2],
            (true, 10 | 11) => who::FAR,
            (true, 12) => self.pick(&who::OWN),
            (true, 13) => self.pick(&who::GROUPS),
            (true, 14) => self.pick(&[who::BROADCAST, who::LIMITED]),
            (true, _) => self.pick(&who::GROUPS),
            (false, 0..=5) => who::PEERS6[0],
            (false, 6 | 7) => who::PEERS6[1],
            (false, 8 | 9) => who::PEERS6[2],
            (false, 10) => who::FAR6,
            (false, 11 | 12) => self.pick(&who::LOCAL_PEERS6),
            (false, 13) => self.pick(&who::OWN6),
            (false, _) => self.pick(&who::GROUPS6),
        };
        let is_own = who::OWN.contains(&ip) || who::OWN6.contains(&ip);
        let is_group = ip.is_multicast() || ip == who::BROADCAST || ip == who::LIMITED;
        // A socket of ours may be meant.
        let port = match (is_own, is_group) {
            (true, _) => self.port_of_someone(),
            (_, true) => self.port(),
            _ if self.once_in(30) => Port::Number(0),
            _ => port,
        };
        let scope = self.scope_for(ip);
        let ip = if self.domain(slot) == Domain::V6 { mapped(ip) } else { ip };
        At::new(ip, port).on(scope)
    }

    fn connect(&mut self, slot: Slot) {
        let peer = self.peer(slot);
        self.sketch(slot).peer = Some(peer);
        self.ops.push(Op::Connect(slot, peer));
    }

    fn send(&mut self, slot: Slot) {
        let to = (!self.once_in(4)).then(|| self.peer(slot));
        let len = match self.rng.u8(..16) {
            0 => 0,
            1 => 1472,
            2 => 1453,
            3 => 3000,
            4 if self.once_in(3) => 65507,
            4 if self.once_in(2) => 65508,
            4 => 65536,
            _ => self.rng.usize(1..64),
        };
        let mut control = Control::default();
        if self.once_in(4) {
            let peer = self.sketch(slot).peer;
            let info = match to.or(peer).map(|to| to.ip).filter(|_| self.domain(slot) == Domain::V6) {
                Some(IpAddr::V6(ip)) if ip.to_ipv4_mapped().is_none() => (
                    self.pick(&[who::ANY6, who::OWN6[0], who::OWN6[1], who::OWN6[2], who::FOREIGN6]),
                    self.interface(),
                ),
                _ => (
                    self.pick(&[who::ANY, who::OWN[0], who::OWN[1], who::OWN[2], who::FOREIGN]),
                    self.interface(),
                ),
            };
            control.info = Some(info);
        }
        if self.once_in(10) {
            control.ttl = Some(self.pick(&[1, 9, 255, 0]));
        }
        if self.once_in(10) {
            control.tos = Some(self.pick(&[0x20, 0x02]));
        }
        control.more = self.theme == Theme::Sending && self.once_in(8);
        self.ops.push(Op::Send { slot, to, len, control });
        // Most datagrams that are begun are ended.
        if control.more && !self.once_in(4) {
            let len = self.pick(&[0, 7, 40, 1400]);
            self.ops.push(Op::Send { slot, to: None, len, control: Control::default() });
        }
    }

    fn receive(&mut self, slot: Slot) {
        let (room, peek) = (self.pick(&[0, 3, 100]), self.rng.bool());
        self.ops.push(Op::Receive { slot, room, peek });
    }

    /// A datagram to someone who does not want it.
    fn send_in_vain(&mut self, slot: Slot) {
        self.send(slot);
        self.complain(0);
        let next = self.pick(&[Op::TakeError as fn(Slot) -> Op, Op::Report, Op::Errors, Op::Drain, |slot| {
            Op::Send { slot, to: None, len: 9, control: Control::default() }
        }]);
        self.ops.push(next(slot));
    }

    fn complain(&mut self, last: usize) {
        let what = self.pick(&[
            Complaint::PortUnreachable,
            Complaint::PortUnreachable,
            Complaint::HostUnreachable,
            Complaint::Prohibited,
            Complaint::HopLimitExceeded,
            Complaint::TooBig(1300),
            Complaint::TooBig(1280),
        ]);
        let back = self.rng.usize(..=last);
        self.ops.push(Op::Complain { back, what });
    }

    /// A datagram to the port of this socket, and often to its address, from its peer or to a group of its.
    fn arrive_to(&mut self, slot: Slot) {
        let is_bound = self.sketch(slot).local.is_some() || self.sketch(slot).peer.is_some();
        let port = if self.once_in(4) || !is_bound { self.port() } else { Port::Of(slot) };
        let is_v4 = match self.domain(slot) {
            Domain::V4 => true,
            Domain::V6 => self.once_in(4),
        };
        self.arrival(is_v4, port);
        let Sketch { local, peer, joined, .. } = self.sketch(slot).clone();
        let hits = !self.once_in(3);
        let group = if joined.is_empty() { None } else { Some(joined[self.rng.usize(..joined.len())]) };
        let group = group.filter(|_| self.rng.bool());
        let Some(Op::Arrive { interface, from, to, .. }) = self.ops.last_mut() else { return };
        if !hits {
            return;
        }
        let same = |ip: IpAddr| ip.is_ipv4() == is_v4;
        if let Some(ip) = local.map(|ip| ip.to_canonical()).filter(|ip| !ip.is_unspecified() && same(*ip)) {
            to.ip = ip;
        }
        if let Some((on, group, source)) = group.filter(|(_, group, _)| group.is_multicast() && same(*group))
        {
            to.ip = group;
            from.ip = source.unwrap_or(from.ip);
            *interface = if on == SECOND { SECOND } else { FIRST };
        }
        if let Some(peer) = peer.filter(|peer| same(peer.ip.to_canonical()) && !peer.ip.is_multicast()) {
            *from = At { ip: peer.ip.to_canonical(), ..peer };
        }
        // What a host sends itself, or takes for a forgery, does not come from its links; nor what is of another link.
        let second = |ip: IpAddr| [who::OWN[2], who::OWN6[2], who::PEERS[2], who::PEERS6[2]].contains(&ip);
        let is_link_local = |ip: IpAddr| who::LOCAL_PEERS6.contains(&ip) || who::LOCAL6.contains(&ip);
        let own = who::OWN.contains(&from.ip) || who::OWN6.contains(&from.ip);
        if own || from.ip == who::BROADCAST || from.ip == who::LIMITED {
            from.ip = if is_v4 { who::PEERS[0] } else { who::PEERS6[0] };
        }
        if !to.ip.is_multicast() && to.ip != who::LIMITED {
            *interface = if second(to.ip) || to.ip == who::LOCAL6[1] { SECOND } else { FIRST };
        }
        if is_link_local(from.ip) != is_link_local(to.ip) && !to.ip.is_multicast() && !is_v4 {
            from.ip = who::PEERS6[usize::from(*interface == SECOND) * 2];
        }
        if second(from.ip) != (*interface == SECOND) {
            let n = usize::from(*interface == SECOND) * 2;
            from.ip = if is_v4 { who::PEERS[n] } else { who::PEERS6[n] };
        }
    }

    fn arrive(&mut self) {
        let (port, domain) = (self.port(), self.pick(&self.domains.clone()));
        self.arrival(domain == Domain::V4, port);
    }

    fn arrival(&mut self, is_v4: bool, port: Port) {
        let second = self.once_in(5);
        let interface = if second { SECOND } else { FIRST };
        let from = match (is_v4, second) {
            (true, true) => who::PEERS[2],
            (true, false) => self.pick(&[who::PEERS[0], who::PEERS[0], who::PEERS[1], who::FAR]),
            (false, true) => who::PEERS6[2],
            (false, false) => self.pick(&[who::PEERS6[0], who::PEERS6[0], who::PEERS6[1], who::FAR6]),
        };
        let is_of_groups = self.theme == Theme::Groups;
        let to_group = self.once_in(if is_of_groups { 1 } else { 3 }) && !self.once_in(6);
        let to = match (is_v4, to_group, second) {
            (true, true, _) => self.pick(&who::GROUPS),
            (false, true, _) => self.pick(&who::GROUPS6),
            (true, false, true) => who::OWN[2],
            (false, false, true) => who::OWN6[2],
            (true, false, false) => self.pick(&[
                who::OWN[0],
                who::OWN[0],
                who::OWN[0],
                who::OWN[1],
                who::BROADCAST,
                who::LIMITED,
                who::ALL_HOSTS,
            ]),
            (false, false, false) => self.pick(&[who::OWN6[0], who::OWN6[0], who::OWN6[1], who::ALL_NODES]),
        };
        let sport = Port::Number(self.pick(&PEER_PORTS));
        let len = self.pick(&[0, 5, 8, 20, 200]);
        let (ttl, tos) = (self.pick(&[64, 1, 255]), self.pick(&[0, 0, 0x28, 0x01]));
        self.ops.push(Op::Arrive {
            interface,
            from: At::new(from, sport),
            to: At::new(to, port),
            len,
            ttl,
            tos,
        });
    }
}

/// RFC 4291 2.5.5.2: an IPv4 address as a socket of IPv6 says it.
fn mapped(ip: IpAddr) -> IpAddr {
    let map = |ip: Ipv4Addr| IpAddr::V6(ip.to_ipv6_mapped());
    match ip {
        IpAddr::V4(ip) => map(ip),
        IpAddr::V6(_) => ip,
    }
}
