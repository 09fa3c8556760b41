//! What the tests of the fast path share: an interface, and both paths over one frame.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use pollcast::addr::MacAddr;
use std::cell::Cell;

use pollcast::fastpath::{
    Alikes, Answers, Found, Level, Port, Request, Sink, View, ingress_burst, reply_burst,
};
use pollcast::io::{BufPool, Burst, ChecksumStatus, PacketBuf, Parts, RxMeta};
use pollcast::rng::Rng;
use pollcast::sim::buf::{SimBuf, SimPool};
use pollcast::stack::egress;
use pollcast::stack::fragmentation::{IdSpace, Ids};
use pollcast::stack::ingress::{Ingress, IngressOptions, Verdict};
use pollcast::stack::interface::{Interface, Interfaces};
use pollcast::stack::port_table::{PortTable, Socket};
use pollcast::time::Instant;
use proptest::prelude::*;

pub const OWN_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
pub const PEER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

/// Identifications, which whatever may not be fragmented has no need of.
fn ids() -> Ids {
    Ids::new(IdSpace::default(), &mut Rng::new(1))
}

pub fn meta(ip: ChecksumStatus, l4: ChecksumStatus) -> RxMeta {
    RxMeta { ip_checksum: ip, l4_checksum: l4, ..RxMeta::default() }
}

/// `frame` with one byte changed, and cut off or filled up to a length.
pub fn altered(mut frame: Vec<u8>, change: Option<(usize, u8)>, len: Option<usize>) -> Vec<u8> {
    if let Some((at, byte)) = change {
        frame[at] = byte;
    }
    if let Some(len) = len {
        frame.resize(len, 0x55);
    }
    frame
}

pub fn any_status() -> impl Strategy<Value = ChecksumStatus> {
    use ChecksumStatus::{Bad, Good, None, Unknown};
    prop_oneof![4 => Just(Unknown), 1 => Just(Good), 1 => Just(Bad), 1 => Just(None)]
}

/// What the fast path took, and what it left.
#[derive(Default)]
pub struct Taken(pub Vec<(SimBuf, Parts)>, pub Vec<SimBuf>);

impl Sink<SimBuf> for Taken {
    fn deliver(&mut self, buf: SimBuf, parts: Parts) {
        self.0.push((buf, parts));
    }

    fn slow(&mut self, buf: SimBuf) {
        self.1.push(buf);
    }
}

/// A frame that was turned round where it lay, its ports, and its socket.
type Turned = (Vec<u8>, Option<(u16, u16)>, u32);

/// The same where everything that may take the short way does.
#[derive(Default)]
struct Echoed {
    turned: Vec<Turned>,
    /// Of how many datagrams it was asked.
    asked: usize,
    others: Taken,
}

impl Sink<SimBuf> for Echoed {
    fn deliver(&mut self, buf: SimBuf, parts: Parts) {
        self.others.deliver(buf, parts);
    }

    fn slow(&mut self, buf: SimBuf) {
        self.others.slow(buf);
    }

    fn echoes(&mut self, datagrams: &Alikes<'_>) -> bool {
        assert!(
            self.asked == 0 && self.others.0.is_empty() && self.others.1.is_empty(),
            "of the front, once"
        );
        self.asked = datagrams.ports.len();
        assert!(self.asked > 0 && self.asked.is_multiple_of(4), "of fours");
        assert_eq!(datagrams.sockets.len(), self.asked);
        assert!(datagrams.socket.is_none_or(|one| datagrams.sockets.iter().all(|socket| *socket == one)));
        true
    }

    fn echoed(&mut self, slots: &mut [Option<SimBuf>], datagrams: &Alikes<'_>, bytes: u64) {
        assert!(self.turned.is_empty() && self.others.0.is_empty(), "they come before all others, at once");
        assert_eq!([datagrams.ports.len(), datagrams.sockets.len()], [slots.len(); 2]);
        let told = datagrams.ports.iter().zip(datagrams.sockets);
        for (slot, (ports, socket)) in slots.iter_mut().zip(told) {
            let buf = slot.take().expect("a packet in each slot");
            self.turned.push((buf.data().to_vec(), Some(ports), *socket));
        }
        assert_eq!(self.turned.iter().map(|(frame, ..)| frame.len() as u64).sum::<u64>(), bytes);
    }
}

