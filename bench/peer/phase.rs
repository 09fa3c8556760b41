//! One phase: so many good questions a second, so many of an attack's packets beside them.

use core::str::FromStr;
use std::collections::BTreeMap;
use std::thread;

use serde_json::{Value, json};

use crate::attack::{Attack, Kind};
use crate::frames::{self, Heard};
use crate::good::Good;
use crate::large::{self, Large};
use crate::{BURST, Link};

/// How long answers are waited for when the last question is out, in nanoseconds.
const PATIENCE_NS: u64 = 300_000_000;

/// How often the good host asks by ARP who pollcast is, in nanoseconds.
const ARP_NS: u64 = 10_000_000;

/// The most good questions under way when their rate has no limit: fewer than a ring holds.
const WINDOW: u64 = 512;

/// A phase as asked for.
#[derive(Clone, Debug)]
pub(crate) struct Phase {
    /// Good questions a second; without limit if absent.
    good: Option<f64>,
    attack: Option<Kind>,
    /// The attack's packets a second; as many as the ring takes if absent.
    rate: Option<f64>,
    /// The attack's packets in all.
    count: u64,
    /// How long the phase lasts at least, in nanoseconds.
    ns: u64,
    /// An answer that takes longer is slow.
    slow_ns: u64,
    /// The good questions go to a group, and nothing else is asked.
    group: bool,
}

impl FromStr for Phase {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let mut phase = Self {
            good: None,
            attack: None,
            rate: None,
            count: 0,
            ns: 1_000_000_000,
            slow_ns: u64::MAX,
            group: false,
        };
        for word in line.split_whitespace() {
            let (key, value) = word.split_once('=').ok_or_else(|| format!("no key=value: {word}"))?;
            let bad = |_| format!("no number: {word}");
            let rate = || if value == "max" { Ok(None) } else { value.parse().map(Some) };
            match key {
                "good" => phase.good = rate().map_err(bad)?,
                "attack" => phase.attack = Some(value.parse()?),
                "rate" => phase.rate = rate().map_err(bad)?,
                "count" => phase.count = value.parse().map_err(|_| format!("no number: {word}"))?,
                "ms" => {
                    phase.ns = 1_000_000 * value.parse::<u64>().map_err(|_| format!("no number: {word}"))?
                }
                "group" => phase.group = value == "1",
                "slow_ns" => phase.slow_ns = value.parse().map_err(|_| format!("no number: {word}"))?,
                _ => return Err(format!("no such key: {word}")),
            }
        }
        Ok(phase)
    }
}

/// A phase under way.
pub(crate) struct Running {
    phase: Phase,
    start: u64,
    good: Good,
    large: Large,
    attack: Option<Attack>,
    /// The attack's packets so far, and those of them that the ring refused.
    sent: u64,
    refused: u64,
    /// What a good burst's places are: the numbers of the good questions in it.
    places: Vec<Option<usize>>,
    /// ARP questions: asked, not refused by the ring, answered.
    arp: [u64; 3],
    /// What else came.
    heard: BTreeMap<String, u64>,
    random: u64,
}

