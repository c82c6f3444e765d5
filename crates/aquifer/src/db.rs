mod breakers;
mod cache;
mod fence;
#[cfg(test)]
mod figures;
mod foreign;
mod health;
mod hosts;
mod metered;
mod open;
mod queries;

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use aquifer_core::budget::{Budget, SharedBudget};
use aquifer_wire::{FromRow, Reply};
use tokio::task::AbortHandle;

use self::cache::CachePlace;
use self::health::monitor;
use crate::bulk::{Need, Seat};
use crate::coalesce::{Lookup, LookupKey};
use crate::config::{self, Config};
use crate::deadline::Deadline;
use crate::dedicated::Dedicated;
use crate::execute::{self, Engine, Placement};
use crate::listener::Listener;
use crate::metrics::MetricsCollector;
use crate::monitor::{ConnectionMonitor, Pace};
use crate::observe::{Events, Observers};
use crate::pool::{Destination, Holder, PoolStatus};
use crate::redis::Redis;
use crate::session::{Session, sealed};
use crate::settings::Settings;
use crate::statement::{Batch, Call, Keepable, SqlText};
use crate::tasks::Tasks;
use crate::transaction::{self, Idempotent, Resolved, Transaction, TransactionOptions};
use crate::{Error, UnknownCommit, clock};

/// The handle on one database: cheap to clone, safe to share, everything goes through it.
///
/// Reads outside of transactions share a few connections: SELECT, WITH, VALUES, TABLE and SHOW that
/// call no volatile function by name. Several callers' reads may travel as one group, in which
/// `now()` is the same for all, though each sees what was committed before it. These sessions are
/// read-only, and `transaction_read_only` says so there; a write that a view or a function hides is
/// refused by the server, and then done on a connection of its own, now and in future. What a
/// view hides and the server lets pass (a session's advisory lock, `set_config`) stays with the
/// shared session: give such a view to [`dedicated`](Self::dedicated).
///
/// Other calls get a connection of their own for their time. What a statement leaves in the session
/// (SET, LISTEN, temporary tables, prepared statements, session locks) is undone before the next
/// caller gets it, unless a function or procedure does so unseen.
///
/// Inside the closure of [`with_transaction`](Self::with_transaction), calls on the same `Db` join
/// that transaction; [`detached`](Self::detached) does not.
///
/// # Several hosts
/// A URL with several hosts, or [`replicas`](crate::Advanced::replicas) beside it, is taken for a
/// primary and its standbys. Each host is asked for its role by a connection of its own, once a second
/// and ten times a second when something looks wrong, and has a pool of its own. All calls go to the
/// primary; reads go to a standby where that is asked for, by [`read`](Self::read). The primary is the
/// host on the highest timeline that is not in recovery: when a standby is promoted, nothing is sent to
/// the old primary any more, even if it lives on, and what is under way there is cut. While there is no
/// primary, calls wait for one until their deadline, for `primary_wait` at most. A write that was under
/// way is [`Unknown`](crate::ErrorKind::Unknown), never sent again. [`hosts`](Self::hosts),
/// [`mode`](Self::mode) and [`events`](Self::events) tell how things stand.
///
/// `target_session_attrs` in the URL says which host calls go to instead: `primary` and `read-write`
/// are as without it; with `standby` and `read-only` calls go to a standby (`read-only` also to a primary
/// whose sessions don't write) and wait for one; with `prefer-standby` to a standby if there is one; with
/// `any` to the first that answers. The host is kept for as long as it suits. `load_balance_hosts=random`
/// leaves their order to chance.
///
/// ```no_run
/// # use aquifer::{Db, Error, Session};
/// # async fn example() -> Result<(), Error> {
/// let db = Db::connect("postgres://localhost/app").await?;
/// let names: Vec<String> = db.query_column("select name from users", ()).await?;
/// db.close().await
/// # }
/// ```
#[doc(alias("ConnectionWrapper", "Pool", "Client"))]
#[derive(Clone)]
pub struct Db {
    engine: Arc<Engine>,
    redis: Option<Redis>,
    cache: Arc<CachePlace>,
    shutdown_timeout: Duration,
    metrics: MetricsCollector,
    /// Keeps points of the metrics.
    collecting: Option<AbortHandle>,
    monitor: ConnectionMonitor,
}

