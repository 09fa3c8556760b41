//! Address conflict detection (RFC 5227) for one address of ours: probes before it is used, announcements when it is,
//! and its defence while it is.
//!
//! ARP packets and the time go in; what to send comes out of [`Acd::poll`]. Chance is an argument.

use core::net::Ipv4Addr;
use core::time::Duration;

use crate::addr::MacAddr;
use crate::rng::Rng;
use crate::time::Instant;
use crate::wire::arp::Packet;

/// RFC 5227 1.1: PROBE_WAIT, PROBE_NUM, PROBE_MIN, PROBE_MAX, ANNOUNCE_WAIT.
const PROBE_WAIT: Duration = Duration::from_secs(1);
const PROBE_NUM: u8 = 3;
const PROBE_MIN: Duration = Duration::from_secs(1);
const PROBE_MAX: Duration = Duration::from_secs(2);
const ANNOUNCE_WAIT: Duration = Duration::from_secs(2);

/// RFC 5227 1.1: ANNOUNCE_NUM, ANNOUNCE_INTERVAL.
const ANNOUNCE_NUM: u8 = 2;
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);

/// The least time between two defences. A06, RFC 5227 1.1: DEFEND_INTERVAL.
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// How long an address that another host has is left alone. RFC 5227 1.1: RATE_LIMIT_INTERVAL.
const RATE_LIMIT_INTERVAL: Duration = Duration::from_secs(60);

/// What is to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message {
    /// A probe: has anyone this address?
    Probe,
    /// An announcement: we have it.
    Announcement,
}

/// What a received ARP packet means for the address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Conflict {
    /// Nothing.
    None,
    /// Another host has it, or is about to take it: we do not take it.
    Lost,
    /// Another host claims it while we use it: announce it, once.
    Defend,
    /// The same, too soon after the last defence: say nothing.
    Ignore,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Probing; so many probes are sent.
    Probing(u8),
    /// Another host has it. It is asked for again later.
    Lost,
    /// Ours; so many announcements are still to be sent.
    Bound(u8),
}

/// One address of ours.
#[derive(Clone, Debug)]
pub struct Acd {
    addr: Ipv4Addr,
    probes: bool,
    phase: Phase,
    next: Option<Instant>,
    defended_at: Option<Instant>,
}

impl Acd {
    /// The machine of `addr`. With `probes` it is ours when three probes were not answered, else at once.
    #[must_use]
    pub fn new(now: Instant, rng: &mut Rng, addr: Ipv4Addr, probes: bool) -> Self {
        let phase = Phase::Bound(0);
        let mut acd = Self { addr, probes, phase, next: None, defended_at: None };
        acd.restart(now, rng);
        acd
    }

    /// The address.
    #[must_use]
    pub const fn addr(&self) -> Ipv4Addr {
        self.addr
    }

