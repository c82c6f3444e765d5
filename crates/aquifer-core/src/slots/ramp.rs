//! How many connections are opened at once.

/// Never more than this: a server that has just come back must let all its other clients in, too.
pub const OPENINGS_MAX: usize = 8;

/// One at first; one more with each that was opened while callers still wait for others; one again
/// after a failure, or when nobody waits.
///
/// So a burst that is over before the first connection is open costs one, a server that refuses is
/// asked by one, and a pool that has lost all its connections is whole again after few rounds.
#[derive(Clone, Copy, Debug)]
pub struct Ramp {
    width: usize,
}

impl Ramp {
    /// One.
    #[must_use]
    pub fn new() -> Self {
        Self { width: 1 }
    }

    /// How many may be opened at once.
    #[must_use]
    pub fn width(self) -> usize {
        self.width
    }

    /// One was opened; whether `more` are wanted than are being opened.
    pub fn succeeded(&mut self, more: bool) {
        self.width = if more {
            (self.width + 1).min(OPENINGS_MAX)
        } else {
            1
        };
    }

    /// One could not be opened.
    pub fn failed(&mut self) {
        self.width = 1;
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

    #[test]
    fn it_doubles_with_each_round_up_to_its_limit() {
        let mut ramp = Ramp::new();
        let mut rounds = Vec::new();
        for _ in 0..5 {
            rounds.push(ramp.width());
            for _ in 0..ramp.width() {
                ramp.succeeded(true);
            }
        }
        assert_eq!(rounds, [1, 2, 4, 8, 8]);
    }

    #[test]
    fn a_failure_or_the_end_of_the_queue_ends_it() {
        let mut ramp = Ramp::new();
        ramp.succeeded(true);
        ramp.failed();
        assert_eq!(ramp.width(), 1);
        ramp.succeeded(true);
        ramp.succeeded(false);
        assert_eq!(ramp.width(), 1);
    }
}
