//! How queries and changes are sent: the final verbs.

use std::collections::HashMap;
use std::future::ready;
use std::hash::Hash;
use std::panic::Location;

use aquifer_core::sql;
use aquifer_wire::types::{DecodeOwned, Value};
use aquifer_wire::{FromRow, Reply};

use super::draft::item;
use super::insert::Many;
use super::name::quoted;
use super::scope::Perhaps;
use super::{Delete, Entity, Insert, IsChosen, Meta, Query, Selected, Update, unqualify};
use crate::bulk::RowStream;
use crate::query::{self, Attached, Page, Plan, QueryBuilder};
use crate::session::{Session, SessionFuture};
use crate::{Error, ErrorKind};

impl<S, R> Query<S, R> {
    /// The query without types, for the repository.
    pub(crate) fn into_draft(self) -> query::Draft {
        self.draft.finish()
    }

    pub(super) fn on<'a>(self, session: &'a impl Session) -> QueryBuilder<Attached<'a>> {
        QueryBuilder::begun(session, self.draft.finish())
    }

    /// The statement that [`fetch`](Self::fetch) sends.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for the first part that can't be.
    pub fn build(self) -> Result<Plan, Error> {
        self.draft.finish().into_plan()
    }

    /// The text that [`fetch`](Self::fetch) sends; values stand in it as `$1`, never themselves.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn to_sql(&self) -> Result<String, Error> {
        Ok(self.clone().build()?.sql().to_owned())
    }

    /// How many rows there are, those beyond the limit left out.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[track_caller]
    pub fn count<'a>(self, session: &'a impl Session) -> SessionFuture<'a, u64> {
        self.on(session).count()
    }

    /// Whether there is any row; the server stops at the first.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[track_caller]
    pub fn exists<'a>(self, session: &'a impl Session) -> SessionFuture<'a, bool> {
        self.on(session).exists()
    }

    /// One column of all rows.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[track_caller]
    pub fn pluck<'a, L, T, I>(
        self,
        column: L,
        session: &'a impl Session,
    ) -> SessionFuture<'a, Vec<T>>
    where
        L: Selected<S, I, Value = T>,
        T: DecodeOwned + Send + 'a,
    {
        let plan = self.select((column,)).build();
        Attached::to(session).run(plan, Location::caller(), |reply| Ok(reply.decode_column()?))
    }

    /// One column of the first row; `None` where there is no row.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[track_caller]
    pub fn value<'a, L, T, I>(
        self,
        column: L,
        session: &'a impl Session,
    ) -> SessionFuture<'a, Option<T>>
    where
        L: Selected<S, I, Value = T>,
        T: DecodeOwned + Send + 'a,
    {
        let plan = self.select((column,)).limit(1).build();
        Attached::to(session).run(plan, Location::caller(), |reply| {
            Ok(reply.decode_column()?.into_iter().next())
        })
    }
}

impl<S, R: FromRow + Send> Query<S, R> {
    /// All rows.
    ///
    /// # Errors
    /// As described at [`Session`]; [`ErrorKind::Usage`] for what can't be sent, nothing of which
    /// was: a table that stands in the query twice, a list with NULL.
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[doc(alias("get", "all", "load"))]
    #[track_caller]
    pub fn fetch<'a>(self, session: &'a impl Session) -> SessionFuture<'a, Vec<R>> {
        self.on(session).get_as()
    }

    /// The first row; `None` where there is none. Asks the server for one row only.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[track_caller]
    pub fn first<'a>(self, session: &'a impl Session) -> SessionFuture<'a, Option<R>> {
        self.on(session).first_as()
    }

    /// The only row.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch); [`ErrorKind::NotFound`] where there is none,
    /// [`ErrorKind::TooManyRows`] where there are several.
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[track_caller]
    pub fn one<'a>(self, session: &'a impl Session) -> SessionFuture<'a, R> {
        let of = self.draft.meta();
        Attached::to(session).run(self.two(), Location::caller(), move |reply| {
            at_most_one(&reply)?.ok_or_else(|| not_found(of))
        })
    }

    /// The only row; `None` where there is none.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch); [`ErrorKind::TooManyRows`] where there are several.
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[track_caller]
    pub fn optional<'a>(self, session: &'a impl Session) -> SessionFuture<'a, Option<R>> {
        Attached::to(session).run(self.two(), Location::caller(), |reply| at_most_one(&reply))
    }

    /// The statement for the only row: a second one is enough to know that there are several.
    fn two(mut self) -> Result<Plan, Error> {
        if self.draft.select().limit.is_none() {
            self = self.limit(2);
        }
        self.build()
    }

    /// All rows by a key that is taken out of each; of rows with the same one the last.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[track_caller]
    pub fn key_by<'a, K: Eq + Hash + Send + 'a>(
        self,
        key: impl Fn(&R) -> K + Send + 'a,
        session: &'a impl Session,
    ) -> SessionFuture<'a, HashMap<K, R>> {
        let rows = self.fetch(session);
        Box::pin(async move {
            let rows = rows.await?.into_iter();
            Ok(rows.map(|row| (key(&row), row)).collect())
        })
    }

    /// Page `page`, from 1, of `per_page` rows, and how many there are in all; two statements, which
    /// agree within a transaction of repeatable reads only.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch); [`ErrorKind::Usage`] for page 0 and pages without rows.
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[track_caller]
    pub fn paginate<'a>(
        self,
        page: u64,
        per_page: u64,
        session: &'a impl Session,
    ) -> SessionFuture<'a, Page<R>> {
        self.on(session).paginate_as(page, per_page)
    }

    /// The rows one after another, without ever holding them all; see [`RowStream`].
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch); those behind the first rows come from [`RowStream::next`].
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[track_caller]
    pub fn stream<'a>(self, session: &'a impl Session) -> SessionFuture<'a, RowStream<R>> {
        self.on(session).stream_as()
    }
}

