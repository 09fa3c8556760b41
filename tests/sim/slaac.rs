//! IPv6 addresses in a simulated world: what a host says before it uses one, what it makes of routers' advertisements, and what
//! others can do to it with forged ones.
//!
//! The world asserts after every turn that no packet was lost or doubled, and after every moment that no buffer was.

use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::Duration;

use pollcast::addr::{Cidr, MacAddr, Unicast, V6};
use pollcast::engine::command::{AddressAnswer, Answer, Command, MtuOrder, RouteAnswer};
use pollcast::io::{Addressing6, StableSecret};
use pollcast::sim::frames::ipv6::{solicited_node, station_mac6};
use pollcast::sim::frames::mld::MldMessage;
use pollcast::sim::frames::ndp::{NdpFrame, NdpMessage, NdpOption, Prefix, RouterAdvertisement};
use pollcast::sim::frames::udp6::UdpFrame6;
use pollcast::sim::setup::{PortOptions, ServiceOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::time::Instant;

/// The host's link-local address, by its MAC 02:00:c6:12:00:02.
const LINK_LOCAL: &str = "fe80::c6ff:fe12:2";
const STATIC: &str = "2001:db8::2";
const ROUTER: &str = "fe80::1";
const OTHER_ROUTER: &str = "fe80::7";
const THIEF: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x23]);

fn ip(s: &str) -> Ipv6Addr {
    s.parse().unwrap()
}

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn addressing() -> Addressing6 {
    let own = Cidr::<V6>::new(Unicast::new(ip(STATIC)).unwrap(), 64).unwrap();
    Addressing6 { statics: vec![own], auto: true, secret: StableSecret::new([5; 16]), ..Addressing6::new() }
}

/// A host, and what stands on its link: routers that answer for themselves, and whatever a test sends.
struct Link {
    world: World,
    routers: Vec<Ipv6Addr>,
    /// Everything that the host sent, and when.
    sent: Vec<(Instant, Vec<u8>)>,
}

impl Link {
    fn new(addressing6: Addressing6) -> Self {
        Self::with(PortOptions { addressing6: Some(addressing6), ..PortOptions::new(0) })
    }

    fn with(port: PortOptions) -> Self {
        let services = vec![ServiceOptions::echo().dual_stack()];
        let options = WorldOptions { ports: vec![port], services, ..WorldOptions::default() };
        Self {
            world: World::new(21, &options),
            routers: vec![ip(ROUTER), ip(OTHER_ROUTER)],
            sent: Vec::new(),
        }
    }

    /// A host whose addresses are all in use.
    fn settled(addressing6: Addressing6) -> Self {
        let mut link = Self::new(addressing6);
        link.run(secs(4));
        link
    }

    /// Lets `duration` pass, in which the routers of the link answer who asks for them.
    fn run(&mut self, duration: Duration) {
        let end = self.world.now() + duration;
        while self.world.now() < end {
            let step = end.since(self.world.now()).min(Duration::from_millis(50));
            self.world.run_for(step);
            for (at, frame) in self.world.take_sent_at(0) {
                if let Some(answer) = self.answer(&frame) {
                    self.world.inject(0, &answer.frame());
                }
                self.sent.push((at, frame));
            }
        }
    }

    fn answer(&self, frame: &[u8]) -> Option<NdpFrame> {
        let asked = NdpFrame::read(frame).unwrap()?;
        let NdpMessage::NeighborSolicitation { target } = asked.message else { return None };
        let mut answer = asked.advertisement(station_mac6(target));
        let NdpMessage::NeighborAdvertisement { router, .. } = &mut answer.message else { return None };
        *router = true;
        (self.routers.contains(&target) && !asked.source.is_unspecified()).then_some(answer)
    }

    /// A frame arrives, and the host does what it does at once.
    fn hear(&mut self, frame: &NdpFrame) {
        self.world.inject(0, &frame.frame());
        self.world.settle();
        self.sent.extend(self.world.take_sent_at(0));
    }

    /// What the host said of neighbour discovery since this was last asked.
    fn said(&mut self) -> Vec<(Instant, NdpFrame)> {
        let sent = std::mem::take(&mut self.sent);
        sent.into_iter().filter_map(|(at, frame)| Some((at, NdpFrame::read(&frame).unwrap()?))).collect()
    }

