//! What came back.
//!
//! There are two ways. The short one takes an answer that is byte for byte what the last right one was, but for port, number and
//! checksum, which it computes. Whatever else a frame may be, and the first answers, go the other, which reads it from the front: it
//! alone says that something is wrong, and what.

use core::net::SocketAddr;

use super::super::counts::Counts;
use super::super::heard::{self, Heard};
use super::super::neighbors::{self, FRAME_MAX};
use super::super::places::{Place, Places};
use super::super::template::{Template, stamp_of};
use super::super::tracker::Answer;
use super::super::traffic::Answers;
use super::{Generator, Stage};
use crate::io::{Alike, ChecksumStatus, Nic, PacketBuf};
use crate::time::Instant;
use crate::wire::arp::{Operation, Packet};
use crate::wire::checksum::Sum;
use crate::wire::udp::Udp;

impl<N: Nic> Generator<N> {
    /// All that was received, in order, at `now`.
    pub(super) fn hear(&mut self, now: Instant) {
        let (mut at, len) = (0, self.received.len());
        while at < len {
            at += self.hear_answers(at, now);
            if let Some(buf) = self.received.front_mut().get_mut(at).and_then(Option::take) {
                self.hear_one(&buf, now);
            }
            at += 1;
        }
        self.received.drain();
    }

    /// The short way, for all from place `at` on of what was received, up to the first that it is not for. Returns how many there were.
    fn hear_answers(&mut self, at: usize, now: Instant) -> usize {
        let is_plain = self.received.alike() != Alike::Unknown;
        let mut heard = 0;
        while at + heard < self.received.len() {
            let slots = self.received.front().get(at + heard..).unwrap_or_default();
            let run = recognise(slots, is_plain, self.expected, (&self.templates, &self.places));
            if run.count > 0 {
                heard += run.count;
                self.expected = run.next;
                self.count_run(&run, now);
            } else if let Some(buf) = slots.first().and_then(Option::as_ref)
                && (is_plain || is_in_one_piece(buf))
                && let Some((number, place)) = self.recognise_other(buf.data())
            {
                self.expected = (number, place);
            } else {
                break;
            }
        }
        self.keep(at..at + heard, is_plain);
        heard
    }

    /// The number and the place of the packet that `frame` is the answer to, if the short way can tell.
    fn recognise_other(&self, frame: &[u8]) -> Option<(u64, Place)> {
        let number = self.templates.get(self.expected.1.template)?.number_in(frame)?;
        let place = self.places.at(number);
        let is_answer = number < self.tracker.next()
            && self.templates.get(place.template)?.is_answer(frame, place.port, number);
        is_answer.then_some((number, place))
    }

    fn count_run(&mut self, run: &Run, now: Instant) {
        let Self { tracker, latency, counts, .. } = self;
        let record = |ns: u64, count| latency.saturating_record_n(ns.max(1), count);
        let (number, place) = run.first;
        if let Some(reordered) = tracker.answered_in_order((number, run.count), place.flow, now, record) {
            counts.answered += run.count as u64;
            counts.answered_bytes += run.bytes;
            counts.reordered += reordered;
            return;
        }
        for number in number..number + run.count as u64 {
            let place = self.places.at(number);
            let len = self.templates.get(place.template).map_or(0, Template::len);
            self.count_answer(number, place.flow, len, now);
        }
    }

    /// Keeps the answers in these places for what is to be sent, as many as are wanted; the others go home.
    fn keep(&mut self, places: core::ops::Range<usize>, is_plain: bool) {
        let Self { received, kept, .. } = self;
        let slots = received.front_mut().get_mut(places).unwrap_or_default();
        if self.stage == Stage::Sending {
            let room = kept.remaining_capacity();
            let answers = slots.iter_mut().filter_map(Option::take);
            kept.extend(
                answers.filter_map(|mut buf| (is_plain || is_ours_alone(&mut buf)).then_some(buf)).take(room),
            );
        }
        slots.iter_mut().for_each(|slot| drop(slot.take()));
    }

    /// Any frame.
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
                self.looked_at += 1;
                let ends = (SocketAddr::new(src, udp.src_port()), SocketAddr::new(dst, udp.dst_port()));
                let sums = !matches!(buf.rx_meta().l4_checksum, ChecksumStatus::Good | ChecksumStatus::None);
                let of_frame = if is_in_one_piece(buf) { Some(frame) } else { None };
                if let Some((number, flow)) = self.answered_by(ends, &udp, (pseudo, sums), of_frame) {
                    self.count_answer(number, flow, frame.len(), now);
                }
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

