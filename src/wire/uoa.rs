//! UDP Option of Address (UOA), by which the balancer DPVS tells a server whose datagram it is that it forwards: as an option of the
//! IPv4 header, or in an "option protocol" between the IP header, of either version, and UDP. Format: DPVS, `include/uoa.h`.
//!
//! ```text
//! the option             31 | 8 or 20 | UDP port (2) | IPv4 or IPv6 address (4 or 16)
//! the option protocol    version (4 bits), reserved (4 bits) | next protocol | length of this and the options (2) | options
//! ```
//!
//! The option's length says of which IP version the client's address is, whatever the packet is of: a balancer that
//! translates (NAT64) has IPv6 clients before IPv4 servers.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use arrayvec::ArrayVec;

use super::ipv4::{OPTIONS_MAX, Options};

/// The IP protocol, or IPv6 next header, of the option protocol.
pub const PROTOCOL: u8 = 248;

/// The type of the option: not copied to the fragments behind the first.
pub const OPTION: u8 = 31;

/// Bytes of the option with an IPv4 address.
pub const OPTION_LEN_V4: usize = 8;

/// Bytes of the option with an IPv6 address: the most that it has.
pub const OPTION_LEN_V6: usize = 20;

/// Bytes of the option protocol's header, without its options.
pub const HEADER_LEN: usize = 4;

/// The option protocol's version of a balancer whose client speaks IPv4.
pub const VERSION_V4: u8 = 1;

/// And IPv6.
pub const VERSION_V6: u8 = 2;

/// The client's address was to be in the options, and is not: they cannot be walked, or the option has a length that no address
/// has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadOption;

/// The client that `options` name, if they name one; the first, if they name several.
///
/// # Errors
/// [`BadOption`].
// O01, O03: of the two lengths and no other, held against what is there before a byte is read. O04: END ends the walk, NOP is
// passed over, a length below 2 or beyond the rest is none.
pub fn client(options: Options<'_>) -> Result<Option<SocketAddr>, BadOption> {
    for option in options {
        let option = option.map_err(|_| BadOption)?;
        if option.kind == OPTION {
            return client_of(option.data).map(Some);
        }
    }
    Ok(None)
}

/// The client in an option that has `data` behind type and length.
fn client_of(data: &[u8]) -> Result<SocketAddr, BadOption> {
    let ([p0, p1], addr) = data.split_first_chunk::<2>().ok_or(BadOption)?;
    let ip: IpAddr = match addr.len() {
        4 => addr.first_chunk::<4>().map(|a| Ipv4Addr::from(*a).into()),
        16 => addr.first_chunk::<16>().map(|a| Ipv6Addr::from(*a).into()),
        _ => None,
    }
    .ok_or(BadOption)?;
    Ok(SocketAddr::new(ip, u16::from_be_bytes([*p0, *p1])))
}

/// The option that names `client`.
#[must_use]
pub fn option(client: SocketAddr) -> ArrayVec<u8, OPTION_LEN_V6> {
    let mut option = ArrayVec::new();
    let mut write = |addr: &[u8], len: u8| {
        let [p0, p1] = client.port().to_be_bytes();
        // Both forms fit: the room is that of the longer one.
        let _ = option.try_extend_from_slice(&[OPTION, len, p0, p1]);
        let _ = option.try_extend_from_slice(addr);
    };
    match client.ip() {
        IpAddr::V4(addr) => write(&addr.octets(), 8),
        IpAddr::V6(addr) => write(&addr.octets(), 20),
    }
    option
}

/// Why these bytes are no packet of the option protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeaderError {
    /// The header is cut short, or its length is less than its own fixed part, beyond the packet, or more than the options of an
    /// IPv4 header have room for.
    LengthInvalid,
    /// A version that is not known.
    VersionUnknown,
}

