//! The echo service (RFC 862): every datagram goes back to where it came from.
//!
//! Built on the public [`Service`] trait alone: whatever it can do, a service of yours can do.

mod sender;

use core::time::Duration;

use serde::Deserialize;

use super::source_limit::SourceLimit;
use super::{Cx, Datagram, Service};
use crate::io::{Cast, DropReason, PacketBuf, UdpPorts};
use crate::time::Instant;

/// Ports whose services answer whatever arrives: an echo to one of them would be answered, and that answer echoed.
///
/// X02, CERT CA-1996-01, TA14-017A. Echo's own port is among them.
const REFLECTOR_PORTS: [u16; 18] =
    [7, 13, 17, 19, 37, 53, 69, 111, 123, 137, 161, 389, 427, 1900, 3702, 5353, 11211, 0];

/// Where nobody chose one: the golden ratio's bits.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// Which source ports are not answered: the key `refuse_source_ports`. Port 0 never is, nor the port that the datagram was
/// sent to: it would be another echo's.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(try_from = "RefuseRepr")]
pub enum RefuseSourcePorts {
    /// The well-known reflectors.
    #[default]
    Reflectors,
    /// Every port below 1024 too: inetd's rule.
    Below1024,
    /// None but port 0 and the service's own.
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
    /// The most answers a second, on each worker, to one source address; 0 for no cap.
    pub replies_per_second_per_source: u32,
    /// Whether an answer is a text that says who sent what, and who the real client is, in place of what was sent.
    pub describe_sender: bool,
    /// Source ports that are never answered.
    pub refuse_source_ports: RefuseSourcePorts,
}

impl Default for EchoOptions {
    fn default() -> Self {
        Self {
            answer_groups: true,
            answer_broadcast: false,
            group_answers_per_second: 10_000,
            replies_per_second_per_source: 0,
            describe_sender: false,
            refuse_source_ports: RefuseSourcePorts::default(),
        }
    }
}

impl EchoOptions {
    /// The keys, for error messages.
    pub const KEYS: &'static [&'static str] = &[
        "answer_groups",
        "answer_broadcast",
        "group_answers_per_second",
        "replies_per_second_per_source",
        "describe_sender",
        "refuse_source_ports",
    ];
}

/// A set of UDP ports.
#[derive(Clone, Debug)]
struct PortSet {
    /// A bit each.
    bits: Box<[u64; 1024]>,
    /// None of them is above this one.
    greatest: u16,
}

impl PortSet {
    fn of(ports: impl IntoIterator<Item = u16>) -> Self {
        let mut set = Self { bits: Box::new([0u64; 1024]), greatest: 0 };
        for port in ports {
            // NOTE(index): a u16 divided by 64 is below 1024.
            set.bits[usize::from(port) / 64] |= 1 << (port % 64);
            set.greatest = set.greatest.max(port);
        }
        set
    }

    #[inline]
    fn contains(&self, port: u16) -> bool {
        self.bits[usize::from(port) / 64] >> (port % 64) & 1 != 0
    }

    /// Whether an answer to what was sent between these ports could be answered in turn, of which these are the refused ones.
    // X02, X06: two echoes, whatever port they share, or an echo and a chargen, would never stop. U10: port 0 cannot be
    // answered.
    #[inline]
    fn reflects(&self, (from, to): (u16, u16)) -> bool {
        from == to || self.contains(from)
    }
}

/// The echo service.
#[derive(Debug)]
pub struct Echo {
    refused: PortSet,
    limits: Limits,
}

/// What is asked of datagrams beside their ports.
#[derive(Debug)]
struct Limits {
    options: EchoOptions,
    /// The start of the second that is being counted, and the answers to groups in it.
    window: (Instant, u32),
    per_source: Option<SourceLimit>,
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
        let limits = Limits { options, window: (Instant::ZERO, 0), per_source: None };
        Self { refused, limits }.with_seed(SEED)
    }

    /// The same with a seed that nobody on the network knows, or could choose whose place in the table of sources he takes.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        let cap = self.limits.options.replies_per_second_per_source;
        self.limits.per_source = (cap != 0).then(|| SourceLimit::new(cap, seed));
        self
    }
}

