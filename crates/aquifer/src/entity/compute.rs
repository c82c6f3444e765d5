//! What is computed from columns and expressions, besides the usual: arithmetic of two, units of time,
//! types, arrays, ranges, documents, full text.

use std::time::SystemTime;

use aquifer_wire::types::{
    ColumnType, Date, IntoValue, Json, Moment, NotNull, Numeric, Range, Timestamp, TimestampTz,
    Value,
};

use super::column::list;
use super::{Aggregate, Both, Col, Expr, Number, Operand, Pred, Source, Summable, Text, sql};

/// A type that has a name in SQL, for [`Col::cast`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no name in SQL",
    label = "nothing can be cast to this type",
    note = "say its name: impl aquifer::entity::SqlType for {Self} {{ const NAME: &str = \"…\"; }}"
)]
pub trait SqlType: NotNull {
    /// The name, as `bigint` or `app.mood`.
    const NAME: &'static str;
}

macro_rules! sql_types {
    ($($rust:ty = $name:literal;)+) => {
        $(impl SqlType for $rust {
            const NAME: &'static str = $name;
        })+
    };
}

sql_types! {
    bool = "boolean";
    i16 = "smallint";
    i32 = "integer";
    i64 = "bigint";
    f32 = "real";
    f64 = "double precision";
    Numeric = "numeric";
    String = "text";
    Date = "date";
    Timestamp = "timestamp without time zone";
    TimestampTz = "timestamp with time zone";
    SystemTime = "timestamp with time zone";
}

