//! Neighbour solicitations, right ones and wrong ones, and what else of neighbour discovery a host does not answer.

use std::net::Ipv6Addr;

use ::pollcast::sim::frames::{
    Extension, IcmpFrame6, NdpFrame, NdpMessage, NdpOption, Prefix, RouterAdvertisement, solicited_node,
};

use super::super::frames::{BROADCAST, Mac, tagged};
use super::super::six::{ALL_NODES, GROUP6, HOST6, HOST6_LOCAL, HOST6_SECOND, Host6, PEER6};
use super::fragments::cut_packet;
use super::{
    Stimulus, addr, addressed_to, coming_from, destination, group_mac6, hop_by_hop, mac, one, solicitation,
    some,
};

/// The same question, to us alone.
fn to_us(mut question: NdpFrame, ip: Ipv6Addr) -> NdpFrame {
    question.destination = ip;
    question.destination_mac = mac(HOST6.mac);
    question
}

fn probe(target: Ipv6Addr) -> NdpFrame {
    NdpFrame::probe(mac(PEER6.mac), target, None)
}

pub(super) fn solicitations() -> Vec<Stimulus> {
    let local = Host6::local(0x10);
    let ask = || solicitation(PEER6, HOST6.ip);
    let bare = |mut question: NdpFrame| {
        question.options.clear();
        question
    };
    let with = |mut question: NdpFrame, option: NdpOption| {
        question.options.push(option);
        question
    };
    let nonce = NdpOption::Nonce(vec![1, 2, 3, 4, 5, 6]);
    let to_group = |group: Ipv6Addr, mut question: NdpFrame| {
        question.destination = group;
        question.destination_mac = mac(group_mac6(group));
        question
    };
    // Of hosts that nobody has heard of.
    let source_mac = |n: u16, address: Mac| {
        let mut question = solicitation(Host6::number(0x1f00 + n), HOST6.ip);
        question.options = vec![NdpOption::SourceLinkLayer(mac(address))];
        question
    };
    let right = [
        ("N03 to the solicited node", ask()),
        ("N03 for the second address", solicitation(PEER6, HOST6_SECOND.ip)),
        ("N03 for the link-local address", solicitation(local, HOST6_LOCAL.ip)),
        ("N03 for the link-local address, from a global one", solicitation(PEER6, HOST6_LOCAL.ip)),
        ("N03 for a global address, from a link-local one", solicitation(local, HOST6.ip)),
        ("N03 to us alone", to_us(ask(), HOST6.ip)),
        ("N03 to us alone, without an address", bare(to_us(ask(), HOST6.ip))),
        ("N03 to us alone, at another address", to_us(ask(), HOST6_SECOND.ip)),
        ("N03 to us alone, at the link-local address", to_us(ask(), HOST6_LOCAL.ip)),
        ("N03 with a nonce", with(ask(), nonce.clone())),
        ("N03 with an unknown option", with(ask(), NdpOption::Other(0xfd, vec![1; 14]))),
        ("N03 with an MTU", with(ask(), NdpOption::Mtu(1400))),
        ("N03 with two addresses", with(ask(), NdpOption::SourceLinkLayer(mac([2, 0, 0, 0, 0, 0x11])))),
        ("N03 with the target's address", with(ask(), NdpOption::TargetLinkLayer(mac(PEER6.mac)))),
        ("N03 to all nodes", to_group(ALL_NODES, ask())),
        ("N03 to a joined group", to_group(GROUP6, ask())),
        ("N03 from far away", solicitation(PEER6.with_ip(addr("2001:db8:9::9")), HOST6.ip)),
        ("N03 to the solicited node, without an address", bare(ask())),
        ("N03 with a group's MAC for an address", source_mac(0, [0x33, 0x33, 0, 0, 0, 9])),
        ("N03 with another MAC for an address", source_mac(1, [2, 0, 0, 0, 0, 0x12])),
        ("N03 for another", solicitation(PEER6, addr("2001:db8::77"))),
        ("N03 for another, of the same solicited node", solicitation(PEER6, addr("2001:db8:1::2"))),
        ("N03 for loopback", to_us(solicitation(PEER6, Ipv6Addr::LOCALHOST), HOST6.ip)),
        ("N03 for nobody", to_us(solicitation(PEER6, Ipv6Addr::UNSPECIFIED), HOST6.ip)),
        ("N01 for a group", to_us(solicitation(PEER6, GROUP6), HOST6.ip)),
        ("N04 of one who would have our address", probe(HOST6.ip)),
        ("N04 of one who would have our second address", probe(HOST6_SECOND.ip)),
        ("N04 of one who would have our link-local address", probe(HOST6_LOCAL.ip)),
        ("N04 with a nonce", NdpFrame::probe(mac(PEER6.mac), HOST6.ip, Some([6, 5, 4, 3, 2, 1]))),
        ("N04 of one who would have another", probe(addr("2001:db8::77"))),
        ("N02 from nobody, to us alone", to_us(probe(HOST6.ip), HOST6.ip)),
        ("N02 from nobody, to all nodes", to_group(ALL_NODES, probe(HOST6.ip))),
        ("N02 from nobody, to another solicited node", {
            to_group(solicited_node(HOST6_SECOND.ip), probe(HOST6.ip))
        }),
        (
            "N02 from nobody, with an address",
            with(probe(HOST6.ip), NdpOption::SourceLinkLayer(mac(PEER6.mac))),
        ),
        ("V03 a solicitation from a group", solicitation(PEER6.with_ip(GROUP6), HOST6.ip)),
        ("V03 a solicitation from loopback", solicitation(PEER6.with_ip(Ipv6Addr::LOCALHOST), HOST6.ip)),
        ("V06 a solicitation from our own address", solicitation(PEER6.with_ip(HOST6.ip), HOST6.ip)),
    ];
    let mut all: Vec<_> = right.iter().map(|(name, question)| one(name, question.frame())).collect();
    all.extend(wrong(&ask()));
    all.extend(never_answered());
    all
}

