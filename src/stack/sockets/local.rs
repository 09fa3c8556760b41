//! A socket's own address, to both IP versions, and when two have one in common.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Domain;

/// What IPv4 sees of a socket that has an address of IPv6: one that nobody has. Linux: `LOOPBACK4_IPV6`.
const OF_V6: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);

/// An address as IPv4 and as IPv6 see it: a socket of IPv6 may receive both.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Local {
    pub(super) v4: Ipv4Addr,
    pub(super) v6: Ipv6Addr,
}

impl Local {
    /// Any.
    pub(super) const ANY: Self = Self { v4: Ipv4Addr::UNSPECIFIED, v6: Ipv6Addr::UNSPECIFIED };

    /// `addr`, as a socket of that domain has it.
    pub(super) fn of(domain: Domain, addr: IpAddr) -> Self {
        match (domain, addr) {
            (Domain::V4, IpAddr::V4(v4)) => Self { v4, v6: Ipv6Addr::UNSPECIFIED },
            (Domain::V6, IpAddr::V4(v4)) => Self { v4, v6: v4.to_ipv6_mapped() },
            (_, IpAddr::V6(v6)) => {
                let v4 = if v6.is_unspecified() { Ipv4Addr::UNSPECIFIED } else { OF_V6 };
                Self { v4: v6.to_ipv4_mapped().unwrap_or(v4), v6 }
            }
        }
    }

    /// As a socket of that domain tells it.
    pub(super) const fn told(&self, domain: Domain) -> IpAddr {
        match domain {
            Domain::V4 => IpAddr::V4(self.v4),
            Domain::V6 => IpAddr::V6(self.v6),
        }
    }

    /// Whether IPv6 knows no address of it: any, or IPv4's any. Linux: `ipv6_addr_any`, `ipv6_mapped_addr_any`.
    pub(super) fn is_any6(&self) -> bool {
        self.v6.to_canonical().is_unspecified()
    }
}

/// Who receives where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Receiver {
    pub(super) domain: Domain,
    pub(super) v6only: bool,
    pub(super) local: Local,
}

/// How IPv6 sees an address. Linux: `ipv6_addr_type`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Any,
    Mapped,
    Other,
}

impl Receiver {
    fn kind(&self) -> Type {
        match self.domain {
            Domain::V4 => Type::Mapped,
            Domain::V6 if self.local.v6.is_unspecified() => Type::Any,
            Domain::V6 if self.local.v6.to_ipv4_mapped().is_some() => Type::Mapped,
            Domain::V6 => Type::Other,
        }
    }

    /// Whether some datagram could be for `self` as for `other`.
    // P10, Linux `inet_rcv_saddr_equal`: the rule, with what is uneven in it.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let overlaps4 = || {
            let (a, b) = (self.local.v4, other.local.v4);
            !other.v6only && (a == b || a.is_unspecified() || b.is_unspecified())
        };
        if self.domain == Domain::V4 {
            return overlaps4();
        }
        match (self.kind(), other.kind()) {
            (Type::Mapped, Type::Mapped) => overlaps4(),
            (Type::Any, Type::Any | Type::Other) | (Type::Other, Type::Any) => true,
            (Type::Any, Type::Mapped) => !self.v6only,
            (Type::Mapped, Type::Any) => !other.v6only,
            _ => other.domain == Domain::V6 && self.local.v6 == other.local.v6,
        }
    }
}
