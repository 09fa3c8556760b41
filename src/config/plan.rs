//! The plan: what a checked configuration comes to. It holds only proven values; nothing downstream checks again.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::path::PathBuf;

pub use super::offloads::{Offload, OffloadSet};
use crate::addr::{Cidr, Family, Group, MacAddr, Prefix, Unicast, V4, V6, Vid};
use crate::io::{
    Addressing6, ConflictDetection, FilterPolicy, IgmpPolicy, InterfaceId, MldPolicy, PmtuDiscovery, Policy,
    PortId, ReplyPath, StableSecret,
};

/// Everything that a run needs to know.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How DPDK is started.
    pub eal: EalPlan,
    /// Where the control socket listens.
    pub ctl_socket: PathBuf,
    /// The worker lcores, one a CPU.
    pub workers: Vec<WorkerPlan>,
    /// The CPU of the control thread.
    pub control_cpu: usize,
    /// What a worker does when nothing arrives.
    pub idle: Idle,
    /// How long a worker that has nothing to do sleeps at a time at most, if one of its devices has no event.
    pub idle_sleep: Duration,
    /// After what time a worker that waits for events wakes for a moment, so that its CPU does not halt deeply; `None`: never.
    pub idle_heartbeat: Option<Duration>,
    /// The latency, in microseconds, that all CPUs of the machine may have at waking while the host runs: what is written to
    /// `/dev/cpu_dma_latency`. `None`: nothing is.
    pub cpu_dma_latency_us: Option<u32>,
    /// The most packets in one call to a device: 8 to [`BURST_MAX`](crate::io::BURST_MAX).
    pub burst: usize,
    /// The ports; a [`PortId`] is an index into them.
    pub ports: Vec<PortPlan>,
    /// What IP has on the ports, one port's after another's; an [`InterfaceId`] is an index into them.
    pub interfaces: Vec<InterfacePlan>,
    /// How fragments are put together.
    pub reassembly: ReassemblyPlan,
    /// How many ICMP errors are sent.
    pub icmp: IcmpPlan,
    /// The clients behind balancers.
    pub uoa: UoaPlan,
    /// The sockets of a program's threads.
    pub sockets: SocketsPlan,
    /// The services.
    pub services: Vec<ServicePlan>,
    /// The mbuf pool's size and its arithmetic.
    pub mbufs: MbufPlan,
}

impl Plan {
    /// Whether workers poll without rest: [`Idle::Auto`] decided. They sleep if control shares a CPU with one, too: a
    /// worker that never rests would leave it half of that CPU, in slices.
    #[must_use]
    pub fn spins(&self) -> bool {
        match self.idle {
            Idle::Spin => true,
            Idle::Adaptive => false,
            Idle::Auto => {
                let shared = self.workers.iter().any(|worker| worker.cpu == self.control_cpu);
                !shared && self.ports.iter().all(PortPlan::is_pci)
            }
        }
    }
}

/// The sockets of a program's threads: the table `[sockets]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SocketsPlan {
    /// The most that are open at a time.
    pub max: u32,
    /// Packets of up to 256, 2048 and 65,536 bytes that wait in all of them together, to be received or to be sent.
    pub packets: [u32; 3],
    /// Bytes that one holds for its owner at first, as socket(7) `SO_RCVBUF` counts them, and the most that it may ask for.
    pub rcvbuf: u32,
    /// The most that one may ask for.
    pub rcvbuf_max: u32,
    /// Bytes that wait in one to be sent, and the most that it may ask for: `SO_SNDBUF`.
    pub sndbuf: u32,
    /// The most that one may ask for.
    pub sndbuf_max: u32,
    /// P03: the groups that one joins at most, of each IP version.
    pub memberships_max: usize,
    /// P03: the sources that one names of a group at most, of IPv4.
    pub sources_max: usize,
    /// And of IPv6.
    pub sources6_max: usize,
}

