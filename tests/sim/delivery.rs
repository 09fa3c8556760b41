//! A datagram that is for many: who has a copy, on which worker, and that nobody notices the others.
#![expect(clippy::cast_possible_truncation, reason = "small numbers of the test's own")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use pollcast::engine::Counter;
use pollcast::engine::command::{Answer, Command, Membership, SocketAnswer};
use pollcast::io::DropReason;
use pollcast::service::EchoOptions;
use pollcast::sim::frames::{IcmpFrame, UdpFrame, fragment};
use pollcast::sim::nic::NicOptions;
use pollcast::sim::setup::{PortOptions, ServiceOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::stack::membership::SourceFilter;

use crate::delivery_common::*;

/// The payloads of what the host answered.
fn answers(world: &mut World) -> Vec<Vec<u8>> {
    let mut answers: Vec<_> =
        world.take_sent(0).iter().filter_map(|f| UdpFrame::read(f).ok()).map(|f| f.payload).collect();
    answers.sort_unstable();
    answers
}

fn sockets(world: &mut World) -> Vec<SocketAnswer> {
    match world.execute(&Command::Sockets) {
        Answer::Sockets(sockets) => sockets,
        other => panic!("{other:?}"),
    }
}

// U13, RFC 1122 4.1.3.1: three sockets, three copies; to one of our addresses, one, and (U15) it is the last bound that
// has it.
#[test]
fn every_socket_has_a_copy_of_what_is_for_many() {
    let any = ["0.0.0.0:5000"];
    let [a, b, c] = ["a", "b", "c"].map(|name| Tested::new(name, &any, Habit::Echo));
    let services = vec![a.joining(SourceFilter::ANY), b.joining(SourceFilter::ANY), c];
    let (mut world, seen) = world(1, 1, services);
    world.inject(0, &UdpFrame::new(PEER, TO_GROUP, b"group").frame());
    world.inject(0, &frame(PEER, "198.18.0.255:5000", b"everyone"));
    world.inject(0, &UdpFrame::new(PEER, "198.18.0.2:5000", b"one").frame());
    world.settle();
    let [group, everyone, one] = ["group", "everyone", "one"].map(|s| s.as_bytes().to_vec());
    for seen in &seen[..2] {
        assert_eq!(payloads(seen), [group.clone(), everyone.clone()]);
    }
    assert_eq!(payloads(&seen[2]), [group.clone(), everyone.clone(), one.clone()]);
    assert_eq!(answers(&mut world), [vec![everyone; 3], vec![group; 3], vec![one]].concat());
    // Of each of the two, one answer is made in the buffer itself, and two in copies.
    assert_eq!((world.count(Counter::Shared), world.count(Counter::Copied)), (4, 4));
    assert_eq!(world.count(Counter::Delivered), 7);
    let counted: Vec<_> = sockets(&mut world).iter().map(|s| (s.rx, s.tx)).collect();
    assert_eq!(counted, [(2, 2), (2, 2), (3, 3)]);
}

// U13: a reader that writes into a buffer which others share would change what they receive.
#[test]
fn what_one_service_writes_no_other_sees() {
    use Habit::{Read, Refuse, Shout};
    for habits in [[Shout, Read, Read], [Read, Shout, Read], [Read, Read, Shout], [Shout, Refuse, Shout]] {
        for workers in [1, 2] {
            // With two workers, the second service lives on the one, and the others on the other.
            let home = |i: usize| if i == 1 { workers - 1 } else { 0 };
            let tested = |(i, habit)| {
                let service = Tested::new(&format!("s{i}"), &["0.0.0.0:5000"], habit);
                service.joining(SourceFilter::ANY).on(&[home(i)])
            };
            let services = habits.into_iter().enumerate().map(tested).collect();
            let (mut world, seen) = world(2, workers as u16, services);
            for port in 0..50u16 {
                let from = format!("198.18.0.1:{}", 40_000 + port);
                world.inject(0, &UdpFrame::new(&from, TO_GROUP, b"quietly").frame());
            }
            world.settle();
            for seen in &seen {
                assert_eq!(payloads(seen), vec![b"quietly".to_vec(); 50], "{habits:?}");
            }
            let shouts = habits.iter().filter(|habit| **habit == Shout).count();
            assert_eq!(answers(&mut world), vec![b"QUIETLY".to_vec(); 50 * shouts], "{habits:?}");
        }
    }
}

// U13: also of what fragments were put together to, whose payload is in a body.
#[test]
fn datagrams_that_came_in_fragments_are_shared_as_well() {
    let tested =
        |(i, habit)| Tested::new(&format!("s{i}"), &["0.0.0.0:5000"], habit).joining(SourceFilter::ANY);
    let habits = [Habit::Shout, Habit::Read, Habit::Echo];
    let (mut world, seen) = world(3, 1, habits.into_iter().enumerate().map(tested).collect());
    for len in [2000, 9000] {
        let whole = UdpFrame::new(PEER, TO_GROUP, &vec![b'x'; len]).frame();
        for piece in fragment::cut_evenly(&whole, len as u16, 1400) {
            world.inject(0, &piece);
        }
        world.settle();
        assert!(seen.iter().all(|seen| payloads(seen).last() == Some(&vec![b'x'; len])), "{len}");
    }
    assert!(world.count(Counter::Copied) > 0 && world.count(Counter::Fragmented) == 4);
    assert_eq!(world.all_drops(), []);
}

// U16, RFC 3678 3: A EX{}, B IN{S1}: a datagram of S2 is A's alone. U17: C joined nothing, and hears what the host joined.
#[test]
fn filters_are_of_sockets() {
    let (s1, s2) = (Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 18, 0, 9));
    let any = ["0.0.0.0:5000"];
    let a = Tested::new("a", &any, Habit::Read).joining(SourceFilter::ANY);
    let b = Tested::new("b", &any, Habit::Read).joining(SourceFilter::Include(BTreeSet::from([s1])));
    let (c, d) = (Tested::new("c", &any, Habit::Read), Tested::new("d", &any, Habit::Read).strictly());
    let e = Tested::new("e", &any, Habit::Read).joining(SourceFilter::Exclude(BTreeSet::from([s2])));
    let (mut world, seen) = world(4, 1, vec![a, b, c, d, e]);
    for source in [s1, s2] {
        world.inject(0, &UdpFrame::new(&format!("{source}:40000"), TO_GROUP, &source.octets()).frame());
    }
    world.settle();
    let heard: Vec<_> = seen.iter().map(count).collect();
    assert_eq!(heard, [2, 1, 2, 0, 1]);
    assert_eq!(payloads(&seen[1]), [s1.octets().to_vec()]);
    assert_eq!(payloads(&seen[4]), [s1.octets().to_vec()]);
}