impl Limits {
    /// Whether whatever was sent to us alone is answered, and as it came.
    fn ask_nothing_of_unicast(&self) -> bool {
        self.per_source.is_none() && !self.options.describe_sender
    }

    /// Answers `datagram`, or says why not.
    // X05, RFC 8085 3: one request, at most one reply, and that no longer, unless a text was asked for: the total never exceeds what
    // came in.
    #[inline(never)]
    fn decide<B: PacketBuf>(&mut self, now: Instant, datagram: &mut Datagram<B>) {
        match self.may_answer(now, datagram) {
            Ok(()) if self.options.describe_sender => describe(datagram),
            Ok(()) => datagram.reply(),
            Err(why) => datagram.refuse(why),
        }
    }

    /// X05, RFC 8085 3: no source is sent more than its cap, if there is one. Asked before the cap on answers to groups,
    /// which one source could use up otherwise.
    fn may_answer<B: PacketBuf>(&mut self, now: Instant, datagram: &Datagram<B>) -> Result<(), DropReason> {
        if let Some(limit) = &mut self.per_source
            && !limit.allows(now, datagram.source().ip())
        {
            return Err(DropReason::EchoSourceRate);
        }
        match datagram.cast() {
            Cast::Unicast => Ok(()),
            cast => self.may_answer_group(now, cast),
        }
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
    fn echoes(&mut self, ports: UdpPorts<'_>) -> bool {
        if !self.limits.ask_nothing_of_unicast() {
            return false;
        }
        // Most are above all that are refused.
        let are_clear = ports.least_source() > self.refused.greatest && !ports.has_same();
        are_clear || !ports.iter().any(|ports| self.refused.reflects(ports))
    }

    /// X01, RFC 862: what goes back is what came.
    fn writes_payloads(&self) -> bool {
        self.limits.options.describe_sender
    }

    #[inline]
    fn datagrams(&mut self, cx: &mut Cx<'_, B>, burst: &mut [Datagram<B>]) {
        let Self { refused, limits } = self;
        let is_reflected = |datagram: &Datagram<B>| refused.reflects(datagram.ports());
        if limits.ask_nothing_of_unicast() {
            for datagram in burst {
                if is_reflected(datagram) {
                    datagram.refuse(DropReason::EchoReflectorPort);
                } else if datagram.cast() == Cast::Unicast {
                    datagram.reply();
                } else {
                    limits.decide(cx.now, datagram);
                }
            }
            return;
        }
        for datagram in burst {
            if is_reflected(datagram) {
                datagram.refuse(DropReason::EchoReflectorPort);
            } else {
                limits.decide(cx.now, datagram);
            }
        }
    }
}

/// Answers with what is known of the sender.
#[cold]
fn describe<B: PacketBuf>(datagram: &mut Datagram<B>) {
    let text = sender::describe(datagram);
    if datagram.set_payload(&text) {
        datagram.reply();
    } else {
        datagram.refuse(DropReason::ReplyImpossible);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{BufPool, InterfaceId, Parts};
    use crate::service::{Action, Mock};
    use crate::sim::buf::{ROOM, SimBuf, SimPool};
    use crate::sim::frames::UdpFrame;

    /// A datagram from `from` to UDP port `to`.
    fn datagram(from: &str, to: u16, cast: Cast) -> Datagram<SimBuf> {
        let frame = UdpFrame::new(from, &format!("198.18.0.2:{to}"), b"hello").frame();
        let buf = SimPool::new(1, ROOM).alloc_copy(&frame).unwrap();
        Datagram::new(buf, Parts::new(14, 34, 13).to(cast).on(InterfaceId(0)), Instant::ZERO)
    }

    /// What `echo` decides of `burst`.
    fn decide_all<const N: usize>(
        echo: &mut Echo,
        now: Instant,
        mut burst: [Datagram<SimBuf>; N],
    ) -> [Action; N] {
        echo.datagrams(&mut Mock::new(SimPool::new(1, ROOM)).cx(now), &mut burst);
        burst.map(|datagram| datagram.into_parts().2)
    }

    /// What `echo` decides of one datagram from UDP port `from` to port `to`.
    fn decide(echo: &mut Echo, now: Instant, cast: Cast, (from, to): (u16, u16)) -> Action {
        let [action] = decide_all(echo, now, [datagram(&format!("198.18.0.1:{from}"), to, cast)]);
        action
    }

    fn unicast(options: EchoOptions, ports: (u16, u16)) -> Action {
        unicast_by(&mut Echo::new(options), ports)
    }

    fn unicast_by(echo: &mut Echo, ports: (u16, u16)) -> Action {
        decide(echo, Instant::ZERO, Cast::Unicast, ports)
    }

    fn refusing(refuse_source_ports: RefuseSourcePorts) -> EchoOptions {
        EchoOptions { refuse_source_ports, ..EchoOptions::default() }
    }

    const REFUSED: Action = Action::Refuse(DropReason::EchoReflectorPort);

    // X02, CERT CA-1996-01, TA14-017A.
    #[test]
    fn reflectors_and_port_0_are_not_answered() {
        for port in [0, 7, 13, 17, 19, 37, 53, 69, 111, 123, 137, 161, 389, 427, 1900, 3702, 5353, 11211] {
            assert_eq!(unicast(EchoOptions::default(), (port, 9000)), REFUSED, "port {port}");
        }
        assert_eq!(unicast(EchoOptions::default(), (1024, 9000)), Action::Reply);
        assert_eq!(unicast(EchoOptions::default(), (1023, 9000)), Action::Reply);
    }

    // X02: an echo on any port, from which another echo on that port would answer.
    #[test]
    fn the_services_own_port_is_not_answered_whatever_it_is() {
        assert_eq!(unicast(refusing(RefuseSourcePorts::None), (9000, 9000)), REFUSED);
        assert_eq!(unicast(refusing(RefuseSourcePorts::None), (9001, 9000)), Action::Reply);
    }

    // X02: the inetd rule, none, and a list.
    #[test]
    fn which_ports_are_refused_can_be_chosen() {
        assert_eq!(unicast(refusing(RefuseSourcePorts::Below1024), (1023, 9000)), REFUSED);
        assert_eq!(unicast(refusing(RefuseSourcePorts::Below1024), (11211, 9000)), REFUSED);
        assert_eq!(unicast(refusing(RefuseSourcePorts::None), (19, 9000)), Action::Reply);
        // U10: port 0 cannot be answered, whatever is chosen.
        assert_eq!(unicast(refusing(RefuseSourcePorts::None), (0, 9000)), REFUSED);
        assert_eq!(unicast(refusing(RefuseSourcePorts::List(vec![4000])), (4000, 9000)), REFUSED);
        assert_eq!(unicast(refusing(RefuseSourcePorts::List(vec![4000])), (19, 9000)), Action::Reply);
    }

    /// What `echo` says of the short way of datagrams between these ports.
    fn echoes(echo: &mut Echo, ports: &[(u16, u16)]) -> bool {
        let ports: Vec<_> = ports.iter().map(|(from, to)| u32::from(*from) | u32::from(*to) << 16).collect();
        Service::<SimBuf>::echoes(echo, UdpPorts::new(&ports))
    }

    // X02, U10: a burst is echoed unseen if each of its datagrams would be answered: whichever port one is from, wherever it is.
    #[test]
    fn the_short_way_is_taken_if_every_datagram_is_answered() {
        for refuse in [
            RefuseSourcePorts::Reflectors,
            RefuseSourcePorts::Below1024,
            RefuseSourcePorts::None,
            RefuseSourcePorts::List(vec![4000, 65_535]),
        ] {
            let mut echo = Echo::new(refusing(refuse.clone()));
            for from in (0..=u16::MAX).filter(|from| *from < 1100 || from % 7 == 0 || *from > 65_500) {
                let is_answered = unicast_by(&mut echo, (from, 30_000)) == Action::Reply;
                let mut burst = [(20_001, 30_000); 8];
                burst[usize::from(from % 8)].0 = from;
                assert_eq!(echoes(&mut echo, &burst), is_answered, "{refuse:?}, from {from}");
                // Among others that are below the greatest refused port, too.
                burst[usize::from(from.wrapping_add(1) % 8)].0 = 1024;
                assert_eq!(echoes(&mut echo, &burst), is_answered, "{refuse:?}, from {from}");
            }
            for port in REFLECTOR_PORTS.into_iter().chain([4000, 20_000, 65_535]) {
                let is_answered = unicast_by(&mut echo, (port, 30_000)) == Action::Reply;
                assert_eq!(echoes(&mut echo, &[(20_001, 30_000), (port, 30_000)]), is_answered, "{port}");
                // Another echo's, whatever port it has.
                assert!(!echoes(&mut echo, &[(20_001, 30_000), (port, port)]), "{port}");
            }
        }
    }

    // X04, X05: whatever asks more than ports of what is sent to one host; what is sent to many is not asked of.
    #[test]
    fn the_short_way_is_for_an_echo_that_knows_all_by_ports() {
        let echoes = |options| echoes(&mut Echo::new(options), &[(20_001, 7); 4]);
        let default = EchoOptions::default;
        assert!(echoes(default()));
        assert!(echoes(EchoOptions { answer_groups: false, group_answers_per_second: 1, ..default() }));
        assert!(echoes(EchoOptions { answer_broadcast: true, ..default() }));
        assert!(!echoes(EchoOptions { replies_per_second_per_source: 1_000_000, ..default() }));
        assert!(!echoes(EchoOptions { describe_sender: true, ..default() }));
    }

    // X04: what takes the short way costs the answers to groups nothing, nor do they cost it anything.
    #[test]
    fn the_short_way_does_not_count_as_answers_to_groups() {
        let mut echo = Echo::new(EchoOptions { group_answers_per_second: 1, ..EchoOptions::default() });
        let ask = |echo: &mut Echo| decide(echo, Instant::ZERO, Cast::Multicast, (4000, 9000));
        assert!((0..100).all(|_| echoes(&mut echo, &[(20_001, 7); 4])));
        assert_eq!(ask(&mut echo), Action::Reply);
        assert_eq!(ask(&mut echo), Action::Refuse(DropReason::EchoGroupRate));
        assert!(echoes(&mut echo, &[(20_001, 7); 4]));
    }

    // X04, RFC 1122 3.2.2.6 by analogy.
    #[test]
    fn groups_are_answered_and_broadcasts_are_not_unless_configured() {
        let mut echo = Echo::new(EchoOptions::default());
        let mut ask = |cast| decide(&mut echo, Instant::ZERO, cast, (4000, 9000));
        assert_eq!(ask(Cast::Multicast), Action::Reply);
        assert_eq!(ask(Cast::Broadcast), Action::Refuse(DropReason::EchoGroupOff));
        let other = EchoOptions { answer_groups: false, answer_broadcast: true, ..EchoOptions::default() };
        let mut echo = Echo::new(other);
        let mut ask = |cast| decide(&mut echo, Instant::ZERO, cast, (4000, 9000));
        assert_eq!(ask(Cast::Multicast), Action::Refuse(DropReason::EchoGroupOff));
        assert_eq!(ask(Cast::Broadcast), Action::Reply);
    }

    // X04: capped for each second; unicast is not counted.
    #[test]
    fn answers_to_groups_are_capped_a_second() {
        let mut echo = Echo::new(EchoOptions { group_answers_per_second: 3, ..EchoOptions::default() });
        let second = |s: u64| Instant::from_ns(s * 1_000_000_000);
        let mut ask = |now, cast| decide(&mut echo, now, cast, (4000, 9000));
        for _ in 0..3 {
            assert_eq!(ask(second(5), Cast::Multicast), Action::Reply);
        }
        assert_eq!(ask(second(5), Cast::Multicast), Action::Refuse(DropReason::EchoGroupRate));
        assert_eq!(ask(second(5), Cast::Unicast), Action::Reply);
        assert_eq!(ask(second(6), Cast::Multicast), Action::Reply);
    }

    // X05, RFC 8085 3: a cap for each source, whatever its UDP port.
    #[test]
    fn one_source_is_answered_as_often_as_its_cap_says_and_others_all_the_same() {
        let options = EchoOptions { replies_per_second_per_source: 2, ..EchoOptions::default() };
        let mut echo = Echo::new(options);
        let one = |port: u16| datagram(&format!("198.18.0.1:{port}"), 9000, Cast::Unicast);
        let another = datagram("198.18.0.3:4000", 9000, Cast::Unicast);
        let over = Action::Refuse(DropReason::EchoSourceRate);
        let burst = [one(4000), one(4001), one(4002), another, one(4000)];
        let at = |ms: u64| Instant::from_ns(ms * 1_000_000);
        let decided = decide_all(&mut echo, at(0), burst);
        assert_eq!(decided, [Action::Reply, Action::Reply, over, Action::Reply, over]);
        assert_eq!(decide_all(&mut echo, at(500), [one(4000), one(4001)]), [Action::Reply, over]);
    }

    // X05: what a source's own cap refuses costs the groups' cap nothing.
    #[test]
    fn one_source_cannot_use_up_the_answers_to_groups() {
        let options = EchoOptions {
            replies_per_second_per_source: 1,
            group_answers_per_second: 2,
            ..EchoOptions::default()
        };
        let mut echo = Echo::new(options);
        let from = |source: &str| datagram(source, 9000, Cast::Multicast);
        let burst = [from("198.18.0.1:1024"), from("198.18.0.1:1025"), from("198.18.0.1:1026")];
        let [first, ..] = decide_all(&mut echo, Instant::from_ns(5_000_000_000), burst);
        assert_eq!(first, Action::Reply);
        let [other] = decide_all(&mut echo, Instant::from_ns(5_000_000_000), [from("198.18.0.3:1024")]);
        assert_eq!(other, Action::Reply);
    }

    // X05: without a cap, none, and no table either.
    #[test]
    fn sources_are_not_capped_unless_configured() {
        let mut echo = Echo::new(EchoOptions::default());
        assert!(echo.limits.per_source.is_none());
        for _ in 0..20_000 {
            assert_eq!(decide(&mut echo, Instant::ZERO, Cast::Unicast, (4000, 9000)), Action::Reply);
        }
    }

    #[test]
    fn without_a_cap_every_group_datagram_is_answered() {
        let mut echo = Echo::new(EchoOptions { group_answers_per_second: 0, ..EchoOptions::default() });
        for _ in 0..20_000 {
            assert_eq!(decide(&mut echo, Instant::ZERO, Cast::Multicast, (4000, 9000)), Action::Reply);
        }
    }

    #[test]
    fn options_are_read_from_a_table() {
        let read = |text: &str| toml::from_str::<EchoOptions>(text);
        assert_eq!(read("").unwrap(), EchoOptions::default());
        assert_eq!(
            read("refuse_source_ports = \"below_1024\"").unwrap(),
            refusing(RefuseSourcePorts::Below1024)
        );
        assert_eq!(read("refuse_source_ports = [7]").unwrap(), refusing(RefuseSourcePorts::List(vec![7])));
        assert!(read("refuse_source_ports = \"some\"").is_err());
        assert!(read("answer_gruops = true").is_err());
    }
}
