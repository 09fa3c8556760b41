//! The packet that an ICMP error for IPv4 quotes: its header, and the eight bytes that must follow.

use core::net::Ipv4Addr;

use crate::addr::V4;
use crate::wire::quote::Quote;

impl Quote<V4> {
    /// The packet quoted at the front of `data`, what follows an error's header. `None`: it is no IPv4, or cut short.
    // C14, RFC 1122 3.2.2, RFC 5927 4: its own header length is believed only within what came.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        let header = data.first_chunk::<20>()?;
        let header_len = 4 * usize::from(header[0] & 0x0f);
        if header[0] >> 4 != 4 || header_len < header.len() {
            return None;
        }
        let payload = *data.get(header_len..)?.first_chunk::<8>()?;
        let total_len = u16::from_be_bytes([header[2], header[3]]);
        if usize::from(total_len) < header_len + payload.len() {
            return None;
        }
        let word = u16::from_be_bytes([header[6], header[7]]);
        let addr = |at: usize| header.get(at..)?.first_chunk::<4>().map(|b| Ipv4Addr::from(*b));
        Some(Self {
            src: addr(12)?,
            dst: addr(16)?,
            protocol: header[9],
            total_len,
            dont_fragment: word & 0x4000 != 0,
            fragment_offset: (word & 0x1fff) << 3,
            payload,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[rustfmt::skip]
    const QUOTED: [u8; 28] = [
        0x45, 0, 0x05, 0xdc, 0, 0, 0x40, 0, 64, 17, 0, 0,
        198, 18, 0, 2, 198, 19, 0, 1, 0, 7, 0x9c, 0x40, 0x05, 0xc8, 0, 0,
    ];

    // C14, RFC 792.
    #[test]
    fn a_quoted_datagram_tells_who_and_how_long() {
        let quote = Quote::<V4>::parse(&QUOTED).unwrap();
        assert_eq!((quote.src, quote.dst), ([198, 18, 0, 2].into(), [198, 19, 0, 1].into()));
        assert_eq!((quote.protocol, quote.total_len, quote.dont_fragment), (17, 1500, true));
        assert_eq!(quote.ports(), Some((7, 40000)));
        let mut with_options = QUOTED.to_vec();
        with_options[0] = 0x46;
        with_options.splice(20..20, [1, 1, 1, 0]);
        assert_eq!(Quote::<V4>::parse(&with_options), Some(quote));
    }

    // C14, RFC 5927 4: cut at any byte, or with a header length that leads beyond what came.
    #[test]
    fn what_is_cut_short_or_no_ipv4_is_no_quote() {
        for len in 0..28 {
            assert_eq!(Quote::<V4>::parse(&QUOTED[..len]), None, "{len} bytes");
        }
        for first in [0x40, 0x44, 0x46, 0x4f, 0x55, 0x65, 0x05] {
            let mut bad = QUOTED;
            bad[0] = first;
            assert_eq!(Quote::<V4>::parse(&bad), None, "{first:#x}");
        }
        for total_len in [0, 20, 27] {
            let mut bad = QUOTED;
            bad[2..4].copy_from_slice(&u16::to_be_bytes(total_len));
            assert_eq!(Quote::<V4>::parse(&bad), None, "{total_len}");
        }
    }

    // C14: what a later fragment begins with are no ports.
    #[test]
    fn a_later_fragment_has_no_ports() {
        let mut later = QUOTED;
        later[6..8].copy_from_slice(&[0x20, 0x02]);
        let quote = Quote::<V4>::parse(&later).unwrap();
        assert_eq!((quote.fragment_offset, quote.dont_fragment, quote.ports()), (16, false, None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_quote_or_not(data in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(quote) = Quote::<V4>::parse(&data) {
                prop_assert!(data.len() >= 28 && quote.total_len >= 28);
            }
        }
    }
}
