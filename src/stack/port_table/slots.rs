//! The sockets by id, in chunks: that there are more and more of them never moves those that are there.

use super::SocketId;
use super::slot::Slot;

const CHUNK: usize = 1 << CHUNK_BITS;
const CHUNK_BITS: u32 = 9;

/// The sockets by id.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    chunks: Vec<Box<[Slot; CHUNK]>>,
}

impl Slots {
    /// How many there is room for without more chunks.
    #[inline(always)]
    pub(super) const fn room(&self) -> usize {
        self.chunks.len() * CHUNK
    }

    /// The socket `id`, or an empty slot; `None`: there never was one.
    #[inline(always)]
    pub(super) fn get(&self, id: SocketId) -> Option<&Slot> {
        self.chunks.get((id >> CHUNK_BITS) as usize)?.get(id as usize % CHUNK)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: SocketId) -> Option<&mut Slot> {
        self.chunks.get_mut((id >> CHUNK_BITS) as usize)?.get_mut(id as usize % CHUNK)
    }

    /// Changes the slot `id`, if there is one.
    #[inline]
    pub(super) fn change(&mut self, id: SocketId, change: impl FnOnce(&mut Slot)) {
        if let Some(slot) = self.get_mut(id) {
            change(slot);
        }
    }

    /// The slot `id`, made if there is none yet.
    pub(super) fn get_or_make(&mut self, id: SocketId) -> Option<&mut Slot> {
        while self.chunks.len() <= (id >> CHUNK_BITS) as usize {
            let chunk: Box<[Slot]> = vec![Slot::EMPTY; CHUNK].into();
            self.chunks.push(chunk.try_into().ok()?);
        }
        self.get_mut(id)
    }

    /// Every socket, by id.
    pub(super) fn used(&self) -> impl Iterator<Item = (SocketId, &Slot)> {
        let slots = self.chunks.iter().flat_map(|chunk| chunk.iter());
        (0..).zip(slots).filter(|(_, slot)| slot.is_used())
    }
}
