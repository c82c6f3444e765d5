//! What the layer counts: atomics that all threads share, and what events have told of the state.
//!
//! Here are no names and no units of exports; `metrics` reads this and gives it names.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aquifer_core::histogram::{Distribution, Histogram};

use super::cache_counts::CacheCounts;
use super::event::{BreakerState, Event, HostRole, Mode, Service, Status};
use super::statement_table::{StatementTable, add};
use super::{ConnectionOpened, QueryFinished, TransactionFinished};
use crate::{Error, ErrorKind};

/// Most kinds of failures that are told apart; SQLSTATEs are few, but functions may make their own.
const FAILURES_MAX: usize = 64;

/// Everything that is counted for one collector.
#[derive(Debug, Default)]
pub(crate) struct Measures {
    pub(crate) statements: StatementTable,
    pub(crate) failures: Failures,
    /// Queries that the user ran elsewhere and reported.
    pub(crate) reported: Operations,
    pub(crate) transactions: Operations,
    /// How long callers waited for a connection of their own.
    pub(crate) queue: Histogram,
    pub(crate) decode: Histogram,
    pub(crate) openings: Histogram,
    pub(crate) losses: AtomicU64,
    /// Callers that got no connection in time.
    pub(crate) refusals: AtomicU64,
    /// Attempts beyond the first.
    pub(crate) repetitions: AtomicU64,
    pub(crate) redis: Operations,
    pub(crate) hits: AtomicU64,
    pub(crate) misses: AtomicU64,
    pub(crate) cache: CacheCounts,
    pub(crate) orm: Operations,
    state: Mutex<State>,
}

/// How long calls of one kind took, and how many failed; those are among the former.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    pub(crate) duration: Histogram,
    pub(crate) errors: AtomicU64,
}

