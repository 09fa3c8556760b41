//! Two echoes: one that may take the short way, and one that is the same but for that.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pollcast::io::PacketBuf;
use pollcast::service::{Cx, Datagram, Echo, EchoOptions, Service, UdpPorts};
use pollcast::sim::buf::SimBuf;
use pollcast::sim::setup::ServiceOptions;

/// What the instances of an echo were asked.
#[derive(Debug, Default)]
pub struct Asked {
    said_yes: AtomicU64,
    said_no: AtomicU64,
    seen: AtomicU64,
}

impl Asked {
    /// How often a burst was to take the short way.
    pub fn said_yes(&self) -> u64 {
        self.said_yes.load(Ordering::Relaxed)
    }

    /// How often it was asked for that, and refused.
    pub fn said_no(&self) -> u64 {
        self.said_no.load(Ordering::Relaxed)
    }

    /// Datagrams that the service saw.
    pub fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }
}

/// [`Echo`], which tells what it was asked.
struct Watched(Echo, Arc<Asked>);

impl<B: PacketBuf> Service<B> for Watched {
    fn echoes(&mut self, ports: UdpPorts<'_>) -> bool {
        assert!(!ports.is_empty(), "asked of nothing");
        let echoes = Service::<B>::echoes(&mut self.0, ports);
        let counter = if echoes { &self.1.said_yes } else { &self.1.said_no };
        counter.fetch_add(1, Ordering::Relaxed);
        echoes
    }

    fn writes_payloads(&self) -> bool {
        Service::<B>::writes_payloads(&self.0)
    }

    fn datagrams(&mut self, cx: &mut Cx<'_, B>, burst: &mut [Datagram<B>]) {
        self.1.seen.fetch_add(burst.len() as u64, Ordering::Relaxed);
        self.0.datagrams(cx, burst);
    }
}

/// The same without a word on the short way, as any service that is not an echo.
struct Ordinary(Watched);

impl<B: PacketBuf> Service<B> for Ordinary {
    fn writes_payloads(&self) -> bool {
        Service::<B>::writes_payloads(&self.0)
    }

    fn datagrams(&mut self, cx: &mut Cx<'_, B>, burst: &mut [Datagram<B>]) {
        self.0.datagrams(cx, burst);
    }
}

/// An echo with `options` that listens there, and tells `asked`; `may_be_short`: it has something to say of the short way.
pub fn echo(listen: &[&str], options: EchoOptions, may_be_short: bool, asked: &Arc<Asked>) -> ServiceOptions {
    let asked = Arc::clone(asked);
    let factory = move || -> Box<dyn Service<SimBuf>> {
        let watched = Watched(Echo::new(options.clone()), Arc::clone(&asked));
        if may_be_short { Box::new(watched) } else { Box::new(Ordinary(watched)) }
    };
    ServiceOptions {
        name: listen.concat(),
        factory: Box::new(factory),
        listen: listen.iter().map(|local| local.parse().expect("an address and a port")).collect(),
        ..ServiceOptions::echo()
    }
}
