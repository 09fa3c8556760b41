//! One neighbour: its states, and what moves it from one to another.

use super::{Row, Timing};
use crate::addr::MacAddr;
use crate::time::Instant;

/// Questions before a neighbour counts as gone. A11; RFC 4861 10: MAX_UNICAST_SOLICIT, MAX_MULTICAST_SOLICIT.
const REQUESTS_MAX: u8 = 3;

/// What is known of a neighbour. RFC 4861 7.3.2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Asked for, not answered yet.
    Incomplete,
    /// It answered a short while ago.
    Reachable,
    /// It answered long ago, or was only heard of: used as it is, and confirmed when it is used.
    Stale,
    /// Stale and in use: about to be asked.
    Delay,
    /// Being asked again, by unicast.
    Probe,
    /// Did not answer.
    Failed,
}

impl State {
    /// Its name in text and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::Reachable => "reachable",
            Self::Stale => "stale",
            Self::Delay => "delay",
            Self::Probe => "probe",
            Self::Failed => "failed",
        }
    }
}

/// How an address and its Ethernet address came to be heard together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Evidence {
    /// In what was said to others, or to everyone.
    Overheard,
    /// It asked for an address of ours; or (IPv6) it asked for routers, or a router told of itself or of it.
    Asked,
    /// It answered us: that it hears us is certain, if we asked.
    Answered,
}

/// What a neighbour advertisement says beside addresses. RFC 4861 4.4.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Advertised {
    /// The S flag: it answers a question, so it hears us.
    pub solicited: bool,
    /// The O flag: its Ethernet address is to replace a known one.
    pub override_flag: bool,
    /// The R flag: it is a router.
    pub router: bool,
}

/// How a neighbour stands for whoever sends to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Nothing is known, or nothing that anybody asked for; or it did not answer.
    Gone,
    /// It is being asked for.
    Asked,
    /// It is at this Ethernet address.
    Known {
        /// Which.
        mac: MacAddr,
        /// Whether its use is to be reported by [`used`](super::NeighborCache::used).
        stale: bool,
    },
}

/// How easily an entry makes room for another, the easiest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Rank {
    /// It did not answer.
    Failed,
    /// Nobody ever sent to it: it asked for us, or something said so.
    NeverUsed,
    /// Someone sent to it, and it never answered a question of ours.
    Unconfirmed,
    /// It answered once, and was not used since that grew old.
    Idle,
}

/// What a deadline leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Advance {
    /// Ask: this address alone, or everyone.
    Ask(Option<MacAddr>),
    /// The entry has served.
    Forget,
    /// Another state, and nothing to say.
    Quiet,
}

/// One neighbour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    mac: Option<MacAddr>,
    state: State,
    /// When it last answered; for one that never did, when it was first heard or asked for.
    confirmed_at: Instant,
    /// The Ethernet address from which it last answered.
    confirmed: Option<MacAddr>,
    /// When it was last used; for one never used, when it was last heard.
    touched_at: Instant,
    /// Questions in this state, and when the last one was sent in any.
    requests: u8,
    asked_at: Option<Instant>,
    /// The next question, or the end of the state.
    deadline: Option<Instant>,
    /// Kept alive by asking again, as a gateway is.
    pub(super) kept: bool,
    used: bool,
    /// IsRouter of RFC 4861 5.1: what it last said of itself. Of IPv4, nobody says it.
    pub(super) is_router: bool,
}

impl Entry {
    /// One that somebody wants to send to.
    pub(super) const fn asked_for(now: Instant) -> Self {
        Self {
            mac: None,
            state: State::Incomplete,
            confirmed_at: now,
            confirmed: None,
            touched_at: now,
            requests: 0,
            asked_at: None,
            deadline: Some(now),
            kept: false,
            used: true,
            is_router: false,
        }
    }

