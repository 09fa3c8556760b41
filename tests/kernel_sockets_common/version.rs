//! The two IP versions as the tests have them.

use std::net::IpAddr;

use super::ops::Opt;

/// An IP version as the tests have it: where the host's socket is, the far end's, a group's, and options.
pub(crate) struct Version {
    pub(crate) is_v6: bool,
    pub(crate) any: &'static str,
    pub(crate) own: &'static str,
    pub(crate) second: &'static str,
    pub(crate) peer: &'static str,
    pub(crate) group: &'static str,
    pub(crate) foreign: &'static str,
    pub(crate) headers: usize,
    pub(crate) ttl: Opt,
    pub(crate) tos: Opt,
    pub(crate) group_ttl: Opt,
    pub(crate) group_if: Opt,
    pub(crate) group_loop: Opt,
    pub(crate) group_all: Opt,
    pub(crate) discover: Opt,
    pub(crate) receive_errors: Opt,
}

pub(crate) const V4: Version = Version {
    is_v6: false,
    any: "0.0.0.0:5000",
    own: "198.18.0.2:5000",
    second: "198.18.0.3",
    peer: "198.18.0.1:6000",
    group: "239.1.2.3:6000",
    foreign: "198.18.0.77",
    headers: 28,
    ttl: Opt::Ttl,
    tos: Opt::Tos,
    group_ttl: Opt::MulticastTtl,
    group_if: Opt::MulticastIf,
    group_loop: Opt::MulticastLoop,
    group_all: Opt::MulticastAll,
    discover: Opt::MtuDiscover,
    receive_errors: Opt::RecvErr,
};

pub(crate) const V6: Version = Version {
    is_v6: true,
    any: "[::]:5000",
    own: "[2001:db8::2]:5000",
    second: "2001:db8::3",
    peer: "[2001:db8::1]:6000",
    group: "[ff0e::1:2:3]:6000",
    foreign: "2001:db8::77",
    headers: 48,
    ttl: Opt::UnicastHops,
    tos: Opt::TrafficClass,
    group_ttl: Opt::MulticastHops,
    group_if: Opt::MulticastIf6,
    group_loop: Opt::MulticastLoop6,
    group_all: Opt::MulticastAll6,
    discover: Opt::MtuDiscover6,
    receive_errors: Opt::RecvErr6,
};

pub(crate) const VERSIONS: [Version; 2] = [V4, V6];

/// The address of `place`.
pub(crate) fn ip(place: &str) -> IpAddr {
    place.parse::<std::net::SocketAddr>().map_or_else(|_| place.parse().unwrap(), |addr| addr.ip())
}
