//! Tests against servers that they start themselves.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed expectation is how a test fails"
)]

mod abort;
mod authentication;
mod cancel_safety;
mod cancels;
mod certificates;
mod cuts;
mod database;
mod events;
mod limits;
mod postgres;
mod round_trip;
mod session;
mod stale;
mod tls;
mod unnamed;

use std::sync::Arc;

// Where the strategies of the unit tests look for them.
use aquifer_wire::types;
use aquifer_wire::{Catalog, Client, Config, Error, Limits, Sharing};

/// Opens a session and lets its driver run until the client is dropped.
async fn connect(text: &str) -> Result<Client, Error> {
    connect_with(text, &[]).await
}

async fn connect_with(text: &str, settings: &[(&str, &str)]) -> Result<Client, Error> {
    let config: Arc<Config> = Arc::new(text.parse()?);
    let catalog = Arc::new(Catalog::new(16));
    let (client, driver) = Client::connect(&config, &catalog, &Limits::default(), settings).await?;
    tokio::spawn(driver);
    Ok(client)
}

async fn refusal(text: &str) -> Error {
    match connect(text).await {
        Ok(_client) => panic!("must be refused: {text}"),
        Err(error) => error,
    }
}

/// The one value that a statement returns, as text.
async fn value(client: &Client, sql: &str) -> String {
    let reply = client.query(sql, &(), Sharing::Own).await.unwrap();
    let row = reply.rows().next().unwrap();
    row.get(0).unwrap()
}
