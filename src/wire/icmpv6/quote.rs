//! The packet that an ICMPv6 error quotes: its header, and the eight bytes that must follow its extension headers.

use super::carried::Carried;
use crate::addr::V6;
use crate::wire::ipv6::{HEADER_LEN, Ipv6};
use crate::wire::quote::Quote;

impl Quote<V6> {
    /// The packet quoted at the front of `data`, what follows an error's header. `None`: it is no IPv6, or cut short.
    // K07, RFC 8201 4: its own lengths are believed only within what came.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        let ip = Ipv6::parse_front(data).ok()?;
        let carried = Carried::behind(ip.next_header(), ip.payload());
        let payload = *carried.data.first_chunk::<8>()?;
        let total_len = HEADER_LEN + usize::from(ip.payload_len());
        Some(Self {
            src: ip.src(),
            dst: ip.dst(),
            protocol: carried.protocol,
            total_len: u16::try_from(total_len).unwrap_or(u16::MAX),
            dont_fragment: true,
            fragment_offset: carried.fragment_offset,
            payload,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[rustfmt::skip]
    const QUOTED: [u8; 48] = [
        0x60, 0, 0, 0, 0x05, 0xb4, 17, 64,
        0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
        0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1,
        0, 7, 0x9c, 0x40, 0x05, 0xb4, 0xab, 0xcd,
    ];

    // K07, RFC 4443 3.2.
    #[test]
    fn a_quoted_datagram_tells_who_and_how_long() {
        let quote = Quote::<V6>::parse(&QUOTED).unwrap();
        assert_eq!(quote.src.to_string(), "2001:db8::2");
        assert_eq!(quote.dst.to_string(), "2001:db8:0:1::1");
        assert_eq!((quote.protocol, quote.total_len, quote.dont_fragment), (17, 1500, true));
        assert_eq!((quote.fragment_offset, quote.ports()), (0, Some((7, 40000))));
    }

    // K07: a first fragment of ours has ports, a later one none.
    #[test]
    fn a_fragment_tells_its_ports_if_it_is_the_first() {
        let fragment = |offset: u16| {
            let mut bytes = QUOTED.to_vec();
            bytes[6] = 44;
            let [high, low] = (offset | 1).to_be_bytes();
            bytes.splice(40..40, [17, 0, high, low, 1, 2, 3, 4]);
            Quote::<V6>::parse(&bytes).unwrap()
        };
        assert_eq!((fragment(0).protocol, fragment(0).ports()), (17, Some((7, 40000))));
        assert_eq!((fragment(1448).fragment_offset, fragment(1448).ports()), (1448, None));
    }

    #[test]
    fn what_is_cut_short_or_no_ipv6_is_no_quote() {
        for len in 0..48 {
            assert_eq!(Quote::<V6>::parse(&QUOTED[..len]), None, "{len} bytes");
        }
        for first in [0x45, 0x40, 0x50, 0x70] {
            let mut bad = QUOTED;
            bad[0] = first;
            assert_eq!(Quote::<V6>::parse(&bad), None, "{first:#x}");
        }
        // A packet that says that it carries less than eight bytes had no ports.
        for payload_len in 0..8 {
            let mut bad = QUOTED;
            bad[4..6].copy_from_slice(&[0, payload_len]);
            assert_eq!(Quote::<V6>::parse(&bad), None, "{payload_len}");
        }
    }

    #[test]
    fn a_packet_longer_than_its_length_can_say_is_as_long_as_can_be_said() {
        let mut longest = QUOTED;
        longest[4..6].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(Quote::<V6>::parse(&longest).unwrap().total_len, 65535);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_quote_or_not(mut data in proptest::collection::vec(any::<u8>(), 0..120), plausible: bool) {
            if plausible && let Some(first) = data.first_mut() {
                *first = 0x60;
            }
            if let Some(quote) = Quote::<V6>::parse(&data) {
                prop_assert!(data.len() >= 48 && quote.total_len >= 48);
            }
        }
    }
}