/// A request, and whether it is its answer now.
struct Asked {
    buf: SimBuf,
    parts: Parts,
    turned: Option<bool>,
}

impl Request<SimBuf> for Asked {
    fn asked(&self) -> Option<Parts> {
        Some(self.parts)
    }

    fn buf(&mut self) -> Option<&mut SimBuf> {
        Some(&mut self.buf)
    }
}

/// Who is told what became of requests.
struct Told<'a>(&'a World);

impl Answers<Asked> for Told<'_> {
    fn view(&self) -> (&View, &Interfaces) {
        (&self.0.view, &self.0.interfaces)
    }

    fn turned(&mut self, answers: &mut [Asked], bytes: u64) {
        let lens: usize = answers.iter().map(|answer| answer.buf.data().len()).sum();
        assert_eq!(lens as u64, bytes);
        answers.iter_mut().for_each(|answer| assert_eq!(answer.turned.replace(true), None));
    }

    fn left(&mut self, request: &mut Asked) {
        assert_eq!(request.turned.replace(false), None);
    }
}

/// An interface with its sockets, as both paths see it.
pub struct World {
    pub interfaces: Interfaces,
    table: PortTable,
    /// The same among so many that a burst's look-ups are fetched for ahead.
    large: PortTable,
    pub view: View,
    pool: SimPool,
    /// How many datagrams were turned round where they lay.
    pub turned: Cell<usize>,
}

fn bytes(answer: Option<SimBuf>) -> Option<Vec<u8>> {
    answer.map(|answer| answer.data().to_vec())
}

/// `table`, with a socket more whose id makes it large.
fn among_many(table: &PortTable) -> PortTable {
    let mut large = table.clone();
    large.set(4000, Some(Socket::new(None, ([203, 0, 113, 1], 65_535).into(), 0)));
    assert!(large.is_large() && !table.is_large());
    large
}

impl World {
    pub fn of(interface: Interface, table: PortTable) -> Self {
        Self::of_all(Interfaces::from(interface), table)
    }

    pub fn of_all(interfaces: Interfaces, table: PortTable) -> Self {
        let view = View::of(&interfaces);
        let (pool, turned) = (SimPool::new(64, 2048), Cell::default());
        Self { interfaces, large: among_many(&table), table, view, pool, turned }
    }

    /// From now on these are the sockets.
    pub fn set_table(&mut self, table: PortTable) {
        self.large = among_many(&table);
        self.table = table;
    }

    fn buf(&self, frame: &[u8], meta: RxMeta) -> SimBuf {
        let mut buf = self.pool.alloc_copy(frame).unwrap();
        buf.set_rx_meta(meta);
        buf
    }

    /// What the fast path takes.
    pub fn fast(&self, level: Level, frame: &[u8], meta: RxMeta) -> Option<(SimBuf, Parts)> {
        let Taken(mut taken, left) = self.burst(level, &[frame], meta);
        assert!(left.iter().all(|b| b.data() == frame), "what is not taken is untouched");
        assert_eq!(taken.len() + left.len(), 1);
        taken.pop()
    }

    /// A burst of several frames.
    pub fn burst(&self, level: Level, frames: &[&[u8]], meta: RxMeta) -> Taken {
        let [taken, among_many] =
            [&self.table, &self.large].map(|table| self.burst_in(table, level, frames, meta));
        let parts = |taken: &Taken| taken.0.iter().map(|(_, parts)| *parts).collect::<Vec<_>>();
        assert_eq!(parts(&taken), parts(&among_many), "what is fetched ahead changes nothing");
        taken
    }

    fn burst_in(&self, table: &PortTable, level: Level, frames: &[&[u8]], meta: RxMeta) -> Taken {
        let mut taken = Taken::default();
        let bufs = frames.iter().map(|frame| self.buf(frame, meta)).collect();
        self.sort(table, level, bufs, &mut taken);
        taken
    }

    fn sort(&self, table: &PortTable, level: Level, bufs: Vec<SimBuf>, sink: &mut impl Sink<SimBuf>) {
        let len = bufs.iter().map(|buf| buf.frame_len() as u64).sum::<u64>();
        let mut burst = Burst::new();
        bufs.into_iter().for_each(|buf| burst.push(buf).unwrap());
        let port = Port { view: &self.view, interfaces: &self.interfaces, table };
        let bytes = ingress_burst(level, &mut burst, port, &mut Found::default(), sink);
        assert_eq!((bytes, burst.len()), (len, 0));
    }

