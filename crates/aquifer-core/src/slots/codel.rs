//! CoDel for a queue of callers, as `db_connection` has it: a queue that does not empty is shortened.
//!
//! A burst may wait: what counts is the *shortest* wait of an interval. If even that exceeded the
//! target, the queue is a standing one, and everybody in it waits for nothing: from then on those
//! who have waited longer than twice the target are refused, until an interval has a shorter wait.

use std::time::{Duration, Instant};

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct CoDel {
    target: Duration,
    interval: Duration,
    /// The end of the interval that runs.
    end: Instant,
    /// The shortest wait in it so far; `None` while nobody was served.
    shortest: Option<Duration>,
    standing: bool,
}

impl CoDel {
    pub(super) fn new(target: Duration, interval: Duration, now: Instant) -> Self {
        Self {
            target,
            interval,
            end: now + interval,
            shortest: Some(Duration::ZERO),
            standing: false,
        }
    }

    /// Somebody was served at once, or a connection found nobody who waits.
    pub(super) fn idle(&mut self) {
        self.shortest = Some(Duration::ZERO);
    }

    /// Somebody was served after this wait.
    pub(super) fn served(&mut self, waited: Duration) {
        self.shortest = Some(
            self.shortest
                .map_or(waited, |shortest| shortest.min(waited)),
        );
    }

    /// Judges the interval when it is over.
    pub(super) fn advance(&mut self, now: Instant) {
        if now >= self.end {
            self.standing = self.shortest.is_none_or(|shortest| shortest > self.target);
            self.shortest = None;
            self.end = now + self.interval;
        }
    }

    /// Starts anew: what was waited so far says nothing about the load.
    pub(super) fn forgive(&mut self, now: Instant) {
        self.standing = false;
        self.shortest = Some(Duration::ZERO);
        self.end = now + self.interval;
    }

    /// Who has waited longer is refused; `None` while the queue is no standing one.
    pub(super) fn wait_max(&self) -> Option<Duration> {
        self.standing.then_some(self.target * 2)
    }

    /// When the interval ends, and those who wait must be looked at even if nobody is served.
    pub(super) fn end(&self) -> Instant {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl CoDel {
        /// What decides about the next steps, for telling states apart.
        pub(crate) fn shape(&self, now: Instant) -> (bool, bool, Option<bool>) {
            let long = self.shortest.map(|shortest| shortest > self.target);
            (self.standing, now >= self.end, long)
        }
    }

    const TARGET: Duration = Duration::from_millis(50);
    const INTERVAL: Duration = Duration::from_secs(2);

    #[test]
    fn an_interval_with_one_short_wait_refuses_nobody() {
        let start = Instant::now();
        let mut codel = CoDel::new(TARGET, INTERVAL, start);
        codel.advance(start + INTERVAL);
        for waited in [900, 40, 900] {
            codel.served(Duration::from_millis(waited));
        }
        codel.advance(start + 2 * INTERVAL);
        assert_eq!(codel.wait_max(), None);
    }

    #[test]
    fn an_interval_of_long_waits_refuses_and_one_short_wait_ends_it() {
        let start = Instant::now();
        let mut codel = CoDel::new(TARGET, INTERVAL, start);
        codel.advance(start + INTERVAL);
        codel.served(TARGET + Duration::from_millis(1));
        codel.advance(start + 2 * INTERVAL - Duration::from_millis(1));
        assert_eq!(codel.wait_max(), None, "the interval is not over");
        codel.advance(start + 2 * INTERVAL);
        assert_eq!(codel.wait_max(), Some(2 * TARGET));
        codel.served(TARGET);
        codel.advance(start + 3 * INTERVAL);
        assert_eq!(codel.wait_max(), None);
    }

    #[test]
    fn an_interval_in_which_nobody_was_served_is_a_long_wait() {
        let start = Instant::now();
        let mut codel = CoDel::new(TARGET, INTERVAL, start);
        codel.advance(start + INTERVAL);
        assert_eq!(
            codel.wait_max(),
            None,
            "before the first interval all was idle"
        );
        codel.advance(start + 2 * INTERVAL);
        assert!(codel.wait_max().is_some());
        codel.idle();
        codel.advance(start + 3 * INTERVAL);
        assert_eq!(codel.wait_max(), None);
    }
}
