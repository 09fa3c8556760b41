//! Anything, in any order, against a model that knows no more than the rules.

use super::*;
use crate::rng::Rng;
use proptest::prelude::*;

/// Where a payload of `len` bytes is cut.
fn ends(len: usize, cuts: &[usize]) -> Vec<usize> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut * 8).filter(|end| *end > 0 && *end < len).collect();
    ends.sort_unstable();
    ends.dedup();
    ends
}

fn pick(rng: &mut Rng, n: usize) -> usize {
    usize::try_from(rng.below(n as u64)).unwrap()
}

fn shuffle<T>(items: &mut [T], rng: &mut Rng) {
    (1..items.len()).rev().for_each(|i| items.swap(i, pick(rng, i + 1)));
}

fn any_ip() -> impl Strategy<Value = Ip> {
    prop_oneof![Just(V4), Just(V6)]
}

/// A datagram as the rules see it.
struct Model {
    ip: Ip,
    born: Instant,
    /// From, to, whether more follows, and the bytes.
    pieces: Vec<(usize, usize, bool, Vec<u8>)>,
    refused: Option<DropReason>,
}

impl Model {
    fn new(ip: Ip, born: Instant) -> Self {
        Self { ip, born, pieces: Vec::new(), refused: None }
    }

    fn end(&self) -> Option<usize> {
        self.pieces.iter().find(|piece| !piece.2).map(|piece| piece.1)
    }

    /// Whether the eight bytes from `unit * 8` on are there.
    fn has(&self, unit: usize) -> bool {
        self.pieces.iter().any(|piece| (piece.0 / 8..piece.1.div_ceil(8)).contains(&unit))
    }

    /// What becomes of the piece: the whole, if it completes it.
    fn arrive(&mut self, start: usize, bytes: &[u8], more: bool) -> Result<Option<Vec<u8>>, DropReason> {
        let end = start + bytes.len();
        if let Some(why) = self.refused {
            return Err(why);
        }
        let high = self.pieces.iter().map(|piece| piece.1).max().unwrap_or(0);
        let conflict = match self.end() {
            Some(known) if more => end > known,
            Some(known) => end != known,
            None => !more && end < high,
        };
        let there = (start / 8..end.div_ceil(8)).filter(|unit| self.has(*unit)).count();
        let same = self.pieces.iter().any(|piece| (piece.0, piece.1, piece.2) == (start, end, more));
        let all = there > 0 && there == end.div_ceil(8) - start / 8;
        let why = match () {
            () if bytes.is_empty() => DropReason::FragmentEmpty,
            () if conflict => DropReason::FragmentEndConflict,
            () if same || self.ip == V4 && all => return Err(DropReason::FragmentDuplicate),
            () if there > 0 => DropReason::FragmentOverlap,
            () => {
                self.pieces.push((start, end, more, bytes.to_vec()));
                self.pieces.sort();
                let sum: usize = self.pieces.iter().map(|piece| piece.3.len()).sum();
                let whole = || self.pieces.iter().flat_map(|piece| piece.3.clone()).collect();
                return Ok((self.end() == Some(sum)).then(whole));
            }
        };
        self.refused = Some(why);
        self.pieces.clear();
        Err(why)
    }
}

/// What arrives: of which family and datagram; honest pieces by their number, or any; the time that passes before.
#[derive(Clone, Debug)]
struct Arrival {
    ip: Ip,
    id: u16,
    start: usize,
    len: usize,
    more: bool,
    passes: u64,
}

fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    let honest = (0usize..4).prop_map(|n| (n * 32, if n == 3 { 29 } else { 32 }, n != 3));
    let any = (0usize..16, 0usize..9, any::<bool>(), 0usize..8)
        .prop_map(|(unit, units, more, odd)| (unit * 8, units * 8 + if more { 0 } else { odd }, more));
    let piece = prop_oneof![12 => honest, 1 => any];
    let arrival = (any_ip(), 0u16..3, piece, prop_oneof![9 => Just(0), 1 => 0u64..40]);
    let arrival =
        arrival.prop_map(|(ip, id, (start, len, more), passes)| Arrival { ip, id, start, len, more, passes });
    proptest::collection::vec(arrival, 1..120)
}