// U17, U18, ip(7): what the host did not join on the interface nobody hears, whatever another service would.
#[test]
fn a_group_is_heard_where_someone_joined_it() {
    let quiet = Tested::new("quiet", &["0.0.0.0:5000"], Habit::Read);
    let member = Tested::new("member", &["0.0.0.0:6000"], Habit::Read);
    let (mut world, seen) = world(5, 1, vec![quiet, member]);
    let ask = |world: &mut World| world.inject(0, &UdpFrame::new(PEER, TO_GROUP, b"?").frame());
    ask(&mut world);
    world.settle();
    assert_eq!(count(&seen[0]), 0);
    let membership = |service: &str| Membership { service: Some(service.into()), ..Membership::of(GROUP) };
    let joined = world.execute(&Command::Join(membership("member")));
    assert!(matches!(joined, Answer::Done(_)), "{joined:?}");
    ask(&mut world);
    world.settle();
    assert_eq!((count(&seen[0]), count(&seen[1])), (1, 0));
    world.execute(&Command::Leave(membership("member")));
    ask(&mut world);
    world.settle();
    assert_eq!(count(&seen[0]), 1);
}

// U18: a membership on one interface admits nothing on another.
#[test]
fn a_group_joined_on_one_port_is_not_heard_on_another() {
    let service = Tested::new("s", &["0.0.0.0:5000"], Habit::Read).joining(SourceFilter::ANY);
    let seen = Arc::clone(&service.seen);
    // Devices that filter nothing: it is the host that tells them apart.
    let port = |index| {
        let port = PortOptions::new(index);
        let nic = NicOptions { filter: pollcast::sim::filter::Abilities::none(), ..port.nic.clone() };
        PortOptions { nic, ..port }
    };
    let options = WorldOptions {
        ports: vec![port(0), port(1)],
        services: vec![service.options],
        ..WorldOptions::default()
    };
    let mut world = World::new(6, &options);
    world.run_for(Duration::from_secs(5));
    world.inject(0, &UdpFrame::new("198.18.0.1:40000", TO_GROUP, b"here").frame());
    world.inject(1, &UdpFrame::new("198.18.1.1:40000", TO_GROUP, b"there").frame());
    world.settle();
    assert_eq!(payloads(&seen), [b"here".to_vec()]);
    assert_eq!(world.drops(DropReason::EthernetGroupNotJoined), 1);
}

