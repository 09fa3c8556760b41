//! Group management over IPv4: which version is spoken, IGMP messages to queries, and what is to be said to frames.
//!
//! The machine of generation 2 holds what the interface wants, and speaks in version 3. While a querier of an older
//! version is on the link, or the configuration says so, that of generation 1 speaks in its place. When the version
//! changes by itself, everything is told anew in the new one, as an answer: to the query that brought it about, or as if
//! one had come when the timer of an older querier ran out.

mod compat;
mod format;
#[cfg(test)]
mod tests;

use core::net::Ipv4Addr;
use core::time::Duration;

pub use compat::OlderQueriers;
use format::{Sender, room};

use super::{Pending, Querier, Query, Scope, v1, v2};
use crate::addr::{Family, Group, MacAddr, Unicast, V4};
use crate::io::{DropReason, IgmpPolicy, IgmpVersion};
use crate::rng::Rng;
use crate::stack::source_filter::SourceFilter;
use crate::time::{Instant, earliest};
pub use crate::wire::igmp::Version;
use crate::wire::igmp::{IgmpError, Message, Query as WireQuery};

/// Within this time everything is told anew after a return to a newer version: the Query Response Interval.
// RFC 9776 8.3. All hosts of a link return at the same moment.
const RESYNC: Duration = Duration::from_secs(10);

/// IGMP on one interface, the host's side.
///
/// What it must be told: what the interface wants ([`set_filter`](Self::set_filter)) and what it hears
/// ([`receive`](Self::receive)). What it must be asked, after either and at [`poll_timeout`](Self::poll_timeout): for
/// frames ([`next_frame`](Self::next_frame)), until there are none.
#[derive(Clone, Debug)]
pub struct Igmp {
    policy: IgmpPolicy,
    version: Version,
    older: OlderQueriers,
    querier: Option<HeardQuerier>,
    /// What the interface wants; it speaks while the version is 3, and has nothing to say otherwise.
    host: v2::Host<V4>,
    /// The groups again, while the version is 1 or 2.
    older_host: Option<v1::Host<V4>>,
    /// The version has changed by itself, and nobody has asked.
    resync: bool,
    seed: u64,
}

/// An IGMP message with what its IP packet says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// From whom.
    pub src: Ipv4Addr,
    /// To which address.
    pub dst: Ipv4Addr,
    /// Whether it has the option Router Alert.
    pub router_alert: bool,
    /// The message.
    pub payload: &'a [u8],
}

/// Who asked last of all groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeardQuerier {
    /// Its address: 0.0.0.0 of a switch without one (RFC 4541 2.1.1).
    pub addr: Ipv4Addr,
    /// The version of its query.
    pub version: Version,
    /// When it came.
    pub at: Instant,
}

/// Where an interface stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// What it was told.
    pub policy: IgmpPolicy,
    /// The version that it speaks.
    pub version: Version,
    /// Who else speaks an older one.
    pub older: OlderQueriers,
    /// Who asked last.
    pub querier: Option<HeardQuerier>,
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

impl Igmp {
    /// An interface that wants nothing, and whose largest IP packet has `mtu` bytes. `seed` is its own.
    #[must_use]
    pub fn new(mtu: u16, policy: IgmpPolicy, seed: u64) -> Self {
        let mut igmp = Self {
            policy,
            version: Version::V3,
            older: OlderQueriers::default(),
            querier: None,
            host: v2::Host::new(room(mtu)),
            older_host: None,
            resync: false,
            seed,
        };
        igmp.apply_variables(&policy);
        igmp.speak(igmp.chosen_version());
        igmp
    }

    /// The largest IP packet has `mtu` bytes from now on.
    pub fn set_mtu(&mut self, mtu: u16) {
        self.host.set_room(room(mtu));
    }

