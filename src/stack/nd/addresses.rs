//! The addresses of one interface (RFC 4862): what there are, how each stands, and for how long.
//!
//! Link-local, configured, and made of the prefixes that routers advertise: each is asked for ([`Dad`]) before it is used,
//! and deprecated before it is gone. What was heard and the time go in; questions and news come out of
//! [`Addresses::poll`]. Chance is an argument.

use core::net::Ipv6Addr;
use core::time::Duration;
use std::collections::BTreeSet;

use super::dad::{Dad, Heard, Step};
use super::prefixes::Expiry;
use super::stable_iid::{self, PREFIX_LEN};
use crate::addr::{Cidr, Group, MacAddr, Prefix, Unicast, V6};
use crate::io::{Addressing6, LinkLocal};
use crate::rng::Rng;
use crate::time::{Instant, earliest};
use crate::wire::ndisc::Nonce;

/// Addresses that are made of prefixes at most: whoever advertises prefixes without end makes no more than that. As Linux's
/// max_addresses.
pub const AUTO_MAX: usize = 16;

/// RFC 7217 7: IDGEN_RETRIES, IDGEN_DELAY.
const IDGEN_RETRIES: u8 = 3;
const IDGEN_DELAY: Duration = Duration::from_secs(1);

/// What is left at least of an address whose lifetime an advertisement shortens. N13, RFC 4862 5.5.3(e).
const TWO_HOURS: Duration = Duration::from_secs(2 * 60 * 60);

/// The prefix of link-local addresses. RFC 4291 2.5.6.
#[must_use]
pub fn link_local_prefix() -> Prefix<V6> {
    Prefix::of(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), PREFIX_LEN)
}

/// Where an address comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// It is the interface's link-local one.
    LinkLocal,
    /// The configuration names it.
    Static,
    /// It was made of an advertised prefix.
    Auto,
}

impl Origin {
    /// Its name, for showing.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LinkLocal => "link-local",
            Self::Static => "static",
            Self::Auto => "auto",
        }
    }
}

/// How an address stands. RFC 4862 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It is being asked for, and not used yet.
    Tentative,
    /// It is used.
    Preferred,
    /// It is answered for, and not chosen for anything new.
    Deprecated,
    /// Another host has it.
    Duplicate,
}

impl State {
    /// Its name, for showing.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tentative => "tentative",
            Self::Preferred => "preferred",
            Self::Deprecated => "deprecated",
            Self::Duplicate => "duplicate",
        }
    }
}

/// One address, for showing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// The address, with its prefix.
    pub cidr: Cidr<V6>,
    /// Where it comes from.
    pub origin: Origin,
    /// How it stands.
    pub state: State,
    /// Until when it is chosen for new traffic.
    pub preferred: Expiry,
    /// Until when it is an address of ours.
    pub valid: Expiry,
}

/// An address that may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usable {
    /// The address, with its prefix.
    pub cidr: Cidr<V6>,
    /// Whether it is not to be chosen for anything new.
    pub deprecated: bool,
}

/// What there is to do, or what became of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// Ask whether anyone has it: a Neighbor Solicitation from `::` to its solicited-node group, with this nonce.
    Ask(Ipv6Addr, Nonce),
    /// Nobody answered: it is used from now on.
    Ours(Ipv6Addr, Origin),
    /// It is not chosen for anything new any more.
    Deprecated(Ipv6Addr),
    /// It is no address of ours any more.
    Gone(Ipv6Addr),
    /// It is asked for in place of one that another host has.
    Instead(Ipv6Addr),
}

#[derive(Clone, Debug)]
struct Address {
    cidr: Cidr<V6>,
    origin: Origin,
    dad: Dad,
    preferred: Expiry,
    valid: Expiry,
    /// Addresses before this one that other hosts had, and when the next is made.
    conflicts: u8,
    retry_at: Option<Instant>,
    /// It was said that it is deprecated.
    said_deprecated: bool,
}

