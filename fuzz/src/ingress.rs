//! The body: a script of frames through a worker on a simulated NIC.
//!
//! Whatever arrives: no panic; after every turn each packet that came is accounted for once, by the worker's counters,
//! by the device's and by the pool's; what is sent is what a correct host may send, read by code that shares nothing
//! with the host's. And what is sent must not depend on who verifies and fills in checksums, nor on the level of CPU.

use core::net::{Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

use pollcast::addr::{Cidr, Group, Ipv4Cidr, MacAddr, Prefix, Unicast, V4, V6};
use pollcast::engine::Counter;
use pollcast::engine::counters::{CounterPage, SocketPages};
use pollcast::engine::fragments::LIMITS;
use pollcast::engine::homes::Homes;
use pollcast::engine::message::{PuntReceivers, hand_over, inbox, punt_queues, to_services};
use pollcast::engine::rps::{Exit, Intake};
use pollcast::engine::uoa::{Exchange, UoaParts};
use pollcast::engine::worker::{Manner, Worker, WorkerParts, WorkerPort, WorkerService, WorkerSockets};
use pollcast::fastpath::Level;
use pollcast::io::{InterfaceId, PortId, Waker};
use pollcast::rng::Rng;
use pollcast::service::{Echo, EchoOptions};
use pollcast::sim::buf::{ROOM, SimBuf, SimPool};
use pollcast::sim::filter::Abilities;
use pollcast::sim::frames::{ArpFrame, Ethernet, IcmpFrame, IgmpMessage, Ipv4, UdpFrame, UdpSum};
use pollcast::sim::nic::{NicOptions, Reception, SimDevice, SimNic};
use pollcast::sim::offload::RxChecksum;
use pollcast::stack::groups::GroupTable;
use pollcast::stack::ingress::IngressOptions;
use pollcast::stack::interface::{Inet, Interface};
use pollcast::stack::membership::SourceFilter;
use pollcast::stack::port_table::{PortTable, Socket};
use pollcast::stack::reassembly::Limits;
use pollcast::stack::uoa::{TableLimits, Trusted};
use pollcast::time::Instant;

use super::script::Step;
use super::sent6::may_be_sent6;

/// The host's address.
pub const HOST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);

/// Its IPv6 address.
pub const HOST6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

/// Its link-local address.
pub const LOCAL6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 2);

/// Its Ethernet address.
pub const HOST_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

/// Buffers in the pool: fewer than rings and queues could hold.
const POOL: usize = 128;

/// Longer than a datagram in fragments may take.
const FRAGMENT_PATIENCE: Duration = Duration::from_secs(121);

/// The peer is a balancer, and the host remembers few of its clients, so that a few frames reach the bounds.
fn clients(exchange: Exchange) -> UoaParts {
    let trusted = Trusted::new(
        vec![Prefix::of(Ipv4Addr::new(198, 18, 0, 0), 28)],
        vec![Prefix::of(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 124)],
    );
    let limits = TableLimits { flows: 4, timeout: Duration::from_secs(10) };
    UoaParts { trusted, limits, exchange }
}

/// What may differ between two hosts that must send the same.
#[derive(Clone, Copy, Debug)]
pub struct Build {
    /// Who verifies checksums.
    pub rx_checksum: RxChecksum,
    /// Whether the device fills them in.
    pub tx_checksum: bool,
    /// The level of CPU that the fast path uses.
    pub level: Level,
}

impl Build {
    /// Everything in software, at this CPU's best level.
    #[must_use]
    pub fn plain() -> Self {
        Self { rx_checksum: RxChecksum::Unknown, tx_checksum: false, level: Level::detect() }
    }

    /// Hosts that must send what the plain one sends.
    #[must_use]
    pub fn alike() -> [Self; 4] {
        let plain = Self::plain();
        [
            Self { level: Level::BASELINE, ..plain },
            Self { rx_checksum: RxChecksum::Computed, ..plain },
            Self { rx_checksum: RxChecksum::AlwaysBad, ..plain },
            Self { rx_checksum: RxChecksum::Computed, tx_checksum: true, ..plain },
        ]
    }
}

