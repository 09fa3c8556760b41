//! Answers as text, for people.
//!
//! Tables with one row a thing, or one block a port where there is more to say than fits a row. Programs ask for
//! [JSON](super::json): this text changes when it can be made clearer.

mod gmp;
mod workers;

use core::fmt::Display;
use core::net::IpAddr;
use std::collections::BTreeSet;

use self::workers::render_workers;
use super::table::Align::{Left, Right};
use super::table::Table;
use crate::engine::Counter;
use crate::engine::command::{
    AddressAnswer, Answer, DoneAnswer, DropAnswer, FilterAnswer, GroupAnswer, GroupChange, InterfaceAnswer,
    NeighborAnswer, PathAnswer, PortAnswer, PortStats, RouteAnswer, SocketAnswer, StatsAnswer,
    ThreadSocketAnswer,
};
use crate::io::{FilterState, Refused, RssState};

/// Which rows are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Rows {
    /// Counters that are 0 everywhere are left out.
    #[default]
    Counted,
    /// Every counter.
    All,
}

/// `answer` as lines of text, each with its end.
#[must_use]
pub fn render(answer: &Answer, rows: Rows) -> String {
    match answer {
        Answer::Stats(stats) => render_stats(stats, rows),
        Answer::Ports(ports) => blocks(ports, "no ports\n", port_block),
        Answer::Sockets(sockets) => render_sockets(sockets),
        Answer::Groups(groups) => render_groups(groups),
        Answer::Filter(filters) => blocks(filters, "no ports\n", filter_block),
        Answer::Neighbors(neighbors) => render_neighbors(neighbors),
        Answer::Paths(paths) => render_paths(paths),
        Answer::Routes(routes) => render_routes(routes),
        Answer::Addresses(addresses) => render_addresses(addresses),
        Answer::Drops(drops) => render_drops(drops, rows),
        Answer::Workers(workers) => render_workers(workers),
        Answer::Igmp(igmp) => blocks(igmp, "no ports\n", |igmp| gmp::block(igmp, igmp.strict_queries)),
        // MLD is always strict.
        Answer::Mld(mld) => blocks(mld, "no ports with IPv6\n", |mld| gmp::block(mld, false)),
        Answer::Done(done) => render_done(done),
        Answer::Error(sentence) => format!("{sentence}\n"),
    }
}

fn render_stats(stats: &StatsAnswer, rows: Rows) -> String {
    let StatsAnswer { uptime_s, ports, pool } = stats;
    let mut text = format!("up {}", duration(*uptime_s));
    if let Some(pool) = pool {
        text.push_str(&format!(", {} of {} mbufs free", pool.free, pool.size));
    }
    text.push_str("\n\n");

    // One column a port; the sum only where it is not the same again.
    let names = ports.iter().map(|port| &*port.port).chain((ports.len() > 1).then_some("sum"));
    let columns: Vec<_> = [("", Left)].into_iter().chain(names.map(|name| (name, Right))).collect();
    let mut table = Table::new(&columns);
    let mut counter = |name: &str, of: &dyn Fn(&PortStats) -> u64| {
        let counts: Vec<u64> = ports.iter().map(of).collect();
        let sum = counts.iter().fold(0, |sum: u64, n| sum.saturating_add(*n));
        // What a device loses is told even where it is nothing: that is what one looks for.
        let is_loss = matches!(name, "device imissed" | "device ierrors" | "device rx_nombuf");
        // And so is a queue by which nothing came.
        if rows == Rows::All || sum > 0 || is_loss || name.starts_with("rx queue") {
            let counts = counts.into_iter().chain((ports.len() > 1).then_some(sum));
            table.row([name.to_owned()].into_iter().chain(counts.map(|n| n.to_string())));
        }
    };
    let names: BTreeSet<&str> =
        ports.iter().flat_map(|port| port.engine.keys()).map(String::as_str).collect();
    // In the engine's order; what it does not know (a newer one answered) after that.
    let known = Counter::ALL.iter().map(|counter| counter.name()).filter(|name| names.contains(name));
    let unknown = names.iter().copied().filter(|name| Counter::ALL.iter().all(|known| known.name() != *name));
    for name in known.chain(unknown) {
        counter(name, &|port| port.engine.get(name).copied().unwrap_or(0));
    }
    counter("dropped", &|port| port.dropped);
    let queues = ports.iter().map(|port| port.rx_by_queue.len()).max().unwrap_or(0);
    for queue in (0..queues).filter(|_| queues > 1) {
        counter(&format!("rx queue {queue}"), &|port| port.rx_by_queue.get(queue).copied().unwrap_or(0));
    }
    counter("device ipackets", &|port| port.device.ipackets);
    counter("device opackets", &|port| port.device.opackets);
    counter("device ibytes", &|port| port.device.ibytes);
    counter("device obytes", &|port| port.device.obytes);
    counter("device imissed", &|port| port.device.imissed);
    counter("device ierrors", &|port| port.device.ierrors);
    counter("device oerrors", &|port| port.device.oerrors);
    counter("device rx_nombuf", &|port| port.device.rx_nombuf);
    text + &table.render()
}

