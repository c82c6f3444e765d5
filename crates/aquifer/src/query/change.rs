use std::borrow::Cow;
use std::future::IntoFuture;
use std::panic::Location;

use aquifer_core::sql::{self, Assignment, Column, Lists, Name, Operator, Statement, Update};
use aquifer_wire::types::{IntoValue, Value};
use aquifer_wire::{FromRow, Row};

use super::Tree;
use super::attached::Attached;
use super::builder::{Place, QueryBuilder};
use super::draft::Draft;
use super::input::Items;
use super::plan::Plan;
use super::record::{Record, Table as Rows};
use crate::Error;
use crate::session::SessionFuture;

/// An UPDATE or DELETE; await it for the number of rows. Made by [`QueryBuilder::update`] and its
/// like.
#[derive(Clone, Debug)]
#[must_use = "nothing is changed before it is awaited"]
pub struct Change<'a> {
    pub(super) session: Attached<'a>,
    statement: Result<Statement<Value>, sql::Error>,
    pub(super) location: Place,
}

/// A statement that changes rows, for [`with_change`](QueryBuilder::with_change).
pub trait IntoStatement {
    /// The statement.
    ///
    /// # Errors
    /// For the first part that was wrong.
    fn into_statement(self) -> Result<Statement<Value>, sql::Error>;
}

impl<'a> QueryBuilder<Attached<'a>> {
    /// Changes the rows that the conditions find; awaited, it says how many.
    ///
    /// A joined table becomes FROM: its columns may stand in conditions and values. Without any
    /// condition it is an error, unless [`all_rows`](Self::all_rows) says that this is meant.
    ///
    /// # Errors
    /// As [`Session`](crate::Session), and [`Usage`](crate::ErrorKind::Usage) as
    /// [`build`](Self::build) and without a condition.
    ///
    /// # Cancel safety
    /// As [`Session`](crate::Session).
    ///
    /// ```no_run
    /// # use aquifer::{Db, Error, query::now, values};
    /// # async fn example(db: &Db) -> Result<(), Error> {
    /// let changed = db
    ///     .from("users")
    ///     .where_("id", "=", 1)
    ///     .update(values! { name: "John Doe", updated_at: now() })
    ///     .await?;
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn update(self, values: Record) -> Change<'a> {
        self.change(|draft| {
            let set = values.into_assignments()?;
            let mut update = draft.into_update()?;
            update.set = set;
            Ok(update)
        })
    }

    /// Changes many rows by one statement, each to values of its own: rows are found by the columns
    /// of `key`, all others are set.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    ///
    /// # Cancel safety
    /// As [`update`](Self::update).
    ///
    /// ```no_run
    /// # use aquifer::{Db, Error, values};
    /// # async fn example(db: &Db) -> Result<(), Error> {
    /// let rows = [values! { id: 1, rank: 10 }, values! { id: 2, rank: 20 }];
    /// let changed = db.from("players").update_many(["id"], rows).await?;
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn update_many<N: Into<Cow<'static, str>>>(
        self,
        key: impl IntoIterator<Item = N>,
        rows: impl IntoIterator<Item = Record>,
    ) -> Change<'a> {
        self.change(|draft| {
            let key: Result<Vec<_>, _> = key.into_iter().map(Name::new).collect();
            let key = key?;
            many(draft.into_update()?, &key, Rows::of(rows)?)
        })
    }

    /// Adds to a column of the rows that the conditions find.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    ///
    /// # Cancel safety
    /// As [`update`](Self::update).
    #[track_caller]
    pub fn increment(self, column: impl Into<Cow<'static, str>>, by: impl IntoValue) -> Change<'a> {
        self.shift(Operator::Add, column.into(), by.into_value())
    }

    /// Takes from a column of the rows that the conditions find.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    ///
    /// # Cancel safety
    /// As [`update`](Self::update).
    #[track_caller]
    pub fn decrement(self, column: impl Into<Cow<'static, str>>, by: impl IntoValue) -> Change<'a> {
        self.shift(Operator::Subtract, column.into(), by.into_value())
    }

    #[track_caller]
    fn shift(self, operator: Operator, column: Cow<'static, str>, by: Value) -> Change<'a> {
        self.change(|draft| {
            let column = Name::new(column)?;
            let mut update = draft.into_update()?;
            let own = own(&update, &column);
            update.set.push(Assignment {
                column,
                value: Tree::binary(own, operator, Tree::Value(by)),
            });
            Ok(update)
        })
    }

    /// Deletes the rows that the conditions find; awaited, it says how many. A joined table becomes
    /// USING.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    ///
    /// # Cancel safety
    /// As [`update`](Self::update).
    #[track_caller]
    pub fn delete(self) -> Change<'a> {
        self.change(Draft::into_delete)
    }

    #[track_caller]
    fn change<T: Into<Statement<Value>>>(
        self,
        make: impl FnOnce(Draft) -> Result<T, sql::Error>,
    ) -> Change<'a> {
        Change {
            session: self.session,
            statement: make(self.draft).map(Into::into),
            location: Location::caller(),
        }
    }
}

