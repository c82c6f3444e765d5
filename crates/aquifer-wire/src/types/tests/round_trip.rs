//! What is sent comes back the same.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use proptest::collection::vec;
use proptest::prelude::*;

use super::strategies as make;
use super::{back, cases, custom, domain};
use crate::types::{
    Circle, Date, Inet, Json, Kind, Line, LineSegment, MacAddr, MacAddr8, Money, Numeric, Path,
    PgBox, PgLsn, Point, Polygon, Range, Time, Timestamp, TimestampTz, Type, Vector,
};

/// Each value comes back through the type, and through a domain over a domain over it.
macro_rules! comes_back {
    ($($name:ident: $value:expr => $ty:expr;)+) => {
        proptest! {
            #![proptest_config(cases())]
            $(
                #[test]
                fn $name(value in $value) {
                    let ty: Type = $ty;
                    prop_assert_eq!(&back(&value, &ty).unwrap(), &value);
                    let raw = super::encode(&value, &ty);
                    let nested = domain(domain(ty));
                    let mut out = bytes::BytesMut::new();
                    crate::types::encode::encode_value(&value, &nested, &mut out).unwrap();
                    prop_assert_eq!(&out[4..], &raw[..]);
                    let read = crate::types::Decode::decode_nullable(&nested, Some(&raw));
                    let read: Result<_, _> = read;
                    prop_assert_eq!(same(&value, read.unwrap()), value);
                }
            )+
        }
    };
}

/// Ties the type of what was read to that of the value.
fn same<T>(_value: &T, read: T) -> T {
    read
}

comes_back! {
    bools: any::<bool>() => Type::BOOL;
    smallints: any::<i16>() => Type::INT2;
    ints: any::<i32>() => Type::INT4;
    bigints: any::<i64>() => Type::INT8;
    oids: any::<u32>() => Type::OID;
    transaction_ids: any::<u64>() => Type::XID8;
    internal_chars: any::<i8>() => Type::CHAR;
    bytes_as_internal_chars: any::<u8>() => Type::CHAR;
    text: "[^\\x00]{0,40}" => Type::TEXT;
    json_binary_text: "[^\\x00]{0,40}" => Type::JSONB;
    tree_labels: "[a-z.]{0,40}" => custom("ltree", Kind::Simple);
    case_insensitive_text: "[^\\x00]{0,40}" => custom("citext", Kind::Simple);
    characters: any::<char>().prop_filter("NUL", |value| *value != '\0') => Type::BPCHAR;
    byte_strings: vec(any::<u8>(), 0..100) => Type::BYTEA;
    numerics: make::numeric() => Type::NUMERIC;
    whole_numerics: any::<i64>() => Type::NUMERIC;
    large_numerics: any::<u64>() => Type::NUMERIC;
    dates: make::date() => Type::DATE;
    times: make::time() => Type::TIME;
    zoned_times: make::time_tz() => Type::TIMETZ;
    timestamps: make::timestamp() => Type::TIMESTAMP;
    moments: make::timestamp_tz() => Type::TIMESTAMPTZ;
    intervals: make::interval() => Type::INTERVAL;
    addresses: make::inet() => Type::INET;
    networks: make::inet() => Type::CIDR;
    hosts: any::<std::net::IpAddr>() => Type::INET;
    hardware_addresses: any::<[u8; 6]>().prop_map(MacAddr) => Type::MACADDR;
    long_hardware_addresses: any::<[u8; 8]>().prop_map(MacAddr8) => Type::MACADDR8;
    bits: make::bit() => Type::BIT;
    varying_bits: make::bit() => Type::VARBIT;
    log_positions: any::<u64>().prop_map(PgLsn) => Type::PG_LSN;
    money: any::<i64>().prop_map(Money) => Type::MONEY;
    points: any::<(f64, f64)>().prop_map(|(x, y)| Point { x, y }) => Type::POINT;
    lines: any::<(f64, f64, f64)>().prop_map(|(a, b, c)| Line { a, b, c }) => Type::LINE;
    segments: segment() => Type::LSEG;
    rectangles: segment().prop_map(|LineSegment { start, end }| PgBox {
        upper_right: start,
        lower_left: end,
    }) => Type::BOX;
    paths: (any::<bool>(), make::points())
        .prop_map(|(closed, points)| Path { closed, points }) => Type::PATH;
    polygons: make::points().prop_map(|points| Polygon { points }) => Type::POLYGON;
    circles: any::<(f64, f64, f64)>().prop_map(|(x, y, radius)| Circle {
        center: Point { x, y },
        radius,
    }) => Type::CIRCLE;
    vectors: vec(any::<f32>(), 0..50).prop_map(Vector) => custom("vector", Kind::Simple);
    lists: vec(any::<i32>(), 0..20) => Type::INT4_ARRAY;
    lists_with_null: vec(any::<Option<String>>().prop_map(without_nul), 0..20) => Type::TEXT_ARRAY;
    lists_of_byte_strings: vec(vec(any::<u8>(), 0..9), 0..9) => Type::BYTEA_ARRAY;
    bytes_as_numbers: vec(any::<u8>(), 0..20) => Type::INT2_ARRAY;
    arrays: make::array() => Type::INT4_ARRAY;
    number_ranges: make::range(any::<i32>()) => Type::INT4_RANGE;
    numeric_ranges: make::range(make::numeric().boxed()) => Type::NUM_RANGE;
    timestamp_ranges: make::range(make::timestamp().boxed()) => Type::TS_RANGE;
    multiranges: make::multirange() => Type::INT8MULTI_RANGE;
    lists_of_ranges: vec(make::range(any::<i64>()), 0..5) => Type::INT8_RANGE_ARRAY;
    maps: pairs::<BTreeMap<_, _>>() => custom("hstore", Kind::Simple);
    hash_maps: pairs::<HashMap<_, _>>() => custom("hstore", Kind::Simple);
    json: json_value() => Type::JSON;
    json_binary: json_value() => Type::JSONB;
    json_of_a_type: vec(any::<Option<u64>>(), 0..5).prop_map(Json) => Type::JSONB;
}

