//! The sender and hearer: one queue pair, turned by whoever has it.
//!
//! A right answer's buffer is that of the next packet: it is at hand, its lines are near, and most of what it holds is right already.

mod hear;
#[cfg(test)]
mod tests;

use core::net::IpAddr;

use arrayvec::ArrayVec;
use hdrhistogram::Histogram;

use super::counts::Counts;
use super::neighbors::{self, FRAME_MAX, Neighbors};
use super::pace::Pace;
use super::places::{Place, Places};
use super::template::{IpHeader, LinkHeader, Template};
use super::tracker::Tracker;
use super::traffic::{Answers, Rate, Traffic, TrafficError};
use crate::addr::MacAddr;
use crate::io::{BufPool, Burst, Nic, PacketBuf, RxQueue, TxQueue};
use crate::time::Instant;

/// Packets that a turn receives at most.
const RECEIVE_MAX: usize = 64;

/// Answers that are kept for the next packets at most: what comes at once is not sent at once. A pool has twice as many beside the rings.
const KEPT_MAX: usize = 1024;

/// Packets under way that are told apart, at least and at most.
const SLOTS: (usize, usize) = (1 << 12, 1 << 22);

/// The longest latency that is told apart, in nanoseconds: a minute.
const LATENCY_MAX: u64 = 60_000_000_000;

/// A histogram of nanoseconds, right to three digits.
///
/// # Panics
/// Never: these bounds are ones that a histogram can have.
#[must_use]
pub fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX, 3).expect("these bounds can be")
}

/// The port that packets leave by and answers come in by.
#[derive(Debug)]
pub struct Link<N: Nic> {
    /// Its receive queue.
    pub rx: N::Rx,
    /// Its transmit queue.
    pub tx: N::Tx,
    /// Where its buffers come from.
    pub pool: N::Pool,
    /// Its Ethernet address.
    pub mac: MacAddr,
    /// Its MTU.
    pub mtu: u16,
}

/// How far a run is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Ethernet addresses are asked for.
    Resolving,
    /// These do not answer: nothing was sent.
    Unresolved,
    /// Packets are sent.
    Sending,
    /// The last answers are waited for.
    Waiting,
    /// All is over.
    Done,
}

/// One end that sends, and hears what comes back.
#[derive(Debug)]
pub struct Generator<N: Nic> {
    link: Link<N>,
    traffic: Traffic,
    run: u32,
    stage: Stage,
    neighbors: Neighbors,
    /// One for each destination and size, the sizes of one destination together.
    templates: Vec<Template>,
    /// Whether the datagram begins at one place in all of them: then those of one length differ in front of it alone, and in its stamp.
    one_layout: bool,
    places: Places,
    pace: Pace,
    start: Instant,
    end: Instant,
    tracker: Tracker,
    /// The next packet's.
    place: Place,
    sending: Burst<N::Buf>,
    /// Bytes of these.
    sending_bytes: u64,
    received: Burst<N::Buf>,
    /// Buffers for the next packets, each with a packet or its answer: none is shared, and none has a tag apart.
    kept: ArrayVec<N::Buf, KEPT_MAX>,
    /// The number that is probably the next answer's, and its place.
    expected: (u64, Place),
    /// Datagrams that the short way was not enough for.
    looked_at: u64,
    counts: Counts,
    latency: Histogram<u64>,
}

impl<N: Nic> Generator<N> {
    /// Sends `traffic` by `link`; `run` tells its packets from another run's.
    ///
    /// # Errors
    /// The traffic cannot be sent.
    pub fn new(link: Link<N>, traffic: Traffic, run: u32) -> Result<Self, TrafficError> {
        traffic.check_mtu(link.mtu)?;
        let patience = u64::try_from(traffic.patience.as_nanos()).unwrap_or(u64::MAX);
        let flows = usize::try_from(traffic.flows).unwrap_or(0);
        let places = Places::of(&traffic);
        Ok(Self {
            neighbors: Neighbors::of(&traffic),
            templates: Vec::new(),
            one_layout: false,
            places,
            pace: Pace::new(traffic.rate, Instant::ZERO),
            start: Instant::ZERO,
            end: Instant::ZERO,
            tracker: Tracker::new(slots(&traffic), flows, patience),
            place: places.at(0),
            sending: Burst::new(),
            sending_bytes: 0,
            received: Burst::new(),
            kept: ArrayVec::new(),
            expected: (0, places.at(0)),
            looked_at: 0,
            counts: Counts::default(),
            latency: new_histogram(),
            stage: Stage::Resolving,
            link,
            traffic,
            run,
        })
    }

