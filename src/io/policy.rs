//! What a host may choose where its RFCs leave it the choice: written in a configuration, followed by the stack.

/// The choices of one interface. The default is what each conformance row recommends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// I11, RFC 6890: whether sources in 0/8 and 240/4 are accepted, as Linux does.
    pub accept_reserved_sources: bool,
    /// E15, RFC 1122 3.3.6: whether a packet for one host is accepted in a frame for many, as Linux does.
    pub accept_unicast_in_group_frames: bool,
    /// C10, RFC 1122 3.2.2.8: whether ICMP timestamp requests are answered.
    pub icmp_timestamp: bool,
    /// C08, RFC 1122 3.2.2.6: whether ICMP echo requests to a group or broadcast address are answered.
    pub icmp_echo_group: bool,
    /// K05, RFC 4443 4.2: whether ICMPv6 echo requests to a group are answered, as Linux does.
    pub icmp6_echo_group: bool,
    /// N15, RFC 4861 8.3: whether a router may name a better first hop.
    pub accept_redirects6: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            accept_reserved_sources: false,
            accept_unicast_in_group_frames: false,
            icmp_timestamp: true,
            icmp_echo_group: false,
            icmp6_echo_group: true,
            accept_redirects6: true,
        }
    }
}
