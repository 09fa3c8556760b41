//! Counters: local to a worker, published to whoever asks.
//!
//! A worker counts in a [`Tally`] of its own, plain numbers that nobody else sees, and publishes it once a turn to a
//! [`CounterPage`] of relaxed atomics. One writer a page: no locked instruction is ever needed.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use crossbeam::queue::ArrayQueue;
use crossbeam::utils::CachePadded;

use crate::io::DropReason;
use crate::stack::port_table::{Fetch, SocketId};

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal;)+) => {
        /// What a worker counts on each port, beside drops.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum Counter {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Counter {
            /// Every counter, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// Its name in text and JSON.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

counters! {
    /// Packets taken from the device.
    Rx = "rx";
    /// Bytes in them.
    RxBytes = "rx_bytes";
    /// Packets that the device took.
    Tx = "tx";
    /// Bytes in them.
    TxBytes = "tx_bytes";
    /// Packets that the device's ring refused; they were freed.
    TxRefused = "tx_refused";
    /// Buffers taken from the pool for packets of our own: ICMP errors, copies.
    Allocated = "allocated";
    /// Further handles made to one packet, for several sockets: the copies that they have of it.
    Shared = "shared";
    /// Packets handed in by control or another worker.
    HandedIn = "handed_in";
    /// Packets handed to another worker.
    HandedOut = "handed_out";
    /// Packets handed to control: ARP, IGMP.
    Punted = "punted";
    /// Packets kept for later: fragments, unresolved neighbours.
    Held = "held";
    /// Kept packets let go again.
    Released = "released";
    /// Packets that became part of another.
    Merged = "merged";
    /// Packets that were sent in fragments, each of them a packet of its own.
    Fragmented = "fragmented";
    /// Handles whose bytes were copied to a buffer of its own, because their service answers or writes and others share
    /// them.
    Copied = "copied";
    /// Datagrams that a service took and did not answer.
    Consumed = "consumed";
    /// Datagrams delivered to a service, answered or not: every copy of one, on the worker where its service lives.
    Delivered = "delivered";
    /// Datagrams that took the fast path, each once, however many copies were made of it.
    FastPath = "fast_path";
    /// Datagrams that fragments were put together to.
    Reassembled = "reassembled";
    /// ICMP echo and timestamp requests answered.
    IcmpEcho = "icmp_echo";
    /// ARP requests answered by a worker, because control had no time for them.
    ArpAnswered = "arp_answered";
    /// Neighbour solicitations answered by a worker, because control had no time for them.
    NdpAnswered = "ndp_answered";
    /// ICMP errors sent.
    IcmpErrors = "icmp_errors";
    /// ICMP errors withheld by the rate limit.
    IcmpWithheld = "icmp_withheld";
    /// ICMP errors received about datagrams that a socket here may have sent.
    IcmpReports = "icmp_reports";
    /// Datagrams in whose packet a balancer named the client.
    UoaNamed = "uoa_named";
    /// Plain datagrams of a balancer of whose client an earlier one told.
    UoaFound = "uoa_found";
    /// Datagrams of a balancer of whose client nothing is known; they are delivered all the same, as is whatever is counted below.
    UoaUnknown = "uoa_unknown";
    /// Packets of a balancer whose client address cannot be read: of another length than 8 or 20, or among broken options; or
    /// there is none in its option protocol.
    UoaMiss = "uoa_miss";
    /// Packets of a balancer that name a client who cannot be: a group, loopback, reserved, or ourselves.
    UoaClientInvalid = "uoa_client_invalid";
    /// Packets that name a client, from a source that is not in `uoa.trusted`: that was not read.
    UoaUntrusted = "uoa_untrusted";
    /// Flows that were forgotten before their time, because there were more than `uoa.table_max`.
    UoaEvicted = "uoa_evicted";
    /// Clients of which another worker could not be told, because its queue was full; it is with the next packet that names
    /// them.
    UoaUntold = "uoa_untold";
}

/// The numbers of one worker on one port.
#[derive(Clone, Debug)]
pub struct Tally {
    counters: [u64; Counter::COUNT],
    drops: [u64; DropReason::COUNT],
    changed: bool,
    drops_changed: bool,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            counters: [0; Counter::COUNT],
            drops: [0; DropReason::COUNT],
            changed: false,
            drops_changed: false,
        }
    }
}