// U19, Linux; U21: bound to a group, a socket hears that group alone and answers from the interface's address.
#[test]
fn a_socket_bound_to_a_group_hears_that_group_alone() {
    let listen = |name: &str, addr: &str| Tested::new(name, &[addr], Habit::Echo);
    let services = vec![
        listen("of the group", TO_GROUP).joining(SourceFilter::ANY),
        listen("of an address", "198.18.0.2:5000"),
        listen("of another group", "239.1.2.4:5000"),
    ];
    let (mut world, seen) = world(7, 1, services);
    let to = |addr: &str| frame(PEER, &format!("{addr}:5000"), b"who?");
    for (addr, heard) in [
        ("239.1.2.3", [1, 0, 0]),
        ("198.18.0.2", [0, 1, 0]),
        ("198.18.0.255", [0, 0, 0]),
        ("224.0.0.1", [0, 0, 0]),
    ] {
        seen.iter().for_each(|seen| seen.lock().unwrap().clear());
        let sent = world.exchange(0, &to(addr));
        assert_eq!(seen.iter().map(count).collect::<Vec<_>>(), heard, "{addr}");
        for answer in sent {
            assert_eq!(UdpFrame::read(&answer).unwrap().source.to_string(), "198.18.0.2:5000");
        }
    }
    // E16: also in a frame to us alone, as switches send it that turn multicast to unicast.
    let own = UdpFrame::new(PEER, "198.18.0.2:5000", b"").destination_mac;
    world.inject(0, &UdpFrame::new(PEER, TO_GROUP, b"in our own frame").to_mac(own).frame());
    world.settle();
    assert_eq!(payloads(&seen[0]).last(), Some(&b"in our own frame".to_vec()));
}

/// Datagrams of `n` flows to `to`, `each` of every one, numbered.
fn flows(n: u16, each: u8, to: &str) -> Vec<UdpFrame> {
    let flow = |i: u16| format!("198.18.0.{}:{}", 10 + i % 90, 20_000 + i);
    let of = |seq: u8| (0..n).map(move |i| UdpFrame::new(&flow(i), to, &[i as u8, seq]));
    (0..each).flat_map(of).collect()
}

fn inject(world: &mut World, frames: &[UdpFrame]) {
    for burst in frames.chunks(256) {
        burst.iter().for_each(|frame| _ = world.inject(0, &frame.frame()));
        world.settle();
    }
}

/// On which workers each flow was served; what of a flow was seen must be in order.
fn homes(seen: &Seen) -> BTreeMap<SocketAddrV4, BTreeSet<usize>> {
    let mut homes: BTreeMap<SocketAddrV4, BTreeSet<usize>> = BTreeMap::new();
    let mut last: BTreeMap<SocketAddrV4, u8> = BTreeMap::new();
    for (worker, source, payload) in seen.lock().unwrap().iter() {
        homes.entry(*source).or_default().insert(*worker);
        if let Some(before) = last.insert(*source, payload[1]) {
            assert!(before < payload[1], "{source}: {} after {before}", payload[1]);
        }
    }
    homes
}

