//! Services that send, keep and relay, in a whole host. The simulator asserts after every turn that no packet is lost or counted
//! twice.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pollcast::io::{DropReason, InterfaceId, PacketBuf};
use pollcast::service::{
    Cx, Datagram, IcmpError, IcmpErrorKind, Kept, Relay, RelayOptions, SendError, SendOptions, Service,
};
use pollcast::sim::buf::SimBuf;
use pollcast::sim::frames::UdpFrame;
use pollcast::sim::frames::fragment::join;
use pollcast::sim::setup::{PortOptions, ServiceOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::stack::membership::SourceFilter;

const PEER: &str = "198.18.0.1:4000";
const OWN: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);

/// What a service is to send when it hears "go".
type Order = (Vec<u8>, SocketAddr, SendOptions);

#[derive(Default)]
struct Log {
    orders: Vec<Order>,
    results: Vec<Result<(), SendError>>,
    heard: Vec<(SocketAddr, SocketAddr, Vec<u8>, u8, u8)>,
    errors: Vec<IcmpErrorKind>,
    kept: Arc<AtomicUsize>,
}

type Shared = Arc<Mutex<Log>>;

/// Sends what it is ordered to when it hears "go", answers "ask" at once, in capitals, and "later" after a second, and writes all else down.
struct Agent {
    log: Shared,
    kept: Vec<Kept<SimBuf>>,
}

impl Service<SimBuf> for Agent {
    fn datagrams(&mut self, cx: &mut Cx<'_, SimBuf>, burst: &mut [Datagram<SimBuf>]) {
        let mut log = self.log.lock().unwrap();
        for datagram in burst {
            assert!(!datagram.is_truncated() && datagram.received_at() <= cx.now);
            match datagram.payload() {
                b"go" => {
                    for (payload, to, options) in core::mem::take(&mut log.orders) {
                        let sent = cx.message_of(&payload).and_then(|m| cx.send(m, to, &options));
                        log.results.push(sent);
                    }
                }
                b"ask" => {
                    datagram.payload_mut().unwrap().make_ascii_uppercase();
                    datagram.reply();
                }
                b"later" => {
                    self.kept.extend(datagram.keep());
                    log.kept.fetch_add(1, Ordering::Relaxed);
                    assert!(datagram.keep().is_none() && datagram.payload().is_empty());
                    cx.set_timer(cx.now + Duration::from_secs(1));
                }
                _ => {}
            }
            let (from, to) = (datagram.source(), datagram.destination());
            log.heard.push((from, to, datagram.payload().to_vec(), datagram.ttl(), datagram.tos()));
        }
    }

    fn timer(&mut self, cx: &mut Cx<'_, SimBuf>) {
        self.log.lock().unwrap().kept.store(0, Ordering::Relaxed);
        for mut kept in self.kept.drain(..) {
            kept.payload_mut().unwrap().make_ascii_uppercase();
            cx.reply(kept).unwrap();
        }
    }

    fn icmp_error(&mut self, _cx: &mut Cx<'_, SimBuf>, error: &IcmpError) {
        self.log.lock().unwrap().errors.push(error.kind);
    }
}

fn agent(listen: &str, workers: &[usize]) -> (ServiceOptions, Shared) {
    let log = Shared::default();
    let its = Arc::clone(&log);
    let options = ServiceOptions {
        name: listen.to_owned(),
        factory: Box::new(move || Box::new(Agent { log: Arc::clone(&its), kept: Vec::new() })),
        listen: vec![listen.parse().unwrap()],
        workers: workers.to_vec(),
        reuse_address: true,
        ..ServiceOptions::echo()
    };
    (options, log)
}

fn world(seed: u64, workers: u16, services: Vec<ServiceOptions>) -> World {
    let port = PortOptions {
        stations: vec![Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 18, 0, 9)],
        ..PortOptions::new(0)
    };
    let options = WorldOptions { ports: vec![port], services, workers, large: 16, ..WorldOptions::default() };
    let mut world = World::new(seed, &options);
    world.run_for(Duration::from_secs(5));
    world.take_sent(0);
    world
}

/// The host's service on UDP port 5000 carries `orders` out. Returns what came of it, and the frames on the wire.
fn carry_out(
    world: &mut World,
    log: &Shared,
    orders: &[(&[u8], &str, SendOptions)],
) -> (Vec<Result<(), SendError>>, Vec<Vec<u8>>) {
    log.lock().unwrap().orders =
        orders.iter().map(|(p, to, o)| (p.to_vec(), to.parse().unwrap(), *o)).collect();
    world.inject(0, &UdpFrame::new(PEER, "198.18.0.2:5000", b"go").frame());
    world.run_for(Duration::from_millis(50));
    let frames = world.take_sent(0);
    let results = core::mem::take(&mut log.lock().unwrap().results);
    (
        results,
        frames.into_iter().filter(|f| UdpFrame::read(f).is_ok() || f.get(12..14) == Some(&[8, 0])).collect(),
    )
}

