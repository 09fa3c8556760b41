//! What is sent, to whom, how fast and for how long.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::str::FromStr;
use core::time::Duration;

use serde::Serialize;

use super::template::STAMP_LEN;
use crate::addr::{Cidr, Family, MacAddr, V4, V6, Vid};
use crate::io::BURST_MAX;
use crate::wire::{ethernet, ipv4, ipv6, udp};

/// How many packets a second.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rate {
    /// As many as the device takes.
    Max,
    /// So many, at even distances.
    PerSecond(f64),
}

/// Not a rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a rate: write packets a second, as in 1000, 250k or 1.5M, or max")]
pub struct ParseRateError;

impl FromStr for Rate {
    type Err = ParseRateError;

    fn from_str(text: &str) -> Result<Self, ParseRateError> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let (digits, factor) = match text.chars().last() {
            Some('k') => (text.get(..text.len() - 1), 1e3),
            Some('M') => (text.get(..text.len() - 1), 1e6),
            _ => (Some(text), 1.0),
        };
        let rate: f64 = digits.unwrap_or_default().parse().map_err(|_| ParseRateError)?;
        let rate = rate * factor;
        if rate.is_finite() && rate > 0.0 { Ok(Self::PerSecond(rate)) } else { Err(ParseRateError) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::PerSecond(rate) => write!(f, "{rate}"),
        }
    }
}

/// What counts as an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answers {
    /// The datagram with addresses and ports turned round: what an echo sends, and testpmd's `5tswap`.
    #[default]
    Echo,
    /// The packet as it was, whatever its Ethernet addresses: testpmd's `io` and `macswap`.
    Same,
    /// Nothing: it is only sent.
    None,
}

/// What is sent, to whom, how fast and for how long.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// To whom: addresses of hosts and groups, of one IP version or of both.
    pub destinations: Vec<SocketAddr>,
    /// From which IPv4 address, and the prefix of its link.
    pub source4: Option<Cidr<V4>>,
    /// The same of IPv6.
    pub source6: Option<Cidr<V6>>,
    /// The router to IPv4 destinations off the link.
    pub gateway4: Option<Ipv4Addr>,
    /// The router to IPv6 destinations off the link.
    pub gateway6: Option<Ipv6Addr>,
    /// Every host's Ethernet address: none is asked for.
    pub peer_mac: Option<MacAddr>,
    /// Sent, and heard, on this VLAN.
    pub vlan: Option<Vid>,
    /// Flows, spread over the destinations: those to one destination have source ports one after the other.
    pub flows: u32,
    /// The first source port.
    pub source_port: u16,
    /// Bytes of the frames, from the Ethernet header (without a VLAN's tag) to the last byte of the payload, without the frame
    /// check sequence: one after the other, and again.
    pub sizes: Vec<u16>,
    /// TTL or hop limit; `None`: 64 to hosts, 1 to groups.
    pub ttl: Option<u8>,
    /// Type of service or traffic class.
    pub tos: u8,
    /// How fast.
    pub rate: Rate,
    /// Sends no more while so many packets are without an answer and not yet given up.
    pub in_flight: Option<u64>,
    /// The most packets in one call to the device: 1 to [`BURST_MAX`].
    pub burst: usize,
    /// For how long; `None`: until the count is reached.
    pub duration: Option<Duration>,
    /// How many packets in all.
    pub count: Option<u64>,
    /// How long an answer is waited for. What takes longer is lost.
    pub patience: Duration,
    /// What counts as an answer.
    pub answers: Answers,
}

/// Why nothing can be sent.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TrafficError {
    /// Nobody to send to.
    #[error("no destination is given: name one, as 198.18.0.2:7 or [2001:db8::2]:7")]
    NoDestination,
    /// A destination that no packet may have.
    #[error(
        "{0} is no destination: its address is unspecified, a loopback or broadcast address, or its port 0"
    )]
    Destination(SocketAddr),
    /// No address of the destination's IP version.
    #[error(
        "{to} is of IPv{version}, and no IPv{version} address is given to send from: add --from ADDRESS/PREFIX"
    )]
    NoSource {
        /// To whom.
        to: SocketAddr,
        /// 4 or 6.
        version: u8,
    },
    /// A destination off the link.
    #[error(
        "{to} is not on the link of {link}, and no router is given: add --gateway ADDRESS, or --peer-mac MAC"
    )]
    OffLink {
        /// To whom.
        to: SocketAddr,
        /// The address sent from, with its prefix.
        link: String,
    },
    /// Another number of flows than can be.
    #[error(
        "{flows} flows to {destinations} destinations from ports {first} and up cannot be: there are between one a destination and {most}"
    )]
    Flows {
        /// Asked for.
        flows: u32,
        /// Spread over so many.
        destinations: usize,
        /// The first source port.
        first: u16,
        /// The most.
        most: u64,
    },
    /// Another frame size than can be.
    #[error(
        "a frame to {to} has {min} to {max} bytes, not {size}: an Ethernet header, IP, UDP, and a number of 12 bytes; the MTU is {mtu}"
    )]
    Size {
        /// Asked for.
        size: u16,
        /// To whom.
        to: SocketAddr,
        /// The least.
        min: usize,
        /// The most.
        max: usize,
        /// The port's.
        mtu: u16,
    },
    /// A number out of its range.
    #[error("{0}")]
    Number(&'static str),
}

