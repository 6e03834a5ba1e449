//! Numbers that look random, and are the same for the same seed (the generator `SplitMix64`).

/// Where a sequence of numbers is.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// A short text, with characters of all kinds.
    pub fn text(&mut self) -> String {
        const CHARACTERS: [char; 14] =
            ['a', 'Z', '7', ' ', '"', '\\', '/', '\n', '\0', '\u{7f}', 'é', '\u{202e}', '日', '🦀'];
        (0..self.below(8)).map(|_| *self.one_of(&CHARACTERS)).collect()
    }
}
