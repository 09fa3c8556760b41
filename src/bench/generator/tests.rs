//! The short way says what the long one says, of every byte of every kind of answer; and what goes out in a used buffer is a packet.

use core::time::Duration;

use super::super::{Answers, Counts, Traffic};
use super::{Generator, Link, Stage};
use crate::addr::{MacAddr, Vid};
use crate::io::TxQueue;
use crate::sim::buf::{ROOM, SimPool};
use crate::sim::frames::{UdpFrame, UdpFrame6};
use crate::sim::nic::{NicOptions, SimDevice, SimNic};
use crate::sim::offload::RxChecksum;
use crate::time::Instant;

/// A generator and the other end of its device, which is this test.
struct Wire {
    device: SimDevice,
    generator: Generator<SimNic>,
    now: Instant,
}

impl Wire {
    fn with_nic(traffic: Traffic, nic: NicOptions) -> Self {
        let pool = SimPool::new(256, ROOM);
        let nic = NicOptions { mac: MacAddr([2, 0, 0, 0, 0, 0xb]), ..nic };
        let (device, mut queues, _port) = SimDevice::new(nic, pool.clone());
        let (rx, mut tx) = queues.remove(0);
        tx.resume();
        let link = Link { rx, tx, pool, mac: MacAddr([2, 0, 0, 0, 0, 0xb]), mtu: 1500 };
        Self { device, generator: Generator::new(link, traffic, 7).unwrap(), now: Instant::from_ns(1000) }
    }

    fn new(traffic: Traffic) -> Self {
        Self::with_nic(traffic, NicOptions::default())
    }

    /// The frames of one turn.
    fn turn(&mut self) -> Vec<Vec<u8>> {
        let now = self.now;
        self.generator.turn(|| now);
        self.now = now + Duration::from_micros(1);
        core::iter::from_fn(|| self.device.transmit()).collect()
    }

    /// The next packet.
    fn question(&mut self) -> Vec<u8> {
        (0..10).find_map(|_| self.turn().pop()).expect("something is sent")
    }

    /// What is counted of this frame.
    fn hear(&mut self, frame: &[u8]) -> Counts {
        let before = self.generator.counts();
        self.device.receive(frame);
        let now = self.now;
        // The device has what is for another Ethernet address to itself.
        if self.generator.link.rx_all(&mut self.generator.received) > 0 {
            self.generator.hear(now);
        }
        Counts { waiting: 0, ..self.generator.counts().since(&before) }
    }

    /// All that is known of right answers is forgotten: the next one is looked at in full.
    fn forget(&mut self) {
        self.generator.templates.iter_mut().for_each(super::Template::forget);
    }
}

impl Link<SimNic> {
    fn rx_all(&mut self, burst: &mut crate::io::Burst<crate::sim::buf::SimBuf>) -> usize {
        crate::io::RxQueue::rx_burst(&mut self.rx, burst, 64)
    }
}

fn traffic(to: &[&str], size: u16) -> Traffic {
    Traffic {
        source4: Some("198.18.0.77/24".parse().unwrap()),
        source6: Some("2001:db8::77/64".parse().unwrap()),
        peer_mac: Some(MacAddr([2, 0, 0, 0, 0, 2])),
        flows: 6,
        sizes: vec![size],
        in_flight: Some(1),
        patience: Duration::from_secs(1000),
        duration: None,
        count: Some(1_000_000),
        ..Traffic::to(to.iter().map(|to| to.parse().unwrap()))
    }
}

/// Where the IP header begins, and whether it is one of IPv6.
fn layout(frame: &[u8]) -> (usize, bool) {
    let l3 = if frame[12..14] == [0x81, 0] { 18 } else { 14 };
    (l3, frame[l3] >> 4 == 6)
}

