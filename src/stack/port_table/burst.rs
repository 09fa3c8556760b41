//! A burst's look-ups, step by step for all of them.
//!
//! In a large table each line that a look-up reads comes from memory, and says where the next one is: the port, the entry of the
//! index, the row of sockets. One datagram after the other, that is three waits each; of a burst, the lines of one step are waited for
//! together.

use arrayvec::ArrayVec;

use super::lookup::wanted;
use super::place::{Kind, Wanted, index};
use super::rows::Key;
use super::slot::NONE;
use super::{Flow, PortTable, SocketId};
use crate::addr::{Family, V4, V6};
use crate::io::{BURST_MAX, InterfaceId};

/// Sockets from which on a table is large: what is read for as many fills most of a core's own cache.
const LARGE: usize = 2048;

/// Fetches cache lines.
pub trait Fetch {
    /// Has the line in which `it` begins come nearer, and does not wait for it.
    fn fetch<T>(&self, it: &T);
}

/// A datagram of a burst, as it is looked up.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    wanted: Wanted,
    version: usize,
}

impl Asked {
    /// A datagram of `flow`, which came in by `interface`.
    #[inline(always)]
    pub fn new<F: Family>(interface: InterfaceId, flow: &Flow<F>) -> Self {
        Self { wanted: wanted(interface, flow), version: index::<F>() }
    }

    /// No datagram: nobody is on UDP port 0.
    pub const NOTHING: Self = Self {
        wanted: Wanted { src: [0; 2], dst: [0; 2], sport: 0, dport: 0, interface: InterfaceId(0) },
        version: 0,
    };
}

/// What is known of a datagram between two steps.
#[derive(Clone, Copy, Debug)]
struct Step {
    what: What,
    kind: Kind,
    /// Which socket or row.
    which: u32,
    hash: u64,
}

#[derive(Clone, Copy, Debug)]
enum What {
    /// Nobody is on its port, or where it goes.
    Nobody,
    /// One socket is on its port, which may be for another address or peer.
    Only,
    /// Those on its port are of one kind: whichever row has this hash.
    Hashed,
    /// The first row that has.
    Likely,
    /// Sockets of several kinds are, or such as share their place or have peers.
    Several,
}

impl Step {
    #[inline(always)]
    const fn new(what: What, which: u32) -> Self {
        Self { what, kind: Kind(0), which, hash: 0 }
    }
}