    fn hear_arp(&mut self, packet: &Packet) {
        self.counts.other += 1;
        if packet.operation == Operation::Reply {
            self.neighbors.learn(packet.sender_addr.into(), packet.sender_mac);
        } else if self.traffic.source4.is_some_and(|own| own.addr() == packet.target_addr) {
            let mut answer = [0; FRAME_MAX];
            let len = neighbors::arp_answer(packet, self.own_header(), &mut answer);
            self.say(answer.get(..len.unwrap_or(0)).unwrap_or_default());
        }
    }

    /// Which packet, and of which flow, a datagram is the right answer to. One that is none is counted as what it is. With `sums`, its
    /// checksum is to be looked at. `frame` is where it lies, if it lies there as it was on the wire.
    fn answered_by(
        &mut self,
        (src, dst): (SocketAddr, SocketAddr),
        udp: &Udp<'_>,
        (pseudo, sums): (Sum, bool),
        frame: Option<&[u8]>,
    ) -> Option<(u64, u32)> {
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
            return None;
        };
        let place = self.places.at(number);
        let is_right = self.templates.get(place.template).is_some_and(|template| {
            let sums = sums && (udp.checksum() != 0 || src.is_ipv6());
            let ports = pseudo.add_u16(udp.src_port()).add_u16(udp.dst_port()).add_u16(udp.length());
            self.has_come_back((src, dst), template.dst(), place.port)
                && template.has_payload(udp.payload())
                && (!sums || (ports + template.payload_sum(number)).udp_finish() == udp.checksum())
        });
        if !is_right {
            self.counts.wrong += 1;
            return None;
        }
        if let (Some(template), Some(frame)) = (self.templates.get_mut(place.template), frame) {
            template.learn(frame, udp, pseudo, self.traffic.answers == Answers::Echo);
        }
        Some((number, place.flow))
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
        match self.tracker.answered(number, flow, now) {
            Answer::First { latency_ns, reordered } => {
                self.counts.answered += 1;
                self.counts.answered_bytes += frame_len as u64;
                self.counts.reordered += u64::from(reordered);
                self.latency.saturating_record(latency_ns.max(1));
            }
            other => count_other(other, &mut self.counts),
        }
    }
}

#[cold]
fn count_other(answer: Answer, counts: &mut Counts) {
    match answer {
        Answer::First { .. } => {}
        Answer::Again => counts.duplicated += 1,
        Answer::Late => counts.late += 1,
        Answer::Never => counts.wrong += 1,
    }
}

/// Whether the frame lies in `buf` as it was on the wire.
fn is_in_one_piece(buf: &impl PacketBuf) -> bool {
    buf.is_single_segment() && buf.rx_meta().stripped_tci.is_none()
}

/// Whether nobody else has `buf`; then what the device said of it is forgotten.
fn is_ours_alone(buf: &mut impl PacketBuf) -> bool {
    let is_unique = buf.unique().is_some();
    if is_unique {
        buf.set_tx_checksum(None);
    }
    is_unique
}

/// Answers to packets one after the other.
struct Run {
    /// The number of the first packet, and its place.
    first: (u64, Place),
    /// How many they are.
    count: usize,
    /// Bytes of them.
    bytes: u64,
    /// The number behind them, and its place.
    next: (u64, Place),
}

/// How many of `slots` hold answers to packets from `first` on, in order, as far as the short way can tell.
#[inline]
fn recognise<B: PacketBuf>(
    slots: &[Option<B>],
    is_plain: bool,
    first: (u64, Place),
    (templates, places): (&[Template], &Places),
) -> Run {
    let (places, mut run) = (*places, Run { first, count: 0, bytes: 0, next: first });
    for buf in slots.iter().flatten() {
        let (number, place) = run.next;
        let Some(template) = templates.get(place.template) else { break };
        let frame = buf.data();
        if !(is_plain || is_in_one_piece(buf)) || !template.is_answer(frame, place.port, number) {
            break;
        }
        run.count += 1;
        run.bytes += frame.len() as u64;
        run.next = (number + 1, places.after(place));
    }
    run
}
