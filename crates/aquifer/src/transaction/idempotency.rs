//! Keys that let work be done at most once: rows that are written together with it.

use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aquifer_wire::{Client, Reply, Sharing, SqlState};

use super::{Resolved, Terms, Transaction, TransactionOptions, ambient, closure};
use crate::bulk::{Need, Seat};
use crate::error::UnknownCommit;
use crate::execute::{self, Engine};
use crate::session::{Session, sealed};
use crate::statement::{Batch, Call, Prepared};
use crate::{Error, ErrorKind, Retry};

/// Fails where the key is there; waits for whoever is about to write it.
const CLAIM: &str = "insert into aquifer.idempotency (key) values ($1)";

/// As [`CLAIM`], to find out without failing whether the key is there.
const PROBE: &str =
    "insert into aquifer.idempotency (key) values ($1) on conflict (key) do nothing";

const FORGET: &str = "delete from aquifer.idempotency \
    where done_at < clock_timestamp() - make_interval(secs => $1)";

/// Several services may start at once, hence the lock; CREATE … IF NOT EXISTS would ask for rights
/// even where there is nothing left to do.
const CREATE: &str = "do $$ begin \
    perform pg_advisory_xact_lock(7020383461); \
    if to_regnamespace('aquifer') is null then create schema aquifer; end if; \
    if to_regclass('aquifer.idempotency') is null then \
      create table aquifer.idempotency (\
        key text primary key, done_at timestamptz not null default clock_timestamp()); \
      create index idempotency_done_at on aquifer.idempotency (done_at); \
    end if; \
  end $$";

/// For tables that were made before there was an index, or by hand: [`FORGET`] finds old keys by it.
/// Only for whoever owns the table, and not where building it would wait for long.
const INDEX: &str = "do $$ begin \
    if to_regclass('aquifer.idempotency_done_at') is null and exists (\
      select from pg_catalog.pg_class where oid = to_regclass('aquifer.idempotency') \
        and pg_catalog.pg_has_role(relowner, 'usage')) \
    then \
      perform pg_catalog.set_config('lock_timeout', '1s', true); \
      create index if not exists idempotency_done_at on aquifer.idempotency (done_at); \
    end if; \
  end $$";

const KEY_MAX: usize = 512;

/// A handle that does one piece of work under a key: one statement, one batch, or one transaction.
///
/// A row with the key is written to the table `aquifer.idempotency` in the same transaction. So the
/// work is done at most once however often it is asked for, and a write whose answer was lost is
/// sent again by itself. Every call of one handle is under the same key: the second one fails with
/// [`ErrorKind::AlreadyDone`]. What the work returned is not kept; store it yourself, in the same
/// transaction, if it will be asked for.
///
/// ```no_run
/// # use aquifer::{Db, Error, ErrorKind, Session};
/// # async fn example(db: &Db, request: &str) -> Result<(), Error> {
/// let sql = "insert into payments (amount) values ($1)";
/// match db.idempotent(request).execute(sql, (100_i64,)).await {
///     Err(error) if error.kind() == ErrorKind::AlreadyDone => Ok(()),
///     other => other.map(drop),
/// }
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Idempotent {
    engine: Arc<Engine>,
    key: Arc<str>,
}

impl Idempotent {
    pub(crate) fn new(engine: &Arc<Engine>, key: String) -> Self {
        Self {
            engine: Arc::clone(engine),
            key: Arc::from(key),
        }
    }

    /// Begins a transaction under the key; see [`Db::begin`](crate::Db::begin).
    ///
    /// The key is claimed at once, which costs one round trip.
    ///
    /// # Errors
    /// As [`Db::begin`](crate::Db::begin); [`ErrorKind::AlreadyDone`] where the key is there
    /// already, and [`ErrorKind::Schema`] where its table is missing or may not be written.
    ///
    /// # Cancel safety
    /// Dropping the future rolls back and puts the connection in order.
    #[track_caller]
    pub fn begin_with(
        &self,
        options: TransactionOptions,
    ) -> impl Future<Output = Result<Transaction, Error>> + Send + use<> {
        let location = Location::caller();
        let this = self.clone();
        async move { this.transaction(options, location).await }
    }

    /// Runs `f` in a transaction under the key; see
    /// [`Db::with_transaction`](crate::Db::with_transaction).
    ///
    /// # Errors
    /// As [`Db::with_transaction`](crate::Db::with_transaction) and
    /// [`begin_with`](Self::begin_with); `f` is not called where the key is there already.
    ///
    /// # Cancel safety
    /// As [`Db::with_transaction`](crate::Db::with_transaction).
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

