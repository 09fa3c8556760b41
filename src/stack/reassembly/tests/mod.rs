//! Reassembly against the RFCs, of both families, with frames that the simulator's own code cut.

mod limits;
mod random;
mod rules;
mod v4;
mod v6;

use core::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use crate::sim::buf::{ROOM, SimBuf, SimPool};
use crate::sim::frames::fragment::{cut, cut_evenly, piece};
use crate::sim::frames::fragment6::{cut6, cut6_evenly, piece6};
use crate::sim::frames::{Ethernet, Ipv4 as IpFrame, Ipv6 as Ip6Frame, UdpFrame, UdpFrame6};
use crate::wire::ipv4::Ipv4;
use crate::wire::ipv6::{Ipv6, ext};

const LIMITS: Limits = Limits {
    timeout: Duration::from_secs(30),
    timeout6: Duration::from_secs(60),
    fragments: 256,
    fragments_per_source: 128,
};

/// What the rules of both families are tested with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ip {
    V4,
    V6,
}

use Ip::{V4, V6};

const BOTH: [Ip; 2] = [V4, V6];

const A6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const B6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

impl Ip {
    /// A frame with a datagram of `len` bytes.
    fn udp(self, len: usize) -> Vec<u8> {
        match self {
            V4 => UdpFrame::new("198.18.0.1:40000", "198.18.0.2:7", &payload(len)).frame(),
            V6 => UdpFrame6::new("[2001:db8::1]:40000", "[2001:db8::2]:7", &payload(len)).frame(),
        }
    }

    fn cut(self, frame: &[u8], ends: &[usize]) -> Vec<Vec<u8>> {
        match self {
            V4 => cut(frame, 9, ends),
            V6 => cut6(frame, 0x8000_0009, ends),
        }
    }

    fn cut_evenly(self, frame: &[u8], size: usize) -> Vec<Vec<u8>> {
        match self {
            V4 => cut_evenly(frame, 9, size),
            V6 => cut6_evenly(frame, 0x8000_0009, size),
        }
    }

    /// A fragment of the usual two stations.
    fn raw(self, start: usize, bytes: &[u8], total: usize) -> Vec<u8> {
        let (ethernet, packet) = Ethernet::read(&self.udp(1)).map(|(e, p)| (e, p.to_vec())).unwrap();
        match self {
            V4 => {
                let ip = IpFrame { id: 9, ..IpFrame::read(&packet).unwrap().0 };
                piece(&ethernet, &ip, start, bytes, total)
            }
            V6 => {
                let ip = Ip6Frame::new(A6, B6, 44);
                piece6(&ethernet, &ip, (17, 0x8000_0009), start, bytes, total)
            }
        }
    }

    /// `bytes` from `start` on, of the datagram `id` from a source of this number.
    fn of_source(self, source: u32, id: u16, (start, bytes, total): (usize, &[u8], usize)) -> Vec<u8> {
        let ethernet = Ethernet::read(&self.udp(1)).unwrap().0;
        match self {
            V4 => {
                let source = (0x0a00_0000 + source).into();
                let ip = IpFrame { id, ..IpFrame::new(source, [198, 18, 0, 2].into(), 17) };
                piece(&ethernet, &ip, start, bytes, total)
            }
            V6 => {
                // Each in a subnet of its own.
                let source = Ipv6Addr::from_bits(0x2001_0db8_u128 << 96 | u128::from(source) << 64 | 1);
                let ip = Ip6Frame::new(source, B6, 44);
                piece6(&ethernet, &ip, (17, u32::from(id) << 16), start, bytes, total)
            }
        }
    }

    fn first_of(self, source: u32, id: u16) -> Vec<u8> {
        self.of_source(source, id, (0, &[0; 64], 1000))
    }

    /// The most bytes of all fragments of a datagram.
    fn most(self) -> usize {
        match self {
            V4 => 65_535 - 20,
            V6 => 65_535,
        }
    }

    fn timeout(self) -> Duration {
        match self {
            V4 => LIMITS.timeout,
            V6 => LIMITS.timeout6,
        }
    }
}

fn at(s: u64) -> Instant {
    Instant::from_ns(1_000_000_000 * s)
}

