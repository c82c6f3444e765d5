use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use aquifer_wire::types::ColumnType;

use super::draft::{Deleted, Draft};
use super::name::{meta, quoted, table};
use super::scope::Phantom;
use super::select::Items;
use super::{
    Col, FullJoined, In, Joined, LeftJoined, Meta, Order, Pred, Projection, Relation, RightJoined,
    Select, Source, sql,
};
use crate::query;
use aquifer_wire::types::Value;

/// A query over the tables in `S` whose rows are read into `R`; begun by
/// [`Entity::query`](super::Entity::query).
///
/// Methods that take `self` and give it back may stand in any order. A function from `Query<User>` to
/// `Query<User>` is a scope, applied by [`scope`](Self::scope).
#[must_use = "a query does nothing before it is sent: fetch it"]
pub struct Query<S, R = S> {
    pub(super) draft: Draft,
    row: Phantom<S, R>,
}

impl<E> Query<E> {
    pub(super) fn of(meta: &'static Meta) -> Self {
        Draft::of(meta).into()
    }
}

impl<S, R> Clone for Query<S, R> {
    fn clone(&self) -> Self {
        self.draft.clone().into()
    }
}

impl<S, R> From<Draft> for Query<S, R> {
    fn from(draft: Draft) -> Self {
        let row = PhantomData;
        Self { draft, row }
    }
}

impl<S, R> Query<S, R> {
    /// Keeps the result for so long, in memory and in Redis, and takes it from there: see
    /// [`Cache`](crate::Cache), whose promises hold for it.
    ///
    /// Whatever writes to the tables of the query through the layer, in any process, makes it a miss
    /// before the writer is told that it has committed; of a query for one row by its primary key only
    /// what writes to this row, to rows without naming their keys, or deletes along a foreign key. What
    /// is kept is read from the primary. It is kept per role, database, `search_path` and
    /// [settings](crate::Db::with_settings), so that no tenant sees another one's rows. Within a
    /// transaction, in a dedicated session and for streams it has no effect: those see the database.
    ///
    /// **Limits:** writes of programs that don't use the layer are not seen before the time is over,
    /// nor what hides from the catalog (a volatile function in a column's default or a view); changes of
    /// the schema by others are known within a minute. That there is no row by a key is not kept.
    ///
    /// # Errors of the final verb
    /// [`Usage`](crate::ErrorKind::Usage) with an [`Uncacheable`](crate::Uncacheable) for what must not
    /// be kept: writes, locks, volatile functions, functions of the database's own, the present time,
    /// temporary and foreign tables, text written by hand. For some of them
    /// [`cache_tables`](Self::cache_tables) says what they read.
    pub fn cache(mut self, ttl: Duration) -> Self {
        self.draft.shared.keep_result(ttl, None);
        self
    }

    /// As [`cache`](Self::cache), under a key that [`Cache::delete`](crate::Cache::delete) takes. With
    /// settings there is `@` and a number behind it.
    ///
    /// A key is one query's: of another one it is taken over.
    #[doc(alias("cacheKey", "cache_key", "remember"))]
    pub fn cache_as(mut self, key: impl Into<Box<str>>, ttl: Duration) -> Self {
        self.draft.shared.keep_result(ttl, Some(key.into()));
        self
    }

    /// Of a result that is kept: which tables it is made of besides those that the query names, for text
    /// written by hand, functions and views. Whoever calls it answers for that: all of them, and how old
    /// what is read of the clock may be.
    pub fn cache_tables<T: AsRef<str>>(mut self, tables: impl IntoIterator<Item = T>) -> Self {
        self.draft.shared.depend_on(tables);
        self
    }

    /// Only rows for which this holds, besides the conditions given before.
    pub fn filter<P: In<S, I>, I>(mut self, condition: Pred<P>) -> Self {
        self.draft.shared.filter(condition.node);
        self
    }

