//! A vhost port and a virtio-user port in two processes: a real virtio ring between them.
#![cfg(feature = "dpdk")]

mod dpdk_alone;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dpdk_alone::{options, pool, port};
use pollcast::addr::{MacAddr, Vid};
use pollcast::config::plan::PortPlan;
use pollcast::dpdk::{Eal, Mbuf, Port, RxQueue, StartedPort, TxQueue};
use pollcast::io::{
    BufPool, Burst, ChecksumStatus, Occasion, PacketBuf, PortControl, Rung, RxQueue as _, TxChecksum,
    TxQueue as _,
};

const ROLE: &str = "POLLCAST_TEST_ROLE";
const SOCKET: &str = "POLLCAST_TEST_SOCKET";

/// This program again, with one test, in one of its roles.
fn spawn(test: &str, role: &str, socket: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(ROLE, role)
        .env(SOCKET, socket)
        .stdin(Stdio::piped())
        .stdout(if role == "vhost" { Stdio::piped() } else { Stdio::null() })
        .stderr(if role == KILLED { Stdio::piped() } else { Stdio::inherit() })
        .spawn()
        .unwrap()
}

#[test]
fn two_processes_speak_over_a_virtio_ring() {
    match std::env::var(ROLE).as_deref() {
        Ok("vhost") => vhost(&std::env::var(SOCKET).unwrap()),
        Ok(_) => virtio(&std::env::var(SOCKET).unwrap()),
        Err(_) => both("two_processes_speak_over_a_virtio_ring"),
    }
}

// E12, 802.1Q 9.6: both drivers strip, and insert on request: virtio's before it sends, vhost's as it does.
#[test]
fn two_processes_pass_tags_over_a_virtio_ring() {
    match std::env::var(ROLE).as_deref() {
        Ok("vhost") => vhost_of_vlans(&std::env::var(SOCKET).unwrap()),
        Ok(_) => virtio_of_vlans(&std::env::var(SOCKET).unwrap()),
        Err(_) => both("two_processes_pass_tags_over_a_virtio_ring"),
    }
}

/// The role of peers that are killed, one after the other, while the port takes from their ring and puts into it as fast as it can.
const KILLED: &str = "virtio, until it is killed";

/// How many there are.
const PEERS: usize = 6;

// Its rings are shared memory, which goes with a peer that dies.
#[test]
fn a_vhost_port_outlives_its_peers() {
    const TEST: &str = "a_vhost_port_outlives_its_peers";
    match std::env::var(ROLE).as_deref() {
        Ok("vhost") => vhost_at_full_speed(&std::env::var(SOCKET).unwrap()),
        Ok(_) => virtio_without_end(&std::env::var(SOCKET).unwrap()),
        Err(_) => {
            let dir = tempfile::tempdir().unwrap();
            let socket = dir.path().join("vhost.sock");
            let mut vhost = spawn(TEST, "vhost", &socket);
            let mut lines = BufReader::new(vhost.stdout.take().unwrap()).lines();
            assert!(lines.any(|line| line.unwrap().contains("ready")));
            let answered: Vec<bool> = (0..PEERS).map(|_| until_it_is_answered(TEST, &socket)).collect();
            drop(vhost.stdin.take());
            let vhost = vhost.wait().unwrap();
            assert!(vhost.success(), "{vhost}");
            assert_eq!(answered, [true; PEERS]);
        }
    }
}

/// Starts a peer, and kills it in the middle of its traffic. True if it was answered before.
fn until_it_is_answered(test: &str, socket: &Path) -> bool {
    let mut peer = spawn(test, KILLED, socket);
    let mut lines = BufReader::new(peer.stderr.take().unwrap()).lines();
    let answered = lines.any(|line| line.is_ok_and(|line| line.contains("answered")));
    std::thread::sleep(Duration::from_millis(30));
    peer.kill().unwrap();
    peer.wait().unwrap();
    // What it would have removed at its end.
    let _ = std::fs::remove_dir_all(format!("/run/dpdk/pollcast-test-{}", peer.id()));
    let _ = std::fs::remove_file(format!("/run/pollcast/pollcast-test-{}.lock", peer.id()));
    answered
}

