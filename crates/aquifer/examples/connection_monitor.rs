//! The connection monitor: health, its history, and events, with a server that really goes away.
//!
//! ```sh
//! cargo run --package aquifer --example connection_monitor
//! ```
//!
//! It starts a private PostgreSQL, kills it, and starts it again.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "an example waits for its server, and prints what it does"
)]

use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;

use aquifer::{Config, Db, Embedded, Finding, HealthProbe, ProbeFuture, Service};
use tokio::task::block_in_place;

/// Nothing here takes so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Something else that the service can't do without.
struct Disk;

impl HealthProbe for Disk {
    fn service(&self) -> Service {
        Service::Custom("disk")
    }

    fn probe(&self) -> ProbeFuture<'_> {
        Box::pin(async {
            match std::env::temp_dir().metadata() {
                Ok(_) => Finding::up(),
                Err(error) => Finding::down(error.to_string()),
            }
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut server = block_in_place(Embedded::start)?;
    let config = Config::from_url(server.url())?.advanced(|advanced| {
        // So that the example is short; the defaults are 30 s and 1 s.
        advanced
            .health_interval(Duration::from_millis(500))
            .health_interval_alarm(Duration::from_millis(100))
    });
    let db = Db::connect_with(&config).await?;

    // Start monitoring connections.
    let monitor = db.monitor();
    monitor.register(Disk)?;
    monitor.start();

    // Listen for events; each stays until it is dropped.
    let (told, heard) = mpsc::sync_channel(16);
    let changed = monitor.on_health_change(move |service, from, to, evidence| {
        println!("health of {service} changed from {from:?} to {to:?}: {evidence}");
        // Nobody listens any more once the example ends.
        let _ = told.try_send(to);
    });
    let failed = monitor.on_connection_error(|service, error| {
        println!("error in {service} connection: {error}");
    });
    let recovered = monitor.on_connection_recovery(|service| {
        println!("{service} connection recovered");
    });
    let switched = monitor.on_failover(|service, from, to| {
        println!(
            "{service} failover from {} to {to}",
            from.unwrap_or("nobody")
        );
    });

    // Check the health of all connections.
    for health in monitor.check_health().await {
        println!(
            "{}: {:?} in {:?}",
            health.service, health.status, health.latency
        );
    }
    println!("healthy: {}", monitor.is_healthy());

    println!("-- the server is killed");
    block_in_place(|| server.kill())?;
    block_in_place(|| heard.recv_timeout(PATIENCE))?;
    println!("healthy: {}", monitor.is_healthy());
    println!(
        "failures in a row: {}",
        monitor.consecutive_failures(Service::Postgres)
    );
    println!("readiness: {}", monitor.readiness().status_code);

    println!("-- the server starts");
    block_in_place(|| server.start_again())?;
    block_in_place(|| heard.recv_timeout(PATIENCE))?;
    for health in monitor.current_health() {
        println!("{}: {:?}", health.service, health.status);
    }
    let history = monitor.health_history(Service::Postgres);
    println!("{} findings about postgres so far", history.len());
    println!("{}", monitor.health().body);

    // Stop monitoring connections.
    monitor.stop();
    drop((changed, failed, recovered, switched));
    db.close().await?;
    server.stop()?;
    Ok(())
}
