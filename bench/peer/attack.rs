//! The attacks: one frame after the other, each from another made-up sender.

use core::str::FromStr;

use crate::frames::{BROADCAST, ECHO_PORT, HOST, HOST_MAC, Ip, Ipv4, Mac, ROUTED_PORT, Writer};

macro_rules! attacks {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal;)+) => {
        /// What is sent beside the good traffic.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Kind {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl FromStr for Kind {
            type Err = String;

            fn from_str(name: &str) -> Result<Self, String> {
                match name {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(format!("no attack is called {name}")),
                }
            }
        }
    };
}

attacks! {
    /// First fragments whose rest never comes, from 65,536 sources.
    FragmentsSpoofed = "fragments-spoofed";
    /// The same, all from one source.
    FragmentsOneSource = "fragments-one-source";
    /// Datagrams in crumbs of 8 bytes, every second of which is missing: as many holes as can be, in no order.
    FragmentsTiny = "fragments-tiny";
    /// ARP requests for our address, from senders all over the /16.
    ArpScan = "arp-scan";
    /// Gratuitous ARP requests from all over the /16.
    ArpGratuitous = "arp-gratuitous";
    /// ARP packets that claim our address.
    ArpConflict = "arp-conflict";
    /// Questions to the service that answers by its neighbours, from hosts of the /16 that do not exist.
    Unresolved = "unresolved";
    /// Datagrams to ports that nobody listens on.
    ClosedPort = "closed-port";
    /// Datagrams whose UDP or IPv4 checksum is wrong, in turns.
    BadChecksum = "bad-checksum";
    /// IPv4 options whose length cannot be.
    OptionLength = "option-length";
    /// "Fragmentation needed" and "port unreachable" about datagrams that we may have sent.
    IcmpErrors = "icmp-errors";
    /// IGMPv3 queries, general and of groups.
    IgmpQueries = "igmp-queries";
}

/// An attacker.
#[derive(Debug)]
pub(crate) struct Attack {
    kind: Kind,
    state: u64,
    /// Frames so far.
    count: u64,
}

/// Crumbs of one datagram; steps of 37, which has no factor in common with it, go round all of them.
const CRUMBS: u64 = 400;

impl Attack {
    pub(crate) const fn new(kind: Kind, seed: u64) -> Self {
        Self { kind, state: seed | 1, count: 0 }
    }

