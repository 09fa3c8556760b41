//! How an interface gets its IPv6 addresses: written in a configuration, followed by control.

use core::fmt;

use crate::addr::{Cidr, Unicast, V6};

/// The IPv6 addresses of one interface, and what it takes from its routers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Addressing6 {
    /// What its link-local address is made of: the key `link_local`.
    pub link_local: LinkLocal,
    /// The addresses that the configuration names. What is in the prefix of one is on the link.
    pub statics: Vec<Cidr<V6>>,
    /// Whether addresses are made from the prefixes that routers advertise, RFC 4862 5.5: `"auto"` among its addresses.
    pub auto: bool,
    /// Whether routers are asked and believed, RFC 4861 6.3: default routers, prefixes on the link, MTU, hop limit: the key
    /// `router_discovery`.
    pub router_discovery: bool,
    /// How often duplicate address detection asks before an address is used, RFC 4862 5.1: the key `dad_transmits`. 0: not at
    /// all.
    pub dad_transmits: u8,
    /// The key of stable interface identifiers.
    pub secret: StableSecret,
}

impl Addressing6 {
    /// The most that [`dad_transmits`](Self::dad_transmits) may be.
    pub const DAD_TRANSMITS_MAX: u8 = 10;

    /// A link-local address alone, and what routers say; no addresses of their prefixes.
    #[must_use]
    pub fn new() -> Self {
        Self {
            link_local: LinkLocal::Eui64,
            statics: Vec::new(),
            auto: false,
            router_discovery: true,
            dad_transmits: 1,
            secret: StableSecret::default(),
        }
    }
}

impl Default for Addressing6 {
    fn default() -> Self {
        Self::new()
    }
}

/// What the link-local address of an interface is made of. RFC 4862 5.3.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LinkLocal {
    /// The Ethernet address, RFC 4291 appendix A: as Linux does by default.
    #[default]
    Eui64,
    /// A secret, so that it tells nothing of the device: RFC 7217.
    Stable,
    /// It is this one.
    Addr(Unicast<V6>),
}

impl fmt::Display for LinkLocal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eui64 => f.write_str("eui64"),
            Self::Stable => f.write_str("stable"),
            Self::Addr(addr) => fmt::Display::fmt(addr, f),
        }
    }
}

/// The secret key of RFC 7217 5: who has it can tell which addresses a host takes on other networks, so it is never shown.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct StableSecret([u8; 16]);

impl StableSecret {
    /// The key itself.
    #[must_use]
    pub const fn new(key: [u8; 16]) -> Self {
        Self(key)
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for StableSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StableSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let shown =
            format!("{:?}", Addressing6 { secret: StableSecret::new([0xab; 16]), ..Addressing6::new() });
        assert!(shown.contains("StableSecret(..)") && !shown.contains("171"), "{shown}");
    }

    #[test]
    fn a_link_local_address_is_named_as_it_is_configured() {
        let fixed = Unicast::new("fe80::2".parse().unwrap()).unwrap();
        let names = [LinkLocal::Eui64, LinkLocal::Stable, LinkLocal::Addr(fixed)].map(|l| l.to_string());
        assert_eq!(names, ["eui64", "stable", "fe80::2"]);
    }
}
