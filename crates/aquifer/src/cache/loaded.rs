//! The methods of a cache that load what it does not have.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::cached::Cached;
use super::key::{check_key, check_tags};
use super::load::Absence;
use super::options::CacheOptions;
use super::{Cache, CacheValue, write};
use crate::Error;

#[cfg(doc)]
use crate::ErrorKind;

impl Cache {
    /// The value of a key; if there is none, the one that `load` gives, which is kept for `cache_ttl`.
    ///
    /// `load` runs in a task of the layer, once for all callers of this process that miss the key at
    /// the same time: a caller who goes away fails nobody. It is not part of the caller's transaction.
    /// What it gives is kept unless the key was changed since it began; an error goes to all who wait,
    /// and nothing is kept. Of several processes that miss the key one loads, and the others take what it
    /// stores: unless it takes longer than 10 s, or ends, which they notice within 3 s.
    ///
    /// A load is dropped after `advanced.cache_load_timeout`, and at most `advanced.cache_loads_max` run at
    /// a time in this process, except those that other loads wait for. Shortly before a value's time is
    /// over, the earlier the longer its load took, who asks for it gets it and begins the next load.
    ///
    /// ```no_run
    /// # use aquifer::{Db, Error, Session};
    /// # async fn example(db: &Db) -> Result<(), Error> {
    /// let users = db.clone();
    /// let load = || async move { users.query_value("select count(*) from users", ()).await };
    /// let count = db.cache().get_or_load::<i64, Error, _, _>("users:count", load).await?;
    /// # let _ = count;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// What `load` returns; those of [`get`](Self::get); [`Usage`](ErrorKind::Usage) when `load`
    /// panics; [`Timeout`](ErrorKind::Timeout) when it takes too long; [`Acquire`](ErrorKind::Acquire) when
    /// it could not begin within 5 s, since too many run; [`Unavailable`](ErrorKind::Unavailable) after
    /// [`set_cache_only`](Self::set_cache_only). None when Redis is away.
    ///
    /// # Cancel safety
    /// The load goes on, and what it gives is kept.
    pub async fn get_or_load<T, E, F, Fut>(&self, key: &str, load: F) -> Result<Arc<T>, E>
    where
        T: CacheValue,
        E: From<Error> + Clone + Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.get_or_load_with(key, &CacheOptions::new(), load).await
    }

    /// As [`get_or_load`](Self::get_or_load), with a time or tags of its own.
    ///
    /// # Errors
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// # Cancel safety
    /// As [`get_or_load`](Self::get_or_load).
    pub async fn get_or_load_with<T, E, F, Fut>(
        &self,
        key: &str,
        options: &CacheOptions,
        load: F,
    ) -> Result<Arc<T>, E>
    where
        T: CacheValue,
        E: From<Error> + Clone + Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        if let Some(Some(found)) = self.0.hit_before_renewal(key, options) {
            return Ok(found);
        }
        let found = self.get_or_load_cached(key, options, load).await?;
        Ok(found.value)
    }

    /// As [`get_or_load_with`](Self::get_or_load_with), with what is known about the value: where it was
    /// found, how old it is, and whether it is stale.
    ///
    /// ```no_run
    /// # use aquifer::{Cache, CacheOptions, Error};
    /// # use std::time::Duration;
    /// # async fn example(cache: &Cache) -> Result<(), Error> {
    /// # let load = || async { Ok::<i64, Error>(1) };
    /// let patient = CacheOptions::new().stale_on_error(Duration::from_secs(600));
    /// let count = cache.get_or_load_cached("users:count", &patient, load).await?;
    /// if let Some(staleness) = count.staleness {
    ///     println!("{} of {:?} ago", count.value, count.age);
    ///     println!("not good for {:?}: {:?}", staleness.time, staleness.cause);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// # Cancel safety
    /// As [`get_or_load`](Self::get_or_load).
    pub async fn get_or_load_cached<T, E, F, Fut>(
        &self,
        key: &str,
        options: &CacheOptions,
        load: F,
    ) -> Result<Cached<Arc<T>>, E>
    where
        T: CacheValue,
        E: From<Error> + Clone + Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        check_key(key)?;
        check_tags(&options.tags)?;
        let load = move || async move { load().await.map(Some) };
        let loaded = self.0.loaded(key, (options, Absence::Loads), load);
        let found = Box::pin(loaded).await?;
        found.transposed().ok_or_else(|| write::closed().into())
    }

    /// As [`get_or_load`](Self::get_or_load), of what may not exist: that there is no value is kept too,
    /// for `advanced.cache_negative_ttl`.
    ///
    /// # Errors
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// # Cancel safety
    /// As [`get_or_load`](Self::get_or_load).
    pub async fn get_or_load_opt<T, E, F, Fut>(
        &self,
        key: &str,
        load: F,
    ) -> Result<Option<Arc<T>>, E>
    where
        T: CacheValue,
        E: From<Error> + Clone + Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<T>, E>> + Send + 'static,
    {
        self.get_or_load_opt_with(key, &CacheOptions::new(), load)
            .await
    }

    /// As [`get_or_load_opt`](Self::get_or_load_opt), with times or tags of its own.
    ///
    /// # Errors
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// # Cancel safety
    /// As [`get_or_load`](Self::get_or_load).
    pub async fn get_or_load_opt_with<T, E, F, Fut>(
        &self,
        key: &str,
        options: &CacheOptions,
        load: F,
    ) -> Result<Option<Arc<T>>, E>
    where
        T: CacheValue,
        E: From<Error> + Clone + Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<T>, E>> + Send + 'static,
    {
        if let Some(found) = self.0.hit_before_renewal(key, options) {
            return Ok(found);
        }
        let found = self.get_or_load_opt_cached(key, options, load).await?;
        Ok(found.value)
    }

    /// As [`get_or_load_cached`](Self::get_or_load_cached), of what may not exist.
    ///
    /// # Errors
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// # Cancel safety
    /// As [`get_or_load`](Self::get_or_load).
    pub async fn get_or_load_opt_cached<T, E, F, Fut>(
        &self,
        key: &str,
        options: &CacheOptions,
        load: F,
    ) -> Result<Cached<Option<Arc<T>>>, E>
    where
        T: CacheValue,
        E: From<Error> + Clone + Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<T>, E>> + Send + 'static,
    {
        check_key(key)?;
        check_tags(&options.tags)?;
        let loaded = self.0.loaded(key, (options, Absence::Counts), load);
        Box::pin(loaded).await
    }

    /// Whether values are only given from what the cache holds, and none are loaded: as when the database
    /// must be relieved of all work that can be done without.
    ///
    /// It holds for this process and until it is taken back. Where there is no value, loads end with
    /// [`Unavailable`](ErrorKind::Unavailable); stale ones are given as
    /// [`stale_on_error`](CacheOptions::stale_on_error) says. Changes are carried out as ever.
    pub fn set_cache_only(&self, is_cache_only: bool) {
        self.0.is_cache_only.store(is_cache_only, Ordering::Release);
    }
}
