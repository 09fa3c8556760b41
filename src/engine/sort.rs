//! What becomes of each packet of a burst: the only place that knows.

use arrayvec::ArrayVec;

use super::batch::Batch;
use super::counters::{Counter, Tally};
use super::fragments::{Arrival, Fragments, Owners};
use super::message::{PathReport, PuntSenders};
use super::worker::{ShortWay, WorkerSockets};
use crate::addr::{V4, V6};
use crate::fastpath::{Alikes, Sink};
use crate::io::{BURST_MAX, BufPool, Burst, DropReason, InterfaceId, PacketBuf, Parts, PortId};
use crate::service::Datagram;
use crate::stack::arp;
use crate::stack::fragmentation::Outgoing;
use crate::stack::gmp::Format;
use crate::stack::icmp::received::Report;
use crate::stack::ingress::{Ingress, Punted, Verdict};
use crate::stack::interface::{Interface, Interfaces, Ip};
use crate::stack::nd;
use crate::stack::port_table::{PortTable, SocketId};
use crate::stack::reassembly::Fragment;
use crate::time::Instant;

/// A packet of ours that is to leave in fragments by an interface.
#[derive(Debug)]
pub(super) struct Long<B> {
    pub(super) interface: InterfaceId,
    pub(super) buf: B,
    pub(super) out: Outgoing,
}

/// The ways out of a burst on one port.
pub(super) struct Sorter<'a, P: BufPool> {
    pub(super) now: Instant,
    pub(super) interfaces: &'a Interfaces,
    pub(super) table: &'a PortTable,
    pub(super) ingress: &'a mut Ingress,
    pub(super) pool: &'a P,
    pub(super) punt: &'a PuntSenders<P::Buf>,
    pub(super) tx_burst: &'a mut Burst<P::Buf>,
    /// Bytes in it.
    pub(super) tx_bytes: &'a mut u64,
    pub(super) tally: &'a mut Tally,
    pub(super) delivered: &'a mut Batch<P::Buf>,
    /// Answers of the stack that are to leave in fragments.
    pub(super) long: &'a mut ArrayVec<Long<P::Buf>, BURST_MAX>,
    pub(super) port: PortId,
    pub(super) fragments: &'a mut Fragments<P::Buf>,
    pub(super) owners: &'a Owners<P::Buf>,
    /// Whether what is sorted was received by another worker.
    pub(super) handed_in: bool,
    /// ICMP errors of this burst that services may be told of.
    pub(super) reports: &'a mut ArrayVec<Report, BURST_MAX>,
    /// Threads' sockets, which say whether they believe routers.
    pub(super) sockets: &'a WorkerSockets,
    /// Datagrams of this burst that were delivered by the slow path.
    pub(super) slowly: u64,
    /// The services here, of which one may answer by the short way.
    pub(super) short_way: ShortWay<'a, P::Buf>,
}

impl<P: BufPool> Sink<P::Buf> for Sorter<'_, P> {
    #[inline(always)]
    fn deliver(&mut self, buf: P::Buf, parts: Parts) {
        self.push(Datagram::new(buf, parts, self.now));
    }

    #[inline(always)]
    fn deliver_all<'b>(
        &mut self,
        packets: impl ExactSizeIterator<Item = (&'b mut Option<P::Buf>, Parts)>,
        sockets: (SocketId, bool),
    ) {
        if self.delivered.has_room_for(packets.len()) {
            self.delivered.push_all(packets, self.now, sockets);
        } else {
            // A burst holds BURST_MAX packets and each is delivered once at most, so this does not happen.
            let bufs = packets.filter_map(|(slot, parts)| slot.take().map(|buf| (buf, parts)));
            bufs.for_each(|(buf, parts)| self.deliver(buf, parts));
        }
    }

    #[inline(always)]
    fn echoes(&mut self, datagrams: &Alikes<'_>) -> bool {
        datagrams.ports.len() <= self.tx_burst.room() && self.short_way.echoes(self.table, datagrams)
    }

    #[inline(always)]
    fn echoed(&mut self, slots: &mut [Option<P::Buf>], datagrams: &Alikes<'_>, bytes: u64) {
        // There was room when it was asked.
        if self.tx_burst.append(slots) {
            *self.tx_bytes += bytes;
            self.short_way.count(datagrams, self.tally);
        }
    }

    #[inline(never)]
    fn slow(&mut self, buf: P::Buf) {
        let verdict = self.ingress.ingress(self.now, buf, self.interfaces, self.table, self.pool);
        match verdict {
            Verdict::Deliver(buf, parts) => {
                self.slowly += 1;
                self.push(Datagram::new(buf, parts, self.now));
            }
            Verdict::Hairpin(buf) => {
                self.tally.add(Counter::IcmpEcho, 1);
                self.transmit(buf);
            }
            Verdict::HairpinInFragments(interface, buf, out) => {
                self.tally.add(Counter::IcmpEcho, 1);
                // As for `transmit`: one of a packet, at most.
                if self.long.try_push(Long { interface, buf, out }).is_err() {
                    self.tally.drop(DropReason::NoBuffer);
                }
            }
            Verdict::Fragment(fragment, buf) => self.fragment(fragment, buf),
            Verdict::Report(report) => self.report(report),
            Verdict::Punt(kind, interface, buf) => self.hand_to_control(kind, interface, buf),
            Verdict::Reject(why, error) => {
                self.tally.drop(why);
                match error {
                    Some(error) => {
                        self.tally.add(Counter::Allocated, 1);
                        self.tally.add(Counter::IcmpErrors, 1);
                        self.transmit(error);
                    }
                    None => self.tally.add(Counter::IcmpWithheld, 1),
                }
            }
            Verdict::Drop(why) => self.tally.drop(why),
        }
    }
}

