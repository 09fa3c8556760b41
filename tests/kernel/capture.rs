//! A second judge of what pollcast sends: tshark, over a capture of every kind of frame it makes.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::common::capture::Capture;
use crate::common::*;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);

/// What tshark says of the frames that `filter` picks: number, protocol, info, and the expert's words.
fn tshark(capture: &Path, filter: &str) -> String {
    let checks = ["ip.check_checksum:TRUE", "udp.check_checksum:TRUE", "udp.ignore_ipv6_zero_checksum:FALSE"];
    let out = Command::new("tshark")
        .arg("-r")
        .arg(capture)
        .args(checks.iter().flat_map(|check| ["-o", check]))
        .args(["-Y", filter, "-T", "fields"])
        .args(
            ["_ws.col.No.", "_ws.col.Protocol", "_ws.col.Info", "_ws.expert"].iter().flat_map(|f| ["-e", f]),
        )
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// Provokes every kind of frame that pollcast sends.
fn provoke_everything(lab: &mut Lab) {
    let closed = |n| udp_frame(Host::number(n), 4000, HOST, 9999, &vec![7; usize::from(n) * 10]);
    let no_checksum = {
        let datagram = Udp { checksum: Some(0), ..Udp::new(4000, 7) }.datagram(PEER.ip, HOST.ip, b"no sum");
        frame(PEER, HOST, &Ipv4::new(PEER.ip, HOST.ip, UDP).packet(&datagram))
    };
    let frames = vec![
        Arp::request(PEER, HOST.ip).frame_to(BROADCAST),
        Arp::request(PEER.with_ip(Ipv4Addr::UNSPECIFIED), HOST.ip).frame_to(BROADCAST),
        Arp::request(PEER.with_ip(HOST.ip), HOST.ip).frame_to(BROADCAST),
        ping_frame(PEER, HOST, 1, 1, b""),
        ping_frame(PEER, HOST, 1, 2, &[0x55; 1472]),
        udp_frame(PEER, 4000, HOST, 7, b""),
        udp_frame(PEER, 4000, HOST, 7, b"odd"),
        udp_frame(PEER, 4000, HOST, 7, &[0xff; 1472]),
        udp_frame(PEER, 4000, HOST_SECOND, 7, b"second"),
        udp_frame(PEER, 4000, HOST.with_ip(GROUP), 7, b"group"),
        udp_frame(PEER, 4000, HOST.with_ip(Ipv4Addr::BROADCAST), 7, b"broadcast"),
        tagged(&udp_frame(PEER, 4000, HOST, 7, b"tagged"), 0x8100, 0xa000),
        no_checksum,
        closed(60),
        closed(140),
        igmp_frame(PEER, Ipv4Addr::new(224, 0, 0, 1), &igmp_query(1, Ipv4Addr::UNSPECIFIED, &[])),
    ];
    lab.wire.exchange(&frames, Duration::from_millis(300));
    for args in [
        &["join", "239.9.9.9"][..],
        &["join", "232.9.9.9", "--source", "198.18.0.77"],
        &["leave", "232.9.9.9", "--source", "198.18.0.77"],
        &["leave", "239.9.9.9"],
    ] {
        lab.pollcast.ctl(args);
    }
    lab.wire.raw.frames(Duration::from_millis(1200));
    // Each version of IGMP says all anew in its own words, and version 2 has some for a leave.
    for version in ["2", "1", "2"] {
        lab.pollcast.ctl(&["igmp", "--version", version]);
        lab.wire.raw.frames(Duration::from_millis(100));
    }
    lab.pollcast.ctl(&["join", "239.9.9.9"]);
    lab.pollcast.ctl(&["leave", "239.9.9.9"]);
    lab.wire.raw.frames(Duration::from_millis(100));
    lab.pollcast.ctl(&["igmp", "--version", "3"]);
}

// E09, C06, G01 and all the rest, by somebody else's reading of the RFCs.
#[test]
fn tshark_finds_nothing_wrong_with_our_frames() {
    if !may_run() {
        return;
    }
    let mut lab = Lab::mute(ECHO);
    let mut tcpdump = Capture::start(&lab.netns, DEVICE);
    let capture = tcpdump.file();
    provoke_everything(&mut lab);
    // One of the other side's frames is wrong, to see that tshark would say so.
    let mut wrong = udp_frame(PEER, 4000, HOST, 7, b"wrong");
    wrong[45] ^= 0xff;
    lab.assert_dropped(&wrong, "udp_checksum");
    lab.pollcast.stop();
    tcpdump.end();

    let ours = "eth.src == 02:00:00:00:00:02";
    // Of expert words, warnings and errors; but that two hosts claim one address is what the test played.
    let complaints = "_ws.malformed || (_ws.expert.severity >= 6291456 && !arp.duplicate-address-detected) || \
                      ip.checksum.status == Bad || udp.checksum.status == Bad || icmp.checksum.status == Bad || \
                      igmp.checksum.status == Bad";
    assert_ne!(tshark(&capture, &format!("!({ours}) && ({complaints})")), "", "it finds a wrong checksum");
    assert_eq!(tshark(&capture, &format!("{ours} && ({complaints})")), "");
    // G01, RFC 9776 4, RFC 2236 2: each IGMP message, of every version.
    let as_all = "ip.ttl == 1 && ip.dsfield == 0xc0 && ip.opt.ra == 0 && ip.hdr_len == 24";
    assert_eq!(tshark(&capture, &format!("{ours} && igmp && !({as_all})")), "");
    for kind in ["arp.opcode == 2", "arp.opcode == 1", "icmp.type == 0", "icmp.type == 3", "udp.srcport == 7"]
        .into_iter()
        .chain([
            "igmp.record_type == 4",
            "igmp.record_type == 3",
            "igmp.record_type == 5",
            "igmp.record_type == 6",
            "igmp.record_type == 1",
            "igmp.record_type == 2",
            "igmp.type == 0x22 && ip.dst == 224.0.0.22",
            "igmp.type == 0x16 && ip.dst == 239.1.2.3",
            "igmp.type == 0x12 && ip.dst == 239.1.2.3",
            "igmp.type == 0x17 && ip.dst == 224.0.0.2",
        ])
    {
        let found = tshark(&capture, &format!("{ours} && {kind}"));
        assert_ne!(found, "", "no frame of ours with {kind} among\n{}", tshark(&capture, "frame"));
    }
}