impl Operations {
    pub(crate) fn record(&self, duration: Duration, failed: bool) {
        self.duration.record_duration(duration);
        if failed {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn reset(&self) {
        self.duration.reset();
        self.errors.store(0, Ordering::Relaxed);
    }
}

/// How long calls took that failed, by SQLSTATE or kind of error. They are rare, so a lock does.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<BTreeMap<Box<str>, Histogram>>);

impl Failures {
    fn record(&self, error: &Error, duration: Duration) {
        let mut failures = self.lock();
        let name = error_type(error);
        let full = failures.len() >= FAILURES_MAX && !failures.contains_key(name);
        let name = if full { "_OTHER" } else { name };
        if !failures.contains_key(name) {
            failures.insert(name.into(), Histogram::new());
        }
        if let Some(histogram) = failures.get(name) {
            histogram.record_duration(duration);
        }
    }

    pub(crate) fn read(&self) -> Vec<(Box<str>, Distribution)> {
        let failures = self.lock();
        let read = failures.iter();
        read.map(|(name, histogram)| (name.clone(), histogram.snapshot()))
            .collect()
    }

    fn reset(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Box<str>, Histogram>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a pool of somebody else was said to hold.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReportedPool {
    pub(crate) total: u64,
    pub(crate) idle: u64,
    pub(crate) used: u64,
    pub(crate) waiting: u64,
}

/// What a breaker guards: service, host and lane.
pub(crate) type Guarded = (String, Arc<str>, &'static str);

/// What was said last; nothing of it is counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) pool: ReportedPool,
    /// Bytes in use and clients connected.
    pub(crate) redis: Option<(u64, u64)>,
    pub(crate) health: BTreeMap<String, Status>,
    pub(crate) breakers: BTreeMap<Guarded, BreakerState>,
    pub(crate) roles: BTreeMap<Arc<str>, HostRole>,
    pub(crate) mode: Mode,
    /// How often each kind of event happened.
    pub(crate) events: BTreeMap<&'static str, u64>,
}

impl Measures {
    /// Counts a call on its way back to the caller: three atomic operations when it succeeded.
    #[inline]
    pub(super) fn query_finished(&self, event: &QueryFinished<'_>) {
        let entry = self.statements.entry(event.fingerprint(), event.sql);
        match event.error {
            None => entry.duration.record_duration(event.elapsed),
            Some(error) => {
                entry.errors.fetch_add(1, Ordering::Relaxed);
                self.failures.record(error, event.elapsed);
            }
        }
        if event.rows > 0 {
            entry.rows.fetch_add(event.rows, Ordering::Relaxed);
        }
        add(&entry.queue, event.queue);
        if event.attempts > 1 {
            let again = u64::from(event.attempts - 1);
            self.repetitions.fetch_add(again, Ordering::Relaxed);
        }
    }

    /// As [`query_finished`](Self::query_finished), of a read that succeeded at the first attempt.
    #[inline]
    pub(super) fn read_finished(
        &self,
        (fingerprint, sql): (u64, &str),
        rows: u64,
        elapsed: Duration,
    ) {
        let entry = self.statements.entry(fingerprint, sql);
        entry.duration.record_duration(elapsed);
        if rows > 0 {
            entry.rows.fetch_add(rows, Ordering::Relaxed);
        }
    }

    pub(super) fn rows_decoded(&self, fingerprint: u64, sql: &str, elapsed: Duration) {
        add(&self.statements.entry(fingerprint, sql).decode, elapsed);
        self.decode.record_duration(elapsed);
    }

    pub(super) fn transaction_finished(&self, event: &TransactionFinished) {
        let failed = event.committed != Some(true);
        self.transactions.record(event.elapsed, failed);
    }

    pub(super) fn connection_opened(&self, event: &ConnectionOpened) {
        self.openings.record_duration(event.elapsed);
    }

    pub(super) fn refused(&self) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn connection_lost(&self) {
        self.losses.fetch_add(1, Ordering::Relaxed);
    }

    /// Remembers what an event says of the state.
    pub(super) fn happened(&self, event: &Event) {
        let mut state = self.lock();
        *state.events.entry(event.name()).or_default() += 1;
        match event {
            Event::HealthChange { service, to, .. } => {
                state.health.insert(service.to_string(), *to);
            }
            Event::BreakerChange {
                service,
                host,
                lane,
                to,
                ..
            } => {
                let key = (service.to_string(), Arc::clone(host), *lane);
                state.breakers.insert(key, *to);
            }
            Event::RoleChange { host, to, .. } => {
                state.roles.insert(Arc::clone(host), *to);
            }
            Event::ModeChange { to, .. } => state.mode = *to,
            _ => {}
        }
    }

    pub(crate) fn redis_finished(&self, duration: Duration, failed: bool, hit: Option<bool>) {
        self.redis.record(duration, failed);
        match hit {
            Some(true) => self.hits.fetch_add(1, Ordering::Relaxed),
            Some(false) => self.misses.fetch_add(1, Ordering::Relaxed),
            None => 0,
        };
    }

    pub(crate) fn set_health(&self, service: Service, status: Status) {
        self.lock().health.insert(service.to_string(), status);
    }

    pub(super) fn forget_breakers(&self, service: Service, host: &str) {
        let service = service.to_string();
        let others = |guarded: &Guarded| guarded.0 != service || *guarded.1 != *host;
        self.lock().breakers.retain(|guarded, _| others(guarded));
    }

    pub(crate) fn set_reported_pool(&self, pool: ReportedPool) {
        self.lock().pool = pool;
    }

    pub(crate) fn set_redis(&self, memory_bytes: u64, connected_clients: u64) {
        self.lock().redis = Some((memory_bytes, connected_clients));
    }

    pub(crate) fn state(&self) -> State {
        self.lock().clone()
    }

    /// Forgets what was counted; what was said of the state stays.
    pub(crate) fn reset(&self) {
        for entry in self.statements.entries() {
            entry.reset();
        }
        self.failures.reset();
        for operations in [&self.reported, &self.transactions, &self.redis, &self.orm] {
            operations.reset();
        }
        for histogram in [&self.queue, &self.decode, &self.openings] {
            histogram.reset();
        }
        let (losses, refusals) = (&self.losses, &self.refusals);
        for counter in [
            losses,
            refusals,
            &self.repetitions,
            &self.hits,
            &self.misses,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
        self.cache.reset();
        self.lock().events.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an error is called in labels: its SQLSTATE, else its kind.
pub(super) fn error_type(error: &Error) -> &str {
    match error.sqlstate() {
        Some(state) => state.code(),
        None => kind_name(error.kind()),
    }
}

fn kind_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Acquire => "acquire",
        ErrorKind::AlreadyDone => "already_done",
        ErrorKind::Authentication => "authentication",
        ErrorKind::Closed => "closed",
        ErrorKind::Config => "config",
        ErrorKind::Conflict => "conflict",
        ErrorKind::Connection => "connection",
        ErrorKind::Database => "database",
        ErrorKind::Decode => "decode",
        ErrorKind::Encode => "encode",
        ErrorKind::Limit => "limit",
        ErrorKind::Migration => "migration",
        ErrorKind::NotFound => "not_found",
        ErrorKind::Protocol => "protocol",
        ErrorKind::ReadOnly => "read_only",
        ErrorKind::Redis => "redis",
        ErrorKind::Schema => "schema",
        ErrorKind::Timeout => "timeout",
        ErrorKind::Tls => "tls",
        ErrorKind::TooManyRows => "too_many_rows",
        ErrorKind::Transaction => "transaction",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::Unknown => "unknown",
        ErrorKind::Usage => "usage",
    }
}
