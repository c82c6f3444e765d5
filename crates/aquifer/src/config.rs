//! The layer's settings: where they come from, what they may be, and the one check of them all.

mod advanced;
mod breaker;
mod builder;
mod cache;
mod check;
mod connection;
mod environment;
mod file;
mod format;
mod hosts;
mod knob;
mod listing;
mod origin;
mod pooler;
mod quantity;
mod redis;
mod text;

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aquifer_wire::Secret;

pub use self::advanced::Advanced;
pub(crate) use self::cache::CacheSettings;
pub(crate) use self::check::{Settings, check_resize};
use self::environment::Environment;
pub use self::format::CacheFormat;
pub(crate) use self::hosts::Hosts;
pub use self::origin::Origin;
use self::origin::Sourced;
pub use self::pooler::Pooler;
pub(crate) use self::redis::{
    RedisAddress, RedisLayout, RedisLogin, RedisSettings, RedisTarget, RedisTls,
};
use crate::Error;
use crate::metrics::MetricsCollector;
use crate::observe::Observer;

/// Asks for the password of one connection.
pub(crate) type PasswordProvider = Arc<dyn Fn() -> PasswordFuture + Send + Sync>;

/// The answer of a [`PasswordProvider`].
pub(crate) type PasswordFuture =
    Pin<Box<dyn Future<Output = Result<Secret, Box<dyn StdError + Send + Sync>>> + Send>>;

