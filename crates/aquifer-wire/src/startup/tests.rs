//! Start-up against servers that lie, and against real ones.

mod arbitrary;
mod authentication;
mod certificates;
mod encryption;
mod files;
mod messages;
mod peer;
mod roles;
mod silence;
mod tls;

use self::peer::LyingServer;
use super::{Opened, open_any};
use crate::{Config, Error};

/// Opens a session at a scripted server; `text` adds to its address.
async fn open_at(server: &LyingServer, text: &str) -> Result<Opened, Error> {
    let (_target, opened) = open_any(&server.config(text), &[]).await?;
    Ok(opened)
}

async fn refusal(server: &LyingServer, text: &str) -> Error {
    match open_at(server, text).await {
        Ok(opened) => panic!("must be refused: {opened:?}"),
        Err(error) => error,
    }
}

fn config(text: &str) -> Config {
    text.parse().expect("a good connection string")
}
