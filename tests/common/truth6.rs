//! What a host answers to the [stimuli of IPv6](super::stimuli6), told so that two hosts can be compared.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use ::pollcast::sim::frames::fragment6::join6;
use ::pollcast::sim::frames::{Extension, IcmpFrame6, Ipv6, MldMessage, NdpFrame, RecordKind, UdpFrame6};

use super::frames::{ETHERTYPE_IPV6, Mac};
use super::read::Frame;
use super::six::{HOST6, Host6, SOURCE_GROUP6, is_unasked6};
use super::truth::Opinion;

/// What an answer says, without what may differ from host to host: identification, flow label.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Answer6 {
    pub dst: Mac,
    pub src: Mac,
    pub ip: Header6,
    pub what: What6,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Header6 {
    pub src: Ipv6Addr,
    pub dst: Ipv6Addr,
    pub hop_limit: u8,
    pub traffic_class: u8,
    /// How many bytes of extension headers there are.
    pub extensions: usize,
    /// Of each fragment: offset and length.
    pub pieces: Vec<(u16, usize)>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum What6 {
    Udp {
        sport: u16,
        dport: u16,
        payload: Vec<u8>,
    },
    Icmp {
        kind: u8,
        code: u8,
        body: Vec<u8>,
    },
    Other {
        next_header: u8,
        payload: Vec<u8>,
    },
    /// No correct host sends such a frame.
    Malformed(&'static str),
}

impl Answer6 {
    /// What it says in a word or two: `udp`, `echo reply`, `4/1 at 0x28`, `advertisement 60000000 of 32`.
    pub fn in_short(&self) -> String {
        let word = |body: &[u8]| u32::from_be_bytes(body[..4].try_into().unwrap());
        match &self.what {
            What6::Udp { .. } => "udp".to_owned(),
            What6::Icmp { kind: 129, .. } => "echo reply".to_owned(),
            What6::Icmp { kind: 136, body, .. } => {
                format!("advertisement {:08x} of {}", word(body), body.len() + 4)
            }
            What6::Icmp { kind: kind @ 4, code: code @ 0..3, body } => {
                format!("{kind}/{code} at {:#x}", word(body))
            }
            What6::Icmp { kind, code, .. } => format!("{kind}/{code}"),
            What6::Other { next_header, .. } => format!("next header {next_header}"),
            What6::Malformed(why) => format!("malformed: {why}"),
        }
    }
}

/// A record of a report: what it says, of which group, of which sources.
pub type Reported = (RecordKind, Ipv6Addr, Vec<Ipv6Addr>);

/// Every record of the MLD reports among `seen`, of whatever version, once.
pub fn reported(seen: &[Frame]) -> Vec<Reported> {
    let mut all: Vec<Reported> = seen.iter().flat_map(records).collect();
    all.sort();
    all.dedup();
    all
}

fn records(frame: &Frame) -> Vec<Reported> {
    let read = MldMessage::read(&frame.bytes);
    // L16, RFC 4604 2.2.1: not of a group of named sources. Linux does it all the same.
    if read.is_err() && frame.bytes.get(62) == Some(&131) && frame.bytes[70..86] == SOURCE_GROUP6.octets() {
        return vec![(RecordKind::IsEx, SOURCE_GROUP6, Vec::new())];
    }
    match read.unwrap_or_else(|why| panic!("{why}: {frame:?}")) {
        None => Vec::new(),
        Some(MldMessage::ReportV1(group)) => vec![(RecordKind::IsEx, group, Vec::new())],
        Some(MldMessage::Done(group)) => vec![(RecordKind::ToIn, group, Vec::new())],
        Some(MldMessage::ReportV2(report)) => {
            report.records.into_iter().map(|r| (r.kind, r.group, r.sources.into_iter().collect())).collect()
        }
    }
}

/// Whether a frame is one that a host sends without being asked, or in its own time: it reports groups, or asks for neighbours or
/// routers.
fn is_unasked(frame: &Frame) -> bool {
    is_unasked6(frame) || frame.bytes.get(20) == Some(&58) && frame.bytes.get(54) == Some(&135)
}

fn what(frame: &[u8], ip: &Ipv6, payload: &[u8]) -> What6 {
    let read = match ip.next_header {
        17 => UdpFrame6::read(frame).map(|udp| What6::Udp {
            sport: udp.source.port(),
            dport: udp.destination.port(),
            payload: udp.payload,
        }),
        // Neighbour discovery has rules of its own.
        58 => NdpFrame::read(frame).and_then(|_| IcmpFrame6::read(frame)).map(|icmp| What6::Icmp {
            kind: icmp.kind,
            code: icmp.code,
            body: icmp.body,
        }),
        next_header => Ok(What6::Other { next_header, payload: payload.to_vec() }),
    };
    read.unwrap_or_else(What6::Malformed)
}

fn answer(frame: &Frame, bytes: &[u8], pieces: Vec<(u16, usize)>) -> Answer6 {
    let (dst, src) = (frame.dst(), frame.src());
    match Ipv6::read_frame(bytes) {
        Ok((_, ip, payload)) => {
            let ip_what = what(bytes, &ip, payload);
            let extensions = ip.extensions.iter().map(|e| e.bytes(0).len()).sum();
            let (hop_limit, traffic_class) = (ip.hop_limit, ip.traffic_class);
            let header =
                Header6 { src: ip.source, dst: ip.destination, hop_limit, traffic_class, extensions, pieces };
            Answer6 { dst, src, ip: header, what: ip_what }
        }
        Err(why) => {
            let none = Ipv6Addr::UNSPECIFIED;
            let header =
                Header6 { src: none, dst: none, hop_limit: 0, traffic_class: 0, extensions: 0, pieces };
            Answer6 { dst, src, ip: header, what: What6::Malformed(why) }
        }
    }
}

/// The identification, and where a fragment belongs; `None` for what is none.
fn fragment(frame: &Frame) -> Option<((Ipv6Addr, Ipv6Addr, u32), u16, usize)> {
    let (_, ip, payload) = Ipv6::read_frame(&frame.bytes).ok()?;
    match ip.extensions.last() {
        Some(Extension::Fragment { offset, id, .. }) => {
            Some(((ip.source, ip.destination, *id), *offset, payload.len()))
        }
        _ => None,
    }
}

/// Every answer of a host, with fragments put together; fragments that do not become whole are answers of their own.
fn put_together(seen: &[Frame]) -> Vec<Answer6> {
    let mut answers = Vec::new();
    let mut fragments = BTreeMap::<_, Vec<(u16, usize, &Frame)>>::new();
    for frame in seen.iter().filter(|f| f.ethertype() == ETHERTYPE_IPV6 && !is_unasked(f)) {
        match fragment(frame) {
            Some((key, offset, len)) => fragments.entry(key).or_default().push((offset, len, frame)),
            None => answers.push(answer(frame, &frame.bytes, Vec::new())),
        }
    }
    for (_, mut pieces) in fragments {
        pieces.sort_by_key(|(offset, ..)| *offset);
        let frames: Vec<_> = pieces.iter().map(|(.., frame)| frame.bytes.clone()).collect();
        let shapes = pieces.iter().map(|(offset, len, _)| (*offset, *len)).collect();
        match join6(&frames) {
            Ok(whole) => answers.push(answer(pieces[0].2, &whole, shapes)),
            Err(_) => answers.extend(
                pieces.iter().map(|(offset, len, frame)| answer(frame, &frame.bytes, vec![(*offset, *len)])),
            ),
        }
    }
    answers.sort();
    answers
}

/// The host whose solicitation proves that a host's slower half, control, has dealt with what was sent before.
pub const NDP_FENCE: Host6 = Host6::number(0xfff0);

impl Opinion for Answer6 {
    fn fence() -> Vec<u8> {
        let mut question = NdpFrame::solicitation(NDP_FENCE.ip, HOST6.ip);
        question.source_mac = ::pollcast::addr::MacAddr(NDP_FENCE.mac);
        question.options.clear();
        question.with_source_link_layer().frame()
    }

    fn is_fence(frame: &Frame) -> bool {
        frame.dst() == NDP_FENCE.mac && frame.bytes.get(54) == Some(&136)
    }

    fn of_all(seen: &[Frame]) -> Vec<Self> {
        put_together(seen)
    }
}

/// What a host says of its groups: each record once, whatever the reports that they came in.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Membership(pub Reported);

impl Opinion for Membership {
    fn fence() -> Vec<u8> {
        Answer6::fence()
    }

    fn is_fence(frame: &Frame) -> bool {
        Answer6::is_fence(frame)
    }

    fn of_all(seen: &[Frame]) -> Vec<Self> {
        reported(seen).into_iter().map(Self).collect()
    }
}
