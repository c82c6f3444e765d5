//! Documents that the server puts together.

use std::fmt;
use std::marker::PhantomData;

use aquifer_wire::types::{ColumnType, IntoValue, Json, Value};

use super::expression::call;
use super::{Aggregate, Anywhere, Both, Col, Expr, Source, Steady, sql};

/// A document of columns and expressions, begun by [`json_object`]; what it is read into is said at its
/// end. `S` are the tables whose columns it names.
#[must_use = "a document does nothing by itself: say what it is read into, and select it"]
pub struct JsonObject<S> {
    arguments: Vec<sql::Expr<Value>>,
    scope: PhantomData<fn() -> S>,
}

/// A document without members yet: `jsonb_build_object`.
///
/// ```
/// # use aquifer::entity::*;
/// # use aquifer::types::Json;
/// # #[derive(Entity)] #[entity(table = "orders")]
/// # struct Order { #[entity(key)] id: i64, status: String }
/// # #[derive(Entity)] #[entity(table = "lines", key(order_id, number))]
/// # struct Line { #[entity(belongs_to = Order::ID)] order_id: i64, number: i32, product: String }
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Piece {
///     number: i32,
///     product: String,
/// }
///
/// let piece = json_object().member("number", Line::NUMBER).member("product", Line::PRODUCT);
/// let orders = Order::query()
///     .join(Line::on(Line::ORDER_ID, Order::ID))
///     .group_by((Order::ID,))
///     .select((Order::ID, piece.jsonb_agg::<Piece>().ordered(Line::NUMBER.asc())));
/// // (i64, Option<Json<Vec<Piece>>>)
/// ```
pub fn json_object() -> JsonObject<Anywhere> {
    JsonObject {
        arguments: Vec::new(),
        scope: PhantomData,
    }
}

/// Documents of many rows.
type Documents<S, T> = Expr<Steady<S>, Option<Json<Vec<T>>>, Aggregate>;

impl<S> JsonObject<S> {
    /// Adds a member.
    pub fn member<O, T>(
        mut self,
        name: &str,
        value: impl Into<Expr<O, T>>,
    ) -> JsonObject<Both<S, O>> {
        self.arguments
            .push(sql::Expr::TypedValue(name.into_value()));
        self.arguments.push(value.into().node());
        JsonObject {
            arguments: self.arguments,
            scope: PhantomData,
        }
    }

    /// The document, to be read into that type through serde; `serde_json::Value` takes any. It is never
    /// NULL, though its members may be.
    pub fn read_as<T>(self) -> Expr<Steady<S>, Json<T>> {
        Expr::new(self.node())
    }

    /// The documents of all rows as one list, each to be read into that type; NULL where there is no
    /// row. [`ordered`](Expr::ordered) says in which order.
    pub fn jsonb_agg<T>(self) -> Documents<S, T> {
        Expr::call("jsonb_agg", self.node())
    }

    fn node(self) -> sql::Expr<Value> {
        call("jsonb_build_object", self.arguments).into()
    }
}

/// Written once for columns and expressions.
macro_rules! aggregates {
    ($name:ident<$scope:ident, $ty:ident $(, $kind:ident)?> where $bound:path) => {
        impl<$scope: $bound, $ty: ColumnType $(, $kind)?> $name<$scope, $ty $(, $kind)?> {
            /// All values as one document, a list that is read through serde; NULL where there is no
            /// row. Of the columns of a left join name those that count by
            /// [`filter`](Expr::filter): rows that were not found are `null` in the list.
            pub fn jsonb_agg(self) -> Expr<Steady<$scope>, Option<Json<Vec<$ty>>>, Aggregate> {
                Expr::call("jsonb_agg", self.node())
            }
        }
    };
}

aggregates!(Col<E, T> where Source);
aggregates!(Expr<S, T, K> where Sized);

impl<S> fmt::Debug for JsonObject<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values stay out.
        formatter.debug_struct("JsonObject").finish_non_exhaustive()
    }
}
