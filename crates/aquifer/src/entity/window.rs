use std::fmt;
use std::marker::PhantomData;

use aquifer_core::sql::{Frame, FrameEdge, FrameUnit, Over};
use aquifer_wire::types::{ColumnType, IntoValue, Value};

use super::expression::call;
use super::scope::Phantom;
use super::{Aggregate, Anywhere, Both, Col, Expr, Order, Pred, Source, Steady, sql};

/// Which rows a window function or an aggregate sees of those that a query returns; begun by
/// [`window`]. `W` are the tables whose columns it names.
#[must_use = "a window does nothing by itself: hand it to `over`"]
pub struct Window<W> {
    node: sql::Window<Value>,
    scope: PhantomData<fn() -> W>,
}

/// All rows of a query, to be narrowed.
///
/// ```
/// # use aquifer::entity::*;
/// # #[derive(Entity)] #[entity(table = "orders")]
/// # struct Order { #[entity(key)] id: i64, customer_id: i64, total: i64 }
/// let own = || window().partition_by(Order::CUSTOMER_ID).order_by(Order::ID.asc());
/// let orders = Order::query().select((
///     Order::ID,
///     row_number().over(own()),               // i64
///     Order::TOTAL.sum().over(own()),         // the running total
///     Order::TOTAL.lag().over(own()),         // Option<i64>
/// ));
/// ```
pub fn window() -> Window<Anywhere> {
    Window {
        node: sql::Window::default(),
        scope: PhantomData,
    }
}

impl<W> Window<W> {
    fn of<O>(self) -> Window<O> {
        Window {
            node: self.node,
            scope: PhantomData,
        }
    }

    /// Only rows that have this in common.
    pub fn partition_by<S, T>(mut self, by: impl Into<Expr<S, T>>) -> Window<Both<W, S>> {
        self.node.partition.push(by.into().node());
        self.of()
    }

    /// In this order.
    pub fn order_by<S>(mut self, by: Order<S>) -> Window<Both<W, S>> {
        self.node.order.push(by.node);
        self.of()
    }

    /// Of those only the rows from one edge to the other.
    pub fn rows(self, start: FrameEdge, end: FrameEdge) -> Self {
        self.frame(FrameUnit::Rows, start, end)
    }

    /// As [`rows`](Self::rows), where the edges count rows, groups of equals or distances.
    pub fn frame(mut self, unit: FrameUnit, start: FrameEdge, end: FrameEdge) -> Self {
        self.node.frame = Some(Frame { unit, start, end });
        self
    }
}

/// A function of windows, which is a value by [`over`](Self::over) only.
#[must_use = "a window function does nothing by itself: say `over`"]
pub struct WindowFunction<S, T> {
    call: sql::Call<Value>,
    ty: Phantom<S, T>,
}

impl<S, T> WindowFunction<S, T> {
    fn new(function: &'static str, arguments: Vec<sql::Expr<Value>>) -> Self {
        Self {
            call: call(function, arguments),
            ty: PhantomData,
        }
    }

    /// What it is for each row by the rows of that window.
    pub fn over<W>(self, window: Window<W>) -> Expr<Both<S, Steady<W>>, T> {
        Expr::new(with_window(self.call, window))
    }
}

fn with_window<W>(mut call: sql::Call<Value>, window: Window<W>) -> sql::Expr<Value> {
    call.over = Some(Over::Window(Box::new(window.node)));
    call.into()
}

