//! Pools, packet buffers, ports and queues, over devices that need neither hardware nor privilege.
#![cfg(feature = "dpdk")]

mod dpdk_alone;

use dpdk_alone::{alone, options, pool, port};
use pollcast::dpdk::{Eal, Mempool, Port, RxQueue, StartedPort, TxQueue};
use pollcast::io::{BufPool, Burst, PacketBuf, PortControl, RxQueue as _, TxQueue as _};

fn started(eal: &Eal, device: &str, pool: &Mempool) -> (StartedPort, RxQueue, TxQueue) {
    let (port, mut queues) = Port::open(eal, &port(device), 1, pool).unwrap().start().unwrap();
    let (rx, tx) = queues.pop().unwrap();
    (port, rx, tx)
}

#[test]
fn a_ring_gives_back_what_was_sent_and_the_pool_is_full_again() {
    alone("a_ring_gives_back_what_was_sent_and_the_pool_is_full_again", || {
        let eal = Eal::init(&options(&["net_ring0"])).unwrap();
        let pool = pool(&eal, 511);
        let (port, mut rx, mut tx) = started(&eal, "net_ring0", &pool);
        assert_eq!(pool.free_count(), 511);

        let mut burst = Burst::new();
        for i in 0..40_u8 {
            burst.push(pool.alloc_copy(&[i; 60]).unwrap()).unwrap();
        }
        assert_eq!(tx.tx_burst(&mut burst), 40);
        assert!(burst.is_empty());
        assert_eq!(pool.free_count(), 471);

        assert_eq!(rx.rx_burst(&mut burst, 8), 8, "no more than was asked for");
        assert_eq!(rx.rx_burst(&mut burst, 64), 32);
        assert_eq!(rx.rx_burst(&mut burst, 24), 0);
        for (i, buf) in (0_u8..).zip(burst.iter()) {
            assert_eq!(buf.data(), [i; 60]);
            assert!(buf.is_single_segment());
        }
        assert_eq!(port.device_stats().ipackets, 40);
        drop(burst);
        assert_eq!(pool.free_count(), 511);

        drop((port, rx, tx, pool));
        eal.cleanup().unwrap();
    });
}

// F10: what 45 fragments carried is one slice behind its headers.
#[test]
fn a_body_of_65515_bytes_lives_and_dies_with_its_head() {
    alone("a_body_of_65515_bytes_lives_and_dies_with_its_head", || {
        let eal = Eal::init(&options(&[])).unwrap();
        let pool = pool(&eal, 63);
        let mut head = pool.alloc_copy(&[7; 34]).unwrap();
        assert!(head.attach(pool.alloc().unwrap()).is_err(), "an ordinary buffer is no body");
        let mut body = pool.alloc_large().unwrap();
        assert!(body.data().is_empty() && body.set_len(65_535) && !body.set_len(65_536));
        assert!(body.data().iter().all(|byte| *byte == 0) && body.set_len(65_515));
        head.attach(body).unwrap();
        assert_eq!((head.data().len(), head.frame_len(), head.body().unwrap().len()), (34, 34, 65_515));
        assert!(!head.is_single_segment() && head.unique().is_none() && !head.set_len(30));
        head.body_mut().unwrap()[65_514] = 9;
        let shared = head.share();
        assert!(head.body_mut().is_none());
        assert_eq!(shared.body().unwrap()[65_514], 9);
        let mut out = [0; 40];
        assert_eq!(shared.copy_out(0, &mut out), 34, "a body is no part of the frame");
        drop((head, shared));
        assert_eq!(pool.free_count(), 63);
        // All of the four large ones are home again.
        let all: Vec<_> = (0..4).map(|_| pool.alloc_large().unwrap()).collect();
        assert!(pool.alloc_large().is_none() && all.iter().all(|large| large.body().is_none()));
        drop((all, pool));
        eal.cleanup().unwrap();
    });
}

