//! One port of a worker at work: its queues, its replica, its transmit burst and its counters.

use super::counters::{Counter, CounterPage, Tally};
use super::fragments::Owners;
use super::message::{News, PathNews, PuntSenders};
use super::rps::{Exit, Intake};
use super::worker::WorkerPort;
use crate::addr::{Family, V4};
use crate::fastpath::View;
use crate::io::{BURST_MAX, Burst, InterfaceId, Nic, PacketBuf, PortId};
use crate::stack::fragmentation::Ids;
use crate::stack::interface::{Interface, Interfaces, Ip};
use crate::time::Instant;

/// Packets of workers without a transmit queue that a turn sends at most.
const FORWARD_BUDGET: usize = 4 * BURST_MAX;

#[derive(Debug)]
pub(super) struct PortIo<N: Nic> {
    pub(super) id: PortId,
    pub(super) rx: Intake<N>,
    tx: Exit<N>,
    pub(super) interfaces: Interfaces,
    /// Of its interfaces, whose plain datagrams take the fast path.
    pub(super) view: View,
    pub(super) tx_burst: Burst<N::Buf>,
    /// Bytes in it.
    pub(super) tx_bytes: u64,
    pub(super) tally: Tally,
    /// The way to control.
    pub(super) punt: PuntSenders<N::Buf>,
    /// Who puts fragments together that come in here.
    pub(super) owners: Owners<N::Buf>,
    /// The identifications of UDP datagrams from here; those of ICMP are drawn by ingress.
    pub(super) ids: Ids,
    page: CounterPage,
}

impl<N: Nic> PortIo<N> {
    pub(super) fn new(port: WorkerPort<N>, punt: PuntSenders<N::Buf>, ids: Ids) -> Self {
        let WorkerPort { id, rx, tx, interfaces, owners, page } = port;
        let (view, tally) = (View::of(&interfaces), Tally::default());
        Self {
            id,
            rx,
            tx,
            interfaces,
            view,
            tx_burst: Burst::new(),
            tx_bytes: 0,
            tally,
            punt,
            owners,
            ids,
            page,
        }
    }

    /// Takes note of what is new on one side of the interface `id`.
    pub(super) fn hear<F: Ip>(&mut self, id: InterfaceId, news: News<F>) {
        let Some(interface) = self.interfaces.get_mut(id) else { return };
        let inet = F::inet_mut(interface);
        match news {
            News::Groups(table) => {
                inet.groups = table;
                self.view.set_groups(&self.interfaces);
            }
            News::Routes(routes) => {
                drop(inet.set_routes(routes));
                self.view = View::of(&self.interfaces);
            }
            News::Neighbor(addr, hop) => inet.hops.set(addr, hop),
            News::NoNeighbors => inet.hops.clear(),
            News::PathMtu(at, news) => {
                learn_path::<F>(interface, at, news);
                // What fits every path needs no look at them: the fast path knows no other limit.
                self.view.set_packet_max(&self.interfaces);
            }
        }
    }

    /// Lets go of the queues, after what is under way has been sent. What is to be sent after that, the ring refuses.
    pub(super) fn pause(&mut self) {
        self.flush();
        self.rx.pause();
        self.tx.pause();
    }

    /// Takes the queues again.
    pub(super) fn resume(&mut self) {
        self.rx.resume();
        self.tx.resume();
    }

    /// Puts `buf` into the transmit burst; a full one goes out first.
    #[inline]
    pub(super) fn send(&mut self, buf: N::Buf) {
        let bytes = buf.data().len() as u64;
        if let Err(buf) = self.tx_burst.push(buf) {
            self.flush();
            // NOTE(push): a flushed burst is empty, so this cannot fail; if it did, the buffer would go home.
            let _ = self.tx_burst.push(buf);
        }
        self.tx_bytes += bytes;
    }