macro_rules! functions {
    ($($(#[$doc:meta])+ $name:ident $ty:ty;)+) => {
        $(
            $(#[$doc])+
            pub fn $name() -> WindowFunction<Anywhere, $ty> {
                WindowFunction::new(stringify!($name), Vec::new())
            }
        )+
    };
}

functions! {
    /// The number of the row, from 1: no two rows have the same one.
    row_number i64;
    /// The place of the row, from 1: equal rows have the same one, and leave out the next ones.
    rank i64;
    /// The place of the row, from 1: equal rows have the same one, and leave out none.
    dense_rank i64;
    /// Which part of the rows stands before this one, from 0 to 1.
    percent_rank f64;
    /// Which part of the rows stands before this one or is equal to it, up to 1.
    cume_dist f64;
}

/// The number of the part, from 1, where the rows are divided into so many equal parts.
pub fn ntile(parts: u32) -> WindowFunction<Anywhere, i32> {
    let parts = i32::try_from(parts).unwrap_or(i32::MAX);
    WindowFunction::new("ntile", vec![sql::Expr::TypedValue(parts.into_value())])
}

/// What other rows of a window have there; written once for columns and expressions.
macro_rules! neighbours {
    ($name:ident<$scope:ident, $ty:ident $(, $kind:ident)?> where $bound:path) => {
        impl<$scope: $bound, $ty: ColumnType $(, $kind)?> $name<$scope, $ty $(, $kind)?> {
            /// What the row before has; NULL for the first one.
            pub fn lag(self) -> WindowFunction<$scope, $ty::Nullable> {
                WindowFunction::new("lag", vec![self.node()])
            }

            /// What the row so many before has; NULL where there is none.
            pub fn lag_by(self, rows: u32) -> WindowFunction<$scope, $ty::Nullable> {
                WindowFunction::new("lag", vec![self.node(), offset(rows)])
            }

            /// What the next row has; NULL for the last one.
            pub fn lead(self) -> WindowFunction<$scope, $ty::Nullable> {
                WindowFunction::new("lead", vec![self.node()])
            }

            /// What the row so many behind has; NULL where there is none.
            pub fn lead_by(self, rows: u32) -> WindowFunction<$scope, $ty::Nullable> {
                WindowFunction::new("lead", vec![self.node(), offset(rows)])
            }

            /// What the first row of the window has.
            pub fn first_value(self) -> WindowFunction<$scope, $ty::Nullable> {
                WindowFunction::new("first_value", vec![self.node()])
            }

            /// What the last row of the window has, which ends with the current row unless a frame is
            /// given.
            pub fn last_value(self) -> WindowFunction<$scope, $ty::Nullable> {
                WindowFunction::new("last_value", vec![self.node()])
            }
        }
    };
}

neighbours!(Col<E, T> where Source);
neighbours!(Expr<S, T, K> where Sized);

fn offset(rows: u32) -> sql::Expr<Value> {
    let rows = i32::try_from(rows).unwrap_or(i32::MAX);
    sql::Expr::TypedValue(rows.into_value())
}

/// An aggregate of rows of `S` to which `P` adds a condition or an order.
type AggregateOf<S, P, T> = Expr<Both<S, Steady<P>>, T, Aggregate>;

/// What aggregates can besides.
impl<S, T> Expr<S, T, Aggregate> {
    /// Of the rows of that window, for each row, instead of one value for all.
    pub fn over<W>(self, window: Window<W>) -> Expr<Both<S, Steady<W>>, T> {
        match self.node {
            sql::Expr::Call(call) => Expr::new(with_window(*call, window)),
            node => Expr::new(node),
        }
    }

    /// Only of rows for which this holds: `filter (where …)`.
    ///
    /// ```
    /// # use aquifer::entity::*;
    /// # #[derive(Entity)] #[entity(table = "orders")]
    /// # struct Order { #[entity(key)] id: i64, paid: bool, total: i64 }
    /// let totals = Order::query().select((
    ///     Order::TOTAL.sum().filter(Order::PAID.eq(true)),
    ///     count_rows::<Order>().filter(Order::PAID.eq(false)),
    /// ));
    /// ```
    pub fn filter<P>(mut self, condition: Pred<P>) -> AggregateOf<S, P, T> {
        if let sql::Expr::Call(call) = &mut self.node {
            let condition = condition.node.unwrap_or_else(sql::Expr::Invalid);
            call.filter.push(condition);
        }
        Expr::new(self.node)
    }

    /// Sees the values in this order, as `array_agg` and `string_agg` need it.
    pub fn ordered<P>(mut self, order: Order<P>) -> AggregateOf<S, P, T> {
        if let sql::Expr::Call(call) = &mut self.node {
            call.order.push(order.node);
        }
        Expr::new(self.node)
    }
}

impl<W> fmt::Debug for Window<W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Window").finish_non_exhaustive()
    }
}

impl<S, T> fmt::Debug for WindowFunction<S, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("WindowFunction")
            .finish_non_exhaustive()
    }
}
