use std::time::Duration;

use super::{Inner, TTL_MAX, TTL_MIN, tag};

/// How a value is kept: for how long, and by what it can be invalidated besides its key; and how it is
/// read and loaded.
///
/// ```
/// use std::time::Duration;
///
/// use aquifer::CacheOptions;
///
/// let options = CacheOptions::new().ttl(Duration::from_secs(60)).tag("users");
/// ```
#[derive(Clone, Debug, Default)]
pub struct CacheOptions {
    pub(super) ttl: Option<Duration>,
    pub(super) negative_ttl: Option<Duration>,
    pub(super) tags: Vec<Box<str>>,
    pub(super) stale_while_refreshing: Duration,
    pub(super) stale_on_error: Duration,
    pub(super) soft_timeout: Option<Duration>,
    pub(super) load_timeout: Option<Duration>,
    pub(super) max_staleness: Option<Duration>,
}

impl CacheOptions {
    /// As the configuration says: `cache_ttl`, `advanced.cache_negative_ttl`, no tags.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For how long the value is good, if nobody changes it. Default: `cache_ttl`, 1 h. At least 1 ms.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// For how long it is kept that there is no value. Default: `advanced.cache_negative_ttl`, 5 s.
    #[must_use]
    pub fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.negative_ttl = Some(ttl);
        self
    }

    /// For how long after its time a value is still given while the next one is being loaded, so that
    /// nobody waits for that. Default: not at all.
    ///
    /// It is for values whose time is over; one that was changed or invalidated is never given so. Also
    /// without it a value is loaded anew shortly before its time is over, when it is asked for and the
    /// earlier, the longer the last load took.
    #[must_use]
    pub fn stale_while_refreshing(mut self, time: Duration) -> Self {
        self.stale_while_refreshing = time;
        self
    }

    /// For how long after its time a value is still given when the next one can't be loaded. Default: not
    /// at all.
    ///
    /// Also for a value in memory of which nobody could say any more whether it was changed, since Redis
    /// is away, for so long from then on. After a load that failed none is begun for a second.
    /// [`Cache::get_or_load_cached`](crate::Cache::get_or_load_cached) tells whether a value is stale.
    #[must_use]
    pub fn stale_on_error(mut self, time: Duration) -> Self {
        self.stale_on_error = time;
        self
    }

    /// How long a caller waits for the next value where there is one that
    /// [`stale_on_error`](Self::stale_on_error) allows; then it gets that, and the load goes on. Default:
    /// until the load has ended.
    #[must_use]
    pub fn soft_timeout(mut self, time: Duration) -> Self {
        self.soft_timeout = Some(time);
        self
    }

    /// How long a load may take; then it is dropped, and all who wait for it get an
    /// [error](crate::ErrorKind::Timeout). Default: `advanced.cache_load_timeout`, 30 s. That of the call
    /// that begins the load counts.
    #[must_use]
    pub fn load_timeout(mut self, time: Duration) -> Self {
        self.load_timeout = Some(time);
        self
    }

    /// How old the knowledge may be that a value was not changed. Default: a second at most, as
    /// [promised](crate::Cache#what-is-promised); more has no effect.
    ///
    /// With zero, every change is seen that was acknowledged anywhere before the call, and each call asks
    /// Redis. It does not wait for a replica of the database that a loader reads.
    #[must_use]
    pub fn max_staleness(mut self, time: Duration) -> Self {
        self.max_staleness = Some(time);
        self
    }

    /// Adds a name by which the value can be [invalidated](crate::Cache::invalidate) together with
    /// others. At most 16 of 1 to 512 bytes each. The first reading of a value whose tags the reader
    /// does not name takes another round trip to Redis.
    #[must_use]
    pub fn tag(self, tag: impl Into<Box<str>>) -> Self {
        self.depends_on(tag::of_user(&tag.into()))
    }

    /// The value was made of what is in this table (its bare name, without a schema): whatever writes to
    /// it through the layer, in any process, makes the value a miss. Counts as a tag.
    #[must_use]
    pub fn table(self, name: &str) -> Self {
        self.depends_on(tag::of_table(name))
            .depends_on(tag::of_database())
    }

    pub(super) fn depends_on(mut self, tag: Box<str>) -> Self {
        if !self.tags.contains(&tag) {
            self.tags.push(tag);
        }
        self
    }

    /// For how long after its time a value is of use.
    pub(super) fn stale(&self) -> Duration {
        self.stale_while_refreshing.max(self.stale_on_error)
    }
}

impl Inner {
    pub(super) fn negative_ttl_of(&self, options: &CacheOptions) -> Duration {
        let ttl = options.negative_ttl.unwrap_or(self.negative_ttl);
        ttl.clamp(TTL_MIN, TTL_MAX)
    }
}
