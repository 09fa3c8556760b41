//! The short way against the ordinary one, through the whole host: two hosts that differ in whether their echoes may take it are sent the
//! same, and nobody can tell them apart but by what the services saw.
//!
//! The world asserts after every turn that no packet was lost or doubled, and after every moment that no buffer was.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use pollcast::addr::{Cidr, Group, Unicast};
use pollcast::engine::Counter;
use pollcast::engine::command::{Answer, Command};
use pollcast::engine::counters::Tally;
use pollcast::fastpath::Level;
use pollcast::io::{Addressing6, DropReason, InterfaceId, LinkLocal};
use pollcast::service::{EchoOptions, RefuseSourcePorts};
use pollcast::sim::filter::Abilities;
use pollcast::sim::frames::{IcmpFrame, IcmpFrame6, UdpFrame, UdpFrame6, UdpSum, station_mac, station_mac6};
use pollcast::sim::nic::NicOptions;
use pollcast::sim::offload::RxChecksum;
use pollcast::sim::setup::{PortOptions, ServiceOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::stack::membership::SourceFilter;

use crate::echo_common::{Asked, echo};

const HOST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
const HOST6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const GROUP6: Ipv6Addr = Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0x1, 0x2);

/// Who sends: two hosts of the link, and two beyond a router.
const PEERS: [Ipv4Addr; 4] = [
    Ipv4Addr::new(198, 18, 0, 1),
    Ipv4Addr::new(198, 18, 0, 9),
    Ipv4Addr::new(203, 0, 113, 7),
    Ipv4Addr::new(8, 8, 8, 8),
];

/// The same over IPv6.
fn peer6(peer: usize) -> Ipv6Addr {
    let last = [0x1, 0x9, 0x7, 0x8][peer];
    Ipv6Addr::new(0x2001, if peer < 2 { 0xdb8 } else { 0xdead }, 0, 0, 0, 0, 0, last)
}

/// Where services may listen, each at its own, and the first at the fourth one, too; the last one is nobody's.
const PORTS: [u16; 5] = [7, 9, 5000, 5001, 6000];

/// A host, and what it is sent.
#[derive(Clone, Debug)]
struct Plan {
    seed: u64,
    /// Which of this CPU's.
    level: usize,
    /// Workers, and queues for them.
    workers: (u16, Option<u16>),
    burst: usize,
    rx_checksum: RxChecksum,
    tx_checksum: bool,
    services: Vec<PlannedService>,
    bursts: Vec<PlannedBurst>,
}

#[derive(Clone, Debug)]
struct PlannedService {
    options: EchoOptions,
    /// Where it listens beside its own port.
    more: bool,
    dual_stack: bool,
    joins: bool,
    lives_on_last: bool,
}

/// Many datagrams that are much alike, and others among them.
#[derive(Clone, Debug)]
struct PlannedBurst {
    like: Datagram,
    count: usize,
    /// Whether each is of another flow, for another socket, or of another length.
    varied: (bool, bool, bool),
    odd: Vec<(usize, Odd)>,
    /// A router says that so much is carried to one of the peers.
    too_big: Option<(usize, u16)>,
}

#[derive(Clone, Debug)]
struct Datagram {
    ipv6: bool,
    peer: usize,
    from: u16,
    to: usize,
    len: usize,
}

/// What is otherwise about one of a burst.
#[derive(Clone, Debug)]
enum Odd {
    Other(Datagram),
    /// From the port that it is for.
    OwnPort,
    ToGroup,
    Ping,
    Byte(usize, u8),
    Trailer(usize),
    Cut(usize),
    Sum(UdpSum),
}

