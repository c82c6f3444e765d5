use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Pool;
use moka::future::Cache;
use redis::AsyncCommands as _;
use redis::aio::ConnectionManager;

use crate::{Error, load};

/// How long a name is believed, in seconds.
const TTL: u64 = 60;

/// Names in memory, behind them in Redis, behind them in the database.
pub(crate) struct Names {
    local: Cache<i64, Vec<String>>,
    remote: ConnectionManager,
    pool: Pool,
}

impl Names {
    pub(crate) async fn connect(url: &str, pool: Pool) -> Result<Self, Error> {
        let local = Cache::builder()
            .max_capacity(10_000)
            .time_to_live(Duration::from_secs(TTL))
            .build();
        let remote = ConnectionManager::new(redis::Client::open(url)?).await?;
        Ok(Self {
            local,
            remote,
            pool,
        })
    }

    pub(crate) async fn get(&self, id: i64) -> Result<Vec<String>, Arc<Error>> {
        self.local.try_get_with(id, self.get_remote(id)).await
    }

    async fn get_remote(&self, id: i64) -> Result<Vec<String>, Error> {
        let (mut remote, key) = (self.remote.clone(), format!("user:{id}"));
        let found: Vec<String> = remote.lrange(&key, 0, -1).await?;
        if !found.is_empty() {
            return Ok(found);
        }
        let names = load(&self.pool, id).await?;
        let mut pipe = redis::pipe();
        pipe.rpush(&key, &names).expire(&key, TTL as i64);
        pipe.query_async::<()>(&mut remote).await?;
        Ok(names)
    }
}
