//! MLD queries, right ones and wrong ones.

use std::net::Ipv6Addr;
use std::time::Duration;

use ::pollcast::sim::frames::{Extension, HeaderOption, IcmpFrame6, MldQuery, mld_frame};

use super::super::six::{ALL_NODES, GROUP6, HOST6, HOST6_LOCAL, Host6, SOURCE_GROUP6, SOURCE6};
use super::{Stimulus, addr, destination, hop_by_hop, mac, one, some};

/// The router that asks.
const ROUTER: Host6 = Host6::local(0x99);

/// As soon as may be: the answers are waited for.
const SOON: Duration = Duration::from_millis(100);

fn general() -> MldQuery {
    MldQuery { max_response: SOON, ..MldQuery::general(ROUTER.ip) }
}

fn specific(group: Ipv6Addr, sources: &[Ipv6Addr]) -> MldQuery {
    MldQuery { max_response: SOON, ..MldQuery::specific(ROUTER.ip, group, sources) }
}

fn asked(name: &str, query: &MldQuery) -> Stimulus {
    changed(name, query, &|_| {})
}

/// The query, after `change`, from the router's Ethernet address.
fn changed(name: &str, query: &MldQuery, change: &dyn Fn(&mut IcmpFrame6)) -> Stimulus {
    let mut icmp = query.icmp();
    icmp.source_mac = mac(ROUTER.mac);
    if !query.destination.is_multicast() {
        icmp.destination_mac = mac(HOST6.mac);
    }
    change(&mut icmp);
    one(name, icmp.frame())
}

/// Queries of version 2, and such as are none.
pub fn queries() -> Vec<Stimulus> {
    let other = addr("2001:db8::77");
    let to = |destination, query| MldQuery { destination, ..query };
    let mut all = vec![
        asked("L10 a general query", &general()),
        asked("L10 a general query to us alone", &to(HOST6_LOCAL.ip, general())),
        asked("L10 a general query to us alone, at a global address", &to(HOST6.ip, general())),
        asked("L10 a general query to a group", &to(GROUP6, general())),
        asked("L10 a query for a group", &specific(GROUP6, &[])),
        asked("L10 a query for a group, to all nodes", &to(ALL_NODES, specific(GROUP6, &[]))),
        asked("L10 a query for a group of one source", &specific(SOURCE_GROUP6, &[])),
        asked("L10 a query for a group that nobody joined", &specific(addr("ff05::7"), &[])),
        asked("L05 a query for our solicited node", &specific(addr("ff02::1:ff00:2"), &[])),
        asked("L04 a query for all nodes", &specific(ALL_NODES, &[])),
        asked(
            "L04 a query for a group that stays in its host",
            &to(ALL_NODES, specific(addr("ff01::1"), &[])),
        ),
        asked("L10 a query for the source of a group", &specific(SOURCE_GROUP6, &[SOURCE6.ip])),
        asked("L10 a query for another source of a group", &specific(SOURCE_GROUP6, &[other])),
        asked("L10 a query for two sources of a group", &specific(SOURCE_GROUP6, &[other, SOURCE6.ip])),
        asked("L10 a query for a source of a group of any source", &specific(GROUP6, &[other])),
        asked("L14 a general query for a source", &MldQuery { sources: vec![other], ..general() }),
        asked("L10 a query for a host", &to(ALL_NODES, specific(HOST6.ip, &[]))),
        asked("L10 a general query that routers shall not follow", &MldQuery { suppress: true, ..general() }),
        asked("L10 a general query of robustness 0", &MldQuery { robustness: 0, ..general() }),
        asked(
            "L07 a general query to be answered at once",
            &MldQuery { max_response: Duration::ZERO, ..general() },
        ),
        changed("L03 hop limit 2", &general(), &|i| i.ip.hop_limit = 2),
        changed("L03 hop limit 255", &general(), &|i| i.ip.hop_limit = 255),
        changed("L03 hop limit 0", &general(), &|i| i.ip.hop_limit = 0),
        changed("L03 from a global address", &general(), &|i| i.ip.source = SOURCE6.ip),
        changed("L03 from nobody", &general(), &|i| i.ip.source = Ipv6Addr::UNSPECIFIED),
        changed("L03 without options", &general(), &|i| i.ip.extensions.clear()),
        changed("L03 without Router Alert", &general(), &|i| i.ip.extensions = vec![hop_by_hop(&[])]),
        changed("L03 Router Alert for RSVP", &general(), &|i| {
            i.ip.extensions = vec![hop_by_hop(&[HeaderOption::new(5, &[0, 1])])];
        }),
        changed("L03 Router Alert among destination options", &general(), &|i| {
            i.ip.extensions = vec![destination(&[HeaderOption::router_alert()])];
        }),
        changed("L01 Router Alert behind another option", &general(), &|i| {
            let options = [HeaderOption::new(0x1e, &[1, 2]), HeaderOption::router_alert()];
            i.ip.extensions = vec![hop_by_hop(&options)];
        }),
        changed("L03 in one fragment", &general(), &|i| {
            i.ip.extensions.push(Extension::Fragment { offset: 0, more: false, id: 5 });
        }),
        changed("L06 code 1", &general(), &|i| i.code = 1),
        changed("L13 one byte behind it", &general(), &|i| i.body.push(7)),
        changed("L14 two sources, and one there", &specific(SOURCE_GROUP6, &[SOURCE6.ip]), &|i| {
            i.body[23] = 2
        }),
        changed("L14 no source, and one there", &specific(SOURCE_GROUP6, &[SOURCE6.ip]), &|i| i.body[23] = 0),
        some("K01 a query with a wrong checksum", {
            let mut frame = changed("", &general(), &|_| {}).frames.remove(0);
            frame[65] ^= 1;
            vec![frame]
        }),
        some("L10 a report of another, and then a query", {
            let record = [&[0, 0, 0, 1, 4, 0, 0, 0][..], &GROUP6.octets()].concat();
            let mut report = mld_frame(Host6::local(0x98).ip, addr("ff02::16"), 143, &record);
            report.source_mac = mac(Host6::local(0x98).mac);
            vec![report.frame(), asked("", &specific(GROUP6, &[])).frames.remove(0)]
        }),
    ];
    // Too short for any version, and between the two of them.
    for len in [0, 4, 19, 21, 23] {
        all.push(changed(&format!("L06 a query of {} bytes", len + 4), &general(), &|i| {
            i.body.truncate(len)
        }));
    }
    all
}

/// Queries of version 1, and what a host of that version then says.
pub fn queries_of_version_1() -> Vec<Stimulus> {
    let old = |query: MldQuery| MldQuery { version: 1, ..query };
    vec![
        asked("L11 a general query of version 1", &old(general())),
        asked("L11 a query of version 1 for a group", &old(specific(GROUP6, &[]))),
        asked(
            "L11 a query of version 1 for a group that nobody joined",
            &old(specific(addr("ff05::7"), &[])),
        ),
        asked("L11 a query of version 1 for all nodes", &old(specific(ALL_NODES, &[]))),
        asked("L11 a query of version 2, afterwards", &general()),
    ]
}
