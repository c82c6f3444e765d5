//! Which types of columns take NULL, told by types: what typed queries are checked by.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use crate::types::{
    Array, Bit, Circle, Date, Foreign, Inet, Interval, Json, Line, LineSegment, MacAddr, MacAddr8,
    Money, Multirange, Numeric, Path, PgBox, PgLsn, Point, Polygon, Range, Raw, Time, TimeTz,
    Timestamp, TimestampTz, Vector,
};

/// A type of values, none of which is NULL: every type of a column but `Option`.
///
/// `#[derive(Decode)]` implements it. It has no methods, so for a type whose `Decode` is written by
/// hand it is one line: `impl NotNull for Email {}`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no type of a column",
    label = "no value of a column has this type",
    note = "derive `Decode` and `Encode` for it; if they are written by hand, add: impl \
            aquifer::types::NotNull for {Self} {{}}",
    note = "only one `Option` stands around a type"
)]
pub trait NotNull {}

/// A type of a column: a [`NotNull`] type, or an `Option` of one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no type of a column",
    label = "no value of a column has this type",
    note = "derive `Decode` and `Encode` for it; if they are written by hand, add: impl \
            aquifer::types::NotNull for {Self} {{}}"
)]
pub trait ColumnType {
    /// The type without NULL: `T` for both `T` and `Option<T>`.
    type Value: NotNull;
    /// The type with NULL: `Option<T>` for both.
    type Nullable;
    /// The type that `U` has when it is computed from this one: with NULL where this is.
    type Like<U: NotNull>: ColumnType<Value = U, Nullable = Option<U>>;
    /// The type of what is computed from this one and another: with NULL where one of both is.
    type Beside<U: ColumnType>: ColumnType;
    /// Whether this is the type with NULL.
    const NULLABLE: bool;
}

impl<T: NotNull> ColumnType for T {
    type Value = T;
    type Nullable = Option<T>;
    type Like<U: NotNull> = U;
    type Beside<U: ColumnType> = U;
    const NULLABLE: bool = false;
}

impl<T: NotNull> ColumnType for Option<T> {
    type Value = T;
    type Nullable = Self;
    type Like<U: NotNull> = Option<U>;
    type Beside<U: ColumnType> = Self;
    const NULLABLE: bool = true;
}

/// A type of points of time.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no point of time",
    label = "only columns of timestamps have this method",
    note = "for a type of your own: impl aquifer::types::Moment for {Self} {{}}"
)]
pub trait Moment: NotNull {}

/// A type of points of time that are the same everywhere: `timestamp with time zone`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no `timestamp with time zone`",
    label = "expected a type such as `SystemTime` or `TimestampTz`",
    note = "for a type of your own: impl aquifer::types::Zoned for {Self} {{}}"
)]
pub trait Zoned: Moment {}

/// A type of days: `date`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no day",
    label = "only columns of type `date` have this method",
    note = "for a type of your own: impl aquifer::types::Day for {Self} {{}}"
)]
pub trait Day: NotNull {}

impl Day for Date {}
impl Zoned for SystemTime {}
impl Zoned for TimestampTz {}

#[cfg(feature = "chrono")]
impl Day for chrono::NaiveDate {}
#[cfg(feature = "chrono")]
impl Zoned for chrono::DateTime<chrono::Utc> {}
#[cfg(feature = "jiff")]
impl Day for jiff::civil::Date {}
#[cfg(feature = "jiff")]
impl Zoned for jiff::Timestamp {}
#[cfg(feature = "time")]
impl Day for time::Date {}
#[cfg(feature = "time")]
impl Zoned for time::OffsetDateTime {}

impl Moment for SystemTime {}
impl Moment for Timestamp {}
impl Moment for TimestampTz {}
#[cfg(feature = "chrono")]
impl Moment for chrono::NaiveDateTime {}
#[cfg(feature = "chrono")]
impl Moment for chrono::DateTime<chrono::Utc> {}
#[cfg(feature = "jiff")]
impl Moment for jiff::Timestamp {}
#[cfg(feature = "jiff")]
impl Moment for jiff::civil::DateTime {}
#[cfg(feature = "time")]
impl Moment for time::OffsetDateTime {}
#[cfg(feature = "time")]
impl Moment for time::PrimitiveDateTime {}

macro_rules! not_null {
    ($($rust:ty),+ $(,)?) => {
        $(impl NotNull for $rust {})+
    };
}

not_null!(
    (),
    bool,
    char,
    String,
    Bytes,
    IpAddr,
    SystemTime,
    i8,
    i16,
    i32,
    i64,
    i128,
    isize,
    u8,
    u16,
    u32,
    u64,
    u128,
    usize,
    f32,
    f64,
    Bit,
    Circle,
    Date,
    Inet,
    Interval,
    Line,
    LineSegment,
    MacAddr,
    MacAddr8,
    Money,
    Numeric,
    Path,
    PgBox,
    PgLsn,
    Point,
    Polygon,
    Raw,
    Time,
    TimeTz,
    Timestamp,
    TimestampTz,
    Vector,
    serde_json::Value,
    Box<str>,
    Arc<str>,
);

#[cfg(feature = "chrono")]
not_null!(
    chrono::NaiveDate,
    chrono::NaiveDateTime,
    chrono::NaiveTime,
    chrono::DateTime<chrono::FixedOffset>,
    chrono::DateTime<chrono::Local>,
    chrono::DateTime<chrono::Utc>,
);
#[cfg(feature = "decimal")]
not_null!(rust_decimal::Decimal);
#[cfg(feature = "jiff")]
not_null!(
    jiff::civil::Date,
    jiff::civil::DateTime,
    jiff::civil::Time,
    jiff::Timestamp
);
#[cfg(feature = "time")]
not_null!(
    time::Date,
    time::OffsetDateTime,
    time::PrimitiveDateTime,
    time::Time
);
#[cfg(feature = "uuid")]
not_null!(uuid::Uuid);

impl<T> NotNull for Array<T> {}
impl<T> NotNull for Vec<T> {}
impl<T> NotNull for Box<[T]> {}
impl<T, const N: usize> NotNull for [T; N] {}
impl<T> NotNull for Json<T> {}
impl<T> NotNull for Foreign<T> {}
impl<T> NotNull for Range<T> {}
impl<T> NotNull for Multirange<T> {}
impl<T: NotNull> NotNull for Box<T> {}
impl<T: NotNull> NotNull for Arc<T> {}
impl<T: ToOwned + ?Sized> NotNull for Cow<'_, T> {}
impl<S> NotNull for HashMap<String, Option<String>, S> {}
impl NotNull for BTreeMap<String, Option<String>> {}

macro_rules! tuples {
    ($(($($value:ident),+))+) => {
        $(impl<$($value),+> NotNull for ($($value,)+) {})+
    };
}

tuples! {
    (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F) (A, B, C, D, E, F, G)
    (A, B, C, D, E, F, G, H)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_takes_null_and_its_value_does_not() {
        fn both<T: ColumnType>() -> (bool, &'static str, &'static str) {
            let name = std::any::type_name::<T::Value>();
            (T::NULLABLE, name, std::any::type_name::<T::Nullable>())
        }
        assert_eq!(both::<i64>(), (false, "i64", "core::option::Option<i64>"));
        assert_eq!(
            both::<Option<i64>>(),
            (true, "i64", "core::option::Option<i64>")
        );
    }
}
