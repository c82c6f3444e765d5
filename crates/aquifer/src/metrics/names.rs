//! The layer's own metrics by name.

use std::time::SystemTime;

use aquifer_core::histogram::Distribution;

use super::reading::Reading;
use super::{MetricKind, Value};
use crate::observe::Status;

/// The first words of the names below; the user's own metrics begin otherwise.
pub(super) const RESERVED: [&str; 6] = ["postgres", "redis", "cache", "prisma", "db", "aquifer"];

type Read = fn(&Reading) -> Option<f64>;

const COUNTERS: [(&str, Read); 19] = [
    ("postgres.queries.total", |all| count(all.queries.count())),
    ("postgres.queries.error", |all| count(all.query_errors)),
    ("postgres.transactions.total", |all| {
        count(all.transactions.0.count())
    }),
    ("postgres.transactions.error", |all| {
        count(all.transactions.1)
    }),
    ("redis.operations.total", |all| count(all.redis.0.count())),
    ("redis.operations.error", |all| count(all.redis.1)),
    ("redis.cache.hits", |all| count(all.hits)),
    ("redis.cache.misses", |all| count(all.misses)),
    ("cache.hits.local", |all| count(all.cache.hits_local)),
    ("cache.hits.remote", |all| count(all.cache.hits_remote)),
    ("cache.misses", |all| count(all.cache.misses)),
    ("cache.stale", |all| count(all.cache.stale)),
    ("cache.unreadable", |all| count(all.cache.unreadable)),
    ("cache.loads", |all| count(all.cache.loads)),
    ("cache.fills", |all| count(all.cache.fills)),
    ("cache.dead_on_arrival", |all| {
        count(all.cache.dead_on_arrival)
    }),
    ("cache.bumps", |all| count(all.cache.bumps)),
    ("prisma.queries.total", |all| count(all.orm.0.count())),
    ("prisma.queries.error", |all| count(all.orm.1)),
];

const GAUGES: [(&str, Read); 12] = [
    ("postgres.pool.total", |all| {
        let pools = all.pools.iter().map(|(_, pool)| pool.idle + pool.used);
        count(all.state.pool.total + pools.sum::<usize>() as u64)
    }),
    ("postgres.pool.idle", |all| {
        let pools = all.pools.iter().map(|(_, pool)| pool.idle);
        count(all.state.pool.idle + pools.sum::<usize>() as u64)
    }),
    ("postgres.pool.used", |all| {
        let pools = all.pools.iter().map(|(_, pool)| pool.used);
        count(all.state.pool.used + pools.sum::<usize>() as u64)
    }),
    ("postgres.pool.waiting", |all| {
        let pools = all.pools.iter().map(|(_, pool)| pool.waiting);
        count(all.state.pool.waiting + pools.sum::<usize>() as u64)
    }),
    ("postgres.health", |all| health(all, "postgres")),
    ("redis.memory.used", |all| count(all.state.redis?.0)),
    ("redis.clients.connected", |all| count(all.state.redis?.1)),
    ("redis.health", |all| health(all, "redis")),
    ("cache.linked", |all| {
        count(u64::from(all.cache.state()?.is_linked?))
    }),
    ("cache.verified.age", |all| {
        let age = all.cache.state()?.verified_age?;
        Some(1_000.0 * age.as_secs_f64())
    }),
    ("cache.values", |all| count(all.cache.state()?.values)),
    ("cache.bytes", |all| count(all.cache.state()?.bytes)),
];

type Durations = fn(&Reading) -> &Distribution;

/// Each with its mean and two quantiles.
const DURATIONS: [(&str, Durations); 6] = [
    ("postgres.query.duration", |all| &all.queries),
    ("postgres.query.queue", |all| &all.queue),
    ("postgres.query.decode", |all| &all.decode),
    ("postgres.transaction.duration", |all| &all.transactions.0),
    ("redis.operation.duration", |all| &all.redis.0),
    ("prisma.query.duration", |all| &all.orm.0),
];

/// The layer's own metrics, each by name with its value.
pub(super) fn values(reading: &Reading, time: SystemTime) -> Vec<Value> {
    let mut values = Vec::new();
    for (name, read) in COUNTERS {
        values.push(Value::new(name, MetricKind::Counter, read(reading), time));
    }
    for (name, read) in GAUGES {
        values.push(Value::new(name, MetricKind::Gauge, read(reading), time));
    }
    for (name, read) in DURATIONS {
        for (suffix, value) in quantiles(read(reading)) {
            let name = format!("{name}.{suffix}");
            values.push(Value::new(&name, MetricKind::Histogram, Some(value), time));
        }
    }
    let executing = reading.queries.sum().saturating_sub(reading.queued);
    let each = executing.checked_div(reading.queries.count()).unwrap_or(0);
    let (name, kind) = ("postgres.query.execute.avg", MetricKind::Histogram);
    values.push(Value::new(name, kind, Some(milliseconds(each)), time));
    values
}

/// Mean and quantiles in milliseconds.
pub(super) fn quantiles(distribution: &Distribution) -> [(&'static str, f64); 3] {
    [
        ("avg", milliseconds(distribution.average())),
        ("p95", milliseconds(distribution.quantile(0.95))),
        ("p99", milliseconds(distribution.quantile(0.99))),
    ]
}

fn health(reading: &Reading, service: &str) -> Option<f64> {
    reading.state.health.get(service).copied().map(health_value)
}

pub(super) fn health_value(status: Status) -> f64 {
    match status {
        Status::Up => 1.0,
        Status::Degraded => 0.5,
        Status::Down => 0.0,
    }
}

fn milliseconds(nanoseconds: u64) -> f64 {
    float(nanoseconds) / 1e6
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "it stands where others are perhaps not known"
)]
fn count(count: u64) -> Option<f64> {
    Some(float(count))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "beyond 2⁵³ one more or less is nothing"
)]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}