    /// One that asked for us. RFC 4861 7.2.3, and Linux: that it hears us is not known.
    pub(super) const fn heard_of(now: Instant, mac: MacAddr) -> Self {
        let unknown = Self::asked_for(now);
        Self { mac: Some(mac), state: State::Stale, deadline: None, used: false, ..unknown }
    }

    pub(super) const fn mac(&self) -> Option<MacAddr> {
        self.mac
    }

    pub(super) const fn state(&self) -> State {
        self.state
    }

    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.deadline.is_none_or(|at| at <= now)
    }

    pub(super) const fn is_unresolved(&self) -> bool {
        matches!(self.state, State::Incomplete | State::Failed)
    }

    pub(super) const fn row<A>(&self, addr: A) -> Row<A> {
        let Self { mac, state, confirmed_at, kept, is_router, .. } = *self;
        Row { addr, mac, state, confirmed_at, kept, is_router }
    }

    pub(super) fn standing(&self) -> Standing {
        match (self.state, self.mac) {
            (State::Incomplete, _) => Standing::Asked,
            (State::Failed, _) | (_, None) => Standing::Gone,
            _ if !self.used => Standing::Gone,
            (state, Some(mac)) => Standing::Known { mac, stale: state == State::Stale },
        }
    }

    /// How easily it makes room, and since when. A14.
    pub(super) const fn rank(&self) -> Option<(Rank, Instant)> {
        let rank = match self.state {
            _ if self.kept => return None,
            State::Incomplete => return None,
            State::Failed => Rank::Failed,
            _ if !self.used => Rank::NeverUsed,
            _ if self.confirmed.is_none() => Rank::Unconfirmed,
            State::Stale => Rank::Idle,
            State::Reachable | State::Delay | State::Probe => return None,
        };
        Some((rank, self.touched_at))
    }

    pub(super) fn keep(&mut self, now: Instant) {
        (self.kept, self.used) = (true, true);
        match self.state {
            State::Stale => self.probe(now),
            State::Failed => self.ask_again(now),
            State::Incomplete | State::Reachable | State::Delay | State::Probe => {}
        }
    }

    /// A packet went to it.
    pub(super) fn used(&mut self, now: Instant, timing: Timing) {
        (self.used, self.touched_at) = (true, now);
        if self.state != State::Stale {
            return;
        }
        // N11, RFC 4861 7.3.3.
        let delay = if self.mac == self.confirmed { timing.delay } else { timing.delay_unconfirmed };
        if delay.is_zero() {
            self.probe(now);
        } else {
            (self.state, self.deadline) = (State::Delay, Some(now + delay));
        }
    }

    /// Asks everyone, from the start.
    pub(super) fn ask_again(&mut self, now: Instant) {
        (self.state, self.mac, self.requests) = (State::Incomplete, None, 0);
        self.deadline = Some(now);
    }

    /// A10, RFC 1122 2.3.2.1(2): asks the address itself, from the start.
    fn probe(&mut self, now: Instant) {
        (self.state, self.requests) = (State::Probe, 0);
        self.deadline = Some(now);
    }

    pub(super) fn heard(&mut self, now: Instant, mac: MacAddr, evidence: Evidence, timing: Timing) {
        let waiting = matches!(self.state, State::Incomplete | State::Probe) && self.requests > 0;
        if waiting && evidence == Evidence::Answered {
            return self.confirm(now, mac, timing);
        }
        self.touched(now);
        if self.mac != Some(mac) {
            self.moved(now, mac, timing);
        }
    }

    /// What a neighbour advertisement says of it, with the Ethernet address that it names, if any. RFC 4861 7.2.5.
    pub(super) fn advertised(
        &mut self,
        now: Instant,
        mac: Option<MacAddr>,
        said: Advertised,
        timing: Timing,
    ) {
        // N09: of whom nothing is known, an advertisement without an Ethernet address says nothing; with one, the O flag does
        // not matter.
        if matches!(self.state, State::Incomplete | State::Failed) {
            let Some(mac) = mac else { return };
            self.is_router = said.router;
            return if said.solicited {
                self.confirm(now, mac, timing);
            } else {
                self.mac = Some(mac);
                self.doubt(now);
            };
        }
        let differs = mac.is_some_and(|mac| self.mac != Some(mac));
        // N09: what is known is not replaced, but doubted.
        if differs && !said.override_flag {
            if self.state == State::Reachable {
                self.doubt(now);
            }
            return;
        }
        self.is_router = said.router;
        self.touched(now);
        let Some(mac) = mac.or(self.mac) else { return };
        if said.solicited {
            self.confirm(now, mac, timing);
        } else if differs {
            self.mac = Some(mac);
            self.doubt(now);
        }
    }

    /// It hears us, and is at `mac`.
    fn confirm(&mut self, now: Instant, mac: MacAddr, timing: Timing) {
        (self.state, self.mac, self.requests) = (State::Reachable, Some(mac), 0);
        (self.confirmed, self.confirmed_at) = (Some(mac), now);
        self.deadline = Some(now + timing.reachable);
    }

    /// Whether it is where it is said to be, its next use is to show; of one that is kept, a question at once.
    fn doubt(&mut self, now: Instant) {
        if self.kept {
            self.probe(now);
        } else {
            (self.state, self.deadline) = (State::Stale, None);
        }
    }

    const fn touched(&mut self, now: Instant) {
        if !self.used {
            self.touched_at = now;
        }
    }

    /// It was heard to be at another Ethernet address. RFC 4861 7.2.3, 7.2.5: believed, and to be confirmed.
    fn moved(&mut self, now: Instant, mac: MacAddr, timing: Timing) {
        self.mac = Some(mac);
        match self.state {
            State::Incomplete | State::Delay | State::Probe if timing.delay_unconfirmed.is_zero() => {
                self.probe(now);
            }
            // N10, RFC 4861 7.2.3.
            _ => self.doubt(now),
        }
    }

    /// The deadline has come. `pressed`: others wait for room.
    pub(super) fn advance(&mut self, now: Instant, timing: Timing, pressed: bool) -> Advance {
        match self.state {
            State::Incomplete if pressed && self.requests > 0 && !self.kept && self.confirmed.is_none() => {
                self.fail(now, timing)
            }
            State::Incomplete | State::Probe if self.requests < REQUESTS_MAX => self.ask(now, timing),
            // RFC 1122 2.3.2.1(2): who does not answer where it was is looked for everywhere.
            State::Probe => {
                self.ask_again(now);
                Advance::Quiet
            }
            State::Incomplete => self.fail(now, timing),
            // A10, RFC 1122 2.3.2.1: an entry in use is confirmed before it grows old.
            State::Reachable if self.kept => {
                self.probe(now);
                Advance::Quiet
            }
            State::Reachable | State::Stale => {
                (self.state, self.deadline) = (State::Stale, None);
                Advance::Quiet
            }
            State::Delay => {
                self.probe(now);
                Advance::Quiet
            }
            State::Failed if self.kept => {
                self.ask_again(now);
                Advance::Quiet
            }
            State::Failed => Advance::Forget,
        }
    }

    /// A08, RFC 1122 2.3.2.1: whatever made a question due, it is sent a second after the last one, not before.
    fn ask(&mut self, now: Instant, timing: Timing) -> Advance {
        if let Some(not_before) = self.asked_at.map(|at| at + timing.retransmit)
            && now < not_before
        {
            self.deadline = Some(not_before);
            return Advance::Quiet;
        }
        self.requests += 1;
        self.asked_at = Some(now);
        self.deadline = Some(now + timing.retransmit);
        Advance::Ask(if self.state == State::Probe { self.mac } else { None })
    }

    fn fail(&mut self, now: Instant, timing: Timing) -> Advance {
        (self.state, self.mac) = (State::Failed, None);
        self.deadline = Some(now + timing.hold_down);
        Advance::Quiet
    }
}
