//! Which Rust values stand for which columns.

use std::sync::Arc;

use aquifer_wire::types::{ColumnType, Json, NotNull};

use super::{Col, Expr, In, Source, sql};
use aquifer_wire::types::{IntoValue, Value};

/// A value that a column of type `T` is compared with: exactly that type, or what it is borrowed as.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be compared with a column of type `{T}`",
    label = "expected a value of type `{T}`",
    note = "compare with NULL by `is_null()` and `is_not_null()`; with a value that may be NULL by \
            `eq_or_null(…)`",
    note = "compare with another column by `eq_col(…)`"
)]
pub trait Operand<T> {
    /// The value.
    fn into_operand(self) -> T;
}

impl<T: NotNull> Operand<T> for T {
    fn into_operand(self) -> T {
        self
    }
}

impl<T: NotNull + Clone> Operand<T> for &T {
    fn into_operand(self) -> T {
        self.clone()
    }
}

/// What a column of type `T` is set to: a value, of a nullable column also an `Option`, of a column of
/// JSON anything that has a serde form; in an UPDATE also a column or expression of the tables in `S`.
#[diagnostic::on_unimplemented(
    message = "a column of type `{T}` can't be set to `{Self}`",
    label = "expected a value of type `{T}`"
)]
pub trait Given<S, T, I> {
    #[doc(hidden)]
    fn into_given(self) -> GivenValue;
}

/// For the library.
#[doc(hidden)]
#[derive(Debug)]
pub struct GivenValue(pub(super) sql::Expr<Value>);

impl GivenValue {
    fn of(value: impl IntoValue) -> Self {
        Self(sql::Expr::Value(value.into_value()))
    }
}

/// The table of an INSERT, which has no row yet.
#[derive(Debug)]
pub struct NoRow(());

impl<S, T: ColumnType + IntoValue> Given<S, T, ()> for T {
    fn into_given(self) -> GivenValue {
        GivenValue::of(self)
    }
}

impl<S, T: NotNull + IntoValue> Given<S, Option<T>, ()> for T {
    fn into_given(self) -> GivenValue {
        GivenValue::of(self)
    }
}

impl<S, T> Given<S, Json<T>, ()> for T
where
    Json<T>: IntoValue,
{
    fn into_given(self) -> GivenValue {
        GivenValue::of(Json(self))
    }
}

impl<S, T> Given<S, Option<Json<T>>, ()> for T
where
    Json<T>: IntoValue,
{
    fn into_given(self) -> GivenValue {
        GivenValue::of(Json(self))
    }
}

impl<S, T, P: In<S, I>, K, I> Given<S, T, I> for Expr<P, T, K> {
    fn into_given(self) -> GivenValue {
        GivenValue(self.node)
    }
}

impl<S, T, E: Source + In<S, I>, I> Given<S, T, I> for Col<E, T> {
    fn into_given(self) -> GivenValue {
        GivenValue(self.node())
    }
}

impl<S, T: NotNull, P: In<S, I>, K, I> Given<S, Option<T>, I> for Expr<P, T, K> {
    fn into_given(self) -> GivenValue {
        GivenValue(self.node)
    }
}

impl<S, T: NotNull, E: Source + In<S, I>, I> Given<S, Option<T>, I> for Col<E, T> {
    fn into_given(self) -> GivenValue {
        GivenValue(self.node())
    }
}

macro_rules! borrowed {
    ($($borrowed:ty => $($owned:ty)+;)+) => {
        $($(
            impl Operand<$owned> for $borrowed {
                fn into_operand(self) -> $owned {
                    self.into()
                }
            }

            impl<S> Given<S, $owned, ()> for $borrowed {
                fn into_given(self) -> GivenValue {
                    GivenValue::of(<$owned>::from(self))
                }
            }

            impl<S> Given<S, Option<$owned>, ()> for $borrowed {
                fn into_given(self) -> GivenValue {
                    GivenValue::of(<$owned>::from(self))
                }
            }
        )+)+
    };
}

borrowed! {
    &str => String Box<str> Arc<str>;
    &[u8] => Vec<u8>;
}
