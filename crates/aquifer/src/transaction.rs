//! Transactions: the guard of `begin`, the closure of `with_transaction`, savepoints, and the
//! ambient transaction that calls on the same `Db` join.

mod ambient;
mod closure;
mod commit;
mod hooks;
mod idempotency;
mod link;
mod opening;
mod options;
mod outcome;
mod root;
mod run;
mod seat;
mod settings;

use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aquifer_wire::SqlState;
use tokio::time::Instant;

pub(crate) use self::ambient::{current, run_elsewhere};
pub(crate) use self::closure::run as with_transaction;
use self::hooks::Hooks;
pub use self::idempotency::Idempotent;
pub(crate) use self::idempotency::forget;
use self::link::{Link, State};
use self::opening::First;
pub(crate) use self::options::Terms;
pub use self::options::{Isolation, TransactionOptions};
pub use self::outcome::Resolved;
pub(crate) use self::outcome::resolve;
use self::root::Root;
use crate::deadline::Deadline;
use crate::execute::{Engine, is_wrong_role, may_help_transaction};
use crate::observe::TransactionFinished;
use crate::pool::Checkout;
use crate::{Error, ErrorKind, clock};

/// A transaction, or a savepoint within one; ended by [`commit`](Self::commit) or
/// [`rollback`](Self::rollback).
///
/// Cheap to clone: all clones are one transaction. When the last one is dropped before the end, it
/// is rolled back. Statements of several clones share the one connection and run one after another.
/// BEGIN is sent with the first statement; one whose connection turns out to have ended is sent
/// again on another one, since the server has rolled it back. Otherwise every call uses this
/// connection only: there is no retry of single statements, no shared lane, and a statement that fails leaves the transaction able only to roll back
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
    root: Arc<Root>,
    link: Link,
    /// The transaction or savepoint around this savepoint.
    parent: Option<Transaction>,
    /// 0 for the transaction itself, 1 for a savepoint in it, and so on.
    depth: u32,
    /// Of a savepoint: the server may have heard of it.
    sent: AtomicBool,
    /// What failed first, for the error of a commit that can't be.
    first_failure: Mutex<Option<Failure>>,
    /// Something failed, here or in a savepoint, that another run as a whole may not meet.
    may_run_again: AtomicBool,
    hooks: Hooks,
    begun: Instant,
    location: &'static Location<'static>,
}

#[derive(Clone)]
struct Failure {
    text: String,
    state: Option<SqlState>,
}

impl Transaction {
    /// Takes an exclusive connection. Nothing is sent before the first statement, unless there is a
    /// key to be claimed.
    pub(crate) async fn start(
        engine: &Arc<Engine>,
        terms: &Terms,
        location: &'static Location<'static>,
    ) -> Result<Self, Error> {
        match &terms.key {
            None => Self::unopened(engine, terms, location).await,
            Some(key) => Box::pin(idempotency::start(engine, terms, key, location)).await,
        }
    }

    async fn unopened(
        engine: &Arc<Engine>,
        terms: &Terms,
        location: &'static Location<'static>,
    ) -> Result<Self, Error> {
        let deadline = Deadline::after(engine.query_timeout);
        let destination = terms.options.destination(engine)?;
        let checkout = engine
            .pools
            .checkout(destination, deadline, location, false);
        let checkout = Arc::new(checkout.await?);
        engine.note_answer(checkout.host());
        let root = Arc::new(Root::new(engine, terms, destination, checkout.client()));
        Ok(Self::new(root, &checkout, None, location))
    }

    fn new(
        root: Arc<Root>,
        checkout: &Arc<Checkout>,
        parent: Option<Self>,
        location: &'static Location<'static>,
    ) -> Self {
        Self(Arc::new(Inner {
            root,
            link: Link::new(checkout),
            depth: parent.as_ref().map_or(0, |parent| parent.0.depth + 1),
            sent: AtomicBool::new(false),
            parent,
            first_failure: Mutex::default(),
            may_run_again: AtomicBool::new(false),
            hooks: Hooks::default(),
            begun: clock::now(),
            location,
        }))
    }

    /// Opens a savepoint: what it does can be rolled back alone.
    ///
    /// While it is open, this handle can't be used; use the savepoint's.
    ///
    /// # Errors
    /// As [`Session`](crate::Session); [`ErrorKind::Transaction`] when a savepoint is open already or the
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

    /// As [`begin`](Self::begin), for whoever asked for a transaction on these `terms`.
    pub(crate) async fn nested(
        self,
        terms: &Terms,
        location: &'static Location<'static>,
    ) -> Result<Self, Error> {
        terms.options.check_within(self.0.root.options)?;
        match &terms.key {
            None => self.savepoint(location).await,
            Some(key) => Box::pin(idempotency::nested(self, key, location)).await,
        }
    }

    async fn savepoint(self, location: &'static Location<'static>) -> Result<Self, Error> {
        let checkout = self.0.link.hold()?;
        let root = Arc::clone(&self.0.root);
        // Made before the await: dropping it takes the savepoint back and frees the parent.
        let savepoint = Self::new(root, &checkout, Some(self), location);
        let text = format!("savepoint s{}", savepoint.0.depth);
        if !savepoint.0.root.is_begun() {
            let (text, sent) = (text.as_str(), &savepoint.0.sent);
            let first = First::Savepoint { text, sent };
            if Box::pin(savepoint.open(text, first)).await?.is_some() {
                return Ok(savepoint);
            }
        }
        let checkout = savepoint.0.link.active()?;
        savepoint.0.sent.store(true, Ordering::Release);
        let request = checkout.client().control(&text);
        let done = savepoint.on_connection(&text, &checkout, request).await;
        if done.as_ref().is_err_and(is_unsent) {
            savepoint.0.forget();
        }
        done.map(|_| savepoint)
    }

