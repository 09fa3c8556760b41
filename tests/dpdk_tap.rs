//! A tap port against the kernel, in a network namespace of the test's own: reception, offloads, and the privileges that
//! it takes. Needs root.
#![cfg(feature = "dpdk")]

mod dpdk_alone;

use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use dpdk_alone::{alone, in_namespace, ip, may_make_namespaces, options, pool, port, uninterrupted};
use pollcast::addr::MacAddr;
use pollcast::dpdk::{Eal, Mbuf, Port, RxQueue};
use pollcast::io::{
    Burst, ChecksumStatus, Occasion, PacketBuf, PortControl, Rung, RxQueue as _, TxChecksum, TxQueue as _,
};

/// The first frame with this EtherType and IP protocol, within two seconds.
fn receive(rx: &mut RxQueue, wanted: impl Fn(&[u8]) -> bool) -> Mbuf {
    let deadline = Instant::now() + Duration::from_secs(2);
    let mut burst = Burst::new();
    while Instant::now() < deadline {
        rx.rx_burst(&mut burst, 32);
        if let Some(found) = burst.drain().find(|buf| wanted(buf.data())) {
            return found;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("nothing came from the kernel");
}

fn is_udp(frame: &[u8]) -> bool {
    frame.get(12..14) == Some(&[8, 0]) && frame.get(23) == Some(&17)
}

#[test]
fn the_kernel_and_a_tap_port_understand_each_other() {
    let test = "the_kernel_and_a_tap_port_understand_each_other";
    in_namespace(test, || {
        let device = "net_tap0,iface=pctest0";
        let eal = Eal::init(&options(&[device])).unwrap();
        let pool = pool(&eal, 2047);
        let plan = port(device);
        let ours = plan.mac.unwrap();
        let (mut port, mut queues) = Port::open(&eal, &plan, 1, &pool).unwrap().start().unwrap();
        let (mut rx, mut tx) = queues.pop().unwrap();
        assert_eq!(port.info().mac, ours);
        assert_eq!(port.info().driver, "net_tap");
        assert!(port.info().offloads.contains(&"tx_udp_cksum".to_owned()), "{:?}", port.info());

        ip("link set pctest0 up");
        ip("addr add 198.18.0.1/24 dev pctest0");
        ip(&format!("neigh add 198.18.0.2 lladdr {ours} dev pctest0"));
        assert!(port.link_is_up());
        let kernel = UdpSocket::bind("198.18.0.1:9000").unwrap();
        kernel.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        kernel.send_to(b"hello", "198.18.0.2:7").unwrap();
        let mut buf = receive(&mut rx, is_udp);
        assert_eq!(buf.rx_meta().ip_checksum, ChecksumStatus::Good);
        assert_ne!(buf.rx_meta().l4_checksum, ChecksumStatus::Bad);
        assert_eq!(buf.data()[42..], *b"hello");
        // The kernel's end has an address of its own.
        let kernels = MacAddr(buf.data()[6..12].try_into().unwrap());
        assert_ne!(kernels, ours);

        // The answer, with both checksums left to the device: only then does the kernel take it.
        let frame = buf.unique().unwrap();
        frame[..6].copy_from_slice(&kernels.0);
        frame[6..12].copy_from_slice(&ours.0);
        let (src, dst) = ([198, 18, 0, 2], [198, 18, 0, 1]);
        frame[26..30].copy_from_slice(&src);
        frame[30..34].copy_from_slice(&dst);
        frame[24..26].fill(0);
        frame[34..38].copy_from_slice(&[0, 7, 0x23, 0x28]);
        let pseudo = [&src[..], &dst, &[0, 17, 0, 13]].concat();
        frame[40..42].copy_from_slice(&folded_sum(&pseudo).to_be_bytes());
        buf.set_tx_checksum(Some(TxChecksum { ip: true, udp: true, ipv6: false, l2_len: 14, l3_len: 20 }));
        assert_eq!(buf.rx_meta().ip_checksum, ChecksumStatus::Unknown, "what reception said is forgotten");
        let mut burst = Burst::new();
        burst.push(buf).unwrap();
        assert_eq!(tx.tx_burst(&mut burst), 1);
        let mut answer = [0; 64];
        let (len, from) = uninterrupted(|| kernel.recv_from(&mut answer)).unwrap();
        assert_eq!((&answer[..len], from.to_string().as_str()), (&b"hello"[..], "198.18.0.2:7"));

        // The driver accepts the list (and filters nothing).
        let want = [MacAddr([1, 0, 0x5e, 0, 0, 1]), MacAddr([1, 0, 0x5e, 1, 2, 3])];
        let state = port.mc_filter().apply(&want, Occasion::Change).clone();
        assert_eq!((state.rung, state.macs.as_slice()), (Rung::AddrList, &want[..]));
        assert_eq!(port.filter_state(), &state);

        let stats = port.device_stats();
        assert!(stats.ipackets >= 1 && stats.opackets == 1, "{stats:?}");
        drop((port, rx, tx));
        assert_eq!(pool.free_count(), pool.size());
        drop(pool);
        eal.cleanup().unwrap();
    });
}

/// Of bytes of even number, as one adds them by hand.
fn folded_sum(bytes: &[u8]) -> u16 {
    let sum: u32 = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap()
}

#[test]
fn a_tap_without_an_address_does_not_take_the_kernels() {
    let test = "a_tap_without_an_address_does_not_take_the_kernels";
    in_namespace(test, || {
        let device = "net_tap0,iface=pctest0";
        let eal = Eal::init(&options(&[device])).unwrap();
        let pool = pool(&eal, 1023);
        let mut plan = port(device);
        plan.mac = None;
        let port = Port::open(&eal, &plan, 1, &pool).unwrap();
        assert_ne!(port.info().mac, kernel_mac("pctest0"));
        assert!(port.info().mac.is_unicast());
    });
}

fn kernel_mac(interface: &str) -> MacAddr {
    let output = Command::new("ip").args(["-o", "link", "show", interface]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mac = text.split("link/ether ").nth(1).unwrap().split(' ').next().unwrap();
    mac.parse().unwrap()
}

#[test]
fn a_missing_privilege_is_named() {
    let test = "a_missing_privilege_is_named";
    if !may_make_namespaces(test) {
        return;
    }
    alone(test, || {
        let runtime = tempfile::tempdir().unwrap();
        let nobody = nix::unistd::Uid::from_raw(65534);
        nix::unistd::chown(runtime.path(), Some(nobody), None).unwrap();
        // A copy where nobody may go, which the build's own folder need not be.
        let program = runtime.path().join("program");
        std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        let mut child = Command::new(program);
        child.current_dir("/").args(["helper_without_privileges", "--exact", "--nocapture"]);
        child.env("XDG_RUNTIME_DIR", runtime.path()).env("POLLCAST_TEST_UNPRIVILEGED", "1");
        std::os::unix::process::CommandExt::uid(&mut child, 65534);
        let output = child.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.starts_with("net_tap0 needs CAP_NET_ADMIN, which this process lacks: run as root"),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    });
}

/// The other half of `a_missing_privilege_is_named`; alone, it shows that DPDK runs without privileges.
#[test]
fn helper_without_privileges() {
    if std::env::var_os("POLLCAST_TEST_UNPRIVILEGED").is_some() {
        eprintln!("{}", Eal::init(&options(&["net_tap0"])).unwrap_err());
    } else {
        alone("helper_without_privileges", || {
            Eal::init(&options(&["net_null0"])).unwrap().cleanup().unwrap()
        });
    }
}
