//! The good questions of one phase: what was sent and when, what the ring refused, what was answered, how soon.

use serde_json::{Value, json};

use crate::frames::{
    ECHO_PORT, FIRST_PORT, FLOWS, GROUP, GROUP_MAC, HOST, HOST_MAC, Ipv4, PAYLOAD, PEER, PEER_MAC,
    ROUTED_PORT, Writer,
};

/// The fate of one question.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Waiting,
    Refused,
    Answered { ns: u32 },
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Good {
    phase: u16,
    /// They go to a group, to the service that answers to whoever asked.
    group: bool,
    /// When each was sent, in nanoseconds since the start of the phase.
    asked: Vec<(u64, Fate)>,
    waiting: u64,
    wrong: u64,
    twice: u64,
}

impl Good {
    pub(crate) fn new(phase: u16, room: usize, group: bool) -> Self {
        Self { phase, group, asked: Vec::with_capacity(room), waiting: 0, wrong: 0, twice: 0 }
    }

    /// How many were sent, the refused among them.
    pub(crate) fn sent(&self) -> u64 {
        self.asked.len() as u64
    }

    pub(crate) const fn waiting(&self) -> u64 {
        self.waiting
    }

    /// The next question, and its number.
    pub(crate) fn ask(&mut self, now: u64) -> (Writer, usize) {
        let number = self.asked.len();
        self.asked.push((now, Fate::Waiting));
        self.waiting += 1;
        let payload = self.payload(number);
        let (mac, host) = if self.group { (GROUP_MAC, GROUP) } else { (HOST_MAC, HOST) };
        let mut frame = Writer::new(mac, PEER_MAC, [8, 0]);
        let port = port_of(number);
        let ip = Ipv4 { dst: host, ..Ipv4::udp(PEER, 8 + PAYLOAD) };
        frame.ipv4(ip).udp((PEER, port), (host, self.service_of(number)), &payload);
        (frame, number)
    }

    /// The ring had no room for this question.
    pub(crate) fn refused(&mut self, number: usize) {
        if let Some((_, fate)) = self.asked.get_mut(number) {
            *fate = Fate::Refused;
            self.waiting -= 1;
        }
    }

    /// An answer came, right but for its payload, which is looked at here.
    pub(crate) fn answered(&mut self, now: u64, from: u16, port: u16, payload: &[u8; PAYLOAD]) {
        let [p0, p1, n0, n1, n2, n3, ..] = *payload;
        if u16::from_be_bytes([p0, p1]) != self.phase {
            return;
        }
        let number = u32::from_be_bytes([n0, n1, n2, n3]) as usize;
        if self.payload(number) != *payload || (self.service_of(number), port_of(number)) != (from, port) {
            self.wrong += 1;
            return;
        }
        match self.asked.get_mut(number) {
            Some((at, fate @ Fate::Waiting)) => {
                *fate = Fate::Answered { ns: u32::try_from(now.saturating_sub(*at)).unwrap_or(u32::MAX) };
                self.waiting -= 1;
            }
            Some(_) => self.twice += 1,
            None => self.wrong += 1,
        }
    }

    pub(crate) fn wrong(&mut self) {
        self.wrong += 1;
    }

    /// Every byte follows from phase and number.
    fn payload(&self, number: usize) -> [u8; PAYLOAD] {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let mut payload = [0; PAYLOAD];
        payload[..2].copy_from_slice(&self.phase.to_be_bytes());
        payload[2..6].copy_from_slice(&number.to_be_bytes());
        let mixed = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        payload[6..14].copy_from_slice(&mixed.to_be_bytes());
        payload[14..].copy_from_slice(&(!number).to_be_bytes());
        payload
    }

    fn service_of(&self, number: usize) -> u16 {
        if self.group || number.is_multiple_of(2) { ECHO_PORT } else { ROUTED_PORT }
    }

    /// Runs of questions without an answer: when each began, how many, and how long from the last answered question before
    /// it to the first after it. The longest first, a few of them.
    fn gaps(&self) -> Value {
        const SHOWN: usize = 10;
        let (mut gaps, mut before, mut missing) = (Vec::new(), 0, 0_u64);
        for (at, fate) in &self.asked {
            match fate {
                Fate::Answered { .. } if missing > 0 => {
                    gaps.push((at - before, missing, before));
                    (before, missing) = (*at, 0);
                }
                Fate::Answered { .. } => before = *at,
                Fate::Refused | Fate::Waiting => missing += 1,
            }
        }
        gaps.sort_unstable_by(|a, b| b.cmp(a));
        let count = gaps.len();
        let row = |(ns, missing, at): (u64, u64, u64)| json!({"ns": ns, "packets": missing, "at_ns": at});
        json!({"count": count, "longest": gaps.into_iter().take(SHOWN).map(row).collect::<Vec<_>>()})
    }

    /// The figures. A question is slow if its answer took longer than `slow_ns`.
    pub(crate) fn report(&self, slow_ns: u64) -> Value {
        let mut latencies: Vec<u32> = Vec::with_capacity(self.asked.len());
        let (mut refused, mut lost, mut well) = (0_u64, 0_u64, Well::default());
        let mut lost_routed = 0_u64;
        for (number, (at, fate)) in self.asked.iter().enumerate() {
            let bad = match fate {
                Fate::Answered { ns } => {
                    latencies.push(*ns);
                    u64::from(*ns) > slow_ns
                }
                Fate::Refused => {
                    refused += 1;
                    true
                }
                Fate::Waiting => {
                    lost += 1;
                    lost_routed += u64::from(self.service_of(number) == ROUTED_PORT);
                    true
                }
            };
            well.see(*at, bad);
        }
        latencies.sort_unstable();
        let part = |share: f64| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
            let place = (latencies.len() as f64 * share) as usize;
            latencies.get(place.min(latencies.len().saturating_sub(1)))
        };
        json!({
            "sent": self.asked.len(), "refused_by_ring": refused, "answered": latencies.len(), "lost": lost, "lost_routed": lost_routed,
            "gaps": self.gaps(),
            "wrong": self.wrong, "twice": self.twice, "well_ns": well.since,
            "latency_ns": {"median": part(0.5), "p99": part(0.99), "p999": part(0.999), "max": latencies.last()},
        })
    }
}

/// Since when all is well: for [`Well::LONG`], no question was lost and no answer slow.
#[derive(Debug, Default)]
struct Well {
    last_bad: u64,
    since: Option<u64>,
}

impl Well {
    const LONG: u64 = 10_000_000;

    fn see(&mut self, at: u64, bad: bool) {
        if self.since.is_none() && at >= self.last_bad + Self::LONG {
            self.since = Some(self.last_bad);
        }
        if bad {
            self.last_bad = at;
        }
    }
}

fn port_of(number: usize) -> u16 {
    FIRST_PORT + u16::try_from(number % usize::from(FLOWS)).unwrap_or(0)
}
