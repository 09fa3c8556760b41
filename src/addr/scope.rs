//! How far an IPv6 address reaches, and of what kind it is: RFC 6724 chooses addresses by them.

use core::net::Ipv6Addr;

const LINK_LOCAL: u8 = 2;
const SITE_LOCAL: u8 = 5;
const GLOBAL: u8 = 14;

/// The scope of `addr`, as groups have it in their second byte. RFC 6724 3.1: loopback is as link-local; unique local
/// addresses are global.
pub(super) const fn of(addr: Ipv6Addr) -> u8 {
    let [first, second, ..] = addr.octets();
    match (first, second & 0xc0) {
        (0xff, _) => second & 0x0f,
        (0xfe, 0x80) => LINK_LOCAL,
        (0xfe, 0xc0) => SITE_LOCAL,
        _ if addr.is_loopback() => LINK_LOCAL,
        _ => GLOBAL,
    }
}

/// The label of `addr` by the default policy table. RFC 6724 2.1: the longest prefix counts.
pub(super) const fn label(addr: Ipv6Addr) -> u8 {
    match addr.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => 0,
        [0, 0, 0, 0, 0, 0xffff, ..] => 4,
        [0, 0, 0, 0, 0, 0, ..] => 3,
        [0x2001, 0, ..] => 5,
        [0x2002, ..] => 2,
        [0x3ffe, ..] => 12,
        [0xfec0..=0xfeff, ..] => 11,
        [0xfc00..=0xfdff, ..] => 13,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(s: &str) -> Ipv6Addr {
        s.parse().unwrap()
    }

    // N17, RFC 6724 3.1, RFC 4007.
    #[test]
    fn scopes_are_those_of_the_rfc() {
        for (s, scope) in [
            ("::1", 2),
            ("fe80::1", 2),
            ("febf::1", 2),
            ("fec0::1", 5),
            ("fd00::1", 14),
            ("2001:db8::1", 14),
            ("ff01::1", 1),
            ("ff02::1", 2),
            ("ff35::1", 5),
            ("ff0e::1", 14),
        ] {
            assert_eq!(of(addr(s)), scope, "{s}");
        }
    }

    // RFC 6724 2.1.
    #[test]
    fn labels_are_those_of_the_default_policy_table() {
        for (s, want) in [
            ("::1", 0),
            ("2001:db8::1", 1),
            ("ff02::1", 1),
            ("2002::1", 2),
            ("::192.0.2.1", 3),
            ("::ffff:192.0.2.1", 4),
            ("2001::1", 5),
            ("fec0::1", 11),
            ("3ffe::1", 12),
            ("fc00::1", 13),
            ("fd12::1", 13),
            ("fe80::1", 1),
        ] {
            assert_eq!(label(addr(s)), want, "{s}");
        }
    }
}
