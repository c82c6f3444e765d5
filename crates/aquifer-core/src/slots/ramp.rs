//! How many connections are opened at once.

/// Never more than this: a server that has just come back must let all its other clients in, too.
pub const OPENINGS_MAX: usize = 8;

/// One at first; one more with each that was opened while callers still wait for others; one again
/// after a failure, or when nobody waits.
///
/// So a burst that is over before the first connection is open costs one, a server that refuses is
/// asked by one, and a pool that has lost all its connections is whole again after few rounds.
///
/// Where several at once failed, half as many are the limit from then on, and one more with each
/// round that goes well: a host that is slow to let people in must not be asked so much at a time that
/// all run out of time.
#[derive(Clone, Copy, Debug)]
pub struct Ramp {
    width: usize,
    limit: usize,
    /// Successes since the limit was reached.
    at_limit: usize,
}

impl Ramp {
    /// One.
    #[must_use]
    pub fn new() -> Self {
        Self {
            width: 1,
            limit: OPENINGS_MAX,
            at_limit: 0,
        }
    }

    /// How many may be opened at once.
    #[must_use]
    pub fn width(self) -> usize {
        self.width
    }

    /// One was opened; whether `more` are wanted than are being opened.
    pub fn succeeded(&mut self, more: bool) {
        if !more {
            *self = Self::new();
        } else if self.width < self.limit {
            self.width += 1;
        } else if self.limit < OPENINGS_MAX {
            self.at_limit += 1;
            if self.at_limit >= self.limit {
                self.at_limit = 0;
                self.limit += 1;
                self.width = self.limit;
            }
        }
    }

    /// One could not be opened; told once of those that were under way together.
    pub fn failed(&mut self) {
        if self.width > 1 {
            self.limit = (self.width / 2).max(2);
        }
        self.width = 1;
        self.at_limit = 0;
    }
}

impl Default for Ramp {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many are opened at once in each of these rounds, which all go well.
    fn rounds(ramp: &mut Ramp, count: usize) -> Vec<usize> {
        let round = |_| {
            let width = ramp.width();
            for _ in 0..width {
                ramp.succeeded(true);
            }
            width
        };
        (0..count).map(round).collect()
    }

    #[test]
    fn it_doubles_with_each_round_up_to_its_limit() {
        let mut ramp = Ramp::new();
        assert_eq!(rounds(&mut ramp, 5), [1, 2, 4, 8, 8]);
    }

    #[test]
    fn after_a_failure_it_begins_anew_and_soon_grows_more_slowly() {
        let mut ramp = Ramp::new();
        rounds(&mut ramp, 4);
        ramp.failed();
        assert_eq!(rounds(&mut ramp, 8), [1, 2, 4, 5, 6, 7, 8, 8]);
        ramp.failed();
        assert_eq!(rounds(&mut ramp, 2), [1, 2]);
        ramp.failed();
        assert_eq!(rounds(&mut ramp, 4), [1, 2, 3, 4]);
    }

    #[test]
    fn a_host_that_is_away_for_long_costs_no_more_than_one_that_fails_once() {
        let mut ramp = Ramp::new();
        rounds(&mut ramp, 4);
        for _ in 0..100 {
            ramp.failed();
        }
        assert_eq!(rounds(&mut ramp, 4), [1, 2, 4, 5]);
    }

    #[test]
    fn the_end_of_the_queue_ends_it() {
        let mut ramp = Ramp::new();
        rounds(&mut ramp, 4);
        ramp.failed();
        ramp.succeeded(false);
        assert_eq!(rounds(&mut ramp, 4), [1, 2, 4, 8]);
    }
}
