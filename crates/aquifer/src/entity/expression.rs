use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use aquifer_wire::types::{NotNull, Numeric};

use super::scope::Phantom;
use super::{Order, Steady, sql};
use aquifer_wire::types::{IntoValue, Value};

/// A value computed from columns of the tables in `S`, of type `T`: `lower(name)`, `count(*)`.
#[must_use = "an expression does nothing by itself: select it, or compare it"]
pub struct Expr<S, T> {
    pub(super) node: sql::Expr<Value>,
    ty: Phantom<S, T>,
}

impl<S, T> Expr<S, T> {
    pub(super) fn new(node: sql::Expr<Value>) -> Self {
        let ty = PhantomData;
        Self { node, ty }
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

fn call(function: &'static str, arguments: Vec<sql::Expr<Value>>) -> sql::Call<Value> {
    sql::Call::new(super::name::function(function), arguments)
}

impl<S, T> fmt::Debug for Expr<S, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values stay out.
        formatter.debug_struct("Expr").finish_non_exhaustive()
    }
}

/// How many rows there are: `count(*)`.
pub fn count_rows<S>() -> Expr<Steady<S>, i64> {
    Expr::call("count", sql::Expr::All(None))
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

/// A type of numbers, and what the server makes of many of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no number",
    label = "only columns of numbers have this method"
)]
pub trait Number: NotNull + IntoValue {
    /// The type of their sum.
    type Sum: NotNull;
    /// The type of their average.
    type Average: NotNull;
}

macro_rules! numbers {
    ($($number:ty: $sum:ty, $average:ty;)+) => {
        $(
            impl Number for $number {
                type Sum = $sum;
                type Average = $average;
            }
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
