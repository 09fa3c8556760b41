//! ICMPv6 in a whole host: what a router says of paths reaches the service, control and every worker, and ages; and what is said
//! of datagrams that never become whole.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pollcast::addr::{Cidr, MacAddr, Unicast, V6};
use pollcast::engine::Counter;
use pollcast::engine::command::{Answer, Command, MtuOrder};
use pollcast::engine::worker::Manner;
use pollcast::io::{Addressing6, DropReason, PmtuDiscovery};
use pollcast::service::{Cx, Datagram, IcmpError, IcmpErrorKind, Service};
use pollcast::sim::buf::SimBuf;
use pollcast::sim::frames::fragment6::{cut6_evenly, join6};
use pollcast::sim::frames::{IcmpFrame6, Ipv6, UdpFrame6, station_mac6};
use pollcast::sim::setup::{PortOptions, ServiceFactory, ServiceOptions, WorldOptions};
use pollcast::sim::world::World;

const OWN: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
/// The router on the link.
const ROUTER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const FAR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 9);
const OTHER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 10);

/// An echo that keeps what it hears of its datagrams.
#[derive(Clone, Default)]
struct Listening(Arc<Mutex<Vec<IcmpError>>>);

impl Service<SimBuf> for Listening {
    fn datagrams(&mut self, _cx: &mut Cx<'_, SimBuf>, burst: &mut [Datagram<SimBuf>]) {
        burst.iter_mut().for_each(Datagram::reply);
    }

    fn icmp_error(&mut self, _cx: &mut Cx<'_, SimBuf>, error: &IcmpError) {
        self.0.lock().unwrap().push(*error);
    }
}

/// A host that answers on UDP port 7 of 2001:db8::2, which it has made sure of.
struct Host {
    world: World,
    mac: MacAddr,
    heard: Listening,
}

impl Host {
    fn new(discovery: PmtuDiscovery) -> Self {
        let heard = Listening::default();
        let instance = heard.clone();
        let factory: ServiceFactory = Box::new(move || Box::new(instance.clone()));
        let manner = Manner { path_mtu_discovery: discovery, ..Manner::default() };
        let service = ServiceOptions { factory, manner, ..ServiceOptions::echo() }.dual_stack();
        let own = Cidr::<V6>::new(Unicast::new(OWN).unwrap(), 64).unwrap();
        let addressing =
            Addressing6 { statics: vec![own], router_discovery: false, ..Addressing6::default() };
        let mut port = PortOptions::new(0);
        port.addressing6 = Some(addressing);
        let mac = port.nic.mac;
        let options = WorldOptions {
            ports: vec![port],
            services: vec![service],
            workers: 2,
            ..WorldOptions::default()
        };
        let mut world = World::new(7, &options);
        world.run_for(Duration::from_secs(10));
        world.take_sent(0);
        Self { world, mac, heard }
    }

    /// The answer to a request of `len` bytes as a packet from `from`: the whole, and in how many frames it left.
    fn answer(&mut self, len: usize, from: Ipv6Addr, port: u16) -> Option<(UdpFrame6, usize)> {
        let request = UdpFrame6 {
            source_mac: station_mac6(ROUTER),
            ..UdpFrame6::new(&format!("[{from}]:{port}"), "[2001:db8::2]:7", &vec![7; len - 48])
        };
        let sent = self.world.exchange(0, &request.to_mac(self.mac).frame());
        let to_peer =
            |frame: &Vec<u8>| Ipv6::read_frame(frame).is_ok_and(|(_, ip, _)| ip.destination == from);
        let frames: Vec<Vec<u8>> = sent.into_iter().filter(to_peer).collect();
        let whole = match frames.as_slice() {
            [] => return None,
            [whole] => whole.clone(),
            several => join6(several).unwrap(),
        };
        let answer = UdpFrame6::read(&whole).unwrap();
        assert_eq!(answer.payload.len(), len - 48);
        Some((answer, frames.len()))
    }

    fn answers(&mut self, len: usize, from: Ipv6Addr) -> bool {
        self.answer(len, from, 40000).is_some()
    }

