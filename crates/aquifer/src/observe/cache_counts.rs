//! What the cache counts; one atomic operation each.

use std::sync::atomic::{AtomicU64, Ordering};

/// How often the cache found something, and what it did then.
#[derive(Debug, Default)]
pub(crate) struct CacheCounts {
    pub(crate) hits_local: AtomicU64,
    pub(crate) hits_remote: AtomicU64,
    pub(crate) misses: AtomicU64,
    /// Values in Redis that had been changed since; those are misses too.
    pub(crate) stale: AtomicU64,
    /// Values that could not be read, or written.
    pub(crate) unreadable: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) bumps: AtomicU64,
}

impl CacheCounts {
    #[inline]
    pub(crate) fn hit_local(&self) {
        add(&self.hits_local);
    }

    pub(crate) fn hit_remote(&self) {
        add(&self.hits_remote);
    }

    pub(crate) fn missed(&self) {
        add(&self.misses);
    }

    pub(crate) fn found_stale(&self) {
        add(&self.stale);
    }

    pub(crate) fn unreadable(&self) {
        add(&self.unreadable);
    }

    pub(crate) fn loaded(&self) {
        add(&self.loads);
    }

    pub(crate) fn bumped(&self) {
        add(&self.bumps);
    }

    pub(super) fn reset(&self) {
        for counter in [
            &self.hits_local,
            &self.hits_remote,
            &self.misses,
            &self.stale,
            &self.unreadable,
            &self.loads,
            &self.bumps,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