fn heard(log: &Shared) -> Vec<Vec<u8>> {
    let mut heard: Vec<_> =
        core::mem::take(&mut log.lock().unwrap().heard).into_iter().map(|h| h.2).collect();
    heard.retain(|payload| payload != b"go");
    heard
}

// U27, RFC 1112 6.1: one hop to a group, the interface's to a host; both as their sender says otherwise. By a neighbour that is
// asked for, from the service's own port.
#[test]
fn a_service_sends_to_hosts_and_groups() {
    let (service, log) = agent("0.0.0.0:5000", &[]);
    let mut world = world(1, 1, vec![service]);
    let chosen = SendOptions { ttl: Some(9), tos: 0x28, ..SendOptions::default() };
    let orders = [
        (b"host".as_slice(), "198.18.0.9:6000", SendOptions::default()),
        (b"group", "239.9.9.9:6000", SendOptions::default()),
        (b"chosen", "239.9.9.9:6000", chosen),
        (b"everyone", "198.18.0.255:6000", chosen),
        (b"", "198.18.0.9:6001", SendOptions { checksum: false, ..chosen }),
    ];
    let (results, frames) = carry_out(&mut world, &log, &orders);
    assert_eq!(results, [Ok(()); 5]);
    let mut sent: Vec<_> = frames
        .iter()
        .map(|f| UdpFrame::read(f).expect("UDP"))
        .map(|f| {
            assert_eq!(f.source, "198.18.0.2:5000".parse().unwrap());
            (f.payload, f.destination.to_string(), f.ttl, f.tos)
        })
        .collect();
    sent.sort();
    let want = [
        (&b""[..], "198.18.0.9:6001", 9, 0x28),
        (b"chosen", "239.9.9.9:6000", 9, 0x28),
        (b"everyone", "198.18.0.255:6000", 9, 0x28),
        (b"group", "239.9.9.9:6000", 1, 0),
        (b"host", "198.18.0.9:6000", 64, 0),
    ];
    assert_eq!(sent, want.map(|(p, to, ttl, tos)| (p.to_vec(), to.to_owned(), ttl, tos)));
}

// What cannot be sent is told, each by its reason; U24: too long for a datagram, or for the path.
#[test]
fn what_is_refused_is_told() {
    let (service, log) = agent("0.0.0.0:5000", &[]);
    let mut world = world(2, 1, vec![service]);
    let base = SendOptions::default();
    let long = vec![1; 65_508];
    let orders = [
        (b"x".as_slice(), "192.0.2.1:6000", base),
        (b"x", "127.0.0.1:6000", base),
        (b"x", "198.18.0.9:0", base),
        (b"x", "[2001:db8::9]:6000", base),
        (b"x", "198.18.0.9:6000", SendOptions { source: Some("198.18.0.77".parse().unwrap()), ..base }),
        (b"x", "198.18.0.9:6000", SendOptions { interface: Some(InterfaceId(9)), ..base }),
        (b"x", "198.18.0.9:6000", SendOptions { socket: Some(77), ..base }),
        (long.as_slice(), "198.18.0.9:6000", base),
        (
            &long[..2000],
            "198.18.0.9:6000",
            SendOptions { discovery: Some(pollcast::io::PmtuDiscovery::Do), ..base },
        ),
        (b"x", "198.18.0.9:6000", SendOptions { ttl: Some(0), ..base }),
    ];
    let (results, frames) = carry_out(&mut world, &log, &orders);
    let want = [
        SendError::NetworkUnreachable,
        SendError::NetworkUnreachable,
        SendError::DestinationInvalid,
        SendError::NetworkUnreachable,
        SendError::AddressNotAvailable,
        SendError::NoInterface,
        SendError::NoSocket,
        SendError::TooBig { max: 65_507 },
        SendError::TooBig { max: 1472 },
        SendError::DestinationInvalid,
    ];
    assert_eq!(results, want.map(Err));
    assert!(frames.is_empty());
}

