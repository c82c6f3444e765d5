//! Types with a text form, against what PostgreSQL prints and sends.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use super::fixtures::{Fixture, PRINTED};
use super::{encode, hex};
use crate::types::{
    Array, Bit, Date, Decode, Encode, Inet, Interval, MacAddr, MacAddr8, Numeric, ParseError,
    PgLsn, Range, Time, TimeTz, Timestamp, TimestampTz, Type,
};

/// The server sets bits on the wire that it ignores when it reads them.
fn ignored_bits(ty: &Type, wire: &mut [u8]) {
    match *ty {
        // Whether the address is a cidr.
        Type::CIDR => wire[2] = 0,
        // The scale of an infinity.
        Type::NUMERIC if wire.len() == 8 && wire[4] >= 0xD0 => wire[7] = 0,
        _ => {}
    }
}

fn check<T>(Fixture { ty, text, wire }: &Fixture, print: impl Fn(&T) -> String)
where
    T: FromStr<Err = ParseError> + Encode + for<'a> Decode<'a> + PartialEq + Debug,
{
    let mut wire = hex(wire);
    let decoded = T::decode(ty, &wire).unwrap();
    assert_eq!(print(&decoded), *text, "printing {ty}");
    let parsed: T = text.parse().unwrap();
    assert_eq!(parsed, decoded, "reading {ty} from {text}");
    ignored_bits(ty, &mut wire);
    assert_eq!(encode(&parsed, ty), wire, "sending {ty} {text}");
}

fn plain<T: Display>(value: &T) -> String {
    value.to_string()
}

#[test]
fn each_type_prints_reads_and_sends_what_the_server_does() {
    for fixture in PRINTED {
        match fixture.ty {
            Type::BIT | Type::VARBIT => check::<Bit>(fixture, plain),
            Type::CIDR => check::<Inet>(fixture, |network| format!("{network:#}")),
            Type::DATE => check::<Date>(fixture, plain),
            Type::INET => check::<Inet>(fixture, plain),
            Type::INTERVAL => check::<Interval>(fixture, plain),
            Type::MACADDR => check::<MacAddr>(fixture, plain),
            Type::MACADDR8 => check::<MacAddr8>(fixture, plain),
            Type::NUMERIC => check::<Numeric>(fixture, plain),
            Type::PG_LSN => check::<PgLsn>(fixture, plain),
            Type::TIME => check::<Time>(fixture, plain),
            Type::TIMETZ => check::<TimeTz>(fixture, plain),
            Type::TIMESTAMP => check::<Timestamp>(fixture, plain),
            Type::TIMESTAMPTZ => check::<TimestampTz>(fixture, plain),
            Type::UUID => {}
            _ => panic!("{} has no Rust type of its own", fixture.ty),
        }
    }
}

#[test]
fn text_is_sent_as_and_read_from_each_of_these_types() {
    for Fixture { ty, text, wire } in PRINTED {
        let mut wire = hex(wire);
        assert_eq!(String::decode(ty, &wire).unwrap(), *text, "{ty}");
        ignored_bits(ty, &mut wire);
        assert_eq!(encode(text, ty), wire, "{ty} {text}");
    }
}

#[test]
fn text_that_the_session_would_have_to_interpret_is_refused_with_a_remedy() {
    let refused = [
        (Type::DATE, "01/02/2024"),
        (Type::DATE, "24-01-02"),
        (Type::DATE, "2024-02-30"),
        (Type::DATE, "today"),
        (Type::TIMESTAMPTZ, "2024-01-02 03:04:05"),
        (Type::TIMESTAMP, "2024-01-02 03:04:05+01"),
        (Type::TIMESTAMP, "2024-01-02 03:04:05.1234567"),
        (Type::TIME, "24:00:00.000001"),
        (Type::NUMERIC, "1,5"),
        (Type::NUMERIC, "1e131072"),
        (Type::NUMERIC, "1e-16384"),
        (Type::NUMERIC, "0e-16384"),
        (Type::NUMERIC, "."),
        (Type::NUMERIC, "-"),
        (Type::NUMERIC, ""),
        (Type::INTERVAL, "1.5 days"),
        (Type::INTERVAL, "P"),
        (Type::INTERVAL, "P1YT"),
        (Type::INTERVAL, "3000000000 days"),
        (Type::INET, "10.0.0.0/33"),
        (Type::INET, "10.0.0.0/+8"),
        (Type::UUID, "b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1"),
        (Type::MACADDR, "08:00:2b:01:ff"),
        (Type::BIT, "102"),
        (Type::PG_LSN, "FFFFFFFFF/0"),
    ];
    for (ty, text) in refused {
        let error = super::try_encode(&text, &ty).unwrap_err().to_string();
        assert!(
            error.contains(&format!("$1::text::{ty}")),
            "{text}: {error}"
        );
        assert!(text.len() < 4 || !error.contains(text), "{error}");
    }
}