fn datagrams() -> impl Strategy<Value = Datagram> {
    let from =
        prop_oneof![30 => 20_000..20_004u16, 1 => Just(0), 1 => Just(7), 1 => Just(1023), 1 => Just(11_211)];
    let len = prop_oneof![
        12 => 30..200usize, 1 => 0..30usize, 2 => Just(548), 2 => Just(549), 1 => Just(1232), 1 => Just(1233),
        1 => Just(1452), 1 => Just(1472),
    ];
    let to = prop_oneof![8 => Just(0usize), 8 => 0..3usize, 2 => Just(3), 1 => Just(4)];
    (any::<bool>(), 0..4usize, from, to, len).prop_map(|(ipv6, peer, from, to, len)| Datagram {
        ipv6,
        peer,
        from,
        to,
        len,
    })
}

fn bursts() -> impl Strategy<Value = PlannedBurst> {
    let odd = prop_oneof![
        3 => datagrams().prop_map(Odd::Other),
        1 => Just(Odd::OwnPort),
        2 => Just(Odd::ToGroup),
        2 => Just(Odd::Ping),
        2 => (0..80usize, any::<u8>()).prop_map(|(at, byte)| Odd::Byte(at, byte)),
        1 => (1..40usize).prop_map(Odd::Trailer),
        1 => (0..90usize).prop_map(Odd::Cut),
        1 => prop_oneof![Just(UdpSum::Absent), Just(UdpSum::Wrong)].prop_map(Odd::Sum),
    ];
    let too_big =
        prop::option::weighted(0.05, (0..4usize, prop_oneof![Just(576u16), Just(1280), Just(1400)]));
    let odd = prop_oneof![1 => Just(Vec::new()), 1 => prop::collection::vec((0..70usize, odd), 1..6)];
    let varied = (any::<bool>(), prop::bool::weighted(0.3), prop::bool::weighted(0.3));
    (datagrams(), 1..70usize, varied, odd, too_big)
        .prop_map(|(like, count, varied, odd, too_big)| PlannedBurst { like, count, varied, odd, too_big })
}

fn services() -> impl Strategy<Value = PlannedService> {
    let refuse = prop_oneof![
        3 => Just(RefuseSourcePorts::Reflectors), 1 => Just(RefuseSourcePorts::Below1024),
        1 => Just(RefuseSourcePorts::None), 1 => Just(RefuseSourcePorts::List(vec![20_001])),
    ];
    let options = (refuse, prop::bool::weighted(0.1), prop_oneof![9 => Just(0), 1 => Just(5)]).prop_map(
        |(refuse_source_ports, describe_sender, replies_per_second_per_source)| EchoOptions {
            refuse_source_ports,
            describe_sender,
            replies_per_second_per_source,
            group_answers_per_second: 7,
            ..EchoOptions::default()
        },
    );
    (options, prop::bool::weighted(0.7), prop::bool::weighted(0.8), any::<bool>(), prop::bool::weighted(0.1))
        .prop_map(|(options, more, dual_stack, joins, lives_on_last)| PlannedService {
            options,
            more,
            dual_stack,
            joins,
            lives_on_last,
        })
}

fn plans() -> impl Strategy<Value = Plan> {
    let workers = prop_oneof![5 => Just((1, None)), 1 => Just((2, None)), 1 => Just((3, Some(1)))];
    let rx_checksum = prop_oneof![3 => Just(RxChecksum::Unknown), 2 => Just(RxChecksum::Computed), 1 => Just(RxChecksum::None)];
    let nic = (rx_checksum, any::<bool>(), prop_oneof![3 => Just(32usize), 1 => Just(64), 1 => Just(7)]);
    let services = prop_oneof![
        2 => prop::collection::vec(services(), 1..2), 1 => prop::collection::vec(services(), 2..4)
    ];
    (
        any::<u64>(),
        prop_oneof![1 => Just(0usize), 2 => Just(1), 2 => Just(2)],
        workers,
        nic,
        services,
        prop::collection::vec(bursts(), 1..12),
    )
        .prop_map(|(seed, level, workers, (rx_checksum, tx_checksum, burst), services, bursts)| Plan {
            seed,
            level,
            workers,
            burst,
            rx_checksum,
            tx_checksum,
            services,
            bursts,
        })
}

