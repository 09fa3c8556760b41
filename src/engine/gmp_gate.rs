//! IGMP and MLD on their way to control: what adds nothing to what waits there already stays behind.
//!
//! A flood of queries asks the same few things over and over, whoever seems to send it: there is one answer to all General
//! Queries, and one for each group that is joined. So the gate knows by [`Subject`] what waits, in a fixed table that
//! workers and control share, and lets a message pass only if nothing that waits has the same subject and as little time.
//! What is kept back loses nothing, since control looks at what waits for it only later. `docs/decisions/igmp-floods.md`.

use core::hash::BuildHasher;
use core::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::FixedState;

use crate::addr::Family;
use crate::io::InterfaceId;
use crate::stack::gmp_claim::{Claim, Subject, WITHIN_MAX};
use crate::time::Instant;

/// Places for what waits: of 8 bytes, and many times more than the queue has.
const PLACES: usize = 4096;

/// A place taken for longer, in milliseconds, is free: whoever took it has gone.
const STALE_MS: u64 = 1000;

/// Takes note of what waits for control. One for all workers and control.
#[derive(Debug)]
pub(super) struct GmpGate {
    hash: FixedState,
    secret: u64,
    /// 0: nothing waits. Otherwise 20 bits of its hash, 20 of the time in milliseconds, and how soon it wants its answer.
    places: Box<[AtomicU64]>,
}

/// The place of a message that waits, which control frees when it takes the message in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(super) struct Ticket {
    place: usize,
    value: u64,
}

impl GmpGate {
    /// Nothing waits. `secret` keeps an outsider from finding subjects with one place.
    #[must_use]
    pub(super) fn new(secret: u64) -> Self {
        let places = (0..PLACES).map(|_| AtomicU64::new(0)).collect();
        Self { hash: FixedState::with_seed(secret), secret, places }
    }

    /// What [`gmp_claim::read`](crate::stack::gmp_claim::read) is to hash with.
    #[must_use]
    pub(super) const fn secret(&self) -> u64 {
        self.secret
    }

    /// A place for what was received `now` by `interface`. `None`: what waits asks the same, and for no later answer.
    ///
    /// The place is taken before the message is queued: [`free`](Self::free) it if that fails.
    pub(super) fn enter<F: Family>(
        &self,
        now: Instant,
        interface: InterfaceId,
        claim: Claim<F>,
    ) -> Option<Ticket> {
        let hash = self.hash.hash_one((F::VERSION, interface, claim.subject));
        let place = usize::try_from(hash).unwrap_or_default() % PLACES;
        let new = Waiting { tag: hash >> 44, since: (now.ns() / 1_000_000) & MASK, within: claim.within };
        let slot = self.places.get(place)?;
        // G47: at the earlier of the two times, which is that of the one that waits.
        let kept_back = |old: u64| {
            Waiting::of(old).is_some_and(|old| {
                old.tag == new.tag
                    && old.within <= new.within
                    && new.since.wrapping_sub(old.since) & MASK < STALE_MS
            })
        };
        let value = new.value();
        // Release and acquire: whoever finds the place free finds what its message did done.
        let entered =
            slot.fetch_update(Ordering::AcqRel, Ordering::Acquire, |old| (!kept_back(old)).then_some(value));
        entered.is_ok().then_some(Ticket { place, value })
    }

    /// Frees a place: the message is about to be dealt with, or was not queued.
    ///
    /// To be called before the message takes effect, so that none is kept back for the sake of one that is past.
    pub(super) fn free(&self, ticket: Ticket) {
        if let Some(slot) = self.places.get(ticket.place) {
            // Another message may have taken it since: one that wants its answer sooner, or one with the same place.
            let _ = slot.compare_exchange(ticket.value, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
    }
}

/// The bits of the hash, and of the time.
const MASK: u64 = (1 << 20) - 1;

/// Of a place that is taken, the bit above its time.
const TAKEN: u64 = WITHIN_MAX as u64 + 1;

/// What a place says.
#[derive(Clone, Copy)]
struct Waiting {
    tag: u64,
    since: u64,
    within: u32,
}

impl Waiting {
    #[expect(clippy::cast_possible_truncation, reason = "the lowest bits are the field")]
    const fn of(value: u64) -> Option<Self> {
        let within = value as u32 & WITHIN_MAX;
        if value == 0 { None } else { Some(Self { tag: value >> 44, since: value >> 24 & MASK, within }) }
    }

    /// Never 0.
    const fn value(self) -> u64 {
        self.tag << 44 | self.since << 24 | TAKEN | self.within as u64
    }
}

/// How much of the queue to control such messages may fill, of `len`. The rest is for what is rarer and matters more.
pub(super) const fn share<F: Family>(subject: Subject<F>, len: usize) -> usize {
    match subject {
        // Of these there are but a few.
        Subject::General(..) => len,
        Subject::Group(..) => len / 4 * 3,
        // Of these an outsider can make up as many as it likes.
        Subject::Sources(..) | Subject::NotJoined(_) | Subject::Report(_) => len / 4,
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::addr::{Group, V4, V6};

    fn report(n: u8, within: u32) -> Claim<V4> {
        Claim { subject: Subject::Report(Group::<V4>::new([239, 1, 1, n].into()).unwrap()), within }
    }

    const IF: InterfaceId = InterfaceId(0);

    // G47, RFC 9776 5.2, rules 1 and 2.
    #[test]
    fn what_asks_the_same_and_for_no_earlier_answer_is_kept_back() {
        let (gate, now) = (GmpGate::new(1), Instant::from_ns(5_000_000_000));
        let first = gate.enter(now, IF, report(1, 10)).unwrap();
        assert_eq!(gate.enter(now, IF, report(1, 10)), None);
        assert_eq!(gate.enter(now, IF, report(1, 20)), None);
        assert!(gate.enter(now, IF, report(2, 10)).is_some(), "another group");
        assert!(gate.enter(now, InterfaceId(1), report(1, 10)).is_some(), "another interface");
        let mld = Group::<V6>::new("ff0e::1".parse().unwrap()).unwrap();
        let mld = Claim { subject: Subject::Report(mld), within: 10 };
        assert!(gate.enter(now, IF, mld).is_some(), "MLD");
        let sooner = gate.enter(now, IF, report(1, 9)).unwrap();
        // The first one is taken in: the second still waits.
        gate.free(first);
        assert_eq!(gate.enter(now, IF, report(1, 9)), None);
        gate.free(sooner);
        assert!(gate.enter(now, IF, report(1, 10)).is_some());
    }

    #[test]
    fn a_place_that_nobody_frees_is_free_after_a_second() {
        let gate = GmpGate::new(1);
        // 20 bits of milliseconds, about to begin again.
        for start in [0, (1 << 20) - 500] {
            let at = |ms: u64| Instant::ZERO + Duration::from_millis(start + ms);
            let _ = gate.enter(at(0), IF, report(1, 0)).unwrap();
            assert_eq!(gate.enter(at(999), IF, report(1, 0)), None);
            assert!(gate.enter(at(1000), IF, report(1, 0)).is_some());
        }
    }

    #[test]
    fn the_longest_time_fits() {
        let value = Waiting { tag: MASK, since: MASK, within: WITHIN_MAX }.value();
        let read = Waiting::of(value).unwrap();
        assert_eq!((read.tag, read.since, read.within), (MASK, MASK, WITHIN_MAX));
        assert!(Waiting::of(Waiting { tag: 0, since: 0, within: 0 }.value()).is_some());
    }
}