// The worker that receives is chosen by the device; the one that serves, by the service.
#[test]
fn a_service_is_served_where_it_lives() {
    for (workers, lives_on) in [(4, vec![2]), (4, vec![1, 3]), (2, vec![0]), (3, vec![0, 1, 2])] {
        let service =
            Tested::new("s", &["0.0.0.0:5000"], Habit::Echo).on(&lives_on).joining(SourceFilter::ANY);
        let (mut world, seen) = world(8, workers, vec![service]);
        inject(&mut world, &flows(200, 5, "198.18.0.2:5000"));
        let homes_of = homes(&seen[0]);
        assert_eq!((homes_of.len(), count(&seen[0])), (200, 1000));
        assert!(homes_of.values().all(|homes| homes.len() == 1), "a flow stays together");
        let used: BTreeSet<usize> = homes_of.into_values().flatten().collect();
        assert_eq!(used.len(), lives_on.len(), "all of its workers have a part");
        inject(&mut world, &flows(200, 1, TO_GROUP));
        assert_eq!((count(&seen[0]), answers(&mut world).len()), (1200, 1200));
        let tallies = world.worker_tallies();
        for (worker, tally) in tallies.iter().enumerate() {
            let [delivered, out] = [Counter::Delivered, Counter::HandedOut].map(|c| tally.get(c));
            assert_eq!(delivered > 0, lives_on.contains(&worker), "worker {worker}");
            assert_eq!(out > 0, !lives_on.contains(&worker), "worker {worker}");
            // Answers leave by the queue of the worker that served.
            let sent = tally.get(Counter::Tx);
            assert!(sent >= delivered, "worker {worker} sent {sent}");
        }
        let of_service = sockets(&mut world).remove(0);
        assert_eq!((of_service.cpus, of_service.rx, of_service.tx), (lives_on, 1200, 1200));
        assert_eq!(world.all_drops(), []);
    }
}

#[test]
fn what_is_for_many_reaches_every_worker_on_which_someone_wants_it() {
    let tested = |(i, on): (usize, &[usize])| {
        Tested::new(&format!("s{i}"), &["0.0.0.0:5000"], Habit::Echo).on(on).joining(SourceFilter::ANY)
    };
    let placed: [&[usize]; 4] = [&[0], &[1, 2], &[], &[3]];
    let (mut world, seen) = world(9, 4, placed.into_iter().enumerate().map(tested).collect());
    // What control had to say.
    let before = world.count(Counter::HandedIn);
    inject(&mut world, &flows(150, 4, TO_GROUP));
    for seen in &seen {
        assert_eq!(count(seen), 600);
        assert!(homes(seen).values().all(|homes| homes.len() == 1));
    }
    assert_eq!(answers(&mut world).len(), 4 * 600);
    assert_eq!(world.count(Counter::Shared), 3 * 600);
    assert_eq!(world.count(Counter::HandedOut), world.count(Counter::HandedIn) - before);
    assert_eq!(world.count(Counter::FastPath), 600, "each once, however many have it");
    assert_eq!(world.all_drops(), []);
}

// U23: one that cannot keep up, or refuses, loses its own copies and nobody else's.
#[test]
fn a_slow_service_keeps_nobody_waiting() {
    let any = ["0.0.0.0:5000"];
    let quick = Tested::new("quick", &any, Habit::Read).on(&[0]).joining(SourceFilter::ANY);
    let slow = Tested::new("slow", &any, Habit::Read).on(&[1]).joining(SourceFilter::ANY);
    let refusing = Tested::new("refusing", &any, Habit::Refuse).on(&[0]).joining(SourceFilter::ANY);
    let (mut world, seen) = world(10, 2, vec![quick, slow, refusing]);
    // One flow, that the device gives to worker 0; worker 1 does not turn.
    let port = (40_000..).find(|port| {
        let frame = UdpFrame::new(&format!("198.18.0.1:{port}"), TO_GROUP, b"x").frame();
        world.inject(0, &frame) == pollcast::sim::nic::Reception::Queued(0)
    });
    let from = format!("198.18.0.1:{}", port.unwrap());
    world.settle();
    let before = count(&seen[0]);
    for _ in 0..2000 {
        world.inject(0, &UdpFrame::new(&from, TO_GROUP, b"x").frame());
    }
    while world.turn_worker(0) > 0 {}
    assert_eq!((count(&seen[0]), count(&seen[2])), (before + 2000, before + 2000));
    assert_eq!(count(&seen[1]), before);
    assert_eq!(world.drops(DropReason::HandOverQueueFull), 2000 - 1024);
    world.settle();
    assert_eq!(count(&seen[1]), before + 1024);
}

