//! A state that follows what is found, but not at once: so that one bad answer is no outage, and one
//! good one no recovery.
//!
//! ```
//! use aquifer_core::hysteresis::Hysteresis;
//!
//! // Greater is worse: three findings in a row make it worse, two make it better.
//! let mut state = Hysteresis::new(3, 2);
//! state.observe(0);
//! assert_eq!((state.observe(1), state.observe(1)), (None, None));
//! assert_eq!(state.observe(1), Some((0, 1)));
//! assert_eq!(state.observe(0), None);
//! assert_eq!(state.observe(0), Some((1, 0)));
//! ```

/// A settled state, and how many findings in a row speak against it.
#[derive(Clone, Copy, Debug)]
pub struct Hysteresis<S> {
    settled: Option<S>,
    worse: u32,
    better: u32,
    worse_after: u32,
    better_after: u32,
}

impl<S: Copy + Ord> Hysteresis<S> {
    /// Nothing is settled yet; the first finding will be. Each number is at least 1.
    #[must_use]
    pub fn new(worse_after: u32, better_after: u32) -> Self {
        Self {
            settled: None,
            worse: 0,
            better: 0,
            worse_after,
            better_after,
        }
    }

    /// What is settled.
    #[must_use]
    pub fn settled(&self) -> Option<S> {
        self.settled
    }

    /// Takes a finding; says from what to what the state changed, if it did.
    ///
    /// The first one settles the state, which is no change.
    pub fn observe(&mut self, found: S) -> Option<(S, S)> {
        let Some(settled) = self.settled else {
            self.settled = Some(found);
            return None;
        };
        self.worse = if found > settled { self.worse + 1 } else { 0 };
        self.better = if found < settled { self.better + 1 } else { 0 };
        if self.worse < self.worse_after && self.better < self.better_after {
            return None;
        }
        (self.worse, self.better) = (0, 0);
        self.settled = Some(found);
        Some((settled, found))
    }
}

#[cfg(test)]
mod tests {
    use super::Hysteresis;

    /// All sequences of nine findings, against the rule said in another way.
    #[test]
    fn a_state_changes_after_so_many_findings_in_a_row_on_one_side_of_it() {
        const LENGTH: u32 = 9;
        for code in 0..3_u32.pow(LENGTH) {
            let findings: Vec<u32> = (0..LENGTH)
                .map(|place| code / 3_u32.pow(place) % 3)
                .collect();
            let mut state = Hysteresis::new(3, 2);
            let mut since = 0;
            for (place, found) in findings.iter().enumerate() {
                let before = state.settled();
                let changed = state.observe(*found);
                let Some(before) = before else {
                    assert_eq!((changed, state.settled()), (None, Some(*found)));
                    since = place + 1;
                    continue;
                };
                let seen = &findings[since..=place];
                let is_run = |length: usize, speaks: fn(u32, u32) -> bool| {
                    seen.len() >= length
                        && seen[seen.len() - length..]
                            .iter()
                            .all(|found| speaks(*found, before))
                };
                let expected = is_run(3, |found, settled| found > settled)
                    || is_run(2, |found, settled| found < settled);
                assert_eq!(
                    changed,
                    expected.then_some((before, *found)),
                    "{findings:?}"
                );
                if changed.is_some() {
                    since = place + 1;
                }
            }
        }
    }
}
