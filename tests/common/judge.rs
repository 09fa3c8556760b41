//! What the host may send when others only asked: right frames, from its own addresses, to one host each; or a report, or
//! ARP. All else is a failure of the test that calls.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Instant;

use super::frames::{BROADCAST, ICMP, IGMP, Mac, UDP, ethernet};
#[cfg(feature = "sim")]
use super::judge6::Judge6;
use super::read::{Frame, Ipv4Read};

/// Judges the frames of one host, fragments together.
#[derive(Debug)]
pub struct Judge {
    mac: Mac,
    own: Vec<Ipv4Addr>,
    /// Fragments whose datagram is not complete yet.
    pieces: BTreeMap<(Ipv4Addr, Ipv4Addr, u8, u16), Vec<Ipv4Read>>,
    /// Frames seen, by what they are.
    pub seen: BTreeMap<String, usize>,
    /// What of them is IPv6; without it, none may be.
    #[cfg(feature = "sim")]
    six: Option<Judge6>,
}

impl Judge {
    /// Of the host with these addresses, each with a prefix of 24 bits.
    pub fn new(mac: Mac, own: &[Ipv4Addr]) -> Self {
        Self {
            mac,
            own: own.to_vec(),
            pieces: BTreeMap::new(),
            seen: BTreeMap::new(),
            #[cfg(feature = "sim")]
            six: None,
        }
    }

    /// Which has these addresses, too.
    #[cfg(feature = "sim")]
    #[must_use]
    pub fn with6(mut self, own: &[std::net::Ipv6Addr]) -> Self {
        self.six = Some(Judge6::new(self.mac, own));
        self
    }

    /// Judges one frame more.
    #[track_caller]
    pub fn see(&mut self, bytes: &[u8]) {
        // Tags stay as they came: what is behind them is judged.
        let mut bytes = bytes.to_vec();
        assert!(bytes.len() >= 60, "E09: not padded to 60 bytes: {bytes:02x?}");
        while matches!(bytes[12..14], [0x81, 0] | [0x88, 0xa8]) {
            bytes.drain(12..16);
        }
        let frame = Frame { at: Instant::now(), bytes };
        assert_eq!(frame.src(), self.mac, "from another station's MAC: {frame:?}");
        #[cfg(feature = "sim")]
        if let Some(six) = self.six.as_mut().filter(|_| frame.ethertype() == super::frames::ETHERTYPE_IPV6) {
            let what = six.see(&frame.bytes);
            return self.count(what);
        }
        if frame.is_arp() {
            self.see_arp(&frame);
        } else {
            self.see_packet(&frame);
        }
    }

    fn count(&mut self, what: &str) {
        *self.seen.entry(what.to_owned()).or_default() += 1;
    }

    #[track_caller]
    fn see_arp(&mut self, frame: &Frame) {
        let arp = frame.arp();
        let ours = self.own.contains(&arp.sender.ip) || arp.sender.ip.is_unspecified();
        assert!(ours && arp.sender.mac == self.mac, "ARP that speaks for another: {frame:?}");
        assert!(frame.bytes[42..].iter().all(|byte| *byte == 0), "E09: {frame:?}");
        assert!(
            arp.operation == 1
                || arp.operation == 2 && frame.dst() != BROADCAST
                || self.own.contains(&arp.target.ip),
            "an ARP answer to everyone: {frame:?}"
        );
        self.count(if arp.operation == 1 { "arp request" } else { "arp reply" });
    }

    #[track_caller]
    fn see_packet(&mut self, frame: &Frame) {
        let ip = frame.ipv4();
        assert!(ip.trailer.iter().all(|byte| *byte == 0), "E09: padding that is not zero: {frame:?}");
        assert!(self.own.contains(&ip.src), "I21: from an address that is not ours: {frame:?}");
        if ip.protocol == IGMP {
            assert_eq!((ip.ttl, ip.tos, &ip.options[..]), (1, 0xc0, &[0x94, 4, 0, 0][..]), "G01: {frame:?}");
            assert!(
                ip.dst.is_multicast() && frame.report().is_none_or(|r| !r.records.is_empty()),
                "{frame:?}"
            );
            return self.count("igmp");
        }
        assert_eq!(frame.dst()[0] & 1, 0, "an answer in a frame for many: {frame:?}");
        assert!(self.is_one_host(ip.dst), "an answer to no single host: {frame:?}");
        assert_eq!(ip.ttl, 64, "I22: {frame:?}");
        if ip.fragment & 0x3fff == 0 { self.see_whole(frame) } else { self.see_piece(frame, ip) }
    }

