//! The cache of a `Db`.

use std::sync::{Arc, OnceLock};

use super::Db;
use super::foreign::Watcher;
use crate::cache::Cache;
use crate::config::CacheSettings;

/// Where the cache is once somebody has asked for it: who does not use it pays nothing for it.
pub(super) struct CachePlace {
    begun: OnceLock<Cache>,
    settings: CacheSettings,
}

impl CachePlace {
    pub(super) fn new(settings: CacheSettings) -> Self {
        Self {
            begun: OnceLock::new(),
            settings,
        }
    }

    pub(super) fn begun(&self) -> Option<&Cache> {
        self.begun.get()
    }

    /// Whose values are its own, of all that share a Redis and a database.
    pub(super) fn namespace(&self) -> &str {
        &self.settings.namespace
    }

    /// Those who listen to channels are told that there is nothing more to hear.
    pub(super) fn end(&self) {
        if let Some(cache) = self.begun.get() {
            cache.end_subscriptions();
        }
    }
}

impl Db {
    /// Values by key, in memory and in Redis: see [`Cache`]. Without `redis_url` in memory only, for this
    /// process.
    ///
    /// It begins when it is first asked for, which must be within a runtime, and shares this handle's
    /// events, figures and shutdown. Values are not those of a transaction or of
    /// [settings](Self::with_settings): put the tenant into the key.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        let place = &self.cache;
        place.begun.get_or_init(|| {
            let settings = place.settings.clone();
            let tasks = &self.engine.tasks;
            if let Some(interval) = settings.foreign_interval {
                let watcher = Watcher::new(place, &self.engine, (interval, self.redis.is_some()));
                drop(tasks.spawn(watcher.run()));
            }
            match &self.redis {
                Some(redis) => Cache::shared(settings, redis),
                None => Cache::alone(settings, Arc::clone(tasks), self.engine.observers.clone()),
            }
        })
    }
}
