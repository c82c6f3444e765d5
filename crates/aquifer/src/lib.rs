//! The data layer between a Rust service and PostgreSQL: one handle with pooled connections,
//! queries, transactions and typed rows, that stays correct when futures are dropped, sockets die
//! and servers restart.
//!
//! ```no_run
//! use aquifer::{Db, Error, Session};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Error> {
//!     let db = Db::connect("postgres://localhost/app").await?;
//!     db.execute("create table if not exists users (id bigserial primary key, name text not null)", ()).await?;
//!     let id: i64 = db.query_value("insert into users (name) values ($1) returning id", ("John",)).await?;
//!     let names: Vec<String> = db.query_column("select name from users where id = $1", (id,)).await?;
//!     println!("{id}: {names:?}");
//!     db.close().await
//! }
//! ```
//!
//! | I want … | use … |
//! |---|---|
//! | to connect | [`Db::connect`], completed by `PG*` variables and `~/.pgpass` as in psql; clone the [`Db`] wherever it is needed |
//! | to set limits and time-outs | [`Config`] |
//! | queries that the compiler checks, on structs | [`entity`], `#[derive(`[`Entity`]`)]` |
//! | rows as structs | `#[derive(`[`FromRow`]`)]` and [`Session::query_as`] |
//! | one row, perhaps one row, one value, one column | [`Session::query_one`], [`query_opt`](Session::query_opt), [`query_value`](Session::query_value), [`query_column`](Session::query_column) |
//! | one row per call, many callers at once | [`Db::lookup`]: their look-ups travel together |
//! | queries put together by methods, with optional parts | [`Db::from`], [`QueryBuilder`], and the module [`query`] |
//! | to change rows | [`Session::execute`]; several statements in one go: [`Session::batch`] |
//! | many rows in | [`Session::insert_many`]; the most, the fastest: [`Session::copy_into`] |
//! | many rows out, without holding them all | [`Session::stream`], [`Session::stream_as`] |
//! | text, CSV or binary dumps in and out | [`Session::copy_in`], [`Session::copy_out`] |
//! | all or nothing, run again after a serialization failure | [`Db::with_transaction`] |
//! | a transaction that I end myself | [`Db::begin`] |
//! | each statement to know whose it is, for row-level security | [`Db::with_settings`] |
//! | another deadline, or a connection per statement, for some calls | [`Db::with_query_timeout`], [`Db::exclusive`] |
//! | work that is done at most once, however often it is asked for | [`Db::idempotent`] |
//! | to know what became of a lost COMMIT | [`Error::unknown_commit`] and [`Db::resolve`] |
//! | notifications | [`Db::listen`] |
//! | to survive the loss of a server | several hosts in the URL; see [`Db`] |
//! | reads on replicas | [`Db::read`]; those that must see a write: [`Db::consistency`], [`Db::at_least`] |
//! | a connection to myself, for session state | [`Db::dedicated`] |
//! | Redis: any command, with Sentinel and Cluster | [`Redis`], [`Db::redis`] |
//! | values kept in memory and in Redis, and known to be good | [`Cache`], [`Db::cache`] |
//! | messages between processes, by channels of Redis | [`Cache::publish`], [`Cache::subscribe`], [`Cache::messages`] |
//! | start-up, health and shutdown of a service | [`DatabaseManager`] |
//! | figures: durations, counts, the cost of each statement, Prometheus | [`MetricsCollector`], [`Db::metrics`] |
//! | to know what stands in the log | [`logging`] |
//! | a schema that is made step by step | [`migrate`], `aquifer migrate` |
//! | tests with a database of their own, work taken back, statements counted | `testing` (feature `testing`) |
//! | a database without installing a service | `Embedded::start` (feature `embedded`, on by default) |
//! | to know what to do about an error | [`Error::kind`], [`Error::retry`], and its text |
//!
//! Guides, also for those who come from sqlx, deadpool or the TypeScript layer, are in the repository's
//! directory `guides`.
//!
//! # When things fail
//! - A dropped future leaks nothing: its connection is put in order by a task within 2 s, or closed.
//!   What it may leave behind in the database is said under `# Cancel safety` at each method.
//! - A statement is sent again only where that is safe: nothing was sent, or it only reads. A write
//!   whose answer was lost is [`ErrorKind::Unknown`], never repeated.
//! - COMMIT of a transaction that failed before is an error, not a success.
//! - Every call ends at its deadline (`query_timeout`), every wait for a connection at
//!   `acquire_timeout`; the errors say what was waited for, the numbers, and the remedy. In a
//!   transaction or a dedicated session a call may take up to 2 s more, in which its statement is
//!   cancelled; COMMIT has `commit_timeout`.
//! - Parameter values and passwords are in no error, event or log line.

