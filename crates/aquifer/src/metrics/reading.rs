//! All figures at one moment, added up where that is cheaper than counting twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aquifer_core::histogram::Distribution;

use super::PoolFigures;
use crate::observe::{CacheFigures, Measures, Operations, State};

#[derive(Debug)]
pub(super) struct Reading {
    /// Of statements that succeeded; those reported by hand are all here.
    pub(super) succeeded: Distribution,
    /// By SQLSTATE or kind of error.
    pub(super) failed: Vec<(Box<str>, Distribution)>,
    /// Of all statements.
    pub(super) queries: Distribution,
    pub(super) query_errors: u64,
    /// How long calls waited together, in nanoseconds.
    pub(super) queued: u64,
    pub(super) queue: Distribution,
    pub(super) decode: Distribution,
    pub(super) transactions: (Distribution, u64),
    pub(super) redis: (Distribution, u64),
    pub(super) orm: (Distribution, u64),
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) cache: CacheReading,
    pub(super) openings: Distribution,
    pub(super) losses: u64,
    pub(super) refusals: u64,
    pub(super) repetitions: u64,
    pub(super) pools: Vec<(Arc<str>, PoolFigures)>,
    pub(super) state: State,
}

impl Reading {
    pub(super) fn new(measures: &Measures, pools: Vec<(Arc<str>, PoolFigures)>) -> Self {
        let mut succeeded = Distribution::new();
        let mut query_errors = load(&measures.reported.errors);
        let mut queued = 0;
        for entry in measures.statements.entries() {
            entry.duration.add_to(&mut succeeded);
            query_errors += load(&entry.errors);
            queued += load(&entry.queue);
        }
        measures.reported.duration.add_to(&mut succeeded);
        let failed = measures.failures.read();
        let mut queries = succeeded.clone();
        for (_, distribution) in &failed {
            queries.merge(distribution);
        }
        Self {
            succeeded,
            failed,
            queries,
            query_errors,
            queued,
            queue: measures.queue.snapshot(),
            decode: measures.decode.snapshot(),
            transactions: operations(&measures.transactions),
            redis: operations(&measures.redis),
            orm: operations(&measures.orm),
            hits: load(&measures.hits),
            misses: load(&measures.misses),
            cache: CacheReading::new(measures),
            openings: measures.openings.snapshot(),
            losses: load(&measures.losses),
            refusals: load(&measures.refusals),
            repetitions: load(&measures.repetitions),
            pools,
            state: measures.state(),
        }
    }
}

/// What the cache counted.
#[derive(Debug)]
pub(super) struct CacheReading {
    pub(super) hits_local: u64,
    pub(super) hits_remote: u64,
    pub(super) misses: u64,
    pub(super) stale: u64,
    pub(super) unreadable: u64,
    pub(super) loads: u64,
    pub(super) fills: u64,
    pub(super) dead_on_arrival: u64,
    pub(super) bumps: u64,
    /// How the caches do, by namespace.
    pub(super) states: BTreeMap<Box<str>, CacheFigures>,
}

impl CacheReading {
    fn new(measures: &Measures) -> Self {
        let counts = &measures.cache;
        Self {
            hits_local: load(&counts.hits_local),
            hits_remote: load(&counts.hits_remote),
            misses: load(&counts.misses),
            stale: load(&counts.stale),
            unreadable: load(&counts.unreadable),
            loads: load(&counts.loads),
            fills: load(&counts.fills),
            dead_on_arrival: load(&counts.dead_on_arrival),
            bumps: load(&counts.bumps),
            states: counts.figures(),
        }
    }

    /// All caches together; none if there is no cache.
    pub(super) fn state(&self) -> Option<CacheFigures> {
        let mut states = self.states.values().copied();
        let mut all = states.next()?;
        states.for_each(|state| all.add(state));
        Some(all)
    }
}

fn operations(operations: &Operations) -> (Distribution, u64) {
    (operations.duration.snapshot(), load(&operations.errors))
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
