//! What the cache counts; one atomic operation each. How caches do is asked of them when figures are read.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

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
    /// Loaded values that were kept.
    pub(crate) fills: AtomicU64,
    /// Of those, which had been changed before their load was done: nobody takes them for good.
    pub(crate) dead_on_arrival: AtomicU64,
    pub(crate) bumps: AtomicU64,
    caches: Caches,
}

/// How a cache does now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct CacheFigures {
    /// Whether it is told of changes; none of one that nobody else shares.
    pub(crate) is_linked: Option<bool>,
    /// How long ago it was known for certain that it had heard of every change.
    pub(crate) verified_age: Option<Duration>,
    pub(crate) values: u64,
    pub(crate) bytes: u64,
}

/// Gives figures as long as the cache is there.
type Ask = Box<dyn Fn() -> Option<CacheFigures> + Send + Sync>;

struct Source {
    namespace: Box<str>,
    ask: Ask,
}

/// The caches that count here.
#[derive(Default)]
struct Caches(Mutex<Vec<Source>>);

impl fmt::Debug for Caches {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Caches")
    }
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

    pub(crate) fn filled(&self) {
        add(&self.fills);
    }

    pub(crate) fn was_dead_on_arrival(&self) {
        add(&self.dead_on_arrival);
    }

    pub(crate) fn bumped(&self) {
        add(&self.bumps);
    }

    /// Asks a cache whenever figures are read, until it is gone.
    pub(crate) fn attach(
        &self,
        namespace: &str,
        ask: impl Fn() -> Option<CacheFigures> + Send + Sync + 'static,
    ) {
        let mut caches = self.caches.0.lock().unwrap_or_else(PoisonError::into_inner);
        caches.push(Source {
            namespace: namespace.into(),
            ask: Box::new(ask),
        });
    }

    /// How the caches of each namespace do together: as the worst of them, with the values of all.
    pub(crate) fn figures(&self) -> BTreeMap<Box<str>, CacheFigures> {
        let mut all = BTreeMap::new();
        let mut caches = self.caches.0.lock().unwrap_or_else(PoisonError::into_inner);
        caches.retain(|source| {
            let Some(figures) = (source.ask)() else {
                return false;
            };
            let together: &mut CacheFigures = all.entry(source.namespace.clone()).or_default();
            together.add(figures);
            true
        });
        all
    }

    pub(super) fn reset(&self) {
        for counter in [
            &self.hits_local,
            &self.hits_remote,
            &self.misses,
            &self.stale,
            &self.unreadable,
            &self.loads,
            &self.fills,
            &self.dead_on_arrival,
            &self.bumps,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

impl CacheFigures {
    pub(crate) fn add(&mut self, other: Self) {
        self.is_linked = match (self.is_linked, other.is_linked) {
            (Some(one), Some(other)) => Some(one && other),
            (one, other) => one.or(other),
        };
        self.verified_age = self.verified_age.max(other.verified_age);
        self.values += other.values;
        self.bytes += other.bytes;
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
