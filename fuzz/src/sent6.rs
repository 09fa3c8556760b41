//! What the host of the body may send over IPv6 when others only asked.

use core::net::Ipv6Addr;

use pollcast::sim::frames::{Extension, IcmpFrame6, Ipv6, NdpFrame, NdpMessage, UdpFrame6};

use super::ingress::{HOST_MAC, HOST6, LOCAL6};

/// Whether this host may send `frame`, which is of IPv6 and has one tag at most.
pub fn may_be_sent6(frame: &[u8]) -> Result<(), &'static str> {
    let fail = |wrong: bool, what| if wrong { Err(what) } else { Ok(()) };
    let is_own = |addr: Ipv6Addr| addr == HOST6 || addr == LOCAL6;
    let (ethernet, ip, payload) = Ipv6::read_frame(frame)?;
    fail(ethernet.source != HOST_MAC, "from another station's MAC")?;
    fail(!is_own(ip.source), "from another host's address")?;
    if ip.next_header == 58
        && let Some(ndp) = NdpFrame::read(frame)?
    {
        // N03, N04: for ourselves alone, to whoever asked or to all nodes.
        return match ndp.message {
            NdpMessage::NeighborAdvertisement { target, .. } => {
                fail(!is_own(target), "it speaks for another")
            }
            _ => Err("neighbour discovery that nobody asked for"),
        };
    }
    fail(ethernet.destination.is_group(), "an answer to a group's MAC")?;
    let to = ip.destination;
    let nobody = to.is_multicast() || to.is_loopback() || to.is_unspecified() || is_own(to);
    fail(nobody, "an answer to no single host")?;
    fail(ip.hop_limit != 64, "a hop limit that is not 64")?;
    match ip.extensions.last() {
        // RFC 8200 4.5: a piece of an answer that was too long. The whole is judged by the tests that put it together.
        Some(Extension::Fragment { more, .. }) => {
            return fail(*more && !payload.len().is_multiple_of(8), "a fragment of odd length");
        }
        Some(_) => return Err("an extension header that nobody needs"),
        None => {}
    }
    match ip.next_header {
        17 => {
            let udp = UdpFrame6::read(frame)?;
            fail(udp.source.port() != 7 || udp.destination.port() == 0, "UDP from or to a wrong port")
        }
        58 => {
            let icmp = IcmpFrame6::read(frame)?;
            let answers = matches!((icmp.kind, icmp.code), (129, _) | (1, 4) | (3, 1) | (4, 0..=3));
            fail(!answers, "ICMPv6 that is no answer")
        }
        _ => Err("of a protocol that is not spoken"),
    }
}