impl<E: Entity> Insert<E> {
    /// The statement without what it returns, for the repository.
    pub(crate) fn into_statement(self) -> Result<sql::Insert<Value>, sql::Error> {
        self.draft.finish()
    }
}

impl<E: Entity, W> Insert<E, W> {
    /// The statement that [`fetch`](Self::fetch) sends.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] where a field has no value that needs one.
    pub fn build(self) -> Result<Plan, Error> {
        returning(E::META, self.draft.finish())
    }

    /// Inserts the row without reading it back; how many rows were inserted or changed.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[track_caller]
    pub fn execute<'a>(self, session: &'a impl Session) -> SessionFuture<'a, u64> {
        if self.draft.is_of_no_rows() {
            return Box::pin(ready(Ok(0)));
        }
        let plan = self.draft.finish().map_err(Error::from).and_then(Plan::of);
        Attached::to(session).affected(plan, Location::caller())
    }
}

impl<E: Entity> Insert<E, Many> {
    /// Inserts the rows, all or none, and returns them with what the database has filled in.
    ///
    /// # Errors
    /// As [`execute`](Self::execute); [`ErrorKind::Usage`] where rows have values for different
    /// columns.
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[track_caller]
    pub fn fetch<'a>(self, session: &'a impl Session) -> SessionFuture<'a, Vec<E>> {
        if self.draft.is_of_no_rows() {
            return Box::pin(ready(Ok(Vec::new())));
        }
        Attached::to(session).rows(self.build(), Location::caller())
    }
}

impl<E: Entity> Insert<E> {
    /// Inserts the row, and returns it with what the database has filled in.
    ///
    /// # Errors
    /// As described at [`Session`]; [`ErrorKind::Usage`] where a field has no value that needs one.
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[track_caller]
    pub fn fetch<'a>(self, session: &'a impl Session) -> SessionFuture<'a, E> {
        Attached::to(session).run(self.build(), Location::caller(), |reply| {
            reply.decode_first()?.ok_or_else(|| not_found(E::META))
        })
    }
}

impl<E: Entity> Insert<E, Perhaps> {
    /// Inserts the row, and returns it; `None` where one was there already.
    ///
    /// # Errors
    /// As [`Insert::execute`].
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[track_caller]
    pub fn fetch<'a>(self, session: &'a impl Session) -> SessionFuture<'a, Option<E>> {
        Attached::to(session).run(self.build(), Location::caller(), |reply| {
            Ok(reply.decode_first()?)
        })
    }
}

impl<E: Entity, W, S> Update<E, W, S> {
    /// The statement that [`execute`](Self::execute) sends.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] where no column is set, or a condition can't be.
    pub fn build(self) -> Result<Plan, Error>
    where
        W: IsChosen,
    {
        Plan::of(self.draft.update()?)
    }

