//! How group management stands, as a block of lines a port.

use super::{count, duration, titled};
use crate::engine::command::{GmpAnswer, QuerierAnswer};
use crate::io::Robustness;

/// `strict`: whether it is to be said which queries are heard.
pub(super) fn block<V: Default + PartialEq>(gmp: &GmpAnswer<V>, strict: bool) -> String {
    let strict = strict.then(|| "only those with Router Alert, and to all hosts".to_owned());
    titled(
        gmp.port.clone(),
        [
            ("version", Some(version(gmp))),
            ("querier", Some(querier(gmp.querier.as_ref()))),
            ("queries", strict),
            ("robustness", Some(robustness(gmp))),
            ("interval", Some(format!("{} between queries", duration(gmp.query_interval_s)))),
            ("groups", Some(groups(gmp))),
            ("pending", Some(pending(gmp))),
        ],
    )
}

fn version<V: Default + PartialEq>(gmp: &GmpAnswer<V>) -> String {
    let heard = |version: u8, left: Option<u64>| {
        left.map(|left| format!("one of version {version} counts as there for {}", duration(left)))
    };
    let older: Vec<_> =
        [heard(1, gmp.v1_querier_s), heard(2, gmp.v2_querier_s)].into_iter().flatten().collect();
    let is_auto = gmp.configured_version == V::default();
    let how = match (is_auto, older.is_empty()) {
        (true, true) => "auto: no older querier is there".to_owned(),
        (true, false) => format!("auto: of the queriers, {}", older.join(", ")),
        (false, true) => "pinned".to_owned(),
        (false, false) => format!("pinned, though of the queriers, {}", older.join(", ")),
    };
    format!("{} ({how})", gmp.version)
}

fn querier(querier: Option<&QuerierAnswer>) -> String {
    querier.map_or_else(
        || "none was heard".to_owned(),
        |QuerierAnswer { addr, version, age_s }| {
            format!("{addr}, version {version}, asked {} ago", duration(*age_s))
        },
    )
}

fn robustness<V>(gmp: &GmpAnswer<V>) -> String {
    let how = match gmp.configured_robustness {
        Robustness::Auto => "auto",
        Robustness::Pinned(_) => "pinned",
    };
    format!("{} ({how})", gmp.robustness)
}

fn groups<V>(gmp: &GmpAnswer<V>) -> String {
    match gmp.silent_groups {
        0 => gmp.groups.to_string(),
        silent => {
            format!("{}, of which {silent} not told in version {}: source-specific", gmp.groups, gmp.version)
        }
    }
}

/// `next in 0.4 s: an answer to a general query, 2 to group queries, 1 change to be told`.
fn pending<V>(gmp: &GmpAnswer<V>) -> String {
    let Some(next) = gmp.next_ms else { return "nothing".to_owned() };
    let general = gmp.general_answer_ms.map(|at| format!("answer to a general query in {}", seconds(at)));
    let some = |n: usize, one, many| (n > 0).then(|| count(n as u64, one, many));
    let what = [
        general,
        some(gmp.group_answers, "answer to a group query", "answers to group queries"),
        some(gmp.changes, "group with a change to be told", "groups with changes to be told"),
    ];
    let what: Vec<_> = what.into_iter().flatten().collect();
    let colon = if what.is_empty() { "" } else { ": " };
    format!("next in {}{colon}{}", seconds(next), what.join(", "))
}

/// Tenths of seconds below ten of them.
fn seconds(ms: u64) -> String {
    if ms < 10_000 { format!("{}.{} s", ms / 1000, ms % 1000 / 100) } else { duration(ms / 1000) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Rows, render};

    fn answer(changes: Value) -> String {
        let mut body = json!({
            "port": "p0", "configured_version": "auto", "version": 3, "v1_querier_s": null, "v2_querier_s": null,
            "querier": null, "configured_robustness": "auto", "robustness": 2, "query_interval_s": 125,
            "strict_queries": false, "groups": 3, "silent_groups": 0, "next_ms": null, "general_answer_ms": null,
            "group_answers": 0, "changes": 0,
        });
        for (key, value) in changes.as_object().unwrap() {
            assert!(body.get(key).is_some(), "{key}");
            body[key] = value.clone();
        }
        let answer = serde_json::from_value(json!({"answer": "igmp", "body": [body]})).unwrap();
        render(&answer, Rows::Counted)
    }

    #[test]
    fn mld_is_shown_alike() {
        let body = json!({
            "port": "p0", "configured_version": "auto", "version": 1, "v1_querier_s": 200, "v2_querier_s": null,
            "querier": {"addr": "fe80::1", "version": 1, "age_s": 3}, "configured_robustness": "auto", "robustness": 2,
            "query_interval_s": 125, "strict_queries": true, "groups": 3, "silent_groups": 1, "next_ms": null,
            "general_answer_ms": null, "group_answers": 0, "changes": 0,
        });
        let answer = serde_json::from_value(json!({"answer": "mld", "body": [body]})).unwrap();
        let expected = "\
p0
  version     1 (auto: of the queriers, one of version 1 counts as there for 3 min 20 s)
  querier     fe80::1, version 1, asked 3 s ago
  robustness  2 (auto)
  interval    2 min 5 s between queries
  groups      3, of which 1 not told in version 1: source-specific
  pending     nothing
";
        assert_eq!(render(&answer, Rows::Counted), expected);
    }

    #[test]
    fn a_quiet_link() {
        let expected = "\
p0
  version     3 (auto: no older querier is there)
  querier     none was heard
  robustness  2 (auto)
  interval    2 min 5 s between queries
  groups      3
  pending     nothing
";
        assert_eq!(answer(json!({})), expected);
    }

    #[test]
    fn among_older_queriers_in_the_middle_of_an_answer() {
        let expected = "\
p0
  version     1 (auto: of the queriers, one of version 1 counts as there for 59 s, one of version 2 counts as there for 5 min 12 s)
  querier     198.18.0.1, version 1, asked 3 s ago
  queries     only those with Router Alert, and to all hosts
  robustness  7 (pinned)
  interval    10 s between queries
  groups      3, of which 1 not told in version 1: source-specific
  pending     next in 0.4 s: answer to a general query in 9.9 s, 1 answer to a group query, 2 groups with changes to be told
";
        let text = answer(json!({
            "version": 1, "v1_querier_s": 59, "v2_querier_s": 312,
            "querier": {"addr": "198.18.0.1", "version": 1, "age_s": 3},
            "configured_robustness": "7", "robustness": 7, "query_interval_s": 10, "strict_queries": true,
            "silent_groups": 1, "next_ms": 432, "general_answer_ms": 9999, "group_answers": 1, "changes": 2,
        }));
        assert_eq!(text, expected);
    }

    #[test]
    fn a_pinned_version_says_what_it_passes_over() {
        let text = answer(json!({"configured_version": "3", "v2_querier_s": 7, "next_ms": 12_000}));
        assert!(
            text.contains("3 (pinned, though of the queriers, one of version 2 counts as there for 7 s)"),
            "{text}"
        );
        assert!(text.contains("pending     next in 12 s\n"), "{text}");
        let text = answer(json!({"configured_version": "2", "version": 2}));
        assert!(text.contains("  version     2 (pinned)\n"), "{text}");
    }
}
