//! Where queries begin that are put together by methods.

use super::Db;
use crate::query::{Attached, IntoSource, QueryBuilder};

impl Db {
    /// A query of that table (`users`, `app.users`, `users as u`), to be put together by methods.
    ///
    /// See [`QueryBuilder`], and [`query`](crate::query) for what stands in it.
    ///
    /// ```no_run
    /// # use aquifer::{Db, Direction::Desc, Error};
    /// # async fn example(db: &Db, user_id: i64) -> Result<(), Error> {
    /// let posts = db
    ///     .from("posts")
    ///     .where_("user_id", "=", user_id)
    ///     .order_by("created_at", Desc)
    ///     .limit(10)
    ///     .get()
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub fn from(&self, source: impl IntoSource) -> QueryBuilder<Attached<'_>> {
        QueryBuilder::of(self, source)
    }

    /// A query that is yet without a table.
    #[doc(alias = "getQueryBuilder")]
    pub fn query_builder(&self) -> QueryBuilder<Attached<'_>> {
        QueryBuilder::new(self)
    }
}
