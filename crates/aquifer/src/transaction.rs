//! Transactions: the guard of `begin`, the closure of `with_transaction`, savepoints, and the
//! ambient transaction that calls on the same `Db` join.

mod ambient;
mod closure;
mod commit;
mod options;

use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aquifer_core::retry::Intent;
use aquifer_core::scan::{self, Class};
use aquifer_wire::{Reply, Sharing, SqlState};
use tokio::time::Instant;

pub(crate) use self::ambient::current;
pub(crate) use self::closure::run as with_transaction;
pub use self::options::{Isolation, TransactionOptions};
use crate::deadline::Deadline;
use crate::execute::{
    Attempts, Engine, announce, announce_text, may_help, may_help_transaction, refuse_copy,
};
use crate::observe::TransactionFinished;
use crate::pool::Checkout;
use crate::session::{Session, sealed};
use crate::statement::{Batch, Call};
use crate::{Error, ErrorKind, Retry, clock};

/// A transaction, or a savepoint within one; ended by [`commit`](Self::commit) or
/// [`rollback`](Self::rollback).
///
/// Cheap to clone: all clones are one transaction. When the last one is dropped before the end, it
/// is rolled back. Statements of several clones share the one connection and run one after another.
/// Inside, every call uses this connection only: there is no retry of single statements, no
/// shared lane, and a statement that fails leaves the transaction able only to roll back
/// (PostgreSQL's rule); put what may fail into a savepoint.
///
/// ```no_run
/// # use aquifer::{Db, Error, Session};
/// # async fn example(db: &Db) -> Result<(), Error> {
/// let tx = db.begin().await?;
/// tx.execute("update accounts set balance = balance - $1 where id = $2", (10_i64, 1_i64)).await?;
/// tx.execute("update accounts set balance = balance + $1 where id = $2", (10_i64, 2_i64)).await?;
/// tx.commit().await
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a transaction that is dropped is rolled back"]
pub struct Transaction(Arc<Inner>);

struct Inner {
    engine: Arc<Engine>,
    /// Of the transaction as a whole.
    options: TransactionOptions,
    link: Mutex<Link>,
    /// The transaction or savepoint around this savepoint.
    parent: Option<Transaction>,
    /// 0 for the transaction itself, 1 for a savepoint in it, and so on.
    depth: u32,
    /// What failed first, for the error of a commit that can't be.
    first_failure: Mutex<Option<Failure>>,
    /// Something failed, here or in a savepoint, that another run as a whole may not meet.
    may_run_again: AtomicBool,
    /// COMMIT was sent, and it is not known that it was refused.
    may_be_committed: AtomicBool,
    begun: Instant,
    location: &'static Location<'static>,
}

/// Where a transaction stands: Active → Held (a savepoint is open) → Active → Ended.
enum Link {
    Active(Arc<Checkout>),
    Held(Arc<Checkout>),
    Ended(&'static str),
}

#[derive(Clone)]
struct Failure {
    text: String,
    state: Option<SqlState>,
}

impl Transaction {
    /// Begins on an exclusive connection.
    pub(crate) async fn start(
        engine: &Arc<Engine>,
        options: TransactionOptions,
        location: &'static Location<'static>,
    ) -> Result<Self, Error> {
        let deadline = Deadline::after(engine.query_timeout);
        let mut attempts = Attempts::first(engine.attempts_max);
        let checkout = loop {
            // Guard first: a future dropped from here on puts the connection in order.
            let checkout = if attempts.made() == 1 {
                engine.pool.checkout(deadline, location).await?
            } else {
                engine.pool.checkout_answering(deadline, location).await?
            };
            match deadline
                .run(checkout.client().control(&options.begin()))
                .await
            {
                Ok(Ok(_)) => break checkout,
                // BEGIN has no effect of its own, so it may be sent again like a read: the
                // connection may have ended unnoticed, whether or not the server said why.
                Ok(Err(error))
                    if may_help(&error, Intent::Read) && attempts.allow_another(&error) =>
                {
                    attempts.next();
                }
                Ok(Err(error)) => return Err(Error::from_wire(error, false)),
                Err(_) => {
                    let error = engine.timed_out(deadline, "BEGIN");
                    return Err(error.with_retry(Retry::Safe));
                }
            }
        };
        Ok(Self(Arc::new(Inner {
            engine: Arc::clone(engine),
            options,
            link: Mutex::new(Link::Active(Arc::new(checkout))),
            parent: None,
            depth: 0,
            first_failure: Mutex::default(),
            may_run_again: AtomicBool::new(false),
            may_be_committed: AtomicBool::new(false),
            begun: clock::now(),
            location,
        })))
    }