    /// The router says something about a datagram of 1500 bytes that we sent to `to` from `port`.
    fn hear(&mut self, words: (u8, u8, u32), to: Ipv6Addr, port: u16) {
        let sent = self.error(words, to, port);
        assert!(self.world.exchange(0, &sent).is_empty(), "nothing answers an error");
    }

    fn error(&self, words: (u8, u8, u32), to: Ipv6Addr, port: u16) -> Vec<u8> {
        let quote = UdpFrame6::new(&format!("[2001:db8::2]:{port}"), &format!("[{to}]:40000"), &[7; 1452]);
        IcmpFrame6::error(ROUTER, OWN, words, &quote.frame()[14..]).to_mac(self.mac).frame()
    }

    fn paths(&mut self) -> Vec<(String, u16, u16)> {
        let Answer::Paths(paths) = self.world.execute(&Command::Paths) else { panic!() };
        paths.iter().map(|p| (p.addr.to_string(), p.mtu, p.df_max)).collect()
    }

    fn set_mtu(&mut self, mtu: u16) -> Answer {
        self.world.command(&Command::Mtu(MtuOrder { mtu, port: Some("p0".into()) }))
    }
}

// K06, RFC 4443 2.4(a): the service hears of it, once; and of errors of which nobody knows the type.
#[test]
fn a_service_hears_of_errors_about_its_own_datagrams() {
    let mut host = Host::new(PmtuDiscovery::Want);
    for words in [(1, 4, 0), (100, 0, 0), (4, 1, 6)] {
        host.hear(words, FAR, 7);
    }
    host.hear((1, 4, 0), FAR, 9);
    let errors = host.heard.0.lock().unwrap().clone();
    let kinds: Vec<_> = errors.iter().map(|e| e.kind).collect();
    let pointed = IcmpErrorKind::ParameterProblem { pointer: 6 };
    assert_eq!(kinds, [IcmpErrorKind::PortUnreachable, IcmpErrorKind::Unknown, pointed]);
    assert_eq!((errors[0].peer, errors[0].reporter), (SocketAddr::new(FAR.into(), 40000), ROUTER.into()));
    assert_eq!(host.world.count(Counter::IcmpReports), 3);
    assert_eq!(host.world.drops(DropReason::IcmpErrorUnmatched), 1);
}

// K06: also of one that came in fragments, whichever worker put it together.
#[test]
fn a_service_hears_of_errors_that_came_in_fragments() {
    let mut host = Host::new(PmtuDiscovery::Want);
    let error = host.error((1, 3, 0), FAR, 7);
    for id in 1..=50 {
        for fragment in cut6_evenly(&error, id, 800) {
            host.world.inject(0, &fragment);
        }
        host.world.settle();
        assert_eq!(host.heard.0.lock().unwrap().len(), usize::try_from(id).unwrap());
    }
}

// K07, T01, RFC 8201 4: "do" refuses what the path does not carry, to that host alone, for ten minutes; on every worker,
// whichever heard of it. A larger one changes nothing, nor does one below 1280.
#[test]
fn a_reported_path_mtu_holds_for_one_host_for_ten_minutes() {
    let mut host = Host::new(PmtuDiscovery::Do);
    assert!(host.answers(1500, FAR));
    host.hear((2, 0, 1300), FAR, 7);
    assert_eq!(host.heard.0.lock().unwrap()[0].kind, IcmpErrorKind::TooBig { mtu: 1300 });
    for port in 40000..40020 {
        assert!(host.answer(1300, FAR, port).is_some(), "{port}");
        assert!(host.answer(1301, FAR, port).is_none(), "{port}");
    }
    assert_eq!(host.world.drops(DropReason::ReplyTooBig), 20);
    assert!(host.answers(1500, OTHER), "another path is another one");
    host.hear((2, 0, 1400), FAR, 7);
    host.hear((2, 0, 600), FAR, 7);
    host.hear((2, 0, 1280), FAR, 8);
    assert_eq!(host.paths(), [(FAR.to_string(), 1300, 1300)]);
    host.hear((2, 0, 1280), FAR, 7);
    assert_eq!(host.paths(), [(FAR.to_string(), 1280, 1280)]);
    assert!(host.answers(1280, FAR) && !host.answers(1281, FAR));
    host.world.run_for(Duration::from_secs(599));
    assert!(!host.answers(1500, FAR));
    host.world.run_for(Duration::from_secs(2));
    assert!(host.answers(1500, FAR));
    assert!(host.paths().is_empty());
}