/// How long tasks get to notice that their connections were closed.
const TASKS_END: Duration = Duration::from_millis(100);

/// What a shutdown did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shutdown {
    /// Connections that were idle or came back in time, and were closed.
    pub closed: usize,
    /// Connections that were still in use at the deadline and were cut.
    pub aborted: usize,
    /// Callers that waited for a connection and were refused.
    pub refused: usize,
    /// How long it took.
    pub elapsed: Duration,
}

impl Db {
    /// Opens a pool on the database at `url`, with defaults for everything else.
    ///
    /// What the URL leaves open the `PG*` variables of libpq fill in, as
    /// [`Config::from_url`](crate::Config::from_url) says. The first connection is opened at once,
    /// so that a wrong address or password shows here.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) when the URL can't be used,
    /// [`Connection`](crate::ErrorKind::Connection),
    /// [`Authentication`](crate::ErrorKind::Authentication), [`Tls`](crate::ErrorKind::Tls) or
    /// [`Timeout`](crate::ErrorKind::Timeout) when the server can't be used; a retry is safe.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened.
    #[track_caller]
    pub fn connect(url: &str) -> impl Future<Output = Result<Self, Error>> + Send + use<> {
        let config = Config::from_url(url);
        async move { Self::connect_with(&config?).await }
    }

    /// Opens a pool as `config` says.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// As [`connect`](Self::connect).
    pub async fn connect_with(config: &Config) -> Result<Self, Error> {
        let mut settings = config.check()?;
        let tasks = Arc::new(Tasks::default());
        let metrics = settings.metrics.clone();
        let metrics_interval = settings.metrics_interval;
        let endpoint = metered::endpoint(&settings.wire);
        let source = metered::source_name(&endpoint);
        let observers = Observers::new(
            &settings.observers,
            metrics.measures(),
            settings.slow_query_threshold,
            endpoint,
        );
        let redis = match settings.redis.take() {
            Some(redis) => Some(Box::pin(Redis::start(redis, &tasks, observers.clone())).await?),
            None => None,
        };
        let (query_timeout, commit_timeout) = (settings.query_timeout, settings.commit_timeout);
        let (attempts_max, shutdown_timeout) = (settings.attempts_max, settings.shutdown_timeout);
        let (kept, scope) = (settings.cache.clone(), settings.wire.scope());
        let pace = Pace {
            interval: settings.health_interval,
            interval_alarm: settings.health_interval_alarm,
            timeout: settings.health_timeout,
        };
        // Boxed: it is most of this future.
        let pools = Box::pin(open::pools(settings, &tasks, &observers)).await?;
        #[cfg(feature = "testing")]
        observers.set_catalog(pools.catalog());
        let now = clock::now().into_std();
        let engine = Engine {
            pools,
            destination: Destination::Main,
            tasks,
            observers,
            query_timeout,
            commit_timeout,
            attempts_max,
            placement: Placement::default(),
            settings: None,
            answers: None,
            detached: false,
            budget: Arc::new(SharedBudget::new(Budget::new(20, 10, now))),
            watch: None,
        };
        let (engine, cache) = CachePlace::watching(engine, (kept, scope), redis.clone());
        metered::attach(&metrics, &source, &engine.pools);
        let collecting = metered::collect(&engine, &metrics, metrics_interval);
        Ok(Self {
            shutdown_timeout,
            metrics,
            collecting,
            monitor: monitor(&engine, redis.as_ref(), pace)?,
            engine,
            redis,
            cache,
        })
    }

