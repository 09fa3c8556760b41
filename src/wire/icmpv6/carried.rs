//! What a packet carries behind its extension headers, found without judging any of them.
//!
//! For packets that are spoken about and not taken: those that errors quote, and those about which an error is made. What is
//! taken goes through a walk that checks everything.

use crate::wire::ipv6::{
    NEXT_HEADER_DESTINATION, NEXT_HEADER_FRAGMENT, NEXT_HEADER_HOP_BY_HOP, NEXT_HEADER_ROUTING,
};

/// The most extension headers that are passed over. V11, RFC 8504 5.3.
pub const HEADERS_MAX: usize = 8;

/// Next header: Authentication (RFC 4302), which counts its length in another way than the others.
const NEXT_HEADER_AUTHENTICATION: u8 = 51;

/// What a packet carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Carried<'a> {
    /// Its protocol. That of an extension header: the packet ends within that one, or has too many.
    pub protocol: u8,
    /// Where `data` lay in the whole datagram's fragmentable part, in bytes; 0 unless it is a later fragment.
    pub fragment_offset: u16,
    /// What there is of it.
    pub data: &'a [u8],
}

impl<'a> Carried<'a> {
    /// What the extension header or protocol `next_header`, which begins at the front of `bytes`, leads to.
    #[must_use]
    pub fn behind(next_header: u8, bytes: &'a [u8]) -> Self {
        Self { protocol: next_header, fragment_offset: 0, data: bytes }.pass_over()
    }

    /// The same, for a packet the rest of which goes on in `bytes`.
    #[must_use]
    pub fn and_behind(self, bytes: &'a [u8]) -> Self {
        if self.data.is_empty() { Self { data: bytes, ..self }.pass_over() } else { self }
    }

    fn pass_over(mut self) -> Self {
        for _ in 0..HEADERS_MAX {
            match self.next() {
                Some(next) => self = next,
                None => break,
            }
        }
        self
    }

    /// `None`: it is no extension header, or cut short. Behind the header of a later fragment there are none: its data are not
    /// the beginning of anything.
    fn next(self) -> Option<Self> {
        let &[next, len, high, low, ..] = self.data.first_chunk::<8>()?;
        let (bytes, fragment_offset) = match self.protocol {
            _ if self.fragment_offset != 0 => return None,
            NEXT_HEADER_FRAGMENT => (8, u16::from_be_bytes([high, low]) & 0xfff8),
            NEXT_HEADER_HOP_BY_HOP | NEXT_HEADER_ROUTING | NEXT_HEADER_DESTINATION => {
                (8 + 8 * usize::from(len), 0)
            }
            NEXT_HEADER_AUTHENTICATION => (8 + 4 * usize::from(len), 0),
            _ => return None,
        };
        Some(Self { protocol: next, fragment_offset, data: self.data.get(bytes..)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // V11, RFC 8200 4.1: each header names the next and says how long it is.
    #[test]
    fn every_kind_of_header_is_passed_over() {
        let hop_by_hop = [60, 0, 1, 4, 0, 0, 0, 0];
        let destination = [43, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let routing = [51, 0, 2, 0, 0, 0, 0, 0];
        let authentication = [44, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let fragment = [17, 0, 0, 1, 1, 2, 3, 4];
        let bytes =
            [&hop_by_hop[..], &destination, &routing, &authentication, &fragment, b"datagram"].concat();
        let want = Carried { protocol: 17, fragment_offset: 0, data: b"datagram" };
        assert_eq!(Carried::behind(0, &bytes), want);
        assert_eq!(Carried::behind(17, b"datagram"), want);
        // In two pieces, cut between headers.
        let (front, rest) = bytes.split_at(24);
        assert_eq!(Carried::behind(0, front).and_behind(rest), want);
    }

    #[test]
    fn what_is_in_a_later_fragment_is_no_header() {
        let fragment = [0, 0, 0x00, 0x09, 1, 2, 3, 4, 17, 0, 0, 0, 0, 0, 0, 0];
        let carried = Carried::behind(44, &fragment);
        assert_eq!((carried.protocol, carried.fragment_offset), (0, 8));
        assert_eq!(carried.data, &fragment[8..]);
    }

    #[test]
    fn a_header_that_is_cut_short_leads_nowhere() {
        let options = [17, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for len in 0..16 {
            assert_eq!(Carried::behind(60, &options[..len]).protocol, 60, "{len} bytes");
        }
        assert_eq!(Carried::behind(60, &options).protocol, 17);
    }

    // V11, RFC 8504 5.3.
    #[test]
    fn too_many_headers_lead_nowhere() {
        let header = [60, 0, 1, 4, 0, 0, 0, 0];
        let chain = |count: usize| [&header.repeat(count - 1)[..], &[17, 0, 1, 4, 0, 0, 0, 0]].concat();
        assert_eq!(Carried::behind(60, &chain(HEADERS_MAX)).protocol, 17);
        assert_eq!(Carried::behind(60, &chain(HEADERS_MAX + 1)).protocol, 60);
    }

    proptest! {
        #[test]
        fn any_bytes_lead_somewhere_within_them(next: u8, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let carried = Carried::behind(next, &bytes);
            prop_assert!(bytes.ends_with(carried.data));
        }
    }
}
