use std::fmt;
use std::marker::PhantomData;

use aquifer_wire::types::{ColumnType, IntoValue, Value};

use super::scope::Phantom;
use super::{Both, Col, Expr, Operand, Pred, Source, sql};

/// Several columns or expressions that are compared at once; made by [`row`]. `S` are their tables, `T`
/// is the tuple of their types.
#[must_use = "a row of columns does nothing by itself: compare it"]
pub struct RowOf<S, T> {
    parts: Vec<sql::Expr<Value>>,
    ty: Phantom<S, T>,
}

/// Columns and expressions that are compared at once, the first that differs deciding: `(a, b) > (1, 2)`.
/// An index on these columns, in their order, is used.
///
/// Where a column that must be looked at is NULL, no comparison holds.
///
/// ```
/// # use aquifer::entity::*;
/// # #[derive(Entity)] #[entity(table = "posts")]
/// # struct Post { #[entity(key)] id: i64, day: i32 }
/// # let (day, id) = (7, 100);
/// let next = Post::query()
///     .filter(row((Post::DAY, Post::ID)).gt((day, id)))
///     .order_by(Post::DAY.asc())
///     .order_by(Post::ID.asc())
///     .limit(20);
/// ```
pub fn row<P: Parts>(parts: P) -> RowOf<P::Scope, P::Types> {
    RowOf {
        parts: parts.nodes(),
        ty: PhantomData,
    }
}

/// A column or an expression of a [`row`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no part of a row",
    label = "expected a column or an expression"
)]
pub trait Part {
    /// Its tables.
    type Scope;
    /// Its type.
    type Type: ColumnType;

    #[doc(hidden)]
    fn into_part(self) -> sql::Expr<Value>;
}

impl<E: Source, T: ColumnType> Part for Col<E, T> {
    type Scope = E;
    type Type = T;

    fn into_part(self) -> sql::Expr<Value> {
        self.node()
    }
}

impl<S, T: ColumnType, K> Part for Expr<S, T, K> {
    type Scope = S;
    type Type = T;

    fn into_part(self) -> sql::Expr<Value> {
        self.node
    }
}

/// The tuple of a [`row`], of two to four columns and expressions.
#[diagnostic::on_unimplemented(
    message = "`{Self}` are no columns that can be compared at once",
    label = "expected a tuple of two to four columns and expressions"
)]
pub trait Parts {
    /// Their tables.
    type Scope;
    /// Their types.
    type Types;

    #[doc(hidden)]
    fn nodes(self) -> Vec<sql::Expr<Value>>;
}

/// A tuple of values that a [`row`] of columns of types `T` is compared with.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be compared with a row of `{T}`",
    label = "expected a tuple of one value for each column"
)]
pub trait Operands<T> {
    #[doc(hidden)]
    fn into_operands(self) -> Vec<sql::Expr<Value>>;
}

macro_rules! comparisons {
    ($($(#[$doc:meta])+ $method:ident $operator:ident;)+) => {
        impl<S, T> RowOf<S, T> {
            $(
                $(#[$doc])+
                pub fn $method(self, values: impl Operands<T>) -> Pred<S> {
                    let values = sql::Expr::Row(values.into_operands());
                    Pred::new(sql::Expr::binary(
                        sql::Expr::Row(self.parts),
                        sql::Operator::$operator,
                        values,
                    ))
                }
            )+
        }
    };
}

comparisons! {
    /// `=`
    eq Equal;
    /// `<>`
    ne NotEqual;
    /// `<`: stands before that row.
    lt Less;
    /// `<=`
    le LessOrEqual;
    /// `>`: stands behind that row.
    gt Greater;
    /// `>=`
    ge GreaterOrEqual;
}

macro_rules! tuples {
    ($(($($part:ident $value:ident $position:tt),+ => $scope:ty);)+) => {
        $(
            impl<$($part: Part),+> Parts for ($($part,)+) {
                type Scope = $scope;
                type Types = ($($part::Type,)+);

                fn nodes(self) -> Vec<sql::Expr<Value>> {
                    vec![$(self.$position.into_part()),+]
                }
            }

            impl<$($part: ColumnType<Value: IntoValue>, $value: Operand<$part::Value>),+>
                Operands<($($part,)+)> for ($($value,)+)
            {
                fn into_operands(self) -> Vec<sql::Expr<Value>> {
                    vec![$(sql::Expr::Value(self.$position.into_operand().into_value())),+]
                }
            }
        )+
    };
}

tuples! {
    (A VA 0, B VB 1 => Both<A::Scope, B::Scope>);
    (A VA 0, B VB 1, C VC 2 => Both<A::Scope, Both<B::Scope, C::Scope>>);
    (A VA 0, B VB 1, C VC 2, D VD 3 => Both<A::Scope, Both<B::Scope, Both<C::Scope, D::Scope>>>);
}

impl<S, T> fmt::Debug for RowOf<S, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values stay out.
        formatter.debug_struct("RowOf").finish_non_exhaustive()
    }
}
