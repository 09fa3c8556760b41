//! Group management of one IP version on an interface: what routers ask comes in, and what they are told leaves.

use core::time::Duration;

use super::Outlet;
use super::admission::TELL_INTERVAL;
use super::interface::Interface;
use super::port::Base;
use super::side::Managed;
use crate::addr::Group;
use crate::engine::counters::Counter;
use crate::io::Nic;
use crate::rng::Rng;
use crate::stack::gmp::{Format, Gmp, Version};
use crate::time::Instant;

/// Reports that leave at once, and the pause before the next as many. G33: a change of thousands of groups over a small MTU
/// is more reports than queues hold, here and in a switch.
const REPORTS_AT_ONCE: u32 = 128;
const REPORTS_PAUSE: Duration = Duration::from_millis(1);

/// Reports that leave at once when the program is about to end.
const LAST_REPORTS_AT_ONCE: u32 = 256;

/// The machine, and what of its reports has to wait.
#[derive(Debug)]
pub(super) struct Reports<F: Format> {
    pub(super) gmp: Gmp<F>,
    /// The last report that was made, and whether it still has to leave: then in which version it is.
    frame: Vec<u8>,
    unsent: Option<Version>,
    /// No report leaves before.
    pause: Option<Instant>,
}

impl<F: Format> Reports<F> {
    pub(super) const fn new(gmp: Gmp<F>) -> Self {
        Self { gmp, frame: Vec::new(), unsent: None, pause: None }
    }

    /// When the next report may leave.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        // G43: a pause is a few milliseconds, and there is one only behind many reports.
        self.pause.or_else(|| self.gmp.poll_timeout())
    }
}

impl Interface {
    /// A message in a packet that ingress has found to be whole.
    pub(super) fn gmp_input<F: Managed>(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        frame: &[u8],
        base: &mut Base,
    ) {
        let tally = &mut base.ledger.tally;
        tally.add(Counter::HandedIn, 1);
        let outcome = match F::packet(frame) {
            Some((_, packet)) => F::side_mut(self).reports.gmp.receive(now, rng, &packet),
            None => Err(F::TRUNCATED),
        };
        match outcome {
            Ok(()) => tally.add(Counter::Consumed, 1),
            Err(why) => tally.drop(why),
        }
    }

    /// Tells routers what the interface wants of `groups` now. Returns how many reports that were.
    pub(super) fn report<F: Managed, N: Nic>(
        &mut self,
        now: Instant,
        groups: &[Group<F>],
        rng: &mut Rng,
        base: &mut Base,
        out: &Outlet<N>,
    ) -> u32 {
        let side = F::side_mut(self);
        for &group in groups {
            side.reports.gmp.set_filter(now, group, side.memberships.told(group));
        }
        self.send_reports::<F, N>(now, rng, base, out)
    }

    /// Sends the reports that are due; of many, some, and the others a little later. Returns how many left.
    pub(super) fn send_reports<F: Managed, N: Nic>(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        base: &mut Base,
        out: &Outlet<N>,
    ) -> u32 {
        if F::side(self).reports.pause.is_none_or(|until| until <= now) {
            return self.send_some_reports::<F, N>(now, (now, REPORTS_AT_ONCE), rng, base, out);
        }
        0
    }

    /// Sends reports that are due at `due`, and no more than `most`. What finds no room keeps its place: none is lost here.
    fn send_some_reports<F: Managed, N: Nic>(
        &mut self,
        now: Instant,
        (due, most): (Instant, u32),
        rng: &mut Rng,
        base: &mut Base,
        out: &Outlet<N>,
    ) -> u32 {
        let source = F::report_source(self);
        let (replica, side) = F::split(self);
        let Reports { gmp, frame, unsent, pause } = &mut side.reports;
        for sent in 0..most {
            // G39, RFC 9776 7.2.1: what waits for room is cancelled by a change of version, too.
            unsent.take_if(|version| *version != gmp.version());
            if unsent.is_none() && gmp.next_frame(due, rng, replica.mac, source, frame) {
                *unsent = Some(gmp.version());
            }
            if unsent.is_none() {
                *pause = None;
                return sent;
            }
            if !out.send_if_room(&mut base.ledger, replica, frame) {
                *pause = Some(now + TELL_INTERVAL);
                return sent;
            }
            *unsent = None;
        }
        *pause = Some(now + REPORTS_PAUSE);
        most
    }

    /// Sends the reports that are due next, though it is too early for them. False if there are none.
    pub(super) fn repeat_reports<F: Managed, N: Nic>(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        base: &mut Base,
        out: &Outlet<N>,
    ) -> bool {
        let reports = &F::side(self).reports;
        let next = reports.gmp.message_timeout();
        if next.is_none() && reports.unsent.is_none() {
            return false;
        }
        let due = next.map_or(now, |at| at.max(now));
        self.send_some_reports::<F, N>(now, (due, LAST_REPORTS_AT_ONCE), rng, base, out);
        true
    }

    /// G45: tells routers that nothing is wanted any more, in as few reports as can be.
    pub(super) fn leave_all<F: Managed, N: Nic>(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        base: &mut Base,
        out: &Outlet<N>,
    ) {
        let side = F::side_mut(self);
        // What was not reported yet need not be.
        side.admission.forget_reports();
        side.reports.gmp.leave_all(now);
        self.send_reports::<F, N>(now, rng, base, out);
    }
}
