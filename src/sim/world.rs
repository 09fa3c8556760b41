//! The world: a host with all its workers and its control, links, routers, and time that jumps to the next event.
//!
//! One thread turns everything in a fixed order, so a run is a function of the seed and of what the test does. After
//! every turn of a worker its packets must balance, and whenever nothing is left to do at a moment, every buffer that
//! is out of the pool must be in a ring. A test that fails prints the seed.

use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Arc;

use super::ask::SimAsk;
use super::buf::{SimBuf, SimPool};
use super::frames::{ArpFrame, station_mac};
use super::machine::Shared;
use super::net::{LinkOptions, LinkStats, Net, StationId};
use super::nic::{Reception, SimDevice, SimNic};
use super::router::Router;
use super::setup::{Host, WorldOptions, build};
use crate::engine::command::{Answer, Command, GroupAnswer, Membership};
use crate::engine::control::Submitted;
use crate::engine::counters::{Counter, Tally};
use crate::engine::run::LAST_WORDS_INTERVAL;
use crate::engine::worker::Worker;
use crate::io::{BufPool, DropReason};
use crate::rng::Rng;
use crate::socket::call::Ask;
use crate::socket::{Packets, SendQueues, SharedView, Sockets};
use crate::stack::net_view::NetView;
use crate::time::{Instant, earliest};

/// Rounds after which a world that still has something to do at one moment will never be quiet.
const ROUNDS_MAX: usize = 100_000;

/// No command takes longer to answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(60);

/// One port of the host, and everything on its link.
#[derive(Debug)]
struct Site {
    device: SimDevice,
    net: Net,
    host: StationId,
    router: Option<(StationId, Router)>,
    /// The test's own station, which hears everything.
    tester: StationId,
    stations: Vec<Ipv4Addr>,
    /// What left the host's NIC, and when.
    sent: Vec<(Instant, Vec<u8>)>,
    /// What arrived at the tester.
    heard: Vec<(Instant, Vec<u8>)>,
}

/// A seeded world.
#[derive(Debug)]
pub struct World {
    seed: u64,
    pool: SimPool,
    sites: Vec<Site>,
    machine: Shared,
    packets: Arc<Packets>,
    view: Arc<SharedView<NetView>>,
    ways: Arc<SendQueues>,
    /// Buffers that the test took away from the host.
    taken: Vec<SimBuf>,
    /// How many buffers services keep.
    kept: Arc<AtomicUsize>,
}

impl World {
    /// The world of `options`, in which all chance follows from `seed`. The host has started, and nothing else has
    /// happened.
    #[must_use]
    pub fn new(seed: u64, options: &WorldOptions) -> Self {
        let mut rng = Rng::new(seed);
        // Not the start of time: a host that takes zero for "never" shall be found out.
        let now = Instant::from_ns(1_000_000_000 + rng.below(1_000_000_000));
        let Host { pool, devices, workers, control, packets, view, ways } = build(now, options, &mut rng);
        let mut sites = Vec::new();
        for (device, port) in devices.into_iter().zip(&options.ports) {
            let mut net = Net::new(port.link, rng.fork());
            let host = net.attach();
            let router = port.router.map(|options| (net.attach(), Router::new(options, now)));
            let tester = net.attach();
            let (sent, heard) = (Vec::new(), Vec::new());
            sites.push(Site {
                device,
                net,
                host,
                router,
                tester,
                stations: port.stations.clone(),
                sent,
                heard,
            });
        }
        let machine = Shared::new(now, workers, control);
        Self { seed, pool, sites, machine, packets, view, ways, taken: Vec::new(), kept: Arc::default() }
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.machine.lock().now
    }

