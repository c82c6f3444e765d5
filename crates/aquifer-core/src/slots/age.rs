//! What a connection's dates say about it.

use std::time::{Duration, Instant};

use super::Limits;

/// How long one connection may live and how often it is asked; drawn with jitter by whoever opens
/// it, so that connections that were opened together don't end together.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Span {
    /// How long it is used, from its opening.
    pub lifetime: Duration,
    /// How often it is asked for a sign of life while it is idle.
    pub keepalive: Duration,
}

impl Span {
    /// `lifetime_max` less up to a fifth, `keepalive` give or take a tenth, by the random number
    /// `chance`.
    #[must_use]
    pub fn drawn(lifetime_max: Duration, keepalive: Duration, chance: u64) -> Self {
        let share = |bits: u64| f64::from(u32::try_from(bits & 0xffff).unwrap_or(0)) / 65536.0;
        Self {
            lifetime: lifetime_max.mul_f64(1.0 - 0.2 * share(chance)),
            keepalive: keepalive.mul_f64(0.9 + 0.2 * share(chance >> 16)),
        }
    }
}

/// What is known about one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Age {
    /// It ends with this.
    pub(super) expires: Instant,
    /// How often it is asked.
    pub(super) keepalive: Duration,
    /// Since when nobody has used it.
    pub(super) idle_since: Instant,
    /// When it is asked next.
    pub(super) ask_at: Instant,
    /// It answered after the failures that were known then.
    pub(super) generation: u64,
}

impl Age {
    pub(super) fn new(span: Span, generation: u64, now: Instant) -> Self {
        Self {
            expires: now + span.lifetime,
            keepalive: span.keepalive,
            idle_since: now,
            ask_at: now + span.keepalive,
            generation,
        }
    }

    /// It was used until now.
    pub(super) fn used(&mut self, now: Instant) {
        self.idle_since = now;
        self.ask_at = now + self.keepalive;
    }

    pub(super) fn is_expired(&self, now: Instant) -> bool {
        now >= self.expires
    }

    /// When it has been idle for too long.
    pub(super) fn idle_end(&self, limits: &Limits) -> Instant {
        self.idle_since + limits.idle_timeout
    }

    /// Whether it must answer before it is used.
    pub(super) fn is_doubtful(&self, limits: &Limits, generation: u64, now: Instant) -> bool {
        self.generation < generation
            || now.saturating_duration_since(self.idle_since) > limits.check_after
    }
}

/// Whether the end of one connection casts doubt on the others to the same host: `code` is the
/// SQLSTATE that the server gave for it, `None` when it gave none (refused, reset, end of file, no
/// answer).
#[must_use]
pub fn is_of_host(code: Option<&str>) -> bool {
    let Some(code) = code else {
        return true;
    };
    // Not class 53: a server without room or memory for one more session keeps those that it has.
    matches!(code, "57P01" | "57P02" | "57P03")
        || ["58", "F0", "XX"]
            .iter()
            .any(|class| code.starts_with(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_differ_within_their_limits() {
        let lifetime = Duration::from_secs(1800);
        let keepalive = Duration::from_secs(30);
        let mut seen = std::collections::BTreeSet::new();
        for chance in (0..64).map(|bits: u64| bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16) {
            let span = Span::drawn(lifetime, keepalive, chance);
            assert!(span.lifetime <= lifetime && span.lifetime >= lifetime.mul_f64(0.8));
            assert!(span.keepalive >= keepalive.mul_f64(0.9));
            assert!(span.keepalive <= keepalive.mul_f64(1.1));
            seen.insert(span.lifetime);
        }
        assert!(seen.len() > 48, "{seen:?}");
    }

    #[test]
    fn only_what_speaks_of_the_host_casts_doubt_on_the_others() {
        for (code, expected) in [
            (None, true),
            (Some("57P01"), true),
            (Some("57P02"), true),
            (Some("57P03"), true),
            (Some("58030"), true),
            (Some("F0000"), true),
            (Some("XX000"), true),
            (Some("53300"), false),
            (Some("53100"), false),
            (Some("57P05"), false),
            (Some("57014"), false),
            (Some("25P03"), false),
            (Some("28P01"), false),
        ] {
            assert_eq!(is_of_host(code), expected, "{code:?}");
        }
    }
}
