//! `scripts/bind-nic` and `scripts/hugepages` on a made-up machine: a tree of files in place of the kernel's, and a thread in
//! place of the kernel.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::{self, JoinHandle};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tempfile::TempDir;

const NIC: &str = "0000:03:00.0";

/// A machine with NICs, and its kernel, which binds them.
struct Machine {
    dir: TempDir,
    kernel: Option<JoinHandle<()>>,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sys = dir.path().join("sys");
        for made in [
            "bus/pci/devices",
            "bus/pci/drivers/vfio-pci",
            "class/net",
            "kernel/iommu_groups",
            "module/vfio_pci",
        ] {
            fs::create_dir_all(sys.join(made)).unwrap();
        }
        // What it asks of the network and of modules.
        let bin = dir.path().join("bin");
        fs::create_dir(&bin).unwrap();
        program(&bin, "ip", r#"cat "$(dirname "$0")/../ip/$*" 2>/dev/null || true"#);
        program(&bin, "modprobe", r#"echo "$*" >>"$(dirname "$0")/../modprobe""#);
        fs::create_dir(dir.path().join("ip")).unwrap();
        let probe = sys.join("bus/pci/drivers_probe");
        mkfifo(&probe, Mode::S_IRWXU).unwrap();
        let kernel = thread::spawn(move || be_the_kernel(&sys));
        Self { dir, kernel: Some(kernel) }
    }

    fn sys(&self, path: &str) -> PathBuf {
        self.dir.path().join("sys").join(path)
    }

    /// A NIC that the kernel has by `driver`, as `interface`, alone in its group.
    fn add(&self, address: &str, vendor: &str, driver: &str, interface: &str, group: Option<&str>) {
        let device = self.sys("bus/pci/devices").join(address);
        fs::create_dir_all(device.join("net").join(interface)).unwrap();
        for (name, value) in [
            ("class", "0x020000"),
            ("vendor", vendor),
            ("device", "0x10d3"),
            ("modalias", "pci:v8086"),
            ("native", driver),
        ] {
            fs::write(device.join(name), format!("{value}\n")).unwrap();
        }
        fs::write(device.join("driver_override"), "(null)\n").unwrap();
        let drivers = self.sys("bus/pci/drivers").join(driver);
        fs::create_dir_all(&drivers).unwrap();
        symlink(&drivers, device.join("driver")).unwrap();
        let class = self.sys("class/net").join(interface);
        fs::create_dir(&class).unwrap();
        symlink(&device, class.join("device")).unwrap();
        if let Some(group) = group {
            let group = self.sys("kernel/iommu_groups").join(group);
            fs::create_dir_all(group.join("devices")).unwrap();
            fs::write(group.join("devices").join(address), "").unwrap();
            symlink(&group, device.join("iommu_group")).unwrap();
        }
    }

    /// What `ip ARGS` says.
    fn ip_says(&self, args: &str, says: &str) {
        fs::write(self.dir.path().join("ip").join(args), says).unwrap();
    }

    fn driver(&self, address: &str) -> String {
        let link = fs::read_link(self.sys("bus/pci/devices").join(address).join("driver")).unwrap();
        link.file_name().unwrap().to_string_lossy().into_owned()
    }

    fn run(&self, script: &str, args: &[&str]) -> Output {
        let bin = self.dir.path().join("bin");
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(script))
            .args(args)
            .env("PATH", path)
            .env("BIND_NIC_SYSFS", self.dir.path().join("sys"))
            .env("HUGEPAGES_SYSFS", self.dir.path().join("sys"))
            .output()
            .unwrap()
    }

    /// What `bind-nic ARGS` says when all went well.
    #[track_caller]
    fn bind_nic(&self, args: &[&str]) -> String {
        let out = self.run("bind-nic", args);
        let (said, complained) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(out.status.success(), "{args:?}: {said}{complained}");
        said.into_owned()
    }

    /// Asserts that `bind-nic ARGS` refuses, in such words, and changes nothing.
    #[track_caller]
    fn assert_refused(&self, args: &[&str], words: &[&str]) {
        let before = self.driver(NIC);
        let out = self.run("bind-nic", args);
        let complained = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{complained}");
        assert!(words.iter().all(|words| complained.contains(words)), "{complained}");
        assert_eq!(self.driver(NIC), before);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        fs::write(self.sys("bus/pci/drivers_probe"), "end\n").unwrap();
        let kernel = self.kernel.take().unwrap().join();
        assert!(kernel.is_ok() || thread::panicking());
    }
}

