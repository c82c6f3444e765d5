//! Values that are kept in memory and in Redis, and are known to be good: see [`Cache`].

mod away;
mod budget;
mod cached;
mod claim;
mod debts;
mod encoding;
mod envelope;
mod fence;
mod fill;
mod flight;
pub(crate) mod foreign;
mod inspect;
mod key;
mod layout;
mod lease;
mod link;
mod load;
mod loaded;
mod local;
mod options;
mod process;
mod pubsub;
mod query;
mod read;
mod relations;
mod remote;
mod rules;
mod scripts;
mod servers;
mod status;
mod store;
mod subscription;
mod tag;
mod times;
mod uncacheable;
mod write;

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use aquifer_core::stamps::Board;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

use self::away::Away;
use self::budget::Budget;
pub use self::cached::{CacheLayer, Cached, StaleCause, Staleness};
use self::debts::Debts;
use self::fence::Fence;
pub(crate) use self::fence::{Answer as FenceAnswer, FenceRow};
use self::flight::Flights;
pub use self::inspect::{CacheContent, CacheEntry, CacheStamp};
use self::key::{Names, check_key, check_tags};
use self::lease::Lease;
use self::link::{Keeper, Links};
use self::local::Local;
pub use self::options::CacheOptions;
use self::process::Process;
use self::pubsub::Hub;
pub(crate) use self::query::{Asked, Reading, Rows, Unkept};
use self::read::{Seen, Want};
pub(crate) use self::relations::{CATALOG, Line, Relations};
use self::remote::Remote;
#[cfg(mutants)]
pub use self::rules::RULES;
use self::servers::Servers;
pub use self::status::CacheStatus;
use self::store::Store;
pub use self::subscription::{Messages, Received, Subscription};
pub use self::uncacheable::Uncacheable;
use crate::config::{CacheFormat, CacheSettings, Config};
use crate::observe::Observers;
use crate::redis::Redis;
use crate::tasks::Tasks;
use crate::{Error, ErrorKind};

/// Shortest and longest time for which anything is kept.
const TTL_MIN: Duration = Duration::from_millis(1);
/// So many stamps of what others have changed are renewed in one round trip.
const FOREIGN: usize = 256;
const TTL_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// What can be kept: any type that serde writes and reads, and that owns what it holds.
///
/// Values are written with the names of their fields, as MessagePack or as JSON (`cache_format`). With each
/// stands the layout of its type, all the way down: a value of an older or newer program whose type has
/// other names, fields or types is not read, but loaded anew. Where a type is read by `flatten` or
/// `untagged`, only its reading tells.
pub trait CacheValue: Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T> CacheValue for T where T: Serialize + DeserializeOwned + Send + Sync + 'static {}

/// Values by key, in the memory of this process (L1) and in Redis (L2), in front of the database (L3).
///
/// Cheap to clone. Of a `Db` it is [`Db::cache`](crate::Db::cache); without one it is made by
/// [`connect`](Self::connect), [`with_redis`](Self::with_redis) or [`in_process`](Self::in_process).
///
/// ```no_run
/// use std::time::Duration;
///
/// use aquifer::{Cache, CacheOptions, Config, Error};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct User { id: i64, name: String }
///
/// # async fn load(id: i64) -> Result<User, Error> { Ok(User { id, name: "John".into() }) }
/// # async fn example() -> Result<(), Error> {
/// let cache = Cache::connect(&Config::new().redis_url("redis://localhost")).await?;
/// // Loaded once, however many ask for it at the same time.
/// let user = cache.get_or_load("user:1", || load(1)).await?;
/// println!("{}", user.name);
///
/// let hour = CacheOptions::new().ttl(Duration::from_secs(3600)).tag("users");
/// cache.set_with("user:2", &User { id: 2, name: "Jane".into() }, &hour).await?;
/// assert!(cache.get::<User>("user:2").await?.is_some());
/// // After a write to the database:
/// cache.delete(["user:1"]).await?;
/// cache.invalidate(["users"]).await?;
/// # Ok(()) }
/// ```
///
/// # What is promised
/// - What `set`, `delete`, `invalidate` and `clear` changed, this process sees as soon as the call has
///   returned, and every other one within a second of that, typically within milliseconds; also while
///   links are lost, servers restart and processes are paused.
/// - A value that was loaded before a change is never used after it, however late its loader ends: it is
///   kept under the stamps that held before the loader began, and every change makes new ones. So load
///   *in* the loader, and change the cache *after* the database has committed.
/// - **While Redis is away** nothing fails: `get`, `mget`, `exists` and `ttl` find nothing,
///   `get_or_load` loads, still once for all who ask at the same time. Changes are seen by this process,
///   are remembered, and reach the others as soon as this process reaches Redis again, by making
///   everything that is stored there a miss. Only `increment`, `decrement` and `expire` are errors.
///   Of a `Db` they are remembered in the database too, in the table `aquifer.cache_fence` (made when it
///   is first needed, with the right to CREATE; else by you, as `(namespace text primary key, epoch
///   bigint not null)`), so that they are made up for though this process ends before.
///   **Limits:** without a database what is remembered is lost then; and another process that
///   still reaches Redis does not know of such a change until then, or until the value's time is over.
/// - **Without Redis** the same holds within this process; other processes know nothing of each other.
///   Use it for one process, or for tests.
/// - Values that others store or remove in Redis by themselves, behind the layer's back, are seen when
///   the value's time in memory is over. FLUSHALL is seen.
///
/// # In Redis
/// The value of `user:1` is at `aquifer:user:1`, its stamp at `aquifer#k:user:1`; `aquifer` is
/// `cache_namespace`. Losing any of them, by eviction or FLUSHALL, makes values misses and nothing
/// else. Each process holds a connection more to each master, by which it is told of changes (RESP3,
/// Redis 6 or newer). With `cache_format` `json` a value can be read by eye behind its envelope. Where the server can't or may not do that, as with `protocol=resp2`, processes tell
/// each other by a channel, `aquifer#changes`; where that is refused too, every read asks Redis.
#[derive(Clone)]
#[doc(alias("RedisCache", "layered cache"))]
pub struct Cache(Arc<Inner>);

