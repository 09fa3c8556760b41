//! What may be asked of a running engine, and what it answers.
//!
//! The control thread alone executes these. They are plain values, so that any front end can carry them: the control
//! socket sends them as JSON.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use super::order::{
    FilterMode, FilterPolicyOrder, GroupChange, GroupRange, Membership, RestartOrder, SourceFilterOrder,
};
use crate::addr::MacAddr;
use crate::io::{DeviceStats, FilterState, IgmpVersion, MldVersion, PortInfo, Robustness};

/// A question or an order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Counters, per port and in sum.
    Stats,
    /// The ports.
    Ports,
    /// The sockets.
    Sockets,
    /// The joined groups.
    Groups,
    /// The multicast filter of each port.
    Filter,
    /// The neighbour caches.
    Neighbors,
    /// The path MTUs that were learned.
    Paths,
    /// The routes.
    Routes,
    /// The addresses.
    Addresses,
    /// The drop counters, with their meaning.
    Drops,
    /// The workers.
    Workers,
    /// Joins groups.
    Join(Membership),
    /// Leaves groups, or one source of them.
    Leave(Membership),
    /// Sets which sources of groups are wanted.
    SourceFilter(SourceFilterOrder),
    /// Pins the multicast filter of a port to a rung, or lets it climb.
    FilterPolicy(FilterPolicyOrder),
    /// Stops a port and starts it again.
    Restart(RestartOrder),
    /// Gives a port another MTU.
    Mtu(MtuOrder),
    /// Shows how group management of IPv4 stands, or changes its choices.
    Igmp(IgmpOrder),
    /// The same of IPv6.
    Mld(MldOrder),
}

/// What [`Command::Igmp`] asks or orders.
pub type IgmpOrder = GmpOrder<IgmpVersion>;

/// What [`Command::Mld`] asks or orders.
pub type MldOrder = GmpOrder<MldVersion>;

/// What [`Command::Igmp`] and [`Command::Mld`] ask, if they name no choice, or order.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GmpOrder<V> {
    /// The port by name, or a VLAN of it. None: all, to be shown; the only one, to be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// The version to be spoken from now on: `auto`, `1`, `2` or (IGMP) `3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<V>,
    /// How often changes are told from now on: `auto`, or `1` to `7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub robustness: Option<Robustness>,
}

/// What [`Command::Mtu`] orders.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MtuOrder {
    /// The largest IP packet, in bytes: at most what the configuration says.
    pub mtu: u16,
    /// The port by name; the only one if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
}

/// An answer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "answer", content = "body", rename_all = "snake_case")]
pub enum Answer {
    /// To [`Command::Stats`].
    Stats(StatsAnswer),
    /// To [`Command::Ports`].
    Ports(Vec<PortAnswer>),
    /// To [`Command::Sockets`].
    Sockets(Vec<SocketAnswer>),
    /// To [`Command::Groups`].
    Groups(Vec<GroupAnswer>),
    /// To [`Command::Filter`].
    Filter(Vec<FilterAnswer>),
    /// To [`Command::Neighbors`].
    Neighbors(Vec<NeighborAnswer>),
    /// To [`Command::Paths`].
    Paths(Vec<PathAnswer>),
    /// To [`Command::Routes`].
    Routes(Vec<RouteAnswer>),
    /// To [`Command::Addresses`].
    Addresses(Vec<AddressAnswer>),
    /// To [`Command::Drops`].
    Drops(Vec<DropAnswer>),
    /// To [`Command::Workers`].
    Workers(Vec<WorkerAnswer>),
    /// To [`Command::Igmp`] that names no choice.
    Igmp(Vec<IgmpAnswer>),
    /// To [`Command::Mld`] that names no choice: of the interfaces with IPv6.
    Mld(Vec<MldAnswer>),
    /// To orders: [`Command::Join`], [`Command::Leave`], [`Command::Mtu`], [`Command::Igmp`] that names a choice, and
    /// the others.
    Done(DoneAnswer),
    /// The command could not be carried out, and what to do about it.
    Error(String),
}

