use std::fmt;
use std::marker::PhantomData;

use super::draft::{Deleted, mark_condition};
use super::insert::raised;
use super::many::GivenRows;
use super::name::{meta, quoted, table};
use super::relation::{not_deleted, twice};
use super::scope::Phantom;
use super::{
    Col, ColumnMeta, Entity, Given, In, Joined, Meta, Pred, Relation, Source, Values, sql,
    unqualify,
};
use aquifer_wire::types::{IntoValue, Value};

/// Said of a change that nothing limits yet.
#[derive(Debug)]
pub struct Everything(());

/// Said of a change that has a condition, or is meant for all rows.
#[derive(Debug)]
pub struct Chosen(());

/// That it was said which rows are changed.
#[diagnostic::on_unimplemented(
    message = "this would change every row of the table",
    label = "no condition was given",
    note = "add .filter(…), or .all_rows() where that is meant"
)]
pub trait IsChosen {}

impl IsChosen for Chosen {}

/// An UPDATE of rows of `E`; begun by [`Entity::update`].
///
/// Without a condition it does not compile, unless [`all_rows`](Self::all_rows) says that this is
/// meant. Rows that are marked as deleted are passed over; a version is raised.
///
/// ```
/// # use aquifer::entity::*;
/// # #[derive(Entity)] #[entity(table = "posts")]
/// # struct Post { #[entity(key)] id: i64, title: String, views: i32 }
/// let update = Post::update()
///     .set(Post::TITLE, "Hello")
///     .set(Post::VIEWS, Post::VIEWS + 1)
///     .filter(Post::ID.eq(7));
/// ```
#[must_use = "an update does nothing before it is sent"]
pub struct Update<E, W = Everything, S = E> {
    pub(super) draft: ChangeDraft,
    entity: Phantom<E, Phantom<W, S>>,
}

/// A DELETE of rows of `E`; begun by [`Entity::delete`].
///
/// Where the entity has `soft_delete`, rows are marked as deleted with the time, unless
/// [`forever`](Self::forever) is said. Without a condition it does not compile, unless
/// [`all_rows`](Self::all_rows) says that this is meant.
#[must_use = "a delete does nothing before it is sent"]
pub struct Delete<E, W = Everything, S = E> {
    pub(super) draft: ChangeDraft,
    pub(super) forever: bool,
    entity: Phantom<E, Phantom<W, S>>,
}

impl<E: Entity> Update<E> {
    pub(super) fn new(deleted: Deleted) -> Self {
        ChangeDraft::of(E::META, deleted).into()
    }
}

impl<E: Entity> Update<E, Chosen> {
    /// Of rows whose values are given, one for each of these columns.
    pub(super) fn many(
        names: Vec<&'static str>,
        rows: impl Iterator<Item = Vec<sql::Expr<Value>>>,
    ) -> Self {
        let mut draft = ChangeDraft::of(E::META, Deleted::Hidden);
        draft.given = Some(GivenRows::of(names, rows));
        draft.into()
    }
}

impl<E, W, S> From<ChangeDraft> for Update<E, W, S> {
    fn from(draft: ChangeDraft) -> Self {
        let entity = PhantomData;
        Self { draft, entity }
    }
}

impl<E: Entity, W, S> Update<E, W, S> {
    /// Sets a column to a value, to another column, or to what is computed from columns of the row and
    /// of those joined by [`from`](Self::from).
    pub fn set<T, I>(mut self, column: Col<E, T>, value: impl Given<S, T, I>) -> Self {
        self.draft.set.push(sql::Assignment {
            column: quoted(column.name()),
            value: value.into_given().0,
        });
        self
    }

    /// Changes the statement only if there is a value: for columns that callers may leave out.
    pub fn when<V>(self, value: Option<V>, change: impl FnOnce(Self, V) -> Self) -> Self {
        match value {
            Some(value) => change(self, value),
            None => self,
        }
    }
}

impl<E: Entity> Delete<E> {
    pub(super) fn new() -> Self {
        Self {
            draft: ChangeDraft::of(E::META, Deleted::Hidden),
            forever: false,
            entity: PhantomData,
        }
    }
}