/// The fragment in `frame`, which has its IP header at `l3`.
fn fragment_in(frame: &[u8], l3: u8, interface: InterfaceId) -> Option<Fragment> {
    let packet = &frame[usize::from(l3)..];
    if packet[0] >> 4 == 4 {
        return Fragment::of(&Ipv4::parse(packet).ok()?, l3, interface);
    }
    let ip = Ipv6::parse(packet).ok()?;
    Fragment::of6(&ip, &ext::walk(&ip).ok()?.fragment?, l3, interface)
}

struct Bench {
    reassembler: Reassembler<SimBuf>,
    pool: SimPool,
    /// Where what arrives lies: frames may be jumbos.
    wire: SimPool,
    now: Instant,
    /// Everything that was accounted for.
    sum: Account,
    drops: Vec<(DropReason, u32)>,
    arrived: u32,
    completed: u32,
}

impl Bench {
    fn new(limits: Limits) -> Self {
        let pool = SimPool::with_large(1024, ROOM, 2);
        let reassembler = Reassembler::new(limits, 7);
        let wire = SimPool::new(1024, 9100);
        Self {
            reassembler,
            pool,
            wire,
            now: at(5),
            sum: Account::default(),
            drops: Vec::new(),
            arrived: 0,
            completed: 0,
        }
    }

    /// A fragment arrives; the datagram that it completes.
    fn arrive(&mut self, frame: &[u8]) -> Option<SimBuf> {
        let fragment = fragment_in(frame, 14, InterfaceId(0)).expect("a fragment");
        let buf = self.wire.alloc_copy(frame).expect("a buffer");
        let (whole, account) = self.reassembler.insert(self.now, &fragment, buf, &self.pool);
        self.arrived += 1;
        self.completed += u32::from(whole.is_some());
        self.add(&account);
        whole
    }

    /// As `arrive`, of what ends in nothing but this drop of the one fragment.
    fn refuses(&mut self, frame: &[u8], why: DropReason) {
        let before = self.drops(why);
        assert!(self.arrive(frame).is_none());
        assert!(self.drops(why) > before, "{why}: {:?}", self.drops);
    }

    fn expire(&mut self) -> Vec<Expired<SimBuf>> {
        let now = self.now;
        let mut all = Vec::new();
        while let Some(expired) = self.reassembler.expire(now) {
            self.add(&expired.account);
            all.push(expired);
        }
        all
    }

    /// Adds up, and checks that nothing is lost: DESIGN 3.
    fn add(&mut self, account: &Account) {
        self.sum.held += account.held;
        self.sum.released += account.released;
        self.sum.merged += account.merged;
        self.sum.allocated += account.allocated;
        for (why, count) in &account.drops {
            match self.drops.iter_mut().find(|d| d.0 == *why) {
                Some(sum) => sum.1 += count,
                None => self.drops.push((*why, *count)),
            }
        }
        assert_eq!(
            self.arrived + self.sum.released + self.sum.allocated,
            self.sum.held + self.sum.merged + self.completed + self.drops.iter().map(|d| d.1).sum::<u32>(),
            "{:?}",
            self.sum
        );
        assert_eq!(self.sum.held - self.sum.released, u32::try_from(self.reassembler.held()).unwrap());
    }

    /// Ordinary buffers that are out.
    fn out(&self) -> usize {
        self.pool.outstanding() + self.wire.outstanding()
    }

    fn drops(&self, why: DropReason) -> u32 {
        self.drops.iter().find(|d| d.0 == why).map_or(0, |d| d.1)
    }
}

fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from(i * 7 % 251).unwrap()).collect()
}

/// The whole frame in `buf`, its body put behind its headers: those of IP alone.
fn flat(buf: &SimBuf) -> Vec<u8> {
    match buf.body() {
        None => buf.data().to_vec(),
        Some(body) => {
            let version_ihl = buf.data()[14];
            let header_len = if version_ihl >> 4 == 4 { 4 * usize::from(version_ihl & 0x0f) } else { 40 };
            assert_eq!(buf.data().len(), 14 + header_len);
            [buf.data(), body].concat()
        }
    }
}

/// Whether the datagram in `buf` is that in `frame`.
#[track_caller]
fn assert_is(ip: Ip, buf: &SimBuf, frame: &[u8]) {
    let mut flat = flat(buf);
    flat.resize(flat.len().max(60), 0);
    match ip {
        V4 => assert_eq!(UdpFrame::read(&flat).unwrap(), UdpFrame::read(frame).unwrap()),
        // RFC 8200 4.5: there is nothing left of the fragment header.
        V6 => assert_eq!(flat, frame),
    }
}
