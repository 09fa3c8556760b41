//! A host and the frames for it, and how they are fed to it burst by burst.

use pollcast::fastpath::Level;
use pollcast::sim::nic::Reception;
use pollcast::sim::setup::WorldOptions;
use pollcast::sim::world::World;
use pollcast::socket::UdpSocket;

/// Frames in a burst: what a worker receives in one turn.
pub(crate) const BURST: usize = 32;

/// A host and what it receives.
pub(crate) struct Case {
    /// The host.
    pub(crate) world: World,
    /// The level of CPU that its workers were made for.
    pub(crate) level: Level,
    /// Answers to each packet.
    pub(crate) answers: u64,
    /// Frames that make up a packet.
    pub(crate) frames_a_packet: u64,
    /// For each queue the frames that the NIC puts there, and the next one.
    queues: Vec<(Vec<Vec<u8>>, usize)>,
    /// The sockets of threads, which send back what they received.
    echoing: Vec<UdpSocket>,
    workers: usize,
    /// Whether workers without a queue turn only when nearly a burst awaits them, and how often the first has turned.
    gathers: bool,
    turned: usize,
}

impl Case {
    /// The host of `options`, which receives `frames` over and over, each answered once.
    pub(crate) fn new(options: WorldOptions, frames: Vec<Vec<u8>>) -> Result<Self, String> {
        let (level, workers) = (options.level, usize::from(options.workers));
        let queues = options.ports.first().and_then(|port| port.queues).map_or(workers, usize::from);
        let mut world = World::new(1, &options);
        world.run_for(core::time::Duration::from_secs(10));
        world.take_sent(0);
        let mut case = Self {
            world,
            level,
            answers: 1,
            frames_a_packet: 1,
            queues: vec![(Vec::new(), 0); queues],
            echoing: Vec::new(),
            workers,
            gathers: false,
            turned: 0,
        };
        case.share_out(frames)?;
        Ok(case)
    }

    /// The same with so many answers to so many frames.
    pub(crate) fn with_answers(self, answers: u64, frames_a_packet: u64) -> Self {
        Self { answers, frames_a_packet, ..self }
    }

    /// The same with sockets of threads that send back what they received.
    pub(crate) fn with_sockets(mut self, sockets: Vec<UdpSocket>) -> Self {
        sockets.iter().for_each(|socket| socket.set_nonblocking(true));
        self.echoing = sockets;
        self
    }

    /// The same after these frames, a few at a time, and whatever they led to in some milliseconds each.
    pub(crate) fn having_heard(mut self, frames: Vec<Vec<u8>>) -> Self {
        for some in frames.chunks(BURST) {
            some.iter().for_each(|frame| _ = self.world.inject(0, frame));
            self.world.run_for(core::time::Duration::from_millis(5));
            self.world.take_sent(0);
        }
        self
    }

    /// The same with workers that turn as seldom as lets each have nearly a burst, but for the one with the queue.
    pub(crate) fn gathering(self) -> Self {
        Self { gathers: true, ..self }
    }

    /// Learns to which queue the NIC puts each frame, by having it do so.
    fn share_out(&mut self, frames: Vec<Vec<u8>>) -> Result<(), String> {
        if self.queues.len() == 1 {
            // NOTE(index): as was just seen.
            self.queues[0].0 = frames;
            return Ok(());
        }
        for frame in frames {
            match self.world.inject(0, &frame) {
                Reception::Queued(queue) => {
                    let queue = self.queues.get_mut(usize::from(queue)).ok_or("no such queue")?;
                    queue.0.push(frame);
                }
                other => return Err(format!("the NIC did not take a frame: {other:?}")),
            }
            self.world.settle();
            self.world.take_sent(0);
        }
        let short = self.queues.iter().any(|(frames, _)| frames.is_empty());
        if short { Err("a queue was given no frame".into()) } else { Ok(()) }
    }

    /// Puts a burst into each queue. Returns how many frames that are.
    pub(crate) fn fill(&mut self) -> u64 {
        let Self { queues, world, .. } = self;
        for (frames, next) in queues {
            for _ in 0..BURST {
                let frame = &frames[*next];
                *next = if *next + 1 == frames.len() { 0 } else { *next + 1 };
                world.inject(0, frame);
            }
        }
        (BURST * self.queues.len()) as u64
    }

    /// One turn of each worker whose turn it is.
    pub(crate) fn turn(&mut self) {
        self.turned += 1;
        // Not every worker has as much of a burst as the next: a little less than a burst on average is seldom more.
        let every = if self.gathers { (self.workers * 3 / 4).max(1) } else { 1 };
        for worker in 0..self.workers {
            if worker == 0 || (self.turned + worker).is_multiple_of(every) {
                self.world.turn_worker(worker);
            }
        }
    }

    /// What workers without a queue have handed over and is not sent yet: returns how many frames that were.
    pub(crate) fn finish(&mut self) -> u64 {
        if self.queues.len() == self.workers {
            return 0;
        }
        self.world.settle();
        self.world.take_sent(0).len() as u64
    }

    /// What threads do with what they received.
    pub(crate) fn between(&self) {
        let mut buf = [0; 2048];
        for socket in &self.echoing {
            while let Ok((len, from)) = socket.recv_from(&mut buf) {
                let _refused = socket.send_to(&buf[..len], from);
            }
        }
    }

    /// Whether what threads send leaves in a turn of its own.
    pub(crate) fn turns_twice(&self) -> bool {
        !self.echoing.is_empty()
    }
}
