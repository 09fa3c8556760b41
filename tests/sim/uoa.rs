//! The real clients behind balancers, through the whole host: named in packets, remembered for flows, told to services, never
//! answered. The simulator asserts after every turn that no packet is lost or counted twice.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::sync::{Arc, Mutex};

use pollcast::addr::{Cidr, Group, Prefix, Unicast};
use pollcast::engine::Counter;
use pollcast::io::{Addressing6, DropReason, InterfaceId, LinkLocal, PacketBuf};
use pollcast::rng::Rng;
use pollcast::service::{Cx, Datagram, EchoOptions, Service};
use pollcast::sim::buf::SimBuf;
use pollcast::sim::filter::Abilities;
use pollcast::sim::frames::fragment::{cut, cut_evenly, join};
use pollcast::sim::frames::fragment6::cut6_evenly;
use pollcast::sim::frames::ipv6::mac_for6;
use pollcast::sim::frames::{Carrier, IcmpFrame, UdpFrame, UdpFrame6, UdpSum, UoaFrame, uoa_option};
use pollcast::sim::nic::{NicOptions, Reception};
use pollcast::sim::offload::RxChecksum;
use pollcast::sim::setup::{PortOptions, ServiceOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::socket::RecvFlags;
use pollcast::stack::membership::SourceFilter;
use pollcast::stack::uoa::{TableLimits, Trusted};

const OWN: &str = "198.18.0.2:7";
const OWN6: &str = "[2001:db8::2]:7";
const BALANCER: &str = "198.18.0.1:4000";
const BALANCER6: &str = "[2001:db8::1]:4000";
const STRANGER: &str = "198.18.0.9:4000";
const CLIENT: &str = "203.0.113.9:8080";
const CLIENT6: &str = "[2001:db8:9::9]:8080";
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);

/// What a service was told of each datagram: from whom, the real client, the payload.
type Seen = Arc<Mutex<Vec<(SocketAddr, Option<SocketAddr>, Vec<u8>)>>>;

/// Remembers what it is told, and answers.
struct Witness {
    seen: Seen,
    /// Whether it changes payloads: then it gets copies of its own.
    writes: bool,
}

impl<B: PacketBuf> Service<B> for Witness {
    fn writes_payloads(&self) -> bool {
        self.writes
    }

    fn datagrams(&mut self, _cx: &mut Cx<'_, B>, burst: &mut [Datagram<B>]) {
        for datagram in burst {
            let saw = (datagram.source(), datagram.real_client(), datagram.payload().to_vec());
            self.seen.lock().unwrap().push(saw);
            if self.writes
                && let Some(payload) = datagram.payload_mut()
            {
                payload.make_ascii_uppercase();
            }
            datagram.reply();
        }
    }
}

/// A service at port 7 of every address that lives on these workers.
fn service(name: &str, writes: bool, workers: &[usize]) -> (ServiceOptions, Seen) {
    let seen = Seen::default();
    let saw = Arc::clone(&seen);
    let factory =
        move || -> Box<dyn Service<SimBuf>> { Box::new(Witness { seen: Arc::clone(&saw), writes }) };
    let options = ServiceOptions {
        name: name.into(),
        factory: Box::new(factory),
        workers: workers.to_vec(),
        reuse_address: true,
        ..ServiceOptions::echo()
    };
    (options.dual_stack(), seen)
}

fn trusted() -> Trusted {
    let v4 = Prefix::new(Ipv4Addr::new(198, 18, 0, 0), 29).unwrap();
    let v6 = Prefix::new(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 126).unwrap();
    Trusted::new(vec![v4], vec![v6])
}

const LIMITS: TableLimits = TableLimits { flows: 16, timeout: Duration::from_secs(360) };

fn options(services: Vec<ServiceOptions>) -> WorldOptions {
    let unicast = |addr: &str| Unicast::new(addr.parse().unwrap()).unwrap();
    let addressing6 = Some(Addressing6 {
        link_local: LinkLocal::Addr(unicast("fe80::2")),
        statics: vec![Cidr::new(unicast("2001:db8::2"), 64).unwrap()],
        router_discovery: false,
        ..Addressing6::new()
    });
    let port = PortOptions { stations: vec!["198.18.0.1".parse().unwrap()], ..PortOptions::new(0) };
    let nic = NicOptions { filter: Abilities::none(), ..port.nic.clone() };
    let ports = vec![PortOptions { nic, addressing6, ..port }];
    WorldOptions { ports, services, uoa: Some((trusted(), LIMITS)), ..WorldOptions::default() }
}

