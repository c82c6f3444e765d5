use std::sync::{Mutex, PoisonError};

use crate::db::Db;
use crate::{Error, ErrorKind};

/// Runs a test in a transaction that is always rolled back; returns what the test returns.
///
/// Calls on the same `Db` (clones included) within `test` run in that transaction, on one connection;
/// transactions that they begin become savepoints, which they commit and roll back as ever. So code
/// that takes a `&Db` needs to know nothing of it.
///
/// What it can't give is said here, for the test to be honest: tasks that `test` spawns, and
/// [`Db::detached`], are outside of it; `now()` stands still; hooks of `on_commit` never run;
/// deferred constraints are never checked; a statement that fails outside of a savepoint ends all
/// that follows. Where that matters, use a database of its own: [`Template`](super::Template).
///
/// # Errors
/// As [`Db::begin`], and when the connection was lost before the test came to its end.
///
/// # Panics
/// Where `test` does; all is rolled back then too.
///
/// # Cancel safety
/// It is rolled back.
///
/// ```no_run
/// # use aquifer::{Db, Error, Session};
/// # async fn example(db: &Db) -> Result<(), Error> {
/// aquifer::testing::sandbox(db, async || {
///     db.execute("insert into users (name) values ('Ann')", ()).await?;
///     let users: i64 = db.query_value("select count(*) from users", ()).await?;
///     assert_eq!(users, 1);
///     Ok::<_, Error>(())
/// })
/// .await?
/// # }
/// ```
pub async fn sandbox<T, F, Fut>(db: &Db, test: F) -> Result<T, Error>
where
    F: FnOnce() -> Fut + Send,
    Fut: Future<Output = T> + Send,
    T: Send,
{
    let (test, result) = (Mutex::new(Some(test)), Mutex::new(None));
    let outcome: Result<(), Undo> = db
        .with_transaction(|_transaction| {
            let test = test.lock().unwrap_or_else(PoisonError::into_inner).take();
            let result = &result;
            async move {
                if let Some(test) = test {
                    let value = test().await;
                    *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
                }
                Err(Undo(None))
            }
        })
        .await;
    let value = result.into_inner().unwrap_or_else(PoisonError::into_inner);
    match (value, outcome) {
        (Some(value), _) => Ok(value),
        (None, Err(Undo(Some(error)))) => Err(error),
        (None, _) => Err(Error::new(
            ErrorKind::Transaction,
            "the test did not come to its end; the connection of its sandbox was lost",
        )),
    }
}

/// Rolls back, for the reason given or for none.
struct Undo(Option<Error>);

impl From<Error> for Undo {
    fn from(error: Error) -> Self {
        Self(Some(error))
    }
}
