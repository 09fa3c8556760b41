//! VLANs on a simulated NIC: each has its interface, whoever takes tags off and puts them on.

use std::net::Ipv4Addr;
use std::time::Duration;

use pollcast::addr::{Group, Ipv4Cidr, Unicast, V4, Vid};
use pollcast::engine::command::{Answer, Command, Membership};
use pollcast::io::DropReason;
use pollcast::sim::frames::{ArpFrame, Ethernet, IcmpFrame, UdpFrame, station_mac};
use pollcast::sim::nic::NicOptions;
use pollcast::sim::setup::{PortOptions, VlanOptions, WorldOptions};
use pollcast::sim::world::World;

const HOST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
const PEER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const HOST_100: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 2);
const PEER_100: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 1);

fn cidr(addr: Ipv4Addr) -> Vec<Ipv4Cidr> {
    Unicast::new(addr).and_then(|a| Ipv4Cidr::new(a, 24)).into_iter().collect()
}

/// 198.18.0.2/24 untagged, 198.19.0.2/24 on VLAN 100.
fn options(vlan_strip: bool, vlan_insert: bool) -> WorldOptions {
    let port = PortOptions::new(0);
    let nic = NicOptions { vlan_strip, vlan_insert, ..port.nic.clone() };
    let vlan = VlanOptions { vid: Vid::new(100).unwrap(), addresses: cidr(HOST_100), gateway4: None };
    WorldOptions { ports: vec![PortOptions { nic, vlans: vec![vlan], ..port }], ..WorldOptions::default() }
}

/// Every way to share the work on tags between host and device, with a world that has said what hosts say at a start.
fn worlds() -> Vec<World> {
    let ways = [(false, false), (true, false), (false, true), (true, true)];
    let start = |(strip, insert)| {
        let mut world = World::new(7, &options(strip, insert));
        world.run_for(Duration::from_secs(5));
        world.take_sent(0);
        world
    };
    ways.into_iter().map(start).collect()
}

fn tagged(tpid: u16, tci: u16, mut frame: Vec<u8>) -> Vec<u8> {
    let tag = [tpid.to_be_bytes(), tci.to_be_bytes()].concat();
    frame.splice(12..12, tag);
    frame
}

/// The frame without its tag, which must be of `vid`.
#[track_caller]
fn untagged(vid: u16, mut frame: Vec<u8>) -> Vec<u8> {
    let tag: Vec<u8> = frame.drain(12..16).collect();
    assert_eq!(tag, [[0x81, 0x00], vid.to_be_bytes()].concat());
    frame
}

fn mac() -> pollcast::addr::MacAddr {
    PortOptions::new(0).nic.mac
}

fn echo_request(peer: Ipv4Addr, host: Ipv4Addr, len: usize) -> Vec<u8> {
    let payload: Vec<u8> = (0..=255).cycle().take(len).collect();
    UdpFrame::new(&format!("{peer}:40000"), &format!("{host}:7"), &payload).to_mac(mac()).frame()
}

// E12, 802.1Q: an answer carries the VLAN of its request, of every length, ARP and ICMP too.
#[test]
fn a_request_is_answered_on_its_vlan() {
    for mut world in worlds() {
        for len in [0, 1, 17, 18, 19, 1472] {
            let request = echo_request(PEER_100, HOST_100, len);
            let answers = world.exchange(0, &tagged(0x8100, 100, request.clone()));
            let [answer] = <[_; 1]>::try_from(answers).unwrap();
            assert!(answer.len() >= 64);
            let answer = UdpFrame::read(&untagged(100, answer)).unwrap();
            assert_eq!(answer.payload, UdpFrame::read(&request).unwrap().payload, "{len} bytes");
            assert_eq!((*answer.source.ip(), answer.destination_mac), (HOST_100, station_mac(PEER_100)));
        }
        let ping = IcmpFrame::echo(PEER_100, HOST_100, 1, 2, b"data").to_mac(mac()).frame();
        let [pong] = <[_; 1]>::try_from(world.exchange(0, &tagged(0x8100, 100, ping))).unwrap();
        assert_eq!(IcmpFrame::read(&untagged(100, pong)).unwrap().kind, 0);
        let who_has = ArpFrame::request(PEER_100, HOST_100).frame();
        let [is_at] = <[_; 1]>::try_from(world.exchange(0, &tagged(0x8100, 100, who_has))).unwrap();
        assert_eq!(ArpFrame::read(&untagged(100, is_at)).unwrap().sender_mac, mac());
        let closed = UdpFrame::new("198.19.0.1:40000", "198.19.0.2:9", b"x").to_mac(mac()).frame();
        let [error] = <[_; 1]>::try_from(world.exchange(0, &tagged(0x8100, 100, closed))).unwrap();
        assert_eq!(IcmpFrame::read(&untagged(100, error)).unwrap().kind, 3);
    }
}

