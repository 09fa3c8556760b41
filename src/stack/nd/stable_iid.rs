//! Interface identifiers: the last 64 bits of an address that the host makes itself.
//!
//! Stable and opaque ones (RFC 7217): the same whenever the host comes to a network, others on every other network, and
//! telling nothing of the device. Or the modified EUI-64 of the Ethernet address (RFC 4291 appendix A).

use core::hash::Hasher;
use core::net::Ipv6Addr;

use siphasher::sip128::{Hasher128, SipHasher24};

use crate::addr::{MacAddr, Prefix, V6};
use crate::io::StableSecret;

/// How long a prefix is to which an identifier is added. RFC 4291 2.5.1, RFC 2464 4.
pub const PREFIX_LEN: u8 = 64;

/// What a machine's identity is hashed with, so that the key is no one else's.
const APPLICATION: &[u8] = b"pollcast: RFC 7217 secret key";

/// The secret key of a host whose configuration names none: made of what tells this machine from all others and stays, as
/// `/etc/machine-id`, 128 bits that the machine keeps to itself.
#[must_use]
pub fn secret_of_machine(machine: &[u8; 16]) -> StableSecret {
    let mut hash = SipHasher24::new_with_key(machine);
    hash.write(APPLICATION);
    StableSecret::new(hash.finish128().as_bytes())
}

/// The identifier on the network of `prefix`, for the device whose Ethernet address is `mac`, after so many `conflicts`.
// RFC 7217 5: F(Prefix, Net_Iface, DAD_Counter, secret_key); F is SipHash-2-4, a pseudorandom function. One that is reserved is
// passed over by counting on.
#[must_use]
pub fn stable(secret: &StableSecret, prefix: Prefix<V6>, mac: MacAddr, conflicts: u8) -> u64 {
    let candidate = |passed_over: u8| {
        let mut hash = SipHasher24::new_with_key(secret.bytes());
        hash.write(&prefix.network().octets());
        hash.write(&mac.0);
        hash.write(&[conflicts, passed_over]);
        hash.finish128().h1
    };
    // One in 2^24 is reserved: the second is free, or there is something wrong with chance itself.
    (0..u8::MAX).map(candidate).find(|iid| !is_reserved(*iid)).unwrap_or(1)
}

/// The modified EUI-64 of `mac`. RFC 4291 appendix A: `ff:fe` in its middle, the universal bit turned over.
#[must_use]
pub const fn eui64(mac: MacAddr) -> u64 {
    let [a, b, c, d, e, f] = mac.0;
    u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

/// The address of `prefix`, which is no longer than 64 bits, with the identifier `iid`.
#[must_use]
pub fn address(prefix: Prefix<V6>, iid: u64) -> Ipv6Addr {
    Ipv6Addr::from_bits(prefix.network().to_bits() | u128::from(iid))
}

/// Whether no host may take `iid`: RFC 5453, as IANA's registry has it. The router anycast address of every subnet, what
/// belongs to IANA's own Ethernet addresses (Proxy Mobile IPv6 among them), and reserved anycast addresses.
#[must_use]
pub const fn is_reserved(iid: u64) -> bool {
    matches!(iid, 0 | 0x0200_5eff_fe00_0000..=0x0200_5eff_feff_ffff | 0xfdff_ffff_ffff_ff80..=0xfdff_ffff_ffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([0x02, 0, 0, 0x12, 0x34, 0x56]);

    fn prefix(s: &str) -> Prefix<V6> {
        Prefix::new(s.parse().unwrap(), 64).unwrap()
    }

    // RFC 4291 appendix A: 34-56-78-9A-BC-DE becomes 36-56-78-FF-FE-9A-BC-DE.
    #[test]
    fn an_eui64_is_the_ethernet_address_with_ff_fe_in_its_middle() {
        let mac = MacAddr([0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde]);
        assert_eq!(eui64(mac), 0x3656_78ff_fe9a_bcde);
        assert_eq!(address(prefix("fe80::"), eui64(MAC)), "fe80::ff:fe12:3456".parse::<Ipv6Addr>().unwrap());
    }

    // N13, RFC 7217 4: the same each time; another by network, device, conflict and secret.
    #[test]
    fn a_stable_identifier_follows_from_network_device_conflicts_and_secret() {
        let secret = StableSecret::new([7; 16]);
        let own = stable(&secret, prefix("2001:db8::"), MAC, 0);
        assert_eq!(own, stable(&secret, prefix("2001:db8::"), MAC, 0));
        for other in [
            stable(&secret, prefix("2001:db8:0:1::"), MAC, 0),
            stable(&secret, prefix("2001:db8::"), MacAddr([2, 0, 0, 0x12, 0x34, 0x57]), 0),
            stable(&secret, prefix("2001:db8::"), MAC, 1),
            stable(&StableSecret::new([8; 16]), prefix("2001:db8::"), MAC, 0),
        ] {
            assert_ne!(own, other);
        }
    }

    // A host keeps its addresses from one release to the next: this value never changes. It was computed apart, by an
    // implementation of SipHash-2-4-128 that passes its authors' vectors.
    #[test]
    fn stable_identifiers_outlive_a_release() {
        let secret = secret_of_machine(&[0x11; 16]);
        assert_eq!(stable(&secret, prefix("2001:db8::"), MAC, 0), 0xb174_aac6_bb25_1baa);
        assert_ne!(secret, secret_of_machine(&[0x12; 16]));
    }

    // RFC 5453, IANA "Reserved IPv6 Interface Identifiers".
    #[test]
    fn reserved_identifiers_are_known() {
        for (iid, reserved) in [
            (0, true),
            (1, false),
            (0x0200_5eff_fdff_ffff, false),
            (0x0200_5eff_fe00_0000, true),
            (0x0200_5eff_fe00_5213, true),
            (0x0200_5eff_feff_ffff, true),
            (0x0200_5eff_ff00_0000, false),
            (0xfdff_ffff_ffff_ff7f, false),
            (0xfdff_ffff_ffff_ff80, true),
            (u64::MAX, false),
        ] {
            assert_eq!(is_reserved(iid), reserved, "{iid:x}");
        }
    }
}