/// What the option protocol puts before UDP.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    protocol: u8,
    options: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Header<'a> {
    /// The header at the front of `bytes`, the payload of an IP packet.
    ///
    /// # Errors
    /// [`HeaderError`].
    // O02, O03: the reserved bits mean nothing. The options are those of an IPv4 header, so there are no more than fit into one:
    // that bounds the walk.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, HeaderError> {
        let [version, protocol, l0, l1] = *bytes.first_chunk().ok_or(HeaderError::LengthInvalid)?;
        if !matches!(version >> 4, VERSION_V4 | VERSION_V6) {
            return Err(HeaderError::VersionUnknown);
        }
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let (header, payload) = bytes.split_at_checked(length).ok_or(HeaderError::LengthInvalid)?;
        let options = header.get(HEADER_LEN..).filter(|options| options.len() <= OPTIONS_MAX);
        Ok(Self { protocol, options: options.ok_or(HeaderError::LengthInvalid)?, payload })
    }

    /// What it carries.
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Its options.
    #[must_use]
    pub const fn options(&self) -> Options<'a> {
        Options::of(self.options)
    }

    /// Bytes of it, options included: 4 to 44.
    #[must_use]
    pub const fn len(&self) -> usize {
        HEADER_LEN + self.options.len()
    }

    /// Never: there is always a fixed part.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// What follows it.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ipv4::PROTOCOL_UDP;
    use proptest::prelude::*;

    fn addr(s: &str) -> SocketAddr {
        s.parse().unwrap()
    }

    fn named(options: &[u8]) -> Result<Option<SocketAddr>, BadOption> {
        client(Options::of(options))
    }

    const V4: [u8; 8] = [31, 8, 0x1f, 0x90, 203, 0, 113, 9];

    fn v6() -> Vec<u8> {
        let addr: Ipv6Addr = "2001:db8::9".parse().unwrap();
        [&[31, 20, 0x1f, 0x90][..], &addr.octets()].concat()
    }

    // O01, DPVS uoa.h: type 31 of eight bytes with an IPv4 address, of twenty with an IPv6 address.
    #[test]
    fn an_option_names_a_client_of_either_version() {
        assert_eq!(named(&V4), Ok(Some(addr("203.0.113.9:8080"))));
        assert_eq!(named(&v6()), Ok(Some(addr("[2001:db8::9]:8080"))));
        assert_eq!(named(&[]), Ok(None));
        assert_eq!(named(&[148, 4, 0, 0]), Ok(None), "a Router Alert");
        // With the bit that says "copied", it is another option.
        let mut copied = V4;
        copied[0] |= 0x80;
        assert_eq!(named(&copied), Ok(None));
    }

    // O03: every other length is none, whatever follows; DPVS's module copies as many bytes as that says.
    #[test]
    fn an_option_of_any_other_length_names_nobody() {
        for len in 2..=40u8 {
            let mut options = [0; 40];
            options[..8].copy_from_slice(&V4);
            options[1] = len;
            let is_right = matches!(len, 8 | 20);
            assert_eq!(named(&options).is_ok(), is_right, "length {len}");
            assert_eq!(named(options.get(..usize::from(len)).unwrap()).is_ok(), is_right);
            assert_eq!(named(options.get(..usize::from(len) - 1).unwrap()), Err(BadOption), "cut short");
        }
    }

    // O04: END ends the walk, NOP is passed over; a length below 2 or beyond the rest ends it in error.
    #[test]
    fn the_walk_ends_where_options_end() {
        assert_eq!(named(&[&[1, 1][..], &V4].concat()), Ok(Some(addr("203.0.113.9:8080"))));
        assert_eq!(named(&[&[0][..], &V4].concat()), Ok(None));
        assert_eq!(named(&[&[148, 4, 0, 0][..], &V4].concat()), Ok(Some(addr("203.0.113.9:8080"))));
        assert_eq!(named(&[31, 1, 0, 0]), Err(BadOption));
        assert_eq!(named(&[31, 0, 0, 0]), Err(BadOption));
        assert_eq!(named(&[31]), Err(BadOption));
        assert_eq!(named(&[7, 9, 4, 0]), Err(BadOption), "another option that cannot be");
        let [first, second] = ["203.0.113.9:1", "203.0.113.9:2"].map(|a| option(addr(a)));
        assert_eq!(
            named(&[&first[..], &second].concat()),
            Ok(Some(addr("203.0.113.9:1"))),
            "the first of two"
        );
    }

    // O02, DPVS uoa.h: version and reserved bits, protocol, length of header and options.
    #[test]
    fn the_option_protocols_header_is_read_as_written() {
        let packet = [&[0x10, 17, 0, 12][..], &V4, b"udp"].concat();
        let header = Header::parse(&packet).unwrap();
        assert_eq!((header.protocol(), header.len(), header.payload()), (PROTOCOL_UDP, 12, &b"udp"[..]));
        assert_eq!(client(header.options()), Ok(Some(addr("203.0.113.9:8080"))));
        let nat64 = [&[0x2f, 17, 0, 24][..], &v6()].concat();
        let header = Header::parse(&nat64).unwrap();
        assert_eq!(
            client(header.options()),
            Ok(Some(addr("[2001:db8::9]:8080"))),
            "reserved bits mean nothing"
        );
        assert!(header.payload().is_empty());
        let bare = Header::parse(&[0x10, 17, 0, 4, 1, 2]).unwrap();
        assert_eq!((client(bare.options()), bare.payload()), (Ok(None), &[1, 2][..]));
    }

    // O03: DPVS's module takes a length below the header's own for granted.
    #[test]
    fn a_length_that_cannot_be_and_an_unknown_version_are_refused() {
        let of = |version: u8, length: u16, len: usize| {
            let [l0, l1] = length.to_be_bytes();
            let mut packet = vec![0; len];
            let front = [version << 4, 17, l0, l1];
            packet.iter_mut().zip(front).for_each(|(to, from)| *to = from);
            Header::parse(&packet).map(|header| header.len())
        };
        for version in 0..16 {
            let known = matches!(version, 1 | 2);
            assert_eq!(of(version, 4, 100), if known { Ok(4) } else { Err(HeaderError::VersionUnknown) });
        }
        assert!((0..4).all(|length| of(1, length, 100) == Err(HeaderError::LengthInvalid)));
        assert!((4..=44).all(|length| of(1, length, 100) == Ok(usize::from(length))));
        assert!((45..=100).all(|length| of(1, length, 100) == Err(HeaderError::LengthInvalid)));
        assert!((0..12).all(|len| of(1, 12, len).is_err()));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(port: u16, v4: u32, v6: u128, is_v6: bool, nops in 0usize..4) {
            let ip = if is_v6 { IpAddr::from(Ipv6Addr::from(v6)) } else { Ipv4Addr::from(v4).into() };
            let client = SocketAddr::new(ip, port);
            let options = [&vec![1; nops][..], &option(client)].concat();
            prop_assert_eq!(named(&options), Ok(Some(client)));
        }

        // O03, O04: whatever the bytes, there is an end, and no panic; what is named is there.
        #[test]
        fn any_bytes_are_walked_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(Some(client)) = named(&bytes) {
                let written = option(client);
                prop_assert!(bytes.windows(written.len()).any(|window| *window == written[..]));
            }
            if let Ok(header) = Header::parse(&bytes) {
                prop_assert!((4..=44).contains(&header.len()));
                prop_assert_eq!(header.len() + header.payload().len(), bytes.len());
                let _ = client(header.options());
            }
        }
    }
}
