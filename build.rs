//! Passes on which DPDK was found, as `cfg(dpdk_ge_YY_MM)`. Linking needs nothing: `dpdk-sys` asks for its libraries
//! itself, and what depends on it links them.

use std::env;

/// The releases at which something that pollcast knows of changed.
const KNOWN: &[(u32, u32)] = &[(23, 11), (24, 11), (25, 11)];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for (year, month) in KNOWN {
        println!("cargo::rustc-check-cfg=cfg(dpdk_ge_{year}_{month:02})");
    }
    // Set by dpdk-sys; absent without the feature `dpdk`.
    let Ok(version) = env::var("DEP_DPDK_VERSION") else { return };
    let mut numbers = version.split('.').map_while(|number| number.parse().ok());
    let (Some(year), Some(month)) = (numbers.next(), numbers.next()) else { return };
    for known in KNOWN.iter().filter(|known| (year, month) >= **known) {
        println!("cargo::rustc-cfg=dpdk_ge_{}_{:02}", known.0, known.1);
    }
}
