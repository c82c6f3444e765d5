//! How fast a statement runs, and whether it may run where others wait behind it.
//!
//! Reads of several callers share a connection, on which answers come in order: one slow statement
//! delays all that stand behind it. So a statement shares only after it has been seen to be fast,
//! alone. What is learned is one word, [`Pace::pack`], that its owner keeps with the statement.
//!
//! - *Unknown* → *Fast* or *Slow*, by the first run on its own.
//! - *Fast* → *Suspect*, when a shared run took long: whether by this statement, a neighbour or a
//!   busy machine can't be told there.
//! - *Suspect* → *Probing*: one caller, and only one, runs it on its own; all others go on sharing.
//!   So a busy machine, where everything takes long, costs one run and not the sharing.
//! - *Probing* → *Fast* or *Slow*, by that run; → *Suspect* when the probe seems to have got lost.
//! - *Fast* → *Slow*, when its average on its own is above [`SLOW`], or it exceeded a limit.
//! - *Slow* → *Fast*, when its average is below [`FAST`] again and a number of runs in a row were
//!   quick; each relapse doubles that number.
//!
//! ```
//! use std::time::Duration;
//!
//! use aquifer_core::pace::Pace;
//!
//! let pace = Pace::default();
//! assert!(!pace.may_share(), "nobody knows it yet");
//! assert!(pace.ran_alone(Duration::from_millis(1)).may_share());
//! assert!(!pace.ran_alone(Duration::from_millis(50)).may_share());
//! ```

use std::time::Duration;

/// On average slower than this: it shares no longer.
pub const SLOW: Duration = Duration::from_millis(5);

/// On average faster than this: it may share again.
pub const FAST: Duration = Duration::from_micros(2_500);

/// Quick runs in a row before a slow statement shares again, at first.
const QUICK_RUNS: u16 = 8;
/// How often that number is doubled at most.
const RELAPSES_MAX: u8 = 4;
/// Slow shared runs after which a probe counts as lost.
const PROBE_LOST: u16 = 64;

/// The running time of one statement, and what follows from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    state: State,
    /// How often it became slow.
    relapses: u8,
    /// Slow: quick runs in a row. Probing: slow shared runs since the probe began.
    count: u16,
    /// Of the runs on its own, in microseconds.
    average: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Unknown,
    Fast,
    Suspect,
    Probing,
    Slow,
}

impl Pace {
    /// Reads what [`pack`](Self::pack) wrote; 0 is a statement that nobody knows.
    #[must_use]
    pub fn unpack(bits: u64) -> Self {
        let [state, relapses, high, low, a, b, c, d] = bits.to_le_bytes();
        Self {
            state: match state & 0b111 {
                1 => State::Fast,
                2 => State::Suspect,
                3 => State::Probing,
                4 => State::Slow,
                _ => State::Unknown,
            },
            // The upper bits of the first byte are the owner's.
            relapses,
            count: u16::from_le_bytes([high, low]),
            average: u32::from_le_bytes([a, b, c, d]),
        }
    }

    /// All of it in one word, of which the bits 3 to 7 are left to the owner.
    #[must_use]
    pub fn pack(self) -> u64 {
        let state = match self.state {
            State::Unknown => 0,
            State::Fast => 1,
            State::Suspect => 2,
            State::Probing => 3,
            State::Slow => 4,
        };
        let [high, low] = self.count.to_le_bytes();
        let [a, b, c, d] = self.average.to_le_bytes();
        u64::from_le_bytes([state, self.relapses, high, low, a, b, c, d])
    }

    /// Whether others may wait behind it.
    #[must_use]
    pub fn may_share(self) -> bool {
        matches!(self.state, State::Fast | State::Suspect | State::Probing)
    }

    /// The running average of its runs on its own.
    #[must_use]
    pub fn average(self) -> Duration {
        Duration::from_micros(self.average.into())
    }

    /// The pace while one caller runs it on its own to find out; `None` unless that is due. Whoever
    /// stores it first is that caller.
    #[must_use]
    pub fn probe(self) -> Option<Self> {
        (self.state == State::Suspect).then_some(Self {
            state: State::Probing,
            count: 0,
            ..self
        })
    }

    /// It ran with nothing before it that it had to wait for.
    #[must_use]
    pub fn ran_alone(self, elapsed: Duration) -> Self {
        let elapsed = micros(elapsed);
        let average = if self.state == State::Unknown {
            elapsed
        } else {
            // A quarter of the difference; wide enough for the sum.
            let sum = u64::from(self.average) * 3 + u64::from(elapsed);
            u32::try_from(sum / 4).unwrap_or(u32::MAX)
        };
        let next = Self { average, ..self };
        match self.state {
            State::Slow => next.while_slow(elapsed),
            _ if average > micros(SLOW) => next.slow(),
            _ => Self {
                state: State::Fast,
                ..next
            },
        }
    }