    /// Begins a transaction; dropping its handle rolls it back.
    ///
    /// Within a transaction of this `Db` (see [`with_transaction`](Self::with_transaction)) it opens
    /// a savepoint.
    ///
    /// # Errors
    /// As [`Session`]; nothing has happened then, so a retry is safe.
    ///
    /// # Cancel safety
    /// Dropping the future rolls back and puts the connection in order.
    #[track_caller]
    pub fn begin(&self) -> impl Future<Output = Result<Transaction, Error>> + Send + use<> {
        self.begin_with(TransactionOptions::new())
    }

    /// Begins a transaction with an isolation level, read-only or deferrable.
    ///
    /// # Errors
    /// As [`begin`](Self::begin); [`Usage`](crate::ErrorKind::Usage) within a transaction of this
    /// `Db` that promises less, since a savepoint can't have more.
    ///
    /// # Cancel safety
    /// As [`begin`](Self::begin).
    #[track_caller]
    pub fn begin_with(
        &self,
        options: TransactionOptions,
    ) -> impl Future<Output = Result<Transaction, Error>> + Send + use<> {
        let location = Location::caller();
        let db = self.clone();
        async move {
            match transaction::current(&db.engine)? {
                Some(ambient) => ambient.nested(&options.into(), location).await,
                None => Transaction::start(&db.engine, &options.into(), location).await,
            }
        }
    }

    /// Runs `f` in a transaction: committed when it returns `Ok`, rolled back when it returns `Err`.
    ///
    /// The whole closure is run again, at most `attempts_max` times in all and within the budget that
    /// all calls share, when the server asks for it (40001, 40P01) or the connection is lost before
    /// COMMIT took effect; so it must not do what can't be done twice. Calls on the same `Db` inside
    /// join the transaction: those of `f` itself, not of tasks it spawns. Several at once (`join!`)
    /// share the one connection and run one after another.
    /// Within a transaction of this `Db` it is a savepoint, and is not run again by itself.
    ///
    /// # Errors
    /// What `f` returns; besides those of [`begin`](Self::begin) and [`Transaction::commit`].
    ///
    /// # Cancel safety
    /// Dropping the future rolls back, unless COMMIT was begun, which is then carried out.
    ///
    /// ```no_run
    /// # use aquifer::{Db, Error, Session};
    /// # async fn example(db: &Db) -> Result<(), Error> {
    /// let id: i64 = db
    ///     .with_transaction(async |tx| {
    ///         let id: i64 = tx
    ///             .query_value("insert into users (name) values ($1) returning id", ("John",))
    ///             .await?;
    ///         tx.execute("insert into profiles (user_id, bio) values ($1, $2)", (id, "Hello")).await?;
    ///         Ok::<_, Error>(id)
    ///     })
    ///     .await?;
    /// # Ok(()) }
    /// ```
    #[doc(alias("withTransaction", "transaction"))]
    #[track_caller]
    pub fn with_transaction<T, E, F, Fut>(&self, f: F) -> impl Future<Output = Result<T, E>> + Send
    where
        F: FnMut(Transaction) -> Fut + Send,
        Fut: Future<Output = Result<T, E>> + Send,
        T: Send,
        E: From<Error> + Send,
    {
        self.with_transaction_options(TransactionOptions::new(), f)
    }

    /// Runs `f` in a transaction with an isolation level, read-only or deferrable.
    ///
    /// # Errors
    /// As [`with_transaction`](Self::with_transaction); [`Usage`](crate::ErrorKind::Usage) as
    /// [`begin_with`](Self::begin_with).
    ///
    /// # Cancel safety
    /// As [`with_transaction`](Self::with_transaction).
    #[track_caller]
    pub fn with_transaction_options<T, E, F, Fut>(
        &self,
        options: TransactionOptions,
        f: F,
    ) -> impl Future<Output = Result<T, E>> + Send
    where
        F: FnMut(Transaction) -> Fut + Send,
        Fut: Future<Output = Result<T, E>> + Send,
        T: Send,
        E: From<Error> + Send,
    {
        let location = Location::caller();
        let db = self.clone();
        async move {
            let outer = transaction::current(&db.engine)?;
            transaction::with_transaction(&db.engine, outer, &options.into(), location, f).await
        }
    }