impl Address {
    const fn new(cidr: Cidr<V6>, origin: Origin, preferred: Expiry, valid: Expiry) -> Self {
        let dad = Dad::new(cidr.addr());
        Self { cidr, origin, dad, preferred, valid, conflicts: 0, retry_at: None, said_deprecated: false }
    }

    fn forever(cidr: Cidr<V6>, origin: Origin) -> Self {
        Self::new(cidr, origin, Expiry::Never, Expiry::Never)
    }

    const fn state(&self) -> State {
        if self.dad.is_duplicate() {
            State::Duplicate
        } else if !self.dad.is_ours() {
            State::Tentative
        } else if self.said_deprecated {
            State::Deprecated
        } else {
            State::Preferred
        }
    }

    /// When its state may change by itself.
    fn deadline(&self) -> Option<Instant> {
        let preferred = if self.said_deprecated { None } else { self.preferred.end() };
        [preferred, self.valid.end(), self.retry_at].into_iter().fold(self.dad.poll_timeout(), earliest)
    }
}

/// The addresses of one interface.
#[derive(Clone, Debug)]
pub struct Addresses {
    config: Addressing6,
    mac: MacAddr,
    list: Vec<Address>,
    /// Whether there is a link, so that addresses are asked for.
    started: bool,
    /// The time between two questions: RFC 4861 6.3.2, RetransTimer.
    retransmit: Duration,
}

impl Addresses {
    /// The addresses that `config` gives the device whose Ethernet address is `mac`; none is asked for yet.
    #[must_use]
    pub fn new(config: Addressing6, mac: MacAddr) -> Self {
        let statics = config.statics.iter().map(|cidr| Address::forever(*cidr, Origin::Static));
        let list = link_local(&config, mac, 0)
            .map(|cidr| Address::forever(cidr, Origin::LinkLocal))
            .into_iter()
            .chain(statics)
            .collect();
        Self { config, mac, list, started: false, retransmit: Duration::from_secs(1) }
    }

    /// What they are made by.
    #[must_use]
    pub const fn config(&self) -> &Addressing6 {
        &self.config
    }

    /// There is a link, which may be another one: all are asked for anew, those that others had, too.
    // N05, RFC 4862 5.3, 5.4: an interface that is attached again asks again.
    pub fn start(&mut self, now: Instant, rng: &mut Rng) {
        self.started = true;
        let transmits = self.config.dad_transmits;
        for address in &mut self.list {
            address.retry_at = None;
            address.dad.start(now, rng, transmits);
        }
    }

    /// From now on questions are so far apart: RFC 4861 6.3.4, a router's Retrans Timer.
    pub const fn set_retransmit(&mut self, retransmit: Duration) {
        self.retransmit = retransmit;
    }

    /// A router advertised `prefix` for making addresses of, by the A flag, with these lifetimes in seconds. True if that makes
    /// an address, or changes how one stands.
    // N13, RFC 4862 5.5.3: (a)-(c) not the link-local prefix, preferred for no longer than valid; (d) of 64 bits, as ours is
    // the other half; and no more than so many.
    pub fn advertised(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        prefix: Prefix<V6>,
        preferred: u32,
        valid: u32,
    ) -> bool {
        let network = prefix.network();
        let is_fit = prefix.len() == PREFIX_LEN
            && preferred <= valid
            && !network.is_unicast_link_local()
            && !network.is_multicast()
            && !network.is_unspecified();
        if !self.config.auto || !is_fit {
            return false;
        }
        let known = self.list.iter_mut().find(|a| a.origin == Origin::Auto && prefix.contains(a.cidr.addr()));
        match known {
            Some(address) => renew(address, now, preferred, valid),
            None => valid > 0 && self.make(now, rng, prefix, preferred, valid),
        }
    }

