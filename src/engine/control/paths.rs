//! Path MTUs: what routers say of them, what time makes of that, and what a port's own MTU does to all of them.

use core::net::Ipv4Addr;

use super::interface::Interface;
use super::port::{Base, Port};
use super::{Control, Outlet, choose, find};
use crate::engine::command::{Answer, DoneAnswer, MtuOrder, PathAnswer};
use crate::engine::message::{PathNews, PathReport, ToWorker};
use crate::io::{InterfaceId, Nic};
use crate::stack::pmtu::{IPV4_MTU_MIN, Learned, Row};
use crate::time::Instant;

impl<N: Nic> Control<N> {
    /// C16: what ingress found to be about a datagram that a socket of ours can have sent.
    pub(super) fn path_report(&mut self, now: Instant, report: PathReport) {
        let Some((base, interface)) = find(&mut self.ports, report.interface) else { return };
        if let Learned::Path(path) = interface.replica.paths.learn(now, report.too_big) {
            tracing::debug!(
                "port {}: the path to {} carries {}",
                interface.name,
                report.too_big.dst,
                path.mtu
            );
            // A worker that does not hear of it sends what is too long again, and control is told again.
            self.out.tell_paths(base, interface.replica.id, now, PathNews::TooBig(report.too_big));
        }
    }

    pub(super) fn paths(&self, now: Instant) -> Vec<PathAnswer> {
        let interfaces = self.ports.iter().flat_map(|port| &port.interfaces);
        interfaces.flat_map(|i| i.replica.paths.rows().map(move |row| path_answer(now, i, row))).collect()
    }

    /// T04: gives a port another MTU while it runs.
    pub(super) fn set_mtu(&mut self, now: Instant, order: &MtuOrder) -> Answer {
        let names: Vec<&str> = self.ports.iter().map(|p| p.base.device.info().name.as_str()).collect();
        let port = choose("port", order.port.as_deref(), &names);
        let done = port.and_then(|index| {
            let Some(port) = self.ports.get_mut(index) else { return Err("no such port".to_owned()) };
            port.set_mtu(now, order.mtu, &self.out)
        });
        match done {
            Ok(done) => Answer::Done(DoneAnswer { done }),
            Err(why) => Answer::Error(format!("mtu {}: {why}", order.mtu)),
        }
    }
}

fn path_answer(now: Instant, interface: &Interface, row: Row<Ipv4Addr>) -> PathAnswer {
    PathAnswer {
        port: interface.name.clone(),
        addr: row.dst,
        mtu: row.path.mtu,
        df_max: row.path.df_max,
        age_s: now.since(row.learned_at).as_secs(),
    }
}

impl Port {
    fn set_mtu<N: Nic>(&mut self, now: Instant, mtu: u16, out: &Outlet<N>) -> Result<String, String> {
        let Self { base, interfaces } = self;
        let most = base.configured_mtu;
        if !(IPV4_MTU_MIN..=most).contains(&mtu) {
            return Err(format!(
                "use {IPV4_MTU_MIN} to {most}: buffers and rings were made for the `mtu` of the configuration"
            ));
        }
        base.device.set_mtu(mtu)?;
        for interface in interfaces {
            interface.replica.set_mtu(mtu);
            interface.igmp.set_mtu(mtu);
            out.tell_paths(base, interface.replica.id, now, PathNews::LinkMtu(mtu));
        }
        Ok(format!(
            "{} carries {mtu} bytes now; what was known of its paths is forgotten",
            base.device.info().name
        ))
    }
}

impl Interface {
    /// C16, RFC 1191 6.3: what was learned too long ago is forgotten.
    pub(super) fn expire_paths<N: Nic>(&mut self, now: Instant, base: &Base, out: &Outlet<N>) {
        if self.replica.paths.poll_timeout().is_some_and(|at| at <= now) {
            self.replica.paths.expire(now);
            out.tell_paths(base, self.replica.id, now, PathNews::Expired);
        }
    }
}

impl<N: Nic> Outlet<N> {
    /// Tells `news` to every worker of a port that has room for it.
    fn tell_paths(&self, base: &Base, interface: InterfaceId, at: Instant, news: PathNews) {
        for inbox in base.workers.iter().filter_map(|worker| self.workers.get(*worker)) {
            // What is lost is learned again, and ages on the worker by itself.
            let _ = inbox.try_send(ToWorker::PathMtu(interface, at, news));
        }
    }
}
