//! The body: a script through the whole host, workers and control, in a seeded world.
//!
//! Beside what the world itself asserts (packets balance after every turn, buffers are where they should be): what is
//! sent is what a correct host may send; and whatever it was sent, the host still answers, is still a member of its groups, and
//! leaves them in the end.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::collections::BTreeSet;

use pollcast::engine::command::{Answer, Command, IgmpOrder};
use pollcast::fastpath::Level;
use pollcast::io::InterfaceId;
use pollcast::sim::filter::Abilities;
use pollcast::sim::frames::{ArpFrame, IcmpFrame, IgmpMessage, IgmpQuery, RecordKind, UdpFrame};
use pollcast::sim::nic::Reception;
use pollcast::sim::setup::{PortOptions, ServiceOptions, WorldOptions};
use pollcast::sim::world::World;

use super::ingress::{HOST, HOST_MAC, may_be_sent};
use super::script::Step;

/// The groups that the host joins: one from any source, one from one.
const GROUPS: [Ipv4Addr; 2] = [Ipv4Addr::new(239, 1, 2, 3), Ipv4Addr::new(232, 1, 2, 3)];
const SOURCE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

/// A station that no script speaks for.
const WITNESS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 77);

fn world() -> World {
    let mut port = PortOptions::new(0);
    port.nic.mac = HOST_MAC;
    port.nic.filter = Abilities::none();
    let echo = ServiceOptions::echo().joining(GROUPS[0], &[]).joining(GROUPS[1], &[SOURCE]);
    assert!(echo.groups.iter().all(|(id, ..)| *id == InterfaceId(0)));
    let options = WorldOptions {
        ports: vec![port],
        services: vec![echo],
        buffers: 128,
        level: Level::detect(),
        ..WorldOptions::default()
    };
    World::new(1, &options)
}

/// Plays `steps` to a host, then asks whether it is well.
pub fn fuzz_host(steps: &[Step]) {
    let mut world = world();
    for step in steps {
        match step {
            Step::Frame(frame) => {
                if world.inject(0, frame) == Reception::Missed {
                    world.settle();
                }
            }
            Step::Turn => world.settle(),
            Step::Wait(ms) => {
                plenty(&mut world);
                world.run_for(Duration::from_millis(u64::from(*ms)));
            }
            Step::Stall => world.device(0).stall_tx(true),
            Step::Starve(left) => {
                world.settle();
                world.leave_buffers(usize::from(*left));
            }
        }
    }
    plenty(&mut world);
    world.run_for(Duration::from_secs(2));
    read(&mut world);
    is_well(&mut world);
    let version = igmp_version(&mut world);
    world.shut_down();
    let left = left(&read(&mut world));
    // G03: version 1 has no leaves.
    let leaves = if version == 1 { &[] } else { told(version) };
    assert_eq!(left, leaves.iter().copied().collect(), "groups that were left at the end");
    assert_eq!(world.pool().outstanding(), 0, "buffers that did not come home");
}

fn plenty(world: &mut World) {
    world.return_buffers();
    world.device(0).stall_tx(false);
}

/// What was sent since this was last asked: all of it such as a host may send.
fn read(world: &mut World) -> Vec<Vec<u8>> {
    let sent = world.take_sent(0);
    for frame in &sent {
        if let Err(what) = may_be_sent(frame) {
            panic!("sent, and {what}: {frame:02x?}");
        }
    }
    sent
}

/// The groups that reports among `frames` speak of.
fn reported(frames: &[Vec<u8>]) -> BTreeSet<Ipv4Addr> {
    let messages = frames.iter().filter_map(|frame| IgmpMessage::read(frame).ok().flatten());
    messages.flat_map(|message| message.reported()).collect()
}

/// Whether the host does what it should for a peer of whom it has not heard.
fn is_well(world: &mut World) {
    let answers = ask(world, &ArpFrame::request(WITNESS, HOST).frame());
    let is_ours =
        |frame: &Vec<u8>| ArpFrame::read(frame).is_ok_and(|a| a.operation == 2 && a.target == WITNESS);
    assert!(answers.iter().any(is_ours), "an ARP request was not answered");

    for to in [HOST, GROUPS[0]] {
        let request = UdpFrame::new(&format!("{WITNESS}:40000"), &format!("{to}:7"), b"well?");
        let answers = ask(world, &request.to_mac(mac_of(to)).frame());
        let echoes =
            answers.iter().filter(|frame| UdpFrame::read(frame).is_ok_and(|e| e.payload == b"well?"));
        assert_eq!(echoes.count(), 1, "echoes of a datagram to {to}");
    }
    let ping = IcmpFrame::echo(WITNESS, HOST, 1, 2, b"well?").to_mac(HOST_MAC);
    let answers = ask(world, &ping.frame());
    assert!(
        answers.iter().any(|frame| IcmpFrame::read(frame).is_ok_and(|e| e.kind == 0)),
        "a ping was not answered"
    );

    let joined: BTreeSet<_> = world.groups().iter().map(|group| group.group).collect();
    assert_eq!(joined, GROUPS.map(IpAddr::from).into(), "groups that it says it has joined");
    let query = IgmpQuery { max_response: Duration::from_secs(1), ..IgmpQuery::general(WITNESS) };
    world.inject(0, &query.frame());
    world.run_for(Duration::from_secs(1));
    let sent = read(world);
    // G48: among older queriers, of which the script may have made one, nothing is said of source-specific groups.
    let told = told(igmp_version(world));
    assert_eq!(reported(&sent), told.iter().copied().collect(), "groups in the answer to a query");
    assert_eq!(left(&sent), BTreeSet::new(), "leaves that nobody asked for");
}

/// The groups that messages among `frames` leave, or sources of them.
fn left(frames: &[Vec<u8>]) -> BTreeSet<Ipv4Addr> {
    let messages = frames.iter().filter_map(|frame| IgmpMessage::read(frame).ok().flatten());
    let leaves = |message| match message {
        IgmpMessage::ReportV3(report) => {
            let left =
                report.records.into_iter().filter(|r| matches!(r.kind, RecordKind::ToIn | RecordKind::Block));
            left.map(|r| r.group).collect()
        }
        IgmpMessage::Leave(group) => vec![group],
        IgmpMessage::ReportV1(_) | IgmpMessage::ReportV2(_) => Vec::new(),
    };
    messages.flat_map(leaves).collect()
}

/// The groups of which routers are told in `version`.
fn told(version: u8) -> &'static [Ipv4Addr] {
    if version == 3 { &GROUPS } else { &GROUPS[..1] }
}

/// The version of IGMP that is spoken.
fn igmp_version(world: &mut World) -> u8 {
    let answer = world.command(&Command::Igmp(IgmpOrder::default()));
    let Answer::Igmp(interfaces) = &answer else { panic!("{answer:?}") };
    interfaces[0].version
}

fn mac_of(addr: Ipv4Addr) -> pollcast::addr::MacAddr {
    pollcast::addr::Group::<pollcast::addr::V4>::new(addr).map_or(HOST_MAC, pollcast::addr::Group::mac)
}

fn ask(world: &mut World, frame: &[u8]) -> Vec<Vec<u8>> {
    assert!(matches!(world.inject(0, frame), Reception::Queued(_)), "the host's NIC took no frame");
    world.settle();
    read(world)
}