/// How to reach the servers and how much to ask of them.
///
/// Each value is the program's (by the methods here), else the environment's, else the file's,
/// else the default, and remembers which. [`load`](Self::load) reads them all. A bad value is
/// refused with its name and its source, never replaced by another. `Debug` and
/// [`values`](Self::values) mask passwords, and no error repeats a text that may hold one.
///
/// ```no_run
/// use std::time::Duration;
///
/// use aquifer::Config;
///
/// let config = Config::load()?.query_timeout(Duration::from_secs(10));
/// # Ok::<(), aquifer::Error>(())
/// ```
///
/// # Knobs
/// Times are whole numbers with a unit: `500ms`, `5s`, `2m`, `1h`. Each method says what the knob
/// is for and when to leave it alone.
///
/// | knob | default | range | variable |
/// |---|---|---|---|
/// | [`url`](Self::url) | required | libpq URL or `key=value` pairs | `DATABASE_URL` |
/// | [`redis_url`](Self::redis_url) | none | URL | `REDIS_URL` |
/// | [`redis_timeout`](Self::redis_timeout) | 1s | 1ms to 1h | `AQUIFER_REDIS_TIMEOUT` |
/// | [`redis_required`](Self::redis_required) | false | false to true | `AQUIFER_REDIS_REQUIRED` |
/// | [`cache_namespace`](Self::cache_namespace) | `aquifer` | 1 to 64 of `A-Z a-z 0-9 _ . -` | `AQUIFER_CACHE_NAMESPACE` |
/// | [`cache_format`](Self::cache_format) | `messagepack` | `messagepack` or `json` | `AQUIFER_CACHE_FORMAT` |
/// | [`cache_ttl`](Self::cache_ttl) | 1h | 1ms to 8760h | `AQUIFER_CACHE_TTL` |
/// | [`cache_foreign_writes`](Self::cache_foreign_writes) | false | false to true | `AQUIFER_CACHE_FOREIGN_WRITES` |
/// | [`connections_max`](Self::connections_max) | 10 | 1 to 10000 | `AQUIFER_CONNECTIONS_MAX` |
/// | [`acquire_timeout`](Self::acquire_timeout) | 5s | 1ms to 1h | `AQUIFER_ACQUIRE_TIMEOUT` |
/// | [`query_timeout`](Self::query_timeout) | 30s | 1ms to 24h | `AQUIFER_QUERY_TIMEOUT` |
/// | [`connect_timeout`](Self::connect_timeout) | 5s | 1ms to 1h | `AQUIFER_CONNECT_TIMEOUT` |
/// | [`application_name`](Self::application_name) | `aquifer` | 1 to 63 ASCII characters | `AQUIFER_APPLICATION_NAME` |
/// | [`sslrootcert`](Self::sslrootcert) | the system's | path or `system` | `AQUIFER_SSLROOTCERT` |
/// | [`advanced.lanes`](Advanced::lanes) | 2 | 0 to 4 | `AQUIFER_ADVANCED_LANES` |
/// | [`advanced.lane_requests_max`](Advanced::lane_requests_max) | 128 | 1 to 4096 | `AQUIFER_ADVANCED_LANE_REQUESTS_MAX` |
/// | [`advanced.lane_timeout`](Advanced::lane_timeout) | 250ms | 10ms to 1h | `AQUIFER_ADVANCED_LANE_TIMEOUT` |
/// | [`advanced.pooler`](Advanced::pooler) | `auto` | `auto`, `none` or `transaction` | `AQUIFER_ADVANCED_POOLER` |
/// | [`advanced.replicas`](Advanced::replicas) | none | `host` or `host:port`, separated by commas | `AQUIFER_ADVANCED_REPLICAS` |
/// | [`advanced.lag_max`](Advanced::lag_max) | 10s | 1ms to 1h | `AQUIFER_ADVANCED_LAG_MAX` |
/// | [`advanced.lag_bytes_max`](Advanced::lag_bytes_max) | 16777216 | 1 to 4294967295 | `AQUIFER_ADVANCED_LAG_BYTES_MAX` |
/// | [`advanced.catchup_timeout`](Advanced::catchup_timeout) | 50ms | 1ms to 1m | `AQUIFER_ADVANCED_CATCHUP_TIMEOUT` |
/// | [`advanced.probe_interval`](Advanced::probe_interval) | 1s | 100ms to 1m | `AQUIFER_ADVANCED_PROBE_INTERVAL` |
/// | [`advanced.probe_timeout`](Advanced::probe_timeout) | 500ms | 10ms to 1m | `AQUIFER_ADVANCED_PROBE_TIMEOUT` |
/// | [`advanced.primary_wait`](Advanced::primary_wait) | 30s | 1ms to 1h | `AQUIFER_ADVANCED_PRIMARY_WAIT` |
/// | [`advanced.connections_min`](Advanced::connections_min) | 1 | 1 to 10000 | `AQUIFER_ADVANCED_CONNECTIONS_MIN` |
/// | [`advanced.lifetime_max`](Advanced::lifetime_max) | 30m | 1s to 8760h | `AQUIFER_ADVANCED_LIFETIME_MAX` |
/// | [`advanced.idle_timeout`](Advanced::idle_timeout) | 10m | 1s to 8760h | `AQUIFER_ADVANCED_IDLE_TIMEOUT` |
/// | [`advanced.keepalive_interval`](Advanced::keepalive_interval) | 30s | 100ms to 1h | `AQUIFER_ADVANCED_KEEPALIVE_INTERVAL` |
/// | [`advanced.check_timeout`](Advanced::check_timeout) | 250ms | 1ms to 1m | `AQUIFER_ADVANCED_CHECK_TIMEOUT` |
/// | [`advanced.leak_warning_after`](Advanced::leak_warning_after) | 1m | 1ms to 24h | `AQUIFER_ADVANCED_LEAK_WARNING_AFTER` |
/// | [`advanced.queue_target`](Advanced::queue_target) | 500ms | 1ms to 1h | `AQUIFER_ADVANCED_QUEUE_TARGET` |
/// | [`advanced.queue_interval`](Advanced::queue_interval) | 2s | 1ms to 1h | `AQUIFER_ADVANCED_QUEUE_INTERVAL` |
/// | [`advanced.waiters_max`](Advanced::waiters_max) | 1000 | 1 to 1000000 | `AQUIFER_ADVANCED_WAITERS_MAX` |
/// | [`advanced.attempts_max`](Advanced::attempts_max) | 3 | 1 to 100 | `AQUIFER_ADVANCED_ATTEMPTS_MAX` |
/// | [`advanced.breaker`](Advanced::breaker) | `on` | `on` or `off` | `AQUIFER_ADVANCED_BREAKER` |
/// | [`advanced.breaker_failure_percent`](Advanced::breaker_failure_percent) | 50 | 1 to 100 | `AQUIFER_ADVANCED_BREAKER_FAILURE_PERCENT` |
/// | [`advanced.breaker_calls_min`](Advanced::breaker_calls_min) | 10 | 1 to 10000 | `AQUIFER_ADVANCED_BREAKER_CALLS_MIN` |
/// | [`advanced.breaker_open_min`](Advanced::breaker_open_min) | 500ms | 1ms to 1h | `AQUIFER_ADVANCED_BREAKER_OPEN_MIN` |
/// | [`advanced.breaker_open_max`](Advanced::breaker_open_max) | 15s | 1ms to 1h | `AQUIFER_ADVANCED_BREAKER_OPEN_MAX` |
/// | [`advanced.commit_timeout`](Advanced::commit_timeout) | 30s | 1ms to 1h | `AQUIFER_ADVANCED_COMMIT_TIMEOUT` |
/// | [`advanced.shutdown_timeout`](Advanced::shutdown_timeout) | 10s | 1ms to 1h | `AQUIFER_ADVANCED_SHUTDOWN_TIMEOUT` |
/// | [`advanced.slow_query_threshold`](Advanced::slow_query_threshold) | 1s | 1ms to 24h | `AQUIFER_ADVANCED_SLOW_QUERY_THRESHOLD` |
/// | [`advanced.metrics_interval`](Advanced::metrics_interval) | 1m | 100ms to 1h | `AQUIFER_ADVANCED_METRICS_INTERVAL` |
/// | [`advanced.health_interval`](Advanced::health_interval) | 30s | 10ms to 24h | `AQUIFER_ADVANCED_HEALTH_INTERVAL` |
/// | [`advanced.health_interval_alarm`](Advanced::health_interval_alarm) | 1s | 10ms to 1h | `AQUIFER_ADVANCED_HEALTH_INTERVAL_ALARM` |
/// | [`advanced.health_timeout`](Advanced::health_timeout) | 1s | 1ms to 1m | `AQUIFER_ADVANCED_HEALTH_TIMEOUT` |
/// | [`advanced.cache_negative_ttl`](Advanced::cache_negative_ttl) | 5s | 1ms to 8760h | `AQUIFER_ADVANCED_CACHE_NEGATIVE_TTL` |
/// | [`advanced.cache_load_timeout`](Advanced::cache_load_timeout) | 30s | 1ms to 24h | `AQUIFER_ADVANCED_CACHE_LOAD_TIMEOUT` |
/// | [`advanced.cache_loads_max`](Advanced::cache_loads_max) | 64 | 1 to 10000 | `AQUIFER_ADVANCED_CACHE_LOADS_MAX` |
/// | [`advanced.cache_memory_max`](Advanced::cache_memory_max) | 67108864 | 65536 to 4294967295 | `AQUIFER_ADVANCED_CACHE_MEMORY_MAX` |
/// | [`advanced.cache_foreign_interval`](Advanced::cache_foreign_interval) | 50ms | 5ms to 1m | `AQUIFER_ADVANCED_CACHE_FOREIGN_INTERVAL` |
/// | [`advanced.statements_max`](Advanced::statements_max) | 256 | 1 to 10000 | `AQUIFER_ADVANCED_STATEMENTS_MAX` |
/// | [`advanced.requests_max`](Advanced::requests_max) | 4096 | 1 to 1000000 | `AQUIFER_ADVANCED_REQUESTS_MAX` |
/// | [`advanced.message_max`](Advanced::message_max) | 1073741824 | 65536 to 2147483647 | `AQUIFER_ADVANCED_MESSAGE_MAX` |
///
/// `connect_timeout`, `application_name` and `sslrootcert` may stand in the `url` too. There they
/// count as what the source of the `url` says; a knob from the same source comes before them.
/// The `PG*` variables of libpq fill in what nothing else sets, when the environment is read, and
/// for [`from_url`](Self::from_url).
///
/// # File
/// ```toml
/// url = "postgresql://app@db.example.com/shop"
/// connections_max = 20
/// query_timeout = "10s"
///
/// [advanced]
/// lanes = 3
/// ```
#[derive(Clone, Default)]
pub struct Config {
    counts: BTreeMap<&'static str, Sourced<u32>>,
    times: BTreeMap<&'static str, Sourced<Duration>>,
    flags: BTreeMap<&'static str, Sourced<bool>>,
    texts: BTreeMap<&'static str, Sourced<Secret>>,
    /// The `PG*` variables, if the environment was read.
    libpq: BTreeMap<String, Secret>,
    password: Option<Sourced<PasswordProvider>>,
    redis_password: Option<Sourced<PasswordProvider>>,
    observers: Vec<Arc<dyn Observer>>,
    metrics: Option<MetricsCollector>,
}

