//! Which calls are worth a line in the log, and how many lines.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock;

/// Most lines in one second; a database that slows down makes all calls slow at once.
const LINES_MAX: u64 = 10;

#[derive(Debug)]
pub(super) struct SlowLog {
    threshold: Duration,
    begun: Instant,
    /// The second that is being counted, by its number.
    second: AtomicU64,
    lines: AtomicU64,
    suppressed: AtomicU64,
}

impl SlowLog {
    pub(super) fn new(threshold: Duration) -> Self {
        Self {
            threshold,
            begun: clock::now(),
            second: AtomicU64::new(0),
            lines: AtomicU64::new(0),
            suppressed: AtomicU64::new(0),
        }
    }

    pub(super) fn is_slow(&self, elapsed: Duration) -> bool {
        elapsed >= self.threshold
    }

    /// Whether this line may be written, and how many were suppressed since the last one.
    pub(super) fn admit(&self) -> Option<u64> {
        self.admit_at(clock::now() - self.begun)
    }

    fn admit_at(&self, since_begin: Duration) -> Option<u64> {
        let second = since_begin.as_secs();
        // Several threads may begin a second at once; then it has a few lines more.
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.lines.store(0, Ordering::Relaxed);
        }
        if self.lines.fetch_add(1, Ordering::Relaxed) < LINES_MAX {
            return Some(self.suppressed.swap(0, Ordering::Relaxed));
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LINES_MAX, SlowLog};

    #[test]
    fn a_second_has_few_lines_and_the_next_one_says_how_many_are_missing() {
        let log = SlowLog::new(Duration::from_millis(5));
        assert!(log.is_slow(Duration::from_millis(5)) && !log.is_slow(Duration::from_millis(4)));
        for _ in 0..LINES_MAX {
            assert_eq!(log.admit_at(Duration::from_millis(300)), Some(0));
        }
        for _ in 0..7 {
            assert_eq!(log.admit_at(Duration::from_millis(999)), None);
        }
        assert_eq!(log.admit_at(Duration::from_millis(1001)), Some(7));
        assert_eq!(log.admit_at(Duration::from_millis(1002)), Some(0));
    }
}
