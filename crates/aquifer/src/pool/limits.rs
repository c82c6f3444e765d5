use std::time::Duration;

use aquifer_core::{breaker, slots};

use crate::config::Settings;

/// A connection that nobody has used for longer must answer before it is used again: at least twice
/// in each round of a keepalive something else may have happened to it.
const CHECK_AFTER: Duration = Duration::from_millis(500);

/// Checked limits of one pool.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Shared lanes, within `connections_max`.
    pub(super) lanes: usize,
    /// Most requests under way on each of them.
    pub(super) lane_requests_max: usize,
    /// At the start; [`Pool::resize`](super::Pool::resize) changes it.
    connections_max: usize,
    connections_min: usize,
    waiters_max: usize,
    idle_timeout: Duration,
    queue_target: Duration,
    queue_interval: Duration,
    pub(super) acquire_timeout: Duration,
    pub(super) lifetime_max: Duration,
    pub(super) keepalive_interval: Duration,
    /// For an answer of a connection that is about to be used, at least.
    check_timeout: Duration,
    pub(super) leak_warning_after: Duration,
    pub(super) breaker: breaker::Limits,
}

impl Limits {
    /// For an answer of a connection that nobody needs just now.
    pub(super) fn keepalive_timeout(&self) -> Duration {
        self.check_timeout * 4
    }

    /// For an answer of a connection that is about to be used. An answer takes one round trip and an
    /// opening two at least: where even the fastest took long, the server is far away, and good
    /// connections must not be closed for that.
    pub(super) fn check_timeout(&self, fastest_opening: Duration) -> Duration {
        fastest_opening.clamp(self.check_timeout, self.keepalive_timeout())
    }

    pub(super) fn waiters_max(&self) -> usize {
        self.waiters_max
    }

    /// Those of the exclusive connections.
    pub(super) fn slots(&self) -> slots::Limits {
        let capacity = self.connections_max - self.lanes;
        let mut limits = slots::Limits::new(capacity, self.waiters_max);
        // One stays ready for writes, whatever the lanes leave of the minimum.
        limits.minimum = self.connections_min.saturating_sub(self.lanes).max(1);
        limits.idle_timeout = self.idle_timeout;
        limits.check_after = CHECK_AFTER;
        limits.queue_target = self.queue_target;
        limits.queue_interval = self.queue_interval;
        limits
    }
}

impl From<&Settings> for Limits {
    fn from(settings: &Settings) -> Self {
        Self {
            lanes: settings.lanes,
            lane_requests_max: settings.lane_requests_max,
            connections_max: settings.connections_max,
            connections_min: settings.connections_min,
            waiters_max: settings.waiters_max,
            idle_timeout: settings.idle_timeout,
            queue_target: settings.queue_target,
            queue_interval: settings.queue_interval,
            acquire_timeout: settings.acquire_timeout,
            lifetime_max: settings.lifetime_max,
            keepalive_interval: settings.keepalive_interval,
            check_timeout: settings.check_timeout,
            leak_warning_after: settings.leak_warning_after,
            breaker: settings.breaker,
        }
    }
}