    /// Gives a future that is run once COMMIT is known to have succeeded, and dropped otherwise.
    ///
    /// Hooks run in the order in which they were given, one after the other, before
    /// [`commit`](Self::commit) returns; each has `query_timeout`. When the caller goes meanwhile, a
    /// task runs the rest. They belong to no transaction, whose connection is free by then: calls
    /// on the `Db` in a hook stand for themselves. One that panics or takes too long is logged, and
    /// changes nothing about the commit. Those of a savepoint become part of the transaction around
    /// it when the savepoint is committed, and are dropped when it is rolled back.
    ///
    /// When the outcome of COMMIT stays unknown they are dropped, even if [`Db::resolve`]
    /// finds out later that it took effect. One that holds a handle of this transaction keeps it from
    /// being rolled back when the last other handle is dropped; the closure of `with_transaction`
    /// ends it all the same.
    ///
    /// [`Db::resolve`]: crate::Db::resolve
    ///
    /// # Errors
    /// [`ErrorKind::Transaction`] when it has ended or a savepoint is open.
    ///
    /// ```no_run
    /// # use aquifer::{Db, Error, Session};
    /// # async fn example(db: &Db) -> Result<(), Error> {
    /// db.with_transaction(async |tx| {
    ///     tx.execute("insert into orders (id) values ($1)", (1_i64,)).await?;
    ///     tx.on_commit(async { println!("order 1 is placed") })
    /// })
    /// .await
    /// # }
    /// ```
    #[track_caller]
    pub fn on_commit(&self, hook: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
        let location = Location::caller();
        let hooks = &self.0.hooks;
        self.0.link.while_active(|_| hooks.add(hook, location))
    }

    /// Makes the work durable, or, for a savepoint, part of the transaction around it.
    ///
    /// COMMIT is carried out whole, within `commit_timeout`, by a task if this future is dropped. A
    /// transaction that has sent nothing costs no round trip. A future that is kept and not polled
    /// holds it up, and with it the connection. If the connection ends before the
    /// answer, the layer asks the server on another connection what became of the transaction, and
    /// returns what it learns.
    ///
    /// # Errors
    /// [`ErrorKind::Transaction`] when it has ended, a savepoint is open, or a statement failed
    /// before, so that the server rolled back; [`ErrorKind::Database`] when the server refuses (a
    /// deferred constraint, 40001: then nothing took effect); [`ErrorKind::Connection`] when the
    /// connection ended and the server has rolled back (a retry is safe); [`ErrorKind::Unknown`]
    /// when it could not be found out in time: then it may or may not have taken effect, and
    /// [`Error::unknown_commit`] is what [`Db::resolve`] takes.
    ///
    /// [`Db::resolve`]: crate::Db::resolve
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
        self.0.link.active_turn()
    }

    /// Whether this transaction is of that `Db`.
    pub(crate) fn is_of(&self, engine: &Engine) -> bool {
        self.0.root.engine.pools.is(&engine.pools)
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
        let root = &self.0.root;
        let several = root.engine.pools.are_several() && !root.options.is_read_only();
        if several && error.wire().is_some_and(is_wrong_role) {
            root.met_standby.store(true, Ordering::Relaxed);
            root.engine.pools.topology().fault();
        }
        if state == Some(SqlState::DISK_FULL) {
            root.engine.pools.topology().disk_full();
        }
        if error
            .wire()
            .is_some_and(|error| may_help_transaction(several, error))
        {
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
            && !self.0.root.may_be_committed.load(Ordering::Acquire)
    }

    fn failure(&self) -> Option<Failure> {
        self.0
            .first_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Whether nothing was sent of the call that failed so.
fn is_unsent(error: &Error) -> bool {
    error.wire().is_some_and(|error| !error.sent())
}

impl Inner {
    /// Active → Ended, of a savepoint that the server never heard of: nothing is to be taken back.
    fn forget(&self) {
        drop(self.link.take("refused"));
        if let Some(parent) = &self.parent {
            parent.0.link.resume();
        }
    }

    fn finished(&self, committed: Option<bool>) {
        let elapsed = clock::now() - self.begun;
        let event = TransactionFinished {
            committed,
            elapsed,
            location: self.location,
        };
        self.root.engine.observers.transaction_finished(&event);
    }

    /// Active or Held → Ended: takes back what was not ended in another way.
    fn abandon(&self) {
        let Some(checkout) = self.link.take("dropped") else {
            return;
        };
        drop(self.hooks.take());
        let Some(parent) = &self.parent else {
            // The checkout's own drop rolls back, and puts the connection in order.
            self.finished(Some(false));
            return;
        };
        // What is taken back without having been sent fails, and the transaction with it.
        if self.sent.load(Ordering::Acquire) && self.root.is_sent(checkout.client()) {
            // Written before anything that the parent may send, so nothing has to wait for it.
            let depth = self.depth;
            let undo = format!("rollback to savepoint s{depth}; release savepoint s{depth}");
            checkout.client().control_detached(&undo);
        }
        parent.0.link.resume();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.abandon();
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &*self.0.link.state() {
            State::Active(_) => "active",
            State::Held(_) => "held by a savepoint",
            State::Ended(how) => how,
        };
        formatter
            .debug_struct("Transaction")
            .field("state", &state)
            .field("depth", &self.0.depth)
            .field("begun_at", &self.0.location)
            .finish_non_exhaustive()
    }
}