impl Tally {
    /// Adds `n` to `counter`.
    #[inline]
    pub fn add(&mut self, counter: Counter, n: u64) {
        // NOTE(index): a counter's number is below COUNT by construction.
        self.counters[counter as usize] += n;
        self.changed = true;
    }

    /// Counts one drop.
    #[inline]
    pub fn drop(&mut self, why: DropReason) {
        self.drops[why.index()] += 1;
        self.drops_changed = true;
    }

    /// Counts `n` drops for the same reason.
    #[inline]
    pub fn drop_all(&mut self, why: DropReason, n: u64) {
        self.drops[why.index()] += n;
        self.drops_changed = true;
    }

    /// The value of `counter`.
    #[must_use]
    pub fn get(&self, counter: Counter) -> u64 {
        self.counters[counter as usize]
    }

    /// The drops for `why`.
    #[must_use]
    pub fn drops(&self, why: DropReason) -> u64 {
        self.drops[why.index()]
    }

    /// Writes what changed to `page`.
    #[inline]
    pub fn publish(&mut self, page: &CounterPage) {
        if core::mem::take(&mut self.changed) {
            store(&page.0.counters, &self.counters);
        }
        if core::mem::take(&mut self.drops_changed) {
            store(&page.0.drops, &self.drops);
        }
    }

    /// Packets that came and packets that went: equal after every turn, with nothing queued. DESIGN 3.
    ///
    /// A packet comes from the device, the pool, a second handle, another thread, or from among those held; it goes to
    /// the device, another thread, a service, among those held, into another packet, or is dropped.
    // Q01: nothing is dropped without its counter, and nothing is counted twice.
    #[must_use]
    pub fn balance(&self) -> (u64, u64) {
        use Counter as C;
        let came = [C::Rx, C::Allocated, C::Shared, C::HandedIn, C::Released];
        let became = [C::Merged, C::Fragmented, C::Copied, C::Consumed];
        let went = [C::Tx, C::TxRefused, C::HandedOut, C::Punted, C::Held].into_iter().chain(became);
        let get = |counter| self.get(counter);
        (came.into_iter().map(get).sum(), went.map(get).sum::<u64>() + self.drops.iter().sum::<u64>())
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.counters.iter_mut().zip(other.counters).for_each(|(a, b)| *a += b);
        self.drops.iter_mut().zip(other.drops).for_each(|(a, b)| *a += b);
    }
}

fn store(to: &[AtomicU64], from: &[u64]) {
    for (to, from) in to.iter().zip(from) {
        to.store(*from, Ordering::Relaxed);
    }
}

/// What one worker publishes of one port.
#[derive(Clone, Debug)]
pub struct CounterPage(Arc<CachePadded<Page>>);

#[derive(Debug)]
struct Page {
    counters: [AtomicU64; Counter::COUNT],
    drops: [AtomicU64; DropReason::COUNT],
}

impl Default for CounterPage {
    fn default() -> Self {
        Self(Arc::new(CachePadded::new(Page {
            counters: [const { AtomicU64::new(0) }; Counter::COUNT],
            drops: [const { AtomicU64::new(0) }; DropReason::COUNT],
        })))
    }
}

impl CounterPage {
    /// What was last published.
    #[must_use]
    pub fn read(&self) -> Tally {
        let mut tally = Tally::default();
        for (to, from) in tally.counters.iter_mut().zip(&self.0.counters) {
            *to = from.load(Ordering::Relaxed);
        }
        for (to, from) in tally.drops.iter_mut().zip(&self.0.drops) {
            *to = from.load(Ordering::Relaxed);
        }
        tally
    }
}

/// Datagrams received and answered by the configuration's sockets on one worker, by [`SocketId`]: 16 bytes each, one after the
/// other, so that a million of them are 16 MB. Lines are the worker's own: nobody else writes near them.
#[derive(Clone, Debug, Default)]
pub struct SocketPages(Arc<[SocketLine]>);

