//! The builder of the knobs that few services need.

use std::panic::Location;
use std::time::Duration;

use super::{Config, knob};

/// Knobs that few services need, set within [`Config::advanced`]; in a file they stand in the
/// section `[advanced]`, and their variables begin with `AQUIFER_ADVANCED_`.
#[derive(Clone, Debug)]
pub struct Advanced(pub(super) Config);

impl Advanced {
    /// Connections that are shared by reads of several callers.
    ///
    /// Default: 2, or half of `connections_max` if that is less. Range: 0 to 4, and less than
    /// `connections_max`, so that one stays for writes and transactions. 0 turns sharing off.
    /// Don't touch it before a profile shows the lanes' processes on the server at their limit.
    #[must_use]
    #[track_caller]
    pub fn lanes(self, lanes: u32) -> Self {
        Self(self.0.with_count(&knob::LANES, lanes, Location::caller()))
    }

    /// Most callers that wait for a connection; those beyond fail at once.
    ///
    /// Default: 1,000. Range: 1 to 1,000,000. Don't raise it against errors under load: a longer
    /// queue serves nobody sooner.
    #[must_use]
    #[track_caller]
    pub fn waiters_max(self, waiters: u32) -> Self {
        Self(
            self.0
                .with_count(&knob::WAITERS_MAX, waiters, Location::caller()),
        )
    }

    /// How often one call is tried in all, the first time included; 1 turns retries off.
    ///
    /// Default: 3. Range: 1 to 100. Only what can't take effect twice is tried again, and all
    /// within `query_timeout`. Don't raise it against failing servers: retries add to their load.
    #[must_use]
    #[track_caller]
    pub fn attempts_max(self, attempts: u32) -> Self {
        Self(
            self.0
                .with_count(&knob::ATTEMPTS_MAX, attempts, Location::caller()),
        )
    }

    /// How long a COMMIT may take before its outcome is reported as unknown, asking the server what
    /// became of it included.
    ///
    /// Default: 30 s. Range: 1 ms to 1 h. Don't lower it to make things faster: a COMMIT that is
    /// given up may still take effect. Raise it for synchronous replicas that are far away.
    #[must_use]
    #[track_caller]
    pub fn commit_timeout(self, limit: Duration) -> Self {
        Self(
            self.0
                .with_time(&knob::COMMIT_TIMEOUT, limit, Location::caller()),
        )
    }

    /// How long a shutdown waits for running work before it cancels and closes.
    ///
    /// Default: 10 s. Range: 1 ms to 1 h. Keep it below the time after which the service's
    /// supervisor kills it.
    #[must_use]
    #[track_caller]
    pub fn shutdown_timeout(self, limit: Duration) -> Self {
        Self(
            self.0
                .with_time(&knob::SHUTDOWN_TIMEOUT, limit, Location::caller()),
        )
    }

    /// Most statements that are kept prepared on each connection; the least used goes first.
    ///
    /// Default: 256. Range: 1 to 10,000. Each costs memory on the server, once per connection.
    /// Raise it only if a service runs more different statements all the time.
    #[must_use]
    #[track_caller]
    pub fn statements_max(self, statements: u32) -> Self {
        Self(
            self.0
                .with_count(&knob::STATEMENTS_MAX, statements, Location::caller()),
        )
    }

    /// Most requests that wait on one connection.
    ///
    /// Default: 4,096. Range: 1 to 1,000,000. It bounds memory; there is nothing to gain from it
    /// otherwise.
    #[must_use]
    #[track_caller]
    pub fn requests_max(self, requests: u32) -> Self {
        Self(
            self.0
                .with_count(&knob::REQUESTS_MAX, requests, Location::caller()),
        )
    }

    /// Longest message that is taken from the server, in bytes: no row can be longer.
    ///
    /// Default: 1,073,741,824 (1 GiB), which the server does not exceed. Range: 65,536 to
    /// 2,147,483,647. Lower it to bound memory if no honest row is that long; a longer one ends
    /// its connection.
    #[must_use]
    #[track_caller]
    pub fn message_max(self, bytes: u32) -> Self {
        Self(
            self.0
                .with_count(&knob::MESSAGE_MAX, bytes, Location::caller()),
        )
    }
}