    /// xorshift64*: quick and even, and the same at every run.
    fn random(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// An address beyond a router.
    fn far(&mut self) -> Ip {
        let [a, b, ..] = self.random().to_be_bytes();
        [198, 19, a, b]
    }

    /// A host on our link: an address of the /16 that is not near the good host's, and a MAC address.
    fn near(&mut self) -> (Ip, Mac) {
        let [a, b, c, d, e, f, ..] = self.random().to_be_bytes();
        ([198, 18, a.max(1), b.clamp(1, 254)], [2, 1, c, d, e, f])
    }

    /// The next frame.
    pub(crate) fn frame(&mut self) -> Writer {
        self.count += 1;
        match self.kind {
            Kind::FragmentsSpoofed => {
                let src = self.far();
                self.fragment(src)
            }
            Kind::FragmentsOneSource => self.fragment([198, 19, 7, 7]),
            Kind::FragmentsTiny => self.crumb(),
            Kind::ArpScan => {
                let (ip, mac) = self.near();
                arp(ip, mac, HOST)
            }
            Kind::ArpGratuitous => {
                let (ip, mac) = self.near();
                arp(ip, mac, ip)
            }
            Kind::ArpConflict => {
                let (_, mac) = self.near();
                arp(HOST, mac, HOST)
            }
            Kind::Unresolved => {
                let (src, mac) = self.near();
                let mut frame = Writer::new(HOST_MAC, mac, [8, 0]);
                frame.ipv4(Ipv4::udp(src, 26)).udp((src, 0x9000), (HOST, ROUTED_PORT), &[7; 18]);
                frame
            }
            Kind::ClosedPort => {
                let port = 1024 + self.port() % 60_000;
                self.datagram(port)
            }
            Kind::BadChecksum => {
                let mut frame = self.datagram(ECHO_PORT);
                // A byte of the payload, or of the TTL.
                let at = if self.random().is_multiple_of(2) { 50 } else { 22 };
                frame.flip(at);
                frame
            }
            Kind::OptionLength => self.option_length(),
            Kind::IcmpErrors => self.icmp_error(),
            Kind::IgmpQueries => self.igmp_query(),
        }
    }

    fn port(&mut self) -> u16 {
        let [a, b, ..] = self.random().to_be_bytes();
        u16::from_be_bytes([a, b])
    }

    fn fragment(&mut self, src: Ip) -> Writer {
        let id = self.port();
        let mut frame = Writer::new(HOST_MAC, [2, 1, 0, 0, 0, 1], [8, 0]);
        frame
            .ipv4(Ipv4 { id, fragment: 0x2000, ..Ipv4::udp(src, 24) })
            // A UDP header that promises 1,400 bytes, and the first sixteen of them.
            .add(&[0x30, 0x39, 0, 7, 5, 0x78, 0, 0])
            .add(&[7; 16]);
        frame
    }

    fn crumb(&self) -> Writer {
        let [.., a, b] = (self.count / CRUMBS).to_be_bytes();
        let place = u16::try_from(2 + self.count * 37 % CRUMBS * 2).unwrap_or(0);
        let mut frame = Writer::new(HOST_MAC, [2, 1, 0, 0, 0, 1], [8, 0]);
        frame.ipv4(Ipv4 { fragment: 0x2000 | place, ..Ipv4::udp([198, 19, a, b], 8) }).add(&[7; 8]);
        frame
    }

    fn datagram(&mut self, to: u16) -> Writer {
        let (src, port) = (self.far(), self.port() | 0x8000);
        let mut frame = Writer::new(HOST_MAC, [2, 1, 0, 0, 0, 1], [8, 0]);
        frame.ipv4(Ipv4::udp(src, 26)).udp((src, port), (HOST, to), &[7; 18]);
        frame
    }

    fn option_length(&mut self) -> Writer {
        let [kind, len, place, ..] = self.random().to_be_bytes();
        // NOPs, and somewhere among them an option with no length, half a length, or one beyond the header's end.
        let mut options = [1; 40];
        let place = usize::from(place % 36);
        let kinds = [7, 68, 130, 148];
        options[place] = kinds[usize::from(kind) % kinds.len()];
        options[place + 1] = [0, 1, 41, 255][usize::from(len) % 4];
        let src = self.far();
        let mut frame = Writer::new(HOST_MAC, [2, 1, 0, 0, 0, 1], [8, 0]);
        frame.ipv4(Ipv4 { options: &options, ..Ipv4::udp(src, 26) }).udp(
            (src, 0x9000),
            (HOST, ECHO_PORT),
            &[7; 18],
        );
        frame
    }

    fn icmp_error(&mut self) -> Writer {
        let (router, peer, port) = (self.far(), self.far(), self.port() | 0x8000);
        let [kind, mtu, ..] = self.random().to_be_bytes();
        // A path MTU that may be: 1,024 to 1,279.
        let head = if kind < 128 { [3, 4, 0, 0, 0, 0, 4, mtu] } else { [3, 3, 0, 0, 0, 0, 0, 0] };
        let mut frame = Writer::new(HOST_MAC, [2, 1, 0, 0, 0, 1], [8, 0]);
        frame.ipv4(Ipv4 { protocol: 1, ..Ipv4::udp(router, 8 + 20 + 8) });
        let start = frame.len();
        // The datagram in question: an answer of the echo service, of 1,500 bytes.
        frame.add(&head).ipv4(Ipv4 { src: HOST, dst: peer, ..Ipv4::udp(HOST, 1480) });
        frame
            .add(&ECHO_PORT.to_be_bytes())
            .add(&port.to_be_bytes())
            .add(&1480_u16.to_be_bytes())
            .add(&[1, 2]);
        frame.sum_from(start, start + 2);
        frame
    }

    fn igmp_query(&mut self) -> Writer {
        let (src, mac) = self.near();
        let general = self.random().is_multiple_of(2);
        let group = if general { [0; 4] } else { [239, 1, 2, 3] };
        let dst = if general { [224, 0, 0, 1] } else { group };
        let to = [1, 0, 0x5e, dst[1] & 0x7f, dst[2], dst[3]];
        let mut frame = Writer::new(to, mac, [8, 0]);
        frame.ipv4(Ipv4 { dst, protocol: 2, ttl: 1, options: &[0x94, 4, 0, 0], ..Ipv4::udp(src, 12) });
        let start = frame.len();
        let [response, ..] = self.random().to_be_bytes();
        frame.add(&[0x11, response, 0, 0]).add(&group).add(&[2, 125, 0, 0]).sum_from(start, start + 2);
        frame
    }
}

fn arp(sender: Ip, mac: Mac, target: Ip) -> Writer {
    let mut frame = Writer::new(BROADCAST, mac, [8, 6]);
    frame.add(&[0, 1, 8, 0, 6, 4, 0, 1]).add(&mac).add(&sender).add(&[0; 6]).add(&target);
    frame
}