    /// The answer to one request, in place; `None`: the fast path leaves it, untouched.
    pub fn reply(&self, level: Level, buf: SimBuf, parts: Parts) -> Option<SimBuf> {
        self.reply_all(level, vec![(buf, parts)]).pop().flatten()
    }

    /// The same of a burst of requests.
    pub fn reply_all(&self, level: Level, requests: Vec<(SimBuf, Parts)>) -> Vec<Option<SimBuf>> {
        let before: Vec<_> = requests.iter().map(|(buf, _)| buf.data().to_vec()).collect();
        let asked = |(buf, parts)| Asked { buf, parts, turned: None };
        let mut requests: Vec<_> = requests.into_iter().map(asked).collect();
        reply_burst(level, &mut requests, &mut Told(self));
        let answer = |(Asked { buf, turned, .. }, before): (Asked, Vec<u8>)| {
            let turned = turned.expect("it is turned or left");
            assert!(turned || buf.data() == before, "what is not turned is untouched");
            turned.then_some(buf)
        };
        requests.into_iter().zip(before).map(answer).collect()
    }

    pub fn slow(&self, frame: &[u8], meta: RxMeta) -> Verdict<SimBuf> {
        let mut ingress = Ingress::new(Instant::ZERO, &mut Rng::new(1), IngressOptions::default());
        ingress.ingress(Instant::ZERO, self.buf(frame, meta), &self.interfaces, &self.table, &self.pool)
    }

    /// A burst of `frames`, of which the fast path takes whatever the slow one delivers, to the same sockets.
    pub fn compare_burst(&self, frames: &[Vec<u8>]) {
        let slow = |frame: &[u8]| match self.slow(frame, RxMeta::default()) {
            Verdict::Deliver(_, parts) => Some(parts),
            _ => None,
        };
        let wanted: Vec<_> = frames.iter().filter_map(|frame| slow(frame)).collect();
        for level in Level::all_here() {
            let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
            let Taken(taken, _) = self.burst(level, &frames, RxMeta::default());
            let parts: Vec<_> = taken.iter().map(|(_, parts)| *parts).collect();
            assert_eq!(parts, wanted);
        }
    }

    /// A burst of `frames` of which everything that may takes the short way: each has its answer, or is delivered or left as it is, as by
    /// the ordinary way, which is `parts` and answers of what was taken. If there is one, so it is if someone else has a handle to the
    /// frame at `shared`, who sees nothing of it.
    // U13: what others read is not written to.
    fn compare_short(
        &self,
        (level, frames, meta): (Level, &[&[u8]], RxMeta),
        ordinary: &[(Parts, Option<Vec<u8>>)],
        shared: Option<usize>,
    ) {
        for table in [&self.table, &self.large] {
            let bufs: Vec<_> = frames.iter().map(|frame| self.buf(frame, meta)).collect();
            let shared = shared.map(|at| (at, bufs[at].share()));
            let mut echoed = Echoed::default();
            self.sort(table, level, bufs, &mut echoed);
            let Echoed { turned, asked, others: Taken(taken, left) } = echoed;
            assert_eq!(turned.len() + taken.len() + left.len(), frames.len(), "each once");
            assert!(level != Level::BASELINE || asked == 0, "fours are for wide levels");
            // In fours, up to one in which a packet is not ours alone.
            let alone = shared.as_ref().map_or(asked, |(at, _)| asked.min(*at));
            assert_eq!(turned.len(), alone / 4 * 4, "{level:?}, of {frames:02x?}");
            let (short, rest) = ordinary.split_at(turned.len());
            let wanted = short.iter().map(|(parts, answer)| {
                (answer.clone().expect("it was answered by the ordinary way"), parts.ports(), parts.socket())
            });
            assert_eq!(turned, wanted.collect::<Vec<_>>(), "{level:?}, of {frames:02x?}");
            self.turned.set(self.turned.get() + turned.len());
            let parts: Vec<_> = taken.iter().map(|(_, parts)| *parts).collect();
            assert_eq!(parts, rest.iter().map(|(parts, _)| *parts).collect::<Vec<_>>());
            if let Some((at, handle)) = &shared {
                assert_eq!(handle.data(), frames[*at], "{level:?}: written to what others read");
            }
            // What is for the slow path is answered as it was if nobody else can see it.
            drop(shared);
            let answers = self.reply_all(level, taken).into_iter().map(bytes);
            let rest: Vec<_> = rest.iter().map(|(_, answer)| answer.clone()).collect();
            assert_eq!(answers.collect::<Vec<_>>(), rest, "{level:?}, of {frames:02x?}");
        }
    }

