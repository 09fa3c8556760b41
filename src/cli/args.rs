//! The arguments, and the help that explains them.

use core::net::IpAddr;
use core::str::FromStr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::bench_args::{self, BenchArgs};
use crate::addr::{Unicast, V4, V6};
use crate::ctl::DEFAULT_SOCKET;
use crate::engine::command::GroupRange;
use crate::io::{FilterPolicy, IgmpVersion, MldVersion, Robustness};

const LONG_ABOUT: &str = "\
A UDP host in user space: it takes a NIC port through DPDK, polls it on CPUs of its own, and is a complete host on that \
link: ARP, IPv4, ICMP, UDP, IGMP, and a NIC multicast filter that says exactly what its sockets asked for.

What it serves is written in a configuration file; the files in config/ explain every key.";

const EXAMPLES: &str = "\
Examples:
  pollcast check config/tap.toml              what would run, or what is wrong with the file
  pollcast run config/tap.toml                run it, in the foreground, until Ctrl-C
  pollcast devices --vdev net_tap0,iface=t0   what DPDK sees on this machine, and a tap beside it
  pollcast ctl stats                          ask the running one
  pollcast ctl join 239.1.2.3                 have it join a group
  pollcast bench --help                       send traffic to one, and count what comes back

Exit status:
  0  clean
  1  failed while running
  2  bad command line or configuration";

const RUN_ABOUT: &str = "\
Runs in the foreground until SIGINT (Ctrl-C) or SIGTERM, then leaves its groups, drains, stops its ports and exits with \
status 0. A second signal ends it at once, with status 1 and its groups not left.

What it opened, it says once on stderr: port, driver, MAC, addresses, CPUs and queues, offloads, and how the multicast \
filter is done and why. It needs the privilege to use the devices, as a rule root.";

const CHECK_ABOUT: &str = "\
Prints the plan that the configuration comes to (CPUs, queues, interfaces and routes, mbufs and memory with the arithmetic, \
services), or every error in it with file, line, column, key and remedy. It opens no device and needs no privilege.";

const DEVICES_ABOUT: &str = "\
Starts DPDK, lists the ports that it sees (driver, MAC, NUMA node, queues, offloads) and ends it again. Beside what the \
machine has bound to a DPDK driver it sees the virtual devices that --vdev makes for the moment.

With --probe each port is started, and asked for a multicast filter: the rung of the ladder that answers is shown, with \
the driver's own words for each that refused. The rungs, best first: addr_list, mac_table, all_multicast, promiscuous, \
unfiltered.";

const DEVICES_EXAMPLES: &str = "\
Examples:
  pollcast devices --probe
  pollcast devices --vdev net_af_packet0,iface=veth0 --json";

const CTL_ABOUT: &str = "\
Asks the running pollcast through its control socket, or orders something: groups joined or left, their sources \
chosen, a NIC filter pinned, a port restarted. The text is for people; --json prints one object (stats, and orders) or an \
array of objects (the others) whose keys stay as they are: some may be added, none is renamed.

Several groups in one command are one change of the NIC's filter and as few reports as hold them. Groups are written as an \
address, a prefix (239.1.0.0/22) or a range (239.1.0.1-239.1.3.232), 16,384 at most. Each is done or refused by itself: \
the answer tells which, and the exit status is 1 if any was refused. An answer comes when every worker takes the groups in \
and the reports have left.

A port goes by its name in the configuration, and so does each of its VLANs: p0.100 is VLAN 100 of p0, with groups, sockets \
and neighbours of its own.

Exit status: 0 answered, 1 nobody answers or it could not be done, 2 bad command line.";

const CTL_EXAMPLES: &str = "\
Examples:
  pollcast ctl stats
  pollcast ctl drops --all
  pollcast ctl --json filter | jq '.[].rung'
  pollcast ctl mtu --port p0 1400
  pollcast ctl igmp --port p0 --version 2
  pollcast ctl join ff0e::1:2:3
  pollcast ctl join 239.1.2.3 239.2.0.0/24 239.3.0.1-239.3.0.9
  pollcast ctl sources 239.1.2.3 --exclude 198.18.0.7,198.18.0.8
  pollcast ctl filter --port p0 --policy all_multicast
  pollcast ctl restart --port p0
  pollcast ctl join 232.1.2.3 --source 198.18.0.1 --service echo --port p0
  pollcast ctl leave 239.1.2.3 --port p0.100
  pollcast ctl --socket /tmp/a.sock leave 239.1.2.3";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "pollcast", version, about = "A UDP host in user space, on DPDK", long_about = LONG_ABOUT)]