fn started(seed: u64, options: &WorldOptions) -> World {
    let mut world = World::new(seed, options);
    world.run_for(Duration::from_secs(5));
    world.take_sent(0);
    world
}

/// A host with one service.
fn world(seed: u64) -> (World, Seen) {
    let (service, seen) = service("witness", false, &[]);
    (started(seed, &options(vec![service])), seen)
}

/// The frame with the host's Ethernet address, whatever IP version it is of.
fn frame(forwarded: &UoaFrame) -> Vec<u8> {
    let mac = PortOptions::new(0).nic.mac;
    UoaFrame { destination_mac: forwarded.destination_mac.or(Some(mac)), ..forwarded.clone() }.frame()
}

fn plain6(payload: &[u8]) -> Vec<u8> {
    UdpFrame6::new(BALANCER6, OWN6, payload).to_mac(PortOptions::new(0).nic.mac).frame()
}

/// The clients of what was seen since this was last asked.
fn clients(seen: &Seen) -> Vec<Option<String>> {
    seen.lock().unwrap().drain(..).map(|(_, client, _)| client.map(|client| client.to_string())).collect()
}

/// The one client, after `frame`.
fn client(world: &mut World, seen: &Seen, frame: &[u8]) -> Option<String> {
    world.exchange(0, frame);
    let [client] = clients(seen).try_into().expect("one datagram");
    client
}

fn header(client: &str) -> UoaFrame {
    UoaFrame::new(Carrier::Header, client, BALANCER, OWN, b"hello")
}

fn protocol(client: &str) -> UoaFrame {
    UoaFrame::new(Carrier::Protocol, client, BALANCER, OWN, b"hello")
}

fn protocol6(client: &str) -> UoaFrame {
    UoaFrame::new(Carrier::Protocol, client, BALANCER6, OWN6, b"hello")
}

// O01, O02, O05: in the header's option and in the option protocol, an IPv4 client and an IPv6 client (NAT64) over IPv4, and over
// IPv6. Whoever is answered is the balancer, by a plain datagram.
#[test]
fn a_client_is_told_and_the_balancer_is_answered() {
    let (mut world, seen) = world(1);
    for (forwarded, client) in [
        (header(CLIENT), CLIENT),
        (header(CLIENT6), CLIENT6),
        (protocol(CLIENT), CLIENT),
        (protocol(CLIENT6), CLIENT6),
        (protocol(CLIENT).with_sum(UdpSum::Absent), CLIENT),
        (protocol6(CLIENT6), CLIENT6),
        (protocol6(CLIENT), CLIENT),
    ] {
        let sent = world.exchange(0, &frame(&forwarded));
        let saw: Vec<_> = seen.lock().unwrap().drain(..).collect();
        assert_eq!(saw, [(forwarded.source, client.parse().ok(), b"hello".to_vec())], "{forwarded:?}");
        let [answer] = sent.try_into().expect("an answer");
        if forwarded.source.is_ipv4() {
            let answer = UdpFrame::read(&answer).expect("a plain datagram");
            let asked = UdpFrame::new(BALANCER, OWN, b"hello");
            assert_eq!((answer.source, answer.destination), (asked.destination, asked.source));
            assert_eq!(
                (answer.destination_mac, answer.options, answer.payload),
                (asked.source_mac, vec![], asked.payload)
            );
        } else {
            let answer = UdpFrame6::read(&answer).expect("a plain datagram");
            let asked = UdpFrame6::new(BALANCER6, OWN6, b"hello");
            assert_eq!((answer.source, answer.destination), (asked.destination, asked.source));
            assert_eq!(
                (answer.destination_mac, answer.extensions, answer.payload),
                (asked.source_mac, vec![], asked.payload)
            );
        }
    }
    assert_eq!((world.count(Counter::UoaNamed), world.all_drops()), (7, vec![]));
}

