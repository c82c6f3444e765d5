use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use serde::Serialize;

use super::{Inner, Value};
use crate::types::{
    Array, Bit, Circle, Date, Encode, Foreign, Inet, Interval, Json, Line, LineSegment, MacAddr,
    MacAddr8, Money, Multirange, Numeric, Path, PgBox, PgLsn, Point, Polygon, Range, Raw, Time,
    TimeTz, Timestamp, TimestampTz, Vector,
};

/// What can be a value of a statement that is built at run time.
///
/// Types that derive [`Encode`](crate::types::Encode) have it, unless they are generic.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a value of a query",
    note = "derive `Encode` for it; for a generic or foreign type that has `Encode` write `Value::new(…)`"
)]
pub trait IntoValue: Sized {
    /// The value.
    fn into_value(self) -> Value;

    /// A list of such values: by default one array.
    fn list_into_value(list: Vec<Self>) -> Value {
        Value(Inner::List(
            list.into_iter().map(Self::into_value).collect(),
        ))
    }
}

impl IntoValue for Value {
    #[inline]
    fn into_value(self) -> Value {
        self
    }
}

macro_rules! plain {
    ($($rust:ty => $variant:ident),+) => {$(
        impl IntoValue for $rust {
            #[inline]
            fn into_value(self) -> Value {
                Value(Inner::$variant(self.into()))
            }
        }
    )+};
}

plain! { bool => Bool, i16 => I16, i32 => I32, i64 => I64, f64 => F64 }
plain! { String => Text, Cow<'static, str> => Text }

macro_rules! other {
    ($($rust:ty => $sql:expr),+ $(,)?) => {$(
        impl IntoValue for $rust {
            fn into_value(self) -> Value {
                Value::typed(self, $sql)
            }
        }
    )+};
}

other! {
    i8 => None, u16 => Some("int4"), u32 => Some("int8"), u64 => Some("numeric"),
    isize => Some("int8"), usize => Some("int8"), f32 => Some("float4"),
    Numeric => Some("numeric"), Bytes => Some("bytea"), IpAddr => Some("inet"),
    SystemTime => Some("timestamptz"), Timestamp => Some("timestamp"), TimestampTz => Some("timestamptz"),
    Date => Some("date"), Time => Some("time"), TimeTz => Some("timetz"), Interval => Some("interval"),
    serde_json::Value => Some("jsonb"), Inet => None, MacAddr => Some("macaddr"),
    MacAddr8 => Some("macaddr8"), Money => Some("money"), PgLsn => Some("pg_lsn"), Bit => None,
    Point => Some("point"), Line => Some("line"), LineSegment => Some("lseg"), PgBox => Some("box"),
    Path => Some("path"), Polygon => Some("polygon"), Circle => Some("circle"), Raw => None,
    Vector => None, BTreeMap<String, Option<String>> => None,
}

#[cfg(feature = "uuid")]
other! { uuid::Uuid => Some("uuid") }
#[cfg(feature = "decimal")]
other! { rust_decimal::Decimal => Some("numeric") }
#[cfg(feature = "chrono")]
other! {
    chrono::NaiveDate => Some("date"), chrono::NaiveTime => Some("time"),
    chrono::NaiveDateTime => Some("timestamp"), chrono::DateTime<chrono::Utc> => Some("timestamptz"),
    chrono::DateTime<chrono::FixedOffset> => Some("timestamptz"),
    chrono::DateTime<chrono::Local> => Some("timestamptz"),
}
#[cfg(feature = "jiff")]
other! {
    jiff::civil::Date => Some("date"), jiff::civil::Time => Some("time"),
    jiff::civil::DateTime => Some("timestamp"), jiff::Timestamp => Some("timestamptz"),
}
#[cfg(feature = "time")]
other! {
    time::Date => Some("date"), time::Time => Some("time"),
    time::PrimitiveDateTime => Some("timestamp"), time::OffsetDateTime => Some("timestamptz"),
}

/// A number; a list of them is a bytea.
impl IntoValue for u8 {
    fn into_value(self) -> Value {
        i16::from(self).into_value()
    }

    fn list_into_value(list: Vec<Self>) -> Value {
        Value::typed(list, Some("bytea"))
    }
}

impl IntoValue for &str {
    #[inline]
    fn into_value(self) -> Value {
        self.to_owned().into_value()
    }
}

impl IntoValue for char {
    fn into_value(self) -> Value {
        self.to_string().into_value()
    }
}

impl IntoValue for Box<str> {
    fn into_value(self) -> Value {
        String::from(self).into_value()
    }
}

impl IntoValue for Arc<str> {
    fn into_value(self) -> Value {
        Value::typed(self, Some("text"))
    }
}

impl<T: Serialize + Send + Sync + 'static> IntoValue for Json<T> {
    fn into_value(self) -> Value {
        Value::typed(self, Some("jsonb"))
    }
}

impl<T> IntoValue for Range<T>
where
    Self: Encode + Send + Sync + 'static,
{
    fn into_value(self) -> Value {
        Value::typed(self, None)
    }
}

impl<T> IntoValue for Multirange<T>
where
    Self: Encode + Send + Sync + 'static,
{
    fn into_value(self) -> Value {
        Value::typed(self, None)
    }
}

/// A type of another crate is taken for what the server expects.
impl<T> IntoValue for Foreign<T>
where
    Self: Encode + Send + Sync + 'static,
{
    fn into_value(self) -> Value {
        Value::typed(self, None)
    }
}

impl<S: Send + Sync + 'static> IntoValue for HashMap<String, Option<String>, S> {
    fn into_value(self) -> Value {
        Value::typed(self, None)
    }
}

impl<T> IntoValue for Array<T>
where
    Self: Encode + Send + Sync + 'static,
{
    fn into_value(self) -> Value {
        Value::typed(self, None)
    }
}

/// `None` is NULL.
impl<T: IntoValue> IntoValue for Option<T> {
    #[inline]
    fn into_value(self) -> Value {
        self.map_or(Value::NULL, T::into_value)
    }
}

impl<T: IntoValue + Clone> IntoValue for &T {
    #[inline]
    fn into_value(self) -> Value {
        self.clone().into_value()
    }
}

impl<T: IntoValue> IntoValue for Vec<T> {
    fn into_value(self) -> Value {
        T::list_into_value(self)
    }
}

impl<T: IntoValue + Clone> IntoValue for &[T] {
    fn into_value(self) -> Value {
        T::list_into_value(self.to_vec())
    }
}

impl<T: IntoValue, const N: usize> IntoValue for [T; N] {
    fn into_value(self) -> Value {
        T::list_into_value(self.into())
    }
}