impl Traffic {
    /// To these, from nowhere yet: as many flows as destinations, 60 bytes, as fast as can be, for ten seconds.
    #[must_use]
    pub fn to(destinations: impl IntoIterator<Item = SocketAddr>) -> Self {
        let destinations: Vec<_> = destinations.into_iter().collect();
        Self {
            flows: u32::try_from(destinations.len()).unwrap_or(u32::MAX),
            sizes: destinations
                .iter()
                .map(|to| if to.is_ipv4() { 60 } else { 80 })
                .max()
                .into_iter()
                .collect(),
            destinations,
            source4: None,
            source6: None,
            gateway4: None,
            gateway6: None,
            peer_mac: None,
            vlan: None,
            source_port: 1024,
            ttl: None,
            tos: 0,
            rate: Rate::Max,
            in_flight: None,
            burst: 32,
            duration: Some(Duration::from_secs(10)),
            count: None,
            patience: Duration::from_secs(1),
            answers: Answers::Echo,
        }
    }

    /// Whether it can be sent, on a link whose MTU is 1500; [`check_mtu`](Self::check_mtu) for others.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<(), TrafficError> {
        self.check_mtu(1500)
    }

    /// Whether it can be sent by a port whose MTU is `mtu`.
    ///
    /// # Errors
    /// Why not.
    pub fn check_mtu(&self, mtu: u16) -> Result<(), TrafficError> {
        if self.destinations.is_empty() {
            return Err(TrafficError::NoDestination);
        }
        self.destinations.iter().try_for_each(|to| self.check_destination(*to, mtu))?;
        let destinations = self.destinations.len() as u64;
        let most = (u64::from(u16::MAX) - u64::from(self.source_port) + 1) * destinations;
        if self.source_port == 0 || !(destinations..=most).contains(&u64::from(self.flows)) {
            return Err(TrafficError::Flows {
                flows: self.flows,
                destinations: self.destinations.len(),
                first: self.source_port,
                most,
            });
        }
        let wrong = [
            (self.sizes.is_empty(), "no frame size is given"),
            (!(1..=BURST_MAX).contains(&self.burst), "a burst has 1 to 64 packets"),
            (self.in_flight == Some(0), "with no packet under way nothing is sent: give at least 1"),
            (
                self.in_flight.is_some() && self.answers == Answers::None,
                "no answer is waited for, so that none can be counted as under way",
            ),
            (self.duration.is_none() && self.count.is_none(), "it would not end: give a time or a count"),
            (self.ttl == Some(0), "with a TTL of 0 nothing leaves"),
        ];
        wrong.iter().find(|(is_wrong, _)| *is_wrong).map_or(Ok(()), |(_, why)| Err(TrafficError::Number(why)))
    }

    fn check_destination(&self, to: SocketAddr, mtu: u16) -> Result<(), TrafficError> {
        let is_one = match to.ip() {
            IpAddr::V4(addr) => V4::is_unicast(addr) || V4::is_multicast(addr),
            IpAddr::V6(addr) => V6::is_unicast(addr) || V6::is_multicast(addr),
        };
        if !is_one || to.port() == 0 {
            return Err(TrafficError::Destination(to));
        }
        if self.source_for(to.ip()).is_none() {
            return Err(TrafficError::NoSource { to, version: if to.is_ipv4() { 4 } else { 6 } });
        }
        if self.peer_mac.is_none() && !to.ip().is_multicast() && self.next_hop(to.ip()).is_none() {
            let link = if to.is_ipv4() {
                self.source4.map(|s| s.to_string())
            } else {
                self.source6.map(|s| s.to_string())
            };
            return Err(TrafficError::OffLink { to, link: link.unwrap_or_default() });
        }
        let min = size_min(to.ip());
        let max = ethernet::HEADER_LEN + usize::from(mtu);
        match self.sizes.iter().find(|size| !(min..=max).contains(&usize::from(**size))) {
            Some(size) => Err(TrafficError::Size { size: *size, to, min, max, mtu }),
            None => Ok(()),
        }
    }

    /// The address from which something is sent to `to`.
    pub(super) fn source_for(&self, to: IpAddr) -> Option<IpAddr> {
        if to.is_ipv4() {
            self.source4.map(|s| s.addr().into())
        } else {
            self.source6.map(|s| s.addr().into())
        }
    }

    /// To whom a packet to the host `to` is handed.
    pub(super) fn next_hop(&self, to: IpAddr) -> Option<IpAddr> {
        let (on_link, gateway) = match to {
            IpAddr::V4(addr) => {
                (self.source4.is_some_and(|s| s.contains(addr)), self.gateway4.map(IpAddr::from))
            }
            IpAddr::V6(addr) => {
                let link_local = addr.is_unicast_link_local();
                (
                    link_local || self.source6.is_some_and(|s| s.contains(addr)),
                    self.gateway6.map(IpAddr::from),
                )
            }
        };
        if on_link { Some(to) } else { gateway }
    }
}

