//! For how long a value is fresh, and for how long it is kept after that.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock;

/// Longest time for which a value is kept in memory, whatever Redis says.
const LOCAL_MAX: Duration = Duration::from_secs(24 * 3_600);

/// So many efforts before a value's time is over it is asked whether to begin with the next one. An
/// earlier beginning is as likely as one in ten million.
const WINDOW: u32 = 16;

/// The times that stand beside a value. They are lengths: no two clocks are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) fresh: Duration,
    /// At least as long. Between the two a value is stale.
    pub(super) kept: Duration,
    /// How long it took to load the value.
    pub(super) effort: Duration,
}

/// When these times are over for this process, and how old the value was when that was reckoned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// From here on it is asked whether to begin with the next value.
    pub(super) early: Instant,
    pub(super) fresh: Instant,
    /// For how long it was over then.
    over_for: Duration,
    pub(super) expires: Instant,
    seen: Instant,
    age: Duration,
    effort: Duration,
}

impl Span {
    /// Of a value that is fresh for so long, and may be used for so long after that.
    pub(super) fn new(fresh: Duration, stale: Duration) -> Self {
        Self {
            fresh,
            kept: fresh.saturating_add(stale),
            effort: Duration::ZERO,
        }
    }

    /// How much is left of the time in which it is fresh, of what is left in all.
    pub(super) fn fresh_left(self, left: Duration) -> Duration {
        left.saturating_sub(self.stale())
    }

    /// For how long it is kept while it is stale.
    pub(super) fn stale(self) -> Duration {
        self.kept.saturating_sub(self.fresh)
    }
}

impl Times {
    /// Of a value that is kept for so long from `now` on; for as long as a new one, if that is unknown.
    pub(super) fn new(span: Span, left: Option<Duration>, now: Instant) -> Self {
        let left = left.unwrap_or(span.kept);
        let fresh = span.fresh_left(left).min(LOCAL_MAX);
        Self {
            early: now + fresh.saturating_sub(span.effort.saturating_mul(WINDOW)),
            fresh: now + fresh,
            over_for: span.stale().saturating_sub(left),
            expires: now + left.min(LOCAL_MAX),
            seen: now,
            age: span.kept.saturating_sub(left),
            effort: span.effort,
        }
    }

    pub(super) fn age(&self, now: Instant) -> Duration {
        self.age + now.saturating_duration_since(self.seen)
    }

    /// For how long it has not been fresh; zero while it is.
    pub(super) fn over_for(&self, now: Instant) -> Duration {
        self.over_for + now.saturating_duration_since(self.fresh)
    }

    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        now < self.fresh
    }

    /// How long before its end a value gives way to the next one, if it is asked for then: drawn anew by
    /// each who asks, so that with more of them, and with more effort, it is renewed earlier, and as a rule
    /// by one.
    ///
    /// XFetch, with β = 1, of A. Vattani, F. Chierichetti, K. Lowenstein: Optimal Probabilistic Cache
    /// Stampede Prevention, VLDB 2015.
    pub(super) fn lead(&self) -> Duration {
        let some = u32::try_from(clock::random() >> 32).unwrap_or(0);
        // From just above 0 to 1, so that its logarithm is finite.
        let chance = (f64::from(some) + 1.0) / (f64::from(u32::MAX) + 1.0);
        self.effort.mul_f64(-chance.ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_value_is_fresh_then_stale_then_gone() {
        let span = Span {
            effort: SECOND / 10,
            ..Span::new(10 * SECOND, 5 * SECOND)
        };
        let now = clock::now();
        let times = Times::new(span, Some(14 * SECOND), now);
        assert_eq!(times.age(now), SECOND);
        assert_eq!(times.age(now + SECOND), 2 * SECOND);
        assert_eq!(times.fresh, now + 9 * SECOND);
        assert!(times.is_fresh(now + 8 * SECOND) && !times.is_fresh(now + 9 * SECOND));
        assert_eq!(times.expires, now + 14 * SECOND);
        assert_eq!(times.early, now + 9 * SECOND - WINDOW * SECOND / 10);

        let over = Times::new(span, Some(3 * SECOND), now);
        assert!(!over.is_fresh(now) && over.early == now && over.expires > now);
        assert_eq!(over.over_for(now + SECOND), 3 * SECOND);
        assert_eq!(times.over_for(now + SECOND), Duration::ZERO);
        assert_eq!(times.over_for(now + 10 * SECOND), SECOND);
        let endless = Times::new(span, None, now);
        assert_eq!(
            (endless.fresh, endless.age(now)),
            (now + 10 * SECOND, Duration::ZERO)
        );
        let long = Times::new(Span::new(Duration::MAX, SECOND), None, now);
        assert_eq!(long.expires, now + LOCAL_MAX);
    }

    #[test]
    fn what_took_longer_to_load_is_loaded_again_earlier() {
        let lead = |effort| {
            let span = Span {
                effort,
                ..Span::new(SECOND, Duration::ZERO)
            };
            let times = Times::new(span, None, clock::now());
            (0..2_000).map(|_| times.lead()).sum::<Duration>() / 2_000
        };
        assert_eq!(lead(Duration::ZERO), Duration::ZERO);
        // The mean of the draws is the effort, give or take 1 in 45.
        let mean = lead(SECOND);
        assert!(
            mean > SECOND * 8 / 10 && mean < SECOND * 12 / 10,
            "{mean:?}"
        );
    }
}
