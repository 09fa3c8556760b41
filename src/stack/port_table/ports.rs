//! What is known of each UDP port: how many sockets it has, and of which kinds.

use super::SocketId;
use super::place::{Kind, Kinds};
use super::slot::NONE;
use crate::io::InterfaceId;

const PAGE: usize = 64;
const PAGES: usize = (1 << 16) / PAGE;

/// What a look-up asks of a port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Port {
    /// Which kinds of sockets there are.
    pub(super) kinds: Kinds,
    /// How many sockets each IP version reaches.
    pub(super) reached: [u32; 2],
    /// Their ids, exclusively or'd: of one alone, its id.
    ids: [SocketId; 2],
    /// Of one alone that hears whoever sends to any address, its id; else [`NONE`].
    open: [SocketId; 2],
    /// The interfaces of all, exclusively or'd, 0 of those on every one.
    interfaces: [u16; 2],
    /// On which interface the open one is; [`EVERY`].
    open_on: [u16; 2],
}

/// On every interface.
const EVERY: u16 = u16::MAX;

impl Default for Port {
    fn default() -> Self {
        Self {
            kinds: Kinds::default(),
            reached: [0; 2],
            ids: [0; 2],
            open: [NONE; 2],
            interfaces: [0; 2],
            open_on: [EVERY; 2],
        }
    }
}

impl Port {
    /// The only socket that an IP version reaches, if there is just one.
    #[inline(always)]
    pub(super) fn only(&self, version: usize) -> Option<SocketId> {
        (self.reached.get(version) == Some(&1)).then(|| self.ids.get(version).copied())?
    }

    /// Looks again who hears everyone.
    fn open(&mut self, account: &Account) {
        for version in 0..2 {
            let of_version = |(kind, _): &&(Kind, u32)| kind.versions().get(version) == Some(&true);
            let kind = account.of_kind.iter().find(of_version).map(|(kind, _)| *kind);
            let alone = self.only(version).filter(|_| kind.is_some_and(Kind::is_open_to_all));
            let on = kind.filter(|kind| kind.is_on_one()).and_then(|_| self.interfaces.get(version)).copied();
            // Whoever is on the interface of that number is asked for by its place.
            self.open[version] = alone.filter(|_| on != Some(EVERY)).unwrap_or(NONE);
            self.open_on[version] = on.unwrap_or(EVERY);
        }
    }
}

/// What only changes need.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    /// How many sockets there are of each kind.
    of_kind: Vec<(Kind, u32)>,
    /// The most of those bound to any address that one datagram was ever for, of each IP version, while the port had more than
    /// one socket.
    pub(super) any_max: [u32; 2],
    /// The same of those bound to one group.
    pub(super) group_max: [u32; 2],
    /// Whether a datagram may be for several.
    pub(super) is_crowded: bool,
    /// Sockets that are bound to a group and connected.
    pub(super) connected_to_group: u32,
}

impl Account {
    /// How many sockets there are of `kind`.
    pub(super) fn count(&self, kind: Kind) -> u32 {
        self.of_kind.iter().find(|(of, _)| *of == kind).map_or(0, |(_, count)| *count)
    }

    /// The most sockets that one datagram can be for.
    pub(super) fn audience_max(&self) -> usize {
        let of = |(any, group): (&u32, &u32)| *any as usize + *group as usize;
        self.any_max.iter().zip(&self.group_max).map(of).max().unwrap_or(0).max(1)
    }
}

#[derive(Clone, Debug)]
struct Page {
    ports: [Port; PAGE],
    accounts: [Account; PAGE],
}

/// Every UDP port, in pages that are made when they are needed.
#[derive(Clone, Debug)]
pub(super) struct Ports {
    pages: Box<[Option<Box<Page>>]>,
}

impl Ports {
    pub(super) fn new() -> Self {
        Self { pages: vec![None; PAGES].into() }
    }

    #[inline(always)]
    pub(super) fn get(&self, udp_port: u16) -> Option<&Port> {
        let udp_port = usize::from(udp_port);
        self.pages.get(udp_port / PAGE)?.as_ref()?.ports.get(udp_port % PAGE)
    }

    /// See [`PortTable::open_to_all`](super::PortTable::open_to_all).
    #[inline(always)]
    pub(super) fn open_to_all(&self, udp_port: u16, interface: InterfaceId, version: usize) -> SocketId {
        let Some(port) = self.get(udp_port) else { return NONE };
        let (Some(open), Some(on)) = (port.open.get(version), port.open_on.get(version)) else { return NONE };
        // Both are looked at, whatever the first says: what the next packet's port has is not to be guessed at.
        if (*on == EVERY) | (*on == interface.0) { *open } else { NONE }
    }

    pub(super) fn account(&mut self, udp_port: u16) -> Option<&mut Account> {
        self.get_mut(udp_port).map(|(_, account)| account)
    }

    fn get_mut(&mut self, udp_port: u16) -> Option<(&mut Port, &mut Account)> {
        let udp_port = usize::from(udp_port);
        let page = self.pages.get_mut(udp_port / PAGE)?;
        let page = page.get_or_insert_with(|| {
            Box::new(Page {
                ports: [Port::default(); PAGE],
                accounts: core::array::from_fn(|_| Account::default()),
            })
        });
        Some((page.ports.get_mut(udp_port % PAGE)?, page.accounts.get_mut(udp_port % PAGE)?))
    }

    /// A socket of `kind` came to the port.
    pub(super) fn add(&mut self, udp_port: u16, id: SocketId, kind: Kind, interface: u16) {
        let Some((port, account)) = self.get_mut(udp_port) else { return };
        match account.of_kind.iter_mut().find(|(of, _)| *of == kind) {
            Some((_, count)) => *count += 1,
            None => account.of_kind.push((kind, 1)),
        }
        port.kinds.insert(kind);
        for (version, _) in kind.versions().into_iter().enumerate().filter(|(_, is)| *is) {
            port.reached[version] += 1;
            port.ids[version] ^= id;
            port.interfaces[version] ^= interface;
        }
        port.open(account);
    }

    /// One of them left it.
    pub(super) fn remove(&mut self, udp_port: u16, id: SocketId, kind: Kind, interface: u16) {
        let Some((port, account)) = self.get_mut(udp_port) else { return };
        if let Some(at) = account.of_kind.iter().position(|(of, _)| *of == kind) {
            account.of_kind[at].1 -= 1;
            if account.of_kind[at].1 == 0 {
                account.of_kind.swap_remove(at);
                port.kinds.remove(kind);
            }
        }
        for (version, _) in kind.versions().into_iter().enumerate().filter(|(_, is)| *is) {
            port.reached[version] -= 1;
            port.ids[version] ^= id;
            port.interfaces[version] ^= interface;
            if port.reached[version] <= 1 {
                account.any_max[version] = 0;
                account.group_max[version] = 0;
            }
        }
        port.open(account);
    }
}
