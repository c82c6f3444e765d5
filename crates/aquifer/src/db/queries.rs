//! Where queries begin that are put together by methods.

use std::sync::Arc;

use super::Db;
use crate::entity::Entity;
use crate::query::{Attached, IntoSource, QueryBuilder};
use crate::repository::Repo;

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

    /// The rows of an entity, for services that take an `Arc<dyn Repository<User>>`.
    ///
    /// Keep it: only look-ups of one repository and its clones travel together. See
    /// [`repository`](crate::repository).
    ///
    /// ```no_run
    /// # use std::sync::Arc;
    /// # use aquifer::{Db, Error, Repository, entity::Entity};
    /// # #[derive(Entity)] #[entity(table = "users")]
    /// # struct User { #[entity(key)] id: i64, name: String }
    /// # async fn example(db: &Db) -> Result<(), Error> {
    /// let users: Arc<dyn Repository<User>> = Arc::new(db.repo());
    /// let ann = users.find(7).await?;
    /// # Ok(()) }
    /// ```
    #[doc(alias("getRepository"))]
    #[must_use]
    pub fn repo<E: Entity>(&self) -> Repo<E> {
        Repo::new(self.clone(), Some(Arc::clone(&self.engine)))
    }
}
