//! Reassembly against the RFCs, with frames that the simulator's own code cut.

use super::*;
use core::net::Ipv4Addr;

use crate::rng::Rng;
use crate::sim::buf::{ROOM, SimBuf, SimPool};
use crate::sim::frames::fragment::{cut, cut_evenly, piece};
use crate::sim::frames::{Ethernet, Ipv4 as IpFrame, UdpFrame};
use crate::wire::ipv4::Ipv4;
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    timeout: Duration::from_secs(30),
    timeout6: Duration::from_secs(60),
    fragments: 256,
    fragments_per_source: 128,
};

fn at(s: u64) -> Instant {
    Instant::from_ns(1_000_000_000 * s)
}

/// The fragment in `frame`, which has its IP header at `l3`.
fn fragment_in(frame: &[u8], l3: u8, interface: InterfaceId) -> Option<Fragment> {
    Fragment::of(&Ipv4::parse(&frame[usize::from(l3)..]).ok()?, l3, interface)
}

struct Bench {
    reassembler: Reassembler<SimBuf>,
    pool: SimPool,
    /// Where what arrives lies: frames may be jumbos.
    wire: SimPool,
    now: Instant,
    /// Everything that was accounted for.
    sum: Account,
    drops: Vec<(DropReason, u32)>,
    arrived: u32,
    completed: u32,
}

impl Bench {
    fn new(limits: Limits) -> Self {
        let pool = SimPool::with_large(1024, ROOM, 2);
        let reassembler = Reassembler::new(limits, 7);
        let wire = SimPool::new(1024, 9100);
        Self {
            reassembler,
            pool,
            wire,
            now: at(5),
            sum: Account::default(),
            drops: Vec::new(),
            arrived: 0,
            completed: 0,
        }
    }

    /// A fragment arrives; the datagram that it completes.
    fn arrive(&mut self, frame: &[u8]) -> Option<SimBuf> {
        let fragment = fragment_in(frame, 14, InterfaceId(0)).expect("a fragment");
        let buf = self.wire.alloc_copy(frame).expect("a buffer");
        let (whole, account) = self.reassembler.insert(self.now, &fragment, buf, &self.pool);
        self.arrived += 1;
        self.completed += u32::from(whole.is_some());
        self.add(&account);
        whole
    }

    /// As `arrive`, of what ends in nothing but this drop of the one fragment.
    fn refuses(&mut self, frame: &[u8], why: DropReason) {
        let before = self.drops(why);
        assert!(self.arrive(frame).is_none());
        assert!(self.drops(why) > before, "{why}: {:?}", self.drops);
    }

    fn expire(&mut self) -> Vec<Expired<SimBuf>> {
        let now = self.now;
        let mut all = Vec::new();
        while let Some(expired) = self.reassembler.expire(now) {
            self.add(&expired.account);
            all.push(expired);
        }
        all
    }

    /// Adds up, and checks that nothing is lost: DESIGN 3.
    fn add(&mut self, account: &Account) {
        self.sum.held += account.held;
        self.sum.released += account.released;
        self.sum.merged += account.merged;
        self.sum.allocated += account.allocated;
        for (why, count) in &account.drops {
            match self.drops.iter_mut().find(|d| d.0 == *why) {
                Some(sum) => sum.1 += count,
                None => self.drops.push((*why, *count)),
            }
        }
        assert_eq!(
            self.arrived + self.sum.released + self.sum.allocated,
            self.sum.held + self.sum.merged + self.completed + self.drops.iter().map(|d| d.1).sum::<u32>(),
            "{:?}",
            self.sum
        );
        assert_eq!(self.sum.held - self.sum.released, u32::try_from(self.reassembler.held()).unwrap());
    }

    /// Ordinary buffers that are out.
    fn out(&self) -> usize {
        self.pool.outstanding() + self.wire.outstanding()
    }

    fn drops(&self, why: DropReason) -> u32 {
        self.drops.iter().find(|d| d.0 == why).map_or(0, |d| d.1)
    }
}

fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from(i * 7 % 251).unwrap()).collect()
}

fn udp(len: usize) -> UdpFrame {
    UdpFrame::new("198.18.0.1:40000", "198.18.0.2:7", &payload(len))
}