/// The least that a frame to `to` has. Over IPv4 the least that Ethernet has is more than the headers and the number.
fn size_min(to: IpAddr) -> usize {
    let ip = if to.is_ipv4() { ipv4::HEADER_LEN } else { ipv6::HEADER_LEN };
    (ethernet::HEADER_LEN + ip + udp::HEADER_LEN + STAMP_LEN).max(ethernet::MIN_FRAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic(to: &[&str]) -> Traffic {
        Traffic {
            source4: Some("198.18.0.1/24".parse().unwrap()),
            ..Traffic::to(to.iter().map(|to| to.parse().unwrap()))
        }
    }

    fn said(traffic: &Traffic) -> String {
        traffic.check().unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_sent_is_refused_with_its_remedy() {
        assert_eq!(traffic(&["198.18.0.2:7", "239.1.2.3:7"]).check(), Ok(()));
        assert!(said(&traffic(&[])).contains("no destination"));
        assert!(said(&traffic(&["0.0.0.0:7"])).contains("is no destination"));
        assert!(said(&traffic(&["198.18.0.2:0"])).contains("port 0"));
        assert!(said(&traffic(&["[2001:db8::2]:7"])).contains("add --from"));
        assert!(said(&traffic(&["198.19.0.2:7"])).contains("--gateway"));
        assert!(said(&Traffic { sizes: vec![59], ..traffic(&["198.18.0.2:7"]) }).contains("60 to 1514"));
        assert!(said(&Traffic { flows: 1, ..traffic(&["198.18.0.2:7", "198.18.0.3:7"]) }).contains("flows"));
        assert!(said(&Traffic { flows: 70_000, ..traffic(&["198.18.0.2:7"]) }).contains("64512"));
        assert!(said(&Traffic { duration: None, ..traffic(&["198.18.0.2:7"]) }).contains("not end"));
    }

    #[test]
    fn who_is_off_the_link_is_reached_by_the_router() {
        let by_router =
            Traffic { gateway4: Some(Ipv4Addr::new(198, 18, 0, 9)), ..traffic(&["198.19.0.2:7"]) };
        assert_eq!(by_router.check(), Ok(()));
        assert_eq!(by_router.next_hop("198.19.0.2".parse().unwrap()), Some("198.18.0.9".parse().unwrap()));
        assert_eq!(by_router.next_hop("198.18.0.2".parse().unwrap()), Some("198.18.0.2".parse().unwrap()));
        let told = Traffic { peer_mac: Some(MacAddr([2, 0, 0, 0, 0, 9])), ..traffic(&["198.19.0.2:7"]) };
        assert_eq!(told.check(), Ok(()));
    }

    #[test]
    fn rates_are_read_as_people_write_them() {
        assert_eq!("max".parse(), Ok(Rate::Max));
        assert_eq!("1.5M".parse(), Ok(Rate::PerSecond(1_500_000.0)));
        assert_eq!("250k".parse(), Ok(Rate::PerSecond(250_000.0)));
        for wrong in ["", "k", "0", "-1", "fast", "inf", "1G"] {
            assert_eq!(wrong.parse::<Rate>(), Err(ParseRateError), "{wrong}");
        }
    }
}
