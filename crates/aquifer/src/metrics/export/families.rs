//! The families in their order.

use std::collections::BTreeMap;

use aquifer_core::histogram::Distribution;

use super::{Kind, Sink, seconds, state};
use crate::metrics::custom::{Family, Instrument, Registry};
use crate::metrics::names::float;
use crate::metrics::reading::{CacheReading, Reading};
use crate::metrics::{PoolFigures, StatementMetrics};
use crate::observe::CacheFigures;

const OPERATION: &str = "db_client_operation_duration_seconds";

/// A family of one counter without labels.
type Total = (&'static str, fn(&Reading) -> u64, &'static str);

const TOTALS: [Total; 3] = [
    (
        "db_client_connection_timeouts_total",
        |all| all.refusals,
        "Calls that got no connection in time.",
    ),
    (
        "aquifer_connections_lost_total",
        |all| all.losses,
        "Connections that ended by themselves or could not be opened.",
    ),
    (
        "aquifer_attempts_repeated_total",
        |all| all.repetitions,
        "Attempts of calls beyond the first.",
    ),
];

/// A gauge of each pool.
type OfPool = (&'static str, fn(&PoolFigures) -> usize, &'static str);

const OF_POOLS: [OfPool; 3] = [
    (
        "db_client_connection_max",
        |pool| pool.connections_max,
        "Most connections at once.",
    ),
    (
        "db_client_connection_pending_requests",
        |pool| pool.waiting,
        "Callers that wait for a connection.",
    ),
    (
        "aquifer_lane_requests",
        |pool| pool.lane_requests,
        "Reads under way on shared lanes.",
    ),
];

/// What caches count.
type CacheTotal = (&'static str, fn(&CacheReading) -> u64, &'static str);

const OF_CACHE: [CacheTotal; 6] = [
    (
        "aquifer_cache_stale_total",
        |cache| cache.stale,
        "Values in Redis that had been changed since.",
    ),
    (
        "aquifer_cache_unreadable_total",
        |cache| cache.unreadable,
        "Values that could not be read or written.",
    ),
    (
        "aquifer_cache_loads_total",
        |cache| cache.loads,
        "Loads of missing values.",
    ),
    (
        "aquifer_cache_fills_total",
        |cache| cache.fills,
        "Loaded values that were kept.",
    ),
    (
        "aquifer_cache_dead_on_arrival_total",
        |cache| cache.dead_on_arrival,
        "Loaded values that had been changed before their load was done.",
    ),
    (
        "aquifer_cache_bumps_total",
        |cache| cache.bumps,
        "Changes of values that were told.",
    ),
];

/// What a cache may say of itself.
type OfCache = fn(&CacheFigures) -> Option<f64>;

const OF_CACHES: [(&str, OfCache, &str); 4] = [
    (
        "aquifer_cache_linked",
        |cache| Some(float(cache.is_linked?.into())),
        "Whether Redis tells the cache of changes: 1, or 0 while each value is asked for.",
    ),
    (
        "aquifer_cache_verified_age_seconds",
        |cache| Some(cache.verified_age?.as_secs_f64()),
        "Time since the cache knew for certain that it had heard of every change.",
    ),
    (
        "aquifer_cache_values",
        |cache| Some(float(cache.values)),
        "Values in memory.",
    ),
    (
        "aquifer_cache_bytes",
        |cache| Some(float(cache.bytes)),
        "About how many bytes the values in memory take.",
    ),
];

pub(in crate::metrics) fn all(page: &mut impl Sink, all: &Reading, registry: &Registry) {
    operations(page, all);
    transactions(page, all);
    connections(page, all);
    for (name, read, help) in TOTALS {
        single(page, (name, Kind::Counter), read(all), help);
    }
    cache(page, all);
    state::write(page, &all.state);
    custom(page, &registry.families());
}

/// A family of one sample without labels.
fn single(page: &mut impl Sink, (name, kind): (&str, Kind), value: u64, help: &str) {
    page.family(name, kind, help);
    page.sample(name, &[], float(value));
}

/// A family of one histogram without labels.
fn durations(page: &mut impl Sink, name: &str, of: &Distribution, help: &str) {
    page.family(name, Kind::Histogram, help);
    page.durations(name, &[], of);
}

fn operations(page: &mut impl Sink, all: &Reading) {
    let help = "Duration of calls, further attempts and waiting for a connection included.";
    page.family(OPERATION, Kind::Histogram, help);
    let system = ("db_system_name", "postgresql");
    page.durations(OPERATION, &[system], &all.succeeded);
    for (error, distribution) in &all.failed {
        page.durations(OPERATION, &[system, ("error_type", error)], distribution);
    }
    if all.redis.0.count() > 0 {
        page.durations(OPERATION, &[("db_system_name", "redis")], &all.redis.0);
    }
    let name = "aquifer_decode_duration_seconds";
    let help = "Duration of reading results of 16 rows or more.";
    durations(page, name, &all.decode, help);
    if all.orm.0.count() > 0 {
        let name = "aquifer_orm_query_duration_seconds";
        durations(page, name, &all.orm.0, "Duration of queries of an ORM.");
        let name = ("aquifer_orm_query_errors_total", Kind::Counter);
        single(page, name, all.orm.1, "Queries of an ORM that failed.");
    }
}

