//! The figures of the layer: read from what `observe` counts, given names, kept over time, exported.

mod custom;
mod export;
#[cfg(feature = "metrics")]
mod facade;
mod history;
mod names;
mod prometheus;
mod reading;
mod statements;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use self::custom::Registry;
pub use self::custom::{Counter, Gauge, Timer};
use self::history::History;
pub use self::history::{DataPoint, Tags};
use self::prometheus::Page;
use self::reading::Reading;
pub use self::statements::StatementMetrics;
use crate::observe::{Measures, ReportedPool};
use crate::{Error, clock};

/// Counts what the layer does, and keeps and exports the figures.
///
/// Every [`Db`](crate::Db) has one ([`Db::metrics`](crate::Db::metrics)) and feeds it: each statement
/// and transaction, the pool, and what is told of health. Handles that shall count together get the
/// same one by [`Config::metrics`](crate::Config::metrics). It is cheap to clone; clones are the same
/// collector. Recording takes a few atomic operations, neither locks nor allocates, and keeps the
/// durations within 3 %.
///
/// # Names
/// Durations are in milliseconds. `postgres.queries.total`, `.error`;
/// `postgres.query.duration.avg`, `.p95`, `.p99`; `postgres.query.queue.avg`, `.p95`, `.p99` (waiting
/// for a connection of one's own), `postgres.query.execute.avg` (the rest of the duration),
/// `postgres.query.decode.avg`, `.p95`, `.p99` (reading results of 16 rows or more, after the
/// duration); `postgres.transactions.total`, `.error` (not committed);
/// `postgres.transaction.duration.avg`, `.p95`, `.p99`; `postgres.pool.total`, `.idle`, `.used`,
/// `.waiting`; `postgres.health` (1 up, 0.5 degraded, 0 down); `redis.operations.total`, `.error`;
/// `redis.operation.duration.avg`, `.p95`, `.p99`; `redis.cache.hits`, `.misses`;
/// `cache.hits.local`, `.remote` (found in memory, in Redis), `cache.misses`, `cache.stale` (changed
/// since), `cache.unreadable` (another layout, garbage), `cache.loads`, `cache.fills` (loaded and
/// kept), `cache.dead_on_arrival` (of those, changed before their load was done), `cache.bumps`
/// (changes told), `cache.linked` (1 while Redis tells of changes), `cache.verified.age` (since it was
/// certain that all changes were heard of), `cache.values`, `cache.bytes` (in memory);
/// `redis.memory.used` (bytes); `redis.clients.connected`; `redis.health`; `prisma.queries.total`,
/// `.error`; `prisma.query.duration.avg`, `.p95`, `.p99` (queries of an ORM); and the user's own.
///
/// ```
/// use std::time::Duration;
///
/// use aquifer::{MetricsCollector, Outcome};
///
/// let metrics = MetricsCollector::new();
/// metrics.track_postgres_query(Duration::from_millis(100), Outcome::Success, false);
/// metrics.track_redis_operation(Duration::from_millis(50), Outcome::Success, Some(true));
/// let average = metrics.metric("postgres.query.duration.avg");
/// assert_eq!(average.and_then(|metric| metric.value()), Some(100.0));
/// ```
#[doc(alias("metricsCollector"))]
#[derive(Clone, Default)]
pub struct MetricsCollector(Arc<Inner>);

#[derive(Default)]
struct Inner {
    measures: Arc<Measures>,
    pools: Mutex<Vec<Source>>,
    registry: Registry,
    history: Mutex<History>,
    #[cfg(feature = "metrics")]
    facade: Mutex<facade::Exported>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// As it should.
    Success,
    /// With an error.
    Error,
}

impl<T, E> From<&Result<T, E>> for Outcome {
    fn from(result: &Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::Success,
            Err(_) => Self::Error,
        }
    }
}

/// What one pool holds now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PoolFigures {
    pub(crate) connections_max: usize,
    pub(crate) idle: usize,
    pub(crate) used: usize,
    pub(crate) waiting: usize,
    pub(crate) lane_requests: usize,
}

/// A pool that is asked when figures are read; `None` once it is gone.
struct Source {
    name: Arc<str>,
    read: Box<dyn Fn() -> Option<PoolFigures> + Send + Sync>,
}

/// What one metric is, now and before.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Metric {
    /// As listed at [`MetricsCollector`].
    pub name: String,
    /// What its values mean.
    pub kind: MetricKind,
    /// The kept points, the oldest first; the last one, or the last one of each set of tags, is of
    /// now. Nothing while nothing is known, such as the health of a service that nobody asked.
    pub points: Vec<DataPoint>,
}