impl PortTable {
    /// Whether it is so large that fetching what is read next is worth its price.
    #[inline(always)]
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.slots.room() > LARGE
    }

    /// What [`unicast`](Self::unicast) finds for each of up to [`BURST_MAX`] datagrams, to the front of `sockets`: [`NONE`](Self::NONE), if
    /// nothing.
    #[inline]
    pub fn unicast_burst(&self, burst: &[Asked], sockets: &mut [SocketId], near: &impl Fetch) {
        if self.is_large() {
            for asked in burst {
                self.ports.get(asked.wanted.dport).into_iter().for_each(|port| near.fetch(port));
            }
        }
        // Filled where it is: what is collected is moved, and that waits for what was just stored.
        let mut steps = ArrayVec::<Step, BURST_MAX>::new();
        for asked in burst.iter().take(BURST_MAX) {
            // NOTE(push): there is room for as many.
            let _ = steps.try_push(self.first_step(asked, near));
        }
        for step in &mut steps {
            self.second_step(step, near);
        }
        for ((asked, step), socket) in burst.iter().zip(&steps).zip(sockets) {
            *socket = self.last_step(asked, step).unwrap_or(NONE);
        }
    }

    /// From the port to the index.
    #[inline(always)]
    fn first_step(&self, asked: &Asked, near: &impl Fetch) -> Step {
        let Asked { ref wanted, version } = *asked;
        let Some(port) = self.ports.get(wanted.dport) else { return Step::new(What::Nobody, 0) };
        if let Some(only) = port.only(version) {
            return Step::new(What::Only, only);
        }
        match port.kinds.of_version(version).just_one() {
            Some(kind) if !kind.reuses_port() && !kind.is_connected() => {
                let hash = self.index.row_hash(&Key::of(&wanted.place(kind)));
                self.index.home(hash).into_iter().for_each(|entry| near.fetch(entry));
                Step { kind, hash, ..Step::new(What::Hashed, 0) }
            }
            _ => Step::new(What::Several, 0),
        }
    }

    /// From the index to the row, or from the port to the socket.
    #[inline(always)]
    fn second_step(&self, step: &mut Step, near: &impl Fetch) {
        match step.what {
            What::Only => self.slots.get(step.which).into_iter().for_each(|slot| near.fetch(slot)),
            What::Hashed => match self.index.likely(step.hash) {
                Some(likely) => {
                    self.index.row(likely).into_iter().for_each(|row| near.fetch(row));
                    (step.what, step.which) = (What::Likely, likely);
                }
                None => step.what = What::Nobody,
            },
            What::Nobody | What::Likely | What::Several => {}
        }
    }

    /// Whether it is the one.
    #[inline(always)]
    fn last_step(&self, asked: &Asked, step: &Step) -> Option<SocketId> {
        let Asked { ref wanted, version } = *asked;
        match step.what {
            What::Nobody => return None,
            What::Only => return self.slots.get(step.which)?.matches(wanted).then_some(step.which),
            What::Likely => {
                let row = self.index.row(step.which)?;
                if row.is_of(&Key::of(&wanted.place(step.kind))) {
                    return row.first(wanted.dport);
                }
            }
            // Two hashes were alike in half, or there is more to be asked.
            What::Hashed | What::Several => {}
        }
        let found = if version == index::<V4>() { self.find::<V4>(wanted) } else { self.find::<V6>(wanted) };
        found.map(|found| found.socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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

    fn bind(table: &mut PortTable, local: &str, peer: Option<&str>) {
        let socket = Socket::new(None, local.parse().unwrap(), 0);
        let id = table.next;
        table.next += 1;
        table.set(id, Some(Socket { peer: peer.map(|peer| peer.parse().unwrap()), ..socket }));
    }

    fn flow<F: Family>(dst: &str, dport: u16) -> Flow<F>
    where
        F::Addr: core::str::FromStr<Err: core::fmt::Debug>,
    {
        let src = if dst.contains(':') { "2001:db8::9" } else { "198.18.0.9" };
        Flow { src: src.parse().unwrap(), sport: 4000, dst: dst.parse().unwrap(), dport }
    }

    /// What each flow finds alone, and of a burst of all.
    fn check<F: Family>(table: &PortTable, flows: &[Flow<F>]) -> BTreeSet<usize> {
        let noted = Noted::default();
        let mut burst: Vec<_> = flows.iter().map(|flow| Asked::new(InterfaceId(0), flow)).collect();
        burst.push(Asked::NOTHING);
        let mut sockets = vec![7; burst.len()];
        table.unicast_burst(&burst, &mut sockets, &noted);
        let alone = flows.iter().map(|flow| table.unicast(InterfaceId(0), flow).map_or(NONE, |f| f.socket));
        assert_eq!(sockets, alone.chain([NONE]).collect::<Vec<_>>());
        noted.0.into_inner()
    }

    // U12, U15, U20: alone on its port; one of three addresses; before one that is bound to any; connected; nobody.
    #[test]
    fn a_burst_finds_what_each_datagram_would() {
        let mut table = PortTable::new(3);
        bind(&mut table, "0.0.0.0:1", None);
        bind(&mut table, "198.18.0.1:9", Some("198.18.0.9:1"));
        for n in 1..4 {
            bind(&mut table, &format!("198.18.0.{n}:2"), None);
            bind(&mut table, &format!("198.18.0.{n}:3"), None);
            bind(&mut table, &format!("[2001:db8::{n}]:2"), None);
        }
        bind(&mut table, "0.0.0.0:3", None);
        bind(&mut table, "198.18.0.1:3", Some("198.18.0.9:4000"));
        let to = ["198.18.0.1", "198.18.0.2", "198.18.0.3", "198.18.0.4"];
        let flows: Vec<_> =
            [1, 2, 3, 4, 9].iter().flat_map(|port| to.map(|to| flow::<V4>(to, *port))).collect();
        check(&table, &flows);
        check(&table, &["2001:db8::1", "2001:db8::3", "2001:db8::4"].map(|to| flow::<V6>(to, 2)));
    }

    #[test]
    fn among_many_what_is_read_was_fetched() {
        let mut table = PortTable::new(3);
        for n in 0..3000 {
            bind(&mut table, &format!("198.18.0.{}:{}", 1 + n % 3, 5000 + n / 3), None);
        }
        bind(&mut table, "0.0.0.0:1", None);
        let flows: Vec<_> =
            (0..30).map(|n| flow::<V4>("198.18.0.2", 5000 + n)).chain([flow("198.18.0.2", 1)]).collect();
        let noted = check(&table, &flows);
        for flow in &flows {
            let found = table.unicast(InterfaceId(0), flow).unwrap();
            let place = wanted(InterfaceId(0), flow).place(table.slots.get(found.socket).unwrap().kind());
            let row = table.index.likely(table.index.row_hash(&Key::of(&place))).unwrap();
            let is_alone = flow.dport == 1;
            let read = if is_alone {
                from_ref(table.slots.get(found.socket).unwrap()).addr()
            } else {
                from_ref(table.index.row(row).unwrap()).addr()
            };
            assert!(noted.contains(&read), "{flow:?}");
            assert!(noted.contains(&from_ref(table.ports.get(flow.dport).unwrap()).addr()), "{flow:?}");
        }
        // A port each, and that of what asks for nothing; four rows and their entries in the index; the socket that is alone on its port.
        assert_eq!(noted.len(), flows.len() + 1 + 2 * 4 + 1);
    }

    #[test]
    fn a_table_is_large_when_it_has_many_sockets() {
        let mut table = PortTable::new(3);
        assert!(!table.is_large());
        (1..3000).for_each(|port| bind(&mut table, &format!("198.18.0.2:{port}"), None));
        assert!(table.is_large());
    }
}
