//! Group management on one interface: which version is spoken, and by which machine.
//!
//! The machine of generation 2 holds what the interface wants, and speaks in the newest version. While a querier of an
//! older version is on the link, or the configuration says so, that of generation 1 speaks in its place. When the version
//! changes by itself, everything is told anew in the new one, as an answer: to the query that brought it about, or as if
//! one had come when the timer of an older querier ran out.

use core::time::Duration;

use super::{Choices, Format, Heard, OlderQueriers, Pending, Query, Scope, Sender, query_of, v1, v2};
use crate::addr::{Family, Group, MacAddr, Unicast};
use crate::io::DropReason;
use crate::rng::Rng;
use crate::stack::source_filter::SourceFilter;
use crate::time::{Instant, earliest};
use crate::wire::gmp::Version;

/// Within this time everything is told anew after a return to a newer version: the Query Response Interval.
// RFC 9776 8.3, RFC 9777 9.3. All hosts of a link return at the same moment.
pub(super) const RESYNC: Duration = Duration::from_secs(10);

/// Group management on one interface, the host's side: IGMP, MLD.
///
/// What it must be told: what the interface wants ([`set_filter`](Self::set_filter)) and what it hears
/// ([`receive`](Self::receive)). What it must be asked, after either and at [`poll_timeout`](Self::poll_timeout): for
/// frames ([`next_frame`](Self::next_frame)), until there are none.
#[derive(Clone, Debug)]
pub struct Gmp<F: Format> {
    policy: F::Policy,
    version: Version,
    older: OlderQueriers,
    querier: Option<HeardQuerier<F>>,
    /// What the interface wants; it speaks while the version is the newest, and has nothing to say otherwise.
    host: v2::Host<F>,
    /// The groups again, while the version is an older one.
    older_host: Option<v1::Host<F>>,
    /// The version has changed by itself, and nobody has asked.
    resync: bool,
    /// Something was said from no address.
    said_without_address: bool,
    seed: u64,
}

/// A message with what its IP packet says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a, F: Family> {
    /// From whom.
    pub src: F::Addr,
    /// To which address.
    pub dst: F::Addr,
    /// Its TTL or hop limit.
    pub hop_limit: u8,
    /// Whether it has the option Router Alert.
    pub router_alert: bool,
    /// The message.
    pub payload: &'a [u8],
}

/// Who asked last of all groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeardQuerier<F: Family> {
    /// Its address: in IPv4, 0.0.0.0 of a switch without one (RFC 4541 2.1.1).
    pub addr: F::Addr,
    /// The version of its query.
    pub version: Version,
    /// When it came.
    pub at: Instant,
}

/// Where an interface stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status<F: Format> {
    /// What it was told.
    pub policy: F::Policy,
    /// The version that it speaks.
    pub version: Version,
    /// Who else speaks an older one.
    pub older: OlderQueriers,
    /// Who asked last.
    pub querier: Option<HeardQuerier<F>>,
    /// How often a change is told.
    pub robustness: u8,
    /// The time between General Queries.
    pub query_interval: Duration,
    /// The groups that are wanted, and of which routers are ever told.
    pub groups: usize,
    /// Those of them of which routers are not told in this version.
    pub silent_groups: usize,
    /// What is still to be said.
    pub pending: Pending,
    /// When the next message is due.
    pub next: Option<Instant>,
}

impl<F: Format> Gmp<F> {
    /// An interface that wants nothing, and whose largest IP packet has `mtu` bytes. `seed` is its own.
    #[must_use]
    pub fn new(mtu: u16, policy: F::Policy, seed: u64) -> Self {
        let mut gmp = Self {
            policy,
            version: F::NEWEST,
            older: OlderQueriers::default(),
            querier: None,
            host: v2::Host::new(F::room(mtu)),
            older_host: None,
            resync: false,
            said_without_address: false,
            seed,
        };
        gmp.apply_variables(&policy);
        gmp.speak(gmp.chosen_version());
        gmp
    }

    /// The largest IP packet has `mtu` bytes from now on.
    pub fn set_mtu(&mut self, mtu: u16) {
        self.host.set_room(F::room(mtu));
    }

