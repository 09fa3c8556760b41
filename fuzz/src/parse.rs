//! The body: bytes through every parser of `wire`.
//!
//! Nothing panics; whatever a view shows lies inside what it was given; what is parsed and written again is what was
//! read; and the wide checksum is the one of RFC 1071, word by word.

use pollcast::wire::{arp, checksum, ethernet, icmpv4, icmpv6, igmp, ipv4, ipv6, mld, ndisc, udp, uoa, vlan};

/// Whether `part` lies inside `whole`.
fn is_inside(part: &[u8], whole: &[u8]) -> bool {
    let (part, whole) = (part.as_ptr_range(), whole.as_ptr_range());
    whole.start <= part.start && part.end <= whole.end
}

/// RFC 1071, by the letter: whether the 16-bit words of `data` sum up to all ones.
fn is_whole(data: &[u8]) -> bool {
    let words = data.chunks(2).map(|w| u64::from(w[0]) << 8 | w.get(1).map_or(0, |b| u64::from(*b)));
    let mut sum: u64 = words.sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum == 0xffff
}

/// Parses `data` as a frame and as what each layer carries.
pub fn fuzz_parse(data: &[u8]) {
    link(data);
    arp(data);
    network(data);
    assert_eq!(checksum::verify(data), is_whole(data), "the Internet checksum");
    icmp(data);
    group_management(data);
    datagram(data);
    forwarded(data);
}

fn link(data: &[u8]) {
    if let Some((header, rest)) = ethernet::Header::parse(data) {
        let mut out = [0; ethernet::HEADER_LEN];
        assert!(header.emit(&mut out).is_some_and(|left| left.is_empty()));
        assert_eq!([&out[..], rest].concat(), data, "an Ethernet header read and written");
        arp(rest);
        network(rest);
    }
    if let Ok(untagged) = vlan::untag(data) {
        assert!(is_inside(untagged.l3, data));
        arp(untagged.l3);
        network(untagged.l3);
    }
}

fn arp(data: &[u8]) {
    if let Some(packet) = arp::Packet::parse(data) {
        let mut out = [0; arp::PACKET_LEN];
        assert!(packet.emit_packet(&mut out).is_some_and(|left| left.is_empty()));
        assert_eq!(out, data[..arp::PACKET_LEN], "an ARP packet read and written");
    }
}

fn network(data: &[u8]) {
    network6(data);
    let Ok(packet) = ipv4::Ipv4::parse(data) else { return };
    assert!(is_inside(packet.payload(), packet.bytes()) && is_inside(packet.bytes(), data));
    assert_eq!(packet.bytes().len(), usize::from(packet.total_len()));
    assert_eq!(packet.header_len() + packet.payload().len(), packet.bytes().len());
    assert_eq!(
        packet.verify().is_ok(),
        is_whole(&packet.bytes()[..packet.header_len()]),
        "the header's checksum"
    );
    assert!(packet.options().count() <= 40, "options without end");
    if let Err(bad) = packet.scan_options() {
        assert!((20..60).contains(&bad.pointer) && usize::from(bad.pointer) < packet.header_len());
    }
    client_is_in(packet.options(), packet.option_bytes());
    icmp(packet.payload());
    group_management(packet.payload());
    forwarded(packet.payload());
    if let Some(udp) = datagram(packet.payload()) {
        let pseudo = [&data[12..20], &[0, 17], &udp.length().to_be_bytes()].concat();
        let whole = [&pseudo, &packet.payload()[..usize::from(udp.length())]].concat();
        let right = udp.checksum() == 0 || is_whole(&whole);
        assert_eq!(udp.verify_v4(packet.src(), packet.dst()).is_ok(), right, "the UDP checksum");
    }
}