/// The answer to `question`: with a TTL of its own, which an IPv4 header is summed for, and a flow label of its own.
fn turned(question: &[u8], group: bool) -> Vec<u8> {
    let mut frame = question.to_vec();
    let (l3, is_v6) = layout(question);
    let (addrs, len, udp) = if is_v6 { (l3 + 8, 16, l3 + 40) } else { (l3 + 12, 4, l3 + 20) };
    let swap = |frame: &mut Vec<u8>, at: usize, len: usize| {
        frame[at..at + 2 * len].rotate_left(len);
    };
    swap(&mut frame, 0, 6);
    swap(&mut frame, addrs, len);
    swap(&mut frame, udp, 2);
    if group {
        // By its own address.
        let own: &[u8] =
            if is_v6 { &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9] } else { &[198, 18, 0, 9] };
        frame[addrs..addrs + len].copy_from_slice(own);
    }
    let sum_of = |bytes: &[u8]| crate::wire::checksum::Sum::of(bytes);
    if is_v6 {
        frame[l3 + 1..l3 + 4].copy_from_slice(&[0x01, question[udp + 1], question[udp + 19]]);
    } else {
        frame[l3 + 8] = 63;
        frame[l3 + 10..l3 + 12].fill(0);
        let sum = sum_of(&frame[l3..l3 + 20]).finish();
        frame[l3 + 10..l3 + 12].copy_from_slice(&sum.to_be_bytes());
    }
    frame[udp + 6..udp + 8].fill(0);
    let length = u16::from_be_bytes([frame[udp + 4], frame[udp + 5]]);
    let pseudo = sum_of(&frame[addrs..addrs + 2 * len]).add_u16(17).add_u16(length);
    let sum = (pseudo + sum_of(&frame[udp..])).udp_finish();
    frame[udp + 6..udp + 8].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// Each kind of answer: hosts and groups of both versions, tagged and not, short, odd and long.
fn kinds() -> Vec<(&'static str, Traffic, bool)> {
    let tagged = |traffic| Traffic { vlan: Vid::new(100), ..traffic };
    vec![
        ("IPv4", traffic(&["198.18.0.2:7"], 60), false),
        ("IPv4, odd", traffic(&["198.18.0.2:7"], 61), false),
        ("IPv4, tagged", tagged(traffic(&["198.18.0.2:7"], 63)), false),
        ("IPv4, longer", traffic(&["198.18.0.2:7"], 151), false),
        ("IPv4, a group", traffic(&["239.1.2.3:7"], 60), true),
        ("IPv6, the least", traffic(&["[2001:db8::2]:7"], 74), false),
        ("IPv6", traffic(&["[2001:db8::2]:7"], 80), false),
        ("IPv6, tagged", tagged(traffic(&["[2001:db8::2]:7"], 77)), false),
        ("IPv6, a group", traffic(&["[ff15::1]:7"], 83), true),
    ]
}

#[test]
fn the_second_answer_of_a_kind_goes_the_short_way() {
    for (name, traffic, group) in kinds() {
        let mut wire = Wire::new(traffic);
        for n in 0..40 {
            let answer = turned(&wire.question(), group);
            let counts = wire.hear(&answer);
            assert!(
                counts.answered == 1 && counts.answered_bytes == answer.len() as u64,
                "{name}, {n}: {counts:?}"
            );
        }
        assert_eq!(wire.generator.looked_at, 1, "{name}");
        // Once more, and out of order.
        let answer = turned(&wire.question(), group);
        assert_eq!(wire.hear(&answer).answered, 1, "{name}");
        assert_eq!(wire.hear(&answer).duplicated, 1, "{name}");
        assert_eq!(wire.generator.looked_at, 1, "{name}");
    }
}

