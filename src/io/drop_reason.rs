//! Why a packet was dropped: one reason a packet, one counter a reason.

use core::fmt;

macro_rules! drop_reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal => $snmp:expr;)+) => {
        /// Why a packet was dropped. Each has its counter; nothing is dropped without one.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum DropReason {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl DropReason {
            /// Every reason, in the order of the counters.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// How many reasons there are.
            pub const COUNT: usize = Self::ALL.len();

            /// Its name in text and JSON.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The SNMP counter (RFC 4293, RFC 4113; Linux's `/proc/net/snmp`) that would count it, where one exists.
            // Q02: the one under which Linux counts it. It has none for what is wrong with a source, or is refused by policy.
            #[must_use]
            pub const fn snmp(self) -> Option<&'static str> {
                match self { $(Self::$variant => $snmp,)+ }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub const fn describe(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc,)+).trim_ascii(),)+ }
            }
        }
    };
}

drop_reasons! {
    /// The frame ends before its Ethernet header does.
    EthernetTruncated = "ethernet_truncated" => None;
    /// The destination MAC is neither ours, nor broadcast, nor of a joined group.
    EthernetNotForUs = "ethernet_not_for_us" => None;
    /// The destination is a multicast MAC outside our set: the device let it through all the same.
    EthernetGroupNotJoined = "ethernet_group_not_joined" => None;
    /// The source MAC is a group address.
    EthernetSourceGroup = "ethernet_source_group" => None;
    /// The source MAC is our own: a loop.
    EthernetSourceOwn = "ethernet_source_own" => None;
    /// The frame names a VLAN, or none, for which no interface is configured.
    VlanUnknown = "vlan_unknown" => None;
    /// An EtherType that this host does not speak, 802.3 lengths included.
    EtherTypeUnknown = "ethertype_unknown" => None;
    /// An ARP packet with wrong types, lengths or operation.
    ArpMalformed = "arp_malformed" => None;
    /// The sender of an ARP packet is not one host: a group or broadcast address.
    ArpSenderInvalid = "arp_sender_invalid" => None;
    /// An ARP packet about others.
    ArpNotForUs = "arp_not_for_us" => None;
    /// Another host claims our address by ARP.
    ArpConflict = "arp_conflict" => None;
    /// The IPv4 header is cut short, or its version, length field or total length cannot be.
    Ipv4HeaderInvalid = "ipv4_header_invalid" => Some("IpInHdrErrors");
    /// The IPv4 total length exceeds the frame.
    Ipv4Truncated = "ipv4_truncated" => Some("IpInTruncatedPkts");
    /// The IPv4 header checksum is wrong.
    Ipv4Checksum = "ipv4_checksum" => Some("IpInHdrErrors");
    /// An IPv4 option cannot be: its length leads out of the header, or its pointer nowhere.
    Ipv4OptionInvalid = "ipv4_option_invalid" => Some("IpInHdrErrors");
    /// A source route, which this host refuses.
    Ipv4SourceRoute = "ipv4_source_route" => None;
    /// The IPv4 source cannot be one host on this network: group, broadcast, loopback, reserved or unspecified.
    Ipv4SourceMartian = "ipv4_source_martian" => None;
    /// The IPv4 source is our own address.
    Ipv4SourceOwn = "ipv4_source_own" => None;
    /// The IPv4 destination is not ours.
    Ipv4NotForUs = "ipv4_not_for_us" => Some("IpInAddrErrors");
    /// An IPv4 packet for one host in a frame for many.
    Ipv4UnicastInGroupFrame = "ipv4_unicast_in_group_frame" => None;
    /// The IPv4 group is not joined on this port: it shares the MAC address of one that is, or nobody filtered.
    Ipv4GroupNotJoined = "ipv4_group_not_joined" => None;
    /// The IPv6 header is cut short, or of another version.
    Ipv6HeaderInvalid = "ipv6_header_invalid" => Some("Ip6InHdrErrors");
    /// The IPv6 payload length exceeds the frame.
    Ipv6Truncated = "ipv6_truncated" => Some("Ip6InTruncatedPkts");
    /// The IPv6 source cannot be one host: a group, loopback, an IPv4 address, or unspecified where it may not be.
    Ipv6SourceMartian = "ipv6_source_martian" => Some("Ip6InHdrErrors");
    /// The IPv6 source is our own address.
    Ipv6SourceOwn = "ipv6_source_own" => None;
    /// The IPv6 destination is one that no wire carries: loopback, or a group that does not leave the interface.
    Ipv6DestinationInvalid = "ipv6_destination_invalid" => Some("Ip6InHdrErrors");
    /// The IPv6 destination is not ours.
    Ipv6NotForUs = "ipv6_not_for_us" => Some("Ip6InAddrErrors");
    /// An IPv6 packet for one host in a frame for many.
    Ipv6UnicastInGroupFrame = "ipv6_unicast_in_group_frame" => None;
    /// The IPv6 group is not joined on this port: it shares the MAC address of one that is, or nobody filtered.
    Ipv6GroupNotJoined = "ipv6_group_not_joined" => None;
    /// An IPv6 extension header ends behind its packet, an option behind its header, or padding is none.
    Ipv6ExtensionInvalid = "ipv6_extension_invalid" => Some("Ip6InHdrErrors");
    /// More IPv6 extension headers, options or padding than this host looks at.
    Ipv6TooManyHeaders = "ipv6_too_many_headers" => Some("Ip6InHdrErrors");
    /// IPv6 Hop-by-Hop Options that are not the first of the extension headers.
    Ipv6HeaderOrder = "ipv6_header_order" => Some("Ip6InUnknownProtos");
    /// An IPv6 option that this host does not know and may not pass over.
    Ipv6OptionUnknown = "ipv6_option_unknown" => Some("Ip6InHdrErrors");
    /// An IPv6 Routing header by which the packet would have to go on.
    Ipv6RoutingHeader = "ipv6_routing_header" => Some("Ip6InHdrErrors");
    /// An IPv6 jumbogram, which no link here carries.
    Ipv6Jumbo = "ipv6_jumbo" => Some("Ip6InHdrErrors");
    /// A first IPv6 fragment in which the headers do not end.
    Ipv6FirstFragmentIncomplete = "ipv6_first_fragment_incomplete" => Some("Ip6InHdrErrors");
    /// An IPv6 packet that carries nothing.
    Ipv6NoNextHeader = "ipv6_no_next_header" => None;
    /// An IPv6 next header that this host does not know; an ICMPv6 parameter problem was sent or withheld by its rules.
    Ipv6NextHeaderUnknown = "ipv6_next_header_unknown" => Some("Ip6InUnknownProtos");
    /// The source is not among those that anyone here joined the group for.
    GroupSourceFiltered = "group_source_filtered" => None;
    /// A fragment that is not the last one and whose length is no multiple of eight.
    FragmentMisaligned = "fragment_misaligned" => Some("IpReasmFails");
    /// A fragment that would make its datagram longer than 65,535 bytes.
    FragmentTooFar = "fragment_too_far" => Some("IpReasmFails");
    /// A fragment without payload, or one of the same datagram.
    FragmentEmpty = "fragment_empty" => Some("IpReasmFails");
    /// A fragment all of whose bytes had arrived before.
    FragmentDuplicate = "fragment_duplicate" => None;
    /// Fragments that overlap, or of the same datagram.
    FragmentOverlap = "fragment_overlap" => Some("IpReasmFails");
    /// Fragments that do not agree where their datagram ends, or of the same datagram.
    FragmentEndConflict = "fragment_end_conflict" => Some("IpReasmFails");
    /// Fragments whose congestion marks exclude each other.
    FragmentEcn = "fragment_ecn" => Some("IpReasmFails");
    /// Fragments of a datagram that was not whole in time.
    FragmentTimeout = "fragment_timeout" => Some("IpReasmTimeout");
    /// Fragments that had to give way to newer ones of the same source.
    FragmentsOfSource = "fragments_of_source" => Some("IpReasmFails");
    /// Fragments that had to give way to newer ones: there were too many of all sources.
    FragmentsTooMany = "fragments_too_many" => Some("IpReasmFails");
    /// The queue to the worker that puts fragments together was full.
    FragmentQueueFull = "fragment_queue_full" => Some("IpReasmFails");
    /// An IP protocol that this host does not speak; an ICMP protocol unreachable was sent or withheld by its rules.
    ProtocolUnknown = "protocol_unknown" => Some("IpInUnknownProtos");
    /// The balancers' option protocol from someone who is none (`uoa.trusted`): told like a protocol that nobody knows.
    OptionProtocolUntrusted = "option_protocol_untrusted" => None;
    /// The header of a balancer's option protocol has a length that cannot be, or an unknown version.
    OptionProtocolInvalid = "option_protocol_invalid" => None;
    /// The UDP header is cut short, or its length field cannot be.
    UdpLengthInvalid = "udp_length_invalid" => Some("UdpInErrors");
    /// The UDP checksum is wrong.
    UdpChecksum = "udp_checksum" => Some("UdpInCsumErrors");
    /// No socket on the port; an ICMP port unreachable was sent or withheld by its rules.
    UdpNoPort = "udp_no_port" => Some("UdpNoPorts");
    /// A group or broadcast datagram for which no socket is open, or none that joined the group.
    UdpNoListener = "udp_no_listener" => Some("UdpIgnoredMulti");
    /// A group datagram that every socket on its port would take from another source only.
    UdpSourceFiltered = "udp_source_filtered" => Some("UdpIgnoredMulti");
    /// The ICMP message is cut short.
    IcmpTruncated = "icmp_truncated" => Some("IcmpInErrors");
    /// The ICMP checksum is wrong.
    IcmpChecksum = "icmp_checksum" => Some("IcmpInCsumErrors");
    /// An ICMP echo request to a group or broadcast address.
    IcmpEchoGroup = "icmp_echo_group" => Some("IcmpInErrors");
    /// The cap on answers to echo requests to groups was reached.
    IcmpEchoGroupRate = "icmp_echo_group_rate" => None;
    /// An ICMP timestamp request, which this interface does not answer.
    IcmpTimestampOff = "icmp_timestamp_off" => None;
    /// An ICMP timestamp request to a group or broadcast address.
    IcmpTimestampGroup = "icmp_timestamp_group" => Some("IcmpInErrors");
    /// An ICMP redirect, which this host never follows.
    IcmpRedirect = "icmp_redirect" => None;
    /// An ICMP source quench, which means nothing any more.
    IcmpSourceQuench = "icmp_source_quench" => None;
    /// An ICMP error that quotes too little, or no packet that this host can have sent, or that was sent to many.
    IcmpErrorInvalid = "icmp_error_invalid" => Some("IcmpInErrors");
    /// An ICMP error about a packet of which no socket of this host knows.
    IcmpErrorUnmatched = "icmp_error_unmatched" => Some("IcmpInErrors");
    /// An ICMP "fragmentation needed" with an MTU that cannot be, or about a packet that it cannot have been needed for.
    IcmpMtuInvalid = "icmp_mtu_invalid" => Some("IcmpInErrors");
    /// An ICMP reply or an obsolete question: nothing here waits for the one or knows of the other.
    IcmpUnwanted = "icmp_unwanted" => None;
    /// An ICMP type that this host does not know.
    IcmpUnknown = "icmp_unknown" => Some("IcmpInErrors");
    /// The message of neighbour discovery is cut short.
    NdpTruncated = "ndp_truncated" => Some("Icmp6InErrors");
    /// A message of neighbour discovery in a fragment.
    NdpFragment = "ndp_fragment" => None;
    /// The checksum of a message of neighbour discovery is wrong.
    NdpChecksum = "ndp_checksum" => Some("Icmp6InCsumErrors");
    /// A message of neighbour discovery that came through a router: its hop limit is not 255.
    NdpHopLimit = "ndp_hop_limit" => None;
    /// A message of neighbour discovery with a code other than 0.
    NdpCode = "ndp_code" => None;
    /// A message of neighbour discovery with an option whose length cannot be.
    NdpOptionInvalid = "ndp_option_invalid" => None;
    /// A message of neighbour discovery that names an Ethernet address which no host has.
    NdpLinkLayerAddress = "ndp_link_layer_address" => None;
    /// A message of neighbour discovery about an address that no host has, or a redirect to one that is no router's.
    NdpTargetInvalid = "ndp_target_invalid" => None;
    /// A message of neighbour discovery from an address that cannot have sent it.
    NdpSourceInvalid = "ndp_source_invalid" => None;
    /// A neighbour advertisement to a group that claims to answer a question.
    NdpSolicitedToGroup = "ndp_solicited_to_group" => None;
    /// A neighbour solicitation for an address that is not ours.
    NdpNotForUs = "ndp_not_for_us" => None;
    /// A neighbour solicitation for an address of which it is not known yet whether it is ours.
    NdpTentative = "ndp_tentative" => None;
    /// A neighbour advertisement of a host that nobody asked for.
    NdpUnsolicited = "ndp_unsolicited" => None;
    /// Another host claims our address by neighbour discovery.
    NdpConflict = "ndp_conflict" => None;
    /// A router solicitation: hosts do not answer it.
    NdpRouterSolicitation = "ndp_router_solicitation" => None;
    /// A router advertisement, which this interface does not heed.
    NdpRouterAdvertisementOff = "ndp_router_advertisement_off" => None;
    /// A redirect, which this interface does not heed.
    NdpRedirectOff = "ndp_redirect_off" => None;
    /// A redirect that is not from the first hop to its destination, or to a group, or of one.
    NdpRedirectInvalid = "ndp_redirect_invalid" => None;
    /// The ICMPv6 message is cut short.
    Icmpv6Truncated = "icmpv6_truncated" => Some("Icmp6InErrors");
    /// The ICMPv6 checksum is wrong.
    Icmpv6Checksum = "icmpv6_checksum" => Some("Icmp6InCsumErrors");
    /// An ICMPv6 reply that nothing here waits for, or group management that no link carries.
    Icmpv6Unwanted = "icmpv6_unwanted" => None;
    /// An ICMPv6 type that this host does not know.
    Icmpv6Unknown = "icmpv6_unknown" => None;
    /// The IGMP message is cut short, or has a length between the versions.
    IgmpTruncated = "igmp_truncated" => None;
    /// The IGMP checksum is wrong.
    IgmpChecksum = "igmp_checksum" => None;
    /// An IGMP message that does not concern a host: leaves and version 3 reports of others, unknown types.
    IgmpUnwanted = "igmp_unwanted" => None;
    /// An IGMP query that cannot be: sources without a group, a list cut short, a group that is none.
    IgmpQueryInvalid = "igmp_query_invalid" => None;
    /// An IGMP query or report that adds nothing to one that waits for the control thread: the answer to that answers both.
    IgmpRepeated = "igmp_repeated" => None;
    /// An IGMP query that strict checking ignores: without Router Alert, or of all groups and sent to some other one.
    IgmpQueryStrict = "igmp_query_strict" => None;
    /// An MLD message cut short, or of a length that no version has.
    MldTruncated = "mld_truncated" => Some("Icmp6InErrors");
    /// The MLD checksum is wrong.
    MldChecksum = "mld_checksum" => Some("Icmp6InCsumErrors");
    /// An MLD message that does not come from this link: its source is not link-local, its hop limit is not 1, or it has no
    /// Router Alert.
    MldNotOfLink = "mld_not_of_link" => None;
    /// An MLD query with an impossible group or source list.
    MldQueryInvalid = "mld_query_invalid" => None;
    /// An MLD message that says nothing to this host: what other hosts say.
    MldUnwanted = "mld_unwanted" => None;
    /// An MLD message that asks for what is going to be answered anyway.
    MldRepeated = "mld_repeated" => None;
    /// The echo service does not answer this source port: a reflector, or 0.
    EchoReflectorPort = "echo_reflector_port" => None;
    /// The echo service is configured not to answer group or broadcast datagrams.
    EchoGroupOff = "echo_group_off" => None;
    /// The echo service's cap on answers to groups was reached.
    EchoGroupRate = "echo_group_rate" => None;
    /// The echo service's cap on answers to one source was reached.
    EchoSourceRate = "echo_source_rate" => None;
    /// The relay service sends nothing back to where it came from, and no packet of its own on.
    RelayLoop = "relay_loop" => None;
    /// An answer is longer than the way to its receiver carries, and was not to be fragmented.
    ReplyTooBig = "reply_too_big" => None;
    /// A service asked for an answer that cannot be sent: to port 0, or larger than the link.
    ReplyImpossible = "reply_impossible" => None;
    /// No route leads to where a packet of ours was to go.
    NoRoute = "no_route" => Some("IpOutNoRoutes");
    /// The neighbour that a packet of ours was to go to did not answer.
    NeighborUnreachable = "neighbor_unreachable" => None;
    /// A packet of ours made room for a later one, while the neighbour that both go to was being asked for.
    NeighborQueueFull = "neighbor_queue_full" => None;
    /// So many neighbours were being asked for that the one a packet of ours was to go to could not be.
    NeighborTableFull = "neighbor_table_full" => None;
    /// The queue to the control thread was full.
    PuntQueueFull = "punt_queue_full" => None;
    /// The queue to the worker on which a datagram's service lives was full.
    HandOverQueueFull = "hand_over_queue_full" => Some("UdpRcvbufErrors");
    /// The queue to the worker that has the packet's flow was full: the device has fewer queues than workers (RPS).
    RpsQueueFull = "rps_queue_full" => None;
    /// The receive queue of a thread's socket is full: its program does not keep up, or its `SO_RCVBUF` is too small.
    SocketQueueFull = "socket_queue_full" => Some("UdpRcvbufErrors");
    /// There is no packet left in which a thread's socket could have it: the keys `packets_256` and so on of `[sockets]`.
    SocketNoPacket = "socket_no_packet" => Some("UdpRcvbufErrors");
    /// The queue to the worker that sends for control was full.
    InboxFull = "inbox_full" => None;
    /// No buffer was free: for an answer, for a service's own copy, for a report or request of our own, or for what fragments or segments make up.
    NoBuffer = "no_buffer" => None;
    /// The worker was stopping.
    Stopping = "stopping" => None;
}

impl DropReason {
    /// As an index into a table of counters.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_name_of_its_own_and_a_sentence() {
        let mut names: Vec<_> = DropReason::ALL.iter().map(|r| r.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DropReason::COUNT);
        assert!(DropReason::ALL.iter().all(|r| r.describe().ends_with('.')));
        assert!(DropReason::ALL.iter().enumerate().all(|(i, r)| r.index() == i));
    }
}
