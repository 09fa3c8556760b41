//! What look-ups will read, fetched for a whole burst before the first of its datagrams is looked up.
//!
//! In a large table each line that a look-up reads comes from memory, and each says where the next one is. One datagram after
//! the other, that is three or four waits each; of a burst, the lines of one step are waited for together. All of this is a
//! hint: it says nothing of who gets a datagram.

use super::place::{Wanted, index, words};
use super::{Flow, PortTable, SocketId};
use crate::addr::Family;
use crate::io::InterfaceId;

/// Sockets from which on a table is large: what is read for as many fills most of a core's own cache.
const LARGE: usize = 2048;

/// Kinds of sockets on one port that are fetched for, the best first.
const KINDS: usize = 2;

/// Fetches cache lines.
pub trait Fetch {
    /// Has the line in which `it` begins come nearer, and does not wait for it.
    fn fetch<T>(&self, it: &T);
}

/// A datagram that is about to be looked up, and how far that has come.
#[derive(Clone, Copy, Debug)]
pub struct Ahead {
    wanted: Wanted,
    version: usize,
    next: [Next; KINDS],
}

#[derive(Clone, Copy, Debug)]
enum Next {
    Nothing,
    /// Whatever has this hash.
    Hash(u64),
    Socket(SocketId),
}

impl Ahead {
    /// A datagram of `flow`, which came in by `interface`.
    #[inline(always)]
    pub fn new<F: Family>(interface: InterfaceId, flow: &Flow<F>) -> Self {
        let (src, dst) = (words(flow.src.into()), words(flow.dst.into()));
        let wanted = Wanted { src, dst, sport: flow.sport, dport: flow.dport, interface };
        Self { wanted, version: index::<F>(), next: [Next::Nothing; KINDS] }
    }
}

impl PortTable {
    /// Whether it is so large that fetching ahead is worth its price.
    #[inline(always)]
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.slots.room() > LARGE
    }

    /// Fetches what the look-ups of `burst` will read, a step of all of them at a time.
    pub fn fetch_ahead(&self, burst: &mut [Ahead], near: &impl Fetch) {
        for ahead in &*burst {
            self.ports.get(ahead.wanted.dport).into_iter().for_each(|port| near.fetch(port));
        }
        for ahead in &mut *burst {
            self.fetch_entries(ahead, near);
        }
        for next in burst.iter().flat_map(|ahead| ahead.next) {
            let socket = match next {
                Next::Nothing => None,
                Next::Hash(hash) => self.index.likely(hash),
                Next::Socket(socket) => Some(socket),
            };
            socket.and_then(|socket| self.slots.get(socket)).into_iter().for_each(|slot| near.fetch(slot));
        }
    }

    /// As [`unicast`](Self::unicast) goes on from the port.
    #[inline]
    fn fetch_entries(&self, ahead: &mut Ahead, near: &impl Fetch) {
        let Ahead { wanted, version, next } = ahead;
        let Some(port) = self.ports.get(wanted.dport) else { return };
        if let Some(only) = port.only(*version) {
            next[0] = Next::Socket(only);
            return;
        }
        for (next, kind) in next.iter_mut().zip(port.kinds.of_version(*version).best_first()) {
            let hash = self.index.hash(&wanted.place(kind));
            self.index.home(hash).into_iter().for_each(|entry| near.fetch(entry));
            *next = Next::Hash(hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{V4, V6};
    use crate::stack::port_table::Socket;
    use core::cell::RefCell;
    use core::ptr::from_ref;
    use std::collections::BTreeSet;

    /// Notes what it is asked for.
    #[derive(Default)]
    struct Noted(RefCell<BTreeSet<usize>>);

    impl Fetch for Noted {
        fn fetch<T>(&self, it: &T) {
            self.0.borrow_mut().insert(from_ref(it).addr());
        }
    }

    /// That the port of each flow, the way to its socket, and the socket are fetched.
    fn check<F: Family>(table: &PortTable, flows: &[Flow<F>]) {
        let noted = Noted::default();
        let mut burst: Vec<_> = flows.iter().map(|flow| Ahead::new(InterfaceId(0), flow)).collect();
        table.fetch_ahead(&mut burst, &noted);
        let noted = noted.0.into_inner();
        for flow in flows {
            let port = table.ports.get(flow.dport).unwrap();
            assert!(noted.contains(&from_ref(port).addr()));
            let found = table.unicast(InterfaceId(0), flow).unwrap();
            assert!(noted.contains(&from_ref(table.slots.get(found.socket).unwrap()).addr()), "{flow:?}");
        }
    }

    #[test]
    fn what_is_looked_up_was_fetched() {
        let mut table = PortTable::new(3);
        let bind = |table: &mut PortTable, local: &str, peer: Option<&str>| {
            let socket = Socket::new(None, local.parse().unwrap(), 0);
            let id = table.next;
            table.next += 1;
            table.set(id, Some(Socket { peer: peer.map(|peer| peer.parse().unwrap()), ..socket }));
        };
        // Alone on its port; one of three addresses; before one that is bound to any; connected.
        bind(&mut table, "0.0.0.0:1", None);
        for n in 1..4 {
            bind(&mut table, &format!("198.18.0.{n}:2"), None);
            bind(&mut table, &format!("[2001:db8::{n}]:2"), None);
        }
        bind(&mut table, "0.0.0.0:2", None);
        bind(&mut table, "198.18.0.1:2", Some("198.18.0.9:4000"));
        let flow = |dst: &str, dport| Flow::<V4> {
            src: "198.18.0.9".parse().unwrap(),
            sport: 4000,
            dst: dst.parse().unwrap(),
            dport,
        };
        check(
            &table,
            &[flow("198.18.0.1", 1), flow("198.18.0.1", 2), flow("198.18.0.2", 2), flow("198.18.0.3", 2)],
        );
        let flow = |dst: &str| Flow::<V6> {
            src: "2001:db8::9".parse().unwrap(),
            sport: 4000,
            dst: dst.parse().unwrap(),
            dport: 2,
        };
        check(&table, &[flow("2001:db8::1"), flow("2001:db8::3")]);
    }

    #[test]
    fn a_table_is_large_when_it_has_many_sockets() {
        let mut table = PortTable::new(3);
        assert!(!table.is_large());
        for port in 1..3000 {
            table.bind(Socket::new(None, ([198, 18, 0, 2], port).into(), 0)).unwrap();
        }
        assert!(table.is_large());
    }
}