#[command(after_help = EXAMPLES)]
pub(super) struct Cli {
    /// Say more on stderr: once for debug, twice for trace (the variable RUST_LOG says it in detail)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    #[command(subcommand)]
    pub(super) action: Action,
}

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Run a configuration until told to stop
    #[command(long_about = RUN_ABOUT)]
    Run(ConfigArgs),
    /// Print what a configuration would run, or its errors
    #[command(long_about = CHECK_ABOUT)]
    Check(ConfigArgs),
    /// List the devices that DPDK sees
    #[command(long_about = DEVICES_ABOUT, after_help = DEVICES_EXAMPLES)]
    Devices(DevicesArgs),
    /// Send UDP traffic by a port, and say what became of it
    #[command(long_about = bench_args::ABOUT, after_help = bench_args::EXAMPLES)]
    Bench(Box<BenchArgs>),
    /// Ask the running pollcast
    #[command(long_about = CTL_ABOUT, after_help = CTL_EXAMPLES)]
    Ctl(CtlArgs),
}

#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// The configuration file (TOML)
    pub(super) config: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct DevicesArgs {
    /// Start each port and ask it for a multicast filter
    #[arg(long)]
    pub(super) probe: bool,
    /// Make this virtual device too, as net_tap0,iface=t0; may be repeated
    #[arg(long = "vdev", value_name = "DEVICE", value_parser = parse_vdev)]
    pub(super) vdevs: Vec<String>,
    /// Print JSON: an array of objects
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct CtlArgs {
    /// The control socket: `ctl.socket` in the configuration
    #[arg(long, global = true, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    pub(super) socket: PathBuf,
    /// Print JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: CtlCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum CtlCommand {
    /// Counters of the engine and of the devices, per port
    Stats(RowsArgs),
    /// The ports: device, driver, addresses, queues, offloads
    Ports,
    /// The sockets, with what each received and sent
    Sockets,
    /// The joined groups, with their source filters
    Groups,
    /// The NIC multicast filters: how they are done, why, and what they let through; or pin one to a rung
    Filter(FilterArgs),
    /// The neighbour caches: where each is, what is known of it, and since when
    Neighbors,
    /// The path MTUs that routers reported
    Paths,
    /// The routes of each interface, with the address that is used there
    Routes,
    /// The addresses of each interface: where each comes from, how it stands, and for how long
    Addresses,
    /// The drop counters, with their meaning
    Drops(RowsArgs),
    /// The workers: lcore, CPU, queues, and how each rests: by which events it wakes, and how often it slept and was woken
    Workers,
    /// Join groups, or one more source of them
    Join(MembershipArgs),
    /// Leave groups, or one source of them
    Leave(MembershipArgs),
    /// Group management of IPv4, IGMP: version, queriers, what is still to be said; or another version or robustness
    ///
    /// Without --version and --robustness it shows every interface, or the one that --port names. With either it changes
    /// that choice at once, until the end of the run: what was pending in another version is cancelled, and every group is
    /// told anew in the new one.
    Igmp(GmpArgs<IgmpVersion>),
    /// The same of IPv6: MLD
    Mld(GmpArgs<MldVersion>),
    /// Choose the sources of groups: a service's whole source filter (RFC 9776 2)
    Sources(SourcesArgs),
    /// Stop a port and start it again: its filter, address and MTU are set again, its groups reported again
    Restart(RestartArgs),
    /// Give a port another MTU, at most the configured one; its path MTUs are forgotten
    Mtu(MtuArgs),
}

#[derive(Debug, Args)]
pub(super) struct GmpArgs<V>
where
    V: FromStr<Err: std::error::Error + Send + Sync> + Clone + Send + Sync + 'static,
{
    /// The port, or one of its VLANs, as p0.100; may be left out to show all, or if there is only one
    #[arg(long, value_name = "NAME")]
    pub(super) port: Option<String>,
    /// Speak this version: auto (that of the oldest querier), 1, 2 or (IGMP) 3
    #[arg(long, value_name = "VERSION")]
    pub(super) version: Option<V>,
    /// Tell changes so often: auto (as the querier says), or 1 to 7
    #[arg(long, value_name = "TIMES")]
    pub(super) robustness: Option<Robustness>,
}

#[derive(Debug, Args)]
pub(super) struct MtuArgs {
    /// The largest IP packet, in bytes
    #[arg(value_name = "BYTES")]
    pub(super) mtu: u16,
    /// The port; may be left out if there is only one
    #[arg(long, value_name = "NAME")]
    pub(super) port: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct FilterArgs {
    /// How far the filter may climb from now on: auto is the best that the device can
    #[arg(long, value_name = "auto|all_multicast|promiscuous", value_parser = parse_policy)]
    pub(super) policy: Option<FilterPolicy>,
    /// With --policy: the port; may be left out if there is only one
    #[arg(long, value_name = "NAME", requires = "policy")]
    pub(super) port: Option<String>,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("filter").required(true))]
pub(super) struct SourcesArgs {
    /// The groups, 224.0.0.0 to 239.255.255.255 or of ff00::/8: addresses, prefixes or ranges
    #[arg(required = true, value_name = "GROUP")]
    pub(super) groups: Vec<GroupRange>,
    /// Only these sources
    #[arg(long, value_name = "ADDR,ADDR", value_delimiter = ',', value_parser = parse_source, group = "filter")]
    pub(super) include: Option<Vec<IpAddr>>,
    /// All sources but these
    #[arg(long, value_name = "ADDR,ADDR", value_delimiter = ',', value_parser = parse_source, group = "filter")]
    pub(super) exclude: Option<Vec<IpAddr>>,
    /// Any source
    #[arg(long, group = "filter")]
    pub(super) any: bool,
    /// No source: this leaves the groups
    #[arg(long, group = "filter")]
    pub(super) none: bool,
    /// The service that wants them; may be left out if there is only one
    #[arg(long, value_name = "NAME")]
    pub(super) service: Option<String>,
    /// The port that it is on, or one of its VLANs, as p0.100; may be left out if there is only one
    #[arg(long, value_name = "NAME")]
    pub(super) port: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct RestartArgs {
    /// The port; may be left out if there is only one
    #[arg(long, value_name = "NAME")]
    pub(super) port: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct RowsArgs {
    /// Show the counters that are 0 too
    #[arg(long)]
    pub(super) all: bool,
}

#[derive(Debug, Args)]
pub(super) struct MembershipArgs {
    /// The groups, 224.0.0.0 to 239.255.255.255 or of ff00::/8: addresses, prefixes or ranges
    #[arg(required = true, value_name = "GROUP")]
    pub(super) groups: Vec<GroupRange>,
    /// Only this source (RFC 4607)
    #[arg(long, value_name = "ADDR", value_parser = parse_source)]
    pub(super) source: Option<IpAddr>,
    /// The service that wants it; may be left out if there is only one
    #[arg(long, value_name = "NAME")]
    pub(super) service: Option<String>,
    /// The port that it is on, or one of its VLANs, as p0.100; may be left out if there is only one
    #[arg(long, value_name = "NAME")]
    pub(super) port: Option<String>,
}

fn parse_vdev(text: &str) -> Result<String, String> {
    let name = text.split(',').next().unwrap_or_default();
    if name.starts_with("net_") && name.ends_with(|c: char| c.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err("not a virtual device: write its driver with a number, and arguments, as in net_tap0,iface=t0"
            .to_owned())
    }
}

fn parse_policy(text: &str) -> Result<FilterPolicy, String> {
    let found = FilterPolicy::NAMES.into_iter().find(|(name, _)| *name == text);
    found.map(|(_, policy)| policy).ok_or_else(|| "use auto, all_multicast or promiscuous".to_owned())
}

fn parse_source(text: &str) -> Result<IpAddr, String> {
    let source = text.parse().map_err(|_| {
        "not an IP address: write four numbers with dots, as in 198.18.0.1, or words with colons, as in 2001:db8::1".to_owned()
    })?;
    let is_one_host = match source {
        IpAddr::V4(addr) => Unicast::<V4>::new(addr).is_some(),
        IpAddr::V6(addr) => Unicast::<V6>::new(addr).is_some(),
    };
    if is_one_host { Ok(source) } else { Err(format!("{source} is not the address of one host")) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_of_ctl_may_stand_before_and_after_its_command() {
        for args in [
            &["pollcast", "ctl", "--json", "--socket", "/s", "join", "239.1.2.3", "--port", "p0"],
            &["pollcast", "ctl", "join", "239.1.2.3", "--port", "p0", "--socket", "/s", "--json"],
        ] {
            let cli = Cli::try_parse_from(args).unwrap();
            let Action::Ctl(CtlArgs { socket, json: true, command: CtlCommand::Join(membership) }) =
                cli.action
            else {
                panic!("{args:?}");
            };
            assert_eq!(socket, PathBuf::from("/s"));
            assert_eq!(membership.groups, ["239.1.2.3".parse().unwrap()]);
            assert_eq!(membership.port.as_deref(), Some("p0"));
        }
    }

    #[test]
    fn a_source_filter_is_one_mode_with_its_sources() {
        let sources = |args: &[&str]| {
            let args = ["pollcast", "ctl", "sources", "239.1.2.3"].iter().chain(args);
            match Cli::try_parse_from(args).ok()?.action {
                Action::Ctl(CtlArgs { command: CtlCommand::Sources(args), .. }) => Some(args),
                _ => None,
            }
        };
        let [a, b] = [[198, 18, 0, 1], [198, 18, 0, 2]].map(IpAddr::from);
        assert_eq!(sources(&["--include", "198.18.0.1,198.18.0.2"]).unwrap().include, Some(vec![a, b]));
        assert_eq!(sources(&["--exclude", "198.18.0.1"]).unwrap().exclude, Some(vec![a]));
        assert!(sources(&["--any"]).unwrap().any && sources(&["--none"]).unwrap().none);
        for wrong in [
            &[][..],
            &["--include", "239.1.2.3"],
            &["--any", "--none"],
            &["--include", "198.18.0.1", "--any"],
        ] {
            assert!(sources(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn a_policy_is_one_of_three_and_needs_no_port() {
        let policy =
            |args: &[&str]| Cli::try_parse_from(["pollcast", "ctl", "filter"].iter().chain(args)).is_ok();
        assert!(
            policy(&[])
                && policy(&["--policy", "auto"])
                && policy(&["--policy", "promiscuous", "--port", "p0"])
        );
        assert!(!policy(&["--policy", "none"]) && !policy(&["--port", "p0"]));
    }

    #[test]
    fn a_vdev_is_a_driver_with_a_number() {
        assert!(parse_vdev("net_tap0,iface=t0").is_ok());
        assert!(parse_vdev("net_null12").is_ok());
        for wrong in ["", "net_tap", "eth0", "0000:03:00.0", ",iface=t0"] {
            assert!(parse_vdev(wrong).unwrap_err().starts_with("not a virtual device"), "{wrong}");
        }
    }

    #[test]
    fn only_groups_are_joined_and_only_hosts_are_sources() {
        let ctl = |args: &[&str]| Cli::try_parse_from(["pollcast", "ctl"].iter().chain(args));
        assert!(ctl(&["join", "224.0.0.0", "239.255.255.255", "239.1.0.0/22"]).is_ok());
        let refused = ctl(&["leave", "239.1.2.3", "198.18.0.1"]).unwrap_err().to_string();
        assert!(refused.contains("198.18.0.1 is not a multicast group"), "{refused}");
        assert!(ctl(&["join"]).is_err());
        assert!(ctl(&["join", "ff0e::1:2:3", "ff0e::1:0/120", "ff3e::1-ff3e::9"]).is_ok());
        assert!(parse_source("198.18.0.1").is_ok() && parse_source("2001:db8::1").is_ok());
        assert_eq!(parse_source("ff0e::1").unwrap_err(), "ff0e::1 is not the address of one host");
        assert_eq!(parse_source("239.1.2.3").unwrap_err(), "239.1.2.3 is not the address of one host");
    }
}
