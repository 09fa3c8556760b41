//! The second oracle: what Linux tells of its groups for the same sequence of filters, and what pollcast's machine does.
//!
//! Linux is a host in a namespace, whose sockets set their filters by `IP_MSFILTER` and friends; the machine is
//! `stack::gmp` itself, in time that is made up. Both are told the same of many groups at once, and what each says of a
//! group is compared, in order. Where Linux does otherwise than the RFC, the difference is written down here.
#![cfg(all(feature = "dpdk", feature = "cli"))]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use ::pollcast::addr::{Group, V4};
use ::pollcast::rng::Rng;
use ::pollcast::stack::gmp::v2::Host as Machine;
use ::pollcast::stack::gmp::{Querier, Query, RecordKind as Kind, Scope};
use ::pollcast::stack::membership::{Memberships, SourceFilter};
use ::pollcast::time::Instant;
use common::RecordKind::*;
use common::*;
use nix::sys::socket::setsockopt;
use nix::{libc, setsockopt_impl, sockopt_impl};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

/// Linux, and the querier at the other end of its cable.
const LINUX: Host = Host::number(6);
const ROUTER: Host = Host::number(99);

/// Both repeats of a change have been sent: RFC 9776 8.11, and what a busy machine adds.
const SETTLED: Duration = Duration::from_millis(1500);

fn source(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, 1, n)
}

/// A filter, as in the RFC's tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Filter {
    In(&'static [u8]),
    Ex(&'static [u8]),
}
use self::Filter::{Ex, In};

impl Filter {
    fn of(self) -> SourceFilter<V4> {
        let set = |list: &[u8]| list.iter().map(|n| source(*n)).collect::<BTreeSet<_>>();
        match self {
            In(list) => SourceFilter::Include(set(list)),
            Ex(list) => SourceFilter::Exclude(set(list)),
        }
    }
}

/// The argument of `IP_MSFILTER`, RFC 3678 4.2.1, with room for as many sources as are needed here.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct IpMsfilter {
    group: [u8; 4],
    interface: [u8; 4],
    mode: u32,
    count: u32,
    list: [[u8; 4]; 8],
}

sockopt_impl!(
    /// ip(7): the filter of a group that is joined.
    MsFilter,
    SetOnly,
    libc::IPPROTO_IP,
    libc::IP_MSFILTER,
    IpMsfilter
);

fn set_filter(socket: &Socket, group: Ipv4Addr, filter: Filter) {
    let (mode, sources) = match filter {
        In(list) => (1, list),
        Ex(list) => (0, list),
    };
    let mut list = [[0; 4]; 8];
    list.iter_mut().zip(sources).for_each(|(place, n)| *place = source(*n).octets());
    let count = u32::try_from(sources.len()).unwrap();
    let (group, interface) = (group.octets(), LINUX.ip.octets());
    setsockopt(socket, MsFilter, &IpMsfilter { group, interface, mode, count, list }).unwrap();
}

fn join(socket: &Socket, group: Ipv4Addr) {
    socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Address(LINUX.ip)).unwrap();
}

/// Linux with sockets, and what it says.
struct Kernel {
    wire: RawPeer,
    host: Netns,
    _far: Netns,
}

impl Kernel {
    fn new() -> Self {
        let (host, far) = (Netns::new(), Netns::new());
        host.ip(&format!("link add eth0 type veth peer name ve1 netns {}", far.path()));
        host.ip(&format!("link set eth0 address {} up", written(LINUX.mac)));
        far.ip("link set ve1 up");
        host.ip(&format!("addr add {}/24 dev eth0", LINUX.ip));
        host.enter(|| {
            std::fs::write("/proc/sys/net/ipv4/igmp_max_memberships", "1000").unwrap();
            std::fs::write("/proc/sys/net/ipv4/igmp_max_msf", "100").unwrap();
        });
        let wire = RawPeer::new(&far, "ve1");
        // The groups that it joined by itself have been told.
        wire.frames(SETTLED);
        Self { wire, host, _far: far }
    }

