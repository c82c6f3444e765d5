//! The builder: one method per knob, by value; a later call wins, and wins over file and environment.

use std::error::Error as StdError;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use aquifer_wire::Secret;

use super::knob::{self, Knob, TextKnob};
use super::origin::Sourced;
use super::{Advanced, CacheFormat, Config, PasswordProvider};
use crate::metrics::MetricsCollector;
use crate::observe::Observer;

impl Config {
    /// Where PostgreSQL is and how to log in: a URL, or `key=value` pairs, as libpq takes them.
    ///
    /// `postgresql://user:password@host1:5432,host2/database?sslmode=verify-full`: several hosts are
    /// taken for a primary and its replicas, in any order; see [`Db`](crate::Db). In a user, password or database `@` is written `%40`, `/` `%2F`
    /// and `%` `%25`. Required, unless `PGHOST` or `PGHOSTADDR` says where the server is.
    /// Variable: `DATABASE_URL`. A text that can't be read is refused when the configuration is
    /// used; [`from_url`](Self::from_url) refuses it at once.
    #[must_use]
    #[track_caller]
    pub fn url(self, url: impl Into<Secret>) -> Self {
        self.with_text(&knob::URL, url, Location::caller())
    }

    /// Where Redis is, and how to log in.
    ///
    /// | form | for |
    /// |---|---|
    /// | `redis://user:password@host:6379/0` | one server |
    /// | `redis+sentinel://user:password@host1:26379,host2:26379/service/0` | the master that Sentinel names |
    /// | `redis+cluster://user:password@host1:6379,host2:6379` | a cluster; some of its nodes |
    /// | `redis+unix:///directory/socket?db=0&user=…&pass=…` | one server on this machine |
    ///
    /// `rediss` instead of `redis` is with TLS, and takes the parameters `sslrootcert` (a PEM file,
    /// else the system's authorities), `sslcert` and `sslkey`. Sentinels with a login of their own
    /// have `sentinel_user` and `sentinel_password`. `protocol=resp2` is for servers before 6.0.
    /// In a user or password `@` is written `%40`, `/` `%2F` and `%` `%25`.
    ///
    /// Default: none, so there is no Redis. Variable: `REDIS_URL`.
    #[must_use]
    #[track_caller]
    pub fn redis_url(self, url: impl Into<Secret>) -> Self {
        self.with_text(&knob::REDIS_URL, url, Location::caller())
    }

    /// The deadline of one call to Redis: waiting for a connection, the answer and further attempts
    /// together.
    ///
    /// Default: 1 s. Range: 1 ms to 1 h. Variable: `AQUIFER_REDIS_TIMEOUT`. A call that meets it puts
    /// the connection in doubt: one that then does not answer within `check_timeout` is replaced. So
    /// don't set it below the longest script or command that is normal; give such a command its own
    /// time, or a connection of its own with [`Redis::link`](crate::Redis::link).
    #[must_use]
    #[track_caller]
    pub fn redis_timeout(self, limit: Duration) -> Self {
        self.with_time(&knob::REDIS_TIMEOUT, limit, Location::caller())
    }

    /// Whether starting fails when Redis can't be reached within `connect_timeout`.
    ///
    /// Default: false: without Redis the service starts, degraded, and further attempts are made in
    /// the background. Variable: `AQUIFER_REDIS_REQUIRED`. Don't set it for a cache.
    #[must_use]
    #[track_caller]
    pub fn redis_required(mut self, required: bool) -> Self {
        let required = Sourced::by(Location::caller(), required);
        self.flags.insert(knob::REDIS_REQUIRED.name, required);
        self
    }

    /// What all keys of the cache in Redis begin with: `aquifer:user:1`.
    ///
    /// Default: `aquifer`. 1 to 64 letters, digits, `_`, `.` or `-`. Variable:
    /// `AQUIFER_CACHE_NAMESPACE`. Services that share a Redis and not their values take different ones;
    /// the processes of one service must have the same.
    #[must_use]
    #[track_caller]
    pub fn cache_namespace(self, namespace: impl Into<String>) -> Self {
        self.with_text(&knob::CACHE_NAMESPACE, namespace.into(), Location::caller())
    }

    /// How values of the cache are written into Redis.
    ///
    /// Default: [`CacheFormat::MessagePack`]. Variable: `AQUIFER_CACHE_FORMAT`, `messagepack` or `json`.
    /// Each value says how it was written, so that the setting may be changed while processes with the
    /// other one run. Take JSON to look at values with `redis-cli`; it takes about a third more room.
    /// Results of queries are always MessagePack.
    #[must_use]
    #[track_caller]
    pub fn cache_format(self, format: CacheFormat) -> Self {
        self.with_text(&knob::CACHE_FORMAT, format.name(), Location::caller())
    }