    /// Whether the host answers for `target`, whom a neighbour asks for.
    fn answers_for(&mut self, target: Ipv6Addr) -> bool {
        self.run(Duration::from_millis(100));
        self.sent.clear();
        self.hear(&NdpFrame::solicitation(ip("fe80::99"), target));
        self.run(Duration::from_millis(100));
        let is_answer =
            |m: &NdpMessage| matches!(m, NdpMessage::NeighborAdvertisement { target: t, .. } if *t == target);
        self.said().iter().any(|(_, frame)| is_answer(&frame.message))
    }

    fn addresses(&mut self) -> Vec<AddressAnswer> {
        let Answer::Addresses(rows) = self.world.execute(&Command::Addresses) else { panic!() };
        rows.into_iter().filter(|row| row.addr.contains(':')).collect()
    }

    fn state(&mut self, addr: &str) -> String {
        let rows = self.addresses();
        let row = rows.iter().find(|row| row.addr.split('/').next() == Some(addr));
        row.unwrap_or_else(|| panic!("{addr} is not among {rows:?}")).state.clone()
    }

    /// The addresses that were made of prefixes, whatever their state.
    fn made(&mut self) -> Vec<AddressAnswer> {
        self.addresses().into_iter().filter(|row| row.origin == "auto").collect()
    }

    fn routes(&mut self) -> Vec<RouteAnswer> {
        let Answer::Routes(rows) = self.world.execute(&Command::Routes) else { panic!() };
        rows.into_iter().filter(|row| row.to.contains(':')).collect()
    }

    /// Through whom the default route leads.
    fn default_router(&mut self) -> Option<Ipv6Addr> {
        let via = self.routes().into_iter().find(|row| row.kind == "default")?.via?;
        via.to_string().parse().ok()
    }

    fn on_link(&mut self) -> Vec<String> {
        self.routes().into_iter().filter(|row| row.kind == "connected").map(|row| row.to).collect()
    }
}

fn advertisement(router: &str, prefixes: &[Prefix]) -> NdpFrame {
    NdpFrame::router_advertisement(ip(router), prefixes)
}

fn saying(mut frame: NdpFrame, change: impl FnOnce(&mut RouterAdvertisement)) -> NdpFrame {
    let NdpMessage::RouterAdvertisement(said) = &mut frame.message else { panic!("{frame:?}") };
    change(said);
    frame
}

fn prefix(network: &str, preferred_s: u32, valid_s: u32) -> Prefix {
    Prefix { preferred_s, valid_s, ..Prefix::new(ip(network), 64) }
}

fn target(frame: &NdpFrame) -> Option<Ipv6Addr> {
    match frame.message {
        NdpMessage::NeighborSolicitation { target } => Some(target),
        _ => None,
    }
}

// N06, N12, RFC 4862 5.4.2, RFC 4861 6.3.7: at the start and when the link comes up again: MLD report, question from `::`, a
// second, use; then the routers are asked, from the link-local address.
#[test]
fn an_address_is_reported_then_asked_for_and_then_used() {
    let mut link = Link::new(addressing());
    for round in 0..2 {
        let start = link.world.now();
        link.run(secs(20));
        let sent = link.sent.clone();
        for own in [STATIC, LINK_LOCAL].map(ip) {
            let reported = sent.iter().find(|(_, frame)| {
                let message = MldMessage::read(frame).unwrap();
                message.is_some_and(|m| m.reported().contains(&solicited_node(own)))
            });
            let asked: Vec<_> = sent
                .iter()
                .filter_map(|(at, frame)| Some((*at, NdpFrame::read(frame).unwrap()?)))
                .filter(|(_, frame)| target(frame) == Some(own) && frame.source.is_unspecified())
                .collect();
            let [(asked_at, question)] = &*asked else { panic!("{own} was asked for: {asked:?}") };
            let (reported_at, _) = reported.expect("the group is reported");
            assert!(reported_at < asked_at, "round {round}: the report comes first");
            assert!(asked_at.since(start) <= secs(1) + Duration::from_millis(200));
            assert!(matches!(&*question.options, [NdpOption::Nonce(nonce)] if nonce.len() == 6));
            let used = sent
                .iter()
                .find(|(_, frame)| NdpFrame::read(frame).unwrap().is_some_and(|frame| frame.source == own));
            assert!(used.is_none_or(|(at, _)| at.since(*asked_at) >= secs(1)), "{own} was used early");
        }
        let said = link.said();
        let routers: Vec<_> =
            said.iter().filter(|(_, frame)| frame.message == NdpMessage::RouterSolicitation).collect();
        assert_eq!(routers.len(), 3, "nobody answered");
        assert!(routers.windows(2).all(|pair| pair[1].0.since(pair[0].0) >= secs(4)));
        for (_, frame) in routers {
            assert_eq!(frame.source, ip(LINK_LOCAL));
            assert!(matches!(&*frame.options, [NdpOption::SourceLinkLayer(_)]));
        }
        link.world.device(0).set_link_up(false);
        link.run(secs(1));
        link.sent.clear();
        link.world.device(0).set_link_up(true);
    }
}

