//! `[[port]]`.

use super::{Limits, check_name, interfaces, workers};
use crate::addr::MacAddr;
use crate::config::error::{At, Place, Problems};
use crate::config::offloads;
use crate::config::plan::{InterfacePlan, PortPlan, WorkerPlan};
use crate::config::raw::{RawPort, RawVlans};
use crate::io::PortId;

/// `RTE_MAX_ETHPORTS`.
const PORTS_MAX: usize = 32;

/// RFC 791 3.2: every link carries 68 bytes. Drivers of jumbo frames end at 9216.
pub(super) const MTU: Limits =
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
        let port = check_port(raw, &ports, &interfaces, workers, problems);
        let id = PortId(u16::try_from(ports.len()).unwrap_or(u16::MAX));
        for &worker in &port.workers {
            workers[worker].ports.push(id);
        }
        interfaces::check(raw, &port, id, &mut interfaces, problems);
        ports.push(port);
    }
    (ports, interfaces)
}

fn check_port(
    raw: &RawPort,
    before: &[PortPlan],
    interfaces: &[InterfacePlan],
    workers: &[WorkerPlan],
    problems: &mut Problems,
) -> PortPlan {
    let RawPort { place, cpus, checksum, offloads, multicast_filter, rps, vhost_direct, .. } = raw;
    PortPlan {
        name: port_name(raw, before, interfaces, problems),
        device: check_device(raw.device.as_ref(), place, before, problems),
        mac: raw.mac.as_ref().and_then(|at| check_mac(at, problems)),
        mtu: MTU.check(raw.mtu.as_ref(), 1500, problems),
        rx_descriptors: check_descriptors(raw.rx_descriptors.as_ref(), problems),
        tx_descriptors: check_descriptors(raw.tx_descriptors.as_ref(), problems),
        offloads: offloads::check(offloads.as_ref(), checksum.as_ref(), problems),
        multicast_filter: multicast_filter.as_ref().map(|at| at.value).unwrap_or_default(),
        tagged: match &raw.vlans {
            RawVlans::One(_) => true,
            RawVlans::Several(vlans) => !vlans.is_empty(),
        },
        rx_events: false,
        workers: workers::of_port(cpus.as_ref(), workers, problems),
        rps: rps.as_ref().map(|at| at.value).unwrap_or_default(),
        vhost_direct: vhost_direct.as_ref().is_none_or(|at| at.value),
    }
}

fn port_name(
    raw: &RawPort,
    before: &[PortPlan],
    interfaces: &[InterfacePlan],
    problems: &mut Problems,
) -> String {
    let name = match &raw.name {
        Some(name) => {
            check_name(name, problems);
            name.clone()
        }
        None => At { value: format!("p{}", before.len()), place: raw.place.clone() },
    };
    let mut taken = before.iter().map(|port| &port.name).chain(interfaces.iter().map(|one| &one.name));
    if taken.any(|other| *other == name.value) {
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
        problems.add_missing(port, "device", REMEDY);
        return String::new();
    };
    let Some(device) = normal_device(value) else {
        problems.add(place, format!("{value:?} is no device"), REMEDY);
        return value.clone();
    };
    if device.starts_with("net_bonding") {
        // docs/real-nics.md: the switch behind the other link would not be told of the groups when that takes over.
        let wrong = "a bond is not supported: when its other link takes over, nobody would be told of the groups there";
        let remedy = "give each link a port of its own, as in config/two-ports.toml";
        problems.add(place, wrong.to_owned(), remedy);
    }
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