// O01: who the real client is lies beside the frame: before it, or behind it where it begins with the buffer; and nowhere in it.
#[test]
fn a_real_client_is_noted_beside_the_frame() {
    alone("a_real_client_is_noted_beside_the_frame", || {
        let eal = Eal::init(&options(&[])).unwrap();
        let pool = pool(&eal, 63);
        for client in ["203.0.113.9:8080", "[2001:db8::9]:65535"].map(|client| client.parse().unwrap()) {
            let frame: Vec<u8> = (0..=255).cycle().take(1514).collect();
            let mut buf = pool.alloc_copy(&frame).unwrap();
            assert!(buf.set_real_client(client));
            assert_eq!((buf.real_client(), buf.data()), (Some(client), &frame[..]));
            // A tag may be put before the frame, and the frame may grow.
            assert!(buf.set_tx_vlan(Some(7)) && buf.set_len(2000));
            assert_eq!((buf.real_client(), &buf.data()[..1514]), (Some(client), &frame[..]));
            let mut shared = buf.share();
            assert!(!shared.set_real_client("198.18.0.1:1".parse().unwrap()));
            drop(buf);
            assert_eq!(shared.real_client(), Some(client));
            assert!(shared.set_real_client("198.18.0.1:1".parse().unwrap()));
            drop(shared);

            let mut large = pool.alloc_large().unwrap();
            assert!(large.set_len(65_515) && large.set_real_client(client));
            assert_eq!(large.real_client(), Some(client));
            assert!(large.data().iter().all(|byte| *byte == 0));
            assert!(large.set_len(65_516) && !large.set_real_client(client), "there is no room");
            drop(large);

            let (mut head, mut body) = (pool.alloc_copy(&[7; 34]).unwrap(), pool.alloc_large().unwrap());
            assert!(body.set_len(65_515));
            head.attach(body).unwrap();
            assert!(head.set_real_client(client));
            assert_eq!((head.real_client(), head.data()), (Some(client), &[7; 34][..]));
        }
        drop(pool);
        eal.cleanup().unwrap();
    });
}

// rte_pktmbuf_adj, in our bounds: a unique buffer of one segment; of anything else nothing is changed.
#[test]
fn the_front_of_a_buffer_is_cut_off_only_where_nobody_else_sees_it() {
    alone("the_front_of_a_buffer_is_cut_off_only_where_nobody_else_sees_it", || {
        let eal = Eal::init(&options(&["net_ring0"])).unwrap();
        let pool = pool(&eal, 63);
        let bytes: Vec<u8> = (0..=255).cycle().take(1514).collect();
        let mut buf = pool.alloc_copy(&bytes).unwrap();
        assert!(buf.trim_front(0) && buf.trim_front(14));
        assert_eq!((buf.data(), buf.frame_len()), (&bytes[14..], 1500));
        assert!(!buf.trim_front(1501) && !buf.trim_front(usize::MAX) && !buf.trim_front(0x1_0000));
        assert_eq!(buf.data(), &bytes[14..], "nothing is changed by what does not fit");

        // Room that is behind the front again, for a tag, and none of what was cut.
        assert!(buf.set_tx_vlan(Some(7)) && buf.set_tx_vlan(None) && buf.set_len(1600));
        assert_eq!((&buf.data()[..1500], &buf.data()[1500..]), (&bytes[14..], &[0; 100][..]), "E09");

        let shared = buf.share();
        assert!(!buf.trim_front(1) && !buf.trim_front(0) && shared.data() == buf.data());
        drop(shared);
        assert!(buf.trim_front(1600) && buf.data().is_empty() && buf.frame_len() == 0);
        assert!(!buf.trim_front(1) && buf.set_len(1) && buf.data() == [0]);
        drop(buf);

        // What a driver is given says the same: it comes out of the ring as long as it went in.
        let (port, mut rx, mut tx) = started(&eal, "net_ring0", &pool);
        let mut burst = Burst::new();
        for cut in [0, 1, 14, 1454] {
            let mut buf = pool.alloc_copy(&bytes).unwrap();
            assert!(buf.trim_front(cut));
            burst.push(buf).unwrap();
        }
        assert_eq!((tx.tx_burst(&mut burst), rx.rx_burst(&mut burst, 32)), (4, 4));
        for (buf, cut) in burst.iter().zip([0, 1, 14, 1454]) {
            assert_eq!((buf.data(), buf.frame_len()), (&bytes[cut..], 1514 - cut));
        }
        drop((burst, port, rx, tx));

        // Large ones begin where their buffer does, and are ordinary ones after it: never a body.
        let mut large = pool.alloc_large().unwrap();
        assert!(large.set_len(65_535) && large.trim_front(65_527) && large.data() == [0; 8]);
        let mut head = pool.alloc_copy(&[7; 34]).unwrap();
        let large = head.attach(large).expect_err("the body would begin elsewhere");
        drop(large);

        // Of several segments nothing is cut; of those that a driver makes, see below.
        let mut body = pool.alloc_large().unwrap();
        assert!(body.set_len(3000));
        head.attach(body).unwrap();
        assert!(!head.trim_front(1) && !head.trim_front(0));
        assert_eq!((head.data(), head.body().map(<[u8]>::len)), (&[7; 34][..], Some(3000)));
        drop((head, pool));
        eal.cleanup().unwrap();
    });
}