impl<E, W, S> Delete<E, W, S> {
    fn chosen<O>(self) -> Delete<E, Chosen, O> {
        Delete {
            draft: self.draft,
            forever: self.forever,
            entity: PhantomData,
        }
    }

    /// Only rows to which rows of another table belong, by which further conditions may choose.
    ///
    /// ```
    /// # use aquifer::entity::*;
    /// # #[derive(Entity)] #[entity(table = "users")]
    /// # struct User { #[entity(key)] id: i64, active: bool }
    /// # #[derive(Entity)] #[entity(table = "posts")]
    /// # struct Post { #[entity(key)] id: i64, #[entity(belongs_to = User::ID)] user_id: i64 }
    /// let orphans = Post::delete().using(Post::USER).filter(User::ACTIVE.eq(false));
    /// ```
    pub fn using<A: Source + In<S, I>, B: Source, I>(
        mut self,
        relation: Relation<A, B>,
    ) -> Delete<E, Chosen, Joined<S, B>> {
        self.draft.join(relation);
        self.chosen()
    }

    /// Deletes the rows instead of marking them as deleted, also those that are marked already.
    pub fn forever(mut self) -> Self {
        self.forever = true;
        self.draft.deleted = Deleted::Shown;
        self
    }
}

impl<E, W, S> Update<E, W, S> {
    fn chosen<O>(self) -> Update<E, Chosen, O> {
        self.draft.into()
    }

    /// Only rows to which rows of another table belong, whose columns values and further conditions
    /// may use; where several belong to one row, one of them is taken.
    ///
    /// ```
    /// # use aquifer::entity::*;
    /// # #[derive(Entity)] #[entity(table = "users")]
    /// # struct User { #[entity(key)] id: i64, name: String }
    /// # #[derive(Entity)] #[entity(table = "posts")]
    /// # struct Post { #[entity(key)] id: i64, #[entity(belongs_to = User::ID)] user_id: i64, by: String }
    /// let signed = Post::update().from(Post::USER).set(Post::BY, User::NAME);
    /// ```
    pub fn from<A: Source + In<S, I>, B: Source, I>(
        mut self,
        relation: Relation<A, B>,
    ) -> Update<E, Chosen, Joined<S, B>> {
        self.draft.join(relation);
        self.chosen()
    }
}

/// Which rows are changed; written once for both.
macro_rules! choices {
    ($name:ident) => {
        impl<E: Entity, W, S> $name<E, W, S> {
            /// Only rows for which this holds, besides the conditions given before.
            pub fn filter<P: In<S, I>, I>(mut self, condition: Pred<P>) -> $name<E, Chosen, S> {
                self.draft.filter(condition.node);
                self.chosen()
            }

            /// Only this row: by its key and, if it has one, its version. For
            /// [`restore`](Entity::restore) it may be the row as it was before it was marked as
            /// deleted, which raised its version.
            pub fn row(mut self, entity: &E) -> $name<E, Chosen, S> {
                self.draft.row(Values::of(entity));
                self.chosen()
            }

            /// All rows of the table.
            pub fn all_rows(mut self) -> $name<E, Chosen, S> {
                self.draft.all_rows = true;
                self.chosen()
            }

            /// Also rows that are marked as deleted.
            pub fn with_deleted(mut self) -> Self {
                self.draft.deleted = Deleted::Shown;
                self
            }
        }

        impl<E, W, S> fmt::Debug for $name<E, W, S> {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Values stay out.
                formatter
                    .debug_struct(stringify!($name))
                    .field("entity", &self.draft.meta.entity())
                    .finish_non_exhaustive()
            }
        }
    };
}

choices!(Update);
choices!(Delete);

/// A change as it is built, without types.
#[derive(Clone, Debug)]
pub(super) struct ChangeDraft {
    pub(super) meta: &'static Meta,
    pub(super) set: Vec<sql::Assignment<Value>>,
    filter: sql::Filter<Value>,
    /// FROM or USING; the condition of each is one of WHERE.
    joins: Vec<(sql::Source<Value>, &'static Meta)>,
    /// Rows that say by their keys which ones are changed, and to what.
    given: Option<GivenRows>,
    all_rows: bool,
    deleted: Deleted,
    error: Option<sql::Error>,
}

impl ChangeDraft {
    fn of(meta: &'static Meta, deleted: Deleted) -> Self {
        Self {
            meta,
            set: Vec::new(),
            filter: sql::Filter::default(),
            joins: Vec::new(),
            given: None,
            all_rows: false,
            deleted,
            error: None,
        }
    }