    fn socket(&self) -> Socket {
        self.host.enter(|| {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
            socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0).into()).unwrap();
            socket
        })
    }

    /// What it says of each group, in order, until all is said.
    fn said(&self, during: Duration) -> Said {
        let mut said = Said::new();
        for report in self.wire.frames(during).iter().filter_map(Frame::report) {
            tell(&mut said, report.records.into_iter().map(|r| (r.group, r.kind, r.sources)));
        }
        said
    }
}

type Said = BTreeMap<Ipv4Addr, Vec<(RecordKind, Vec<Ipv4Addr>)>>;

/// Adds what one report says. RFC 9776 5.1 puts the records of a group in no order: here they are in that of their numbers.
fn tell(said: &mut Said, report: impl Iterator<Item = (Ipv4Addr, RecordKind, Vec<Ipv4Addr>)>) {
    let mut of_report = Said::new();
    for (group, kind, mut sources) in report {
        sources.sort_unstable();
        of_report.entry(group).or_default().push((kind, sources));
    }
    for (group, mut records) in of_report {
        records.sort();
        said.entry(group).or_default().extend(records);
    }
}

/// The machine, in its own time.
struct Ours {
    machine: Machine<V4>,
    rng: Rng,
    now: Instant,
}

impl Ours {
    fn new() -> Self {
        Self { machine: Machine::new(1468), rng: Rng::new(1), now: Instant::ZERO }
    }

    fn filter(&mut self, group: Ipv4Addr, filter: SourceFilter<V4>) {
        self.machine.set_filter(self.now, Group::new(group).unwrap(), filter);
    }

    fn query(&mut self, scope: Scope<V4>, max_response: Duration) {
        let querier = Some(Querier { robustness: 2, interval: Duration::from_secs(125) });
        self.machine.query(self.now, &mut self.rng, &Query { scope, max_response, querier });
    }

    fn said(&mut self, during: Duration) -> Said {
        let until = self.now + during;
        let mut said = Said::new();
        loop {
            while let Some(report) = self.machine.poll_transmit(self.now, &mut self.rng) {
                let kind_of = |kind| match kind {
                    Kind::ModeIsInclude => IsInclude,
                    Kind::ModeIsExclude => IsExclude,
                    Kind::ChangeToInclude => ToInclude,
                    Kind::ChangeToExclude => ToExclude,
                    Kind::AllowNewSources => AllowNew,
                    Kind::BlockOldSources => BlockOld,
                };
                tell(
                    &mut said,
                    report.records.into_iter().map(|r| (r.group.addr(), kind_of(r.kind), r.sources)),
                );
            }
            match self.machine.poll_timeout() {
                Some(at) if at <= until => self.now = self.now.max(at),
                _ => break,
            }
        }
        self.now = until;
        said
    }
}

/// RFC 9776 5.1: every line of the table, with lists apart, in one another, and over one another.
const CASES: &[(Filter, Filter)] = &[
    (In(&[1]), In(&[1, 2])),
    (In(&[1, 2]), In(&[1])),
    (In(&[1, 2]), In(&[2, 3])),
    (In(&[1, 2]), In(&[3, 4])),
    (In(&[1]), Ex(&[])),
    (In(&[1, 2]), Ex(&[2, 3])),
    (In(&[1]), Ex(&[2])),
    (Ex(&[]), In(&[1])),
    (Ex(&[1]), In(&[1, 2])),
    (Ex(&[1, 2]), In(&[3])),
    (Ex(&[]), Ex(&[1])),
    (Ex(&[1]), Ex(&[])),
    (Ex(&[1, 2]), Ex(&[2, 3])),
    (Ex(&[1]), Ex(&[2])),
    (In(&[]), In(&[1])),
    (In(&[]), Ex(&[1])),
    (In(&[]), Ex(&[])),
    (Ex(&[1]), In(&[])),
    (Ex(&[]), In(&[])),
    (In(&[1]), In(&[])),
];

