//! A UDP host with a service of its own: `shout` answers every datagram with its payload in capitals.
//!
//! Usage: `outside-service CONFIG`, where the configuration is pollcast's, with services of the kind `shout`; see
//! `shout.toml` beside this crate. It runs until SIGINT or SIGTERM.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use pollcast::config::{Config, Kind, Machine};
use pollcast::host::{Host, Shutdown, builtin_kinds};
use pollcast::io::{DropReason, PacketBuf};
use pollcast::service::{Cx, Datagram, Service};
use serde::Deserialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The keys of the kind `shout`, beside those that every service has.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ShoutOptions {
    /// The longest payload that is answered, in bytes.
    max_len: usize,
}

impl ShoutOptions {
    const KEYS: &'static [&'static str] = &["max_len"];
}

impl Default for ShoutOptions {
    fn default() -> Self {
        Self { max_len: 1472 }
    }
}

/// One instance lives on each worker, so that it needs no locks.
struct Shout {
    options: ShoutOptions,
}

impl<B: PacketBuf> Service<B> for Shout {
    fn datagrams(&mut self, _cx: &mut Cx<'_, B>, burst: &mut [Datagram<B>]) {
        for datagram in burst {
            // Whoever answers anything answers no echo and no other shout: they would never stop.
            if datagram.source_port() < 1024 {
                datagram.refuse(DropReason::EchoReflectorPort);
            } else if datagram.payload().len() <= self.options.max_len
                && let Some(payload) = datagram.payload_mut()
            {
                payload.make_ascii_uppercase();
                datagram.reply();
            }
        }
    }
}

fn run(config: &PathBuf) -> Result<(), Box<dyn Error>> {
    let kinds = builtin_kinds().with(Kind::of::<ShoutOptions>("shout", ShoutOptions::KEYS));
    let plan = Config::load(config)?.check(&Machine::here(), &kinds)?;
    let shutdown = Shutdown::default();
    stop_on_signals(shutdown.clone())?;
    let host = Host::new(plan).service_kind("shout", |service| {
        let options = service.options.clone().try_into().map_err(|e| format!("{e}"))?;
        Ok(Box::new(Shout { options }))
    });
    Ok(host.run(&shutdown)?)
}

/// pollcast is a library here: signals are ours to handle.
fn stop_on_signals(shutdown: Shutdown) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        if signals.forever().next().is_some() {
            shutdown.request();
        }
    })?;
    Ok(())
}

fn main() -> ExitCode {
    let Some(config) = std::env::args_os().nth(1) else {
        eprintln!("usage: outside-service CONFIG");
        return ExitCode::from(2);
    };
    match run(&config.into()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}
