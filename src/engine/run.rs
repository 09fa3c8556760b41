//! The loops: what an lcore and the control thread do all day.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::thread;

use crossbeam::channel::{Receiver, Select, Sender};

use super::command::Answer;
use super::control::{Called, Control, Submitted, Ticket};
use super::request::Request;
use super::worker::Worker;
use crate::io::Nic;
use crate::socket::call::Reply;
use crate::time::Instant;

/// Calls of threads that control carries out between two looks at packets and timers.
const CALL_BUDGET: usize = 64;

/// The longest that control sleeps, so that it notices a stop that came without a message.
const CONTROL_SLEEP_MAX: Duration = Duration::from_millis(500);

/// Why the control loop ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// It was asked to.
    Shutdown,
    /// This worker came to an end that nobody asked for.
    WorkerLost(usize),
}

/// Turns `worker` until `stop`, without rest: [`rest::worker_loop`](super::rest::worker_loop) is the other way.
pub fn worker_loop<N: Nic>(worker: &mut Worker<N>, clock: impl Fn() -> Instant, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        worker.turn(clock());
    }
    worker.stop(clock());
}

/// The time between the last words and their repeats.
pub const LAST_WORDS_INTERVAL: Duration = Duration::from_millis(10);

/// What the control loop listens to, beside the workers' packets.
#[derive(Debug)]
pub struct ControlInputs {
    /// Commands.
    pub requests: Receiver<Request>,
    /// Anything: shut down.
    pub shutdown: Receiver<()>,
    /// A worker, by its number, that came to an end.
    pub lost: Receiver<usize>,
}

/// Turns `control` until it is told to shut down or a worker is lost. It sleeps until a message or its next deadline.
pub fn control_loop<N: Nic>(
    control: &mut Control<N>,
    clock: impl Fn() -> Instant,
    inputs: &ControlInputs,
) -> Ended {
    let mut waiting = Waiting::default();
    loop {
        wait(control, &clock, inputs);
        if let Ok(worker) = inputs.lost.try_recv() {
            control.worker_lost(worker);
            return Ended::WorkerLost(worker);
        }
        if inputs.shutdown.try_recv().is_ok() {
            return Ended::Shutdown;
        }
        waiting.take_requests(control, &clock, &inputs.requests);
        control.turn(clock());
        waiting.answer(control);
    }
}

/// Whoever waits for an answer that comes later: no more than there are threads that ask.
#[derive(Default)]
struct Waiting {
    commands: Vec<(Ticket, Sender<Answer>)>,
    calls: Vec<(Ticket, Sender<Reply>)>,
}

impl Waiting {
    /// Carries out one command, or some calls: packets and timers have their turn between two.
    fn take_requests<N: Nic>(
        &mut self,
        control: &mut Control<N>,
        clock: &impl Fn() -> Instant,
        requests: &Receiver<Request>,
    ) {
        for _ in 0..CALL_BUDGET {
            // Whoever asked may have gone away: then nobody misses the answer.
            match requests.try_recv() {
                Ok(Request::Command(command, answer)) => {
                    match control.submit(clock(), &command) {
                        Submitted::Answered(done) => drop(answer.send(done)),
                        Submitted::Later(ticket) => self.commands.push((ticket, answer)),
                    }
                    return;
                }
                Ok(Request::Call(call, waits)) => match (control.call(clock(), call), waits) {
                    (Called::Replied(done), Some(reply)) => drop(reply.send(done)),
                    (Called::Later(ticket), Some(reply)) => self.calls.push((ticket, reply)),
                    (Called::Replied(_) | Called::Later(_), None) => {}
                },
                Err(_) => return,
            }
        }
    }

    /// Answers what is done.
    fn answer<N: Nic>(&mut self, control: &mut Control<N>) {
        for (ticket, done) in control.take_finished() {
            if let Some(answer) = take(&mut self.commands, ticket) {
                let _ = answer.send(done);
            }
        }
        for (ticket, done) in control.take_replied() {
            if let Some(reply) = take(&mut self.calls, ticket) {
                let _ = reply.send(done);
            }
        }
    }
}

/// Who waits with this ticket.
fn take<T>(waiting: &mut Vec<(Ticket, Sender<T>)>, ticket: Ticket) -> Option<Sender<T>> {
    let at = waiting.iter().position(|(other, _)| *other == ticket)?;
    Some(waiting.swap_remove(at).1)
}

/// Has `control` leave its groups, and say so as often as it should. Workers must still turn.
pub fn last_words<N: Nic>(control: &mut Control<N>, clock: impl Fn() -> Instant) {
    control.shut_down(clock());
    loop {
        thread::sleep(LAST_WORDS_INTERVAL);
        if !control.repeat_last_words(clock()) {
            return;
        }
    }
}

fn wait<N: Nic>(control: &Control<N>, clock: &impl Fn() -> Instant, inputs: &ControlInputs) {
    let until = control.next_deadline().map_or(CONTROL_SLEEP_MAX, |at| at.since(clock()));
    let punts = control.punts();
    let mut select = Select::new();
    if !control.is_gmp_paused() {
        select.recv(&punts.igmp);
        select.recv(&punts.mld);
    }
    select.recv(&punts.arp);
    select.recv(&punts.ndp);
    select.recv(&punts.paths);
    select.recv(&punts.unresolved);
    select.recv(&punts.used);
    select.recv(&inputs.requests);
    select.recv(&inputs.shutdown);
    select.recv(&inputs.lost);
    // Ready or timed out, the turn that follows looks at everything.
    let _ = select.ready_timeout(until.min(CONTROL_SLEEP_MAX));
}
