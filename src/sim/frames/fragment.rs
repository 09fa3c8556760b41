//! Fragments: a packet cut, and what was sent in pieces put together again.

use super::{Ethernet, Ipv4, Malformed, padding};

/// "More fragments", as it is on the wire.
pub const MORE: u16 = 0x2000;

/// "Don't fragment", as it is on the wire.
pub const DONT: u16 = 0x4000;

/// The packet in `frame`, cut into fragments whose payloads end at `ends`, in bytes, and at its end; with the
/// identification `id`. The options are in the first alone.
///
/// # Panics
/// `frame` is no IPv4 packet, or an end is no multiple of eight inside it.
#[must_use]
pub fn cut(frame: &[u8], id: u16, ends: &[usize]) -> Vec<Vec<u8>> {
    let (ethernet, packet) = Ethernet::read(frame).expect("a frame");
    let (ip, payload, _) = Ipv4::read(packet).expect("an IPv4 packet");
    let (mut fragments, mut start) = (Vec::new(), 0);
    for end in ends.iter().copied().chain([payload.len()]) {
        fragments.push(piece(
            &ethernet,
            &Ipv4 { id, ..ip.clone() },
            start,
            &payload[start..end],
            payload.len(),
        ));
        start = end;
    }
    fragments
}

/// The same in pieces of `size` bytes each, but the last.
#[must_use]
pub fn cut_evenly(frame: &[u8], id: u16, size: usize) -> Vec<Vec<u8>> {
    let payload = Ethernet::read(frame).ok().and_then(|(_, packet)| Some(Ipv4::read(packet).ok()?.1.len()));
    let ends: Vec<usize> = (1..).map(|n| n * size).take_while(|end| *end < payload.unwrap_or(0)).collect();
    cut(frame, id, &ends)
}

/// The fragment of `ip` that has `bytes` from `start` on; more follow if it does not end at `total`.
///
/// # Panics
/// `start` is no multiple of eight.
#[must_use]
pub fn piece(ethernet: &Ethernet, ip: &Ipv4, start: usize, bytes: &[u8], total: usize) -> Vec<u8> {
    assert_eq!(start % 8, 0, "an offset is counted in eights");
    let offset = u16::try_from(start / 8).expect("an offset");
    let more = if start + bytes.len() == total { 0 } else { MORE };
    let options = if start == 0 { ip.options.clone() } else { Vec::new() };
    ethernet.frame(&Ipv4 { fragment: offset | more, options, ..ip.clone() }.packet(bytes))
}

/// The whole frame that `fragments`, in the order of their bytes, were cut from.
///
/// # Errors
/// They are not what a correct host sends: F18, RFC 791 3.1: one identification, "don't fragment" clear, lengths that
/// are multiples of eight, nothing missing and nothing twice.
pub fn join(fragments: &[Vec<u8>]) -> Result<Vec<u8>, Malformed> {
    let (mut whole, mut header): (Vec<u8>, Option<(Ethernet, Ipv4)>) = (Vec::new(), None);
    for (n, fragment) in fragments.iter().enumerate() {
        let (ethernet, packet) = Ethernet::read(fragment)?;
        let (ip, payload, behind) = Ipv4::read(packet)?;
        padding(behind)?;
        let last = n + 1 == fragments.len();
        if usize::from(ip.fragment & 0x1fff) * 8 != whole.len() {
            return Err("a fragment does not begin where the one before ended");
        }
        if ip.fragment & !0x1fff != if last { 0 } else { MORE } {
            return Err("the flags of a fragment are wrong");
        }
        if !last && payload.len() % 8 != 0 || payload.is_empty() {
            return Err("the length of a fragment is wrong");
        }
        whole.extend(payload);
        let (first_ethernet, first) = header.get_or_insert_with(|| (ethernet, ip.clone()));
        let same = Ipv4 { fragment: first.fragment, options: first.options.clone(), ..ip } == *first;
        if !same || ethernet != *first_ethernet {
            return Err("fragments of two datagrams");
        }
    }
    let (ethernet, ip) = header.ok_or("no fragment")?;
    Ok(ethernet.frame(&Ipv4 { fragment: 0, ..ip }.packet(&whole)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::frames::UdpFrame;

    #[test]
    fn what_was_cut_is_joined_again() {
        let frame = UdpFrame::new("198.18.0.1:40000", "198.18.0.2:7", &[0x5a; 3000]);
        let mut fragments = cut_evenly(&frame.frame(), 9, 1480);
        assert_eq!(fragments.iter().map(Vec::len).collect::<Vec<_>>(), [1514, 1514, 60 + 22]);
        assert_eq!(UdpFrame::read(&join(&fragments).unwrap()), Ok(frame));
        fragments.swap(0, 1);
        assert!(join(&fragments).is_err());
        assert!(join(&fragments[..1]).is_err() && join(&[]).is_err());
    }
}
