//! Which UDP ports are taken, and whether someone else may have one, too.
//!
//! What looking costs depends on how many kinds of sockets are on the port, not on how many sockets: those that are alike in
//! all that counts (address, device, what they share) are one kind.

use std::collections::{BTreeMap, BTreeSet};

use super::Domain;
use super::local::{Local, Receiver};
use crate::io::InterfaceId;
use crate::rng::Rng;
use crate::stack::port_table::{Socket, Versions};

/// U25, Linux `ip_local_port_range`.
const EPHEMERAL: core::ops::RangeInclusive<u16> = 32_768..=60_999;

/// Random ports that are tried before all are, one after another.
const TRIES: u64 = 64;

/// All of a socket that counts when another wants its port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Kind {
    pub(super) domain: Domain,
    pub(super) v6only: bool,
    pub(super) local: Local,
    pub(super) device: Option<InterfaceId>,
    pub(super) reuse_address: bool,
    pub(super) reuse_port: bool,
    /// Whether it is in the group of those that share its place by `SO_REUSEPORT`.
    pub(super) in_group: bool,
}

impl Kind {
    /// That of a socket of the configuration.
    pub(super) fn fixed(socket: &Socket) -> Self {
        let domain = if socket.version == Versions::V4 { Domain::V4 } else { Domain::V6 };
        Self {
            domain,
            v6only: socket.version == Versions::V6,
            local: Local::of(domain, socket.local.ip()),
            device: socket.interface,
            reuse_address: socket.reuse_address,
            reuse_port: socket.reuse_port,
            in_group: socket.reuse_port,
        }
    }

    const fn receiver(&self) -> Receiver {
        Receiver { domain: self.domain, v6only: self.v6only, local: self.local }
    }

    /// Whether `other`, that is there, concerns this one, that comes. U26, Linux `udp_lib_lport_inuse`.
    fn meets(&self, other: &Self) -> bool {
        let apart = self.device.zip(other.device).is_some_and(|(one, other)| one != other);
        let shared = self.reuse_address && other.reuse_address;
        !shared && !apart && self.receiver().overlaps(&other.receiver())
    }

    const fn shares_port(&self, other: &Self) -> bool {
        self.reuse_port && other.reuse_port
    }
}

/// A socket in the index: its turn, and as what it is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) port: u16,
    turn: i64,
    kind: Kind,
}

/// The sockets on every port.
#[derive(Debug, Default)]
pub(super) struct Ports {
    /// By kind, the turn of each: the largest is asked first.
    ports: BTreeMap<u16, BTreeMap<Kind, BTreeSet<i64>>>,
    clock: i64,
}

impl Ports {
    /// A socket comes to a port.
    pub(super) fn insert(&mut self, port: u16, kind: Kind) -> Entry {
        self.clock += 1;
        // Linux `sk_add_node_rcu`: who came last is asked first, but IPv6's who share the port are asked in the order of their coming.
        let is_last = kind.domain == Domain::V6 && kind.reuse_port;
        let entry = Entry { port, turn: if is_last { -self.clock } else { self.clock }, kind };
        self.put(entry);
        entry
    }

    /// How many kinds of sockets are on a port: what a look at it costs.
    #[cfg(test)]
    pub(super) fn kinds_on(&self, port: u16) -> usize {
        self.ports.get(&port).map_or(0, BTreeMap::len)
    }

    fn put(&mut self, entry: Entry) {
        self.ports.entry(entry.port).or_default().entry(entry.kind).or_default().insert(entry.turn);
    }

    /// It goes.
    pub(super) fn remove(&mut self, entry: &Entry) {
        let Some(kinds) = self.ports.get_mut(&entry.port) else { return };
        if let Some(alike) = kinds.get_mut(&entry.kind) {
            alike.remove(&entry.turn);
            if alike.is_empty() {
                kinds.remove(&entry.kind);
            }
        }
        if kinds.is_empty() {
            self.ports.remove(&entry.port);
        }
    }

    /// It is of another kind from now on, and keeps its turn.
    pub(super) fn change(&mut self, entry: &Entry, kind: Kind) -> Entry {
        if entry.kind == kind {
            return *entry;
        }
        self.remove(entry);
        let entry = Entry { kind, ..*entry };
        self.put(entry);
        entry
    }

    /// Whether `kind` may have this port beside those that have it.
    // U26, Linux: of those that it concerns, the one that is asked first decides, even where another one shares nothing.
    pub(super) fn is_free(&self, port: u16, kind: &Kind) -> bool {
        let Some(there) = self.ports.get(&port) else { return true };
        let met = there.iter().filter(|(other, _)| kind.meets(other));
        let first = met.max_by_key(|(_, turns)| turns.last());
        first.is_none_or(|(other, _)| kind.shares_port(other))
    }

    /// Whether a socket of `kind` would find a group of those that share its place there.
    pub(super) fn has_group(&self, port: u16, kind: &Kind) -> bool {
        // All of them have their place in common: two kinds.
        let there = |reuse_address| Kind { reuse_address, reuse_port: true, in_group: true, ..*kind };
        let kinds = self.ports.get(&port);
        kinds.is_some_and(|kinds| [false, true].into_iter().any(|also| kinds.contains_key(&there(also))))
    }

    /// Whether it may be given this port, which nobody asked for.
    fn is_ephemeral_free(&self, port: u16, kind: &Kind) -> bool {
        let there = self.ports.get(&port).into_iter().flatten();
        there.into_iter().all(|(other, _)| !kind.meets(other) || kind.shares_port(other))
    }

    /// A port that is free for `kind`; None: none is.
    // U25, RFC 6056 3.3.1: random; and if that does not help, whichever is free.
    pub(super) fn ephemeral(&self, kind: &Kind, rng: &mut Rng) -> Option<u16> {
        let (first, last) = EPHEMERAL.into_inner();
        let count = u64::from(last - first) + 1;
        let at = |offset: u64| first + u16::try_from(offset % count).unwrap_or_default();
        for _ in 0..TRIES {
            let port = at(rng.below(count));
            if self.is_ephemeral_free(port, kind) {
                return Some(port);
            }
        }
        let start = rng.below(count);
        (0..count).map(|n| at(start + n)).find(|port| self.is_ephemeral_free(*port, kind))
    }
}