    /// Whether it may be used.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        matches!(self.phase, Phase::Bound(_))
    }

    /// Whether another host was found to have it, so that we do not use it.
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        matches!(self.phase, Phase::Lost)
    }

    /// Begins anew: there is a link again, which may be another one.
    // A12, RFC 5227 2.1: on a change of the link's state, too. 2.1.1: a random wait of at most PROBE_WAIT, so that hosts
    // that were switched on together do not probe together.
    pub fn restart(&mut self, now: Instant, rng: &mut Rng) {
        (self.phase, self.next) = if self.probes {
            (Phase::Probing(0), Some(now + rng.delay(PROBE_WAIT)))
        } else {
            (Phase::Bound(ANNOUNCE_NUM), Some(now))
        };
    }

    /// When [`poll`](Self::poll) has something to do.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// What is due to be sent now, if anything. Whether the address is ours may have changed after it.
    // A12, RFC 5227 2.1.1, 2.3: three probes 1 to 2 s apart; 2 s after the last the first of two announcements, 2 s apart.
    pub fn poll(&mut self, now: Instant, rng: &mut Rng) -> Option<Message> {
        if self.next.is_none_or(|at| now < at) {
            return None;
        }
        if self.phase == Phase::Lost {
            self.phase = Phase::Probing(0);
        }
        match self.phase {
            Phase::Probing(sent) if sent < PROBE_NUM => {
                self.phase = Phase::Probing(sent + 1);
                let last = sent + 1 == PROBE_NUM;
                let spread = PROBE_MAX.saturating_sub(PROBE_MIN);
                self.next = Some(now + if last { ANNOUNCE_WAIT } else { PROBE_MIN + rng.delay(spread) });
                Some(Message::Probe)
            }
            Phase::Probing(_) => Some(self.announce(now, ANNOUNCE_NUM)),
            Phase::Bound(left) if left > 0 => Some(self.announce(now, left)),
            Phase::Bound(_) | Phase::Lost => {
                self.next = None;
                None
            }
        }
    }

    fn announce(&mut self, now: Instant, left: u8) -> Message {
        self.phase = Phase::Bound(left - 1);
        self.next = (left > 1).then(|| now + ANNOUNCE_INTERVAL);
        Message::Announcement
    }

    /// What `packet` means for the address, where our Ethernet address is `own_mac`.
    pub fn input(&mut self, now: Instant, packet: &Packet, own_mac: MacAddr) -> Conflict {
        let claims = packet.sender_addr == self.addr;
        // RFC 5227 2.1.1: what we sent ourselves comes back on some networks, and is no conflict.
        if packet.sender_mac == own_mac {
            return Conflict::None;
        }
        match self.phase {
            // RFC 5227 2.1.1: whoever sends from it has it; whoever probes for it is about to take it, as we are.
            Phase::Probing(_) if claims || packet.is_probe() && packet.target_addr == self.addr => {
                self.phase = Phase::Lost;
                self.next = Some(now + RATE_LIMIT_INTERVAL);
                Conflict::Lost
            }
            Phase::Bound(_) if claims => self.defend(now),
            Phase::Probing(_) | Phase::Bound(_) | Phase::Lost => Conflict::None,
        }
    }

    // A06, RFC 5227 2.4(c): the address is kept, and defended once in ten seconds: two hosts that both defend themselves
    // at once would never end.
    fn defend(&mut self, now: Instant) -> Conflict {
        if self.defended_at.is_some_and(|at| now.since(at) < DEFEND_INTERVAL) {
            return Conflict::Ignore;
        }
        self.defended_at = Some(now);
        Conflict::Defend
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDR: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
    const OTHER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 3);
    const OWN_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
    const PEER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn s(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    /// Everything it sends until `end`, with the time of each.
    fn run(acd: &mut Acd, rng: &mut Rng, end: Instant) -> Vec<(Instant, Message)> {
        let mut sent = Vec::new();
        while let Some(at) = acd.poll_timeout().filter(|at| *at <= end) {
            sent.extend(acd.poll(at, rng).map(|send| (at, send)));
        }
        sent
    }

    // A12, RFC 5227 2.1.1, 2.3: the times of Table 1, whatever chance says.
    #[test]
    fn an_address_is_probed_three_times_and_then_announced_twice() {
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let mut acd = Acd::new(s(0), &mut rng, ADDR, true);
            assert!(!acd.is_ours());
            let sent = run(&mut acd, &mut rng, s(60));
            let kinds: Vec<_> = sent.iter().map(|(_, send)| *send).collect();
            use Message::{Announcement, Probe};
            assert_eq!(kinds, [Probe, Probe, Probe, Announcement, Announcement]);
            let pauses: Vec<_> = sent.windows(2).map(|w| w[1].0.since(w[0].0)).collect();
            assert!(sent[0].0 <= s(1));
            let between = Duration::from_secs(1)..=Duration::from_secs(2);
            assert!(pauses[..2].iter().all(|p| between.contains(p)), "{pauses:?}");
            assert_eq!(pauses[2..], [Duration::from_secs(2); 2]);
            assert!(acd.is_ours());
        }
    }

    #[test]
    fn it_is_ours_with_the_first_announcement_and_not_before() {
        let mut rng = Rng::new(1);
        let mut acd = Acd::new(s(0), &mut rng, ADDR, true);
        while acd.poll(acd.poll_timeout().unwrap(), &mut rng) == Some(Message::Probe) {
            assert!(!acd.is_ours());
        }
        assert!(acd.is_ours());
    }

    // A12, RFC 5227 2.3.
    #[test]
    fn without_probes_it_is_ours_at_once_and_announced_twice() {
        let mut rng = Rng::new(1);
        let mut acd = Acd::new(s(5), &mut rng, ADDR, false);
        assert!(acd.is_ours());
        let sent = run(&mut acd, &mut rng, s(60));
        assert_eq!(sent, [(s(5), Message::Announcement), (s(7), Message::Announcement)]);
        acd.restart(s(70), &mut rng);
        assert_eq!(run(&mut acd, &mut rng, s(99)).len(), 2, "a new link, a new audience");
    }

    // A12, RFC 5227 2.1.1: a claim and a probe of another host are conflicts; our own packets that come back are not.
    #[test]
    fn an_address_that_another_host_has_or_wants_is_not_taken() {
        for (packet, want) in [
            (Packet::announcement(PEER_MAC, ADDR), Conflict::Lost),
            (Packet::request(PEER_MAC, ADDR, OTHER), Conflict::Lost),
            (Packet::probe(PEER_MAC, ADDR), Conflict::Lost),
            (Packet::probe(OWN_MAC, ADDR).reply(PEER_MAC), Conflict::Lost),
            (Packet::probe(OWN_MAC, ADDR), Conflict::None),
            (Packet::announcement(OWN_MAC, ADDR), Conflict::None),
            (Packet::request(PEER_MAC, OTHER, ADDR), Conflict::None),
            (Packet::probe(PEER_MAC, OTHER), Conflict::None),
        ] {
            let mut rng = Rng::new(3);
            let mut acd = Acd::new(s(0), &mut rng, ADDR, true);
            // After the last probe, too: RFC 5227 2.1.1, until ANNOUNCE_WAIT is over.
            for _ in 0..PROBE_NUM {
                assert_eq!(acd.poll(acd.poll_timeout().unwrap(), &mut rng), Some(Message::Probe));
            }
            assert_eq!(acd.input(acd.poll_timeout().unwrap(), &packet, OWN_MAC), want, "{packet:?}");
            assert_eq!(acd.is_lost(), want == Conflict::Lost);
        }
    }

    // RFC 5227 2.1.1: at most one attempt a minute after a conflict; then, with nobody there, it is ours.
    #[test]
    fn a_lost_address_is_asked_for_again_a_minute_later() {
        let mut rng = Rng::new(1);
        let mut acd = Acd::new(s(0), &mut rng, ADDR, true);
        assert_eq!(acd.input(s(1), &Packet::announcement(PEER_MAC, ADDR), OWN_MAC), Conflict::Lost);
        assert_eq!(acd.input(s(2), &Packet::announcement(PEER_MAC, ADDR), OWN_MAC), Conflict::None);
        let sent = run(&mut acd, &mut rng, s(100));
        assert_eq!((sent[0], sent.len()), ((s(61), Message::Probe), 5));
        assert!(acd.is_ours());
    }

    // A06, RFC 5227 2.4.
    #[test]
    fn a_claim_to_an_address_in_use_is_countered_once_in_ten_seconds() {
        let mut rng = Rng::new(1);
        let mut acd = Acd::new(s(0), &mut rng, ADDR, false);
        let claim = Packet::announcement(PEER_MAC, ADDR);
        for (second, want) in [
            (0, Conflict::Defend),
            (1, Conflict::Ignore),
            (9, Conflict::Ignore),
            (10, Conflict::Defend),
            (11, Conflict::Ignore),
        ] {
            assert_eq!(acd.input(s(second), &claim, OWN_MAC), want, "{second} s");
        }
        assert_eq!(acd.input(s(60), &Packet::probe(PEER_MAC, ADDR), OWN_MAC), Conflict::None);
        assert_eq!(acd.input(s(60), &Packet::announcement(OWN_MAC, ADDR), OWN_MAC), Conflict::None);
        assert!(acd.is_ours());
    }
}
