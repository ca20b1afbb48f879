//! Ways to cut an input into the pieces in which a network might deliver it.

/// Sizes of pieces, one after the other without end.
#[derive(Debug, Clone)]
pub(crate) enum Cuts {
    /// All pieces have this size.
    Even(usize),
    /// Sizes by chance, the same for the same seed (xorshift).
    Chance(u64),
}

impl Cuts {
    /// Ways that depend on nothing but the input, so that seeds need not carry them.
    pub(crate) fn of(input: &[u8]) -> [Cuts; 3] {
        // FNV-1a.
        let fold = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        let hash = input.iter().fold(0xcbf2_9ce4_8422_2325, fold);
        [Cuts::Even(1), Cuts::Chance(hash | 1), Cuts::Chance(hash.rotate_left(32) | 1)]
    }

    /// The size of the next piece; at least 1.
    pub(crate) fn next_size(&mut self) -> usize {
        match self {
            Cuts::Even(size) => *size,
            Cuts::Chance(state) => {
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                // Mostly small, now and then large.
                let most = if *state & 7 == 0 { 4096 } else { 24 };
                1 + (*state >> 16) as usize % most
            }
        }
    }
}
