//! Private copies of datagrams whose buffer others share.

use crate::engine::batch::Batch;
use crate::engine::counters::{Counter, Tally};
use crate::io::{BufPool, DropReason, PacketBuf, Parts, linearise};
use crate::service::Datagram;

/// A copy of the datagram in `buf` that nobody shares. `None`: no buffer was free.
// U13: what one reader does to its copy, no other sees.
pub(in crate::engine) fn private_copy<P: BufPool>(buf: &P::Buf, parts: Parts, pool: &P) -> Option<P::Buf> {
    let (mut copy, _) = if parts.is_in_body() {
        linearise(buf, buf.data().len(), pool)?
    } else {
        // What fills a minimum frame up is no part of the datagram.
        linearise(buf, parts.l4() + usize::from(parts.udp_len()), pool)?
    };
    if let Some(client) = buf.real_client().filter(|_| parts.has_real_client()) {
        // A copy has the room that its pool's buffers have.
        copy.set_real_client(client);
    }
    if !parts.is_in_body() {
        return Some(copy);
    }
    let mut head = copy;
    let body = buf.body()?;
    let mut copy = pool.alloc_large()?;
    if !copy.set_len(body.len()) {
        return None;
    }
    copy.unique()?.copy_from_slice(body);
    head.attach(copy).ok()?;
    Some(head)
}

/// Gives every datagram of `batch` a buffer that can be written to; what none is free for is dropped, for this service.
pub(super) fn make_private<P: BufPool>(batch: &mut Batch<P::Buf>, pool: &P, tally: &mut Tally) {
    batch.retain(|datagram| {
        let (parts, received_at) = (datagram.parts(), datagram.received_at());
        // Nothing is kept before its service was asked.
        let Some(buf) = datagram.buf_mut() else { return true };
        if buf.is_private() {
            return true;
        }
        let copy = private_copy(buf, parts, pool);
        count(copy.is_some(), tally);
        copy.map(|copy| *datagram = Datagram::new(copy, parts, received_at)).is_some()
    });
}

/// Counts a copy that was made, or a handle that is dropped for want of one.
pub(in crate::engine) fn count(made: bool, tally: &mut Tally) {
    if made {
        tally.add(Counter::Allocated, 1);
        tally.add(Counter::Copied, 1);
    } else {
        tally.drop(DropReason::NoBuffer);
    }
}
