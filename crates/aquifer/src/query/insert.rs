use std::borrow::Cow;
use std::future::IntoFuture;
use std::marker::PhantomData;

use aquifer_core::sql::{
    self, Assignment, Column, Conflict, ConflictAction, ConflictTarget, Filter, InsertSource, Name,
    Statement,
};
use aquifer_wire::types::Value;
use aquifer_wire::{FromRow, Row};

use super::Tree;
use super::attached::Attached;
use super::builder::{Place, QueryBuilder};
use super::change::IntoStatement;
use super::input::{IntoExpression, Items};
use super::plan::Plan;
use super::record::{Record, Table as Rows};
use crate::Error;
use crate::session::{SessionFuture, not_found, only_row};

/// An INSERT; await it. Made by [`QueryBuilder::insert`] and its like.
///
/// Of one row awaiting it gives the row as it was inserted, of many how many there were.
#[derive(Clone, Debug)]
#[must_use = "nothing is inserted before it is awaited"]
pub struct Insertion<'a, Many = OneRow> {
    pub(super) session: Attached<'a>,
    insert: Result<sql::Insert<Value>, sql::Error>,
    target: Option<ConflictTarget<Value>>,
    action: Option<ConflictAction<Value>>,
    pub(super) location: Place,
    many: PhantomData<Many>,
}

/// Marks an [`Insertion`] of one row.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct OneRow;

/// Marks an [`Insertion`] of any number of rows.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ManyRows;

impl<'a> QueryBuilder<Attached<'a>> {
    /// Inserts a row and returns it as it then is, defaults and all.
    ///
    /// # Errors
    /// As [`Session`](crate::Session), and [`Usage`](crate::ErrorKind::Usage) as
    /// [`build`](Self::build).
    ///
    /// # Cancel safety
    /// As [`Session`](crate::Session).
    ///
    /// ```no_run
    /// # use aquifer::{Db, Error, FromRow, values};
    /// # #[derive(FromRow)] struct User { id: i64 }
    /// # async fn example(db: &Db) -> Result<(), Error> {
    /// let row = db.from("users").insert(values! { email: "a@b.c", name: "John" }).await?;
    /// let id: i64 = row.get("id")?;
    /// let user: User = db
    ///     .from("users")
    ///     .insert(values! { email: "a@b.c", name: "Jo" })
    ///     .on_conflict(["email"])
    ///     .do_update(["name"])
    ///     .returning_as()
    ///     .await?;
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn insert(self, row: Record) -> Insertion<'a> {
        self.insertion(|| {
            let pairs = row.into_pairs()?;
            if pairs.is_empty() {
                return Ok((Vec::new(), InsertSource::Defaults));
            }
            let (columns, values) = pairs.into_iter().unzip();
            Ok((columns, InsertSource::Rows(vec![values])))
        })
    }

    /// Inserts rows by one statement, which has one text for any number of them; all or none.
    ///
    /// All rows have the same columns, whose types the server knows; of a column of arrays at least
    /// one row has a list. No row at all is an error; more than some ten thousand are
    /// better given to [`insert_many`](crate::Session::insert_many) of the session, which sends them in
    /// parts.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    ///
    /// # Cancel safety
    /// As [`insert`](Self::insert).
    #[doc(alias = "insertMany")]
    #[track_caller]
    pub fn insert_many(self, rows: impl IntoIterator<Item = Record>) -> Insertion<'a, ManyRows> {
        self.insertion(|| {
            let rows = Rows::of(rows)?;
            if rows.columns.is_empty() {
                return Err(sql::Error::new(
                    "there is no row to be inserted, or it has no columns",
                    "give at least one, and call this only where there is one",
                ));
            }
            Ok((rows.columns, InsertSource::Lists(rows.lists)))
        })
    }

    /// Inserts what a query returns into these columns.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    ///
    /// # Cancel safety
    /// As [`insert`](Self::insert).
    #[track_caller]
    pub fn insert_from<Q, N: Into<Cow<'static, str>>>(
        self,
        columns: impl IntoIterator<Item = N>,
        query: QueryBuilder<Q>,
    ) -> Insertion<'a, ManyRows> {
        self.insertion(|| {
            let columns = columns
                .into_iter()
                .map(Name::new)
                .collect::<Result<_, _>>()?;
            let select = query.draft.into_select()?;
            Ok((columns, InsertSource::Select(select)))
        })
    }

    #[track_caller]
    fn insertion<Many>(
        mut self,
        source: impl FnOnce() -> Result<(Vec<Name>, InsertSource<Value>), sql::Error>,
    ) -> Insertion<'a, Many> {
        let location = std::panic::Location::caller();
        let insert = || {
            self.draft.check()?;
            let (table, alias) = self.draft.take_table()?;
            let select = std::mem::take(&mut self.draft.select);
            check_alone(&select, alias.is_some())?;
            let (columns, source) = source()?;
            Ok(sql::Insert {
                with: select.extra.map(|extra| extra.with).unwrap_or_default(),
                columns,
                source,
                ..sql::Insert::into(table)
            })
        };
        Insertion {
            session: self.session,
            insert: insert(),
            target: None,
            action: None,
            location,
            many: PhantomData,
        }
    }
}