/// What the values of a metric mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetricKind {
    /// A count that only grows, until a reset.
    Counter,
    /// A state.
    Gauge,
    /// A mean or a quantile of all durations since the start or the last reset.
    Histogram,
}

impl Metric {
    /// The value now; of a counter with tags the sum over them. `None` while nothing is known.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        let last = self.points.last()?;
        if self.kind != MetricKind::Counter {
            return Some(last.value);
        }
        let newest = self.points.iter().filter(|point| point.time == last.time);
        Some(newest.map(|point| point.value).sum())
    }
}

impl MetricsCollector {
    /// One that nothing feeds yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a query that ran elsewhere; those of a [`Db`](crate::Db) are counted by it.
    ///
    /// `in_transaction` says that the call was a whole transaction: it counts as such besides.
    #[doc(alias("trackPostgresQuery"))]
    pub fn track_postgres_query(&self, duration: Duration, outcome: Outcome, in_transaction: bool) {
        let failed = outcome == Outcome::Error;
        self.0.measures.reported.record(duration, failed);
        if in_transaction {
            self.0.measures.transactions.record(duration, failed);
        }
    }

    /// Counts a Redis operation; `hit` says of a cache whether it had the value.
    #[doc(alias("trackRedisOperation"))]
    pub fn track_redis_operation(&self, duration: Duration, outcome: Outcome, hit: Option<bool>) {
        self.0
            .measures
            .redis_finished(duration, outcome == Outcome::Error, hit);
    }

    /// Counts a query of an ORM.
    #[doc(alias("trackPrismaQuery", "track_prisma_query"))]
    pub fn track_orm_query(&self, duration: Duration, outcome: Outcome) {
        self.0
            .measures
            .orm
            .record(duration, outcome == Outcome::Error);
    }

    /// Says what a pool holds that the layer does not keep; it counts besides the layer's own pools,
    /// until the next call.
    #[doc(alias("updatePostgresPoolMetrics"))]
    pub fn update_postgres_pool(&self, total: u64, idle: u64, used: u64, waiting: u64) {
        self.0.measures.set_reported_pool(ReportedPool {
            total,
            idle,
            used,
            waiting,
        });
    }

    /// Says how many bytes Redis uses and how many clients it has, as of its INFO.
    #[doc(alias("updateRedisMetrics"))]
    pub fn update_redis(&self, memory_bytes: u64, connected_clients: u64) {
        self.0.measures.set_redis(memory_bytes, connected_clients);
    }

    /// All metrics by name, with their points; several thousand points after some hours.
    #[doc(alias("getMetrics"))]
    #[must_use]
    pub fn metrics(&self) -> BTreeMap<String, Metric> {
        let values = self.values();
        let history = self.history();
        let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
        for value in values {
            let metric = metrics.entry(value.name).or_insert_with_key(|name| Metric {
                name: name.clone(),
                kind: value.kind,
                points: history.points(name),
            });
            metric.points.extend(value.point);
        }
        metrics
    }

    /// One metric by name; `None` when there is none of that name.
    #[doc(alias("getMetric"))]
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<Metric> {
        let mut values = self.values().into_iter().filter(|value| value.name == name);
        let first = values.next()?;
        let mut points = self.history().points(name);
        points.extend(first.point);
        points.extend(values.filter_map(|value| value.point));
        Some(Metric {
            name: first.name,
            kind: first.kind,
            points,
        })
    }

    /// What each statement cost, the one with the most time in all first; 500 are told apart, what
    /// comes later is counted together as `_other`.
    #[must_use]
    pub fn statements(&self) -> Vec<StatementMetrics> {
        statements::read(&self.0.measures)
    }

    /// A counter of the user's own, the same one for the same name and tags.
    ///
    /// At most 1,000 sets of tags are told apart over all names; further ones share the one with the
    /// tag `overflow`.
    ///
    /// # Errors
    /// [`Usage`](crate::ErrorKind::Usage) when the name is not made of lower-case words with dots, is
    /// of the layer's own or of another kind, or a tag can't be exported; the text says why.
    pub fn counter(&self, name: &str, tags: &[(&str, &str)]) -> Result<Counter, Error> {
        self.0.registry.counter(name, tags)
    }

    /// A gauge of the user's own: see [`counter`](Self::counter).
    ///
    /// # Errors
    /// As [`counter`](Self::counter).
    pub fn gauge(&self, name: &str, tags: &[(&str, &str)]) -> Result<Gauge, Error> {
        self.0.registry.gauge(name, tags)
    }

