//! Tests of messages of neighbour discovery, as they are built and read.

use super::*;

const A: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xa);
const B: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0xbb01, 0x203);
const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);

fn redirect() -> NdpFrame {
    let message = NdpMessage::Redirect { target: "fe80::1".parse().unwrap(), destination: B };
    let options = vec![NdpOption::TargetLinkLayer(MAC), NdpOption::RedirectedHeader(vec![0x60; 48])];
    NdpFrame { options, ..NdpFrame::between(A, B, message) }
}

fn of_every_kind() -> Vec<NdpFrame> {
    let question = NdpFrame::solicitation(A, B);
    let mut router = NdpFrame::router_advertisement(A, &[Prefix::new(B, 64)]);
    router.options.extend([NdpOption::Mtu(1400), NdpOption::Other(25, vec![0; 22])]);
    vec![
        question.advertisement(MAC),
        question,
        NdpFrame::probe(MAC, B, None).advertisement(MAC),
        NdpFrame::probe(MAC, B, Some([1, 2, 3, 4, 5, 6])),
        NdpFrame::announcement(MAC, B),
        NdpFrame::router_solicitation(A),
        NdpFrame::router_solicitation(V6::UNSPECIFIED),
        router,
        redirect(),
    ]
}

#[test]
fn every_kind_reads_back_and_no_shorter_one_does() {
    for frame in of_every_kind() {
        assert_eq!(NdpFrame::read(&frame.frame()), Ok(Some(frame.clone())));
        let icmp = frame.icmp();
        for len in 0..icmp.body.len() {
            let cut = IcmpFrame6 { body: icmp.body[..len].to_vec(), ..icmp.clone() };
            let read = NdpFrame::read(&cut.frame());
            // What is cut between two options is another message, which may be right.
            let between = matches!(&read, Ok(Some(read)) if read.options.len() < frame.options.len());
            assert!(read.is_err() || between && len % 8 == 4, "{frame:?} cut to {len}: {read:?}");
        }
    }
}

// RFC 4861 4.3 and 4.6.1: the bytes of a solicitation; 4.4: those of an advertisement.
#[test]
fn the_bytes_are_those_that_the_rfc_draws() {
    let question = NdpFrame::solicitation(A, B);
    let frame = question.frame();
    assert_eq!(frame[..14], [0x33, 0x33, 0xff, 1, 2, 3, 2, 6, 0, 0, 0, 0xa, 0x86, 0xdd]);
    assert_eq!((frame[20], frame[21]), (58, 255));
    assert_eq!((frame[54], frame[55], &frame[58..62]), (135, 0, &[0; 4][..]));
    assert_eq!(frame[62..78], B.octets());
    assert_eq!(frame[78..], [1, 1, 2, 6, 0, 0, 0, 0xa]);
    let answer = question.advertisement(MAC).frame();
    assert_eq!((answer[54], &answer[58..62]), (136, &[0x60, 0, 0, 0][..]));
    assert_eq!(answer[78..], [2, 1, 2, 0, 0, 0, 0, 9]);
    let unasked = NdpFrame::probe(MAC, B, None).advertisement(MAC).frame();
    assert_eq!((&unasked[..6], unasked[58]), (&[0x33, 0x33, 0, 0, 0, 1][..], 0x20));
}

// RFC 4861 4.6.2, by its drawing.
#[test]
fn a_prefix_is_laid_out_as_the_rfc_draws_it() {
    let bytes = NdpOption::Prefix(Prefix { valid_s: 0x0102_0304, ..Prefix::new(B, 64) }).bytes();
    assert_eq!(bytes[..8], [3, 4, 64, 0xc0, 1, 2, 3, 4]);
    assert_eq!(bytes[8..16], [0, 9, 0x3a, 0x80, 0, 0, 0, 0]);
    assert_eq!(bytes[16..], B.octets());
}

#[test]
fn what_no_host_sends_is_refused() {
    let question = NdpFrame::solicitation(A, B);
    let answer = question.advertisement(MAC);
    let router = NdpFrame::router_advertisement(A, &[]);
    let probe = NdpFrame::probe(MAC, B, None);
    let group = "ff02::1:ff01:203".parse().unwrap();
    let asks_for = |target| NdpMessage::NeighborSolicitation { target };
    let bad = [
        NdpFrame { hop_limit: 254, ..question.clone() },
        NdpFrame { extensions: vec![Extension::Destination(Vec::new())], ..question.clone() },
        NdpFrame { options: Vec::new(), ..question.clone() },
        NdpFrame { message: asks_for(group), ..question },
        NdpFrame { options: vec![NdpOption::SourceLinkLayer(MAC)], ..probe.clone() },
        NdpFrame { destination: B, destination_mac: MAC, ..probe },
        NdpFrame { destination: V6::ALL_HOSTS, destination_mac: V6::group_mac(V6::ALL_HOSTS), ..answer },
        NdpFrame { source: B, ..router },
        NdpFrame { source: B, ..redirect() },
    ];
    for frame in bad {
        assert!(NdpFrame::read(&frame.frame()).is_err(), "{frame:?}");
    }
    let mut wrong_sum = NdpFrame::solicitation(A, B).frame();
    wrong_sum[57] ^= 1;
    assert!(NdpFrame::read(&wrong_sum).is_err());
    let code = IcmpFrame6 { code: 1, ..NdpFrame::solicitation(A, B).icmp() };
    assert!(NdpFrame::read(&code.frame()).is_err());
    assert_eq!(NdpFrame::read(&IcmpFrame6::echo(A, B, 0, 0, b"").frame()), Ok(None));
}
