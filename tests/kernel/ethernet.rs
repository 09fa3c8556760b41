//! The link layer, from the wire: which frames pollcast takes, what it makes of tags, and what it pads with.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::common::*;

static LAB: Shared = Shared::new(|| Lab::mute(ECHO));

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);

fn echo(dst: Mac) -> Vec<u8> {
    let mut frame = udp_frame(PEER, 4000, HOST, 7, b"hello");
    frame[..6].copy_from_slice(&dst);
    frame
}

// E01, RFC 1112 6.4.
#[test]
fn a_frame_to_our_own_address_is_taken_and_answered_from_it() {
    let Some(lab) = LAB.lock() else { return };
    let answer = lab.answer(&echo(HOST.mac));
    assert_eq!((answer.dst(), answer.src()), (PEER.mac, HOST.mac));
    assert_eq!(answer.udp().payload, b"hello");
}

// E01, RFC 1112 6.4: tap and many another device hand over everything.
#[test]
fn a_frame_to_another_station_is_dropped() {
    let Some(lab) = LAB.lock() else { return };
    lab.assert_dropped(&echo([2, 0, 0, 0, 0, 0x99]), "ethernet_not_for_us");
}

// E01, E02, RFC 1112 6.4: a group's address has 23 bits of the group, and no group of ours has this one.
#[test]
fn a_frame_to_a_group_address_that_nobody_joined_is_dropped() {
    let Some(lab) = LAB.lock() else { return };
    let other = HOST.with_ip(Ipv4Addr::new(239, 1, 2, 4));
    lab.assert_dropped(&udp_frame(PEER, 4000, other, 7, b"hello"), "ethernet_group_not_joined");
    let mut frame = udp_frame(PEER, 4000, HOST.with_ip(GROUP), 7, b"hello");
    frame[3] |= 0x80; // the 24th bit
    lab.assert_dropped(&frame, "ethernet_group_not_joined");
}

// E02, RFC 1112 6.4.
#[test]
fn a_joined_group_is_handed_to_the_driver_by_its_23_bits() {
    let Some(lab) = LAB.lock() else { return };
    assert!(lab.filter().contains(&"01:00:5e:01:02:03".to_owned()), "{:?}", lab.filter());
    assert!(!lab.filter().contains(&"01:00:5e:01:01:01".to_owned()));
    lab.change("join", &["239.129.1.1"]);
    assert!(lab.filter().contains(&"01:00:5e:01:01:01".to_owned()), "{:?}", lab.filter());
    lab.change("leave", &["239.129.1.1"]);
    assert!(!lab.filter().contains(&"01:00:5e:01:01:01".to_owned()), "{:?}", lab.filter());
}

// E04, RFC 1112 6.4: 32 groups share a MAC address, and one of them was joined.
#[test]
fn a_group_that_shares_the_mac_of_a_joined_one_is_dropped() {
    let Some(lab) = LAB.lock() else { return };
    for alias in [Ipv4Addr::new(239, 129, 2, 3), Ipv4Addr::new(224, 1, 2, 3), Ipv4Addr::new(232, 129, 2, 3)] {
        assert_eq!(group_mac(alias), group_mac(GROUP));
        let frame = udp_frame(PEER, 4000, HOST.with_ip(alias), 7, b"hello");
        lab.assert_dropped(&frame, "ipv4_group_not_joined");
    }
    assert_eq!(lab.pollcast.ctl(&["filter"])[0]["aliases"].as_u64().map(|n| n >= 3), Some(true));
}

// E05: the set of addresses is derived from the groups that are joined now.
#[test]
fn a_mac_stays_in_the_filter_while_one_of_its_groups_is_joined() {
    let Some(lab) = LAB.lock() else { return };
    let (first, second) = (Ipv4Addr::new(239, 1, 1, 7), Ipv4Addr::new(239, 129, 1, 7));
    let mac = written(group_mac(first));
    for group in [first, second] {
        lab.change("join", &[&group.to_string()]);
    }
    lab.change("leave", &[&first.to_string()]);
    assert!(lab.filter().contains(&mac));
    let answer = lab.answer(&udp_frame(PEER, 4000, HOST.with_ip(second), 7, b"still here"));
    assert_eq!(answer.udp().payload, b"still here");
    lab.assert_dropped(&udp_frame(PEER, 4000, HOST.with_ip(first), 7, b"left"), "ipv4_group_not_joined");
    lab.change("leave", &[&second.to_string()]);
    assert!(!lab.filter().contains(&mac));
    lab.assert_dropped(&udp_frame(PEER, 4000, HOST.with_ip(second), 7, b"left"), "ethernet_group_not_joined");
}