// F19: what goes to a group is cut as what goes to a host, and its copy here is whole. U28.
#[test]
fn a_long_datagram_leaves_in_fragments_and_loops_back_whole() {
    let (sender, log) = agent("0.0.0.0:5000", &[]);
    let (member, member_log) = agent("0.0.0.0:6000", &[]);
    let mut world = world(3, 1, vec![sender, member.joining(GROUP, &[])]);
    let long: Vec<u8> = (0..5000u32).map(|n| n.to_le_bytes()[0]).collect();
    let orders = [
        (long.as_slice(), "239.1.2.3:6000", SendOptions::default()),
        (&long[..3000], "198.18.0.9:6000", SendOptions::default()),
    ];
    let (results, frames) = carry_out(&mut world, &log, &orders);
    assert_eq!(results, [Ok(()); 2]);
    for (to, len) in [("239.1.2.3:6000", 5000), ("198.18.0.9:6000", 3000)] {
        let to: std::net::SocketAddrV4 = to.parse().unwrap();
        let its: Vec<_> = frames.iter().filter(|f| f[30..34] == to.ip().octets()).cloned().collect();
        let whole = UdpFrame::read(&join(&its).expect("fragments of one")).expect("UDP");
        assert_eq!((whole.payload.as_slice(), whole.destination), (&long[..len], to));
    }
    assert_eq!(heard(&member_log), [long]);
}

// U27, U28, RFC 1112 7.1: members on the sending interface hear it, unless they or their sender do not want to; with no time to
// live it never leaves; U13: each on its own worker, whichever sends.
#[test]
fn members_here_hear_what_goes_to_their_group() {
    let own_only = |filter: SourceFilter<_>, log: (ServiceOptions, Shared)| {
        (log.0.wanting(InterfaceId(0), GROUP, filter), log.1)
    };
    for workers in [1, 3] {
        let (sender, log) = agent("0.0.0.0:5000", &[]);
        let (any, any_log) = own_only(SourceFilter::ANY, agent("0.0.0.0:6000", &[]));
        let without_us = SourceFilter::Exclude([OWN].into());
        let (deaf, deaf_log) = own_only(without_us, agent("0.0.0.0:6000", &[]));
        let us_alone = SourceFilter::Include([OWN].into());
        let elsewhere: &[usize] = if workers == 3 { &[2] } else { &[] };
        let (ours, ours_log) = own_only(us_alone, agent("0.0.0.0:6000", elsewhere));
        let mut world = world(4, workers, vec![sender, any, deaf, ours]);
        let orders = [
            (b"one".as_slice(), "239.1.2.3:6000", SendOptions::default()),
            (b"silent", "239.1.2.3:6000", SendOptions { loopback: false, ..SendOptions::default() }),
            (b"inside", "239.1.2.3:6000", SendOptions { ttl: Some(0), ..SendOptions::default() }),
            (b"nobody's", "239.9.9.9:6000", SendOptions::default()),
        ];
        let (results, frames) = carry_out(&mut world, &log, &orders);
        assert_eq!(results, [Ok(()); 4]);
        let wire: Vec<_> = frames.iter().map(|f| UdpFrame::read(f).unwrap().payload).collect();
        assert_eq!(wire, [&b"one"[..], b"silent", b"nobody's"]);
        assert_eq!(heard(&any_log), [&b"one"[..], b"inside"]);
        assert_eq!(heard(&ours_log), [&b"one"[..], b"inside"]);
        assert!(heard(&deaf_log).is_empty());
        // A switch that reflects it brings nobody a second copy.
        let reflected = UdpFrame::new("198.18.0.2:5000", "239.1.2.3:6000", b"one").frame();
        world.inject(0, &reflected);
        world.settle();
        assert!(
            heard(&any_log).is_empty()
                && world.drops(DropReason::Ipv4SourceOwn) + world.drops(DropReason::EthernetSourceOwn) == 1
        );
    }
}

// Linux's lo: what goes to our own address is here at once, with all that it has, and its answer comes back the same way.
#[test]
fn what_goes_to_our_own_address_never_leaves() {
    for workers in [1, 2] {
        let (sender, log) = agent("0.0.0.0:5000", &[]);
        let (other, other_log) = agent("0.0.0.0:6000", if workers == 2 { &[1] } else { &[] });
        let mut world = world(5, workers, vec![sender, other]);
        let long = vec![5; 40_000];
        let options = SendOptions { ttl: Some(3), tos: 0xb8, ..SendOptions::default() };
        let orders = [
            (b"ask".as_slice(), "198.18.0.2:6000", options),
            (long.as_slice(), "198.18.0.2:6000", options),
            (b"closed", "198.18.0.2:6001", options),
        ];
        let (results, frames) = carry_out(&mut world, &log, &orders);
        assert_eq!((results, frames.len()), (vec![Ok(()); 3], 0));
        let own = |port| SocketAddr::from((OWN, port));
        let heard = core::mem::take(&mut other_log.lock().unwrap().heard);
        let want = [(own(5000), own(6000), b"ASK".to_vec(), 3, 0xb8), (own(5000), own(6000), long, 3, 0xb8)];
        assert!(
            heard == want,
            "{:?}",
            heard.iter().map(|h| (h.0, h.1, h.2.len(), h.3, h.4)).collect::<Vec<_>>()
        );
        let answered = log.lock().unwrap().heard.iter().any(|h| (h.0, h.2.as_slice()) == (own(6000), b"ASK"));
        assert!(answered, "the answer is one to us");
        assert_eq!(log.lock().unwrap().errors, [IcmpErrorKind::PortUnreachable]);
    }
}