// N05, RFC 4862 5.4: a tentative address is not answered for; one in use is.
#[test]
fn a_tentative_address_is_not_answered_for() {
    let mut link = Link::new(addressing());
    assert!(!link.answers_for(ip(STATIC)));
    assert_eq!(link.state(STATIC), "tentative");
    link.run(secs(3));
    assert_eq!(link.state(STATIC), "preferred");
    assert!(link.answers_for(ip(STATIC)) && link.answers_for(ip(LINK_LOCAL)));
}

// N05, RFC 4862 5.4.3, 5.4.4: whoever asks for it too, or says to have it, keeps us from it, until the link comes up again.
#[test]
fn an_address_that_another_host_has_or_wants_is_not_used() {
    let conflicts = [NdpFrame::probe(THIEF, ip(STATIC), None), NdpFrame::announcement(THIEF, ip(STATIC))];
    for conflict in conflicts {
        let mut link = Link::new(addressing());
        // No address is ours before a second has passed since it was asked for.
        link.run(Duration::from_millis(900));
        link.hear(&conflict);
        link.run(secs(10));
        assert_eq!((link.state(STATIC), link.state(LINK_LOCAL)), ("duplicate".into(), "preferred".into()));
        assert!(!link.answers_for(ip(STATIC)));
        link.world.device(0).set_link_up(false);
        link.run(secs(1));
        link.world.device(0).set_link_up(true);
        link.run(secs(4));
        assert_eq!(link.state(STATIC), "preferred");
    }
}

// N07, RFC 7527: a switch that sends back what it gets makes no duplicate.
#[test]
fn a_link_that_loops_makes_no_duplicate() {
    let mut link = Link::new(addressing());
    for _ in 0..200 {
        link.run(Duration::from_millis(50));
        for (_, frame) in link.said().into_iter().filter(|(_, frame)| frame.source.is_unspecified()) {
            link.hear(&frame);
        }
    }
    assert_eq!((link.state(STATIC), link.state(LINK_LOCAL)), ("preferred".into(), "preferred".into()));
}

// N13, N17, RFC 4862 5.5, RFC 5942: of a prefix an address is made, which is asked for and used; what is on the link is what
// routers say.
#[test]
fn an_advertised_prefix_makes_an_address_and_a_route() {
    let mut link = Link::settled(addressing());
    link.hear(&advertisement(ROUTER, &[prefix("2001:db8:a::", 1800, 3600)]));
    let [made] = &*link.made() else { panic!("{:?}", link.addresses()) };
    assert_eq!((&*made.state, made.valid_s), ("tentative", Some(3600)));
    let own = ip(made.addr.split('/').next().unwrap());
    link.run(secs(3));
    let said = link.said();
    assert!(said.iter().any(|(_, frame)| target(frame) == Some(own) && frame.source.is_unspecified()));
    assert_eq!(link.state(&own.to_string()), "preferred");
    assert!(link.answers_for(own));
    assert_eq!(link.default_router(), Some(ip(ROUTER)));
    assert_eq!(link.on_link(), ["2001:db8::/64", "2001:db8:a::/64", "fe80::/64"]);
    // The A flag alone says nothing of the link.
    let alone = Prefix { on_link: false, ..prefix("2001:db8:b::", 1800, 3600) };
    link.hear(&advertisement(ROUTER, &[alone]));
    link.run(secs(3));
    assert_eq!(link.made().len(), 2);
    assert!(!link.on_link().contains(&"2001:db8:b::/64".to_owned()));
}