    /// It ran together with others, and it took so long until all of them were answered.
    #[must_use]
    pub fn ran_shared(self, elapsed: Duration) -> Self {
        if elapsed <= SLOW {
            return self;
        }
        match self.state {
            State::Fast => Self {
                state: State::Suspect,
                ..self
            },
            State::Probing if self.count < PROBE_LOST => Self {
                count: self.count + 1,
                ..self
            },
            State::Probing => Self {
                state: State::Suspect,
                ..self
            },
            _ => self,
        }
    }

    /// It was not done within `limit`, where others waited.
    #[must_use]
    pub fn exceeded(self, limit: Duration) -> Self {
        let average = self.average.max(micros(limit));
        let next = Self { average, ..self };
        match self.state {
            State::Slow => Self { count: 0, ..next },
            _ => next.slow(),
        }
    }

    fn slow(self) -> Self {
        Self {
            state: State::Slow,
            relapses: self.relapses.saturating_add(1).min(RELAPSES_MAX + 1),
            count: 0,
            ..self
        }
    }

    fn while_slow(self, elapsed: u32) -> Self {
        if elapsed > micros(SLOW) {
            return Self { count: 0, ..self };
        }
        let count = self.count.saturating_add(1);
        let wanted = QUICK_RUNS << self.relapses.saturating_sub(1).min(RELAPSES_MAX);
        let state = if count >= wanted && self.average <= micros(FAST) {
            State::Fast
        } else {
            State::Slow
        };
        Self {
            state,
            count,
            ..self
        }
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_micros(200);
    const LONG: Duration = Duration::from_millis(50);

    fn fast() -> Pace {
        Pace::default().ran_alone(QUICK)
    }

    /// Quick runs on its own until it shares again.
    fn quick_runs_until_shared(mut pace: Pace) -> usize {
        for runs in 1..10_000 {
            pace = pace.ran_alone(QUICK);
            if pace.may_share() {
                return runs;
            }
        }
        panic!("never shared again: {pace:?}");
    }

    #[test]
    fn a_statement_shares_after_its_first_quick_run_and_not_before() {
        assert!(!Pace::default().may_share());
        assert!(fast().may_share());
        assert!(!Pace::default().ran_alone(LONG).may_share());
    }

    #[test]
    fn one_long_run_on_its_own_ends_the_sharing() {
        let slow = fast().ran_alone(LONG);
        assert!(!slow.may_share());
        assert!(slow.average() > SLOW);
    }

    #[test]
    fn a_run_a_little_longer_than_usual_does_not() {
        assert!(fast().ran_alone(SLOW * 2).may_share());
    }

    #[test]
    fn quick_runs_bring_it_back_and_each_relapse_takes_longer() {
        let mut pace = fast().ran_alone(LONG);
        let mut before = 0;
        for _ in 0..4 {
            let runs = quick_runs_until_shared(pace);
            assert!(runs >= before.max(8), "{runs} after {before}");
            before = runs;
            for _ in 0..runs {
                pace = pace.ran_alone(QUICK);
            }
            pace = pace.ran_alone(LONG);
        }
        assert!(before >= 64);
    }

    #[test]
    fn a_long_run_among_quick_ones_starts_the_count_anew() {
        let mut pace = fast().ran_alone(LONG);
        for _ in 0..7 {
            pace = pace.ran_alone(QUICK);
        }
        pace = pace.ran_alone(LONG);
        assert!(quick_runs_until_shared(pace) >= 8);
    }

    #[test]
    fn a_long_shared_run_has_one_caller_probe_while_the_others_go_on() {
        let pace = fast();
        assert_eq!(pace.ran_shared(QUICK), pace);
        assert_eq!(pace.probe(), None);
        let suspect = pace.ran_shared(LONG);
        assert!(suspect.may_share());
        let probing = suspect.probe().expect("a probe is due");
        assert!(probing.may_share());
        assert_eq!(probing.probe(), None, "one caller only");
        assert!(probing.ran_alone(QUICK).may_share());
        assert!(!probing.ran_alone(LONG).may_share());
    }

    #[test]
    fn a_probe_that_got_lost_is_made_again() {
        let mut pace = fast().ran_shared(LONG).probe().expect("a probe is due");
        for _ in 0..=PROBE_LOST {
            assert_eq!(pace.probe(), None);
            pace = pace.ran_shared(LONG);
        }
        assert!(pace.probe().is_some());
    }

    #[test]
    fn whoever_exceeds_a_limit_shares_no_longer() {
        for pace in [Pace::default(), fast(), fast().ran_shared(LONG)] {
            assert!(!pace.exceeded(LONG).may_share());
        }
    }

    #[test]
    fn packing_keeps_everything_and_leaves_the_owners_bits() {
        let paces = [
            Pace::default(),
            fast(),
            fast().ran_shared(LONG),
            fast().ran_shared(LONG).probe().expect("a probe is due"),
            fast().ran_alone(LONG).ran_alone(QUICK),
            fast().exceeded(Duration::from_secs(10_000)),
        ];
        for pace in paces {
            assert_eq!(Pace::unpack(pace.pack()), pace);
            assert_eq!(Pace::unpack(pace.pack() | 0b1111_1000), pace);
            assert_eq!(pace.pack() & 0b1111_1000, 0);
        }
    }
}
