//! What balancers told one worker of their clients, and how the others hear of it.
//!
//! A device spreads packets of the option protocol, in which it finds no UDP ports, in another way than the plain ones of the same
//! flow, so what one worker learns is of use to another.

use core::net::SocketAddr;

use crossbeam::channel::Receiver;

use super::counters::{Counter, Tally};
use super::way::Way;
use crate::addr::{V4, V6};
use crate::io::{PacketBuf, Waker};
use crate::service::Datagram;
use crate::stack::egress::Emit;
use crate::stack::uoa::{Balanced, Flow, Seen, Table, TableLimits, Trusted};
use crate::time::Instant;

/// From one worker to another: who is behind a flow.
#[derive(Clone, Copy, Debug)]
pub struct Mapping {
    flow: Flow,
    client: SocketAddr,
}

/// Mappings that wait for a worker at most. What finds no room is told with the flow's next packet.
const MAPPINGS_LEN: usize = 1024;

/// Mappings from other workers that a turn takes at most.
const MAPPINGS_BUDGET: usize = 64;

/// A worker's ways to and from the others.
#[derive(Debug)]
pub struct Exchange {
    others: Vec<Way<Mapping>>,
    heard: Receiver<Mapping>,
}

impl Exchange {
    /// Those of each worker, given who wakes them.
    #[must_use]
    pub fn of<'a>(wakers: impl IntoIterator<Item = &'a Waker>) -> Vec<Self> {
        let (ways, heard): (Vec<_>, Vec<_>) =
            wakers.into_iter().map(|waker| Way::bounded(MAPPINGS_LEN, waker)).unzip();
        let others = |me: usize| {
            let all = ways.iter().enumerate().filter(|(worker, _)| *worker != me);
            all.map(|(_, way)| way.clone()).collect()
        };
        heard.into_iter().enumerate().map(|(me, heard)| Self { others: others(me), heard }).collect()
    }
}

/// What a worker is told at the start.
#[derive(Debug)]
pub struct UoaParts {
    /// The balancers whose word is taken.
    pub trusted: Trusted,
    /// How much it remembers.
    pub limits: TableLimits,
    /// The other workers.
    pub exchange: Exchange,
}

/// What a worker knows of clients.
#[derive(Debug)]
pub(super) struct Clients {
    trusted: Trusted,
    table: Table,
    exchange: Exchange,
    /// Flows that others' mappings made it forget, and that are not counted yet.
    evicted: u64,
}

impl Clients {
    pub(super) fn new(parts: UoaParts, seed: u64) -> Self {
        let UoaParts { trusted, limits, exchange } = parts;
        Self { trusted, table: Table::new(limits, seed), exchange, evicted: 0 }
    }

    /// Takes what other workers learned. Returns how much that was.
    pub(super) fn hear(&mut self, now: Instant) -> usize {
        for taken in 0..MAPPINGS_BUDGET {
            let Ok(Mapping { flow, client }) = self.exchange.heard.try_recv() else { return taken };
            self.evicted += u64::from(self.table.learn(now, flow, client).evicted);
            // By who has told it.
            self.table.told(now, &flow);
        }
        MAPPINGS_BUDGET
    }

    /// Looks at the datagrams of a burst, in their order: what a balancer said of one is learned, and holds for those behind it
    /// of the same flow.
    // O06: of whoever is no balancer, no more is asked than whether he is one.
    pub(super) fn see<B: PacketBuf>(
        &mut self,
        now: Instant,
        datagrams: &mut [Datagram<B>],
        seen: Seen,
        tally: &mut Tally,
    ) {
        count_seen(seen, tally);
        let mut counts = Counts { evicted: core::mem::take(&mut self.evicted), ..Counts::default() };
        for datagram in datagrams {
            if datagram.is_ipv6() {
                self.see_one::<V6, B>(now, datagram, &mut counts);
            } else {
                self.see_one::<V4, B>(now, datagram, &mut counts);
            }
        }
        counts.add_to(tally);
    }

    #[inline]
    fn see_one<F: Emit + Balanced, B: PacketBuf>(
        &mut self,
        now: Instant,
        datagram: &mut Datagram<B>,
        counts: &mut Counts,
    ) {
        let packet = datagram.buf().and_then(|buf| buf.data().get(datagram.parts().l3()..));
        let Some((src, dst)) =
            packet.and_then(F::addresses).filter(|(src, _)| self.trusted.trusts::<F>(*src))
        else {
            return;
        };
        let ([s0, s1], [d0, d1]) = (datagram.ports().0.to_be_bytes(), datagram.ports().1.to_be_bytes());
        let flow = Flow::new(src.into(), dst.into(), [s0, s1, d0, d1]);
        if let Some(client) = datagram.real_client() {
            self.learn(now, flow, client, counts);
        } else if self.table.client(now, &flow).is_some_and(|client| datagram.set_real_client(client)) {
            counts.found += 1;
        } else {
            counts.unknown += 1;
        }
    }

    /// O09: notes it, and lets the others know, if they do not.
    fn learn(&mut self, now: Instant, flow: Flow, client: SocketAddr, counts: &mut Counts) {
        let learned = self.table.learn(now, flow, client);
        counts.evicted += u64::from(learned.evicted);
        if !learned.tell {
            return;
        }
        let tell = |other: &Way<Mapping>| other.try_send(Mapping { flow, client }).is_ok();
        // Never waited for: whoever has not heard is told with the next packet that names this client.
        let untold = self.exchange.others.iter().filter(|other| !tell(other)).count();
        counts.untold += untold as u64;
        if untold == 0 {
            self.table.told(now, &flow);
        }
    }
}

/// What a burst comes to.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    found: u64,
    unknown: u64,
    evicted: u64,
    untold: u64,
}

impl Counts {
    fn add_to(self, tally: &mut Tally) {
        let Self { found, unknown, evicted, untold } = self;
        add(tally, Counter::UoaFound, found);
        add(tally, Counter::UoaUnknown, unknown);
        add(tally, Counter::UoaEvicted, evicted);
        add(tally, Counter::UoaUntold, untold);
    }
}

fn count_seen(seen: Seen, tally: &mut Tally) {
    let Seen { named, missed, impossible, untrusted } = seen;
    add(tally, Counter::UoaNamed, named.into());
    add(tally, Counter::UoaMiss, missed.into());
    add(tally, Counter::UoaClientInvalid, impossible.into());
    add(tally, Counter::UoaUntrusted, untrusted.into());
}

fn add(tally: &mut Tally, counter: Counter, n: u64) {
    if n > 0 {
        tally.add(counter, n);
    }
}