/// A host: a worker, the wire before it, and control's ends of the queues behind it.
#[derive(Debug)]
pub struct Host {
    device: SimDevice,
    pool: SimPool,
    worker: Worker<SimNic>,
    punted: PuntReceivers<SimBuf>,
    now: Instant,
    punted_before: u64,
    /// What it sent, in order.
    pub sent: Vec<Vec<u8>>,
}

fn v4(a: u8, b: u8, c: u8, d: u8) -> Ipv4Addr {
    Ipv4Addr::new(a, b, c, d)
}

fn group_table() -> Arc<GroupTable<V4>> {
    let any = Group::new(v4(239, 1, 2, 3)).map(|group| (group, 0, SourceFilter::ANY));
    let sources = BTreeSet::from([v4(198, 18, 0, 1)]);
    let only = Group::new(v4(232, 1, 2, 3)).map(|group| (group, 0, SourceFilter::Include(sources)));
    Arc::new(GroupTable::new(1, any.into_iter().chain(only)))
}

fn group_table6() -> Arc<GroupTable<V6>> {
    let group = |last| Group::new(Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 1, 2, last));
    let any = group(3).map(|group| (group, 0, SourceFilter::ANY));
    Arc::new(GroupTable::new(1, any.into_iter()))
}

fn inet6() -> Inet<V6> {
    let cidr = |addr| Unicast::new(addr).and_then(|a| Cidr::new(a, 64)).expect("a host's address");
    Inet { groups: group_table6(), ..Inet::new(vec![cidr(HOST6), cidr(LOCAL6)]) }
}

fn interface(tx_udp_checksum: bool) -> Interface {
    let address = Unicast::new(HOST).and_then(|a| Ipv4Cidr::new(a, 24)).expect("a host's address");
    let mut interface = Interface::new(InterfaceId(0), HOST_MAC, 1500, vec![address]);
    interface.v4.groups = group_table();
    interface.v6 = inet6();
    interface.tx_udp_checksum = tx_udp_checksum;
    interface
}

impl Host {
    /// A host that has received nothing yet.
    #[must_use]
    pub fn new(build: Build) -> Self {
        let pool = SimPool::new(POOL, ROOM);
        let options = NicOptions {
            mac: HOST_MAC,
            rx_checksum: build.rx_checksum,
            tx_checksum: build.tx_checksum,
            filter: Abilities::none(),
            ..NicOptions::default()
        };
        let (device, queues, _port) = SimDevice::new(options, pool.clone());
        let (rx, tx) = queues.into_iter().next().expect("a pair of queues");
        let mut table = PortTable::new(1);
        // Two echoes share the port, and hear what is for many each for itself.
        for service in 0..2 {
            for local in [(Ipv4Addr::UNSPECIFIED, 7).into(), (Ipv6Addr::UNSPECIFIED, 7).into()] {
                let socket = Socket::new(InterfaceId(0), local, service);
                table.bind(Socket { reuse_address: true, ..socket }).expect("a shared place");
            }
        }
        let (punt, punted) = punt_queues(3);
        let echo = |id| WorkerService {
            id,
            manner: Manner::default(),
            service: Box::new(Echo::new(EchoOptions { answer_broadcast: true, ..EchoOptions::default() })),
        };
        let parts = WorkerParts {
            ports: vec![WorkerPort {
                id: PortId(0),
                rx: Intake::Queue(rx),
                tx: Exit::Queue(tx),
                interfaces: interface(build.tx_checksum).into(),
                owners: Vec::new(),
                page: CounterPage::default(),
            }],
            pool: pool.clone(),
            table,
            socket_pages: SocketPages::new(4),
            services: vec![echo(0), echo(1)],
            sockets: WorkerSockets::default(),
            homes: Homes::new(0, &vec![vec![0]; 4], &[], 1),
            to_services: to_services(&Waker::default()).1,
            inbox: inbox(&Waker::default()).1,
            handed_over: hand_over(&Waker::default()).1,
            punt,
            // Few enough for a few frames to reach the bounds.
            reassembly: Limits { fragments: 24, fragments_per_source: 16, ..LIMITS },
            burst: 32,
            level: build.level,
            ingress: IngressOptions::default(),
            uoa: Exchange::of([&Waker::default()]).pop().map(clients),
            rng: Rng::new(1),
        };
        let now = Instant::from_ns(1_000_000_000);
        let worker = Worker::new(now, parts);
        Self { device, pool, worker, punted, now, punted_before: 0, sent: Vec::new() }
    }