    /// Changes the query only if there is a value: for filters that callers may leave out.
    ///
    /// ```
    /// # use aquifer::entity::*;
    /// # #[derive(Entity)] #[entity(table = "users")]
    /// # struct User { #[entity(key)] id: i64, city: String }
    /// # let city: Option<&str> = None;
    /// let users = User::query().when(city, |users, city| users.filter(User::CITY.eq(city)));
    /// ```
    pub fn when<V>(self, value: Option<V>, change: impl FnOnce(Self, V) -> Self) -> Self {
        match value {
            Some(value) => change(self, value),
            None => self,
        }
    }

    /// Applies a function: conditions that have a name of their own.
    pub fn scope(self, scope: impl FnOnce(Self) -> Self) -> Self {
        scope(self)
    }

    /// The rows of another table that belong to each row, and of this one those that have any.
    pub fn join<A: Source + In<S, I>, B: Source, I>(
        mut self,
        relation: Relation<A, B>,
    ) -> Query<Joined<S, B>, R> {
        self.add(sql::JoinKind::Inner, relation);
        self.draft.into()
    }

    /// The rows of another table that belong to each row; where there is none, its columns are NULL,
    /// and so `Option` in results.
    pub fn left_join<A: Source + In<S, I>, B: Source, I>(
        mut self,
        relation: Relation<A, B>,
    ) -> Query<LeftJoined<S, B>, R> {
        self.add(sql::JoinKind::Left, relation);
        self.draft.into()
    }

    /// The rows of another table with those that they belong to; rows without any are kept, and the
    /// columns of this one are NULL for them, and so `Option` in results. Say by `select` what is read.
    pub fn right_join<A: Source + In<S, I>, B: Source, I>(
        mut self,
        relation: Relation<A, B>,
    ) -> Query<RightJoined<S, B>, NothingSelected> {
        self.add(sql::JoinKind::Right, relation);
        self.draft.into()
    }

    /// The rows of both tables, those together that belong together; those without any are kept, with
    /// NULL for the columns of the other. Say by `select` what is read.
    pub fn full_join<A: Source + In<S, I>, B: Source, I>(
        mut self,
        relation: Relation<A, B>,
    ) -> Query<FullJoined<S, B>, NothingSelected> {
        self.add(sql::JoinKind::Full, relation);
        self.draft.into()
    }

    /// Each row with each row of another table.
    pub fn cross_join<B: Source>(mut self) -> Query<Joined<S, B>, R> {
        let source = sql::Source::Table {
            table: table(meta::<B>()),
            alias: B::ALIAS.map(quoted),
        };
        self.draft
            .join(sql::JoinKind::Cross, source, None, meta::<B>());
        self.draft.into()
    }

    fn add<A: Source, B: Source>(&mut self, kind: sql::JoinKind, relation: Relation<A, B>) {
        let (source, on) = (relation.source(), relation.condition());
        self.draft.join(kind, source, Some(on), meta::<B>());
    }

    /// Sorts the rows; further orders decide where those before find rows equal.
    pub fn order_by<P: In<S, I>, I>(mut self, order: Order<P>) -> Self {
        self.draft.select().order.push(order.node);
        self
    }

    /// At most so many rows.
    pub fn limit(mut self, rows: u64) -> Self {
        self.draft.select().limit = Some(query::rows(rows));
        self
    }

    /// Leaves out the first rows. The further, the slower: to go through a table, continue behind
    /// the last key that was read.
    pub fn offset(mut self, rows: u64) -> Self {
        self.draft.select().offset = Some(query::rows(rows));
        self
    }

    /// Each row once.
    pub fn distinct(mut self) -> Self {
        self.draft.select().extra().distinct = sql::Distinct::Rows;
        self
    }

    /// Of rows that have these in common, the first by the order.
    pub fn distinct_on<L: Select<S, I>, I>(mut self, columns: L) -> Self {
        let mut items = Items::default();
        columns.items(&mut items);
        let columns = items.0.into_iter().map(|item| item.expr).collect();
        self.draft.select().extra().distinct = sql::Distinct::On(columns);
        self
    }