#[test]
fn a_change_of_any_byte_counts_as_it_does_the_long_way() {
    for (name, traffic, group) in kinds() {
        let mut wire = Wire::new(traffic);
        let first = turned(&wire.question(), group);
        assert_eq!(wire.hear(&first).answered, 1, "{name}");
        let (l3, is_v6) = layout(&first);
        let udp = l3 + if is_v6 { 40 } else { 20 };
        for at in 0..first.len() {
            for bits in [1, 0x80, 0xff] {
                let spoiled = |question: &[u8]| {
                    let mut answer = turned(question, group);
                    answer[at] ^= bits;
                    answer
                };
                let question = wire.question();
                let short = wire.hear(&spoiled(&question));
                // It is known again what is right, whatever became of that.
                assert_ne!(wire.hear(&turned(&question, group)), Counts::default());
                let question = wire.question();
                wire.forget();
                let long = wire.hear(&spoiled(&question));
                assert_ne!(wire.hear(&turned(&question, group)), Counts::default());
                assert_eq!(short, long, "{name}, byte {at}, bits {bits:#x}");
                // A datagram of another run's is not ours, and with a length that IP did not bring it is none (RFC 768).
                let is_other = (udp + 4..udp + 6).contains(&at) || (udp + 8..udp + 12).contains(&at);
                if is_other {
                    assert_eq!((short.wrong + short.other, short.answered), (1, 0), "{name}, byte {at}");
                } else if at >= udp {
                    assert_eq!((short.wrong, short.answered), (1, 0), "{name}, byte {at}, bits {bits:#x}");
                }
            }
        }
    }
}

#[test]
fn what_is_cut_short_or_goes_on_is_not_taken_the_short_way() {
    for (name, traffic, group) in kinds() {
        let mut wire = Wire::new(traffic);
        let first = turned(&wire.question(), group);
        assert_eq!(wire.hear(&first).answered, 1);
        let answer = turned(&wire.question(), group);
        for len in 1..answer.len() {
            assert_eq!(wire.hear(&answer[..len]).answered, 0, "{name}, {len} bytes");
        }
        // RFC 894: what follows the datagram is padding.
        let looked_at = wire.generator.looked_at;
        assert_eq!(wire.hear(&[&answer[..], &[0; 4]].concat()).answered, 1, "{name}");
        assert_eq!(wire.generator.looked_at, looked_at + 1, "{name}");
        // And what was learned of that one holds for no other.
        let answer = turned(&wire.question(), group);
        assert_eq!(wire.hear(&answer).answered, 1, "{name}");
    }
}

#[test]
fn an_answer_to_another_packet_has_that_ones_port_and_checksum() {
    let mut wire = Wire::new(Traffic { in_flight: Some(6), ..traffic(&["198.18.0.2:7"], 60) });
    let questions = wire.turn().into_iter().chain(wire.turn()).collect::<Vec<_>>();
    assert_eq!(questions.len(), 6);
    let answers: Vec<_> = questions.iter().map(|question| turned(question, false)).collect();
    assert_eq!(wire.hear(&answers[0]).answered, 1);
    for (at, what) in [(36..38, "port"), (40..42, "checksum"), (46..54, "number")] {
        let mut mixed = answers[1].clone();
        mixed[at.clone()].copy_from_slice(&answers[2][at]);
        let counts = wire.hear(&mixed);
        assert_eq!((counts.wrong, counts.answered), (1, 0), "{what}");
    }
    // Backwards: each is known by its number, and late in its own flow only.
    for answer in answers[1..].iter().rev() {
        let counts = wire.hear(answer);
        assert_eq!((counts.answered, counts.reordered), (1, 0));
    }
    assert_eq!(wire.generator.looked_at, 4);
}

