//! From options to EAL's arguments.

use super::EalOptions;
use super::hugepages::Memory;

/// A device as it is written in a configuration: `0000:03:00.0`, or `net_tap0,iface=pc0`.
#[derive(Clone, Copy, Debug)]
pub(in crate::dpdk) struct Device<'a> {
    /// All of it.
    pub(in crate::dpdk) text: &'a str,
    /// What precedes the first comma.
    pub(in crate::dpdk) name: &'a str,
}

impl<'a> Device<'a> {
    pub(in crate::dpdk) fn new(text: &'a str) -> Self {
        Self { text, name: text.split(',').next().unwrap_or(text) }
    }

    /// Whether a driver makes it, instead of finding it on a bus.
    pub(in crate::dpdk) fn is_virtual(self) -> bool {
        ["net_", "eth_", "virtio_user"].iter().any(|prefix| self.name.starts_with(prefix))
    }

    /// Whether it is of the driver `driver`.
    pub(in crate::dpdk) fn is_a(self, driver: &str) -> bool {
        self.name.strip_prefix(driver).is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()))
    }

    /// Its name as DPDK gives it to a port: PCI addresses with their domain.
    pub(in crate::dpdk) fn port_name(self) -> String {
        let short_pci =
            !self.is_virtual() && self.name.len() == 7 && self.name.as_bytes().get(2) == Some(&b':');
        if short_pci { format!("0000:{}", self.name) } else { self.name.to_owned() }
    }
}

/// Whether another process maps our memory: then it wants few, large files.
fn shares_memory(device: Device<'_>) -> bool {
    device.is_a("net_virtio_user")
        || device.is_a("virtio_user")
        || device.is_a("net_vhost")
        || device.is_a("eth_vhost")
}

/// Whether our memory must have names: memif passes it to its peer by DPDK's own files.
pub(super) fn needs_files(options: &EalOptions) -> bool {
    options.devices.iter().map(|device| Device::new(device)).any(|device| device.is_a("net_memif"))
}

/// The arguments of `rte_eal_init`, without virtual devices: those are made afterwards, one by one, so that each can say
/// what was wrong with it.
pub(super) fn arguments(options: &EalOptions, memory: Memory) -> Vec<String> {
    let EalOptions { plan, lcores, devices, scan } = options;
    let devices: Vec<Device<'_>> = devices.iter().map(|device| Device::new(device)).collect();
    let mut args = vec!["pollcast".to_owned()];
    let mut add = |arg: &str, value: Option<String>| {
        args.push(arg.to_owned());
        args.extend(value);
    };

    let map: Vec<String> = lcores.iter().map(|(lcore, cpu)| format!("{lcore}@{cpu}")).collect();
    add("--lcores", Some(map.join(",")));
    if let Some((main, _)) = lcores.first() {
        add("--main-lcore", Some(main.to_string()));
    }
    add("--file-prefix", Some(plan.file_prefix.clone()));
    add("-m", Some(plan.memory_mb.to_string()));

    let shared_files = devices.iter().any(|device| device.is_a("net_memif"));
    match memory {
        Memory::Hugepages => add("--in-memory", None),
        Memory::HugepageFiles => add("--huge-unlink", None),
        Memory::Ordinary => {
            add("--no-huge", None);
            if !shared_files {
                add("--no-shconf", None);
            }
        }
    }
    if devices.iter().any(|device| shares_memory(*device)) {
        add("--single-file-segments", None);
    }

    let mut on_a_bus = devices.iter().filter(|device| !device.is_virtual()).peekable();
    // Without a list EAL would claim every device that is bound to a driver of its own.
    if on_a_bus.peek().is_none() && !scan {
        add("--no-pci", None);
    }
    for device in on_a_bus {
        add("-a", Some(device.text.to_owned()));
    }
    args.extend(plan.args.iter().cloned());
    args
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan::{EalPlan, Hugepages};

    fn options(devices: &[&str]) -> EalOptions {
        EalOptions {
            plan: EalPlan {
                hugepages: Hugepages::Auto,
                memory_mb: 256,
                file_prefix: "p".into(),
                args: vec!["--log-level=8".into()],
            },
            lcores: vec![(0, 3), (1, 3)],
            devices: devices.iter().map(|&device| device.to_owned()).collect(),
            scan: false,
        }
    }

    fn line(devices: &[&str], memory: Memory) -> String {
        arguments(&options(devices), memory).join(" ")
    }

    #[test]
    fn lcores_are_mapped_and_the_first_is_the_main_one() {
        let line = line(&["net_tap0,iface=x"], Memory::Ordinary);
        assert!(
            line.starts_with("pollcast --lcores 0@3,1@3 --main-lcore 0 --file-prefix p -m 256"),
            "{line}"
        );
        assert!(line.ends_with("--no-huge --no-shconf --no-pci --log-level=8"), "{line}");
    }

    #[test]
    fn only_the_named_bus_devices_are_claimed() {
        let line = line(&["0000:03:00.0,arg=1", "net_null0"], Memory::Hugepages);
        assert!(line.contains("--in-memory -a 0000:03:00.0,arg=1"), "{line}");
        assert!(!line.contains("--no-pci"), "{line}");
    }

    #[test]
    fn memory_for_another_process_is_in_one_file_a_segment_list() {
        assert!(line(&["net_virtio_user0,path=/x"], Memory::Ordinary).contains("--single-file-segments"));
        assert!(!line(&["net_null0"], Memory::Ordinary).contains("--single-file-segments"));
        assert!(!line(&["net_memif0"], Memory::HugepageFiles).contains("--in-memory"));
        assert!(!line(&["net_memif0"], Memory::Ordinary).contains("--no-shconf"));
    }

    #[test]
    fn devices_are_told_apart_by_their_names() {
        assert_eq!(Device::new("03:00.0,x=1").port_name(), "0000:03:00.0");
        assert_eq!(Device::new("net_tap0,iface=a").port_name(), "net_tap0");
        assert!(Device::new("net_tap12,iface=a").is_a("net_tap"));
        assert!(!Device::new("net_tapx").is_a("net_tap"));
        assert!(!Device::new("0000:03:00.0").is_virtual());
    }
}