    /// Follows `policy` from now on. If that means another version, everything is told anew in it, at once.
    // G39, RFC 9776 7.2.1: and nothing of what was pending in the old one.
    pub fn set_policy(&mut self, now: Instant, policy: F::Policy) {
        self.update(now);
        self.apply_variables(&policy);
        self.policy = policy;
        let version = self.chosen_version();
        if version != self.version {
            self.speak(version);
            self.resync = false;
            self.announce_all(now);
        }
    }

    fn apply_variables(&mut self, policy: &F::Policy) {
        let Choices { robustness, query_interval, .. } = F::choices(policy);
        self.host.pin_robustness(robustness);
        self.host.set_default_query_interval(query_interval);
    }

    /// The version that is spoken.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// What it was told.
    #[must_use]
    pub const fn policy(&self) -> &F::Policy {
        &self.policy
    }

    /// The interface wants `filter` of `group` from now on: see [`v2::Host::set_filter`].
    pub fn set_filter(&mut self, now: Instant, group: Group<F>, filter: SourceFilter<F>) {
        self.update(now);
        let robustness = self.host.robustness_variable();
        match &mut self.older_host {
            None => self.host.set_filter(now, group, filter),
            Some(host) => {
                if filter.is_none() {
                    host.leave(group);
                } else {
                    host.join(now, group, robustness);
                }
                self.host.set_filter_silently(group, filter);
            }
        }
    }

    /// The interface wants nothing any more: see [`v2::Host::leave_all`]. The frames that say so are due at once.
    pub fn leave_all(&mut self, now: Instant) {
        self.update(now);
        match &mut self.older_host {
            None => self.host.leave_all(now),
            Some(host) => {
                host.leave_all();
                let groups: Vec<_> = self.host.groups().map(|(group, _)| group).collect();
                groups.into_iter().for_each(|group| self.host.set_filter_silently(group, SourceFilter::NONE));
            }
        }
    }

    /// The link came up, or the interface speaks from another address: see [`v2::Host::announce_all`].
    pub fn announce_all(&mut self, now: Instant) {
        self.update(now);
        let robustness = self.host.robustness_variable();
        match &mut self.older_host {
            None => self.host.announce_all(now),
            Some(host) => host.announce_all(now, robustness),
        }
    }

    /// A message came in, in a packet to any of our addresses or to a group (G09).
    ///
    /// # Errors
    ///
    /// Why it was of no use, if it was not.
    pub fn receive(&mut self, now: Instant, rng: &mut Rng, packet: &Packet<'_, F>) -> Result<(), DropReason> {
        match F::read(packet)? {
            Heard::Query(query) => {
                if let Some(why) = F::refuses(&self.policy, packet, &query) {
                    return Err(why);
                }
                self.query(now, rng, packet.src, query.version, &query_of(&query));
            }
            // G40, RFC 2236 3, RFC 2710 4: as Linux: what went to this host alone, no router has heard.
            Heard::Report(group) if F::is_multicast(packet.dst) => return self.report_heard(now, group),
            Heard::Report(_) => return Err(F::UNWANTED),
        }
        Ok(())
    }

    fn query(&mut self, now: Instant, rng: &mut Rng, from: F::Addr, version: Version, query: &Query<F>) {
        self.update(now);
        if query.scope == Scope::General {
            self.querier = Some(HeardQuerier { addr: from, version, at: now });
            self.older.heard(version, F::NEWEST, now + self.older_present_for(query.max_response));
            self.update(now);
            // The answer to this query tells everything.
            self.resync = false;
        }
        self.answer(now, rng, query);
    }

    /// For how long after a query of an older version its querier is taken to be there.
    // G38, L11: both variables are the host's own: a query of an older version does not name its querier's, and what another
    // querier names is of no use here.
    fn older_present_for(&self, max_response: Duration) -> Duration {
        let Choices { robustness, query_interval, .. } = F::choices(&self.policy);
        F::older_present_for(robustness.unwrap_or(v2::ROBUSTNESS_VARIABLE), query_interval, max_response)
    }