#[test]
fn answers_around_one_that_is_looked_at_keep_their_order() {
    let mut wire = Wire::new(Traffic { flows: 1, in_flight: Some(8), ..traffic(&["198.18.0.2:7"], 60) });
    let mut answers: Vec<_> = wire.turn().iter().chain(&wire.turn()).map(|q| turned(q, false)).collect();
    assert_eq!(answers.len(), 8);
    assert_eq!(wire.hear(&answers[0]).answered, 1);
    // RFC 768: no checksum, which only the long way takes.
    answers[4][40..42].fill(0);
    let before = wire.generator.counts();
    for at in [1, 2, 4, 3, 5, 7, 6] {
        wire.device.receive(&answers[at]);
    }
    wire.generator.link.rx_all(&mut wire.generator.received);
    wire.generator.hear(wire.now);
    let counts = wire.generator.counts().since(&before);
    assert_eq!((counts.answered, counts.reordered, counts.wrong), (7, 2, 0), "{counts:?}");
    assert_eq!(wire.generator.looked_at, 2);
}

#[test]
fn a_device_that_sums_changes_nothing() {
    use RxChecksum::{AlwaysBad, Computed, None, Unknown};
    for rx_checksum in [Unknown, Computed, None, AlwaysBad] {
        let nic = || NicOptions { rx_checksum, ..NicOptions::default() };
        let mut wire = Wire::with_nic(traffic(&["198.18.0.2:7"], 60), nic());
        for _ in 0..10 {
            let answer = turned(&wire.question(), false);
            assert_eq!(wire.hear(&answer).answered, 1);
        }
        assert_eq!(wire.generator.looked_at, 1, "{rx_checksum:?}");
        let mut answer = turned(&wire.question(), false);
        answer[59] ^= 1;
        assert_eq!(wire.hear(&answer).wrong, 1, "{rx_checksum:?}");
    }
}

#[test]
fn a_tag_that_the_device_takes_off_is_looked_at_each_time() {
    let nic = NicOptions { vlan_strip: true, ..NicOptions::default() };
    let mut wire = Wire::with_nic(Traffic { vlan: Vid::new(100), ..traffic(&["198.18.0.2:7"], 60) }, nic);
    for _ in 0..5 {
        let mut answer = turned(&wire.question(), false);
        assert_eq!(wire.hear(&answer).answered, 1);
        answer[15] ^= 1;
        assert_eq!(wire.hear(&answer).other, 1, "another VLAN");
    }
}

#[test]
fn what_is_sent_in_a_used_buffer_is_right_to_the_last_bit() {
    let to = ["198.18.0.2:7", "[2001:db8::2]:7", "198.18.0.3:9"];
    let sizes = vec![80, 1514, 81, 80];
    let mut wire = Wire::new(Traffic { sizes, flows: 9, in_flight: Some(7), ..traffic(&to, 80) });
    for n in 0..200 {
        for question in wire.turn() {
            let payload = if layout(&question).1 {
                UdpFrame6::read(&question).unwrap().payload
            } else {
                UdpFrame::read(&question).unwrap().payload
            };
            assert!(payload.iter().enumerate().skip(12).all(|(i, b)| usize::from(*b) == i % 256), "{n}");
            wire.device.receive(&turned(&question, false));
        }
    }
    let counts = wire.generator.counts();
    assert!(counts.answered > 1000 && counts.answered + 7 >= counts.sent && counts.wrong == 0, "{counts:?}");
    assert!(!wire.generator.kept.is_empty() || wire.generator.counts().waiting > 0);
    wire.generator.stop();
    assert_eq!(wire.generator.stage(), Stage::Waiting);
    wire.turn();
    assert!(wire.generator.kept.is_empty());
}

#[test]
fn the_same_back_is_known_the_short_way_too() {
    let mut wire = Wire::new(Traffic { answers: Answers::Same, ..traffic(&["198.18.0.2:7"], 60) });
    for _ in 0..10 {
        let mut answer = wire.question();
        answer[..12].rotate_left(6);
        assert_eq!(wire.hear(&answer).answered, 1);
        let mut echo = turned(&answer, false);
        echo[..12].rotate_left(6);
        assert_eq!(wire.hear(&echo).wrong, 1);
    }
    assert_eq!(wire.generator.looked_at, 11);
}
