//! Path MTUs: what routers say of them, what time makes of that, and what a port's own MTU does to all of them.

use core::mem::discriminant;
use core::net::Ipv4Addr;

use super::admission::TELL_INTERVAL;
use super::interface::Interface;
use super::port::{Base, Port};
use super::{Control, Outlet, PATH_REPORTS, choose, find};
use crate::engine::command::{Answer, DoneAnswer, MtuOrder, PathAnswer};
use crate::engine::message::{PathNews, PathReport, ToWorker};
use crate::io::Nic;
use crate::stack::pmtu::{IPV4_MTU_MIN, Learned, Row};
use crate::time::Instant;

impl<N: Nic> Control<N> {
    /// C16: what ingress found to be about a datagram that a socket of ours can have sent.
    pub(super) fn path_report(&mut self, now: Instant, report: PathReport) {
        if !self.path_reports.take(now, PATH_REPORTS) {
            return;
        }
        let Some((base, interface)) = find(&mut self.ports, report.interface) else { return };
        if let Learned::Path(path) = interface.replica.paths.learn(now, report.too_big) {
            tracing::debug!(
                "port {}: the path to {} carries {}",
                interface.name,
                report.too_big.dst,
                path.mtu
            );
            // A worker that does not hear of it sends what is too long again, and control is told again.
            let message = |id| ToWorker::PathMtu(id, now, PathNews::TooBig(report.too_big));
            let inboxes = base.workers.iter().filter_map(|worker| self.out.workers.get(*worker));
            inboxes.for_each(|inbox| drop(inbox.try_send(message(interface.replica.id))));
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
            Ok(done) => Answer::Done(DoneAnswer::said(done)),
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
            interface.tell_paths(now, PathNews::LinkMtu(mtu), &base.workers, out);
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
            self.tell_paths(now, PathNews::Expired, &base.workers, out);
        }
    }

    /// Tells `news`, which takes the place of older of its kind, to these workers; to one whose inbox is full, later.
    fn tell_paths<N: Nic>(&mut self, now: Instant, news: PathNews, workers: &[usize], out: &Outlet<N>) {
        self.untold_paths.retain(|(_, old)| discriminant(old) != discriminant(&news));
        self.untold_paths.extend(workers.iter().map(|worker| (*worker, news)));
        self.tell_untold_paths(now, out);
    }

    /// Tells the workers what they have not been told.
    pub(super) fn tell_untold_paths<N: Nic>(&mut self, now: Instant, out: &Outlet<N>) {
        let id = self.replica.id;
        self.untold_paths.retain(|(worker, news)| {
            let message = ToWorker::PathMtu(id, now, *news);
            out.workers
                .get(*worker)
                .is_some_and(|inbox| matches!(inbox.try_send(message), Err(e) if e.is_full()))
        });
        self.tell_paths_at = (!self.untold_paths.is_empty()).then(|| now + TELL_INTERVAL);
    }
}