// N12, RFC 4861 6.3.7: an answer is enough.
#[test]
fn routers_are_asked_no_more_when_one_has_answered() {
    let mut link = Link::new(addressing());
    let is_question = |frame: &NdpFrame| frame.message == NdpMessage::RouterSolicitation;
    let mut asked = 0;
    for _ in 0..400 {
        link.run(Duration::from_millis(50));
        let questions = link.said().iter().filter(|(_, frame)| is_question(frame)).count();
        asked += questions;
        if questions > 0 {
            link.hear(&advertisement(ROUTER, &[]));
        }
    }
    assert_eq!(asked, 1);
}

// N13, RFC 4862 5.5.4: a site gets another prefix: the old address is deprecated, answered for, not chosen; and then gone.
#[test]
fn a_change_of_prefix_deprecates_the_old_address_and_then_ends_it() {
    let mut link = Link::settled(Addressing6 { statics: Vec::new(), ..addressing() });
    link.hear(&advertisement(ROUTER, &[prefix("2001:db8:a::", 60, 120)]));
    link.run(secs(3));
    let old = link.made()[0].addr.split('/').next().unwrap().to_owned();
    link.hear(&advertisement(ROUTER, &[prefix("2001:db8:b::", 1800, 3600)]));
    link.run(secs(60));
    assert_eq!(link.state(&old), "deprecated");
    assert!(link.answers_for(ip(&old)));
    let default = link.routes().into_iter().find(|row| row.kind == "default").unwrap();
    let source = default.source.unwrap().to_string();
    assert!(source.starts_with("fe80:"), "towards the router itself: {source}");
    link.run(secs(60));
    assert!(link.made().iter().all(|row| row.addr.starts_with("2001:db8:b:")));
    assert!(!link.answers_for(ip(&old)));
    assert_eq!(link.on_link(), ["2001:db8:b::/64", "fe80::/64"]);
}

// N13, RFC 4861 6.1.2, RFC 4862 5.5.3(e): forged advertisements from elsewhere do nothing; from the link they end no address and
// take no more room than there is.
#[test]
fn forged_advertisements_do_bounded_harm() {
    let mut link = Link::settled(addressing());
    let real = advertisement(ROUTER, &[prefix("2001:db8:a::", 86_400, 86_400)]);
    link.hear(&real);
    link.run(secs(3));
    let made = link.made();
    let from_elsewhere = [
        NdpFrame { hop_limit: 254, ..advertisement(OTHER_ROUTER, &[prefix("2001:db8:666::", 100, 100)]) },
        NdpFrame {
            source: ip("2001:db8::666"),
            ..advertisement(ROUTER, &[prefix("2001:db8:666::", 100, 100)])
        },
        NdpFrame {
            source: ip("2001:db8::666"),
            ..saying(advertisement(ROUTER, &[]), |said| said.lifetime_s = 0)
        },
    ];
    for forged in &from_elsewhere {
        link.hear(forged);
        link.run(secs(1));
        assert_eq!(link.made().len(), 1);
        assert_eq!(link.default_router(), Some(ip(ROUTER)));
    }
    // The lifetime attack: nothing left is two hours left.
    link.hear(&advertisement(ROUTER, &[prefix("2001:db8:a::", 0, 0)]));
    let after = link.made();
    assert_eq!((after[0].addr.clone(), after[0].valid_s), (made[0].addr.clone(), Some(7200)));
    link.run(secs(10));
    assert_eq!(link.made()[0].state, "deprecated");
    for n in 0..300u16 {
        let router = format!("fe80::666:{n:x}");
        link.hear(&advertisement(
            &router,
            &[prefix(&format!("2001:db8:{:x}::", n + 0x1000), 100_000, 100_000)],
        ));
    }
    link.run(secs(3));
    assert!(link.made().len() <= 16, "{}", link.made().len());
    assert!(link.routes().len() <= 64 + 2 + 16, "{}", link.routes().len());
    assert_eq!(link.default_router(), Some(ip(ROUTER)), "who was there first stays");
    link.hear(&real);
    assert_eq!(link.made()[0].state, "preferred");
}

