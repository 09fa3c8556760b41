//! `[[port]]`.

use core::net::{IpAddr, Ipv4Addr};

use super::{Limits, check_name, workers};
use crate::addr::{Ipv4Cidr, MacAddr, Unicast, V4};
use crate::config::error::{At, Place, Problems};
use crate::config::plan::{InterfacePlan, PortPlan, WorkerPlan};
use crate::config::raw::RawPort;
use crate::io::{Policy, PortId};

/// `RTE_MAX_ETHPORTS`.
const PORTS_MAX: usize = 32;

/// RFC 791 3.2: every link carries 68 bytes. Drivers of jumbo frames end at 9216.
const MTU: Limits =
    Limits { min: 68, max: 9216, too_small: "too small for IPv4", too_large: "too large for one buffer" };

/// What drivers of every kind take.
const DESCRIPTORS: Limits = Limits::new(32, 32768);

/// Descriptors of a queue, if nothing else is said.
const DESCRIPTORS_DEFAULT: u16 = 1024;

pub(super) fn check(
    raw: &[RawPort],
    workers: &mut [WorkerPlan],
    problems: &mut Problems,
) -> (Vec<PortPlan>, Vec<InterfacePlan>) {
    if raw.is_empty() {
        let remedy = "add [[port]] with device and addresses";
        problems.add(&Place { path: "port".to_owned(), offset: 0 }, "there is no port", remedy);
    }
    if let Some(port) = raw.get(PORTS_MAX) {
        problems.add(&port.place, "there are too many ports", format!("DPDK has {PORTS_MAX} at most"));
    }
    let (mut ports, mut interfaces): (Vec<PortPlan>, Vec<InterfacePlan>) = (Vec::new(), Vec::new());
    for raw in raw.iter().take(PORTS_MAX) {
        let port = check_port(raw, &ports, workers, problems);
        let id = PortId(u16::try_from(ports.len()).unwrap_or(u16::MAX));
        for &worker in &port.workers {
            workers[worker].ports.push(id);
        }
        interfaces.push(check_interface(raw, &port.name, id, &interfaces, problems));
        ports.push(port);
    }
    (ports, interfaces)
}

fn check_interface(
    raw: &RawPort,
    name: &str,
    port: PortId,
    before: &[InterfacePlan],
    problems: &mut Problems,
) -> InterfacePlan {
    let addresses = check_addresses(raw.addresses.as_ref(), &raw.place, before, problems);
    InterfacePlan {
        name: name.to_owned(),
        port,
        vlan: None,
        gateway4: raw.gateway4.as_ref().and_then(|at| check_gateway(at, &addresses, problems)),
        addresses,
        routes: Vec::new(),
        policy: Policy::default(),
    }
}

fn check_port(
    raw: &RawPort,
    before: &[PortPlan],
    workers: &[WorkerPlan],
    problems: &mut Problems,
) -> PortPlan {
    let RawPort { place, cpus, checksum, multicast_filter, .. } = raw;
    PortPlan {
        name: port_name(raw, before, problems),
        device: check_device(raw.device.as_ref(), place, before, problems),
        mac: raw.mac.as_ref().and_then(|at| check_mac(at, problems)),
        mtu: MTU.check(raw.mtu.as_ref(), 1500, problems),
        rx_descriptors: check_descriptors(raw.rx_descriptors.as_ref(), problems),
        tx_descriptors: check_descriptors(raw.tx_descriptors.as_ref(), problems),
        checksum: checksum.as_ref().map(|at| at.value).unwrap_or_default(),
        multicast_filter: multicast_filter.as_ref().map(|at| at.value).unwrap_or_default(),
        tagged: false,
        workers: workers::of_port(cpus.as_ref(), workers, problems),
    }
}

fn port_name(raw: &RawPort, before: &[PortPlan], problems: &mut Problems) -> String {
    let name = match &raw.name {
        Some(name) => {
            check_name(name, problems);
            name.clone()
        }
        None => At { value: format!("p{}", before.len()), place: raw.place.clone() },
    };
    if before.iter().any(|port| port.name == name.value) {
        let problem = format!("another port is called {:?}", name.value);
        problems.add(&name.place, problem, "give each a name of its own");
    }
    name.value
}