struct Inner {
    names: Names,
    board: Arc<Board>,
    lease: Lease,
    local: Local,
    store: Store,
    servers: Servers,
    debts: Debts,
    fence: Fence,
    flights: Arc<Flights>,
    links: Links,
    hub: Arc<Hub>,
    layouts: RwLock<HashMap<TypeId, u64>>,
    /// Told when the link should be looked at.
    wake: Arc<Notify>,
    tasks: Arc<Tasks>,
    observers: Observers,
    format: CacheFormat,
    ttl: Duration,
    negative_ttl: Duration,
    load_timeout: Duration,
    budget: Budget,
    is_cache_only: AtomicBool,
}

impl Cache {
    /// A cache in the Redis of `config`; without `redis_url` one in this process only.
    ///
    /// Redis need not be there: see [`Redis::connect`].
    ///
    /// # Errors
    /// As [`Redis::connect`]; [`Config`](ErrorKind::Config) also when a setting of the cache can't be
    /// used.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened.
    pub async fn connect(config: &Config) -> Result<Self, Error> {
        let settings = config.check_cache()?;
        if config.check_redis()?.is_none() {
            return Ok(Self::alone(settings, Arc::default(), config.observers()));
        }
        let redis = Redis::connect(config).await?;
        Ok(Self::shared(settings, &redis, None))
    }

    /// A cache in a Redis that is used for other things too. It ends with [`Redis::shutdown`].
    ///
    /// Must be called within a runtime.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when a setting of the cache can't be used.
    pub fn with_redis(redis: &Redis, config: &Config) -> Result<Self, Error> {
        Ok(Self::shared(config.check_cache()?, redis, None))
    }

    /// A cache in this process only, whatever `redis_url` says.
    ///
    /// # Errors
    /// As [`with_redis`](Self::with_redis).
    pub fn in_process(config: &Config) -> Result<Self, Error> {
        let settings = config.check_cache()?;
        Ok(Self::alone(settings, Arc::default(), config.observers()))
    }

    /// A cache in Redis, whose tasks and observers it shares.
    pub(crate) fn shared(
        settings: CacheSettings,
        redis: &Redis,
        fence: Option<Arc<dyn FenceRow>>,
    ) -> Self {
        let remote = Remote {
            redis: redis.clone(),
        };
        let store = Store::Remote(remote, Away::new());
        let (tasks, observers) = redis.shared_parts();
        let lease = Lease::over();
        let cache = Self::new(
            settings,
            store,
            (tasks, observers),
            (lease, Fence::new(fence)),
        );
        let keeper = Keeper::new(&cache.0).run(redis.closed());
        drop(cache.0.tasks.spawn(keeper));
        cache
    }

    /// A cache in this process.
    pub(crate) fn alone(settings: CacheSettings, tasks: Arc<Tasks>, observers: Observers) -> Self {
        let store = Store::Process(Box::new(Process::new(settings.memory_max)));
        let lease = Lease::endless();
        let cache = Self::new(
            settings,
            store,
            (tasks, observers),
            (lease, Fence::default()),
        );
        cache.0.links.attempted();
        cache.0.board.link_made();
        cache
    }