    /// As [`with_transaction`](Self::with_transaction), with an isolation level or deferrable.
    ///
    /// # Errors
    /// As [`with_transaction`](Self::with_transaction).
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
        let this = self.clone();
        async move {
            let outer = ambient::current(&this.engine)?;
            closure::run(&this.engine, outer, &this.terms(options), location, f).await
        }
    }

    fn terms(&self, options: TransactionOptions) -> Terms {
        Terms {
            options,
            key: Some(Arc::clone(&self.key)),
        }
    }

    async fn transaction(
        &self,
        options: TransactionOptions,
        location: &'static Location<'static>,
    ) -> Result<Transaction, Error> {
        let terms = self.terms(options);
        match ambient::current(&self.engine)? {
            Some(outer) => outer.nested(&terms, location).await,
            None => Transaction::start(&self.engine, &terms, location).await,
        }
    }

    /// Runs statements with the claim before them, in one round trip and one transaction.
    async fn together(
        &self,
        statements: &[Prepared<'_>],
        text: &str,
        location: &'static Location<'static>,
    ) -> Result<Vec<Reply>, Error> {
        check(&self.key)?;
        let key = (&*self.key,);
        let mut all: Vec<Prepared<'_>> = vec![(CLAIM, &key)];
        all.extend_from_slice(statements);
        let mut outcome = execute::run_keyed(&self.engine, &all, text, location).await;
        if outcome.as_ref().is_err_and(is_missing) {
            create(&self.engine, location).await?;
            outcome = execute::run_keyed(&self.engine, &all, text, location).await;
        }
        match outcome {
            Ok(mut replies) => {
                replies.drain(..1);
                Ok(replies)
            }
            Err(error) if error.kind() == ErrorKind::Unknown => {
                Err(error.with_unknown(UnknownCommit::keyed(&self.key)))
            }
            Err(error) => Err(explain(error)),
        }
    }
}

impl Session for Idempotent {}

impl sealed::Run for Idempotent {
    async fn run<'a>(&'a self, call: Call<'a>) -> Result<Reply, Error> {
        let list = [(call.sql, call.params)];
        let mut replies = if ambient::current(&self.engine)?.is_some() {
            let savepoint = self
                .transaction(TransactionOptions::new(), call.location)
                .await?;
            let reply = savepoint.run(call).await?;
            savepoint.commit().await?;
            vec![reply]
        } else {
            self.together(&list, call.sql, call.location).await?
        };
        replies.pop().ok_or_else(|| {
            Error::new(
                ErrorKind::Protocol,
                "the server did not answer the statement",
            )
        })
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
        if ambient::current(&self.engine)?.is_some() {
            let savepoint = self
                .transaction(TransactionOptions::new(), location)
                .await?;
            let replies = savepoint.run_batch(batch, location).await?;
            savepoint.commit().await?;
            return Ok(replies);
        }
        self.together(&batch.statements()?, &batch.text(), location)
            .await
    }

    async fn seat(&self, _need: Need, location: &'static Location<'static>) -> Result<Seat, Error> {
        let options = TransactionOptions::new();
        let transaction = self.transaction(options, location).await?;
        transaction.into_seat(true).await
    }

    async fn run_script(
        &self,
        sql: &str,
        location: &'static Location<'static>,
    ) -> Result<(), Error> {
        let transaction = self
            .transaction(TransactionOptions::new(), location)
            .await?;
        transaction.run_script(sql, location).await?;
        transaction.commit().await
    }
}

impl std::fmt::Debug for Idempotent {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The key may be a customer's number: values stay out.
        formatter.debug_struct("Idempotent").finish_non_exhaustive()
    }
}

/// Begins a transaction and claims the key in it.
pub(super) async fn start(
    engine: &Arc<Engine>,
    terms: &Terms,
    key: &Arc<str>,
    location: &'static Location<'static>,
) -> Result<Transaction, Error> {
    check(key)?;
    let mut created = false;
    loop {
        let transaction = Transaction::unopened(engine, terms, location).await?;
        match claim(&transaction, key).await {
            Ok(()) => return Ok(transaction),
            Err(error) if !created && is_missing(&error) => {
                // Its connection may be the only one.
                drop(transaction.rollback().await);
                create(engine, location).await?;
                created = true;
            }
            Err(error) => return Err(explain(error)),
        }
    }
}

/// Opens a savepoint and claims the key in it.
pub(super) async fn nested(
    outer: Transaction,
    key: &Arc<str>,
    location: &'static Location<'static>,
) -> Result<Transaction, Error> {
    check(key)?;
    let mut created = false;
    loop {
        let savepoint = outer.clone().savepoint(location).await?;
        match claim(&savepoint, key).await {
            Ok(()) => return Ok(savepoint),
            Err(error) if !created && is_missing(&error) => {
                savepoint.rollback().await?;
                create_within(&outer, location).await?;
                created = true;
            }
            Err(error) => return Err(explain(error)),
        }
    }
}

