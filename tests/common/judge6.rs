//! What the host may send over IPv6 when others only asked, as [`judge`](super::judge) has it for IPv4.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use pollcast::addr::MacAddr;
use pollcast::sim::frames::fragment6::join6;
use pollcast::sim::frames::{Extension, IcmpFrame6, Ipv6, MldMessage, NdpFrame, NdpMessage, UdpFrame6};

/// Judges the frames of one host, fragments together.
#[derive(Debug)]
pub struct Judge6 {
    mac: MacAddr,
    own: Vec<Ipv6Addr>,
    /// Fragments whose datagram is not complete yet.
    pieces: BTreeMap<(Ipv6Addr, Ipv6Addr, u32), Vec<Vec<u8>>>,
}

impl Judge6 {
    /// Of the host with these addresses.
    pub fn new(mac: [u8; 6], own: &[Ipv6Addr]) -> Self {
        Self { mac: MacAddr(mac), own: own.to_vec(), pieces: BTreeMap::new() }
    }

    /// Judges one untagged frame more. Returns what it is.
    #[track_caller]
    pub fn see(&mut self, frame: &[u8]) -> &'static str {
        let (ethernet, ip, _) = Ipv6::read_frame(frame).unwrap_or_else(|why| panic!("{why}: {frame:02x?}"));
        assert_eq!(ethernet.source, self.mac, "from another station's MAC: {frame:02x?}");
        let ours = self.own.contains(&ip.source) || ip.source.is_unspecified();
        assert!(ours, "I21: from an address that is not ours: {frame:02x?}");
        match (ip.extensions.last(), ip.next_header) {
            (Some(Extension::Fragment { id, .. }), _) => self.piece(frame, &ip, *id),
            (_, 17) => self.datagram(frame, &ip),
            (_, 58) => self.message(frame),
            _ => panic!("of a protocol that is not spoken: {frame:02x?}"),
        }
    }

    fn is_one_host(&self, ip: Ipv6Addr) -> bool {
        !(ip.is_multicast() || ip.is_unspecified() || ip.is_loopback() || self.own.contains(&ip))
    }

    #[track_caller]
    fn datagram(&self, frame: &[u8], ip: &Ipv6) -> &'static str {
        let udp = UdpFrame6::read(frame).unwrap_or_else(|why| panic!("{why}: {frame:02x?}"));
        assert!(self.is_one_host(ip.destination), "an answer to no single host: {frame:02x?}");
        assert!(!udp.destination_mac.is_group(), "an answer in a frame for many: {frame:02x?}");
        assert!(ip.extensions.is_empty(), "V13: {frame:02x?}");
        let (from, to) = (udp.source.port(), udp.destination.port());
        assert!(from == 7 && to != 0 && to != 7, "X02: from or to a wrong port: {frame:02x?}");
        "echo6"
    }

    #[track_caller]
    fn message(&self, frame: &[u8]) -> &'static str {
        let icmp = IcmpFrame6::read(frame).unwrap_or_else(|why| panic!("{why}: {frame:02x?}"));
        let broken = |why| panic!("{why}: {frame:02x?}");
        if let Some(said) = MldMessage::read(frame).unwrap_or_else(broken) {
            return if matches!(said, MldMessage::Done(_)) { "mld done" } else { "mld report" };
        }
        if let Some(ndp) = NdpFrame::read(frame).unwrap_or_else(|why| panic!("{why}: {frame:02x?}")) {
            return match ndp.message {
                NdpMessage::NeighborSolicitation { .. } => "solicitation",
                NdpMessage::NeighborAdvertisement { target, router, .. } => {
                    assert!(
                        self.own.contains(&target) && !router,
                        "N03: it speaks for another: {frame:02x?}"
                    );
                    "advertisement"
                }
                NdpMessage::RouterSolicitation => "router solicitation",
                _ => panic!("a host that speaks as a router: {frame:02x?}"),
            };
        }
        assert!(self.is_one_host(icmp.ip.destination), "an answer to no single host: {frame:02x?}");
        assert!(!icmp.destination_mac.is_group(), "an answer in a frame for many: {frame:02x?}");
        assert!(icmp.ip.extensions.is_empty() && icmp.ip.hop_limit == 64, "V13: {frame:02x?}");
        let what = match (icmp.kind, icmp.code) {
            (129, _) => return "icmp6 129",
            (1, 4) => "icmp6 1/4",
            (3, 1) => "icmp6 3/1",
            (4, 0) => "icmp6 4/0",
            (4, 1) => "icmp6 4/1",
            (4, 2) => "icmp6 4/2",
            (4, 3) => "icmp6 4/3",
            _ => panic!("ICMPv6 that is no answer: {frame:02x?}"),
        };
        self.quoted(frame, &icmp.as_error().expect("an error").quote, what);
        what
    }

    /// K02, K03, RFC 4443 2.4: as much of the packet as fits, from one host, which is told, and no error itself; to us, or to a
    /// group if that alone is what may be.
    #[track_caller]
    fn quoted(&self, frame: &[u8], quote: &[u8], what: &str) {
        assert!(quote.len() >= 40, "K02: it quotes no header: {frame:02x?}");
        let at = |n: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&quote[n..n + 16]).unwrap());
        assert_eq!(frame[38..54], quote[8..24], "K03: another than the sender is told: {frame:02x?}");
        let to = at(24);
        assert!(self.own.contains(&to) || to.is_multicast() && what == "icmp6 4/2", "K03: {frame:02x?}");
        assert!(quote[6] != 58 || quote.get(40).is_none_or(|kind| *kind >= 128), "K03: {frame:02x?}");
        let len = 40 + usize::from(u16::from_be_bytes([quote[4], quote[5]]));
        assert_eq!(quote.len(), len.min(1280 - 48), "K02: {frame:02x?}");
    }

    /// W10, W13, RFC 8200 4.5; the whole is judged when it is there.
    #[track_caller]
    fn piece(&mut self, frame: &[u8], ip: &Ipv6, id: u32) -> &'static str {
        let key = (ip.source, ip.destination, id);
        let pieces = self.pieces.entry(key).or_default();
        pieces.push(frame.to_vec());
        let Some(Extension::Fragment { more: false, .. }) = ip.extensions.last() else { return "fragment6" };
        // A host sends them in order: RFC 8200 asks for none of it, but whoever sends one does.
        let pieces = self.pieces.remove(&key).expect("this one at least");
        let whole = join6(&pieces).unwrap_or_else(|why| panic!("{why}: {pieces:02x?}"));
        self.see(&whole)
    }

    /// Nothing may be left in pieces.
    #[track_caller]
    pub fn finish(&self) {
        assert!(self.pieces.is_empty(), "datagrams that were sent in part: {:?}", self.pieces.keys());
    }
}