    fn new(
        settings: CacheSettings,
        store: Store,
        (tasks, observers): (Arc<Tasks>, Observers),
        (lease, fence): (Lease, Fence),
    ) -> Self {
        let inner = Arc::new(Inner {
            names: Names::new(&settings.namespace),
            board: Arc::default(),
            lease,
            local: Local::new(settings.memory_max),
            store,
            servers: Servers::default(),
            debts: Debts::default(),
            fence,
            flights: Arc::default(),
            links: Links::default(),
            hub: Arc::default(),
            layouts: RwLock::default(),
            wake: Arc::default(),
            tasks,
            observers,
            format: settings.format,
            ttl: settings.ttl,
            negative_ttl: settings.negative_ttl,
            load_timeout: settings.load_timeout,
            budget: Budget::new(settings.loads_max),
            is_cache_only: AtomicBool::new(false),
        });
        let asked = Arc::downgrade(&inner);
        let figures = move || asked.upgrade().map(|inner| inner.figures());
        let counts = inner.observers.cache_counts();
        counts.attach(inner.names.namespace(), figures);
        Self(inner)
    }

    /// The value of a key, or `None` if there is none.
    ///
    /// One that is in memory, and was not changed since, is given without asking anyone. A value of
    /// another type is none, as is one that can't be read.
    ///
    /// # Errors
    /// [`Usage`](ErrorKind::Usage) for a key that is empty, longer than 512 bytes or begins with `q:`.
    /// None when Redis is away.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn get<T: CacheValue>(&self, key: &str) -> Result<Option<Arc<T>>, Error> {
        if let Some(found) = self.0.hit(key) {
            return Ok(found);
        }
        check_key(key)?;
        let found = Box::pin(self.0.fetch(vec![Want::untagged(key)])).await;
        Ok(found.into_iter().next().flatten().flatten())
    }

    /// As [`get`](Self::get), with what is known about the value: where it was found, and how old it is.
    ///
    /// Of the options [`max_staleness`](CacheOptions::max_staleness) counts, and the tags, if the value was
    /// kept with the same: that saves a round trip.
    ///
    /// # Errors
    /// As [`get`](Self::get); [`Usage`](ErrorKind::Usage) also for tags that are too many or too long.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn get_with<T: CacheValue>(
        &self,
        key: &str,
        options: &CacheOptions,
    ) -> Result<Option<Cached<Arc<T>>>, Error> {
        check_key(key)?;
        check_tags(&options.tags)?;
        Ok(Box::pin(self.0.found_with(key, options)).await)
    }

    /// The values of several keys, in their order, `None` where there is none: those that are not in
    /// memory in one round trip.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn mget<T, K>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<Option<Arc<T>>>, Error>
    where
        T: CacheValue,
        K: AsRef<str>,
    {
        let mut found = Vec::new();
        let (mut places, mut wants) = (Vec::new(), Vec::new());
        for (place, key) in keys.into_iter().enumerate() {
            let key = key.as_ref();
            let hit = self.0.hit(key);
            if hit.is_none() {
                check_key(key)?;
                places.push(place);
                wants.push(Want::untagged(key));
            }
            found.push(hit.flatten());
        }
        if !wants.is_empty() {
            let fetched = Box::pin(self.0.fetch(wants)).await;
            for (place, value) in places.into_iter().zip(fetched) {
                if let Some(found) = found.get_mut(place) {
                    *found = value.flatten();
                }
            }
        }
        Ok(found)
    }

    /// Keeps a value for `cache_ttl`, in the place of what there was.
    ///
    /// Two round trips to Redis. When the call returns, no process of the layer takes the old value for
    /// good longer than [promised](Self#what-is-promised). To change a row and then its value, commit
    /// first; to let the next reader load it, [`delete`](Self::delete) instead.
    ///
    /// # Errors
    /// [`Usage`](ErrorKind::Usage) as [`get`](Self::get), [`Encode`](ErrorKind::Encode) when serde can't
    /// write the value, [`Closed`](ErrorKind::Closed) after a shutdown. None when Redis is away: then
    /// the old value is forgotten and the new one is not kept.
    ///
    /// # Cancel safety
    /// Once polled it is carried out, whether the future is dropped or not.
    pub async fn set<T: CacheValue>(&self, key: &str, value: &T) -> Result<(), Error> {
        self.set_with(key, value, &CacheOptions::new()).await
    }

    /// As [`set`](Self::set), with a time or tags of its own.
    ///
    /// # Errors
    /// As [`set`](Self::set); [`Usage`](ErrorKind::Usage) also for tags that are too many or too long.
    ///
    /// # Cancel safety
    /// As [`set`](Self::set).
    pub async fn set_with<T: CacheValue>(
        &self,
        key: &str,
        value: &T,
        options: &CacheOptions,
    ) -> Result<(), Error> {
        self.mset_with([(key, value)], options).await
    }

    /// Keeps several values for `cache_ttl`, in two round trips together.
    ///
    /// ```no_run
    /// # use aquifer::{Cache, Error};
    /// # async fn example(cache: &Cache) -> Result<(), Error> {
    /// cache.mset([("visits:1", &3), ("visits:2", &4)]).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`set`](Self::set); then none is kept.
    ///
    /// # Cancel safety
    /// As [`set`](Self::set).
    pub async fn mset<'a, T: CacheValue>(
        &self,
        values: impl IntoIterator<Item = (&'a str, &'a T)>,
    ) -> Result<(), Error> {
        self.mset_with(values, &CacheOptions::new()).await
    }

    /// As [`mset`](Self::mset), with a time or tags of their own.
    ///
    /// # Errors
    /// As [`set_with`](Self::set_with); then none is kept.
    ///
    /// # Cancel safety
    /// As [`set`](Self::set).
    pub async fn mset_with<'a, T: CacheValue>(
        &self,
        values: impl IntoIterator<Item = (&'a str, &'a T)>,
        options: &CacheOptions,
    ) -> Result<(), Error> {
        let values = self.0.sealed(values, options)?;
        if values.is_empty() {
            return Ok(());
        }
        let ttl = self.0.ttl_of(options).saturating_add(options.stale());
        let (tags, ttl) = (options.tags.clone(), ttl.min(TTL_MAX));
        let set = Arc::clone(&self.0).set(values, tags, ttl);
        Box::pin(self.0.carried_out(set)).await
    }

    /// Removes the values of these keys, and counters; returns how many there were in Redis, where one
    /// that its tags had invalidated may still count.
    ///
    /// # Errors
    /// [`Usage`](ErrorKind::Usage) as [`get`](Self::get), [`Closed`](ErrorKind::Closed) after a
    /// shutdown. None when Redis is away: then 0 are known to have been there, and the change is
    /// remembered.
    ///
    /// # Cancel safety
    /// As [`set`](Self::set).
    pub async fn delete<K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<u64, Error> {
        let checked = |key: K| {
            let key = key.as_ref();
            check_key(key).map(|()| Box::from(key))
        };
        let keys: Vec<Box<str>> = keys.into_iter().map(checked).collect::<Result<_, _>>()?;
        if keys.is_empty() {
            return Ok(0);
        }
        let delete = Arc::clone(&self.0).delete(keys);
        Box::pin(self.0.carried_out(delete)).await
    }

    /// Whether there is a value or a counter; `false` where it is known that there is none.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn exists(&self, key: &str) -> Result<bool, Error> {
        Ok(match self.seen(key).await? {
            Seen::Value(good) => !good.is_negative(),
            Seen::Counter(..) => true,
            Seen::Missing(_) => false,
        })
    }

    /// For how long a value is still kept; `None` if there is none, or it is a counter without an end.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn ttl(&self, key: &str) -> Result<Option<Duration>, Error> {
        Ok(match self.seen(key).await? {
            Seen::Value(good) => good.left,
            Seen::Counter(_, left) => left,
            Seen::Missing(_) => None,
        })
    }

    /// Gives a value another time to live; returns whether there is one.
    ///
    /// # Errors
    /// As [`get`](Self::get), and those of Redis when it is away: nothing has changed then, or it is
    /// [`Unknown`](ErrorKind::Unknown).
    ///
    /// # Cancel safety
    /// As [`set`](Self::set).
    pub async fn expire(&self, key: &str, ttl: Duration) -> Result<bool, Error> {
        check_key(key)?;
        let expire = Arc::clone(&self.0).expire(key.into(), ttl);
        Box::pin(self.0.carried_out(expire)).await
    }

    /// Adds to a counter, which begins at 0 and has no end; returns what it is then.
    ///
    /// A counter is a bare whole number in Redis, which other languages read and count too, and
    /// `get::<i64>` reads; it is never kept in memory. It goes by [`delete`](Self::delete) and
    /// [`clear`](Self::clear), not by tags. A key that [`set`](Self::set) wrote is no counter.
    ///
    /// # Errors
    /// [`Usage`](ErrorKind::Usage) as [`get`](Self::get), and when the key holds something else; those
    /// of Redis when it is away, [`Unknown`](ErrorKind::Unknown) when it may have counted.
    ///
    /// # Cancel safety
    /// It may have counted.
    pub async fn increment(&self, key: &str, number: i64) -> Result<i64, Error> {
        check_key(key)?;
        let entry = self.0.names.entry(key);
        Box::pin(self.0.store.add(&entry, number)).await
    }

    /// As [`increment`](Self::increment), the other way.
    ///
    /// # Errors
    /// As [`increment`](Self::increment).
    ///
    /// # Cancel safety
    /// It may have counted.
    pub async fn decrement(&self, key: &str, number: i64) -> Result<i64, Error> {
        let Some(number) = number.checked_neg() else {
            let text = "a counter can't be decremented by the least number of 64 bits";
            return Err(Error::new(ErrorKind::Usage, text));
        };
        self.increment(key, number).await
    }

    /// Makes every value with one of these tags a miss, here and in all processes.
    ///
    /// # Errors
    /// [`Usage`](ErrorKind::Usage) for tags that are empty, too long or more than 16,
    /// [`Closed`](ErrorKind::Closed) after a shutdown. None when Redis is away: it is remembered.
    ///
    /// # Cancel safety
    /// As [`set`](Self::set).
    pub async fn invalidate<K: AsRef<str>>(
        &self,
        tags: impl IntoIterator<Item = K>,
    ) -> Result<(), Error> {
        let tags: Vec<Box<str>> = tags
            .into_iter()
            .map(|tag| tag::of_user(tag.as_ref()))
            .collect();
        check_tags(&tags)?;
        if tags.is_empty() {
            return Ok(());
        }
        let invalidate = Arc::clone(&self.0).invalidate(tags);
        Box::pin(self.0.carried_out(invalidate)).await
    }

    /// Removes everything of this namespace (`cache_namespace`), counters too.
    ///
    /// Values are misses at once, for all processes; then their keys are removed from Redis, which
    /// takes a second for some hundred thousand.
    ///
    /// # Errors
    /// [`Closed`](ErrorKind::Closed) after a shutdown; those of Redis when it was lost on the way, so
    /// that counters may be left. None when Redis is away: it is remembered, for values.
    ///
    /// # Cancel safety
    /// As [`set`](Self::set).
    pub async fn clear(&self) -> Result<(), Error> {
        let clear = Arc::clone(&self.0).clear();
        Box::pin(self.0.carried_out(clear)).await
    }

    /// Redis itself, for what has no method here; none of a cache in this process.
    ///
    /// What is done to the cache's own keys by it is not announced to anybody.
    #[must_use]
    pub fn redis(&self) -> Option<&Redis> {
        self.0.redis()
    }

    /// How it does now, as far as is known without asking.
    #[must_use]
    pub fn status(&self) -> CacheStatus {
        self.0.status()
    }

    /// Rows were changed by others: what depends on these tags is a miss.
    pub(crate) async fn foreign_changes(&self, tags: &[Box<str>]) -> Result<(), Error> {
        for tags in tags.chunks(FOREIGN) {
            let (cache, tags) = (self.clone(), tags.to_vec());
            let touched = async move {
                cache.touch(&tags).await;
                Ok(())
            };
            Box::pin(self.0.carried_out(touched)).await?;
        }
        Ok(())
    }

    /// Nobody knows what others have changed: everything is a miss.
    pub(crate) async fn foreign_unknown(&self) -> Result<(), Error> {
        let unknown = Arc::clone(&self.0).unknown();
        Box::pin(self.0.carried_out(unknown)).await
    }

    async fn seen(&self, key: &str) -> Result<Seen, Error> {
        check_key(key)?;
        let want = [Want::untagged(key)];
        let seen = Box::pin(self.0.look(&want)).await;
        let seen = seen.ok().and_then(|mut seen| seen.pop());
        Ok(seen.unwrap_or(Seen::Missing(None)))
    }
}

impl Inner {
    fn redis(&self) -> Option<&Redis> {
        match &self.store {
            Store::Remote(remote, _) => Some(&remote.redis),
            Store::Process(_) => None,
        }
    }

    fn is_cache_only(&self) -> bool {
        self.is_cache_only.load(Ordering::Acquire)
    }

    fn ttl_of(&self, options: &CacheOptions) -> Duration {
        options.ttl.unwrap_or(self.ttl).clamp(TTL_MIN, TTL_MAX)
    }
}

/// Values stay out.
impl fmt::Debug for Cache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Cache")
            .field("namespace", &self.0.names.namespace())
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