    /// Opens a savepoint: what it does can be rolled back alone.
    ///
    /// While it is open, this handle can't be used; use the savepoint's.
    ///
    /// # Errors
    /// As [`Session`]; [`ErrorKind::Transaction`] when a savepoint is open already or the
    /// transaction has ended.
    ///
    /// # Cancel safety
    /// A future dropped meanwhile leaves no savepoint behind.
    #[track_caller]
    pub fn begin(&self) -> impl Future<Output = Result<Self, Error>> + Send + use<> {
        let location = Location::caller();
        let parent = self.clone();
        async move { parent.savepoint(location).await }
    }

    /// As [`begin`](Self::begin), for whoever asked for a transaction with `options`.
    pub(crate) async fn nested(
        self,
        options: TransactionOptions,
        location: &'static Location<'static>,
    ) -> Result<Self, Error> {
        options.check_within(self.0.options)?;
        self.savepoint(location).await
    }

    async fn savepoint(self, location: &'static Location<'static>) -> Result<Self, Error> {
        let checkout = self.0.hold()?;
        let depth = self.0.depth + 1;
        // Made before the await: dropping it takes the savepoint back and frees the parent.
        let savepoint = Self(Arc::new(Inner {
            engine: Arc::clone(&self.0.engine),
            options: self.0.options,
            link: Mutex::new(Link::Active(Arc::clone(&checkout))),
            parent: Some(self),
            depth,
            first_failure: Mutex::default(),
            may_run_again: AtomicBool::new(false),
            may_be_committed: AtomicBool::new(false),
            begun: clock::now(),
            location,
        }));
        let deadline = Deadline::after(savepoint.0.engine.query_timeout);
        let done = deadline
            .run(checkout.client().control(&format!("savepoint s{depth}")))
            .await;
        match done {
            Ok(Ok(_)) => Ok(savepoint),
            Ok(Err(error)) => Err(Error::from_wire(error, false)),
            Err(_) => Err(savepoint.0.engine.timed_out(deadline, "SAVEPOINT")),
        }
    }

    /// Makes the work durable, or, for a savepoint, part of the transaction around it.
    ///
    /// COMMIT runs in a task that outlives this future, within `commit_timeout`.
    ///
    /// # Errors
    /// [`ErrorKind::Transaction`] when it has ended, a savepoint is open, or a statement failed
    /// before, so that the server rolled back; [`ErrorKind::Database`] when the server refuses (a
    /// deferred constraint, 40001: then nothing took effect); [`ErrorKind::Unknown`] when the
    /// connection or the time ended before the answer: then it may or may not have taken effect.
    ///
    /// # Cancel safety
    /// Once polled, COMMIT is carried out even if the future is dropped; before, dropping rolls back.
    pub async fn commit(self) -> Result<(), Error> {
        commit::commit(&self).await
    }

    /// Takes everything back; for a savepoint, what happened since it was opened.
    ///
    /// A statement whose future was dropped and that still runs is cancelled first.
    ///
    /// # Errors
    /// [`ErrorKind::Transaction`] when it has ended or a savepoint is open. A connection that ends
    /// meanwhile is no error: the server rolls back then.
    ///
    /// # Cancel safety
    /// It is rolled back all the same.
    pub async fn rollback(self) -> Result<(), Error> {
        commit::rollback(&self).await
    }

    /// Runs `f` in a savepoint: kept when it returns `Ok`, taken back when it returns `Err`.
    ///
    /// # Errors
    /// What `f` returns, and those of [`begin`](Self::begin) and [`commit`](Self::commit).
    ///
    /// # Cancel safety
    /// A future dropped meanwhile takes the savepoint back.
    #[track_caller]
    pub fn with_savepoint<T, E, F, Fut>(&self, f: F) -> impl Future<Output = Result<T, E>> + Send
    where
        F: FnOnce(Self) -> Fut + Send,
        Fut: Future<Output = Result<T, E>> + Send,
        T: Send,
        E: From<Error> + Send,
    {
        let location = Location::caller();
        let parent = self.clone();
        async move {
            let savepoint = parent.savepoint(location).await?;
            closure::attempt(&savepoint, f).await
        }
    }

