//! Points of time, days, and the spans between them.

use aquifer_wire::types::{ColumnType, Day, Interval, IntoValue, Moment, Value};

use super::{Both, Col, Expr, Source, sql};

/// What is computed from a value of type `T` and one of type `U`, and is a `V`: with NULL where one of
/// both is.
type Of<T, U, V> = <<T as ColumnType>::Like<V> as ColumnType>::Beside<<U as ColumnType>::Like<V>>;

/// Written once for columns and expressions.
macro_rules! times {
    ($name:ident<$scope:ident, $ty:ident $(, $kind:ident)?> where $bound:path) => {
        impl<$scope: $bound, $ty: ColumnType<Value: Moment> $(, $kind)?> $name<$scope, $ty $(, $kind)?> {
            /// The point of time that is later by a span. A month is one of the calendar's, a day one of
            /// the session's time zone.
            ///
            /// ```
            /// # use aquifer::entity::*;
            /// # use aquifer::types::Interval;
            /// # use std::time::SystemTime;
            /// # #[derive(Entity)] #[entity(table = "bills")]
            /// # struct Bill { #[entity(key)] id: i64, sent_at: SystemTime, paid_at: Option<SystemTime> }
            /// let month = Interval { months: 1, ..Interval::default() };
            /// let overdue = Bill::query()
            ///     .filter(Bill::PAID_AT.is_null())
            ///     .filter(Bill::SENT_AT.later_by(month).lt_col(now::<SystemTime>()));
            /// let took = Bill::query().select((Bill::ID, Bill::PAID_AT.since(Bill::SENT_AT)));
            /// ```
            pub fn later_by(self, span: Interval) -> Expr<$scope, $ty> {
                moved(self.node(), sql::Operator::Add, span)
            }

            /// The point of time that is earlier by a span.
            pub fn earlier_by(self, span: Interval) -> Expr<$scope, $ty> {
                moved(self.node(), sql::Operator::Subtract, span)
            }

            /// As [`later_by`](Self::later_by), of a column or expression.
            pub fn later_by_col<O, U>(
                self,
                span: impl Into<Expr<O, U>>,
            ) -> Expr<Both<$scope, O>, Of<$ty, U, $ty::Value>>
            where
                U: ColumnType<Value = Interval>,
            {
                binary(self.node(), sql::Operator::Add, span.into())
            }

            /// As [`earlier_by`](Self::earlier_by), of a column or expression.
            pub fn earlier_by_col<O, U>(
                self,
                span: impl Into<Expr<O, U>>,
            ) -> Expr<Both<$scope, O>, Of<$ty, U, $ty::Value>>
            where
                U: ColumnType<Value = Interval>,
            {
                binary(self.node(), sql::Operator::Subtract, span.into())
            }

            /// The span from another point of time to this one, in days and parts of one.
            pub fn since<O, U>(
                self,
                earlier: impl Into<Expr<O, U>>,
            ) -> Expr<Both<$scope, O>, Of<$ty, U, Interval>>
            where
                U: ColumnType<Value = $ty::Value>,
            {
                binary(self.node(), sql::Operator::Subtract, earlier.into())
            }
        }

        impl<$scope: $bound, $ty: ColumnType<Value: Day> $(, $kind)?> $name<$scope, $ty $(, $kind)?> {
            /// The day so many days later.
            pub fn days_later(self, days: i32) -> Expr<$scope, $ty> {
                moved(self.node(), sql::Operator::Add, days)
            }

            /// The day so many days earlier.
            pub fn days_earlier(self, days: i32) -> Expr<$scope, $ty> {
                moved(self.node(), sql::Operator::Subtract, days)
            }

            /// As [`days_later`](Self::days_later), of a column or expression.
            pub fn days_later_col<O, U>(
                self,
                days: impl Into<Expr<O, U>>,
            ) -> Expr<Both<$scope, O>, Of<$ty, U, $ty::Value>>
            where
                U: ColumnType<Value = i32>,
            {
                binary(self.node(), sql::Operator::Add, days.into())
            }

            /// As [`days_earlier`](Self::days_earlier), of a column or expression.
            pub fn days_earlier_col<O, U>(
                self,
                days: impl Into<Expr<O, U>>,
            ) -> Expr<Both<$scope, O>, Of<$ty, U, $ty::Value>>
            where
                U: ColumnType<Value = i32>,
            {
                binary(self.node(), sql::Operator::Subtract, days.into())
            }

            /// How many days there are from another day to this one.
            pub fn days_since<O, U>(
                self,
                earlier: impl Into<Expr<O, U>>,
            ) -> Expr<Both<$scope, O>, Of<$ty, U, i32>>
            where
                U: ColumnType<Value = $ty::Value>,
            {
                binary(self.node(), sql::Operator::Subtract, earlier.into())
            }
        }
    };
}

times!(Col<E, T> where Source);
times!(Expr<S, T, K> where Sized);

/// Its type is named: by itself the server would take the span for a point of time.
fn moved<S, T>(
    moment: sql::Expr<Value>,
    operator: sql::Operator,
    by: impl IntoValue,
) -> Expr<S, T> {
    let by = sql::Expr::TypedValue(by.into_value());
    Expr::new(sql::Expr::binary(moment, operator, by))
}

fn binary<S, T, O, U>(
    left: sql::Expr<Value>,
    operator: sql::Operator,
    right: Expr<O, U>,
) -> Expr<S, T> {
    Expr::new(sql::Expr::binary(left, operator, right.node()))
}
