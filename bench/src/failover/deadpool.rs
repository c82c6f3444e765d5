use std::time::Duration;

use aquifer_testkit::{Client, Wrote};
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio::time::timeout;
use tokio_postgres::config::LoadBalanceHosts;
use tokio_postgres::{Config, NoTls};

use super::{DEADLINE, READ, WRITE, one_line};
use crate::Error;

/// A part of a deadline, so that there is time for something else.
const QUICKLY: Duration = Duration::from_millis(500);

/// tokio-postgres looks for the host that takes writes at each connect; deadpool keeps ten of them.
/// All its time-outs are on.
#[derive(Clone)]
pub struct Deadpool(Pool);

impl Deadpool {
    /// Makes it for a URL of both hosts.
    ///
    /// `tuned` for failovers: each connection is asked before it is used, where the default only sees
    /// those that were closed; hosts are tried in random order, so that one which accepts and stays
    /// silent does not meet every attempt; and connecting is given a part of the deadline only.
    ///
    /// # Errors
    /// When the URL can't be read.
    pub fn connect(url: &str, tuned: bool) -> Result<Self, Error> {
        let mut config: Config = format!("{url}?target_session_attrs=read-write").parse()?;
        let (recycling_method, limit) = if tuned {
            config.load_balance_hosts(LoadBalanceHosts::Random);
            (RecyclingMethod::Verified, QUICKLY)
        } else {
            (RecyclingMethod::Fast, DEADLINE)
        };
        config.connect_timeout(limit);
        let manager = ManagerConfig { recycling_method };
        let pool = Pool::builder(Manager::from_config(config, NoTls, manager))
            .max_size(10)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(DEADLINE))
            .create_timeout(Some(limit))
            .recycle_timeout(Some(limit));
        Ok(Self(pool.build()?))
    }

    async fn object(&self) -> Result<Object, String> {
        self.0.get().await.map_err(|error| one_line(&error))
    }

    async fn insert(&self, id: i64) -> Wrote {
        let client = match self.object().await {
            Ok(client) => client,
            Err(error) => return Wrote::NotDone(error),
        };
        let statement = match client.prepare_cached(WRITE).await {
            Ok(statement) => statement,
            Err(error) => return Wrote::NotDone(one_line(&error)),
        };
        match client.execute(&statement, &[&id]).await {
            Ok(_) => Wrote::Done,
            // The server refused it: it is a standby now, for example.
            Err(error) if error.as_db_error().is_some_and(said_no) => {
                Wrote::NotDone(one_line(&error))
            }
            Err(error) => Wrote::Unknown(one_line(&error)),
        }
    }
}

/// Whether the error came from the statement and not from the end of the session, before which the
/// commit may have happened.
fn said_no(error: &tokio_postgres::error::DbError) -> bool {
    !error.code().code().starts_with("57P")
}

impl Client for Deadpool {
    async fn read(&self, id: i64) -> Result<i64, String> {
        let answer = async {
            let client = self.object().await?;
            let statement = client.prepare_cached(READ).await;
            let statement = statement.map_err(|error| one_line(&error))?;
            let row = client.query_one(&statement, &[&id]).await;
            row.map(|row| row.get(0)).map_err(|error| one_line(&error))
        };
        timeout(DEADLINE, answer)
            .await
            .unwrap_or_else(|_elapsed| Err("the caller's deadline".to_owned()))
    }

    async fn write(&self, id: i64) -> Wrote {
        timeout(DEADLINE, self.insert(id))
            .await
            .unwrap_or_else(|_elapsed| Wrote::Unknown("the caller's deadline".to_owned()))
    }

    async fn resolve(&self, _id: i64) -> Option<bool> {
        None
    }
}
