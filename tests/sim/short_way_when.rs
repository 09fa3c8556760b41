//! When an echo's bursts take the short way, and when its service sees what arrives: whenever anyone else has a say in it.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use pollcast::addr::{Cidr, Ipv4Cidr, Prefix, Unicast, Vid};
use pollcast::engine::Counter;
use pollcast::engine::command::{Answer, Command};
use pollcast::engine::worker::Manner;
use pollcast::fastpath::Level;
use pollcast::io::{Addressing6, DropReason, LinkLocal, PmtuDiscovery, ReplyPath};
use pollcast::service::{EchoOptions, RefuseSourcePorts};
use pollcast::sim::frames::{IcmpFrame, UdpFrame, UdpFrame6, UdpSum};
use pollcast::sim::nic::NicOptions;
use pollcast::sim::offload::RxChecksum;
use pollcast::sim::setup::{PortOptions, ServiceOptions, VlanOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::stack::uoa::{TableLimits, Trusted};

use crate::echo_common::{Asked, echo};
use crate::sockets_common::{addr, bound};

const EIGHTEEN: &[u8] = b"eighteen bytes....";

/// A datagram from UDP port `from` to port `to`, which fills a minimum frame up.
fn v4(from: u16, to: u16) -> Vec<u8> {
    UdpFrame::new(&format!("198.18.0.1:{from}"), &format!("198.18.0.2:{to}"), EIGHTEEN).frame()
}

fn v6(from: u16, to: u16) -> Vec<u8> {
    let frame = UdpFrame6::new(&format!("[2001:db8::1]:{from}"), &format!("[2001:db8::2]:{to}"), EIGHTEEN);
    frame.to_mac(PortOptions::new(0).nic.mac).frame()
}

/// Eight of a kind.
fn eight(one: impl Fn(u16) -> Vec<u8>) -> Vec<Vec<u8>> {
    (0..8).map(|at| one(20_000 + at)).collect()
}

/// A host with these services, and what is asked of all of them.
struct Host {
    world: World,
    asked: Arc<Asked>,
}

fn plain(listen: &[&str], asked: &Arc<Asked>) -> ServiceOptions {
    echo(listen, EchoOptions::default(), true, asked)
}

/// 198.18.0.2/24 and 2001:db8::2/64.
fn port() -> PortOptions {
    let addressing6 = Addressing6 {
        link_local: LinkLocal::Addr(Unicast::new("fe80::2".parse().unwrap()).unwrap()),
        statics: vec![Cidr::new(Unicast::new("2001:db8::2".parse().unwrap()).unwrap(), 64).unwrap()],
        router_discovery: false,
        ..Addressing6::new()
    };
    let stations = vec![Ipv4Addr::new(198, 18, 0, 1)];
    PortOptions { addressing6: Some(addressing6), stations, ..PortOptions::new(0) }
}

impl Host {
    fn new(services: impl FnOnce(&Arc<Asked>) -> Vec<ServiceOptions>) -> Self {
        Self::of(|asked| WorldOptions {
            services: services(asked),
            ports: vec![port()],
            ..WorldOptions::default()
        })
    }

    fn of(options: impl FnOnce(&Arc<Asked>) -> WorldOptions) -> Self {
        let asked = Arc::default();
        let options = WorldOptions { level: Level::detect(), ..options(&asked) };
        let mut world = World::new(17, &options);
        world.run_for(Duration::from_secs(10));
        world.take_sent(0);
        Self { world, asked }
    }

    /// Lets the host see `frames` in one burst, each of which it must answer. Returns how many of them no service saw.
    #[track_caller]
    fn short(&mut self, frames: &[Vec<u8>]) -> u64 {
        let (short, sent) = self.exchange(frames);
        assert_eq!(sent, frames.len(), "{:?}", self.world.all_drops());
        short
    }

    /// The same, and how many frames it sent.
    fn exchange(&mut self, frames: &[Vec<u8>]) -> (u64, usize) {
        let delivered = |world: &World| world.count(Counter::Delivered);
        let before = (delivered(&self.world), self.asked.seen());
        frames.iter().for_each(|frame| _ = self.world.inject(0, frame));
        self.world.settle();
        let all = delivered(&self.world) - before.0;
        (all - (self.asked.seen() - before.1), self.world.take_sent(0).len())
    }

    /// Lets it see `frames` in one burst, that must take the short way, if there is one on this CPU.
    #[track_caller]
    fn assert_short(&mut self, frames: &[Vec<u8>]) {
        let is_wide = Level::detect() != Level::BASELINE;
        let short = self.short(frames);
        assert_eq!(short, if is_wide { frames.len() as u64 } else { 0 }, "{:?}", self.asked);
    }

    /// The same of one that must not, by a host that does not even ask.
    #[track_caller]
    fn assert_not_asked(&mut self, frames: &[Vec<u8>]) {
        let before = (self.asked.said_yes(), self.asked.said_no());
        assert_eq!(self.short(frames), 0);
        assert_eq!((self.asked.said_yes(), self.asked.said_no()), before);
    }

    /// Received and answered by each socket, by its address and port.
    fn socket(&mut self, local: &str) -> (u64, u64) {
        let Answer::Sockets(sockets) = self.world.execute(&Command::Sockets) else { panic!("not sockets") };
        let one = sockets.iter().find(|socket| socket.local == local).expect("the socket");
        (one.rx, one.tx)
    }
}

// A burst of one service's, whatever sockets it is for.
#[test]
fn one_services_bursts_take_it_and_are_counted_by_their_sockets() {
    let listen = ["0.0.0.0:7", "0.0.0.0:9", "[::]:7", "[::]:9"];
    let mut host = Host::new(|asked| vec![plain(&listen, asked)]);
    host.assert_short(&eight(|from| v4(from, 7)));
    host.assert_short(&eight(|from| v6(from, 7)));
    host.assert_short(&eight(|from| v4(from, if from % 3 == 0 { 9 } else { 7 })));
    host.assert_short(&eight(|from| v6(from, if from % 2 == 0 { 9 } else { 7 })));
    host.assert_short(&[eight(|from| v4(from, 9)), eight(|from| v6(from, 9))].concat());
    // Of 20,000 to 20,007 three are divided by 3.
    let counted = listen.map(|local| host.socket(local).0);
    assert_eq!(counted, [8 + 5, 3 + 8, 8 + 4, 4 + 8]);
    let answered = listen.map(|local| host.socket(local).1);
    assert_eq!(answered, counted);
    assert_eq!(host.world.count(Counter::FastPath), 6 * 8);
}

// What is common to all of a burst is said of it; what is behind its fours, or not like them, its service sees.
#[test]
fn what_is_behind_the_front_of_a_burst_is_for_the_service() {
    let is_wide = Level::detect() != Level::BASELINE;
    let mut host = Host::new(|asked| vec![plain(&["0.0.0.0:7"], asked)]);
    let all = eight(|from| v4(from, 7));
    for count in 1..8 {
        let short = if is_wide { count / 4 * 4 } else { 0 };
        assert_eq!(host.short(&all[..count]), short as u64, "{count}");
    }
    let mut mixed = all.clone();
    mixed[5] = UdpFrame::new("198.18.0.1:4", "198.18.0.2:7", b"x").with_sum(UdpSum::Absent).frame();
    assert_eq!(host.short(&mixed), if is_wide { 4 } else { 0 });
    // A minimum frame that was filled up: the answer's is filled up with zeros (E09).
    mixed[5] = UdpFrame::new("198.18.0.1:4", "198.18.0.2:7", b"x").frame();
    assert_eq!(host.short(&mixed), 0);
}

#[test]
fn the_devices_word_on_right_checksums_is_no_obstacle() {
    for (rx_checksum, tx_checksum) in [(RxChecksum::Computed, false), (RxChecksum::Computed, true)] {
        let mut host = Host::of(|asked| {
            let nic = NicOptions { rx_checksum, tx_checksum, ..port().nic };
            let ports = vec![PortOptions { nic, ..port() }];
            let services = vec![plain(&["0.0.0.0:7", "[::]:7"], asked)];
            WorldOptions { ports, services, ..WorldOptions::default() }
        });
        host.assert_short(&eight(|from| v4(from, 7)));
        host.assert_short(&eight(|from| v6(from, 7)));
    }
}

// Of several services, the one that a burst's only socket belongs to; else it would have to be asked of each datagram whose it is.
#[test]
fn several_services_take_it_if_a_burst_is_for_one_socket() {
    let mut host =
        Host::new(|asked| vec![plain(&["0.0.0.0:7"], asked), plain(&["0.0.0.0:9", "0.0.0.0:10"], asked)]);
    host.assert_short(&eight(|from| v4(from, 7)));
    host.assert_short(&eight(|from| v4(from, 9)));
    host.assert_not_asked(&eight(|from| v4(from, if from % 2 == 0 { 7 } else { 9 })));
    host.assert_not_asked(&eight(|from| v4(from, if from % 2 == 0 { 9 } else { 10 })));
    assert_eq!((host.socket("0.0.0.0:7"), host.socket("0.0.0.0:9")), ((12, 12), (16, 16)));
    // Each by its own word, and in its own manner.
    let mut host = Host::new(|asked| {
        let manner = Manner { reply: ReplyPath::Route, ..Manner::default() };
        let none = EchoOptions {
            refuse_source_ports: RefuseSourcePorts::List(vec![20_003]),
            ..EchoOptions::default()
        };
        let routed = ServiceOptions { manner, ..plain(&["0.0.0.0:7"], asked) };
        vec![routed, plain(&["0.0.0.0:9"], asked), echo(&["0.0.0.0:10"], none, true, asked)]
    });
    host.world.exchange(0, &v4(20_000, 7));
    host.world.run_for(Duration::from_secs(1));
    host.world.take_sent(0);
    host.assert_not_asked(&eight(|from| v4(from, 7)));
    host.assert_short(&eight(|from| v4(from, 9)));
    assert_eq!(host.exchange(&eight(|from| v4(from, 10))), (0, 7));
}

// U13, P01: threads' sockets have copies of their own, and may have what a service had.
#[test]
fn nothing_takes_it_while_a_threads_socket_is_open() {
    let mut host = Host::new(|asked| vec![plain(&["0.0.0.0:7"], asked)]);
    host.assert_short(&eight(|from| v4(from, 7)));
    let socket = bound(&host.world, "198.18.0.2:5000");
    host.world.settle();
    host.assert_not_asked(&eight(|from| v4(from, 7)));
    // Even where the burst is for that socket: the only service here has nothing to do with it.
    assert_eq!(host.exchange(&eight(|from| v4(from, 5000))), (8, 0));
    let mut heard = [0; 64];
    for at in 0..8 {
        assert_eq!(socket.recv_from(&mut heard).unwrap(), (18, addr(&format!("198.18.0.1:{}", 20_000 + at))));
    }
    drop(socket);
    host.world.run_for(Duration::from_secs(1));
    host.assert_short(&eight(|from| v4(from, 7)));
}

// O09: whose client it is, a service is told, and its answers may depend on that.
#[test]
fn nothing_takes_it_where_balancers_are_trusted() {
    let balancer = Prefix::new(Ipv4Addr::new(203, 0, 113, 0), 24).unwrap();
    let limits = TableLimits { flows: 16, timeout: Duration::from_secs(360) };
    let mut host = Host::of(|asked| WorldOptions {
        services: vec![plain(&["0.0.0.0:7"], asked)],
        ports: vec![port()],
        uoa: Some((Trusted::new(vec![balancer], Vec::new()), limits)),
        ..WorldOptions::default()
    });
    host.assert_not_asked(&eight(|from| v4(from, 7)));
}

// U23: what arrives for a service that lives elsewhere is handed over; a worker with all services has nobody to hand anything to.
#[test]
fn nothing_takes_it_on_a_worker_that_some_service_does_not_live_on() {
    let mut host = Host::of(|asked| WorldOptions {
        services: vec![
            plain(&["0.0.0.0:7"], asked),
            ServiceOptions { workers: vec![1], ..plain(&["0.0.0.0:9"], asked) },
        ],
        ports: vec![port()],
        workers: 2,
        ..WorldOptions::default()
    });
    let is_wide = Level::detect() != Level::BASELINE;
    let mut bursts = [0; 2];
    for from in 20_000..20_040 {
        let received = |world: &World| world.worker_tallies()[1].get(Counter::Rx);
        let before = received(&host.world);
        // Of one flow: all on one worker.
        let short = host.short(&vec![v4(from, 7); 8]);
        let on = usize::from(received(&host.world) > before);
        bursts[on] += 1;
        assert_eq!(short, if on == 1 && is_wide { 8 } else { 0 }, "on worker {on}");
        let short = host.short(&vec![v4(from, 9); 8]);
        assert!(short == 8 || short == 0);
    }
    assert!(bursts.iter().all(|bursts| *bursts > 5), "{bursts:?}");
    assert!(host.world.count(Counter::HandedOut) > 0);
}

// N01, T01: answers that go where routes lead, or may never have DF.
#[test]
fn answers_that_are_no_mirror_images_do_not_take_it() {
    use PmtuDiscovery::{Do, Dont, Interface, Omit, Probe, Want};
    for path_mtu_discovery in [Want, Do, Probe, Dont, Interface, Omit] {
        for reply in [ReplyPath::Reflect, ReplyPath::Route] {
            let manner = Manner { reply, path_mtu_discovery };
            let mut host =
                Host::new(|asked| vec![ServiceOptions { manner, ..plain(&["0.0.0.0:7", "[::]:7"], asked) }]);
            // The way to the peer is known.
            host.world.exchange(0, &v4(20_000, 7));
            host.world.run_for(Duration::from_secs(1));
            host.world.take_sent(0);
            let may = reply == ReplyPath::Reflect && matches!(path_mtu_discovery, Want | Do | Probe);
            if may {
                host.assert_short(&eight(|from| v4(from, 7)));
                host.assert_short(&eight(|from| v6(from, 7)));
            } else {
                host.assert_not_asked(&eight(|from| v4(from, 7)));
            }
        }
    }
}

// T04, C10: a router said what some path carries. Whatever is longer may have to be cut.
#[test]
fn what_is_longer_than_the_smallest_path_does_not_take_it() {
    let mut host = Host::new(|asked| vec![plain(&["0.0.0.0:7"], asked)]);
    let of = |len: usize| {
        eight(|from| UdpFrame::new(&format!("198.18.0.1:{from}"), "198.18.0.2:7", &vec![7; len]).frame())
    };
    host.assert_short(&of(1472));
    let quoted =
        UdpFrame { fragment: 0x4000, ..UdpFrame::new("198.18.0.2:7", "203.0.113.7:20000", &[1; 1400]) };
    let body = [&[0, 0][..], &600u16.to_be_bytes(), &quoted.frame()[14..42]].concat();
    let report = IcmpFrame::between([198, 18, 0, 1].into(), [198, 18, 0, 2].into(), 3, &body);
    host.world.exchange(0, &IcmpFrame { code: 4, ..report }.frame());
    host.world.run_for(Duration::from_secs(1));
    host.assert_short(&of(572));
    host.assert_not_asked(&of(573));
    let mut mixed = of(100);
    mixed[6] = of(573)[6].clone();
    host.assert_not_asked(&mixed);
}

// E06: what has a tag is no plain datagram.
#[test]
fn what_arrives_in_a_vlan_does_not_take_it() {
    let mut host = Host::of(|asked| {
        let addresses = vec![Ipv4Cidr::new(Unicast::new([198, 19, 0, 2].into()).unwrap(), 24).unwrap()];
        let vlan = VlanOptions { vid: Vid::new(100).unwrap(), addresses, gateway4: None };
        let ports = vec![PortOptions { vlans: vec![vlan], ..port() }];
        WorldOptions { services: vec![plain(&["0.0.0.0:7"], asked)], ports, ..WorldOptions::default() }
    });
    let mac = PortOptions::new(0).nic.mac;
    let tagged = |from: u16| {
        let frame = UdpFrame::new(&format!("198.19.0.1:{from}"), "198.19.0.2:7", EIGHTEEN).to_mac(mac);
        UdpFrame { tci: Some(100), ..frame }.frame()
    };
    host.assert_not_asked(&eight(tagged));
    // Beside it, whatever is for two sockets of one service.
    host.assert_short(&eight(|from| v4(from, 7)));
}

// X02, X05, U10: what an echo refuses, and what it answers with something else, or not always, it has to see.
#[test]
fn an_echo_that_may_refuse_one_of_a_burst_sees_all_of_it() {
    let mut host = Host::new(|asked| vec![plain(&["0.0.0.0:9000", "0.0.0.0:12000"], asked)]);
    for refused in [7, 19, 11_211] {
        for at in 0..8 {
            let mut burst = eight(|from| v4(from, 9000));
            burst[at] = v4(refused, 9000);
            assert_eq!(host.exchange(&burst), (0, 7), "from {refused} at {at}");
        }
    }
    // Its own port, below the greatest that is refused and above it.
    for own in [9000, 12_000] {
        let mut burst = eight(|from| v4(from, own));
        burst[2] = v4(own, own);
        assert_eq!(host.exchange(&burst), (0, 7));
    }
    assert_eq!(host.world.drops(DropReason::EchoReflectorPort), 3 * 8 + 2);
    assert_eq!(host.socket("0.0.0.0:9000"), (25 * 8, 25 * 7));
    // Below the greatest that is refused each is looked at, and none is refused.
    host.assert_short(&eight(|from| v4(from - 19_000, 9000)));
    for options in [
        EchoOptions { describe_sender: true, ..EchoOptions::default() },
        EchoOptions { replies_per_second_per_source: 100, ..EchoOptions::default() },
    ] {
        let mut host = Host::new(|asked| vec![echo(&["0.0.0.0:7"], options, true, asked)]);
        assert_eq!(host.short(&eight(|from| v4(from, 7))), 0);
        assert_eq!(host.asked.said_yes(), 0);
    }
}

// Q01: what a ring refuses is counted and freed, whichever way it came.
#[test]
fn what_the_ring_refuses_is_counted_all_the_same() {
    let mut host = Host::of(|asked| {
        let nic = NicOptions { tx_descriptors: 8, ..port().nic };
        let services = vec![plain(&["0.0.0.0:7"], asked)];
        WorldOptions { services, ports: vec![PortOptions { nic, ..port() }], ..WorldOptions::default() }
    });
    let burst: Vec<_> = (0..20).map(|at| v4(20_000 + at, 7)).collect();
    let (tx, bytes) = (host.world.count(Counter::Tx), host.world.count(Counter::TxBytes));
    host.world.device(0).stall_tx(true);
    host.exchange(&burst);
    host.world.device(0).stall_tx(false);
    host.world.settle();
    assert_eq!(host.world.take_sent(0).len(), 8);
    assert_eq!(host.world.count(Counter::Tx) - tx, 8);
    assert_eq!(host.world.count(Counter::TxBytes) - bytes, 8 * 60);
    assert_eq!((host.world.count(Counter::TxRefused), host.socket("0.0.0.0:7")), (12, (20, 20)));
}