    /// Look-ups by key that many callers make at the same time, sent as one statement.
    ///
    /// `sql` has one parameter, the list of keys, as in `where id = any($1)`, and selects the column
    /// named `column`, which holds the key of each row. It must give for several keys what it gives
    /// for each of them: no LIMIT, no aggregate over all. The type of the key must be one that
    /// PostgreSQL compares byte by byte: integers, text of a deterministic collation, uuid, enums,
    /// dates and times; others (numeric, citext, char(n)) are refused at the first look-up. A key must
    /// be given as the server writes it (a UUID as text in lower case, times in microseconds): a row
    /// that comes back under another key is an error, not a row that does not exist.
    #[must_use]
    pub fn lookup<K: LookupKey, T: FromRow + Send>(
        &self,
        sql: impl SqlText,
        column: &'static str,
    ) -> Lookup<K, T> {
        let engine = Arc::clone(&self.engine);
        Lookup::new(engine, sql.into_sql(), column)
    }

    /// Does one piece of work under a key at most once: a statement, a batch or a transaction.
    ///
    /// See [`Idempotent`]. A key has 1 to 512 bytes, and names the work: the number of a request,
    /// for example. Keys are those of the database, whatever [settings](Self::with_settings) the
    /// handle has: put the tenant into keys that tenants choose. With the setting `role` it is that
    /// role which must have the rights on the table of keys.
    pub fn idempotent(&self, key: impl Into<String>) -> Idempotent {
        Idempotent::new(&self.engine, key.into())
    }

    /// Removes idempotency keys of work that was done longer ago than `older_than`; returns how many.
    ///
    /// Work under a removed key would be done again, so keep keys for longer than anybody may ask
    /// for the same work: some days as a rule. Call it from time to time, for example once an hour. A
    /// table without an index on `done_at` gets one, if the role owns it.
    ///
    /// # Errors
    /// As [`Session`]; [`Schema`](crate::ErrorKind::Schema) where the role may not delete. Without
    /// the table there is nothing to remove.
    ///
    /// # Cancel safety
    /// As [`Session`]; it may be called again.
    #[track_caller]
    pub fn forget_idempotency_keys(
        &self,
        older_than: Duration,
    ) -> impl Future<Output = Result<u64, Error>> + Send + use<> {
        let location = Location::caller();
        let engine = Arc::clone(&self.engine);
        async move { transaction::forget(&engine, older_than, location).await }
    }

    /// Finds out what became of a transaction whose COMMIT was not answered.
    ///
    /// The layer has tried within `commit_timeout` already; this tries for `query_timeout` more,
    /// for example when the network is back. The transaction's number is valid on the same timeline
    /// of the same server and, for a commit, unless that server has crashed since; a key of
    /// [`idempotent`](Self::idempotent) always is. While the server still works on the
    /// transaction it is asked again.
    ///
    /// # Errors
    /// As [`Session`], when the server can't be asked. Nothing is changed, so a retry is safe.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    ///
    /// ```no_run
    /// # use aquifer::{Db, Error, Resolved};
    /// # async fn example(db: &Db, error: Error) -> Result<(), Error> {
    /// let Some(unknown) = error.unknown_commit() else { return Err(error) };
    /// match db.resolve(unknown).await? {
    ///     Resolved::Committed => Ok(()),
    ///     _ => Err(error),
    /// }
    /// # }
    /// ```
    pub async fn resolve(&self, unknown: &UnknownCommit) -> Result<Resolved, Error> {
        let deadline = Deadline::after(self.engine.query_timeout);
        transaction::resolve(&self.engine, unknown, deadline).await
    }

    /// One connection for session state: settings, temporary tables, advisory locks.
    ///
    /// # Errors
    /// As [`Session`]: [`Acquire`](crate::ErrorKind::Acquire) and
    /// [`Closed`](crate::ErrorKind::Closed).
    ///
    /// # Cancel safety
    /// Nothing is lost.
    #[track_caller]
    pub fn dedicated(&self) -> impl Future<Output = Result<Dedicated, Error>> + Send + use<> {
        let location = Location::caller();
        let engine = Arc::clone(&self.engine);
        async move { Dedicated::open(&engine, location).await }
    }