fn segment() -> impl Strategy<Value = LineSegment> {
    any::<[f64; 4]>().prop_map(|[x, y, to_x, to_y]| LineSegment {
        start: Point { x, y },
        end: Point { x: to_x, y: to_y },
    })
}

fn without_nul(text: Option<String>) -> Option<String> {
    text.map(|text| text.replace('\0', ""))
}

fn pairs<T: FromIterator<(String, Option<String>)> + std::fmt::Debug>() -> impl Strategy<Value = T>
{
    vec(any::<(String, Option<String>)>(), 0..9).prop_map(|pairs| {
        pairs
            .into_iter()
            .map(|(key, value)| (key.replace('\0', ""), without_nul(value)))
            .collect()
    })
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        ".{0,9}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::hash_map(".{0,5}", inner, 0..4)
                .prop_map(|pairs| pairs.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn floats_keep_every_bit(narrow in any::<u32>(), wide in any::<u64>()) {
        let (narrow, wide) = (f32::from_bits(narrow), f64::from_bits(wide));
        prop_assert_eq!(back(&narrow, &Type::FLOAT4).unwrap().to_bits(), narrow.to_bits());
        prop_assert_eq!(back(&wide, &Type::FLOAT8).unwrap().to_bits(), wide.to_bits());
    }

    #[test]
    fn each_text_form_reads_back(
        numeric in make::numeric(),
        date in make::date(),
        (time, zoned) in (make::time(), make::time_tz()),
        (timestamp, moment) in (make::timestamp(), make::timestamp_tz()),
        (interval, inet, bit) in (make::interval(), make::inet(), make::bit()),
    ) {
        let read = numeric.to_string().parse::<Numeric>().unwrap();
        prop_assert_eq!((&read, read.scale()), (&numeric, numeric.scale()));
        prop_assert_eq!(date.to_string().parse(), Ok(date));
        prop_assert_eq!(time.to_string().parse(), Ok(time));
        prop_assert_eq!(zoned.to_string().parse(), Ok(zoned));
        prop_assert_eq!(timestamp.to_string().parse(), Ok(timestamp));
        prop_assert_eq!(moment.to_string().parse(), Ok(moment));
        prop_assert_eq!(interval.to_string().parse(), Ok(interval));
        prop_assert_eq!(format!("{interval:#}").parse(), Ok(interval));
        prop_assert_eq!(inet.to_string().parse(), Ok(inet));
        prop_assert_eq!(format!("{inet:#}").parse(), Ok(inet));
        prop_assert_eq!(bit.to_string().parse(), Ok(bit));
    }

    #[test]
    fn numeric_prints_the_digits_it_was_given(text in make::numeric_text()) {
        let number: Numeric = text.parse().unwrap();
        let expected = match number.is_zero() {
            true => text.trim_start_matches('-'),
            false => &text,
        };
        prop_assert_eq!(number.to_string(), expected);
        prop_assert_eq!(back(&number, &Type::NUMERIC).unwrap().to_string(), expected);
    }

    #[test]
    fn days_and_calendar_agree(days in Date::MIN.days()..=Date::MAX.days()) {
        let date = Date::from_days(days).unwrap();
        let (year, month, day) = date.year_month_day().unwrap();
        prop_assert_eq!(Date::from_year_month_day(year, month, day), Some(date));
        if days > Date::MIN.days() {
            let before = Date::from_days(days - 1).unwrap().year_month_day().unwrap();
            prop_assert!(before < (year, month, day));
        }
    }

    #[test]
    fn timestamps_are_a_day_and_a_time(date in make::date(), time in make::time()) {
        let timestamp = Timestamp::new(date, time);
        if let Some(timestamp) = timestamp.filter(|_| time != Time::END_OF_DAY) {
            prop_assert_eq!(timestamp.date(), Some(date));
            prop_assert_eq!(timestamp.time(), Some(time));
        }
    }

    #[test]
    fn system_time_keeps_microseconds(nanoseconds in any::<u64>(), before in any::<bool>()) {
        let distance = Duration::from_nanos(nanoseconds);
        let time = match before {
            true => SystemTime::UNIX_EPOCH - distance,
            false => SystemTime::UNIX_EPOCH + distance,
        };
        let read = back(&time, &Type::TIMESTAMPTZ).unwrap();
        let lost = time.duration_since(read).expect("rounded down");
        prop_assert!(lost < Duration::from_micros(1));
        prop_assert_eq!(back(&read, &Type::TIMESTAMPTZ).unwrap(), read);
    }
}

#[test]
fn infinite_moments_have_no_system_time() {
    for moment in [TimestampTz::INFINITY, TimestampTz::NEG_INFINITY] {
        assert!(SystemTime::try_from(moment).is_err());
    }
    assert!(TimestampTz::try_from(SystemTime::UNIX_EPOCH).is_ok());
}

#[test]
fn a_host_address_is_read_only_without_a_prefix() {
    let network: Inet = "10.0.0.1/8".parse().unwrap();
    let raw = super::encode(&network, &Type::INET);
    let error = <std::net::IpAddr as crate::types::Decode<'_>>::decode(&Type::INET, &raw);
    assert!(error.unwrap_err().to_string().contains("use Inet"));
}

#[test]
fn ranges_of_std_convert() {
    assert_eq!(
        Range::from(..),
        Range::<i32>::new(std::ops::Bound::Unbounded, std::ops::Bound::Unbounded)
    );
    assert!(Range::from(1..=5).contains(&5));
    assert!(!Range::from(1..5).contains(&5));
    assert!(Range::from(..5).contains(&i32::MIN));
    assert!(Range::from(3..).contains(&3));
    assert!(Range::from(..=3).contains(&3));
    assert!(!Range::Empty.contains(&3));
}
