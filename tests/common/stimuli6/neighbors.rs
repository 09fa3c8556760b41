//! What neighbours say of themselves, one after the other, and where a host then sends what is for them.

use std::net::Ipv6Addr;

use ::pollcast::rng::Rng;
use ::pollcast::sim::frames::{NdpFrame, NdpMessage, NdpOption};

use super::super::frames::Mac;
use super::super::six::{ALL_NODES, HOST6, Host6};
use super::Ipv6;
use super::extensions::pick;
use super::{Stimulus, UDP, datagram6, frame6, group_mac6, mac, one};

/// One thing that a neighbour does, or is asked for.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// It asks for us, by one of its two Ethernet addresses, or without saying which.
    Asks(Option<u8>),
    /// It asks for us alone.
    AsksUs(Option<u8>),
    /// It says where it is.
    Says { solicited: bool, overrides: bool, router: bool, at: Option<u8>, to_all: bool },
    /// It asks for routers.
    AsksForRouters(Option<u8>),
    /// It asks the echo, so that it is answered.
    AsksEcho,
}

/// The Ethernet addresses of the neighbour: its first and its second.
fn address(host: Host6, which: u8) -> Mac {
    let [a, b, c, _, e, f] = host.mac;
    [a, b, c, which, e, f]
}

fn ndp(host: Host6, to: Ipv6Addr, message: NdpMessage, option: Option<NdpOption>, at: Option<u8>) -> Vec<u8> {
    let mut frame = NdpFrame::between(host.ip, to, message);
    frame.source_mac = mac(address(host, at.unwrap_or(1)));
    frame.destination_mac = mac(if to.is_multicast() { group_mac6(to) } else { HOST6.mac });
    frame.options = option.into_iter().collect();
    frame.frame()
}

impl Step {
    fn frame(self, host: Host6) -> Vec<u8> {
        let source = |at: Option<u8>| at.map(|at| NdpOption::SourceLinkLayer(mac(address(host, at))));
        let target = |at: Option<u8>| at.map(|at| NdpOption::TargetLinkLayer(mac(address(host, at))));
        let asks = NdpMessage::NeighborSolicitation { target: HOST6.ip };
        match self {
            Self::Asks(at) => {
                ndp(host, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 2), asks, source(at), at)
            }
            Self::AsksUs(at) => ndp(host, HOST6.ip, asks, source(at), at),
            Self::Says { solicited, overrides, router, at, to_all } => {
                let said =
                    NdpMessage::NeighborAdvertisement { target: host.ip, router, solicited, overrides };
                ndp(host, if to_all { ALL_NODES } else { HOST6.ip }, said, target(at), at)
            }
            Self::AsksForRouters(at) => {
                let routers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
                ndp(host, routers, NdpMessage::RouterSolicitation, source(at), at)
            }
            Self::AsksEcho => {
                let ip = Ipv6::new(host.ip, HOST6.ip, UDP);
                frame6(host, HOST6, &ip.packet(&datagram6(&ip, 4000, 7, b"where am I?")))
            }
        }
    }

    fn random(rng: &mut Rng) -> Self {
        let flag = |rng: &mut Rng| rng.below(2) == 1;
        let at = [None, Some(1), Some(2)][pick(rng, 3)];
        match pick(rng, 10) {
            0 => Self::Asks(at.or(Some(1))),
            // Who does not say where it is, is answered there (N03), or asked for first: both are right.
            1 => Self::AsksUs(at.or(Some(1))),
            2 => Self::AsksEcho,
            3 => Self::AsksForRouters(at),
            _ => {
                let to_all = flag(rng);
                let solicited = !to_all && flag(rng);
                Self::Says { solicited, overrides: flag(rng), router: flag(rng), at, to_all }
            }
        }
    }
}

/// `n` neighbours of whom a host hears by turns, of `seed`: each step a stimulus, and a word to the echo the last of each. No one
/// answers for them.
pub fn neighbors(seed: u64, n: u16) -> Vec<Stimulus> {
    let mut rng = Rng::new(seed);
    let mut all = Vec::new();
    for number in 0..n {
        let host = Host6::number(0x1000 + number);
        let mut steps: Vec<Step> = (0..pick(&mut rng, 5)).map(|_| Step::random(&mut rng)).collect();
        steps.push(Step::AsksEcho);
        for (i, step) in steps.iter().enumerate() {
            all.push(one(&format!("N09 neighbour {number}, step {i}: {step:?}"), step.frame(host)));
        }
    }
    all
}