/// Sends back what comes, a burst at a time, until its standard input ends. What it counted, the port has counted, too.
fn vhost_at_full_speed(socket: &str) {
    let device = format!("net_vhost0,iface={socket}");
    let eal = Eal::init(&options(&[&device])).unwrap();
    let (port, mut rx, mut tx, pool) = start(&eal, &device, false);
    println!("ready");
    let input = std::thread::spawn(|| std::io::stdin().lines().for_each(drop));
    let mut burst = Burst::new();
    let (mut received, mut sent) = (0, 0);
    while !input.is_finished() {
        let came = rx.rx_burst(&mut burst, 32);
        received += came as u64;
        sent += tx.tx_burst(&mut burst) as u64;
        // What the ring has no room for.
        burst.drain().for_each(drop);
        if came == 0 {
            // Leaves the CPU to the peer, where there are few.
            std::thread::yield_now();
        }
    }
    let stats = port.device_stats();
    assert!(received > 0 && sent > 0);
    assert_eq!((stats.ipackets, stats.opackets), (received, sent));
    // Each datagram is of 60 bytes.
    assert_eq!((stats.ibytes, stats.obytes), (60 * received, 60 * sent));
    drop((port, rx, tx));
    assert_eq!(pool.free_count(), pool.size());
    drop((burst, pool));
    eal.cleanup().unwrap();
}

/// Sends as fast as the ring takes it, and says when the first echo has come.
fn virtio_without_end(socket: &str) {
    let device = format!("net_virtio_user0,path={socket},queues=1");
    let eal = Eal::init(&options(&[&device])).unwrap();
    let (_port, mut rx, mut tx, pool) = start(&eal, &device, false);
    let (mut out, mut back) = (Burst::new(), Burst::new());
    let mut answered = false;
    loop {
        while out.len() < 32 {
            let Some(buf) = pool.alloc_copy(&datagram(1)) else { break };
            out.push(buf).unwrap();
        }
        tx.tx_burst(&mut out);
        if rx.rx_burst(&mut back, 32) > 0 && !answered {
            answered = true;
            eprintln!("answered");
        }
        back.drain().for_each(drop);
    }
}

fn both(test: &str) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("vhost.sock");
    let mut vhost = spawn(test, "vhost", &socket);
    // Held until the end: it writes more after this line.
    let mut lines = BufReader::new(vhost.stdout.take().unwrap()).lines();
    let ready = lines.any(|line| line.unwrap().contains("ready"));
    let virtio = if ready { spawn(test, "virtio", &socket).wait() } else { vhost.wait() };
    // The end of its input is the end of its work.
    drop(vhost.stdin.take());
    let vhost = vhost.wait().unwrap();
    assert!(ready && vhost.success() && virtio.unwrap().success());
}

fn start(eal: &Eal, device: &str, tagged: bool) -> (StartedPort, RxQueue, TxQueue, pollcast::dpdk::Mempool) {
    let pool = pool(eal, 2047);
    let plan = PortPlan { tagged, ..port(device) };
    let (port, mut queues) = Port::open(eal, &plan, 1, &pool).unwrap().start().unwrap();
    let (rx, tx) = queues.pop().unwrap();
    (port, rx, tx, pool)
}

