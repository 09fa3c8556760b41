//! A host under test at one end of a wire, and a raw socket at the other.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::Uid;

use super::frames::{Arp, Host, IGMP, Mac, ping_frame};
use super::netns::Netns;
use super::pollcast::{Config, Pollcast};
use super::raw_peer::{FarEnd, RawPeer};
use super::read::{Frame, Record, Report};
use super::shared::{Held, Kept};
use super::six::{is_unasked6, pretended_neighbor};

/// The kernel's end of the tap.
pub const DEVICE: &str = "pc0";
/// The host under test.
pub const HOST: Host = Host::number(2);
/// Its second address.
pub const HOST_SECOND: Host = HOST.with_ip(std::net::Ipv4Addr::new(198, 18, 0, 3));
/// The kernel.
pub const KERNEL: Host = Host::number(1);
/// A pretended host, that lives in frames only.
pub const PEER: Host = Host::number(10);

/// The hosts for which the lab answers ARP requests; for the kernel too, which may be mute.
const PRETENDED: std::ops::RangeInclusive<u8> = 4..=250;
/// The one whose echo requests prove that what was sent before them has been dealt with.
const FENCE: Host = Host::number(250);

/// How long a test's own socket waits for what must come: longer than a machine with other things to do needs.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How long an answer by way of the control thread may take.
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);
/// How long the proof that a frame has been dealt with may take: on a machine that has other things to do, long.
const FENCE_PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer that must not come is waited for, beyond the proof that the frame has been dealt with.
const SILENCE: Duration = Duration::from_millis(50);

/// The far end of a host's wire, a raw socket as a rule, which knows when the host has dealt with what was sent.
#[derive(Debug)]
pub struct Wire<E = RawPeer> {
    pub raw: E,
    fences: Cell<u16>,
}

impl<E: FarEnd> Wire<E> {
    /// By what is at the wire's far end.
    pub fn new(raw: E) -> Self {
        Self { raw, fences: Cell::new(0) }
    }

    /// Sends frames, waits until the host has dealt with them and `settle` beyond, and returns what may be its answers:
    /// reports of groups and announcements of addresses come at times of their own.
    pub fn exchange(&self, frames: &[Vec<u8>], settle: Duration) -> Vec<Frame> {
        let mut seen = self.exchange_all(frames, settle);
        seen.retain(is_asked_for);
        seen
    }

    /// The same, with what comes unasked.
    pub fn exchange_all(&self, frames: &[Vec<u8>], settle: Duration) -> Vec<Frame> {
        self.raw.drain();
        for frame in frames {
            self.raw.send(frame);
        }
        self.fences.update(|fences| fences.wrapping_add(1));
        self.raw.send(&ping_frame(FENCE, HOST, 0xfe1c, self.fences.get(), b"fence"));
        let mut seen = Vec::new();
        let mut deadline = Instant::now() + FENCE_PATIENCE;
        let mut fenced = false;
        while let Some(frame) = self.next(deadline) {
            if frame.dst() == FENCE.mac {
                fenced = true;
                deadline = Instant::now() + settle;
            } else {
                seen.push(frame);
            }
        }
        assert!(fenced, "the host does not answer pings any more, after {} frames: {seen:?}", frames.len());
        seen
    }

    /// Waits until the host has dealt with all that it has been sent, or (its worker) told by control.
    pub fn fence(&self) {
        self.exchange_all(&[], Duration::ZERO);
    }

    /// The next frame that is not a question after a pretended host, which is answered.
    pub fn next(&self, deadline: Instant) -> Option<Frame> {
        loop {
            let frame = self.raw.next(deadline)?;
            if let Some(answer) = pretended_neighbor(&frame) {
                self.raw.send(&answer);
                continue;
            }
            let Some(asked) = pretended_host_asked_for(&frame) else { return Some(frame) };
            let asker = frame.arp().sender;
            self.raw.send(&Arp::reply(asked, asker).frame_to(asker.mac));
        }
    }
}

/// Whether a frame may be an answer.
pub(super) fn is_asked_for(frame: &Frame) -> bool {
    let announces = |frame: &Frame| frame.is_arp() && frame.arp().sender.ip == frame.arp().target.ip;
    !frame.carries(IGMP) && !announces(frame) && !is_unasked6(frame)
}

fn pretended_host_asked_for(frame: &Frame) -> Option<Host> {
    if !frame.is_arp() || frame.bytes.len() < 42 {
        return None;
    }
    let arp = frame.arp();
    let [a, b, c, d] = arp.target.ip.octets();
    let pretended = [a, b, c] == [198, 18, 0] && (PRETENDED.contains(&d) || Host::number(d) == KERNEL);
    (arp.operation == 1 && pretended && arp.sender.ip != arp.target.ip).then(|| Host::number(d))
}

