//! pollcast: a UDP host in user space, on DPDK.
//!
//! A pure core ([`addr`], [`time`], [`wire`], [`stack`], [`fastpath`]) is handed packets and the time. A thin
//! [`engine`] turns it once per burst on each worker lcore, and one control thread alone changes anything. The core
//! meets the world through the traits of [`io`], which two worlds fill: `dpdk` (the real one, and the only home of
//! `unsafe`) and `sim` (a seeded one, for tests).
//!
//! # An echo from a thread
//!
//! A program's own threads have sockets that behave as Linux's do; the host turns on threads of its own. `examples/echo.rs`:
//!
//! ```no_run
//! # #[cfg(not(feature = "dpdk"))]
//! # fn main() {}
//! # #[cfg(feature = "dpdk")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use pollcast::host::Host;
//!
//! let host = Host::load("config/tap.toml")?.start()?;
//! let socket = host.sockets().bind("[::]:7777")?;
//! let mut buf = [0; 65536];
//! loop {
//!     let (len, peer) = socket.recv_from(&mut buf)?;
//!     socket.send_to(&buf[..len], peer)?;
//! }
//! # }
//! ```
//!
//! `recv_msg` tells more of a datagram: the address that was asked, TTL and TOS, when it came, who the real client behind a
//! balancer is. `reply` answers from the address that was asked: `examples/udp_serv.rs`. A receiver of groups with named sources is
//! `examples/multicast.rs`. Each verb has its own error ([`socket::BindError`], [`socket::SendError`] and so on), each value of which has
//! Linux's errno, and is an `io::Error` for `?`.
//!
//! A socket is for any thread, and for several at once. What arrives is copied to it by a worker, what is sent is copied to one: no thread
//! holds a buffer of the device, and none that is slow slows anything but itself. Queues are bounded in bytes as Linux counts them;
//! `as_fd` is for epoll, mio and tokio. Calls that change who hears what ask the control thread, all others touch the socket alone. When the
//! host ends, every call says so ([`socket::RecvError::Down`]). The library handles no signal: `examples/stop` shows how a program
//! does.
//!
//! # A client
//!
//! A connected socket hears its peer alone, and what the network reports of what it sent. `examples/client.rs`:
//!
//! ```no_run
//! # #[cfg(not(feature = "dpdk"))]
//! # fn main() {}
//! # #[cfg(feature = "dpdk")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let host = pollcast::host::Host::load("config/tap.toml")?.start()?;
//! use std::time::Duration;
//!
//! use pollcast::socket::RecvError;
//!
//! let socket = host.sockets().connect("198.18.0.1:7")?;
//! socket.set_read_timeout(Some(Duration::from_millis(500)));
//! let mut buf = [0; 65536];
//! let answer = loop {
//!     socket.send(b"who is there?")?;
//!     match socket.recv(&mut buf) {
//!         Ok(len) => break &buf[..len],
//!         Err(RecvError::WouldBlock) => continue,
//!         Err(e) => return Err(e.into()),
//!     }
//! };
//! # let _ = answer;
//! # Ok(())
//! # }
//! ```
//!
//! # An echo on the lcore
//!
//! Faster, and without a copy: a service runs on the workers themselves, and is handed datagrams in bursts. What runs there
//! implements [`service::Service`]; a configuration file says where it listens ([`config`]), and `host` puts the two together on
//! DPDK and runs them until it is told to stop.
//!
//! ```no_run
//! # #[cfg(not(feature = "dpdk"))]
//! # fn main() {}
//! # #[cfg(feature = "dpdk")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use pollcast::config::{Config, Kind, Machine};
//! use pollcast::host::{Host, Shutdown, builtin_kinds};
//! use pollcast::io::PacketBuf;
//! use pollcast::service::{Cx, Datagram, Service};
//!
//! /// Answers every datagram with its own payload, in capitals. One instance lives on each worker.
//! struct Shout;
//!
//! impl<B: PacketBuf> Service<B> for Shout {
//!     fn datagrams(&mut self, _cx: &mut Cx<'_, B>, burst: &mut [Datagram<B>]) {
//!         for datagram in burst {
//!             if let Some(payload) = datagram.payload_mut() {
//!                 payload.make_ascii_uppercase();
//!                 datagram.reply();
//!             }
//!         }
//!     }
//! }
//!
//! /// The keys of `kind = "shout"` in the file, beside those that every service has: none.
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct ShoutOptions {}
//!
//! let kinds = builtin_kinds().with(Kind::of::<ShoutOptions>("shout", &[]));
//! let plan = Config::load("shout.toml".as_ref())?.check(&Machine::here(), &kinds)?;
//!
//! let shutdown = Shutdown::default();
//! // From another thread, or a signal's: `shutdown.clone().request()`.
//! Host::new(plan).service_kind("shout", |_plan| Ok(Box::new(Shout))).run(&shutdown)?;
//! # Ok(())
//! # }
//! ```
//!
//! `shout.toml` has a `[[port]]` with `device` and `addresses`, and a `[[service]]` with `kind = "shout"` and `listen`;
//! `config/tap.toml` names every key. `examples/outside-service` is this as a program of its own.
//!
//! # Features
//!
//! `dpdk` (default): `dpdk` and `host`; needs libdpdk. `cli` (default): `cli` and the `pollcast` program. `sim`: the
//! simulator, for tests of services and of the engine without a device.
//!
//! # Inside
//!
//! `docs/architecture.md` draws the rooms and the packet's way through them, `docs/glossary.md` has the words.
#![deny(unsafe_code)]

pub mod addr;
pub mod bench;
pub mod config;
pub mod ctl;
pub mod engine;
pub mod fastpath;
pub mod io;
pub mod rng;
pub mod service;
pub mod socket;
pub mod stack;
pub mod time;
pub mod wire;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "dpdk")]
pub mod dpdk;
#[cfg(feature = "dpdk")]
pub mod host;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
