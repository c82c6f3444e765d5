//! The library, as the trial calls it.

use std::time::Duration;

use aquifer::{AssertSafe, CacheOptions, Config, Db, Error as LayerError, Session};
use aquifer_testkit::{Cached, Failpoint, List, Loading, Part, Versions, Way};

use crate::Error;

/// How long results of queries are kept.
const TTL: Duration = Duration::from_secs(3_600);

/// A database with its cache.
#[derive(Clone, Debug)]
pub struct Layered(Db);

impl Layered {
    /// Connects a process of the trial.
    ///
    /// # Errors
    /// When the cache is not linked in time.
    pub async fn connect(part: &Part) -> Result<Self, Error> {
        let config = Config::from_url(part.database.as_str())?
            .redis_url(part.redis.as_str())
            .redis_timeout(Duration::from_millis(500));
        let db = Db::connect_with(&config).await?;
        super::until("the cache is linked", || db.cache().status().is_linked).await?;
        Ok(Self(db))
    }
}

fn key(cell: u32) -> String {
    format!("cell:{cell}")
}

fn options(cell: u32) -> CacheOptions {
    match Way::of(cell) {
        Way::Invalidate => CacheOptions::new().tag(key(cell)),
        _ => CacheOptions::new(),
    }
}

fn id(cell: u32) -> i32 {
    i32::try_from(cell).unwrap_or(i32::MAX)
}

fn cell_of((id, version): (i32, i64)) -> (u32, i64) {
    (u32::try_from(id).unwrap_or(u32::MAX), version)
}

fn text(error: LayerError) -> String {
    format!("{:?}", error.kind())
}

impl Cached for Layered {
    async fn read(&self, cell: u32, loading: Loading) -> Result<i64, String> {
        if let Some(list) = List::of(cell) {
            let row = self.0.from(list.table()).where_("id", "=", id(cell));
            let version = row.cache(TTL).value("version").await.map_err(text)?;
            return version.ok_or_else(|| "no row".to_owned());
        }
        let is_fresh = loading.is_fresh();
        let db = self.0.clone();
        let load = move || async move {
            let read = db.query_value("select version from cells where id = $1", (id(cell),));
            loading.around(read).await
        };
        let key = key(cell);
        let options = match is_fresh {
            true => options(cell).max_staleness(Duration::ZERO),
            false => options(cell),
        };
        let cache = self.0.cache();
        let found = cache
            .get_or_load_with::<i64, LayerError, _, _>(&key, &options, load)
            .await;
        found.map(|version| *version).map_err(text)
    }

    async fn peek(&self, cell: u32) -> Result<Option<i64>, String> {
        let found = self.0.cache().get::<i64>(&key(cell)).await;
        found.map(|found| found.as_deref().copied()).map_err(text)
    }

    async fn list(&self, list: List) -> Result<Versions, String> {
        let all = self.0.from(list.table()).cache(TTL);
        let rows = all.get_as::<(i32, i64)>().await.map_err(text)?;
        Ok(rows.into_iter().map(cell_of).collect())
    }

    async fn write(&self, cell: u32, way: Way, committed: Failpoint) -> Result<i64, String> {
        if let Some(list) = List::of(cell) {
            let write = "set version = version + 1 where id = $1 returning version";
            let write = AssertSafe(format!("update {} {write}", list.table()));
            return self.0.query_value(write, (id(cell),)).await.map_err(text);
        }
        let write = "update cells set version = version + 1 where id = $1 returning version";
        let version: i64 = self.0.query_value(write, (id(cell),)).await.map_err(text)?;
        committed.reach();
        let cache = self.0.cache();
        match way {
            Way::Invalidate => cache.invalidate([key(cell)]).await,
            Way::Set => cache.set_with(&key(cell), &version, &options(cell)).await,
            _ => cache.delete([key(cell)]).await.map(drop),
        }
        .map_err(text)?;
        Ok(version)
    }

    async fn take_back(&self, cell: u32) -> Result<(), String> {
        let layered = self.clone();
        let taken_back = self.0.with_transaction(async |tx| {
            let spoil = "update cells set version = -version - 1 where id = $1";
            tx.execute(spoil, (id(cell),)).await?;
            let _seen_by_others_too = layered.read(cell, Loading::default()).await;
            tx.query("select 1 / 0", ()).await.map(drop)
        });
        let _its_error = taken_back.await;
        Ok(())
    }

    fn owes(&self) -> bool {
        self.0.cache().status().has_missed_bumps
    }
}
