//! A real multicast switch: the Linux bridge with snooping and a querier, and what is plugged into it.
//!
//! pollcast's tap is one of its ports. Others are the ends of cables to namespaces: a sender, another host. The switch waits
//! with nothing: intervals are short, and its own start is over when [`Switch::new`] returns.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::frames::{Host, udp_frame};
use super::netns::Netns;
use super::pollcast::{Config, Pollcast};
use super::raw_peer::{FarEnd, RawPeer};

/// The bridge's own address: the querier's.
pub const QUERIER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 99);
/// The same, of IPv6: queries come from a link-local address (RFC 9777 5.1.14).
pub const QUERIER6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x63);
/// pollcast's port of the switch.
pub const PORT: &str = "pc0";

/// How a switch asks. Times in hundredths of a second, as the bridge has them.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    pub query_interval: u32,
    pub query_response_interval: u32,
    /// How long an entry lives without a report.
    pub membership_interval: u32,
    pub last_member_interval: u32,
}

impl Timing {
    /// Entries live for minutes without a query: whatever a test sees, no query has caused it.
    pub const RARE: Self = Self {
        query_interval: 12_500,
        query_response_interval: 100,
        membership_interval: 26_000,
        last_member_interval: 50,
    };

    /// A query every three seconds, to be answered within one, and forgotten after seven.
    pub const OFTEN: Self = Self {
        query_interval: 300,
        query_response_interval: 100,
        membership_interval: 700,
        last_member_interval: 50,
    };

    /// How long an entry may live after a leave: the bridge asks twice.
    pub fn last_member_time(self) -> Duration {
        Duration::from_millis(u64::from(self.last_member_interval) * 10 * 2)
    }
}

/// An entry of the forwarding table, of one port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub group: IpAddr,
    pub filter_mode: String,
    pub sources: BTreeSet<IpAddr>,
}

/// Whether an entry is there, in this filter mode and with these sources.
pub fn is<A: Into<IpAddr> + Copy>(mode: &str, sources: &[A]) -> impl Fn(Option<&Entry>) -> bool {
    let sources: BTreeSet<IpAddr> = sources.iter().map(|&source| source.into()).collect();
    move |entry| entry.is_some_and(|entry| entry.filter_mode == mode && entry.sources == sources)
}

/// `pollcast ctl VERB GROUP [--source SOURCE]`.
pub fn ctl<A: Into<IpAddr>>(pollcast: &Pollcast, verb: &str, group: A, source: Option<A>) {
    let (group, source) = (group.into().to_string(), source.map(|source| source.into().to_string()));
    let from = source.as_ref().map_or(Vec::new(), |source| vec!["--source", source]);
    pollcast.ctl(&[&[verb, &group][..], &from].concat());
}

/// A bridge in a namespace of its own, with its ports.
#[derive(Debug)]
pub struct Switch {
    pub netns: Netns,
}

impl Switch {
    /// With a querier of this version.
    pub fn new(version: u8, timing: Timing) -> Self {
        let netns = Netns::new();
        let Timing { query_interval, query_response_interval, membership_interval, last_member_interval } =
            timing;
        netns.ip("link add br0 type bridge mcast_snooping 1 mcast_query_use_ifaddr 1 mcast_stats_enabled 1");
        netns.ip(&format!(
            "link set br0 type bridge mcast_igmp_version {version} mcast_query_interval {query_interval} \
             mcast_query_response_interval {query_response_interval} mcast_last_member_count 2 \
             mcast_last_member_interval {last_member_interval} mcast_membership_interval {membership_interval} \
             mcast_startup_query_count 1 mcast_startup_query_interval 10"
        ));
        netns.ip("link set br0 address 02:00:00:00:00:63 up");
        netns.ip(&format!("addr add {QUERIER}/24 dev br0"));
        netns.ip("link set br0 type bridge mcast_querier 1");
        Self { netns }
    }

    /// The same for IPv6: with a querier of this version of MLD.
    pub fn mld(version: u8, timing: Timing) -> Self {
        let switch = Self::new(3, timing);
        switch.netns.set6("conf/br0/disable_ipv6", "0");
        switch.netns.ip(&format!("addr add {QUERIER6}/64 dev br0 nodad"));
        // It has an address to ask from only now: it starts once more.
        switch.netns.ip(&format!("link set br0 type bridge mcast_mld_version {version} mcast_querier 0"));
        switch.netns.ip("link set br0 type bridge mcast_querier 1");
        switch
    }