    /// Besides `limit` rows also those that the order does not tell from the last one.
    pub fn with_ties(mut self) -> Self {
        self.draft.select().extra().with_ties = true;
        self
    }

    /// One row for all rows that have these columns in common.
    pub fn group_by<L: Select<S, I>, I>(mut self, columns: L) -> Self {
        let mut items = Items::default();
        columns.items(&mut items);
        let group = items.0.into_iter().map(|item| item.expr);
        self.draft.select().extra().group.extend(group);
        self
    }

    /// Only groups for which this holds.
    pub fn having<P: In<S, I>, I>(mut self, condition: Pred<P>) -> Self {
        self.draft.having(condition.node);
        self
    }

    /// Reads other things than the entity: a tuple of columns and expressions.
    pub fn select<L: Select<S, I>, I>(mut self, list: L) -> Query<S, L::Row> {
        let mut items = Items::default();
        list.items(&mut items);
        self.draft.select().items = items.0;
        self.draft.into()
    }

    /// Reads the columns that a struct names, into it; see [`Projection`].
    pub fn select_as<P: Projection<S, I>, I>(mut self) -> Query<S, P> {
        let mut items = Items::default();
        P::items(&mut items);
        self.draft.select().items = items.0;
        self.draft.into()
    }

    /// One column, for [`in_query`](Col::in_query) of another one.
    pub fn column<E: Source + In<S, I>, T: ColumnType, I>(
        mut self,
        column: Col<E, T>,
    ) -> Subquery<T::Value> {
        self.draft.select().items = sql::Item::from(column.node()).into();
        Subquery {
            select: self.draft.finish().into_select(),
            value: PhantomData,
        }
    }

    /// Also rows that are marked as deleted, of joined tables too.
    pub fn with_deleted(mut self) -> Self {
        self.draft.deleted = Deleted::Shown;
        self
    }

    /// Only rows that are marked as deleted.
    pub fn only_deleted(mut self) -> Self {
        self.draft.deleted = Deleted::Only;
        self
    }

    /// Locks the rows of the entity until the transaction ends: nobody else may change or lock them.
    pub fn for_update(mut self) -> Self {
        self.draft.lock(sql::LockStrength::Update);
        self
    }

    /// As [`for_update`](Self::for_update), but others may refer to the rows by foreign keys.
    pub fn for_no_key_update(mut self) -> Self {
        self.draft.lock(sql::LockStrength::NoKeyUpdate);
        self
    }

    /// Locks the rows of the entity against changes until the transaction ends; others may do so, too.
    pub fn for_share(mut self) -> Self {
        self.draft.lock(sql::LockStrength::Share);
        self
    }

    /// Leaves out rows that somebody else has locked, instead of waiting; after `for_update`.
    pub fn skip_locked(mut self) -> Self {
        self.draft.lock_wait(sql::LockWait::SkipLocked);
        self
    }

    /// Fails at once where somebody else has locked a row, instead of waiting; after `for_update`.
    pub fn no_wait(mut self) -> Self {
        self.draft.lock_wait(sql::LockWait::NoWait);
        self
    }
}

/// The row of a query that has not yet said what it reads: after a join that keeps rows without any
/// of the entity, [`select`](Query::select) says it.
#[derive(Debug)]
pub struct NothingSelected(());

/// A query of one column, made by [`Query::column`].
pub struct Subquery<T> {
    pub(super) select: Result<Box<sql::Select<Value>>, sql::Error>,
    value: PhantomData<fn() -> T>,
}

impl<S, R> fmt::Debug for Query<S, R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values stay out.
        formatter
            .debug_struct("Query")
            .field("entity", &self.draft.meta().entity())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Subquery<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Subquery").finish_non_exhaustive()
    }
}
