//! A plan in print: what `pollcast check` shows.

use core::fmt;

use super::mbufs;
use super::plan::{
    GroupPlan, GroupSources, Hugepages, IcmpPlan, Idle, InetPlan, InterfacePlan, ListenPlan, MbufPlan,
    Offload, OffloadSet, Plan, PortPlan, ReassemblyPlan, Rps, ServicePlan, SocketsPlan, UoaPlan,
};
use crate::addr::{Family, Unicast};
use crate::io::{
    Addressing6, ConflictDetection, FilterPolicy, IgmpPolicy, InterfaceId, LinkLocal, MldPolicy, Policy,
    PortId,
};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_cpus(f)?;
        self.write_ports(f)?;
        self.write_services(f)?;
        write_limits(self.reassembly, self.icmp, f)?;
        write_uoa(&self.uoa, f)?;
        write_sockets(&self.sockets, f)?;
        write_mbufs(&self.mbufs, f)?;
        self.write_memory(f)?;
        writeln!(f, "control socket\n  {}", self.ctl_socket.display())
    }
}

impl Plan {
    fn write_cpus(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "CPUs")?;
        writeln!(f, "  CPU {}: lcore 0, control: sleeps until something is due", self.control_cpu)?;
        let idle = if self.spins() { "polls without rest" } else { "polls, and sleeps when idle" };
        for (i, worker) in self.workers.iter().enumerate() {
            let queues: Vec<String> = worker.ports.iter().map(|&port| self.queue_of(i, port)).collect();
            writeln!(f, "  CPU {}: lcore {}, {idle}: {}", worker.cpu, i + 1, queues.join(", "))?;
        }
        let why = match self.idle {
            Idle::Auto if self.spins() => {
                "auto: every port is a PCI device, and control has a CPU of its own"
            }
            Idle::Auto if self.ports.iter().all(PortPlan::is_pci) => "auto: control shares a worker's CPU",
            Idle::Auto => "auto: not every port is a PCI device",
            Idle::Spin => "spin",
            Idle::Adaptive => "adaptive",
        };
        let sleep = self.idle_sleep.as_micros();
        let sleep = if self.spins() {
            String::new()
        } else {
            let beat =
                self.idle_heartbeat.map(|beat| format!("; heartbeat of {} us on others", beat.as_micros()));
            let beat = beat.unwrap_or_default();
            format!(", {sleep} us at a time on a device without an RX event{beat}")
        };
        writeln!(f, "  idle = {why}{sleep}; bursts of at most {} packets", self.burst)?;
        match self.cpu_dma_latency_us {
            None => Ok(()),
            Some(us) => writeln!(f, "  /dev/cpu_dma_latency = {us} us, of all CPUs of the machine"),
        }
    }

    /// `p0 queue 1`: a port's queues are numbered as its workers are listed.
    fn queue_of(&self, worker: usize, port: PortId) -> String {
        let plan = self.ports.get(port.index());
        let queue = plan.and_then(|plan| plan.workers.iter().position(|&other| other == worker));
        format!("{} queue {}", self.port_name(port), queue.unwrap_or_default())
    }

    fn port_name(&self, port: PortId) -> &str {
        self.ports.get(port.index()).map_or("?", |port| port.name.as_str())
    }

    fn write_ports(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "ports")?;
        for (id, port) in (0..).map(PortId).zip(&self.ports) {
            writeln!(f, "  {} ({})", port.name, port.device)?;
            self.interfaces.iter().filter(|i| i.port == id).try_for_each(|i| write_interface(i, f))?;
            write_port(port, f)?;
        }
        Ok(())
    }

    fn interface_name(&self, interface: InterfaceId) -> &str {
        self.interfaces.get(interface.index()).map_or("?", |interface| interface.name.as_str())
    }

    fn write_services(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "services")?;
        if self.services.is_empty() {
            writeln!(
                f,
                "  none: ARP, neighbour discovery, ping and group queries are answered all the same"
            )?;
        }
        self.services.iter().try_for_each(|service| self.write_service(service, f))
    }

    fn write_service(&self, service: &ServicePlan, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {} ({})", service.name, service.kind)?;
        for listen in &service.listen {
            let on: Vec<&str> = listen.interfaces.iter().map(|&id| self.interface_name(id)).collect();
            let shared = if service.reuse_address { ", shared" } else { "" };
            let versions = versions(listen);
            writeln!(f, "    listens on {}{versions} of {}{shared}", listen.written(), on.join(", "))?;
        }
        if service.workers.len() != self.workers.len() {
            let cpus = service.workers.iter().filter_map(|worker| self.workers.get(*worker));
            let cpus: Vec<String> = cpus.map(|worker| worker.cpu.to_string()).collect();
            writeln!(f, "    lives on CPU {}; what others receive for it is handed over", cpus.join(", "))?;
        }
        service.groups4.iter().try_for_each(|group| self.write_group(group, f))?;
        service.groups6.iter().try_for_each(|group| self.write_group(group, f))?;
        let all = if service.multicast_all {
            "hears groups that others joined, too"
        } else {
            "hears its own groups only"
        };
        writeln!(f, "    {all}")?;
        writeln!(f, "    reply = {}, path_mtu_discovery = {}", service.reply, service.path_mtu_discovery)?;
        for (key, value) in &service.options {
            writeln!(f, "    {key} = {}", serde_json::to_string(value).unwrap_or_default())?;
        }
        Ok(())
    }

    fn write_group<F: Family>(&self, group: &GroupPlan<F>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |sources: &[Unicast<F>]| {
            let sources: Vec<String> = sources.iter().map(ToString::to_string).collect();
            sources.join(", ")
        };
        let from = match &group.from {
            GroupSources::Any => "any source".to_owned(),
            GroupSources::Only(sources) => list(sources),
            GroupSources::Except(sources) => format!("any source but {}", list(sources)),
        };
        let several = if group.len() > 1 { format!(" ({} groups)", group.len()) } else { String::new() };
        let on = self.interface_name(group.interface);
        writeln!(f, "    joins {}{several} from {from} on {on}", group.written())
    }

    fn write_memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mbufs::Memory { items, needed_mb } = mbufs::memory(self);
        let hugepages = match self.eal.hugepages {
            Hugepages::Auto => "of hugepages if enough are free, else of ordinary pages",
            Hugepages::Required => "of hugepages",
            Hugepages::None => "of ordinary pages",
        };
        writeln!(f, "memory")?;
        for (what, bytes) in &items {
            writeln!(f, "  {bytes:>11}  {what}")?;
        }
        writeln!(f, "  {needed_mb:>11}  MiB, the sum rounded up to pages of 2 MiB")?;
        writeln!(f, "  {:>11}  MiB reserved, {hugepages}", self.eal.memory_mb)?;
        writeln!(f, "EAL\n  file prefix {}", self.eal.file_prefix)?;
        if !self.eal.args.is_empty() {
            writeln!(f, "  further arguments {}", self.eal.args.join(" "))?;
        }
        Ok(())
    }
}