fn program(bin: &Path, name: &str, text: &str) {
    let path = bin.join(name);
    fs::write(&path, format!("#!/usr/bin/env bash\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Gives each device that is written to `drivers_probe` the driver that it is to have, or its own.
fn be_the_kernel(sys: &Path) {
    loop {
        for address in fs::read_to_string(sys.join("bus/pci/drivers_probe")).unwrap().lines() {
            if address == "end" {
                return;
            }
            let device = sys.join("bus/pci/devices").join(address);
            let read = |name| fs::read_to_string(device.join(name)).unwrap().trim().to_owned();
            let wanted = Some(read("driver_override")).filter(|driver| !driver.is_empty());
            let driver = sys.join("bus/pci/drivers").join(wanted.unwrap_or_else(|| read("native")));
            fs::remove_file(device.join("driver")).unwrap();
            if driver.exists() {
                symlink(driver, device.join("driver")).unwrap();
            }
        }
    }
}

fn machine() -> Machine {
    let machine = Machine::new();
    machine.add(NIC, "0x8086", "e1000e", "eth1", Some("7"));
    machine
}

#[test]
fn a_nic_goes_to_vfio_and_back_and_nothing_is_done_twice() {
    let machine = machine();
    assert_eq!(machine.bind_nic(&["03:00.0"]), format!("{NIC}: vfio-pci\n"));
    assert_eq!(machine.driver(NIC), "vfio-pci");
    assert_eq!(machine.bind_nic(&[NIC]), format!("{NIC}: vfio-pci has it already\n"));
    assert_eq!(machine.bind_nic(&["--kernel", NIC]), format!("{NIC}: e1000e\n"));
    assert_eq!(
        machine.bind_nic(&["--kernel", NIC]),
        format!("{NIC}: the kernel has it already, by e1000e\n")
    );
    // By the name of its interface.
    assert_eq!(machine.bind_nic(&["eth1"]), format!("{NIC}: vfio-pci\n"));
}

#[test]
fn a_list_says_what_can_be_done() {
    let machine = machine();
    machine.add("0000:04:00.0", "0x15b3", "mlx5_core", "eth2", Some("8"));
    machine.add("0000:05:00.0", "0x8086", "ice", "eth3", Some("9"));
    machine.ip_says("-o addr show dev eth3 scope global", "2: eth3 inet 192.0.2.7/24 scope global\n");
    let list = machine.bind_nic(&[]);
    let rows: Vec<&str> = list.lines().collect();
    assert_eq!(rows.len(), 4, "{list}");
    assert!(
        rows[1].starts_with(NIC) && rows[1].contains("e1000e") && rows[1].ends_with("8086:10d3"),
        "{list}"
    );
    assert!(rows[2].contains("stays with its kernel driver"), "{list}");
    assert!(rows[3].contains("in use, the address 192.0.2.7/24 is on eth3"), "{list}");
}

#[test]
fn what_this_machine_may_be_reached_by_is_not_taken() {
    let machine = machine();
    let refused =
        || machine.assert_refused(&["eth1"], &["this machine may be reached by it", "ip addr flush dev"]);
    machine.ip_says("-o addr show dev eth1 scope global", "2: eth1 inet 192.0.2.7/24 scope global\n");
    refused();
    machine.ip_says("-o addr show dev eth1 scope global", "");
    // A route without an address; and what is made of the interface.
    machine.ip_says("-6 route show dev eth1", "fe80::/64 proto kernel\ndefault via fe80::1\n");
    refused();
    machine.ip_says("-6 route show dev eth1", "fe80::/64 proto kernel\n");
    fs::create_dir_all(machine.sys("class/net/bond0")).unwrap();
    symlink(machine.sys("class/net/bond0"), machine.sys("class/net/eth1/upper_bond0")).unwrap();
    machine.ip_says("-o addr show dev bond0 scope global", "2: bond0 inet 192.0.2.7/24 scope global\n");
    refused();
    machine.ip_says("-o addr show dev bond0 scope global", "");
    assert_eq!(machine.bind_nic(&["eth1"]), format!("{NIC}: vfio-pci\n"));
}

#[test]
fn a_connectx_stays_where_it_is() {
    let machine = Machine::new();
    machine.add(NIC, "0x15b3", "mlx5_core", "eth1", Some("7"));
    machine.assert_refused(&[NIC], &["stays with its kernel driver", "Nothing is to be bound", "net_mlx5"]);
}

#[test]
fn without_an_iommu_it_is_said_what_to_do() {
    let machine = Machine::new();
    machine.add(NIC, "0x8086", "e1000e", "eth1", None);
    machine.assert_refused(&[NIC], &["behind no IOMMU", "intel_iommu=on", "--no-iommu", "uio_pci_generic"]);
    // Debian's kernel has no such mode, a kernel that has shows it as a parameter.
    machine.assert_refused(&["--no-iommu", NIC], &["CONFIG_VFIO_NOIOMMU", "uio_pci_generic"]);
    let unsafe_mode = machine.sys("module/vfio/parameters/enable_unsafe_noiommu_mode");
    fs::create_dir_all(unsafe_mode.parent().unwrap()).unwrap();
    fs::write(&unsafe_mode, "N\n").unwrap();
    machine.bind_nic(&["--no-iommu", NIC]);
    assert_eq!(fs::read_to_string(unsafe_mode).unwrap(), "Y\n");
    machine.bind_nic(&["--kernel", NIC]);
    fs::create_dir(machine.sys("bus/pci/drivers/uio_pci_generic")).unwrap();
    assert_eq!(machine.bind_nic(&["--driver", "uio_pci_generic", NIC]), format!("{NIC}: uio_pci_generic\n"));
}

#[test]
fn a_group_is_taken_as_a_whole_or_not_at_all() {
    let machine = machine();
    machine.add("0000:03:00.1", "0x8086", "e1000e", "eth2", Some("7"));
    machine.assert_refused(&[NIC], &["shares IOMMU group 7 with 0000:03:00.1", "whole groups"]);
}

#[test]
fn virtual_functions_are_not_pulled_out_from_under_their_users() {
    let machine = machine();
    fs::write(machine.sys("bus/pci/devices").join(NIC).join("sriov_numvfs"), "2\n").unwrap();
    machine.assert_refused(&[NIC], &["has virtual functions", "sriov_numvfs"]);
}

#[test]
fn a_dry_run_changes_nothing() {
    let machine = machine();
    let said = machine.bind_nic(&["--dry-run", NIC]);
    for step in ["driver_override", "driver/unbind", "drivers_probe"] {
        assert!(said.contains(step), "{said}");
    }
    assert_eq!(machine.driver(NIC), "e1000e");
    let kept = fs::read_to_string(machine.sys("bus/pci/devices").join(NIC).join("driver_override")).unwrap();
    assert_eq!(kept, "(null)\n");
}

#[test]
fn a_wrong_command_line_is_told_of() {
    let machine = machine();
    machine.assert_refused(&["03:00.7"], &["there is no device 0000:03:00.7"]);
    machine.assert_refused(&["eth9"], &["no interface of a PCI device"]);
    machine.assert_refused(&["--driver", "igb", NIC], &["unknown driver igb"]);
    machine.assert_refused(&["--what"], &["unknown argument --what", "--help"]);
    fs::write(machine.sys("bus/pci/devices").join(NIC).join("class"), "0x010000\n").unwrap();
    machine.assert_refused(&[NIC], &["is no network device"]);
    assert!(machine.bind_nic(&["--help"]).contains("Usage: scripts/bind-nic"));
}

#[test]
fn hugepages_are_reserved_where_they_are_wanted() {
    let machine = machine();
    let node = "devices/system/node/node0/hugepages/hugepages-2048kB";
    for dir in ["kernel/mm/hugepages/hugepages-2048kB", node] {
        fs::create_dir_all(machine.sys(dir)).unwrap();
        fs::write(machine.sys(dir).join("nr_hugepages"), "0\n").unwrap();
        fs::write(machine.sys(dir).join("free_hugepages"), "0\n").unwrap();
    }
    let run = |args: &[&str]| {
        let out = machine.run("hugepages", args);
        let text = [out.stdout, out.stderr].concat();
        (out.status.success(), String::from_utf8_lossy(&text).into_owned())
    };
    assert_eq!(run(&[]), (true, "node 0: 0 pages of 2048kB, 0 of them free\n".to_owned()));
    // 47 MiB are 24 pages.
    assert_eq!(
        run(&["--node", "0", "47"]),
        (true, "node 0: 24 pages of 2048kB, 0 of them free\n".to_owned())
    );
    assert!(run(&["47"]).0);
    let everywhere = machine.sys("kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
    assert_eq!(fs::read_to_string(everywhere).unwrap(), "24\n");
    for (args, words) in [(&["--node", "3", "47"][..], "no NUMA node 3"), (&["many"], "is no number of MiB")]
    {
        let (ok, said) = run(args);
        assert!(!ok && said.contains(words), "{said}");
    }
}
