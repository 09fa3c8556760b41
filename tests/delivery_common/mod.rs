//! Services that remember what they see, and worlds of them.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pollcast::addr::{MacAddr, V4};
use pollcast::io::{DropReason, InterfaceId, PacketBuf};
use pollcast::service::{Cx, Datagram, IcmpError, Service};
use pollcast::sim::buf::SimBuf;
use pollcast::sim::frames::UdpFrame;
use pollcast::sim::nic::NicOptions;
use pollcast::sim::setup::{PortOptions, ServiceOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::stack::membership::SourceFilter;

pub const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
pub const TO_GROUP: &str = "239.1.2.3:5000";
pub const PEER: &str = "198.18.0.1:40000";

/// A frame to everyone on the link goes to everyone's MAC address.
pub fn frame(from: &str, to: &str, payload: &[u8]) -> Vec<u8> {
    let frame = UdpFrame::new(from, to, payload);
    let directed = frame.destination.ip().octets()[3] == 255;
    if directed { frame.to_mac(MacAddr([0xff; 6])).frame() } else { frame.frame() }
}

/// What the instances of a service saw: the worker that each was made for, source and payload, in order.
pub type Seen = Arc<Mutex<Vec<(usize, SocketAddrV4, Vec<u8>)>>>;

/// What a service does beside remembering.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Habit {
    /// Nothing.
    Read,
    /// Answers with the payload as it is.
    Echo,
    /// Writes over the payload, and answers.
    Shout,
    /// Refuses everything.
    Refuse,
}

struct Recorder {
    seen: Seen,
    errors: Arc<Mutex<Vec<usize>>>,
    worker: usize,
    habit: Habit,
}

impl<B: PacketBuf> Service<B> for Recorder {
    fn writes_payloads(&self) -> bool {
        self.habit == Habit::Shout
    }

    fn datagrams(&mut self, _cx: &mut Cx<'_, B>, burst: &mut [Datagram<B>]) {
        for datagram in burst {
            let std::net::SocketAddr::V4(source) = datagram.source() else { panic!("IPv4 alone") };
            self.seen.lock().unwrap().push((self.worker, source, datagram.payload().to_vec()));
            match self.habit {
                Habit::Read => {}
                Habit::Echo => datagram.reply(),
                Habit::Shout => {
                    let payload = datagram.payload_mut().expect("whoever says that it writes can");
                    payload.make_ascii_uppercase();
                    datagram.reply();
                }
                Habit::Refuse => datagram.refuse(DropReason::EchoGroupOff),
            }
        }
    }

    fn icmp_error(&mut self, _cx: &mut Cx<'_, B>, _error: &IcmpError) {
        self.errors.lock().unwrap().push(self.worker);
    }
}

/// A service under test: where it listens, and what it remembers.
pub struct Tested {
    pub options: ServiceOptions,
    pub seen: Seen,
    pub errors: Arc<Mutex<Vec<usize>>>,
}

impl Tested {
    pub fn new(name: &str, listen: &[&str], habit: Habit) -> Self {
        let (seen, errors) = (Seen::default(), Arc::default());
        let (saw, heard) = (Arc::clone(&seen), Arc::clone(&errors));
        let made = Mutex::new(0);
        let factory = move || -> Box<dyn Service<SimBuf>> {
            let mut made = made.lock().unwrap();
            *made += 1;
            Box::new(Recorder {
                seen: Arc::clone(&saw),
                errors: Arc::clone(&heard),
                worker: *made - 1,
                habit,
            })
        };
        let options = ServiceOptions {
            name: name.into(),
            factory: Box::new(factory),
            listen: listen.iter().map(|s| s.parse().unwrap()).collect(),
            reuse_address: true,
            ..ServiceOptions::echo()
        };
        Self { options, seen, errors }
    }

    pub fn on(mut self, workers: &[usize]) -> Self {
        self.options.workers = workers.to_vec();
        self
    }

    pub fn joining(mut self, filter: SourceFilter<V4>) -> Self {
        self.options = self.options.wanting(InterfaceId(0), GROUP, filter);
        self
    }

    /// Without `multicast_all`.
    pub fn strictly(mut self) -> Self {
        self.options.multicast_all = false;
        self
    }
}

/// A world with `services` on `workers` workers, and what each of them sees.
pub fn world(seed: u64, workers: u16, services: Vec<Tested>) -> (World, Vec<Seen>) {
    let port = PortOptions::new(0);
    let nic = NicOptions { rx_descriptors: 4096, tx_descriptors: 4096, ..port.nic.clone() };
    let seen = services.iter().map(|s| Arc::clone(&s.seen)).collect();
    let options = WorldOptions {
        ports: vec![PortOptions { nic, ..port }],
        services: services.into_iter().map(|s| s.options).collect(),
        workers,
        buffers: 16_384,
        ..WorldOptions::default()
    };
    let mut world = World::new(seed, &options);
    world.run_for(Duration::from_secs(5));
    world.take_sent(0);
    (world, seen)
}

pub fn payloads(seen: &Seen) -> Vec<Vec<u8>> {
    seen.lock().unwrap().iter().map(|(_, _, payload)| payload.clone()).collect()
}

pub fn count(seen: &Seen) -> usize {
    seen.lock().unwrap().len()
}