/// The clients behind balancers: the table `[uoa]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UoaPlan {
    /// O06: the balancers that are believed, of IPv4. Without any, of either version, UOA is off.
    pub trusted4: Vec<Prefix<V4>>,
    /// And of IPv6.
    pub trusted6: Vec<Prefix<V6>>,
    /// O09: the most flows whose client each worker remembers.
    pub table_max: u32,
    /// O09: how long after its last packet a flow is remembered.
    pub timeout: Duration,
}

impl UoaPlan {
    /// Whether any balancer is believed.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        !self.trusted4.is_empty() || !self.trusted6.is_empty()
    }
}

/// How DPDK's environment abstraction layer is started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EalPlan {
    /// Whether hugepages are used.
    pub hugepages: Hugepages,
    /// Memory that DPDK reserves, in MiB.
    pub memory_mb: u32,
    /// Tells several DPDK programs on one machine apart.
    pub file_prefix: String,
    /// Further arguments, passed as they are.
    pub args: Vec<String>,
}

/// The key `eal.hugepages`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Hugepages {
    /// If enough are free at start, else none.
    #[default]
    Auto,
    /// Refuse to start without.
    Required,
    /// Never.
    None,
}

/// The key `workers.idle`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Idle {
    /// [`Spin`](Self::Spin) if every port is a PCI device and no worker shares its CPU with control, else
    /// [`Adaptive`](Self::Adaptive). See [`Plan::spins`].
    #[default]
    Auto,
    /// Poll without rest.
    Spin,
    /// Sleep while nothing arrives: until an event of the devices, or up to [`Plan::idle_sleep`] where one has none.
    Adaptive,
}

/// One worker lcore.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorkerPlan {
    /// Its CPU.
    pub cpu: usize,
    /// The ports that it serves.
    pub ports: Vec<PortId>,
}

/// One port.
#[derive(Clone, Debug)]
pub struct PortPlan {
    /// Its name.
    pub name: String,
    /// A PCI address with its domain, as `0000:03:00.0`, or a vdev, as `net_tap0`; with its arguments, if any, after a
    /// comma.
    pub device: String,
    /// The Ethernet address to set; the device's own if absent.
    pub mac: Option<MacAddr>,
    /// The largest IP packet, in bytes.
    pub mtu: u16,
    /// Receive descriptors a queue.
    pub rx_descriptors: u16,
    /// Transmit descriptors a queue.
    pub tx_descriptors: u16,
    /// What may be left to the device, as far as it offers it: the keys `offloads` and `checksum`.
    pub offloads: OffloadSet,
    /// How far the multicast filter may climb.
    pub multicast_filter: FilterPolicy,
    /// Whether any of its interfaces is a VLAN: the device is then asked to take tags off and to insert them, if it can.
    pub tagged: bool,
    /// Whether workers sleep until its RX events: it is then configured with them, if it has any.
    pub rx_events: bool,
    /// The workers that serve it, as indices into [`Plan::workers`]: one queue pair each, as far as there are some.
    pub workers: Vec<usize>,
    /// What is done about flows that the device does not spread.
    pub rps: Rps,
    /// Whether queues of a vhost port use its rings themselves, without the burst functions of its driver: the key `vhost_direct`.
    pub vhost_direct: bool,
}

impl PortPlan {
    /// The device without its arguments: `net_tap0`, `0000:03:00.0`. DPDK knows the port by this name.
    #[must_use]
    pub fn device_name(&self) -> &str {
        self.device.split(',').next().unwrap_or_default()
    }

    /// Whether it is a PCI device, and not a virtual one.
    #[must_use]
    pub fn is_pci(&self) -> bool {
        !self.device.starts_with("net_")
    }
}

