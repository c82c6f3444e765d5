//! The database manager: all connections are brought up, asked for their health, and shut down.
//!
//! ```sh
//! cargo run --package aquifer --example database_manager
//! ```
//!
//! It starts a private PostgreSQL and a private Redis.
#![allow(
    clippy::print_stdout,
    reason = "an example shows what it does by printing it"
)]

use std::error::Error;
use std::time::Duration;

use aquifer::{Config, DatabaseManager, Embedded, Session, Status};
use aquifer_testkit::Redis;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (postgres, redis) = (Embedded::start()?, Redis::start());
    let config = Config::from_url(postgres.url())?.redis_url(redis.url());

    // Initialize database connections.
    let manager = DatabaseManager::new(config);
    manager.initialize().await?;

    // The handle is what the rest of a service is given; it is cheap to clone.
    let db = manager.db()?;
    let one: i32 = db.query_value("select 1", ()).await?;
    assert_eq!(one, 1);

    // Check database health.
    let health = manager.health().await;
    for service in &health {
        println!(
            "{} is {:?}, asked and answered in {:?}",
            service.service, service.status, service.latency
        );
    }
    assert_eq!(health.len(), 2);
    assert!(health.iter().all(|service| service.status == Status::Up));

    // Shutdown database connections: what runs has this long to finish, what waits is refused.
    let ended = manager.shutdown(Duration::from_secs(10)).await;
    println!(
        "{} connections closed, {} calls cut off, {} refused",
        ended.closed, ended.aborted, ended.refused
    );
    assert!(manager.db().is_err() && db.query("select 1", ()).await.is_err());
    postgres.stop()?;
    Ok(())
}