fn check_device(
    at: Option<&At<String>>,
    port: &Place,
    before: &[PortPlan],
    problems: &mut Problems,
) -> String {
    const REMEDY: &str =
        "write a PCI address such as \"0000:03:00.0\" or a vdev such as \"net_tap0,iface=pc0\"";
    let Some(At { value, place }) = at else {
        problems.add(port, "the key device is missing", REMEDY);
        return String::new();
    };
    let Some(device) = normal_device(value) else {
        problems.add(place, format!("{value:?} is no device"), REMEDY);
        return value.clone();
    };
    let name = |device: &str| device.split(',').next().unwrap_or(device).to_owned();
    if let Some(other) = before.iter().find(|port| port.device_name() == name(&device)) {
        let remedy = "give each port a device of its own (for a vdev, another number after its driver)";
        problems.add(place, format!("port {} already has {}", other.name, name(&device)), remedy);
    }
    device
}

/// `device` as EAL writes it: a PCI address with its domain, or a vdev.
fn normal_device(device: &str) -> Option<String> {
    if device.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return None;
    }
    let (name, args) = device.split_once(',').map_or((device, None), |(name, args)| (name, Some(args)));
    let name = if is_vdev(name) { name.to_owned() } else { normal_pci(name)? };
    Some(args.map_or_else(|| name.clone(), |args| format!("{name},{args}")))
}

/// `net_`, a driver, a number.
fn is_vdev(name: &str) -> bool {
    let driver = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    driver.len() < name.len()
        && driver.strip_prefix("net_").is_some_and(|driver| !driver.is_empty() && driver.chars().all(word))
}

/// `[DDDD:]BB:DD.F` with its domain and in lower case.
fn normal_pci(address: &str) -> Option<String> {
    let (rest, function) = address.rsplit_once('.')?;
    let mut parts = rest.rsplit(':');
    let (device, bus) = (parts.next()?, parts.next()?);
    let domain = parts.next().unwrap_or("0000");
    let hex = |part: &str, digits: core::ops::RangeInclusive<usize>, max: u32| {
        let all_hex = part.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u32::from_str_radix(part, 16).ok()?;
        (all_hex && digits.contains(&part.len()) && number <= max).then_some(number)
    };
    let (domain, bus) = (hex(domain, 4..=8, u32::MAX)?, hex(bus, 2..=2, 0xff)?);
    let (device, function) = (hex(device, 2..=2, 0x1f)?, hex(function, 1..=1, 7)?);
    parts.next().is_none().then(|| format!("{domain:04x}:{bus:02x}:{device:02x}.{function:x}"))
}

fn check_mac(At { value, place }: &At<String>, problems: &mut Problems) -> Option<MacAddr> {
    const REMEDY: &str = "write six hexadecimal bytes with colons, as in \"02:00:00:00:00:02\"";
    match value.parse::<MacAddr>() {
        Ok(mac) if mac.is_unicast() => return Some(mac),
        Ok(mac) => {
            let remedy = "use one such as \"02:00:00:00:00:02\", whose first byte is even";
            problems.add(place, format!("no station may have {mac}"), remedy);
        }
        Err(_) => problems.add(place, format!("{value:?} is no Ethernet address"), REMEDY),
    }
    None
}

fn check_addresses(
    at: Option<&At<Vec<At<String>>>>,
    port: &Place,
    before: &[InterfacePlan],
    problems: &mut Problems,
) -> Vec<Ipv4Cidr> {
    const REMEDY: &str = "give it one, as in addresses = [\"198.18.0.2/24\"]";
    let Some(addresses) = at else {
        problems.add(port, "the key addresses is missing", REMEDY);
        return Vec::new();
    };
    if addresses.value.is_empty() {
        problems.add(&addresses.place, "this port has no address", REMEDY);
    }
    let mut checked: Vec<Ipv4Cidr> = Vec::new();
    for at in &addresses.value {
        let Some(cidr) = check_cidr(at, problems) else { continue };
        let same = |other: &Ipv4Cidr| other.addr() == cidr.addr();
        let owner = before.iter().find(|port| port.addresses.iter().any(same));
        if checked.iter().any(same) {
            problems.add(&at.place, format!("{} is listed twice", cidr.addr()), "list each address once");
        } else if let Some(owner) = owner {
            let problem = format!("{} is an address of port {}", cidr.addr(), owner.name);
            problems.add(&at.place, problem, "give each port addresses of its own");
        } else {
            checked.push(cidr);
        }
    }
    checked
}