// E06, RFC 1112 7.2: queries are heard whatever the sockets want.
#[test]
fn the_all_hosts_address_is_always_in_the_filter() {
    let Some(lab) = LAB.lock() else { return };
    assert!(lab.filter().contains(&"01:00:5e:00:00:01".to_owned()), "{:?}", lab.filter());
}

// E09, RFC 894, CVE-2003-0001: padding must not be what an older packet left in the buffer.
#[test]
fn a_short_answer_is_padded_to_60_bytes_with_zeros() {
    let Some(lab) = LAB.lock() else { return };
    // More long frames than there are buffers: each buffer has held one.
    let long = vec![udp_frame(PEER, 4000, HOST, 7, &[0xaa; 1400]); 250];
    let (mut echoed, mut rounds) = (0, 0);
    while echoed < 10_000 {
        let echoes = lab.wire.exchange(&long, Duration::ZERO);
        echoed += echoes.iter().filter(|echo| echo.udp().payload == [0xaa; 1400]).count();
        // A busy machine's tap may lose some of a round.
        rounds += 1;
        assert!(rounds < 100, "{echoed} echoes in {rounds} rounds");
    }
    let unpadded = udp_frame(PEER, 4000, HOST, 7, b"!");
    let mut padded = unpadded.clone();
    padded.resize(60, 0xbb); // as by a careless sender
    for request in [unpadded, padded] {
        let answer = lab.answer(&request);
        assert_eq!(answer.udp().payload, b"!");
        assert_eq!(answer.ipv4().trailer, [0; 17]);
        assert_eq!(answer.bytes.len(), 60);
    }
}

// E09: whatever makes the answer.
#[test]
fn short_answers_of_arp_and_icmp_are_padded_with_zeros_too() {
    let Some(lab) = LAB.lock() else { return };
    let arp = lab.answer(&Arp::request(PEER, HOST.ip).frame_to(BROADCAST));
    assert_eq!(arp.bytes.len(), 60);
    assert_eq!(arp.bytes[42..], [0; 18]);
    let mut ping = ping_frame(PEER, HOST, 1, 1, b"");
    ping.resize(60, 0xbb);
    let pong = lab.answer(&ping);
    assert_eq!(pong.bytes.len(), 60);
    assert_eq!(pong.ipv4().trailer, [0; 18]);
}

// E10, RFC 1122 2.3.3, RFC 791: the IP total length ends the packet.
#[test]
fn bytes_behind_the_packet_are_neither_refused_nor_echoed() {
    let Some(lab) = LAB.lock() else { return };
    let mut frame = udp_frame(PEER, 4000, HOST, 7, &[7; 100]);
    frame.extend([0xee; 20]);
    let answer = lab.answer(&frame);
    assert_eq!(answer.udp().payload, [7; 100]);
    assert_eq!(answer.bytes.len(), 14 + 20 + 8 + 100);
}

// E11, 802.1Q 6.9: VLAN 0 is a priority and no VLAN, by either tag.
#[test]
fn a_priority_tag_is_as_no_tag() {
    let Some(lab) = LAB.lock() else { return };
    for tpid in [0x8100, 0x88a8] {
        for priority in [0x0000, 0xa000] {
            let answer = lab.answer(&tagged(&echo(HOST.mac), tpid, priority));
            assert_eq!(answer.udp().payload, b"hello", "{tpid:#x} {priority:#x}");
        }
        let answer = lab.answer(&tagged(&Arp::request(PEER, HOST.ip).frame_to(BROADCAST), tpid, 0));
        assert_eq!(answer.arp().sender, HOST);
    }
}

// E11, 802.1Q 6.9.
#[test]
fn a_vlan_that_is_not_configured_is_dropped() {
    let Some(lab) = LAB.lock() else { return };
    lab.assert_dropped(&tagged(&echo(HOST.mac), 0x8100, 5), "vlan_unknown");
    lab.assert_dropped(&tagged(&echo(HOST.mac), 0x88a8, 5), "vlan_unknown");
    lab.assert_dropped(&tagged(&echo(HOST.mac), 0x8100, 0xefff), "vlan_unknown");
}