    /// Plays `steps`, and lets everything come to rest.
    pub fn play(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Frame(frame) => {
                    if self.device.receive(frame) == Reception::Missed {
                        self.turn();
                    }
                }
                Step::Turn => self.turn(),
                Step::Wait(ms) => {
                    self.plenty();
                    self.now += Duration::from_millis(u64::from(*ms));
                    self.turn();
                }
                Step::Stall => self.device.stall_tx(true),
                Step::Starve(0) => self.pool.set_exhausted(true),
                Step::Starve(left) => self.pool.fail_nth(u64::from(*left)),
            }
        }
        self.plenty();
        while self.device.rx_pending() > 0 {
            self.turn();
        }
        self.turn();
        // Fragments wait for their likes, and no longer than their time. The worker looks at some of them a turn.
        self.now += FRAGMENT_PATIENCE;
        for _ in 0..POOL {
            self.turn();
        }
        assert_eq!(self.pool.outstanding(), 0, "buffers are kept while nothing is on the way");
    }

    fn plenty(&mut self) {
        self.pool.set_exhausted(false);
        self.device.stall_tx(false);
    }

    /// One turn of the worker, and the balance after it.
    fn turn(&mut self) {
        self.worker.turn(self.now);
        let tally = self.worker.tally();
        let (came, went) = tally.balance();
        assert_eq!(came, went, "packets that came, and packets that went");
        let stats = self.device.stats();
        assert_eq!(
            tally.get(Counter::Rx) + self.device.rx_pending() as u64,
            stats.ipackets,
            "received by both counts"
        );
        let PuntReceivers { arp, ndp, igmp, mld, unresolved, .. } = &self.punted;
        let queued = arp.len() + ndp.len() + igmp.len() + mld.len() + unresolved.len();
        assert_eq!(tally.get(Counter::Punted) - self.punted_before, queued as u64, "punted by both counts");
        let fragments = tally.get(Counter::Held) - tally.get(Counter::Released);
        let held = self.device.rx_pending() + self.device.tx_pending() + queued;
        assert_eq!(
            self.pool.outstanding() as u64,
            held as u64 + fragments,
            "buffers out of the pool, and buffers in rings, in queues and held"
        );
        self.punted_before += queued as u64;
        let punted = &self.punted;
        while punted.arp.try_recv().is_ok()
            || punted.ndp.try_recv().is_ok()
            || punted.next_gmp::<V4>().is_some()
            || punted.next_gmp::<V6>().is_some()
            || punted.unresolved.try_recv().is_ok()
        {}
        while punted.paths.try_recv().is_ok() || punted.used.try_recv().is_ok() {}
        self.wire();
    }

    /// Takes what was sent off the device, and reads it.
    fn wire(&mut self) {
        while let Some(frame) = self.device.transmit() {
            if let Err(what) = may_be_sent(&frame) {
                panic!("sent, and {what}: {frame:02x?}");
            }
            self.sent.push(frame);
        }
    }

    /// How many packets took the fast path.
    #[must_use]
    pub fn fast(&self) -> u64 {
        self.worker.tally().get(Counter::FastPath)
    }
}

