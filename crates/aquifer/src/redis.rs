//! Redis: one handle on a server, on the master that Sentinel names, or on a cluster.
//!
//! ```no_run
//! use aquifer::{Config, Error, Redis};
//!
//! # async fn example() -> Result<(), Error> {
//! let config = Config::new().redis_url("redis://localhost");
//! let redis = Redis::connect(&config).await?;
//! redis.command("SET").arg("greeting").arg("hello").run::<()>().await?;
//! let greeting: Option<String> = redis.command("GET").arg("greeting").run().await?;
//! # Ok(()) }
//! ```

mod command;
mod credentials;
mod discovery;
mod execute;
mod fleet;
mod link;
mod map;
mod node;
mod opener;
mod slot;
mod subscriber;
mod tls;
mod traits;
mod verdict;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use ::redis::{FromRedisValue, PushInfo, PushKind, ToRedisArgs, Value};

pub use self::command::{Command, Pipeline};
use self::fleet::Fleet;
pub use self::link::Link;
use self::opener::Opener;
pub(crate) use self::subscriber::{Published, Subscriber};
use crate::config::{Config, RedisAddress, RedisSettings};
use crate::deadline::Deadline;
use crate::observe::{BreakerState, Events, Observers, Status};
use crate::tasks::Tasks;
use crate::{Error, ErrorKind, wait};

/// The handle on Redis: cheap to clone, safe to share.
///
/// All callers share one connection to each server, which is opened in the background and opened
/// again when it is lost. A call ends by its deadline (`redis_timeout`) with an answer or an error
/// that says what may be done. While a server is away calls fail at once with the cause; so they do
/// while its circuit breaker is open, because half of the calls of the last ten seconds were not
/// answered in time.
///
/// A command is sent again only where that is safe: nothing was sent, the server said that it did
/// nothing, or it leaves the same when it is done twice (GET, SET, DEL). A write that would count
/// twice (INCR, LPUSH, PUBLISH) and whose answer was lost is [`ErrorKind::Unknown`].
///
/// Commands that wait on the server (BLPOP) or change the connection (SUBSCRIBE, SELECT, WATCH) are
/// refused here; they belong on a [`link`](Self::link).
#[derive(Clone)]
#[doc(alias = "RedisClient")]
pub struct Redis {
    fleet: Arc<Fleet>,
    tasks: Arc<Tasks>,
}

/// How Redis does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RedisStatus {
    /// Up when every master is connected, degraded when some are, down when none is.
    pub status: Status,
    /// The servers that take writes, as far as they are known.
    pub masters: Vec<RedisMaster>,
    /// Why it is not up, in words.
    pub cause: Option<String>,
}

/// One server that takes writes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RedisMaster {
    /// Where it listens: `host:port`, or the path of a socket. [`Redis::link`] takes it.
    pub address: String,
    /// Whether there is a connection to it now.
    pub connected: bool,
    /// Why there is none, in words.
    pub cause: Option<String>,
    /// What the circuit breaker before it lets through.
    pub breaker: BreakerState,
}

impl Redis {
    /// Begins to connect to the Redis of `config`, for programs that use it without a database; with
    /// one, see [`Db::redis`](crate::Db::redis).
    ///
    /// Returns at once, unless `redis_required` is set: then when each master is connected.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when the URL is missing or can't be used. With `redis_required`
    /// also why it can't be reached within `connect_timeout`; a retry is safe.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened.
    pub async fn connect(config: &Config) -> Result<Self, Error> {
        let Some(settings) = config.check_redis()? else {
            return Err(Error::new(
                ErrorKind::Config,
                "redis_url is not set; set the variable REDIS_URL, for example to \
                 redis://localhost, or redis_url in aquifer.toml, or call Config::redis_url",
            ));
        };
        let tasks = Arc::new(Tasks::default());
        Self::start(settings, &tasks, config.observers()).await
    }