/// A condition before INSERT would be ignored, and somebody meant something by it.
fn check_alone(select: &super::Select, has_alias: bool) -> Result<(), sql::Error> {
    if select.filter.is_empty() && select.joins.is_empty() && !has_alias {
        return Ok(());
    }
    Err(sql::Error::new(
        "INSERT has a condition, a join or an alias",
        "name the table alone; conditions belong to `insert_from` and to `on_conflict`",
    ))
}

impl<'a, Many> Insertion<'a, Many> {
    /// A row is there already if it is equal in these columns, which have a unique index.
    pub fn on_conflict<N: Into<Cow<'static, str>>>(
        mut self,
        columns: impl IntoIterator<Item = N>,
    ) -> Self {
        let names: Result<Vec<_>, _> = columns.into_iter().map(Name::new).collect();
        self.keep(names, |this, names| {
            this.target = Some(ConflictTarget::Columns(names, Filter::default()));
        });
        self
    }

    /// The condition of the index, where it is a partial one; its values are
    /// [`literal`](super::literal)s, since the server must know them when it plans.
    pub fn on_conflict_where(mut self, condition: impl IntoExpression) -> Self {
        self.keep(condition.into_expression().tree, |this, condition| {
            if let Some(ConflictTarget::Columns(_, filter)) = &mut this.target {
                filter.push(condition);
            } else {
                this.fail(sql::Error::new(
                    "the condition of a partial index stands without its columns",
                    "say `on_conflict` with the columns before it",
                ));
            }
        });
        self
    }

    /// A row is there already if it would violate that constraint.
    pub fn on_constraint(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.keep(Name::new(name), |this, name| {
            this.target = Some(ConflictTarget::Constraint(name));
        });
        self
    }

    /// Leaves a row that is there already as it is; it is not returned either.
    pub fn do_nothing(mut self) -> Self {
        self.action = Some(ConflictAction::Nothing);
        self
    }

    /// Gives these columns of a row that is there already their new values.
    pub fn do_update<N: Into<Cow<'static, str>>>(
        mut self,
        columns: impl IntoIterator<Item = N>,
    ) -> Self {
        let set = columns.into_iter().map(|column| {
            let name = Name::new(column)?;
            let table = Some(Name::new("excluded")?);
            Ok(Assignment {
                value: Tree::Column(Column {
                    table,
                    name: name.clone(),
                }),
                column: name,
            })
        });
        let set: Result<Vec<_>, _> = set.collect();
        self.set_update(set);
        self
    }

    /// Changes a row that is there already; its new values are [`excluded`](super::excluded).
    pub fn do_update_set(mut self, values: Record) -> Self {
        self.set_update(values.into_assignments());
        self
    }

    fn set_update(&mut self, set: Result<Vec<Assignment<Value>>, sql::Error>) {
        self.keep(set, |this, set| {
            let filter = Filter::default();
            this.action = Some(ConflictAction::Update { set, filter });
        });
    }

    /// Changes it only where this holds; of others nothing is returned.
    pub fn update_where(mut self, condition: impl IntoExpression) -> Self {
        self.keep(condition.into_expression().tree, |this, condition| {
            if let Some(ConflictAction::Update { filter, .. }) = &mut this.action {
                filter.push(condition);
            } else {
                this.fail(sql::Error::new(
                    "the condition of DO UPDATE stands without it",
                    "say `do_update` before it",
                ));
            }
        });
        self
    }

    /// What is returned of each row, instead of everything.
    pub fn returning(mut self, items: impl Items) -> Self {
        self.keep(items.into_items(), |this, items| {
            if let Ok(insert) = &mut this.insert {
                insert.returning = items;
            }
        });
        self
    }

    /// How many rows were inserted or changed.
    ///
    /// # Errors
    /// As [`QueryBuilder::insert`].
    ///
    /// # Cancel safety
    /// As [`QueryBuilder::insert`].
    #[doc(alias = "count")]
    pub fn execute(self) -> SessionFuture<'a, u64> {
        let (session, location) = (self.session, self.location);
        session.affected(self.build(), location)
    }

    /// All rows that were inserted or changed.
    ///
    /// # Errors
    /// As [`QueryBuilder::insert`].
    ///
    /// # Cancel safety
    /// As [`QueryBuilder::insert`].
    pub fn rows(self) -> SessionFuture<'a, Vec<Row>> {
        self.rows_as()
    }

    /// As [`rows`](Self::rows), each read into a `T`.
    ///
    /// # Errors
    /// As [`QueryBuilder::insert`].
    ///
    /// # Cancel safety
    /// As [`QueryBuilder::insert`].
    pub fn rows_as<T: FromRow + Send>(self) -> SessionFuture<'a, Vec<T>> {
        let (session, location) = (self.session, self.location);
        session.rows(self.returning_all().build(), location)
    }

    /// The statement.
    ///
    /// # Errors
    /// [`Usage`](crate::ErrorKind::Usage) for the first part that was wrong.
    pub fn build(self) -> Result<Plan, Error> {
        Plan::of(self.into_statement()?)
    }

    fn returning_all(mut self) -> Self {
        if let Ok(insert) = &mut self.insert
            && insert.returning.is_empty()
        {
            insert.returning.push(Tree::All(None).into());
        }
        self
    }

    fn keep<T>(&mut self, result: Result<T, sql::Error>, then: impl FnOnce(&mut Self, T)) {
        match result {
            Ok(value) => then(self, value),
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: sql::Error) {
        if self.insert.is_ok() {
            self.insert = Err(error);
        }
    }
}

