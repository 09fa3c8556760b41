//! Threads' sockets in the simulator: what each way of path MTU discovery does with what is too long, and what IPv6 lets go without a
//! checksum.

use core::time::Duration;

use crate::sockets_common::{addr, bound, dual_world, ip};
use pollcast::addr::MacAddr;
use pollcast::io::{DropReason, InterfaceId, PmtuDiscovery};
use pollcast::sim::frames::ndp::NdpFrame;
use pollcast::sim::frames::udp::{UdpFrame, UdpSum};
use pollcast::sim::frames::udp6::UdpFrame6;
use pollcast::sim::frames::{IcmpFrame, IcmpFrame6};
use pollcast::sim::setup::PortOptions;
use pollcast::sim::world::World;
use pollcast::socket::{ErrorOrigin, Level, RecvFlags, UdpSocket};
use pollcast::stack::sockets::Errno;

const PEER: &str = "198.18.0.1:40000";
const PEER6: &str = "[2001:db8::1]:40000";
const OWN6: &str = "[2001:db8::2]:5000";
const GROUP6: &str = "[ff0e::9]:5000";

fn world() -> World {
    dual_world(PortOptions::new(0))
}

/// How a datagram left: frames, and whether they had DF.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Left {
    Refused(Errno),
    Whole { dont_fragment: bool },
    Pieces(usize),
}

/// The frames that left, but for questions about neighbours.
fn datagrams(world: &mut World) -> Vec<Vec<u8>> {
    world.run_for(Duration::from_millis(10));
    let sent = world.take_sent(0);
    sent.into_iter()
        .filter(|frame| matches!((frame[12], frame[20]), (0x08, _) | (0x86, 17 | 44)))
        .filter(|frame| frame[13] != 6)
        .collect()
}

/// Sends so many bytes to its peer.
fn left(world: &mut World, socket: &UdpSocket, len: usize) -> Left {
    if let Err(why) = socket.send(&vec![7; len]) {
        return Left::Refused(why.errno());
    }
    match datagrams(world).as_slice() {
        // The flags are IPv4's; over IPv6 nobody else cuts anything.
        [frame] => Left::Whole { dont_fragment: frame[12] == 0x08 && frame[20] & 0x40 != 0 },
        frames => Left::Pieces(frames.len()),
    }
}

/// A router says that what was sent last is too big: the next link carries `mtu` bytes.
fn say_too_big(world: &mut World, sent: &[u8], mtu: u16) {
    let frame = if sent[12] == 0x08 {
        let read = UdpFrame::read(sent).unwrap();
        let body = [&[0, 0][..], &mtu.to_be_bytes(), &sent[14..42]].concat();
        let to = *read.source.ip();
        IcmpFrame { code: 4, ..IcmpFrame::between("198.18.0.1".parse().unwrap(), to, 3, &body) }.frame()
    } else {
        let read = UdpFrame6::read(sent).unwrap();
        let router = "2001:db8::1".parse().unwrap();
        IcmpFrame6::error(router, *read.source.ip(), (2, 0, mtu.into()), &sent[14..]).to_mac(mac()).frame()
    };
    world.exchange(0, &frame);
    world.run_for(Duration::from_millis(10));
    world.take_sent(0);
}

/// A connected socket of that IP version that discovers path MTUs like this.
fn discovering(world: &World, level: Level, discovery: PmtuDiscovery) -> UdpSocket {
    let (local, peer) = if level == Level::V4 { ("198.18.0.2:0", PEER) } else { ("[2001:db8::2]:0", PEER6) };
    let socket = bound(world, local);
    socket.connect(addr(peer)).unwrap();
    socket.set_mtu_discover(level, discovery).unwrap();
    socket
}