/// Counters.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct StatsAnswer {
    /// Seconds since the start.
    pub uptime_s: u64,
    /// A row a port.
    pub ports: Vec<PortStats>,
    /// Buffers of the pool that are free, and how many there are, if known.
    pub pool: Option<PoolStats>,
}

/// The counters of one port.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PortStats {
    /// Its name.
    pub port: String,
    /// What the device counted.
    pub device: DeviceStats,
    /// What the engine counted, by name: `rx`, `tx`, `rx_bytes`, `tx_bytes`, `delivered`, `punted`, ... See
    /// [`Counter`](super::Counter).
    pub engine: BTreeMap<String, u64>,
    /// All drops together.
    pub dropped: u64,
    /// The packets that came by each receive queue: whether the device spreads flows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rx_by_queue: Vec<u64>,
}

/// The mbuf pool.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PoolStats {
    /// Buffers that are free.
    pub free: u32,
    /// All buffers.
    pub size: u32,
}

/// One port.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PortAnswer {
    /// What it is.
    #[serde(flatten)]
    pub info: PortInfo,
    /// Whether the link is up.
    pub link_up: bool,
    /// What IP has on it.
    pub interfaces: Vec<InterfaceAnswer>,
    /// The CPUs of the workers that serve it.
    pub cpus: Vec<usize>,
}

/// One interface: the untagged one of a port, or that of a VLAN. Sockets, groups and neighbours are on one, and name it
/// by its name in their field `port`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InterfaceAnswer {
    /// Its name: the port's, or the port's and a VLAN's, as `p0.100`.
    pub name: String,
    /// Its VLAN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// Its addresses in use, as `198.18.0.2/24`: those of IPv4, then those of IPv6.
    pub addresses: Vec<String>,
    /// Its default gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway4: Option<Ipv4Addr>,
    /// Its IPv6 default router, configured or advertised; of several, the one in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway6: Option<Ipv6Addr>,
}

/// One socket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SocketAnswer {
    /// The service that owns it.
    pub service: String,
    /// Its address and UDP port.
    pub local: String,
    /// The port that it is on.
    pub port: String,
    /// The CPUs on which the service lives, of those that serve the port.
    #[serde(default)]
    pub cpus: Vec<usize>,
    /// Whether it hears groups that the host, but not its service, joined there.
    #[serde(default)]
    pub multicast_all: bool,
    /// Datagrams delivered to it, copies of what others hear, too, included.
    pub rx: u64,
    /// Datagrams that it answered, or sent.
    pub tx: u64,
    /// What only the socket of a program's thread has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<ThreadSocketAnswer>,
}

/// What the socket of a program's thread has, beside what every socket has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ThreadSocketAnswer {
    /// Its number, while it is open.
    pub id: u32,
    /// Its peer, if it is connected.
    pub peer: Option<String>,
    /// Its options that decide what it receives, if they are set: `reuse_address`, `reuse_port`, `v6only`.
    pub options: Vec<String>,
    /// Bytes that wait to be received, as they are charged against `rcvbuf`.
    pub rx_queue_bytes: u64,
    /// How many may: `SO_RCVBUF`.
    pub rcvbuf: u64,
    /// Bytes that wait to be sent, likewise.
    pub tx_queue_bytes: u64,
    /// Datagrams that were dropped for want of room: `RcvbufErrors`.
    pub drops: u64,
}

/// One group on one port.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GroupAnswer {
    /// The port.
    pub port: String,
    /// The group.
    pub group: IpAddr,
    /// Its Ethernet address.
    pub mac: MacAddr,
    /// `include` or `exclude`: the interface's filter mode, RFC 9776 3.2.
    pub filter_mode: String,
    /// The sources that the mode speaks of.
    pub sources: Vec<IpAddr>,
    /// The services that want it; `host` is the host itself, which is asked there for its addresses.
    pub services: Vec<String>,
}

