use std::fmt;
use std::marker::PhantomData;

use super::sql;
use aquifer_wire::types::Value;

/// One step of an order of rows of the tables in `S`.
#[must_use = "an order does nothing by itself: hand it to `order_by`"]
pub struct Order<S> {
    pub(super) node: sql::Order<Value>,
    scope: PhantomData<fn() -> S>,
}

impl<S> Order<S> {
    pub(super) fn new(by: sql::Expr<Value>, direction: sql::Direction) -> Self {
        let nulls = None;
        Self {
            node: sql::Order {
                by,
                direction,
                nulls,
            },
            scope: PhantomData,
        }
    }

    /// NULL before all others.
    pub fn nulls_first(mut self) -> Self {
        self.node.nulls = Some(sql::Nulls::First);
        self
    }

    /// NULL behind all others.
    pub fn nulls_last(mut self) -> Self {
        self.node.nulls = Some(sql::Nulls::Last);
        self
    }
}

impl<S> fmt::Debug for Order<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Order").finish_non_exhaustive()
    }
}
