//! `pollcast devices`.

use std::io::Write;
use std::thread;

use serde::Serialize;

use super::args::DevicesArgs;
use super::failure::{Failure, Result};
use crate::addr::MacAddr;
use crate::config::{EalPlan, Hugepages, Machine};
use crate::ctl::text;
use crate::dpdk::devices::{DeviceInfo, list};
use crate::dpdk::{Eal, EalOptions};
use crate::io::FilterState;

/// Enough to start one small queue pair on each of a few ports.
const MEMORY_MB: u32 = 256;

pub(super) fn devices(args: &DevicesArgs, out: &mut dyn Write) -> Result {
    no_name_twice(&args.vdevs)?;
    let found = look(args)?;
    if args.json {
        let devices: Vec<_> = found.iter().map(DeviceJson::of).collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&devices).map_err(std::io::Error::from)?)?;
    } else {
        let none = "no devices: bind a NIC to vfio-pci (dpdk-devbind.py), or make one with --vdev\n";
        out.write_all(text::blocks(&found, none, block).as_bytes())?;
    }
    Ok(())
}

/// DPDK would take the first of two devices with one name, and say nothing.
fn no_name_twice(vdevs: &[String]) -> Result {
    let name = |vdev: &str| vdev.split(',').next().unwrap_or_default().to_owned();
    let names: Vec<String> = vdevs.iter().map(|vdev| name(vdev)).collect();
    match names.iter().enumerate().find(|(i, name)| names.iter().take(*i).any(|other| other == *name)) {
        Some((_, name)) => {
            Err(Failure::Asking(format!("--vdev {name} is given twice: give each a number of its own")))
        }
        None => Ok(()),
    }
}

/// What DPDK sees, asked on a thread made for it: EAL pins the one that starts it.
fn look(args: &DevicesArgs) -> Result<Vec<DeviceInfo>> {
    // Without hugepages: a look needs none, and those that there are belong to programs that run.
    let plan = EalPlan {
        hugepages: Hugepages::None,
        memory_mb: MEMORY_MB,
        file_prefix: format!("pollcast-devices-{}", std::process::id()),
        args: Vec::new(),
    };
    let cpu = Machine::here().cpus.first().copied().unwrap_or(0);
    let options = EalOptions { plan, lcores: vec![(0, cpu)], devices: args.vdevs.clone(), scan: true };
    let probe = args.probe;
    let looking = thread::Builder::new().name("devices".into()).spawn(move || {
        let eal = Eal::init(&options)?;
        let found = list(&eal, probe);
        eal.cleanup()?;
        Ok(found)
    });
    let running = |sentence: String| Failure::Running(sentence);
    match looking.map_err(|e| running(format!("cannot start a thread: {e}")))?.join() {
        Ok(found) => found.map_err(|e: crate::dpdk::EalError| running(e.to_string())),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn block(device: &DeviceInfo) -> String {
    let mut lines = vec![
        ("driver", Some(device.driver.clone())),
        ("mac", device.mac.map(|mac| mac.to_string())),
        ("numa node", device.numa_node.map(|node| node.to_string())),
        ("queues", Some(format!("up to {} rx, {} tx", device.max_rx_queues, device.max_tx_queues))),
        (
            "mac table",
            Some(format!("{} in all", text::count(device.mac_addresses.into(), "address", "addresses"))),
        ),
        ("offloads", Some(text::list(&device.offloads))),
    ];
    match &device.filter {
        None => {}
        Some(Ok(state)) => lines.extend(text::filter_lines(state)),
        Some(Err(why)) => lines.push(("rung", Some(format!("not tried: {why}")))),
    }
    text::titled(device.name.clone(), lines)
}

/// A device for programs. The keys are stable: some may be added, none is renamed or removed.
#[derive(Debug, Serialize)]
struct DeviceJson<'a> {
    name: &'a str,
    driver: &'a str,
    mac: Option<MacAddr>,
    numa_node: Option<u32>,
    max_rx_queues: u16,
    max_tx_queues: u16,
    mac_addresses: u32,
    offloads: &'a [String],
    /// With `--probe` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<&'a FilterState>,
    /// Why there is no `filter` though it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    filter_error: Option<&'a str>,
}

impl<'a> DeviceJson<'a> {
    fn of(device: &'a DeviceInfo) -> Self {
        let filter = device.filter.as_ref();
        Self {
            name: &device.name,
            driver: &device.driver,
            mac: device.mac,
            numa_node: device.numa_node,
            max_rx_queues: device.max_rx_queues,
            max_tx_queues: device.max_tx_queues,
            mac_addresses: device.mac_addresses,
            offloads: &device.offloads,
            filter: filter.and_then(|filter| filter.as_ref().ok()),
            filter_error: filter.and_then(|filter| filter.as_ref().err()).map(String::as_str),
        }
    }
}