/// Of a socket of any IPv6 address, which versions it hears.
fn versions(listen: &ListenPlan) -> &'static str {
    match (listen.addr.is_ipv6() && listen.addr.is_unspecified(), listen.v6only) {
        (false, _) => "",
        (true, true) => " (IPv6 only)",
        (true, false) => " (IPv6 and IPv4)",
    }
}

fn write_interface(interface: &InterfacePlan, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let vlan = interface.vlan.map(|vlan| format!("{}: VLAN {vlan}, ", interface.name)).unwrap_or_default();
    let used = match interface.conflict_detection {
        ConflictDetection::Announce => "used at once, and announced",
        ConflictDetection::Probe => "probed for, then used and announced",
    };
    match (interface.v4.addresses.is_empty(), &interface.addressing6) {
        (false, _) => writeln!(f, "    {vlan}{}; {used}", addresses(&interface.v4, &[]))?,
        (true, Some(_)) if !vlan.is_empty() => writeln!(f, "    {vlan}IPv6 only")?,
        (true, _) => {}
    }
    write_routes(&interface.v4, f)?;
    if let Some(addressing) = &interface.addressing6 {
        write_ipv6(addressing, interface, f)?;
        write_routes(&interface.v6, f)?;
    }
    let (path_mtu, timeout) = (interface.path_mtu_min, interface.path_mtu_timeout.as_secs());
    let neighbors = interface.neighbors_max;
    let least = match (interface.v4.addresses.is_empty(), &interface.addressing6) {
        (true, _) => "1280".to_owned(),
        (false, None) => path_mtu.to_string(),
        (false, Some(_)) => format!("{path_mtu} (IPv6: 1280)"),
    };
    writeln!(
        f,
        "      at most {neighbors} neighbours; path MTU {least} or more, remembered for {timeout} s"
    )?;
    let (groups, sources) = (interface.groups_max, interface.sources_max);
    writeln!(f, "      at most {groups} groups, {sources} sources of one for one service")?;
    let igmp = igmp_exceptions(&interface.igmp);
    let mld = interface.addressing6.iter().flat_map(|_| mld_exceptions(&interface.mld));
    let all = exceptions(interface.policy).map(str::to_owned).chain(igmp).chain(mld);
    all.into_iter().try_for_each(|exception| writeln!(f, "      {exception}"))
}