fn network6(data: &[u8]) {
    let Ok(packet) = ipv6::Ipv6::parse(data) else { return };
    let end = ipv6::HEADER_LEN + usize::from(packet.payload_len());
    assert!(is_inside(packet.payload(), data));
    assert_eq!(packet.payload(), &data[ipv6::HEADER_LEN..end]);
    let header = ipv6::Repr {
        traffic_class: packet.traffic_class(),
        flow_label: packet.flow_label(),
        payload_len: packet.payload_len(),
        next_header: packet.next_header(),
        hop_limit: packet.hop_limit(),
        src: packet.src(),
        dst: packet.dst(),
    };
    let mut out = [0; ipv6::HEADER_LEN];
    assert!(header.emit(&mut out).is_some_and(|left| left.is_empty()));
    assert_eq!(out, data[..ipv6::HEADER_LEN], "an IPv6 header read and written");
    let Ok(chain) = ipv6::ext::walk(&packet) else { return };
    let offset = usize::from(chain.offset);
    assert!((ipv6::HEADER_LEN..=end).contains(&offset) && chain.named_at < chain.offset);
    assert_eq!(data[usize::from(chain.named_at)], chain.protocol, "the field that names it");
    if let Some(header) = chain.fragment {
        assert!(usize::from(header.at) + ipv6::ext::FRAGMENT_HEADER_LEN <= offset && header.offset % 8 == 0);
        assert_eq!(data[usize::from(header.at)], header.next_header);
    }
    let carried = &data[offset..end];
    forwarded(carried);
    if let Ok(message) = icmpv6::Icmpv6::parse(carried) {
        let len = u32::try_from(carried.len()).unwrap_or_default().to_be_bytes();
        let whole = [&data[8..40], &len, &[0, 0, 0, ipv6::NEXT_HEADER_ICMPV6], carried].concat();
        let right = message.verify(packet.src(), packet.dst()).is_ok();
        assert_eq!(right, is_whole(&whole), "the ICMPv6 checksum");
        of_the_link(&packet, carried, right);
        // Most that chance makes has a wrong sum, and ends there: it is looked at with the right one, too.
        let mut sealed = carried.to_vec();
        sealed[2..4].fill(0);
        let sum = checksum::Sum::pseudo_v6(
            packet.src(),
            packet.dst(),
            ipv6::NEXT_HEADER_ICMPV6,
            carried_len(&sealed),
        );
        let sum = sum.add_bytes(&sealed).finish();
        sealed[2..4].copy_from_slice(&sum.to_be_bytes());
        of_the_link(&packet, &sealed, true);
    }
}

/// The length of what an IPv6 packet carries.
fn carried_len(carried: &[u8]) -> u16 {
    u16::try_from(carried.len()).expect("its length field is no wider")
}

/// Neighbour discovery and MLD, by whose `message` the checksum is `right`.
fn of_the_link(packet: &ipv6::Ipv6<'_>, message: &[u8], right: bool) {
    let (src, dst) = (packet.src(), packet.dst());
    let envelope = ndisc::Envelope { src, dst, hop_limit: packet.hop_limit() };
    match ndisc::Message::parse(envelope, message) {
        Ok(said) => {
            assert!(right && packet.hop_limit() == 255 && message[1] == 0, "N01");
            discovered(&said, message);
        }
        Err(ndisc::NdiscError::Checksum) => assert!(!right, "the checksum of neighbour discovery"),
        Err(ndisc::NdiscError::Truncated | ndisc::NdiscError::UnknownType(_)) => {}
        Err(_) => assert!(right, "something else than the checksum first"),
    }
    match mld::Message::parse(src, dst, message) {
        Ok(mld::Message::Query(query)) => {
            assert!(right && query.sources.iter().count() == query.sources.len());
            assert!(query.sources.len() * 16 <= message.len());
            assert!(query.group.is_some() || query.sources.is_empty(), "sources without a group");
        }
        Ok(mld::Message::ReportV2(report)) => {
            let sources: usize = report.records().map(|record| record.sources.len()).sum();
            assert!(right && sources * 16 <= message.len(), "more sources than bytes");
        }
        Ok(mld::Message::ReportV1(_) | mld::Message::DoneV1(_)) => assert!(right),
        Err(mld::MldError::Checksum) => assert!(!right, "the checksum of MLD"),
        Err(_) => assert!(right || message.len() < 4, "something else than the checksum first"),
    }
}

