//! What was counted in the last seconds, and what a call usually takes; written by many callers at
//! once, without a lock.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many seconds count, the one that runs included.
const SLOTS: usize = 10;

/// Calls in each second from which the usual time is learned: the first of them, then each one of so
/// many.
const LEARNED: u32 = 16;

/// How much of what a call took goes into the usual time: one part of so many.
const WEIGHT: u32 = 8;

/// Calls of the last ten seconds: a ring of seconds, each of which a caller of a later round wipes.
///
/// Aligned so that what every caller writes is on no cache line that others only read.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Window {
    start: Instant,
    slots: [Slot; SLOTS],
}

#[derive(Debug, Default)]
struct Slot {
    calls: Counter,
    failures: Counter,
    slow: Counter,
}

/// What a window holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) calls: u64,
    pub(super) failures: u64,
    pub(super) slow: u64,
}

impl Window {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            start: now,
            slots: Default::default(),
        }
    }

    /// Counts a call; hands back how many there were in this second, this one included.
    #[inline]
    pub(super) fn add_call(&self, now: Instant) -> u32 {
        let (slot, lap) = self.at(now);
        slot.map_or(0, |slot| slot.calls.add(lap))
    }

    pub(super) fn add_failure(&self, now: Instant) {
        if let (Some(slot), lap) = self.at(now) {
            slot.failures.add(lap);
        }
    }

    pub(super) fn add_slow(&self, now: Instant) {
        if let (Some(slot), lap) = self.at(now) {
            slot.slow.add(lap);
        }
    }

    pub(super) fn counts(&self, now: Instant) -> Counts {
        let (index, lap) = self.place(now);
        let mut counts = Counts::default();
        for (other, slot) in self.slots.iter().enumerate() {
            // Those after the current one are of the round before.
            let lap = if other <= index {
                Some(lap)
            } else {
                lap.checked_sub(1)
            };
            let Some(lap) = lap else { continue };
            counts.calls += slot.calls.get(lap);
            counts.failures += slot.failures.get(lap);
            counts.slow += slot.slow.get(lap);
        }
        counts
    }

    /// Forgets all there is.
    pub(super) fn clear(&self, now: Instant) {
        let (_, lap) = self.place(now);
        for slot in &self.slots {
            for counter in [&slot.calls, &slot.failures, &slot.slow] {
                counter.clear(lap);
            }
        }
    }

    #[inline]
    fn at(&self, now: Instant) -> (Option<&Slot>, u32) {
        let (index, lap) = self.place(now);
        (self.slots.get(index), lap)
    }

    /// Which slot a time belongs to, and in which round of them.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a round of ten seconds takes 1,300 years to come again"
    )]
    fn place(&self, now: Instant) -> (usize, u32) {
        let second = now.saturating_duration_since(self.start).as_secs();
        let slots = SLOTS as u64;
        ((second % slots) as usize, (second / slots) as u32)
    }
}

/// A number that counts for one round only: the round in the upper half, the number in the lower.
#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Counter {
    /// Adds one; hands back what it is then. A caller of an earlier round counts in the later one:
    /// callers read the clock before they come here, and may overtake each other.
    #[inline]
    fn add(&self, lap: u32) -> u32 {
        if Self::split(self.0.load(Ordering::Relaxed)).0 == lap {
            return Self::split(self.0.fetch_add(1, Ordering::Relaxed)).1 + 1;
        }
        self.add_first(lap)
    }

    #[cold]
    fn add_first(&self, lap: u32) -> u32 {
        let added = |value: u64| {
            let (of, _) = Self::split(value);
            if of < lap {
                Self::join(lap, 1)
            } else {
                value + 1
            }
        };
        let (Ok(before) | Err(before)) =
            self.0
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |value| {
                    Some(added(value))
                });
        Self::split(added(before)).1
    }

    fn get(&self, lap: u32) -> u64 {
        let (of, count) = Self::split(self.0.load(Ordering::Relaxed));
        if of == lap { u64::from(count) } else { 0 }
    }

    fn clear(&self, lap: u32) {
        self.0.store(Self::join(lap, 0), Ordering::Relaxed);
    }

    fn join(lap: u32, count: u32) -> u64 {
        u64::from(lap) << 32 | u64::from(count)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    fn split(value: u64) -> (u32, u32) {
        ((value >> 32) as u32, value as u32)
    }
}

/// What a call usually takes, in microseconds; 0 while that is unknown. Callers may overwrite what
/// others learned at the same time, which does no harm.
#[derive(Debug, Default)]
pub(super) struct Usual(AtomicU32);

impl Usual {
    pub(super) fn get(&self) -> Option<Duration> {
        let micros = self.0.load(Ordering::Relaxed);
        (micros > 0).then(|| Duration::from_micros(u64::from(micros)))
    }

    /// Takes in what the call of this number in its second took, if that is one that counts.
    #[inline]
    pub(super) fn learn(&self, number: u32, elapsed: Duration) {
        if number <= LEARNED || number.is_multiple_of(LEARNED) {
            self.take_in(elapsed);
        }
    }

    fn take_in(&self, elapsed: Duration) {
        let micros = u32::try_from(elapsed.as_micros())
            .unwrap_or(u32::MAX)
            .max(1);
        let usual = self.0.load(Ordering::Relaxed);
        let next = if usual == 0 {
            micros
        } else {
            usual - usual / WEIGHT + micros / WEIGHT
        };
        self.0.store(next.max(1), Ordering::Relaxed);
    }

    pub(super) fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}
