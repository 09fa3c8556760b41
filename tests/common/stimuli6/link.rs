//! Frames and tags around IPv6.

use super::super::frames::{BROADCAST, ETHERTYPE_IPV4, ethernet, tagged};
use super::super::six::{ALIAS6, ALL_NODES, GROUP6, HOST6, HOST6_SECOND, PEER6};
use super::{
    Stimulus, addr, addressed_to, coming_from, group_mac6, hello, knock, one, ping6, plain6, to, unknown,
};

pub(super) fn link6() -> Vec<Stimulus> {
    let ask = || hello(&plain6());
    let tag = |tpid, tci| tagged(&ask(), tpid, tci);
    let mut trailed = ask();
    trailed.extend([0xee; 20]);
    let solicited_node = group_mac6(addr("ff02::1:ff00:2"));
    let runt = |len: usize| one(&format!("E17 a frame of IPv6 of {len} bytes"), ask()[..len].to_vec());
    let mut all = vec![
        one("E01 IPv6 to another station", addressed_to([2, 0, 0, 0, 0, 0x99], ask())),
        one("E03 a group", hello(&to(GROUP6))),
        one("E04 an alias of a joined IPv6 group", hello(&to(ALIAS6))),
        one("E10 bytes behind an IPv6 packet", trailed),
        one("E11 IPv6 in a priority tag", tag(0x8100, 0xa000)),
        one("E11 IPv6 in a priority tag of a provider", tag(0x88a8, 0)),
        one("E11 IPv6 in an unknown VLAN", tag(0x8100, 5)),
        one("E11 IPv6 to a closed port in a priority tag", tagged(&knock(&plain6()), 0x8100, 0)),
        one("E13 IPv6 as IPv4", ethernet(HOST6.mac, PEER6.mac, ETHERTYPE_IPV4, &ask()[14..])),
        one("E13 IPv6 of an unknown type", ethernet(HOST6.mac, PEER6.mac, 0x88b5, &ask()[14..])),
        one("E14 IPv6 from our own MAC", coming_from(HOST6.mac, ask())),
        one("E14 IPv6 from a group's MAC", coming_from([0x33, 0x33, 0, 0, 0, 9], ask())),
        one("E15 IPv6 in a broadcast frame", addressed_to(BROADCAST, ask())),
        one("E15 IPv6 in a group's frame", addressed_to(group_mac6(GROUP6), ask())),
        one("E15 IPv6 in the frame of all nodes", addressed_to(group_mac6(ALL_NODES), ask())),
        one("E15 ping of IPv6 in the solicited node's frame", addressed_to(solicited_node, ping6(&plain6()))),
        one("E15 ping of IPv6 in a group's frame", addressed_to(group_mac6(GROUP6), ping6(&plain6()))),
        one("E16 an IPv6 group in a unicast frame", addressed_to(HOST6.mac, hello(&to(GROUP6)))),
        one("E16 an IPv6 group in another group's frame", {
            addressed_to(group_mac6(ALL_NODES), hello(&to(GROUP6)))
        }),
        one("K03 closed port in a group's frame", addressed_to(group_mac6(GROUP6), knock(&plain6()))),
        one("K03 closed port in the frame of all nodes", {
            addressed_to(group_mac6(ALL_NODES), knock(&to(HOST6_SECOND.ip)))
        }),
        one("K03 closed port in a broadcast frame", addressed_to(BROADCAST, knock(&plain6()))),
        one("K03 an unknown header in a group's frame", {
            addressed_to(group_mac6(GROUP6), unknown(&plain6()))
        }),
    ];
    all.extend((14..=66).map(runt));
    all
}