/// The whole frame in `buf`, its body put behind its headers.
fn flat(buf: &SimBuf) -> Vec<u8> {
    match buf.body() {
        None => buf.data().to_vec(),
        Some(body) => {
            let header_len = 14 + 4 * usize::from(buf.data()[14] & 0x0f);
            assert_eq!(buf.data().len(), header_len);
            [&buf.data()[..header_len], body].concat()
        }
    }
}

fn assert_is(buf: &SimBuf, frame: &UdpFrame) {
    let mut flat = flat(buf);
    flat.resize(flat.len().max(60), 0);
    assert_eq!(UdpFrame::read(&flat).as_ref(), Ok(frame));
}

// F02, RFC 815: any order.
#[test]
fn fragments_make_their_datagram_in_any_order() {
    let frame = udp(3000);
    let fragments = cut(&frame.frame(), 9, &[1480, 2960]);
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut bench = Bench::new(LIMITS);
        assert!(bench.arrive(&fragments[order[0]]).is_none());
        assert!(bench.arrive(&fragments[order[1]]).is_none());
        let whole = bench.arrive(&fragments[order[2]]).expect("the datagram");
        assert_is(&whole, &frame);
        assert_eq!((bench.reassembler.held(), bench.reassembler.pending()), (0, 0));
        drop(whole);
        assert_eq!((bench.out(), bench.pool.outstanding_large()), (0, 0));
    }
}

// F10, RFC 1122 3.3.2: all that IPv4 can carry. 65,507 bytes of UDP arrive in 45 fragments.
#[test]
fn a_datagram_of_65507_bytes_arrives_in_45_fragments() {
    let frame = udp(65_507);
    let mut bench = Bench::new(LIMITS);
    let mut fragments = cut_evenly(&frame.frame(), 9, 1480);
    assert_eq!(fragments.len(), 45);
    let last = fragments.pop().unwrap();
    fragments.iter().for_each(|fragment| assert!(bench.arrive(fragment).is_none()));
    let whole = bench.arrive(&last).expect("the datagram");
    assert_eq!(whole.body().map(<[u8]>::len), Some(65_515));
    assert_is(&whole, &frame);
    assert_eq!((bench.out(), bench.pool.outstanding_large()), (1, 1));
}

// F10: as many fragments as the limits say, far more than an mbuf chain has segments.
#[test]
fn the_number_of_fragments_is_limited_by_configuration_alone() {
    let limits = Limits { fragments: 700, fragments_per_source: 700, ..LIMITS };
    let frame = udp(5000);
    let mut bench = Bench::new(limits);
    let fragments = cut_evenly(&frame.frame(), 9, 8);
    assert_eq!(fragments.len(), 626);
    let whole: Vec<SimBuf> = fragments.iter().filter_map(|fragment| bench.arrive(fragment)).collect();
    assert_is(&whole[0], &frame);
}

// F14, RFC 791: eight bytes are a legal first fragment.
#[test]
fn a_first_fragment_of_eight_bytes_is_legal() {
    let frame = udp(100);
    let mut bench = Bench::new(LIMITS);
    let fragments = cut(&frame.frame(), 9, &[8]);
    assert!(bench.arrive(&fragments[0]).is_none());
    assert_is(&bench.arrive(&fragments[1]).unwrap(), &frame);
}

// F01, RFC 791 3.2: source, destination, protocol, identification, and the interface.
#[test]
fn fragments_of_different_datagrams_are_never_mixed() {
    let frame = udp(100).frame();
    let [first, last] = cut(&frame, 9, &[64]).try_into().unwrap();
    let ip = |change: &dyn Fn(&mut IpFrame)| {
        let (ethernet, packet) = Ethernet::read(&last).unwrap();
        let (mut ip, payload, _) = IpFrame::read(packet).unwrap();
        change(&mut ip);
        ethernet.frame(&ip.packet(payload))
    };
    let mut bench = Bench::new(LIMITS);
    assert!(bench.arrive(&first).is_none());
    assert!(bench.arrive(&ip(&|ip| ip.id = 10)).is_none());
    assert!(bench.arrive(&ip(&|ip| ip.protocol = 1)).is_none());
    assert!(bench.arrive(&ip(&|ip| ip.source = Ipv4Addr::new(198, 18, 0, 9))).is_none());
    assert!(bench.arrive(&ip(&|ip| ip.destination = Ipv4Addr::new(198, 18, 0, 3))).is_none());
    let elsewhere = fragment_in(&last, 14, InterfaceId(1)).unwrap();
    let buf = bench.pool.alloc_copy(&last).unwrap();
    bench.arrived += 1;
    let (whole, account) = bench.reassembler.insert(bench.now, &elsewhere, buf, &bench.pool.clone());
    bench.add(&account);
    assert!(whole.is_none());
    assert_eq!(bench.reassembler.pending(), 6);
    assert!(bench.arrive(&last).is_some());
}

