//! The typed tier: structs that are rows of tables, and queries that the compiler checks.
//!
//! [`#[derive(Entity)]`](macro@Entity) gives a struct a constant for each column. A `Col<User, String>`
//! knows its table, its type and whether it takes NULL, so a misspelt column, a value of another type,
//! a table that was not joined, a comparison with NULL and an insert without a required field don't
//! compile, and the compiler's text says what to write instead.
//!
//! ```no_run
//! use aquifer::entity::{Entity, Query};
//! use aquifer::{Db, Error, insert};
//!
//! #[derive(Entity)]
//! #[entity(table = "users", has_many(POSTS = Post::USER_ID))]
//! struct User {
//!     #[entity(key, auto)]
//!     id: i64,
//!     name: String,
//!     nick: Option<String>,
//!     #[entity(default)]
//!     active: bool,
//! }
//!
//! #[derive(Entity)]
//! #[entity(table = "posts", version = lock_version, soft_delete = deleted_at)]
//! struct Post {
//!     #[entity(key, auto)]
//!     id: i64,
//!     #[entity(belongs_to = User::ID)]
//!     user_id: i64,
//!     title: String,
//!     #[entity(default)]
//!     views: i32,
//!     lock_version: i32,
//!     deleted_at: Option<std::time::SystemTime>,
//! }
//!
//! /// A scope: conditions that have a name.
//! fn active(users: Query<User>) -> Query<User> {
//!     users.filter(User::ACTIVE.eq(true))
//! }
//!
//! # async fn example(db: &Db, search: Option<&str>) -> Result<(), Error> {
//! let john = insert!(User { name: "John" }).fetch(db).await?; // the row, with its id
//! insert!(Post { user_id: john.id, title: "Hello" }).execute(db).await?;
//!
//! let users: Vec<User> = User::query()
//!     .scope(active)
//!     .filter(User::NICK.is_null().or(User::NICK.starts_with("j")))
//!     .when(search, |users, text| users.filter(User::NAME.icontains(text)))
//!     .order_by(User::NAME.asc())
//!     .limit(10)
//!     .fetch(db)
//!     .await?;
//!
//! // A join adds the other table's columns; those of a left join are `Option`.
//! let titles: Vec<(i64, Option<String>)> = User::query()
//!     .left_join(User::POSTS)
//!     .select((User::ID, Post::TITLE))
//!     .fetch(db)
//!     .await?;
//! let authors = User::query().filter(User::POSTS.exists()).count(db).await?;
//!
//! let views = Post::update().set(Post::VIEWS, Post::VIEWS + 1).filter(Post::ID.eq(1));
//! views.execute(db).await?;
//! let mut post = Post::find(1).one(db).await?;
//! post.title.push('!');
//! post.save(db).await?; // ErrorKind::Conflict if somebody else changed it meanwhile
//! Post::delete().row(&post).execute(db).await?; // marked as deleted, and passed over from now on
//! # Ok(()) }
//! ```
//!
//! | I want … | use … |
//! |---|---|
//! | rows | [`Query::fetch`]; one of them: [`first`](Query::first), [`one`](Query::one), [`optional`](Query::optional), [`Entity::find`] |
//! | a column, a number, a yes | [`Query::pluck`], [`value`](Query::value), [`count`](Query::count), [`exists`](Query::exists) |
//! | some columns of one or several tables | [`Query::select`] for tuples, [`Query::select_as`] for a struct that derives [`macro@Projection`] |
//! | conditions | the methods of [`Col`] and [`Expr`]; [`Pred::and`], [`or`](Pred::or), `!`, [`any`], [`all`] |
//! | rows of other tables | [`Query::join`], [`left_join`](Query::left_join) with a [`Relation`]; [`Relation::any`] and [`in_query`](Col::in_query) where only the condition matters |
//! | a table twice | [`alias!`](crate::alias) |
//! | a condition on rows that belong to each row | [`Query::outer`] and [`has_rows`](Query::has_rows), [`scalar`](Query::scalar), [`Query::join_lateral`] |
//! | WITH, sub-queries in FROM, unions | [`macro@DerivedTable`]: a struct that is the row of a query, with columns of its own |
//! | window functions | [`row_number`], [`rank`], [`Col::lag`], [`Expr::over`] with a [`window`] |
//! | values by conditions, spans of time, documents | [`case`], [`Col::later_by`] and [`since`](Col::since), [`json_object`] and [`Col::jsonb_agg`] |
//! | groups | [`Query::group_by`], [`having`](Query::having), [`Col::count`], [`sum`](Col::sum), [`max`](Col::max), [`count_rows`] |
//! | rows with those of another table that belong to each | [`Query::with_many`] in one statement, [`Relation::load`] in two |
//! | pages, parts, streams | [`Query::paginate`], [`Query::cursor_page`], [`Query::chunk`], [`Query::stream`]; by hand with a [`row`] of columns |
//! | to insert | [`insert!`](crate::insert), [`Entity::insert_many`], [`Entity::insert_from`], [`Insert::on_conflict`] |
//! | to change | [`Entity::update`], [`Entity::update_many`], [`Entity::save`], [`Entity::delete`], [`Entity::restore`] |
//! | to see what is sent | [`Query::to_sql`], [`Query::build`], [`Query::explain`] |
//!
//! Each verb takes the session last: a [`Db`](crate::Db), a [`Transaction`](crate::Transaction) or a
//! [`Dedicated`](crate::Dedicated). What has no method here has one in the builder of
//! [`query`](crate::query), which gives the same text for the same query, or is written as SQL.
//!
//! Rows that are marked as deleted (`soft_delete`) are passed over in every table of a query, in
//! sub-queries and in changes, unless [`with_deleted`](Query::with_deleted) is said.

