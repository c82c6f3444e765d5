use std::sync::Arc;
use std::time::Duration;

/// A value of the cache, and what is known about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cached<T> {
    /// The value itself.
    pub value: T,
    /// Where it was found.
    pub layer: CacheLayer,
    /// How long ago it was stored; after [`Cache::expire`](crate::Cache::expire) less.
    pub age: Duration,
    /// Unless it is good: why it was given all the same.
    pub staleness: Option<Staleness>,
}

/// Where a value of the cache was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CacheLayer {
    /// In the memory of this process (L1).
    Local,
    /// In Redis, or what stands for it in this process (L2).
    Remote,
    /// It was loaded (L3).
    Loader,
}

/// How stale a value is that was given although its time is over, or although nobody could say whether
/// it still holds; and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Staleness {
    /// For how long it has not been known to be good.
    pub time: Duration,
    /// Why it was given.
    pub cause: StaleCause,
}

/// Why a stale value was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StaleCause {
    /// The next one is being loaded: see
    /// [`stale_while_refreshing`](crate::CacheOptions::stale_while_refreshing).
    Refreshing,
    /// The next one could not be loaded: see [`stale_on_error`](crate::CacheOptions::stale_on_error).
    LoadFailed,
    /// The next one takes longer than [`soft_timeout`](crate::CacheOptions::soft_timeout).
    LoadSlow,
}

/// A value, or the knowledge that there is none.
pub(super) type Marked<T> = Cached<Option<Arc<T>>>;

impl<T> Cached<T> {
    /// Whether it is not known to be good.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.staleness.is_some()
    }

    pub(super) fn good(value: T, layer: CacheLayer, age: Duration) -> Self {
        Self {
            value,
            layer,
            age,
            staleness: None,
        }
    }
}

impl<T> Cached<Option<T>> {
    pub(super) fn transposed(self) -> Option<Cached<T>> {
        Some(Cached {
            value: self.value?,
            layer: self.layer,
            age: self.age,
            staleness: self.staleness,
        })
    }
}