impl<'a> Insertion<'a> {
    /// The row as it was inserted, read into a `T`.
    ///
    /// # Errors
    /// As [`QueryBuilder::insert`]; [`NotFound`](crate::ErrorKind::NotFound) where a conflict left no
    /// row to be returned.
    ///
    /// # Cancel safety
    /// As [`QueryBuilder::insert`].
    pub fn returning_as<T: FromRow + Send>(self) -> SessionFuture<'a, T> {
        let (session, location) = (self.session, self.location);
        session.run(self.returning_all().build(), location, |reply| {
            only_row(&reply)?.ok_or_else(not_found)
        })
    }

    /// The row as it was inserted, or `None` where a conflict left none to be returned.
    ///
    /// # Errors
    /// As [`QueryBuilder::insert`].
    ///
    /// # Cancel safety
    /// As [`QueryBuilder::insert`].
    pub fn optional(self) -> SessionFuture<'a, Option<Row>> {
        let (session, location) = (self.session, self.location);
        session.run(self.returning_all().build(), location, |reply| {
            only_row(&reply)
        })
    }
}

impl<'a> IntoFuture for Insertion<'a> {
    type Output = Result<Row, Error>;
    type IntoFuture = SessionFuture<'a, Row>;

    fn into_future(self) -> Self::IntoFuture {
        self.returning_as()
    }
}

impl<'a> IntoFuture for Insertion<'a, ManyRows> {
    type Output = Result<u64, Error>;
    type IntoFuture = SessionFuture<'a, u64>;

    fn into_future(self) -> Self::IntoFuture {
        self.execute()
    }
}

impl<Many> IntoStatement for Insertion<'_, Many> {
    fn into_statement(self) -> Result<Statement<Value>, sql::Error> {
        let mut insert = self.insert?;
        match (self.target, self.action) {
            (None, None) => {}
            (target, Some(action)) => {
                let target = target.unwrap_or(ConflictTarget::Any);
                insert.conflict = Some(Box::new(Conflict { target, action }));
            }
            (Some(_), None) => {
                return Err(sql::Error::new(
                    "ON CONFLICT does not say what happens with a row that is there already",
                    "say `do_nothing` or `do_update`",
                ));
            }
        }
        Ok(insert.into())
    }
}