#[test]
fn other_spellings_that_have_one_meaning_are_read() {
    let same = |text: &str, other: &str, ty: Type| {
        assert_eq!(encode(&text, &ty), encode(&other, &ty), "{text} as {ty}");
    };
    same(
        "2024-01-02T03:04:05Z",
        "2024-01-02 03:04:05+00",
        Type::TIMESTAMPTZ,
    );
    same(
        "2024-01-02 03:04:05+0530",
        "2024-01-01 21:34:05+00",
        Type::TIMESTAMPTZ,
    );
    same(
        "2024-01-02 03:04+00:00:01",
        "2024-01-02 03:03:59+00",
        Type::TIMESTAMPTZ,
    );
    same(
        "2024-01-02 24:00:00",
        "2024-01-03 00:00:00",
        Type::TIMESTAMP,
    );
    same("+1.50E+1", "15.0", Type::NUMERIC);
    same(".5", "0.5", Type::NUMERIC);
    same("5.", "5", Type::NUMERIC);
    same("inf", "Infinity", Type::NUMERIC);
    same("000000000000000000012", "12", Type::NUMERIC);
    same(
        "P1Y2M3W4DT5H6M7.5S",
        "14 mons 25 days 05:06:07.5",
        Type::INTERVAL,
    );
    same("P-1M-0D", "-1 mons", Type::INTERVAL);
    same("PT-0.000001S", "-00:00:00.000001", Type::INTERVAL);
    same(
        "2 weeks 3 hours 1 minute 0.5 seconds",
        "14 days 03:01:00.5",
        Type::INTERVAL,
    );
    same(
        "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}",
        "a0eebc999c0b4ef8bb6d6bb9bd380a11",
        Type::UUID,
    );
    same("08-00-2B-01-02-03", "08:00:2b:01:02:03", Type::MACADDR);
}

/// PostgreSQL 17 took the greatest and the least interval for its infinities.
#[test]
fn infinite_intervals_are_the_extremes() {
    let infinity: Interval = "infinity".parse().unwrap();
    assert_eq!(
        encode(&infinity, &Type::INTERVAL),
        hex("7fffffffffffffff7fffffff7fffffff")
    );
    let negative = encode(&"-infinity", &Type::INTERVAL);
    assert_eq!(negative, hex("80000000000000008000000080000000"));
    assert_eq!(
        String::decode(&Type::INTERVAL, &negative).unwrap(),
        "-infinity"
    );
}

#[test]
fn serde_carries_the_same_text() {
    let moment: TimestampTz = "2024-02-29 12:34:56.789+00".parse().unwrap();
    let json = serde_json::to_string(&moment).unwrap();
    assert_eq!(json, "\"2024-02-29 12:34:56.789+00\"");
    assert_eq!(serde_json::from_str::<TimestampTz>(&json).unwrap(), moment);
    let array: Array<Option<i32>> = serde_json::from_str(
        r#"{"dimensions":[{"length":2,"lower_bound":0}],"elements":[1,null]}"#,
    )
    .unwrap();
    assert_eq!(
        serde_json::from_value::<Array<_>>(serde_json::json!(array)).unwrap(),
        array
    );
    let short = r#"{"dimensions":[{"length":2,"lower_bound":0}],"elements":[1]}"#;
    assert!(serde_json::from_str::<Array<i32>>(short).is_err());
    let range = Range::from(1..5);
    assert_eq!(
        serde_json::from_value::<Range<i32>>(serde_json::json!(range)).unwrap(),
        range
    );
    let error = serde_json::from_str::<Numeric>("\"secret\"").unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
}
