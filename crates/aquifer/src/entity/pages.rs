//! Typed queries that are read behind a key.

use std::panic::Location;

use aquifer_wire::FromRow;

use super::{Entity, Query};
use crate::query::{CursorKey, CursorPage, ORDERED};
use crate::session::{Session, SessionFuture};
use crate::{Error, ErrorKind};

impl<S, R: FromRow + Send> Query<S, R> {
    /// The rows behind a cursor, by the query's order: as fast for the thousandth page as for the
    /// first. The last step of the order must tell rows apart, as a primary key does; a limit and an
    /// offset of the query count for nothing; see
    /// [`QueryBuilder::cursor_page`](crate::QueryBuilder::cursor_page).
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch); [`ErrorKind::Usage`] without an order, for pages without rows, of
    /// UNION and its like, of `distinct` rows ordered by what is not selected, in the order of a window
    /// function, and for a cursor that was not made by this query with this key.
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[doc(alias("keyset", "seek", "cursor_by"))]
    #[track_caller]
    pub fn cursor_page<'a>(
        self,
        key: &CursorKey,
        after: Option<&str>,
        size: u64,
        session: &'a impl Session,
    ) -> SessionFuture<'a, CursorPage<R>> {
        self.on(session).cursor_page_as(key, after, size)
    }
}

impl<E: Entity, R: FromRow + Send> Query<E, R> {
    /// Hands all rows to `work`, so many at a time, in the order of the primary key; returns how many
    /// there were.
    ///
    /// Each part is a query of its own, which begins behind the last row of the one before: nothing is
    /// held in between, and what `work` changes is seen by the next.
    ///
    /// ```no_run
    /// # use aquifer::{Db, Error, entity::*};
    /// # #[derive(Entity)] #[entity(table = "users")]
    /// # struct User { #[entity(key)] id: i64, active: bool }
    /// # async fn example(db: &Db) -> Result<(), Error> {
    /// let active = User::query().filter(User::ACTIVE.eq(true));
    /// let seen = active
    ///     .chunk(
    ///         500,
    ///         async |users| {
    ///             println!("{} users", users.len());
    ///             Ok(())
    ///         },
    ///         db,
    ///     )
    ///     .await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch); [`ErrorKind::Usage`] where the query has an order, a limit or
    /// an offset of its own, and for parts without rows. The first error of `work` ends it.
    ///
    /// # Cancel safety
    /// What `work` has done stays done.
    #[track_caller]
    pub fn chunk<'a, W, F>(
        mut self,
        size: u64,
        work: W,
        session: &'a impl Session,
    ) -> SessionFuture<'a, u64>
    where
        W: FnMut(Vec<R>) -> F + Send + 'a,
        F: Future<Output = Result<(), Error>> + Send,
        R: 'a,
    {
        let location = Location::caller();
        let has_order = !self.draft.select().order.is_empty();
        let parts = self
            .ordered_by_key()
            .on(session)
            .parts(size, work, location);
        Box::pin(async move {
            if has_order {
                return Err(Error::new(ErrorKind::Usage, ORDERED));
            }
            parts.await
        })
    }
}