mod case;
mod change;
#[doc(hidden)]
pub mod check;
mod column;
mod compute;
mod conflict;
mod correlated;
mod derived;
mod draft;
mod expression;
mod insert;
mod json;
mod key;
mod many;
mod meta;
mod name;
mod operand;
mod order;
mod pages;
mod predicate;
mod preview;
mod query;
mod relation;
mod row;
mod scope;
mod select;
mod send;
mod time;
mod unqualify;
mod values;
mod window;
mod with_many;

use std::panic::Location;

use aquifer_core::sql;
use aquifer_wire::FromRow;

pub use self::case::{Case, case};
#[cfg(feature = "testing")]
pub(crate) use self::change::is_marked;
pub use self::change::{Chosen, Delete, Everything, IsChosen, Update};
pub use self::column::Col;
pub use self::compute::SqlType;
pub use self::conflict::{Excluded, OnConflict};
pub use self::derived::DerivedTable;
use self::draft::Deleted;
pub use self::expression::{
    Aggregate, Expr, Number, Scalar, Summable, Text, count_rows, literal, now, value,
};
pub use self::insert::{ColumnsOf, Insert, Many, OneRow, Rows};
pub(crate) use self::insert::{no_value, other_columns};
pub use self::json::{JsonObject, json_object};
pub use self::many::{Fills, Fits, ValuesOf};
pub use self::meta::{ColumnMeta, Meta};
#[doc(hidden)]
pub use self::operand::GivenValue;
pub use self::operand::{Given, NoRow, Operand};
pub use self::order::Order;
pub use self::predicate::{Pred, all, any};
pub use self::query::{NothingSelected, Query, Subquery};
pub use self::relation::Relation;
pub use self::row::{Operands, Part, Parts, RowOf, row};
pub use self::scope::{
    Always, Anywhere, Both, Correlated, FullJoined, Here, In, Joined, LeftJoined, Perhaps,
    RightJoined, Side, Source, Steady, There,
};
#[doc(hidden)]
pub use self::select::Items;
pub use self::select::{Named, Projection, Select, Selected};
#[cfg(feature = "testing")]
pub(crate) use self::send::gone;
#[doc(hidden)]
pub use self::values::Values;
pub use self::window::{
    Window, WindowFunction, cume_dist, dense_rank, ntile, percent_rank, rank, row_number, window,
};
pub use self::with_many::WithMany;
pub use aquifer_core::sql::{FrameEdge, FrameUnit, TimeUnit};
pub use aquifer_macros::{DerivedTable, Entity, Projection};

use crate::session::{Session, SessionFuture};

/// A struct that is a row of a table; derived.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no entity",
    label = "`Entity` is not implemented for `{Self}`",
    note = "derive it: #[derive(aquifer::entity::Entity)] #[entity(table = \"…\")]"
)]
pub trait Entity: FromRow + Source<Of = Self> + Send {
    /// The type of the primary key: that of its column, or a tuple.
    type Key: Send;
    #[doc(hidden)]
    type Columns;

    #[doc(hidden)]
    const COLUMNS: Self::Columns;
    /// What is known of the table.
    const META: &'static Meta;

    /// The primary key of this row.
    fn key(&self) -> Self::Key;

    #[doc(hidden)]
    fn key_values(key: Self::Key, into: &mut Values);

    #[doc(hidden)]
    fn values(&self, into: &mut Values);

    /// Begins a query for rows of the table.
    fn query() -> Query<Self> {
        Query::of(Self::META)
    }

    /// A query for the row with that key.
    fn find(key: Self::Key) -> Query<Self> {
        let mut query = Self::query();
        let mut values = Values::default();
        Self::key_values(key, &mut values);
        query.draft.key(values);
        query
    }

    /// Begins an insert; rather use [`insert!`](crate::insert).
    fn insert() -> Insert<Self> {
        Insert::new()
    }

