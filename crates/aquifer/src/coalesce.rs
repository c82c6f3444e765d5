//! Look-ups by key that many callers make at the same time, sent as one statement.

mod group;
mod queue;
mod rows;
mod waiters;

use std::fmt;
use std::future::ready;
use std::hash::Hash;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;

use aquifer_wire::FromRow;
use aquifer_wire::types::{DecodeOwned, Encode};

pub(crate) use self::group::compares_exactly;
use self::group::{Found, Shared};
use self::queue::{Behind, Entry};
use self::waiters::Outcome;
use crate::execute::Engine;
use crate::session::SessionFuture;
use crate::statement::Sql;
use crate::transaction;
use crate::{Error, ErrorKind};

/// What rows can be looked up by: integers, text, UUIDs and their like.
pub trait LookupKey: Encode + DecodeOwned + Eq + Hash + Clone + Send + Sync + 'static {}

impl<K> LookupKey for K where K: Encode + DecodeOwned + Eq + Hash + Clone + Send + Sync + 'static {}

/// Finds rows by key; look-ups that several callers make at once travel as one statement.
///
/// A look-up that comes while none is under way, or one, is sent at once, so a single caller loses
/// nothing. Those that come meanwhile are sent together when one of the two is answered, each key
/// once: so two groups are under way under load, and while the server works on one, this side works
/// on the other. A look-up that has waited for 5 ms does not wait for those under way any longer. A
/// group runs in a task of the layer: a caller who goes away fails nobody else, and one key that
/// can't be sent fails only those who asked for it.
///
/// Inside a transaction of its `Db` a look-up runs on the transaction's connection, alone.
///
/// Made by [`Db::lookup`](crate::Db::lookup); cheap to clone, and only look-ups of one handle and its
/// clones travel together, so keep it, for example in a repository.
///
/// ```no_run
/// # use aquifer::{Db, Error, FromRow};
/// #[derive(FromRow)]
/// struct User { id: i64, name: String }
///
/// # async fn example(db: &Db) -> Result<(), Error> {
/// let users = db.lookup::<i64, User>("select id, name from users where id = any($1)", "id");
/// let user: Option<User> = users.find(7).await?;
/// # Ok(()) }
/// ```
#[doc(alias("DataLoader", "Loader", "batch loader"))]
pub struct Lookup<K, T> {
    shared: Arc<Shared<K>>,
    row: PhantomData<fn() -> T>,
}

impl<K: LookupKey, T: FromRow + Send> Lookup<K, T> {
    pub(crate) fn new(engine: Arc<Engine>, sql: Sql, column: &'static str) -> Self {
        let shared = Arc::new(Shared::new(engine, sql, column));
        let row = PhantomData;
        Self { shared, row }
    }

    /// The row of that key, or `None` when there is none.
    ///
    /// # Errors
    /// As [`Session`](crate::Session); [`ErrorKind::TooManyRows`] when the key has several rows,
    /// [`ErrorKind::Usage`] when the statement does not fit (see [`Db::lookup`](crate::Db::lookup)).
    ///
    /// # Cancel safety
    /// The answer is dropped; others who look up at the same time get theirs.
    #[track_caller]
    pub fn find(&self, key: K) -> SessionFuture<'_, Option<T>> {
        let failed = |error| Box::pin(ready(Err(error))) as SessionFuture<'_, Option<T>>;
        Box::pin(self.find_or(key, Location::caller(), failed))
    }

    /// As [`find`](Self::find), but what is done on an error is said by the caller: in one future,
    /// since one within another is moved there.
    pub(crate) async fn find_or<'a>(
        &'a self,
        key: K,
        location: &'static Location<'static>,
        failed: impl FnOnce(Error) -> SessionFuture<'a, Option<T>>,
    ) -> Result<Option<T>, Error> {
        let found = match self.shared.find(key, location).await {
            Ok(found) => found,
            Err(error) => return failed(error).await,
        };
        let mut rows = found.rows.of(found.number);
        let (row, more) = (rows.next(), rows.count());
        if more > 0 {
            let text = format!(
                "one row was asked for and the key has {}; look up by a unique column, or use \
                 `find_all`",
                1 + more
            );
            return Err(Error::new(ErrorKind::TooManyRows, text));
        }
        let reply = found.rows.reply();
        match row {
            Some(row) => Ok(Some(reply.decode_one_at(row)?)),
            // Columns that don't fit are an error without rows too.
            None => Ok(reply.decode_at([])?.pop()),
        }
    }

    /// All rows of that key, for example the orders of a user.
    ///
    /// # Errors
    /// As [`find`](Self::find), but several rows are none.
    ///
    /// # Cancel safety
    /// As [`find`](Self::find).
    #[track_caller]
    pub fn find_all(&self, key: K) -> SessionFuture<'_, Vec<T>> {
        let location = Location::caller();
        Box::pin(async move {
            let found = self.shared.find(key, location).await?;
            let rows = found.rows.of(found.number);
            Ok(found.rows.reply().decode_at(rows)?)
        })
    }
}

impl<K, T> Lookup<K, T> {
    /// Whether its statement was seen to have a key that rows can be told apart by.
    pub(crate) fn fits(&self) -> bool {
        self.shared.fits()
    }
}

impl<K: LookupKey> Shared<K> {
    async fn find(
        self: &Arc<Self>,
        key: K,
        location: &'static Location<'static>,
    ) -> Result<Found, Error> {
        if let Some(transaction) = transaction::current(&self.engine)? {
            return self.find_alone(key, Some(transaction), location).await;
        }
        let behind = match self.enter(key, location) {
            Entry::First(key, turn) => {
                let found = self.find_alone(key, None, location).await;
                drop(turn);
                return found;
            }
            Entry::Behind(behind) => behind,
            Entry::Beside(key) => return self.find_alone(key, None, location).await,
        };
        let Behind {
            key,
            mut ticket,
            deadline,
            attended,
        } = behind;
        let mut early = None;
        if !attended {
            // Whoever looks up by itself may be polled by nobody.
            early = deadline
                .at_most(group::PATIENCE)
                .run(&mut ticket)
                .await
                .ok();
            if early.is_none() {
                self.lose_patience();
            }
        }
        let told = match early {
            Some(told) => told,
            None => ticket.await,
        };
        match told {
            Some((Outcome::Found(rows), number)) => Ok(Found { rows, number }),
            Some((Outcome::Failed(error), _)) => Err(error),
            Some((Outcome::Alone, _)) => {
                // In what is left of this call's time, not in that of another one.
                let alone = deadline.run(self.find_alone(key, None, location)).await;
                alone.unwrap_or_else(|_elapsed| Err(self.engine.timed_out(deadline, self.text())))
            }
            Some((Outcome::Closed, _)) => Err(Error::new(
                ErrorKind::Closed,
                "the layer was shut down before the look-up was made",
            )),
            None => Err(self.engine.timed_out(deadline, self.text())),
        }
    }
}

impl<K, T> Clone for Lookup<K, T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            row: PhantomData,
        }
    }
}

impl<K, T> fmt::Debug for Lookup<K, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys stay out: Debug ends up in logs.
        formatter
            .debug_struct("Lookup")
            .field("sql", &self.shared.text())
            .finish_non_exhaustive()
    }
}