    /// For how long a value of the cache is kept, unless its call says otherwise.
    ///
    /// Default: 1 h. Range: 1 ms to 8,760 h. Variable: `AQUIFER_CACHE_TTL`. It bounds the memory that
    /// values take which nobody asks for; values are good for as long as nobody changes them. Set it
    /// lower only for what changes behind the layer's back.
    #[must_use]
    #[track_caller]
    pub fn cache_ttl(self, ttl: Duration) -> Self {
        self.with_time(&knob::CACHE_TTL, ttl, Location::caller())
    }

    /// Whether the cache sees what others write to the database: psql, migrations, services in other
    /// languages.
    ///
    /// Default: false. Variable: `AQUIFER_CACHE_FOREIGN_WRITES`. One process of all that share a cache reads
    /// the database's log for all of them, by logical decoding with `test_decoding`, which comes with
    /// PostgreSQL: about 100 ms after a commit can be seen, values that were made of these rows or tables
    /// are misses. It takes `wal_level = logical`, a role with REPLICATION, one connection, and a slot that
    /// is temporary: when the process ends, the server keeps nothing for it, and another takes its place
    /// within seconds; then all values are misses once. Where it can't be done,
    /// [`ForeignWritesUnseen`](crate::Event::ForeignWritesUnseen) says why, and values that others change
    /// stay until their time is over: keep `cache_ttl` short, or call
    /// [`invalidate`](crate::Cache::invalidate). Not seen are DDL, unlogged tables, and foreign tables.
    /// Processes that share a database and this `cache_namespace` must share a Redis too.
    ///
    /// Don't set it where only services with the layer write: their own changes are announced twice then.
    #[must_use]
    #[track_caller]
    pub fn cache_foreign_writes(mut self, seen: bool) -> Self {
        let seen = Sourced::by(Location::caller(), seen);
        self.flags.insert(knob::CACHE_FOREIGN_WRITES.name, seen);
        self
    }