    /// Does all that there is to do at this moment; then every packet must be accounted for.
    ///
    /// # Panics
    /// Something is not: this is what the world is for.
    pub fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let mut work = self.arrivals();
            work += self.machine.lock().turn();
            work += self.departures();
            if work == 0 {
                self.assert_pool_balance();
                return;
            }
        }
        panic!("there is no end to what happens at {:?}", self.now());
    }

    /// From now on this worker does not turn of itself, as one that is kept from its CPU; none: all do.
    pub fn set_stuck(&mut self, worker: Option<usize>) {
        self.machine.lock().stuck = worker;
    }

    /// One turn of control. Returns what the turn did.
    pub fn turn_control(&mut self) -> usize {
        let machine = &mut *self.machine.lock();
        machine.control.turn(machine.now)
    }

    /// One turn of one worker, after which its packets must balance. Returns what the turn did.
    ///
    /// # Panics
    /// A packet was lost or doubled.
    pub fn turn_worker(&mut self, worker: usize) -> usize {
        self.machine.lock().turn_worker(worker)
    }

    /// Lends the host's workers and the time, to be turned on threads of their own as on lcores. Meanwhile no socket may ask control
    /// for anything. What is left to do after that is done when the world settles.
    pub fn lend_workers<R>(&mut self, to: impl FnOnce(&mut [Worker<SimNic>], Instant) -> R) -> R {
        let (mut workers, now) = {
            let machine = &mut *self.machine.lock();
            (core::mem::take(&mut machine.workers), machine.now)
        };
        let result = to(&mut workers, now);
        self.machine.lock().workers = workers;
        self.settle();
        result
    }

    /// Services keep as many buffers as this says: whoever wrote them counts them there.
    pub fn count_kept(&mut self, kept: Arc<AtomicUsize>) {
        self.kept = kept;
    }

    /// Every buffer that is out of the pool is in a ring, is held by the host on purpose, or was taken by the test.
    fn assert_pool_balance(&self) {
        let rings: usize = self.sites.iter().map(|s| s.device.rx_pending() + s.device.tx_pending()).sum();
        let tally = self.tally();
        let held = tally.get(Counter::Held) - tally.get(Counter::Released);
        let held = usize::try_from(held).unwrap_or(usize::MAX) + self.machine.lock().control.waiting();
        let kept = self.kept.load(Ordering::Relaxed);
        let handed_over = self.machine.lock().workers.iter().map(Worker::handed_over).sum::<usize>();
        let accounted = rings + handed_over + self.taken.len() + held + kept;
        assert_eq!(self.pool.outstanding(), accounted, "buffers out of the pool, and where they are");
        assert_eq!(self.pool.outstanding_large(), 0, "a large buffer lives no longer than a turn");
    }

    /// Jumps to the next event and does all that there is to do then. Returns the new time; `None` if nothing will
    /// ever happen again.
    pub fn step(&mut self) -> Option<Instant> {
        self.settle();
        let next = self.next_event()?;
        self.set_now(self.now().max(next));
        self.settle();
        Some(self.now())
    }

    /// Lets `duration` pass.
    pub fn run_for(&mut self, duration: Duration) {
        let until = self.now() + duration;
        self.settle();
        while let Some(next) = self.next_event().filter(|&next| next <= until) {
            self.set_now(self.now().max(next));
            self.settle();
        }
        self.set_now(until);
        self.settle();
    }

    fn next_event(&self) -> Option<Instant> {
        let sites = self.sites.iter().map(|site| {
            let router = site.router.as_ref().and_then(|(_, router)| router.next_deadline());
            earliest(site.net.next_arrival(), router)
        });
        sites.fold(self.machine.lock().next_deadline(), earliest)
    }

    /// From now on it is `now`.
    fn set_now(&mut self, now: Instant) {
        self.machine.lock().now = now;
    }

    /// What has arrived by now, from the links; and routers whose time has come.
    fn arrivals(&mut self) -> usize {
        let now = self.now();
        let mut work = 0;
        for site in &mut self.sites {
            while let Some((to, frame)) = site.net.arrive(now) {
                work += 1;
                site.arrival(now, to, frame);
            }
            if let Some((station, router)) = &mut site.router {
                router.handle_timeout(now);
                while let Some(frame) = router.transmit() {
                    work += 1;
                    site.net.send(now, *station, &frame);
                }
            }
        }
        work
    }

    /// What the host's NICs send.
    fn departures(&mut self) -> usize {
        let (now, mut work) = (self.now(), 0);
        for site in &mut self.sites {
            while let Some(frame) = site.device.transmit() {
                work += 1;
                site.net.send(now, site.host, &frame);
                site.sent.push((now, frame));
            }
        }
        work
    }

    /// Shuts the host down as the program does: control leaves its groups, the workers send what they have, all stop.
    pub fn shut_down(&mut self) {
        self.settle();
        let now = self.now();
        self.machine.lock().control.shut_down(now);
        self.run_for(LAST_WORDS_INTERVAL);
        while self.repeat_last_words() {
            self.run_for(LAST_WORDS_INTERVAL);
        }
        self.machine.lock().stop();
        self.settle();
    }

    fn repeat_last_words(&self) -> bool {
        let now = self.now();
        self.machine.lock().control.repeat_last_words(now)
    }

    /// Stops the host at once: nothing is sent any more, and what arrives stays in the rings.
    pub fn crash(&mut self) {
        self.machine.lock().running = false;
    }
}