// F02, F04: what is there already is dropped, and the datagram goes on. As Linux.
#[test]
fn duplicates_and_fragments_inside_what_is_there_are_tolerated() {
    let frame = udp(1000);
    let fragments = cut(&frame.frame(), 9, &[160, 320, 640]);
    let inside = cut(&frame.frame(), 9, &[80, 120])[1].clone();
    let across = cut(&frame.frame(), 9, &[80, 240])[1].clone();
    let mut bench = Bench::new(LIMITS);
    for fragment in &fragments[..3] {
        bench.arrive(fragment);
        bench.refuses(fragment, DropReason::FragmentDuplicate);
    }
    bench.refuses(&inside, DropReason::FragmentDuplicate);
    bench.refuses(&across, DropReason::FragmentDuplicate);
    assert_is(&bench.arrive(&fragments[3]).unwrap(), &frame);
    assert_eq!(bench.drops(DropReason::FragmentDuplicate), 5);
}

// F03, RFC 5722 3: an overlap with new bytes ends the datagram, for what is held, what is at hand and what is to come.
#[test]
fn an_overlap_drops_the_whole_datagram_and_the_rest_of_it() {
    let frame = udp(1000);
    let fragments = cut(&frame.frame(), 9, &[160, 320]);
    let overlapping = cut(&frame.frame(), 9, &[152, 328])[1].clone();
    for order in [[&fragments[0], &fragments[1], &overlapping], [&overlapping, &fragments[0], &fragments[1]]]
    {
        let mut bench = Bench::new(LIMITS);
        order.iter().for_each(|fragment| assert!(bench.arrive(fragment).is_none()));
        assert_eq!((bench.drops(DropReason::FragmentOverlap), bench.reassembler.held()), (3, 0));
        // What was to come, and all of it once more.
        bench.refuses(&fragments[2], DropReason::FragmentOverlap);
        fragments.iter().for_each(|fragment| bench.refuses(fragment, DropReason::FragmentOverlap));
        // Until its time is over: then the identification is free for another.
        bench.now += LIMITS.timeout;
        let expired = bench.expire();
        assert_eq!((expired.len(), expired[0].first.is_none()), (1, true), "nothing is told of it");
        bench.arrive(&fragments[0]);
        bench.arrive(&fragments[1]);
        assert_is(&bench.arrive(&fragments[2]).unwrap(), &frame);
    }
}

/// A fragment of the usual two stations.
fn raw(start: usize, bytes: &[u8], total: usize) -> Vec<u8> {
    let frame = udp(1).frame();
    let (ethernet, packet) = Ethernet::read(&frame).unwrap();
    let ip = IpFrame { id: 9, ..IpFrame::read(packet).unwrap().0 };
    piece(&ethernet, &ip, start, bytes, total)
}

// F05, RFC 791 3.2: discard the fragment; its datagram waits on.
#[test]
fn a_fragment_that_is_not_the_last_has_a_multiple_of_eight_bytes() {
    let mut bench = Bench::new(LIMITS);
    let frame = udp(100);
    let fragments = cut(&frame.frame(), 9, &[64]);
    bench.refuses(&raw(0, &[0; 20], 100), DropReason::FragmentMisaligned);
    assert_eq!(bench.reassembler.pending(), 0);
    bench.arrive(&fragments[0]);
    bench.refuses(&raw(64, &[0; 20], 108), DropReason::FragmentMisaligned);
    assert_is(&bench.arrive(&fragments[1]).unwrap(), &frame);
}

