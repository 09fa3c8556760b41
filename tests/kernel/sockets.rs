//! Threads' sockets over a tap beside Linux's own: the same calls, the same datagrams and errors from the kernel's sockets at the far end,
//! the same frames and answers. Needs root.
#![cfg(feature = "dpdk")]

use std::time::{Duration, Instant};

use crate::kernel_sockets_common::ops::Opt;
use crate::kernel_sockets_common::sock::{By, NOTHING, Said, Sock, words};
use crate::kernel_sockets_common::version::{V4, V6, VERSIONS, ip};
use crate::kernel_sockets_common::{World, compare};
use nix::errno::Errno::{EINVAL, ENETUNREACH};

// P11, U27, RFC 3542 6: TTL, TOS with its ECN bits, and those of groups, as options and for one datagram; sent and received.
#[test]
fn time_to_live_and_type_of_service_are_as_they_are_set() {
    let options = |world: &World| {
        let mut seen = Vec::new();
        for v in VERSIONS {
            let (socket, far) = (world.open(v.own), world.far(v.peer));
            let send = |to: &str, said: Said| {
                let sent = words(socket.send_as(b"hello", Some(to), said));
                let shown = if sent == "5" { world.sent(1).concat() } else { String::new() };
                format!("{sent} {shown}")
            };
            seen.push(send(v.peer, NOTHING));
            for (opt, value) in [(v.ttl, 9), (v.tos, 0xb9), (v.ttl, 0), (v.ttl, 256), (v.tos, 0x2e)] {
                seen.push(format!("{opt:?} {value} {}", words(socket.set(opt, value))));
                // A hop limit of 0 is one, of IPv6.
                seen.push(send(v.peer, Said { ttl: (value == 0).then_some(3), ..NOTHING }));
            }
            words(socket.set(v.ttl, -1));
            seen.push(send(v.peer, Said { ttl: Some(3), tos: Some(1), ..NOTHING }));
            seen.push(send(v.peer, NOTHING));
            // Over IPv4 there is no such thing as none.
            seen.push(send(v.peer, Said { ttl: Some(0), ..NOTHING }));
            socket.set(v.group_if, 0).unwrap();
            for ttl in [None, Some(5), Some(255)] {
                ttl.into_iter().for_each(|ttl| socket.set(v.group_ttl, ttl).unwrap());
                seen.push(send(v.group, NOTHING));
            }
            // And as it comes.
            for ttl in [3, 200] {
                let far = socket2::SockRef::from(&far);
                if v.is_v6 { far.set_unicast_hops_v6(ttl) } else { far.set_ttl_v4(ttl) }.unwrap();
                if v.is_v6 { far.set_tclass_v6(ttl) } else { far.set_tos_v4(ttl) }.unwrap();
                let to: std::net::SocketAddr = v.own.parse().unwrap();
                far.send_to(b"hello", &to.into()).unwrap();
                seen.push(socket.heard());
            }
        }
        seen
    };
    compare("sockets::time_to_live_and_type_of_service_are_as_they_are_set", options, |seen| {
        assert!(
            seen[0].contains("ttl 64 tos 0x0 df true 198.18.0.2 5000 > 198.18.0.1 6000, 13 bytes"),
            "{}",
            seen[0]
        );
    });
}

// U21, U29, RFC 3542 6, ip(7) IP_PKTINFO: an answer leaves from the address that was asked; the source and the interface can be chosen,
// if they are the host's.
#[test]
fn packet_info_says_and_chooses_addresses() {
    let scenario = |world: &World| {
        let mut seen = Vec::new();
        for v in VERSIONS {
            let (socket, far) = (world.open(v.any), world.far(v.peer));
            for asked in [ip(v.own), ip(v.second)] {
                far.send_to(b"question", (asked, 5000)).unwrap();
                let heard = socket.receive(100, false, false).unwrap();
                let from = heard.from.unwrap().to_string();
                seen.push(heard.words);
                let said = Said { source: heard.to, by: By::TheOne, ..NOTHING };
                seen.push(words(socket.send_as(b"answer", Some(&from), said)));
                seen.extend(world.sent(1));
                let (_, answered) = far.recv_from(&mut [0; 64]).unwrap();
                assert_eq!(answered.ip(), asked);
            }
            for (source, by) in [
                (Some(v.second), By::Any),
                (None, By::TheOne),
                (Some(v.foreign), By::Any),
                (Some(v.foreign), By::TheOne),
                (None, By::Missing),
                (Some(v.second), By::Missing),
            ] {
                let said = Said { source: source.map(ip), by, ..NOTHING };
                let sent = socket.send_as(b"chosen", Some(v.peer), said);
                // Over IPv4 newer Linuxes have another word for a source that is not theirs.
                let is_foreign = source == Some(v.foreign);
                let sent = sent.map_err(|why| if is_foreign && why == ENETUNREACH { EINVAL } else { why });
                seen.push(format!("{source:?} {by:?} {}", words(sent)));
                seen.extend(sent.map_or_else(|_| Vec::new(), |_| world.sent(1)));
            }
        }
        seen
    };
    compare("sockets::packet_info_says_and_chooses_addresses", scenario, |_| {});
}

