//! A worker's part in fragments: those that it puts together, those that it hands to the worker that does, and the
//! datagrams that it sends in fragments.
//!
//! A device spreads packets over queues by their ports, which only a first fragment has. So each datagram has an owner
//! among the workers of its port, that every one of them knows without asking (F17): the others hand its fragments over.

use core::time::Duration;

use crossbeam::channel::TrySendError;

use super::counters::{Counter, Tally};
use super::message::HandedOver;
use super::port_io::PortIo;
use super::way::Way;
use crate::io::{BufPool, DropReason, InterfaceId, Nic, PacketBuf, PortId, ReplyPath};
use crate::rng::Rng;
use crate::stack::fragmentation::{Cut, NoBuffer, Outgoing};
use crate::stack::reassembly::{Account, Expired, Fragment, Limits, Reassembler};
use crate::time::Instant;

/// What a worker holds unless configured: as long as Linux does, and about as much; a quarter of it of one source.
pub const LIMITS: Limits = Limits {
    timeout: Duration::from_secs(30),
    timeout6: Duration::from_secs(60),
    fragments: 2048,
    fragments_per_source: 512,
};

/// The workers that serve a port, in an order that all of them share; `None` is the one that has the list.
pub type Owners<B> = Vec<Option<Way<HandedOver<B>>>>;

/// The lists of every worker of a port, in their order, given the ways to them.
#[must_use]
pub fn owners<B>(ways: &[Way<HandedOver<B>>]) -> Vec<Owners<B>> {
    let of = |me: usize| {
        let all = ways.iter().enumerate();
        all.map(|(worker, way)| (worker != me).then(|| way.clone())).collect()
    };
    (0..ways.len()).map(of).collect()
}

/// The unfinished datagrams that a worker owns.
#[derive(Debug)]
pub(super) struct Fragments<B> {
    reassembler: Reassembler<B>,
    /// What all workers share: it says who owns what.
    secret: u64,
}

/// A fragment on its way to its owner.
#[derive(Debug)]
pub(super) struct Arrival<'a, B> {
    pub(super) port: PortId,
    pub(super) fragment: Fragment,
    pub(super) buf: B,
    pub(super) owners: &'a Owners<B>,
    /// Whether it came from another worker, which knows that this one is its owner.
    pub(super) handed_in: bool,
}

impl<B: PacketBuf> Fragments<B> {
    pub(super) fn new(limits: Limits, secret: u64, rng: &mut Rng) -> Self {
        Self { reassembler: Reassembler::new(limits, rng.u64()), secret }
    }

    /// Takes a fragment in, or hands it to its owner. Returns the datagram that it completes.
    pub(super) fn arrive<P: BufPool<Buf = B>>(
        &mut self,
        now: Instant,
        arrival: Arrival<'_, B>,
        pool: &P,
        tally: &mut Tally,
    ) -> Option<B> {
        let Arrival { port, fragment, buf, owners, handed_in } = arrival;
        let owner = fragment.key.owner(self.secret, owners.len());
        if let Some(Some(owner)) = owners.get(owner).filter(|_| !handed_in) {
            hand_over(owner, port, buf, tally);
            return None;
        }
        let (whole, account) = self.reassembler.insert(now, &fragment, buf, pool);
        count(&account, tally);
        tally.add(Counter::Reassembled, u64::from(whole.is_some()));
        whole
    }

    /// When the next datagram's time is over.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.reassembler.poll_timeout()
    }

    /// The next datagram whose time is over.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Expired<B>> {
        self.reassembler.expire(now)
    }

    /// The next datagram that will never be whole, for the worker stops.
    pub(super) fn give_up(&mut self) -> Option<Expired<B>> {
        self.reassembler.give_up(DropReason::Stopping)
    }
}

fn hand_over<B>(owner: &Way<HandedOver<B>>, port: PortId, buf: B, tally: &mut Tally) {
    match owner.try_send(HandedOver { port, buf }) {
        Ok(()) => tally.add(Counter::HandedOut, 1),
        // Never waited for: a worker that cannot keep up has the same happen to it in its receive ring.
        Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
            tally.drop(DropReason::FragmentQueueFull);
        }
    }
}

/// Adds what became of fragments to a port's counters.
pub(super) fn count(account: &Account, tally: &mut Tally) {
    let Account { held, released, merged, allocated, drops } = account;
    let moved = [
        (Counter::Held, held),
        (Counter::Released, released),
        (Counter::Merged, merged),
        (Counter::Allocated, allocated),
    ];
    for (counter, packets) in moved.into_iter().filter(|(_, packets)| **packets > 0) {
        tally.add(counter, u64::from(*packets));
    }
    for (why, packets) in drops {
        tally.drop_all(*why, u64::from(*packets));
    }
}

impl<N: Nic> PortIo<N> {
    /// Sends the datagram `out`, whose payload is in `buf`, in fragments by the interface `id`. False if not all of them
    /// could be made: then it is dropped, and counted.
    pub(super) fn send_in_fragments(
        &mut self,
        buf: &N::Buf,
        out: &Outgoing,
        (id, way): (InterfaceId, ReplyPath),
        pool: &N::Pool,
    ) -> bool {
        let (Some(payload), Some(interface)) = (out.payload.of(buf), self.interfaces.get(id)) else {
            self.tally.drop(DropReason::ReplyImpossible);
            return false;
        };
        let mut cut = Cut::new(out, payload, interface);
        while let Some(made) = cut.next(pool) {
            let Ok(fragment) = made.map_err(|NoBuffer| ()) else {
                // What left already will be missed at its end, as if the network had lost the rest.
                self.tally.drop(DropReason::NoBuffer);
                return false;
            };
            self.tally.add(Counter::Allocated, 1);
            // One that is dropped is counted; the others may still find their way.
            let _left = self.leave(fragment, id, way);
        }
        self.tally.add(Counter::Fragmented, 1);
        true
    }
}