// U13, X05: an answer to what others share needs a buffer; without one, it alone is missed.
#[test]
fn without_a_buffer_for_its_copy_a_service_misses_it_alone() {
    let any = ["0.0.0.0:5000"];
    let habits = [("writer", Habit::Shout), ("reader", Habit::Read), ("echo", Habit::Echo)];
    let services = habits.map(|(name, habit)| Tested::new(name, &any, habit).joining(SourceFilter::ANY));
    let (mut world, seen) = world(11, 1, services.into());
    world.leave_buffers(1);
    world.inject(0, &UdpFrame::new(PEER, TO_GROUP, b"scarce").frame());
    world.settle();
    // The last has the buffer itself.
    assert_eq!(seen.iter().map(count).collect::<Vec<_>>(), [0, 1, 1]);
    assert_eq!(answers(&mut world), [b"scarce".to_vec()]);
    assert_eq!(world.all_drops(), [(DropReason::NoBuffer, 1)]);
    world.return_buffers();
    world.inject(0, &UdpFrame::new(PEER, TO_GROUP, b"plenty").frame());
    world.settle();
    assert_eq!(seen.iter().map(count).collect::<Vec<_>>(), [1, 2, 2]);
}

// C15, RFC 1122 4.1.3.3: the service that may have sent it is told, wherever it lives; also one bound to a group, which
// answers from our address (U21).
#[test]
fn errors_reach_the_service_where_it_lives() {
    for listen in ["0.0.0.0:5000", TO_GROUP] {
        let service = Tested::new("s", &[listen], Habit::Read).on(&[1]).joining(SourceFilter::ANY);
        let errors = Arc::clone(&service.errors);
        let (mut world, _) = world(12, 2, vec![service]);
        for n in 0..40 {
            let peer = format!("198.18.0.{}:40000", 10 + n);
            let ours = UdpFrame::new("198.18.0.2:5000", &peer, b"an answer").frame();
            let report = [&[0; 4][..], &ours[14..42]].concat();
            let from = Ipv4Addr::new(198, 18, 0, 10 + n);
            let error = IcmpFrame { code: 3, ..IcmpFrame::between(from, [198, 18, 0, 2].into(), 3, &report) };
            world.inject(0, &error.frame());
        }
        world.settle();
        // One instance was made, and it is the one on worker 1.
        assert_eq!(*errors.lock().unwrap(), vec![0; 40], "{listen}");
        assert_eq!(world.count(Counter::IcmpReports), 40);
    }
}

#[test]
fn at_the_end_nothing_is_left_on_its_way() {
    let services = vec![
        Tested::new("a", &["0.0.0.0:5000"], Habit::Echo).on(&[0]).joining(SourceFilter::ANY),
        Tested::new("b", &["0.0.0.0:5000"], Habit::Echo).on(&[1]).joining(SourceFilter::ANY),
    ];
    let (mut world, _) = world(13, 2, services);
    for frame in flows(100, 2, TO_GROUP) {
        world.inject(0, &frame.frame());
    }
    // Each has received, and neither has taken in what the other handed over.
    world.turn_worker(0);
    world.turn_worker(1);
    world.shut_down();
    let (came, went) = world.tally().balance();
    assert_eq!(came, went);
}

// X04: echo itself, as it comes: its answers to what is for many are made in copies.
#[test]
fn echo_answers_for_every_socket() {
    let echo = |name: &str| ServiceOptions {
        name: name.into(),
        reuse_address: true,
        ..ServiceOptions::echo_with(EchoOptions { answer_broadcast: true, ..EchoOptions::default() })
    };
    let services = vec![echo("a").joining(GROUP, &[]), echo("b")];
    let mut world = World::new(15, &WorldOptions { services, ..WorldOptions::default() });
    world.run_for(Duration::from_secs(5));
    world.take_sent(0);
    for to in ["239.1.2.3:7", "198.18.0.255:7"] {
        let sent = world.exchange(0, &frame(PEER, to, b"both of you"));
        assert_eq!(sent.len(), 2, "{to}");
        assert_eq!(sent[0], sent[1], "{to}");
        let answer = UdpFrame::read(&sent[0]).unwrap();
        assert_eq!(
            (answer.source.to_string().as_str(), answer.payload.as_slice()),
            ("198.18.0.2:7", &b"both of you"[..])
        );
    }
}
