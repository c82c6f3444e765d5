//! Repositories: the rows of an entity behind a trait, so that services know no database and tests
//! hand in a fake.
//!
//! A service takes an `Arc<dyn Repository<User>>`. In production that is a [`Repo`], made by
//! [`Db::repo`](crate::Db::repo); in a test a `testing::FakeRepository`, which holds rows in memory.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use aquifer::entity::Entity;
//! use aquifer::{Db, Error, Repository, insert};
//!
//! #[derive(Clone, Entity)]
//! #[entity(table = "users", has_many(POSTS = Post::USER_ID))]
//! struct User {
//!     #[entity(key, auto)]
//!     id: i64,
//!     email: String,
//!     #[entity(default)]
//!     active: bool,
//! }
//!
//! #[derive(Clone, Entity)]
//! #[entity(table = "posts")]
//! struct Post {
//!     #[entity(key, auto)]
//!     id: i64,
//!     #[entity(belongs_to = User::ID)]
//!     user_id: i64,
//!     title: String,
//! }
//!
//! struct Accounts {
//!     users: Arc<dyn Repository<User>>,
//!     posts: Arc<dyn Repository<Post>>,
//! }
//!
//! impl Accounts {
//!     async fn register(&self, email: &str) -> Result<User, Error> {
//!         let taken = User::query().filter(User::EMAIL.eq(email));
//!         if let Some(user) = self.users.first(taken).await? {
//!             return Ok(user);
//!         }
//!         self.users.insert(insert!(User { email })).await
//!     }
//!
//!     async fn titles(&self) -> Result<Vec<(User, Vec<Post>)>, Error> {
//!         let active = User::query().filter(User::ACTIVE.eq(true)).limit(20);
//!         let users = self.users.fetch(active).await?;
//!         let posts = User::POSTS.load(&users, &*self.posts).await?; // one statement
//!         Ok(users.into_iter().zip(posts).collect())
//!     }
//! }
//!
//! # async fn example(db: &Db) -> Result<(), Error> {
//! let accounts = Accounts { users: Arc::new(db.repo()), posts: Arc::new(db.repo()) };
//! accounts.register("ann@example.com").await?;
//! # Ok(()) }
//! ```
//!
//! Methods of its own a service gets by a trait that extends this one; a fake implements it too:
//!
//! ```
//! # use aquifer::{Repo, Repository, SessionFuture, entity::Entity};
//! # #[derive(Entity)] #[entity(table = "users")]
//! # struct User { #[entity(key, auto)] id: i64, email: String }
//! trait UserRepository: Repository<User> {
//!     fn by_email<'a>(&'a self, email: &str) -> SessionFuture<'a, Option<User>> {
//!         self.first(User::query().filter(User::EMAIL.eq(email)))
//!     }
//! }
//!
//! impl UserRepository for Repo<User> {}
//! ```
//!
//! | I want … | use … |
//! |---|---|
//! | a row by its key | [`find`](Repository::find), whose calls coalesce; [`get`](Repository::get) where it must be there |
//! | rows by many keys | [`find_many`](Repository::find_many) |
//! | rows by conditions | [`fetch`](Repository::fetch), [`first`](Repository::first), [`count`](Repository::count), [`exists`](Repository::exists) with a [`Query`] |
//! | pages for clients | [`page`](Repository::page) |
//! | all rows, some at a time | [`chunks`](Repository::chunks) |
//! | to write | [`insert`](Repository::insert), [`insert_many`](Repository::insert_many), [`upsert`](Repository::upsert), [`save`](Repository::save), [`delete`](Repository::delete), [`restore`](Repository::restore) |
//! | rows of another entity that belong to these | [`Relation::load`](crate::entity::Relation::load), [`load_one`](crate::entity::Relation::load_one); in the same statement [`Query::with_many`] |
//! | several calls to take effect together | [`Db::with_transaction`](crate::Db::with_transaction), which calls on a `Repo` of the same `Db` join; [`Transaction::repo`](crate::Transaction::repo) |

mod chunks;
mod identity;
mod relations;
mod repo;
mod session;

use crate::entity::{Entity, Insert, OnConflict, Query, SoftDelete};
use crate::query::{CursorKey, CursorPage};
use crate::session::SessionFuture;
use crate::{Error, ErrorKind};

pub use self::chunks::Chunks;
pub use self::repo::Repo;
#[cfg(feature = "testing")]
pub(crate) use self::repo::check_rows;