/// One interface: the untagged one of a port, or that of one of its VLANs.
#[derive(Clone, Debug)]
pub struct InterfacePlan {
    /// Its name: the port's, or for a further VLAN the port's and the VLAN's, as `p0.100`.
    pub name: String,
    /// The port that it is on.
    pub port: PortId,
    /// Its VLAN; `None` if its frames are untagged.
    pub vlan: Option<Vid>,
    /// What it has of IPv4; without an address, it is off.
    pub v4: InetPlan<V4>,
    /// What the configuration names of IPv6, link-local addresses aside.
    pub v6: InetPlan<V6>,
    /// How its IPv6 addresses come about; `None`: IPv6 is off, and there is no link-local address either.
    pub addressing6: Option<Addressing6>,
    /// What stable identifiers of addresses are made from; `None`: from this machine's identity.
    pub stable_secret: Option<StableSecret>,
    /// When its IPv4 addresses are used first.
    pub conflict_detection: ConflictDetection,
    /// What else its configuration chose where the RFCs leave the choice.
    pub policy: Policy,
    /// The least that an IPv4 path's MTU may be lowered to, in bytes: 68 to 1500, and no more than the port's MTU.
    pub path_mtu_min: u16,
    /// How long a lowered path MTU is remembered.
    pub path_mtu_timeout: Duration,
    /// The most neighbours that are remembered, of each IP version.
    pub neighbors_max: usize,
    /// What its IPv4 group management is to be like.
    pub igmp: IgmpPolicy,
    /// What its IPv6 group management is to be like.
    pub mld: MldPolicy,
    /// The most groups that are joined on it, of each IP version.
    pub groups_max: usize,
    /// The most sources that one service names of one group.
    pub sources_max: usize,
}

/// What one IP version has on an interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InetPlan<F: Family> {
    /// The addresses that are named, the first the primary one.
    pub addresses: Vec<Cidr<F>>,
    /// The default gateway, on one of the prefixes; of IPv6, or link-local.
    pub gateway: Option<Unicast<F>>,
    /// Its static routes.
    pub routes: Vec<RoutePlan<F>>,
}

impl<F: Family> Default for InetPlan<F> {
    /// Nothing.
    fn default() -> Self {
        Self { addresses: Vec::new(), gateway: None, routes: Vec::new() }
    }
}

/// A static route of an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RoutePlan<F: Family> {
    /// Where it leads.
    pub to: Prefix<F>,
    /// By which router, on one of the interface's prefixes; of IPv6, or link-local.
    pub via: Unicast<F>,
}

/// How fragments are put together: `[reassembly]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReassemblyPlan {
    /// How long after its first fragment an IPv4 datagram is given up, in whole seconds, 1 to 120.
    pub timeout: Duration,
    /// The same of IPv6.
    pub timeout6: Duration,
    /// The most fragments that one worker holds; 0: none, each is dropped.
    pub fragments: u32,
    /// The most of them that are of one source; no more than `fragments`.
    pub fragments_per_source: u32,
}

/// How many ICMP errors are sent: `[icmp]`. Each number is at least 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IcmpPlan {
    /// By all workers to all destinations together, a second.
    pub errors_per_second: u32,
    /// And at once.
    pub errors_burst: u32,
    /// To one destination, a second.
    pub errors_per_second_per_peer: u32,
    /// And at once.
    pub errors_burst_per_peer: u32,
}

/// The key `rps` of a port: receive packet steering, the spreading of flows over workers in software.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Rps {
    /// Where the device has fewer pairs of queues than workers serve the port.
    #[default]
    Auto,
    /// In any case: the device has one pair of queues, whose worker hands the others their share.
    On,
    /// Never: a device with too few queues is an error.
    Off,
}

