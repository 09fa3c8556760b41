//! The router against the numbers of RFC 9776 8.

use super::*;
use crate::sim::frames::{RecordKind, igmp_frame, sealed};

const ROUTER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 254);
const HOST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);

fn s(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, 1, last)
}

fn set(list: &[u8]) -> Sources {
    list.iter().map(|&n| s(n)).collect()
}

fn secs(s: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(s)
}

fn report(kind: u8, group: Ipv4Addr, sources: &[u8]) -> Vec<u8> {
    let mut message = vec![0x22, 0, 0, 0, 0, 0, 0, 1, kind, 0, 0, u8::try_from(sources.len()).unwrap()];
    message.extend(group.octets());
    message.extend(sources.iter().flat_map(|&n| s(n).octets()));
    igmp_frame(HOST, Ipv4Addr::new(224, 0, 0, 22), &sealed(message))
}

const IS_EX: u8 = 2;
const TO_IN: u8 = 3;
const TO_EX: u8 = 4;
const ALLOW: u8 = 5;
const BLOCK: u8 = 6;

/// A router past its start, with nothing left to send.
fn router() -> Router {
    let mut router = Router::new(RouterOptions::new(ROUTER), Instant::ZERO);
    router.handle_timeout(secs(100));
    router.outbox.clear();
    router
}

/// Lets time pass up to `until`; the frames that the router sent, and when.
fn pass(router: &mut Router, until: Instant) -> Vec<(Instant, Vec<u8>)> {
    let mut sent = Vec::new();
    while let Some(at) = router.next_deadline().filter(|&at| at <= until) {
        router.handle_timeout(at);
        sent.extend(core::iter::from_fn(|| router.transmit()).map(|frame| (at, frame)));
    }
    sent
}

// RFC 9776 8.6, 8.7: a quarter of the interval apart at the start, then the interval.
#[test]
fn general_queries_come_often_at_the_start_and_then_regularly() {
    let mut router = Router::new(RouterOptions::new(ROUTER), Instant::ZERO);
    let sent = pass(&mut router, secs(300));
    let at: Vec<_> = sent.iter().map(|(at, _)| at.ns() / 1_000_000).collect();
    assert_eq!(at, [0, 31_250, 156_250, 281_250]);
    assert!(sent.iter().all(|(_, frame)| *frame == IgmpQuery::general(ROUTER).frame()));
}

// RFC 9776 6.4, 8.4: a membership that is not renewed ends after the group membership interval.
#[test]
fn a_membership_that_is_not_renewed_ends() {
    let mut router = router();
    router.handle_frame(secs(100), &report(IS_EX, GROUP, &[]));
    assert_eq!(router.view(GROUP), View::Exclude(set(&[])));
    router.handle_timeout(secs(359));
    assert_eq!(router.view(GROUP), View::Exclude(set(&[])));
    router.handle_timeout(secs(360));
    assert!(router.views().is_empty());
}

// RFC 9776 6.6.3.1: a leave is asked about twice, a second apart, and believed after two seconds.
#[test]
fn a_leave_is_asked_about_before_it_is_believed() {
    let mut router = router();
    router.handle_frame(secs(100), &report(TO_EX, GROUP, &[]));
    router.handle_frame(secs(101), &report(TO_IN, GROUP, &[]));
    assert_eq!(router.view(GROUP), View::Exclude(set(&[])));
    let expected =
        IgmpQuery { query_interval: Duration::from_secs(125), ..IgmpQuery::specific(ROUTER, GROUP, &[]) };
    assert_eq!(router.transmit(), Some(expected.frame()));
    let sent = pass(&mut router, secs(110));
    assert_eq!(sent, [(secs(102), expected.frame())]);
    assert_eq!(router.view(GROUP), View::Include(set(&[])));
}

#[test]
fn an_answer_keeps_the_group_and_the_repetition_says_so() {
    let mut router = router();
    router.handle_frame(secs(100), &report(TO_EX, GROUP, &[]));
    router.handle_frame(secs(101), &report(TO_IN, GROUP, &[]));
    assert!(router.transmit().is_some());
    router.handle_frame(secs(101), &report(IS_EX, GROUP, &[]));
    let sent = pass(&mut router, secs(110));
    let expected = IgmpQuery { suppress: true, ..IgmpQuery::specific(ROUTER, GROUP, &[]) };
    assert_eq!(sent, [(secs(102), expected.frame())]);
    assert_eq!(router.view(GROUP), View::Exclude(set(&[])));
}

