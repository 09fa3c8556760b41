//! What the path does to the datagrams of threads' sockets, over a tap and beside Linux's own sockets: their lengths, what it carries, and
//! what is reported of those that do not arrive. Needs root.
#![cfg(feature = "dpdk")]

use crate::common::FarEnd;
use crate::kernel_sockets_common::sock::{Sock, words};
use crate::kernel_sockets_common::version::VERSIONS;
use crate::kernel_sockets_common::wire::complaint;
use crate::kernel_sockets_common::{World, compare};

// U24, F01, F18: from one frame to the longest datagram that there can be, both ways; one byte more is none.
#[test]
fn datagrams_of_any_length_go_both_ways() {
    let scenario = |world: &World| {
        let mut seen = Vec::new();
        for v in VERSIONS {
            let (socket, far) = (world.open(v.own), world.far(v.peer));
            let max = 65_535 - if v.is_v6 { 8 } else { 28 };
            for len in [0, 1, 1500 - v.headers, 1501 - v.headers, 9000, max] {
                let payload: Vec<u8> = (0..=250).cycle().take(len).collect();
                far.send_to(&payload, v.own).unwrap();
                let heard = socket.receive(1 << 16, false, false).unwrap();
                assert!(heard.payload == payload, "{len} bytes, as they were sent");
                seen.push(heard.words);
                seen.push(words(socket.send(&heard.payload, Some(v.peer))));
                let pieces = (len + 8).div_ceil(1480 - if v.is_v6 { 32 } else { 0 }).max(1);
                let pieces = if len + v.headers <= 1500 { 1 } else { pieces };
                seen.extend(world.sent(pieces));
                let mut back = vec![0; 1 << 16];
                let (got, from) = far.recv_from(&mut back).unwrap();
                assert!(
                    back[..got] == payload && from == v.own.parse().unwrap(),
                    "{len} bytes, as they came"
                );
            }
            for len in [max + 1, 65_535, 65_536] {
                seen.push(format!("{len}: {}", words(socket.send(&vec![0; len], Some(v.peer)))));
            }
        }
        seen
    };
    compare("sockets_paths::datagrams_of_any_length_go_both_ways", scenario, |seen| {
        assert_eq!(seen.last().unwrap(), "65536: EMSGSIZE");
    });
}

// U24, T01, C16, K07, ip(7) IP_MTU_DISCOVER: by each way of path MTU discovery, before and after a router said how much the path
// carries.
#[test]
fn each_way_of_path_mtu_discovery_is_linuxs() {
    let scenario = |world: &World| {
        let mut seen = Vec::new();
        for v in VERSIONS {
            let _far = world.far(v.peer);
            let sockets: Vec<_> = (0..6)
                .map(|mode| {
                    let socket = world.open(&v.own.replace("5000", &format!("500{mode}")));
                    socket.set(v.discover, mode).unwrap();
                    socket.connect(v.peer).unwrap();
                    socket
                })
                .collect();
            seen.push(format!("{:?}", [6, -1].map(|mode| sockets[0].set(v.discover, mode))));
            let all = |seen: &mut Vec<String>, sizes: &[usize], mtu: usize| {
                for (mode, socket) in sockets.iter().enumerate() {
                    for size in sizes {
                        let sent = socket.send(&vec![0; size - v.headers], None);
                        seen.push(format!("mode {mode}, {size}: {}", words(sent)));
                        if sent.is_ok() {
                            let by_link = mode >= 3;
                            let is_whole = *size <= if by_link { 1500 } else { mtu };
                            seen.extend(world.sent(if is_whole { 1 } else { 2 }));
                        }
                    }
                    seen.push(format!("mode {mode}: {}", words(socket.mtu())));
                }
            };
            all(&mut seen, &[1500, 1501], 1500);
            // The one that never fragments hears of it, by both versions.
            let narrow = &sockets[2];
            narrow.send(&vec![0; 1500 - v.headers], None).unwrap();
            let what = if v.is_v6 { (2, 0, 1400) } else { (3, 4, 1400) };
            world.wire.send(&complaint(&world.frame(), what));
            world.until(|| narrow.mtu() == Ok(1400));
            seen.push(narrow.take_error());
            // The call that is too long is the one that is refused.
            all(&mut seen, &[1400, 1401, 1500, 1501], 1400);
        }
        seen
    };
    compare("sockets_paths::each_way_of_path_mtu_discovery_is_linuxs", scenario, |seen| {
        assert!(seen.iter().any(|words| words == "mode 2, 1401: EMSGSIZE"), "{seen:#?}");
        assert!(seen.iter().any(|words| words == "mode 4, 1501: EMSGSIZE"), "{seen:#?}");
    });
}

/// All that a socket is told, and in which order.
fn errors(socket: &Sock) -> Vec<String> {
    vec![socket.take_error(), socket.told(), socket.told(), socket.take_error()]
}

// C15, RFC 1122 4.1.3.3, ip(7) IP_RECVERR: nobody is there; a router gave it up; it is too big. By whom who asked for it is told, and who
// is connected.
#[test]
fn what_the_network_reports_is_told_as_linux_tells_it() {
    let scenario = |world: &World| {
        let mut seen = Vec::new();
        for v in VERSIONS {
            let nobody = v.peer.replace("6000", "6001");
            let socket = world.open(v.own);
            // Neither connected nor interested.
            seen.push(words(socket.send(b"anyone?", Some(&nobody))));
            let frame = world.frame();
            // A second later than the refusal: by the order of what the far end sends, both have come then.
            let far = world.far(v.peer);
            far.send_to(b"after that", v.own).unwrap();
            seen.push(socket.heard());
            seen.push(socket.take_error());
            // Interested.
            socket.set(v.receive_errors, 1).unwrap();
            let (expired, big) = if v.is_v6 { ((3, 0, 0), (2, 0, 1400)) } else { ((11, 0, 0), (3, 4, 1400)) };
            for what in [expired, if v.is_v6 { (1, 1, 0) } else { (3, 13, 0) }] {
                world.wire.send(&complaint(&frame, what));
                far.send_to(b"after that", v.own).unwrap();
                world.until(|| socket.receive(100, true, true) != Err(nix::errno::Errno::EAGAIN));
                seen.push(socket.heard());
                seen.extend(errors(&socket));
                while socket.receive(100, false, true).is_ok() {}
            }
            seen.push(words(socket.send(&[0; 1300], Some(v.peer))));
            let frame = world.frame();
            seen.push(words(socket.send(&[0; 1500 - 48], Some(v.peer))));
            let whole = world.frame();
            assert_ne!(frame.len(), whole.len());
            world.wire.send(&complaint(&whole, big));
            world.until(|| {
                nix::poll::poll(&mut [nix::poll::PollFd::new(socket.fd(), nix::poll::PollFlags::POLLIN)], 0u8)
                    .unwrap()
                    == 1
            });
            seen.extend(errors(&socket));
            drop(socket);
            // Connected: the next call says so, once.
            let socket = world.open(v.own);
            socket.connect(&nobody).unwrap();
            for _ in 0..2 {
                seen.push(words(socket.send(b"anyone?", None)));
                seen.extend(world.sent(1));
                seen.push(socket.heard());
                seen.push(words(socket.receive(100, false, true).map(|heard| heard.words)));
            }
        }
        seen
    };
    compare("sockets_paths::what_the_network_reports_is_told_as_linux_tells_it", scenario, |seen| {
        assert!(seen.iter().any(|words| words == "ECONNREFUSED"), "{seen:#?}");
    });
}