// udp(7) UDP_CORK, MSG_MORE: pieces make one datagram, to where and as the first one said.
#[test]
fn corked_pieces_are_one_datagram() {
    let scenario = |world: &World| {
        let mut seen = Vec::new();
        for v in VERSIONS {
            let (socket, far) = (world.open(v.own), world.far(v.peer));
            let more = Said { more: true, ..NOTHING };
            seen.push(words(socket.send_as(b"one ", Some(v.peer), Said { ttl: Some(7), ..more })));
            seen.push(words(socket.send_as(&[b'x'; 3000], Some(v.peer), more)));
            seen.push(words(socket.send(b" three", Some(v.peer))));
            seen.extend(world.sent(3));
            let mut buf = vec![0; 1 << 16];
            let len = far.recv(&mut buf).unwrap();
            assert_eq!(buf[..len], [&b"one "[..], &[b'x'; 3000], b" three"].concat());
            seen.push(words(socket.set(Opt::Cork, 1)));
            (0..3).for_each(|_| seen.push(words(socket.send(b"abc", Some(v.peer)))));
            seen.push(words(socket.set(Opt::Cork, 0)));
            seen.extend(world.sent(1));
            assert_eq!(far.recv(&mut buf).unwrap(), 9);
            // What gets too long is gone, and the next begins anew.
            seen.push(words(socket.send_as(&[0; 60_000], Some(v.peer), more)));
            seen.push(words(socket.send_as(&[0; 6000], Some(v.peer), more)));
            seen.push(words(socket.send(b"anew", Some(v.peer))));
            seen.extend(world.sent(1));
        }
        seen
    };
    compare("sockets::corked_pieces_are_one_datagram", scenario, |_| {});
}

// U11, U23, U29, recv(2): what is cut off, looked at, empty, not there, or too much.
#[test]
fn receiving_is_as_linux_has_it() {
    let scenario = |world: &World| {
        let mut seen = Vec::new();
        for v in VERSIONS {
            let (socket, far) = (world.open(v.own), world.far(v.peer));
            let to = (ip(v.own), 5000);
            far.send_to(b"twelve bytes", to).unwrap();
            far.send_to(b"", to).unwrap();
            for (room, peek) in [(5, true), (100, true), (5, false), (100, true), (0, false)] {
                let heard = socket.receive(room, peek, false).unwrap();
                seen.push(format!("{} {:?}", heard.words, heard.payload));
            }
            seen.push(words(socket.receive(100, false, true).map(|heard| heard.words)));
            seen.push(words(socket.receive(100, true, true).map(|heard| heard.words)));
            socket.set_read_timeout(Duration::from_millis(50));
            let begun = Instant::now();
            seen.push(words(socket.receive(100, false, false).map(|heard| heard.words)));
            let waited = begun.elapsed();
            assert!(waited >= Duration::from_millis(50), "{waited:?} at {}: {seen:#?}", world.name());

            // Readiness, in epoll.
            use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
            let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
            epoll.add(socket.fd(), EpollEvent::new(EpollFlags::EPOLLIN, 1)).unwrap();
            let ready =
                |limit: u16| epoll.wait(&mut [EpollEvent::empty()], EpollTimeout::from(limit)).unwrap();
            seen.push(format!("ready {}", ready(0)));
            far.send_to(b"", to).unwrap();
            seen.push(format!("ready {}", ready(5000)));
            seen.push(socket.heard());
            seen.push(format!("ready {}", ready(0)));

            // More than there is room for: the newest are lost, and those before them are not.
            socket.set(Opt::RcvBuf, 8192).unwrap();
            for n in 0..200u8 {
                far.send_to(&[n; 1400], to).unwrap();
            }
            assert_eq!(ready(5000), 1);
            let first = socket.receive(2000, false, false).unwrap();
            seen.push(format!("{} {}", first.words, first.payload[0]));
            while socket.receive(2000, false, true).is_ok() {}
        }
        seen
    };
    compare("sockets::receiving_is_as_linux_has_it", scenario, |_| {});
}

