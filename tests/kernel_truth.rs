//! The same frames to pollcast and to Linux, and the same answers from both.
//!
//! The other tests say what RFCs want. This one needs no opinion: whatever Linux sends, or does not, is what pollcast
//! must, field by field. Where pollcast takes another side on purpose, [`EXCEPTIONS`] names the row that says so, and what it
//! does instead.
#![cfg(all(feature = "dpdk", feature = "cli"))]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use common::stimuli::{Stimulus, stimuli};
use common::*;

/// What an answer says, without what may differ from host to host: identification, padding, time of day.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Answer {
    dst: Mac,
    src: Mac,
    ip: Option<Header>,
    what: What,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Header {
    src: Ipv4Addr,
    dst: Ipv4Addr,
    ttl: u8,
    tos: u8,
    options: Vec<u8>,
    /// Of each fragment, or of the whole: offset, length, and whether DF is set.
    pieces: Vec<(u16, usize, bool)>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
enum What {
    Arp { operation: u16, sender: (Mac, Ipv4Addr), target: (Mac, Ipv4Addr) },
    Udp { sport: u16, dport: u16, payload: Vec<u8> },
    Icmp { kind: u8, code: u8, rest: [u8; 4], data: Vec<u8> },
    Other { protocol: u8, payload: Vec<u8> },
}

impl Answer {
    /// `None` for what is sent unasked.
    fn of(frame: &Frame, pieces: Vec<(u16, usize, bool)>) -> Option<Self> {
        let (dst, src) = (frame.dst(), frame.src());
        if frame.is_arp() {
            let ArpRead { operation, sender, target } = frame.arp();
            let pair = |host: Host| (host.mac, host.ip);
            let what = What::Arp { operation, sender: pair(sender), target: pair(target) };
            return (operation == 2).then_some(Self { dst, src, ip: None, what });
        }
        if frame.ethertype() != ETHERTYPE_IPV4 {
            return None;
        }
        let ip = frame.ipv4();
        let what = match ip.protocol {
            IGMP => return None,
            UDP => {
                let UdpRead { sport, dport, payload, .. } = frame.udp();
                What::Udp { sport, dport, payload }
            }
            ICMP => {
                let IcmpRead { kind, code, rest, mut data, .. } = frame.icmp();
                if kind == 14 {
                    // The times at which it was received and answered.
                    data[4..12].fill(0);
                }
                What::Icmp { kind, code, rest, data }
            }
            protocol => What::Other { protocol, payload: ip.payload.clone() },
        };
        let options = without_times(ip.options);
        let header = Header { src: ip.src, dst: ip.dst, ttl: ip.ttl, tos: ip.tos, options, pieces };
        Some(Self { dst, src, ip: Some(header), what })
    }
}

/// Options without the times in a timestamp option (RFC 791): they are those of the host.
fn without_times(mut options: Vec<u8>) -> Vec<u8> {
    let mut at = 0;
    while let Some(kind) = options.get(at).copied().filter(|kind| *kind != 0) {
        let len = if kind == 1 { 1 } else { usize::from(options.get(at + 1).copied().unwrap_or(0)).max(2) };
        if kind == 0x44 && at + len <= options.len() && len >= 4 {
            let with_addresses = options[at + 3] & 0xf != 0;
            let option = &mut options[at + 4..at + len];
            let (step, first) = if with_addresses { (8, 4) } else { (4, 0) };
            option.chunks_mut(step).filter_map(|entry| entry.get_mut(first..)).for_each(|time| time.fill(0));
        }
        at += len;
    }
    options
}

/// Offset, length, DF. T01: DF says what a datagram's sender wants to know of its path; nobody asks that of ICMP, and with or
/// without DF both are right.
fn shape(ip: &Ipv4Read) -> (u16, usize, bool) {
    (ip.fragment & 0x1fff, ip.payload.len(), ip.fragment & 0x4000 != 0 && ip.protocol == UDP)
}

/// Every answer of a host, with fragments put together; fragments that do not become whole are answers of their own.
fn put_together(seen: &[Frame]) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut fragments = BTreeMap::<_, Vec<(Ipv4Read, &Frame)>>::new();
    for frame in seen {
        if frame.ethertype() == ETHERTYPE_IPV4 && frame.ipv4().fragment & 0x3fff != 0 {
            let ip = frame.ipv4();
            fragments.entry((ip.src, ip.dst, ip.protocol, ip.id)).or_default().push((ip, frame));
        } else {
            let shapes = (frame.ethertype() == ETHERTYPE_IPV4).then(|| shape(&frame.ipv4()));
            answers.extend(Answer::of(frame, shapes.into_iter().collect()));
        }
    }
    for (_, mut pieces) in fragments {
        pieces.sort_by_key(|(ip, _)| ip.fragment & 0x1fff);
        let (first, frame) = &pieces[0];
        let payload: Vec<u8> = pieces.iter().flat_map(|(ip, _)| ip.payload.clone()).collect();
        let shapes: Vec<_> = pieces.iter().map(|(ip, _)| shape(ip)).collect();
        let header = Ipv4 {
            tos: first.tos,
            ttl: first.ttl,
            options: first.options.clone(),
            ..Ipv4::new(first.src, first.dst, first.protocol)
        };
        let bytes = ethernet(frame.dst(), frame.src(), ETHERTYPE_IPV4, &header.packet(&payload));
        answers.extend(Answer::of(&Frame { at: frame.at, bytes }, shapes));
    }
    answers.sort();
    answers
}

/// The host whose ARP request proves that a host's slower half, control, has dealt with what was sent before.
const ARP_FENCE: Host = Host::number(249);

