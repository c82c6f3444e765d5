//! Queries whose rows are read like those of a table: WITH, sub-queries in FROM, unions.

use aquifer_core::sql::{Combination, Cte, SetOperator};
use aquifer_wire::FromRow;
use aquifer_wire::types::Value;

use super::draft::{Deleted, Draft};
use super::name::quoted;
use super::{Joined, LeftJoined, Meta, Query, Source, sql};
use crate::entity::Correlated;
use crate::entity::In;

/// A struct that is the row of a query, and whose fields are columns that other queries can use:
/// derived.
///
/// [`of`](Self::of) says by which query: one that selects a tuple of the fields' types, in their
/// order. Such a query can be fetched into the struct, stand before another one under the struct's
/// name ([`with`](Self::with), [`Query::with`]), stand in FROM ([`Query::nested`],
/// [`Query::join_lateral`]), or be taken together with others ([`Query::union`]).
///
/// ```
/// # use aquifer::entity::*;
/// # #[derive(Entity)] #[entity(table = "customers")]
/// # struct Customer { #[entity(key)] id: i64, name: String }
/// # #[derive(Entity)] #[entity(table = "orders")]
/// # struct Order { #[entity(key)] id: i64, customer_id: i64, total: i32 }
/// #[derive(DerivedTable)]
/// struct Spending {
///     customer_id: i64,
///     spent: Option<i64>,
/// }
///
/// let spending = Spending::of(
///     Order::query().group_by((Order::CUSTOMER_ID,)).select((Order::CUSTOMER_ID, Order::TOTAL.sum())),
/// );
/// let best = Customer::query()
///     .with(spending)
///     .join(Spending::on(Spending::CUSTOMER_ID, Customer::ID))
///     .filter(Spending::SPENT.gt(1_000))
///     .select((Customer::NAME, Spending::SPENT));
/// assert!(best.to_sql()?.starts_with(r#"with "spending" as (select "customer_id" as "customer_id""#));
/// # Ok::<(), aquifer::Error>(())
/// ```
///
/// A query that selects something else does not compile:
///
/// ```compile_fail
/// # use aquifer::entity::*;
/// # #[derive(Entity)] #[entity(table = "orders")]
/// # struct Order { #[entity(key)] id: i64, customer_id: i64 }
/// # #[derive(DerivedTable)]
/// # struct Spending { customer_id: i64, spent: Option<i64> }
/// Spending::of(Order::query().select((Order::CUSTOMER_ID, Order::ID)));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no derived table",
    label = "expected a struct that derives `DerivedTable`",
    note = "name the columns of a query by such a struct: Totals::of(query.select((…)))"
)]
pub trait DerivedTable: FromRow + Source<Of = Self> + Send {
    /// What the query selects: a tuple of the fields' types.
    type Row;

    /// The query whose rows these are.
    fn of<S>(mut query: Query<S, Self::Row>) -> Query<S, Self> {
        let names = Self::TABLE.columns().iter();
        for (item, column) in query.draft.select().items.iter_mut().zip(names) {
            item.alias = Some(quoted(column.name()));
        }
        query.draft.into()
    }

    /// A query of the rows of another one, which stands before it: `with … select`.
    fn with<S>(query: Query<S, Self>) -> Query<Self> {
        Query::of(Self::TABLE).with(query)
    }

    /// A query of rows that follow from each other: those of `first`, then again and again those that
    /// `next` finds by the rows found last, which it reads as the table `Self`.
    ///
    /// ```
    /// # use aquifer::entity::*;
    /// # #[derive(Entity)] #[entity(table = "categories")]
    /// # struct Category { #[entity(key)] id: i64, parent_id: Option<i64> }
    /// #[derive(DerivedTable)]
    /// struct Branch {
    ///     id: i64,
    ///     depth: i32,
    /// }
    ///
    /// let roots = Category::query().filter(Category::PARENT_ID.is_null());
    /// let children = Category::query().join(Branch::on(Branch::ID, Category::PARENT_ID));
    /// let tree = Branch::recursive(
    ///     roots.select((Category::ID, value(0))),
    ///     children.select((Category::ID, Branch::DEPTH + 1)),
    /// );
    /// ```
    fn recursive<S, O>(first: Query<S, Self::Row>, next: Query<O, Self::Row>) -> Query<Self> {
        let select = Self::of(first).draft.finish().into_select();
        let next = next.draft.finish().into_select();
        let select = select.and_then(|mut select| {
            select.extra().combine.push(Combination {
                operator: SetOperator::Union,
                all: true,
                select: *next?,
            });
            Ok(select)
        });
        let mut query = Query::of(Self::TABLE);
        query.draft.with(Self::TABLE, select, true, None);
        query
    }
}