#[test]
fn a_full_ring_refuses_and_what_it_refused_stays_in_the_burst() {
    alone("a_full_ring_refuses_and_what_it_refused_stays_in_the_burst", || {
        let eal = Eal::init(&options(&["net_ring0"])).unwrap();
        let pool = pool(&eal, 2047);
        let (port, mut rx, mut tx) = started(&eal, "net_ring0", &pool);
        let mut sent = 0_u16;
        let mut burst = Burst::new();
        while burst.is_empty() {
            for i in 0..64_u16 {
                burst.push(pool.alloc_copy(&(sent + i).to_be_bytes()).unwrap()).unwrap();
            }
            sent += u16::try_from(tx.tx_burst(&mut burst)).unwrap();
        }
        // The first of those left is the next to go.
        assert_eq!(burst.iter().next().unwrap().data(), sent.to_be_bytes());
        assert_eq!(pool.size() - pool.free_count(), u32::from(sent) + u32::try_from(burst.len()).unwrap());
        drop(burst);
        assert_eq!(pool.size() - pool.free_count(), u32::from(sent));

        let mut received = 0_u16;
        let mut burst = Burst::new();
        while rx.rx_burst(&mut burst, 64) > 0 {
            for buf in burst.drain() {
                assert_eq!(buf.data(), received.to_be_bytes());
                received += 1;
            }
        }
        assert_eq!(received, sent);
        assert_eq!(pool.free_count(), pool.size());
        drop((port, rx, tx, pool));
        eal.cleanup().unwrap();
    });
}

#[test]
fn an_exhausted_pool_gives_no_buffer_and_recovers() {
    alone("an_exhausted_pool_gives_no_buffer_and_recovers", || {
        let eal = Eal::init(&options(&[])).unwrap();
        let pool = pool(&eal, 127);
        let held: Vec<_> = std::iter::from_fn(|| pool.alloc()).collect();
        assert_eq!(held.len(), 127);
        assert_eq!(pool.free_count(), 0);
        assert!(pool.alloc_copy(&[0; 60]).is_none());
        drop(held);
        assert_eq!(pool.free_count(), 127);
        assert!(pool.alloc_copy(&[0; 3000]).is_none(), "too large");
        assert_eq!(pool.free_count(), 127, "and given back");
        // Of a used buffer nothing is left.
        drop(pool.alloc_copy(&[1; 1514]));
        let copy = pool.alloc_copy(&[2; 60]).unwrap();
        assert_eq!((copy.data(), copy.frame_len()), (&[2; 60][..], 60));
    });
}

#[test]
fn a_shared_buffer_is_nobodys_to_write_and_is_freed_once() {
    alone("a_shared_buffer_is_nobodys_to_write_and_is_freed_once", || {
        let eal = Eal::init(&options(&[])).unwrap();
        let pool = pool(&eal, 127);
        let mut first = pool.alloc_copy(b"one packet, two readers").unwrap();
        assert!(first.unique().is_some());
        let mut second = first.share();
        assert!(first.unique().is_none() && second.unique().is_none());
        assert!(!first.set_len(4) && !second.set_len(400));
        assert_eq!(first.data(), second.data());
        assert_eq!(pool.free_count(), 126);
        let reader = std::thread::spawn(move || assert_eq!(second.data(), b"one packet, two readers"));
        reader.join().unwrap();
        assert_eq!(pool.free_count(), 126);
        first.unique().unwrap()[..3].copy_from_slice(b"ONE");
        assert_eq!(&first.data()[..10], b"ONE packet");
        drop(first);
        assert_eq!(pool.free_count(), 127);
    });
}

// E09, CVE-2003-0001: padding is zeros, never what lay there before.
#[test]
fn what_is_appended_is_zeros() {
    alone("what_is_appended_is_zeros", || {
        let eal = Eal::init(&options(&[])).unwrap();
        let pool = pool(&eal, 7);
        // Every buffer has held something.
        let dirty: Vec<_> = std::iter::from_fn(|| pool.alloc_copy(&[0xAA; 1500])).collect();
        assert_eq!(dirty.len(), 7);
        drop(dirty);
        let mut buf = pool.alloc_copy(&[0xBB; 20]).unwrap();
        assert!(buf.set_len(60));
        assert_eq!(buf.data()[..20], [0xBB; 20]);
        assert_eq!(buf.data()[20..], [0; 40]);
        assert!(buf.set_len(10) && buf.set_len(30));
        assert_eq!(buf.data()[10..], [0; 20], "what was cut is gone");
        let room = 2176 - 128;
        assert!(buf.set_len(room) && !buf.set_len(room + 1) && !buf.set_len(usize::MAX));
        assert_eq!(buf.data().len(), room);
        assert!(buf.set_len(0) && buf.data().is_empty());
    });
}

/// A pcap file of these frames.
fn capture(frames: &[Vec<u8>]) -> Vec<u8> {
    let word = |n: u32| n.to_le_bytes();
    let mut file = [word(0xa1b2_c3d4), word(0x0004_0002), word(0), word(0), word(65535), word(1)].concat();
    for frame in frames {
        let len = word(u32::try_from(frame.len()).unwrap());
        file.extend([word(0), word(0), len, len].concat());
        file.extend(frame);
    }
    file
}