impl Rps {
    /// Its values, by their names in a configuration.
    pub const NAMES: [(&'static str, Self); 3] = [("auto", Self::Auto), ("on", Self::On), ("off", Self::Off)];

    /// Pairs of queues to set up for `wanted` workers on a device that has up to `have`. `None`: they do not suffice.
    #[must_use]
    pub fn pairs(self, wanted: u16, have: u16) -> Option<u16> {
        match self {
            _ if have == 0 => None,
            Self::On => Some(wanted.min(1)),
            Self::Auto => Some(wanted.min(have)),
            Self::Off => (wanted <= have).then_some(wanted),
        }
    }
}

/// One service.
#[derive(Clone, Debug)]
pub struct ServicePlan {
    /// Its name.
    pub name: String,
    /// Its kind, as registered: `echo`.
    pub kind: String,
    /// The workers on which it lives, as indices into [`Plan::workers`]: an instance on each that serves one of its ports.
    pub workers: Vec<usize>,
    /// The sockets that it listens on.
    pub listen: Vec<ListenPlan>,
    /// Whether its sockets share their addresses and UDP ports with other services that do so, too: `SO_REUSEADDR`.
    pub reuse_address: bool,
    /// The IPv4 groups that it joins.
    pub groups4: Vec<GroupPlan<V4>>,
    /// The IPv6 groups that it joins.
    pub groups6: Vec<GroupPlan<V6>>,
    /// Whether its sockets hear groups that others joined, too: `IP_MULTICAST_ALL`.
    pub multicast_all: bool,
    /// Where its answers go.
    pub reply: ReplyPath,
    /// What its sockets do about the path MTU.
    pub path_mtu_discovery: PmtuDiscovery,
    /// The keys of the service's own: what is left of its table, for its kind to read.
    pub options: toml::Table,
}

/// One socket of a service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListenPlan {
    /// The address; unspecified means any of the port's, its broadcast addresses, and groups. A group: that one alone.
    pub addr: IpAddr,
    /// The UDP port, never 0.
    pub udp_port: u16,
    /// Whether a socket of any IPv6 address (`::`) leaves IPv4 to others: `IPV6_V6ONLY`. Without it, it is IPv4's, too.
    pub v6only: bool,
    /// The interfaces that it listens on.
    pub interfaces: Vec<InterfaceId>,
}

impl ListenPlan {
    /// The addresses that it takes: that of any IPv4 address, too, if it is dual-stack.
    // P10, RFC 3493 5.3.
    pub fn places(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let dual = self.addr == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && !self.v6only;
        let too = dual.then_some(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        core::iter::once(self.addr).chain(too)
    }

    /// As it is written: `0.0.0.0:7`, `[::]:7`.
    #[must_use]
    pub fn written(&self) -> String {
        core::net::SocketAddr::new(self.addr, self.udp_port).to_string()
    }
}

/// The memberships of a service in one group, or in every group of a prefix.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupPlan<F: Family> {
    /// The groups: every address of it is one.
    pub prefix: Prefix<F>,
    /// From whom.
    pub from: GroupSources<F>,
    /// The interface on which they are joined.
    pub interface: InterfaceId,
}

impl<F: Family> GroupPlan<F> {
    /// Each of the groups.
    pub fn groups(&self) -> impl Iterator<Item = Group<F>> + use<F> {
        let prefix = self.prefix;
        (0..self.len()).filter_map(move |n| Group::new(prefix.nth(n)?))
    }

    /// How many groups there are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> u32 {
        self.prefix.size()
    }

    /// As it is written: `239.1.2.3`, or `239.1.0.0/22`.
    #[must_use]
    pub fn written(&self) -> String {
        if self.len() == 1 { self.prefix.network().to_string() } else { self.prefix.to_string() }
    }
}

/// From whom a service wants a group: the filter mode and source list of RFC 9776 3.1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GroupSources<F: Family> {
    /// From anyone.
    Any,
    /// From these alone; at least one.
    Only(Vec<Unicast<F>>),
    /// From anyone but these; at least one.
    Except(Vec<Unicast<F>>),
}

/// The size of the mbuf pool and where it comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MbufPlan {
    /// Buffers in the pool.
    pub count: u32,
    /// Bytes of data in each, headroom included.
    pub data_room: u16,
    /// Large buffers beside these, for datagrams that fragments were put together to.
    pub large: u32,
    /// Buffers that one lcore keeps at hand.
    pub cache: u32,
    /// The sum, a line an item: what for, and how many.
    pub items: Vec<(String, u32)>,
}