// Kept for a second, changed, and answered by its timer; what was asked for meanwhile is not held up.
#[test]
fn what_is_kept_is_answered_later() {
    let (service, log) = agent("0.0.0.0:5000", &[]);
    let mut world = world(6, 1, vec![service]);
    world.count_kept(Arc::clone(&log.lock().unwrap().kept));
    world.inject(0, &UdpFrame::new(PEER, "198.18.0.2:5000", b"later").frame());
    world.inject(0, &UdpFrame::new(PEER, "198.18.0.2:5000", b"ask").frame());
    world.run_for(Duration::from_millis(500));
    let payloads = |world: &mut World| -> Vec<_> {
        world.take_sent(0).iter().filter_map(|f| UdpFrame::read(f).ok()).map(|f| f.payload).collect()
    };
    assert_eq!(payloads(&mut world), [b"ASK"]);
    world.run_for(Duration::from_secs(1));
    assert_eq!(payloads(&mut world), [b"LATER"]);
}

// Any number in one call: more than a transmit burst and than the ring's share of a turn.
#[test]
fn more_than_a_burst_leaves_in_one_call() {
    let (service, log) = agent("0.0.0.0:5000", &[]);
    let mut world = world(7, 1, vec![service]);
    let orders: Vec<_> = (0..200).map(|_| (&b"many"[..], "239.9.9.9:6000", SendOptions::default())).collect();
    let (results, frames) = carry_out(&mut world, &log, &orders);
    assert!(results.iter().all(Result::is_ok) && results.len() == 200);
    assert_eq!(frames.len(), 200);
}

// The relay: a group to hosts and groups, from its own port; nothing to where it came from, nothing of its own.
#[test]
fn a_relay_sends_on_and_never_back() {
    let destinations: Vec<SocketAddr> =
        ["198.18.0.9:7000", "239.7.7.7:7000", "239.1.2.3:5000"].map(|s| s.parse().unwrap()).to_vec();
    let options = RelayOptions { destinations, ttl: Some(5) };
    let relay = ServiceOptions {
        name: "relay".to_owned(),
        factory: Box::new(move || Box::new(Relay::new(options.clone()))),
        listen: vec!["0.0.0.0:5000".parse().unwrap()],
        ..ServiceOptions::echo()
    };
    let mut world = world(8, 1, vec![relay.joining(GROUP, &[])]);
    let mut sent = |from: &str, to: &str, payload: &[u8]| -> Vec<(String, String, u8)> {
        world.inject(0, &UdpFrame::new(from, to, payload).frame());
        world.run_for(Duration::from_millis(50));
        let frames = world.take_sent(0);
        let mut all: Vec<_> = frames
            .iter()
            .filter_map(|f| UdpFrame::read(f).ok())
            .map(|f| {
                assert_eq!(f.payload, payload);
                (f.source.to_string(), f.destination.to_string(), f.ttl)
            })
            .collect();
        all.sort();
        all
    };
    let own = "198.18.0.2:5000".to_owned();
    let both =
        [(own.clone(), "198.18.0.9:7000".to_owned(), 5), (own.clone(), "239.7.7.7:7000".to_owned(), 5)];
    assert_eq!(sent(PEER, "239.1.2.3:5000", b"news"), both);
    assert_eq!(sent(PEER, "239.1.2.3:5000", &[3; 1400]), both);
    let third = (own, "239.1.2.3:5000".to_owned(), 5);
    let mut want = vec![third, both[1].clone()];
    want.sort();
    assert_eq!(sent("198.18.0.9:7000", "198.18.0.2:5000", b"x"), want);
}

/// Whoever names a buffer's world generically can be one, too.
#[test]
fn services_are_generic_over_the_world() {
    fn is_service<B: PacketBuf, S: Service<B>>(_: &S) {}
    is_service::<SimBuf, _>(&pollcast::service::Discard);
}