// E12, 802.1Q: the answer to VLAN 0 is untagged or of VLAN 0. The kernel takes tags off before a raw socket sees them:
// a capture says what was on the wire.
#[test]
fn the_answer_to_a_priority_tagged_request_is_in_no_vlan() {
    let Some(lab) = LAB.lock() else { return };
    let path = std::env::temp_dir().join(format!("pollcast-test-{}-tag.pcap", std::process::id()));
    let mut tcpdump = lab.netns.spawn("tcpdump", |command| {
        command
            .args(["-i", DEVICE, "-s", "2000", "-U", "-Q", "in", "--immediate-mode", "-Z", "root", "-w"])
            .arg(&path)
            // Not what is said of the link meanwhile.
            .arg("udp or (vlan and udp)");
        command.stdout(Stdio::null()).stderr(Stdio::null());
    });
    // Until it listens, and has written down what it heard.
    let mut capture = Vec::new();
    for _ in 0..100 {
        lab.answer(&tagged(&echo(HOST.mac), 0x8100, 0xa000));
        thread::sleep(Duration::from_millis(20));
        capture = fs::read(&path).unwrap_or_default();
        if capture.len() > 24 {
            break;
        }
    }
    tcpdump.kill().unwrap();
    tcpdump.wait().unwrap();
    fs::remove_file(&path).unwrap();
    // A pcap file: 24 bytes of header, then 16 before each frame.
    let frame = capture.get(40..).expect("a frame in the capture");
    assert_eq!(frame[6..12], HOST.mac);
    match u16::from_be_bytes([frame[12], frame[13]]) {
        ETHERTYPE_IPV4 => {}
        0x8100 => assert_eq!(u16::from_be_bytes([frame[14], frame[15]]) & 0xfff, 0),
        other => panic!("EtherType {other:#x}"),
    }
}

// E14, 802.3: no station has a group address, and what comes from our own came round a loop.
#[test]
fn a_frame_from_a_group_address_or_from_our_own_is_dropped() {
    let Some(lab) = LAB.lock() else { return };
    let from = |mac| udp_frame(Host { mac, ..PEER }, 4000, HOST, 7, b"hello");
    lab.assert_dropped(&from([3, 0, 0, 0, 0, 1]), "ethernet_source_group");
    lab.assert_dropped(&from(HOST.mac), "ethernet_source_own");
}

// E13, RFC 1122 2.3.3: lengths and other protocols.
#[test]
fn an_ethertype_that_is_not_spoken_here_is_dropped() {
    let Some(lab) = LAB.lock() else { return };
    let packet = &echo(HOST.mac)[14..];
    for ethertype in [0x86dd, 0x88cc, 0x0801, 0x05ff, 0x0040] {
        let frame = ethernet(HOST.mac, PEER.mac, ethertype, packet);
        lab.assert_dropped(&frame, "ethertype_unknown");
    }
}

// E17: every length of every kind of frame. A socket cannot send less than an Ethernet header.
#[test]
fn frames_cut_short_at_any_byte_are_dropped() {
    let Some(lab) = LAB.lock() else { return };
    let kinds = [
        ("UDP", echo(HOST.mac)),
        ("tagged UDP", tagged(&echo(HOST.mac), 0x8100, 0)),
        ("ICMP", ping_frame(PEER, HOST, 1, 1, b"hello")),
        ("ARP", Arp::request(PEER, HOST.ip).frame_to(BROADCAST)),
        ("IGMP", igmp_frame(PEER, Ipv4Addr::new(224, 0, 0, 1), &igmp_query(1, Ipv4Addr::UNSPECIFIED, &[]))),
    ];
    for (kind, frame) in kinds {
        let cut: Vec<_> = (14..frame.len()).map(|len| frame[..len].to_vec()).collect();
        let drops = lab.assert_silent(&cut);
        let allowed = ["ethernet_truncated", "arp_malformed", "ipv4_header_invalid", "ipv4_truncated"];
        assert!(drops.keys().all(|reason| allowed.contains(&reason.as_str())), "{kind}: {drops:?}");
    }
}