/// What a message shows lies inside it, and is bounded by it.
fn discovered(said: &ndisc::Message<'_>, message: &[u8]) {
    match said {
        ndisc::Message::NeighborSolicitation(asked) => {
            assert!(asked.nonce.is_none_or(|nonce| is_inside(nonce, message)));
        }
        ndisc::Message::RouterAdvertisement(router) => {
            // N01, RFC 4861 4.6: no option is shorter than eight bytes.
            let options = router.options.iter().count();
            assert!(options * 8 <= message.len(), "more options than bytes");
        }
        ndisc::Message::Redirect(redirect) => {
            assert!(redirect.redirected.is_none_or(|packet| is_inside(packet, message)));
        }
        ndisc::Message::NeighborAdvertisement(_) | ndisc::Message::RouterSolicitation(_) => {}
    }
}

fn datagram(data: &[u8]) -> Option<udp::Udp<'_>> {
    let udp = udp::Udp::parse(data).ok()?;
    assert!(is_inside(udp.payload(), data));
    assert_eq!(udp.payload().len() + udp::HEADER_LEN, usize::from(udp.length()));
    Some(udp)
}

// O01 to O04: what a balancer says of its client is in the bytes, or is not said.
fn forwarded(data: &[u8]) {
    client_is_in(ipv4::Options::of(data), data);
    let Ok(header) = uoa::Header::parse(data) else { return };
    assert!(is_inside(header.payload(), data) && (4..=44).contains(&header.len()));
    assert_eq!(header.len() + header.payload().len(), data.len());
    client_is_in(header.options(), &data[uoa::HEADER_LEN..header.len()]);
    datagram(header.payload());
}

fn client_is_in(options: ipv4::Options<'_>, bytes: &[u8]) {
    if let Ok(Some(client)) = uoa::client(options) {
        let option = uoa::option(client);
        assert!(bytes.windows(option.len()).any(|window| *window == option[..]), "a client made up");
    }
}

fn icmp(data: &[u8]) {
    let Ok(message) = icmpv4::Icmpv4::parse(data) else { return };
    assert!(is_inside(message.data(), data));
    assert_eq!(message.verify().is_ok(), is_whole(data), "the ICMP checksum");
    let mut reply = data.to_vec();
    let is_request = message.icmp_type() == icmpv4::TYPE_ECHO_REQUEST;
    assert_eq!(icmpv4::make_echo_reply(&mut reply), is_request);
    if is_request && message.verify().is_ok() {
        assert!(is_whole(&reply), "the checksum of an echo reply");
        assert_eq!((reply[0], &reply[4..]), (icmpv4::TYPE_ECHO_REPLY, &data[4..]), "an echo reply");
    }
}

fn group_management(data: &[u8]) {
    match igmp::Message::parse(data) {
        Ok(igmp::Message::Query(query)) => {
            assert_eq!(query.sources.iter().count(), query.sources.len());
            assert!(query.sources.len() * 4 <= data.len());
            assert!(query.group.is_some() || query.sources.is_empty(), "sources without a group");
        }
        Ok(igmp::Message::ReportV3(report)) => {
            let sources: usize = report.records().map(|record| record.sources.len()).sum();
            assert!(sources * 4 <= data.len(), "more sources than bytes");
        }
        Ok(igmp::Message::ReportV1(_) | igmp::Message::ReportV2(_) | igmp::Message::LeaveV2(_)) => {}
        Err(igmp::IgmpError::Checksum) => assert!(!is_whole(data), "the IGMP checksum"),
        Err(_) => assert!(data.len() < 8 || is_whole(data), "something else than the checksum first"),
    }
}
