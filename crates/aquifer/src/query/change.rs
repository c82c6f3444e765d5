use std::borrow::Cow;
use std::future::IntoFuture;
use std::panic::Location;

use aquifer_core::sql::{
    self, Assignment, Column, Delete, Lists, Name, Operator, Statement, Update,
};
use aquifer_wire::types::{IntoValue, Value};
use aquifer_wire::{FromRow, Row};

use super::Tree;
use super::attached::Attached;
use super::builder::{Place, QueryBuilder};
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
    session: Attached<'a>,
    kind: Result<Kind, sql::Error>,
    location: Place,
}

#[derive(Clone, Debug)]
enum Kind {
    Update(Box<Update<Value>>),
    Delete(Box<Delete<Value>>),
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
        let location = Location::caller();
        let kind = values.into_assignments().and_then(|set| {
            let mut update = self.draft.into_update()?;
            update.set = set;
            Ok(Kind::Update(Box::new(update)))
        });
        Change {
            session: self.session,
            kind,
            location,
        }
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
        let location = Location::caller();
        let key: Result<Vec<_>, _> = key.into_iter().map(Name::new).collect();
        let kind = key.and_then(|key| {
            let update = many(self.draft.into_update()?, &key, Rows::of(rows)?)?;
            Ok(Kind::Update(Box::new(update)))
        });
        Change {
            session: self.session,
            kind,
            location,
        }
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
        let location = Location::caller();
        let kind = Name::new(column).and_then(|column| {
            let mut update = self.draft.into_update()?;
            let table = update
                .alias
                .clone()
                .unwrap_or_else(|| update.table.name.clone());
            let own = Tree::Column(Column {
                table: Some(table),
                name: column.clone(),
            });
            update.set.push(Assignment {
                column,
                value: Tree::binary(own, operator, Tree::Value(by)),
            });
            Ok(Kind::Update(Box::new(update)))
        });
        Change {
            session: self.session,
            kind,
            location,
        }
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
        let location = Location::caller();
        let delete = self.draft.into_delete();
        Change {
            session: self.session,
            kind: delete.map(|delete| Kind::Delete(Box::new(delete))),
            location,
        }
    }
}

/// An update by rows that are given.
fn many(mut update: Update<Value>, key: &[Name], rows: Rows) -> Result<Update<Value>, sql::Error> {
    let alias = Name::new("new")?;
    let table = update
        .alias
        .clone()
        .unwrap_or_else(|| update.table.name.clone());
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
    for name in &rows.columns {
        if key.contains(name) {
            let own = Tree::Column(Column {
                table: Some(table.clone()),
                name: name.clone(),
            });
            if update.filter.connective == sql::Connective::Or && update.filter.list.len() > 1 {
                let all = std::mem::take(&mut update.filter.list);
                update
                    .filter
                    .list
                    .push(Tree::Group(sql::Connective::Or, all));
            }
            update.filter.connective = sql::Connective::And;
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

impl<'a> Change<'a> {
    /// What is returned of each row, for [`rows`](Self::rows).
    pub fn returning(mut self, items: impl Items) -> Self {
        match (items.into_items(), &mut self.kind) {
            (Ok(items), Ok(Kind::Update(update))) => update.returning = items,
            (Ok(items), Ok(Kind::Delete(delete))) => delete.returning = items,
            (Err(error), Ok(_)) => self.kind = Err(error),
            (_, Err(_)) => {}
        }
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
        let returning = match &mut self.kind {
            Ok(Kind::Update(update)) => Some(&mut update.returning),
            Ok(Kind::Delete(delete)) => Some(&mut delete.returning),
            Err(_) => None,
        };
        if let Some(returning) = returning
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
        session.run(self.build(), location, |reply| Ok(reply.affected()))
    }
}

impl IntoStatement for Change<'_> {
    fn into_statement(self) -> Result<Statement<Value>, sql::Error> {
        Ok(match self.kind? {
            Kind::Update(update) => Statement::Update(update),
            Kind::Delete(delete) => Statement::Delete(delete),
        })
    }
}
