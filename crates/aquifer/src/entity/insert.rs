use std::fmt;
use std::marker::PhantomData;

use super::conflict::{OnConflict, Target};
use super::name::{quoted, table};
use super::scope::Phantom;
use super::scope::{Always, Perhaps};
use super::{Col, Entity, Given, Meta, NoRow, Query, Values, sql};
use crate::query::column_list;
use aquifer_wire::types::{IntoValue, Value};

/// A row to be inserted; made by [`insert!`](crate::insert), which checks when compiled that no value
/// is missing, by [`Entity::insert`], or of an entity by `Insert::from(&user)`.
///
/// What the database fills in is read back: [`fetch`](Self::fetch) returns the row.
///
/// ```
/// # use aquifer::entity::*;
/// # #[derive(Entity)] #[entity(table = "users")]
/// # struct User { #[entity(key, auto)] id: i64, email: String, nick: Option<String> }
/// let insert = aquifer::insert!(User { email: "ann@example.com" });
/// ```
///
/// ```compile_fail
/// # use aquifer::entity::*;
/// # #[derive(Entity)] #[entity(table = "users")]
/// # struct User { #[entity(key, auto)] id: i64, email: String, nick: Option<String> }
/// let insert = aquifer::insert!(User { nick: "ann" }); // to insert a `User`, give its field `email` a value
/// ```
///
/// `W` says whether there always is a row afterwards: after
/// [`do_nothing`](OnConflict::do_nothing) perhaps not.
#[must_use = "an insert does nothing before it is sent"]
pub struct Insert<E, W = Always> {
    pub(super) draft: InsertDraft,
    entity: Phantom<E, W>,
}

impl<E: Entity> Insert<E> {
    pub(super) fn new() -> Self {
        InsertDraft::of(E::META).into()
    }
}

impl<E> Insert<E> {
    /// Whether it says what happens where a row is there already.
    pub(crate) fn has_conflict(&self) -> bool {
        self.draft.conflict.is_some()
    }

    /// Whether the database fills all of it.
    pub(crate) fn has_no_value(&self) -> bool {
        self.draft.columns.is_empty()
    }

    /// Whether a value is a list, which an insert of many rows can't carry.
    pub(crate) fn has_list(&self) -> bool {
        let mut values = self.draft.values.iter();
        values.any(|value| matches!(value, sql::Expr::Value(value) if value.as_list().is_some()))
    }
}

impl<E: Entity> Insert<E, Many> {
    pub(super) fn many(rows: impl IntoIterator<Item = Insert<E>>) -> Self {
        let rows = rows.into_iter().map(|row| row.draft);
        InsertDraft::many(E::META, rows).into()
    }

    pub(super) fn found<S, R>(columns: Vec<&'static str>, query: Query<S, R>) -> Self {
        let mut draft = InsertDraft::of(E::META);
        draft.columns = columns;
        draft.select = Some(query.draft.finish().into_select());
        draft.into()
    }
}

impl<E, W> From<InsertDraft> for Insert<E, W> {
    fn from(draft: InsertDraft) -> Self {
        let entity = PhantomData;
        Self { draft, entity }
    }
}

impl<E, W> Insert<E, W> {
    /// Gives a column a value; the last one counts. Of many rows, each has its own.
    pub fn set<T, I>(mut self, column: Col<E, T>, value: impl Given<NoRow, T, I>) -> Self
    where
        W: OneRow,
    {
        self.draft.set(column.name(), value.into_given().0);
        self
    }

    /// What happens where a row with the same values in these columns is there already; a unique
    /// index must be on exactly these columns.
    ///
    /// ```
    /// # use aquifer::entity::*;
    /// # #[derive(Entity)] #[entity(table = "users")]
    /// # struct User { #[entity(key, auto)] id: i64, email: String, name: String }
    /// let upsert = aquifer::insert!(User { email: "ann@example.com", name: "Ann" })
    ///     .on_conflict(User::EMAIL)
    ///     .do_update(); // sets the name
    /// ```
    pub fn on_conflict(self, columns: impl ColumnsOf<E>) -> OnConflict<E, W> {
        let mut target = Vec::new();
        columns.names(&mut target);
        OnConflict::of(self.draft, Target::Columns(target))
    }

    /// What happens where a row is there already by the unique constraint of that name.
    pub fn on_constraint(self, name: &'static str) -> OnConflict<E, W> {
        OnConflict::of(self.draft, Target::Constraint(name))
    }
}

