//! UDP on arrival, over either IP version: is it whole, and which socket is it for?

use super::Decision;
use super::uoa::Said;
use crate::addr::{Family, V6};
use crate::io::{Cast, ChecksumStatus, DropReason, InterfaceId, Parts, PayloadSum, RxMeta};
use crate::stack::audience::{self, First, ForMany};
use crate::stack::icmp::Complaint;
use crate::stack::interface::{Inet, Interface};
use crate::stack::port_table::{Flow, PortTable};
use crate::wire::udp::{Over, Udp};

/// What IP makes of a datagram: who, to whom, and where it lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram<'a, F: Over> {
    pub(super) src: F::Addr,
    pub(super) dst: F::Addr,
    pub(super) cast: Cast,
    /// The payload of the IP packet.
    pub(super) bytes: &'a [u8],
    /// Offset of the IP header in the frame.
    pub(super) l3: u8,
    /// Offset of `bytes` in the frame, or in the body.
    pub(super) l4: u16,
    /// Whether `bytes` are the packet's body.
    pub(super) in_body: bool,
    /// What a balancer says of who sent it.
    pub(super) said: Said,
}

pub(super) fn decide<F: Over>(
    datagram: &Datagram<'_, F>,
    meta: RxMeta,
    interface: &Interface,
    inet: &Inet<F>,
    table: &PortTable,
) -> Decision {
    let Datagram { cast, bytes, l3, l4, .. } = *datagram;
    // U01, U02, U03: the length field rules, within what IP brought.
    let Ok(udp) = Udp::parse(bytes) else { return Decision::Drop(DropReason::UdpLengthInvalid) };
    // C01, RFC 1122 4.1.3.4: the checksum before the port, so that a damaged port number provokes nothing.
    let Some(sum) = payload_sum(datagram, &udp, meta) else { return Decision::Drop(DropReason::UdpChecksum) };
    // U06, RFC 6936 4, Linux `__udp6_lib_rcv`: over IPv6, one that says that it has none is for those alone who take such, and
    // provokes nothing.
    let unsummed = udp.checksum() == 0 && !F::ZERO_IS_NONE;
    let ports = (udp.src_port(), udp.dst_port());
    let found = find_socket(datagram, ports, interface.id, (inet, table), unsummed);
    match found {
        Ok(First { socket, others }) => {
            let parts = Parts::new(l3, l4, udp.length()).on(interface.id).tagged(interface.vlan.is_some());
            let parts = parts.over_ipv6(F::VERSION == V6::VERSION);
            let parts = if datagram.in_body { parts.in_body() } else { parts };
            let parts = parts.to(cast).with_sum(sum).with_others(others).for_socket(socket);
            Decision::Deliver(parts, datagram.said)
        }
        // U09, C01, RFC 1122 4.1.3.1: told to one host, never to many.
        Err(DropReason::UdpNoPort) => {
            Decision::Complain(DropReason::UdpNoPort, Complaint::PortUnreachable, l3)
        }
        Err(why) => Decision::Drop(why),
    }
}

/// What the checksum field is worth; `None` if it is wrong. DESIGN: by the mbuf's flag.
fn payload_sum<F: Over>(datagram: &Datagram<'_, F>, udp: &Udp<'_>, meta: RxMeta) -> Option<PayloadSum> {
    match meta.l4_checksum {
        // A peer on this machine left the field to a device that never came: the data are right, the field is not.
        ChecksumStatus::None if udp.checksum() != 0 || F::ZERO_IS_NONE => Some(PayloadSum::Absent),
        // U04, RFC 768: over IPv4, 0 says that there is none; over IPv6, too, to whoever takes that.
        _ if udp.checksum() == 0 => Some(PayloadSum::Absent),
        // U03, U08: a device sums what IP brought. Where that is more than the datagram, it has not spoken of the datagram.
        ChecksumStatus::Good if usize::from(udp.length()) == datagram.bytes.len() => Some(PayloadSum::Valid),
        ChecksumStatus::Good | ChecksumStatus::None | ChecksumStatus::Bad | ChecksumStatus::Unknown => {
            let pseudo = F::pseudo(datagram.src, datagram.dst, udp.length());
            udp.is_whole(pseudo).then_some(PayloadSum::Valid)
        }
    }
}

/// The (first) socket that a datagram is for, or why there is none; of one that is `unsummed`, among those that take such.
fn find_socket<F: Over>(
    datagram: &Datagram<'_, F>,
    (sport, dport): (u16, u16),
    interface: InterfaceId,
    (inet, table): (&Inet<F>, &PortTable),
    unsummed: bool,
) -> Result<First, DropReason> {
    let Datagram { src, dst, cast, .. } = *datagram;
    let flow = Flow::<F> { src, sport, dst, dport };
    let for_many = ForMany { interface, flow, cast };
    match cast {
        // U10: nothing is bound to port 0, so it is unreachable like any other. U13: one alone has it.
        Cast::Unicast => {
            let found = table.unicast(interface, &flow);
            let found = found.filter(|found| !unsummed || table.takes_unsummed(found.socket));
            let nobody = if unsummed { DropReason::UdpChecksum } else { DropReason::UdpNoPort };
            found.map(|found| First { socket: found.socket, others: false }).ok_or(nobody)
        }
        Cast::Broadcast | Cast::Multicast if unsummed => {
            audience::first_unsummed(&for_many, &inet.groups, table)
        }
        Cast::Broadcast | Cast::Multicast => audience::first(&for_many, &inet.groups, table),
    }
}
