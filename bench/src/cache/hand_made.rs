//! A cache as it is put together by hand: moka before redis-rs before the database, and messages to the
//! other processes.
//!
//! It is written with care: one load for all who miss, values removed in Redis and by a message to all
//! after each write, what is in memory removed again when the subscription was lost. What it does not
//! have is any knowledge of how old the value is that it puts somewhere.

use std::sync::Arc;
use std::time::Duration;

use aquifer_testkit::{Cached, Failpoint, List, Loading, Part, Versions, Way};
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use futures_util::StreamExt;
use moka::future::Cache;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, Client, RedisError};
use tokio_postgres::NoTls;

use crate::Error;

const CHANNEL: &str = "invalidate";

/// How long a value is kept, in memory and in Redis.
const TTL_SECONDS: u64 = 60;

/// What Redis may take for an answer before one does without.
const TIMEOUT: Duration = Duration::from_millis(500);

/// moka, redis-rs and deadpool.
#[derive(Clone)]
pub struct HandMade {
    memory: Cache<u32, i64>,
    redis: ConnectionManager,
    database: Pool,
}

impl HandMade {
    /// Connects a process of the trial.
    ///
    /// # Errors
    /// What Redis or a URL says.
    pub async fn connect(part: &Part) -> Result<Self, Error> {
        let client = Client::open(part.redis.as_str())?;
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(TIMEOUT))
            .set_connection_timeout(Some(TIMEOUT));
        let redis = ConnectionManager::new_with_config(client.clone(), config).await?;
        let manager = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = Manager::from_config(part.database.parse()?, NoTls, manager);
        let database = Pool::builder(manager)
            .max_size(10)
            .runtime(Runtime::Tokio1)
            .build()?;
        let memory = Cache::builder()
            .max_capacity(10_000)
            .time_to_live(Duration::from_secs(TTL_SECONDS))
            .build();
        tokio::spawn(follow(client, memory.clone()));
        Ok(Self {
            memory,
            redis,
            database,
        })
    }

    async fn load(&self, cell: u32, loading: Loading) -> Result<i64, String> {
        let mut redis = self.redis.clone();
        // Without Redis there is the database.
        let found: Result<Option<i64>, RedisError> = redis.get(key(cell)).await;
        if let Ok(Some(version)) = found {
            return Ok(version);
        }
        let version = loading.around(self.select(cell)).await?;
        let _kept: Result<(), RedisError> = redis.set_ex(key(cell), version, TTL_SECONDS).await;
        Ok(version)
    }

    async fn select(&self, cell: u32) -> Result<i64, String> {
        let client = self.database.get().await.map_err(text)?;
        let select = format!("select version from {} where id = $1", table(cell));
        let row = client
            .query_one(&select, &[&id(cell)])
            .await
            .map_err(text)?;
        Ok(row.get(0))
    }
}

/// What others have changed; after a gap everything may have.
async fn follow(client: Client, memory: Cache<u32, i64>) {
    loop {
        if let Ok(mut subscription) = client.get_async_pubsub().await
            && subscription.subscribe(CHANNEL).await.is_ok()
        {
            memory.invalidate_all();
            let mut messages = subscription.on_message();
            while let Some(message) = messages.next().await {
                if let Ok(cell) = message.get_payload::<u32>() {
                    memory.invalidate(&cell).await;
                }
            }
            memory.invalidate_all();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn table(cell: u32) -> String {
    List::of(cell).map_or_else(|| "cells".to_owned(), List::table)
}

fn key(cell: u32) -> String {
    format!("cell:{cell}")
}

fn id(cell: u32) -> i32 {
    i32::try_from(cell).unwrap_or(i32::MAX)
}

fn text(error: impl std::fmt::Display) -> String {
    super::trial::one_line(&error)
}

impl Cached for HandMade {
    async fn read(&self, cell: u32, loading: Loading) -> Result<i64, String> {
        if loading.is_fresh() {
            return self.select(cell).await;
        }
        let load = self.load(cell, loading);
        let found = self.memory.try_get_with(cell, load).await;
        found.map_err(|error: Arc<String>| String::clone(&error))
    }

    async fn peek(&self, cell: u32) -> Result<Option<i64>, String> {
        if let Some(version) = self.memory.get(&cell).await {
            return Ok(Some(version));
        }
        let mut redis = self.redis.clone();
        let found: Result<Option<i64>, RedisError> = redis.get(key(cell)).await;
        Ok(found.ok().flatten())
    }

    /// It keeps no lists.
    async fn list(&self, list: List) -> Result<Versions, String> {
        let client = self.database.get().await.map_err(text)?;
        let select = format!("select id, version from {}", list.table());
        let rows = client.query(&select, &[]).await.map_err(text)?;
        let cell = |row: &tokio_postgres::Row| {
            let id: i32 = row.get(0);
            (u32::try_from(id).unwrap_or(u32::MAX), row.get(1))
        };
        Ok(rows.iter().map(cell).collect())
    }

    async fn write(&self, cell: u32, way: Way, committed: Failpoint) -> Result<i64, String> {
        let client = self.database.get().await.map_err(text)?;
        let write = "set version = version + 1 where id = $1 returning version";
        let write = format!("update {} {write}", table(cell));
        let row = client
            .query_one(&write, &[&id(cell)])
            .await
            .map_err(text)?;
        drop(client);
        committed.reach();
        let version: i64 = row.get(0);
        let mut redis = self.redis.clone();
        // When Redis is away its values end by themselves, sooner or later.
        let _told: Result<(), RedisError> = match way {
            Way::Set => redis.set_ex(key(cell), version, TTL_SECONDS).await,
            _ => redis.del(key(cell)).await,
        };
        let _told: Result<(), RedisError> = redis.publish(CHANNEL, cell).await;
        match way {
            Way::Set => self.memory.insert(cell, version).await,
            _ => self.memory.invalidate(&cell).await,
        }
        Ok(version)
    }

    async fn take_back(&self, cell: u32) -> Result<(), String> {
        let mut client = self.database.get().await.map_err(text)?;
        let transaction = client.transaction().await.map_err(text)?;
        let spoil = "update cells set version = -version - 1 where id = $1";
        transaction
            .execute(spoil, &[&id(cell)])
            .await
            .map_err(text)?;
        let _seen_by_others_too = self.read(cell, Loading::default()).await;
        transaction.rollback().await.map_err(text)
    }

    /// It does not know.
    fn owes(&self) -> bool {
        false
    }
}