/// The multicast filter of one port.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FilterAnswer {
    /// The port.
    pub port: String,
    /// Its driver.
    pub driver: String,
    /// The filter as applied and read back.
    #[serde(flatten)]
    pub state: FilterState,
    /// Multicast frames that the device let through though their MAC is not in the set, since the start.
    pub not_in_set: u64,
    /// Those of them that came since the rung in use was taken. More than 0 on a rung that filters means: accepted by the
    /// driver, not effective; unless the device keeps hashes.
    #[serde(default)]
    pub not_in_set_here: u64,
    /// Multicast frames whose MAC is in the set and whose group is not joined on the interface that they came in by:
    /// aliases, of one of the 32 groups that share a MAC, or of a group that is joined on another VLAN.
    pub aliases: u64,
    /// Seconds since it was last applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_ago_s: Option<u64>,
    /// Seconds until the rungs that refused, and may not do so for ever, are tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_in_s: Option<u64>,
}

/// How IGMP stands on one interface.
pub type IgmpAnswer = GmpAnswer<IgmpVersion>;

/// How MLD stands on one interface.
pub type MldAnswer = GmpAnswer<MldVersion>;

/// How group management of one IP version stands on one interface.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GmpAnswer<V> {
    /// The interface.
    pub port: String,
    /// The version that is to be spoken: `auto`, `1`, `2` or (IGMP) `3`.
    pub configured_version: V,
    /// The version that is spoken.
    pub version: u8,
    /// Seconds for which a querier of version 1 is still taken to be there; none if it is not.
    pub v1_querier_s: Option<u64>,
    /// The same of version 2; of MLD there is none older.
    pub v2_querier_s: Option<u64>,
    /// Who asked last of all groups.
    pub querier: Option<QuerierAnswer>,
    /// How often a change is to be told: `auto`, or `1` to `7`.
    pub configured_robustness: Robustness,
    /// How often a change is told.
    pub robustness: u8,
    /// The time between General Queries, in seconds, as far as is known.
    pub query_interval_s: u64,
    /// Whether queries are ignored that are not strictly right: of MLD, always.
    pub strict_queries: bool,
    /// The groups of which routers are to know.
    pub groups: usize,
    /// Those of them of which nothing is said in this version: of the source-specific range, in the older versions.
    pub silent_groups: usize,
    /// Milliseconds until the next message is due, if there is anything to say.
    pub next_ms: Option<u64>,
    /// Milliseconds until the next report of an answer to a General Query, if one is due.
    pub general_answer_ms: Option<u64>,
    /// Answers to queries of single groups that are due.
    pub group_answers: usize,
    /// Groups of which a change is still to be told, or told again.
    pub changes: usize,
}

/// A querier.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct QuerierAnswer {
    /// Its address; 0.0.0.0 of a switch that has none.
    pub addr: IpAddr,
    /// The version of its last query.
    pub version: u8,
    /// Seconds since that query.
    pub age_s: u64,
}

/// One neighbour.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NeighborAnswer {
    /// The port.
    pub port: String,
    /// Its address.
    pub addr: IpAddr,
    /// Its Ethernet address, once known.
    pub mac: Option<MacAddr>,
    /// `incomplete`, `reachable`, `stale`, `delay`, `probe` or `failed`: RFC 4861 7.3.2.
    pub state: String,
    /// Seconds since it last answered; if it never did, since it was first heard or asked for.
    pub age_s: u64,
    /// Whether it said that it is a router, as neighbours do in IPv6.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub is_router: bool,
}

/// The path to one host, where it is known to carry less than the link.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PathAnswer {
    /// The port.
    pub port: String,
    /// The host.
    pub addr: IpAddr,
    /// The longest packet that is sent to it, in bytes.
    pub mtu: u16,
    /// The longest that is sent with "don't fragment": less than `mtu` only where a link on the way carries less than we
    /// go down to.
    pub df_max: u16,
    /// Seconds since a router last said so.
    pub age_s: u64,
}

