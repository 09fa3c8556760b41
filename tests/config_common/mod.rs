//! What the tests of configurations share.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::path::Path;

use pollcast::config::{Config, ConfigErrors, Kind, Kinds, Machine, OptionError, Plan};
use pollcast::service::{EchoOptions, RelayOptions};

fn kinds() -> Kinds {
    Kinds::new()
        .with(Kind::of::<EchoOptions>("echo", EchoOptions::KEYS))
        .with(Kind::of::<RelayOptions>("relay", RelayOptions::KEYS))
        .with(Kind::of::<NeedyOptions>("needy", &["wanted", "times"]))
        .with(Kind::new("picky", &["colour"], |options| {
            let complaint = |key: &String| OptionError {
                key: Some(key.clone()),
                problem: "not to my taste".to_owned(),
                remedy: "use another".to_owned(),
            };
            options.keys().map(complaint).collect()
        }))
}

/// The options of a kind with one that must be there.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only what serde says of them matters")]
struct NeedyOptions {
    wanted: u8,
    #[serde(default)]
    times: u8,
}

pub fn check(text: &str) -> Result<Plan, ConfigErrors> {
    Config::parse(text, Path::new("t.toml"))?.check(&Machine::new(0..4), &kinds())
}

/// The plan of `text`, which is right.
#[track_caller]
pub fn plan(text: &str) -> Plan {
    check(text).unwrap_or_else(|errors| panic!("{errors}\nin\n{text}"))
}

/// The lines that are printed for `text`.
pub fn errors(text: &str) -> Vec<String> {
    check(text)
        .err()
        .map(|errors| errors.to_string().lines().map(str::to_owned).collect())
        .unwrap_or_default()
}

/// Asserts that `text` has the errors `expected` and no other.
#[track_caller]
pub fn assert_errors(text: &str, expected: &[&str]) {
    assert_eq!(errors(text), expected, "in\n{text}");
}

pub const PORT: &str = "[[port]]\ndevice = \"net_tap0,iface=pc0\"\naddresses = [\"198.18.0.2/24\"]\n";
pub const SERVICE: &str = "[[service]]\nkind = \"echo\"\nlisten = [\"0.0.0.0:7\"]\n";

/// The error of `line` as the seventh line of the file, in a `[[service]]` that is otherwise right.
#[track_caller]
pub fn service_error(line: &str, expected: &str) {
    assert_errors(&format!("{PORT}{SERVICE}{line}"), &[&format!("t.toml:{expected}")]);
}