/// Whether this host may send `frame` when others only asked.
pub fn may_be_sent(frame: &[u8]) -> Result<(), &'static str> {
    // The reader knows one kind of tag; the other is answered alike.
    let mut frame = frame.to_vec();
    if frame.get(12..14) == Some(&[0x88, 0xa8]) {
        frame[12..14].copy_from_slice(&[0x81, 0x00]);
    }
    let (ethernet, packet) = Ethernet::read(&frame)?;
    if ethernet.ethertype == 0x86dd {
        return may_be_sent6(&frame);
    }
    let fail = |wrong: bool, what| if wrong { Err(what) } else { Ok(()) };
    fail(ethernet.source != HOST_MAC, "from another station's MAC")?;
    if ethernet.ethertype == 0x0806 {
        let arp = ArpFrame::read(&frame)?;
        return fail(arp.sender_mac != HOST_MAC || arp.sender != HOST, "ARP that speaks for another");
    }
    let (ip, payload, _) = Ipv4::read(packet)?;
    fail(ip.source != HOST, "from another host's address")?;
    if ip.protocol == 2 {
        return IgmpMessage::read(&frame).map(drop);
    }
    fail(ethernet.destination.is_group(), "an answer to a group's or everyone's MAC")?;
    let to = ip.destination;
    let nobody =
        to.is_multicast() || to.is_broadcast() || to.is_loopback() || to.is_unspecified() || to == HOST;
    fail(nobody || to == v4(198, 18, 0, 255), "an answer to no single host")?;
    fail(ip.ttl != 64, "a TTL that is not 64")?;
    if ip.fragment & 0x3fff != 0 {
        // RFC 791 3.1: a piece of an answer that was too long. The whole is judged by the tests that put it together.
        let odd = ip.fragment & 0x2000 != 0 && !payload.len().is_multiple_of(8);
        return fail(odd || ip.fragment & 0x4000 != 0, "a fragment of odd length, or not to be cut");
    }
    match ip.protocol {
        1 => {
            let icmp = IcmpFrame::read(&frame)?;
            let answers = matches!((icmp.kind, icmp.code), (0, _) | (3, 2 | 3) | (11, 1) | (12, 0) | (14, 0));
            fail(!answers, "ICMP that is no answer")?;
            fail(matches!(icmp.kind, 3 | 11 | 12) && quotes_an_error(&icmp.body), "an error about an error")
        }
        17 => {
            let udp = UdpFrame::read(&frame)?;
            fail(udp.sum != UdpSum::Right, "UDP without a sum")?;
            fail(udp.source.port() != 7 || udp.destination.port() == 0, "UDP from or to a wrong port")
        }
        _ => Err("of a protocol that is not spoken"),
    }
}

/// Whether what the body of an ICMP error quotes, four bytes into it, is an ICMP error itself (RFC 1122 3.2.2).
fn quotes_an_error(body: &[u8]) -> bool {
    let Some(packet) = body.get(4..) else { return false };
    let header_len = packet.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
    packet.get(9) == Some(&1) && packet.get(header_len).is_some_and(|kind| [3, 4, 5, 11, 12].contains(kind))
}

/// Plays `steps` on a plain host and on one that must do the same.
pub fn body(steps: &[Step]) {
    let mut plain = Host::new(Build::plain());
    plain.play(steps);
    let alike = Build::alike();
    let which =
        steps.len() + steps.iter().map(|s| if let Step::Frame(f) = s { f.len() } else { 1 }).sum::<usize>();
    let build = alike[which % alike.len()];
    let mut other = Host::new(build);
    other.play(steps);
    assert_eq!(plain.sent.len(), other.sent.len(), "the number of frames sent by {build:?}");
    for (plain, other) in plain.sent.iter().zip(&other.sent) {
        assert_eq!(plain, other, "a frame sent by {build:?}");
    }
    // Data known to be intact without a sum: other rules hold, the same account.
    Host::new(Build { rx_checksum: RxChecksum::None, ..Build::plain() }).play(steps);
}

/// The body for a fuzzer that knows only bytes.
pub fn fuzz_ingress(data: &[u8]) {
    body(&super::script::decode(data));
}
