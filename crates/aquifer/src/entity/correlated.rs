//! Queries within another one, whose columns they use.

use aquifer_wire::types::ColumnType;

use super::name::of_source;
use super::relation::twice;
use super::select::Items;
use super::{Correlated, Expr, Pred, Query, Selected, Source, sql};

impl<S, R> Query<S, R> {
    /// Says that this query is part of another one that reads the table `B`, whose columns it may use
    /// therefore: for [`has_rows`](Query::has_rows), [`scalar`](Query::scalar) and
    /// [`join_lateral`](Query::join_lateral).
    ///
    /// ```
    /// # use aquifer::entity::*;
    /// # #[derive(Entity)] #[entity(table = "customers")]
    /// # struct Customer { #[entity(key)] id: i64, since: i32 }
    /// # #[derive(Entity)] #[entity(table = "orders")]
    /// # struct Order { #[entity(key)] id: i64, customer_id: i64, year: i32 }
    /// let own = || {
    ///     Order::query().outer::<Customer>().filter(Order::CUSTOMER_ID.eq_col(Customer::ID))
    /// };
    /// let loyal = Customer::query()
    ///     .filter(own().filter(Order::YEAR.gt_col(Customer::SINCE)).has_rows())
    ///     .select((Customer::ID, own().scalar(Order::YEAR.max())));
    /// ```
    pub fn outer<B: Source>(mut self) -> Query<Correlated<S, B>, R> {
        let outer = of_source::<B>();
        if self.draft.reads(&outer) {
            self.draft.shared.fail(twice(&outer));
        }
        self.draft.into()
    }
}

impl<S, B: Source, R> Query<Correlated<S, B>, R> {
    /// The rows of `B` for which this query has any.
    pub fn has_rows(mut self) -> Pred<B> {
        // What is selected does not matter.
        self.draft.select().items = sql::Item::from(sql::Expr::All(None)).into();
        let select = self.draft.finish().into_select();
        Pred::of(select.map(sql::Expr::Exists))
    }

    /// The only value of this query for each row of `B`; NULL where it has no row.
    pub fn scalar<L, T, I>(mut self, item: L) -> Expr<B, T::Nullable>
    where
        L: Selected<Correlated<S, B>, I, Value = T>,
        T: ColumnType,
    {
        let mut items = Items::default();
        item.item(&mut items);
        self.draft.select().items = items.0;
        Expr::new(match self.draft.finish().into_select() {
            Ok(select) => sql::Expr::Select(select),
            Err(error) => sql::Expr::Invalid(error),
        })
    }
}