    pub(super) fn filter(&mut self, condition: Result<sql::Expr<Value>, sql::Error>) {
        match condition {
            Ok(condition) => self.filter.push(condition),
            Err(error) => {
                self.error.get_or_insert(error);
            }
        }
    }

    fn join<A: Source, B: Source>(&mut self, relation: Relation<A, B>) {
        let source = relation.source();
        let mut known = self.joins.iter().map(|(known, _)| known.name());
        if *source.name() == quoted(self.meta.table()) || known.any(|known| known == source.name())
        {
            let error = twice(source.name());
            self.error.get_or_insert(error);
        }
        self.filter.push(relation.condition());
        self.joins.push((source, meta::<B>()));
    }

    /// The other tables: as one source and its joins, whose conditions are those of WHERE.
    fn others(&mut self) -> Others {
        let mut others = std::mem::take(&mut self.joins).into_iter();
        let first = others.next().map(|(source, _)| source);
        let joins = others.map(|(source, _)| sql::Join {
            kind: sql::JoinKind::Cross,
            source,
            on: sql::Filter::default(),
            using: Vec::new(),
        });
        (first, joins.collect())
    }

    /// Takes key and version out of the values of a row.
    fn row(&mut self, values: impl Iterator<Item = Value>) {
        let mark = self.meta.soft_delete().map(ColumnMeta::name);
        let (mut version, mut is_marked) = (None, false);
        for (column, value) in self.meta.columns().iter().zip(values) {
            if Some(column.name()) == mark {
                is_marked = !value.is_null();
            }
            if column.is_key() {
                let own = self.own(column);
                self.filter(sql::Expr::compare(own, sql::Operator::Equal, value));
            } else if column.is_version() {
                version = Some((self.own(column), value));
            }
        }
        let Some((own, value)) = version else {
            return;
        };
        let condition = if self.deleted == Deleted::Only && !is_marked {
            // Marking it has raised the version that it was read with.
            let one = sql::Expr::Value(1_i32.into_value());
            let before = sql::Expr::binary(own.into(), sql::Operator::Subtract, one);
            Ok(sql::Expr::binary(
                before,
                sql::Operator::Equal,
                sql::Expr::Value(value),
            ))
        } else {
            sql::Expr::compare(own, sql::Operator::Equal, value)
        };
        self.filter(condition);
    }

    fn own(&self, column: &ColumnMeta) -> sql::Column {
        sql::Column {
            table: Some(quoted(self.meta.table())),
            name: quoted(column.name()),
        }
    }

    /// Conditions on rows that are marked as deleted, and what else holds for all changes.
    fn complete(&mut self) -> Result<(), sql::Error> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let own = quoted(self.meta.table());
        if let Some(condition) = mark_condition(self.meta, self.deleted) {
            if self.filter.is_always_true() && !self.all_rows && self.given.is_none() {
                // Else this condition would pass for one that was given.
                return Err(no_condition());
            }
            self.filter.push(condition);
        }
        if self.is_beside_others() {
            for (source, meta) in &self.joins {
                if let (Some(mark), Deleted::Hidden) = (meta.soft_delete(), self.deleted) {
                    let condition = not_deleted(source.name().clone(), mark.name());
                    self.filter.push(condition);
                }
            }
            return Ok(());
        }
        unqualify::filter(&mut self.filter, &own);
        for assignment in &mut self.set {
            unqualify::expression(&mut assignment.value, &own);
        }
        Ok(())
    }

    /// Whether columns must say that they are of the table that is changed.
    fn is_beside_others(&self) -> bool {
        !self.joins.is_empty() || self.given.is_some()
    }

