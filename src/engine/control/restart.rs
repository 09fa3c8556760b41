//! Stopping a port and starting it again while everything else goes on.
//!
//! Workers are asked to let the port's queues go; when none polls them any more the device is restarted, told again what
//! it forgets, and given back; when its link is up, routers and neighbours are told again. Between these steps control
//! does its other work: nothing here waits but the driver's own calls.

use core::time::Duration;

use super::membership::choose;
use super::port::{Base, Port};
use super::{Control, Outlet, Waiting, find_port};
use crate::engine::command::{Answer, DoneAnswer, RestartOrder};
use crate::engine::message::ToWorker;
use crate::io::{Nic, Occasion};
use crate::rng::Rng;
use crate::time::{Instant, earliest};

/// How long workers may take to let go of a port: they do at their next turn.
const PAUSE_PATIENCE: Duration = Duration::from_secs(2);

/// How long the order's answer waits for the link. It may take longer: that is told.
const LINK_PATIENCE: Duration = Duration::from_secs(5);

/// The time between two looks: whether workers have let go, whether the link is up.
const LOOK: Duration = Duration::from_millis(1);
const LINK_LOOK: Duration = Duration::from_millis(10);

/// A port that does not start is tried again after this, and ever later.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// A restart under way.
#[derive(Debug)]
pub(super) struct Restart {
    step: Step,
    /// The device asked for a reset.
    reset: bool,
    /// Who is told of its end.
    ticket: Option<u64>,
    began: Instant,
    /// How long no worker had the port.
    still_for: Duration,
    look_at: Instant,
}

#[derive(Debug)]
enum Step {
    /// Workers let go.
    Pausing { deadline: Instant },
    /// The device did not start.
    Down { pause: Duration },
    /// It has started: its link comes up.
    Link { deadline: Instant },
}

/// Pauses and resumptions on their way to workers.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    untold: Vec<usize>,
    paused: bool,
    tell_at: Option<Instant>,
}

impl Pauses {
    pub(super) const fn next_deadline(&self) -> Option<Instant> {
        self.tell_at
    }
}

impl Base {
    /// Has every worker let go of this port, or take it again.
    fn tell_pause<N: Nic>(&mut self, now: Instant, paused: bool, out: &Outlet<N>) {
        self.pauses.paused = paused;
        self.pauses.untold.clone_from(&self.workers);
        self.tell_untold(now, out);
    }

    /// Tells the workers whose inbox was full.
    fn tell_untold<N: Nic>(&mut self, now: Instant, out: &Outlet<N>) {
        let (id, paused) = (self.ledger.id, self.pauses.paused);
        self.pauses.untold.retain(|worker| {
            let message = if paused { ToWorker::Pause(id) } else { ToWorker::Resume(id) };
            out.workers
                .get(*worker)
                .is_some_and(|inbox| matches!(inbox.try_send(message), Err(e) if e.is_full()))
        });
        self.pauses.tell_at = (!self.pauses.untold.is_empty()).then(|| now + LOOK);
    }
}

impl<N: Nic> Control<N> {
    /// E08: stops a port and starts it again.
    pub(super) fn restart(&mut self, now: Instant, order: &RestartOrder) -> (Answer, Option<Waiting>) {
        let names: Vec<&str> = self.ports.iter().map(|p| p.base.device.info().name.as_str()).collect();
        let port =
            choose("port", order.port.as_deref(), &names).and_then(|index| find_port(&mut self.ports, index));
        let port = match port {
            Ok(port) => port,
            Err(why) => return (Answer::Error(format!("restart: {why}")), None),
        };
        let name = port.base.device.info().name.clone();
        if port.base.restart.is_some() {
            return (Answer::Error(format!("restart: {name} is being restarted already")), None);
        }
        let ticket = self.tickets.next();
        port.begin_restart(now, false, Some(ticket), &self.out);
        (Answer::Done(DoneAnswer::said(format!("{name} is being restarted"))), Some(Waiting(ticket)))
    }
}

impl Port {
    fn begin_restart<N: Nic>(&mut self, now: Instant, reset: bool, ticket: Option<u64>, out: &Outlet<N>) {
        let step = Step::Pausing { deadline: now + PAUSE_PATIENCE };
        self.base.restart =
            Some(Restart { step, reset, ticket, began: now, still_for: Duration::ZERO, look_at: now + LOOK });
        self.base.tell_pause(now, true, out);
    }