// F06, ping of death.
#[test]
fn a_datagram_has_no_more_than_65535_bytes() {
    let mut bench = Bench::new(LIMITS);
    bench.refuses(&raw(8191 * 8, &[0; 64], 8191 * 8 + 64), DropReason::FragmentTooFar);
    bench.refuses(&raw(8191 * 8, &[0; 8], usize::MAX), DropReason::FragmentTooFar);
    bench.refuses(&raw(65_512, &[0; 4], 65_516), DropReason::FragmentTooFar);
    assert_eq!(bench.reassembler.pending(), 0);
    // It may end at 65,515, but not behind a header of 24 bytes.
    let (ethernet, packet) = (Ethernet::read(&udp(1).frame()).unwrap().0, payload(65_515));
    let ip = IpFrame {
        id: 9,
        options: vec![1; 4],
        ..IpFrame::new([198, 18, 0, 1].into(), [198, 18, 0, 2].into(), 17)
    };
    let fragments =
        packet.chunks(1480).enumerate().map(|(n, bytes)| piece(&ethernet, &ip, n * 1480, bytes, 65_515));
    fragments.for_each(|fragment| assert!(bench.arrive(&fragment).is_none()));
    assert_eq!(bench.drops(DropReason::FragmentTooFar), 3 + 45);
}

// F07: as Linux.
#[test]
fn two_ends_are_none() {
    for (one, other) in [
        (raw(64, &[0; 10], 74), raw(64, &[0; 12], 76)),
        (raw(64, &[0; 16], 80), raw(72, &[0; 10], 82)),
        // The end, and something behind it that is not the end.
        (raw(64, &[0; 10], 74), raw(80, &[0; 8], 100)),
        // Something, and the end before it.
        (raw(80, &[0; 8], 100), raw(64, &[0; 10], 74)),
    ] {
        let mut bench = Bench::new(LIMITS);
        assert!(bench.arrive(&one).is_none());
        bench.refuses(&other, DropReason::FragmentEndConflict);
        bench.refuses(&raw(0, &[0; 64], 74), DropReason::FragmentEndConflict);
        assert_eq!(bench.drops(DropReason::FragmentEndConflict), 3);
    }
}

// F08: no progress, no loop; as Linux, the datagram is given up.
#[test]
fn a_fragment_of_nothing_ends_its_datagram() {
    for nothing in [raw(64, &[], 64), raw(64, &[], 100), raw(0, &[], 100)] {
        let mut bench = Bench::new(LIMITS);
        bench.arrive(&raw(0, &[0; 64], 100));
        bench.refuses(&nothing, DropReason::FragmentEmpty);
        bench.refuses(&raw(64, &[0; 36], 100), DropReason::FragmentEmpty);
        assert_eq!((bench.drops(DropReason::FragmentEmpty), bench.reassembler.held()), (3, 0));
        let mut bench = Bench::new(LIMITS);
        bench.refuses(&nothing, DropReason::FragmentEmpty);
        bench.refuses(&raw(0, &[0; 64], 100), DropReason::FragmentEmpty);
    }
}

// F09, RFC 1122 3.3.2: from the first arrival, whatever comes later; the first fragment comes out for the ICMP error.
#[test]
fn the_time_runs_from_the_first_arrival() {
    let mut bench = Bench::new(LIMITS);
    assert_eq!(bench.reassembler.poll_timeout(), None);
    bench.arrive(&raw(0, &[7; 64], 200));
    bench.now = at(5 + 29);
    bench.arrive(&raw(64, &[0; 64], 200));
    assert_eq!(bench.reassembler.poll_timeout(), Some(at(35)));
    assert!(bench.expire().is_empty());
    bench.now = at(35);
    let expired = bench.expire();
    assert_eq!(expired.len(), 1);
    assert_eq!(expired[0].first.as_ref().map(PacketBuf::data), Some(&raw(0, &[7; 64], 200)[..]));
    assert_eq!((expired[0].l3, expired[0].account.released), (14, 2));
    assert_eq!(bench.drops(DropReason::FragmentTimeout), 2);
    drop(expired);
    assert_eq!((bench.out(), bench.reassembler.poll_timeout()), (0, None));
}

// F09, RFC 792: without the first fragment, nobody is told.
#[test]
fn without_its_first_fragment_a_datagram_ends_in_silence() {
    let mut bench = Bench::new(LIMITS);
    bench.arrive(&raw(64, &[0; 64], 200));
    bench.arrive(&raw(128, &[0; 72], 200));
    bench.now = at(60);
    let expired = bench.expire();
    assert!(expired.len() == 1 && expired[0].first.is_none());
    assert_eq!(bench.out(), 0);
}

