//! Duplicate address detection (RFC 4862 5.4) for one address of ours: it is asked for before it is used.
//!
//! What was heard and the time go in; what to ask comes out of [`Dad::poll`]. Chance is an argument.

use core::net::Ipv6Addr;
use core::time::Duration;

use crate::rng::Rng;
use crate::time::Instant;
use crate::wire::ndisc::Nonce;

/// The longest random wait before the first question. N06, RFC 4862 5.4.2, RFC 4861 10: MAX_RTR_SOLICITATION_DELAY.
pub const START_DELAY_MAX: Duration = Duration::from_secs(1);

/// How often more is asked after a question came back. N07, RFC 7527 4.1: MAX_MULTICAST_SOLICIT.
const AGAIN_AFTER_LOOP: u8 = 3;

/// What a received message about the address means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// Nothing.
    Nothing,
    /// Our own question came back: this link loops. It is no conflict.
    Loop,
    /// Another host has it, or is about to take it: it is not ours.
    Duplicate,
    /// Another host says that it has it, while we use it.
    Claimed,
}

/// What there is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Ask whether anyone has it: a Neighbor Solicitation from `::`, with this nonce.
    Ask(Nonce),
    /// Nobody has answered: it is ours.
    Ours,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Nothing was asked yet, as there is no link.
    Idle,
    /// Not ours yet; so many questions are still to be asked.
    Tentative(u8),
    Ours,
    Duplicate,
}

/// One address of ours.
#[derive(Clone, Debug)]
pub struct Dad {
    addr: Ipv6Addr,
    phase: Phase,
    next: Option<Instant>,
    /// What was asked since the start.
    nonces: Vec<Nonce>,
    /// Whether a question came back, and whether more was asked for that.
    looped: bool,
    asked_again: bool,
}

impl Dad {
    /// The machine of `addr`, which waits for [`start`](Self::start).
    #[must_use]
    pub const fn new(addr: Ipv6Addr) -> Self {
        Self { addr, phase: Phase::Idle, next: None, nonces: Vec::new(), looped: false, asked_again: false }
    }

    /// The address.
    #[must_use]
    pub const fn addr(&self) -> Ipv6Addr {
        self.addr
    }