/// How long the fence may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// All that a host answers to each of the stimuli.
fn play(wire: &Wire, stimuli: &[Stimulus], settle: Duration) -> Vec<Vec<Answer>> {
    let answers = |stimulus: &Stimulus| {
        let mut frames = stimulus.frames.clone();
        frames.push(Arp::request(ARP_FENCE, HOST.ip).frame_to(BROADCAST));
        let mut seen = wire.exchange(&frames, settle);
        let deadline = Instant::now() + PATIENCE;
        let is_fence = |frame: &Frame| frame.dst() == ARP_FENCE.mac;
        while !seen.iter().any(is_fence) {
            seen.push(wire.next(deadline).unwrap_or_else(|| panic!("no ARP reply after {}", stimulus.name)));
        }
        seen.retain(|frame| !is_fence(frame));
        put_together(&seen)
    };
    stimuli.iter().map(answers).collect()
}

/// Where pollcast answers otherwise than Linux on purpose: the stimuli (`*` stands for anything), and the row that says so.
/// Checked: at least one of them must really differ.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("A03 hardware type 6", "A03: hardware type 1 alone is Ethernet; Linux takes IEEE 802's for the same"),
    ("A07 sender's MAC a group's", "A07: a host's MAC is no group's; Linux answers to it"),
    ("E14 *", "E14: a frame from our own or a group's MAC is dropped; Linux takes both"),
    ("E15 open port in a broadcast frame", "E15: dropped, as RFC 1122 3.3.6 says; Linux takes it"),
    ("E15 open port in a group's frame", "E15: dropped, as RFC 1122 3.3.6 says; Linux takes it"),
    ("E15 ping in a broadcast frame", "E15: dropped, as RFC 1122 3.3.6 says; Linux takes it"),
    ("I08 *", "I08: the subnet's broadcast address is no source; Linux answers to everyone"),
    (
        "I17 *, to a closed port",
        "I17: RFC 1122 3.2.2.6 speaks of echo replies; Linux returns options in errors too, and quotes the \
        header as it changed it",
    ),
    (
        "I19 end of list, then rubbish, to a closed port",
        "C02, RFC 792: the header is quoted as it came; Linux clears what follows \
        the end of its options",
    ),
    (
        "I23 type of service 0x03 of an error",
        "I23: the two bits of ECN are not type of service (RFC 3168 5); Linux returns one",
    ),
    ("U21 all hosts", "U17, not of this host yet: a socket of Linux hears every group that the host is in"),
    ("X02 *", "X02: a reflector's port is not answered; an echo server on Linux does"),
];

/// What pollcast cannot do yet. Must be empty.
const NOT_YET: &[&str] = &[
    "I18 *",
    "I17 *",
    "I14 *",
    "I19 length 0 after no operation*",
    "C10 timestamp request*",
    "C16 *",
    "F02 *",
    "F04 *",
    "F10 *",
    "F13 no checksum",
    "F14 *",
    "F15 *",
    "F16 *",
    "F18 *",
    "F20 *",
];

/// Whether `name` is what `pattern` means.
fn is_meant(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((head, tail)) => {
            name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail)
        }
        None => pattern == name,
    }
}

/// What differs between two lists of answers, in a few words.
fn shown(answers: &[Answer]) -> String {
    let text = format!("{answers:?}");
    text.chars().take(700).collect()
}

/// What came of playing stimuli to both.
#[derive(Default)]
struct Comparison {
    /// The stimuli, and what was wrong.
    wrong: Vec<String>,
    /// How often Linux answered.
    answered: usize,
    /// Patterns of the tables that excused something.
    used: BTreeSet<&'static str>,
}

/// Plays `stimuli` to both, at once.
fn compare(linux: Linux, lab: &Lab, stimuli: &[Stimulus], settle: Duration) -> Comparison {
    let (truths, ours) = thread::scope(|scope| {
        let truths = scope.spawn(move || play(&linux.wire, stimuli, settle));
        let ours = play(&lab.wire, stimuli, settle);
        (truths.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), ours)
    });
    let mut result = Comparison::default();
    let patterns = EXCEPTIONS.iter().map(|(pattern, _)| *pattern).chain(NOT_YET.iter().copied());
    let patterns: Vec<&'static str> = patterns.collect();
    for ((stimulus, truth), ours) in stimuli.iter().zip(truths).zip(ours) {
        result.answered += usize::from(!truth.is_empty());
        if ours == truth {
            continue;
        }
        let name = stimulus.name.as_str();
        match patterns.iter().find(|pattern| is_meant(pattern, name)) {
            Some(pattern) => drop(result.used.insert(*pattern)),
            None => {
                result.wrong.push(format!(
                    "{name}\n  Linux:    {}\n  pollcast: {}",
                    shown(&truth),
                    shown(&ours)
                ));
            }
        }
    }
    result
}

#[test]
fn pollcast_answers_as_linux_does() {
    if !may_run() {
        return;
    }
    let (linux, lab) = (Linux::new(), Lab::mute(ECHO));
    let stimuli = stimuli();
    let Comparison { wrong, answered, used } = compare(linux, &lab, &stimuli, Duration::from_millis(40));
    println!("Linux answered {answered} of {}", stimuli.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), stimuli.len(), wrong.join("\n"));
    // Else the two might agree by saying nothing.
    assert!(answered * 3 > stimuli.len(), "Linux answered {answered} of {}", stimuli.len());
    let listed = EXCEPTIONS.iter().map(|(pattern, _)| pattern).chain(NOT_YET);
    let idle: Vec<_> = listed.filter(|pattern| !used.contains(*pattern)).collect();
    assert!(idle.is_empty(), "listed as different, and are not: {idle:?}");
}
