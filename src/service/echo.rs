//! The echo service (RFC 862): every datagram goes back to where it came from.
//!
//! Built on the public [`Service`] trait alone: whatever it can do, a service of yours can do.

use core::time::Duration;

use serde::Deserialize;

use super::{Cx, Datagram, Service};
use crate::io::{Cast, DropReason, PacketBuf};
use crate::time::Instant;

/// Ports whose services answer whatever arrives: an echo to one of them would be answered, and that answer echoed.
///
/// X02, CERT CA-1996-01, TA14-017A. Echo's own port is among them.
const REFLECTOR_PORTS: [u16; 18] =
    [7, 13, 17, 19, 37, 53, 69, 111, 123, 137, 161, 389, 427, 1900, 3702, 5353, 11211, 0];

/// Which source ports are not answered: the key `refuse_source_ports`. Port 0 never is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(try_from = "RefuseRepr")]
pub enum RefuseSourcePorts {
    /// The well-known reflectors.
    #[default]
    Reflectors,
    /// Every port below 1024 too: inetd's rule.
    Below1024,
    /// None but port 0.
    None,
    /// These.
    List(Vec<u16>),
}

/// As it is written in TOML.
#[derive(Deserialize)]
#[serde(untagged)]
enum RefuseRepr {
    Word(String),
    List(Vec<u16>),
}

impl TryFrom<RefuseRepr> for RefuseSourcePorts {
    type Error = String;

    fn try_from(repr: RefuseRepr) -> Result<Self, String> {
        match repr {
            RefuseRepr::List(ports) => Ok(Self::List(ports)),
            RefuseRepr::Word(word) => match word.as_str() {
                "reflectors" => Ok(Self::Reflectors),
                "below_1024" => Ok(Self::Below1024),
                "none" => Ok(Self::None),
                _ => Err(format!(
                    "\"{word}\" is not known: use \"reflectors\", \"below_1024\", \"none\" or a list of ports"
                )),
            },
        }
    }
}

/// The keys of an echo service.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EchoOptions {
    /// Whether datagrams sent to a joined group are answered.
    pub answer_groups: bool,
    /// Whether broadcast datagrams are answered.
    pub answer_broadcast: bool,
    /// The most answers a second, on each worker, to group and broadcast datagrams; 0 for no cap.
    pub group_answers_per_second: u32,
    /// Source ports that are never answered.
    pub refuse_source_ports: RefuseSourcePorts,
}

impl Default for EchoOptions {
    fn default() -> Self {
        Self {
            answer_groups: true,
            answer_broadcast: false,
            group_answers_per_second: 10_000,
            refuse_source_ports: RefuseSourcePorts::default(),
        }
    }
}

impl EchoOptions {
    /// The keys, for error messages.
    pub const KEYS: &'static [&'static str] =
        &["answer_groups", "answer_broadcast", "group_answers_per_second", "refuse_source_ports"];
}

/// A set of UDP ports, a bit each.
#[derive(Clone, Debug)]
struct PortSet(Box<[u64; 1024]>);

impl PortSet {
    fn of(ports: impl IntoIterator<Item = u16>) -> Self {
        let mut bits = Box::new([0u64; 1024]);
        for port in ports {
            // NOTE(index): a u16 divided by 64 is below 1024.
            bits[usize::from(port) / 64] |= 1 << (port % 64);
        }
        Self(bits)
    }

    #[inline]
    fn contains(&self, port: u16) -> bool {
        self.0[usize::from(port) / 64] >> (port % 64) & 1 != 0
    }
}

/// The echo service.
#[derive(Debug)]
pub struct Echo {
    options: EchoOptions,
    refused: PortSet,
    /// The start of the second that is being counted, and the answers to groups in it.
    window: (Instant, u32),
}

impl Echo {
    /// An echo with `options`.
    #[must_use]
    pub fn new(options: EchoOptions) -> Self {
        let refused = match &options.refuse_source_ports {
            RefuseSourcePorts::Reflectors => PortSet::of(REFLECTOR_PORTS),
            RefuseSourcePorts::Below1024 => PortSet::of(REFLECTOR_PORTS.into_iter().chain(0..1024)),
            RefuseSourcePorts::None => PortSet::of([0]),
            RefuseSourcePorts::List(ports) => PortSet::of(ports.iter().copied().chain([0])),
        };
        Self { options, refused, window: (Instant::ZERO, 0) }
    }

    /// X04, RFC 1122 3.2.2.6 by analogy: what reaches many hosts is answered only as configured, and not without end.
    fn may_answer_group(&mut self, now: Instant, cast: Cast) -> Result<(), DropReason> {
        let allowed = match cast {
            Cast::Unicast => true,
            Cast::Multicast => self.options.answer_groups,
            Cast::Broadcast => self.options.answer_broadcast,
        };
        if !allowed {
            return Err(DropReason::EchoGroupOff);
        }
        let cap = self.options.group_answers_per_second;
        let (since, answers) = &mut self.window;
        if now.since(*since) >= Duration::from_secs(1) {
            (*since, *answers) = (now, 0);
        }
        if cap != 0 && *answers >= cap {
            return Err(DropReason::EchoGroupRate);
        }
        *answers += 1;
        Ok(())
    }
}

impl<B: PacketBuf> Service<B> for Echo {
    #[inline]
    fn datagrams(&mut self, cx: &mut Cx, burst: &mut [Datagram<B>]) {
        for datagram in burst {
            // X02: two echoes, or an echo and a chargen, would never stop. U10: port 0 cannot be answered.
            if self.refused.contains(datagram.source_port()) {
                datagram.refuse(DropReason::EchoReflectorPort);
                continue;
            }
            if datagram.cast() != Cast::Unicast
                && let Err(why) = self.may_answer_group(cx.now, datagram.cast())
            {
                datagram.refuse(why);
                continue;
            }
            datagram.reply();
        }
    }
}
