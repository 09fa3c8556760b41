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
