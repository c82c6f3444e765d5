//! Two pools for steps that compare: one that shares, and one as pools usually are.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aquifer::{Config, Db, Dedicated, Error, Session};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::excerpt::excerpt;
use super::scene::Scene;
use super::server::Server;
use super::stage::Failure;

const SOURCE: &str = include_str!("pools.rs");

/// How many connections they have.
pub(super) const FOUR: u32 = 4;
pub(super) const TEN: u32 = 10;

/// Lines of this file: "shared" is how that pool is made, "fast" and "slow" what both are asked.
pub(super) fn code(names: &[&str]) -> Vec<&'static str> {
    let mut code = Vec::new();
    for name in names {
        if !code.is_empty() {
            code.push("");
        }
        code.extend(excerpt(SOURCE, name));
    }
    code
}

/// Where a step's statements go.
#[derive(Clone)]
pub(super) enum Pool {
    Shared(Db),
    Exclusive(Arc<Exclusive>),
}

/// A pool that costs nothing itself: whoever has a session has it alone, and gives it to the next.
pub(super) struct Exclusive {
    db: Db,
    free: Mutex<Vec<Dedicated>>,
    permits: Semaphore,
}

/// By which the server tells their sessions from others.
fn application_name(connections: u32) -> String {
    format!("aquifer-demo-{connections}-{}", std::process::id())
}

fn config(server: &Server, connections: u32) -> Result<Config, Failure> {
    let config = server.config()?.acquire_timeout(Duration::from_secs(20));
    Ok(config.application_name(application_name(connections)))
}

impl Pool {
    /// Three lanes, and one exclusive connection.
    pub(super) async fn four_shared(server: &Server) -> Result<Self, Failure> {
        let config = config(server, FOUR)?;
        // ANCHOR: shared
        let shared = config
            .connections_max(4)
            .advanced(|advanced| advanced.lanes(3));
        // ANCHOR_END: shared
        Ok(Self::Shared(Db::connect_with(&shared).await?))
    }

    pub(super) async fn ten_exclusive(server: &Server) -> Result<Self, Failure> {
        let config = config(server, TEN)?.connections_max(TEN);
        let db = Db::connect_with(&config.advanced(|advanced| advanced.lanes(0))).await?;
        let mut free = Vec::new();
        let mut permits = 0;
        for _ in 0..TEN {
            free.push(db.dedicated().await?);
            permits += 1;
        }
        Ok(Self::Exclusive(Arc::new(Exclusive {
            db,
            free: Mutex::new(free),
            permits: Semaphore::new(permits),
        })))
    }

    pub(super) async fn balance(&self, account: u32) -> Result<i64, Failure> {
        match self {
            Self::Shared(db) => Ok(balance(db, account).await?),
            Self::Exclusive(pool) => {
                let (session, _permit) = pool.take().await?;
                let balance = balance(&session, account).await;
                pool.free().push(session);
                Ok(balance?)
            }
        }
    }

    pub(super) async fn sleep(&self, time: Duration) -> Result<(), Failure> {
        match self {
            Self::Shared(db) => sleep(db, time).await?,
            Self::Exclusive(pool) => {
                let (session, _permit) = pool.take().await?;
                let slept = sleep(&session, time).await;
                pool.free().push(session);
                slept?;
            }
        }
        Ok(())
    }

    /// Whether all connections are open.
    pub(super) fn is_open(&self) -> bool {
        let db = match self {
            Self::Shared(db) => db,
            Self::Exclusive(pool) => &pool.db,
        };
        let status = db.pool_status();
        status.lanes + status.idle + status.in_use == status.connections_max
    }

    pub(super) async fn close(self) -> Result<(), Error> {
        match self {
            Self::Shared(db) => db.close().await,
            Self::Exclusive(pool) => {
                pool.free().clear();
                pool.db.close().await
            }
        }
    }
}

#[rustfmt::skip] // Laid out for the width of a terminal.
async fn balance(db: &impl Session, id: u32) -> Result<i64, Error> {
    // ANCHOR: fast
    db.query_value("select balance from accounts where id = $1", (id,)).await
    // ANCHOR_END: fast
}

#[rustfmt::skip]
async fn sleep(db: &impl Session, time: Duration) -> Result<(), Error> {
    let seconds = time.as_secs_f64();
    // ANCHOR: slow
    db.query("select pg_sleep($1)", (seconds,)).await
    // ANCHOR_END: slow
        .map(drop)
}

impl Exclusive {
    /// In the order of asking.
    async fn take(&self) -> Result<(Dedicated, SemaphorePermit<'_>), Failure> {
        let permit = self.permits.acquire().await?;
        let session = self.free().pop();
        Ok((session.ok_or("a session is missing")?, permit))
    }

    fn free(&self) -> MutexGuard<'_, Vec<Dedicated>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scene {
    /// The server's processes behind the pool of so many connections.
    pub(super) async fn processes(&self, connections: u32) -> Result<Vec<i32>, Error> {
        let sql = "select pid from pg_stat_activity where application_name = $1";
        let name = application_name(connections);
        self.witness.query_column(sql, (name,)).await
    }
}