    /// Takes pollcast's port down, until pollcast has seen it. Nobody asks any more: what comes back comes unasked.
    pub fn take_down(&self, pollcast: &Pollcast) {
        self.netns.ip("link set br0 type bridge mcast_querier 0");
        self.netns.ip(&format!("link set {PORT} down"));
        let is_up = || pollcast.ctl(&["ports"])[0]["link_up"].as_bool().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while is_up() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(50));
        }
        // What is looked at once a second has been looked at.
        thread::sleep(Duration::from_millis(1200));
    }

    /// pollcast by a cable to its port, not by a tap, which goes with its program, and takes the port of the switch along.
    pub fn host_on_cable(&self, config: &Config) -> (Netns, Pollcast) {
        let netns = self.cable(PORT, Host::number(200), true);
        let pollcast = Pollcast::start(&netns, config);
        (netns, pollcast)
    }

    /// Plugs `device`, which is in the switch's namespace, in.
    pub fn plug(&self, device: &str) {
        self.netns.ip(&format!("link set {device} master br0 up"));
    }

    /// A cable: its one end is a port of the switch, named after it, the other `eth0` in a new namespace, with this address
    /// unless it is mute.
    pub fn cable(&self, port: &str, host: Host, mute: bool) -> Netns {
        let netns = Netns::new();
        self.netns.ip(&format!("link add {port} type veth peer name eth0 netns {}", netns.path()));
        for (side, device) in [(&self.netns, port), (&netns, "eth0")] {
            // Checksums are in the packet, and only what is sent is on the wire.
            side.run("ethtool", &["-K", device, "tx", "off", "gso", "off", "gro", "off"]);
        }
        let mac = super::lab::written(host.mac);
        netns.ip(&format!("link set eth0 address {mac} up"));
        if !mute {
            netns.ip(&format!("addr add {}/24 dev eth0", host.ip));
        }
        self.plug(port);
        netns
    }

    /// pollcast as a host on its port.
    pub fn host(&self, config: &Config) -> Pollcast {
        let pollcast = Pollcast::start(&self.netns, config);
        self.netns.ip(&format!("link set {PORT} address 02:00:00:00:00:01"));
        self.plug(PORT);
        pollcast
    }

    /// What the switch knows of a port's groups.
    pub fn entries(&self, port: &str) -> Vec<Entry> {
        let table = self.netns.run("bridge", &["-j", "-d", "-s", "mdb", "show"]);
        let table: Value = serde_json::from_str(&table).unwrap_or_else(|e| panic!("{e}: {table}"));
        let rows = table[0]["mdb"].as_array().cloned().unwrap_or_default();
        let of_port = rows.iter().filter(|row| row["port"] == port && row["src"].is_null());
        let addr = |value: &Value| value.as_str().and_then(|text| text.parse::<IpAddr>().ok());
        of_port
            .filter_map(|row| {
                let sources = row["source_list"].as_array().cloned().unwrap_or_default();
                Some(Entry {
                    group: addr(&row["grp"])?,
                    filter_mode: row["filter_mode"].as_str().unwrap_or_default().to_owned(),
                    sources: sources.iter().filter_map(|source| addr(&source["address"])).collect(),
                })
            })
            .collect()
    }

    /// What the switch knows of `group` on `port`.
    pub fn entry(&self, port: &str, group: impl Into<IpAddr>) -> Option<Entry> {
        let group = group.into();
        self.entries(port).into_iter().find(|entry| entry.group == group)
    }

    /// Waits until what the switch knows of `group` on pollcast's port is as `wanted`; how long that took.
    #[track_caller]
    pub fn wait(
        &self,
        group: impl Into<IpAddr>,
        patience: Duration,
        wanted: impl Fn(Option<&Entry>) -> bool,
    ) -> Duration {
        self.wait_at(PORT, group, patience, wanted)
    }

    /// The same, on any port.
    #[track_caller]
    pub fn wait_at(
        &self,
        port: &str,
        group: impl Into<IpAddr>,
        patience: Duration,
        wanted: impl Fn(Option<&Entry>) -> bool,
    ) -> Duration {
        let (start, group) = (Instant::now(), group.into());
        loop {
            let entry = self.entry(port, group);
            if wanted(entry.as_ref()) {
                return start.elapsed();
            }
            assert!(start.elapsed() < patience, "{group} on {port} is {entry:?} after {patience:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until the switch withholds from pollcast's port what nobody there has joined: it floods everything until the first
    /// response interval is over.
    #[track_caller]
    pub fn wait_until_it_withholds(&self, sender: &RawPeer, from: Host) {
        let nobodys = Ipv4Addr::new(239, 255, 255, 250);
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let before = self.sent(PORT);
            for _ in 0..20 {
                sender.send(&udp_frame(from, 9, Host { mac: [0; 6], ip: nobodys }, 9, b"to nobody"));
            }
            thread::sleep(Duration::from_millis(50));
            if self.sent(PORT) - before < 20 {
                return;
            }
            assert!(Instant::now() < deadline, "the switch still floods");
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Frames that the switch has sent by a port.
    pub fn sent(&self, port: &str) -> u64 {
        let links = self.netns.run("ip", &["-j", "-s", "link", "show", "dev", port]);
        let links: Value = serde_json::from_str(&links).unwrap_or_else(|e| panic!("{e}: {links}"));
        links[0]["stats64"]["tx"]["packets"].as_u64().unwrap_or_else(|| panic!("no count: {links}"))
    }
}