    /// How far it is.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// Whose Ethernet addresses are not known.
    pub fn unresolved(&self) -> impl Iterator<Item = IpAddr> {
        self.neighbors.unknown()
    }

    /// From the first packet to the last: so many nanoseconds so far.
    #[must_use]
    pub fn sending_ns(&self) -> u64 {
        self.end.ns() - self.start.ns()
    }

    /// What became of the packets so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let (waiting, lost) = (self.tracker.waiting(), self.tracker.lost());
        let (waiting, lost) = if self.traffic.answers == Answers::None { (0, 0) } else { (waiting, lost) };
        Counts { waiting, lost, skipped: self.pace.skipped(), ..self.counts }
    }

    /// The latencies since this was last asked, in exchange for an empty histogram.
    pub fn take_latency(&mut self, empty: Histogram<u64>) -> Histogram<u64> {
        core::mem::replace(&mut self.latency, empty)
    }

    /// Sends no more.
    pub fn stop(&mut self) {
        if matches!(self.stage, Stage::Resolving | Stage::Sending) {
            self.stage = Stage::Waiting;
        }
    }

    /// One turn: hears what came, sends what is due. `clock` is asked right after the driver gave the one, and right before it is given the
    /// other; that is once for all packets of a burst. Returns how many packets moved.
    pub fn turn(&mut self, mut clock: impl FnMut() -> Instant) -> usize {
        let came = self.link.rx.rx_burst(&mut self.received, RECEIVE_MAX);
        let now = clock();
        if came > 0 {
            self.hear(now);
        }
        match self.stage {
            Stage::Resolving => self.resolve(now),
            Stage::Sending => {
                self.tracker.expire(now);
                return came + self.send(now, clock);
            }
            Stage::Waiting => self.wait(now),
            Stage::Unresolved | Stage::Done => {}
        }
        came
    }

    fn resolve(&mut self, now: Instant) {
        if self.neighbors.unknown().next().is_none() {
            self.begin(now);
        } else if self.neighbors.is_hopeless() {
            self.stage = Stage::Unresolved;
        } else if self.neighbors.is_due(now) {
            let own = self.own_header();
            let mut frame = [0; FRAME_MAX];
            let unknown: Vec<IpAddr> = self.neighbors.unknown().collect();
            for target in unknown {
                let len = neighbors::question(target, own, &self.traffic, &mut frame);
                self.say(frame.get(..len.unwrap_or(0)).unwrap_or_default());
            }
        }
    }

    const fn own_header(&self) -> LinkHeader {
        LinkHeader { src: self.link.mac, dst: MacAddr::BROADCAST, vlan: self.traffic.vlan }
    }

    /// Makes the packets, now that it is known where they go.
    fn begin(&mut self, now: Instant) {
        let Self { traffic, neighbors, templates, run, link, .. } = self;
        let all =
            traffic.destinations.iter().flat_map(|to| traffic.sizes.iter().map(move |size| (*to, *size)));
        templates.extend(all.filter_map(|(to, size)| {
            let dst = neighbors.mac_towards(to.ip(), traffic)?;
            let header = LinkHeader { src: link.mac, dst, vlan: traffic.vlan };
            let ttl = traffic.ttl.unwrap_or_else(|| if to.ip().is_multicast() { 1 } else { 64 });
            let ip = IpHeader { src: traffic.source_for(to.ip())?, ttl, tos: traffic.tos };
            Template::new(header, ip, to, size, *run)
        }));
        self.one_layout = self.templates.windows(2).all(|pair| pair[0].udp_at() == pair[1].udp_at());
        self.pace = Pace::new(self.traffic.rate, now);
        (self.start, self.end, self.stage) = (now, now, Stage::Sending);
    }

    fn is_over(&self, now: Instant) -> bool {
        let made = self.tracker.next() + self.sending.len() as u64;
        let enough = self.traffic.count.is_some_and(|count| made >= count && self.sending.is_empty());
        enough || self.traffic.duration.is_some_and(|duration| now.since(self.start) >= duration)
    }

    /// Makes what is due at `now`, and hands over what was made.
    fn send(&mut self, now: Instant, clock: impl FnMut() -> Instant) -> usize {
        if self.is_over(now) {
            self.give_back();
            self.stage = Stage::Waiting;
            return 0;
        }
        let under_way = self.sending.len() as u64;
        let room = self.traffic.burst - self.sending.len().min(self.traffic.burst);
        let mut due = self.pace.due(now).min(room as u64);
        if let Some(count) = self.traffic.count {
            due = due.min(count.saturating_sub(self.tracker.next() + under_way));
        }
        if let Some(most) = self.traffic.in_flight {
            due = due.min(most.saturating_sub(self.tracker.waiting() + under_way));
        }
        self.make(due);
        self.hand_over(clock)
    }

    /// So many packets more, if there are buffers for them.
    #[expect(clippy::cast_possible_truncation, reason = "no more than a burst")]
    fn make(&mut self, due: u64) {
        self.top_up(due as usize);
        let Self { templates, kept, sending, .. } = self;
        let (places, one_layout, templates) = (self.places, self.one_layout, templates.as_slice());
        let first = self.tracker.next() + sending.len() as u64;
        let (mut place, mut number, mut bytes) = (self.place, first, 0);
        let packets = core::iter::from_fn(|| {
            let template = templates.get(place.template)?;
            let mut buf = kept.pop()?;
            if !(one_layout && is_written(&mut buf, template, place.port, number)) {
                refill(&mut buf, template, place.port, number)?;
            }
            bytes += template.len() as u64;
            number += 1;
            place = places.after(place);
            Some(buf)
        });
        sending.extend(packets.take(due as usize));
        self.place = place;
        self.sending_bytes += bytes;
        self.pace.give(number - first);
    }

    /// Sees to it that there are buffers for `due` packets, if the pool has any. All at once, before one is written: what is read of a
    /// buffer that was just made waits until all that was written before is in the cache, frames of lines that are far away among it.
    fn top_up(&mut self, due: usize) {
        let Self { templates, link, kept, .. } = self;
        let frame = templates.get(self.place.template).map_or(&[][..], Template::frame);
        while kept.len() < due.min(KEPT_MAX) {
            let Some(buf) = link.pool.alloc_copy(frame) else {
                self.counts.no_buffer += 1;
                return;
            };
            kept.push(buf);
        }
    }

    fn hand_over(&mut self, mut clock: impl FnMut() -> Instant) -> usize {
        if self.sending.is_empty() {
            return 0;
        }
        let now = clock();
        let taken = self.link.tx.tx_burst(&mut self.sending);
        let left: u64 = self.sending.iter().map(|buf| buf.data().len() as u64).sum();
        self.counts.sent += taken as u64;
        self.counts.sent_bytes += self.sending_bytes - left;
        self.counts.tx_full += u64::from(!self.sending.is_empty());
        self.sending_bytes = left;
        self.tracker.sent(taken, now);
        self.end = now;
        taken
    }

    /// What was made and not sent, and what was kept for more.
    fn give_back(&mut self) {
        self.sending.drain().for_each(drop);
        self.sending_bytes = 0;
        self.kept.clear();
    }

    fn wait(&mut self, now: Instant) {
        self.give_back();
        self.tracker.expire(now);
        if self.tracker.waiting() == 0 || self.traffic.answers == Answers::None {
            self.tracker.finish();
            self.stage = Stage::Done;
        }
    }

    /// Sends one frame of the link's own affairs, if there is one.
    fn say(&mut self, frame: &[u8]) {
        if frame.is_empty() {
            return;
        }
        let Some(buf) = self.link.pool.alloc_copy(frame) else {
            self.counts.no_buffer += 1;
            return;
        };
        let mut burst = Burst::new();
        // An empty burst has room.
        let _ = burst.push(buf);
        self.link.tx.tx_burst(&mut burst);
    }
}

/// Makes `buf`, which holds a packet of one of the templates, the packet `number` of `template`. False: they differ in length.
#[inline]
fn is_written<B: PacketBuf>(buf: &mut B, template: &Template, port: u16, number: u64) -> bool {
    buf.unique().is_some_and(|frame| template.write(port, number, frame))
}

/// The same, whatever `buf` holds. `None`: it cannot hold that.
fn refill<B: PacketBuf>(buf: &mut B, template: &Template, port: u16, number: u64) -> Option<()> {
    if !buf.set_len(template.len()) {
        return None;
    }
    buf.unique()?.copy_from_slice(template.frame());
    is_written(buf, template, port, number).then_some(())
}

/// Slots for all packets that may be under way.
fn slots(traffic: &Traffic) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, and is bounded below"
    )]
    let wanted = match (traffic.in_flight, traffic.rate) {
        (Some(most), _) => usize::try_from(most).unwrap_or(SLOTS.1).saturating_mul(2),
        (None, Rate::PerSecond(rate)) => (rate * traffic.patience.as_secs_f64() * 1.25) as usize,
        (None, Rate::Max) => SLOTS.1,
    };
    wanted.clamp(SLOTS.0, SLOTS.1)
}