    /// Whether it may be used.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        matches!(self.phase, Phase::Ours)
    }

    /// Whether another host was found to have it.
    #[must_use]
    pub const fn is_duplicate(&self) -> bool {
        matches!(self.phase, Phase::Duplicate)
    }

    /// Begins, or begins anew: there is a link, which may be another one. It is asked for `transmits` times; of none, it is
    /// ours at once.
    // N06, RFC 4862 5.4.2: the first after a random wait, so that hosts that were switched on together do not ask together.
    pub fn start(&mut self, now: Instant, rng: &mut Rng, transmits: u8) {
        self.nonces.clear();
        (self.looped, self.asked_again) = (false, false);
        (self.phase, self.next) = if transmits == 0 {
            (Phase::Ours, None)
        } else {
            (Phase::Tentative(transmits), Some(now + rng.delay(START_DELAY_MAX)))
        };
    }

    /// When [`poll`](Self::poll) has something to do.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// What is due, where questions are `retransmit` apart.
    // N06, RFC 4862 5.4, 5.1: DupAddrDetectTransmits questions, RetransTimer apart; and as long after the last it is ours.
    // N07, RFC 7527 4.1: if one came back, three more. That is done once: a link that goes on looping keeps no host from its
    // address, as with Linux.
    pub fn poll(&mut self, now: Instant, rng: &mut Rng, retransmit: Duration) -> Option<Step> {
        if self.next.is_none_or(|at| now < at) {
            return None;
        }
        let Phase::Tentative(mut left) = self.phase else {
            self.next = None;
            return None;
        };
        if left == 0 && self.looped && !self.asked_again {
            (left, self.asked_again) = (AGAIN_AFTER_LOOP, true);
        }
        if left == 0 {
            (self.phase, self.next) = (Phase::Ours, None);
            return Some(Step::Ours);
        }
        let [nonce @ .., _, _] = rng.u64().to_be_bytes();
        self.nonces.push(nonce);
        (self.phase, self.next) = (Phase::Tentative(left - 1), Some(now + retransmit));
        Some(Step::Ask(nonce))
    }

    /// Someone without an address asked for this one: a Neighbor Solicitation from `::`, with the nonce that it had.
    // N05, RFC 4862 5.4.3: another host is about to take it, as we are. N07, RFC 7527 4.2: with our nonce it is our own.
    pub fn heard_solicitation(&mut self, nonce: Option<&[u8]>) -> Heard {
        match self.phase {
            Phase::Tentative(_) if nonce.is_some_and(|nonce| self.nonces.iter().any(|own| own == nonce)) => {
                self.looped = true;
                Heard::Loop
            }
            Phase::Tentative(_) => self.lose(),
            Phase::Idle | Phase::Ours | Phase::Duplicate => Heard::Nothing,
        }
    }

    /// Someone said to have it, in a Neighbor Advertisement.
    // N05, RFC 4862 5.4.4.
    pub fn heard_advertisement(&mut self) -> Heard {
        match self.phase {
            Phase::Tentative(_) => self.lose(),
            Phase::Ours => Heard::Claimed,
            Phase::Idle | Phase::Duplicate => Heard::Nothing,
        }
    }

    fn lose(&mut self) -> Heard {
        (self.phase, self.next) = (Phase::Duplicate, None);
        Heard::Duplicate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
    const RETRANSMIT: Duration = Duration::from_secs(1);

    fn s(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn started(rng: &mut Rng, transmits: u8) -> Dad {
        let mut dad = Dad::new(ADDR);
        dad.start(s(0), rng, transmits);
        dad
    }

    /// Does what is due next.
    fn step(dad: &mut Dad, rng: &mut Rng) -> (Instant, Step) {
        let at = dad.poll_timeout().unwrap();
        (at, dad.poll(at, rng, RETRANSMIT).unwrap())
    }

    fn ask(dad: &mut Dad, rng: &mut Rng) -> Nonce {
        match step(dad, rng).1 {
            Step::Ask(nonce) => nonce,
            Step::Ours => panic!("it was not asked for"),
        }
    }

    // N06, RFC 4862 5.4.2: within a second, once; and a second later it is ours, whatever chance says.
    #[test]
    fn an_address_is_asked_for_within_a_second_and_ours_a_second_later() {
        let mut waits = Vec::new();
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let mut dad = started(&mut rng, 1);
            assert!(!dad.is_ours());
            let (asked_at, first) = step(&mut dad, &mut rng);
            assert!(matches!(first, Step::Ask(_)) && asked_at <= s(1) && !dad.is_ours());
            assert_eq!(dad.poll(asked_at + RETRANSMIT / 2, &mut rng, RETRANSMIT), None, "it is too early");
            assert_eq!(step(&mut dad, &mut rng), (asked_at + RETRANSMIT, Step::Ours));
            assert!(dad.is_ours() && dad.poll_timeout().is_none());
            waits.push(asked_at);
        }
        assert!(waits.iter().any(|at| *at < Instant::ZERO + Duration::from_millis(100)));
        assert!(waits.iter().any(|at| *at > Instant::ZERO + Duration::from_millis(900)));
    }

    // N06, RFC 4862 5.1: DupAddrDetectTransmits; 0 means that nothing is asked.
    #[test]
    fn it_is_asked_for_as_often_as_configured() {
        let mut rng = Rng::new(1);
        assert!(started(&mut rng, 0).is_ours());
        let mut dad = started(&mut rng, 3);
        let asked: Vec<_> = (0..3).map(|_| ask(&mut dad, &mut rng)).collect();
        assert!(asked[0] != asked[1] && asked[1] != asked[2], "each question has a nonce of its own");
        assert_eq!(step(&mut dad, &mut rng).1, Step::Ours);
    }

    // N05, RFC 4862 5.4.3, 5.4.4: before the question and after it, too.
    #[test]
    fn a_question_or_answer_of_another_host_makes_it_a_duplicate() {
        type Hear = fn(&mut Dad) -> Heard;
        let hears: [Hear; 4] = [
            |dad| dad.heard_solicitation(None),
            |dad| dad.heard_solicitation(Some(&[9; 6])),
            |dad| dad.heard_solicitation(Some(&[9; 14])),
            Dad::heard_advertisement,
        ];
        for hear in hears {
            for asked in [false, true] {
                let mut rng = Rng::new(3);
                let mut dad = started(&mut rng, 1);
                if asked {
                    ask(&mut dad, &mut rng);
                }
                assert_eq!(hear(&mut dad), Heard::Duplicate);
                assert!(dad.is_duplicate() && !dad.is_ours() && dad.poll_timeout().is_none());
                assert_eq!(hear(&mut dad), Heard::Nothing, "said once");
                // N05: a new link is a new chance.
                dad.start(s(60), &mut rng, 1);
                ask(&mut dad, &mut rng);
                assert_eq!(step(&mut dad, &mut rng).1, Step::Ours);
            }
        }
    }

    // N07, RFC 7527 4.1, 4.2: what comes back is no conflict; three more questions show whether the link goes on looping.
    #[test]
    fn a_question_that_comes_back_is_no_conflict() {
        let mut rng = Rng::new(5);
        let mut dad = started(&mut rng, 1);
        let nonce = ask(&mut dad, &mut rng);
        assert_eq!(dad.heard_solicitation(Some(&nonce)), Heard::Loop);
        for _ in 0..3 {
            let again = ask(&mut dad, &mut rng);
            assert_eq!(dad.heard_solicitation(Some(&again)), Heard::Loop);
            assert_eq!(dad.heard_solicitation(Some(&nonce)), Heard::Loop, "an old one that comes late");
        }
        assert_eq!(step(&mut dad, &mut rng).1, Step::Ours);
    }

    // N07: a loop hides no conflict.
    #[test]
    fn another_hosts_question_is_a_conflict_on_a_link_that_loops_too() {
        let mut rng = Rng::new(5);
        let mut dad = started(&mut rng, 1);
        let nonce = ask(&mut dad, &mut rng);
        assert_eq!(dad.heard_solicitation(Some(&nonce)), Heard::Loop);
        assert_eq!(dad.heard_solicitation(Some(&[1; 6])), Heard::Duplicate);
    }

    #[test]
    fn a_claim_to_an_address_in_use_is_told_and_changes_nothing() {
        let mut rng = Rng::new(5);
        let mut dad = started(&mut rng, 0);
        assert_eq!(dad.heard_advertisement(), Heard::Claimed);
        assert_eq!(dad.heard_solicitation(None), Heard::Nothing);
        assert!(dad.is_ours());
    }
}