impl Site {
    fn arrival(&mut self, now: Instant, to: StationId, frame: Vec<u8>) {
        if to == self.host {
            self.device.receive(&frame);
        } else if let Some((station, router)) = &mut self.router
            && *station == to
        {
            router.handle_frame(now, &frame);
        } else {
            self.answer_arp(now, &frame);
            self.heard.push((now, frame));
        }
    }

    fn answer_arp(&mut self, now: Instant, frame: &[u8]) {
        if let Ok(request) = ArpFrame::read(frame)
            && request.operation == 1
            && self.stations.contains(&request.target)
        {
            let reply = request.reply(station_mac(request.target));
            self.net.send(now, self.tester, &reply.frame());
        }
    }
}

/// What a test does, and what it sees.
impl World {
    /// A frame arrives at the NIC of `port` at once, past the link. [`settle`](Self::settle) lets the host see it.
    ///
    /// # Panics
    /// There is no such port.
    #[expect(clippy::must_use_candidate, reason = "what became of it is in the counters as well")]
    pub fn inject(&self, port: usize, frame: &[u8]) -> Reception {
        self.sites[port].device.receive(frame)
    }

    /// Injects a frame, settles, and returns what the host sent since it was last asked.
    pub fn exchange(&mut self, port: usize, frame: &[u8]) -> Vec<Vec<u8>> {
        self.inject(port, frame);
        self.settle();
        self.take_sent(port)
    }

    /// The tester's station sends a frame over the link of `port`.
    ///
    /// # Panics
    /// There is no such port.
    pub fn send(&mut self, port: usize, frame: &[u8]) {
        let now = self.now();
        let site = &mut self.sites[port];
        site.net.send(now, site.tester, frame);
    }

    /// The router of `port` forwards a frame from elsewhere, if it lets it through. Returns whether it did.
    ///
    /// # Panics
    /// There is no such port.
    pub fn forward(&mut self, port: usize, frame: &[u8]) -> bool {
        let now = self.now();
        let site = &mut self.sites[port];
        match &mut site.router {
            Some((station, router)) if router.lets_through(frame) => {
                site.net.send(now, *station, frame);
                true
            }
            _ => false,
        }
    }

    /// What left the NIC of `port`, since this was last asked.
    ///
    /// # Panics
    /// There is no such port.
    pub fn take_sent(&mut self, port: usize) -> Vec<Vec<u8>> {
        self.take_sent_at(port).into_iter().map(|(_, frame)| frame).collect()
    }

    /// The same, with the times.
    ///
    /// # Panics
    /// There is no such port.
    pub fn take_sent_at(&mut self, port: usize) -> Vec<(Instant, Vec<u8>)> {
        core::mem::take(&mut self.sites[port].sent)
    }

