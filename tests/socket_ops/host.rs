//! A host that sequences are played to, and how that goes.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use nix::errno::Errno;

use super::ops::*;
use super::packets;

/// What is known of a datagram as it was read, with numbers for ports.
#[derive(Clone, Debug)]
pub struct Incoming {
    pub payload: Vec<u8>,
    pub len: usize,
    pub is_truncated: bool,
    pub from: Option<SocketAddr>,
    pub to: Option<IpAddr>,
    pub local: Option<std::net::Ipv4Addr>,
    pub interface: u32,
    pub ttl: Option<i32>,
    pub tos: Option<i32>,
}

/// What was read from an error queue.
#[derive(Clone, Debug)]
pub struct Told {
    pub errno: Errno,
    pub origin: u8,
    pub kind: u8,
    pub code: u8,
    pub info: u32,
    pub offender: Option<IpAddr>,
    pub to: Option<SocketAddr>,
}

/// Sockets, and the links on which they speak: Linux's or pollcast's. Whatever a call sets off has happened when it
/// returns. Interfaces and scopes have the numbers of sequences.
pub trait Host {
    fn open(&mut self, slot: Slot, domain: Domain) -> Result<(), Errno>;
    fn is_open(&self, slot: Slot) -> bool;
    fn close(&mut self, slot: Slot);
    fn set(&mut self, slot: Slot, opt: Opt, value: i32) -> Result<(), Errno>;
    fn get(&mut self, slot: Slot, opt: Opt) -> Result<i32, Errno>;
    fn bind(&mut self, slot: Slot, to: SocketAddr) -> Result<(), Errno>;
    fn connect(&mut self, slot: Slot, to: SocketAddr) -> Result<(), Errno>;
    fn disconnect(&mut self, slot: Slot) -> Result<(), Errno>;
    fn send(
        &mut self,
        slot: Slot,
        to: Option<SocketAddr>,
        payload: &[u8],
        control: Control,
    ) -> Result<usize, Errno>;
    fn receive(&mut self, slot: Slot, room: usize, peek: bool) -> Result<Incoming, Errno>;
    fn told(&mut self, slot: Slot) -> Result<Told, Errno>;
    fn take_error(&mut self, slot: Slot) -> i32;
    fn member(
        &mut self,
        slot: Slot,
        verb: Verb,
        interface: u32,
        group: IpAddr,
        source: Option<IpAddr>,
    ) -> Result<(), Errno>;
    fn set_filter(
        &mut self,
        slot: Slot,
        interface: u32,
        group: IpAddr,
        exclude: bool,
        sources: &[IpAddr],
    ) -> Result<(), Errno>;
    /// Whether it excludes, and what.
    fn filter(&mut self, slot: Slot, interface: u32, group: IpAddr) -> Result<(bool, Vec<IpAddr>), Errno>;
    fn name(&mut self, slot: Slot) -> Result<SocketAddr, Errno>;
    fn peer(&mut self, slot: Slot) -> Result<SocketAddr, Errno>;
    /// A frame arrives.
    fn arrive(&mut self, interface: u32, frame: &[u8]);
    /// What left the host since this was last asked, and by which interface.
    fn take_sent(&mut self) -> Vec<(u32, Vec<u8>)>;
    /// Before a new sequence: no socket is open, and no path is narrow.
    fn start_anew(&mut self);
}

/// How many of the datagrams that it sent may be complained about.
const REMEMBERED: usize = 4;

/// How many flows show who shares a port: with four members, one of them hears none of them once in 10^15.
const FLOWS: u16 = 128;

/// Room for any datagram.
pub const ROOM: usize = 1 << 16;

/// Plays a sequence to a host, and says what came of each step.
pub fn play(host: &mut dyn Host, ops: &[Op]) -> Vec<Step> {
    host.start_anew();
    host.take_sent();
    let mut player = Player {
        host,
        sent: VecDeque::new(),
        shares: [false; SLOTS],
        gathers: [const { Vec::new() }; SLOTS],
    };
    ops.iter().enumerate().map(|(number, op)| player.step(number, op)).collect()
}