/// Forms that RFC 4861 7.1.1 tells to drop.
fn wrong(ask: &NdpFrame) -> Vec<Stimulus> {
    let icmp = ask.icmp();
    let changed = |name: &str, change: &dyn Fn(&mut IcmpFrame6)| {
        let mut icmp = icmp.clone();
        change(&mut icmp);
        one(name, icmp.frame())
    };
    let mut bad_sum = ask.frame();
    bad_sum[57] ^= 1;
    let mut all = vec![
        one("N01 a wrong checksum", bad_sum),
        changed("N01 code 1", &|i| i.code = 1),
        changed("N01 a reserved field", &|i| i.body[0] = 0xff),
        changed("N01 an option of length 0", &|i| i.body[21] = 0),
        changed("N01 an option that is longer than the message", &|i| i.body[21] = 2),
        changed("N01 an option of length 255", &|i| i.body[21] = 255),
        changed("N01 an address of sixteen bytes", &|i| {
            i.body[21] = 2;
            i.body.extend([0; 8]);
        }),
        changed("N01 an unknown option of length 0", &|i| i.body.extend([0xfd, 0, 0, 0, 0, 0, 0, 0])),
        changed("N01 a length 0 behind a right option", &|i| i.body.extend([1, 0, 2, 0, 0, 0, 0, 0x10])),
        changed("N01 bytes behind the options", &|i| i.body.extend([1, 1, 2])),
        changed("N01 one byte behind the options", &|i| i.body.push(0)),
        changed("V07 a solicitation behind hop-by-hop options", &|i| i.ip.extensions = vec![hop_by_hop(&[])]),
        changed("V07 a solicitation behind destination options", &|i| {
            i.ip.extensions = vec![destination(&[])]
        }),
        changed("W12 a solicitation in one fragment", &|i| {
            i.ip.extensions = vec![Extension::Fragment { offset: 0, more: false, id: 9 }];
        }),
        some("W12 a solicitation in two fragments", cut_packet(&ask.frame(), 10, &[16])),
        one("E11 a solicitation in a priority tag", tagged(&ask.frame(), 0x8100, 0xe000)),
        one("E11 a solicitation in an unknown VLAN", tagged(&ask.frame(), 0x8100, 5)),
        one("E15 a solicitation to us alone, in a group's frame", {
            addressed_to(group_mac6(ALL_NODES), to_us(ask.clone(), HOST6.ip).frame())
        }),
        one("E15 a solicitation to us alone, in a broadcast frame", {
            addressed_to(BROADCAST, to_us(ask.clone(), HOST6.ip).frame())
        }),
        one("E16 a solicitation to the group, in a unicast frame", addressed_to(HOST6.mac, ask.frame())),
        one("E14 a solicitation from a group's MAC", coming_from([0x33, 0x33, 0, 0, 0, 9], ask.frame())),
        one("N03 sent for another station", coming_from([2, 0, 0, 0, 0, 0x13], ask.frame())),
    ];
    for hop_limit in [0, 1, 64, 254] {
        all.push(changed(&format!("N01 hop limit {hop_limit}"), &|i| i.ip.hop_limit = hop_limit));
    }
    for len in [0, 1, 4, 19] {
        all.push(changed(&format!("N01 a solicitation of {} bytes", 4 + len), &|i| i.body.truncate(len)));
    }
    all
}

/// What a host that has its addresses, and asks for no router, hears and says nothing to.
fn never_answered() -> Vec<Stimulus> {
    let local = Host6::local(0x10);
    let from = |host: Host6, mut frame: NdpFrame| {
        frame.source_mac = mac(host.mac);
        frame.frame()
    };
    let announced = |host: Host6| NdpFrame::announcement(mac(host.mac), host.ip).frame();
    let router = NdpFrame::router_advertisement(local.ip, &[Prefix::new(addr("2001:db8:5::"), 64)]);
    let redirect = NdpMessage::Redirect { target: Host6::local(0x14).ip, destination: addr("2001:db8:9::9") };
    let mut redirect = NdpFrame::between(local.ip, HOST6.ip, redirect);
    redirect.destination_mac = mac(HOST6.mac);
    let hop_limit =
        NdpMessage::RouterAdvertisement(RouterAdvertisement { hop_limit: 9, ..Default::default() });
    vec![
        one("N12 another asks for routers", from(local, NdpFrame::router_solicitation(local.ip))),
        one("N12 nobody asks for routers", from(local, NdpFrame::router_solicitation(Ipv6Addr::UNSPECIFIED))),
        one("N12 another asks all nodes for routers", {
            let mut question = NdpFrame::router_solicitation(local.ip);
            (question.destination, question.destination_mac) = (ALL_NODES, mac(group_mac6(ALL_NODES)));
            from(local, question)
        }),
        one("N13 a router, to one who asks for none", from(local, router)),
        one("N14 a router, and a hop limit", from(local, NdpFrame::between(local.ip, ALL_NODES, hop_limit))),
        one("N09 another announces its address", announced(Host6::number(0x15))),
        one("N09 another announces our address", announced(PEER6.with_ip(HOST6.ip))),
        one("N15 a redirect of what was not sent", from(local, redirect)),
    ]
}
