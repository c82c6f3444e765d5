use std::fmt;
use std::marker::PhantomData;
use std::ops::{Add, Mul, Sub};

use aquifer_wire::types::ColumnType;

use super::name::of_source;
use super::scope::Phantom;
use super::{
    Aggregate, Both, Expr, Number, Operand, Order, Pred, Source, Steady, Subquery, Summable, Text,
    sql,
};
use aquifer_wire::types::{IntoValue, Value};

/// A column of the table of `E`, of type `T`: a constant that `#[derive(Entity)]` makes.
///
/// `T` is `Option<…>` where the column takes NULL. Comparisons take exactly the type without NULL;
/// a `String` also `&str`.
///
/// ```compile_fail
/// # use aquifer::entity::*;
/// # #[derive(Entity)] #[entity(table = "users")]
/// # struct User { #[entity(key)] id: i64, nick: Option<String> }
/// User::query().filter(User::NICK.eq(None)); // use User::NICK.is_null()
/// ```
pub struct Col<E, T> {
    name: sql::StaticName,
    column: Phantom<E, T>,
}

impl<E, T> Clone for Col<E, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E, T> Copy for Col<E, T> {}

impl<E, T> fmt::Debug for Col<E, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Col({:?})", self.name())
    }
}

impl<E, T> Col<E, T> {
    /// The column of that name, for the derive, which has checked the name and the type.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self::of_name(super::check::static_name(name))
    }

    pub(super) const fn of_name(name: sql::StaticName) -> Self {
        let column = PhantomData;
        Self { name, column }
    }

    /// The column's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name.as_str()
    }

    /// The same column of another name of the table; see [`alias!`](crate::alias).
    #[must_use]
    pub fn of<A: Source<Of = E>>(self, alias: A) -> Col<A, T> {
        drop(alias);
        Col::of_name(self.name)
    }
}

impl<E: Source, T> Col<E, T> {
    pub(super) const fn static_name(self) -> sql::StaticName {
        self.name
    }

    pub(super) fn node(self) -> sql::Expr<Value> {
        sql::Expr::Column(self.qualified())
    }

    pub(super) fn qualified(self) -> sql::Column {
        sql::Column {
            table: Some(of_source::<E>()),
            name: self.name.into(),
        }
    }

    /// The column as an expression.
    pub fn expr(self) -> Expr<E, T> {
        Expr::new(self.node())
    }

    /// Smallest first; NULL last.
    pub fn asc(self) -> Order<E> {
        self.expr().asc()
    }

    /// Largest first; NULL first, unless [`nulls_last`](Order::nulls_last) follows.
    pub fn desc(self) -> Order<E> {
        self.expr().desc()
    }
}

