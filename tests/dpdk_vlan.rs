//! VLAN tags as the device's work: taken off and told beside the frame, inserted on request. Two ports of one process at
//! the ends of a veth pair, one that does and one that does not. Needs root.
#![cfg(feature = "dpdk")]

mod dpdk_alone;

use std::process::Command;
use std::time::{Duration, Instant};

use dpdk_alone::{alone, options, pool, port};
use pollcast::addr::{MacAddr, Vid};
use pollcast::config::plan::PortPlan;
use pollcast::dpdk::{Eal, Mbuf, Mempool, Port, RxQueue, TxQueue};
use pollcast::io::{BufPool, Burst, PacketBuf, PortInfo, RxQueue as _, TxQueue as _};

/// Priority 5, VLAN 100.
const TCI: u16 = 0xa064;

fn ip(line: &str) {
    let status = Command::new("ip").args(line.split(' ')).status().unwrap();
    assert!(status.success(), "ip {line}");
}

/// One end of the cable.
struct End {
    rx: RxQueue,
    tx: TxQueue,
    info: PortInfo,
}

impl End {
    fn open(eal: &Eal, pool: &Mempool, device: &str, tagged: bool) -> Self {
        let plan = PortPlan { tagged, ..port(device) };
        let (mut port, mut queues) = Port::open(eal, &plan, 1, pool).unwrap().start().unwrap();
        // It keeps no VLAN away, and need not be told of any.
        port.let_vlans_pass(Vid::new(100)).unwrap();
        let (rx, tx) = queues.pop().unwrap();
        Self { rx, tx, info: port.info().clone() }
    }

    fn offloads(&self) -> Vec<&str> {
        self.info.offloads.iter().map(String::as_str).filter(|name| name.contains("vlan")).collect()
    }

    fn send(&mut self, buf: Mbuf) {
        let mut burst = Burst::new();
        burst.push(buf).unwrap();
        assert_eq!(self.tx.tx_burst(&mut burst), 1);
    }

    /// The next frame to `FAR`.
    fn receive(&mut self) -> Mbuf {
        let deadline = Instant::now() + Duration::from_secs(2);
        let mut burst = Burst::new();
        while Instant::now() < deadline {
            self.rx.rx_burst(&mut burst, 1);
            if let Some(found) = burst.drain().find(|buf| buf.data().starts_with(&FAR.0)) {
                return found;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("nothing came over the cable");
    }
}

const FAR: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);

/// A frame for `FAR` of a type for experiments, and the same with a tag.
fn frames() -> (Vec<u8>, Vec<u8>) {
    let mut plain = [&FAR.0[..], &[2, 0, 0, 0, 0, 2, 0x88, 0xb5]].concat();
    plain.extend(0..50);
    let tagged = [&plain[..12], &[0x81, 0, 0xa0, 0x64], &plain[12..]].concat();
    (plain, tagged)
}

// E12, 802.1Q 9.6: af_packet does it in its driver.
#[test]
fn af_packet_takes_tags_off_and_inserts_them() {
    let test = "af_packet_takes_tags_off_and_inserts_them";
    if !nix::unistd::getuid().is_root() {
        eprintln!("{test}: skipped: needs root");
        return;
    }
    alone(test, || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        ip("link add ve0 type veth peer name ve1");
        ip("link set ve0 up");
        ip("link set ve1 up");
        let devices = ["net_af_packet0,iface=ve0", "net_af_packet1,iface=ve1"];
        let eal = Eal::init(&options(&devices)).unwrap();
        let pool = pool(&eal, 4095);
        let mut with = End::open(&eal, &pool, devices[0], true);
        let mut without = End::open(&eal, &pool, devices[1], false);
        assert_eq!(with.offloads(), ["rx_vlan_strip", "tx_vlan_insert"]);
        assert_eq!(without.offloads(), [""; 0], "asked for only where there are VLANs");
        let (plain, tagged) = frames();

        without.send(pool.alloc_copy(&tagged).unwrap());
        let got = with.receive();
        assert_eq!((got.data(), got.rx_meta().stripped_tci), (&plain[..], Some(TCI)));
        assert!(!got.is_plain(), "the device said something of it");
        drop(got);
        without.send(pool.alloc_copy(&plain).unwrap());
        let got = with.receive();
        assert_eq!((got.data(), got.rx_meta().stripped_tci), (&plain[..], None));

        // The same buffer back: what reception said of it is no request.
        with.send(got);
        assert_eq!(without.receive().data(), plain);
        let mut ask = pool.alloc_copy(&plain).unwrap();
        assert!(ask.set_tx_vlan(Some(TCI)));
        with.send(ask);
        let got = without.receive();
        assert_eq!((got.data(), got.rx_meta().stripped_tci), (&tagged[..], None), "it is in the frame");
        drop(got);

        let mut changed_its_mind = pool.alloc_copy(&plain).unwrap();
        assert!(changed_its_mind.set_tx_vlan(Some(TCI)) && changed_its_mind.set_tx_vlan(None));
        with.send(changed_its_mind);
        assert_eq!(without.receive().data(), plain);

        // A tag is written before the frame: into bytes that must be nobody else's.
        let mut shared = pool.alloc_copy(&plain).unwrap();
        let other = shared.share();
        assert!(!shared.set_tx_vlan(Some(TCI)));
        drop(other);
        with.send(shared);
        assert_eq!(without.receive().data(), plain);

        // A large buffer has no room before its frame, and makes some.
        let mut large = pool.alloc_large().unwrap();
        assert!(large.set_len(plain.len()));
        large.unique().unwrap().copy_from_slice(&plain);
        assert!(large.set_tx_vlan(Some(TCI)));
        assert_eq!(large.data(), plain);
        with.send(large);
        assert_eq!(without.receive().data(), tagged);
        let mut full = pool.alloc_large().unwrap();
        assert!(full.set_len(65_532) && !full.set_tx_vlan(Some(TCI)));
        assert!(full.set_len(65_531) && full.set_tx_vlan(Some(TCI)));
        drop(full);

        drop((with, without));
        assert_eq!(pool.free_count(), pool.size());
        drop(pool);
        eal.cleanup().unwrap();
    });
}