fn first_of(source: u32, id: u16) -> Vec<u8> {
    let ip = IpFrame { id, ..IpFrame::new(source.into(), [198, 18, 0, 2].into(), 17) };
    piece(&Ethernet::read(&udp(1).frame()).unwrap().0, &ip, 0, &[0; 64], 1000)
}

// F11, CVE-2018-5391: a million first fragments from anywhere hold no more than the limit, and end the oldest.
#[test]
fn a_flood_from_many_sources_holds_no_more_than_the_limit() {
    let mut bench = Bench::new(LIMITS);
    let frame = udp(100);
    let fragments = cut(&frame.frame(), 9, &[64]);
    for round in 0..1000u32 {
        for n in 0..100 {
            bench.arrive(&first_of(0x0a00_0000 + round * 100 + n, 1));
        }
        // Whoever is quick enough is served all the same.
        bench.arrive(&fragments[0]);
        assert_is(&bench.arrive(&fragments[1]).unwrap(), &frame);
    }
    let held = bench.reassembler.held();
    assert!((250..=256).contains(&held), "{held}");
    assert_eq!(bench.drops(DropReason::FragmentsTooMany), 100_000 - u32::try_from(held).unwrap());
}

// F11: who has more than his share spends his own.
#[test]
fn a_flood_from_one_source_evicts_its_own() {
    let mut bench = Bench::new(LIMITS);
    let frame = udp(100);
    let fragments = cut(&frame.frame(), 9, &[64]);
    bench.arrive(&fragments[0]);
    (0..5000).for_each(|id| drop(bench.arrive(&first_of(0x0a00_0001, id))));
    assert_eq!(bench.drops(DropReason::FragmentsOfSource), 5000 - 128);
    assert_eq!(bench.reassembler.held(), 128 + 1);
    assert_is(&bench.arrive(&fragments[1]).unwrap(), &frame);
}

// F11: one datagram of more fragments than a source may have never becomes whole, and does not come in turns.
#[test]
fn a_datagram_larger_than_its_sources_share_is_given_up() {
    let mut bench = Bench::new(Limits { fragments_per_source: 5, ..LIMITS });
    let fragments = cut_evenly(&udp(1000).frame(), 9, 104);
    fragments.iter().for_each(|fragment| assert!(bench.arrive(fragment).is_none()));
    assert_eq!((bench.drops(DropReason::FragmentsOfSource), bench.reassembler.pending()), (10, 1));
    // So is one that alone fills everything.
    let mut bench = Bench::new(Limits { fragments: 5, ..LIMITS });
    fragments.iter().for_each(|fragment| assert!(bench.arrive(fragment).is_none()));
    assert_eq!(bench.reassembler.held(), 0);
}

// F11: refused datagrams that are remembered count, too.
#[test]
fn what_is_remembered_of_refused_datagrams_is_limited() {
    let mut bench = Bench::new(Limits { fragments: 20, fragments_per_source: 10, ..LIMITS });
    for id in 0..1000u16 {
        for source in [1, 2, 3] {
            bench.arrive(&first_of(0x0a00_0000 + source, id));
            let frame = first_of(0x0a00_0000 + source, id);
            let (ethernet, packet) = Ethernet::read(&frame).unwrap();
            let ip = IpFrame::read(packet).unwrap().0;
            bench.refuses(&piece(&ethernet, &ip, 56, &[0; 16], 1000), DropReason::FragmentOverlap);
        }
        assert!(bench.reassembler.pending() <= 20 && bench.reassembler.held() == 0);
    }
    bench.now = at(100);
    bench.expire();
    assert_eq!((bench.reassembler.pending(), bench.out()), (0, 0));
}

// F11: the limit may be none at all.
#[test]
fn a_limit_of_0_refuses_every_fragment() {
    let mut bench = Bench::new(Limits { fragments: 0, fragments_per_source: 0, ..LIMITS });
    bench.refuses(&first_of(0x0a00_0001, 1), DropReason::FragmentsTooMany);
    bench.refuses(&first_of(0x0a00_0001, 1), DropReason::FragmentsTooMany);
    assert_eq!((bench.reassembler.pending(), bench.out()), (0, 0));
}

