//! How long things took, or how large they were: counted in buckets by many threads at once.
//!
//! Below 16 every value has a bucket of its own; above, each power of two is divided into 16 equal
//! buckets, so that what is read back differs from what was recorded by 1/33 at most (about 3 %).
//! A record is three relaxed atomic operations: no lock, no allocation, no order between them, so a
//! snapshot taken meanwhile may hold a value in its count and not yet in its sum.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Each power of two has 2 to the power of so many buckets.
const PRECISION: u32 = 4;
const STEPS: usize = 1 << PRECISION;
/// Values from 2 to this power on share the last bucket: 73 minutes in nanoseconds.
const MAGNITUDE_MAX: u32 = 42;
const BUCKETS: usize = (MAGNITUDE_MAX - PRECISION + 1) as usize * STEPS;

/// Counts values in buckets; 5 KB.
#[derive(Debug)]
pub struct Histogram {
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
    max: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    /// One without values.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
            max: AtomicU64::new(0),
        }
    }

    /// Counts one value; those from 2⁴² on are told apart by sum and maximum only.
    pub fn record(&self, value: u64) {
        if let Some(bucket) = self.buckets.get(index(value)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
        // Read first: nearly always it stands, and reading lets other threads keep their copy.
        if value > self.max.load(Ordering::Relaxed) {
            self.max.fetch_max(value, Ordering::Relaxed);
        }
    }

    /// Counts a duration in nanoseconds.
    pub fn record_duration(&self, duration: Duration) {
        // Not by `as_nanos`, whose 128 bits cost more than all the rest.
        let seconds = duration.as_secs().saturating_mul(1_000_000_000);
        self.record(seconds.saturating_add(u64::from(duration.subsec_nanos())));
    }

    /// What was counted so far.
    #[must_use]
    pub fn snapshot(&self) -> Distribution {
        let mut distribution = Distribution::new();
        self.add_to(&mut distribution);
        distribution
    }

    /// Adds what was counted so far to `distribution`.
    pub fn add_to(&self, distribution: &mut Distribution) {
        for (total, bucket) in distribution.buckets.iter_mut().zip(&self.buckets) {
            let count = bucket.load(Ordering::Relaxed);
            *total += count;
            distribution.count += count;
        }
        let sum = self.sum.load(Ordering::Relaxed);
        distribution.sum = distribution.sum.saturating_add(sum);
        distribution.max = distribution.max.max(self.max.load(Ordering::Relaxed));
    }

    /// Forgets all values; what is recorded meanwhile may be forgotten in part.
    pub fn reset(&self) {
        for bucket in &self.buckets {
            bucket.store(0, Ordering::Relaxed);
        }
        self.sum.store(0, Ordering::Relaxed);
        self.max.store(0, Ordering::Relaxed);
    }
}

/// What a [`Histogram`] held at one moment, or several of them together.
#[derive(Clone, Debug)]
pub struct Distribution {
    buckets: Box<[u64]>,
    count: u64,
    sum: u64,
    max: u64,
}

impl Default for Distribution {
    fn default() -> Self {
        Self::new()
    }
}

impl Distribution {
    /// One without values.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buckets: vec![0; BUCKETS].into(),
            count: 0,
            sum: 0,
            max: 0,
        }
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All values together.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The greatest value, exactly; 0 without values.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The mean, exactly; 0 without values.
    #[must_use]
    pub fn average(&self) -> u64 {
        self.sum.checked_div(self.count).unwrap_or(0)
    }

    /// The value that a share of all values, from 0 to 1, does not exceed, within 1/33; 0 without
    /// values.
    #[must_use]
    pub fn quantile(&self, share: f64) -> u64 {
        let rank = rank(share, self.count);
        let mut counted = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            counted += count;
            if counted >= rank && counted > 0 {
                return match index == BUCKETS - 1 {
                    true => self.max,
                    false => middle(index).min(self.max),
                };
            }
        }
        0
    }

    /// How many values are at most `limit`, taking each for the middle of its bucket.
    #[must_use]
    pub fn count_up_to(&self, limit: u64) -> u64 {
        let within = |(index, _): &(usize, &u64)| middle(*index) <= limit;
        let buckets = self.buckets.iter().enumerate();
        buckets.take_while(within).map(|(_, count)| count).sum()
    }

    /// What came since an earlier state: the middle of each bucket that grew, and by how many values.
    ///
    /// A bucket that shrank was reset meanwhile, and has come anew.
    pub fn since(&self, earlier: &Self) -> impl Iterator<Item = (u64, u64)> {
        let buckets = self.buckets.iter().zip(&earlier.buckets).enumerate();
        let grown = buckets.map(|(index, (now, before))| {
            (middle(index), now.checked_sub(*before).unwrap_or(*now))
        });
        grown.filter(|(_, count)| *count > 0)
    }

    /// Adds the values of another.
    pub fn merge(&mut self, other: &Self) {
        for (total, count) in self.buckets.iter_mut().zip(&other.buckets) {
            *total += count;
        }
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }
}

/// The bucket of a value.
#[expect(
    clippy::cast_possible_truncation,
    reason = "masked to less than 16 before the cast"
)]
fn index(value: u64) -> usize {
    let magnitude = value.checked_ilog2().unwrap_or(0);
    if magnitude >= MAGNITUDE_MAX {
        return BUCKETS - 1;
    }
    let shift = magnitude.saturating_sub(PRECISION);
    let step = ((value >> shift) & (STEPS as u64 - 1)) as usize;
    let octave = (magnitude + 1).saturating_sub(PRECISION) as usize;
    octave * STEPS + step
}

/// What stands for the values of a bucket: the harmonic mean of its ends, which is off by the same
/// share at both.
fn middle(index: usize) -> u64 {
    let (octave, step) = (index / STEPS, (index % STEPS) as u64);
    let Some(shift) = octave.checked_sub(1) else {
        return step;
    };
    let least = (STEPS as u64 + step) << shift;
    let most = least + (1 << shift) - 1;
    // Both are below 2⁴³, so their product needs more than 64 bits.
    let middle = 2 * u128::from(least) * u128::from(most) / u128::from(least + most);
    u64::try_from(middle).unwrap_or(most)
}

/// The how-manieth of `count` sorted values a share asks for, from 1.
fn rank(share: f64, count: u64) -> u64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count lies between 0 and the count; beyond 2⁵³ one more or less is nothing"
    )]
    let rank = (share.clamp(0.0, 1.0) * count as f64).ceil() as u64;
    rank.clamp(1, count.max(1))
}

#[cfg(test)]
mod tests;