    /// What arrived at the tester's station, and when, since this was last asked.
    ///
    /// # Panics
    /// There is no such port.
    pub fn take_heard(&mut self, port: usize) -> Vec<(Instant, Vec<u8>)> {
        core::mem::take(&mut self.sites[port].heard)
    }

    /// Treats frames on the link of `port` differently from now on.
    ///
    /// # Panics
    /// There is no such port.
    pub fn set_link(&mut self, port: usize, options: LinkOptions) {
        self.sites[port].net.set_options(options);
    }

    /// What the link of `port` did.
    ///
    /// # Panics
    /// There is no such port.
    #[must_use]
    pub fn link_stats(&self, port: usize) -> LinkStats {
        self.sites[port].net.stats()
    }

    /// The device of `port`.
    ///
    /// # Panics
    /// There is no such port.
    #[must_use]
    pub fn device(&self, port: usize) -> &SimDevice {
        &self.sites[port].device
    }

    /// The router of `port`.
    ///
    /// # Panics
    /// There is no such port, or no router on its link.
    pub fn router(&mut self, port: usize) -> &mut Router {
        &mut self.sites[port].router.as_mut().expect("a router on the link").1
    }

    /// The pool.
    #[must_use]
    pub fn pool(&self) -> &SimPool {
        &self.pool
    }

    /// Takes buffers away from the host until only `left` are free.
    pub fn leave_buffers(&mut self, left: usize) {
        self.taken.clear();
        while self.pool.free() > left {
            self.taken.extend(self.pool.alloc());
        }
    }

    /// Gives back what [`leave_buffers`](Self::leave_buffers) took.
    pub fn return_buffers(&mut self) {
        self.taken.clear();
    }

    /// Has the host carry out a command, settles, and lets time pass until it is answered.
    ///
    /// # Panics
    /// There is no answer within a minute.
    pub fn execute(&mut self, command: &Command) -> Answer {
        let now = self.now();
        let submitted = self.machine.lock().control.submit(now, command);
        self.settle();
        let ticket = match submitted {
            Submitted::Answered(answer) => return answer,
            Submitted::Later(ticket) => ticket,
        };
        // Everyone else who waits has asked through here, too, and has been answered.
        let until = self.now() + ANSWER_PATIENCE;
        loop {
            let finished = self.machine.lock().control.take_finished();
            if let Some((_, answer)) = finished.into_iter().find(|(other, _)| *other == ticket) {
                return answer;
            }
            assert!(self.now() < until && self.step().is_some(), "no answer to {command:?}");
        }
    }

    /// Has control carry out a command, of which the workers have not heard yet.
    pub fn command(&mut self, command: &Command) -> Answer {
        let now = self.now();
        self.machine.lock().control.execute(now, command)
    }

    /// Has the host join `group` on its only port for its only service, from `source` alone if one is named.
    ///
    /// # Panics
    /// It refused.
    pub fn join(&mut self, group: Ipv4Addr, source: Option<Ipv4Addr>) {
        let answer = self.execute(&Command::Join(Membership::of(group).from_source(source)));
        assert!(matches!(answer, Answer::Done(_)), "{answer:?}");
    }

    /// Has the host leave `group`, or one source of it.
    ///
    /// # Panics
    /// It refused.
    pub fn leave(&mut self, group: Ipv4Addr, source: Option<Ipv4Addr>) {
        let answer = self.execute(&Command::Leave(Membership::of(group).from_source(source)));
        assert!(matches!(answer, Answer::Done(_)), "{answer:?}");
    }

    /// Where sockets of this world are opened, as by threads of its host. They do not block: what they send leaves, and what is
    /// sent to them arrives, when the world [settles](Self::settle), or time passes.
    #[must_use]
    pub fn sockets(&self) -> Sockets {
        Sockets::new(self.asks(), Arc::clone(&self.view), Arc::clone(&self.ways))
    }

