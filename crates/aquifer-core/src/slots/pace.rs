//! How long somebody who comes now will wait, judged by how fast the queue moved lately.

use std::time::{Duration, Instant};

/// Fewer departures than this say nothing.
const TRUSTED: u32 = 8;

/// After so many the older half is forgotten.
const REMEMBERED: u32 = 64;

/// How many left the queue since it was last empty, and in what time.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Pace {
    since: Instant,
    departures: u32,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            departures: 0,
        }
    }

    /// The queue was empty until now, or the past says nothing about it any more.
    pub(super) fn start(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    /// Somebody was served or refused, or gave up.
    ///
    /// Those who left from behind count too, so that the prediction errs towards letting callers
    /// wait.
    pub(super) fn left(&mut self, now: Instant) {
        self.departures += 1;
        if self.departures >= REMEMBERED {
            let elapsed = now.saturating_duration_since(self.since);
            self.since += elapsed / 2;
            self.departures /= 2;
        }
    }

    /// The wait of somebody with so many before them; `None` while too little is known.
    pub(super) fn predicted(&self, before: usize, now: Instant) -> Option<Duration> {
        if self.departures < TRUSTED {
            return None;
        }
        let each = now.saturating_duration_since(self.since) / self.departures;
        let turns = u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1);
        Some(each.saturating_mul(turns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_the_pace_times_the_place_once_enough_have_left() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for turn in 1..=TRUSTED {
            assert_eq!(pace.predicted(9, start + Duration::from_secs(1)), None);
            pace.left(start + Duration::from_millis(10) * turn);
        }
        let now = start + Duration::from_millis(10) * TRUSTED;
        assert_eq!(pace.predicted(9, now), Some(Duration::from_millis(100)));
        pace.start(now);
        assert_eq!(pace.predicted(9, now), None);
    }

    #[test]
    fn a_new_pace_is_learned_and_departures_in_bursts_are_averaged() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut now = start;
        for _ in 0..1000 {
            now += Duration::from_millis(1);
            pace.left(now);
        }
        for _ in 0..40 {
            now += Duration::from_millis(100);
            for _ in 0..10 {
                pace.left(now);
            }
        }
        let predicted = pace.predicted(0, now).expect("enough is known");
        assert!(
            (8..=12).contains(&predicted.as_millis()),
            "ten in 100 ms are 10 ms each, not {predicted:?}"
        );
    }
}