// O02: whatever the device says of the checksum, it was not said of what is in the option protocol: a wrong one is found, a right one
// is taken, and over IPv6 there has to be one.
#[test]
fn a_checksum_behind_the_option_protocol_is_summed() {
    for said in [RxChecksum::Unknown, RxChecksum::Computed, RxChecksum::None, RxChecksum::AlwaysBad] {
        let (service, seen) = service("witness", false, &[]);
        let mut options = options(vec![service]);
        options.ports[0].nic.rx_checksum = said;
        let mut world = started(2, &options);
        for forwarded in [protocol(CLIENT), protocol6(CLIENT6)] {
            world.exchange(0, &frame(&forwarded.clone().with_sum(UdpSum::Wrong)));
            assert_eq!(clients(&seen), []);
            assert!(client(&mut world, &seen, &frame(&forwarded)).is_some());
        }
        assert_eq!(world.drops(DropReason::UdpChecksum), 2, "{said:?}");
        world.exchange(0, &frame(&protocol6(CLIENT6).with_sum(UdpSum::Absent)));
        assert_eq!((clients(&seen), world.drops(DropReason::UdpChecksum)), (vec![], 3));
    }
}

// O03, O04: options of another length, cut short, or broken name nobody, and are counted; NOP is passed over, END ends. What is
// around them is delivered.
#[test]
fn an_option_that_cannot_be_read_costs_its_client_alone() {
    let right = uoa_option(CLIENT.parse().unwrap());
    for carrier in [Carrier::Header, Carrier::Protocol] {
        let (mut world, seen) = world(3);
        let mut port = 20_000;
        let mut named = |world: &mut World, options: &[u8]| {
            // Each has a flow of its own, of which nothing is known.
            port += 1;
            let source = format!("198.18.0.1:{port}");
            let forwarded = UoaFrame::new(carrier, CLIENT, &source, OWN, b"hello").with_options(options);
            client(world, &seen, &frame(&forwarded))
        };
        for len in 2..=40u8 {
            let mut options = vec![0; usize::from(len)];
            options.iter_mut().zip(&right).for_each(|(to, from)| *to = *from);
            options[1] = len;
            assert_eq!(
                named(&mut world, &options).is_some(),
                matches!(len, 8 | 20),
                "{carrier:?}, length {len}"
            );
        }
        assert_eq!(world.count(Counter::UoaMiss), 37);
        assert!(named(&mut world, &[&[1, 1, 1, 1][..], &right].concat()).is_some());
        assert_eq!(named(&mut world, &[&[0, 0, 0, 0][..], &right].concat()), None);
        if carrier == Carrier::Protocol {
            for broken in [&[31, 1, 0, 0][..], &[31, 0], &[31], &[31, 9, 1, 1, 1, 1, 1, 1], &[7, 40, 4]] {
                let before = world.count(Counter::UoaMiss);
                assert_eq!(named(&mut world, broken), None, "{broken:?}");
                assert_eq!(world.count(Counter::UoaMiss), before + 1);
            }
            assert_eq!(named(&mut world, &[]), None, "no option at all");
        }
        assert_eq!(world.all_drops(), []);
    }
}

// O02, O03: a header that leads nowhere is dropped and counted; and what else it may carry, nobody here knows.
#[test]
fn an_option_protocol_header_that_cannot_be_is_dropped() {
    let (mut world, seen) = world(4);
    let good = protocol(CLIENT);
    let bad =
        [0, 3, 4 + 8 + 13 + 1, 60, u16::MAX].map(|length| UoaFrame { length: Some(length), ..good.clone() });
    let versions = [0, 3, 15].map(|version| UoaFrame { version, ..good.clone() });
    for forwarded in bad.iter().chain(&versions) {
        assert_eq!(world.exchange(0, &frame(forwarded)), Vec::<Vec<u8>>::new(), "{forwarded:?}");
    }
    assert_eq!(world.drops(DropReason::OptionProtocolInvalid), 8);
    let tcp = UoaFrame { protocol: 6, ..good };
    let [error] = world.exchange(0, &frame(&tcp)).try_into().unwrap();
    let error = IcmpFrame::read(&error).unwrap();
    assert_eq!((error.kind, error.code, world.drops(DropReason::ProtocolUnknown)), (3, 2, 1));
    assert_eq!(clients(&seen), []);
}

