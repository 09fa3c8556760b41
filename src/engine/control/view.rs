//! What threads see of the interfaces: published whenever it is something else.

use std::sync::Arc;

use super::Control;
use super::interface::Interface;
use crate::io::Nic;
use crate::stack::net_view::{NetView, ViewInterface};

impl<N: Nic> Control<N> {
    /// Has threads see addresses, routes and MTUs as they are now, if they are others than before.
    pub(super) fn publish_view(&self) {
        let Some(threads) = &self.threads else { return };
        let seen = threads.view.get();
        let is_same = self.interfaces().count() == seen.interfaces.len()
            && self.interfaces().zip(&seen.interfaces).all(|(interface, seen)| is_as_seen(interface, seen));
        if !is_same {
            let interfaces =
                self.interfaces().map(|i| ViewInterface::of(&i.replica, i.name.clone())).collect();
            threads.view.publish(Arc::new(NetView { interfaces }));
        }
    }
}

/// Routes are made anew at every change, and never changed.
fn is_as_seen(interface: &Interface, seen: &ViewInterface) -> bool {
    let replica = &interface.replica;
    Arc::ptr_eq(&replica.v4.routes, &seen.v4)
        && Arc::ptr_eq(&replica.v6.routes, &seen.v6)
        && seen.v4_paths.is_of(&replica.v4.paths)
        && seen.v6_paths.is_of(&replica.v6.paths)
        && (replica.mtu, replica.v4.is_on, replica.v6.is_on) == (seen.mtu, seen.v4_on, seen.v6_on)
}
