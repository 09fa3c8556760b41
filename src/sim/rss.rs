//! Receive-side scaling: which queue a frame goes to.
//!
//! The Toeplitz hash over addresses and ports, by the key and the redirection table that the host set up. A fragment is hashed over its addresses
//! alone, or the first one over its ports, too: then it goes to another queue than the others, as on some NICs (F17).

use crate::io::{RssCalls, RssConf, RssOffer, RssState, even_reta, rss_attempts, set_up_rss};

/// The key of the published test vectors, which most drivers use.
pub const KEY: [u8; 40] = [
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0,
    0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42,
    0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
];

/// Entries of the redirection table.
const RETA_SIZE: u16 = 128;

/// Functions that the device offers: of IPv4, and of IPv6.
const FUNCTIONS: [(u64, &str); 2] = [(1, "ipv4-udp"), (2, "ipv6-udp")];

/// How far a device does what it is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RssAbilities {
    /// It takes key and table.
    #[default]
    All,
    /// It takes the key, and has a table of its own that names every queue in turn.
    OwnReta,
    /// It answers that it took key and table, and hashes by the published key into its first queue.
    Lies,
    /// It has no hash: all comes by the first queue.
    None,
}

/// Receive-side scaling of one device.
#[derive(Clone, Debug)]
pub(super) struct Rss {
    abilities: RssAbilities,
    key: [u8; 40],
    reta: Vec<u16>,
}

impl Rss {
    /// As a device is after a reset.
    pub(super) fn new(abilities: RssAbilities, queues: u16) -> Self {
        let reta = match abilities {
            RssAbilities::OwnReta => even_reta(RETA_SIZE, queues),
            _ => vec![0; usize::from(RETA_SIZE)],
        };
        Self { abilities, key: KEY, reta }
    }

    /// As a host sets it up that has `queues` receive queues. `None`: there is nothing to set up.
    pub(super) fn set_up(&mut self, queues: u16) -> Option<RssState> {
        let functions = if self.abilities == RssAbilities::None { 0 } else { 0b11 };
        let offer = RssOffer { functions, key_len: self.key.len(), reta_size: RETA_SIZE };
        let (conf, problem) = rss_attempts(offer, queues).into_iter().next()?;
        if self.abilities != RssAbilities::Lies
            && let Ok(key) = conf.key.as_slice().try_into()
        {
            self.key = key;
        }
        (queues > 1).then(|| set_up_rss(self, offer, (&conf, problem), queues))
    }

    /// The hash of `frame`; none for what is not IP, or is cut short.
    pub(super) fn hash(&self, frame: &[u8], first_by_ports: bool) -> Option<u32> {
        hash(&self.key, frame, first_by_ports).filter(|_| self.abilities != RssAbilities::None)
    }

    /// The queue that the redirection table names for `hash`.
    pub(super) fn queue(&self, hash: u32) -> u16 {
        self.reta
            .get(usize::try_from(hash).unwrap_or_default() % self.reta.len().max(1))
            .copied()
            .unwrap_or_default()
    }
}

impl RssCalls for Rss {
    fn update_reta(&mut self, table: &[u16]) -> Result<(), String> {
        match self.abilities {
            RssAbilities::All => self.reta = table.to_vec(),
            RssAbilities::Lies => {}
            RssAbilities::OwnReta | RssAbilities::None => {
                return Err("Operation not supported (-ENOTSUP)".to_owned());
            }
        }
        Ok(())
    }

    fn reta(&mut self, _size: u16) -> Result<Vec<u16>, String> {
        Ok(self.reta.clone())
    }

    fn conf(&mut self, _key_len: usize) -> Result<RssConf, String> {
        Ok(RssConf { functions: 0b11, key: self.key.to_vec() })
    }

    fn names(&self, functions: u64) -> Vec<String> {
        let known = FUNCTIONS.iter().filter(|(bit, _)| functions & bit != 0);
        known.map(|(_, name)| (*name).to_owned()).collect()
    }
}

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

/// The hash of `frame` under `key`; none for what is not IP, or is cut short. With `first_by_ports`, a first fragment is hashed
/// like what is none.
#[must_use]
pub fn hash(key: &[u8; 40], frame: &[u8], first_by_ports: bool) -> Option<u32> {
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
    Some(toeplitz(key, input.get(..end)?))
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
        assert_eq!(hash(&KEY, &frame(0x4000), false), Some(0x51cc_c178), "don't-fragment is no fragment");
        assert_eq!(hash(&KEY, &frame(0x2000), false), Some(0x323e_8fc2), "the first one");
        assert_eq!(hash(&KEY, &frame(0x0001), false), Some(0x323e_8fc2), "a later one");
        assert_eq!(
            hash(&KEY, &frame(0x2000), true),
            Some(0x51cc_c178),
            "the first one, where its ports count"
        );
        assert_eq!(hash(&KEY, &frame(0x0001), true), Some(0x323e_8fc2), "a later one has none");
    }

    #[test]
    fn a_tag_does_not_change_the_hash() {
        let mut tagged = frame(0);
        tagged.splice(12..12, [0x81, 0x00, 0x00, 0x05]);
        assert_eq!(hash(&KEY, &tagged, false), hash(&KEY, &frame(0), false));
    }

    #[test]
    fn no_truncation_panics() {
        let whole = frame(0);
        for end in 0..whole.len() {
            let _ = hash(&KEY, &whole[..end], false);
        }
    }

    // Both directions of a flow come to one worker.
    #[test]
    fn a_flow_and_its_answers_have_one_queue_under_the_symmetric_key() {
        let mut rss = Rss::new(RssAbilities::All, 3);
        let state = rss.set_up(3).unwrap();
        assert!(state.symmetric && state.problems.is_empty(), "{state:?}");
        let mut named = [0; 3];
        for port in 0..600u16 {
            let mut there = frame(0);
            there[34..36].copy_from_slice(&port.to_be_bytes());
            let mut back = there.clone();
            back[26..30].copy_from_slice(&there[30..34]);
            back[30..34].copy_from_slice(&there[26..30]);
            back[34..36].copy_from_slice(&there[36..38]);
            back[36..38].copy_from_slice(&there[34..36]);
            let queue = |frame: &[u8]| rss.queue(rss.hash(frame, false).unwrap());
            assert_eq!(queue(&there), queue(&back));
            assert_ne!(hash(&KEY, &there, false), hash(&KEY, &back, false), "the published key is not");
            named[usize::from(queue(&there))] += 1;
        }
        assert!(named.iter().all(|n| (100..300).contains(n)), "{named:?}");
    }

    #[test]
    fn what_a_device_will_not_do_is_told() {
        let problems = |abilities| Rss::new(abilities, 2).set_up(2).unwrap().problems;
        assert!(problems(RssAbilities::OwnReta).is_empty(), "its table is as even as ours");
        assert_eq!(problems(RssAbilities::Lies).len(), 3);
        assert_eq!(problems(RssAbilities::None).len(), 1);
        assert_eq!(Rss::new(RssAbilities::All, 1).set_up(1), None);
    }
}