    /// A new address of `prefix`.
    // N13, RFC 4862 5.5.3(d), RFC 7217.
    fn make(&mut self, now: Instant, rng: &mut Rng, prefix: Prefix<V6>, preferred: u32, valid: u32) -> bool {
        let made = self.list.iter().filter(|a| a.origin == Origin::Auto).count();
        let iid = stable_iid::stable(&self.config.secret, prefix, self.mac, 0);
        let Some(cidr) = cidr(stable_iid::address(prefix, iid)) else { return false };
        if made >= AUTO_MAX || self.list.iter().any(|a| a.cidr.addr() == cidr.addr()) {
            return false;
        }
        let lifetime = |seconds| Expiry::of(now, seconds);
        let mut address = Address::new(cidr, Origin::Auto, lifetime(preferred), lifetime(valid));
        address.said_deprecated = preferred == 0;
        if self.started {
            address.dad.start(now, rng, self.config.dad_transmits);
        }
        self.list.push(address);
        true
    }

    /// When [`poll`](Self::poll) has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.list.iter().map(Address::deadline).fold(None, earliest)
    }

    /// What is due. Call until it says `None`.
    pub fn poll(&mut self, now: Instant, rng: &mut Rng) -> Option<Event> {
        // N13, RFC 4862 5.5.4.
        if let Some(index) = self.list.iter().position(|a| a.valid.is_over(now)) {
            return Some(Event::Gone(self.list.remove(index).cidr.addr()));
        }
        if let Some(index) = self.list.iter().position(|a| a.retry_at.is_some_and(|at| at <= now)) {
            return self.make_another(now, rng, index);
        }
        let retransmit = self.retransmit;
        for address in &mut self.list {
            let addr = address.cidr.addr();
            match address.dad.poll(now, rng, retransmit) {
                Some(Step::Ask(nonce)) => return Some(Event::Ask(addr, nonce)),
                Some(Step::Ours) => return Some(Event::Ours(addr, address.origin)),
                None => {}
            }
            if address.preferred.is_over(now) && !address.said_deprecated {
                address.said_deprecated = true;
                return Some(Event::Deprecated(addr));
            }
        }
        None
    }

    /// In place of an address that another host has.
    // RFC 7217 6: DAD_Counter is counted on.
    fn make_another(&mut self, now: Instant, rng: &mut Rng, index: usize) -> Option<Event> {
        let (secret, mac, transmits) = (self.config.secret, self.mac, self.config.dad_transmits);
        let address = self.list.get_mut(index)?;
        address.retry_at = None;
        address.conflicts += 1;
        let prefix = Prefix::of(address.cidr.addr(), PREFIX_LEN);
        let iid = stable_iid::stable(&secret, prefix, mac, address.conflicts);
        address.cidr = cidr(stable_iid::address(prefix, iid))?;
        address.dad = Dad::new(address.cidr.addr());
        address.dad.start(now, rng, transmits);
        Some(Event::Instead(address.cidr.addr()))
    }

    /// Someone without an address asked for `target`, in a Neighbor Solicitation from `::` with this nonce.
    pub fn heard_solicitation(&mut self, now: Instant, target: Ipv6Addr, nonce: Option<&[u8]>) -> Heard {
        self.heard(now, target, |dad| dad.heard_solicitation(nonce))
    }

    /// Someone else said to have `target`, in a Neighbor Advertisement.
    pub fn heard_advertisement(&mut self, now: Instant, target: Ipv6Addr) -> Heard {
        self.heard(now, target, Dad::heard_advertisement)
    }

    fn heard(&mut self, now: Instant, target: Ipv6Addr, hear: impl FnOnce(&mut Dad) -> Heard) -> Heard {
        let config = &self.config;
        let Some(address) = self.list.iter_mut().find(|a| a.cidr.addr() == target) else {
            return Heard::Nothing;
        };
        let heard = hear(&mut address.dad);
        let is_ours_to_choose = match address.origin {
            Origin::LinkLocal => config.link_local == LinkLocal::Stable,
            Origin::Auto => true,
            Origin::Static => false,
        };
        // RFC 7217 6: a stable identifier may be another one; what was configured may not.
        if heard == Heard::Duplicate && is_ours_to_choose && address.conflicts < IDGEN_RETRIES {
            address.retry_at = Some(now + IDGEN_DELAY);
        }
        heard
    }

    /// Whether `addr` is one that may not be used yet, or never: it is not answered for.
    // N05, RFC 4862 5.4.
    #[must_use]
    pub fn is_unusable(&self, addr: Ipv6Addr) -> bool {
        self.list.iter().any(|a| a.cidr.addr() == addr && !a.dad.is_ours())
    }

    /// Whether another address takes the place of `addr`, which another host has.
    #[must_use]
    pub fn tries_another(&self, addr: Ipv6Addr) -> bool {
        self.list.iter().any(|a| a.cidr.addr() == addr && a.retry_at.is_some())
    }

    /// Those that may be used, the configured ones first and the link-local one last.
    #[must_use]
    pub fn usable(&self) -> Vec<Usable> {
        let ours = self.list.iter().filter(|a| a.dad.is_ours());
        let mut usable: Vec<_> = ours
            .map(|a| (a.origin == Origin::LinkLocal, Usable { cidr: a.cidr, deprecated: a.said_deprecated }))
            .collect();
        usable.sort_by_key(|(last, _)| *last);
        usable.into_iter().map(|(_, usable)| usable).collect()
    }

    /// The link-local address, if it may be used.
    #[must_use]
    pub fn link_local(&self) -> Option<Ipv6Addr> {
        let mut ours = self.list.iter().filter(|a| a.origin == Origin::LinkLocal && a.dad.is_ours());
        ours.next().map(|a| a.cidr.addr())
    }

    /// Whether the link-local address is still being asked for, or another in its place.
    #[must_use]
    pub fn awaits_link_local(&self) -> bool {
        self.list.iter().any(|a| {
            let settled = a.dad.is_ours() || a.dad.is_duplicate() && a.retry_at.is_none();
            a.origin == Origin::LinkLocal && !settled
        })
    }

    /// The groups in which others ask for them: joined from before the first question on.
    // N06, RFC 4862 5.4.2: of tentative ones, too. Of one that another host has, nobody asks us.
    #[must_use]
    pub fn groups(&self) -> BTreeSet<Group<V6>> {
        let listening = self.list.iter().filter(|a| !a.dad.is_duplicate());
        listening.map(|a| Group::solicited_node(a.cidr.addr())).collect()
    }

    /// All of them, for showing.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        self.list.iter().map(|a| Row {
            cidr: a.cidr,
            origin: a.origin,
            state: a.state(),
            preferred: a.preferred,
            valid: a.valid,
        })
    }
}