mod bulk;
mod cache;
mod clock;
mod coalesce;
mod config;
mod credentials;
mod db;
mod deadline;
mod dedicated;
pub mod entity;
mod error;
mod execute;
mod listener;
mod manager;
mod metrics;
pub mod migrate;
mod monitor;
mod observe;
mod pool;
pub mod query;
pub mod redis;
pub mod repository;
mod session;
mod settings;
mod statement;
mod tasks;
#[cfg(feature = "testing")]
pub mod testing;
mod topology;
mod transaction;
mod wait;

#[cfg(feature = "embedded")]
pub use aquifer_embedded::{self as embedded, Embedded};
pub use aquifer_wire::types;
pub use aquifer_wire::{ColumnIndex, DatabaseError, Notification, Row, Secret, SqlState};

pub mod row {
    //! How rows are read into types; what `#[derive(FromRow)]` builds on.

    pub use aquifer_wire::{Column, Columns, Error, FromRow, Mapping, RowReader};
}

pub mod logging {
    #![doc = include_str!("observe/logging.md")]
}

pub use crate::bulk::{CopyIn, CopyOut, CopyWriter, Progress, RowStream};
#[cfg(mutants)]
pub use crate::cache::RULES as CACHE_RULES;
pub use crate::cache::{
    Cache, CacheContent, CacheEntry, CacheLayer, CacheOptions, CacheStamp, CacheStatus, CacheValue,
    Cached, Messages, Received, StaleCause, Staleness, Subscription, Uncacheable,
};
pub use crate::coalesce::{Lookup, LookupKey};
pub use crate::config::{Advanced, CacheFormat, Config, Origin, Pooler};
pub use crate::db::{Db, Shutdown};
pub use crate::dedicated::{Dedicated, Description};
pub use crate::entity::Entity;
pub use crate::error::{Error, ErrorKind, MigrationFault, MigrationProblem, Retry, UnknownCommit};
pub use crate::execute::{Answered, Answers};
pub use crate::listener::{Heard, Listener};
pub use crate::manager::DatabaseManager;
pub use crate::metrics::{
    Counter, DataPoint, Gauge, Metric, MetricKind, MetricsCollector, Outcome, StatementMetrics,
    Tags, Timer,
};
pub use crate::monitor::{
    ConnectionMonitor, Finding, HealthProbe, HealthResponse, Listening, Measurement, ProbeFuture,
    ServiceHealth,
};
pub use crate::observe::{
    BreakerState, ConnectionLost, ConnectionOpened, Event, Events, HostRole, Mode, Observer,
    QueryFinished, RedisFinished, Service, Status, TransactionFinished,
};
pub use crate::pool::{BreakerLane, BreakerStatus, Holder, HostStatus, PoolStatus, ReplicaLag};
pub use crate::query::{Direction, QueryBuilder};
pub use crate::redis::{Redis, RedisMaster, RedisStatus};
pub use crate::repository::{Repo, Repository};
pub use crate::session::{InsertMany, Session, SessionFuture};
#[doc(hidden)]
pub use crate::statement::count_placeholders;
pub use crate::statement::{AssertSafe, Batch, RawSql, Sql, SqlText, TableName};
pub use crate::topology::Consistency;
pub use crate::transaction::{Idempotent, Isolation, Resolved, Transaction, TransactionOptions};
pub use aquifer_core::breaker::Order as BreakerOrder;
pub use aquifer_macros::{Decode, Encode, FromRow};
pub use aquifer_wire::FromRow;