// O06: from anyone else the option is not read, and counted; the option protocol is one that nobody knows.
#[test]
fn who_is_no_balancer_is_not_believed() {
    let (mut world, seen) = world(5);
    let from = |carrier| UoaFrame::new(carrier, CLIENT, STRANGER, OWN, b"hello");
    assert_eq!(client(&mut world, &seen, &frame(&from(Carrier::Header))), None);
    assert_eq!((world.count(Counter::UoaUntrusted), world.count(Counter::UoaNamed)), (1, 0));
    let plain = UdpFrame::new(STRANGER, OWN, b"hello").frame();
    assert_eq!(client(&mut world, &seen, &plain), None, "nothing was learned");
    let [error] = world.exchange(0, &frame(&from(Carrier::Protocol))).try_into().unwrap();
    let error = IcmpFrame::read(&error).unwrap();
    assert_eq!((error.kind, error.code, world.drops(DropReason::OptionProtocolUntrusted)), (3, 2, 1));
    let stranger6 = UoaFrame::new(Carrier::Protocol, CLIENT6, "[2001:db8::9]:4000", OWN6, b"hello");
    world.exchange(0, &frame(&stranger6));
    assert_eq!((clients(&seen), world.drops(DropReason::OptionProtocolUntrusted)), (vec![], 2));
}

// O06: where no balancer is named, nothing is read, nothing counted, and 248 is a protocol like any unknown.
#[test]
fn without_balancers_there_is_no_uoa() {
    let (service, seen) = service("witness", false, &[]);
    let mut world = started(6, &WorldOptions { uoa: None, ..options(vec![service]) });
    assert_eq!(client(&mut world, &seen, &frame(&header(CLIENT))), None);
    assert_eq!(world.count(Counter::UoaUntrusted), 0);
    world.exchange(0, &frame(&protocol(CLIENT)));
    world.exchange(0, &frame(&protocol6(CLIENT6)));
    assert_eq!(clients(&seen), []);
    assert_eq!(world.all_drops(), [(DropReason::Ipv6NextHeaderUnknown, 1), (DropReason::ProtocolUnknown, 1)]);
}

// O07, I07 to I11, V03 to V06: no client has an address that no packet may come from.
#[test]
fn a_client_that_cannot_be_is_not_told() {
    let (mut world, seen) = world(7);
    let mut port = 20_000;
    let v4 = [
        "0.0.0.0:1",
        "127.0.0.1:1",
        "224.0.0.1:1",
        "239.1.2.3:1",
        "240.0.0.1:1",
        "255.255.255.255:1",
        "198.18.0.255:1",
        "198.18.0.2:1",
    ];
    let v6 = ["[::]:1", "[::1]:1", "[ff02::1]:1", "[::ffff:203.0.113.9]:1", "[2001:db8::2]:1"];
    for impossible in v4.into_iter().chain(v6) {
        for (carrier, source, to) in [
            (Carrier::Header, "198.18.0.1", OWN),
            (Carrier::Protocol, "198.18.0.1", OWN),
            (Carrier::Protocol, "[2001:db8::1]", OWN6),
        ] {
            port += 1;
            let forwarded = UoaFrame::new(carrier, impossible, &format!("{source}:{port}"), to, b"hello");
            assert_eq!(client(&mut world, &seen, &frame(&forwarded)), None, "{forwarded:?}");
        }
    }
    assert_eq!(world.count(Counter::UoaClientInvalid), 3 * 13);
    assert_eq!(world.all_drops(), []);
}