// F15, RFC 3168 5.3.
#[test]
fn congestion_that_one_fragment_met_is_told_of_the_whole() {
    let frame = udp(100);
    let with = |tos: [u8; 2]| {
        let mut bench = Bench::new(LIMITS);
        let fragments = tos.map(|tos| UdpFrame { tos, ..frame.clone() }.frame());
        bench.arrive(&cut(&fragments[0], 9, &[64])[0]);
        let whole = bench.arrive(&cut(&fragments[1], 9, &[64])[1]);
        whole.map(|whole| flat(&whole)[15]).ok_or_else(|| bench.drops(DropReason::FragmentEcn))
    };
    assert_eq!(with([0xb8, 0xb8]), Ok(0xb8));
    assert_eq!(with([0xba, 0xbb]), Ok(0xbb));
    assert_eq!(with([0xbb, 0xba]), Ok(0xbb));
    assert_eq!(with([0xba, 0xb9]), Ok(0xba));
    assert_eq!(with([0xb8, 0xbb]), Err(2));
    assert_eq!(with([0xbb, 0xb8]), Err(2));
}

// RFC 791 3.2: the header of the whole is the first fragment's; its options are kept.
#[test]
fn the_options_of_the_first_fragment_survive() {
    let frame = UdpFrame { options: vec![0x94, 4, 0, 0, 1, 1, 1, 0], ttl: 9, ..udp(100) };
    let mut bench = Bench::new(LIMITS);
    let fragments = cut(&frame.frame(), 9, &[64]);
    bench.arrive(&fragments[1]);
    assert_is(&bench.arrive(&fragments[0]).unwrap(), &frame);
}

// E12: a tag that the device took off is in the frame again, for no device says so of the whole.
#[test]
fn a_stripped_tag_is_put_back() {
    let frame = udp(100);
    let mut bench = Bench::new(LIMITS);
    let fragments = cut(&frame.frame(), 9, &[64]);
    let meta = crate::io::RxMeta { stripped_tci: Some(0x2064), ..crate::io::RxMeta::default() };
    let mut whole = None;
    for fragment in &fragments {
        let mut buf = bench.pool.alloc_copy(fragment).unwrap();
        buf.set_rx_meta(meta);
        let of = fragment_in(fragment, 14, InterfaceId(0)).unwrap();
        whole = bench.reassembler.insert(bench.now, &of, buf, &bench.pool.clone()).0;
    }
    let whole = whole.unwrap();
    assert_eq!(whole.rx_meta(), crate::io::RxMeta::default());
    let mut bytes = whole.data().to_vec();
    bytes.resize(bytes.len().max(60), 0);
    assert_eq!(UdpFrame::read(&bytes), Ok(UdpFrame { tci: Some(0x2064), ..frame }));
}

// An empty pool costs the datagram, not the balance.
#[test]
fn without_a_buffer_the_datagram_is_lost_and_counted() {
    let mut bench = Bench::new(LIMITS);
    let large = udp(5000);
    let fragments = cut_evenly(&large.frame(), 9, 1480);
    let both = [bench.pool.alloc_large().unwrap(), bench.pool.alloc_large().unwrap()];
    fragments.iter().for_each(|fragment| assert!(bench.arrive(fragment).is_none()));
    assert_eq!((bench.drops(DropReason::NoBuffer), bench.out()), (4, 0));
    drop(both);
    let whole: Vec<SimBuf> = fragments.iter().filter_map(|fragment| bench.arrive(fragment)).collect();
    assert_is(&whole[0], &large);
}

// F17: the same for every fragment and on every worker, and spread over all of them.
#[test]
fn each_datagram_has_one_owner() {
    let mut counts = [0; 5];
    for id in 0..5000 {
        let key = fragment_in(&first_of(0x0a00_0001, id), 14, InterfaceId(0)).unwrap().key;
        counts[key.owner(99, 5)] += 1;
    }
    assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
}

/// Where a payload of `len` bytes is cut.
fn ends(len: usize, cuts: &[usize]) -> Vec<usize> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut * 8).filter(|end| *end > 0 && *end < len).collect();
    ends.sort_unstable();
    ends.dedup();
    ends
}

