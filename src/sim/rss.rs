//! Receive-side scaling: which queue a frame goes to.
//!
//! The Toeplitz hash with Microsoft's published key, over addresses and ports. A fragment is hashed over its addresses
//! alone, or the first one over its ports, too: then it goes to another queue than the others, as on some NICs (F17).

/// The key of the published test vectors, which most drivers use.
pub const KEY: [u8; 40] = [
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0,
    0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42,
    0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
];

/// Entries of the redirection table.
const REDIRECTION: u32 = 128;

/// The Toeplitz hash of `input` (at most 36 bytes count) under `key`.
#[must_use]
pub fn toeplitz(key: &[u8; 40], input: &[u8]) -> u32 {
    let (head, tail) = key.split_at(4);
    let mut window = head.iter().fold(0, |w, &b| w << 8 | u32::from(b));
    let mut hash = 0;
    for (byte, next) in input.iter().zip(tail) {
        for bit in (0..8).rev() {
            if byte >> bit & 1 == 1 {
                hash ^= window;
            }
            window = window << 1 | u32::from(next >> bit & 1);
        }
    }
    hash
}

/// The hash of `frame`; none for what is not IP, or is cut short. With `first_by_ports`, a first fragment is hashed like
/// what is none.
#[must_use]
pub fn hash(frame: &[u8], first_by_ports: bool) -> Option<u32> {
    let (ethertype, packet) = network_layer(frame)?;
    let (addresses, ports) = match ethertype {
        0x0800 => ipv4_flow(packet, first_by_ports)?,
        0x86dd => ipv6_flow(packet)?,
        _ => return None,
    };
    let mut input = [0; 36];
    let end = addresses.len();
    input.get_mut(..end)?.copy_from_slice(addresses);
    let end = match ports {
        Some(ports) => {
            input.get_mut(end..end + 4)?.copy_from_slice(ports);
            end + 4
        }
        None => end,
    };
    Some(toeplitz(&KEY, input.get(..end)?))
}

/// The queue that the redirection table names for `hash` on a device of `queues` queues.
#[must_use]
pub fn queue(hash: u32, queues: u16) -> u16 {
    let entry = hash % REDIRECTION % u32::from(queues.max(1));
    u16::try_from(entry).unwrap_or_default()
}

/// The EtherType and what follows it, behind at most one VLAN tag.
pub(super) fn network_layer(frame: &[u8]) -> Option<(u16, &[u8])> {
    let ethertype = u16_at(frame, 12)?;
    if matches!(ethertype, 0x8100 | 0x88a8) {
        return Some((u16_at(frame, 16)?, frame.get(18..)?));
    }
    Some((ethertype, frame.get(14..)?))
}

/// The big-endian number at `at`.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

type Flow<'a> = (&'a [u8], Option<&'a [u8]>);

fn ipv4_flow(packet: &[u8], first_by_ports: bool) -> Option<Flow<'_>> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let fragment = u16_at(packet, 6)? & if first_by_ports { 0x1fff } else { 0x3fff } != 0;
    let has_ports = matches!(packet.get(9)?, 6 | 17) && !fragment;
    Some((packet.get(12..20)?, packet.get(header..header + 4).filter(|_| has_ports)))
}

fn ipv6_flow(packet: &[u8]) -> Option<Flow<'_>> {
    let has_ports = matches!(packet.get(6)?, 6 | 17);
    Some((packet.get(8..40)?, packet.get(40..44).filter(|_| has_ports)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    fn v4(source: [u8; 4], destination: [u8; 4], ports: Option<(u16, u16)>) -> Vec<u8> {
        let mut input = [source, destination].concat();
        if let Some((source, destination)) = ports {
            input.extend(source.to_be_bytes());
            input.extend(destination.to_be_bytes());
        }
        input
    }

    /// A frame of just enough header to be hashed.
    fn frame(fragment: u16) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00, 0x45, 0, 0, 28, 0, 0]);
        frame.extend(fragment.to_be_bytes());
        frame.extend([64, 17, 0, 0]);
        frame.extend(Ipv4Addr::new(66, 9, 149, 187).octets());
        frame.extend(Ipv4Addr::new(161, 142, 100, 80).octets());
        frame.extend(2794u16.to_be_bytes());
        frame.extend(1766u16.to_be_bytes());
        frame.extend([0, 8, 0, 0]);
        frame
    }

    // The verification suite published with the algorithm.
    #[test]
    fn the_published_vectors_come_out() {
        let cases = [
            ([66, 9, 149, 187], 2794, [161, 142, 100, 80], 1766, 0x323e_8fc2, 0x51cc_c178),
            ([199, 92, 111, 2], 14230, [65, 69, 140, 83], 4739, 0xd718_262a, 0xc626_b0ea),
            ([24, 19, 198, 95], 12898, [12, 22, 207, 184], 38024, 0xd2d0_a5de, 0x5c2b_394a),
        ];
        for (source, sport, destination, dport, addresses, flow) in cases {
            assert_eq!(toeplitz(&KEY, &v4(source, destination, None)), addresses);
            assert_eq!(toeplitz(&KEY, &v4(source, destination, Some((sport, dport)))), flow);
        }
    }

    #[test]
    fn a_fragment_is_hashed_over_its_addresses_alone() {
        assert_eq!(hash(&frame(0x4000), false), Some(0x51cc_c178), "don't-fragment is no fragment");
        assert_eq!(hash(&frame(0x2000), false), Some(0x323e_8fc2), "the first one");
        assert_eq!(hash(&frame(0x0001), false), Some(0x323e_8fc2), "a later one");
        assert_eq!(hash(&frame(0x2000), true), Some(0x51cc_c178), "the first one, where its ports count");
        assert_eq!(hash(&frame(0x0001), true), Some(0x323e_8fc2), "a later one has none");
    }

    #[test]
    fn a_tag_does_not_change_the_hash() {
        let mut tagged = frame(0);
        tagged.splice(12..12, [0x81, 0x00, 0x00, 0x05]);
        assert_eq!(hash(&tagged, false), hash(&frame(0), false));
    }

    #[test]
    fn no_truncation_panics_and_every_queue_is_named() {
        let whole = frame(0);
        for end in 0..whole.len() {
            let _ = hash(&whole[..end], false);
        }
        let mut named = [0; 3];
        for hash in 0..REDIRECTION {
            named[usize::from(queue(hash, 3))] += 1;
        }
        assert!(named.iter().all(|&n| n == 42 || n == 43), "{named:?}");
        assert_eq!(queue(77, 0), 0);
    }
}
