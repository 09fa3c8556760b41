//! igmp