    /// Follows `policy` from now on. If that means another version, everything is told anew in it, at once.
    // G39, RFC 9776 7.2.1: and nothing of what was pending in the old one.
    pub fn set_policy(&mut self, now: Instant, policy: IgmpPolicy) {
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

    fn apply_variables(&mut self, policy: &IgmpPolicy) {
        self.host.pin_robustness(policy.robustness.pinned());
        self.host.set_default_query_interval(policy.query_interval);
    }

    /// The version that is spoken.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// What it was told.
    #[must_use]
    pub const fn policy(&self) -> &IgmpPolicy {
        &self.policy
    }

    /// The interface wants `filter` of `group` from now on: see [`v2::Host::set_filter`].
    pub fn set_filter(&mut self, now: Instant, group: Group<V4>, filter: SourceFilter<V4>) {
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

    /// An IGMP message came in, in an IPv4 packet to any of our addresses or to a group (G09).
    ///
    /// # Errors
    ///
    /// Why it was of no use, if it was not.
    // G12, RFC 4541 2.1.1 and Linux: whatever its TTL, and from whatever address: switches ask from 0.0.0.0.
    pub fn receive(&mut self, now: Instant, rng: &mut Rng, packet: &Packet<'_>) -> Result<(), DropReason> {
        match Message::parse(packet.payload).map_err(drop_reason)? {
            Message::Query(query) => self.query(now, rng, packet, &query),
            Message::ReportV1(group) | Message::ReportV2(group) => self.report_heard(now, packet, group),
            // G08, RFC 9776 5: what other hosts say in version 3, or to routers, does not concern this one.
            Message::LeaveV2(_) | Message::ReportV3(_) => Err(DropReason::IgmpUnwanted),
        }
    }

    fn query(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        packet: &Packet<'_>,
        query: &WireQuery<'_>,
    ) -> Result<(), DropReason> {
        if self.policy.strict_queries && !is_strictly_right(packet, query) {
            return Err(DropReason::IgmpQueryStrict);
        }
        self.update(now);
        if query.group.is_none() {
            let WireQuery { version, max_response, .. } = *query;
            self.querier = Some(HeardQuerier { addr: packet.src, version, at: now });
            self.older.heard(version, now + self.older_present_for(max_response));
            self.update(now);
            // The answer to this query tells everything.
            self.resync = false;
        }
        self.answer(now, rng, &query_of(query));
        Ok(())
    }

    /// G38: see [`compat::present_for`].
    fn older_present_for(&self, max_response: Duration) -> Duration {
        let robustness = self.policy.robustness.pinned().unwrap_or(v2::ROBUSTNESS_VARIABLE);
        compat::present_for(robustness, self.policy.query_interval, max_response)
    }

    /// A router asks, in whatever version: it is answered in ours.
    fn answer(&mut self, now: Instant, rng: &mut Rng, query: &Query<V4>) {
        match &mut self.older_host {
            None => self.host.query(now, rng, query),
            Some(host) => host.query(now, rng, &query.scope, query.max_response),
        }
    }

    /// G40, RFC 2236 3: another host has said it, from whatever address. Version 3 has no suppression (RFC 9776 5).
    fn report_heard(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        group: Group<V4>,
    ) -> Result<(), DropReason> {
        self.update(now);
        match &mut self.older_host {
            // As Linux: what went to this host alone, no router has heard.
            Some(host) if packet.dst.is_multicast() => {
                host.report_heard(group);
                Ok(())
            }
            Some(_) | None => Err(DropReason::IgmpUnwanted),
        }
    }

    /// The version that is to be spoken.
    const fn chosen_version(&self) -> Version {
        match self.policy.version {
            IgmpVersion::Auto => self.older.version(),
            IgmpVersion::V1 => Version::V1,
            IgmpVersion::V2 => Version::V2,
            IgmpVersion::V3 => Version::V3,
        }
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
        let says_leave = version == Version::V2;
        match (version, &mut self.older_host) {
            (Version::V3, host) => *host = None,
            (Version::V1 | Version::V2, Some(host)) => {
                host.cancel_pending();
                host.set_says_leave(says_leave);
            }
            (Version::V1 | Version::V2, none @ None) => {
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
    /// interface's Ethernet address and `source` its first IPv4 address, if it has one.
    #[must_use = "whether there is a frame"]
    pub fn next_frame(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        mac: MacAddr,
        source: Option<Unicast<V4>>,
        out: &mut Vec<u8>,
    ) -> bool {
        self.update(now);
        if core::mem::take(&mut self.resync) {
            let query = Query { scope: Scope::General, max_response: RESYNC, querier: None };
            self.answer(now, rng, &query);
        }
        let from = Sender { mac, addr: source };
        let written = match &mut self.older_host {
            None => self.host.poll_transmit(now, rng).map(|report| format::emit_report(&report, from, out)),
            Some(host) => host
                .poll_transmit(now, rng)
                .map(|message| format::emit_older(message, self.version, from, out)),
        };
        written.is_some()
    }

    /// Where it stands `now`. For people to see: it counts.
    #[must_use]
    pub fn status(&self, now: Instant) -> Status {
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

/// Whether even a strict host listens to a query.
// G10, G11, RFC 3376 9.1: queries of version 2 and 3 have Router Alert, and one of all groups goes to all hosts; version 1 is
// older than the option. What comes to this host alone has not crossed a router either.
fn is_strictly_right(packet: &Packet<'_>, query: &WireQuery<'_>) -> bool {
    let marked = packet.router_alert || query.version == Version::V1;
    let to_all = query.group.is_some() || !packet.dst.is_multicast() || packet.dst == V4::ALL_HOSTS;
    marked && to_all
}

/// The machine's view of a query.
fn query_of(query: &WireQuery<'_>) -> Query<V4> {
    let scope = match query.group {
        None => Scope::General,
        Some(group) if query.sources.is_empty() => Scope::Group(group),
        Some(group) => Scope::GroupAndSources(group, query.sources.iter().collect()),
    };
    let querier = query.querier.map(|q| Querier { robustness: q.robustness, interval: q.query_interval });
    Query { scope, max_response: query.max_response, querier }
}

/// How a message that is of no use is counted.
pub(in crate::stack) const fn drop_reason(error: IgmpError) -> DropReason {
    match error {
        IgmpError::Truncated => DropReason::IgmpTruncated,
        IgmpError::Checksum => DropReason::IgmpChecksum,
        IgmpError::QueryInvalid => DropReason::IgmpQueryInvalid,
        IgmpError::ReportInvalid | IgmpError::UnknownType(_) => DropReason::IgmpUnwanted,
    }
}