/// Everything that a datagram and what is odd about it comes to on the wire.
fn frame(datagram: &Datagram, odd: Option<&Odd>) -> Vec<u8> {
    if let Some(Odd::Other(other)) = odd {
        return frame(other, None);
    }
    let Datagram { ipv6, peer, from, to, len } = *datagram;
    let to = PORTS[to];
    let from = if matches!(odd, Some(Odd::OwnPort)) { to } else { from };
    let payload: Vec<u8> = (0..len).map(|at| u8::try_from((at * 7 + len) % 253).unwrap()).collect();
    let (mac, sum) =
        (PortOptions::new(0).nic.mac, if let Some(Odd::Sum(sum)) = odd { *sum } else { UdpSum::Right });
    let group = matches!(odd, Some(Odd::ToGroup));
    let mut frame = match (ipv6, odd) {
        (false, Some(Odd::Ping)) => {
            let ping = IcmpFrame::echo(PEERS[peer], HOST, 1, from, &payload).to_mac(mac);
            IcmpFrame { source_mac: station_mac(PEERS[0]), ..ping }.frame()
        }
        (true, Some(Odd::Ping)) => {
            let payload = &payload[..len.min(1440)];
            let ping = IcmpFrame6::echo(peer6(peer), HOST6, 1, from, payload).to_mac(mac);
            IcmpFrame6 { source_mac: station_mac6(peer6(0)), ..ping }.frame()
        }
        (false, _) => {
            let dst = if group { GROUP } else { HOST };
            let plain = UdpFrame::new(&format!("{}:{from}", PEERS[peer]), &format!("{dst}:{to}"), &payload);
            let plain = if group { plain } else { plain.to_mac(mac) };
            UdpFrame { source_mac: station_mac(PEERS[0]), sum, ..plain }.frame()
        }
        (true, _) => {
            let (dst, payload) = (if group { GROUP6 } else { HOST6 }, &payload[..len.min(1452)]);
            let plain =
                UdpFrame6::new(&format!("[{}]:{from}", peer6(peer)), &format!("[{dst}]:{to}"), payload);
            let plain = if group { plain } else { plain.to_mac(mac) };
            UdpFrame6 { source_mac: station_mac6(peer6(0)), sum, ..plain }.frame()
        }
    };
    match odd {
        Some(Odd::Byte(at, byte)) => frame.get_mut(*at).into_iter().for_each(|place| *place = *byte),
        Some(Odd::Trailer(more)) => frame.extend(vec![0xaa; (*more).min(1514 - frame.len())]),
        Some(Odd::Cut(len)) => frame.truncate((*len).max(14)),
        _ => {}
    }
    frame
}

fn frames(burst: &PlannedBurst) -> Vec<Vec<u8>> {
    let PlannedBurst { like, count, varied: (flows, sockets, lens), odd, too_big } = burst;
    let one = |at: usize| {
        let step = u16::try_from(at % 9).unwrap();
        let datagram = Datagram {
            from: if *flows && like.from >= 20_000 { like.from + step } else { like.from },
            to: if *sockets { [like.to, 0, 3, like.to][at % 4] } else { like.to },
            len: if *lens { like.len.saturating_sub(at % 13) } else { like.len },
            ..like.clone()
        };
        frame(&datagram, odd.iter().find(|(place, _)| *place == at).map(|(_, odd)| odd))
    };
    let mut frames: Vec<_> = (0..*count).map(one).collect();
    if let Some((peer, mtu)) = *too_big {
        frames.push(report(like, peer, mtu));
    }
    frames
}

