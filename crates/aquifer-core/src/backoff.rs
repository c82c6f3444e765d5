//! How long to wait before another attempt.

use std::time::Duration;

/// Draws the wait before attempt `attempt + 1`: evenly from zero up to `base` doubled with every
/// attempt after the first, and at most `cap` ("full jitter").
///
/// `attempt` counts the attempts that failed, from 1. `random` is any value of a source that is
/// even over all of `u64`. The wait is always shorter than `cap`, and zero only by chance or if
/// `base` or `cap` is.
///
/// Callers that failed together come back spread over the whole time rather than together, and
/// leave the server time in proportion to how often they failed.
///
/// ```
/// use std::time::Duration;
/// use aquifer_core::backoff::delay;
///
/// let (base, cap) = (Duration::from_millis(10), Duration::from_secs(1));
/// assert_eq!(delay(1, base, cap, u64::MAX / 2 + 1), Duration::from_millis(5));
/// assert_eq!(delay(4, base, cap, u64::MAX / 2 + 1), Duration::from_millis(40));
/// assert_eq!(delay(40, base, cap, u64::MAX / 2 + 1), Duration::from_millis(500));
/// ```
#[must_use]
pub fn delay(attempt: u32, base: Duration, cap: Duration, random: u64) -> Duration {
    let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
    let ceiling = base.saturating_mul(doubled).min(cap);
    // A ceiling of more than 584 years counts as 584 years, so that the product can't overflow.
    let nanoseconds = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
    let drawn = (u128::from(nanoseconds) * u128::from(random)) >> u64::BITS;
    Duration::from_nanos(u64::try_from(drawn).unwrap_or(nanoseconds))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::delay;
    use std::time::Duration;

    const BASE: Duration = Duration::from_millis(10);
    const CAP: Duration = Duration::from_secs(1);

    #[test]
    fn the_ceiling_doubles_until_the_cap() {
        let longest = |attempt| delay(attempt, BASE, CAP, u64::MAX).as_millis() + 1;
        let ceilings: Vec<u128> = (1..=9).map(longest).collect();
        assert_eq!(ceilings, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        assert_eq!(longest(u32::MAX), 1000);
        assert_eq!(longest(0), 10);
    }

    #[test]
    fn chance_spreads_it_evenly_from_zero() {
        let drawn = |share: u64| delay(3, BASE, CAP, (u64::MAX / 4 + 1).saturating_mul(share));
        let quarters: Vec<u128> = (0..4).map(|share| drawn(share).as_millis()).collect();
        assert_eq!(quarters, [0, 10, 20, 30]);
    }

    proptest! {
        #[test]
        fn it_stays_below_the_cap(attempt: u32, base: Duration, cap: Duration, random: u64) {
            let delay = delay(attempt, base, cap, random);
            prop_assert!(delay < cap || cap.is_zero() && delay.is_zero());
        }

        #[test]
        fn a_greater_draw_never_waits_less(attempt in 1..20_u32, one: u64, other: u64) {
            let (less, more) = (one.min(other), one.max(other));
            prop_assert!(delay(attempt, BASE, CAP, less) <= delay(attempt, BASE, CAP, more));
        }
    }
}
