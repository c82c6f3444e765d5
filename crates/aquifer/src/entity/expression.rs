use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use aquifer_wire::types::{Interval, NotNull, Numeric, Zoned};

use super::scope::Phantom;
use crate::query::Literal;

use super::{Anywhere, Order, Steady, sql};
use aquifer_wire::types::{IntoValue, Value};

/// A value computed from columns of the tables in `S`, of type `T`: `lower(name)`, `count(*)`.
#[must_use = "an expression does nothing by itself: select it, or compare it"]
pub struct Expr<S, T, K = Scalar> {
    pub(super) node: sql::Expr<Value>,
    ty: Phantom<S, T>,
    kind: PhantomData<fn() -> K>,
}

/// Said of an [`Expr`] that is computed from one row.
#[derive(Debug)]
pub struct Scalar(());

/// Said of an [`Expr`] that is computed from many rows, as `count(*)` is.
#[derive(Debug)]
pub struct Aggregate(());

impl<S, T, K> Expr<S, T, K> {
    pub(super) fn new(node: sql::Expr<Value>) -> Self {
        let (ty, kind) = (PhantomData, PhantomData);
        Self { node, ty, kind }
    }

    pub(super) fn node(self) -> sql::Expr<Value> {
        self.node
    }

    pub(super) fn call(function: &'static str, argument: sql::Expr<Value>) -> Self {
        Self::call_of(function, vec![argument])
    }

    pub(super) fn call_of(function: &'static str, arguments: Vec<sql::Expr<Value>>) -> Self {
        Self::new(call(function, arguments).into())
    }

    pub(super) fn call_distinct(function: &'static str, argument: sql::Expr<Value>) -> Self {
        let mut call = call(function, vec![argument]);
        call.distinct = true;
        Self::new(call.into())
    }

    /// Smallest first; NULL last.
    pub fn asc(self) -> Order<S> {
        Order::new(self.node, sql::Direction::Asc)
    }

    /// Largest first; NULL first, unless [`nulls_last`](Order::nulls_last) follows.
    pub fn desc(self) -> Order<S> {
        Order::new(self.node, sql::Direction::Desc)
    }
}

pub(super) fn call(function: &'static str, arguments: Vec<sql::Expr<Value>>) -> sql::Call<Value> {
    sql::Call::new(super::name::function(function), arguments)
}

impl<S, T> From<Expr<S, T, Aggregate>> for Expr<S, T> {
    fn from(aggregate: Expr<S, T, Aggregate>) -> Self {
        Self::new(aggregate.node)
    }
}

impl<S, T, K> fmt::Debug for Expr<S, T, K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values stay out.
        formatter.debug_struct("Expr").finish_non_exhaustive()
    }
}

/// How many rows there are: `count(*)`.
pub fn count_rows<S>() -> Expr<Steady<S>, i64, Aggregate> {
    Expr::call("count", sql::Expr::All(None))
}

/// A value, which is the same for all rows.
pub fn value<T: NotNull + IntoValue>(value: T) -> Expr<Anywhere, T> {
    Expr::new(sql::Expr::TypedValue(value.into_value()))
}

/// A text, number or truth value of the source code that stands in the statement as a literal, quoted:
/// where the server must know it when it plans, as in [`index_where`](super::OnConflict::index_where).
pub fn literal<L: Literal>(value: L) -> Expr<Anywhere, L::Value> {
    Expr::new(sql::Expr::Constant(value.into_constant()))
}

/// When the transaction began, as a point of time of the type that it is compared with.
///
/// ```
/// # use aquifer::entity::*;
/// # use std::time::SystemTime;
/// # #[derive(Entity)] #[entity(table = "jobs")]
/// # struct Job { #[entity(key)] id: i64, run_at: SystemTime }
/// let due = Job::query().filter(Job::RUN_AT.le_col(now::<SystemTime>()));
/// ```
pub fn now<T: Zoned>() -> Expr<Anywhere, T> {
    Expr::new(sql::Expr::Constant(sql::Constant::CurrentTimestamp))
}

/// A type of text.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no text",
    label = "only columns of text have this method",
    note = "for a type of your own that is stored as text: impl aquifer::entity::Text for {Self} {{}}"
)]
pub trait Text: NotNull {}

impl Text for String {}
impl Text for Box<str> {}
impl Text for Arc<str> {}
impl Text for std::borrow::Cow<'static, str> {}

/// A type of which there are sums, numbers and spans of time, and what the server makes of many.
#[diagnostic::on_unimplemented(
    message = "there are no sums of `{Self}`",
    label = "only columns of numbers and of spans of time have this method"
)]
pub trait Summable: NotNull + IntoValue {
    /// The type of their sum.
    type Sum: NotNull;
    /// The type of their average.
    type Average: NotNull;
}

/// A type of numbers.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no number",
    label = "only columns of numbers have this method"
)]
pub trait Number: Summable {}

impl Summable for Interval {
    type Sum = Self;
    type Average = Self;
}

macro_rules! numbers {
    ($($number:ty: $sum:ty, $average:ty;)+) => {
        $(
            impl Summable for $number {
                type Sum = $sum;
                type Average = $average;
            }

            impl Number for $number {}
        )+
    };
}

numbers! {
    i16: i64, Numeric;
    i32: i64, Numeric;
    i64: Numeric, Numeric;
    f32: f32, f64;
    f64: f64, f64;
    Numeric: Numeric, Numeric;
}
