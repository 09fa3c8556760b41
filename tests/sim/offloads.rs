//! Whatever a simulated NIC does for its host, what is on the wire and what is counted is the same.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::offload_common::{SAID, VID, requests, said};
use pollcast::addr::{Cidr, Group, Ipv4Cidr, Unicast, V6, Vid};
use pollcast::engine::Counter;
use pollcast::fastpath::Level;
use pollcast::io::{Addressing6, DropReason, InterfaceId};
use pollcast::sim::nic::NicOptions;
use pollcast::sim::offload::RxChecksum;
use pollcast::sim::setup::{PortOptions, ServiceOptions, VlanOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::stack::membership::SourceFilter;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const GROUP6: Ipv6Addr = Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 1, 2, 3);

fn world(nic: NicOptions, level: Level) -> World {
    let own = |ip: &str| Cidr::<V6>::new(Unicast::new(ip.parse().unwrap()).unwrap(), 64).unwrap();
    let port = PortOptions::new(0);
    let nic = NicOptions { name: port.nic.name.clone(), mac: port.nic.mac, ..nic };
    let blue = Unicast::new("198.19.0.2".parse().unwrap()).and_then(|a| Ipv4Cidr::new(a, 24));
    let addressing6 = Addressing6 {
        // Both are on each of the two interfaces: the VLANs are apart all the same.
        statics: vec![own("2001:db8::2"), own("2001:db8:64::2")],
        router_discovery: false,
        ..Addressing6::default()
    };
    let vlan =
        VlanOptions { vid: Vid::new(VID).unwrap(), addresses: blue.into_iter().collect(), gateway4: None };
    let port = PortOptions { nic, vlans: vec![vlan], addressing6: Some(addressing6), ..port };
    let mut echo = ServiceOptions::echo().dual_stack();
    for interface in [InterfaceId(0), InterfaceId(1)] {
        echo = echo.wanting(interface, GROUP, SourceFilter::ANY);
        echo.groups6.push((interface, Group::new(GROUP6).unwrap(), SourceFilter::ANY));
    }
    let options =
        WorldOptions { ports: vec![port], services: vec![echo], level, large: 16, ..WorldOptions::default() };
    let mut world = World::new(21, &options);
    world.run_for(Duration::from_secs(10));
    world.take_sent(0);
    world
}

/// What is said, what is dropped, and what is counted of all that.
fn outcome(nic: NicOptions, level: Level) -> (Vec<String>, Vec<(DropReason, u64)>, [u64; 4]) {
    let mac = PortOptions::new(0).nic.mac;
    let mut world = world(nic, level);
    let mut frames = Vec::new();
    for request in requests(mac) {
        world.inject(0, &request);
        world.settle();
        frames.extend(world.take_sent(0));
    }
    world.run_for(Duration::from_millis(100));
    frames.extend(world.take_sent(0));
    let counted = [Counter::Delivered, Counter::Reassembled, Counter::IcmpEcho, Counter::IcmpErrors];
    (said(mac, &frames), world.all_drops(), counted.map(|counter| world.count(counter)))
}

// C01, U04, U05, E11, E12: each switch on and off, with every other; good, wrong, absent sums, fragments and tags.
#[test]
fn every_combination_of_offloads_has_the_same_results() {
    let reference = outcome(NicOptions::default(), Level::BASELINE);
    let (said, drops, counted) = &reference;
    // It is worth comparing: echoes, whole and cut, on both networks, and errors; and drops of each kind.
    assert!(
        said.len() == SAID && said.iter().filter(|line| line.contains("in 3 fragments")).count() >= 6,
        "{said:#?}"
    );
    assert!(said.iter().any(|line| line.starts_with("Some(100) icmp6 1 4")), "{said:#?}");
    for reason in [DropReason::UdpChecksum, DropReason::Ipv4Checksum, DropReason::VlanUnknown] {
        assert!(drops.iter().any(|(why, n)| *why == reason && *n > 0), "{reason:?} in {drops:?}");
    }
    assert!(counted.iter().all(|count| *count > 0), "{counted:?}");
    for rx_checksum in [RxChecksum::Unknown, RxChecksum::Computed, RxChecksum::AlwaysBad] {
        for switches in 0..8u8 {
            let is_on = |bit: u8| switches & (1 << bit) != 0;
            let (tx_checksum, vlan_strip, vlan_insert) = (is_on(0), is_on(1), is_on(2));
            let nic =
                NicOptions { rx_checksum, tx_checksum, vlan_strip, vlan_insert, ..NicOptions::default() };
            for level in [Level::BASELINE, Level::detect()] {
                let found = outcome(nic.clone(), level);
                assert!(found == reference, "{nic:?}, {level:?}:\n{found:#?}\nand not\n{reference:#?}");
            }
        }
    }
}