/// `addresses 198.18.0.2/24, gateway 198.18.0.1`; `further` are addresses of another kind.
fn addresses<F: Family>(inet: &InetPlan<F>, further: &[&str]) -> String {
    let named = inet.addresses.iter().map(ToString::to_string);
    let all: Vec<String> = named.chain(further.iter().map(|&word| word.to_owned())).collect();
    let gateway = inet.gateway.map(|gateway| format!(", gateway {gateway}")).unwrap_or_default();
    format!("addresses {}{gateway}", all.join(", "))
}

fn write_routes<F: Family>(inet: &InetPlan<F>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    inet.routes.iter().try_for_each(|route| writeln!(f, "      route to {} via {}", route.to, route.via))
}

/// What IPv6 has on an interface.
fn write_ipv6(
    addressing: &Addressing6,
    interface: &InterfacePlan,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let Addressing6 { link_local, auto, router_discovery, dad_transmits, .. } = addressing;
    let further: &[&str] = if *auto { &["auto"] } else { &[] };
    let asked = match dad_transmits {
        0 => "used at once, nobody is asked".to_owned(),
        1 => "asked for once, then used".to_owned(),
        n => format!("asked for {n} times, then used"),
    };
    writeln!(f, "    {}; {asked}", addresses(&interface.v6, further))?;
    let made = match link_local {
        LinkLocal::Eui64 => "made of the Ethernet address".to_owned(),
        LinkLocal::Stable => "made of a secret".to_owned(),
        LinkLocal::Addr(addr) => addr.to_string(),
    };
    writeln!(f, "      link-local address: {made}")?;
    if *auto || *link_local == LinkLocal::Stable {
        let whose = if interface.stable_secret.is_some() { "configured" } else { "this machine's own" };
        writeln!(f, "      stable identifiers by a secret that is {whose}")?;
    }
    if !router_discovery {
        writeln!(f, "      routers are neither asked nor believed")?;
    }
    Ok(())
}

/// What the choices of MLD make different from the default.
fn mld_exceptions(mld: &MldPolicy) -> impl Iterator<Item = String> + use<> {
    let MldPolicy { version, robustness, query_interval } = *mld;
    let default = MldPolicy::default();
    let seconds = query_interval.as_secs();
    [
        (version != default.version)
            .then(|| format!("speaks MLD version {version}, whatever queriers speak")),
        (robustness != default.robustness)
            .then(|| format!("tells of IPv6 joins and leaves {robustness} times")),
        (query_interval != default.query_interval)
            .then(|| format!("takes {seconds} s for the time between MLD queries")),
    ]
    .into_iter()
    .flatten()
}

/// What the choices of group management make different from the default.
fn igmp_exceptions(igmp: &IgmpPolicy) -> impl Iterator<Item = String> + use<> {
    let IgmpPolicy { version, robustness, query_interval, strict_queries } = *igmp;
    let default = IgmpPolicy::default();
    let seconds = query_interval.as_secs();
    [
        (version != default.version)
            .then(|| format!("speaks IGMP version {version}, whatever queriers speak")),
        (robustness != default.robustness).then(|| format!("tells of joins and leaves {robustness} times")),
        (query_interval != default.query_interval)
            .then(|| format!("takes {seconds} s for the time between queries")),
        strict_queries.then(|| "ignores IGMP queries that are not strictly right".to_owned()),
    ]
    .into_iter()
    .flatten()
}

/// What a policy makes different from the default.
fn exceptions(policy: Policy) -> impl Iterator<Item = &'static str> {
    let Policy { accept_reserved_sources, accept_unicast_in_group_frames, icmp_timestamp, .. } = policy;
    let Policy { icmp_echo_group, icmp6_echo_group, accept_redirects6, .. } = policy;
    [
        (accept_reserved_sources, "accepts packets from 0.0.0.0/8 and 240.0.0.0/4"),
        (accept_unicast_in_group_frames, "accepts packets for one host in frames for many"),
        (!icmp_timestamp, "answers no ICMP timestamp requests"),
        (icmp_echo_group, "answers pings of IPv4 groups and broadcast addresses"),
        (!icmp6_echo_group, "answers no pings of IPv6 groups"),
        (!accept_redirects6, "heeds no ICMPv6 redirects"),
    ]
    .into_iter()
    .filter_map(|(so, words)| so.then_some(words))
}

