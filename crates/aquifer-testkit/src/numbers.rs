use std::time::Duration;

/// A small generator of random numbers, so that what was chosen can be chosen again.
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// The numbers of this seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        // Neighbouring seeds begin far apart; zero would stay zero.
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31) | 1)
    }

    /// From 0 up to, and without, `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }

    /// Whether one of so many chances came true.
    pub fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    /// So many milliseconds at least, and less than `most`.
    pub fn milliseconds(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.below(most.saturating_sub(least)))
    }
}