fn receive(rx: &mut RxQueue, within: Duration) -> Option<Mbuf> {
    let deadline = Instant::now() + within;
    let mut burst = Burst::new();
    while Instant::now() < deadline {
        if rx.rx_burst(&mut burst, 1) == 1 {
            return burst.drain().next();
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    None
}

/// Sends every frame back as it came, until its standard input ends.
fn vhost(socket: &str) {
    let device = format!("net_vhost0,iface={socket}");
    let eal = Eal::init(&options(&[&device])).unwrap();
    let (port, mut rx, mut tx, pool) = start(&eal, &device, false);
    answer_until_the_input_ends(&mut rx, &mut tx, |buf| {
        // As a peer that trusts: the field is not right, and need not be. Asked again, virtio passes that on.
        let mut buf = pool.alloc_copy(buf.data()).unwrap();
        buf.set_tx_checksum(Some(TxChecksum { ip: false, udp: true, ipv6: false, l2_len: 14, l3_len: 20 }));
        buf
    });
    drop((port, rx, tx));
    drop(pool);
    eal.cleanup().unwrap();
}

/// Says that it is ready, and sends what `answer` makes of each frame.
fn answer_until_the_input_ends(rx: &mut RxQueue, tx: &mut TxQueue, answer: impl Fn(Mbuf) -> Mbuf) {
    println!("ready");
    let (done, ended) = crossbeam::channel::bounded(1);
    let input = std::thread::spawn(move || {
        std::io::stdin().lines().for_each(drop);
        done.send(()).unwrap();
    });
    let mut burst = Burst::new();
    while ended.try_recv().is_err() {
        if let Some(buf) = receive(rx, Duration::from_millis(20)) {
            burst.push(answer(buf)).unwrap();
            while tx.tx_burst(&mut burst) == 0 {}
        }
    }
    input.join().unwrap();
}

/// Answers what came in VLAN n in VLAN n + 1; what came with a tag that it did not take off, not at all.
fn vhost_of_vlans(socket: &str) {
    let device = format!("net_vhost0,iface={socket}");
    let eal = Eal::init(&options(&[&device])).unwrap();
    let (port, mut rx, mut tx, pool) = start(&eal, &device, true);
    answer_until_the_input_ends(&mut rx, &mut tx, |buf| {
        let tci = buf.rx_meta().stripped_tci.map(|tci| tci + 1);
        let mut answer = pool.alloc_copy(buf.data()).unwrap();
        assert!(answer.set_tx_vlan(tci));
        answer
    });
    drop((port, rx, tx));
    drop(pool);
    eal.cleanup().unwrap();
}

fn virtio_of_vlans(socket: &str) {
    let device = format!("net_virtio_user0,path={socket},queues=1,cq=1");
    let eal = Eal::init(&options(&[&device])).unwrap();
    let (mut port, mut rx, mut tx, pool) = start(&eal, &device, true);
    let mut offloads = port.info().offloads.clone();
    offloads.retain(|name| name.contains("vlan"));
    assert_eq!(offloads, ["rx_vlan_strip", "tx_vlan_insert"]);
    // QEMU's virtio lets no tagged frame pass before this; vhost has no filter to be told.
    port.let_vlans_pass(Vid::new(101)).unwrap();
    let mut burst = Burst::new();
    let mut echo = |tci: Option<u16>, checksum| {
        let mut buf = pool.alloc_copy(&datagram(7)).unwrap();
        assert!(buf.set_tx_vlan(tci));
        buf.set_tx_checksum(checksum);
        burst.push(buf).unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        while tx.tx_burst(&mut burst) == 0 {
            assert!(Instant::now() < deadline, "the ring takes nothing");
        }
        let echo = receive(&mut rx, Duration::from_secs(5)).expect("an echo");
        // The checksum's place is behind the tag on the wire, and is none of the tag's business.
        assert_eq!(echo.data(), datagram(7));
        echo.rx_meta().stripped_tci
    };
    let udp = Some(TxChecksum { ip: false, udp: true, ipv6: false, l2_len: 14, l3_len: 20 });
    for checksum in [None, udp] {
        assert_eq!(echo(Some(0xa064), checksum), Some(0xa065));
        assert_eq!(echo(None, checksum), None);
    }
    drop((port, rx, tx));
    assert_eq!(pool.free_count(), pool.size());
    drop((burst, pool));
    eal.cleanup().unwrap();
}

/// A UDP datagram whose checksum field holds the sum of the pseudo-header.
fn datagram(i: u8) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0];
    frame.extend([198, 18, 0, 1, 198, 18, 0, 2, 0x23, 0x28, 0, 7, 0, 26]);
    let sum: u32 = frame[26..34].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let sum = sum + 17 + 26;
    frame.extend(u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap().to_be_bytes());
    frame.extend([i; 18]);
    frame
}