    /// A router asks, in whatever version: it is answered in ours.
    fn answer(&mut self, now: Instant, rng: &mut Rng, query: &Query<F>) {
        match &mut self.older_host {
            None => self.host.query(now, rng, query),
            Some(host) => host.query(now, rng, &query.scope, query.max_response),
        }
    }

    /// Another host has said it. The newest version has no suppression (RFC 9776 5, RFC 9777 6).
    fn report_heard(&mut self, now: Instant, group: Group<F>) -> Result<(), DropReason> {
        self.update(now);
        match &mut self.older_host {
            Some(host) => {
                host.report_heard(group);
                Ok(())
            }
            None => Err(F::UNWANTED),
        }
    }

    /// The version that is to be spoken.
    fn chosen_version(&self) -> Version {
        F::choices(&self.policy).version.unwrap_or_else(|| self.older.version(F::NEWEST))
    }

    /// Changes the version if an older querier has come, or was heard of too long ago.
    // G37, RFC 9776 7.2.1: as soon as the timers say so.
    fn update(&mut self, now: Instant) {
        self.older.expire(now);
        let version = self.chosen_version();
        if version != self.version {
            self.speak(version);
            self.resync = true;
        }
    }

    /// Speaks `version` from now on.
    // G39, RFC 9776 7.2.1: answers and repeats that are pending are cancelled; so nothing of one version leaks into another.
    fn speak(&mut self, version: Version) {
        let says_leave = F::says_leave(version);
        match &mut self.older_host {
            host if version == F::NEWEST => *host = None,
            Some(host) => {
                host.cancel_pending();
                host.set_says_leave(says_leave);
            }
            none @ None => {
                self.host.cancel_pending();
                let host = none.insert(v1::Host::new(self.seed, says_leave));
                self.host.groups().for_each(|(group, _)| host.add_silently(group));
            }
        }
        self.version = version;
    }

    /// When [`next_frame`](Self::next_frame) will next have something, or wants to be called to find that out.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let resync = self.resync.then_some(Instant::ZERO);
        earliest(earliest(self.message_timeout(), resync), self.older.poll_timeout())
    }

    /// When the next message is due, if there is anything to say.
    #[must_use]
    pub fn message_timeout(&self) -> Option<Instant> {
        self.older_host.as_ref().map_or_else(|| self.host.poll_timeout(), v1::Host::poll_timeout)
    }

    /// Writes the next Ethernet frame that is due `now` in place of what `out` holds; false if none is. `mac` is the
    /// interface's Ethernet address and `source` its own, if it has one that it may speak from.
    #[must_use = "whether there is a frame"]
    pub fn next_frame(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        mac: MacAddr,
        source: Option<Unicast<F>>,
        out: &mut Vec<u8>,
    ) -> bool {
        self.update(now);
        if core::mem::take(&mut self.resync) {
            let query = Query { scope: Scope::General, max_response: RESYNC, querier: None };
            self.answer(now, rng, &query);
        }
        // L08, RFC 3590 4; G35, G44: what was said from no address is of use to switches alone, and is said again.
        if source.is_some() && core::mem::take(&mut self.said_without_address) {
            self.announce_all(now);
        }
        let from = Sender { mac, addr: source };
        let written = match &mut self.older_host {
            None => self.host.poll_transmit(now, rng).map(|report| F::emit_report(&report, from, out)),
            Some(host) => {
                host.poll_transmit(now, rng).map(|message| F::emit_older(message, self.version, from, out))
            }
        };
        self.said_without_address |= written.is_some() && source.is_none();
        written.is_some()
    }

    /// Where it stands `now`. For people to see: it counts.
    #[must_use]
    pub fn status(&self, now: Instant) -> Status<F> {
        let mut older = self.older;
        older.expire(now);
        let groups = self.host.groups().count();
        let reported = self.older_host.as_ref().map_or(groups, |host| host.groups().len());
        Status {
            policy: self.policy,
            version: self.version,
            older,
            querier: self.querier,
            robustness: self.host.robustness_variable(),
            query_interval: self.host.query_interval(),
            groups,
            silent_groups: groups - reported,
            pending: self.older_host.as_ref().map_or_else(|| self.host.pending(), v1::Host::pending),
            next: self.message_timeout(),
        }
    }
}