    fn is_one_host(&self, ip: Ipv4Addr) -> bool {
        let first = ip.octets()[0];
        let everyone =
            self.own.iter().any(|own| own.octets()[..3] == ip.octets()[..3]) && ip.octets()[3] == 255;
        !(first == 0 || first == 127 || first >= 224 || self.own.contains(&ip) || everyone)
    }

    #[track_caller]
    fn see_whole(&mut self, frame: &Frame) {
        let ip = frame.ipv4();
        match ip.protocol {
            UDP => {
                let udp = frame.udp();
                assert!(udp.checksum != 0, "UDP without a checksum: {frame:?}");
                assert!(udp.sport == 7 && udp.dport != 0, "UDP from or to a wrong port: {frame:?}");
                assert!(udp.dport != 7, "X02: an echo to an echo: {frame:?}");
                self.count("echo");
            }
            ICMP => {
                let icmp = frame.icmp();
                let what = match (icmp.kind, icmp.code) {
                    (0, _) => "icmp 0",
                    (3, 2) => "icmp 3/2",
                    (3, 3) => "icmp 3/3",
                    (11, 1) => "icmp 11/1",
                    (12, 0) => "icmp 12/0",
                    (14, _) => "icmp 14",
                    _ => panic!("ICMP that is no answer: {frame:?}"),
                };
                if what.contains('/') {
                    // C02, RFC 1812 4.3.2.3: not more than 576 bytes; RFC 792: the header and 8 bytes at least.
                    assert!(ip.packet.len() <= 576 && icmp.data.len() >= 20, "{frame:?}");
                    assert_eq!(ip.tos & 0xe0, 0xc0, "I23: {frame:?}");
                    // C03, C17, RFC 1122 3.2.2: none about an error, about a later fragment, or to more than one.
                    let quoted = &icmp.data;
                    let kind = quoted.get(usize::from(quoted[0] & 0xf) * 4).copied();
                    assert!(
                        quoted[9] != ICMP || !kind.is_some_and(|k| [3, 4, 5, 11, 12].contains(&k)),
                        "{frame:?}"
                    );
                    assert_eq!((quoted[6] & 0x1f, quoted[7]), (0, 0), "F12: {frame:?}");
                }
                self.count(what);
            }
            _ => panic!("of a protocol that is not spoken: {frame:?}"),
        }
    }

    /// F18, RFC 791 3.1: eights, DF clear; the whole is judged when it is there.
    #[track_caller]
    fn see_piece(&mut self, frame: &Frame, ip: Ipv4Read) {
        let more = ip.fragment & 0x2000 != 0;
        assert_eq!(ip.fragment & 0xc000, 0, "DF on a fragment: {frame:?}");
        assert!(!more || ip.payload.len().is_multiple_of(8), "a fragment of odd length: {frame:?}");
        self.count("fragment");
        let key = (ip.src, ip.dst, ip.protocol, ip.id);
        let (tos, mut have) = (ip.tos, self.pieces.remove(&key).unwrap_or_default());
        assert!(have.iter().all(|p| p.fragment & 0x1fff != ip.fragment & 0x1fff), "sent twice: {frame:?}");
        have.push(ip);
        have.sort_by_key(|p| p.fragment & 0x1fff);
        let mut payload = Vec::new();
        let mut ended = false;
        for piece in &have {
            if usize::from(piece.fragment & 0x1fff) * 8 == payload.len() {
                payload.extend(&piece.payload);
                ended = piece.fragment & 0x2000 == 0;
            }
        }
        if !ended {
            self.pieces.insert(key, have);
            return;
        }
        let whole = super::frames::Ipv4 { tos, id: key.3, ..super::frames::Ipv4::new(key.0, key.1, key.2) };
        let bytes = ethernet(frame.dst(), frame.src(), 0x0800, &whole.packet(&payload));
        self.see_whole(&Frame { at: frame.at, bytes });
    }

    /// Nothing may be left in pieces.
    #[track_caller]
    pub fn finish(&self) {
        assert!(self.pieces.is_empty(), "datagrams that were sent in part: {:?}", self.pieces.keys());
        #[cfg(feature = "sim")]
        self.six.iter().for_each(Judge6::finish);
    }
}