fn group_of(n: usize) -> Ipv4Addr {
    Ipv4Addr::new(239, 7, 0, u8::try_from(n + 1).unwrap())
}

fn records(list: &[(RecordKind, &[u8])]) -> Vec<(RecordKind, Vec<Ipv4Addr>)> {
    list.iter().map(|(kind, list)| (*kind, list.iter().map(|n| source(*n)).collect())).collect()
}

/// What was said, without what was said twice in a row: how often, and when, is the RFC's chance.
fn once(said: &[(RecordKind, Vec<Ipv4Addr>)], times: usize) -> Vec<(RecordKind, Vec<Ipv4Addr>)> {
    let half = said.len() / times;
    if said.len().is_multiple_of(times) && said.chunks(half.max(1)).all(|chunk| chunk == &said[..half]) {
        return said[..half].to_vec();
    }
    said.to_vec()
}

// G24, G25, G26, G27, RFC 9776 5.1: each change of a filter, told twice.
#[test]
fn each_change_of_a_filter_is_told_as_linux_tells_it() {
    if !may_run() {
        return;
    }
    let (kernel, mut ours) = (Kernel::new(), Ours::new());
    let sockets: Vec<_> = CASES.iter().map(|_| kernel.socket()).collect();
    for (n, (from, _)) in CASES.iter().enumerate() {
        if *from != In(&[]) {
            join(&sockets[n], group_of(n));
            set_filter(&sockets[n], group_of(n), *from);
            ours.filter(group_of(n), from.of());
        }
    }
    kernel.said(SETTLED * 2);
    ours.said(SETTLED * 2);
    for (n, (from, to)) in CASES.iter().enumerate() {
        if *from == In(&[]) && *to != In(&[1]) {
            join(&sockets[n], group_of(n));
        }
        match (from, to) {
            // RFC 3678 4.1.3: a first source is joined, not set.
            (In([]), In([first])) => {
                sockets[n].join_ssm_v4(&source(*first), &group_of(n), &LINUX.ip).unwrap();
            }
            (In([]), Ex([])) => {}
            (_, to) => set_filter(&sockets[n], group_of(n), *to),
        }
        ours.filter(group_of(n), to.of());
    }
    let (theirs, ours) = (kernel.said(SETTLED), ours.said(SETTLED));
    let none = Vec::new();
    for (n, (from, to)) in CASES.iter().enumerate() {
        let of = |said: &Said| once(said.get(&group_of(n)).unwrap_or(&none), 2);
        assert_eq!(of(&ours), of(&theirs), "{from:?} -> {to:?}: ours, and what Linux says");
    }
}

/// Changes that follow each other before the first one's repeats, of one group.
const QUICK: &[(&str, &[Filter])] = &[
    ("leave and join", &[Ex(&[]), In(&[]), Ex(&[])]),
    ("join and leave", &[In(&[]), Ex(&[]), In(&[])]),
    ("join and block", &[In(&[]), Ex(&[]), Ex(&[1])]),
    ("block and unblock", &[Ex(&[]), Ex(&[1]), Ex(&[])]),
    ("one source after the other", &[In(&[1]), In(&[1, 2]), In(&[1, 2, 3])]),
    ("a mode and back", &[In(&[1]), Ex(&[2]), In(&[1, 3])]),
    ("sources, then the mode", &[Ex(&[1]), Ex(&[2]), In(&[4])]),
];

