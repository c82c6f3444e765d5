mod conditions;
mod joins;
mod parts;
mod shape;

use std::panic::Location;
use std::time::Duration;

use super::attached::{Attached, Loose};
use super::draft::Draft;
use super::input::IntoSource;
use super::plan::Plan;
use crate::Error;
use crate::session::Session;

/// A query, put together part by part; nothing is sent before its final verb.
///
/// Begun by [`Db::from`](crate::Db::from) or [`Db::query_builder`](crate::Db::query_builder), the
/// same on [`Transaction`](crate::Transaction), or by [`QueryBuilder::new`] on any [`Session`]; a part
/// of another query by [`query::from`](super::from). Each method takes the builder and returns it, so
/// no two callers ever share one; to go on from one point in two ways, clone it.
///
/// Names of tables and columns are always quoted, values are always parameters, operators are those of
/// a list. What can't be part of a statement (a bad operator, a list with NULL for NOT IN, a
/// comparison by `<` with NULL) is kept, and the final verb returns the first of these as an
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) that says what to do; nothing is sent then.
///
/// ```no_run
/// # use aquifer::{Db, Direction::Desc, Error, Row, values};
/// # async fn example(db: &Db, user_id: i64) -> Result<(), Error> {
/// let posts: Vec<Row> = db
///     .from("posts")
///     .where_("user_id", "=", user_id)
///     .order_by("created_at", Desc)
///     .limit(10)
///     .get()
///     .await?;
/// let user: Row = db.from("users").insert(values! { name: "John", active: true }).await?;
/// let changed: u64 = db.from("users").where_("id", "=", 1).update(values! { name: "Jo" }).await?;
/// let deleted: u64 = db.from("users").where_("id", "=", 1).delete().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a query does nothing before its final verb, such as `get`"]
pub struct QueryBuilder<S = Loose> {
    pub(super) session: S,
    pub(super) draft: Draft,
}

/// A query that is a part of another one: a sub-query, a CTE, one side of a union.
pub type SubQuery = QueryBuilder<Loose>;

/// A query of that table that is a part of another one; see [`SubQuery`].
///
/// ```
/// use aquifer::query;
///
/// let active = query::from("users").select("id").where_("active", "=", true);
/// let sql = query::from("posts").where_in_query("user_id", active).to_sql()?;
/// assert_eq!(
///     sql,
///     r#"select * from "posts" where "user_id" in (select "id" from "users" where "active" = $1)"#
/// );
/// # Ok::<(), aquifer::Error>(())
/// ```
pub fn from(source: impl IntoSource) -> SubQuery {
    QueryBuilder {
        session: Loose,
        draft: Draft::default(),
    }
    .from(source)
}

impl<'a> QueryBuilder<Attached<'a>> {
    /// A query on any session, yet without a table.
    #[doc(alias("createQueryBuilder", "create_query_builder"))]
    pub fn new(session: &'a impl Session) -> Self {
        Self {
            session: Attached::to(session),
            draft: Draft::default(),
        }
    }

    /// A query that was begun elsewhere, on any session.
    pub(crate) fn begun(session: &'a impl Session, draft: Draft) -> Self {
        let session = Attached::to(session);
        Self { session, draft }
    }

    /// A query of that table, on any session.
    #[inline]
    pub(crate) fn of(session: &'a impl Session, source: impl IntoSource) -> Self {
        Self::new(session).from(source)
    }
}