// K07, W13, RFC 8200 5, RFC 8021: what is longer than its path leaves in fragments that fit, and no packet alone has a fragment
// header.
#[test]
fn what_is_longer_than_its_path_leaves_in_fragments() {
    for discovery in [PmtuDiscovery::Want, PmtuDiscovery::Dont] {
        let mut host = Host::new(discovery);
        host.hear((2, 0, 1280), FAR, 7);
        assert_eq!(host.answer(1280, FAR, 40000).unwrap().1, 1);
        assert_eq!(host.answer(1281, FAR, 40000).unwrap().1, 2);
        let (whole, frames) = host.answer(1500, FAR, 40000).unwrap();
        assert_eq!((frames, whole.extensions.len()), (2, 0));
        // A lie: nothing changes, and what fitted still goes whole.
        host.hear((2, 0, 1000), OTHER, 7);
        assert_eq!(host.answer(1500, OTHER, 40000).unwrap().1, 1);
        assert_eq!(host.world.drops(DropReason::IcmpMtuInvalid), 1);
    }
}

// T04, RFC 8201 4: another MTU of the port forgets every path, and none is above it; RFC 8200 5: IPv6 needs 1280.
#[test]
fn another_mtu_of_the_port_forgets_its_paths() {
    let mut host = Host::new(PmtuDiscovery::Do);
    host.hear((2, 0, 1300), FAR, 7);
    assert!(!host.answers(1400, FAR));
    assert!(matches!(host.set_mtu(1450), Answer::Done(_)));
    assert!(host.paths().is_empty());
    assert!(host.answers(1450, FAR) && !host.answers(1451, FAR));
    for bad in [68, 1279] {
        let Answer::Error(why) = host.set_mtu(bad) else { panic!("{bad}") };
        assert!(why.starts_with(&format!("mtu {bad}: use 1280 to 1500: ")), "{why}");
        assert!(why.ends_with("and IPv6 needs 1280"), "{why}");
    }
    assert!(matches!(host.set_mtu(1280), Answer::Done(_)));
    assert!(host.answers(1280, FAR) && !host.answers(1281, FAR));
}

// W07, RFC 8200 4.5: after 60 seconds, if the first fragment came; K02: of that one. Without it, nobody is told.
#[test]
fn a_datagram_that_is_never_whole_is_told_of_after_a_minute() {
    let mut host = Host::new(PmtuDiscovery::Want);
    let request = UdpFrame6 {
        source_mac: station_mac6(ROUTER),
        ..UdpFrame6::new("[2001:db8::1]:4000", "[2001:db8::2]:7", &[7; 2000])
    };
    let fragments = cut6_evenly(&request.to_mac(host.mac).frame(), 77, 800);
    let errors = |sent: Vec<Vec<u8>>| -> Vec<IcmpFrame6> {
        let icmp = sent.iter().filter_map(|frame| IcmpFrame6::read(frame).ok());
        icmp.filter(|icmp| icmp.kind < 128).collect()
    };
    host.world.exchange(0, &fragments[0]);
    host.world.run_for(Duration::from_secs(59));
    assert_eq!(errors(host.world.take_sent(0)), []);
    host.world.run_for(Duration::from_secs(2));
    let told = errors(host.world.take_sent(0));
    assert_eq!(told.len(), 1, "{told:?}");
    let error = told[0].as_error().unwrap();
    assert_eq!((error.kind, error.code, error.word), (3, 1, 0));
    assert_eq!((told[0].ip.source, told[0].ip.destination), (OWN, ROUTER));
    assert_eq!(error.quote, fragments[0][14..]);
    host.world.exchange(0, &fragments[1]);
    host.world.run_for(Duration::from_secs(70));
    assert_eq!(errors(host.world.take_sent(0)), []);
}
