//! What a configuration chooses among a few words. Here, as the configuration, the services and the stack all name it.

use core::fmt;

/// Where an answer goes: the key `reply` of a service.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum ReplyPath {
    /// Back to the Ethernet address that the request came from: right wherever the way back is the way there, with no
    /// look at neighbours and routes.
    #[default]
    Reflect,
    /// As anything else that is sent: by the routes and neighbours of the interface that the request came in by.
    Route,
}

impl ReplyPath {
    /// Every value, with its name in a configuration.
    pub const NAMES: [(&'static str, Self); 2] = [("reflect", Self::Reflect), ("route", Self::Route)];

    /// Its name in a configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reflect => "reflect",
            Self::Route => "route",
        }
    }
}

impl fmt::Display for ReplyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a socket does about the path MTU: the key `path_mtu_discovery` of a service. As Linux's `IP_MTU_DISCOVER`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum PmtuDiscovery {
    /// DF is set on what fits the path MTU; what does not is sent in fragments. `IP_PMTUDISC_WANT`.
    #[default]
    Want,
    /// DF is set always; what does not fit the path MTU is not sent. `IP_PMTUDISC_DO`.
    Do,
    /// DF is never set; what does not fit the path MTU is sent in fragments. `IP_PMTUDISC_DONT`.
    Dont,
    /// DF is set always, and the path MTU is passed over: what fits the link is sent. `IP_PMTUDISC_PROBE`.
    Probe,
    /// DF is never set, and what is said of the path is not believed: what fits the link is sent, and nothing longer.
    /// `IP_PMTUDISC_INTERFACE`.
    Interface,
    /// DF is never set, and what is said of the path is not believed: what does not fit the link is sent in fragments.
    /// `IP_PMTUDISC_OMIT`.
    Omit,
}

impl PmtuDiscovery {
    /// Every value, with its name in a configuration.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("want", Self::Want),
        ("do", Self::Do),
        ("dont", Self::Dont),
        ("probe", Self::Probe),
        ("interface", Self::Interface),
        ("omit", Self::Omit),
    ];

    /// Its name in a configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Want => "want",
            Self::Do => "do",
            Self::Dont => "dont",
            Self::Probe => "probe",
            Self::Interface => "interface",
            Self::Omit => "omit",
        }
    }

    /// Whether what is sent may have DF.
    #[inline]
    #[must_use]
    pub const fn may_set_df(self) -> bool {
        matches!(self, Self::Want | Self::Do | Self::Probe)
    }

    /// Whether routers' word on the path is believed. Linux: `ip_sk_accept_pmtu`.
    // C16: who never asks a router to say how much a path carries need not believe whoever claims to be one.
    #[must_use]
    pub const fn believes_routers(self) -> bool {
        !matches!(self, Self::Interface | Self::Omit)
    }
}

impl fmt::Display for PmtuDiscovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// When an address of ours is used first: the key `conflict_detection`. RFC 5227 2.1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum ConflictDetection {
    /// At once, and announced; another host's claim is noticed when it is made.
    #[default]
    Announce,
    /// After three probes that nobody answered, which takes seconds; then it is announced.
    Probe,
}

impl ConflictDetection {
    /// Every value, with its name in a configuration.
    pub const NAMES: [(&'static str, Self); 2] = [("announce", Self::Announce), ("probe", Self::Probe)];

    /// Its name in a configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Announce => "announce",
            Self::Probe => "probe",
        }
    }
}

impl fmt::Display for ConflictDetection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_belong_together() {
        assert!(ReplyPath::NAMES.iter().all(|(name, value)| *name == value.name()));
        assert!(ConflictDetection::NAMES.iter().all(|(name, value)| *name == value.name()));
        assert!(PmtuDiscovery::NAMES.iter().all(|(name, value)| *name == value.to_string()));
    }
}