impl Config {
    /// A configuration with nothing set; neither file nor environment is read.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a [`url`](Self::url), and for what it leaves open the `PG*` variables, as libpq does.
    ///
    /// So `postgres://localhost/app` logs in as `PGUSER` or `USER`, with `PGPASSWORD` or what the
    /// password file (`PGPASSFILE`, else `~/.pgpass`) says. Neither `DATABASE_URL` nor `AQUIFER_*` is read. For the URL alone: `Config::new().url(…)`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the URL or a `PG*` variable can't be read.
    #[track_caller]
    pub fn from_url(url: impl Into<Secret>) -> Result<Self, Error> {
        Self::new()
            .url(url)
            .completed_by(&Environment::of_process())
    }

    fn completed_by(mut self, environment: &Environment) -> Result<Self, Error> {
        environment.apply_libpq(&mut self)?;
        self.connection()?;
        Ok(self)
    }

    /// Reads a TOML file, and nothing else.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the file can't be read or has a name that
    /// is unknown or a value of another kind; the text says the line and the remedy.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let mut config = Self::new();
        file::read(&mut config, path.as_ref())?;
        config.check_urls()?;
        Ok(config)
    }

    /// Reads the environment, and nothing else: see [`with_env`](Self::with_env).
    ///
    /// # Errors
    /// Those of [`with_env`](Self::with_env).
    pub fn from_env() -> Result<Self, Error> {
        Self::new().with_env()
    }

    /// Reads the file that `AQUIFER_CONFIG` names, else `aquifer.toml` in the working directory if
    /// there is one, and over it the environment.
    ///
    /// # Errors
    /// Those of [`from_file`](Self::from_file) and [`with_env`](Self::with_env), and
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if `AQUIFER_CONFIG` names no file.
    pub fn load() -> Result<Self, Error> {
        Self::load_with(&Environment::of_process(), Path::new("aquifer.toml"))
    }

    /// Sets what the environment says over what is set so far.
    ///
    /// Those are the variables that the table above lists, and the `PG*` variables of libpq for
    /// what nothing else sets, with `USER` as the last resort for the user and `~/.pgpass` as that
    /// for the password.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if a value is of another kind, or a variable
    /// that begins with `AQUIFER_` is unknown.
    pub fn with_env(self) -> Result<Self, Error> {
        self.with_environment(&Environment::of_process())
    }

    /// Checks all values, alone and together, without connecting to anything.
    ///
    /// Connecting does the same first; this is for programs that want to know earlier.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) names the setting, its source and the
    /// remedy.
    pub fn validate(&self) -> Result<(), Error> {
        self.check().map(|_settings| ())
    }

    fn load_with(environment: &Environment, usual: &Path) -> Result<Self, Error> {
        let mut config = Self::new();
        match environment.config_file()? {
            Some(path) => file::read(&mut config, &path)?,
            None if usual.exists() => file::read(&mut config, usual)?,
            None => {}
        }
        config.with_environment(environment)
    }

    fn with_environment(mut self, environment: &Environment) -> Result<Self, Error> {
        environment.apply(&mut self)?;
        self.check_urls()?;
        Ok(self)
    }

    /// Refuses URLs that can't be read, for whoever reads them from elsewhere.
    fn check_urls(&self) -> Result<(), Error> {
        self.connection()?;
        self.redis()?;
        Ok(())
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.values().map(|(name, value, _origin)| (name, value));
        formatter.debug_map().entries(values).finish()
    }
}

/// A refusal of what `origin` gives for `name`; never repeats a text.
fn refusal(name: &str, origin: &Origin, problem: impl fmt::Display) -> Error {
    let place = match origin {
        Origin::Default => String::new(),
        origin => format!(" ({origin})"),
    };
    Error::new(crate::ErrorKind::Config, format!("{name}{place} {problem}"))
}

#[cfg(test)]
mod tests;