// RFC 9776 6.6.3.2: a blocked source is asked about, and then no longer wanted.
#[test]
fn a_blocked_source_is_asked_about_and_dropped() {
    let mut router = router();
    router.handle_frame(secs(100), &report(ALLOW, GROUP, &[1, 2]));
    assert_eq!(router.view(GROUP), View::Include(set(&[1, 2])));
    router.handle_frame(secs(101), &report(BLOCK, GROUP, &[2]));
    assert_eq!(router.transmit(), Some(IgmpQuery::specific(ROUTER, GROUP, &[s(2)]).frame()));
    assert_eq!(router.transmit(), None);
    assert_eq!(pass(&mut router, secs(110)).len(), 1);
    assert_eq!(router.view(GROUP), View::Include(set(&[1])));
    assert_eq!(router.reports().len(), 2);
    assert_eq!(router.reports()[1].1.records[0].kind, RecordKind::Block);
}

// RFC 4541 2.1.2: the link's own groups pass always, others for those who want them.
#[test]
fn only_what_somebody_wants_is_let_through() {
    use crate::sim::frames::UdpFrame;
    let mut router = router();
    router.handle_frame(secs(100), &report(ALLOW, GROUP, &[1]));
    let from = |source: &str, group: &str| UdpFrame::new(source, group, b"data").frame();
    assert!(router.lets_through(&from("198.18.1.1:9", "239.1.2.3:7")));
    assert!(!router.lets_through(&from("198.18.1.2:9", "239.1.2.3:7")));
    assert!(!router.lets_through(&from("198.18.1.1:9", "239.129.2.3:7")), "the same MAC, another group");
    assert!(router.lets_through(&from("198.18.1.1:9", "224.0.0.251:7")));
    assert!(router.lets_through(&from("198.18.1.1:9", "198.18.0.2:7")));
    assert!(router.lets_through(&[0; 5]));
}

// RFC 2236 3, 7: reports and leaves of eight bytes; and of version 3 an older router understands nothing.
#[test]
fn a_router_of_version_2_hears_version_2() {
    let mut router = Router::new(RouterOptions { version: 2, ..RouterOptions::new(ROUTER) }, Instant::ZERO);
    let query = sealed(vec![0x11, 100, 0, 0, 0, 0, 0, 0]);
    router.handle_timeout(Instant::ZERO);
    assert_eq!(router.transmit(), Some(igmp_frame(ROUTER, Ipv4Addr::new(224, 0, 0, 1), &query)));
    router.handle_timeout(secs(100));
    router.outbox.clear();
    router.handle_frame(secs(100), &report(TO_EX, GROUP, &[]));
    assert!(router.views().is_empty());
    let older =
        |kind: u8, to| igmp_frame(HOST, to, &sealed([&[kind, 0, 0, 0][..], &GROUP.octets()].concat()));
    router.handle_frame(secs(100), &older(0x16, GROUP));
    assert_eq!(router.view(GROUP), View::Exclude(set(&[])));
    router.handle_frame(secs(101), &older(0x17, Ipv4Addr::new(224, 0, 0, 2)));
    let asked = sealed([&[0x11, 10, 0, 0][..], &GROUP.octets()].concat());
    assert_eq!(router.transmit(), Some(igmp_frame(ROUTER, GROUP, &asked)));
    assert_eq!(pass(&mut router, secs(110)), [(secs(102), igmp_frame(ROUTER, GROUP, &asked))]);
    assert!(router.views().is_empty());
    router.set_version(secs(110), 1);
    router.handle_frame(secs(110), &older(0x16, GROUP));
    assert!(router.views().is_empty(), "version 1 does not know the type");
    router.handle_frame(secs(110), &older(0x12, GROUP));
    assert_eq!(router.view(GROUP), View::Exclude(set(&[])));
    assert_eq!((router.malformed().len(), router.older_messages().len()), (0, 4));
}

#[test]
fn what_is_malformed_is_kept_to_be_seen() {
    let mut router = router();
    let mut frame = report(TO_EX, GROUP, &[]);
    frame[44] ^= 1;
    router.handle_frame(secs(100), &frame);
    assert_eq!(router.malformed(), [("wrong IGMP checksum", frame)]);
    assert!(router.views().is_empty());
}

#[test]
fn a_silent_router_asks_nothing() {
    let mut router = Router::new(RouterOptions::new(ROUTER), Instant::ZERO);
    router.set_silent(true);
    assert!(pass(&mut router, secs(1000)).is_empty());
}