    /// Changes the rows; how many there were.
    ///
    /// # Errors
    /// As described at [`Session`]; [`ErrorKind::Usage`] as [`build`](Self::build).
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[track_caller]
    pub fn execute<'a>(self, session: &'a impl Session) -> SessionFuture<'a, u64>
    where
        W: IsChosen,
    {
        if self.draft.is_of_no_rows() {
            return Box::pin(ready(Ok(0)));
        }
        Attached::to(session).affected(self.build(), Location::caller())
    }

    /// Changes the rows, and returns them as they are then.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[track_caller]
    pub fn fetch<'a>(self, session: &'a impl Session) -> SessionFuture<'a, Vec<E>>
    where
        W: IsChosen,
    {
        if self.draft.is_of_no_rows() {
            return Box::pin(ready(Ok(Vec::new())));
        }
        let plan = returning(E::META, self.draft.update());
        Attached::to(session).rows(plan, Location::caller())
    }
}

impl<E: Entity, W, S> Delete<E, W, S> {
    /// The statement that [`execute`](Self::execute) sends.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] where a condition can't be.
    pub fn build(self) -> Result<Plan, Error>
    where
        W: IsChosen,
    {
        Plan::of(self.draft.delete_or_mark(self.forever)?)
    }

    /// Deletes the rows, or marks them as deleted; how many there were.
    ///
    /// # Errors
    /// As described at [`Session`]; [`ErrorKind::Usage`] as [`build`](Self::build).
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[track_caller]
    pub fn execute<'a>(self, session: &'a impl Session) -> SessionFuture<'a, u64>
    where
        W: IsChosen,
    {
        Attached::to(session).affected(self.build(), Location::caller())
    }

    /// Deletes the rows, or marks them as deleted, and returns them.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[track_caller]
    pub fn fetch<'a>(self, session: &'a impl Session) -> SessionFuture<'a, Vec<E>>
    where
        W: IsChosen,
    {
        let plan = returning(E::META, self.draft.delete_or_mark(self.forever));
        Attached::to(session).rows(plan, Location::caller())
    }
}

/// Saves what was changed in `entity`; see [`Entity::save`].
pub(super) fn save<'a, E: Entity>(
    entity: &'a mut E,
    session: &'a impl Session,
    location: &'static Location<'static>,
) -> SessionFuture<'a, ()> {
    let plan = returning(E::META, super::change::save(&*entity));
    Attached::to(session).run(plan, location, move |reply| {
        *entity = reply.decode_first()?.ok_or_else(|| gone(E::META))?;
        Ok(())
    })
}

/// The statement that returns all columns of each row that it changes.
fn returning(
    meta: &'static Meta,
    statement: Result<impl Into<sql::Statement<Value>>, sql::Error>,
) -> Result<Plan, Error> {
    let mut statement = statement?.into();
    // Beside other tables, a column says that it is of this one.
    let alone = match &statement {
        sql::Statement::Update(update) => update.from.is_none() && update.lists.is_none(),
        sql::Statement::Delete(delete) => delete.using.is_none(),
        _ => true,
    };
    if let Some(returning) = statement.returning_mut() {
        *returning = columns(meta, alone);
    }
    Plan::of(statement)
}

/// All columns, for RETURNING.
fn columns(meta: &'static Meta, alone: bool) -> Vec<sql::Item<Value>> {
    let table = quoted(meta.table());
    let columns = meta.columns().iter();
    let mut items: Vec<_> = columns.map(|column| item(&table, column.name())).collect();
    if alone {
        unqualify::items(&mut items, &table);
    }
    items
}

fn at_most_one<T: FromRow>(reply: &Reply) -> Result<Option<T>, Error> {
    if reply.len() > 1 {
        let text = "one row was asked for and there are several; add a condition, or use `first` or \
                    `fetch`";
        return Err(Error::new(ErrorKind::TooManyRows, text));
    }
    Ok(reply.decode_first()?)
}

#[cold]
fn not_found(meta: &Meta) -> Error {
    let text = format!(
        "no row of {} was found; use `optional` where that is normal",
        meta.entity()
    );
    Error::new(ErrorKind::NotFound, text)
}

/// Why a row could not be saved.
#[cold]
pub(crate) fn gone(meta: &Meta) -> Error {
    match meta.version() {
        Some(version) => {
            let text = format!(
                "the row of {} was changed or deleted by somebody else since it was read \
                 (its {} is another one); read it again and repeat the change",
                meta.entity(),
                version.name()
            );
            Error::new(ErrorKind::Conflict, text)
        }
        None => {
            let marked = match meta.soft_delete() {
                Some(_) => ", or it is marked as deleted, which `restore` takes back",
                None => "",
            };
            let text = format!("the row of {} is not there any more{marked}", meta.entity());
            Error::new(ErrorKind::NotFound, text)
        }
    }
}