/// What columns and expressions can be compared with; written once for both.
macro_rules! comparisons {
    ($name:ident<$scope:ident, $ty:ident $(, $kind:ident)?> where $bound:path) => {
        impl<$scope: $bound, $ty: ColumnType $(, $kind)?> $name<$scope, $ty $(, $kind)?> {
            /// `is null`; also the way to find rows of a left join to which no row fitted.
            pub fn is_null(self) -> Pred<$scope> {
                Pred::test(self.node(), sql::Test::IsNull)
            }

            /// `is not null`
            pub fn is_not_null(self) -> Pred<$scope> {
                Pred::test(self.node(), sql::Test::IsNotNull)
            }

            comparisons!(columns $scope $ty
                /// `=`
                eq_col Equal,
                /// `<>`
                ne_col NotEqual,
                /// `<`
                lt_col Less,
                /// `<=`
                le_col LessOrEqual,
                /// `>`
                gt_col Greater,
                /// `>=`
                ge_col GreaterOrEqual,
            );
        }

        impl<$scope: $bound, $ty: ColumnType<Value: IntoValue> $(, $kind)?> $name<$scope, $ty $(, $kind)?> {
            comparisons!(values $scope $ty
                /// `=`
                eq Equal,
                /// `<>`; where the column is NULL, the condition does not hold.
                ne NotEqual,
                /// `<`
                lt Less,
                /// `<=`
                le LessOrEqual,
                /// `>`
                gt Greater,
                /// `>=`
                ge GreaterOrEqual,
            );

            /// Equal to the value, or NULL for `None`.
            pub fn eq_or_null<V: Operand<$ty::Value>>(self, value: Option<V>) -> Pred<$scope> {
                match value {
                    Some(value) => self.eq(value),
                    None => self.is_null(),
                }
            }

            /// Between two values, both included.
            pub fn between(
                self,
                low: impl Operand<$ty::Value>,
                high: impl Operand<$ty::Value>,
            ) -> Pred<$scope> {
                let value = sql::Expr::Value;
                Pred::new(sql::Expr::Between {
                    operand: Box::new(self.node()),
                    low: Box::new(value(low.into_operand().into_value())),
                    high: Box::new(value(high.into_operand().into_value())),
                    negated: false,
                    symmetric: false,
                })
            }

            /// Between two values, both included, whichever of them is the lower one.
            pub fn between_symmetric(
                self,
                one: impl Operand<$ty::Value>,
                other: impl Operand<$ty::Value>,
            ) -> Pred<$scope> {
                let value = sql::Expr::Value;
                Pred::new(sql::Expr::Between {
                    operand: Box::new(self.node()),
                    low: Box::new(value(one.into_operand().into_value())),
                    high: Box::new(value(other.into_operand().into_value())),
                    negated: false,
                    symmetric: true,
                })
            }

            /// One of these values, which travel as one array; of no values none.
            pub fn is_in<V: Operand<$ty::Value>>(
                self,
                values: impl IntoIterator<Item = V>,
            ) -> Pred<$scope> {
                Pred::among(self.node(), list(values), false)
            }

            /// None of these values; where the column is NULL, the condition does not hold unless
            /// there are no values.
            pub fn not_in<V: Operand<$ty::Value>>(
                self,
                values: impl IntoIterator<Item = V>,
            ) -> Pred<$scope> {
                Pred::among(self.node(), list(values), true)
            }

            /// One of the values that a query selects.
            pub fn in_query(self, query: Subquery<$ty::Value>) -> Pred<$scope> {
                let node = self.node();
                Pred::of(query.select.map(|select| sql::Expr::InSelect(Box::new(node), select)))
            }
        }

        impl<$scope: $bound, $ty: ColumnType<Value: Text> $(, $kind)?> $name<$scope, $ty $(, $kind)?> {
            /// Contains that text; `%` and `_` mean themselves.
            pub fn contains(self, text: &str) -> Pred<$scope> {
                Pred::like(self.node(), false, format!("%{}%", sql::escape_like(text)))
            }

            /// As [`contains`](Self::contains), without regard to case.
            pub fn icontains(self, text: &str) -> Pred<$scope> {
                Pred::like(self.node(), true, format!("%{}%", sql::escape_like(text)))
            }

            /// Begins with that text; `%` and `_` mean themselves.
            pub fn starts_with(self, text: &str) -> Pred<$scope> {
                Pred::like(self.node(), false, format!("{}%", sql::escape_like(text)))
            }

            /// Ends with that text; `%` and `_` mean themselves.
            pub fn ends_with(self, text: &str) -> Pred<$scope> {
                Pred::like(self.node(), false, format!("%{}", sql::escape_like(text)))
            }

            /// Fits a pattern of LIKE, in which `%` stands for any text and `_` for one character.
            pub fn like(self, pattern: &str) -> Pred<$scope> {
                Pred::like(self.node(), false, pattern.to_owned())
            }

            /// As [`like`](Self::like), without regard to case.
            pub fn ilike(self, pattern: &str) -> Pred<$scope> {
                Pred::like(self.node(), true, pattern.to_owned())
            }

            /// In lower case.
            pub fn lower(self) -> Expr<$scope, $ty> {
                Expr::call("lower", self.node())
            }

            /// In upper case.
            pub fn upper(self) -> Expr<$scope, $ty> {
                Expr::call("upper", self.node())
            }
        }

        impl<$scope: $bound, $ty: ColumnType $(, $kind)?> $name<$scope, $ty $(, $kind)?> {
            /// How many rows have a value there.
            pub fn count(self) -> Expr<Steady<$scope>, i64, Aggregate> {
                Expr::call("count", self.node())
            }

            /// How many different values there are.
            pub fn count_distinct(self) -> Expr<Steady<$scope>, i64, Aggregate> {
                Expr::call_distinct("count", self.node())
            }

            /// The smallest value; NULL where there is none.
            pub fn min(self) -> Expr<$scope, $ty::Nullable, Aggregate> {
                Expr::call("min", self.node())
            }

            /// The largest value; NULL where there is none.
            pub fn max(self) -> Expr<$scope, $ty::Nullable, Aggregate> {
                Expr::call("max", self.node())
            }

            /// The value, or another one where it is NULL.
            pub fn or(self, other: impl Operand<$ty::Value>) -> Expr<Steady<$scope>, $ty::Value>
            where
                $ty::Value: IntoValue,
            {
                let other = sql::Expr::Value(other.into_operand().into_value());
                Expr::call_of("coalesce", vec![self.node(), other])
            }
        }

        impl<$scope: $bound, $ty: ColumnType<Value: Summable> $(, $kind)?> $name<$scope, $ty $(, $kind)?> {
            /// The sum; NULL where there is no value. Of integers it is wider than they are.
            pub fn sum(self) -> Expr<$scope, Option<<$ty::Value as Summable>::Sum>, Aggregate> {
                Expr::call("sum", self.node())
            }

            /// The average; NULL where there is no value.
            pub fn avg(self) -> Expr<$scope, Option<<$ty::Value as Summable>::Average>, Aggregate> {
                Expr::call("avg", self.node())
            }
        }

        comparisons!(operator Summable Add add Add, $name<$scope, $ty $(, $kind)?> $bound);
        comparisons!(operator Summable Sub sub Subtract, $name<$scope, $ty $(, $kind)?> $bound);
        comparisons!(operator Number Mul mul Multiply, $name<$scope, $ty $(, $kind)?> $bound);
    };
    (values $scope:ident $ty:ident $($(#[$doc:meta])+ $method:ident $operator:ident,)+) => {
        $(
            $(#[$doc])+
            pub fn $method(self, value: impl Operand<$ty::Value>) -> Pred<$scope> {
                let value = value.into_operand().into_value();
                Pred::compare(self.node(), sql::Operator::$operator, value)
            }
        )+
    };
    (columns $scope:ident $ty:ident $($(#[$doc:meta])+ $method:ident $operator:ident,)+) => {
        $(
            $(#[$doc])+
            /// another column, or an expression.
            pub fn $method<O, U>(self, other: impl Into<Expr<O, U>>) -> Pred<Both<$scope, O>>
            where
                U: ColumnType<Value = $ty::Value>,
            {
                let right = other.into().node();
                Pred::new(sql::Expr::binary(self.node(), sql::Operator::$operator, right))
            }
        )+
    };
    (operator $of:ident $trait:ident $method:ident $operator:ident,
        $name:ident<$scope:ident, $ty:ident $(, $kind:ident)?> $bound:path) => {
            impl<$scope: $bound, $ty: ColumnType<Value: $of> $(, $kind)?, V: Operand<$ty::Value>> $trait<V>
                for $name<$scope, $ty $(, $kind)?>
            {
                type Output = Expr<$scope, $ty>;

                fn $method(self, value: V) -> Self::Output {
                    let right = sql::Expr::Value(value.into_operand().into_value());
                    Expr::new(sql::Expr::binary(self.node(), sql::Operator::$operator, right))
                }
            }
    };
}

comparisons!(Col<E, T> where Source);
comparisons!(Expr<S, T, K> where Sized);

pub(super) fn list<T: IntoValue, V: Operand<T>>(values: impl IntoIterator<Item = V>) -> Value {
    values
        .into_iter()
        .map(V::into_operand)
        .collect::<Vec<_>>()
        .into_value()
}

impl<E: Source, T> From<Col<E, T>> for Expr<E, T> {
    fn from(column: Col<E, T>) -> Self {
        column.expr()
    }
}