    /// Listens to NOTIFY on these channels; names are taken literally, case and all.
    ///
    /// The listener holds one exclusive connection until it is dropped; a shutdown closes it.
    ///
    /// # Errors
    /// As [`dedicated`](Self::dedicated); [`Usage`](crate::ErrorKind::Usage) without any name, and
    /// for one that PostgreSQL would not take whole.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    #[track_caller]
    pub fn listen<C: Into<String>>(
        &self,
        channels: impl IntoIterator<Item = C>,
    ) -> impl Future<Output = Result<Listener, Error>> + Send {
        let location = Location::caller();
        // Nothing notifies on a replica.
        let engine = self
            .changed(|engine| engine.destination = Destination::Main)
            .engine;
        let channels: Vec<String> = channels.into_iter().map(Into::into).collect();
        async move { Listener::open(&engine, channels, location).await }
    }

    /// The same database without the transaction that this task may be in: its calls take
    /// connections of their own.
    ///
    /// When transactions hold all exclusive connections (with `connections_max` 1 or 2 there is only
    /// one), such a call inside one of them waits for itself until `acquire_timeout`.
    #[must_use]
    pub fn detached(&self) -> Self {
        self.changed(|engine| engine.detached = true)
    }

    /// The same database with another deadline for each call, instead of `query_timeout`.
    ///
    /// It holds for calls outside of transactions, and for each statement of transactions that are
    /// begun with this handle; a transaction that is joined keeps its own. At the deadline the
    /// statement is cancelled on the server, unless it travels on a shared lane, where others wait
    /// too and `lane_timeout` ends it. Zero ends each call at once.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use aquifer::{Db, Error, Session};
    /// # async fn example(db: &Db) -> Result<(), Error> {
    /// let patient = db.with_query_timeout(Duration::from_secs(300));
    /// patient.execute("refresh materialized view sales_by_month", ()).await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_query_timeout(&self, limit: Duration) -> Self {
        self.changed(|engine| engine.query_timeout = limit)
    }

    /// The same database, where each statement runs with these settings, for policies of row-level
    /// security and the like: `current_setting('app.tenant')`.
    ///
    /// They are set under the same Sync as the statement, or behind BEGIN, and end with it: they cost
    /// no round trip, and no other caller sees them. They add to those that the handle has; a name
    /// that it has is replaced. Names are `prefix.name`, or `role`. Joining a transaction of this
    /// task that has other settings is an error; a handle without settings joins any. What may commit
    /// by itself (CALL, DO, VACUUM, scripts) is refused outside of a transaction, since the settings
    /// would end at its first COMMIT.
    ///
    /// ```no_run
    /// # use aquifer::{Db, Error, Session};
    /// # async fn example(db: &Db, tenant: i64) -> Result<(), Error> {
    /// let db = db.with_settings([("app.tenant", tenant.to_string())])?;
    /// let own: Vec<String> = db.query_column("select name from invoices", ()).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Usage`](crate::ErrorKind::Usage) for another name, one that is given twice, and a value with
    /// a NUL.
    pub fn with_settings<N, V>(
        &self,
        settings: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, Error>
    where
        N: Into<String>,
        V: Into<String>,
    {
        let owned = settings
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        let settings = Settings::over(self.engine.settings.as_ref(), owned)?;
        Ok(self.changed(|engine| engine.settings = settings))
    }

    /// The same database, where each statement gets a connection of its own.
    ///
    /// For reads that are fast by their average and slow now and then, by their parameters: on a
    /// shared lane others would wait behind those.
    #[must_use]
    pub fn exclusive(&self) -> Self {
        self.changed(|engine| engine.placement = Placement::Exclusive)
    }

    /// The same database, where all reads travel on shared lanes: also slow ones, and those that
    /// call a function which the catalog knows as volatile.
    ///
    /// For functions that only read and were not declared `stable`. The server still refuses writes
    /// there, and ends what exceeds `lane_timeout`; both are run on a connection of their own then.
    /// What such a function leaves in the session stays there: no `set_config` for the session, no
    /// session locks.
    #[must_use]
    pub fn shared(&self) -> Self {
        self.changed(|engine| engine.placement = Placement::Shared)
    }

    /// Redis, if `redis_url` is set; whether it answers or not.
    ///
    /// It shares this handle's events, tasks and shutdown.
    #[must_use]
    pub fn redis(&self) -> Option<&Redis> {
        self.redis.as_ref()
    }

    /// How many connections there are, and what they do.
    #[must_use]
    pub fn pool_status(&self) -> PoolStatus {
        self.engine.pools.status()
    }

    /// Shuts down within `shutdown_timeout`; every clone of this handle is closed then.
    ///
    /// # Errors
    /// None at present; calls that are refused or cut get their own errors.
    ///
    /// # Cancel safety
    /// As [`shutdown`](Self::shutdown).
    pub async fn close(&self) -> Result<(), Error> {
        self.shutdown(self.shutdown_timeout).await;
        Ok(())
    }

    /// Refuses new calls, lets those under way finish, cuts at the deadline what is left.
    ///
    /// At 70 % of `deadline` statements that still run are cancelled. Calling it again finds nothing to do.
    ///
    /// # Cancel safety
    /// New calls stay refused; what runs is cut when the last handle is dropped.
    #[doc(alias("shutdownDatabase", "drain"))]
    pub async fn shutdown(&self, deadline: Duration) -> Shutdown {
        let hard = Deadline::after(deadline);
        let soft = Deadline::after(deadline.mul_f64(0.7));
        self.monitor.refuse_requests();
        self.monitor.stop();
        let drained = self.engine.pools.drain(soft, hard).await;
        self.cache.end();
        if let Some(redis) = &self.redis {
            redis.close(hard).await;
        }
        if let Some(collecting) = &self.collecting {
            collecting.abort();
        }
        self.engine.observers.close();
        // All else that runs now ends by itself, since every connection is closed.
        self.engine.tasks.join(hard.or_after(TASKS_END)).await;
        Shutdown {
            closed: drained.closed,
            aborted: drained.aborted,
            refused: drained.refused,
            elapsed: hard.elapsed(),
        }
    }

    /// Changes `connections_max` while the pool is in use, with several hosts that of each; the number of
    /// lanes stays.
    ///
    /// Of too many, the idle ones are closed at once, the others when they come back.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) as when the knob is set: 1 to 10,000, and more than the
    /// lanes. Nothing has changed then.
    pub fn resize(&self, connections_max: u32) -> Result<(), Error> {
        let lanes = self.engine.pools.lanes_max();
        self.engine
            .pools
            .resize(config::check_resize(connections_max, lanes)?);
        Ok(())
    }

    /// Holds all new calls back until [`resume`](Self::resume), for a planned switch of the server.
    ///
    /// Returns when nothing is under way any more: then every connection is closed, except those of
    /// listeners, and after `resume` all are new. `hold_max` from the call on the pool resumes by
    /// itself. Calls wait meanwhile, within their `acquire_timeout`, which should be longer than the
    /// switch takes. Transactions that have begun are let finish. In one, don't await this: it
    /// would wait for itself.
    ///
    /// # Errors
    /// [`Timeout`](crate::ErrorKind::Timeout) when calls were under way for longer than `hold_max`;
    /// the pool goes on then. [`Closed`](crate::ErrorKind::Closed) after a shutdown.
    ///
    /// # Cancel safety
    /// Dropping the future resumes.
    #[doc(alias("suspend", "switchover"))]
    pub async fn pause(&self, hold_max: Duration) -> Result<(), Error> {
        self.engine.pools.pause(hold_max).await
    }

    /// Ends a [`pause`](Self::pause); without one it does nothing.
    pub fn resume(&self) {
        self.engine.pools.resume();
    }

    /// How the services do that this database handle depends on; shared by all its clones.
    #[must_use]
    pub fn monitor(&self) -> ConnectionMonitor {
        self.monitor.clone()
    }

    /// What happens from now on that an operator wants to know: see [`Event`](crate::Event).
    ///
    /// Each call begins a stream of its own; a slow one holds nobody up.
    #[must_use]
    #[doc(alias("on", "subscribe"))]
    pub fn events(&self) -> Events {
        self.engine.observers.events()
    }

    /// What this handle and its clones do, in figures.
    #[must_use]
    #[doc(alias("getMetrics"))]
    pub fn metrics(&self) -> &MetricsCollector {
        &self.metrics
    }

    /// Who holds exclusive connections now, the longest first: for finding leaks.
    #[must_use]
    pub fn holders(&self) -> Vec<Holder> {
        self.engine.pools.holders()
    }

    /// Background tasks of this handle that run now, one per open connection included.
    #[must_use]
    pub fn tasks_running(&self) -> usize {
        self.engine.tasks.running()
    }

    /// The same database with something else about how calls are run.
    fn changed(&self, change: impl FnOnce(&mut Engine)) -> Self {
        let mut engine = Engine::clone(&self.engine);
        change(&mut engine);
        Self {
            engine: Arc::new(engine),
            ..self.clone()
        }
    }
}