impl<P: BufPool> Sorter<'_, P> {
    /// Counts the burst, once, however many packets it had.
    pub(super) fn finish(self, bytes: u64) {
        let delivered = self.delivered.len() as u64;
        self.tally.add(Counter::RxBytes, bytes);
        let fast = delivered - self.slowly.min(delivered) + self.short_way.echoed();
        self.tally.add(Counter::FastPath, fast);
    }

    /// What a fragment completes is looked at like any packet, and is one of the burst in its stead.
    fn fragment(&mut self, fragment: Fragment, buf: P::Buf) {
        let Self { now, port, owners, handed_in, .. } = *self;
        let arrival = Arrival { port, fragment, buf, owners, handed_in };
        if let Some(whole) = self.fragments.arrive(now, arrival, self.pool, self.tally) {
            self.slow(whole);
        }
    }

    #[inline(always)]
    fn push(&mut self, datagram: Datagram<P::Buf>) {
        // A burst holds BURST_MAX packets and each is delivered once at most, so this has room.
        if !self.delivered.push(datagram) {
            self.tally.drop(DropReason::NoBuffer);
        }
    }

    /// A packet that was received yields one frame to send at most, so the transmit burst, empty before, has room.
    fn transmit(&mut self, buf: P::Buf) {
        *self.tx_bytes += buf.data().len() as u64;
        if let Err(buf) = self.tx_burst.push(buf) {
            *self.tx_bytes -= buf.data().len() as u64;
            self.tally.drop(DropReason::NoBuffer);
        }
    }

    /// C15, C16: the packet has said what it had to say; nobody waits for its buffer.
    fn report(&mut self, report: Report) {
        self.tally.add(Counter::IcmpReports, 1);
        let interface = report.error.interface;
        // Linux `ipv4_sk_update_pmtu`, `ip6_sk_update_pmtu`: unless the socket believes no router.
        let believed = report.too_big.filter(|_| self.sockets.believes_routers(&report));
        let told = believed.is_none_or(|too_big| self.punt.report(PathReport { interface, too_big }));
        if told {
            self.tally.add(Counter::Consumed, 1)
        } else {
            self.tally.drop(DropReason::PuntQueueFull)
        }
        // A burst holds BURST_MAX packets and each is one report at most, so this has room.
        let _ = self.reports.try_push(report);
    }

    fn hand_to_control(&mut self, kind: Punted, id: InterfaceId, buf: P::Buf) {
        let Some(interface) = self.interfaces.get(id) else {
            return self.tally.drop(DropReason::VlanUnknown);
        };
        match kind {
            Punted::Arp => match self.punt.arp(id, buf) {
                Ok(()) => self.tally.add(Counter::Punted, 1),
                Err(mut refused) => {
                    if arp::answer_in_place(&mut refused, interface) {
                        self.tally.add(Counter::ArpAnswered, 1);
                        self.transmit(refused);
                    } else {
                        self.tally.drop(DropReason::PuntQueueFull);
                    }
                }
            },
            Punted::Ndp => match self.punt.ndp(id, buf) {
                Ok(()) => self.tally.add(Counter::Punted, 1),
                Err(mut refused) => {
                    if nd::output::answer_in_place(&mut refused, interface) {
                        self.tally.add(Counter::NdpAnswered, 1);
                        self.transmit(refused);
                    } else {
                        self.tally.drop(DropReason::PuntQueueFull);
                    }
                }
            },
            Punted::Igmp => self.punt_gmp::<V4>(interface, buf),
            Punted::Mld => self.punt_gmp::<V6>(interface, buf),
        }
    }

    fn punt_gmp<F: Ip + Format>(&mut self, interface: &Interface, buf: P::Buf) {
        match self.punt.gmp::<F>(self.now, interface.id, &F::inet(interface).groups, buf) {
            Ok(()) => self.tally.add(Counter::Punted, 1),
            Err(why) => self.tally.drop(why),
        }
    }
}