struct Player<'a> {
    host: &'a mut dyn Host,
    /// Datagrams that the host sent, the latest last.
    sent: VecDeque<(u32, Vec<u8>)>,
    /// Which sockets have had SO_REUSEPORT.
    shares: [bool; SLOTS],
    /// To which ports each socket may have begun a datagram of several sends.
    gathers: [Vec<u16>; SLOTS],
}

impl Player<'_> {
    fn step(&mut self, number: usize, op: &Op) -> Step {
        let is_moot = match op {
            Op::Open(slot, _) => self.host.is_open(*slot),
            other => {
                other.slot().is_some_and(|slot| !self.host.is_open(slot))
                    || self.is_lottery(other)
                    || self.is_of_another_version(other)
            }
        };
        let result = if is_moot { Ok(Value::NoSocket) } else { self.call(number, op) };
        let sent = self.host.take_sent();
        let datagrams = sent.iter().filter(|(_, frame)| packets::is_datagram(frame));
        self.sent.extend(datagrams.cloned());
        self.sent.drain(..self.sent.len().saturating_sub(REMEMBERED));
        let names = self.names();
        let of = |interface: u32| sent.iter().filter(move |(i, _)| *i == interface).map(|(_, f)| f.clone());
        let left = [FIRST, SECOND].map(|interface| {
            packets::left(interface, &of(interface).collect::<Vec<_>>(), |port| named(&names, port))
        });
        Step { result, left: left.concat() }
    }

    /// U14: whether sockets share this port, so that a hash of the flow says who hears a datagram.
    fn is_shared(&mut self, port: u16) -> bool {
        let names = self.names();
        names.iter().filter(|(slot, of)| *of == port && self.shares[*slot]).count() > 1
    }

    /// Whether packet info is of the other IP version than where a datagram goes: Linux's control messages are of one version each, and
    /// it looks at one only.
    fn is_of_another_version(&mut self, op: &Op) -> bool {
        let Op::Send { slot, to, control: Control { info: Some((source, _)), .. }, .. } = *op else {
            return false;
        };
        let to = to.map(|to| to.ip).or_else(|| self.host.peer(slot).ok().map(|peer| peer.ip()));
        to.is_none_or(|to| to.to_canonical().is_ipv4() != source.is_ipv4())
    }

    /// Whether a datagram or error that a step sets off goes to whom a hash says. Of arrivals, [`shared`](Self::shared) takes
    /// care.
    fn is_lottery(&mut self, op: &Op) -> bool {
        match *op {
            Op::Send { slot, to, .. } => {
                let to = to.map(|to| self.number(to)).or_else(|| self.host.peer(slot).ok());
                let ports = to.map(|to| to.port()).into_iter().chain(self.gathers[slot].clone());
                let is_own = to.is_some_and(|to| who::is_own(to.ip().to_canonical()));
                // The error that this host itself may answer with.
                let own = is_own.then(|| self.host.name(slot).map_or(0, |name| name.port()));
                ports.chain(own).collect::<Vec<_>>().into_iter().any(|port| self.is_shared(port))
            }
            Op::Set(slot, Opt::Cork, _) => {
                self.gathers[slot].clone().into_iter().any(|port| self.is_shared(port))
            }
            Op::Complain { back, .. } => {
                let about = self.sent.iter().rev().nth(back).cloned();
                about.is_some_and(|(_, frame)| self.is_shared(packets::source_port(&frame)))
            }
            _ => false,
        }
    }

    /// Datagrams of many flows to a port that sockets share, twice of each flow.
    fn shared(&mut self, interface: u32, from: SocketAddr, to: SocketAddr) -> Value {
        let open: Vec<_> = (0..SLOTS).filter(|slot| self.host.is_open(*slot)).collect();
        // Behind a pending error there may be datagrams.
        let twice = open.iter().flat_map(|slot| [*slot, *slot]);
        let before = twice.map(|slot| (slot, self.all(slot))).collect();
        let (mut heard, mut keeps) = (BTreeSet::new(), true);
        for sport in (0..FLOWS).map(|n| from.port() + n) {
            let of_flow: Vec<_> = (0..2)
                .map(|_| {
                    let frame = packets::datagram(
                        interface,
                        (from.ip(), sport),
                        (to.ip(), to.port()),
                        64,
                        0,
                        b"flow",
                    );
                    self.host.arrive(interface, &frame);
                    let hears = |slot: &Slot| self.host.receive(*slot, ROOM, false).is_ok();
                    open.iter().copied().filter(hears).collect::<Vec<_>>()
                })
                .collect();
            keeps &= of_flow[0].len() <= 1 && of_flow[0] == of_flow[1];
            heard.extend(of_flow.concat());
        }
        Value::Shared { before, heard: heard.into_iter().collect(), keeps }
    }

    /// The port of each socket that has one.
    fn names(&mut self) -> Vec<(Slot, u16)> {
        let open: Vec<_> = (0..SLOTS).filter(|slot| self.host.is_open(*slot)).collect();
        let named = |slot| Some((slot, self.host.name(slot).ok()?.port()));
        open.into_iter().filter_map(named).filter(|(_, port)| *port != 0).collect()
    }

    fn number(&mut self, at: At) -> SocketAddr {
        let port = match at.port {
            Port::Number(port) => port,
            Port::Of(slot) => {
                self.names().iter().find(|(of, _)| *of == slot).map_or(CLOSED_PORT, |(_, port)| *port)
            }
            Port::Ephemeral => panic!("a sequence says whose port it means"),
        };
        at.with_number(port)
    }

    fn at(&mut self, addr: SocketAddr) -> At {
        let names = self.names();
        at(&names, addr)
    }

    fn call(&mut self, number: usize, op: &Op) -> Result<Value, Errno> {
        let done = |()| Value::Done;
        match *op {
            Op::Open(slot, domain) => {
                self.shares[slot] = false;
                self.gathers[slot].clear();
                self.host.open(slot, domain).map(done)
            }
            Op::Set(slot, opt, value) => {
                self.host.set(slot, opt, value)?;
                self.shares[slot] |= opt == Opt::ReusePort && value != 0;
                Ok(Value::Done)
            }
            Op::Get(slot, opt) => self.host.get(slot, opt).map(|value| Value::Number(value.into())),
            Op::Bind(slot, to) => {
                let to = self.number(to);
                self.host.bind(slot, to).map(done)
            }
            Op::Connect(slot, to) => {
                let to = self.number(to);
                self.host.connect(slot, to).map(done)
            }
            Op::Disconnect(slot) => self.host.disconnect(slot).map(done),
            Op::Send { slot, to, len, control } => {
                let to = to.map(|to| self.number(to));
                let whom = to.or_else(|| self.host.peer(slot).ok());
                self.gathers[slot].extend(whom.map(|whom| whom.port()));
                let sent = self.host.send(slot, to, &Payload::of(number, len).0, control);
                sent.map(|len| Value::Number(i64::try_from(len).unwrap()))
            }
            Op::Receive { slot, room, peek } => {
                let incoming = self.host.receive(slot, room, peek)?;
                Ok(Value::Received(vec![self.received(incoming)]))
            }
            Op::Drain(slot) => self.all(slot).map(Value::Received),
            Op::Errors(slot) => self.reports(slot, usize::MAX),
            Op::Report(slot) => self.reports(slot, 1),
            Op::TakeError(slot) => Ok(Value::Number(self.host.take_error(slot).into())),
            Op::Member { slot, verb, interface, group, source } => {
                self.host.member(slot, verb, interface, group, source).map(done)
            }
            Op::SetFilter { slot, interface, group, exclude, ref sources } => {
                self.host.set_filter(slot, interface, group, exclude, sources).map(done)
            }
            Op::Filter { slot, interface, group } => {
                let (exclude, mut sources) = self.host.filter(slot, interface, group)?;
                sources.sort();
                Ok(Value::Filter { exclude, sources })
            }
            Op::Name(slot) => {
                let name = self.host.name(slot)?;
                Ok(Value::At(self.at(name)))
            }
            Op::Peer(slot) => {
                let peer = self.host.peer(slot)?;
                Ok(Value::At(self.at(peer)))
            }
            Op::Close(slot) => {
                self.host.close(slot);
                Ok(Value::Done)
            }
            Op::Arrive { interface, from, to, len, ttl, tos } => {
                let [from, to] = [from, to].map(|at| self.number(at));
                let ends = [from, to].map(|addr| (addr.ip(), addr.port()));
                if !packets::is_for_many(to.ip()) && self.is_shared(to.port()) {
                    return Ok(self.shared(interface, from, to));
                }
                let payload = Payload::of(number, len).0;
                let frame = packets::datagram(interface, ends[0], ends[1], ttl, tos, &payload);
                self.host.arrive(interface, &frame);
                Ok(Value::Done)
            }
            Op::Complain { back, what } => {
                let about = self.sent.iter().rev().nth(back).cloned();
                if let Some((interface, frame)) =
                    about.filter(|(of, frame)| packets::can_be_complained_of(*of, frame, what))
                {
                    self.host.arrive(interface, &packets::complaint(interface, &frame, what));
                }
                Ok(Value::Done)
            }
        }
    }

    /// Everything until there is nothing more to read. An error on the way is the result: it comes before any datagram.
    fn all(&mut self, slot: Slot) -> Result<Vec<Received>, Errno> {
        let mut all = Vec::new();
        loop {
            match self.host.receive(slot, ROOM, false) {
                Ok(incoming) => all.push(self.received(incoming)),
                Err(Errno::EAGAIN) => return Ok(all),
                Err(errno) if all.is_empty() => return Err(errno),
                Err(errno) => panic!("{errno} after {} datagrams", all.len()),
            }
        }
    }

    fn reports(&mut self, slot: Slot, at_most: usize) -> Result<Value, Errno> {
        let mut all = Vec::new();
        while all.len() < at_most {
            let told = match self.host.told(slot) {
                Ok(told) => told,
                Err(Errno::EAGAIN) => return Ok(Value::Reports(all)),
                Err(errno) => return Err(errno),
            };
            let Told { errno, origin, kind, code, info, offender, to } = told;
            let to = to.map(|to| self.at(to));
            all.push(Report { errno, origin, kind, code, info, offender, to });
        }
        Ok(Value::Reports(all))
    }

    fn received(&mut self, incoming: Incoming) -> Received {
        let Incoming { payload, len, is_truncated, from, to, local, interface, ttl, tos } = incoming;
        let from = from.map(|from| self.at(from));
        Received { payload: Payload(payload), len, is_truncated, from, to, local, interface, ttl, tos }
    }
}

/// What a port of a closed socket stands for: nobody is there.
pub const CLOSED_PORT: u16 = 4999;

fn at(names: &[(Slot, u16)], addr: SocketAddr) -> At {
    let scope = match addr {
        SocketAddr::V4(_) => NO_INTERFACE,
        SocketAddr::V6(addr) => addr.scope_id(),
    };
    At::new(addr.ip(), named(names, addr.port())).on(scope)
}

/// U25, RFC 6056 3.3: of an ephemeral port this alone is compared, whose it is.
fn named(names: &[(Slot, u16)], port: u16) -> Port {
    if !(32768..=60999).contains(&port) {
        return Port::Number(port);
    }
    names.iter().find(|(_, of)| *of == port).map_or(Port::Ephemeral, |(slot, _)| Port::Of(*slot))
}