/// The link-local address by `config`, after so many conflicts.
fn link_local(config: &Addressing6, mac: MacAddr, conflicts: u8) -> Option<Cidr<V6>> {
    let prefix = link_local_prefix();
    let addr = match config.link_local {
        LinkLocal::Eui64 => stable_iid::address(prefix, stable_iid::eui64(mac)),
        LinkLocal::Stable => {
            stable_iid::address(prefix, stable_iid::stable(&config.secret, prefix, mac, conflicts))
        }
        LinkLocal::Addr(addr) => addr.addr(),
    };
    cidr(addr)
}

fn cidr(addr: Ipv6Addr) -> Option<Cidr<V6>> {
    Cidr::new(Unicast::new(addr)?, PREFIX_LEN)
}

/// New lifetimes for an address of ours. True if it stands otherwise than before.
// N13, RFC 4862 5.5.3(e): the preferred lifetime is believed; the valid one too if it is more than two hours, or more than is left;
// else two hours are left, and what is less already stays as it is: one forged packet ends no address.
fn renew(address: &mut Address, now: Instant, preferred: u32, valid: u32) -> bool {
    let (soonest, advertised) = (Expiry::At(now + TWO_HOURS), Expiry::of(now, valid));
    if advertised > soonest || advertised > address.valid {
        address.valid = advertised;
    } else if address.valid > soonest {
        address.valid = soonest;
    }
    address.preferred = Expiry::of(now, preferred);
    let was = address.said_deprecated;
    address.said_deprecated = preferred == 0;
    was != address.said_deprecated
}

#[cfg(test)]
mod tests;
