//! The metrics collector: fed by real queries, and by hand; read by name, per statement, and as a
//! page for Prometheus.
//!
//! ```sh
//! cargo run --package aquifer --example metrics_collector
//! ```
//!
//! It starts a private PostgreSQL.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "an example waits for its server, and prints what it does"
)]

use std::error::Error;
use std::time::Duration;

use aquifer::migrate::Migrator;
use aquifer::{Config, Db, Embedded, Event, MetricsCollector, Outcome, Session};
use tokio::task::block_in_place;

const MIGRATIONS: [(&str, &str); 1] = [(
    "0001_users.sql",
    "create table users (id bigint primary key, name text)",
)];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let server = block_in_place(Embedded::start)?;
    let config = Config::from_url(server.url())?.advanced(|advanced| {
        // So that the example is short; the default is a minute.
        advanced.metrics_interval(Duration::from_millis(200))
    });
    let db = Db::connect_with(&config).await?;
    let metrics = db.metrics();
    let mut events = db.events();

    use_the_database(&db).await?;
    track_by_hand(metrics);

    // Get all metrics.
    for (name, metric) in metrics.metrics() {
        if let Some(value) = metric.value().filter(|value| *value > 0.0) {
            println!("{name}: {value:.3}");
        }
    }

    // Get a specific metric.
    let query_duration = metrics
        .metric("postgres.query.duration.avg")
        .and_then(|metric| metric.value())
        .ok_or("it is always there")?;
    println!("a query takes {query_duration:.3} ms on average");

    // What costs most?
    let statements = metrics.statements();
    for statement in statements.iter().take(3) {
        println!(
            "{} calls, {:?} in all, p95 {:?}: {}",
            statement.calls, statement.total, statement.p95, statement.text
        );
    }

    // A metric of one's own.
    let orders = metrics.counter("shop.orders", &[("region", "east")])?;
    orders.add(1);
    let page = metrics.prometheus();
    let line = page.lines().find(|line| line.starts_with("shop_orders"));
    println!("{}", line.ok_or("it is on the page")?);

    // A point of each metric is kept from time to time, which is an event.
    while let Some(event) = events.next().await {
        if let Event::MetricsCollected { values, .. } = event {
            println!("{} values were collected", values.len());
            break;
        }
    }
    let kept = metrics
        .metric("postgres.queries.total")
        .ok_or("it is always there")?;
    assert!(
        kept.points.len() >= 2 && kept.value() >= Some(104.0),
        "{kept:?}"
    );
    db.close().await?;
    Ok(())
}

/// Everything here is counted without anybody saying so.
async fn use_the_database(db: &Db) -> Result<(), aquifer::Error> {
    Migrator::from_files(MIGRATIONS)?.up(db).await?;
    for id in 0..100_i64 {
        db.execute("insert into users values ($1, $2)", (id, "John"))
            .await?;
    }
    let renamed = db.with_transaction(async |tx| {
        tx.execute("update users set name = $1 where id = $2", ("Jane", 7))
            .await
    });
    renamed.await?;
    let names: Vec<String> = db.query_column("select name from users", ()).await?;
    println!("{} users", names.len());
    if let Err(error) = db
        .execute("insert into users (id) values ($1)", (7_i64,))
        .await
    {
        println!(
            "counted as {:?}: {error}",
            error.sqlstate().map(aquifer::SqlState::code)
        );
    }
    Ok(())
}

/// For what runs elsewhere: the calls of the seed.
fn track_by_hand(metrics: &MetricsCollector) {
    // Track a PostgreSQL query.
    metrics.track_postgres_query(Duration::from_millis(100), Outcome::Success, false);

    // Track a Redis operation.
    metrics.track_redis_operation(Duration::from_millis(50), Outcome::Success, Some(true));

    // Track a query of an ORM.
    metrics.track_orm_query(Duration::from_millis(200), Outcome::Success);

    // Update PostgreSQL pool metrics.
    metrics.update_postgres_pool(10, 5, 5, 0);

    // Update Redis metrics.
    metrics.update_redis(1024 * 1024, 5);
}