async fn claim(transaction: &Transaction, key: &Arc<str>) -> Result<(), Error> {
    let key = (&**key,);
    let list: [Prepared<'_>; 1] = [(CLAIM, &key)];
    transaction.batch_of(&list, CLAIM).await?;
    if transaction.0.parent.is_none() {
        transaction.0.root.claimed.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// Makes the table, on a connection of its own, whatever settings the work has.
async fn create(engine: &Engine, location: &'static Location<'static>) -> Result<(), Error> {
    let mut plain = engine.clone();
    plain.settings = None;
    let created = execute::run_script(&plain, CREATE, location).await;
    created.map_err(explain)
}

/// As [`create`], within a transaction, whose connection may be the only one; but not where its
/// settings may say who it is.
async fn create_within(
    outer: &Transaction,
    location: &'static Location<'static>,
) -> Result<(), Error> {
    let engine = &outer.0.root.engine;
    if engine.settings.is_some() {
        return create(engine, location).await;
    }
    let savepoint = outer.clone().savepoint(location).await?;
    let created = sealed::Run::run_script(&savepoint, CREATE, location).await;
    created.map_err(explain)?;
    savepoint.commit().await
}

/// Whether the work under a key was done, on a connection outside a transaction.
pub(super) async fn resolve(
    client: &Client,
    key: &Arc<str>,
    claimed: bool,
) -> Result<Resolved, Error> {
    let probed = async {
        client.control("begin").await?;
        let reply = client.query(PROBE, &(&**key,), Sharing::Own).await;
        client.control("rollback").await?;
        reply
    };
    let absent = match probed.await {
        Ok(reply) => reply.affected() > 0,
        Err(error) if error.sqlstate() == Some(&SqlState::UNDEFINED_TABLE) => true,
        Err(error) => return Err(Error::from_wire(error, false)),
    };
    Ok(match (absent, claimed) {
        (false, _) => Resolved::Committed,
        // Whoever had claimed it has ended, or the key could not have been written here.
        (true, true) => Resolved::RolledBack,
        (true, false) => Resolved::Unresolvable(
            "the key is not there, though the statement may still be on its way; run it again under \
             the same key, which is safe",
        ),
    })
}

/// Removes keys; see [`Db::forget_idempotency_keys`](crate::Db::forget_idempotency_keys).
pub(crate) async fn forget(
    engine: &Engine,
    older_than: Duration,
    location: &'static Location<'static>,
) -> Result<u64, Error> {
    let mut plain = engine.clone();
    plain.settings = None;
    // Refused, it is left to the next time: without the index it only takes longer.
    drop(execute::run_script(&plain, INDEX, location).await);
    let params = (older_than.as_secs_f64(),);
    let call = Call {
        sql: FORGET,
        params: &params,
        location,
    };
    match execute::run(engine, call).await {
        Ok(reply) => Ok(reply.affected()),
        Err(error) if is_missing(&error) => Ok(0),
        Err(error) => Err(explain(error)),
    }
}

fn check(key: &str) -> Result<(), Error> {
    if (1..=KEY_MAX).contains(&key.len()) && !key.contains('\0') {
        return Ok(());
    }
    let text = format!(
        "an idempotency key has 1 to {KEY_MAX} bytes, none of them NUL; this one has {}",
        key.len()
    );
    Err(Error::new(ErrorKind::Usage, text))
}

fn is_missing(error: &Error) -> bool {
    error.sqlstate() == Some(&SqlState::UNDEFINED_TABLE)
        && error
            .database()
            .is_some_and(|database| database.message().contains("aquifer.idempotency"))
}

/// Says what a claim's error means.
fn explain(error: Error) -> Error {
    let of_keys = error.table() == Some("idempotency")
        && error.database().and_then(|database| database.schema()) == Some("aquifer");
    match error.sqlstate() {
        Some(&SqlState::UNIQUE_VIOLATION) if of_keys => Error::new(
            ErrorKind::AlreadyDone,
            "the work under this idempotency key was done already; it was not done again",
        )
        .with_source(error),
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) if names_our_own(&error) => {
            let text = format!(
                "the table aquifer.idempotency is missing, or this role may not use it. As a role \
                 that may, run: create schema if not exists aquifer; create table if not exists \
                 aquifer.idempotency (key text primary key, done_at timestamptz not null default \
                 clock_timestamp()); create index if not exists idempotency_done_at on \
                 aquifer.idempotency (done_at); grant usage on schema aquifer to {ROLE}; grant select, insert, \
                 delete on aquifer.idempotency to {ROLE}"
            );
            Error::new(ErrorKind::Schema, text)
                .with_retry(Retry::Never)
                .with_source(error)
        }
        _ => error,
    }
}

const ROLE: &str = "<this role>";

/// Whether the right that is missing is one on the layer's own table; the creation needs one on the
/// database.
fn names_our_own(error: &Error) -> bool {
    error.database().is_some_and(|database| {
        let message = database.message();
        ["aquifer", "idempotency", "for database"]
            .iter()
            .any(|name| message.contains(name))
    })
}