impl Running {
    pub(crate) fn new(number: u16, phase: Phase, start: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "room, no more")]
        let room = phase.good.map_or(8e6, |rate| 2.0 * rate * phase.ns as f64 / 1e9 + 1e5) as usize;
        let attack = phase.attack.map(|kind| Attack::new(kind, 0x5eed_0000 + u64::from(number)));
        Self {
            good: Good::new(number, room, phase.group),
            large: Large::new(number),
            attack,
            phase,
            start,
            sent: 0,
            refused: 0,
            places: Vec::with_capacity(BURST),
            arp: [0; 3],
            heard: BTreeMap::new(),
            random: 1,
        }
    }

    /// Runs it to its end, and reports.
    pub(crate) fn run(mut self, link: &mut Link) -> Value {
        self.start = link.now();
        loop {
            let now = link.now() - self.start;
            if now >= self.phase.ns && self.sent >= self.attack_total() {
                break;
            }
            if !self.phase.group {
                self.ask_by_arp(link, now);
                self.ask_much(link, now);
            }
            let work = self.send(link, now) + self.receive(link);
            if work == 0 {
                thread::yield_now();
            }
        }
        let ended = link.now() - self.start;
        while self.good.waiting() > 0 && link.now() - self.start < ended + PATIENCE_NS {
            if self.receive(link) == 0 {
                thread::yield_now();
            }
            link.flush();
        }
        json!({
            "ns": ended,
            "good": self.good.report(self.phase.slow_ns),
            "attack": {"sent": self.sent, "refused_by_ring": self.refused},
            "large": self.large.report(),
            "arp": {"sent": self.arp[0], "refused_by_ring": self.arp[0] - self.arp[1], "answered": self.arp[2]},
            "heard": self.heard,
        })
    }

    const fn attack_total(&self) -> u64 {
        if self.attack.is_some() { self.phase.count } else { 0 }
    }

    fn receive(&mut self, link: &mut Link) -> usize {
        let now = link.now() - self.start;
        let Self { good, large, heard, arp, .. } = self;
        let mut count = |what: &str| match heard.get_mut(what) {
            Some(count) => *count += 1,
            None => drop(heard.insert(what.to_owned(), 1)),
        };
        link.receive(|what| match what {
            Heard::Answer { from, port, payload } => good.answered(now, from, port, &payload),
            Heard::Fragment(packet) => large.fragment(&packet),
            Heard::Wrong => good.wrong(),
            Heard::ArpReply => arp[2] += 1,
            Heard::Icmp(3, code) => {
                count(["net", "host", "protocol", "port", "too_big"].get(usize::from(code)).unwrap_or(&"3"))
            }
            Heard::Icmp(11, _) => count("time_exceeded"),
            Heard::Icmp(12, _) => count("parameter_problem"),
            Heard::Icmp(..) => count("icmp"),
            Heard::Arp | Heard::ArpRequest(_) => count("arp"),
            Heard::Other => count("other"),
        })
    }

    /// A host that has forgotten pollcast's address must be able to ask for it, whatever else goes on.
    fn ask_by_arp(&mut self, link: &mut Link, now: u64) {
        if now / ARP_NS >= self.arp[0] {
            link.flush();
            self.arp[0] += 1;
            if link.push(frames::arp_question().frame()) {
                self.arp[1] += link.flush() as u64;
            }
        }
    }

    /// What is asked in fragments is answered, too.
    fn ask_much(&mut self, link: &mut Link, now: u64) {
        if now / large::EVERY_NS >= self.large.sent() {
            link.flush();
            let frames = self.large.ask();
            let pushed = frames.iter().filter(|frame| link.push(frame)).count();
            if link.flush() < pushed {
                self.large.refused();
            }
        }
    }

    /// Sends what is due. Returns how many.
    fn send(&mut self, link: &mut Link, now: u64) -> usize {
        let in_reserve = link.pool.free_count() > 2048;
        let good = match self.phase.good {
            Some(rate) => due(rate, now, self.good.sent()),
            None => WINDOW.saturating_sub(self.good.waiting()),
        };
        let good = good.min(BURST as u64);
        let left = self.attack_total().saturating_sub(self.sent);
        let attack = match self.phase.rate {
            Some(rate) => due(rate, now, self.sent),
            None => u64::MAX,
        };
        let attack = attack.min(left).min(BURST as u64 - good);
        if !in_reserve || good + attack == 0 {
            return link.flush();
        }
        self.fill(link, now, good, attack);
        self.flush(link)
    }

    /// A burst of so many good questions and so many of the attack's packets, mixed: the ring takes from the front, and
    /// none is to have the better place.
    fn fill(&mut self, link: &mut Link, now: u64, mut good: u64, mut attack: u64) {
        // ARP replies of the last reception go first.
        link.flush();
        self.places.clear();
        while good + attack > 0 {
            self.random = self.random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let is_good = (self.random >> 33) % (good + attack) < good;
            let pushed = if is_good {
                good -= 1;
                let (frame, number) = self.good.ask(now);
                self.places.push(Some(number));
                link.push(frame.frame())
            } else {
                attack -= 1;
                self.sent += 1;
                self.places.push(None);
                self.attack.as_mut().is_some_and(|attack| link.push(attack.frame().frame()))
            };
            assert!(pushed, "no buffer, though there were many");
        }
    }

    fn flush(&mut self, link: &mut Link) -> usize {
        let taken = link.flush();
        for place in self.places.drain(..).skip(taken) {
            match place {
                Some(number) => self.good.refused(number),
                None => self.refused += 1,
            }
        }
        taken
    }
}

/// How many more must be sent to keep up with `rate` a second.
fn due(rate: f64, now: u64, sent: u64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "far below 2^53")]
    let wanted = (rate * now as f64 / 1e9) as u64;
    wanted.saturating_sub(sent)
}
