//! What is counted, by name, per statement, over time, and as Prometheus reads it.

mod exposition;
#[cfg(feature = "metrics")]
mod facade;
mod logging;

use std::time::Duration;

use aquifer::{Batch, DatabaseManager, Db, Error, Event, MetricsCollector, Outcome, Session};

use crate::support;

/// The names that the layer promises.
const NAMES: [&str; 50] = [
    "postgres.queries.total",
    "postgres.queries.error",
    "postgres.transactions.total",
    "postgres.transactions.error",
    "postgres.query.duration.avg",
    "postgres.query.duration.p95",
    "postgres.query.duration.p99",
    "postgres.query.queue.avg",
    "postgres.query.queue.p95",
    "postgres.query.queue.p99",
    "postgres.query.execute.avg",
    "postgres.query.decode.avg",
    "postgres.query.decode.p95",
    "postgres.query.decode.p99",
    "postgres.transaction.duration.avg",
    "postgres.transaction.duration.p95",
    "postgres.transaction.duration.p99",
    "postgres.pool.total",
    "postgres.pool.idle",
    "postgres.pool.used",
    "postgres.pool.waiting",
    "postgres.health",
    "redis.operations.total",
    "redis.operations.error",
    "redis.operation.duration.avg",
    "redis.operation.duration.p95",
    "redis.operation.duration.p99",
    "redis.cache.hits",
    "redis.cache.misses",
    "redis.memory.used",
    "redis.clients.connected",
    "redis.health",
    "cache.hits.local",
    "cache.hits.remote",
    "cache.misses",
    "cache.stale",
    "cache.unreadable",
    "cache.loads",
    "cache.fills",
    "cache.dead_on_arrival",
    "cache.bumps",
    "cache.linked",
    "cache.verified.age",
    "cache.values",
    "cache.bytes",
    "prisma.queries.total",
    "prisma.queries.error",
    "prisma.query.duration.avg",
    "prisma.query.duration.p95",
    "prisma.query.duration.p99",
];

fn value(metrics: &MetricsCollector, name: &str) -> f64 {
    let metric = metrics.metric(name).unwrap_or_else(|| panic!("{name}"));
    metric
        .value()
        .unwrap_or_else(|| panic!("{name} is unknown"))
}

fn is(metrics: &MetricsCollector, name: &str, expected: f64) {
    let found = value(metrics, name);
    assert!(
        (found - expected).abs() < 1e-9,
        "{name}: {found} for {expected}"
    );
}

#[test]
fn all_names_are_there_and_no_others() {
    let metrics = MetricsCollector::new();
    let mut names: Vec<_> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    names.sort();
    assert_eq!(metrics.metrics().into_keys().collect::<Vec<_>>(), names);
    assert!(metrics.metric("postgres.queries").is_none());
    assert_eq!(metrics.metric("redis.health").unwrap().value(), None);
}

#[test]
fn what_is_tracked_by_hand_is_read_back() {
    let metrics = MetricsCollector::new();
    let ms = Duration::from_millis;
    metrics.track_postgres_query(ms(100), Outcome::Success, false);
    metrics.track_postgres_query(ms(300), Outcome::Error, true);
    metrics.track_redis_operation(ms(50), Outcome::Success, Some(true));
    metrics.track_redis_operation(ms(50), Outcome::Error, Some(false));
    metrics.track_redis_operation(ms(20), Outcome::from(&Ok::<(), ()>(())), None);
    metrics.track_orm_query(ms(200), Outcome::Error);
    metrics.update_postgres_pool(10, 5, 4, 1);
    metrics.update_redis(1024 * 1024, 5);
    for (name, expected) in [
        ("postgres.queries.total", 2.0),
        ("postgres.queries.error", 1.0),
        ("postgres.query.duration.avg", 200.0),
        ("postgres.transactions.total", 1.0),
        ("postgres.transactions.error", 1.0),
        ("postgres.transaction.duration.avg", 300.0),
        ("postgres.pool.total", 10.0),
        ("postgres.pool.idle", 5.0),
        ("postgres.pool.used", 4.0),
        ("postgres.pool.waiting", 1.0),
        ("redis.operations.total", 3.0),
        ("redis.operations.error", 1.0),
        ("redis.operation.duration.avg", 40.0),
        ("redis.cache.hits", 1.0),
        ("redis.cache.misses", 1.0),
        ("redis.memory.used", 1_048_576.0),
        ("redis.clients.connected", 5.0),
        ("prisma.queries.total", 1.0),
        ("prisma.queries.error", 1.0),
        ("prisma.query.duration.avg", 200.0),
    ] {
        is(&metrics, name, expected);
    }
    let p99 = value(&metrics, "postgres.query.duration.p99");
    assert!((291.0..=300.0).contains(&p99), "{p99}");
    metrics.reset();
    is(&metrics, "postgres.queries.total", 0.0);
    is(&metrics, "redis.cache.hits", 0.0);
    // A state is not counted, so it is not forgotten.
    is(&metrics, "redis.clients.connected", 5.0);
}