/// pollcast on a tap in a namespace, the kernel behind it, and a raw socket beside the kernel.
#[derive(Debug)]
pub struct Lab {
    // In the order of their end.
    pub pollcast: Pollcast,
    pub wire: Wire,
    pub netns: Netns,
}

impl Lab {
    /// With these services. The kernel's end has no address: it is mute, and the test speaks for every host.
    pub fn mute(services: &str) -> Self {
        Self::new(&Config::new(&format!("net_tap0,iface={DEVICE}"), services))
    }

    /// The same, with IPv6 too: 2001:db8::2, 2001:db8::3 and the link-local address, all in use from the start.
    pub fn dual(services: &str) -> Self {
        Self::new(&Config::dual(&format!("net_tap0,iface={DEVICE}"), services))
    }

    /// With these services. The kernel is 198.18.0.1.
    pub fn with_kernel(services: &str) -> Self {
        let lab = Self::mute(services);
        lab.netns.ip(&format!("addr add 198.18.0.1/24 dev {DEVICE}"));
        lab
    }

    /// [`dual`](Self::dual), and the kernel is 198.18.0.1, 2001:db8::1 and fe80::ff:fe00:1.
    pub fn dual_with_kernel(services: &str) -> Self {
        let lab = Self::dual(services);
        lab.netns.ip(&format!("addr add 198.18.0.1/24 dev {DEVICE}"));
        for (key, value) in [("accept_dad", "0"), ("router_solicitations", "0"), ("disable_ipv6", "0")] {
            lab.netns.set6(&format!("conf/{DEVICE}/{key}"), value);
        }
        lab.netns.ip(&format!("addr add 2001:db8::1/64 dev {DEVICE} nodad"));
        lab
    }

    /// With this configuration, whose port is the tap.
    pub fn new(config: &Config) -> Self {
        let netns = Netns::new();
        let pollcast = Pollcast::start(&netns, config);
        // Both ends of a tap begin with the Ethernet address of the port.
        netns.ip(&format!("link set {DEVICE} address 02:00:00:00:00:01 up"));
        let wire = Wire::new(RawPeer::new(&netns, DEVICE));
        Self { pollcast, wire, netns }
    }

    /// The drop counters that are not 0. What a worker has dropped by now is in them: it writes them at the end of its
    /// turn, and the fence takes another one.
    pub fn drops(&self) -> BTreeMap<String, u64> {
        self.wire.fence();
        let answer = self.pollcast.ctl(&["drops"]);
        let rows = answer.as_array().unwrap_or_else(|| panic!("not a list: {answer}"));
        rows.iter()
            .map(|row| (row["reason"].as_str().unwrap().to_owned(), row["packets"].as_u64().unwrap()))
            .filter(|(_, packets)| *packets > 0)
            .collect()
    }

    /// By how much each counter of drops rose since it was as in `before`, if it did.
    pub fn drops_since(&self, before: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
        let mut drops = self.drops();
        for (reason, packets) in before {
            *drops.get_mut(reason).unwrap() -= packets;
        }
        drops.retain(|_, packets| *packets > 0);
        drops
    }