/// Groups of an order of which each has its line; of more, the first ones.
const CHANGES_SHOWN: usize = 20;

/// The sentence; what became of each group; what left.
fn render_done(answer: &DoneAnswer) -> String {
    let DoneAnswer { done, changes, reports, filter } = answer;
    let mut text = format!("{done}\n");
    // What could not be done is never left out.
    let failed = changes.iter().filter(|change| change.error.is_some());
    for GroupChange { group, error, .. } in failed {
        text.push_str(&format!("  {group}: {}\n", error.as_deref().unwrap_or_default()));
    }
    let mut changed = changes.iter().filter(|change| change.changed);
    for GroupChange { group, from, to, interface, .. } in changed.by_ref().take(CHANGES_SHOWN) {
        let all = if interface == to { String::new() } else { format!("; the interface: {interface}") };
        text.push_str(&format!("  {group}: {from} -> {to}{all}\n"));
    }
    match changed.count() {
        0 => {}
        more => text.push_str(&format!("  and {more} more\n")),
    }
    if let Some(filter) = filter {
        text.push_str(&format!("  NIC filter: {filter}\n"));
    }
    if let Some(reports) = reports {
        text.push_str(&format!("  {} left\n", count(u64::from(*reports), "report", "reports")));
    }
    text
}

/// One block of lines for each of `items`, with an empty line between them.
pub(crate) fn blocks<T>(items: &[T], none: &str, block: impl Fn(&T) -> String) -> String {
    if items.is_empty() { none.to_owned() } else { items.iter().map(block).collect::<Vec<_>>().join("\n") }
}

