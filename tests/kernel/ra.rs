//! IPv6 addresses on a wire with a kernel: two hosts that want one address, and what a router advertises, which the kernel then
//! reaches the host by.

use std::fs;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::common::*;

const SERVICES: &str = r#"
[[service]]
name = "echo"
kind = "echo"
listen = ["[::]:7"]
"#;

/// The address that both want.
const WANTED: &str = "2001:db8::2";

/// What a network takes at most.
const PATIENCE: Duration = Duration::from_secs(20);

/// A router that lives in frames only.
const ROUTER: Host6 = Host6::local(0x1e);

fn config(lines: &str) -> Config {
    let ports = format!(
        "[[port]]\nname = \"p0\"\ndevice = \"net_tap0,iface={DEVICE}\"\nmac = \"02:00:00:00:00:02\"\n\
         addresses = [\"198.18.0.2/24\", \"{WANTED}/64\", \"auto\"]\n\
         stable_secret = \"00112233445566778899aabbccddeeff\"\n{lines}\n"
    );
    Config { ports, ..Config::new("", SERVICES) }
}

/// A host, and a kernel that speaks IPv6 at the other end.
fn lab(lines: &str) -> Lab {
    let lab = Lab::new(&config(lines));
    for key in ["accept_ra", "disable_ipv6"] {
        let path = format!("/proc/sys/net/ipv6/conf/{DEVICE}/{key}");
        lab.netns.enter(|| fs::write(&path, "0")).unwrap_or_else(|e| panic!("{path}: {e}"));
    }
    lab
}

/// The host's addresses, and how each stands.
fn addresses(lab: &Lab) -> Vec<(String, String)> {
    let rows = lab.pollcast.ctl(&["addresses"]);
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    rows.as_array().unwrap().iter().map(|row| (text(&row["addr"]), text(&row["state"]))).collect()
}

/// Waits until `done` says something.
fn wait_for<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(Instant::now() < end, "{what}: not in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn wait_for_state(lab: &Lab, addr: &str, state: &str) {
    wait_for(&format!("{addr} becomes {state}"), || {
        let all = addresses(lab);
        all.contains(&(format!("{addr}/64"), state.to_owned())).then_some(())
    });
}

/// A Router Advertisement of [`ROUTER`]: for half an hour, with the prefix `2001:db8:a::/64` on the link and for addresses, and
/// an MTU of 1400.
fn advertisement(valid_s: u32, preferred_s: u32) -> Vec<u8> {
    let mut message = vec![134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];
    message.extend([1, 1]);
    message.extend(ROUTER.mac);
    message.extend([5, 1, 0, 0]);
    message.extend(1400u32.to_be_bytes());
    message.extend([3, 4, 64, 0xc0]);
    message.extend(valid_s.to_be_bytes());
    message.extend(preferred_s.to_be_bytes());
    message.extend([0; 4]);
    message.extend(PREFIX.octets());
    let len = u16::try_from(message.len()).unwrap();
    let pseudo = [[0, 0], len.to_be_bytes(), [0, 0], [0, 58]].concat();
    let sum = checksum(&[&ROUTER.ip.octets(), &ALL_NODES.octets(), &pseudo, &message]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(len.to_be_bytes());
    packet.extend([58, 255]);
    packet.extend(ROUTER.ip.octets());
    packet.extend(ALL_NODES.octets());
    packet.extend(message);
    ethernet([0x33, 0x33, 0, 0, 0, 1], ROUTER.mac, ETHERTYPE_IPV6, &packet)
}

const PREFIX: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xa, 0, 0, 0, 0, 0);

/// Whether `frame` is an ICMPv6 message of type `kind` from the host, and of what source.
fn icmp6(frame: &Frame, kind: u8) -> Option<Ipv6Addr> {
    let bytes = &frame.bytes;
    let is_one =
        frame.ethertype() == ETHERTYPE_IPV6 && bytes.get(20) == Some(&58) && bytes.get(54) == Some(&kind);
    is_one.then(|| Ipv6Addr::from(<[u8; 16]>::try_from(&bytes[22..38]).unwrap()))
}

// N04, N05, RFC 4862 5.4: the kernel has the address that the host wants, and says so; the host's other addresses go on.
#[test]
fn an_address_that_the_kernel_has_is_not_used() {
    if !may_run() {
        return;
    }
    let lab = lab("dad_transmits = 3");
    lab.netns.ip(&format!("-6 addr add {WANTED}/64 dev {DEVICE} nodad"));
    wait_for_state(&lab, WANTED, "duplicate");
    wait_for_state(&lab, "fe80::ff:fe00:2", "preferred");
    assert!(lab.pollcast.stderr().contains("change one of the two addresses"));
}

// N04, RFC 4861 7.2.4: the host has the address that the kernel wants, and says so.
#[test]
fn an_address_that_the_host_has_is_defended() {
    if !may_run() {
        return;
    }
    let lab = lab("");
    wait_for_state(&lab, WANTED, "preferred");
    lab.netns.ip(&format!("-6 addr add {WANTED}/64 dev {DEVICE}"));
    wait_for("the kernel finds that it is a duplicate", || {
        let shown = lab.netns.ip(&format!("-6 addr show dev {DEVICE}"));
        shown.lines().any(|line| line.contains(WANTED) && line.contains("dadfailed")).then_some(())
    });
    wait_for_state(&lab, WANTED, "preferred");
}

// N06, N12, N13, N14: routers are asked; of what one says an address is made, asked for, and reached by the kernel.
#[test]
fn the_kernel_reaches_an_address_that_was_made_of_an_advertised_prefix() {
    if !may_run() {
        return;
    }
    let lab = lab("");
    lab.netns.ip(&format!("-6 addr add 2001:db8:a::1/64 dev {DEVICE} nodad"));
    let patience = Instant::now() + PATIENCE;
    let asked = std::iter::from_fn(|| lab.wire.raw.next(patience)).find_map(|frame| icmp6(&frame, 133));
    assert_eq!(asked, Some(HOST6_LOCAL.ip), "routers are asked from the link-local address");
    lab.wire.raw.send(&advertisement(3600, 1800));
    let made = wait_for("an address is made and used", || {
        let all = addresses(&lab);
        let made =
            all.into_iter().find(|(addr, state)| addr.starts_with("2001:db8:a:") && state == "preferred");
        made.map(|(addr, _)| addr.split('/').next().unwrap().parse::<Ipv6Addr>().unwrap())
    });
    let routes = lab.pollcast.ctl(&["routes"]);
    let default = routes.as_array().unwrap().iter().find(|row| row["to"] == "::/0").expect("a default route");
    assert_eq!(default["via"], ROUTER.ip.to_string());
    let said = lab.netns.run("ping", &["-6", "-n", "-c", "1", "-W", "5", &made.to_string()]);
    assert!(said.contains(" 0% packet loss"), "{said}");
    let answer = lab.netns.enter(|| {
        let socket = UdpSocket::bind("[2001:db8:a::1]:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.send_to(b"hello", SocketAddr::new(made.into(), 7)).unwrap();
        let mut buf = [0; 16];
        socket.recv_from(&mut buf).map(|(len, from)| (buf[..len].to_vec(), from.ip()))
    });
    assert_eq!(answer.unwrap(), (b"hello".to_vec(), made.into()));
    // N13, RFC 4862 5.5.3(e): it is over for new traffic at once, and not gone.
    lab.wire.raw.send(&advertisement(0, 0));
    wait_for_state(&lab, &made.to_string(), "deprecated");
}