    /// Begins to connect, with tasks and observers that others use too.
    pub(crate) async fn start(
        settings: RedisSettings,
        tasks: &Arc<Tasks>,
        observers: Observers,
    ) -> Result<Self, Error> {
        let (required, limit) = (settings.required, settings.connect_timeout);
        let opener = Opener::new(settings, Arc::clone(tasks), observers);
        let redis = Self {
            fleet: Fleet::start(Arc::new(opener)),
            tasks: Arc::clone(tasks),
        };
        if required {
            let connected = redis.fleet.connected();
            if Deadline::after(limit).run(connected).await.is_err() {
                let cause = redis.first_cause();
                redis.fleet.close(Deadline::after(Duration::ZERO)).await;
                return Err(cause.unwrap_or_else(|| {
                    let text = format!(
                        "Redis was not connected within {limit:?} (connect_timeout), and \
                         redis_required is set"
                    );
                    Error::new(ErrorKind::Timeout, text).with_retry(crate::Retry::Safe)
                }));
            }
        }
        Ok(redis)
    }

    /// Begins a command, whose words follow by [`arg`](Command::arg).
    pub fn command(&self, name: &str) -> Command {
        Command::new(self.fleet.clone().into(), name)
    }

    /// Begins a list of commands that are sent together.
    pub fn pipeline(&self) -> Pipeline {
        Pipeline::new(self.fleet.clone().into())
    }

    /// Opens a connection to one master for the caller alone: for commands that wait on the server
    /// or change the connection, and for what the server sends by itself.
    ///
    /// `master` is an address of [`status`](Self::status). `on_push` is called on the connection's
    /// task with every message of RESP3 that is no answer: of channels, of CLIENT TRACKING, and a
    /// last one of kind `Disconnection`; it must not block. A link is not opened again when it is
    /// lost: whoever holds it must know what it has missed ([`Link::closed`]).
    ///
    /// # Errors
    /// [`Usage`](ErrorKind::Usage) when `master` is none now; those of opening a connection, a retry
    /// is safe.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened.
    pub async fn link<F>(&self, master: &str, on_push: F) -> Result<Link, Error>
    where
        F: Fn(PushInfo) + Send + Sync + 'static,
    {
        let address = self.master_at(master)?;
        Link::open(&self.fleet, &address, on_push).await
    }

    /// Opens a connection to one master on which channels are heard, also where `link` hears none.
    pub(crate) async fn subscriber<F>(&self, master: &str, heard: F) -> Result<Subscriber, Error>
    where
        F: Fn(Published) + Send + Sync + 'static,
    {
        let address = self.master_at(master)?;
        Subscriber::open(&self.fleet, &address, heard).await
    }

    fn master_at(&self, master: &str) -> Result<RedisAddress, Error> {
        let masters = self.fleet.map().masters;
        let mut addresses = masters.iter().map(|node| node.address());
        let known = addresses.find(|address| address.to_string() == master);
        known.cloned().ok_or_else(|| {
            let text = format!("{master:?} is no master of Redis now; see Redis::status");
            Error::new(ErrorKind::Usage, text)
        })
    }

    /// What happens to Redis from now on: errors, recoveries, failovers. Of a Redis that belongs to a
    /// `Db` these are the events of both.
    #[must_use]
    pub fn events(&self) -> Events {
        self.fleet.opener.observers.events()
    }