    /// The connection and the turn of what runs on it now, unless the transaction has ended or is
    /// held by a savepoint.
    ///
    /// Whoever ends or holds it changes the link first and sends then, so that this turn is over
    /// when that is sent.
    fn checkout(&self) -> Result<(Arc<Checkout>, u64), Error> {
        match &*self.0.link() {
            Link::Active(checkout) => Ok((Arc::clone(checkout), checkout.client().turn())),
            Link::Held(_) => Err(held()),
            Link::Ended(how) => Err(ended(how)),
        }
    }

    /// Whether this transaction is of that `Db`.
    pub(crate) fn is_of(&self, engine: &Engine) -> bool {
        self.0.engine.pool.is(&engine.pool)
    }

    /// Remembers what failed, for the error of a commit that can't be and for another run.
    fn note(&self, error: Error) -> Error {
        let state = error.sqlstate().copied();
        if state.is_some() || error.kind() == ErrorKind::Timeout {
            let mut first = self
                .0
                .first_failure
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert_with(|| Failure {
                text: error.to_string(),
                state,
            });
        }
        if error.wire().is_some_and(may_help_transaction) {
            // A savepoint can't always take such a thing back: it concerns all that is around it.
            let mut around = Some(self);
            while let Some(transaction) = around {
                transaction.0.may_run_again.store(true, Ordering::Relaxed);
                around = transaction.0.parent.as_ref();
            }
        }
        error
    }

    /// Whether the server rolled back, for a reason that another run may not meet.
    fn may_run_again(&self) -> bool {
        self.0.may_run_again.load(Ordering::Relaxed)
            && !self.0.may_be_committed.load(Ordering::Acquire)
    }

    fn failure(&self) -> Option<Failure> {
        self.0
            .first_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Runs one request on the connection, within the time of one call; remembers what failed.
    async fn on_connection<T>(
        &self,
        what: &str,
        checkout: &Checkout,
        request: impl Future<Output = Result<T, aquifer_wire::Error>>,
    ) -> Result<T, Error> {
        let outcome = self.bounded(what, checkout, request).await;
        outcome.map_err(|error| self.note(error))
    }

    /// Runs one request on the connection, within the time of one call.
    async fn bounded<T>(
        &self,
        what: &str,
        checkout: &Checkout,
        request: impl Future<Output = Result<T, aquifer_wire::Error>>,
    ) -> Result<T, Error> {
        let deadline = Deadline::after(self.0.engine.query_timeout);
        match deadline.run(request).await {
            Ok(Ok(value)) => Ok(value),
            // It ended, or a savepoint was opened, while the statement was being described.
            Ok(Err(error)) if error.kind() == aquifer_wire::Kind::Overtaken => {
                let why = self.checkout().err();
                Err(why.unwrap_or_else(|| Error::from_wire(error, false)))
            }
            // A failure before COMMIT takes effect nowhere: the server rolls back.
            Ok(Err(error)) => Err(Error::from_wire(error, false)),
            Err(_) => {
                // Nobody else uses this connection, so a cancel hits this statement only.
                checkout.stop().await;
                Err(self.0.engine.timed_out(deadline, what))
            }
        }
    }
}

impl Session for Transaction {}

impl sealed::Run for Transaction {
    async fn run(&self, call: Call<'_>) -> Result<Reply, Error> {
        let statement = async {
            refuse(call.sql)?;
            let (checkout, turn) = self.checkout()?;
            let sharing = Sharing::Within(turn);
            let client = checkout.client();
            let request = async {
                let statement = client.statement(call.sql, sharing).await?;
                announce(&statement, &checkout);
                client.run(&statement, call.params, sharing).await
            };
            self.on_connection(call.sql, &checkout, request).await
        };
        let engine = &self.0.engine;
        engine.observed(call.sql, call.location, statement).await
    }

