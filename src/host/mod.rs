//! The assembly: a plan becomes ports, workers, control and a control socket, and runs.
//!
//! The one room that knows all the others. The `pollcast` program is a thin shell around it, and so is a program of
//! yours that brings its own [`Service`]:
//!
//! ```no_run
//! use pollcast::config::{Config, Kind, Machine};
//! use pollcast::host::{Host, Shutdown, builtin_kinds};
//! # use pollcast::io::PacketBuf;
//! # use pollcast::service::{Cx, Datagram, Service};
//! # struct Shout;
//! # impl<B: PacketBuf> Service<B> for Shout {
//! #     fn datagrams(&mut self, _cx: &mut Cx<'_, B>, _burst: &mut [Datagram<B>]) {}
//! # }
//! # #[derive(serde::Deserialize)]
//! # struct Options {}
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let kinds = builtin_kinds().with(Kind::of::<Options>("shout", &[]));
//! let plan = Config::load("shout.toml".as_ref())?.check(&Machine::here(), &kinds)?;
//! Host::new(plan).service_kind("shout", |_service| Ok(Box::new(Shout))).run(&Shutdown::default())?;
//! # Ok(())
//! # }
//! ```
//!
//! Not here: signals, the command line, and `exit`: whoever calls decides when to stop ([`Shutdown`]).

mod assemble;
mod cpu_latency;
mod engine;
mod error;
mod idle;
mod running;
mod secret;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::config::{Config, ConfigErrors, Kind, Kinds, Machine, Plan, ServicePlan};
use crate::dpdk::Mbuf;
use crate::engine::request;
use crate::service::{Discard, DiscardOptions, Echo, EchoOptions, Relay, RelayOptions, Service};

pub use crate::socket::{Sockets, UdpSocket};
pub use error::HostError;
use running::Threads;
pub use running::{NotReady, Running};

/// Makes one instance of a service, for one worker.
type Factory = Box<dyn Fn(&ServicePlan) -> Result<Box<dyn Service<Mbuf>>, String> + Send + Sync>;

/// The kinds of service that every host has: `echo`, `discard` and `relay`.
#[must_use]
pub fn builtin_kinds() -> Kinds {
    Kinds::new()
        .with(Kind::of::<EchoOptions>("echo", EchoOptions::KEYS))
        .with(Kind::of::<DiscardOptions>("discard", DiscardOptions::KEYS))
        .with(Kind::of::<RelayOptions>("relay", RelayOptions::KEYS))
}

/// Asks a running [`Host`] to stop. Clones ask the same one.
#[derive(Clone, Debug)]
pub struct Shutdown {
    ask: Sender<()>,
    asked: Receiver<()>,
}

impl Default for Shutdown {
    fn default() -> Self {
        let (ask, asked) = bounded(1);
        Self { ask, asked }
    }
}

impl Shutdown {
    /// The host leaves its groups, drains, stops its ports, and [`Host::run`] returns. From any thread, and also before
    /// it runs; further requests change nothing.
    pub fn request(&self) {
        // Full: someone asked already.
        let _ = self.ask.try_send(());
    }

    /// Where a request arrives.
    #[cfg(feature = "cli")]
    pub(crate) const fn asked(&self) -> &Receiver<()> {
        &self.asked
    }
}

/// A UDP host on DPDK.
pub struct Host {
    plan: Plan,
    factories: BTreeMap<String, Factory>,
}

impl core::fmt::Debug for Host {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let kinds: Vec<_> = self.factories.keys().collect();
        f.debug_struct("Host").field("plan", &self.plan).field("kinds", &kinds).finish()
    }
}

impl Host {
    /// The host that the configuration file at `path` describes, on this machine, with the built-in kinds of service. It needs no
    /// `[[service]]` if the program brings sockets of its own.
    ///
    /// # Errors
    /// Everything that is wrong with the file, each with its place and remedy.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigErrors> {
        let config = Config::load(path.as_ref())?;
        Ok(Self::new(config.check(&Machine::here(), &builtin_kinds())?))
    }

    /// The host of `plan`, with the built-in kinds of service.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self { plan, factories: BTreeMap::new() }
            .service_kind("echo", |service| {
                let echo = Echo::new(options::<EchoOptions>(service)?);
                Ok(Box::new(echo.with_seed(RandomState::new().build_hasher().finish())))
            })
            .service_kind("discard", |service| {
                options::<DiscardOptions>(service).map(|_| Box::new(Discard) as Box<dyn Service<Mbuf>>)
            })
            .service_kind("relay", |service| Ok(Box::new(Relay::new(options::<RelayOptions>(service)?))))
    }

    /// Adds a kind of service, or takes the place of one. `make` is called once for each worker that serves it, with the
    /// service's part of the plan; what it fails with is reported as an error of the configuration.
    #[must_use]
    pub fn service_kind(
        mut self,
        kind: &str,
        make: impl Fn(&ServicePlan) -> Result<Box<dyn Service<Mbuf>>, String> + Send + Sync + 'static,
    ) -> Self {
        self.factories.insert(kind.to_owned(), Box::new(make));
        self
    }

    /// Runs until `shutdown` is requested, on threads of its own: control (EAL's main lcore), the worker lcores, and the
    /// control socket's.
    ///
    /// # Errors
    /// A sentence that says what could not be done and what to do about it. DPDK can be started once in a process's
    /// life: a second run in one process fails.
    pub fn run(self, shutdown: &Shutdown) -> Result<(), HostError> {
        {
            let idle = idle::of(&self.plan)?;
            Threads::start(self, request::requests(), shutdown, (idle, None))?.wait()
        }
    }

    /// Starts it, and returns when it runs: for a program that has sockets of its own, with or without services.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let host = pollcast::host::Host::load("tap.toml")?.start()?;
    /// let socket = host.sockets().bind("0.0.0.0:7")?;
    /// let mut buf = [0; 65536];
    /// loop {
    ///     let (len, peer) = socket.recv_from(&mut buf)?;
    ///     socket.send_to(&buf[..len], peer)?;
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// As of [`run`](Self::run), if it could not start.
    pub fn start(self) -> Result<Running, HostError> {
        Running::start(self)
    }
}

/// The keys of a service's own kind.
fn options<T: serde::de::DeserializeOwned>(service: &ServicePlan) -> Result<T, String> {
    service.options.clone().try_into().map_err(|e: toml::de::Error| e.message().to_owned())
}

/// The kinds of service, by name.
type Factories = BTreeMap<String, Factory>;