/// The rows of one entity: found, changed, counted.
///
/// It is object-safe: services hold an `Arc<dyn Repository<User>>`, which is `Send` and `Sync`. Rows
/// that are marked as deleted (`soft_delete`) are passed over, unless a query says
/// [`with_deleted`](Query::with_deleted).
///
/// # Errors
/// Those of a [`Repo`] are described at [`Session`](crate::Session); each method says what it adds.
/// Those of a `testing::FakeRepository` are of the same kinds where it knows them.
///
/// # Cancel safety
/// As described at [`Session`](crate::Session).
pub trait Repository<E: Entity>: Send + Sync {
    /// The row with that key.
    ///
    /// Calls on one [`Repo`] and its clones that come at the same time travel together, as those of a
    /// [`Lookup`](crate::Lookup) do; in a transaction each runs by itself on its connection. Keys in a
    /// collation that takes different texts as equal (`deterministic = false`) are found in the
    /// spelling of the row only.
    ///
    /// # Errors
    /// As described at [`Repository`].
    ///
    /// # Cancel safety
    /// Nothing is lost; others who look for a row at the same time find theirs.
    fn find(&self, key: E::Key) -> SessionFuture<'_, Option<E>>;

    /// The rows with these keys, by one statement: for each key its row, in the order of the keys,
    /// and `None` where there is none. A key that is given twice has its row twice; no key is no
    /// statement.
    ///
    /// # Errors
    /// As described at [`Repository`]; [`ErrorKind::Usage`] for keys of types that PostgreSQL does not
    /// compare byte by byte, such as numeric and citext.
    ///
    /// # Cancel safety
    /// As described at [`Repository`].
    fn find_many(&self, keys: Vec<E::Key>) -> SessionFuture<'_, Vec<Option<E>>>;

    /// The rows of a query.
    ///
    /// # Errors
    /// As [`Query::fetch`].
    ///
    /// # Cancel safety
    /// As described at [`Repository`].
    fn fetch(&self, query: Query<E>) -> SessionFuture<'_, Vec<E>>;

    /// How many rows a query has, those beyond its limit left out.
    ///
    /// # Errors
    /// As [`Query::fetch`].
    ///
    /// # Cancel safety
    /// As described at [`Repository`].
    fn count(&self, query: Query<E>) -> SessionFuture<'_, u64>;

    /// Whether a query has any row.
    ///
    /// # Errors
    /// As [`Query::fetch`].
    ///
    /// # Cancel safety
    /// As described at [`Repository`].
    fn exists(&self, query: Query<E>) -> SessionFuture<'_, bool>;

    /// The next rows of a query behind a cursor, of which the first page has none; at most `size`.
    ///
    /// The order is that of the query, and where it leaves rows equal that of the key, which need not
    /// be said; limit and offset of the query count for nothing. For the rest see
    /// [`cursor_page`](crate::QueryBuilder::cursor_page).
    ///
    /// # Errors
    /// As [`Query::fetch`]; [`ErrorKind::Usage`] for pages without rows, and for a cursor that was not
    /// made by this query with this key.
    ///
    /// # Cancel safety
    /// As described at [`Repository`].
    fn page(
        &self,
        query: Query<E>,
        key: &CursorKey,
        after: Option<&str>,
        size: u64,
    ) -> SessionFuture<'_, CursorPage<E>>;

    /// Inserts a row, and returns it with what the database has filled in; see
    /// [`insert!`](crate::insert).
    ///
    /// # Errors
    /// As described at [`Repository`]; [`ErrorKind::Usage`] where a field has no value that needs one.
    ///
    /// # Cancel safety
    /// As described at [`Repository`].
    fn insert(&self, row: Insert<E>) -> SessionFuture<'_, E>;

    /// Inserts rows, all or none; returns how many. No row is no statement.
    ///
    /// All have the same fields. Up to 10,000 rows are one INSERT, with an array for each column; more,
    /// and rows with lists in them, travel by COPY. What COPY can't write to takes no more than 10,000
    /// at a time, and no lists: tables with policies (row-level security) that hold for the role, and
    /// views. Into a column that is `generated always as identity` COPY writes what it is given, where
    /// INSERT refuses it; mark it `auto`.
    ///
    /// # Errors
    /// As described at [`Repository`]; [`ErrorKind::Usage`] where a field has no value that needs one,
    /// where rows have values for different fields or for none, and where one says what happens on a
    /// conflict.
    ///
    /// # Cancel safety
    /// As described at [`Repository`]: all rows or none take effect.
    fn insert_many(&self, rows: Vec<Insert<E>>) -> SessionFuture<'_, u64>;

