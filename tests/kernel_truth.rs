//! The same frames to pollcast and to Linux, and the same answers from both.
//!
//! The other tests say what RFCs want. This one needs no opinion: whatever Linux sends, or does not, is what pollcast
//! must, field by field. Where pollcast takes another side on purpose, [`EXCEPTIONS`] names the row that says so, and what it
//! does instead.
#![cfg(all(feature = "dpdk", feature = "cli"))]

mod common;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use common::stimuli::{Stimulus, stimuli};
use common::*;

/// What an answer says, without what may differ from host to host: identification, padding, time of day; DF of whole packets.
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
    /// Of fragments: offset, length, and whether DF is set. Empty for a packet that came whole.
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

/// Every answer of a host, with fragments put together; fragments that do not become whole are answers of their own.
fn put_together(seen: &[Frame]) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut fragments = BTreeMap::<_, Vec<(Ipv4Read, &Frame)>>::new();
    for frame in seen {
        if frame.ethertype() == ETHERTYPE_IPV4 && frame.ipv4().fragment & 0x3fff != 0 {
            let ip = frame.ipv4();
            fragments.entry((ip.src, ip.dst, ip.protocol, ip.id)).or_default().push((ip, frame));
        } else {
            answers.extend(Answer::of(frame, Vec::new()));
        }
    }
    for (_, mut pieces) in fragments {
        pieces.sort_by_key(|(ip, _)| ip.fragment & 0x1fff);
        let (first, frame) = &pieces[0];
        let payload: Vec<u8> = pieces.iter().flat_map(|(ip, _)| ip.payload.clone()).collect();
        let shape = |ip: &Ipv4Read| (ip.fragment & 0x1fff, ip.payload.len(), ip.fragment & 0x4000 != 0);
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

fn answers(wire: &Wire, stimulus: &Stimulus, settle: Duration) -> Vec<Answer> {
    put_together(&wire.exchange(&stimulus.frames, settle))
}

/// Where pollcast answers otherwise than Linux on purpose: the stimulus, and what it does. The row that the stimulus names
/// says so. Checked: they must really differ.
const EXCEPTIONS: &[(&str, &str)] = &[];

/// What pollcast cannot do yet. Must be empty.
const NOT_YET: &[&str] = &[];

/// What differs between two lists of answers, in a few words.
fn shown(answers: &[Answer]) -> String {
    let text = format!("{answers:?}");
    text.chars().take(700).collect()
}

/// Plays `stimuli` to both, and returns what went wrong, and how often Linux answered.
fn compare(linux: &Linux, lab: &Lab, stimuli: &[Stimulus], settle: Duration) -> (Vec<String>, usize) {
    let mut wrong = Vec::new();
    let mut answered = 0;
    for stimulus in stimuli {
        let truth = answers(&linux.wire, stimulus, settle);
        let ours = answers(&lab.wire, stimulus, settle);
        answered += usize::from(!truth.is_empty());
        let name = stimulus.name.as_str();
        let excused = EXCEPTIONS.iter().find(|(excused, _)| *excused == name);
        let awaited = NOT_YET.contains(&name);
        match (ours == truth, excused.is_some() || awaited) {
            (true, false) | (false, true) => {}
            (true, true) => wrong.push(format!("{name}: answered as Linux does, and listed as different")),
            (false, false) => {
                wrong.push(format!("{name}\n  Linux:    {}\n  pollcast: {}", shown(&truth), shown(&ours)));
            }
        }
    }
    (wrong, answered)
}

#[test]
fn pollcast_answers_as_linux_does() {
    if !may_run() {
        return;
    }
    let (linux, lab) = (Linux::new(), Lab::mute(ECHO));
    let stimuli = stimuli();
    let (wrong, answered) = compare(&linux, &lab, &stimuli, Duration::from_millis(40));
    println!("Linux answered {answered} of {}", stimuli.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), stimuli.len(), wrong.join("\n"));
    // Else the two might agree by saying nothing.
    assert!(answered * 3 > stimuli.len(), "Linux answered {answered} of {}", stimuli.len());
    for (name, _) in EXCEPTIONS {
        assert!(stimuli.iter().any(|s| s.name == *name), "no stimulus {name:?}");
    }
    assert_eq!(NOT_YET, [""; 0], "to be built");
}