// O08, RFC 791 3.1: the option is in the first fragment alone, and so is the option protocol's header; also of what is so large that
// it takes several buffers.
#[test]
fn what_came_in_fragments_has_its_client() {
    let (mut world, seen) = world(8);
    for (id, len) in (1..).zip([100, 1400, 3000, 30_000]) {
        for carrier in [Carrier::Header, Carrier::Protocol] {
            let payload = vec![0x5a; len];
            let forwarded = UoaFrame::new(carrier, CLIENT, BALANCER, OWN, &payload);
            let mut pieces = cut_evenly(&frame(&forwarded), id, (len / 3).next_multiple_of(8).min(1400));
            pieces.reverse();
            for piece in &pieces {
                world.inject(0, piece);
                world.settle();
            }
            let saw: Vec<_> = seen.lock().unwrap().drain(..).collect();
            assert_eq!(saw, [(forwarded.source, CLIENT.parse().ok(), payload.clone())], "{carrier:?}, {len}");
            let sent = world.take_sent(0);
            let answer = if sent.len() == 1 { sent[0].clone() } else { join(&sent).unwrap() };
            assert_eq!(UdpFrame::read(&answer).unwrap().payload, payload);
        }
        let forwarded = UoaFrame::new(Carrier::Protocol, CLIENT6, BALANCER6, OWN6, &vec![0x5a; len]);
        for piece in cut6_evenly(&frame(&forwarded), id.into(), (len / 3).next_multiple_of(8).min(1200)) {
            world.inject(0, &piece);
        }
        world.settle();
        assert_eq!(clients(&seen), [Some(CLIENT6.to_owned())]);
        world.take_sent(0);
    }
    // A header that is cut itself is as good as a whole one.
    for piece in cut(&frame(&protocol(CLIENT)), 99, &[8]) {
        world.inject(0, &piece);
    }
    world.settle();
    assert_eq!((clients(&seen), world.all_drops()), (vec![Some(CLIENT.to_owned())], vec![]));
}

// O09: DPVS names the client in a flow's first packets; it is known of the others, which take the fast path, and of no other flow.
#[test]
fn a_flow_is_remembered_by_its_four_parts() {
    let (mut world, seen) = world(9);
    let plain =
        |from: &str, to: &str| UdpFrame::new(from, to, b"again").to_mac(PortOptions::new(0).nic.mac).frame();
    assert_eq!(client(&mut world, &seen, &plain(BALANCER, OWN)), None);
    client(&mut world, &seen, &frame(&protocol(CLIENT)));
    client(&mut world, &seen, &frame(&protocol6(CLIENT6)));
    let fast = world.count(Counter::FastPath);
    assert_eq!(client(&mut world, &seen, &plain(BALANCER, OWN)), Some(CLIENT.into()));
    assert_eq!(client(&mut world, &seen, &plain6(b"again")), Some(CLIENT6.into()));
    assert_eq!(client(&mut world, &seen, &plain("198.18.0.1:4001", OWN)), None);
    assert_eq!(client(&mut world, &seen, &plain("198.18.0.3:4000", OWN)), None);
    assert_eq!(client(&mut world, &seen, &plain(STRANGER, OWN)), None);
    assert_eq!(world.count(Counter::FastPath) - fast, 5);
    assert_eq!((world.count(Counter::UoaFound), world.count(Counter::UoaUnknown)), (2, 3));
    // In one burst, what is learned from a packet holds for those behind it.
    let burst = [header("203.0.113.1:1"), header("203.0.113.2:2")].map(|forwarded| frame(&forwarded));
    for frame in [&burst[0], &plain(BALANCER, OWN), &burst[1], &plain(BALANCER, OWN)] {
        world.inject(0, frame);
    }
    world.settle();
    let expected = [1, 1, 2, 2].map(|n| Some(format!("203.0.113.{n}:{n}")));
    assert_eq!(clients(&seen), expected);
}