/// One route of one interface.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RouteAnswer {
    /// The interface.
    pub port: String,
    /// `connected`, `static` or `default`; `router`: a default router that is not used now; `redirect`: a destination with a
    /// first hop of its own, which is itself if it is on the link.
    pub kind: String,
    /// Where it leads, as `198.18.0.0/24`.
    pub to: String,
    /// By which gateway; none on the link itself.
    pub via: Option<IpAddr>,
    /// The address of ours that is used there, if there is one.
    pub source: Option<IpAddr>,
    /// Seconds for which a router said so; none if it is configured, or for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_s: Option<u64>,
    /// How much a router that advertised itself wants to be used: `low`, `medium` or `high`. RFC 4191 2.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preference: Option<String>,
}

/// One address of one interface.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AddressAnswer {
    /// The interface.
    pub port: String,
    /// The address with its prefix length, as `2001:db8::2/64`.
    pub addr: String,
    /// `static`, `link-local`, or `auto`: made of a prefix that a router advertised.
    pub origin: String,
    /// `tentative`, `preferred`, `deprecated` or `duplicate`. RFC 4862 2.
    pub state: String,
    /// Seconds until it is deprecated; none if never.
    pub preferred_s: Option<u64>,
    /// Seconds until it is gone; none if never.
    pub valid_s: Option<u64>,
}

/// One drop counter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DropAnswer {
    /// Its name.
    pub reason: String,
    /// Packets, over all ports and workers.
    pub packets: u64,
    /// The SNMP counter that would count it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snmp: Option<String>,
    /// What it means.
    pub meaning: String,
}

/// One worker.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WorkerAnswer {
    /// Which, from 0.
    pub worker: usize,
    /// Its lcore.
    pub lcore: u32,
    /// The CPU of that.
    pub cpu: usize,
    /// `spin`: it polls without rest. `adaptive`: it sleeps when it has nothing to do.
    pub idle: String,
    /// Its receive queues.
    pub queues: Vec<QueueAnswer>,
    /// Microseconds that it sleeps at a time at most, where a queue has no event: `workers.idle_sleep_us`. None if all have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sleep_us: Option<u64>,
    /// Microseconds after which it wakes for a moment while it waits for events: `workers.idle_heartbeat_us`. None if it does not, or if
    /// a queue has no event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat_us: Option<u64>,
    /// Times that it slept; from one heartbeat to the next is one.
    pub sleeps: u64,
    /// Of these, times that an event or a message woke it.
    pub woken: u64,
    /// Milliseconds that it slept.
    pub asleep_ms: u64,
    /// Times that it waited for events, and slept on though there was something: a driver that forgets events.
    pub overslept: u64,
}

/// One receive queue of a worker.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct QueueAnswer {
    /// Its port.
    pub port: String,
    /// Its number there.
    pub queue: u16,
    /// What tells a sleeping worker that something arrived: `RX interrupt`, `file descriptor of the queue`, `packet socket`. None:
    /// nothing does, its worker never sleeps, or the device forgot so many that it is not waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_event: Option<String>,
}

/// What an order did.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DoneAnswer {
    /// In a sentence: `joined 239.1.2.3 on p0 for echo`.
    pub done: String,
    /// What became of each group, of an order about groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<GroupChange>,
    /// How many IGMP or MLD reports left for it, repeats not counted. Of very many, the first: the others follow within
    /// milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reports: Option<u32>,
    /// How the NIC's filter is done now, of an order that may have changed it: `addr_list, 3 group addresses`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

impl DoneAnswer {
    /// A sentence, and no more.
    #[must_use]
    pub fn said(done: impl Into<String>) -> Self {
        Self { done: done.into(), ..Self::default() }
    }
}
