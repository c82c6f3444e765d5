//! The layer's own events, counted.

use std::sync::atomic::{AtomicUsize, Ordering};

use aquifer::{ConnectionLost, Observer, QueryFinished};

/// Counts what the layer did behind the callers' backs.
#[derive(Debug, Default)]
pub(super) struct Tally {
    calls: AtomicUsize,
    lost: AtomicUsize,
    tried_again: AtomicUsize,
}

impl Tally {
    /// Calls of the handle that ended; look-ups that travelled together are one.
    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Connections that ended without being asked to.
    pub(super) fn lost(&self) -> usize {
        self.lost.load(Ordering::Relaxed)
    }

    /// Calls that succeeded only after another attempt.
    pub(super) fn tried_again(&self) -> usize {
        self.tried_again.load(Ordering::Relaxed)
    }
}

impl Observer for Tally {
    fn connection_lost(&self, event: &ConnectionLost<'_>) {
        if event.process_id.is_some() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn query_finished(&self, event: &QueryFinished<'_>) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if event.attempts > 1 && event.error.is_none() {
            self.tried_again.fetch_add(1, Ordering::Relaxed);
        }
    }
}