    /// A histogram of durations of the user's own, listed as its name with `.avg`, `.p95` and `.p99`:
    /// see [`counter`](Self::counter).
    ///
    /// # Errors
    /// As [`counter`](Self::counter).
    #[doc(alias("timer"))]
    pub fn histogram(&self, name: &str, tags: &[(&str, &str)]) -> Result<Timer, Error> {
        self.0.registry.histogram(name, tags)
    }

    /// All figures in the text format of Prometheus, by the names of OpenTelemetry where it has some.
    ///
    /// Serve it as `text/plain; version=0.0.4`. Histograms are exact to within 3 % of a boundary.
    #[must_use]
    pub fn prometheus(&self) -> String {
        let mut page = Page::default();
        export::all(&mut page, &self.read(), &self.0.registry);
        page.into_text()
    }

    /// Calls, errors, rows and time of each statement in the text format of Prometheus, by
    /// fingerprint and summary: up to 2,000 lines, so apart from the others.
    #[must_use]
    pub fn prometheus_statements(&self) -> String {
        let mut page = Page::default();
        export::of_statements(&mut page, &self.statements());
        page.into_text()
    }

    /// Keeps a point of each metric, and hands all figures to the recorder of the `metrics` crate
    /// where that feature is on; returns the values.
    ///
    /// A [`Db`](crate::Db) does so each `metrics_interval`. Of each metric 1,000 points are kept.
    #[doc(alias("collectMetrics"))]
    pub fn collect(&self) -> Vec<(String, f64)> {
        let values = self.values();
        #[cfg(feature = "metrics")]
        self.0
            .facade
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .export(&self.read(), &self.0.registry);
        let mut history = self.history();
        history.keep(&values, clock::now());
        let named = values.into_iter();
        named
            .filter_map(|value| Some((value.name, value.point?.value)))
            .collect()
    }

    /// As [`collect`](Self::collect), unless another handle on the same collector has just done it.
    pub(crate) fn collect_if_due(&self, interval: Duration) -> Option<Vec<(String, f64)>> {
        let due = |last: Instant| clock::now() - last >= interval / 2;
        let last = self.history().collected();
        last.is_none_or(due).then(|| self.collect())
    }

    /// Forgets everything that was counted and all points; gauges stay.
    #[doc(alias("resetMetrics"))]
    pub fn reset(&self) {
        self.0.measures.reset();
        self.0.registry.reset();
        self.history().clear();
    }

    pub(crate) fn measures(&self) -> Arc<Measures> {
        Arc::clone(&self.0.measures)
    }

    /// Asks a pool whenever figures are read, until it is gone.
    pub(crate) fn attach(
        &self,
        name: &str,
        read: impl Fn() -> Option<PoolFigures> + Send + Sync + 'static,
    ) {
        let source = Source {
            name: name.into(),
            read: Box::new(read),
        };
        let mut pools = self.0.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.push(source);
    }

    fn read(&self) -> Reading {
        let pools = {
            let mut sources = self.0.pools.lock().unwrap_or_else(PoisonError::into_inner);
            let mut pools = Vec::with_capacity(sources.len());
            sources.retain(|source| match (source.read)() {
                Some(figures) => {
                    pools.push((Arc::clone(&source.name), figures));
                    true
                }
                None => false,
            });
            pools
        };
        Reading::new(&self.0.measures, pools)
    }

    /// Every metric's value now.
    fn values(&self) -> Vec<Value> {
        let now = clock::wall();
        let mut values = names::values(&self.read(), now);
        values.extend(self.0.registry.values(now));
        values
    }

    fn history(&self) -> std::sync::MutexGuard<'_, History> {
        self.0
            .history
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// One metric with one set of tags at one moment.
struct Value {
    name: String,
    kind: MetricKind,
    /// `None` while nothing is known.
    point: Option<DataPoint>,
}

impl Value {
    fn new(name: &str, kind: MetricKind, value: Option<f64>, time: SystemTime) -> Self {
        Self::tagged(name.to_owned(), kind, value, (time, Tags::default()))
    }

    fn tagged(
        name: String,
        kind: MetricKind,
        value: Option<f64>,
        (time, tags): (SystemTime, Tags),
    ) -> Self {
        let point = value.map(|value| DataPoint { time, value, tags });
        Self { name, kind, point }
    }
}

impl fmt::Debug for MetricsCollector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MetricsCollector")
    }
}
