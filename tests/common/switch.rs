//! A real multicast switch: the Linux bridge with snooping and a querier, and what is plugged into it.
//!
//! pollcast's tap is one of its ports. Others are the ends of cables to namespaces: a sender, another host. The switch waits
//! with nothing: intervals are short, and its own start is over when [`Switch::new`] returns.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::frames::{Host, udp_frame};
use super::netns::Netns;
use super::pollcast::{Config, Pollcast};
use super::raw_peer::{FarEnd, RawPeer};

/// The bridge's own address: the querier's.
pub const QUERIER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 99);
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
    pub group: Ipv4Addr,
    pub filter_mode: String,
    pub sources: BTreeSet<Ipv4Addr>,
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
        let addr = |value: &Value| value.as_str().and_then(|text| text.parse::<Ipv4Addr>().ok());
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
    pub fn entry(&self, port: &str, group: Ipv4Addr) -> Option<Entry> {
        self.entries(port).into_iter().find(|entry| entry.group == group)
    }

    /// Waits until what the switch knows of `group` on pollcast's port is as `wanted`; how long that took.
    #[track_caller]
    pub fn wait(
        &self,
        group: Ipv4Addr,
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
        group: Ipv4Addr,
        patience: Duration,
        wanted: impl Fn(Option<&Entry>) -> bool,
    ) -> Duration {
        let start = Instant::now();
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