fn transactions(page: &mut impl Sink, all: &Reading) {
    let (distribution, errors) = &all.transactions;
    let name = "aquifer_transaction_duration_seconds";
    let help = "Duration of transactions, from BEGIN to the end.";
    durations(page, name, distribution, help);
    let name = ("aquifer_transactions_uncommitted_total", Kind::Counter);
    let help = "Transactions that were not known to be committed.";
    single(page, name, *errors, help);
}

fn connections(page: &mut impl Sink, all: &Reading) {
    const POOL: &str = "db_client_connection_pool_name";
    let name = "db_client_connection_count";
    let help = "Open connections by what they do; lanes are used while they have requests.";
    page.family(name, Kind::Gauge, help);
    for (pool, figures) in &all.pools {
        for (state, connections) in [("idle", figures.idle), ("used", figures.used)] {
            let labels = [(POOL, &**pool), ("state", state)];
            page.sample(name, &labels, float(connections as u64));
        }
    }
    for (name, read, help) in OF_POOLS {
        page.family(name, Kind::Gauge, help);
        for (pool, figures) in &all.pools {
            page.sample(name, &[(POOL, pool)], float(read(figures) as u64));
        }
    }
    let name = "db_client_connection_create_time_seconds";
    let help = "Duration of opening a connection.";
    durations(page, name, &all.openings, help);
    let name = "db_client_connection_wait_time_seconds";
    let help = "Duration of waiting for a connection of one's own.";
    durations(page, name, &all.queue, help);
}

fn cache(page: &mut impl Sink, all: &Reading) {
    let name = "aquifer_cache_requests_total";
    let help = "Look-ups in the cache by whether it had the value.";
    page.family(name, Kind::Counter, help);
    page.sample(name, &[("result", "hit")], float(all.hits));
    page.sample(name, &[("result", "miss")], float(all.misses));
    let name = "aquifer_cache_reads_total";
    let help = "Values asked of the layered cache by where they were found.";
    page.family(name, Kind::Counter, help);
    for (result, count) in [
        ("local", all.cache.hits_local),
        ("remote", all.cache.hits_remote),
        ("miss", all.cache.misses),
    ] {
        page.sample(name, &[("result", result)], float(count));
    }
    for (name, read, help) in OF_CACHE {
        single(page, (name, Kind::Counter), read(&all.cache), help);
    }
    for (name, read, help) in OF_CACHES {
        page.family(name, Kind::Gauge, help);
        for (namespace, state) in &all.cache.states {
            if let Some(value) = read(state) {
                page.sample(name, &[("namespace", namespace)], value);
            }
        }
    }
    let Some((memory, clients)) = all.state.redis else {
        return;
    };
    let name = ("aquifer_redis_memory_bytes", Kind::Gauge);
    single(page, name, memory, "Memory that Redis uses.");
    let name = ("aquifer_redis_clients", Kind::Gauge);
    let help = "Clients that are connected to Redis.";
    single(page, name, clients, help);
}

fn custom(page: &mut impl Sink, families: &BTreeMap<String, Family>) {
    for (name, family) in families {
        let base = name.replace('.', "_");
        let (name, kind) = match family.series.values().next() {
            Some(Instrument::Counter(_)) => (format!("{base}_total"), Kind::Counter),
            Some(Instrument::Gauge(_)) => (base, Kind::Gauge),
            Some(Instrument::Timer(_)) => (format!("{base}_seconds"), Kind::Histogram),
            None => continue,
        };
        page.family(&name, kind, "Of the service's own.");
        for (tags, instrument) in &family.series {
            let label = |(name, value): &(String, String)| (name.clone(), value.clone());
            let owned: Vec<_> = tags.iter().map(label).collect();
            let labels: Vec<_> = owned
                .iter()
                .map(|(name, value)| (&**name, &**value))
                .collect();
            match instrument {
                Instrument::Counter(counter) => {
                    page.sample(&name, &labels, float(counter.value()));
                }
                Instrument::Gauge(gauge) => page.sample(&name, &labels, gauge.value()),
                Instrument::Timer(timer) => page.durations(&name, &labels, &timer.0.snapshot()),
            }
        }
    }
}

/// A figure of each statement.
type OfStatement = (&'static str, fn(&StatementMetrics) -> f64, &'static str);

const OF_STATEMENTS: [OfStatement; 4] = [
    (
        "aquifer_statement_calls_total",
        |statement| float(statement.calls),
        "Calls of each statement.",
    ),
    (
        "aquifer_statement_errors_total",
        |statement| float(statement.errors),
        "Calls of each statement that failed.",
    ),
    (
        "aquifer_statement_rows_total",
        |statement| float(statement.rows),
        "Rows that each statement returned or changed.",
    ),
    (
        "aquifer_statement_seconds_total",
        |statement| seconds(u64::try_from(statement.total.as_nanos()).unwrap_or(u64::MAX)),
        "Time of the calls of each statement that succeeded.",
    ),
];

pub(in crate::metrics) fn of_statements(page: &mut impl Sink, statements: &[StatementMetrics]) {
    for (name, read, help) in OF_STATEMENTS {
        page.family(name, Kind::Counter, help);
        for statement in statements {
            let fingerprint = match statement.fingerprint {
                0 => "_other".to_owned(),
                fingerprint => format!("{fingerprint:016x}"),
            };
            let summary = ("db_query_summary", statement.summary.as_str());
            let labels = [("fingerprint", fingerprint.as_str()), summary];
            page.sample(name, &labels, read(statement));
        }
    }
}