    /// Puts all of `bufs` into the transmit burst, which have so many bytes; if there is no room, what is in it goes out first. At
    /// most a burst.
    #[inline(always)]
    pub(super) fn send_all<'a>(
        &mut self,
        mut bufs: impl ExactSizeIterator<Item = &'a mut Option<N::Buf>>,
        bytes: u64,
    ) {
        if bufs.len() > self.tx_burst.room() {
            self.flush();
        }
        self.tx_burst.push_all(bufs.by_ref());
        debug_assert_eq!(bufs.len(), 0, "more than a burst");
        self.tx_bytes += bytes;
    }

    /// Sends the transmit burst. What the ring refuses is counted and freed: it may not hold up what comes next.
    #[inline]
    pub(super) fn flush(&mut self) {
        let len = self.tx_burst.len();
        if len == 0 {
            return;
        }
        let bytes = core::mem::take(&mut self.tx_bytes);
        let (sent, handed_over) = self.tx.tx_burst(&mut self.tx_burst);
        let refused = self.tx_burst.len();
        let refused_bytes = if refused == 0 { 0 } else { bytes_of(&self.tx_burst) };
        self.tx_burst.drain().for_each(drop);
        debug_assert_eq!(sent + handed_over + refused, len, "a driver lost count");
        self.tally.add(Counter::Tx, sent as u64);
        self.tally.add(Counter::TxRefused, refused as u64);
        if handed_over > 0 {
            // Whoever sends a packet counts its bytes.
            self.tally.add(Counter::HandedOut, handed_over as u64);
            return;
        }
        self.tally.add(Counter::TxBytes, bytes.saturating_sub(refused_bytes));
    }

    /// Sends what workers without a transmit queue handed over. Returns how much that was.
    #[inline]
    pub(super) fn forward(&mut self) -> usize {
        if self.tx.has_more() { self.forward_bursts() } else { 0 }
    }

    #[inline(never)]
    fn forward_bursts(&mut self) -> usize {
        let mut forwarded = 0;
        while forwarded < FORWARD_BUDGET {
            let before = self.tx_burst.len();
            let taken = self.tx.take_over(&mut self.tx_burst, FORWARD_BUDGET - forwarded);
            let bytes = self.tx_burst.iter().skip(before).map(|buf| buf.data().len() as u64);
            self.tx_bytes += bytes.sum::<u64>();
            forwarded += taken;
            let is_all = !self.tx_burst.is_full();
            self.flush();
            if is_all {
                break;
            }
        }
        self.tally.add(Counter::HandedIn, forwarded as u64);
        forwarded
    }

    /// Packets that other workers handed over, and that it has not taken yet.
    pub(super) fn handed_over(&self) -> usize {
        self.rx.handed_over() + self.tx.handed_over()
    }

    /// The last turn: what other workers received for this one is looked at no more; what they have to send, goes.
    pub(super) fn finish(&mut self) {
        self.rx.give_up(&mut self.tally);
        while self.forward() > 0 {}
        self.flush();
        self.publish();
    }

    /// Publishes the counters, if any changed.
    #[inline]
    pub(super) fn publish(&mut self) {
        debug_assert!(self.tx_burst.is_empty(), "published before it was flushed");
        self.tally.publish(&self.page);
    }
}

fn learn_path<F: Ip>(interface: &mut Interface, at: Instant, news: PathNews<F::Addr>) {
    let paths = &mut F::inet_mut(interface).paths;
    match news {
        PathNews::TooBig(report) => drop(paths.learn(at, report)),
        PathNews::Expired => drop(paths.expire(at)),
        PathNews::LinkMtu(mtu) => {
            paths.set_link_mtu(mtu);
            // N14, RFC 4861 6.3.4: a router may say less for IPv6 alone; what the link carries, IPv4 has.
            if F::VERSION == V4::VERSION {
                interface.mtu = mtu;
            }
        }
    }
}

#[cold]
fn bytes_of<B: PacketBuf>(burst: &Burst<B>) -> u64 {
    burst.iter().map(|b| b.data().len() as u64).sum()
}