/// Written once for columns and expressions.
macro_rules! computed {
    ($name:ident<$scope:ident, $ty:ident $(, $kind:ident)?> where $bound:path) => {
        impl<$scope: $bound, $ty: ColumnType $(, $kind)?> $name<$scope, $ty $(, $kind)?> {
            /// As a value of another type: `cast(… as …)`.
            pub fn cast<U: SqlType>(self) -> Expr<$scope, $ty::Like<U>> {
                match sql::TypeName::parse(U::NAME) {
                    Ok(name) => Expr::new(self.node().cast(name)),
                    Err(error) => Expr::new(sql::Expr::Invalid(error)),
                }
            }

            /// All values as an array; NULL where there is no row.
            pub fn array_agg(self) -> Expr<$scope, Option<Vec<$ty>>, Aggregate> {
                Expr::call("array_agg", self.node())
            }
        }

        impl<$scope: $bound, $ty: ColumnType<Value: Summable> $(, $kind)?> $name<$scope, $ty $(, $kind)?> {
            /// The sum with another column or expression of the same type.
            pub fn plus<O, U>(
                self,
                other: impl Into<Expr<O, U>>,
            ) -> Expr<Both<$scope, O>, $ty::Beside<U>>
            where
                U: ColumnType<Value = $ty::Value>,
            {
                binary(self.node(), sql::Operator::Add, other.into())
            }

            /// The difference to another column or expression of the same type.
            pub fn minus<O, U>(
                self,
                other: impl Into<Expr<O, U>>,
            ) -> Expr<Both<$scope, O>, $ty::Beside<U>>
            where
                U: ColumnType<Value = $ty::Value>,
            {
                binary(self.node(), sql::Operator::Subtract, other.into())
            }
        }

        impl<$scope: $bound, $ty: ColumnType<Value: Number> $(, $kind)?> $name<$scope, $ty $(, $kind)?> {
            /// The product with another column or expression of the same type.
            pub fn times<O, U>(
                self,
                other: impl Into<Expr<O, U>>,
            ) -> Expr<Both<$scope, O>, $ty::Beside<U>>
            where
                U: ColumnType<Value = $ty::Value>,
            {
                binary(self.node(), sql::Operator::Multiply, other.into())
            }

            /// The quotient with another column or expression of the same type; of integers without its
            /// fraction. The server refuses to divide by zero.
            pub fn divided_by<O, U>(
                self,
                other: impl Into<Expr<O, U>>,
            ) -> Expr<Both<$scope, O>, $ty::Beside<U>>
            where
                U: ColumnType<Value = $ty::Value>,
            {
                binary(self.node(), sql::Operator::Divide, other.into())
            }

            /// The value below which that part of all values lies, between two neighbours where it
            /// must: `percentile_cont`. The median is that of 0.5.
            pub fn percentile(self, part: f64) -> Expr<$scope, Option<f64>, Aggregate> {
                let part = sql::Expr::TypedValue(part.into_value());
                let mut call = super::expression::call("percentile_cont", vec![part]);
                call.within_group = true;
                call.order.push(sql::Order {
                    by: self.node(),
                    direction: sql::Direction::Asc,
                    nulls: None,
                });
                Expr::new(call.into())
            }
        }

        impl<$scope: $bound, $ty: ColumnType<Value: Moment> $(, $kind)?> $name<$scope, $ty $(, $kind)?> {
            /// When the unit of time began that it lies in: `date_trunc`.
            pub fn truncated(self, unit: sql::TimeUnit) -> Expr<$scope, $ty> {
                let unit = sql::Expr::Constant(sql::Constant::Unit(unit));
                Expr::call_of("date_trunc", vec![unit, self.node()])
            }
        }

        impl<$scope: $bound, $ty: ColumnType<Value: Text> $(, $kind)?> $name<$scope, $ty $(, $kind)?> {
            /// All texts as one, with another one between; NULL where there is none.
            pub fn string_agg(self, between: &str) -> Expr<$scope, Option<String>, Aggregate> {
                let between = sql::Expr::TypedValue(between.into_value());
                Expr::new(super::expression::call("string_agg", vec![self.node(), between]).into())
            }

            /// The words of the text fit what somebody typed into a search field, by the rules of that
            /// configuration of full text search, such as `english` or `simple`.
            pub fn matches_search(self, configuration: &str, typed: &str) -> Pred<$scope> {
                let (words, search) = searched(self.node(), configuration, typed);
                Pred::new(sql::Expr::binary(words, sql::Operator::MatchesSearch, search))
            }

            /// How well the words of the text fit what somebody typed, for the order of results.
            pub fn search_rank(self, configuration: &str, typed: &str) -> Expr<$scope, $ty::Like<f32>> {
                let (words, search) = searched(self.node(), configuration, typed);
                Expr::call_of("ts_rank", vec![words, search])
            }
        }

        impl<$scope: $bound, $ty, U $(, $kind)?> $name<$scope, $ty $(, $kind)?>
        where
            $ty: ColumnType<Value = Vec<U>>,
            U: IntoValue,
        {
            /// The array has all of these elements.
            pub fn has_all<V: Operand<U>>(self, elements: impl IntoIterator<Item = V>) -> Pred<$scope> {
                let elements = sql::Expr::Value(list(elements));
                Pred::new(sql::Expr::binary(self.node(), sql::Operator::Contains, elements))
            }

            /// The array has at least one of these elements.
            pub fn has_any<V: Operand<U>>(self, elements: impl IntoIterator<Item = V>) -> Pred<$scope> {
                let elements = sql::Expr::Value(list(elements));
                Pred::new(sql::Expr::binary(self.node(), sql::Operator::Overlaps, elements))
            }
        }

        impl<$scope: $bound, $ty, U $(, $kind)?> $name<$scope, $ty $(, $kind)?>
        where
            $ty: ColumnType<Value = Range<U>>,
        {
            /// The range includes that value.
            pub fn includes(self, value: impl Operand<U>) -> Pred<$scope>
            where
                U: IntoValue,
            {
                let value = sql::Expr::TypedValue(value.into_operand().into_value());
                Pred::new(sql::Expr::binary(self.node(), sql::Operator::Contains, value))
            }

            /// Both ranges have something in common.
            pub fn overlaps(self, range: Range<U>) -> Pred<$scope>
            where
                Range<U>: IntoValue,
            {
                let range = sql::Expr::Value(range.into_value());
                Pred::new(sql::Expr::binary(self.node(), sql::Operator::Overlaps, range))
            }

            /// As [`overlaps`](Self::overlaps), with another column or expression.
            pub fn overlaps_col<O, R>(self, other: impl Into<Expr<O, R>>) -> Pred<Both<$scope, O>>
            where
                R: ColumnType<Value = Range<U>>,
            {
                let other = other.into().node();
                Pred::new(sql::Expr::binary(self.node(), sql::Operator::Overlaps, other))
            }
        }

        impl<$scope: $bound, $ty, U $(, $kind)?> $name<$scope, $ty $(, $kind)?>
        where
            $ty: ColumnType<Value = Json<U>>,
        {
            /// What a path leads to in the document, as text; NULL where it leads nowhere. The path
            /// travels as a parameter.
            pub fn path_text<P: Into<String>>(
                self,
                path: impl IntoIterator<Item = P>,
            ) -> Expr<$scope, Option<String>> {
                let path: Vec<String> = path.into_iter().map(Into::into).collect();
                let path = sql::Expr::Value(path.into_value());
                Expr::new(sql::Expr::binary(self.node(), sql::Operator::PathText, path))
            }
        }
    };
}

computed!(Col<E, T> where Source);
computed!(Expr<S, T, K> where Sized);

fn binary<S, T, O, U>(
    left: sql::Expr<Value>,
    operator: sql::Operator,
    right: Expr<O, U>,
) -> Expr<S, T> {
    Expr::new(sql::Expr::binary(left, operator, right.node()))
}

/// The words of a text, and what is searched in them.
fn searched(
    text: sql::Expr<Value>,
    configuration: &str,
    typed: &str,
) -> (sql::Expr<Value>, sql::Expr<Value>) {
    let configuration = || {
        let name = sql::Expr::TypedValue(configuration.into_value());
        sql::TypeName::parse("regconfig").map_or_else(sql::Expr::Invalid, |ty| name.cast(ty))
    };
    let typed = sql::Expr::TypedValue(typed.into_value());
    let call = |name, arguments| super::expression::call(name, arguments).into();
    (
        call("to_tsvector", vec![configuration(), text]),
        call("websearch_to_tsquery", vec![configuration(), typed]),
    )
}