// P07, U17, U22, U27, U28: broadcasts need permission; who hears a group, and what the host sends to it itself.
#[test]
fn groups_and_broadcasts_are_heard_and_sent_as_on_linux() {
    let scenario = |world: &World| {
        let mut seen = Vec::new();
        let socket = world.open("198.18.0.2:5001");
        let _far = world.far("0.0.0.0:6002");
        for permitted in [0, 1, 0] {
            socket.set(Opt::Broadcast, permitted).unwrap();
            for to in ["198.18.0.255:6002", "255.255.255.255:6002"] {
                let sent = socket.send(b"to all", Some(to));
                seen.push(format!("{to}, permitted {permitted}: {}", words(sent)));
                seen.extend(sent.map_or_else(|_| Vec::new(), |_| world.sent(1)));
            }
            let other = world.unbound(false);
            other.set(Opt::Broadcast, permitted).unwrap();
            seen.push(words(other.connect("198.18.0.255:6002")));
        }
        for v in VERSIONS {
            let far = world.far(v.peer);
            let group = ip(v.group).to_string();
            let any = v.any.replace("5000", "6000");
            let members: Vec<_> = (0..3)
                .map(|n| {
                    let socket = world.unbound(v.is_v6);
                    socket.set(Opt::ReuseAddr, 1).unwrap();
                    socket.bind(any.parse().unwrap()).unwrap();
                    // One is a member; one hears what others joined; one does not want that.
                    socket.set(v.group_all, i32::from(n != 2)).unwrap();
                    if n == 0 {
                        socket.join(&group).unwrap();
                    }
                    socket
                })
                .collect();
            let hear = |socket: &Sock| {
                socket.set_read_timeout(Duration::from_millis(300));
                socket.heard()
            };
            far.send_to(b"to the group", v.group).unwrap();
            seen.extend(members.iter().map(hear));
            // One that was not joined is nobody's.
            members[2].set(v.group_all, 1).unwrap();
            far.send_to(b"to the group", v.group).unwrap();
            seen.extend(members.iter().map(hear));
            let sender = world.open(v.own);
            sender.set(v.group_if, 0).unwrap();
            for (hears, ttl) in [(1, 1), (0, 1), (1, 0)] {
                sender.set(v.group_loop, hears).unwrap();
                sender.set(v.group_ttl, ttl).unwrap();
                seen.push(words(sender.send(b"from here", Some(v.group))));
                if ttl > 0 {
                    seen.extend(world.sent(1));
                }
                seen.extend(members.iter().map(hear));
            }
        }
        seen
    };
    compare("sockets::groups_and_broadcasts_are_heard_and_sent_as_on_linux", scenario, |_| {});
}

// U06, RFC 6935 5, RFC 768: without a checksum, for who takes it.
#[test]
fn checksums_can_be_left_out() {
    let scenario = |world: &World| {
        let mut seen = Vec::new();
        let (four, six) = (world.open(V4.own), world.open(V6.own));
        four.set(Opt::NoCheck, 1).unwrap();
        six.set(Opt::NoCheck, 1).unwrap();
        for tx in [false, true] {
            [&four, &six].iter().for_each(|socket| socket.set_no_check6(tx, tx));
            seen.push(words(four.send(b"bare", Some(V4.peer))));
            seen.extend(world.sent(1));
            seen.push(words(six.send(b"bare", Some(V6.peer))));
            seen.extend(world.sent(1));
            // Someone at the far end sends without, too.
            let far = Sock::linux(world.far(V6.peer).into(), true, 0);
            far.set_no_check6(true, true);
            far.send(b"bare", Some(V6.own)).unwrap();
            far.set_no_check6(false, true);
            far.send(b"after that", Some(V6.own)).unwrap();
            seen.push(six.heard());
            six.set_read_timeout(Duration::from_millis(100));
            seen.push(six.heard());
        }
        seen
    };
    compare("sockets::checksums_can_be_left_out", scenario, |seen| {
        assert!(seen[1].contains("without checksum") && !seen[3].contains("without checksum"), "{seen:#?}");
    });
}
