//! What a build says on a machine without DPDK.
#![cfg(feature = "dpdk")]

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

/// The build script of `dpdk-sys`, as cargo has built it beside this program.
fn build_script() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let profile = exe.parent().and_then(|deps| deps.parent()).unwrap();
    let built = std::fs::read_dir(profile.join("build")).unwrap().flatten();
    let scripts = built.filter(|dir| dir.file_name().to_string_lossy().starts_with("dpdk-sys-"));
    let mut scripts = scripts.map(|dir| dir.path().join("build-script-build")).filter(|path| path.exists());
    scripts.next().expect("cargo has built dpdk-sys")
}

/// What it says with `pkg_config` in the place of pkg-config.
fn said_with(pkg_config: &str) -> String {
    let out = tempfile::tempdir().unwrap();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/dpdk-sys");
    let output = Command::new(build_script())
        .current_dir(source)
        .env("OUT_DIR", out.path())
        .env("PKG_CONFIG", pkg_config)
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_build_without_libdpdk_says_what_to_install() {
    let said = said_with("/nonexistent/pkg-config");
    assert!(said.contains("cargo::error=cannot run /nonexistent/pkg-config"), "{said}");
    assert!(said.contains("apt-get install libdpdk-dev libclang-dev"), "{said}");
    let said = said_with("false");
    assert!(said.contains("does not find libdpdk"), "{said}");
}

#[test]
fn a_build_with_an_old_libdpdk_says_which_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("pkg-config");
    std::fs::write(&old, "#!/bin/sh\necho 21.11.3\n").unwrap();
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o755)).unwrap();
    let said = said_with(old.to_str().unwrap());
    assert!(said.contains("libdpdk 21.11.3 is too old"), "{said}");
    assert!(said.contains("pollcast needs DPDK 22.11 or newer"), "{said}");
}
