//! What each statement cost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aquifer_core::scan;

use crate::observe::{Measures, StatementEntry};

/// What the calls of one statement cost together.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StatementMetrics {
    /// The hash of the text; 0 for those that are counted together.
    pub fingerprint: u64,
    /// The text with a `?` for each value that stands in it, at most 2 KiB; `_other` for those that
    /// are counted together.
    pub text: String,
    /// What it does to which tables, such as `select users`.
    pub summary: String,
    /// How often it was called, failed calls included.
    pub calls: u64,
    /// How many calls failed.
    pub errors: u64,
    /// How many rows it returned or changed.
    pub rows: u64,
    /// Of the calls that succeeded: all together, waiting for a connection included.
    pub total: Duration,
    /// Of the calls that succeeded: their mean.
    pub average: Duration,
    /// Of the calls that succeeded: what 95 % do not exceed, within 3 %.
    pub p95: Duration,
    /// Of the calls that succeeded: the longest.
    pub max: Duration,
    /// How long all calls together waited for a connection.
    pub queue: Duration,
    /// How long reading their rows took, of results of 16 rows or more; not part of `total`.
    pub decode: Duration,
}

pub(super) fn read(measures: &Measures) -> Vec<StatementMetrics> {
    let entries = measures.statements.entries();
    let mut statements: Vec<_> = entries
        .map(of)
        .filter(|statement| statement.calls > 0)
        .collect();
    statements.sort_by_key(|statement| std::cmp::Reverse((statement.total, statement.calls)));
    statements
}

fn of(entry: &StatementEntry) -> StatementMetrics {
    let duration = entry.duration.snapshot();
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let errors = load(&entry.errors);
    StatementMetrics {
        fingerprint: entry.fingerprint,
        text: entry.text.to_string(),
        summary: scan::summary(&entry.text),
        calls: duration.count() + errors,
        errors,
        rows: load(&entry.rows),
        total: Duration::from_nanos(duration.sum()),
        average: Duration::from_nanos(duration.average()),
        p95: Duration::from_nanos(duration.quantile(0.95)),
        max: Duration::from_nanos(duration.max()),
        queue: Duration::from_nanos(load(&entry.queue)),
        decode: Duration::from_nanos(load(&entry.decode)),
    }
}
