use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aquifer::{
    Cache, CacheOptions, Config, ConnectionMonitor, DatabaseManager, Db, Error, Listening,
    MetricsCollector, Outcome, Row, Service, Session, Status, values,
};
use aquifer_testkit::Redis;
use serde::{Deserialize, Serialize};

use super::{empty, filled};
use crate::support;

async fn serve(url: &str) -> Result<(), Error> {
    // Initialize database connections
    let manager = DatabaseManager::new(Config::from_url(url)?);
    manager.initialize().await?;
    let db = manager.db()?;

    // Check database health
    let health = manager.health().await;
    assert!(health.iter().all(|service| service.status == Status::Up));
    assert_eq!(db.query_value::<i32>("select 1", ()).await?, 1);

    // Shutdown database connections
    let ended = manager.shutdown(Duration::from_secs(10)).await;
    assert_eq!(ended.aborted, 0);
    Ok(())
}

async fn queries(db: &Db, user_id: i64) -> Result<Vec<Row>, Error> {
    // Execute a query
    let users = db
        .query("SELECT * FROM users WHERE active = $1", (true,))
        .await?;
    assert_eq!(users.len(), 2);

    // Use the query builder
    let posts = db
        .query_builder()
        .from("posts")
        .where_("user_id", "=", user_id)
        .order_by("created_at", "DESC")
        .limit(10)
        .get()
        .await?;
    Ok(posts)
}

async fn transaction(db: &Db) -> Result<(), Error> {
    db.with_transaction(async |_| {
        db.execute("INSERT INTO users (name) VALUES ($1)", ("John",))
            .await?;
        let profile = "INSERT INTO profiles (user_id, bio) VALUES ($1, $2)";
        db.execute(profile, (1, "Hello")).await
    })
    .await?;
    Ok(())
}

async fn builder(db: &Db) -> Result<(), Error> {
    // Build and execute a query
    let users = db
        .from("users")
        .select(("id", "name", "email"))
        .where_("active", "=", true)
        .order_by("created_at", "DESC")
        .limit(10)
        .get()
        .await?;
    assert_eq!(users.len(), 2);

    // Insert a record
    let user = db
        .from("users")
        .insert(values! { name: "John", email: "john@example.com", active: true })
        .await?;
    let id: i64 = user.get("id")?;

    // Update a record
    let affected_rows = db
        .from("users")
        .where_("id", "=", id)
        .update(values! { name: "John Doe", updated_at: SystemTime::now() })
        .await?;
    assert_eq!(affected_rows, 1);

    // Delete a record
    let affected_rows = db.from("users").where_("id", "=", id).delete().await?;
    assert_eq!(affected_rows, 1);
    Ok(())
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: i64,
    name: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Update {
    id: i64,
    action: String,
}

async fn cache(cache: &Cache) -> Result<(), Error> {
    let john = User {
        id: 1,
        name: "John".into(),
    };
    let jane = User {
        id: 2,
        name: "Jane".into(),
    };
    let hour = CacheOptions::new().ttl(Duration::from_secs(3600));
    cache.set_with("user:1", &john, &hour).await?;
    let user: Option<Arc<User>> = cache.get("user:1").await?;
    assert_eq!(user.as_deref(), Some(&john));
    cache.delete(["user:1"]).await?;
    assert!(!cache.exists("user:1").await?);
    cache
        .mset_with([("user:1", &john), ("user:2", &jane)], &hour)
        .await?;
    let values: Vec<Option<Arc<User>>> = cache.mget(["user:1", "user:2", "user:3"]).await?;
    assert_eq!(values.iter().flatten().count(), 2);
    let new_value = cache.increment("visits", 1).await?;
    assert_eq!(new_value, 1);

    // As long as the subscription is kept
    let subscription = cache
        .subscribe("user-updates", |message: Update, channel: &str| {
            println!("Received message on channel {channel}: {message:?}");
        })
        .await?;
    let update = Update {
        id: 1,
        action: "updated".into(),
    };
    assert_eq!(cache.publish("user-updates", &update).await?, 1);
    drop(subscription);
    Ok(())
}

fn metrics(metrics: &MetricsCollector) -> Option<f64> {
    // Track a PostgreSQL query
    metrics.track_postgres_query(Duration::from_millis(100), Outcome::Success, false);

    // Track a Redis operation
    metrics.track_redis_operation(Duration::from_millis(50), Outcome::Success, Some(true));

    // Track a query of an ORM
    metrics.track_orm_query(Duration::from_millis(200), Outcome::Success);

    // Update pool and Redis metrics
    metrics.update_postgres_pool(10, 5, 5, 0);
    metrics.update_redis(1024 * 1024, 5);

    // Get all metrics
    for (name, metric) in metrics.metrics() {
        println!("{name}: {:?}", metric.value());
    }

    // Get a specific metric
    metrics.metric("postgres.query.duration.avg")?.value()
}

async fn monitor(monitor: &ConnectionMonitor) -> bool {
    // Check the health of all connections
    monitor.check_health().await;

    // Get the health history for a specific service
    let postgres_history = monitor.health_history(Service::Postgres);

    // Check if all connections are healthy
    monitor.is_healthy() && !postgres_history.is_empty()
}

/// Each stays until it is dropped.
fn listen(monitor: &ConnectionMonitor) -> [Listening; 3] {
    [
        // Listen for health change events
        monitor.on_health_change(|service, from, to, evidence| {
            println!("Health of {service} changed from {from:?} to {to:?}: {evidence}");
        }),
        // Listen for connection error events
        monitor.on_connection_error(|service, error| {
            eprintln!("Error in {service} connection: {error}");
        }),
        // Listen for connection recovery events
        monitor.on_connection_recovery(|service| println!("{service} connection recovered")),
    ]
}

#[tokio::test]
async fn the_manager_brings_connections_up_and_down() -> Result<(), Error> {
    serve(&support::url()).await
}

#[tokio::test]
async fn the_cache_does_what_it_says() -> Result<(), Error> {
    let redis = Redis::start();
    let shared = Cache::connect(&Config::new().redis_url(redis.url())).await?;
    cache(&shared).await?;
    cache(&Cache::in_process(&Config::new())?).await
}

#[tokio::test]
async fn the_wrapper_and_the_builder_do_what_they_say() -> Result<(), Error> {
    let db = filled().await;
    let posts = queries(&db, 1).await?;
    assert_eq!(posts.len(), 10);
    assert!(
        posts
            .iter()
            .all(|post| post.get::<i64>("user_id").is_ok_and(|user| user == 1))
    );
    builder(&db).await?;
    transaction(&db).await?;
    let bio: String = db
        .query_value("select bio from profiles where user_id = 1", ())
        .await?;
    assert_eq!(bio, "Hello");
    support::assert_whole(&db).await;
    Ok(())
}

#[tokio::test]
async fn figures_and_health_are_there() -> Result<(), Error> {
    let db = empty().await;
    assert!(metrics(db.metrics()) > Some(0.0));
    let watch = db.monitor();
    let _listening = listen(&watch);
    assert!(monitor(&watch).await);
    Ok(())
}