/// A column of the table that is changed.
fn own(update: &Update<Value>, column: &Name) -> Tree {
    let table = update.alias.as_ref().unwrap_or(&update.table.name);
    Tree::Column(Column {
        table: Some(table.clone()),
        name: column.clone(),
    })
}

/// An update by rows that are given.
pub(crate) fn many(
    mut update: Update<Value>,
    key: &[Name],
    rows: Rows,
) -> Result<Update<Value>, sql::Error> {
    let alias = Name::new(if reads_new(&update) {
        "new rows"
    } else {
        "new"
    })?;
    if let Some(missing) = key.iter().find(|name| !rows.columns.contains(name)) {
        return Err(sql::Error::new(
            format!("the rows have no column {missing}, by which they are to be found"),
            "give each row its key",
        ));
    }
    if key.is_empty() {
        return Err(sql::Error::new(
            "there is no column by which rows are to be found",
            "name the columns of the key",
        ));
    }
    let new = |name: &Name| {
        Tree::Column(Column {
            table: Some(alias.clone()),
            name: name.clone(),
        })
    };
    update.filter.all_must_hold();
    for name in &rows.columns {
        if key.contains(name) {
            let own = own(&update, name);
            update
                .filter
                .push(Tree::binary(own, Operator::Equal, new(name)));
        } else {
            update.set.push(Assignment {
                column: name.clone(),
                value: new(name),
            });
        }
    }
    update.lists = Some(Lists {
        alias,
        columns: rows.columns,
        lists: rows.lists,
    });
    Ok(update)
}

/// Whether one of its tables is called as the rows that are given are.
fn reads_new(update: &Update<Value>) -> bool {
    let own = update.alias.as_ref().unwrap_or(&update.table.name);
    let joined = update.joins.iter().map(|join| &join.source);
    let mut names = update.from.iter().chain(joined).map(sql::Source::name);
    own.as_str() == "new" || names.any(|name| name.as_str() == "new")
}

impl<'a> Change<'a> {
    /// What is returned of each row, for [`rows`](Self::rows).
    pub fn returning(mut self, items: impl Items) -> Self {
        self.statement = self.statement.and_then(|mut statement| {
            let items = items.into_items()?;
            if let Some(returning) = statement.returning_mut() {
                *returning = items;
            }
            Ok(statement)
        });
        self
    }

    /// The rows as they are now, or were before they were deleted; everything unless
    /// [`returning`](Self::returning) says what.
    ///
    /// # Errors
    /// As [`QueryBuilder::update`].
    ///
    /// # Cancel safety
    /// As [`QueryBuilder::update`].
    pub fn rows(self) -> SessionFuture<'a, Vec<Row>> {
        self.rows_as()
    }

    /// As [`rows`](Self::rows), each read into a `T`.
    ///
    /// # Errors
    /// As [`QueryBuilder::update`].
    ///
    /// # Cancel safety
    /// As [`QueryBuilder::update`].
    pub fn rows_as<T: FromRow + Send>(mut self) -> SessionFuture<'a, Vec<T>> {
        if let Ok(statement) = &mut self.statement
            && let Some(returning) = statement.returning_mut()
            && returning.is_empty()
        {
            returning.push(Tree::All(None).into());
        }
        let (session, location) = (self.session, self.location);
        session.rows(self.build(), location)
    }

    /// The statement.
    ///
    /// # Errors
    /// [`Usage`](crate::ErrorKind::Usage) for the first part that was wrong.
    pub fn build(self) -> Result<Plan, Error> {
        Plan::of(self.into_statement()?)
    }
}

impl<'a> IntoFuture for Change<'a> {
    type Output = Result<u64, Error>;
    type IntoFuture = SessionFuture<'a, u64>;

    fn into_future(self) -> Self::IntoFuture {
        let (session, location) = (self.session, self.location);
        session.affected(self.build(), location)
    }
}

impl IntoStatement for Change<'_> {
    fn into_statement(self) -> Result<Statement<Value>, sql::Error> {
        self.statement
    }
}
