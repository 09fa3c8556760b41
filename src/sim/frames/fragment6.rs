//! IPv6 fragments: a packet cut, and what was sent in pieces put together again.

use super::ipv6::{ETHERTYPE_IPV6, Extension, Ipv6, chain, mac_for6};
use super::{Ethernet, Malformed};

/// The packet in `frame`, cut into fragments whose payloads end at `ends`, in bytes of what can be cut, and at its end; with
/// the identification `id`. Hop-by-hop options and routing headers are in all of them. RFC 8200 4.5.
///
/// # Panics
/// `frame` is no IPv6 packet, or an end is no multiple of eight inside it.
#[must_use]
pub fn cut6(frame: &[u8], id: u32, ends: &[usize]) -> Vec<Vec<u8>> {
    let (ethernet, ip, first, whole) = fragmentable(frame);
    let (mut fragments, mut start) = (Vec::new(), 0);
    for end in ends.iter().copied().chain([whole.len()]) {
        fragments.push(piece6(&ethernet, &ip, (first, id), start, &whole[start..end], whole.len()));
        start = end;
    }
    fragments
}

/// The same in pieces of `size` bytes each, but the last.
///
/// # Panics
/// `frame` is no IPv6 packet, or `size` no multiple of eight.
#[must_use]
pub fn cut6_evenly(frame: &[u8], id: u32, size: usize) -> Vec<Vec<u8>> {
    let len = fragmentable(frame).3.len();
    let ends: Vec<usize> = (1..).map(|n| n * size).take_while(|end| *end < len).collect();
    cut6(frame, id, &ends)
}

/// The headers that every fragment of the packet in `frame` has, the number of the first header that is cut, and all that is.
fn fragmentable(frame: &[u8]) -> (Ethernet, Ipv6, u8, Vec<u8>) {
    let (ethernet, ip, payload) = Ipv6::read_frame(frame).expect("an IPv6 packet");
    let (all, once) = ip.split();
    let (mut whole, first) = chain(once, ip.next_header);
    whole.extend(payload);
    let every = Ipv6 { extensions: all.to_vec(), next_header: 44, ..ip };
    (ethernet, every, first, whole)
}

/// The fragment that has `bytes` from `start` on, behind the headers of `ip`, which every fragment has; `first` is the number
/// of the first header that is cut, and the identification. More follow if it does not end at `total`.
///
/// # Panics
/// `start` is no multiple of eight, or out of a fragment's reach.
#[must_use]
pub fn piece6(
    ethernet: &Ethernet,
    ip: &Ipv6,
    (first, id): (u8, u32),
    start: usize,
    bytes: &[u8],
    total: usize,
) -> Vec<u8> {
    assert_eq!(start % 8, 0, "an offset is counted in eights");
    let offset = u16::try_from(start / 8).expect("an offset");
    let more = start + bytes.len() != total;
    let mut extensions = ip.extensions.clone();
    extensions.push(Extension::Fragment { offset, more, id });
    ethernet.frame(&Ipv6 { extensions, next_header: first, ..ip.clone() }.packet(bytes))
}

/// The whole frame that `fragments`, in the order of their bytes, were cut from.
///
/// # Errors
/// They are not what a correct host sends: RFC 8200 4.5: one identification, lengths that are multiples of eight, nothing
/// missing and nothing twice.
pub fn join6(fragments: &[Vec<u8>]) -> Result<Vec<u8>, Malformed> {
    let (mut whole, mut header): (Vec<u8>, Option<(Ethernet, Ipv6, u32)>) = (Vec::new(), None);
    for (n, fragment) in fragments.iter().enumerate() {
        let (ethernet, mut ip, payload) = Ipv6::read_frame(fragment)?;
        let Some(Extension::Fragment { offset, more, id }) = ip.extensions.pop() else {
            return Err("not a fragment");
        };
        let last = n + 1 == fragments.len();
        if usize::from(offset) * 8 != whole.len() {
            return Err("a fragment does not begin where the one before ended");
        }
        if more == last {
            return Err("the flag of a fragment is wrong");
        }
        if !last && payload.len() % 8 != 0 || payload.is_empty() {
            return Err("the length of a fragment is wrong");
        }
        whole.extend(payload);
        let (first_ethernet, first, first_id) = header.get_or_insert_with(|| (ethernet, ip.clone(), id));
        if ip != *first || id != *first_id || ethernet != *first_ethernet {
            return Err("fragments of two packets");
        }
    }
    let (ethernet, ip, _) = header.ok_or("no fragment")?;
    let ethernet = Ethernet { ethertype: ETHERTYPE_IPV6, ..ethernet };
    debug_assert_eq!(ethernet.destination, mac_for6(ip.destination, ethernet.destination));
    Ok(ethernet.frame(&ip.packet(&whole)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::frames::{HeaderOption, UdpFrame6};

    #[test]
    fn what_was_cut_is_joined_again() {
        let hop = Extension::HopByHop(vec![HeaderOption::new(0x1e, &[1])]);
        let last = Extension::Destination(vec![HeaderOption::new(0x1e, &[2; 9])]);
        for extensions in [&[][..], core::slice::from_ref(&hop), &[hop.clone(), last]] {
            let frame =
                UdpFrame6::new("[2001:db8::1]:40000", "[2001:db8::2]:7", &[0x5a; 3000]).with(extensions);
            let mut fragments = cut6_evenly(&frame.frame(), 9, 1440);
            assert_eq!(fragments.len(), 3);
            assert_eq!(UdpFrame6::read(&join6(&fragments).unwrap()), Ok(frame));
            fragments.swap(0, 1);
            assert!(join6(&fragments).is_err());
            assert!(join6(&fragments[..1]).is_err() && join6(&[]).is_err());
        }
    }

    // RFC 8200 4.5: what is before the fragment header is in every fragment, and what is behind it once.
    #[test]
    fn each_header_is_where_it_belongs() {
        let hop = Extension::HopByHop(Vec::new());
        let last = Extension::Destination(Vec::new());
        let frame = UdpFrame6::new("[2001:db8::1]:4", "[2001:db8::2]:7", &[0; 16]).with(&[hop.clone(), last]);
        let fragments = cut6(&frame.frame(), 0x0102_0304, &[16]);
        let (_, first, _) = Ipv6::read_frame(&fragments[0]).unwrap();
        assert_eq!(first.next_header, 60);
        assert_eq!(first.extensions, [hop, Extension::Fragment { offset: 0, more: true, id: 0x0102_0304 }]);
        assert_eq!(fragments[0][62..70], [60, 0, 0, 1, 1, 2, 3, 4]);
        assert_eq!(fragments[1][62..70], [60, 0, 0, 16, 1, 2, 3, 4]);
    }
}
