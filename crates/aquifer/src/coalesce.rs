//! Look-ups by key that many callers make at the same time, sent as one statement.

mod group;
mod queue;

use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;

use aquifer_wire::FromRow;
use aquifer_wire::types::{DecodeOwned, Encode};

use self::group::{Answer, Found, Shared};
use self::queue::Entry;
use crate::deadline::Deadline;
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
/// A look-up that comes while none is under way is sent at once, so a single caller loses nothing.
/// Those that come meanwhile are sent together when it is answered, each key once. A look-up that
/// has waited for 5 ms does not wait for the one under way any longer. The group runs in a task of
/// the layer: a caller who goes away fails nobody else, and one key that can't be sent fails only
/// those who asked for it.
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
        let location = Location::caller();
        Box::pin(async move {
            let mut rows = self.fetch(key, location).await?;
            if rows.len() > 1 {
                let text = format!(
                    "one row was asked for and the key has {}; look up by a unique column, or use \
                     `find_all`",
                    rows.len()
                );
                return Err(Error::new(ErrorKind::TooManyRows, text));
            }
            Ok(rows.pop())
        })
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
        Box::pin(self.fetch(key, location))
    }

    async fn fetch(&self, key: K, location: &'static Location<'static>) -> Result<Vec<T>, Error> {
        let found = self.shared.find(key, location).await?;
        Ok(found.reply.decode_rows(&found.rows)?)
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
        let (key, mut receiver) = match self.enter(key, location) {
            Entry::First(key, turn) => {
                let found = self.find_alone(key, None, location).await;
                drop(turn);
                return found;
            }
            Entry::Behind(key, receiver) => (key, receiver),
            Entry::Beside(key) => return self.find_alone(key, None, location).await,
        };
        let deadline = Deadline::after(self.engine.query_timeout);
        let early = deadline.at_most(group::PATIENCE).run(&mut receiver).await;
        let answer = match early {
            Ok(answer) => answer,
            Err(_elapsed) => {
                self.lose_patience();
                match deadline.run(receiver).await {
                    Ok(answer) => answer,
                    Err(_elapsed) => return Err(self.engine.timed_out(deadline, self.text())),
                }
            }
        };
        match answer {
            Ok(Answer::Found(found)) => Ok(found),
            Ok(Answer::Failed(error)) => Err(error),
            Ok(Answer::Alone) => {
                // In what is left of this call's time, not in that of another one.
                let alone = deadline.run(self.find_alone(key, None, location)).await;
                alone.unwrap_or_else(|_elapsed| Err(self.engine.timed_out(deadline, self.text())))
            }
            Err(_dropped) => Err(Error::new(
                ErrorKind::Closed,
                "the layer was shut down before the look-up was made",
            )),
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