    /// How it does, as far as is known without asking.
    #[must_use]
    pub fn status(&self) -> RedisStatus {
        let map = self.fleet.map();
        let masters: Vec<RedisMaster> = map
            .masters
            .iter()
            .map(|node| RedisMaster {
                address: node.address().to_string(),
                connected: node.is_ready(),
                cause: node.cause().map(|cause| cause.to_string()),
                breaker: node.breaker(),
            })
            .collect();
        let connected = masters.iter().filter(|master| master.connected).count();
        let status = match connected {
            0 => Status::Down,
            all if all == masters.len() && map.is_covered() => Status::Up,
            _ => Status::Degraded,
        };
        let uncovered = || "the cluster has slots that no node serves".to_owned();
        let cause = match status {
            Status::Up => None,
            _ if map.closed => Some(node::closed().to_string()),
            _ => self
                .first_cause()
                .map(|cause| cause.to_string())
                .or_else(|| {
                    let whole = map.masters.is_empty() || map.is_covered();
                    (!whole).then(uncovered)
                }),
        };
        RedisStatus {
            status,
            masters,
            cause,
        }
    }

    /// Asks each master for a sign of life, within `limit`; returns how long the slowest took.
    ///
    /// # Errors
    /// Why the first that failed did.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn ping(&self, limit: Duration) -> Result<Duration, Error> {
        let deadline = Deadline::after(limit);
        // So that the masters are known.
        drop(self.fleet.node_for(None, deadline).await?);
        let masters = self.fleet.map().masters;
        let asked = masters.iter().map(|node| node.ping(deadline));
        wait::all(asked)
            .await
            .into_iter()
            .collect::<Result<(), _>>()?;
        Ok(deadline.elapsed())
    }

    /// Refuses new calls, waits until `deadline` for those under way, and closes all connections;
    /// every clone of this handle is closed then.
    ///
    /// # Cancel safety
    /// New calls stay refused; the connections are closed when the last handle is dropped.
    pub async fn shutdown(&self, deadline: Duration) {
        let deadline = Deadline::after(deadline);
        self.fleet.close(deadline).await;
        self.tasks.join(deadline.or_after(TASKS_END)).await;
        self.fleet.opener.observers.close();
    }

    /// As [`shutdown`](Self::shutdown), but leaves the tasks to whoever shares them.
    pub(crate) async fn close(&self, deadline: Deadline) {
        self.fleet.close(deadline).await;
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.fleet.is_cluster()
    }

    /// Whether servers can tell by themselves what happens: not with `protocol=resp2`.
    pub(crate) fn has_pushes(&self) -> bool {
        self.fleet.opener.settings().target.resp3
    }

    /// How long a call may take: `redis_timeout`.
    pub(crate) fn timeout(&self) -> Duration {
        self.fleet.opener.settings().timeout
    }

    /// Where the servers are that take writes, as far as they are known, as [`link`](Self::link) takes
    /// it.
    pub(crate) fn masters(&self) -> Vec<String> {
        let masters = self.fleet.map().masters;
        masters
            .iter()
            .map(|node| node.address().to_string())
            .collect()
    }

    /// Which of them a key belongs to.
    pub(crate) fn master_of(&self, key: &str) -> Option<String> {
        let slot = slot::slot_of(key.as_bytes());
        let map = self.fleet.map();
        map.node(Some(slot)).map(|node| node.address().to_string())
    }

    /// Resolves when it was shut down, or is no more; does not keep it.
    pub(crate) fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        self.fleet.closed()
    }

    /// What whoever is built on it shares with it.
    pub(crate) fn shared_parts(&self) -> (Arc<Tasks>, Observers) {
        let observers = self.fleet.opener.observers.clone();
        (Arc::clone(&self.tasks), observers)
    }

    /// Whether the service can't be used without it: `redis_required`.
    pub(crate) fn is_required(&self) -> bool {
        self.fleet.opener.settings().required
    }

    /// Background tasks that run now: one for each server, and one that follows the masters.
    #[must_use]
    pub fn tasks_running(&self) -> usize {
        self.tasks.running()
    }

    fn first_cause(&self) -> Option<Error> {
        let map = self.fleet.map();
        let of_node = map.masters.iter().find_map(|node| node.cause());
        of_node.or(map.cause)
    }
}

/// How long tasks get to notice that they have been ended.
const TASKS_END: Duration = Duration::from_millis(100);

impl fmt::Debug for Redis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Redis")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