// G28, G29, RFC 9776 5.1: what routers are told in the end is the last state, and no report contradicts one after it. What is
// compared is what a router makes of it: Linux merges by its own bookkeeping.
#[test]
fn quick_changes_lead_every_router_to_the_last_state() {
    if !may_run() {
        return;
    }
    let (kernel, mut ours) = (Kernel::new(), Ours::new());
    let sockets: Vec<_> = QUICK.iter().map(|_| kernel.socket()).collect();
    let apply = |n: usize, before: Option<Filter>, filter: Filter, ours: &mut Ours| {
        let group = group_of(n);
        if filter != In(&[]) && before.is_none_or(|before| before == In(&[])) {
            join(&sockets[n], group);
        }
        if filter != In(&[]) || before.is_some_and(|before| before != In(&[])) {
            set_filter(&sockets[n], group, filter);
        }
        ours.filter(group, filter.of());
    };
    for (n, (_, filters)) in QUICK.iter().enumerate() {
        apply(n, None, filters[0], &mut ours);
    }
    kernel.said(SETTLED * 2);
    ours.said(SETTLED * 2);
    let mut heard = [Said::new(), Said::new()];
    for step in 1..3 {
        for (n, (_, filters)) in QUICK.iter().enumerate() {
            apply(n, Some(filters[step - 1]), filters[step], &mut ours);
        }
        // Long enough for the first report of each, too short for the repeats of most.
        let during = if step == 1 { Duration::from_millis(40) } else { SETTLED * 2 };
        for (all, said) in heard.iter_mut().zip([kernel.said(during), ours.said(during)]) {
            said.into_iter().for_each(|(group, records)| all.entry(group).or_default().extend(records));
        }
    }
    for (n, (what, filters)) in QUICK.iter().enumerate() {
        let [theirs, ours] =
            [&heard[0], &heard[1]].map(|said| router(filters[0].of(), said.get(&group_of(n))));
        assert_eq!(ours, filters[2].of(), "{what}: ours {:?}", heard[1].get(&group_of(n)));
        assert_eq!(theirs, filters[2].of(), "{what}: Linux's {:?}", heard[0].get(&group_of(n)));
    }
}

/// What a router believes after these records, once its timers for what is not wanted have run out. RFC 9776 6.4.
fn router(start: SourceFilter<V4>, said: Option<&Vec<(RecordKind, Vec<Ipv4Addr>)>>) -> SourceFilter<V4> {
    said.into_iter().flatten().fold(start, |state, (kind, list)| {
        let list: BTreeSet<_> = list.iter().copied().collect();
        match (state, kind) {
            (_, IsExclude | ToExclude) => SourceFilter::Exclude(list),
            (_, IsInclude | ToInclude) => SourceFilter::Include(list),
            (SourceFilter::Include(a), AllowNew) => SourceFilter::Include(&a | &list),
            (SourceFilter::Include(a), BlockOld) => SourceFilter::Include(&a - &list),
            (SourceFilter::Exclude(a), AllowNew) => SourceFilter::Exclude(&a - &list),
            (SourceFilter::Exclude(a), BlockOld) => SourceFilter::Exclude(&a | &list),
        }
    })
}

// G30, G31, RFC 9776 3.2, 5.1: two sockets, and what the interface makes of both.
#[test]
fn two_sockets_are_merged_as_linux_merges_them() {
    if !may_run() {
        return;
    }
    /// What each of the two wants, step by step; the last step is what is compared.
    const PAIRS: &[[[Filter; 2]; 2]] = &[
        [[Ex(&[]), In(&[])], [Ex(&[]), Ex(&[])]],
        [[Ex(&[2]), In(&[])], [Ex(&[2]), In(&[2])]],
        [[In(&[1]), In(&[])], [In(&[1]), In(&[2])]],
        [[In(&[1]), In(&[])], [In(&[1]), Ex(&[1, 3])]],
        [[Ex(&[1, 2]), In(&[])], [Ex(&[1, 2]), Ex(&[2, 3])]],
        [[Ex(&[]), Ex(&[])], [Ex(&[]), In(&[])]],
        [[Ex(&[1]), In(&[1, 2])], [In(&[]), In(&[1, 2])]],
    ];
    let (kernel, mut ours) = (Kernel::new(), Ours::new());
    let sockets: Vec<[Socket; 2]> = PAIRS.iter().map(|_| [kernel.socket(), kernel.socket()]).collect();
    let mut heard = [Said::new(), Said::new()];
    for step in 0..2 {
        for (n, pair) in PAIRS.iter().enumerate() {
            let group = group_of(n);
            let mut members = Memberships::<V4, usize>::new();
            for (member, filter) in pair[step].iter().enumerate() {
                let before = if step == 0 { In(&[]) } else { pair[0][member] };
                let socket = &sockets[n][member];
                if *filter != before {
                    if before == In(&[]) {
                        join(socket, group);
                    }
                    set_filter(socket, group, *filter);
                }
                members.set_filter(member, Group::new(group).unwrap(), filter.of()).unwrap();
            }
            ours.filter(group, members.filter(Group::new(group).unwrap()));
        }
        heard = [kernel.said(SETTLED), ours.said(SETTLED)];
    }
    for (n, pair) in PAIRS.iter().enumerate() {
        let start = {
            let mut members = Memberships::<V4, usize>::new();
            for (member, filter) in pair[0].iter().enumerate() {
                members.set_filter(member, Group::new(group_of(n)).unwrap(), filter.of()).unwrap();
            }
            members.filter(Group::new(group_of(n)).unwrap())
        };
        let [theirs, ours] = [&heard[0], &heard[1]].map(|said| router(start.clone(), said.get(&group_of(n))));
        assert_eq!(ours, theirs, "{pair:?}: Linux said {:?}", heard[0].get(&group_of(n)));
    }
}