impl<S> QueryBuilder<S> {
    /// Keeps the result for so long, in memory and in Redis, and takes it from there: see
    /// [`Cache`](crate::Cache), whose promises hold for it.
    ///
    /// Whatever writes to the tables of the query through the layer, in any process, makes it a miss
    /// before the writer is told that it has committed; of a query for one row by its primary key only
    /// what writes to this row, to rows without naming their keys, or deletes along a foreign key. What
    /// is kept is read from the primary. It is kept per role, database, `search_path` and
    /// [settings](crate::Db::with_settings), so that no tenant sees another one's rows. Within a
    /// transaction, in a dedicated session and for streams it has no effect: those see the database.
    ///
    /// **Limits:** writes of programs that don't use the layer are not seen before the time is over,
    /// nor what hides from the catalog (a volatile function in a column's default or a view); changes of
    /// the schema by others are known within a minute. That there is no row by a key is not kept.
    ///
    /// # Errors of the final verb
    /// [`Usage`](crate::ErrorKind::Usage) with an [`Uncacheable`](crate::Uncacheable) for what must not
    /// be kept: writes, locks, volatile functions, functions of the database's own, the present time,
    /// temporary and foreign tables, text written by hand. For some of them
    /// [`cache_tables`](Self::cache_tables) says what they read.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use aquifer::{Db, Error};
    /// # async fn example(db: &Db) -> Result<(), Error> {
    /// let minute = Duration::from_secs(60);
    /// let active = db.from("users").where_("active", "=", true).cache(minute).get().await?;
    /// let count = db.from("users").cache_as("users:count", minute).count().await?;
    /// # let _ = (active, count);
    /// # Ok(()) }
    /// ```
    pub fn cache(mut self, ttl: Duration) -> Self {
        self.draft.keep_result(ttl, None);
        self
    }

    /// As [`cache`](Self::cache), under a key that [`Cache::delete`](crate::Cache::delete) takes. With
    /// settings there is `@` and a number behind it.
    ///
    /// A key is one query's: of another one it is taken over.
    #[doc(alias("cacheKey", "cache_key", "remember"))]
    pub fn cache_as(mut self, key: impl Into<Box<str>>, ttl: Duration) -> Self {
        self.draft.keep_result(ttl, Some(key.into()));
        self
    }

    /// Of a result that is kept: which tables it is made of besides those that the query names, for text
    /// written by hand, functions and views. Whoever calls it answers for that: all of them, and how old
    /// what is read of the clock may be.
    pub fn cache_tables<T: AsRef<str>>(mut self, tables: impl IntoIterator<Item = T>) -> Self {
        self.draft.depend_on(tables);
        self
    }

    /// The table: `users`, `app.users`, `users as u`; or a sub-query and its alias.
    #[inline]
    pub fn from(mut self, source: impl IntoSource) -> Self {
        let source = source.into_source();
        if let Some(source) = self.draft.keep(source) {
            self.draft.select.from = Some(source);
        }
        self
    }

    /// An empty query on the same session.
    #[doc(alias = "newQuery")]
    pub fn new_query(&self) -> Self
    where
        S: Clone,
    {
        Self {
            session: self.session.clone(),
            draft: Draft::default(),
        }
    }

    /// Goes on only if there is a value, for filters that are optional.
    ///
    /// ```
    /// # use aquifer::query;
    /// let city: Option<&str> = None;
    /// let users = query::from("users").when(city, |users, city| users.where_("city", "=", city));
    /// assert_eq!(users.to_sql()?, r#"select * from "users""#);
    /// # Ok::<(), aquifer::Error>(())
    /// ```
    pub fn when<T>(self, value: Option<T>, change: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            Some(value) => change(self, value),
            None => self,
        }
    }

    /// Goes on only if that is true.
    pub fn when_true(self, condition: bool, change: impl FnOnce(Self) -> Self) -> Self {
        if condition { change(self) } else { self }
    }

    /// Applies a function that several queries share.
    ///
    /// ```
    /// # use aquifer::query::{self, QueryBuilder};
    /// fn active<S>(query: QueryBuilder<S>) -> QueryBuilder<S> {
    ///     query.where_("active", "=", true)
    /// }
    ///
    /// let sql = query::from("users").scope(active).to_sql()?;
    /// assert_eq!(sql, r#"select * from "users" where "active" = $1"#);
    /// # Ok::<(), aquifer::Error>(())
    /// ```
    pub fn scope(self, scope: impl FnOnce(Self) -> Self) -> Self {
        scope(self)
    }

    /// Says that UPDATE or DELETE without a condition is meant.
    pub fn all_rows(mut self) -> Self {
        self.draft.all_rows = true;
        self
    }

    /// The statement that [`get`](Self::get) would run.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for the first part that was wrong.
    #[inline]
    pub fn build(self) -> Result<Plan, Error> {
        self.draft.into_plan()
    }

    /// The text that [`get`](Self::get) would send; values stand in it as `$1`, never themselves.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn to_sql(&self) -> Result<String, Error> {
        Ok(self.draft.clone().into_plan()?.sql().to_owned())
    }
}

/// Where a call stands in the source.
pub(super) type Place = &'static Location<'static>;