    /// The same, after `expected` packets more were dropped or a second has passed.
    fn new_drops(&self, before: &BTreeMap<String, u64>, expected: u64) -> BTreeMap<String, u64> {
        let deadline = Instant::now() + Duration::from_secs(1);
        loop {
            let drops = self.drops_since(before);
            if drops.values().sum::<u64>() >= expected || Instant::now() > deadline {
                return drops;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The one frame that answers `frame`, of which nothing was dropped.
    pub fn answer(&self, frame: &[u8]) -> Frame {
        self.answer_and_drops(frame, &[])
    }

    /// The one frame that answers `frame`, and asserts which counters of drops rose by one.
    pub fn answer_and_drops(&self, frame: &[u8], reasons: &[&str]) -> Frame {
        let before = self.drops();
        let mut seen = self.wire.exchange(&[frame.to_vec()], Duration::from_millis(5));
        let patience = Instant::now() + ANSWER_PATIENCE;
        while seen.is_empty() && Instant::now() < patience {
            seen.extend(self.wire.next(patience).filter(is_asked_for));
        }
        let drops = self.new_drops(&before, u64::try_from(reasons.len()).unwrap());
        assert_eq!(
            drops,
            reasons.iter().map(|&reason| (reason.to_owned(), 1)).collect(),
            "answers: {seen:?}"
        );
        assert_eq!(seen.len(), 1, "answers: {seen:?}");
        seen.remove(0)
    }

    /// Asserts that `frame` is not answered, and counted as dropped for `reason`.
    pub fn assert_dropped(&self, frame: &[u8], reason: &str) {
        self.assert_all_dropped(&[frame.to_vec()], reason);
    }

    /// Asserts that none of `frames` is answered, and all are counted as dropped for `reason`.
    pub fn assert_all_dropped(&self, frames: &[Vec<u8>], reason: &str) {
        let expected = u64::try_from(frames.len()).unwrap();
        let drops = self.assert_silent(frames);
        assert_eq!(drops, BTreeMap::from([(reason.to_owned(), expected)]), "of {expected} frames");
    }

    /// Asserts that none of `frames` is answered, and each counted as dropped; by how much each counter rose.
    pub fn assert_silent(&self, frames: &[Vec<u8>]) -> BTreeMap<String, u64> {
        let before = self.drops();
        let seen = self.wire.exchange(frames, SILENCE);
        assert!(seen.is_empty(), "answered: {seen:?}");
        let drops = self.new_drops(&before, u64::try_from(frames.len()).unwrap());
        assert_eq!(drops.values().sum::<u64>(), u64::try_from(frames.len()).unwrap(), "dropped: {drops:?}");
        drops
    }

    /// `pollcast ctl join ARGS` or `leave`, done: workers are told by message.
    pub fn change(&self, verb: &str, args: &[&str]) {
        self.pollcast.ctl(&[&[verb], args].concat());
        self.wire.fence();
    }

    /// The neighbour that pollcast knows by this address, if it does.
    pub fn neighbor(&self, host: Host) -> Option<String> {
        self.neighbor_of(host.ip.into())
    }

    /// The same, of either version.
    pub fn neighbor_of(&self, ip: IpAddr) -> Option<String> {
        let answer = self.pollcast.ctl(&["neighbors"]);
        let rows = answer.as_array().unwrap_or_else(|| panic!("not a list: {answer}"));
        let row = rows.iter().find(|row| row["addr"] == ip.to_string())?;
        Some(row["mac"].as_str().unwrap_or("unknown").to_owned())
    }

    /// Waits until pollcast has found this router. Routers are asked for from the start, and pretended ones answer while the
    /// wire is looked at: what waits for the last question of three may wait in vain.
    pub fn find(&self, router: Host) {
        let deadline = Instant::now() + Duration::from_secs(15);
        while self.neighbor(router) != Some(written(router.mac)) {
            assert!(Instant::now() < deadline, "{} was not found", router.ip);
            self.wire.exchange(&[], Duration::from_millis(200));
        }
    }

    /// The multicast addresses that were handed to the driver.
    pub fn filter(&self) -> Vec<String> {
        let answer = self.pollcast.ctl(&["filter"]);
        let macs = answer[0]["macs"].as_array().unwrap_or_else(|| panic!("no macs: {answer}"));
        macs.iter().map(|mac| mac.as_str().unwrap().to_owned()).collect()
    }

    /// The IGMPv3 reports of the next `during`.
    pub fn reports(&self, during: Duration) -> Vec<Report> {
        self.wire.raw.frames(during).iter().filter_map(Frame::report).collect()
    }

    /// The next IGMPv3 report that speaks of what `wanted` says yes to.
    pub fn next_report(&self, patience: Duration, wanted: impl Fn(&Record) -> bool) -> Option<Report> {
        self.wire.raw.find(patience, |frame| frame.report().filter(|r| r.records.iter().any(&wanted)))
    }
}

/// An Ethernet address as people write it.
pub fn written(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// Whether this process may make namespaces and taps. Says so if not: the caller then ends, and its test is skipped.
pub fn may_run() -> bool {
    let root = Uid::effective().is_root();
    if !root {
        say_skipped("needs root for network namespaces and tap devices");
    }
    root
}

/// Whether as many hugepages are `free` as a small program needs. Says so if not.
pub fn may_use_hugepages(free: u32) -> bool {
    const WANTED: u32 = 256;
    if free < WANTED {
        say_skipped(&format!("needs {WANTED} free hugepages of 2 MiB, of which there are {free}"));
    }
    free >= WANTED
}

/// Says that the calling test is skipped, and why.
pub fn say_skipped(why: &str) {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    // Not by eprintln!, which the test runner would keep to itself.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}

/// A lab that the tests of one file share, one at a time.
pub struct Shared {
    make: fn() -> Lab,
    lab: Kept<Lab>,
}

impl Shared {
    /// To be made by `make`.
    pub const fn new(make: fn() -> Lab) -> Self {
        Self { make, lab: Kept::new() }
    }

    /// For this test alone, until it lets go. `None` if it cannot be made here.
    pub fn lock(&'static self) -> Option<Held<Lab>> {
        may_run().then(|| self.lab.lock(self.make, |_| {}))
    }
}