macro_rules! combinations {
    ($($(#[$doc:meta])+ $name:ident $operator:ident $all:literal;)+) => {
        $(
            $(#[$doc])+
            pub fn $name<O>(self, other: Query<O, R>) -> Query<R> {
                self.combined(SetOperator::$operator, $all, other)
            }
        )+
    };
}

/// Queries that have the same rows, entities or [`DerivedTable`]s, taken together. What is said of
/// the result, as conditions, orders and limits, holds for all of it.
impl<S, R: Source> Query<S, R> {
    combinations! {
        /// The rows of both, each once.
        union Union false;
        /// The rows of both.
        union_all Union true;
        /// The rows that both have, each once.
        intersect Intersect false;
        /// The rows that both have.
        intersect_all Intersect true;
        /// The rows that only this one has, each once.
        except Except false;
        /// The rows that only this one has.
        except_all Except true;
    }

    fn combined<O>(self, operator: SetOperator, all: bool, other: Query<O, R>) -> Query<R> {
        let select = self.draft.finish().into_select();
        let other = other.draft.finish().into_select();
        let both = select.and_then(|select| {
            // In parentheses of its own, so that its order and limit stay its own.
            let mut both = match select.order.is_empty() && select.limit.is_none() {
                true => select,
                false => Box::new(nested_select(select)?),
            };
            both.extra().combine.push(Combination {
                operator,
                all,
                select: *other?,
            });
            Ok(both)
        });
        Draft::derived(R::TABLE, both).into()
    }

    /// A query of the rows of this one, as of a table: `select … from (select …)`.
    pub fn nested(self) -> Query<R> {
        Draft::derived(R::TABLE, self.draft.finish().into_select()).into()
    }
}

/// All columns of a query that stands in FROM.
fn nested_select(select: Box<sql::Select<Value>>) -> Result<sql::Select<Value>, sql::Error> {
    Ok(sql::Select::of(sql::Source::Select {
        select,
        alias: sql::Name::new("part")?,
        lateral: false,
    }))
}

impl<S, R> Query<S, R> {
    /// Another query before this one, whose rows this one reads as a table: `with … select`. Join it
    /// by [`Source::on`], or begin with it by [`DerivedTable::with`].
    pub fn with<D: DerivedTable, O>(mut self, query: Query<O, D>) -> Self {
        let select = query.draft.finish().into_select();
        self.draft.with(D::TABLE, select, false, None);
        self
    }

    /// As [`with`](Self::with): computed once (`true`), or as part of this query (`false`).
    pub fn with_materialized<D: DerivedTable, O>(
        mut self,
        query: Query<O, D>,
        materialized: bool,
    ) -> Self {
        let select = query.draft.finish().into_select();
        self.draft.with(D::TABLE, select, false, Some(materialized));
        self
    }

    /// The rows of a query that depends on each row of `B`, and of these those that have any; see
    /// [`outer`](Self::outer).
    ///
    /// ```
    /// # use aquifer::entity::*;
    /// # #[derive(Entity)] #[entity(table = "customers")]
    /// # struct Customer { #[entity(key)] id: i64, name: String }
    /// # #[derive(Entity)] #[entity(table = "orders")]
    /// # struct Order { #[entity(key)] id: i64, customer_id: i64, total: i32 }
    /// #[derive(DerivedTable)]
    /// struct Latest {
    ///     order_id: i64,
    ///     total: i32,
    /// }
    ///
    /// let latest = Order::query()
    ///     .outer::<Customer>()
    ///     .filter(Order::CUSTOMER_ID.eq_col(Customer::ID))
    ///     .order_by(Order::ID.desc())
    ///     .limit(3);
    /// let customers = Customer::query()
    ///     .join_lateral(Latest::of(latest.select((Order::ID, Order::TOTAL))))
    ///     .select((Customer::NAME, Latest::ORDER_ID, Latest::TOTAL));
    /// ```
    pub fn join_lateral<B, O, D, I>(
        mut self,
        query: Query<Correlated<O, B>, D>,
    ) -> Query<Joined<S, D>, R>
    where
        B: Source + In<S, I>,
        D: DerivedTable,
    {
        let select = query.draft.finish().into_select();
        self.draft.lateral(sql::JoinKind::Cross, D::TABLE, select);
        self.draft.into()
    }

    /// As [`join_lateral`](Self::join_lateral); rows for which the query has none are kept, with NULL.
    pub fn left_join_lateral<B, O, D, I>(
        mut self,
        query: Query<Correlated<O, B>, D>,
    ) -> Query<LeftJoined<S, D>, R>
    where
        B: Source + In<S, I>,
        D: DerivedTable,
    {
        let select = query.draft.finish().into_select();
        self.draft.lateral(sql::JoinKind::Left, D::TABLE, select);
        self.draft.into()
    }
}

impl Draft {
    /// A query of the rows of another one.
    fn derived(meta: &'static Meta, select: Result<Box<sql::Select<Value>>, sql::Error>) -> Self {
        let mut draft = Self::of(meta);
        // Rows that are marked have been left out by the query already, where that was meant.
        draft.deleted = Deleted::Shown;
        if let Some(select) = draft.shared.keep(select) {
            draft.select().from = Some(sql::Source::Select {
                select,
                alias: quoted(meta.table()),
                lateral: false,
            });
        }
        draft
    }

    fn with(
        &mut self,
        meta: &'static Meta,
        select: Result<Box<sql::Select<Value>>, sql::Error>,
        recursive: bool,
        materialized: Option<bool>,
    ) {
        if let Some(select) = self.shared.keep(select) {
            self.select().extra().with.push(Cte {
                name: quoted(meta.table()),
                columns: Vec::new(),
                recursive,
                materialized,
                statement: select.into(),
            });
        }
    }

    fn lateral(
        &mut self,
        kind: sql::JoinKind,
        meta: &'static Meta,
        select: Result<Box<sql::Select<Value>>, sql::Error>,
    ) {
        let Some(select) = self.shared.keep(select) else {
            return;
        };
        let source = sql::Source::Select {
            select,
            alias: quoted(meta.table()),
            lateral: true,
        };
        let on = match kind {
            sql::JoinKind::Cross => None,
            _ => Some(sql::Expr::Constant(sql::Constant::True)),
        };
        self.join(kind, source, on, meta);
    }
}