#[test]
fn a_frame_of_several_segments_is_seen_as_such_and_freed_whole() {
    alone("a_frame_of_several_segments_is_seen_as_such_and_freed_whole", || {
        let dir = tempfile::tempdir().unwrap();
        let (input, output) = (dir.path().join("in.pcap"), dir.path().join("out.pcap"));
        let frames: Vec<Vec<u8>> = [60, 5000, 61].into_iter().zip(1..).map(|(len, b)| vec![b; len]).collect();
        std::fs::write(&input, capture(&frames)).unwrap();
        let device = format!("net_pcap0,rx_pcap={},tx_pcap={}", input.display(), output.display());

        let eal = Eal::init(&options(&[&device])).unwrap();
        let pool = pool(&eal, 511);
        let (port, mut rx, mut tx) = started(&eal, &device, &pool);
        let mut burst = Burst::new();
        assert_eq!(rx.rx_burst(&mut burst, 32), 3);
        let mut bufs: Vec<_> = burst.drain().collect();
        assert!(bufs[0].is_single_segment() && bufs[0].unique().is_some());
        assert!(!bufs[1].is_single_segment() && bufs[1].unique().is_none() && !bufs[1].set_len(100));
        assert!(!bufs[1].trim_front(1) && !bufs[1].trim_front(0));
        assert!(bufs[1].data().len() < 5000 && bufs[1].data().iter().all(|b| *b == 2));
        let again = bufs[1].share();
        assert_eq!(pool.size() - pool.free_count(), 2 + 3);
        drop(bufs.remove(1));
        assert_eq!(pool.size() - pool.free_count(), 2 + 3, "every segment is counted");
        drop(again);
        assert_eq!(pool.size() - pool.free_count(), 2);

        for buf in bufs {
            burst.push(buf).unwrap();
        }
        assert_eq!(tx.tx_burst(&mut burst), 2);
        assert_eq!(pool.free_count(), pool.size());
        drop((port, rx, tx, pool));
        eal.cleanup().unwrap();
        let written = std::fs::read(&output).unwrap();
        assert_eq!(written.len(), 24 + 2 * 16 + 60 + 61);
        assert_eq!(written[24 + 16..][..60], [1; 60]);
    });
}

#[test]
fn queues_keep_their_port_open_and_the_port_its_pool() {
    alone("queues_keep_their_port_open_and_the_port_its_pool", || {
        let eal = Eal::init(&options(&["net_null0"])).unwrap();
        let pool = pool(&eal, 1023);
        let (port, mut rx, tx) = started(&eal, "net_null0", &pool);
        drop((port, pool, tx));
        let mut burst = Burst::new();
        // net_null receives as many as are asked for.
        assert_eq!(rx.rx_burst(&mut burst, 32), 32);
        assert!(burst.iter().all(|buf| buf.data().len() == 64));
        drop(rx);
        drop(burst);
        // The pool was kept for what was out, and is all home now.
        eal.cleanup().unwrap();
    });
}

#[test]
fn a_device_without_an_address_needs_one_configured() {
    alone("a_device_without_an_address_needs_one_configured", || {
        let eal = Eal::init(&options(&["net_ring0"])).unwrap();
        let pool = pool(&eal, 1023);
        let mut plan = port("net_ring0");
        plan.mac = None;
        let error = Port::open(&eal, &plan, 1, &pool).unwrap_err();
        assert!(error.to_string().contains("has no Ethernet address of its own"), "{error}");
    });
}

#[test]
fn each_queue_pair_is_handed_out_once_and_moves_to_its_thread() {
    alone("each_queue_pair_is_handed_out_once_and_moves_to_its_thread", || {
        let eal = Eal::init(&options(&["net_null0"])).unwrap();
        let pool = pool(&eal, 1023);
        let (started, queues) = Port::open(&eal, &port("net_null0"), 3, &pool).unwrap().start().unwrap();
        assert_eq!((started.info().rx_queues, started.info().tx_queues, queues.len()), (3, 3, 3));
        assert!(started.info().rss.is_some());
        let threads: Vec<_> = queues
            .into_iter()
            .map(|(mut rx, mut tx)| {
                std::thread::spawn(move || {
                    let mut burst = Burst::new();
                    for _ in 0..50 {
                        assert_eq!(rx.rx_burst(&mut burst, 16), 16);
                        assert_eq!(tx.tx_burst(&mut burst), 16);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(pool.free_count(), pool.size());
        assert_eq!(started.device_stats().opackets, 3 * 50 * 16);
    });
}