    /// A device that says that it must be reset is.
    pub(super) fn reset_if_wanted<N: Nic>(&mut self, now: Instant, out: &Outlet<N>) {
        if self.base.restart.is_none() && self.base.device.take_reset_request() {
            tracing::warn!("port {}: the device asks to be reset", self.base.device.info().name);
            self.begin_restart(now, true, None, out);
        }
    }

    pub(super) fn restart_deadline(&self) -> Option<Instant> {
        earliest(self.base.pauses.next_deadline(), self.base.restart.as_ref().map(|restart| restart.look_at))
    }

    /// The next step of a restart, if it is time. Returns the answer that its end makes.
    pub(super) fn go_on_restarting<N: Nic>(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        out: &Outlet<N>,
    ) -> Option<(u64, Answer)> {
        if self.base.pauses.tell_at.is_some_and(|at| at <= now) {
            self.base.tell_untold(now, out);
        }
        let mut restart = self.base.restart.take()?;
        let ended = match restart.step {
            // However it was woken, it may look: that costs one load.
            Step::Pausing { deadline } => self.pausing(now, &mut restart, deadline, out),
            _ if now < restart.look_at => None,
            Step::Down { .. } => self.start_again(now, &mut restart, out),
            Step::Link { deadline } => self.await_link(now, &mut restart, deadline, rng, out),
        };
        match ended {
            None => {
                self.base.restart = Some(restart);
                None
            }
            Some(End { answer, goes_on }) => {
                let ticket = restart.ticket.take();
                self.base.restart = goes_on.then_some(restart);
                ticket.map(|ticket| (ticket, answer))
            }
        }
    }

    fn pausing<N: Nic>(
        &mut self,
        now: Instant,
        restart: &mut Restart,
        deadline: Instant,
        out: &Outlet<N>,
    ) -> Option<End> {
        if self.base.device.is_quiet() {
            return self.start_again(now, restart, out);
        }
        restart.look_at = now + LOOK;
        if now < deadline {
            return None;
        }
        self.base.tell_pause(now, false, out);
        let name = &self.base.device.info().name;
        let why = format!("restart: a worker does not let go of {name}: it goes on as before");
        tracing::error!("{why}");
        Some(End { answer: Answer::Error(why), goes_on: false })
    }

    /// Nobody polls the device: it is stopped, started, and told everything again.
    fn start_again<N: Nic>(&mut self, now: Instant, restart: &mut Restart, out: &Outlet<N>) -> Option<End> {
        let name = self.base.device.info().name.clone();
        self.base.link_up = false;
        if let Err(why) = self.base.device.restart(restart.reset) {
            let pause = match restart.step {
                Step::Down { pause } => (pause * 2).min(RETRY_MAX),
                Step::Pausing { .. } | Step::Link { .. } => RETRY_MIN,
            };
            restart.step = Step::Down { pause };
            restart.look_at = now + pause;
            let why = format!("restart: {name} is down: {why}; it is tried again in {} s", pause.as_secs());
            tracing::error!("{why}");
            return Some(End { answer: Answer::Error(why), goes_on: true });
        }
        // E08: the list of group addresses is not among what DPDK tells a driver again.
        self.apply_filter(now, Occasion::Restart);
        self.base.tell_pause(now, false, out);
        restart.still_for = now.since(restart.began);
        restart.step = Step::Link { deadline: now + LINK_PATIENCE };
        restart.look_at = now;
        tracing::info!("port {name}: {}", if restart.reset { "reset" } else { "restarted" });
        None
    }

    fn await_link<N: Nic>(
        &mut self,
        now: Instant,
        restart: &mut Restart,
        deadline: Instant,
        rng: &mut Rng,
        out: &Outlet<N>,
    ) -> Option<End> {
        restart.look_at = now + LINK_LOOK;
        self.check_link(now, rng, out);
        if !self.base.link_up && now < deadline {
            return None;
        }
        let name = &self.base.device.info().name;
        let link = match self.base.link_up {
            true => format!("its link is up after {} ms", now.since(restart.began).as_millis()),
            // It is noticed when it comes up, as always.
            false => format!("its link is down after {} s", LINK_PATIENCE.as_secs()),
        };
        let still = restart.still_for.as_millis();
        let done = DoneAnswer::said(format!("restarted {name}; workers were off it for {still} ms, {link}"));
        let answer = Answer::Done(DoneAnswer { filter: Some(self.filter_in_short()), ..done });
        Some(End { answer, goes_on: false })
    }
}

/// The end of a restart, as far as who ordered it is told.
struct End {
    answer: Answer,
    /// It is tried again all the same.
    goes_on: bool,
}