/// A router's word that what one of the services sent to `peer` was too big for it.
fn report(like: &Datagram, peer: usize, mtu: u16) -> Vec<u8> {
    let port = PORTS[like.to];
    let mac = PortOptions::new(0).nic.mac;
    if like.ipv6 {
        let (from, to) = (format!("[{HOST6}]:{port}"), format!("[{}]:20000", peer6(peer)));
        let ours = UdpFrame6::new(&from, &to, &[1; 1440]).frame();
        let error = (2, 0, u32::from(mtu).max(1280));
        return IcmpFrame6::error(peer6(0), HOST6, error, &ours[14..]).to_mac(mac).frame();
    }
    let ours = UdpFrame::new(&format!("{HOST}:{port}"), &format!("{}:20000", PEERS[peer]), &[1; 1440]);
    let ours = UdpFrame { fragment: 0x4000, ..ours }.frame();
    let body = [&[0, 0][..], &mtu.to_be_bytes(), &ours[14..42]].concat();
    let report = IcmpFrame::between(PEERS[0], HOST, 3, &body).to_mac(mac);
    IcmpFrame { code: 4, ..report }.frame()
}

fn world(plan: &Plan, may_be_short: bool, asked: &Arc<Asked>) -> World {
    let (workers, queues) = plan.workers;
    let port = PortOptions::new(0);
    let nic = NicOptions {
        rx_checksum: plan.rx_checksum,
        tx_checksum: plan.tx_checksum,
        // Which of several flows a full ring refuses, nobody says.
        tx_descriptors: 4096,
        rx_descriptors: 1024,
        // Who hears a datagram is asked of the host: the device lets everything in.
        filter: Abilities::none(),
        ..port.nic.clone()
    };
    let unicast = |addr: &str| Unicast::new(addr.parse().unwrap()).unwrap();
    let addressing6 = Addressing6 {
        link_local: LinkLocal::Addr(unicast("fe80::2")),
        statics: vec![Cidr::new(Unicast::new(HOST6).unwrap(), 64).unwrap()],
        router_discovery: false,
        ..Addressing6::new()
    };
    let service = |(at, planned): (usize, &PlannedService)| -> ServiceOptions {
        let mut listen = vec![format!("0.0.0.0:{}", PORTS[at])];
        // One service alone has it.
        if planned.more && at == 0 {
            listen.push(format!("0.0.0.0:{}", PORTS[3]));
        }
        let listen: Vec<_> = listen.iter().map(String::as_str).collect();
        let mut service = echo(&listen, planned.options.clone(), may_be_short, asked);
        if planned.dual_stack {
            service = service.dual_stack();
        }
        if planned.joins {
            service = service.joining(GROUP, &[]);
            service.groups6.push((InterfaceId(0), Group::new(GROUP6).unwrap(), SourceFilter::ANY));
        }
        if planned.lives_on_last {
            service.workers = vec![usize::from(workers) - 1];
        }
        service
    };
    let level = Level::all_here().nth(plan.level).unwrap_or_else(Level::detect);
    let options = WorldOptions {
        ports: vec![PortOptions { nic, queues, addressing6: Some(addressing6), ..port }],
        services: plan.services.iter().enumerate().map(service).collect(),
        workers,
        burst: plan.burst,
        buffers: 4096,
        level,
        ..WorldOptions::default()
    };
    let mut world = World::new(plan.seed, &options);
    world.run_for(Duration::from_secs(10));
    world.take_sent(0);
    world
}

