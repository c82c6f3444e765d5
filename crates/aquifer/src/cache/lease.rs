use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock;

/// Until when values in memory may be used without another sign that announcements come. A process that
/// was paused, or whose link is silent, stops by itself, whoever notices first.
#[derive(Debug)]
pub(super) struct Lease {
    begun: Instant,
    /// In nanoseconds since then.
    until: AtomicU64,
}

impl Lease {
    /// For stamps in this process: nothing can get lost.
    pub(super) fn endless() -> Self {
        Self {
            begun: clock::now(),
            until: AtomicU64::new(u64::MAX),
        }
    }

    /// Over, until it is extended.
    pub(super) fn over() -> Self {
        Self {
            until: AtomicU64::new(0),
            ..Self::endless()
        }
    }

    /// Announcements of all that had changed at `asked` have come.
    pub(super) fn extend(&self, asked: Instant, time: Duration) {
        let until = self.since(asked + time);
        self.until.fetch_max(until, Ordering::AcqRel);
    }

    #[inline]
    pub(super) fn holds(&self, now: Instant) -> bool {
        self.since(now) < self.until.load(Ordering::Acquire)
    }

    /// How long ago it was extended last by so much; none if it was not, or has no end.
    pub(super) fn extended_ago(&self, now: Instant, time: Duration) -> Option<Duration> {
        let until = self.until.load(Ordering::Acquire);
        let asked = Duration::from_nanos(until).checked_sub(time)?;
        Duration::from_nanos(self.since(now)).checked_sub(asked)
    }

    /// Whether it holds, and was extended by all of its time at most so long ago.
    pub(super) fn holds_within(&self, now: Instant, ago: Option<Duration>, time: Duration) -> bool {
        let used = ago.map_or(Duration::ZERO, |ago| time.saturating_sub(ago));
        self.holds(now + used)
    }

    /// For how long it has not held; zero while it does.
    pub(super) fn over_for(&self, now: Instant) -> Duration {
        let until = Duration::from_nanos(self.until.load(Ordering::Acquire));
        Duration::from_nanos(self.since(now)).saturating_sub(until)
    }

    fn since(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.begun);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX - 1)
    }
}
