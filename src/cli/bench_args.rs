//! The arguments of `pollcast bench`.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::addr::{Cidr, MacAddr, V4, V6, Vid};
use crate::bench::{Answers, Rate};

pub(super) const ABOUT: &str = "\
Sends UDP datagrams by a port of its own to hosts and groups, hears what comes back, and says what became of each: answered and how \
soon, lost, reordered, duplicated, wrong. At the other end may be pollcast, a kernel's echo, or testpmd (5tswap; with \
--answers same, io and macswap).

It takes the port as pollcast run does, by --device and --from, or from the first port of a configuration file. It answers ARP \
and neighbour solicitations for its addresses, and asks for those of its destinations, unless --peer-mac names one for all.

Each packet carries a number, by which its answer is known. What is not answered within --wait is lost. Latency runs from handing \
a packet to the device to receiving its answer. Once a second a line goes to stderr; the report, to stdout.";

pub(super) const EXAMPLES: &str = "\
Examples:
  pollcast bench --device net_af_packet0,iface=veth1 --from 198.18.0.1/24 198.18.0.2:7 --rate 10k --seconds 5
  pollcast bench --device 0000:03:00.0 --from 198.18.0.1/24 198.18.0.2:7 --flows 4096 --size 60,512,1514
  pollcast bench --device 0000:03:00.0 --from 2001:db8::1/64 '[2001:db8::2]:7' --in-flight 32 --json
  pollcast bench --device net_virtio_user0,path=/tmp/vhost.sock --from 198.18.0.1/24 198.18.0.2:7 239.1.2.3:7
  pollcast bench --config config/pci-nic.toml 198.18.0.9:7 --rate 1M --count 1000000

Exit status: 0 it ran, whatever was lost; 1 failed while running; 2 bad command line or configuration.";

/// What counts as an answer.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum AnswersArg {
    /// The datagram with its addresses and ports turned round
    Echo,
    /// The packet as it was sent
    Same,
    /// Nothing: it is only sent
    None,
}

impl From<AnswersArg> for Answers {
    fn from(arg: AnswersArg) -> Self {
        match arg {
            AnswersArg::Echo => Self::Echo,
            AnswersArg::Same => Self::Same,
            AnswersArg::None => Self::None,
        }
    }
}

/// What to do while there is nothing to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum IdleArg {
    /// Poll without rest: latencies are right to less than a microsecond
    Spin,
    /// Give the CPU to others between two looks
    Yield,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("where").required(true))]
pub(super) struct BenchArgs {
    /// To whom: ADDRESS:PORT of hosts and groups, [ADDRESS]:PORT of IPv6
    #[arg(required = true, value_name = "TO")]
    pub(super) to: Vec<SocketAddr>,
    /// The device: a PCI address, or a virtual device as net_af_packet0,iface=veth1
    #[arg(long, group = "where")]
    pub(super) device: Option<String>,
    /// Take device, addresses and routers from this configuration file's port
    #[arg(long, group = "where", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// With --config: the port, or one of its VLANs, as p0.100; by default the first
    #[arg(long, value_name = "NAME", requires = "config")]
    pub(super) port: Option<String>,
    /// Send from this address, with the prefix of its link; one of each IP version
    #[arg(long, value_name = "ADDR/PREFIX", value_parser = parse_from, conflicts_with = "config")]
    pub(super) from: Vec<SourceArg>,
    /// The router to destinations off the link; one of each IP version
    #[arg(long, value_name = "ADDR", conflicts_with = "config")]
    pub(super) gateway: Vec<IpAddr>,
    /// The Ethernet address of every destination: none is asked for
    #[arg(long, value_name = "MAC")]
    pub(super) peer_mac: Option<MacAddr>,
    /// The Ethernet address to have; by default the device's own
    #[arg(long, conflicts_with = "config")]
    pub(super) mac: Option<MacAddr>,
    /// Send and hear on this VLAN
    #[arg(long, value_name = "ID", value_parser = parse_vlan, conflicts_with = "config")]
    pub(super) vlan: Option<Vid>,
    /// The largest IP packet, in bytes
    #[arg(long, default_value_t = 1500, conflicts_with = "config")]
    pub(super) mtu: u16,
    /// Packets a second, as in 1000, 250k or 1.5M; or max
    #[arg(long, default_value = "max")]
    pub(super) rate: Rate,
    /// Send no more while so many packets are under way
    #[arg(long, value_name = "PACKETS")]
    pub(super) in_flight: Option<u64>,
    /// Flows, spread over the destinations, each with a source port of its own; by default one a destination
    #[arg(long)]
    pub(super) flows: Option<u32>,
    /// The first source port
    #[arg(long, value_name = "PORT", default_value_t = 1024)]
    pub(super) source_port: u16,
    /// Bytes of the frames, without the frame check sequence; several take turns; by default 60, with IPv6 80
    #[arg(long, value_name = "BYTES", value_delimiter = ',')]
    pub(super) size: Vec<u16>,
    /// TTL or hop limit; by default 64 to hosts and 1 to groups
    #[arg(long)]
    pub(super) ttl: Option<u8>,
    /// Type of service or traffic class
    #[arg(long, default_value_t = 0)]
    pub(super) tos: u8,
    /// For how long
    #[arg(long, value_parser = parse_seconds, default_value = "10")]
    pub(super) seconds: Duration,
    /// How many packets at most
    #[arg(long, value_name = "PACKETS")]
    pub(super) count: Option<u64>,
    /// How long an answer is waited for, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, default_value = "1")]
    pub(super) wait: Duration,
    /// What counts as an answer
    #[arg(long, value_enum, default_value_t = AnswersArg::Echo)]
    pub(super) answers: AnswersArg,
    /// Packets in one call to the device, 1 to 64
    #[arg(long, value_name = "PACKETS", default_value_t = 32)]
    pub(super) burst: usize,
    /// Descriptors of each ring
    #[arg(long, default_value_t = 1024, conflicts_with = "config")]
    pub(super) descriptors: u16,
    /// The CPU that sends and hears; by default the last
    #[arg(long)]
    pub(super) cpu: Option<usize>,
    /// What it does while there is nothing to do
    #[arg(long, value_enum, default_value_t = IdleArg::Yield)]
    pub(super) idle: IdleArg,
    /// DPDK's memory, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 256, conflicts_with = "config")]
    pub(super) memory_mb: u32,
    /// Take no hugepages, even if there are some
    #[arg(long, conflicts_with = "config")]
    pub(super) no_huge: bool,
    /// Tells several DPDK programs on one machine apart; by default one of its own
    #[arg(long, value_name = "NAME")]
    pub(super) file_prefix: Option<String>,
    /// Print the report as JSON, each second in it
    #[arg(long)]
    pub(super) json: bool,
}

/// An address to send from.
#[derive(Clone, Copy, Debug)]
pub(super) enum SourceArg {
    V4(Cidr<V4>),
    V6(Cidr<V6>),
}

fn parse_from(text: &str) -> Result<SourceArg, String> {
    let parsed =
        if text.contains(':') { text.parse().map(SourceArg::V6) } else { text.parse().map(SourceArg::V4) };
    parsed.map_err(|e| e.to_string())
}

fn parse_vlan(text: &str) -> Result<Vid, String> {
    let vid = text.parse().ok().and_then(Vid::new);
    vid.ok_or_else(|| format!("a VLAN has a number from {} to {}", Vid::MIN, Vid::MAX))
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
    seconds.filter(|s| !s.is_zero()).ok_or_else(|| "write seconds, as in 10 or 0.5".to_owned())
}
