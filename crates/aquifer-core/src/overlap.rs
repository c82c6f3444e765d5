//! How many groups of requests may be under way on one connection at once.
//!
//! Requests of several callers travel in groups, and a group costs the same work whether it is large
//! or small: one group at a time makes the largest ones, and is best where the server is near. Where
//! it is far it does nothing while a group travels, and smaller groups, one behind the other, keep
//! it busy and come back sooner.
//!
//! So the number follows from what is measured: how long the way there and back is (the shortest
//! time in which a group was answered), and how much longer groups take at present, because the
//! server works on them or has others before them. As many groups go as fit on the way. A server that
//! is behind gets fewer and larger ones, and each of them costs less. Only where a group takes so long
//! that its own cost is nothing beside it, two go in any case, so that the server has work at all times.
//!
//! ```
//! use std::time::Duration;
//!
//! use aquifer_core::overlap::Overlap;
//!
//! let mut overlap = Overlap::default();
//! assert_eq!(overlap.groups_max(), 1, "nobody knows the way yet");
//! for _ in 0..100 {
//!     overlap.answered(Duration::from_millis(2));
//! }
//! assert!(overlap.groups_max() > 1, "the server waits most of the time");
//! ```

use std::time::Duration;

/// A way that is shorter than this is one to a near server, where larger groups are worth more than
/// the time on the way.
const FAR: Duration = Duration::from_micros(300);

/// Most groups at once: with more of them each saves little, and costs as much as the first.
const GROUPS_MAX: u32 = 8;

/// A group that takes longer than this beyond the way, since its rows are many, costs next to nothing
/// for being a group: a second one keeps the server busy while the answers of the first are read.
const LONG: Duration = Duration::from_millis(2);

/// Fewer answers than this say too little about the way.
const ANSWERS_MIN: u32 = 16;

/// A new answer counts for one part in so many.
const WEIGHT: u32 = 8;

/// The time on the way, and what comes on top of it, of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overlap {
    answers: u32,
    /// The shortest there was. It does not rise again as long as the connection lasts: where the way
    /// becomes longer, groups go one at a time, as they would without any of this.
    way: Option<Duration>,
    /// By how much an answer takes longer than that, lately.
    delay: Duration,
}

impl Overlap {
    /// A group was answered so long after it was sent.
    pub fn answered(&mut self, elapsed: Duration) {
        let way = self.way.map_or(elapsed, |way| way.min(elapsed));
        self.answers = self.answers.saturating_add(1);
        self.way = Some(way);
        self.delay = (self.delay * (WEIGHT - 1) + (elapsed - way)) / WEIGHT;
    }

    /// The time on the way; `None` while nobody knows it.
    #[must_use]
    pub fn way(&self) -> Option<Duration> {
        self.way
    }

    /// How many groups may be under way at once: at least one.
    #[must_use]
    pub fn groups_max(&self) -> usize {
        let Some(way) = self.way.filter(|_way| self.answers >= ANSWERS_MIN) else {
            return 1;
        };
        let least = if self.delay >= LONG { 2 } else { 1 };
        let most = if way >= FAR { GROUPS_MAX } else { least };
        let on_the_way = |groups: &u32| self.delay.saturating_mul(*groups) <= way;
        let groups = (least..=most).rev().find(on_the_way);
        groups.unwrap_or(least) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    /// After many answers that took so long in turns.
    fn after(turns: &[u64]) -> Overlap {
        let mut overlap = Overlap::default();
        for elapsed in turns.iter().cycle().take(200) {
            overlap.answered(micros(*elapsed));
        }
        overlap
    }

    #[test]
    fn groups_to_a_near_server_go_one_at_a_time() {
        assert_eq!(after(&[40]).groups_max(), 1);
        assert_eq!(after(&[40, 150, 150, 150]).groups_max(), 1);
        assert_eq!(after(&[299]).groups_max(), 1);
    }

    #[test]
    fn a_second_group_goes_behind_one_that_takes_long() {
        assert_eq!(after(&[40, 1_900, 1_900, 1_900]).groups_max(), 1);
        assert_eq!(after(&[40, 2_900, 2_900, 2_900]).groups_max(), 2);
        let mut overlap = Overlap::default();
        for answers in 1..ANSWERS_MIN {
            overlap.answered(micros(40 + 3_000 * u64::from(answers)));
            assert_eq!(overlap.groups_max(), 1, "after {answers}");
        }
    }

    #[test]
    fn as_many_go_to_a_far_server_as_fit_on_the_way() {
        assert_eq!(after(&[2_000]).groups_max(), GROUPS_MAX as usize);
        assert_eq!(after(&[2_000, 2_400]).groups_max(), GROUPS_MAX as usize);
        for (longer, groups) in [
            (250, 8),
            (500, 4),
            (600, 3),
            (900, 2),
            (1_100, 1),
            (9_000, 2),
        ] {
            let mut overlap = after(&[2_000]);
            for _ in 0..200 {
                overlap.answered(micros(2_000 + longer));
            }
            assert_eq!(overlap.groups_max(), groups, "{longer} µs longer");
        }
    }

    #[test]
    fn a_server_that_falls_behind_gets_larger_groups_and_catches_up() {
        let mut overlap = after(&[2_000]);
        let until = |overlap: &mut Overlap, elapsed, groups| {
            (1..1_000).find(|_| {
                overlap.answered(micros(elapsed));
                overlap.groups_max() == groups
            })
        };
        assert!(until(&mut overlap, 20_000, 2).is_some_and(|answers| answers <= 2));
        assert!(until(&mut overlap, 2_000, 8).is_some_and(|answers| answers <= 40));
    }

    #[test]
    fn the_first_answers_and_one_that_was_late_decide_nothing() {
        let mut overlap = Overlap::default();
        for answers in 1..ANSWERS_MIN {
            overlap.answered(micros(2_000));
            assert_eq!(overlap.groups_max(), 1, "after {answers}");
        }
        overlap.answered(micros(2_000));
        assert_eq!(overlap.groups_max(), GROUPS_MAX as usize);
        overlap.answered(micros(4_000));
        assert_eq!(overlap.groups_max(), GROUPS_MAX as usize);
        assert_eq!(overlap.way(), Some(micros(2_000)));
    }

    #[test]
    fn one_quick_answer_shows_how_near_the_server_is() {
        let mut overlap = after(&[2_000]);
        overlap.answered(micros(40));
        assert_eq!(overlap.groups_max(), 1);
    }

    #[test]
    fn no_time_is_too_long_for_it() {
        let mut overlap = after(&[2_000]);
        for elapsed in [
            Duration::from_secs(1 << 30),
            Duration::MAX / 16,
            Duration::ZERO,
        ] {
            overlap.answered(elapsed);
            assert!((1..=2).contains(&overlap.groups_max()));
        }
    }
}