    /// An insert of many rows by one statement, whose text does not depend on how many there are;
    /// all rows or none are inserted. No row at all is no statement.
    ///
    /// All rows have the same fields; of a column of arrays at least one row has an array. For more
    /// than some ten thousand rows there are [`insert_many`](crate::Session::insert_many) and
    /// [`copy_into`](crate::Session::copy_into) of the session.
    ///
    /// ```
    /// # use aquifer::{entity::*, insert};
    /// # #[derive(Entity)] #[entity(table = "users")]
    /// # struct User { #[entity(key, auto)] id: i64, email: String }
    /// let emails = ["ann@example.com", "ben@example.com"];
    /// let users = User::insert_many(emails.map(|email| insert!(User { email })));
    /// ```
    fn insert_many(rows: impl IntoIterator<Item = Insert<Self>>) -> Insert<Self, Many> {
        Insert::many(rows)
    }

    /// An insert of the rows that a query selects: a tuple of one value for each of these columns.
    ///
    /// ```
    /// # use aquifer::entity::*;
    /// # #[derive(Entity)] #[entity(table = "orders")]
    /// # struct Order { #[entity(key)] id: i64, customer_id: i64, total: i64 }
    /// # #[derive(Entity)] #[entity(table = "spendings")]
    /// # struct Spending { #[entity(key)] customer_id: i64, total: Option<aquifer::types::Numeric> }
    /// let totals = Order::query().group_by((Order::CUSTOMER_ID,));
    /// let insert = Spending::insert_from(
    ///     (Spending::CUSTOMER_ID, Spending::TOTAL),
    ///     totals.select((Order::CUSTOMER_ID, Order::TOTAL.sum())),
    /// );
    /// ```
    fn insert_from<C, S, R>(columns: C, query: Query<S, R>) -> Insert<Self, Many>
    where
        C: ColumnsOf<Self>,
        R: Fills<C>,
    {
        let mut names = Vec::new();
        columns.names(&mut names);
        Insert::found(names, query)
    }

    /// Begins an update.
    fn update() -> Update<Self> {
        Update::new(Deleted::Hidden)
    }

    /// An update of many rows by one statement, each to values of its own; the text does not depend on
    /// how many there are. Rows are found by the primary key, which is among the columns. No row at all
    /// is no statement; of rows with the same key, the server takes any one.
    ///
    /// With the version among the columns, rows are passed over that have another one by now; it is
    /// raised in any case. Further conditions and values may be added, which see the row as it was.
    ///
    /// ```
    /// # use aquifer::entity::*;
    /// # #[derive(Entity)] #[entity(table = "players")]
    /// # struct Player { #[entity(key)] id: i64, place: i32, prize: Option<String> }
    /// let update = Player::update_many(
    ///     (Player::ID, Player::PLACE, Player::PRIZE),
    ///     [(7, 1, Some("gold".to_owned())), (9, 2, None)],
    /// );
    /// ```
    fn update_many<C, R>(columns: C, rows: impl IntoIterator<Item = R>) -> Update<Self, Chosen>
    where
        C: ColumnsOf<Self>,
        R: ValuesOf<C>,
    {
        let mut names = Vec::new();
        columns.names(&mut names);
        Update::many(names, rows.into_iter().map(R::into_values))
    }

    /// Saves what was changed in this row, and reads back what the database made of it.
    ///
    /// All columns are written but the key and those that are `auto`. With a version, the row must
    /// still have the one that it was read with, which is raised. Without one the last who saves
    /// wins, but a row that was marked as deleted meanwhile counts as gone: what takes the mark off is
    /// [`restore`](Self::restore).
    ///
    /// # Errors
    /// As described at [`Session`]; [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) where the
    /// version is another one or the row is gone, and without a version
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where it is gone.
    ///
    /// # Cancel safety
    /// As described at [`Session`]; `self` is as it was.
    #[track_caller]
    fn save<'a>(&'a mut self, session: &'a impl Session) -> SessionFuture<'a, ()> {
        send::save(self, session, Location::caller())
    }

    /// Begins a delete.
    fn delete() -> Delete<Self> {
        Delete::new()
    }

    /// Begins an update of rows that are marked as deleted, by which they are not any more.
    fn restore() -> Update<Self>
    where
        Self: SoftDelete,
    {
        let mut update = Update::new(Deleted::Only);
        if let Some(column) = Self::META.soft_delete() {
            let null = sql::Expr::Constant(sql::Constant::Null);
            update.draft.mark(column.name(), null);
        }
        update
    }
}

/// An entity whose rows are marked as deleted instead of being deleted; derived by `soft_delete`.
#[diagnostic::on_unimplemented(
    message = "rows of `{Self}` are not marked as deleted",
    note = "name the column at the struct: #[entity(soft_delete = deleted_at)]"
)]
pub trait SoftDelete: Entity {}