proptest! {
    /// F02 to F09, W02, W03, W07, W08: every fragment has the outcome that the rules give it, every datagram the bytes that
    /// came first, and its end; and nothing is lost.
    #[test]
    fn every_arrival_has_the_outcome_of_the_rules(arrivals in arrivals()) {
        let mut bench = Bench::new(LIMITS);
        let mut models: Vec<((Ip, u16), Model)> = Vec::new();
        for (n, Arrival { ip, id, start, len, more, passes }) in arrivals.into_iter().enumerate() {
            bench.now += Duration::from_secs(passes);
            let over = |model: &Model| model.born + model.ip.timeout() <= bench.now;
            let expected = models.iter().filter(|(_, model)| over(model)).count();
            let told = models.iter().filter(|(_, m)| over(m) && m.pieces.iter().any(|p| p.0 == 0)).count();
            models.retain(|(_, model)| !over(model));
            let expired = bench.expire();
            prop_assert_eq!(expired.len(), expected);
            prop_assert_eq!(expired.iter().filter(|e| e.first.is_some()).count(), told);
            drop(expired);

            let bytes: Vec<u8> = (0..len).map(|i| u8::try_from((n * 31 + i) % 251).unwrap()).collect();
            let total = if more { usize::MAX } else { start + len };
            let frame = ip.of_source(u32::from(id) + 1, id, (start, &bytes, total));
            // What is whole by itself, or (W06) begins without a header, is not looked at here.
            if fragment_in(&frame, 14, InterfaceId(0)).is_none() {
                continue;
            }
            let at = models.iter().position(|(key, _)| *key == (ip, id)).unwrap_or_else(|| {
                models.push(((ip, id), Model::new(ip, bench.now)));
                models.len() - 1
            });
            let outcome = models[at].1.arrive(start, &bytes, more);
            let before = outcome.as_ref().err().map(|why| bench.drops(*why));
            let whole = bench.arrive(&frame).map(|whole| flat(&whole));
            let ip_payload = |flat: Vec<u8>| flat[14 + if ip == V4 { 20 } else { 40 }..].to_vec();
            match outcome {
                Ok(Some(bytes)) => {
                    prop_assert_eq!(whole.map(ip_payload), Some(bytes));
                    models.remove(at);
                }
                Ok(None) => prop_assert_eq!(whole, None),
                Err(why) => {
                    prop_assert_eq!(whole, None);
                    prop_assert!(Some(bench.drops(why)) > before, "{}", why);
                }
            }
            let held: usize = models.iter().map(|(_, model)| model.pieces.len()).sum();
            prop_assert_eq!((bench.reassembler.held(), bench.reassembler.pending()), (held, models.len()));
            prop_assert_eq!(bench.out(), held);
        }
    }

    /// F02, F04, W03: any cuts, any order, anything twice: the datagram, once.
    #[test]
    fn any_cuts_in_any_order_with_duplicates_make_the_datagram(
        ip in any_ip(),
        len in 20usize..9000,
        cuts in proptest::collection::vec(0usize..1125, 1..40),
        seed: u64,
    ) {
        let frame = ip.udp(len);
        let ends = ends(len + 8, &cuts);
        prop_assume!(!ends.is_empty());
        let mut fragments = ip.cut(&frame, &ends);
        let mut rng = Rng::new(seed);
        let n = fragments.len();
        for _ in 0..rng.below(5) {
            fragments.push(fragments[pick(&mut rng, n)].clone());
        }
        shuffle(&mut fragments, &mut rng);
        let mut bench = Bench::new(LIMITS);
        let whole: Vec<SimBuf> = fragments.iter().filter_map(|f| bench.arrive(f)).collect();
        // What is repeated after the end begins a datagram that nobody finishes, unless all of it is.
        prop_assert!(!whole.is_empty());
        assert_is(ip, &whole[0], &frame);
    }

    /// F09, W07: if anything is lost, there is no datagram, and everything is given up in time.
    #[test]
    fn a_loss_makes_nothing(
        ip in any_ip(),
        len in 20usize..9000,
        cuts in proptest::collection::vec(0usize..1125, 1..40),
        seed: u64,
    ) {
        let ends = ends(len + 8, &cuts);
        prop_assume!(!ends.is_empty());
        let mut fragments = ip.cut(&ip.udp(len), &ends);
        let mut rng = Rng::new(seed);
        shuffle(&mut fragments, &mut rng);
        let lost = fragments.pop().unwrap();
        let has_first = fragment_in(&lost, 14, InterfaceId(0)).unwrap().offset != 0;
        let mut bench = Bench::new(LIMITS);
        prop_assert!(fragments.iter().all(|f| bench.arrive(f).is_none()));
        bench.now += ip.timeout();
        let expired = bench.expire();
        prop_assert_eq!(expired.iter().map(|e| e.first.is_some()).collect::<Vec<_>>(), [has_first]);
        prop_assert_eq!(bench.drops(DropReason::FragmentTimeout), u32::try_from(fragments.len()).unwrap());
    }

    /// F03, W02: if two fragments overlap, whatever else there is, there is no datagram: in any order in which not all of
    /// the honest ones come first.
    #[test]
    fn an_overlap_makes_nothing(
        ip in any_ip(),
        len in 200usize..5000,
        cuts in proptest::collection::vec(0usize..625, 1..20),
        seed: u64,
    ) {
        let ends = ends(len + 8, &cuts);
        prop_assume!(!ends.is_empty());
        let mut rng = Rng::new(seed);
        let mut fragments = ip.cut(&ip.udp(len), &ends);
        // Across one of the cuts, by eight bytes on both sides, of neighbours that are longer than these.
        let which = pick(&mut rng, ends.len());
        let at = |n: usize| if n == 0 { 0 } else { ends.get(n - 1).copied().unwrap_or(len + 8) };
        prop_assume!(at(which + 1) - at(which) >= 16 && at(which + 2) - at(which + 1) >= 16);
        let across = ends[which];
        let evil = ip.raw(across - 8, &[0xee; 16], if across + 8 == len + 8 { len + 9 } else { len + 8 });
        // One of the two neighbours comes after it: else it would be a duplicate and no overlap (F04).
        let held_back = fragments.remove(which + pick(&mut rng, 2));
        shuffle(&mut fragments, &mut rng);
        fragments.insert(pick(&mut rng, fragments.len() + 1), evil);
        fragments.push(held_back);
        let mut bench = Bench::new(LIMITS);
        prop_assert!(fragments.iter().all(|f| bench.arrive(f).is_none()));
        prop_assert_eq!(bench.reassembler.held(), 0);
        prop_assert_eq!(bench.drops(DropReason::FragmentOverlap), u32::try_from(fragments.len()).unwrap());
    }

    /// F11, W11: whatever comes, nothing is lost, no limit is passed, and at the end nothing is held.
    #[test]
    fn anything_is_accounted_for(
        pieces in proptest::collection::vec(
            (any_ip(), 0u32..4, 0u16..4, 0usize..40, 0usize..80, any::<bool>(), 0u64..3),
            1..200,
        ),
    ) {
        let short = Duration::from_secs(10);
        let limits = Limits { fragments: 12, fragments_per_source: 5, timeout: short, timeout6: 2 * short };
        let mut bench = Bench::new(limits);
        for (ip, source, id, unit, len, more, passes) in pieces {
            bench.now += Duration::from_secs(passes);
            let total = if more { usize::MAX } else { unit * 8 + len };
            let frame = ip.of_source(source, id, (unit * 8, &vec![0; len], total));
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
