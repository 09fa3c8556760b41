//! Path MTUs: what routers say of them, what time makes of that, and what a port's own MTU does to all of them.

use core::mem::discriminant;
use core::net::IpAddr;

use super::admission::TELL_INTERVAL;
use super::interface::Interface;
use super::port::{Base, Port};
use super::side::Managed;
use super::{Control, Outlet, PATH_REPORTS, choose, find};
use crate::addr::{Family, V4, V6};
use crate::engine::command::{Answer, DoneAnswer, MtuOrder, PathAnswer};
use crate::engine::message::{News, PathNews, PathReport};
use crate::io::Nic;
use crate::stack::pmtu::{Learned, Row, TooBig};
use crate::time::Instant;

impl<N: Nic> Control<N> {
    /// C16, K07: what ingress found to be about a datagram that a socket of ours can have sent.
    pub(super) fn path_report(&mut self, now: Instant, report: PathReport) {
        if !self.path_reports.take(now, PATH_REPORTS) {
            return;
        }
        let Some((base, interface)) = find(&mut self.ports, report.interface) else { return };
        match report.too_big.dst {
            IpAddr::V4(dst) => {
                interface.learn_path::<V4, N>(now, report.too_big.with_dst(dst), base, &self.out)
            }
            IpAddr::V6(dst) => {
                interface.learn_path::<V6, N>(now, report.too_big.with_dst(dst), base, &self.out)
            }
        }
    }

    pub(super) fn paths(&self, now: Instant) -> Vec<PathAnswer> {
        let interfaces = self.ports.iter().flat_map(|port| &port.interfaces);
        let rows = |i: &Interface| {
            let v4 = i.replica.v4.paths.rows().map(|row| path_answer::<V4>(now, i, row));
            v4.chain(i.replica.v6.paths.rows().map(|row| path_answer::<V6>(now, i, row))).collect::<Vec<_>>()
        };
        interfaces.flat_map(rows).collect()
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

fn path_answer<F: Managed>(now: Instant, interface: &Interface, row: Row<F::Addr>) -> PathAnswer {
    PathAnswer {
        port: interface.name.clone(),
        addr: row.dst.into(),
        mtu: row.path.mtu,
        df_max: row.path.df_max,
        age_s: now.since(row.learned_at).as_secs(),
    }
}

impl Port {
    fn set_mtu<N: Nic>(&mut self, now: Instant, mtu: u16, out: &Outlet<N>) -> Result<String, String> {
        let Self { base, interfaces } = self;
        let most = base.configured_mtu;
        // RFC 8200 5: IPv6 is not spoken on a link that carries less than 1280 bytes.
        let speaks6 = interfaces.iter().any(|interface| interface.replica.v6.is_on);
        let (least, because) =
            if speaks6 { (V6::MTU_MIN, ", and IPv6 needs 1280") } else { (V4::MTU_MIN, "") };
        if !(least..=most).contains(&mtu) {
            return Err(format!(
                "use {least} to {most}: buffers and rings were made for the `mtu` of the configuration{because}"
            ));
        }
        base.device.set_mtu(mtu)?;
        for interface in interfaces {
            interface.replica.set_mtu(mtu);
            interface.v4.reports.gmp.set_mtu(mtu);
            interface.v6.reports.gmp.set_mtu(mtu);
            interface.tell_paths::<V4, N>(now, PathNews::LinkMtu(mtu), &base.workers, out);
            interface.tell_paths::<V6, N>(now, PathNews::LinkMtu(mtu), &base.workers, out);
            interface.heed_link(now, base, out);
        }
        Ok(format!(
            "{} carries {mtu} bytes now; what was known of its paths is forgotten",
            base.device.info().name
        ))
    }
}

impl Interface {
    /// Believes what is reported of a path, and tells the workers.
    fn learn_path<F: Managed, N: Nic>(
        &mut self,
        now: Instant,
        report: TooBig<F::Addr>,
        base: &Base,
        out: &Outlet<N>,
    ) {
        if let Learned::Path(path) = F::inet_mut(&mut self.replica).paths.learn(now, report) {
            tracing::debug!("port {}: the path to {} carries {}", self.name, report.dst, path.mtu);
            for worker in &base.workers {
                // A worker that does not hear of it sends what is too long again, and control is told again.
                let news = News::PathMtu(now, PathNews::TooBig(report));
                let _told = out.tell(*worker, F::told(self.replica.id, news));
            }
        }
    }

    /// C16, RFC 1191 6.3; K07, RFC 8201 4: what was learned too long ago is forgotten.
    pub(super) fn expire_paths<F: Managed, N: Nic>(&mut self, now: Instant, base: &Base, out: &Outlet<N>) {
        let paths = &mut F::inet_mut(&mut self.replica).paths;
        if paths.poll_timeout().is_some_and(|at| at <= now) {
            paths.expire(now);
            self.tell_paths::<F, N>(now, PathNews::Expired, &base.workers, out);
        }
        if F::side(self).tell_paths_at.is_some_and(|at| at <= now) {
            self.tell_untold_paths::<F, N>(now, out);
        }
    }

    /// Tells `news`, which takes the place of older of its kind, to these workers; to one whose inbox is full, later.
    pub(super) fn tell_paths<F: Managed, N: Nic>(
        &mut self,
        now: Instant,
        news: PathNews<F::Addr>,
        workers: &[usize],
        out: &Outlet<N>,
    ) {
        let untold = &mut F::side_mut(self).untold_paths;
        untold.retain(|(_, old)| discriminant(old) != discriminant(&news));
        untold.extend(workers.iter().map(|worker| (*worker, news)));
        self.tell_untold_paths::<F, N>(now, out);
    }

    /// Tells the workers what they have not been told.
    fn tell_untold_paths<F: Managed, N: Nic>(&mut self, now: Instant, out: &Outlet<N>) {
        let (replica, side) = F::split(self);
        let id = replica.id;
        side.untold_paths.retain(|(worker, news)| {
            let message = F::told(id, News::PathMtu(now, *news));
            out.workers
                .get(*worker)
                .is_some_and(|inbox| matches!(inbox.try_send(message), Err(e) if e.is_full()))
        });
        side.tell_paths_at = (!side.untold_paths.is_empty()).then(|| now + TELL_INTERVAL);
    }
}