fn check_cidr(At { value, place }: &At<String>, problems: &mut Problems) -> Option<Ipv4Cidr> {
    let (addr, prefix) = value.split_once('/').map_or((value.as_str(), None), |(a, p)| (a, Some(p)));
    let addr = ipv4(addr, place, problems)?;
    let Some(unicast) = Unicast::<V4>::new(addr) else {
        let remedy = "use a unicast address, as in \"198.18.0.2/24\"";
        problems.add(place, format!("no host may have the address {addr}"), remedy);
        return None;
    };
    let Some(prefix) = prefix else {
        problems.add(
            place,
            format!("{value:?} has no prefix length"),
            format!("write one, as in \"{addr}/24\""),
        );
        return None;
    };
    // Digits only: `parse` would take a plus sign.
    let digits = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
    let Some(prefix) = prefix.parse::<u8>().ok().filter(|&prefix| digits && (1..=32).contains(&prefix))
    else {
        problems.add(place, format!("{prefix:?} is no prefix length"), "use 1 to 32");
        return None;
    };
    let cidr = Ipv4Cidr::new(unicast, prefix);
    if cidr.is_none() {
        let problem = format!("{addr} is the network's or the broadcast address of its /{prefix}");
        problems.add(place, problem, "use one of the addresses between them");
    }
    cidr
}

fn check_gateway(
    At { value, place }: &At<String>,
    addresses: &[Ipv4Cidr],
    problems: &mut Problems,
) -> Option<Unicast<V4>> {
    let addr = ipv4(value, place, problems)?;
    let Some(gateway) = Unicast::<V4>::new(addr) else {
        problems.add(place, format!("no host may have the address {addr}"), "use a router's unicast address");
        return None;
    };
    // Nothing can be said of it if no address of the port is known.
    if addresses.is_empty() {
        return Some(gateway);
    }
    let on_link: Vec<&Ipv4Cidr> = addresses.iter().filter(|cidr| cidr.contains(addr)).collect();
    let prefixes = || addresses.iter().map(Ipv4Cidr::to_string).collect::<Vec<_>>().join(", ");
    if on_link.is_empty() {
        let problem = format!("{addr} is on none of the port's prefixes");
        problems.add(place, problem, format!("use a router's address within {}", prefixes()));
    } else if addresses.iter().any(|cidr| cidr.addr() == addr) {
        let problem = format!("{addr} is this port's own address");
        problems.add(place, problem, "use the router's address, or leave the key out");
    } else if on_link.iter().all(|cidr| Ipv4Cidr::new(gateway, cidr.prefix()).is_none()) {
        let problem = format!("{addr} is the network's or the broadcast address of a prefix");
        problems.add(place, problem, "use the router's address");
    } else {
        return Some(gateway);
    }
    None
}

/// A power of two, as several drivers ask for.
fn check_descriptors(at: Option<&At<i64>>, problems: &mut Problems) -> u16 {
    let number = DESCRIPTORS.check(at, DESCRIPTORS_DEFAULT, problems);
    if let Some(At { place, .. }) = at.filter(|_| !number.is_power_of_two()) {
        let (below, above) = (number.next_power_of_two() / 2, number.next_power_of_two());
        let problem = format!("{number} is not a power of two");
        problems.add(place, problem, format!("use {below} or {above}"));
    }
    number
}

/// The IPv4 address that `text` is, or a problem.
pub(super) fn ipv4(text: &str, place: &Place, problems: &mut Problems) -> Option<Ipv4Addr> {
    match text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(IpAddr::V4(addr)) if addr.to_string() == text => return Some(addr),
        Ok(IpAddr::V6(addr)) => {
            problems.add(
                place,
                format!("{addr} is an IPv6 address"),
                "this version serves IPv4 only: use IPv4",
            );
        }
        Ok(IpAddr::V4(_)) | Err(_) => {
            let remedy = "write four numbers with dots, as in \"198.18.0.2\"";
            problems.add(place, format!("{text:?} is no IPv4 address"), remedy);
        }
    }
    None
}