// O09: the newest wins, a flow that is not used is forgotten, and there are no more than configured.
#[test]
fn what_is_remembered_is_bounded_and_ages() {
    let (mut world, seen) = world(10);
    let from = |port: u16| format!("198.18.0.1:{port}");
    let plain = |port: u16| UdpFrame::new(&from(port), OWN, b"again").frame();
    let name = |world: &mut World, port: u16, client: &str| {
        let forwarded = UoaFrame::new(Carrier::Protocol, client, &from(port), OWN, b"hello");
        world.exchange(0, &frame(&forwarded));
        clients(&seen);
    };
    name(&mut world, 20_000, CLIENT);
    name(&mut world, 20_000, CLIENT6);
    assert_eq!(client(&mut world, &seen, &plain(20_000)), Some(CLIENT6.into()));
    world.run_for(LIMITS.timeout.mul_f32(0.9));
    assert_eq!(client(&mut world, &seen, &plain(20_000)), Some(CLIENT6.into()), "in use");
    world.run_for(LIMITS.timeout.mul_f32(0.9));
    assert_eq!(client(&mut world, &seen, &plain(20_000)), Some(CLIENT6.into()), "in use");
    world.run_for(LIMITS.timeout);
    assert_eq!(client(&mut world, &seen, &plain(20_000)), None);
    for port in 20_000..20_000 + 17 {
        name(&mut world, port, CLIENT);
    }
    assert_eq!(world.count(Counter::UoaEvicted), 1);
    let known =
        (20_000..20_000 + 17).filter(|port| client(&mut world, &seen, &plain(*port)).is_some()).count();
    assert_eq!((known, client(&mut world, &seen, &plain(20_000))), (16, None));
}

// O09, O02: a device finds no ports behind protocol 248, so that a flow's first packets and its plain ones come to different workers.
#[test]
fn what_one_worker_learns_the_others_know() {
    let (service, seen) = service("witness", false, &[]);
    let mut world = started(11, &WorldOptions { workers: 4, ..options(vec![service]) });
    let queue = |reception: Reception| match reception {
        Reception::Queued(queue) => queue,
        other => panic!("{other:?}"),
    };
    let (mut elsewhere, mut first) = (0, 0);
    for port in 20_000..20_016u16 {
        let source = format!("198.18.0.1:{port}");
        let named =
            queue(world.inject(0, &frame(&UoaFrame::new(Carrier::Protocol, CLIENT, &source, OWN, b"hello"))));
        world.settle();
        let plain = queue(world.inject(0, &UdpFrame::new(&source, OWN, b"again").frame()));
        world.settle();
        elsewhere += usize::from(named != plain);
        first = named;
        assert_eq!(clients(&seen), [Some(CLIENT.into()), Some(CLIENT.into())], "{named} and {plain}");
    }
    assert!(elsewhere >= 8, "{elsewhere} of 16 flows came by two queues");
    assert_eq!((world.count(Counter::UoaFound), world.count(Counter::UoaUntold)), (16, 0));
    // A worker that does not turn is not waited for; when it does, it hears. Protocol 248 has no ports: all of a sender comes by one
    // queue, and its worker turns.
    world.set_stuck(Some((usize::from(first) + 1) % 4));
    for port in 21_000..23_000u16 {
        let source = format!("198.18.0.1:{}", 21_000 + port % 16);
        let client = format!("203.0.113.9:{port}");
        world.inject(0, &frame(&UoaFrame::new(Carrier::Protocol, &client, &source, OWN, b"hello")));
        world.settle();
    }
    let stuck = world.count(Counter::UoaUntold);
    world.set_stuck(None);
    world.settle();
    clients(&seen);
    assert!(stuck > 0, "the queue has a bound");
    for port in 21_000..21_016 {
        let source = format!("198.18.0.1:{port}");
        world.inject(0, &frame(&UoaFrame::new(Carrier::Protocol, CLIENT6, &source, OWN, b"hello")));
        world.settle();
        world.inject(0, &UdpFrame::new(&source, OWN, b"again").frame());
        world.settle();
        assert_eq!(clients(&seen), [Some(CLIENT6.into()), Some(CLIENT6.into())]);
    }
}