/// Sockets that share a cache line.
const IN_LINE: usize = 4;

#[derive(Debug, Default)]
#[repr(align(64))]
struct SocketLine([[AtomicU64; 2]; IN_LINE]);

impl SocketPages {
    /// Zeros for the sockets with the ids below `len`, or a few more.
    #[must_use]
    pub fn new(len: usize) -> Self {
        Self((0..len.div_ceil(IN_LINE)).map(|_| SocketLine::default()).collect())
    }

    #[inline]
    fn of(&self, id: SocketId) -> Option<&[AtomicU64; 2]> {
        let id = id as usize;
        self.0.get(id / IN_LINE)?.0.get(id % IN_LINE)
    }

    /// Has the counters of the socket `id` come near.
    #[inline]
    pub fn fetch(&self, id: SocketId, near: &impl Fetch) {
        self.of(id).into_iter().for_each(|counters| near.fetch(counters));
    }

    /// Adds to both of the socket `id`, if it is one of them. Only the one worker that owns the page may call this.
    #[inline]
    pub fn add(&self, id: SocketId, rx: u64, tx: u64) {
        if let Some([rx_cell, tx_cell]) = self.of(id) {
            rx_cell.store(rx_cell.load(Ordering::Relaxed) + rx, Ordering::Relaxed);
            tx_cell.store(tx_cell.load(Ordering::Relaxed) + tx, Ordering::Relaxed);
        }
    }

    /// Received and answered so far by the socket `id`.
    #[must_use]
    pub fn read(&self, id: SocketId) -> (u64, u64) {
        let read = |[rx, tx]: &[AtomicU64; 2]| (rx.load(Ordering::Relaxed), tx.load(Ordering::Relaxed));
        self.of(id).map(read).unwrap_or_default()
    }
}

/// What one worker writes lies on cache lines where nobody else writes: with what it is a part of, it fills whole ones. 64 bytes is a line of
/// x86-64, and 128 what it fetches at a time. What lies between workers (`ArrayQueue`, the queues of `crossbeam::channel`) has each of
/// its ends on lines of its own.
const _: () = {
    assert!(align_of::<CachePadded<Page>>() == 128 && size_of::<CachePadded<Page>>().is_multiple_of(128));
    assert!(align_of::<SocketLine>() == 64 && size_of::<SocketLine>() == 64);
    assert!(align_of::<ArrayQueue<u8>>() >= 128);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_what_was_counted() {
        let (mut tally, page) = (Tally::default(), CounterPage::default());
        tally.add(Counter::Rx, 3);
        tally.drop(DropReason::UdpChecksum);
        assert_eq!(page.read().get(Counter::Rx), 0);
        tally.publish(&page);
        assert_eq!(page.read().get(Counter::Rx), 3);
        assert_eq!(page.read().drops(DropReason::UdpChecksum), 1);
    }

    #[test]
    fn each_socket_is_counted_apart_and_whoever_has_the_page_sees_it() {
        let pages = SocketPages::new(6);
        let shown = pages.clone();
        (0..6).for_each(|id| pages.add(id, id.into(), 1));
        pages.add(5, 1, 0);
        // No socket of the configuration.
        pages.add(u32::MAX, 9, 9);
        let read: Vec<_> = (0..6).map(|id| shown.read(id)).collect();
        assert_eq!(read, [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (6, 1)]);
        assert_eq!(shown.read(u32::MAX), (0, 0));
    }

    #[test]
    fn every_way_out_balances_a_way_in() {
        let mut tally = Tally::default();
        tally.add(Counter::Rx, 2);
        tally.add(Counter::Tx, 1);
        assert_ne!(tally.balance().0, tally.balance().1);
        tally.drop(DropReason::UdpNoPort);
        assert_eq!(tally.balance(), (2, 2));
        tally.add(Counter::Delivered, 5);
        assert_eq!(tally.balance(), (2, 2), "a count of deliveries moves no packet");
    }
}