fn write_limits(reassembly: ReassemblyPlan, icmp: IcmpPlan, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let ReassemblyPlan { timeout, timeout6, fragments, fragments_per_source } = reassembly;
    writeln!(f, "fragments")?;
    match fragments {
        0 => writeln!(f, "  dropped")?,
        _ => writeln!(
            f,
            "  put together within {} s, of IPv6 {} s; each worker holds {fragments}, {fragments_per_source} of one source",
            timeout.as_secs(),
            timeout6.as_secs()
        )?,
    }
    let IcmpPlan { errors_per_second, errors_burst, errors_per_second_per_peer, errors_burst_per_peer } =
        icmp;
    writeln!(f, "ICMP errors")?;
    writeln!(f, "  {errors_per_second} a second, {errors_burst} at once, all workers together")?;
    writeln!(f, "  {errors_per_second_per_peer} a second, {errors_burst_per_peer} at once, to one host")
}

/// Nothing where no balancer is trusted.
fn write_uoa(uoa: &UoaPlan, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let UoaPlan { trusted4, trusted6, table_max, timeout } = uoa;
    if !uoa.is_on() {
        return Ok(());
    }
    let trusted = trusted4.iter().map(ToString::to_string).chain(trusted6.iter().map(ToString::to_string));
    writeln!(f, "real clients (UOA)")?;
    writeln!(f, "  as balancers say in {}", trusted.collect::<Vec<_>>().join(", "))?;
    writeln!(
        f,
        "  each worker remembers {table_max} flows, for {} s after their last packet",
        timeout.as_secs()
    )
}

fn write_sockets(sockets: &SocketsPlan, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let SocketsPlan { max, packets, rcvbuf, rcvbuf_max, sndbuf, sndbuf_max, .. } = *sockets;
    let SocketsPlan { memberships_max, sources_max, sources6_max, .. } = *sockets;
    let [small, medium, large] = packets;
    writeln!(f, "sockets of a program's threads, if it opens any")?;
    writeln!(
        f,
        "  at most {max}; {small} datagrams of up to 256 bytes wait in them, {medium} of 2048, {large} of 65536"
    )?;
    writeln!(f, "  rcvbuf {rcvbuf}, at most {rcvbuf_max}; sndbuf {sndbuf}, at most {sndbuf_max}")?;
    writeln!(
        f,
        "  at most {memberships_max} groups each, {sources_max} sources of one, {sources6_max} of one of IPv6"
    )
}

fn write_port(port: &PortPlan, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match port.mac {
        Some(mac) => writeln!(f, "    MAC {mac}")?,
        None if port.device.starts_with("net_tap") => {
            writeln!(f, "    the tap's own MAC but for its last bit")?
        }
        None => writeln!(f, "    the device's own MAC")?,
    }
    let (rx, tx) = (port.rx_descriptors, port.tx_descriptors);
    let queues = mbufs::plural(u32::try_from(port.workers.len()).unwrap_or(u32::MAX), "queue pair");
    writeln!(f, "    {queues} of {rx} rx and {tx} tx descriptors, MTU {}", port.mtu)?;
    let offloads = match port.offloads {
        OffloadSet::ALL => "what it offers".to_owned(),
        OffloadSet::NONE => "nothing".to_owned(),
        some => format!("at most {}", some.iter().map(Offload::name).collect::<Vec<_>>().join(", ")),
    };
    let filter = match port.multicast_filter {
        FilterPolicy::Auto => "the best that works",
        FilterPolicy::AllMulticast => "no better than all-multicast",
        FilterPolicy::Promiscuous => "promiscuous",
    };
    writeln!(f, "    left to the device: {offloads}; multicast filter: {filter}")?;
    let rps = match port.rps {
        _ if port.workers.len() < 2 => return Ok(()),
        Rps::Auto => "by the device (RSS); in software (RPS) to workers for which it has no queues",
        Rps::On => "in software (RPS), from one queue pair",
        Rps::Off => "by the device (RSS), which must have the queues",
    };
    writeln!(f, "    flows are spread {rps}")
}

fn write_mbufs(mbufs: &MbufPlan, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "mbufs")?;
    for (what, mbufs) in &mbufs.items {
        writeln!(f, "  {mbufs:>11}  {what}")?;
    }
    let needed = mbufs.items.iter().map(|(_, mbufs)| mbufs).sum::<u32>();
    writeln!(f, "  {needed:>11}  needed")?;
    writeln!(
        f,
        "  {:>11}  in the pool: the next 2^n - 1, each with {} bytes of room",
        mbufs.count, mbufs.data_room
    )
}