// O01: every reader of a group's datagram is told, those that are given a copy of their own, too; and on whichever worker it lives.
#[test]
fn copies_and_other_workers_know_the_client() {
    for workers in [1u16, 2] {
        let made: Vec<_> = [("a", false, 0), ("b", true, usize::from(workers) - 1), ("c", true, 0)]
            .map(|(name, writes, home)| service(name, writes, &[home]))
            .into();
        let (services, seen): (Vec<_>, Vec<_>) = made.into_iter().unzip();
        let services =
            services.into_iter().map(|s| s.wanting(InterfaceId(0), GROUP, SourceFilter::ANY)).collect();
        let mut world = started(12, &WorldOptions { workers, ..options(services) });
        let to = format!("{GROUP}:7");
        for (n, port) in (0..).zip(20_000..20_010u16) {
            let source = format!("198.18.0.1:{port}");
            let forwarded = UoaFrame::new(Carrier::Protocol, CLIENT, &source, &to, b"hello");
            world.inject(0, &forwarded.frame());
            world.settle();
            world.inject(0, &UdpFrame::new(&source, &to, b"again").frame());
            world.settle();
            // What takes a body, too.
            let long = UoaFrame::new(Carrier::Header, CLIENT6, &source, &to, &[b'x'; 5000]);
            for piece in cut_evenly(&long.frame(), n, 1400) {
                world.inject(0, &piece);
            }
            world.settle();
        }
        for seen in &seen {
            let expected: Vec<_> =
                [CLIENT, CLIENT, CLIENT6].into_iter().cycle().take(30).map(|c| Some(c.to_owned())).collect();
            assert_eq!(clients(seen), expected, "{workers} workers");
        }
        assert_eq!(world.all_drops(), []);
    }
}

// O02: also what was sent to a group of IPv6.
#[test]
fn a_group_of_ipv6_hears_of_clients() {
    let (mut service, seen) = service("witness", false, &[]);
    let group = "ff0e::1:2:3".parse().unwrap();
    service.groups6.push((InterfaceId(0), Group::new(group).unwrap(), SourceFilter::ANY));
    let mut world = started(13, &options(vec![service]));
    let forwarded = UoaFrame::new(Carrier::Protocol, CLIENT6, BALANCER6, "[ff0e::1:2:3]:7", b"hello");
    let mac = mac_for6(group, PortOptions::new(0).nic.mac);
    let sent = world.exchange(0, &UoaFrame { destination_mac: Some(mac), ..forwarded }.frame());
    assert_eq!(clients(&seen), [Some(CLIENT6.to_owned())]);
    assert_eq!(UdpFrame6::read(&sent[0]).unwrap().destination.to_string(), BALANCER6);
}

// O01, O05: a thread's socket is told, too, of named and of plain datagrams; what it sends back goes to the balancer.
#[test]
fn a_threads_socket_is_told_the_client() {
    let mut world = started(17, &options(Vec::new()));
    let socket = world.sockets().bind("0.0.0.0:7").unwrap();
    let mut buf = [0; 64];
    for frame in [frame(&protocol(CLIENT)), UdpFrame::new(BALANCER, OWN, b"hello").frame()] {
        world.exchange(0, &frame);
        let received = socket.recv_msg(&mut buf, RecvFlags::default()).unwrap();
        assert_eq!((received.source().to_string().as_str(), &buf[..received.len]), (BALANCER, &b"hello"[..]));
        assert_eq!(received.real_client().map(|client| client.to_string()).as_deref(), Some(CLIENT));
        socket.send_to(b"answer", received.source()).unwrap();
        world.run_for(Duration::from_millis(10));
        let mut answers = world.take_sent(0).into_iter().filter_map(|frame| UdpFrame::read(&frame).ok());
        assert_eq!(answers.next().unwrap().destination.to_string(), BALANCER);
    }
    world.exchange(0, &UdpFrame::new(STRANGER, OWN, b"hello").frame());
    assert_eq!(socket.recv_msg(&mut buf, RecvFlags::default()).unwrap().real_client(), None);
}

