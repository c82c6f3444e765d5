//! Typed.

mod change;
#[doc(hidden)]
pub mod check;
mod column;
mod draft;
mod expression;
mod insert;
mod meta;
mod name;
mod operand;
mod order;
mod predicate;
mod query;
mod relation;
mod scope;
mod select;
mod send;
mod unqualify;
mod values;

use std::panic::Location;

use aquifer_core::sql;
use aquifer_wire::FromRow;

pub use self::change::{Chosen, Delete, Everything, IsChosen, Update};
pub use self::column::Col;
use self::draft::Deleted;
pub use self::expression::{Expr, Number, Text, count_rows};
pub use self::insert::{ColumnsOf, Insert, OnConflict};
pub use self::meta::{ColumnMeta, Meta};
#[doc(hidden)]
pub use self::operand::GivenValue;
pub use self::operand::{Given, NoRow, Operand};
pub use self::order::Order;
pub use self::predicate::{Pred, all, any};
pub use self::query::{Query, Subquery};
pub use self::relation::Relation;
pub use self::scope::{
    Always, Both, Here, In, Joined, LeftJoined, Perhaps, Side, Source, Steady, There,
};
#[doc(hidden)]
pub use self::select::Items;
pub use self::select::{Named, Select, Selected};
#[doc(hidden)]
pub use self::values::Values;
pub use aquifer_macros::Entity;

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

    /// Begins an update.
    fn update() -> Update<Self> {
        Update::new(Deleted::Hidden)
    }

    /// Saves what was changed in this row, and reads back what the database made of it.
    ///
    /// All columns are written but the key and those that are `auto`. With a version, the row must
    /// still have the one that it was read with, which is raised.
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