/// A title, and indented lines of `key  value` under it; a line without a value is left out.
pub(crate) fn titled(
    title: String,
    lines: impl IntoIterator<Item = (&'static str, Option<String>)>,
) -> String {
    let mut text = title + "\n";
    for (key, value) in lines {
        if let Some(value) = value {
            text.push_str(format!("  {key:<10}  {value}").trim_end());
            text.push('\n');
        }
    }
    text
}

fn port_block(port: &PortAnswer) -> String {
    let PortAnswer { info, link_up, interfaces, cpus } = port;
    // The first workers have the queues, the others what those hand over.
    let (with_queue, steered) = cpus.split_at_checked(info.rx_queues.into()).unwrap_or((cpus, &[]));
    let on = |cpus: &[usize]| format!("on {} {}", if cpus.len() == 1 { "CPU" } else { "CPUs" }, list(cpus));
    let before = [
        ("driver", Some(info.driver.clone())),
        ("mac", Some(info.mac.to_string())),
        ("link", Some(if *link_up { "up" } else { "down" }.into())),
    ];
    titled(
        format!("{}  {}", info.name, info.device),
        before
            .into_iter()
            .chain(interfaces.iter().flat_map(interface_lines))
            .chain([
                ("mtu", Some(format!("{} bytes", info.mtu))),
                ("queues", Some(format!("{} rx, {} tx, {}", info.rx_queues, info.tx_queues, on(with_queue)))),
                (
                    "rps",
                    (!steered.is_empty()).then(|| format!("flows are handed to workers {}", on(steered))),
                ),
            ])
            .chain(info.rss.iter().flat_map(rss_lines))
            .chain([
                ("numa node", info.numa_node.map(|node| node.to_string())),
                ("offloads", Some(list(&info.offloads))),
            ]),
    )
}

/// What a device hashes, by which key, how its redirection table names the queues, and what it would not do.
fn rss_lines(rss: &RssState) -> impl Iterator<Item = (&'static str, Option<String>)> {
    let RssState { functions, key, symmetric, reta, problems } = rss;
    let key = key.as_ref().map(|key| format!("{key}{}", if *symmetric { " (symmetric)" } else { "" }));
    let reta = reta.as_ref().map(|reta| {
        let queues = reta.entries_by_queue.iter().enumerate();
        let queues: Vec<_> = queues.map(|(queue, entries)| format!("{entries} to queue {queue}")).collect();
        format!("{}: {}", count(reta.size.into(), "entry", "entries"), list(&queues))
    });
    let all = [("rss", Some(list(functions))), ("rss key", key), ("rss reta", reta)];
    all.into_iter().chain(problems.iter().map(|problem| ("rss lacks", Some(problem.clone()))))
}

/// `addresses` and `gateway` of the untagged interface; a line for each VLAN.
fn interface_lines(interface: &InterfaceAnswer) -> [(&'static str, Option<String>); 2] {
    let InterfaceAnswer { name, vlan, addresses, gateway4, gateway6 } = interface;
    let of_both = gateway4.map(IpAddr::from).into_iter().chain(gateway6.map(IpAddr::from));
    let gateways: Vec<IpAddr> = of_both.collect();
    let gateway = (!gateways.is_empty()).then(|| list(&gateways));
    match vlan {
        None => [("addresses", Some(list(addresses))), ("gateway", gateway)],
        Some(vlan) => {
            let gateway = gateway.map(|gateway| format!(", gateway {gateway}")).unwrap_or_default();
            [("vlan", Some(format!("{vlan} ({name}): addresses {}{gateway}", list(addresses)))), ("", None)]
        }
    }
}

fn render_sockets(sockets: &[SocketAnswer]) -> String {
    if sockets.is_empty() {
        return "no sockets\n".into();
    }
    let services: Vec<_> = sockets.iter().filter(|socket| socket.thread.is_none()).collect();
    let threads: Vec<_> =
        sockets.iter().filter_map(|s| s.thread.as_ref().map(|thread| (s, thread))).collect();
    match (services.is_empty(), threads.is_empty()) {
        (_, true) => render_service_sockets(&services),
        (true, false) => render_thread_sockets(&threads),
        (false, false) => {
            format!("{}\n{}", render_service_sockets(&services), render_thread_sockets(&threads))
        }
    }
}

/// The sockets of a program's threads.
fn render_thread_sockets(sockets: &[(&SocketAnswer, &ThreadSocketAnswer)]) -> String {
    let mut table = Table::new(&[
        ("socket", Right),
        ("port", Left),
        ("local", Left),
        ("peer", Left),
        ("options", Left),
        ("rx packets", Right),
        ("tx packets", Right),
        ("rx queue", Right),
        ("rcvbuf", Right),
        ("tx queue", Right),
        ("drops", Right),
    ]);
    for (SocketAnswer { local, port, rx, tx, .. }, thread) in sockets {
        let ThreadSocketAnswer { id, peer, options, rx_queue_bytes, rcvbuf, tx_queue_bytes, drops } = thread;
        let peer = peer.clone().unwrap_or_else(|| "-".to_owned());
        let numbers = [rx, tx, rx_queue_bytes, rcvbuf, tx_queue_bytes, drops].map(ToString::to_string);
        let words = [id.to_string(), port.clone(), local.clone(), peer, list(options)];
        table.row(words.into_iter().chain(numbers));
    }
    table.render()
}

fn render_service_sockets(sockets: &[&SocketAnswer]) -> String {
    let mut table = Table::new(&[
        ("service", Left),
        ("port", Left),
        ("local", Left),
        ("cpus", Left),
        ("multicast_all", Left),
        ("rx packets", Right),
        ("tx packets", Right),
    ]);
    for SocketAnswer { service, local, port, cpus, multicast_all, rx, tx, .. } in sockets {
        let cpus = list(cpus);
        let all = if *multicast_all { "yes" } else { "no" }.to_owned();
        let counts = [rx, tx].map(ToString::to_string);
        table.row([service.clone(), port.clone(), local.clone(), cpus, all].into_iter().chain(counts));
    }
    table.render()
}

fn render_groups(groups: &[GroupAnswer]) -> String {
    if groups.is_empty() {
        return "no groups are joined\n".into();
    }
    let columns = [
        ("port", Left),
        ("group", Left),
        ("mac", Left),
        ("mode", Left),
        ("sources", Left),
        ("services", Left),
    ];
    let mut table = Table::new(&columns);
    for GroupAnswer { port, group, mac, filter_mode, sources, services } in groups {
        table.row([
            port.clone(),
            group.to_string(),
            mac.to_string(),
            filter_mode.clone(),
            list(sources),
            list(services),
        ]);
    }
    table.render()
}

fn filter_block(filter: &FilterAnswer) -> String {
    let FilterAnswer { port, driver, state, aliases, applied_ago_s, retry_in_s, .. } = filter;
    let unwanted = unwanted(filter);
    let aliases = match *aliases {
        0 => "none passed".into(),
        n => format!("{} passed: groups not joined there, with the MAC of one that is joined", frames(n)),
    };
    let mut lines = filter_lines(state);
    let applied = applied_ago_s.map(|s| {
        let FilterState { applied, calls, .. } = state;
        let times = count(*applied, "time", "times");
        format!(
            "{} ago; {times} in all, {}",
            duration(s),
            count(*calls, "call to the driver", "calls to the driver")
        )
    });
    lines.extend([
        ("retry", retry_in_s.map(|s| format!("in {}", duration(s)))),
        ("applied", applied),
        ("not in set", Some(unwanted)),
        ("aliases", Some(aliases)),
    ]);
    lines.extend(state.macs.iter().map(|mac| ("passes", Some(mac.to_string()))));
    titled(format!("{port}  {driver}"), lines)
}

/// What the device let through for nothing, and what that says of it.
fn unwanted(filter: &FilterAnswer) -> String {
    let FilterAnswer { state, not_in_set, not_in_set_here, .. } = filter;
    let filters = !(state.all_multicast || state.promiscuous) && state.rung.filters();
    let verdict = if state.hashed {
        "the device keeps hashes of the set"
    } else {
        "accepted by the driver, not effective"
    };
    match (*not_in_set, *not_in_set_here, filters) {
        (0, ..) => "none passed".into(),
        (all, _, false) => format!("{} passed", frames(all)),
        (all, 0, true) => format!("{} passed, none on this rung", frames(all)),
        (all, here, true) if all == here => format!("{} passed: {verdict}", frames(all)),
        (all, here, true) => format!("{} passed, {here} on this rung: {verdict}", frames(all)),
    }
}

/// How a filter is done and why, as lines of a block.
pub(crate) fn filter_lines(state: &FilterState) -> Vec<(&'static str, Option<String>)> {
    let switch = |on: bool| if on { "on" } else { "off" };
    let (all_multicast, promiscuous) = (switch(state.all_multicast), switch(state.promiscuous));
    let entries = match state.capacity {
        Some(capacity) => format!("{} of {capacity}", state.entries),
        None => state.entries.to_string(),
    };
    let head = [
        ("rung", Some(state.rung.to_string())),
        ("policy", Some(state.policy.name().to_owned())),
        ("entries", state.rung.filters().then_some(entries)),
        ("read back", Some(format!("all-multicast {all_multicast}, promiscuous {promiscuous}"))),
    ];
    let refused =
        state.refused.iter().map(|Refused { rung, why }| ("refused", Some(format!("{rung}: {why}"))));
    head.into_iter().chain(refused).chain([("not undone", state.not_undone.clone())]).collect()
}

fn render_neighbors(neighbors: &[NeighborAnswer]) -> String {
    if neighbors.is_empty() {
        return "no neighbors are known\n".into();
    }
    let mut table =
        Table::new(&[("port", Left), ("address", Left), ("mac", Left), ("state", Left), ("age", Left)]);
    for NeighborAnswer { port, addr, mac, state, age_s, is_router } in neighbors {
        let mac = mac.map_or_else(|| "-".into(), |mac| mac.to_string());
        let state = if *is_router { format!("{state}, router") } else { state.clone() };
        table.row([port.clone(), addr.to_string(), mac, state, duration(*age_s)]);
    }
    table.render()
}

fn render_routes(routes: &[RouteAnswer]) -> String {
    if routes.is_empty() {
        return "no routes\n".into();
    }
    // Nothing expires where no router advertises anything.
    let expires = routes.iter().any(|route| route.expires_s.is_some());
    let columns = [("port", Left), ("kind", Left), ("to", Left), ("via", Left), ("source", Left)];
    let columns: Vec<_> = columns.into_iter().chain(expires.then_some(("expires in", Left))).collect();
    let mut table = Table::new(&columns);
    let written = |addr: &Option<IpAddr>| addr.map_or_else(|| "-".into(), |a| a.to_string());
    for RouteAnswer { port, kind, to, via, source, expires_s, preference } in routes {
        let kind = match preference.as_deref() {
            Some(preference @ ("low" | "high")) => format!("{kind}, {preference}"),
            _ => kind.clone(),
        };
        let left = expires.then(|| seconds_left(*expires_s));
        table.row([port.clone(), kind, to.clone(), written(via), written(source)].into_iter().chain(left));
    }
    table.render()
}

/// `5 min 0 s`, or `never`.
fn seconds_left(seconds: Option<u64>) -> String {
    seconds.map_or_else(|| "never".into(), duration)
}

fn render_addresses(addresses: &[AddressAnswer]) -> String {
    if addresses.is_empty() {
        return "no addresses\n".into();
    }
    let mut table = Table::new(&[
        ("port", Left),
        ("address", Left),
        ("origin", Left),
        ("state", Left),
        ("preferred for", Left),
        ("valid for", Left),
    ]);
    let span = |seconds: &Option<u64>| seconds.map_or_else(|| "ever".into(), duration);
    for AddressAnswer { port, addr, origin, state, preferred_s, valid_s } in addresses {
        let (preferred, valid) = (span(preferred_s), span(valid_s));
        table.row([port.clone(), addr.clone(), origin.clone(), state.clone(), preferred, valid]);
    }
    table.render()
}

fn render_paths(paths: &[PathAnswer]) -> String {
    if paths.is_empty() {
        return "no path is known to carry less than its link\n".into();
    }
    let mut table = Table::new(&[
        ("port", Left),
        ("address", Left),
        ("mtu", Right),
        ("with df", Right),
        ("reported", Left),
    ]);
    for PathAnswer { port, addr, mtu, df_max, age_s } in paths {
        let reported = format!("{} ago", duration(*age_s));
        // IPv6 has no such flag: nothing of it is fragmented on its way.
        let with_df = if addr.is_ipv4() { df_max.to_string() } else { "-".to_owned() };
        table.row([port.clone(), addr.to_string(), mtu.to_string(), with_df, reported]);
    }
    table.render()
}

fn render_drops(drops: &[DropAnswer], rows: Rows) -> String {
    let shown = drops.iter().filter(|drop| rows == Rows::All || drop.packets > 0);
    let mut table = Table::new(&[("packets", Right), ("reason", Left), ("snmp", Left), ("meaning", Left)]);
    let mut any = false;
    for DropAnswer { reason, packets, snmp, meaning } in shown {
        any = true;
        let snmp = snmp.as_deref().unwrap_or("-");
        table.row([packets.to_string(), reason.clone(), snmp.to_owned(), meaning.clone()]);
    }
    if any { table.render() } else { "nothing was dropped\n".into() }
}

/// `a, b, c`; `-` for none.
pub(crate) fn list<T: Display>(items: &[T]) -> String {
    if items.is_empty() {
        return "-".into();
    }
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

fn frames(n: u64) -> String {
    count(n, "frame", "frames")
}

/// `1 frame`, `2 frames`.
pub(crate) fn count(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// The two largest units that say it: `7 s`, `3 min 20 s`, `2 h 5 min`, `12 d 1 h`.
fn duration(s: u64) -> String {
    let (min, h, d) = (s / 60, s / 3600, s / 86400);
    match (d, h, min) {
        (0, 0, 0) => format!("{s} s"),
        (0, 0, _) => format!("{min} min {} s", s % 60),
        (0, ..) => format!("{h} h {} min", min % 60),
        _ => format!("{d} d {} h", h % 24),
    }
}

#[cfg(test)]
#[path = "text/tests.rs"]
mod tests;