    /// A burst of `frames`, of which the fast path takes and answers what it takes and answers of each alone, by whichever way; and that
    /// is what the slow one does.
    pub fn compare_each_of(&self, frames: &[Vec<u8>], meta: RxMeta) {
        frames.iter().for_each(|frame| _ = self.compare(frame, meta));
        for level in Level::all_here() {
            let alone = frames.iter().filter_map(|frame| self.fast(level, frame, meta));
            let alone: Vec<_> =
                alone.map(|(buf, parts)| (parts, bytes(self.reply(level, buf, parts)))).collect();
            let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
            let taken = self.ordinary(level, &frames, meta);
            assert_eq!(taken, alone, "{level:?}, of {frames:02x?}");
            // Any of them, but each time the same.
            let sum: usize =
                frames.iter().flat_map(|frame| frame.iter()).map(|byte| usize::from(*byte)).sum();
            for shared in [None, Some(sum % frames.len())] {
                self.compare_short((level, &frames, meta), &taken, shared);
            }
        }
    }

    /// A burst of `frames`, of which somebody else reads the one `at` this place.
    pub fn compare_shared(&self, frames: &[Vec<u8>], at: usize) {
        let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        for level in Level::all_here() {
            let ordinary = self.ordinary(level, &frames, RxMeta::default());
            self.compare_short((level, &frames, RxMeta::default()), &ordinary, Some(at));
        }
    }

    /// What the fast path takes of a burst, and answers.
    fn ordinary(&self, level: Level, frames: &[&[u8]], meta: RxMeta) -> Vec<(Parts, Option<Vec<u8>>)> {
        let Taken(taken, left) = self.burst(level, frames, meta);
        assert_eq!(taken.len() + left.len(), frames.len());
        let parts: Vec<_> = taken.iter().map(|(_, parts)| *parts).collect();
        parts.into_iter().zip(self.reply_all(level, taken).into_iter().map(bytes)).collect()
    }

    /// Whether the device calls a sum good that is wrong.
    fn is_lie(&self, frame: &[u8], meta: RxMeta) -> bool {
        let unknown = RxMeta { l4_checksum: ChecksumStatus::Unknown, ..meta };
        meta.l4_checksum == ChecksumStatus::Good && !matches!(self.slow(frame, unknown), Verdict::Deliver(..))
    }

    /// Both paths over one frame. Returns whether the fast one took it.
    pub fn compare(&self, frame: &[u8], meta: RxMeta) -> bool {
        let mut took = false;
        for level in Level::all_here() {
            let Some((fast_buf, fast_parts)) = self.fast(level, frame, meta) else { continue };
            took = true;
            let Verdict::Deliver(mut slow_buf, slow_parts) = self.slow(frame, meta) else {
                panic!("the fast path took what the slow one refuses: {frame:02x?}")
            };
            assert_eq!(fast_parts, slow_parts);
            let interface = self.interfaces.get(slow_parts.interface()).unwrap();
            let slow_answered = egress::udp_reply(&mut slow_buf, slow_parts, true, &mut ids(), interface);
            let answered = self.reply(level, fast_buf, fast_parts);
            if let Some(mut fast_buf) = answered {
                assert!(slow_answered);
                // One updates the sum and one computes it: the same, unless the device's "good" was a lie.
                if self.is_lie(frame, meta) {
                    let field = slow_parts.l4() + 6..slow_parts.l4() + 8;
                    fast_buf.unique().unwrap()[field.clone()].fill(0);
                    slow_buf.unique().unwrap()[field].fill(0);
                }
                assert_eq!(fast_buf.data(), slow_buf.data(), "request {frame:02x?}");
                assert_eq!(fast_buf.tx_vlan(), slow_buf.tx_vlan());
            }
        }
        took
    }
}