/// All values of an entity, but those that the database always fills.
impl<E: Entity> From<&E> for Insert<E> {
    fn from(entity: &E) -> Self {
        let mut draft = InsertDraft::of(E::META);
        for (column, value) in E::META.columns().iter().zip(Values::of(entity)) {
            if !column.is_auto() {
                draft.set(column.name(), sql::Expr::Value(value));
            }
        }
        draft.into()
    }
}

/// Several rows to be inserted; said of an [`Insert`].
#[derive(Debug)]
pub struct Many(());

/// How many rows there are afterwards.
pub trait Rows {
    /// The same where rows that are there already are left as they are.
    type Skipped: Rows;
}

impl Rows for Always {
    type Skipped = Perhaps;
}

impl Rows for Perhaps {
    type Skipped = Self;
}

impl Rows for Many {
    type Skipped = Self;
}

/// That one row is inserted, so that a column has one value.
#[diagnostic::on_unimplemented(
    message = "this inserts many rows, so there is no one value to set",
    label = "many rows are inserted",
    note = "give each row of `insert_many` its value, or select `value(…)` in the query of `insert_from`"
)]
pub trait OneRow {}

impl OneRow for Always {}
impl OneRow for Perhaps {}

/// One more than before.
pub(super) fn raised(
    table: impl Into<Option<sql::Name>>,
    column: &'static str,
) -> sql::Assignment<Value> {
    let before = sql::Column {
        table: table.into(),
        name: quoted(column),
    };
    let one = sql::Expr::Value(1_i32.into_value());
    sql::Assignment {
        column: quoted(column),
        value: sql::Expr::binary(before.into(), sql::Operator::Add, one),
    }
}

/// One column of `E`, or a tuple of several.
#[diagnostic::on_unimplemented(
    message = "`{Self}` are no columns of `{E}`",
    label = "expected a column of `{E}`, or a tuple of several"
)]
pub trait ColumnsOf<E> {
    #[doc(hidden)]
    fn names(self, into: &mut Vec<&'static str>);
}

impl<E, T> ColumnsOf<E> for Col<E, T> {
    fn names(self, into: &mut Vec<&'static str>) {
        into.push(self.name());
    }
}

macro_rules! tuples {
    ($(($($column:ident $position:tt),+))+) => {
        $(
            impl<E, $($column),+> ColumnsOf<E> for ($(Col<E, $column>,)+) {
                fn names(self, into: &mut Vec<&'static str>) {
                    into.extend([$(self.$position.name()),+]);
                }
            }
        )+
    };
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, F 4)
    (A 0, B 1, C 2, D 3, F 4, G 5)
    (A 0, B 1, C 2, D 3, F 4, G 5, H 6)
    (A 0, B 1, C 2, D 3, F 4, G 5, H 6, I 7)
}

/// A query, unless it can't be.
type Selected = Result<Box<sql::Select<Value>>, sql::Error>;

/// The insert as it is built, without types.
#[derive(Clone, Debug)]
pub(super) struct InsertDraft {
    pub(super) meta: &'static Meta,
    pub(super) columns: Vec<&'static str>,
    pub(super) values: Vec<sql::Expr<Value>>,
    /// Of many rows, the values of each column.
    lists: Option<Vec<Vec<Value>>>,
    /// The query whose rows are inserted.
    select: Option<Selected>,
    pub(super) conflict: Option<Box<sql::Conflict<Value>>>,
    fault: Option<sql::Error>,
}

impl InsertDraft {
    fn of(meta: &'static Meta) -> Self {
        let number = meta.columns().len();
        Self {
            meta,
            columns: Vec::with_capacity(number),
            values: Vec::with_capacity(number),
            lists: None,
            select: None,
            conflict: None,
            fault: None,
        }
    }

    /// The rows, whose values travel as one list for each column.
    fn many(meta: &'static Meta, rows: impl Iterator<Item = Self>) -> Self {
        let mut all = Self::of(meta);
        let mut lists: Vec<Vec<Value>> = Vec::new();
        for (number, row) in rows.enumerate() {
            if row.columns.is_empty() {
                all.fault = Some(no_value(meta, number));
                break;
            }
            if number == 0 {
                all.columns.clone_from(&row.columns);
                lists.resize_with(row.columns.len(), Vec::new);
            }
            let values = row.values.into_iter().map(|value| match value {
                sql::Expr::Value(value) => Some(value),
                _ => None,
            });
            let values: Option<Vec<Value>> = values.collect();
            let (true, Some(values)) = (row.columns == all.columns, values) else {
                all.fault = Some(other_columns(meta, number));
                break;
            };
            for (list, value) in lists.iter_mut().zip(values) {
                list.push(value);
            }
        }
        all.lists = Some(lists);
        all
    }

