//! What was counted in the last seconds, and what a call usually takes; written by many callers at
//! once, without a lock.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many seconds count, the one that runs included.
const SLOTS: usize = 10;

/// So many answers are entered together: for what second they count is worked out once for all, which
/// is most of what counting costs.
const TOGETHER: u32 = 8;

/// How much of what a call took goes into the usual time: one part of so many.
const WEIGHT: u32 = 8;

/// Calls of the last ten seconds: a ring of seconds, each of which a caller of a later round wipes.
///
/// Aligned so that what every caller writes is on no cache line that others only read.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Window {
    start: Instant,
    /// Answers that are not entered yet; they count as of now.
    answers: AtomicU32,
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
            answers: AtomicU32::new(0),
            slots: Default::default(),
        }
    }

    /// Counts a call that was answered; whether it is the one in so many of which more is learned.
    #[inline]
    pub(super) fn add_answer(&self, now: Instant) -> bool {
        let answers = self.answers.fetch_add(1, Ordering::Relaxed) + 1;
        let is_full = answers.is_multiple_of(TOGETHER);
        if is_full {
            self.enter(now);
        }
        is_full
    }

    #[cold]
    fn enter(&self, now: Instant) {
        let answers = self.answers.swap(0, Ordering::Relaxed);
        if let (Some(slot), lap) = self.at(now) {
            slot.calls.add(lap, answers);
        }
    }

    pub(super) fn add_failure(&self, now: Instant) {
        if let (Some(slot), lap) = self.at(now) {
            slot.calls.add(lap, 1);
            slot.failures.add(lap, 1);
        }
    }

    pub(super) fn add_slow(&self, now: Instant) {
        if let (Some(slot), lap) = self.at(now) {
            slot.calls.add(lap, 1);
            slot.slow.add(lap, 1);
        }
    }

    pub(super) fn counts(&self, now: Instant) -> Counts {
        let (index, lap) = self.place(now);
        let mut counts = Counts {
            calls: u64::from(self.answers.load(Ordering::Relaxed)),
            ..Counts::default()
        };
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
        self.answers.store(0, Ordering::Relaxed);
        for slot in &self.slots {
            for counter in [&slot.calls, &slot.failures, &slot.slow] {
                counter.clear(lap);
            }
        }
    }

    fn at(&self, now: Instant) -> (Option<&Slot>, u32) {
        let (index, lap) = self.place(now);
        (self.slots.get(index), lap)
    }

    /// Which slot a time belongs to, and in which round of them.
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
    /// A caller of an earlier round counts in the later one: callers read the clock before they come
    /// here, and may overtake each other.
    fn add(&self, lap: u32, number: u32) {
        let number = u64::from(number);
        if Self::split(self.0.load(Ordering::Relaxed)).0 == lap {
            self.0.fetch_add(number, Ordering::Relaxed);
            return;
        }
        let added = |value: u64| {
            if Self::split(value).0 < lap {
                Self::join(lap, 0) + number
            } else {
                value + number
            }
        };
        let added = |value| Some(added(value));
        // There is a number for each, so it can't fail.
        let _before = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, added);
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

    /// Takes in what one call took.
    #[cold]
    pub(super) fn learn(&self, elapsed: Duration) {
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