    /// Whether rows were to be given, and there are none.
    pub(super) fn is_of_no_rows(&self) -> bool {
        self.error.is_none() && self.given.as_ref().is_some_and(GivenRows::is_empty)
    }

    fn sets(&self, column: &ColumnMeta) -> bool {
        let mut set = self.set.iter();
        set.any(|assignment| assignment.column.as_str() == column.name())
    }

    pub(super) fn update(mut self) -> Result<sql::Update<Value>, sql::Error> {
        let gives = |rows: &GivenRows| rows.sets_anything(self.meta);
        if self.set.is_empty() && !self.given.as_ref().is_some_and(gives) {
            return Err(sql::Error::new(
                format!("an update of {} sets no column", self.meta.entity()),
                "say what changes by `set`, or do not send it",
            ));
        }
        let version = self.meta.version();
        if let Some(column) = version.filter(|column| self.sets(column)) {
            return Err(raises_itself(self.meta, column));
        }
        let table_name = self.is_beside_others().then(|| quoted(self.meta.table()));
        self.set
            .extend(version.map(|column| raised(table_name, column.name())));
        self.complete()?;
        let mut update = sql::Update::of(table(self.meta));
        (update.from, update.joins) = self.others();
        update.set = self.set;
        update.filter = self.filter;
        update.all_rows = self.all_rows;
        match self.given {
            None => Ok(update),
            Some(rows) => rows.into_update(self.meta, update),
        }
    }

    pub(super) fn delete(mut self) -> Result<sql::Delete<Value>, sql::Error> {
        self.complete()?;
        let mut delete = sql::Delete::from(table(self.meta));
        (delete.using, delete.joins) = self.others();
        delete.filter = self.filter;
        delete.all_rows = self.all_rows;
        Ok(delete)
    }

    /// The statement that deletes rows or marks them as deleted.
    pub(super) fn delete_or_mark(
        mut self,
        forever: bool,
    ) -> Result<sql::Statement<Value>, sql::Error> {
        match self.meta.soft_delete() {
            Some(column) if !forever => {
                let now = sql::Expr::Constant(sql::Constant::CurrentTimestamp);
                self.mark(column.name(), now);
                Ok(self.update()?.into())
            }
            _ => Ok(self.delete()?.into()),
        }
    }

    pub(super) fn mark(&mut self, column: &'static str, value: sql::Expr<Value>) {
        let column = quoted(column);
        self.set.push(sql::Assignment { column, value });
    }
}

/// FROM or USING.
type Others = (Option<sql::Source<Value>>, Vec<sql::Join<Value>>);

/// The statement that saves all columns of a row but its key and what the database fills.
pub(super) fn save<E: Entity>(entity: &E) -> Result<sql::Update<Value>, sql::Error> {
    let mut draft = ChangeDraft::of(E::META, Deleted::Shown);
    draft.row(Values::of(entity));
    if E::META.version().is_none() && !is_marked(E::META, Values::of(entity)) {
        // Else it would take off a mark that somebody has set since the row was read.
        draft.deleted = Deleted::Hidden;
    }
    for (column, value) in E::META.columns().iter().zip(Values::of(entity)) {
        if !(column.is_key() || column.is_auto() || column.is_version()) {
            draft.mark(column.name(), sql::Expr::Value(value));
        }
    }
    draft.update()
}

/// Whether these values of a row have the mark of a deleted one.
pub(crate) fn is_marked(meta: &Meta, values: impl Iterator<Item = Value>) -> bool {
    let mark = meta.soft_delete().map(ColumnMeta::name);
    let mut columns = meta.columns().iter().zip(values);
    columns.any(|(column, value)| Some(column.name()) == mark && !value.is_null())
}

#[cold]
fn no_condition() -> sql::Error {
    sql::Error::new(
        "a change of all rows was not asked for",
        "add a condition that is not always true, or `all_rows`",
    )
}

#[cold]
fn raises_itself(meta: &Meta, column: &ColumnMeta) -> sql::Error {
    sql::Error::new(
        format!(
            "{}.{} is the version, which each update raises",
            meta.entity(),
            column.field()
        ),
        "leave it out of `set`; rows are chosen by it in `filter`",
    )
}