// O01, O05: an echo that describes its senders says who the client is, in the words of DPVS's example server, to the balancer.
#[test]
fn an_echo_names_the_client() {
    let echo = EchoOptions { describe_sender: true, ..EchoOptions::default() };
    let echo = ServiceOptions::echo_with(echo).dual_stack();
    let mut world = started(16, &options(vec![echo.wanting(InterfaceId(0), GROUP, SourceFilter::ANY)]));
    let read = |sent: Vec<Vec<u8>>| {
        let [answer] = sent.try_into().expect("an answer");
        let answer = UdpFrame::read(&answer).expect("a datagram");
        (answer.destination.to_string(), String::from_utf8(answer.payload).unwrap())
    };
    let says = |line: &str| (BALANCER.to_owned(), line.to_owned());
    let plain = |payload| UdpFrame::new(BALANCER, OWN, payload).frame();
    assert_eq!(
        read(world.exchange(0, &plain(b"hello"))),
        says("Receive 5 bytes from 198.18.0.1:4000 -- hello\n")
    );
    for forwarded in [header(CLIENT), protocol(CLIENT)] {
        let line = "Receive 5 bytes from 198.18.0.1:4000 -- hello\n  real client 203.0.113.9:8080\n";
        assert_eq!(read(world.exchange(0, &frame(&forwarded))), says(line));
    }
    let line = "Receive 0 bytes from 198.18.0.1:4000 -- \n  real client 203.0.113.9:8080\n";
    assert_eq!(read(world.exchange(0, &plain(b""))), says(line), "a plain one of the same flow");
    let line = "Receive 5 bytes from 198.18.0.1:4000 -- hello\n  real client 2001:db8:9::9:8080\n";
    assert_eq!(read(world.exchange(0, &frame(&protocol(CLIENT6)))), says(line));
    let to_group = UoaFrame::new(Carrier::Header, CLIENT, BALANCER, "239.1.2.3:7", b"hello").frame();
    assert_eq!(read(world.exchange(0, &to_group)).1.lines().count(), 2);
    // A payload that is longer than the text, in one buffer and in several.
    for len in [1400, 5000] {
        let forwarded = UoaFrame { payload: vec![b'x'; len], ..protocol(CLIENT) };
        for piece in cut_evenly(&frame(&forwarded), 7, 1200) {
            world.inject(0, &piece);
        }
        world.settle();
        let (to, text) = read(world.take_sent(0));
        let shown = "x".repeat(256);
        let line = format!("Receive {len} bytes from 198.18.0.1:4000 -- {shown}\n  real client {CLIENT}\n");
        assert_eq!((to.as_str(), text), (BALANCER, line));
    }
    let sent = world.exchange(0, &frame(&protocol6(CLIENT6)));
    let answer = UdpFrame6::read(&sent[0]).unwrap();
    assert_eq!(answer.destination.to_string(), BALANCER6);
    assert_eq!(
        answer.payload,
        b"Receive 5 bytes from 2001:db8::1:4000 -- hello\n  real client 2001:db8:9::9:8080\n"
    );
    assert_eq!(world.all_drops(), []);
}

// O03, O04: whatever is in the options, whoever it is from, nothing is lost or counted twice, and every datagram that is delivered is
// answered to its source.
#[test]
fn any_options_in_any_order_are_survived() {
    let (mut world, seen) = world(14);
    let mut rng = Rng::new(15);
    let byte = |rng: &mut Rng| u8::try_from(rng.below(256)).unwrap();
    for _ in 0..20_000 {
        let carrier = if rng.one_in(2) { Carrier::Header } else { Carrier::Protocol };
        let len = usize::try_from(rng.below(41)).unwrap();
        let mut options: Vec<u8> = (0..len).map(|_| if rng.one_in(2) { 1 } else { byte(&mut rng) }).collect();
        if rng.one_in(2) && len >= 8 {
            let at = usize::try_from(rng.below(len as u64 - 7)).unwrap();
            options[at..at + 8].copy_from_slice(&uoa_option(CLIENT.parse().unwrap()));
        }
        let source = if rng.one_in(4) { STRANGER } else { BALANCER };
        let mut forwarded = UoaFrame::new(carrier, CLIENT, source, OWN, b"hello").with_options(&options);
        if rng.one_in(4) {
            forwarded.length = Some(u16::try_from(rng.below(80)).unwrap());
        }
        let sent = world.exchange(0, &frame(&forwarded));
        let delivered = seen.lock().unwrap().drain(..).count();
        let answers = sent.iter().filter_map(|frame| UdpFrame::read(frame).ok());
        assert!(answers.clone().all(|answer| answer.destination.to_string() == source));
        assert_eq!(answers.count(), delivered);
    }
}
