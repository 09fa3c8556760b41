//! What DPDK sees: the devices that a configuration could name.

use serde::Serialize;

use super::offload::Offloads;
use super::{Eal, Mempool, MempoolOptions, Port, port};
use crate::addr::{Group, MacAddr, V4};
use crate::config::plan::{OffloadSet, PortPlan, Rps};
use crate::io::{FilterPolicy, FilterState, Occasion, PortControl};

/// One device.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceInfo {
    /// Its name: a PCI address, or that of a vdev.
    pub name: String,
    /// Its driver, as `net_tap`.
    pub driver: String,
    /// Its Ethernet address.
    pub mac: Option<MacAddr>,
    /// The NUMA node it is attached to, where known.
    pub numa_node: Option<u32>,
    /// Receive queues that it can have.
    pub max_rx_queues: u16,
    /// Transmit queues that it can have.
    pub max_tx_queues: u16,
    /// Addresses that its MAC table holds, its own included.
    pub mac_addresses: u32,
    /// Everything that it offers to do, by DPDK's names in lower case.
    pub offloads: Vec<String>,
    /// How it filtered two groups, or why that could not be tried; absent if that was not asked.
    pub filter: Option<Result<FilterState, String>>,
}

/// Every device that EAL has taken. With `probe`, each is opened, started, asked to filter two groups, and closed: its
/// link goes up and down, and it cannot be opened again in this process.
#[must_use]
pub fn list(eal: &Eal, probe: bool) -> Vec<DeviceInfo> {
    let ports: Vec<u16> = port::all().collect();
    ports.into_iter().filter_map(|port_id| look_at(eal, port_id, probe)).collect()
}

fn look_at(eal: &Eal, port_id: u16, probe: bool) -> Option<DeviceInfo> {
    let info = port::device_info(port_id).ok()?;
    let name = port::name(port_id)?;
    let offered = Offloads { rx: info.rx_offload_capa, tx: info.tx_offload_capa };
    let driver = port::driver_name(&info);
    let (max_rx_queues, max_tx_queues) = port::queues(&driver, (info.max_rx_queues, info.max_tx_queues));
    Some(DeviceInfo {
        driver,
        mac: port::mac_address(port_id).ok(),
        numa_node: port::numa_node(port_id),
        max_rx_queues,
        max_tx_queues,
        mac_addresses: info.max_mac_addrs,
        offloads: offered.names(),
        filter: probe.then(|| try_filter(eal, port_id, &name, info.min_mtu, info.max_mtu)),
        name,
    })
}

/// Which rung of the ladder answers.
fn try_filter(
    eal: &Eal,
    port_id: u16,
    name: &str,
    mtu_min: u16,
    mtu_max: u16,
) -> Result<FilterState, String> {
    let pool = MempoolOptions {
        name: format!("probe{port_id}"),
        // A queue's descriptors, which a driver may raise, and some.
        count: 4095,
        cache: 0,
        data_room: 2176,
        large: 0,
        numa_node: port::numa_node(port_id),
        shared_cpu: false,
    };
    let pool = Mempool::create(eal, &pool).map_err(|error| error.to_string())?;
    let plan = PortPlan {
        name: name.to_owned(),
        device: name.to_owned(),
        mac: Some(port::mac_address(port_id).ok().filter(|mac| mac.is_unicast()).unwrap_or(SOME_MAC)),
        mtu: 1500.clamp(mtu_min, mtu_max),
        rx_descriptors: 256,
        tx_descriptors: 256,
        offloads: OffloadSet::NONE,
        multicast_filter: FilterPolicy::Auto,
        tagged: false,
        rx_events: false,
        vhost_direct: true,
        workers: Vec::new(),
        rps: Rps::Off,
    };
    let port = Port::open(eal, &plan, 1, &pool).map_err(|error| error.to_string())?;
    let (mut port, _queues) = port.start().map_err(|error| error.to_string())?;
    Ok(port.mc_filter().apply(&two_groups(), Occasion::Change).clone())
}

/// For devices that have none of their own: locally administered.
const SOME_MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x01]);

/// The group of all hosts, which every host has, and one of an organisation's own.
fn two_groups() -> Vec<MacAddr> {
    let addresses = [[224, 0, 0, 1], [239, 1, 2, 3]];
    addresses.into_iter().filter_map(|addr| Group::<V4>::new(addr.into())).map(Group::mac).collect()
}
