//! What a host answers to the [stimuli](super::stimuli), told so that two hosts can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use super::frames::{Arp, BROADCAST, ETHERTYPE_IPV4, Host, ICMP, IGMP, Ipv4, Mac, UDP, ethernet};
use super::lab::{HOST, Wire, is_asked_for};
use super::linux::Linux;
use super::read::{ArpRead, Frame, IcmpRead, Ipv4Read, UdpRead};
use super::stimuli::Stimulus;

/// What an answer says, without what may differ from host to host: identification, padding, time of day.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Answer {
    pub dst: Mac,
    pub src: Mac,
    pub ip: Option<Header>,
    pub what: What,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Header {
    pub src: Ipv4Addr,
    pub dst: Ipv4Addr,
    pub ttl: u8,
    pub tos: u8,
    pub options: Vec<u8>,
    /// Of each fragment, or of the whole: offset, length, and whether DF is set.
    pub pieces: Vec<(u16, usize, bool)>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum What {
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

impl Opinion for Answer {
    fn fence() -> Vec<u8> {
        Arp::request(ARP_FENCE, HOST.ip).frame_to(BROADCAST)
    }

    fn is_fence(frame: &Frame) -> bool {
        frame.dst() == ARP_FENCE.mac
    }

    fn of_all(seen: &[Frame]) -> Vec<Self> {
        let asked_for: Vec<_> = seen.iter().filter(|frame| is_asked_for(frame)).cloned().collect();
        put_together(&asked_for)
    }
}

/// What a host says to a stimulus, by one family's rules.
pub trait Opinion: Ord + fmt::Debug + Send + Sized {
    /// What control answers, after it has dealt with what was sent before.
    fn fence() -> Vec<u8>;

    /// Whether this is its answer.
    fn is_fence(frame: &Frame) -> bool;

    /// All that was said, without what is said unasked, in an order of its own.
    fn of_all(seen: &[Frame]) -> Vec<Self>;
}

/// How long the fence may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// All that a host answers to each of the stimuli.
pub fn play<A: Opinion>(wire: &Wire, stimuli: &[Stimulus], settle: Duration) -> Vec<Vec<A>> {
    let answers = |stimulus: &Stimulus| {
        let mut frames = stimulus.frames.clone();
        frames.push(A::fence());
        let mut seen = wire.exchange_all(&frames, settle);
        let deadline = Instant::now() + PATIENCE;
        while !seen.iter().any(A::is_fence) {
            let next = wire.next(deadline);
            seen.push(next.unwrap_or_else(|| panic!("control does not answer after {}", stimulus.name)));
        }
        seen.retain(|frame| !A::is_fence(frame));
        A::of_all(&seen)
    };
    stimuli.iter().map(answers).collect()
}

/// What Linux and the host at the far end of `wire` answer to each of `stimuli`, played to both at once.
pub fn compare<A: Opinion>(
    linux: Linux,
    wire: &Wire,
    stimuli: &[Stimulus],
    settle: Duration,
) -> Vec<(Vec<A>, Vec<A>)> {
    compare_again(linux, wire, stimuli, settle, None)
}

/// The same; what differs is played again with `patience` for each answer, if that is given: what is said in its own time may be late on
/// a busy machine, and then it is among the answers to what came next.
pub fn compare_again<A: Opinion>(
    linux: Linux,
    wire: &Wire,
    stimuli: &[Stimulus],
    settle: Duration,
    patience: Option<Duration>,
) -> Vec<(Vec<A>, Vec<A>)> {
    let both = |linux: Linux, stimuli: &[Stimulus], settle| {
        thread::scope(|scope| {
            let truths = scope.spawn(move || (play(&linux.wire, stimuli, settle), linux));
            let ours = play(wire, stimuli, settle);
            let (truths, linux) = truths.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (truths.into_iter().zip(ours).collect::<Vec<(Vec<A>, Vec<A>)>>(), linux)
        })
    };
    let (mut played, mut linux) = both(linux, stimuli, settle);
    for (stimulus, answers) in stimuli.iter().zip(&mut played) {
        let Some(patience) = patience.filter(|_| answers.0 != answers.1) else { continue };
        let mut again;
        (again, linux) = both(linux, std::slice::from_ref(stimulus), patience);
        *answers = again.remove(0);
    }
    played
}

/// What differs, by the tables.
#[derive(Default)]
pub struct Differences {
    /// What no table excuses.
    pub wrong: Vec<String>,
    /// How often Linux answered.
    pub answered: usize,
    /// Patterns of the tables that excused something.
    pub used: BTreeSet<&'static str>,
}

/// Compares what came of playing `stimuli`; a difference is right where one of `patterns` means it.
pub fn differences<A: Opinion>(
    stimuli: &[Stimulus],
    played: Vec<(Vec<A>, Vec<A>)>,
    patterns: &[&'static str],
) -> Differences {
    let mut result = Differences::default();
    for (stimulus, (truth, ours)) in stimuli.iter().zip(played) {
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

/// Whether `name` is what `pattern` means.
pub fn is_meant(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((head, tail)) => {
            name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail)
        }
        None => pattern == name,
    }
}

/// What differs between two lists of answers, in a few words.
pub fn shown<A: Opinion>(answers: &[A]) -> String {
    let text = format!("{answers:?}");
    text.chars().take(400).collect()
}