    async fn run_batch(
        &self,
        batch: Batch<'_>,
        location: &'static Location<'static>,
    ) -> Result<Vec<Reply>, Error> {
        let statements = batch.statements()?;
        let text = batch.text();
        let all = async {
            for (sql, _) in &statements {
                refuse(sql)?;
            }
            let (checkout, turn) = self.checkout()?;
            for (sql, _) in &statements {
                announce_text(&scan::scan(sql), &checkout);
            }
            let sharing = Sharing::Within(turn);
            let request = Box::pin(checkout.client().batch(&statements, sharing));
            self.on_connection(&text, &checkout, request).await
        };
        self.0.engine.observed(&text, location, all).await
    }

    async fn run_script(
        &self,
        sql: &str,
        location: &'static Location<'static>,
    ) -> Result<(), Error> {
        let script = async {
            let scan = scan::scan(sql);
            if scan.class == Class::TransactionControl {
                return Err(control());
            }
            let (checkout, turn) = self.checkout()?;
            announce_text(&scan, &checkout);
            let request = checkout.client().script_within(sql, turn);
            self.on_connection(sql, &checkout, request).await.map(drop)
        };
        self.0.engine.observed(sql, location, script).await
    }
}

/// BEGIN, COMMIT and the like inside a transaction would end it behind the handle's back; COPY would
/// end its connection.
fn refuse(sql: &str) -> Result<(), Error> {
    if scan::controls_transaction(sql) {
        return Err(control());
    }
    refuse_copy(sql)
}

fn control() -> Error {
    Error::new(
        ErrorKind::Usage,
        "transaction control can't run as a statement; use `commit`, `rollback` and, for a \
         savepoint, `begin` of the transaction's handle",
    )
}

impl Inner {
    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Active → Held, for a savepoint.
    fn hold(&self) -> Result<Arc<Checkout>, Error> {
        let mut link = self.link();
        match &*link {
            Link::Active(checkout) => {
                let checkout = Arc::clone(checkout);
                *link = Link::Held(Arc::clone(&checkout));
                Ok(checkout)
            }
            Link::Held(_) => Err(held()),
            Link::Ended(how) => Err(ended(how)),
        }
    }

    /// Held → Active, when the savepoint has ended.
    fn resume(&self) {
        let mut link = self.link();
        if let Link::Held(checkout) = &*link {
            *link = Link::Active(Arc::clone(checkout));
        }
    }

    /// Active → Ended; the connection for the last word.
    fn end(&self, how: &'static str) -> Result<Arc<Checkout>, Error> {
        let mut link = self.link();
        match &*link {
            Link::Active(checkout) => {
                let checkout = Arc::clone(checkout);
                *link = Link::Ended(how);
                Ok(checkout)
            }
            Link::Held(_) => Err(held()),
            Link::Ended(how) => Err(ended(how)),
        }
    }

    fn finished(&self, committed: Option<bool>) {
        let elapsed = clock::now() - self.begun;
        let event = TransactionFinished {
            committed,
            elapsed,
            location: self.location,
        };
        self.engine.observers.transaction_finished(&event);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let link = std::mem::replace(&mut *self.link(), Link::Ended("dropped"));
        let (Link::Active(checkout) | Link::Held(checkout)) = link else {
            return;
        };
        match &self.parent {
            // The checkout's own drop rolls back, and puts the connection in order.
            None => self.finished(Some(false)),
            Some(parent) => {
                // Written before anything that the parent may send, so nothing has to wait for it.
                let depth = self.depth;
                let undo = format!("rollback to savepoint s{depth}; release savepoint s{depth}");
                checkout.client().control_detached(&undo);
                parent.0.resume();
            }
        }
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &*self.0.link() {
            Link::Active(_) => "active",
            Link::Held(_) => "held by a savepoint",
            Link::Ended(how) => how,
        };
        formatter
            .debug_struct("Transaction")
            .field("state", &state)
            .field("depth", &self.0.depth)
            .field("begun_at", &self.0.location)
            .finish_non_exhaustive()
    }
}

fn held() -> Error {
    Error::new(
        ErrorKind::Transaction,
        "a savepoint of this transaction is open; use its handle, and end it before this one is used",
    )
}

fn ended(how: &str) -> Error {
    Error::new(
        ErrorKind::Transaction,
        format!("the transaction was {how} already; begin a new one"),
    )
}