#[tokio::test]
async fn every_call_and_transaction_is_counted_once() {
    let db = support::db().await;
    db.execute_script("create table t (a int primary key)")
        .await
        .unwrap();
    db.metrics().reset();
    for a in 0..20 {
        db.execute("insert into t values ($1)", (a,)).await.unwrap();
    }
    db.execute("insert into t values ($1)", (3,))
        .await
        .unwrap_err();
    db.batch(Batch::new().add("select 1", ()).add("select 2", ()))
        .await
        .unwrap();
    let done = db.with_transaction(async |tx| {
        tx.execute("insert into t values ($1)", (100,)).await?;
        let savepoint = tx.begin().await?;
        savepoint.execute("select 3", ()).await?;
        savepoint.commit().await
    });
    done.await.unwrap();
    let tx = db.begin().await.unwrap();
    tx.execute("select 4", ()).await.unwrap();
    tx.rollback().await.unwrap();
    let metrics = db.metrics();
    is(metrics, "postgres.queries.total", 25.0);
    is(metrics, "postgres.queries.error", 1.0);
    is(metrics, "postgres.transactions.total", 2.0);
    is(metrics, "postgres.transactions.error", 1.0);
    is(metrics, "postgres.health", 1.0);
    assert!(value(metrics, "postgres.query.duration.p95") > 0.0);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn the_pool_is_asked_when_figures_are_read() {
    let db = support::db_of(4).await;
    let before = value(db.metrics(), "postgres.pool.used");
    let held = db.dedicated().await.unwrap();
    let status = db.pool_status();
    is(db.metrics(), "postgres.pool.used", before + 1.0);
    let total = value(db.metrics(), "postgres.pool.total");
    assert!(total >= 1.0 && total <= status.connections_max as f64);
    drop(held);
    support::assert_whole(&db).await;
    db.close().await.unwrap();
    is(db.metrics(), "postgres.pool.total", 0.0);
}

#[tokio::test]
async fn each_statement_has_its_own_figures_the_costliest_first() {
    let db = support::db().await;
    for _ in 0..3 {
        db.query("select generate_series(1, $1::int)", (5,))
            .await
            .unwrap();
    }
    db.query("select pg_sleep(0.05)", ()).await.unwrap();
    db.query("select 1/0, 'canary'", ()).await.unwrap_err();
    let statements = db.metrics().statements();
    let find = |text: &str| {
        let found = statements.iter().find(|statement| statement.text == text);
        found.unwrap_or_else(|| panic!("{text} is not in {statements:?}"))
    };
    let series = find("select generate_series(?, $1::int)");
    assert_eq!((series.calls, series.errors, series.rows), (3, 0, 15));
    assert!(series.total >= series.max && series.max >= series.average);
    let failed = find("select ?/?, ?");
    assert_eq!((failed.calls, failed.errors), (1, 1));
    let slow = find("select pg_sleep(?)");
    assert!(slow.average >= Duration::from_millis(50), "{slow:?}");
    assert!(statements.is_sorted_by(|before, after| before.total >= after.total));
}

#[tokio::test]
async fn statements_beyond_the_most_are_counted_together() {
    let db = support::db().await;
    for number in 0..520 {
        let sql = aquifer::AssertSafe(format!("select 1 as column_{number}"));
        db.execute(sql, ()).await.unwrap();
    }
    let statements = db.metrics().statements();
    assert_eq!(statements.len(), 501);
    let other = statements
        .iter()
        .find(|each| each.text == "_other")
        .unwrap();
    assert_eq!((other.calls, other.fingerprint), (20, 0));
    is(db.metrics(), "postgres.queries.total", 520.0);
    assert!(db.metrics().prometheus_statements().contains("_other"));
}

#[tokio::test]
async fn waiting_for_a_connection_is_told_apart() {
    let config = support::config(support::url()).connections_max(1);
    let config = config.advanced(|advanced| advanced.lanes(0));
    let db = Db::connect_with(&config).await.unwrap();
    let held = db.dedicated().await.unwrap();
    let waiting = {
        let db = db.clone();
        tokio::spawn(async move { db.execute("select txid_current()", ()).await })
    };
    support::until("somebody waits", || db.pool_status().waiting == 1).await;
    is(db.metrics(), "postgres.pool.waiting", 1.0);
    tokio::time::sleep(Duration::from_millis(20)).await;
    drop(held);
    waiting.await.unwrap().unwrap();
    let queued = value(db.metrics(), "postgres.query.queue.p99");
    assert!(queued >= 19.0, "{queued}");
    let whole = value(db.metrics(), "postgres.query.duration.avg");
    let executed = value(db.metrics(), "postgres.query.execute.avg");
    assert!(whole - executed >= 19.0, "{executed} of {whole}");
    let statements = db.metrics().statements();
    let waited = statements.iter().map(|each| each.queue).sum::<Duration>();
    assert!(waited >= Duration::from_millis(19), "{waited:?}");
}

#[tokio::test]
async fn a_caller_that_gets_no_connection_is_counted_wherever_it_waits() {
    let config = support::config(support::url()).connections_max(1);
    let config = config.acquire_timeout(Duration::from_millis(20));
    let config = config.advanced(|advanced| advanced.lanes(0));
    let db = Db::connect_with(&config).await.unwrap();
    let held = db.dedicated().await.unwrap();
    db.begin().await.unwrap_err();
    db.execute("select txid_current()", ()).await.unwrap_err();
    assert!(value(db.metrics(), "postgres.query.queue.p99") >= 19.0);
    let page = db.metrics().prometheus();
    assert!(
        page.contains("\ndb_client_connection_timeouts_total 2\n"),
        "{page}"
    );
    assert!(
        page.contains("\ndb_client_connection_wait_time_seconds_count 2\n"),
        "{page}"
    );
    drop(held);
}

#[tokio::test]
async fn reading_many_rows_is_measured() {
    let db = support::db().await;
    let numbers: Vec<i64> = db
        .query_column("select generate_series(1, 5000)::bigint", ())
        .await
        .unwrap();
    assert_eq!(numbers.len(), 5000);
    assert!(value(db.metrics(), "postgres.query.decode.p95") > 0.0);
    assert!(db.metrics().statements()[0].decode > Duration::ZERO);
}

#[tokio::test]
async fn points_are_kept_each_interval_and_told_as_an_event() {
    let config = support::config(support::url());
    let config = config.advanced(|advanced| advanced.metrics_interval(Duration::from_millis(100)));
    let db = Db::connect_with(&config).await.unwrap();
    let mut events = db.events();
    db.execute("select 1", ()).await.unwrap();
    let values = loop {
        let event = events.next().await.expect("the handle is there");
        if let Event::MetricsCollected { values, .. } = event {
            let mut values = values.iter();
            let total = values.find(|(name, _)| name == "postgres.queries.total");
            // The first may have been collected before the query was done.
            if total.expect("it has this name").1 > 0.0 {
                break total.cloned();
            }
        }
    };
    assert_eq!(values.map(|(_, value)| value), Some(1.0));
    let metric = db.metrics().metric("postgres.queries.total").unwrap();
    // One that was kept, one of now.
    assert!(metric.points.len() >= 2, "{metric:?}");
    assert!(metric.points.is_sorted_by_key(|point| point.time));
    support::assert_whole(&db).await;
}

#[test]
fn no_more_than_a_thousand_points_are_kept() {
    let metrics = MetricsCollector::new();
    for _ in 0..1003 {
        metrics.collect();
    }
    let metric = metrics.metric("postgres.queries.total").unwrap();
    assert_eq!(metric.points.len(), 1001);
    metrics.reset();
    assert_eq!(
        metrics
            .metric("postgres.queries.total")
            .unwrap()
            .points
            .len(),
        1
    );
}

#[tokio::test]
async fn handles_that_share_a_collector_are_counted_together() {
    let metrics = MetricsCollector::new();
    let config = support::config(support::url()).metrics(&metrics);
    let (one, other) = (
        Db::connect_with(&config).await.unwrap(),
        Db::connect_with(&config).await.unwrap(),
    );
    one.execute("select 1", ()).await.unwrap();
    other.execute("select 1", ()).await.unwrap();
    is(&metrics, "postgres.queries.total", 2.0);
    let manager = DatabaseManager::new(config);
    manager.initialize().await.unwrap();
    manager.db().unwrap().execute("select 2", ()).await.unwrap();
    assert!(value(manager.metrics(), "postgres.queries.total") >= 3.0);
    manager.shutdown(Duration::from_secs(5)).await;
}

#[test]
fn metrics_of_the_users_own_are_listed_with_their_tags() -> Result<(), Error> {
    let metrics = MetricsCollector::new();
    let east = metrics.counter("shop.orders", &[("region", "east")])?;
    let west = metrics.counter("shop.orders", &[("region", "west")])?;
    east.add(2);
    west.add(3);
    metrics
        .counter("shop.orders", &[("region", "east")])?
        .add(5);
    metrics.gauge("shop.baskets", &[])?.set(2.5);
    let timer = metrics.histogram("shop.checkout", &[])?;
    timer.record(Duration::from_millis(10));
    is(&metrics, "shop.orders", 10.0);
    is(&metrics, "shop.baskets", 2.5);
    is(&metrics, "shop.checkout.avg", 10.0);
    let points = metrics.metric("shop.orders").unwrap().points;
    assert_eq!(points[0].tags[0], ("region".to_owned(), "east".to_owned()));
    metrics.collect();
    assert_eq!(metrics.metric("shop.orders").unwrap().points.len(), 4);
    is(&metrics, "shop.orders", 10.0);
    Ok(())
}

#[test]
fn a_name_or_tag_that_can_not_be_exported_is_refused() {
    let metrics = MetricsCollector::new();
    for name in [
        "",
        "Orders",
        "a..b",
        "a_b",
        "postgres.x",
        "a.total",
        "1a",
        "a.p95",
        "a b",
    ] {
        let error = metrics.counter(name, &[]).unwrap_err();
        assert_eq!(error.kind(), aquifer::ErrorKind::Usage, "{name}");
    }
    let twice = [("a", "1"), ("a", "2")];
    for tags in [
        &[("le", "1")][..],
        &[("A", "1")],
        &[("", "1")],
        &[("a-b", "1")],
        &twice,
    ] {
        assert!(metrics.counter("fine", tags).is_err(), "{tags:?}");
    }
    metrics.counter("taken", &[]).unwrap();
    let error = metrics.gauge("taken", &[]).unwrap_err();
    assert!(error.to_string().contains("another kind"), "{error}");
}

#[test]
fn tags_without_end_end() {
    let metrics = MetricsCollector::new();
    for number in 0..1200 {
        let user = number.to_string();
        metrics
            .counter("visits", &[("user", &user)])
            .unwrap()
            .add(1);
    }
    let metric = metrics.metric("visits").unwrap();
    assert_eq!(metric.points.len(), 1001);
    is(&metrics, "visits", 1200.0);
}
