//! Pools of another shape than the handle under test, for steps that compare.

use std::time::Duration;

use aquifer::{Config, Db, Error, Session};

use super::excerpt::excerpt;
use super::scene::Scene;
use super::server::Server;
use super::stage::Failure;

const SOURCE: &str = include_str!("pools.rs");

/// How both are made.
pub(super) fn code() -> Vec<&'static str> {
    excerpt(SOURCE, "pools")
}

fn config(server: &Server, name: &str) -> Result<Config, Failure> {
    let config = server.config()?.acquire_timeout(Duration::from_secs(20));
    Ok(config.application_name(application_name(name)))
}

fn application_name(name: &str) -> String {
    format!("aquifer-demo-{name}-{}", std::process::id())
}

/// Three lanes, and one exclusive connection.
pub(super) async fn four_shared(server: &Server) -> Result<Db, Failure> {
    let config = config(server, "shared")?;
    // ANCHOR: pools
    let shared = config
        .connections_max(4)
        .advanced(|advanced| advanced.lanes(3));
    // ANCHOR_END: pools
    Ok(Db::connect_with(&shared).await?)
}

/// What other pools are: whoever has a connection has it alone.
pub(super) async fn ten_exclusive(server: &Server) -> Result<Db, Failure> {
    let config = config(server, "exclusive")?;
    // ANCHOR: pools
    let exclusive = config
        .connections_max(10)
        .advanced(|advanced| advanced.lanes(0));
    // ANCHOR_END: pools
    Ok(Db::connect_with(&exclusive).await?)
}

impl Scene {
    /// The server's processes behind one of these pools.
    pub(super) async fn processes(&self, name: &str) -> Result<Vec<i32>, Error> {
        let sql = "select pid from pg_stat_activity where application_name = $1";
        self.witness
            .query_column(sql, (application_name(name),))
            .await
    }
}
