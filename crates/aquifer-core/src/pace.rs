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
//! - *Fast* → *Slow*, when what it takes on its own is above [`SLOW`], or it exceeded a limit.
//! - *Slow* → *Fast*, when that is below [`FAST`] again, and quick runs have outweighed long ones by a
//!   number that each relapse doubles.
//!
//! What a statement takes is followed with a bias: quick runs count at once, long ones little by
//! little and not for more than they are worth. For a run is never quicker than the statement, but
//! often longer, on a machine that has more to do than it can. A statement that is quick for most of
//! its parameters and long for few is therefore quick.
//!
//! ```
//! use std::time::Duration;
//!
//! use aquifer_core::pace::Pace;
//!
//! let pace = Pace::default();
//! assert!(!pace.may_share(), "nobody knows it yet");
//! assert!(pace.ran_alone(Duration::from_millis(1)).may_share());
//! assert!(!pace.ran_alone(Duration::from_millis(50)).may_share(), "it began slow");
//! ```

use std::time::Duration;

/// What takes longer than this shares no longer.
pub const SLOW: Duration = Duration::from_millis(5);

/// What takes less than this may share again.
pub const FAST: Duration = Duration::from_micros(2_500);

/// For more than this no single run counts.
const LONGEST: Duration = Duration::from_millis(20);

/// By how much quick runs must outweigh long ones before a slow statement shares again, at first.
const QUICK_RUNS: u16 = 8;
/// How many quick runs one long one outweighs.
const LONG_RUN: u16 = 2;
/// How often that number is doubled at most.
const RELAPSES_MAX: u8 = 2;
/// Slow shared runs after which a probe counts as lost.
const PROBE_LOST: u16 = 64;

/// The running time of one statement, and what follows from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    state: State,
    /// How often it became slow.
    relapses: u8,
    /// Slow: by how much quick runs outweigh long ones. Probing: slow shared runs since the probe began.
    count: u16,
    /// What it takes on its own, in microseconds.
    usual: u32,
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
            usual: u32::from_le_bytes([a, b, c, d]),
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
        let [a, b, c, d] = self.usual.to_le_bytes();
        u64::from_le_bytes([state, self.relapses, high, low, a, b, c, d])
    }

    /// Whether others may wait behind it.
    #[must_use]
    pub fn may_share(self) -> bool {
        matches!(self.state, State::Fast | State::Suspect | State::Probing)
    }

    /// Whether others may wait behind it, and there is nothing to find out about it.
    #[must_use]
    #[inline]
    pub fn is_fast(self) -> bool {
        self.state == State::Fast
    }

    /// What it usually takes on its own.
    #[must_use]
    pub fn usual(self) -> Duration {
        Duration::from_micros(self.usual.into())
    }

    /// Whether the time of a run on its own would say something new.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self.state, State::Unknown | State::Probing | State::Slow)
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
        let (elapsed, before) = (micros(elapsed), self.usual);
        let usual = if self.state == State::Unknown {
            elapsed
        } else if elapsed < before {
            before - (before - elapsed) / 2
        } else {
            before + elapsed.min(micros(LONGEST)).saturating_sub(before) / 8
        };
        let next = Self { usual, ..self };
        match self.state {
            State::Slow => next.while_slow(elapsed),
            _ if usual > micros(SLOW) => next.slow(),
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
        let usual = self.usual.max(micros(limit.min(LONGEST)));
        let next = Self { usual, ..self };
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
        let count = if elapsed > micros(SLOW) {
            self.count.saturating_sub(LONG_RUN)
        } else {
            self.count.saturating_add(1)
        };
        let wanted = QUICK_RUNS << self.relapses.saturating_sub(1).min(RELAPSES_MAX);
        let state = if count >= wanted && self.usual <= micros(FAST) {
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
    fn some_long_runs_on_its_own_end_the_sharing_and_one_alone_does_not() {
        let mut pace = fast().ran_alone(LONG);
        assert!(pace.may_share(), "a busy machine may be the reason");
        let more = (1..10).find(|_| {
            pace = pace.ran_alone(LONG);
            !pace.may_share()
        });
        assert_eq!(more, Some(2));
        assert!(pace.usual() > SLOW);
    }

    #[test]
    fn long_runs_among_quick_ones_do_not_end_it() {
        let mut pace = fast();
        for run in 0..1000 {
            pace = pace.ran_alone(if run % 3 == 0 { LONG } else { QUICK });
            assert!(pace.may_share(), "after {run} runs");
        }
    }

    #[test]
    fn quick_runs_bring_it_back_and_relapses_take_longer() {
        let mut pace = Pace::default().ran_alone(LONG);
        let mut needed = Vec::new();
        for _ in 0..5 {
            let runs = quick_runs_until_shared(pace);
            needed.push(runs);
            for _ in 0..runs {
                pace = pace.ran_alone(QUICK);
            }
            for _ in 0..4 {
                pace = pace.ran_alone(LONG);
            }
        }
        assert_eq!(needed, [8, 16, 32, 32, 32]);
    }

    #[test]
    fn it_comes_back_although_a_busy_machine_makes_some_runs_long() {
        let mut pace = Pace::default().ran_alone(LONG);
        let back = (0..1000).find(|run| {
            pace = pace.ran_alone(if run % 5 == 0 { LONG } else { QUICK });
            pace.may_share()
        });
        assert!(back.is_some_and(|runs| runs < 40), "{back:?}");
        let mut pace = Pace::default().ran_alone(LONG);
        for run in 0..1000 {
            pace = pace.ran_alone(if run % 2 == 0 { LONG } else { QUICK });
            assert!(!pace.may_share(), "half of the runs are long");
        }
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
        assert!(probing.is_open() && !suspect.is_open());
        assert!(!probing.ran_alone(QUICK).is_open());
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
            Pace::default().ran_alone(LONG).ran_alone(QUICK),
            fast().exceeded(Duration::from_secs(10_000)),
        ];
        for pace in paces {
            assert_eq!(Pace::unpack(pace.pack()), pace);
            assert_eq!(Pace::unpack(pace.pack() | 0b1111_1000), pace);
            assert_eq!(pace.pack() & 0b1111_1000, 0);
        }
    }
}
