//! `[uoa]`: what it comes to, and each mistake in it with its place, what is wrong and what to do.

use std::time::Duration;

use crate::config_common::{PORT, SERVICE, assert_errors, plan};
use pollcast::config::UoaPlan;

fn uoa(lines: &str) -> UoaPlan {
    plan(&format!("[uoa]\n{lines}\n{PORT}{SERVICE}")).uoa
}

/// The error of `line` as the second line of the file.
#[track_caller]
fn uoa_error(line: &str, expected: &str) {
    assert_errors(&format!("[uoa]\n{line}\n{PORT}{SERVICE}"), &[&format!("t.toml:2:{expected}")]);
}

// O06: nobody is trusted unless named. O09: as long as DPVS's module remembers, and bounded.
#[test]
fn nobody_is_trusted_unless_named() {
    for nothing in [plan(&format!("{PORT}{SERVICE}")).uoa, uoa(""), uoa("trusted = []")] {
        assert!(!nothing.is_on());
        assert_eq!((nothing.table_max, nothing.timeout), (65_536, Duration::from_secs(360)));
    }
}

// O06, O09.
#[test]
fn balancers_are_prefixes_or_addresses_of_both_versions() {
    let lines = "trusted = [\"10.0.0.0/8\", \"198.18.0.1\", \"2001:db8::/32\", \"fe80::1\", \"0.0.0.0/0\"]\n\
        table_max = 1\ntimeout_s = 86400";
    let UoaPlan { trusted4, trusted6, table_max, timeout } = uoa(lines);
    let v4: Vec<_> = trusted4.iter().map(ToString::to_string).collect();
    let v6: Vec<_> = trusted6.iter().map(ToString::to_string).collect();
    assert_eq!(
        (v4, v6),
        (
            ["10.0.0.0/8", "198.18.0.1/32", "0.0.0.0/0"].map(str::to_owned).to_vec(),
            ["2001:db8::/32", "fe80::1/128"].map(str::to_owned).to_vec(),
        )
    );
    assert_eq!((table_max, timeout), (1, Duration::from_secs(86_400)));
    let said = plan(&format!("[uoa]\n{lines}\n{PORT}{SERVICE}")).to_string();
    assert!(
        said.contains("as balancers say in 10.0.0.0/8, 198.18.0.1/32, 0.0.0.0/0, 2001:db8::/32, fe80::1/128"),
        "{said}"
    );
    assert!(!plan(&format!("{PORT}{SERVICE}")).to_string().contains("balancers"));
}

// O06.
#[test]
fn what_is_no_balancer() {
    uoa_error(
        "trusted = [\"10.0.0.1/8\"]",
        "12: uoa.trusted[0]: 10.0.0.1/8 has bits beyond its length: use \"10.0.0.0/8\", or \"10.0.0.1/32\" for one balancer",
    );
    uoa_error("trusted = [\"10.0.0.0/33\"]", "12: uoa.trusted[0]: \"33\" is no prefix length: use 0 to 32");
    uoa_error(
        "trusted = [\"2001:db8::/+4\"]",
        "12: uoa.trusted[0]: \"+4\" is no prefix length: use 0 to 128",
    );
    uoa_error(
        "trusted = [\"239.0.0.0/8\"]",
        "12: uoa.trusted[0]: 239.0.0.0/8 is multicast: no packet comes from there: name the addresses that the balancers send from",
    );
    uoa_error(
        "trusted = [\"::1\"]",
        "12: uoa.trusted[0]: ::1/128 is loopback: no packet comes from there: name the addresses that the balancers send from",
    );
    uoa_error(
        "trusted = [\"10.0.0.0/8\", \"10.0.0.0/8\"]",
        "26: uoa.trusted[1]: 10.0.0.0/8 is listed already: list each prefix once",
    );
    uoa_error(
        "trusted = \"10.0.0.0/8\"",
        "11: uoa.trusted: this is a string: write a list, each element a string, as in trusted = [...]",
    );
}

#[test]
fn what_is_no_table() {
    uoa_error("table_max = 0", "13: uoa.table_max: 0 is too small: use 1 to 1048576");
    uoa_error("table_max = 1048577", "13: uoa.table_max: 1048577 is too large: use 1 to 1048576");
    uoa_error("timeout_s = 0", "13: uoa.timeout_s: 0 is too small: use 1 to 86400");
    uoa_error("timeout = 5", "1: uoa.timeout: unknown key: did you mean \"timeout_s\"?");
}