/// The host gets to know its peers, by what they ask.
fn meet(world: &mut World) {
    world.exchange(
        0,
        &NdpFrame::solicitation("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap()).frame(),
    );
}

fn mac() -> MacAddr {
    PortOptions::new(0).nic.mac
}

// U24, RFC 1122 3.3.3, ip(7) IP_MTU_DISCOVER, ipv6(7): by each of the ways, before and after a router says what the path carries.
#[test]
fn each_way_of_discovery_sends_or_refuses_as_linux_does() {
    use PmtuDiscovery::{Do, Dont, Interface, Omit, Probe, Want};
    for (level, headers) in [(Level::V4, 28), (Level::V6, 48)] {
        let mut world = world();
        if level == Level::V6 {
            meet(&mut world);
        }
        let df = Left::Whole { dont_fragment: level == Level::V4 };
        let plain = Left::Whole { dont_fragment: false };
        let (cut, refused) = (Left::Pieces(2), Left::Refused(Errno::EMSGSIZE));
        let max = 1500 - headers;
        let sockets = [Want, Do, Dont, Probe, Interface, Omit].map(|d| discovering(&world, level, d));
        let all = |world: &mut World, len| sockets.each_ref().map(|socket| left(world, socket, len));
        assert_eq!(all(&mut world, max), [df, df, plain, df, plain, plain]);
        assert_eq!(all(&mut world, max + 1), [cut, refused, cut, refused, refused, cut]);

        // The two that believe nobody are told by nobody: they never asked.
        for (place, believes) in [(4, false), (5, false), (1, true)] {
            sockets[place].send(&vec![7; max]).unwrap();
            let sent = datagrams(&mut world).pop().unwrap();
            say_too_big(&mut world, &sent, 1300);
            assert_eq!(
                sockets[place].mtu().unwrap(),
                if believes { 1300 } else { 1500 },
                "{place} {level:?}"
            );
        }
        assert_eq!(sockets[1].take_error(), Some(Errno::EMSGSIZE));
        let fits = 1300 - headers;
        assert_eq!(all(&mut world, fits), [df, df, plain, df, plain, plain]);
        assert_eq!(all(&mut world, fits + 1), [cut, refused, cut, df, plain, plain]);
        assert_eq!(all(&mut world, max + 1), [cut, refused, cut, refused, refused, cut]);
    }
}

// U24, ip(7) IP_RECVERR: what this host itself refuses says how long a packet may be.
#[test]
fn what_is_too_long_is_told_with_what_would_do() {
    let mut world = world();
    let socket = discovering(&world, Level::V4, PmtuDiscovery::Do);
    socket.set_receive_errors(Level::V4, true).unwrap();
    assert_eq!(left(&mut world, &socket, 1473), Left::Refused(Errno::EMSGSIZE));
    let told = socket.recv_error().unwrap();
    assert_eq!((told.errno, told.origin, told.info), (Errno::EMSGSIZE, ErrorOrigin::Local, 1500));
    socket.set_mtu_discover(Level::V4, PmtuDiscovery::Want).unwrap();
    assert_eq!(left(&mut world, &socket, 65_508), Left::Refused(Errno::EMSGSIZE));
    assert_eq!(left(&mut world, &socket, 65_507), Left::Pieces(45));
}

/// What a socket has received.
fn recv(socket: &UdpSocket) -> Option<Vec<u8>> {
    let mut buf = [0; 64];
    let received = socket.recv_msg(&mut buf, RecvFlags { dont_wait: true, ..RecvFlags::default() }).ok()?;
    Some(buf[..received.len].to_vec())
}

// U06, RFC 6935 5, RFC 6936 4, udp(7) UDP_NO_CHECK6_RX: without a checksum, for who takes that; to anyone else it is damaged, and nobody
// is told.
#[test]
fn without_a_checksum_over_ipv6_for_who_takes_that() {
    let mut world = world();
    let (strict, tunnel) = (bound(&world, "[::]:5000"), bound(&world, "[::]:5001"));
    tunnel.set_no_check6_rx(true).unwrap();
    assert_eq!((tunnel.no_check6_rx(), strict.no_check6_rx()), (true, false));
    let bare = |to: &str| UdpFrame6::new(PEER6, to, b"bare").with_sum(UdpSum::Absent).to_mac(mac()).frame();
    for (socket, to, is_heard) in [
        (&strict, OWN6, false),
        (&tunnel, "[2001:db8::2]:5001", true),
        (&tunnel, "[2001:db8::2]:5002", false),
    ] {
        let before = world.drops(DropReason::UdpChecksum);
        let answers = world.exchange(0, &bare(to));
        let errors = answers.iter().filter(|frame| IcmpFrame6::read(frame).is_ok_and(|icmp| icmp.kind == 1));
        assert_eq!((recv(socket).is_some(), errors.count()), (is_heard, 0), "{to}");
        assert_eq!(
            world.drops(DropReason::UdpChecksum) - before,
            u64::from(!is_heard),
            "{to} {:?}",
            world.all_drops()
        );
    }
    // What has a wrong one is damaged all the same; and it can be taken back.
    let damaged =
        UdpFrame6::new(PEER6, "[2001:db8::2]:5001", b"bare").with_sum(UdpSum::Wrong).to_mac(mac()).frame();
    world.exchange(0, &damaged);
    assert_eq!(recv(&tunnel), None);
    tunnel.set_no_check6_rx(false).unwrap();
    world.exchange(0, &bare("[2001:db8::2]:5001"));
    assert_eq!(recv(&tunnel), None);
}

// U13, RFC 6936 4, Linux `__udp6_lib_mcast_deliver`: of a group's members, those that take it.
#[test]
fn of_a_groups_members_those_hear_what_has_no_checksum_that_take_it() {
    let mut world = world();
    let sockets = [false, true, true].map(|takes| {
        let socket = world.sockets().udp6().unwrap();
        socket.set_nonblocking(true);
        socket.set_reuse_address(true).unwrap();
        socket.bind(addr("[::]:5000")).unwrap();
        let group = ip("ff0e::9");
        socket.join(group, Some(InterfaceId(0))).unwrap();
        socket.set_no_check6_rx(takes).unwrap();
        socket
    });
    let heard = |world: &mut World, sum| {
        world.exchange(0, &UdpFrame6::new(PEER6, GROUP6, b"to all").with_sum(sum).frame());
        sockets.each_ref().map(|socket| recv(socket).is_some())
    };
    assert_eq!(heard(&mut world, UdpSum::Absent), [false, true, true]);
    assert_eq!(heard(&mut world, UdpSum::Right), [true; 3]);
    sockets[2].set_no_check6_rx(false).unwrap();
    assert_eq!(heard(&mut world, UdpSum::Absent), [false, true, false]);
    // What this host itself sends to them lacks nothing.
    sockets[0].set_multicast_interface(Level::V6, Some(InterfaceId(0))).unwrap();
    sockets[0].send_to(b"own", addr(GROUP6)).unwrap();
    world.run_for(Duration::from_millis(10));
    assert_eq!(sockets.each_ref().map(|socket| recv(socket).is_some()), [true; 3]);
}

// RFC 6935 5, UDP_NO_CHECK6_TX; RFC 768, SO_NO_CHECK: each is its IP version's.
#[test]
fn what_is_sent_has_a_checksum_unless_told_otherwise() {
    let mut world = world();
    meet(&mut world);
    let (four, six) = (bound(&world, "198.18.0.2:5000"), bound(&world, OWN6));
    four.set_no_check6_tx(true);
    six.set_no_check(true);
    let sums = |world: &mut World| {
        four.send_to(b"checked", addr(PEER)).unwrap();
        six.send_to(b"checked", addr(PEER6)).unwrap();
        let field = |frame: &Vec<u8>| {
            let udp = if frame[12] == 0x08 { 34 } else { 54 };
            u16::from_be_bytes([frame[udp + 6], frame[udp + 7]])
        };
        datagrams(world).iter().map(|frame| field(frame) != 0).collect::<Vec<_>>()
    };
    assert_eq!(sums(&mut world), [true, true]);
    six.set_no_check6_tx(true);
    assert_eq!(sums(&mut world), [true, false]);
    four.set_no_check(true);
    assert_eq!(sums(&mut world), [false, false]);
    // In fragments, too.
    six.send_to(&[7; 2000], addr(PEER6)).unwrap();
    let pieces = datagrams(&mut world);
    assert_eq!((pieces.len(), pieces[0][14 + 40 + 8 + 6..][..2].to_vec()), (2, vec![0, 0]));
}
