//! The sender and hearer: one queue pair, turned by whoever has it.

use core::net::{IpAddr, SocketAddr};

use hdrhistogram::Histogram;

use super::counts::Counts;
use super::heard::{self, Heard};
use super::neighbors::{self, FRAME_MAX, Neighbors};
use super::pace::Pace;
use super::template::{IpHeader, LinkHeader, Template, stamp_of};
use super::tracker::{Answer, Tracker};
use super::traffic::{Answers, Rate, Traffic, TrafficError};
use crate::addr::MacAddr;
use crate::io::{BufPool, Burst, ChecksumStatus, Nic, PacketBuf, RxQueue, TxQueue};
use crate::time::Instant;
use crate::wire::arp::Operation;
use crate::wire::checksum::Sum;
use crate::wire::udp::Udp;

/// Packets that a turn receives at most.
const RECEIVE_MAX: usize = 64;

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
    pace: Pace,
    start: Instant,
    end: Instant,
    tracker: Tracker,
    /// The next packet's flow, and which of the sizes its round has.
    flow: u32,
    size: usize,
    sending: Burst<N::Buf>,
    received: Burst<N::Buf>,
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
        Ok(Self {
            neighbors: Neighbors::of(&traffic),
            templates: Vec::new(),
            pace: Pace::new(traffic.rate, Instant::ZERO),
            start: Instant::ZERO,
            end: Instant::ZERO,
            tracker: Tracker::new(slots(&traffic), flows, patience),
            flow: 0,
            size: 0,
            sending: Burst::new(),
            received: Burst::new(),
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

    /// One turn: hears what came, sends what is due. `clock` is asked right after the one and right before the other.
    /// Returns how many packets moved.
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
                return came + self.send(clock);
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
        self.pace = Pace::new(self.traffic.rate, now);
        (self.start, self.end, self.stage) = (now, now, Stage::Sending);
    }

    fn is_over(&self, now: Instant) -> bool {
        let made = self.tracker.next() + self.sending.len() as u64;
        let enough = self.traffic.count.is_some_and(|count| made >= count && self.sending.is_empty());
        enough || self.traffic.duration.is_some_and(|duration| now.since(self.start) >= duration)
    }

    /// Makes what is due, and hands over what was made.
    fn send(&mut self, mut clock: impl FnMut() -> Instant) -> usize {
        let now = clock();
        if self.is_over(now) {
            self.sending.drain().for_each(drop);
            self.stage = Stage::Waiting;
            return 0;
        }
        let room = self.traffic.burst - self.sending.len().min(self.traffic.burst);
        let mut due = self.pace.due(now).min(room as u64);
        let made = self.tracker.next() + self.sending.len() as u64;
        if let Some(count) = self.traffic.count {
            due = due.min(count.saturating_sub(made));
        }
        if let Some(most) = self.traffic.in_flight {
            due = due.min(most.saturating_sub(self.tracker.waiting() + self.sending.len() as u64));
        }
        for _ in 0..due {
            if !self.make() {
                self.counts.no_buffer += 1;
                break;
            }
        }
        self.hand_over(clock)
    }

    /// One packet more. False: there is no buffer for it.
    fn make(&mut self) -> bool {
        let number = self.tracker.next() + self.sending.len() as u64;
        let (template, port) = self.place(self.flow, self.size);
        let Some(template) = self.templates.get(template) else { return false };
        let Some(mut buf) = self.link.pool.alloc() else { return false };
        if !buf.set_len(template.len()) {
            return false;
        }
        let Some(frame) = buf.unique() else { return false };
        template.write(port, number, frame);
        if self.sending.push(buf).is_err() {
            return false;
        }
        self.pace.give(1);
        self.flow += 1;
        if self.flow == self.traffic.flows {
            self.flow = 0;
            self.size = (self.size + 1) % self.traffic.sizes.len();
        }
        true
    }

    /// The template and the source port of a packet of `flow` of the round that has the size of this place.
    fn place(&self, flow: u32, size: usize) -> (usize, u16) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "fewer than flows, which are of 32 bits; ports were counted"
        )]
        let (destinations, first) = (self.traffic.destinations.len() as u32, self.traffic.source_port);
        let (nth, destination) = (flow / destinations, flow % destinations);
        let port = first.saturating_add(u16::try_from(nth).unwrap_or(u16::MAX));
        (destination as usize * self.traffic.sizes.len() + size, port)
    }

    fn hand_over(&mut self, mut clock: impl FnMut() -> Instant) -> usize {
        if self.sending.is_empty() {
            return 0;
        }
        let made = self.sending.len();
        let bytes: u64 = self.sending.iter().map(|buf| buf.data().len() as u64).sum();
        let now = clock();
        let taken = self.link.tx.tx_burst(&mut self.sending);
        let left: u64 = self.sending.iter().map(|buf| buf.data().len() as u64).sum();
        self.counts.sent += taken as u64;
        self.counts.sent_bytes += bytes - left;
        self.counts.tx_full += u64::from(taken < made);
        self.tracker.sent(taken, now);
        self.end = now;
        taken
    }

    fn wait(&mut self, now: Instant) {
        self.sending.drain().for_each(drop);
        self.tracker.expire(now);
        if self.tracker.waiting() == 0 || self.traffic.answers == Answers::None {
            self.tracker.finish();
            self.stage = Stage::Done;
        }
    }

    fn hear(&mut self, now: Instant) {
        let mut received = core::mem::take(&mut self.received);
        for buf in received.drain() {
            self.hear_one(&buf, now);
        }
        self.received = received;
    }

    fn hear_one(&mut self, buf: &N::Buf, now: Instant) {
        let frame = buf.data();
        let (tagged, heard) = heard::read(frame);
        let vid = buf.rx_meta().stripped_tci.map_or(tagged, |tci| tci & 0xfff);
        if vid != self.traffic.vlan.map_or(0, |vid| vid.get()) {
            self.counts.other += 1;
            return;
        }
        match heard {
            Heard::Datagram { src, dst, udp, pseudo } => {
                let ends = (SocketAddr::new(src, udp.src_port()), SocketAddr::new(dst, udp.dst_port()));
                let sums = !matches!(buf.rx_meta().l4_checksum, ChecksumStatus::Good | ChecksumStatus::None);
                self.hear_datagram(ends, &udp, sums.then_some(pseudo), (frame.len(), now));
            }
            Heard::Arp(packet) => self.hear_arp(&packet),
            Heard::Solicitation { from, mac, target } => {
                self.counts.other += 1;
                if self.traffic.source6.is_some_and(|own| own.addr() == target) {
                    let mut answer = [0; FRAME_MAX];
                    let len = neighbors::nd_answer(target, (from, mac), self.own_header(), &mut answer);
                    self.say(answer.get(..len.unwrap_or(0)).unwrap_or_default());
                }
            }
            Heard::Advertisement { target, mac } => {
                self.counts.other += 1;
                self.neighbors.learn(target.into(), mac);
            }
            Heard::Unreachable => self.counts.unreachable += 1,
            Heard::Other => self.counts.other += 1,
        }
    }

    fn hear_arp(&mut self, packet: &crate::wire::arp::Packet) {
        self.counts.other += 1;
        if packet.operation == Operation::Reply {
            self.neighbors.learn(packet.sender_addr.into(), packet.sender_mac);
        } else if self.traffic.source4.is_some_and(|own| own.addr() == packet.target_addr) {
            let mut answer = [0; FRAME_MAX];
            let len = neighbors::arp_answer(packet, self.own_header(), &mut answer);
            self.say(answer.get(..len.unwrap_or(0)).unwrap_or_default());
        }
    }

    /// A datagram that may be an answer. With `pseudo`, its checksum is to be looked at.
    fn hear_datagram(
        &mut self,
        (src, dst): (SocketAddr, SocketAddr),
        udp: &Udp<'_>,
        pseudo: Option<Sum>,
        (frame_len, now): (usize, Instant),
    ) {
        let is_ours = |(run, number): &(u32, u64)| *run == self.run && *number < self.tracker.next();
        let Some((_, number)) = stamp_of(udp.payload()).filter(is_ours) else {
            // A stamp that is broken is no stamp of ours: by its addresses it may be an answer all the same.
            let is_answer = self.traffic.destinations.iter().any(|to| to.port() == src.port())
                && self.traffic.source_for(dst.ip()) == Some(dst.ip())
                && stamp_of(udp.payload()).is_none_or(|(run, _)| run == self.run);
            if is_answer {
                self.counts.wrong += 1
            } else {
                self.counts.other += 1
            }
            return;
        };
        let flow = number % u64::from(self.traffic.flows);
        let round = number / u64::from(self.traffic.flows) % self.traffic.sizes.len() as u64;
        let (Ok(flow), Ok(size)) = (u32::try_from(flow), usize::try_from(round)) else { return };
        let (template, port) = self.place(flow, size);
        let is_right = self.templates.get(template).is_some_and(|template| {
            let sum = pseudo.filter(|_| udp.checksum() != 0 || src.is_ipv6()).map(|pseudo| {
                let ports = pseudo.add_u16(udp.src_port()).add_u16(udp.dst_port()).add_u16(udp.length());
                (ports + template.payload_sum(number)).udp_finish()
            });
            self.has_come_back((src, dst), template.dst(), port)
                && template.has_payload(udp.payload())
                && sum.is_none_or(|sum| sum == udp.checksum())
        });
        if is_right {
            self.count_answer(number, flow, frame_len, now);
        } else {
            self.counts.wrong += 1;
        }
    }

    /// Whether a datagram between `src` and `dst` is what an answer to one from `port` to `to` may be.
    fn has_come_back(&self, (src, dst): (SocketAddr, SocketAddr), to: SocketAddr, port: u16) -> bool {
        let Some(own) = self.traffic.source_for(to.ip()).map(|ip| SocketAddr::new(ip, port)) else {
            return false;
        };
        match self.traffic.answers {
            Answers::None => false,
            Answers::Same => (src, dst) == (own, to),
            // U21, RFC 1122 4.1.3.5: to what was sent to a group, whoever heard it answers by its own address.
            Answers::Echo if to.ip().is_multicast() => dst == own && src.port() == to.port(),
            Answers::Echo => (src, dst) == (to, own),
        }
    }

    fn count_answer(&mut self, number: u64, flow: u32, frame_len: usize, now: Instant) {
        match self.tracker.answered(number, flow as usize, now) {
            Answer::First { latency_ns, reordered } => {
                self.counts.answered += 1;
                self.counts.answered_bytes += frame_len as u64;
                self.counts.reordered += u64::from(reordered);
                self.latency.saturating_record(latency_ns.max(1));
            }
            Answer::Again => self.counts.duplicated += 1,
            Answer::Late => self.counts.late += 1,
            Answer::Never => self.counts.wrong += 1,
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
