//! How values of the types of ours are made up.

use std::net::IpAddr;
use std::ops::Bound;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::types::{
    Array, Bit, Date, Dimension, Inet, Interval, Multirange, Numeric, Point, Range, Time, TimeTz,
    Timestamp, TimestampTz,
};

pub(super) fn numeric() -> impl Strategy<Value = Numeric> {
    prop_oneof![
        1 => Just(Numeric::NAN),
        1 => Just(Numeric::INFINITY),
        1 => Just(Numeric::NEG_INFINITY),
        2 => any::<f64>().prop_map(Numeric::from),
        6 => numeric_text().prop_map(|text| text.parse().unwrap()),
        6 => (any::<i128>(), 0_u16..60)
            .prop_map(|(mantissa, scale)| Numeric::with_scale(mantissa, scale).unwrap()),
    ]
}

/// Finite numbers as PostgreSQL prints them, but for a negative zero.
pub(super) fn numeric_text() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,40})?"
}

pub(super) fn date() -> impl Strategy<Value = Date> {
    prop_oneof![
        1 => Just(Date::INFINITY),
        1 => Just(Date::NEG_INFINITY),
        1 => Just(Date::MIN),
        1 => Just(Date::MAX),
        8 => (Date::MIN.days()..=Date::MAX.days()).prop_map(|days| Date::from_days(days).unwrap()),
        8 => (-800_000..800_000).prop_map(|days| Date::from_days(days).unwrap()),
    ]
}

pub(super) fn time() -> impl Strategy<Value = Time> {
    prop_oneof![
        1 => Just(Time::END_OF_DAY),
        8 => (0..86_400_000_000_i64).prop_map(|value| Time::from_microseconds(value).unwrap()),
    ]
}

pub(super) fn time_tz() -> impl Strategy<Value = TimeTz> {
    (time(), -57_599..57_600).prop_map(|(time, offset)| TimeTz::new(time, offset).unwrap())
}

fn microseconds() -> impl Strategy<Value = i64> {
    prop_oneof![
        1 => Just(i64::MIN),
        1 => Just(i64::MAX),
        8 => Timestamp::MIN.microseconds()..=Timestamp::MAX.microseconds(),
        8 => -2_000_000_000_000_000..2_000_000_000_000_000_i64,
    ]
}

pub(super) fn timestamp() -> impl Strategy<Value = Timestamp> {
    microseconds().prop_map(|value| Timestamp::from_microseconds(value).unwrap())
}

pub(super) fn timestamp_tz() -> impl Strategy<Value = TimestampTz> {
    microseconds().prop_map(|value| TimestampTz::from_microseconds(value).unwrap())
}

pub(super) fn interval() -> impl Strategy<Value = Interval> {
    let sparse = prop_oneof![Just(0), any::<i64>(), -100_000_000..100_000_000_i64];
    (any::<i32>(), any::<Option<i32>>(), sparse).prop_map(|(months, days, microseconds)| Interval {
        months,
        days: days.unwrap_or_default(),
        microseconds,
    })
}

pub(super) fn inet() -> impl Strategy<Value = Inet> {
    any::<(IpAddr, u8)>().prop_map(|(address, prefix)| {
        Inet::new(address, prefix).unwrap_or_else(|| Inet::from(address))
    })
}

pub(super) fn bit() -> impl Strategy<Value = Bit> {
    (vec(any::<u8>(), 0..20), 0_usize..8).prop_map(|(bytes, spare)| {
        let length = (bytes.len() * 8).saturating_sub(spare);
        Bit::from_bytes(length, bytes).unwrap()
    })
}

pub(super) fn points() -> impl Strategy<Value = Vec<Point>> {
    vec(any::<(f64, f64)>().prop_map(|(x, y)| Point { x, y }), 0..5)
}

fn bound<T: std::fmt::Debug + Clone>(
    value: impl Strategy<Value = T> + Clone + 'static,
) -> impl Strategy<Value = Bound<T>> {
    prop_oneof![
        Just(Bound::Unbounded),
        value.clone().prop_map(Bound::Included),
        value.prop_map(Bound::Excluded),
    ]
}

pub(super) fn range<T: std::fmt::Debug + Clone + 'static>(
    value: impl Strategy<Value = T> + Clone + 'static,
) -> impl Strategy<Value = Range<T>> {
    prop_oneof![
        1 => Just(Range::Empty),
        6 => (bound(value.clone()), bound(value))
            .prop_map(|(lower, upper)| Range::new(lower, upper)),
    ]
}

pub(super) fn multirange() -> impl Strategy<Value = Multirange<i64>> {
    vec(range(any::<i64>()), 0..5).prop_map(Multirange)
}

pub(super) fn array() -> impl Strategy<Value = Array<Option<i32>>> {
    vec((1_u32..4, any::<i32>()), 1..=4).prop_flat_map(|dimensions| {
        let dimensions: Vec<Dimension> = dimensions
            .into_iter()
            .map(|(length, lower_bound)| Dimension {
                length,
                lower_bound,
            })
            .collect();
        let count: u32 = dimensions
            .iter()
            .map(|dimension| dimension.length)
            .product();
        vec(any::<Option<i32>>(), count as usize)
            .prop_map(move |elements| Array::new(dimensions.clone(), elements).unwrap())
    })
}
