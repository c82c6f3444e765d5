use std::fmt;
use std::marker::PhantomData;

use aquifer_core::sql::{Branch, Filter};
use aquifer_wire::types::{ColumnType, Value};

use super::scope::Phantom;
use super::{Both, Expr, Pred, Steady, sql};

/// A CASE that is not finished yet: [`otherwise`](Self::otherwise) or [`or_null`](Self::or_null) makes
/// a value of it. `S` are the tables whose columns it names, `T` is the type that it has so far.
#[must_use = "a CASE ends with `otherwise` or `or_null`"]
pub struct Case<S, T> {
    branches: Vec<Branch<Value>>,
    ty: Phantom<S, T>,
}

/// A CASE and one more branch, whose condition never makes it NULL.
type WithBranch<S, T, P, O, U> = Case<Both<S, Both<Steady<P>, O>>, <T as ColumnType>::Beside<U>>;

/// A CASE and its last value.
type WithLast<S, T, O, U> = Expr<Both<S, O>, <T as ColumnType>::Beside<U>>;

/// CASE: the value of the first condition that holds.
///
/// All values are of one type; it is an `Option` where one of them is. Values of the program stand in
/// [`value`](super::value) or [`literal`](super::literal).
///
/// ```
/// # use aquifer::entity::*;
/// # #[derive(Entity)] #[entity(table = "orders")]
/// # struct Order { #[entity(key)] id: i64, total: i64, paid: i64, note: Option<String> }
/// let size = case(Order::TOTAL.ge(1_000), literal("large"))
///     .when(Order::TOTAL.ge(100), literal("middling"))
///     .otherwise(literal("small"));
/// let open = case(Order::PAID.eq(0), Order::TOTAL).or_null();
/// let orders = Order::query().select((Order::ID, size, open)); // (i64, String, Option<i64>)
/// ```
pub fn case<P, S, T>(
    condition: Pred<P>,
    then: impl Into<Expr<S, T>>,
) -> Case<Both<Steady<P>, S>, T> {
    Case {
        branches: vec![branch(condition, then.into())],
        ty: PhantomData,
    }
}

impl<S, T: ColumnType> Case<S, T> {
    /// The value where none of the conditions before holds, and this one does.
    pub fn when<P, O, U>(
        mut self,
        condition: Pred<P>,
        then: impl Into<Expr<O, U>>,
    ) -> WithBranch<S, T, P, O, U>
    where
        U: ColumnType<Value = T::Value>,
    {
        self.branches.push(branch(condition, then.into()));
        Case {
            branches: self.branches,
            ty: PhantomData,
        }
    }

    /// The value where no condition holds.
    pub fn otherwise<O, U>(self, value: impl Into<Expr<O, U>>) -> WithLast<S, T, O, U>
    where
        U: ColumnType<Value = T::Value>,
    {
        finished(self.branches, Some(value.into().node()))
    }

    /// NULL where no condition holds.
    pub fn or_null(self) -> Expr<S, T::Nullable> {
        finished(self.branches, None)
    }
}

fn branch<P, S, T>(condition: Pred<P>, then: Expr<S, T>) -> Branch<Value> {
    Branch {
        when: Filter::from(condition.node.unwrap_or_else(sql::Expr::Invalid)),
        then: then.node(),
    }
}

fn finished<S, T>(branches: Vec<Branch<Value>>, otherwise: Option<sql::Expr<Value>>) -> Expr<S, T> {
    Expr::new(sql::Expr::Case(Box::new(sql::Case {
        branches,
        otherwise,
    })))
}

impl<S, T> fmt::Debug for Case<S, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values stay out.
        formatter.debug_struct("Case").finish_non_exhaustive()
    }
}
