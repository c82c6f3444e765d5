use std::time::Duration;

use super::{Inner, TTL_MAX, TTL_MIN, tag};

/// How a value is kept: for how long, and by what it can be invalidated besides its key.
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
}

impl CacheOptions {
    /// As the configuration says: `cache_ttl`, `advanced.cache_negative_ttl`, no tags.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For how long the value is kept. Default: `cache_ttl`, 1 h. At least 1 ms.
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
}

impl Inner {
    pub(super) fn negative_ttl_of(&self, options: &CacheOptions) -> Duration {
        let ttl = options.negative_ttl.unwrap_or(self.negative_ttl);
        ttl.clamp(TTL_MIN, TTL_MAX)
    }
}
