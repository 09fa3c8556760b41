//! Headers as words: whole fields at a place that is known when the code is compiled.

/// The front of a frame, of a length that is known.
pub(super) trait Words {
    /// Eight bytes from `AT` on, as a word loaded from them.
    fn load64<const AT: usize>(&self) -> u64;

    /// The field of two bytes at `AT`, as its value.
    fn load16<const AT: usize>(&self) -> u16;

    /// Four bytes from `AT` on.
    fn load32<const AT: usize>(&self) -> u32;

    /// Stores `bytes` from `AT` on.
    fn store<const AT: usize, const N: usize>(&mut self, bytes: [u8; N]);
}

impl<const LEN: usize> Words for [u8; LEN] {
    #[inline(always)]
    fn load64<const AT: usize>(&self) -> u64 {
        const { assert!(AT + 8 <= LEN) };
        self.get(AT..).and_then(|b| b.first_chunk()).map_or(0, |b| u64::from_le_bytes(*b))
    }

    #[inline(always)]
    fn load16<const AT: usize>(&self) -> u16 {
        const { assert!(AT + 2 <= LEN) };
        self.get(AT..).and_then(|b| b.first_chunk()).map_or(0, |b| u16::from_be_bytes(*b))
    }

    #[inline(always)]
    fn load32<const AT: usize>(&self) -> u32 {
        const { assert!(AT + 4 <= LEN) };
        self.get(AT..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b))
    }

    #[inline(always)]
    fn store<const AT: usize, const N: usize>(&mut self, bytes: [u8; N]) {
        const { assert!(AT + N <= LEN) };
        if let Some(to) = self.get_mut(AT..).and_then(|b| b.first_chunk_mut()) {
            *to = bytes;
        }
    }
}