impl Session for Db {}

impl sealed::Run for Db {
    fn run<'a>(&'a self, call: Call<'a>) -> impl Future<Output = Result<Reply, Error>> + Send {
        execute::run_unless(&self.engine, call, transaction::run_elsewhere)
    }

    async fn run_kept(
        &self,
        query: Arc<dyn Keepable>,
        location: &'static Location<'static>,
    ) -> Result<Reply, Error> {
        Box::pin(self.rows_kept(query, location)).await
    }

    fn check_write(&self) -> Result<(), Error> {
        match transaction::current(&self.engine)? {
            Some(_) => Ok(()),
            None => self.engine.refuse_on_replica("this statement"),
        }
    }

    fn rows_decoded(&self, call: Call<'_>, rows: usize, elapsed: Duration) {
        let observers = &self.engine.observers;
        observers.rows_decoded((call.sql, call.location), rows, elapsed);
    }

    async fn run_batch(
        &self,
        batch: Batch<'_>,
        location: &'static Location<'static>,
    ) -> Result<Vec<Reply>, Error> {
        match transaction::current(&self.engine)? {
            Some(ambient) => ambient.run_batch(batch, location).await,
            None => execute::run_batch(&self.engine, batch, location).await,
        }
    }

    async fn seat(&self, need: Need, location: &'static Location<'static>) -> Result<Seat, Error> {
        if let Some(ambient) = transaction::current(&self.engine)? {
            return ambient.seat(need, location).await;
        }
        self.engine.refuse_many_rows(need)?;
        match need {
            // With settings there is a transaction around it, in which they hold.
            Need::Connection { again, .. } if self.engine.settings.is_none() => {
                Seat::alone(&self.engine, again, location).await
            }
            need => {
                let only_reads = match need {
                    Need::Transaction { read_only } => read_only,
                    // A COPY to the client on a replica; elsewhere it may write.
                    need => !need.writes() && self.engine.destination != Destination::Main,
                };
                let mut options = TransactionOptions::new();
                if only_reads {
                    options = options.read_only();
                }
                let options = options.into();
                let transaction = Transaction::start(&self.engine, &options, location).await?;
                transaction.into_seat(true).await
            }
        }
    }

    async fn run_script(
        &self,
        sql: &str,
        location: &'static Location<'static>,
    ) -> Result<(), Error> {
        match transaction::current(&self.engine)? {
            Some(ambient) => ambient.run_script(sql, location).await,
            None => execute::run_script(&self.engine, sql, location).await,
        }
    }
}

impl fmt::Debug for Db {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Db")
            .field("pool", &self.pool_status())
            .field("detached", &self.engine.detached)
            .finish_non_exhaustive()
    }
}