fn group_macs(count: u8) -> Vec<MacAddr> {
    (1..=count).map(|b| MacAddr([1, 0, 0x5e, 0, 0, b])).collect()
}

fn virtio(socket: &str) {
    let device = format!("net_virtio_user0,path={socket},queues=1,cq=1");
    let eal = Eal::init(&options(&[&device])).unwrap();
    let (mut port, mut rx, mut tx, pool) = start(&eal, &device, false);
    assert_eq!(port.info().driver, "net_virtio_user");

    let mut burst = Burst::new();
    for i in 0..40 {
        let mut buf = pool.alloc_copy(&datagram(i)).unwrap();
        buf.set_tx_checksum(Some(TxChecksum { ip: false, udp: true, ipv6: false, l2_len: 14, l3_len: 20 }));
        burst.push(buf).unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        while tx.tx_burst(&mut burst) == 0 {
            assert!(Instant::now() < deadline, "the ring takes nothing");
        }
        let echo = receive(&mut rx, Duration::from_secs(5)).expect("an echo");
        assert_eq!(echo.data()[42..], [i; 18]);
        if port.info().offloads.contains(&"rx_udp_cksum".to_owned()) {
            // DESIGN 4: not right, and known to be intact.
            assert_eq!(echo.rx_meta().l4_checksum, ChecksumStatus::None);
        }
    }

    // A packet that the driver cannot do the offloads of stays, and holds up none behind it.
    let ask = Some(TxChecksum { ip: false, udp: true, ipv6: false, l2_len: 14, l3_len: 20 });
    for (i, len) in [(1, 60), (2, 20), (3, 60)] {
        let mut buf = pool.alloc_copy(&datagram(i)[..len]).unwrap();
        buf.set_tx_checksum(ask);
        burst.push(buf).unwrap();
    }
    assert_eq!(tx.tx_burst(&mut burst), 2);
    assert_eq!(burst.drain().map(|buf| buf.data().len()).collect::<Vec<_>>(), [20]);
    for i in [1, 3] {
        let echo = receive(&mut rx, Duration::from_secs(5)).expect("an echo");
        assert_eq!(echo.data()[42..], [i; 18]);
    }

    // The MAC table is offered by real hosts (64 addresses), and not by DPDK's vhost: the driver says so, and one rung
    // down it is.
    let state = port.mc_filter().apply(&group_macs(5), Occasion::Change).clone();
    assert_eq!((state.rung, state.all_multicast), (Rung::AllMulticast, true), "{state:?}");
    let refused: Vec<_> = state.refused.iter().map(|r| (r.rung, r.why.as_str())).collect();
    assert_eq!(refused[0], (Rung::AddrList, "set_mc_addr_list: Operation not supported (-ENOTSUP)"));
    assert_eq!(refused[1], (Rung::MacTable, "mac_addr_add: the driver gives no reason (-1)"));
    let state = port.mc_filter().apply(&group_macs(64), Occasion::Change).clone();
    assert_eq!(state.rung, Rung::AllMulticast, "{state:?}");
    assert_eq!(
        state.refused[1].why,
        "mac_addr_add: the device's table has room for 63 group addresses, and 64 are wanted"
    );

    drop((port, rx, tx));
    assert_eq!(pool.free_count(), pool.size());
    drop(pool);
    eal.cleanup().unwrap();
}