/// What was sent, by flow, in its order. Identifications of fragments are left out: they tell in which order several flows to a host drew
/// them, which nobody promises.
fn by_flow(sent: Vec<Vec<u8>>) -> BTreeMap<Vec<u8>, Vec<Vec<u8>>> {
    let mut flows: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    let mut ports_of: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
    for mut frame in sent {
        let ipv6 = frame[12..14] == [0x86, 0xdd];
        // Addresses and protocol; the identification of a fragment, and its ports if it is the first.
        let (mut flow, id, ports) = match (&frame[12..14], frame.get(20)) {
            ([8, 0], _) if u16::from_be_bytes([frame[20], frame[21]]) & 0x3fff != 0 => {
                let ports = (frame[20] & 0x1f == 0 && frame[21] == 0).then_some(34..38);
                ([&frame[26..34], &[frame[23]]].concat(), Some(18..20), ports)
            }
            ([8, 0], _) => {
                ([&frame[26..34], &[frame[23]]].concat(), None, (frame[23] == 17).then_some(34..38))
            }
            ([0x86, 0xdd], Some(44)) => {
                let ports = (frame[56] == 0 && frame[57] < 8).then_some(62..66);
                ([&frame[22..54], &[frame[54]]].concat(), Some(58..62), ports)
            }
            ([0x86, 0xdd], Some(17)) => ([&frame[22..54], &[17]].concat(), None, Some(54..58)),
            _ => (frame[..14].to_vec(), None, None),
        };
        let datagram = id.clone().map(|id| [&flow[..], &frame[id]].concat());
        let ports = ports.map(|ports| frame[ports].to_vec());
        if let (Some(datagram), Some(ports)) = (&datagram, &ports) {
            ports_of.insert(datagram.clone(), ports.clone());
        }
        flow.extend(ports.or_else(|| ports_of.get(&datagram?).cloned()).unwrap_or_default());
        if let Some(id) = id {
            frame[id].fill(0);
            if !ipv6 {
                frame[24..26].fill(0);
            }
        }
        flows.entry(flow).or_default().push(frame);
    }
    flows
}

/// Every counter of each worker that is not zero, and of each socket.
fn books(world: &mut World) -> (Vec<Vec<(&'static str, u64)>>, Answer) {
    let of = |tally: &Tally| {
        let counters = Counter::ALL.iter().map(|counter| (counter.name(), tally.get(*counter)));
        let drops = DropReason::ALL.iter().map(|why| (why.name(), tally.drops(*why)));
        counters.chain(drops).filter(|(_, count)| *count > 0).collect()
    };
    (world.worker_tallies().iter().map(of).collect(), world.execute(&Command::Sockets))
}

// X01, U12, Q01: what an echo answers by the short way, it answers by the ordinary one: the same frames, in each flow in the same order, and
// the same counters of workers and sockets.
#[test]
fn nobody_can_tell_the_short_way_from_the_ordinary_one() {
    const PLANS: u32 = 400;
    let counted = Cell::new((0, 0, 0));
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(PLANS) };
    let compare = |plan: &Plan| -> Result<(u64, u64), TestCaseError> {
        let (may, may_not) = (Arc::<Asked>::default(), Arc::<Asked>::default());
        let mut worlds = [world(plan, true, &may), world(plan, false, &may_not)];
        for burst in &plan.bursts {
            let frames = frames(burst);
            let [short, ordinary] = worlds.each_mut().map(|world| {
                frames.iter().for_each(|frame| _ = world.inject(0, frame));
                world.settle();
                world.run_for(Duration::from_millis(40));
                by_flow(world.take_sent(0))
            });
            prop_assert_eq!(short, ordinary, "of {:02x?}", frames);
        }
        let [short, ordinary] = worlds.each_mut().map(books);
        prop_assert_eq!(short, ordinary);
        prop_assert_eq!((may_not.said_yes(), may_not.said_no()), (0, 0));
        Ok((may_not.seen() - may.seen(), may_not.seen()))
    };
    let result = TestRunner::new(config).run(&plans(), |plan| {
        let (took, of) = compare(&plan)?;
        let (plans, short, all) = counted.get();
        counted.set((plans + u32::from(took > 0), short + took, all + of));
        Ok(())
    });
    result.unwrap_or_else(|why| panic!("{why}"));
    let (short_plans, short, all) = counted.get();
    // There is none where a CPU is of the baseline alone.
    if Level::all_here().count() > 1 {
        assert!(
            short_plans > PLANS / 4 && short > all / 10,
            "{short_plans} plans, {short} of {all} datagrams"
        );
    }
}