proptest! {
    /// F02, F04: any cuts, any order, anything twice: the datagram, once.
    #[test]
    fn any_cuts_in_any_order_with_duplicates_make_the_datagram(
        len in 20usize..9000,
        cuts in proptest::collection::vec(0usize..1125, 1..40),
        seed: u64,
    ) {
        let frame = udp(len);
        let ends = ends(len + 8, &cuts);
        prop_assume!(!ends.is_empty());
        let mut fragments = cut(&frame.frame(), 9, &ends);
        let mut rng = Rng::new(seed);
        let n = fragments.len();
        for _ in 0..rng.below(5) {
            let again = usize::try_from(rng.below(n as u64)).unwrap();
            fragments.push(fragments[again].clone());
        }
        for i in (1..fragments.len()).rev() {
            fragments.swap(i, usize::try_from(rng.below(i as u64 + 1)).unwrap());
        }
        let mut bench = Bench::new(LIMITS);
        let whole: Vec<SimBuf> = fragments.iter().filter_map(|f| bench.arrive(f)).collect();
        // What is repeated after the end begins a datagram that nobody finishes, unless all of it is.
        prop_assert!(!whole.is_empty());
        assert_is(&whole[0], &frame);
    }

    /// F03: if two fragments overlap, whatever else there is, there is no datagram: in any order in which not all of
    /// the honest ones come first.
    #[test]
    fn an_overlap_makes_nothing(
        len in 200usize..5000,
        cuts in proptest::collection::vec(0usize..625, 1..20),
        seed: u64,
    ) {
        let frame = udp(len);
        let ends = ends(len + 8, &cuts);
        prop_assume!(!ends.is_empty());
        let mut rng = Rng::new(seed);
        let honest = cut(&frame.frame(), 9, &ends);
        let pick = |rng: &mut Rng, n: usize| usize::try_from(rng.below(n as u64)).unwrap();
        // Across one of the cuts, by eight bytes on both sides, of neighbours that are longer than these.
        let which = pick(&mut rng, ends.len());
        let at = |n: usize| if n == 0 { 0 } else { ends.get(n - 1).copied().unwrap_or(len + 8) };
        prop_assume!(at(which + 1) - at(which) >= 16 && at(which + 2) - at(which + 1) >= 16);
        let across = ends[which];
        let evil = raw(across - 8, &[0xee; 16], if across + 8 == len + 8 { len + 9 } else { len + 8 });
        let mut fragments = honest;
        // One of the two neighbours comes after it: else it would be a duplicate and no overlap (F04).
        let held_back = fragments.remove(which + pick(&mut rng, 2));
        for i in (1..fragments.len()).rev() {
            fragments.swap(i, pick(&mut rng, i + 1));
        }
        fragments.insert(pick(&mut rng, fragments.len() + 1), evil);
        fragments.push(held_back);
        let mut bench = Bench::new(LIMITS);
        prop_assert!(fragments.iter().all(|f| bench.arrive(f).is_none()));
        prop_assert_eq!(bench.reassembler.held(), 0);
        prop_assert_eq!(bench.drops(DropReason::FragmentOverlap), u32::try_from(fragments.len()).unwrap());
    }

    /// Whatever comes, nothing is lost, no limit is passed, and at the end nothing is held.
    #[test]
    fn anything_is_accounted_for(
        pieces in proptest::collection::vec((0u32..4, 0u16..4, 0usize..40, 0usize..80, any::<bool>(), 0u64..3), 1..200),
    ) {
        let limits = Limits { fragments: 12, fragments_per_source: 5, timeout: Duration::from_secs(10), ..LIMITS };
        let mut bench = Bench::new(limits);
        let ethernet = Ethernet::read(&udp(1).frame()).unwrap().0;
        for (source, id, unit, len, more, passes) in pieces {
            bench.now += Duration::from_secs(passes);
            let ip = IpFrame { id, ..IpFrame::new((0x0a00_0001 + source).into(), [198, 18, 0, 2].into(), 17) };
            let total = if more { usize::MAX } else { unit * 8 + len };
            let frame = piece(&ethernet, &ip, unit * 8, &vec![0; len], total);
            if fragment_in(&frame, 14, InterfaceId(0)).is_some() {
                drop(bench.arrive(&frame));
            }
            prop_assert!(bench.reassembler.held() <= 12);
            bench.expire();
            prop_assert_eq!(bench.out(), bench.reassembler.held());
        }
        bench.now = at(1_000_000);
        bench.expire();
        prop_assert_eq!((bench.out(), bench.reassembler.pending()), (0, 0));
        prop_assert!(bench.reassembler.by_key.is_empty() && bench.reassembler.sources.is_empty());
        prop_assert_eq!(bench.reassembler.load, 0);
    }
}
