//! SQL as a tree, and the one place that turns it into text.
//!
//! Names are written by one function, which quotes them; values never become text, but parameters
//! that are numbered while the text is written; operators are a closed list. So no name and no value
//! can change what a statement is. The tree is generic over the values it carries: what they are
//! and how they travel is decided elsewhere, only what the text depends on is asked by [`Bind`].
//!
//! [`Statement::render`] takes the values out of the tree, so that they are moved, not copied.
//! It says what it refuses by an [`Error`] and panics for no tree: lists that are empty and
//! comparisons with NULL have been replaced when the tree was built (see [`Expr::compare`] and
//! [`Expr::among`]); UPDATE and DELETE of all rows must be asked for.
//!
//! ```
//! use aquifer_core::sql::{Bind, Column, Expr, Nature, Operator, Select, Source, Statement, Table};
//!
//! #[derive(Debug, Default)]
//! struct Number(i64);
//!
//! impl Bind for Number {
//!     fn nature(&self) -> Nature {
//!         Nature::Plain
//!     }
//!
//!     fn type_name(&self) -> Option<&'static str> {
//!         Some("int8")
//!     }
//! }
//!
//! let mut select = Select::of(Source::table(Table::parse("posts")?));
//! select.filter.push(Expr::compare(Column::parse("user_id")?, Operator::Equal, Number(7))?);
//! let rendered = Statement::from(select).render()?;
//! assert_eq!(rendered.text, r#"select * from "posts" where "user_id" = $1"#);
//! assert_eq!(rendered.values.len(), 1);
//! # Ok::<(), aquifer_core::sql::Error>(())
//! ```
#![allow(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "the tree is built and taken apart by the layers above, which must see all of it"
)]

mod call;
mod change;
mod condition;
mod error;
mod expression;
mod list;
mod name;
mod operator;
mod render;
mod select;
mod source;
mod tables;
#[cfg(test)]
mod tests;

pub use self::call::{Call, Frame, FrameEdge, FrameUnit, Function, Over, Window};
pub use self::change::{
    Assignment, ColumnList, Conflict, ConflictAction, ConflictTarget, Delete, Insert, InsertSource,
    Lists, Update,
};
pub use self::condition::Filter;
pub use self::error::Error;
pub use self::expression::{
    Branch, Case, Connective, Constant, Expr, Fragment, Test, TimeUnit, TypeName, Written,
};
pub use self::list::List;
pub use self::name::{
    Aliased, Column, Name, StaticName, Table, aliased_column, aliased_table, split_alias,
};
pub use self::operator::{Operator, escape_like};
pub use self::render::{PARAMETERS_MAX, Rendered};
pub use self::select::{
    Combination, Cte, Direction, Distinct, Item, Lock, LockStrength, LockWait, Nulls, Order,
    Select, SelectExtra, SetOperator,
};
pub use self::source::{Join, JoinKind, Source};
pub use self::tables::Tables;

/// What the text of a statement depends on about a value in it; the default is NULL, or anything else
/// that costs nothing: it stays behind where a value was taken out.
pub trait Bind: Default {
    /// What kind of value it is.
    fn nature(&self) -> Nature;

    /// The PostgreSQL type that the value is taken for where nothing else tells the server, for
    /// example `int8`; only names of types that exist everywhere.
    fn type_name(&self) -> Option<&'static str>;
}

/// What kind of value it is, as far as text depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// NULL.
    Null,
    /// A truth value.
    Truth(bool),
    /// A list, which is one parameter.
    List {
        /// How many elements it has.
        length: usize,
        /// Whether one of them is NULL.
        has_null: bool,
    },
    /// Anything else.
    Plain,
}

/// One statement.
#[derive(Clone, Debug)]
pub enum Statement<V> {
    /// SELECT.
    Select(Box<Select<V>>),
    /// INSERT.
    Insert(Box<Insert<V>>),
    /// UPDATE.
    Update(Box<Update<V>>),
    /// DELETE.
    Delete(Box<Delete<V>>),
}

impl<V> Statement<V> {
    /// What is returned of each row that is changed; a SELECT has no such list.
    pub fn returning_mut(&mut self) -> Option<&mut Vec<Item<V>>> {
        match self {
            Self::Select(_) => None,
            Self::Insert(insert) => Some(&mut insert.returning),
            Self::Update(update) => Some(&mut update.returning),
            Self::Delete(delete) => Some(&mut delete.returning),
        }
    }
}

impl<V> From<Select<V>> for Statement<V> {
    fn from(select: Select<V>) -> Self {
        Self::Select(Box::new(select))
    }
}

impl<V> From<Box<Select<V>>> for Statement<V> {
    fn from(select: Box<Select<V>>) -> Self {
        Self::Select(select)
    }
}

impl<V> From<Insert<V>> for Statement<V> {
    fn from(insert: Insert<V>) -> Self {
        Self::Insert(Box::new(insert))
    }
}

impl<V> From<Update<V>> for Statement<V> {
    fn from(update: Update<V>) -> Self {
        Self::Update(Box::new(update))
    }
}

impl<V> From<Delete<V>> for Statement<V> {
    fn from(delete: Delete<V>) -> Self {
        Self::Delete(Box::new(delete))
    }
}