// N11, N13, RFC 4861 6.3.6, RFC 4191: the router that is preferred, while it answers; then the other; and the first again.
#[test]
fn a_router_that_does_not_answer_is_passed_over() {
    let mut link = Link::settled(addressing());
    link.hear(&saying(advertisement(OTHER_ROUTER, &[]), |said| said.flags = 0x18));
    link.hear(&saying(advertisement(ROUTER, &[]), |said| said.flags = 0x08));
    link.run(secs(5));
    assert_eq!(link.default_router(), Some(ip(ROUTER)), "it is preferred");
    link.routers = vec![ip(OTHER_ROUTER)];
    link.run(secs(120));
    assert_eq!(link.default_router(), Some(ip(OTHER_ROUTER)), "it answers");
    link.routers = vec![ip(ROUTER), ip(OTHER_ROUTER)];
    link.run(secs(60));
    assert_eq!(link.default_router(), Some(ip(ROUTER)), "it answers again");
    // RFC 4861 6.3.4, 7.2.5: it says that it is none any more.
    link.hear(&saying(advertisement(ROUTER, &[]), |said| said.lifetime_s = 0));
    link.run(secs(1));
    assert_eq!(link.default_router(), Some(ip(OTHER_ROUTER)));
}

// N14, RFC 4861 6.3.4: answers have the hop limit that a router says, and are no longer than its MTU; another MTU of the port makes
// them no longer.
#[test]
fn answers_are_as_a_router_says_of_the_link() {
    let mut link = Link::settled(addressing());
    let peer = SocketAddrV6::new(ip("2001:db8::99"), 4000, 0, 0);
    let request = UdpFrame6::between(peer, SocketAddrV6::new(ip(STATIC), 7, 0, 0), &[0; 1430]);
    let request = request.to_mac(PortOptions::new(0).nic.mac).frame();
    // The longest packet of the answer, and its hop limit.
    let answer = |link: &mut Link| {
        let sent = link.world.exchange(0, &request);
        let packets: Vec<_> = sent.iter().filter(|frame| frame[..6] == request[6..12]).collect();
        assert!(!packets.is_empty(), "{sent:?}");
        (packets.iter().map(|frame| frame.len() - 14).max().unwrap(), packets[0][21])
    };
    assert_eq!(answer(&mut link), (1478, 64));
    let mut said = saying(advertisement(ROUTER, &[]), |said| said.hop_limit = 32);
    said.options.push(NdpOption::Mtu(1400));
    link.hear(&said);
    link.run(secs(1));
    let (longest, hop_limit) = answer(&mut link);
    assert!((1390..=1400).contains(&longest) && hop_limit == 32, "{longest} {hop_limit}");
    for (mtu, most) in [(1300, 1300), (1500, 1400)] {
        let done = link.world.execute(&Command::Mtu(MtuOrder { mtu, port: None }));
        assert!(matches!(done, Answer::Done(_)), "{done:?}");
        link.run(secs(1));
        let (longest, _) = answer(&mut link);
        assert!((most - 10..=most).contains(&longest), "{mtu}: {longest}");
    }
}

// Configuration: routers are not believed where they are not to be.
#[test]
fn without_router_discovery_nobody_is_asked_and_nobody_believed() {
    let mut link = Link::new(Addressing6 { router_discovery: false, ..addressing() });
    link.run(secs(20));
    assert!(link.said().iter().all(|(_, frame)| frame.message != NdpMessage::RouterSolicitation));
    link.hear(&advertisement(ROUTER, &[prefix("2001:db8:a::", 1800, 3600)]));
    link.run(secs(3));
    assert!(link.made().is_empty() && link.default_router().is_none());
}

// RFC 4861: an interface without IPv6 says nothing of it, whatever comes.
#[test]
fn an_interface_without_ipv6_is_silent() {
    let mut link = Link::with(PortOptions::new(0));
    link.hear(&advertisement(ROUTER, &[prefix("2001:db8:a::", 1800, 3600)]));
    link.hear(&NdpFrame::solicitation(ip("fe80::99"), ip(LINK_LOCAL)));
    link.run(secs(20));
    assert!(link.sent.iter().all(|(_, frame)| frame[12..14] != [0x86, 0xdd]));
    assert!(link.addresses().is_empty() && link.routes().is_empty());
}
