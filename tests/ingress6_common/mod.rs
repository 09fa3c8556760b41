//! A host of IPv6, as `stack::ingress` and `stack::egress` see it, and frames for it.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use core::net::Ipv6Addr;
use std::collections::BTreeSet;
use std::sync::Arc;

use pollcast::addr::{Cidr, Group, Unicast, V6};
use pollcast::io::{BufPool, DropReason, InterfaceId, PacketBuf, Parts, RxMeta};
use pollcast::rng::Rng;
use pollcast::service::Datagram;
use pollcast::sim::buf::{SimBuf, SimPool};
use pollcast::sim::frames::icmp6::IcmpFrame6;
use pollcast::sim::frames::ipv6::{Extension, HeaderOption, station_mac6};
use pollcast::sim::frames::udp6::UdpFrame6;
use pollcast::stack::egress;
use pollcast::stack::fragmentation::{IdSpace, Ids};
use pollcast::stack::groups::GroupTable;
use pollcast::stack::ingress::{Ingress, IngressOptions, Verdict};
use pollcast::stack::interface::{Inet, Interface, Interfaces};
use pollcast::stack::membership::SourceFilter;
use pollcast::stack::port_table::{PortTable, Socket};
use pollcast::time::Instant;

pub const OWN: &str = "2001:db8::2";
pub const PEER: &str = "2001:db8::1";

pub fn v6(addr: &str) -> Ipv6Addr {
    addr.parse().unwrap()
}

pub struct Host {
    pub interfaces: Interfaces,
    pub table: PortTable,
    pub pool: SimPool,
    pub ingress: Ingress,
    pub ids: Ids,
}

impl Host {
    /// 2001:db8::2/64 and fe80::2 with an echo on any address, port 7, which joined ff0e::1:2:3, and ff3e::1:2:4 from the
    /// peer.
    pub fn new() -> Self {
        Self::with(|_| ())
    }

    pub fn with(change: impl FnOnce(&mut Interface)) -> Self {
        let cidr = |addr| Cidr::<V6>::new(Unicast::new(v6(addr)).unwrap(), 64).unwrap();
        let mut interface = Interface::new(InterfaceId(0), station_mac6(v6(OWN)), 1500, Vec::new());
        interface.v6 = Inet::new(vec![cidr(OWN), cidr("fe80::2")]);
        let group = |g, filter| (Group::new(v6(g)).unwrap(), 0, filter);
        let only = SourceFilter::Include(BTreeSet::from([v6(PEER)]));
        let solicited = Group::solicited_node(v6(OWN)).addr().to_string();
        let joined = [
            group("ff0e::1:2:3", SourceFilter::ANY),
            group("ff3e::1:2:4", only),
            group(&solicited, SourceFilter::ANY),
        ];
        interface.v6.groups = Arc::new(GroupTable::new(3, joined.into_iter()));
        change(&mut interface);
        let mut table = PortTable::new(5);
        table.bind(Socket::new(InterfaceId(0), "[::]:7".parse().unwrap(), 0)).unwrap();
        let ingress = Ingress::new(Instant::ZERO, &mut Rng::new(1), IngressOptions::default());
        let ids = Ids::new(IdSpace::default(), &mut Rng::new(2));
        Self { interfaces: interface.into(), table, pool: SimPool::new(64, 2048), ingress, ids }
    }

    pub fn see_as(&mut self, frame: &[u8], meta: RxMeta) -> Verdict<SimBuf> {
        let mut buf = self.pool.alloc_copy(frame).unwrap();
        buf.set_rx_meta(meta);
        self.ingress.ingress(Instant::ZERO, buf, &self.interfaces, &self.table, &self.pool)
    }

    pub fn see(&mut self, frame: &[u8]) -> Verdict<SimBuf> {
        self.see_as(frame, RxMeta::default())
    }

    #[track_caller]
    pub fn drops(&mut self, frame: &[u8], why: DropReason) {
        match self.see(frame) {
            Verdict::Drop(got) => assert_eq!(got, why, "{frame:02x?}"),
            other => panic!("expected {why}, got {other:?} for {frame:02x?}"),
        }
        assert_eq!(self.pool.outstanding(), 0);
    }

    /// `frame` is dropped, and its sender told so: type, code and pointer.
    #[track_caller]
    pub fn rejects(&mut self, frame: &[u8], why: DropReason, kind: (u8, u8, u32)) {
        let verdict = self.see(frame);
        let Verdict::Reject(got, Some(error)) = verdict else { panic!("{verdict:?} for {frame:02x?}") };
        let error = IcmpFrame6::read(error.data()).unwrap();
        let told = error.as_error().expect("an error");
        assert_eq!((got, (error.kind, error.code, told.word)), (why, kind), "{frame:02x?}");
    }

    /// The datagram that a service would get.
    #[track_caller]
    pub fn delivers(&mut self, frame: &[u8]) -> Datagram<SimBuf> {
        match self.see(frame) {
            Verdict::Deliver(buf, parts) => Datagram::new(buf, parts, Instant::ZERO),
            other => panic!("expected a delivery, got {other:?} for {frame:02x?}"),
        }
    }

    pub fn turn_round(&mut self, buf: &mut SimBuf, parts: Parts) -> bool {
        let interface = self.interfaces.get(InterfaceId(0)).unwrap();
        egress::udp_reply(buf, parts, true, &mut self.ids, interface)
    }

    /// The echo of `frame`, read back by the other implementation.
    #[track_caller]
    pub fn echoes(&mut self, frame: &[u8]) -> UdpFrame6 {
        let Verdict::Deliver(mut buf, parts) = self.see(frame) else { panic!("not delivered") };
        assert!(self.turn_round(&mut buf, parts));
        UdpFrame6::read(buf.data()).expect("a right answer")
    }
}

pub fn udp(destination: &str, payload: &[u8]) -> UdpFrame6 {
    UdpFrame6::new("[2001:db8::1]:4000", destination, payload)
}

pub fn request() -> UdpFrame6 {
    udp("[2001:db8::2]:7", b"hello")
}

pub fn from(source: &str) -> Vec<u8> {
    let udp = UdpFrame6::new(&format!("[{source}]:4000"), "[2001:db8::2]:7", b"x");
    UdpFrame6 { source_mac: station_mac6(v6(PEER)), ..udp }.frame()
}

pub fn to(destination: &str) -> UdpFrame6 {
    udp(&format!("[{destination}]:7"), b"x")
}

pub fn option(kind: u8) -> HeaderOption {
    HeaderOption::new(kind, &[0, 0])
}

pub fn destination_options(kinds: &[u8]) -> Extension {
    Extension::Destination(kinds.iter().map(|kind| option(*kind)).collect())
}

pub fn hop_by_hop(kinds: &[u8]) -> Extension {
    Extension::HopByHop(kinds.iter().map(|kind| option(*kind)).collect())
}
