//! Answers as JSON, for programs.
//!
//! What is printed is the body of the answer alone: an object for `stats` and for orders, an array of objects for the
//! rest. The keys are the field names of the types in [`command`](crate::engine::command); they are stable: keys may
//! be added, none is renamed or removed. A key whose value does not apply is `null` or absent.

use crate::engine::command::Answer;

/// The body of `answer`, indented, without a final end of line.
///
/// # Errors
///
/// None that these types can cause.
pub fn body(answer: &Answer) -> serde_json::Result<String> {
    match answer {
        Answer::Stats(body) => serde_json::to_string_pretty(body),
        Answer::Ports(body) => serde_json::to_string_pretty(body),
        Answer::Sockets(body) => serde_json::to_string_pretty(body),
        Answer::Groups(body) => serde_json::to_string_pretty(body),
        Answer::Filter(body) => serde_json::to_string_pretty(body),
        Answer::Neighbors(body) => serde_json::to_string_pretty(body),
        Answer::Paths(body) => serde_json::to_string_pretty(body),
        Answer::Routes(body) => serde_json::to_string_pretty(body),
        Answer::Addresses(body) => serde_json::to_string_pretty(body),
        Answer::Drops(body) => serde_json::to_string_pretty(body),
        Answer::Workers(body) => serde_json::to_string_pretty(body),
        Answer::Igmp(body) => serde_json::to_string_pretty(body),
        Answer::Mld(body) => serde_json::to_string_pretty(body),
        Answer::Done(body) => serde_json::to_string_pretty(body),
        Answer::Error(body) => serde_json::to_string_pretty(body),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_str, json};

    use super::*;

    fn device() -> Value {
        json!({"ipackets": 1, "opackets": 2, "ibytes": 3, "obytes": 4, "imissed": 5, "ierrors": 6, "oerrors": 7,
               "rx_nombuf": 8})
    }

    /// Every answer with every key, as programs have learnt them: never edit a line of this, only add.
    fn learnt() -> Vec<(&'static str, Value)> {
        vec![
            (
                "stats",
                json!({"uptime_s": 7, "pool": {"free": 1, "size": 2}, "ports": [
                    {"port": "p0", "device": device(), "engine": {"rx": 1}, "dropped": 3, "rx_by_queue": [1, 0]}]}),
            ),
            (
                "ports",
                json!([{"name": "p0", "device": "net_tap0,iface=pc0", "driver": "net_tap", "mac": "02:00:00:00:00:02",
                    "numa_node": null, "mtu": 1500, "rx_queues": 1, "tx_queues": 1, "offloads": ["rx_udp_cksum"],
                    "link_up": true, "cpus": [1], "interfaces": [
                    {"name": "p0", "addresses": ["198.18.0.2/24"], "gateway4": "198.18.0.1"}]}]),
            ),
            (
                "sockets",
                json!([{"service": "echo", "local": "0.0.0.0:7", "port": "p0", "cpus": [1, 2], "multicast_all": true, "rx": 1, "tx": 2}]),
            ),
            (
                "groups",
                json!([{"port": "p0", "group": "239.1.2.3", "mac": "01:00:5e:01:02:03", "filter_mode": "exclude",
                    "sources": ["198.18.0.1"], "services": ["echo"]}]),
            ),
            (
                "filter",
                json!([{"port": "p0", "driver": "net_tap", "rung": "all_multicast",
                    "refused": [{"rung": "addr_list", "why": "full"}, {"rung": "mac_table", "why": "none"}],
                    "macs": ["01:00:5e:00:00:01"],
                    "capacity": 64, "all_multicast": true, "promiscuous": false, "not_in_set": 1, "not_in_set_here": 1,
                    "hashed": false, "aliases": 2,
                    "entries": 3, "policy": "auto", "may_pass": true, "not_undone": "busy", "applied": 4, "calls": 5,
                    "applied_ago_s": 6, "retry_in_s": 7}]),
            ),
            (
                "neighbors",
                json!([{"port": "p0", "addr": "198.18.0.1", "mac": null, "state": "incomplete", "age_s": 0}]),
            ),
            (
                "routes",
                json!([{"port": "p0", "kind": "default", "to": "0.0.0.0/0", "via": "198.18.0.1",
                    "source": "198.18.0.2"}]),
            ),
            (
                "routes",
                json!([{"port": "p0", "kind": "router", "to": "::/0", "via": "fe80::1", "source": "2001:db8::2",
                    "expires_s": 1790, "preference": "medium"}]),
            ),
            (
                "addresses",
                json!([{"port": "p0", "addr": "2001:db8::2/64", "origin": "auto", "state": "deprecated", "preferred_s": 0,
                    "valid_s": null}]),
            ),
            (
                "drops",
                json!([{"reason": "udp_checksum", "packets": 1, "snmp": "UdpInCsumErrors", "meaning": "..."},
                    {"reason": "no_buffer", "packets": 0, "meaning": "..."}]),
            ),
            (
                "igmp",
                json!([{"port": "p0", "configured_version": "auto", "version": 2, "v1_querier_s": null,
                    "v2_querier_s": 312, "querier": {"addr": "198.18.0.1", "version": 2, "age_s": 38},
                    "configured_robustness": "3", "robustness": 3, "query_interval_s": 125, "strict_queries": false,
                    "groups": 4, "silent_groups": 1, "next_ms": 400, "general_answer_ms": 500, "group_answers": 1,
                    "changes": 2}]),
            ),
            (
                "mld",
                json!([{"port": "p0", "configured_version": "auto", "version": 1, "v1_querier_s": 200,
                    "v2_querier_s": null, "querier": {"addr": "fe80::1", "version": 1, "age_s": 38},
                    "configured_robustness": "auto", "robustness": 2, "query_interval_s": 125, "strict_queries": true,
                    "groups": 4, "silent_groups": 1, "next_ms": 400, "general_answer_ms": 500, "group_answers": 1,
                    "changes": 2}]),
            ),
            ("done", json!({"done": "joined 239.1.2.3 on p0 for echo"})),
            (
                "done",
                json!({"done": "joined 1 of 2 groups on p0 for echo", "reports": 1, "filter": "addr_list, 2 group addresses",
                    "changes": [{"group": "239.1.2.3", "changed": true, "from": "INCLUDE {}", "to": "EXCLUDE {}",
                        "interface": "EXCLUDE {}"},
                    {"group": "239.1.2.4", "changed": false, "from": "INCLUDE {}", "to": "INCLUDE {}",
                        "interface": "INCLUDE {}", "error": "no room"}]}),
            ),
        ]
    }

    #[test]
    fn the_keys_that_programs_have_learnt_stay() {
        for (kind, body_json) in learnt() {
            let answer: Answer = serde_json::from_value(json!({"answer": kind, "body": body_json})).unwrap();
            assert_eq!(from_str::<Value>(&body(&answer).unwrap()).unwrap(), body_json, "{kind}");
        }
    }
}
