//! More ARP than control can deal with: a host that asks for our address is answered all the same.

use std::net::Ipv4Addr;
use std::time::Duration;

use pollcast::addr::{Ipv4Cidr, MacAddr, Unicast, Vid};
use pollcast::engine::counters::Counter;
use pollcast::engine::message::PUNT_LEN;
use pollcast::io::DropReason;
use pollcast::sim::frames::{ArpFrame, station_mac};
use pollcast::sim::nic::NicOptions;
use pollcast::sim::setup::{PortOptions, VlanOptions, WorldOptions};
use pollcast::sim::world::World;

const HOST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
const HOST_100: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 2);
const FLOOD: u8 = 200;
/// As many more as fill the queue to control before the flood begins.
const BEFORE: usize = PUNT_LEN;

fn world(vlan_strip: bool, vlan_insert: bool) -> World {
    let port = PortOptions::new(0);
    let nic = NicOptions {
        rx_descriptors: 1024,
        tx_descriptors: 1024,
        vlan_strip,
        vlan_insert,
        ..port.nic.clone()
    };
    let addresses = Unicast::new(HOST_100).and_then(|a| Ipv4Cidr::new(a, 24)).into_iter().collect();
    let vlan = VlanOptions { vid: Vid::new(100).unwrap(), addresses, gateway4: None };
    let ports = vec![PortOptions { nic, vlans: vec![vlan], ..port }];
    let mut world = World::new(3, &WorldOptions { ports, ..WorldOptions::default() });
    world.run_for(Duration::from_secs(5));
    world.take_sent(0);
    world
}

fn mac() -> MacAddr {
    PortOptions::new(0).nic.mac
}

/// The worker has these, and control is away; what leaves the device.
fn without_control(world: &mut World, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    for frame in frames {
        world.device(0).receive(frame);
    }
    while world.turn_worker(0) > 0 {}
    std::iter::from_fn(|| world.device(0).transmit()).collect()
}

/// So much ARP that control's queue is full: requests of one host.
fn fill_the_queue(world: &mut World) {
    let first = ArpFrame::request(Ipv4Addr::new(198, 18, 0, 9), HOST).frame();
    assert!(without_control(world, &vec![first; BEFORE]).is_empty(), "control answers what it is handed");
}

fn tagged(mut frame: Vec<u8>) -> Vec<u8> {
    frame.splice(12..12, [0x81, 0, 0, 100]);
    frame
}

// A01, RFC 826: a request for our address is answered, whatever else goes on.
#[test]
fn a_request_that_control_has_no_time_for_is_answered_by_the_worker() {
    for (strip, insert) in [(false, false), (true, true)] {
        let mut world = world(strip, insert);
        fill_the_queue(&mut world);
        let asker = |n: u8| ArpFrame::request(Ipv4Addr::new(198, 18, 0, n), HOST);
        let requests: Vec<_> = (3..FLOOD).map(|n| asker(n).frame()).collect();
        let answers = without_control(&mut world, &requests);
        let expected: Vec<_> = (3..FLOOD).map(|n| asker(n).reply(mac()).frame()).collect();
        assert_eq!(answers, expected);
        assert_eq!(world.drops(DropReason::PuntQueueFull), 0);
        assert_eq!(world.count(Counter::ArpAnswered), u64::from(FLOOD - 3));

        // E12: on its VLAN, and of the address that is there.
        let asks = |host| ArpFrame::request(Ipv4Addr::new(198, 19, 0, 1), host);
        let requests = [HOST_100, HOST].map(|host| tagged(asks(host).frame()));
        let [answer] = <[_; 1]>::try_from(without_control(&mut world, &requests)).unwrap();
        assert_eq!(answer, tagged(asks(HOST_100).reply(mac()).frame()));
        // Control has its queue still, and answers those in it when it is back.
        world.settle();
        assert_eq!(world.take_sent(0).len(), BEFORE);
        assert_eq!(world.pool().outstanding(), 0);
    }
}

// A02, A06, RFC 826, RFC 5227 2.4: what is no request for an address of ours, or claims one, is control's business alone.
#[test]
fn nothing_else_is_answered_without_control() {
    let mut world = world(false, false);
    fill_the_queue(&mut world);
    let peer = Ipv4Addr::new(198, 18, 0, 1);
    let question = ArpFrame::request(peer, HOST);
    let others = [
        ArpFrame::request(peer, Ipv4Addr::new(198, 18, 0, 77)),
        ArpFrame::request(peer, peer),
        ArpFrame::request(peer, Ipv4Addr::BROADCAST),
        ArpFrame { sender: HOST, ..question.clone() },
        ArpFrame::request(HOST, peer).reply(station_mac(peer)),
    ];
    let frames: Vec<_> = others.iter().map(ArpFrame::frame).collect();
    assert!(without_control(&mut world, &frames).is_empty());
    assert_eq!(world.drops(DropReason::PuntQueueFull), 5);
    // A05, RFC 5227 2.1.1: but a probe for our address is.
    let probe = ArpFrame { sender: Ipv4Addr::UNSPECIFIED, ..question };
    assert_eq!(without_control(&mut world, &[probe.frame()]), [probe.reply(mac()).frame()]);
}