    /// Asks `provider` for the password of Redis, for passwords that expire.
    ///
    /// It wins over a password in `redis_url`. It is asked for the first connection, and again when
    /// the server refuses a login; then once for all connections, and at most once a second while
    /// the server goes on refusing. It is given `connect_timeout`, and its future may be dropped
    /// before it ends. An error or a panic fails that one opening.
    #[must_use]
    #[track_caller]
    pub fn redis_password_provider<F, Fut>(mut self, provider: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Secret, Box<dyn StdError + Send + Sync>>> + Send + 'static,
    {
        let provider: PasswordProvider = Arc::new(move || Box::pin(provider()));
        self.redis_password = Some(Sourced::by(Location::caller(), provider));
        self
    }

    /// Most connections open at once, shared and exclusive together.
    ///
    /// Default: 10. Range: 1 to 10,000. Variable: `AQUIFER_CONNECTIONS_MAX`. More is not faster:
    /// past a few per core of the server, connections only wait for each other there. Raise it if
    /// calls wait for a connection while the server is idle, and keep the sum over all services
    /// below the server's `max_connections`.
    #[must_use]
    #[track_caller]
    pub fn connections_max(self, connections: u32) -> Self {
        self.with_count(&knob::CONNECTIONS_MAX, connections, Location::caller())
    }

    /// Longest wait for a connection to become free.
    ///
    /// Default: 5 s, or `query_timeout` if that is less. Range: 1 ms to 1 h, and at most
    /// `query_timeout`, which covers this wait too. Variable: `AQUIFER_ACQUIRE_TIMEOUT`. Don't
    /// raise it to get rid of time-outs under load: callers then wait longer for the same error.
    #[must_use]
    #[track_caller]
    pub fn acquire_timeout(self, limit: Duration) -> Self {
        self.with_time(&knob::ACQUIRE_TIMEOUT, limit, Location::caller())
    }

    /// The deadline of one call, counted once from its start: waiting, sending, the server's work
    /// and retries together.
    ///
    /// Default: 30 s. Range: 1 ms to 24 h. Variable: `AQUIFER_QUERY_TIMEOUT`. Don't raise it for
    /// all because of one long report.
    #[must_use]
    #[track_caller]
    pub fn query_timeout(self, limit: Duration) -> Self {
        self.with_time(&knob::QUERY_TIMEOUT, limit, Location::caller())
    }

    /// How long opening one connection to one host may take in all: name look-up, TCP, TLS,
    /// authentication, until the session is ready.
    ///
    /// Default: 5 s. Range: 1 ms to 1 h. Variable: `AQUIFER_CONNECT_TIMEOUT`. Connections are
    /// opened in the background, so it need not be less than `acquire_timeout`. Don't set it below
    /// a few times the network's round trip: start-up takes several.
    #[must_use]
    #[track_caller]
    pub fn connect_timeout(self, limit: Duration) -> Self {
        self.with_time(&knob::CONNECT_TIMEOUT, limit, Location::caller())
    }

    /// What `pg_stat_activity` and the server's log call this service's sessions.
    ///
    /// Default: `aquifer`. Limits: 1 to 63 printable ASCII characters, since the server cuts or
    /// replaces what goes beyond. Variable: `AQUIFER_APPLICATION_NAME`. Don't put anything
    /// changing into it, such as a request's number.
    #[must_use]
    #[track_caller]
    pub fn application_name(self, name: impl Into<String>) -> Self {
        self.with_text(&knob::APPLICATION_NAME, name.into(), Location::caller())
    }

    /// A PEM file of the authorities whose signature on the server's certificate is trusted, or
    /// `system` for those of the operating system.
    ///
    /// Default: those of the operating system. Variable: `AQUIFER_SSLROOTCERT`. Providers of
    /// databases with an authority of their own offer the file; set it rather than weakening
    /// `sslmode`. Leave it alone where connecting works: it replaces the system's authorities.
    #[must_use]
    #[track_caller]
    pub fn sslrootcert(self, file: impl Into<String>) -> Self {
        self.with_text(&knob::SSLROOTCERT, file.into(), Location::caller())
    }

    /// The knobs that few services need; see [`Advanced`].
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use aquifer::Config;
    ///
    /// let config = Config::from_url("postgresql://app@db/shop")?
    ///     .connections_max(20)
    ///     .advanced(|advanced| advanced.lanes(3).commit_timeout(Duration::from_secs(10)));
    /// # Ok::<(), aquifer::Error>(())
    /// ```
    #[must_use]
    pub fn advanced(self, change: impl FnOnce(Advanced) -> Advanced) -> Self {
        change(Advanced(self)).0
    }

    /// Asks `provider` for the password whenever a connection is opened, for passwords that expire.
    ///
    /// It wins over a password in `url` or `PGPASSWORD`. It is given `connect_timeout`, and
    /// its future may be dropped before it ends. An error or a panic fails that one opening. When the
    /// server refuses the password it is asked once more, at once; when it refuses that one as well,
    /// once a second until one is accepted. Connections that are open go on.
    ///
    /// ```
    /// use aquifer::{Config, Secret};
    ///
    /// let config = Config::from_url("postgresql://app@db/shop")?
    ///     .password_provider(|| async { Ok(Secret::from(std::fs::read_to_string("token")?)) });
    /// # Ok::<(), aquifer::Error>(())
    /// ```
    #[must_use]
    #[track_caller]
    pub fn password_provider<F, Fut>(mut self, provider: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Secret, Box<dyn StdError + Send + Sync>>> + Send + 'static,
    {
        let provider: PasswordProvider = Arc::new(move || Box::pin(provider()));
        self.password = Some(Sourced::by(Location::caller(), provider));
        self
    }

    /// The observers, for a part that is used without the rest.
    pub(crate) fn observers(&self) -> crate::observe::Observers {
        let endpoint = crate::observe::Endpoint {
            namespace: "redis".into(),
            address: None,
            port: None,
        };
        let (threshold, _) = self.time_unchecked(&knob::SLOW_QUERY_THRESHOLD);
        let metrics = self.metrics.clone().unwrap_or_default();
        crate::observe::Observers::new(&self.observers, metrics.measures(), threshold, endpoint)
    }

    /// Sends the layer's events to `observer`, besides those that were added before.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observers.push(observer);
        self
    }

    /// Counts in `collector`, besides whatever else counts there; without it each
    /// [`Db`](crate::Db) has one of its own.
    #[must_use]
    pub fn metrics(mut self, collector: &MetricsCollector) -> Self {
        self.metrics = Some(collector.clone());
        self
    }

    /// The collector that was given by [`metrics`](Self::metrics).
    pub(crate) fn given_metrics(&self) -> Option<&MetricsCollector> {
        self.metrics.as_ref()
    }

    pub(super) fn with_count(mut self, knob: &Knob<u32>, value: u32, caller: Caller) -> Self {
        self.counts.insert(knob.name, Sourced::by(caller, value));
        self
    }

    pub(super) fn with_time(
        mut self,
        knob: &Knob<Duration>,
        value: Duration,
        caller: Caller,
    ) -> Self {
        self.times.insert(knob.name, Sourced::by(caller, value));
        self
    }

    pub(super) fn with_text(
        mut self,
        knob: &TextKnob,
        value: impl Into<Secret>,
        caller: Caller,
    ) -> Self {
        self.texts
            .insert(knob.name, Sourced::by(caller, value.into()));
        self
    }
}

type Caller = &'static Location<'static>;
