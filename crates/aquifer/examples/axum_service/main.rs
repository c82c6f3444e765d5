//! A small JSON API: handlers know a service, the service knows repositories by their traits, and
//! only the repositories know tables. Everything is injected here, in `main`.
//!
//! ```sh
//! cargo run --package aquifer --example axum_service             # serves until Ctrl-C
//! cargo run --package aquifer --example axum_service -- --once   # asks each route itself, then ends
//! ```
//!
//! It ends by itself too where standard input is no terminal. It runs on a private PostgreSQL, or on
//! the one that `DATABASE_URL` names, where it leaves the tables `accounts`, `transfers` and
//! `_sqlx_migrations`. `PORT` is the port on 127.0.0.1; default 3000, and any free one with `--once`.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a service reads its environment and spawns, and an example prints what it does"
)]

mod api;
mod bank;
mod failure;
mod repositories;
mod visit;

use std::env;
use std::error::Error;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use aquifer::migrate::Migrator;
use aquifer::{Config, DatabaseManager, Embedded};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::bank::Bank;
use crate::repositories::{Account, Transfer};

/// Applied at the start; several of these services may start at once.
const MIGRATIONS: [(&str, &str); 1] = [("0001_bank.sql", include_str!("migrations/0001_bank.sql"))];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let once = env::args().any(|argument| argument == "--once") || !io::stdin().is_terminal();
    let (url, server) = match env::var("DATABASE_URL") {
        Ok(url) => (url, None),
        Err(_) => {
            let server = tokio::task::spawn_blocking(Embedded::start).await??;
            (server.url(), Some(server))
        }
    };
    let config = Config::from_url(url)?
        .application_name("axum_service")
        // Whoever finds no connection within this time is told to come back later (503).
        .acquire_timeout(Duration::from_secs(1));
    let manager = DatabaseManager::new(config);
    manager.initialize().await?;
    let db = manager.db()?;
    Migrator::from_files(MIGRATIONS)?.up(&db).await?;

    let bank = Bank::new(
        db.clone(),
        Arc::new(db.repo::<Account>()),
        Arc::new(db.repo::<Transfer>()),
    );
    let app = api::router(Arc::new(bank), manager.monitor()?);
    let port = env::var("PORT").unwrap_or_else(|_| if once { "0" } else { "3000" }.to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}");

    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(async move {
        axum::serve(listener, app)
            .with_graceful_shutdown(async { drop(stopped.await) })
            .await
    });
    let visited = if once {
        visit::every_route(address, &db).await
    } else {
        println!("try: curl -d '{{\"owner\":\"Ann\",\"balance\":100}}' \\");
        println!("          -H 'content-type: application/json' http://{address}/accounts");
        Ok(tokio::signal::ctrl_c().await?)
    };

    // No new requests, then the end of those under way, then of the connections that they use.
    manager.monitor()?.refuse_requests();
    drop(stop);
    serving.await??;
    let shutdown = manager.shutdown(Duration::from_secs(10)).await;
    println!(
        "closed {} connections, cut off {}",
        shutdown.closed, shutdown.aborted
    );
    if let Some(server) = server {
        server.stop()?;
    }
    visited
}