// E11, 802.1Q 6.9: no tag and a priority tag are the untagged interface's, whose answers have none.
#[test]
fn a_priority_tag_is_no_vlan() {
    for mut world in worlds() {
        let request = echo_request(PEER, HOST, 30);
        for frame in [request.clone(), tagged(0x8100, 0xe000, request.clone()), tagged(0x88a8, 0, request)] {
            let [answer] = <[_; 1]>::try_from(world.exchange(0, &frame)).unwrap();
            assert_eq!(Ethernet::read(&answer).unwrap().0.ethertype, 0x0800);
        }
    }
}

// E11: what is not configured is dropped; what is, with another interface's address, is not for us there (strong host).
#[test]
fn vlans_are_apart() {
    for mut world in worlds() {
        for vid in [5, 99, 4094] {
            let frame = tagged(0x8100, vid, echo_request(PEER_100, HOST_100, 30));
            assert!(world.exchange(0, &frame).is_empty());
        }
        assert_eq!(world.drops(DropReason::VlanUnknown), 3);
        let stacked = tagged(0x88a8, 100, tagged(0x8100, 100, echo_request(PEER_100, HOST_100, 30)));
        assert!(world.exchange(0, &stacked).is_empty());
        assert_eq!(world.drops(DropReason::VlanUnknown), 4);
        assert!(world.exchange(0, &echo_request(PEER_100, HOST_100, 30)).is_empty());
        assert!(world.exchange(0, &tagged(0x8100, 100, echo_request(PEER, HOST, 30))).is_empty());
        assert_eq!(world.drops(DropReason::Ipv4NotForUs), 2);
    }
}

// U18: a group is joined on one interface, and heard there alone; its MAC is in the port's one filter.
#[test]
fn a_group_is_joined_on_one_vlan() {
    let group = Ipv4Addr::new(239, 1, 2, 3);
    for mut world in worlds() {
        let membership = Membership::of(group).on("p0.100");
        let Answer::Done(done) = world.command(&Command::Join(membership)) else { panic!("not joined") };
        assert_eq!(done.done, format!("joined {group} on p0.100 for echo"));
        world.settle();
        let reports = world.take_sent(0);
        assert!(
            !reports.is_empty() && reports.iter().all(|r| r[12..16] == [0x81, 0, 0, 100]),
            "{reports:02x?}"
        );
        let Answer::Filter(filter) = world.execute(&Command::Filter) else { panic!() };
        assert!(filter[0].state.macs.contains(&Group::<V4>::new(group).unwrap().mac()));
        let to_group = |from: &str| UdpFrame::new(from, "239.1.2.3:7", b"to all").frame();
        assert_eq!(world.exchange(0, &tagged(0x8100, 100, to_group("198.19.0.1:40000"))).len(), 1);
        assert!(world.exchange(0, &to_group("198.18.0.1:40000")).is_empty());
        assert_eq!(world.drops(DropReason::Ipv4GroupNotJoined), 1);
    }
}

#[test]
fn a_port_may_have_nothing_but_a_vlan() {
    let mut options = options(false, false);
    options.ports[0].vlans.clear();
    options.ports[0].vlan = Vid::new(7);
    let mut world = World::new(7, &options);
    world.run_for(Duration::from_secs(5));
    assert!(world.take_sent(0).iter().all(|frame| frame[12..16] == [0x81, 0, 0, 7]));
    assert!(world.exchange(0, &echo_request(PEER, HOST, 30)).is_empty());
    assert_eq!(world.exchange(0, &tagged(0x8100, 7, echo_request(PEER, HOST, 30))).len(), 1);
    assert_eq!(world.drops(DropReason::VlanUnknown), 1);
}