    /// Whom the sockets of this world's threads ask. A call turns the host until it is replied to, and no time passes meanwhile
    /// unless a worker is stuck.
    #[must_use]
    pub fn asks(&self) -> Arc<dyn Ask> {
        Arc::new(SimAsk::new(self.machine.clone()))
    }

    /// The packets of the sockets of this world's threads.
    #[must_use]
    pub fn packets(&self) -> &Arc<Packets> {
        &self.packets
    }

    /// What threads see of the host's interfaces.
    #[must_use]
    pub fn view(&self) -> &Arc<SharedView<NetView>> {
        &self.view
    }

    /// What the host says that it has joined.
    ///
    /// # Panics
    /// It answered something else.
    pub fn groups(&mut self) -> Vec<GroupAnswer> {
        match self.execute(&Command::Groups) {
            Answer::Groups(groups) => groups,
            other => panic!("not groups: {other:?}"),
        }
    }

    /// All that all workers counted.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.machine.lock().tally()
    }

    /// What each worker counted.
    #[must_use]
    pub fn worker_tallies(&self) -> Vec<Tally> {
        self.machine.lock().workers.iter().map(Worker::tally).collect()
    }

    /// One counter, over all workers.
    #[must_use]
    pub fn count(&self, counter: Counter) -> u64 {
        self.tally().get(counter)
    }

    /// The drops for one reason, over all workers.
    #[must_use]
    pub fn drops(&self, why: DropReason) -> u64 {
        self.tally().drops(why)
    }

    /// The reasons for which anything was dropped, with their counts.
    #[must_use]
    pub fn all_drops(&self) -> Vec<(DropReason, u64)> {
        let tally = self.tally();
        let counted = DropReason::ALL.iter().map(|why| (*why, tally.drops(*why)));
        counted.filter(|(_, count)| *count > 0).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "sim: seed {:#x}, {:?}, after {} turns",
                self.seed,
                self.now(),
                self.machine.lock().turns
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::frames::UdpFrame;
    use crate::sim::setup::PortOptions;

    fn trace(seed: u64, level: crate::fastpath::Level) -> (Vec<(Instant, Vec<u8>)>, LinkStats) {
        let port = PortOptions { link: LinkOptions::BAD, ..PortOptions::new(0) };
        let options = WorldOptions { ports: vec![port], level, ..WorldOptions::default() };
        let mut world = World::new(seed, &options);
        for i in 0..50u8 {
            let request = UdpFrame::new("198.18.0.1:40000", "198.18.0.2:7", &[i; 30]);
            world.send(0, &request.frame());
            world.run_for(Duration::from_millis(3));
        }
        world.join(Ipv4Addr::new(239, 1, 2, 3), None);
        world.run_for(Duration::from_secs(5));
        (world.take_sent_at(0), world.link_stats(0))
    }

    #[test]
    fn a_run_is_a_function_of_its_seed_and_not_of_the_cpu() {
        let first = trace(1, crate::fastpath::Level::BASELINE);
        assert_eq!(first, trace(1, crate::fastpath::Level::detect()));
        assert!(first.0.len() > 40);
        assert_ne!(first, trace(2, crate::fastpath::Level::BASELINE));
    }

    #[test]
    fn a_request_over_the_link_is_answered_when_it_has_arrived() {
        let mut world = World::new(3, &WorldOptions::default());
        world.run_for(Duration::from_secs(10));
        let (start, request) = (world.now(), UdpFrame::new("198.18.0.1:40000", "198.18.0.2:7", b"hello"));
        world.take_heard(0);
        world.send(0, &request.frame());
        world.run_for(Duration::from_millis(1));
        let heard = world.take_heard(0);
        assert_eq!(heard.len(), 1);
        assert_eq!(heard[0].0, start + LinkOptions::PERFECT.delay * 2);
        assert_eq!(UdpFrame::read(&heard[0].1).unwrap().payload, b"hello");
    }
}
