//! Finds DPDK with pkg-config, compiles the shim with DPDK's own flags, and makes the bindings.

use std::env;
use std::path::PathBuf;
use std::process::{Command, exit};

/// The oldest release that will do: year and month.
const OLDEST: (u32, u32) = (22, 11);

/// The releases at which something that pollcast knows of changed: each gives `cfg(dpdk_ge_YY_MM)`.
const KNOWN: &[(u32, u32)] = &[(23, 11), (24, 11), (25, 11)];

/// What pollcast calls. Drivers and buses are no part of it: EAL loads them from DPDK's plug-in folder.
const LIBRARIES: &[&str] = &["rte_ethdev", "rte_mbuf", "rte_mempool", "rte_eal"];

const FUNCTIONS: &[&str] = &[
    "shim_.*",
    "rte_strerror",
    "rte_version",
    "rte_eal_cleanup",
    "rte_eal_get_runtime_dir",
    "rte_eal_has_hugepages",
    "rte_eal_remote_launch",
    "rte_eal_wait_lcore",
    "rte_eal_get_lcore_state",
    "rte_get_main_lcore",
    "rte_get_tsc_hz",
    "rte_socket_id",
    "rte_thread_register",
    "rte_thread_unregister",
    "rte_dev_name",
    "rte_dev_probe",
    "rte_pktmbuf_free_bulk",
    "rte_pktmbuf_pool_create_by_ops",
    "rte_mempool_avail_count",
    "rte_mempool_free",
    "rte_eth_allmulticast_(disable|enable|get)",
    "rte_eth_promiscuous_(disable|enable|get)",
    "rte_eth_dev_(adjust_nb_rx_tx_desc|close|configure|default_mac_addr_set|get_name_by_port)",
    "rte_eth_dev_(get_port_by_name|info_get|mac_addr_add|mac_addr_remove|rx_offload_name)",
    "rte_eth_dev_(set_mc_addr_list|set_mtu|socket_id|start|stop|tx_offload_name)",
    "rte_eth_dev_(rss_hash_conf_get|rss_reta_query|rss_reta_update)",
    "rte_eth_dev_(callback_register|callback_unregister|reset|vlan_filter)",
    "rte_eth_dev_rx_intr_(enable|disable|ctl_q_get_fd)",
    "rte_eth_(find_next|macaddr_get|rx_queue_setup|stats_get|tx_queue_setup)",
];

fn main() {
    for name in ["shim.h", "shim.c", "build.rs"] {
        println!("cargo::rerun-if-changed={name}");
    }
    for variable in ["PKG_CONFIG", "PKG_CONFIG_PATH", "LIBCLANG_PATH"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }

    let version = installed_version();
    pass_on_version(version);
    // The pkg-config crate keeps only what it knows of; `-include rte_config.h` and `-march` matter here.
    let flags = pkg_config(&["--cflags", "libdpdk"]);
    compile_shim(&flags);
    link();
    bind(&flags);
}

/// Ends the build with what is missing and how to get it.
fn give_up(what: &str) -> ! {
    println!("cargo::error={what}");
    println!(
        "cargo::error=pollcast needs DPDK {}.{:02} or newer with its headers, and libclang. On Debian 12: \
         apt-get install libdpdk-dev libclang-dev pkg-config build-essential. Without DPDK, build with \
         --no-default-features: everything but the real ports.",
        OLDEST.0, OLDEST.1
    );
    #[expect(
        clippy::disallowed_methods,
        reason = "a build script ends with a sentence, not with a panic's trace"
    )]
    exit(1);
}

/// What `pkg-config` says, split into words.
fn pkg_config(args: &[&str]) -> Vec<String> {
    let tool = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into());
    let output = match Command::new(&tool).args(args).output() {
        Ok(output) => output,
        Err(error) => give_up(&format!("cannot run {tool}: {error}")),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        give_up(&format!("{tool} does not find libdpdk: {}", said.lines().next().unwrap_or_default()));
    }
    String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect()
}

/// Year and month of the installed release, if it is new enough.
fn installed_version() -> (u32, u32) {
    let version = pkg_config(&["--modversion", "libdpdk"]).concat();
    let mut numbers = version.split(['.', '-', '~']).map(str::parse);
    let (Some(Ok(year)), Some(Ok(month))) = (numbers.next(), numbers.next()) else {
        give_up(&format!("libdpdk has the version '{version}', which is not understood"));
    };
    if (year, month) < OLDEST {
        give_up(&format!("libdpdk {version} is too old"));
    }
    (year, month)
}

/// As `DEP_DPDK_VERSION` for crates that depend on this one, and as `cfg` here.
fn pass_on_version(version: (u32, u32)) {
    println!("cargo::metadata=version={}.{:02}", version.0, version.1);
    for known in KNOWN {
        let cfg = format!("dpdk_ge_{}_{:02}", known.0, known.1);
        println!("cargo::rustc-check-cfg=cfg({cfg})");
        if version >= *known {
            println!("cargo::rustc-cfg={cfg}");
        }
    }
}

fn compile_shim(flags: &[String]) {
    let mut build = cc::Build::new();
    build.file("shim.c").opt_level(3).warnings(false);
    for flag in flags {
        build.flag(flag);
    }
    if let Err(error) = build.try_compile("pollcast_dpdk_shim") {
        give_up(&format!("the shim over DPDK's inline functions does not compile: {error}"));
    }
}

/// By `rustc-link-lib`, so that a crate outside this workspace links too.
fn link() {
    for flag in pkg_config(&["--libs-only-L", "libdpdk"]) {
        println!("cargo::rustc-link-search=native={}", flag.trim_start_matches("-L"));
    }
    for library in LIBRARIES {
        println!("cargo::rustc-link-lib=dylib={library}");
    }
}

fn bind(flags: &[String]) {
    let mut builder = bindgen::Builder::default()
        .header("shim.h")
        .clang_args(flags)
        .allowlist_type("rte_eth_(conf|dev_info|rxconf|txconf|stats)|rte_ether_addr")
        .allowlist_type("shim_.*")
        // Only ever behind pointers: their fields are reached by the shim's offsets.
        .opaque_type("rte_mbuf|rte_mempool|rte_device|rte_mbuf_.*")
        .prepend_enum_name(false)
        .layout_tests(false)
        .generate_comments(false)
        .derive_debug(false)
        .derive_default(false)
        .formatter(bindgen::Formatter::None);
    for function in FUNCTIONS {
        builder = builder.allowlist_function(function);
    }
    let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| builder.generate()));
    let bindings = match made {
        Ok(Ok(bindings)) => bindings,
        Ok(Err(error)) => give_up(&format!("bindgen cannot read DPDK's headers: {error}")),
        Err(_) => give_up("libclang cannot be loaded"),
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("bindings.rs");
    if let Err(error) = bindings.write_to_file(&out) {
        give_up(&format!("cannot write {}: {error}", out.display()));
    }
}