    /// Saves what was changed in a row, and reads back what the database made of it; see
    /// [`Entity::save`].
    ///
    /// Without a version the last who saves wins; a row that was marked as deleted meanwhile counts as
    /// gone.
    ///
    /// # Errors
    /// As described at [`Repository`]; [`ErrorKind::Conflict`] where the version is another one or the
    /// row is gone, and without a version [`ErrorKind::NotFound`] where it is gone.
    ///
    /// # Cancel safety
    /// As described at [`Repository`]; `row` is as it was.
    fn save<'a>(&'a self, row: &'a mut E) -> SessionFuture<'a, ()>;

    /// Deletes the row with that key, whatever its version, or marks it as deleted; whether there was
    /// one.
    ///
    /// # Errors
    /// As described at [`Repository`].
    ///
    /// # Cancel safety
    /// As described at [`Repository`].
    fn delete(&self, key: E::Key) -> SessionFuture<'_, bool>;

    /// Takes the mark off a row that is marked as deleted; whether there was one.
    ///
    /// # Errors
    /// As described at [`Repository`].
    ///
    /// # Cancel safety
    /// As described at [`Repository`].
    fn restore(&self, key: E::Key) -> SessionFuture<'_, bool>
    where
        E: SoftDelete;

    /// The row with that key, which must be there.
    ///
    /// # Errors
    /// As [`find`](Self::find); [`ErrorKind::NotFound`] where it is not.
    ///
    /// # Cancel safety
    /// As [`find`](Self::find).
    fn get(&self, key: E::Key) -> SessionFuture<'_, E> {
        let found = self.find(key);
        Box::pin(async move { found.await?.ok_or_else(not_found::<E>) })
    }

    /// The first row of a query.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    ///
    /// # Cancel safety
    /// As described at [`Repository`].
    fn first(&self, query: Query<E>) -> SessionFuture<'_, Option<E>> {
        let rows = self.fetch(query.limit(1));
        Box::pin(async move { Ok(rows.await?.into_iter().next()) })
    }

    /// Inserts a row, or changes the one that is there already; returns it.
    ///
    /// ```
    /// # use aquifer::{Error, Repository, entity::Entity, insert};
    /// # #[derive(Entity)] #[entity(table = "users")]
    /// # struct User { #[entity(key, auto)] id: i64, email: String, name: String }
    /// # async fn example(users: &dyn Repository<User>) -> Result<(), Error> {
    /// let row = insert!(User { email: "ann@example.com", name: "Ann" });
    /// let ann = users.upsert(row.on_conflict(User::EMAIL)).await?; // sets the name
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    ///
    /// # Cancel safety
    /// As described at [`Repository`].
    fn upsert(&self, row: OnConflict<E>) -> SessionFuture<'_, E> {
        self.insert(row.do_update())
    }

    /// All rows of a query, at most `size` at a time, each part behind the last row of the one before;
    /// the order is as for [`page`](Self::page).
    ///
    /// Nothing is held in between, and a part sees what was changed meanwhile.
    ///
    /// ```
    /// # use aquifer::{Error, Repository, entity::Entity};
    /// # #[derive(Entity)] #[entity(table = "users")]
    /// # struct User { #[entity(key)] id: i64, active: bool }
    /// # async fn example(users: &dyn Repository<User>) -> Result<(), Error> {
    /// let mut chunks = users.chunks(User::query().filter(User::ACTIVE.eq(true)), 500);
    /// while let Some(users) = chunks.next().await? {
    ///     println!("{} users", users.len());
    /// }
    /// # Ok(()) }
    /// ```
    fn chunks(&self, query: Query<E>, size: u64) -> Chunks<'_, E> {
        let page = move |query: Query<E>, key: &CursorKey, after: Option<&str>| {
            self.page(query, key, after, size)
        };
        Chunks::new(query, Box::new(page))
    }
}

#[cold]
fn not_found<E: Entity>() -> Error {
    let text = format!(
        "no row of {} has that key; use `find` where that is normal",
        E::META.entity()
    );
    Error::new(ErrorKind::NotFound, text)
}