    /// Whether it is of many rows of which there are none.
    pub(super) fn is_of_no_rows(&self) -> bool {
        let lists = self.lists.as_ref();
        self.fault.is_none() && lists.is_some_and(|lists| lists.iter().all(Vec::is_empty))
    }

    fn set(&mut self, column: &'static str, value: sql::Expr<Value>) {
        let known = self.columns.iter().position(|known| *known == column);
        match known.and_then(|position| self.values.get_mut(position)) {
            Some(known) => *known = value,
            None => {
                self.columns.push(column);
                self.values.push(value);
            }
        }
    }

    /// The statement without what it returns.
    pub(super) fn finish(self) -> Result<sql::Insert<Value>, sql::Error> {
        self.check()?;
        let mut insert = sql::Insert::into(table(self.meta));
        if !self.columns.is_empty() {
            insert.columns = self.columns.into_iter().map(quoted).collect();
            insert.source = match (self.select, self.lists) {
                (Some(select), _) => sql::InsertSource::Select(select?),
                (None, Some(lists)) => {
                    let lists = insert.columns.iter().zip(lists);
                    let lists = lists.map(|(column, list)| column_list(column, list));
                    sql::InsertSource::Lists(lists.collect::<Result<_, _>>()?)
                }
                (None, None) => sql::InsertSource::Rows(vec![self.values]),
            };
        }
        insert.conflict = self.conflict;
        Ok(insert)
    }

    /// `insert!` finds that out when it is compiled.
    fn check(&self) -> Result<(), sql::Error> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let columns = self.meta.columns().iter();
        let mut missing =
            columns.filter(|column| column.is_required() && !self.columns.contains(&column.name()));
        match missing.next() {
            None => Ok(()),
            Some(column) => Err(sql::Error::new(
                format!(
                    "{}.{} has no value in an insert",
                    self.meta.entity(),
                    column.field()
                ),
                "give it one by `set`; `insert!` finds that out when it is compiled",
            )),
        }
    }
}

#[cold]
pub(crate) fn other_columns(meta: &Meta, number: usize) -> sql::Error {
    sql::Error::new(
        format!(
            "row {number} of {}, counted from 0, has values for other columns than the first one",
            meta.entity()
        ),
        "give each row the same fields, in the same order, or insert them by several statements",
    )
}

/// Rows are told by their values, so many without any would be none.
#[cold]
pub(crate) fn no_value(meta: &Meta, number: usize) -> sql::Error {
    sql::Error::new(
        format!(
            "row {number} of {}, counted from 0, has a value for no column",
            meta.entity()
        ),
        "give one to a column in each row, or insert such rows one by one",
    )
}

impl<E, W> fmt::Debug for Insert<E, W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values stay out.
        formatter
            .debug_struct("Insert")
            .field("entity", &self.draft.meta.entity())
            .field("columns", &self.draft.columns)
            .finish_non_exhaustive()
    }
}

/// A row to be inserted: an [`Insert`](crate::entity::Insert) whose fields are checked when it is
/// compiled.
///
/// Fields may be left out that take NULL, that are marked `default`, or that hold the version or the
/// time of deletion; those marked `auto` must be. Values are what [`Insert::set`] takes: `&str` for a
/// `String`, no `Some` for an `Option`. `field` alone stands for `field: field`.
///
/// ```
/// # use aquifer::{entity::*, insert};
/// # #[derive(Entity)] #[entity(table = "users")]
/// # struct User { #[entity(key, auto)] id: i64, email: String, nick: Option<String> }
/// let email = String::from("ann@example.com");
/// let ann = insert!(User { email, nick: "ann" });
/// ```
///
/// [`Insert::set`]: crate::entity::Insert::set
#[macro_export]
macro_rules! insert {
    (@value $field:ident) => { $field };
    (@value $field:ident $value:expr) => { $value };
    ($entity:path { $($field:ident $(: $value:expr)?),* $(,)? }) => {{
        const _: () = $crate::entity::check::insert(
            <$entity as $crate::entity::Entity>::META,
            &[$(::core::stringify!($field)),*],
        );
        <$entity as $crate::entity::Entity>::insert()
            $(.set(
                <$entity as $crate::entity::Entity>::COLUMNS.$field,
                $crate::insert!(@value $field $($value)?),
            ))*
    }};
}