// G19, G20, RFC 9776 5.2, table 5: what is answered to queries of a group and of sources.
#[test]
fn queries_of_groups_and_sources_are_answered_as_linux_answers_them() {
    if !may_run() {
        return;
    }
    /// The filter, the sources that are asked for, and Linux's deviation.
    type Asked = (Filter, &'static [u8], Option<&'static [(RecordKind, &'static [u8])]>);
    const ASKED: &[Asked] = &[
        (In(&[1, 2]), &[], None),
        (Ex(&[]), &[], None),
        (Ex(&[1]), &[], None),
        (In(&[]), &[], None),
        (In(&[1, 2]), &[2, 3], None),
        (In(&[1, 2]), &[3], None),
        (Ex(&[1]), &[1], None),
        // G19: in EXCLUDE mode Linux tells of the whole group, where the RFC has IS_IN (B-A).
        (Ex(&[1]), &[1, 2], Some(&[(IsExclude, &[1])])),
    ];
    let (kernel, mut ours) = (Kernel::new(), Ours::new());
    let sockets: Vec<_> = ASKED.iter().map(|_| kernel.socket()).collect();
    for (n, (filter, ..)) in ASKED.iter().enumerate() {
        if *filter != In(&[]) {
            join(&sockets[n], group_of(n));
            set_filter(&sockets[n], group_of(n), *filter);
        }
        ours.filter(group_of(n), filter.of());
    }
    kernel.said(SETTLED * 2);
    ours.said(SETTLED * 2);
    for (n, (_, asked, _)) in ASKED.iter().enumerate() {
        let (group, asked): (_, BTreeSet<_>) = (group_of(n), asked.iter().map(|n| source(*n)).collect());
        let list: Vec<_> = asked.iter().copied().collect();
        kernel.wire.send(&igmp_frame(ROUTER, group, &igmp_query(2, group, &list)));
        let group = Group::new(group).unwrap();
        let scope = if asked.is_empty() { Scope::Group(group) } else { Scope::GroupAndSources(group, asked) };
        ours.query(scope, Duration::from_millis(200));
    }
    let (theirs, ours) = (kernel.said(SETTLED), ours.said(SETTLED));
    let none = Vec::new();
    for (n, (filter, asked, linux)) in ASKED.iter().enumerate() {
        let of = |said: &'_ Said| said.get(&group_of(n)).unwrap_or(&none).clone();
        let (theirs, ours) = (of(&theirs), of(&ours));
        match linux {
            None => assert_eq!(ours, theirs, "{filter:?}, asked for {asked:?}: ours, and Linux's"),
            Some(deviation) => {
                assert_eq!(theirs, records(deviation), "{filter:?}, asked for {asked:?}: Linux has changed");
                assert_ne!(ours, theirs);
            }
        }
    }
}
