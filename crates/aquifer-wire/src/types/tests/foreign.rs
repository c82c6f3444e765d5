//! Types of other crates.

use crate::types::{Decode, Foreign, Type};

use super::{encode, try_encode};

#[test]
fn a_wrapper_lets_in_what_postgres_types_knows() {
    let lsn = Foreign(postgres_types::PgLsn::from(7));
    let raw = encode(&lsn, &Type::PG_LSN);
    assert_eq!(raw, 7_u64.to_be_bytes());
    let Foreign(read) = Foreign::<postgres_types::PgLsn>::decode(&Type::PG_LSN, &raw).unwrap();
    assert_eq!(read, lsn.0);
    assert!(try_encode(&lsn, &Type::TEXT).is_err());
    let error = Foreign::<postgres_types::PgLsn>::decode(&Type::PG_LSN, &[0]).unwrap_err();
    assert!(std::error::Error::source(&error).is_some());
    assert!(Foreign::<i32>::decode_nullable(&Type::INT4, None).is_err());
    assert_eq!(
        Foreign::<Option<i32>>::decode_nullable(&Type::INT4, None)
            .unwrap()
            .0,
        None
    );
}

#[cfg(any(
    feature = "chrono",
    feature = "decimal",
    feature = "jiff",
    feature = "time"
))]
fn raw(text: &str, ty: &Type) -> Vec<u8> {
    encode(&text, ty)
}

/// Sends and reads the value, and compares with the text that PostgreSQL prints.
#[cfg(any(
    feature = "chrono",
    feature = "decimal",
    feature = "jiff",
    feature = "time",
    feature = "uuid"
))]
fn agrees<T>(value: &T, text: &str, ty: &Type)
where
    T: crate::types::Encode + for<'a> Decode<'a> + PartialEq + std::fmt::Debug,
{
    assert_eq!(encode(value, ty), encode(&text, ty), "{text}");
    assert_eq!(&T::decode(ty, &encode(&text, ty)).unwrap(), value);
}

#[cfg(feature = "uuid")]
#[test]
fn uuid() {
    let text = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    let uuid = uuid::Uuid::from_u128(0xa0ee_bc99_9c0b_4ef8_bb6d_6bb9_bd38_0a11);
    agrees(&uuid, text, &Type::UUID);
    assert!(try_encode(&uuid, &Type::TEXT).is_err());
}

#[cfg(feature = "chrono")]
#[test]
fn chrono() {
    use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};

    let date = NaiveDate::from_ymd_opt(2024, 2, 29).unwrap();
    let time = NaiveTime::from_hms_micro_opt(1, 2, 3, 4).unwrap();
    agrees(&date, "2024-02-29", &Type::DATE);
    agrees(&time, "01:02:03.000004", &Type::TIME);
    agrees(
        &date.and_time(time),
        "2024-02-29 01:02:03.000004",
        &Type::TIMESTAMP,
    );
    agrees(
        &date.and_time(time).and_utc(),
        "2024-02-29 01:02:03.000004+00",
        &Type::TIMESTAMPTZ,
    );
    assert!(NaiveTime::decode(&Type::TIME, &raw("24:00:00", &Type::TIME)).is_err());
    assert!(NaiveDate::decode(&Type::DATE, &raw("infinity", &Type::DATE)).is_err());
    assert!(NaiveDateTime::decode(&Type::TIMESTAMP, &raw("-infinity", &Type::TIMESTAMP)).is_err());
    assert!(DateTime::<Utc>::decode(&Type::TIMESTAMP, &[0; 8]).is_err());
}

#[cfg(feature = "jiff")]
#[test]
fn jiff() {
    use jiff::civil::{Date, Time, date};
    use jiff::{Span, Timestamp};

    use crate::types::Interval;

    agrees(&date(2024, 2, 29), "2024-02-29", &Type::DATE);
    agrees(
        &date(2024, 2, 29).at(1, 2, 3, 4_000),
        "2024-02-29 01:02:03.000004",
        &Type::TIMESTAMP,
    );
    agrees(
        &Timestamp::UNIX_EPOCH,
        "1970-01-01 00:00:00+00",
        &Type::TIMESTAMPTZ,
    );
    assert!(Time::decode(&Type::TIME, &raw("24:00:00", &Type::TIME)).is_err());
    assert!(Date::decode(&Type::DATE, &raw("infinity", &Type::DATE)).is_err());

    let interval: Interval = "1 year 2 mons 3 days 04:05:06.789".parse().unwrap();
    let span = Span::try_from(interval).unwrap();
    assert_eq!(Interval::try_from(span).unwrap(), interval);
    assert!(Span::try_from("1 mon -1 days".parse::<Interval>().unwrap()).is_err());
    assert!(Interval::try_from(Span::new().nanoseconds(1)).is_err());
}

#[cfg(feature = "time")]
#[test]
fn time() {
    use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

    let date = Date::from_calendar_date(2024, Month::February, 29).unwrap();
    let time = Time::from_hms_micro(1, 2, 3, 4).unwrap();
    agrees(&date, "2024-02-29", &Type::DATE);
    agrees(&time, "01:02:03.000004", &Type::TIME);
    agrees(
        &PrimitiveDateTime::new(date, time),
        "2024-02-29 01:02:03.000004",
        &Type::TIMESTAMP,
    );
    agrees(
        &OffsetDateTime::UNIX_EPOCH,
        "1970-01-01 00:00:00+00",
        &Type::TIMESTAMPTZ,
    );
    assert!(Time::decode(&Type::TIME, &raw("24:00:00", &Type::TIME)).is_err());
    assert!(Date::decode(&Type::DATE, &raw("infinity", &Type::DATE)).is_err());
}

#[cfg(feature = "decimal")]
#[test]
fn decimal() {
    use rust_decimal::Decimal;

    for text in [
        "0",
        "12.50",
        "-0.0001",
        "79228162514264337593543950335",
        "0.0000000000000000000000000001",
    ] {
        let decimal: Decimal = text.parse().unwrap();
        agrees(&decimal, text, &Type::NUMERIC);
        let read = Decimal::decode(&Type::NUMERIC, &raw(text, &Type::NUMERIC)).unwrap();
        assert_eq!(read.to_string(), text, "with its scale");
    }
    let zeros = "12345.0000000000000000000000000000000000";
    let read = Decimal::decode(&Type::NUMERIC, &raw(zeros, &Type::NUMERIC)).unwrap();
    assert_eq!(
        read,
        Decimal::from(12_345),
        "zeros at the end are no digits"
    );
    for text in [
        "NaN",
        "Infinity",
        "1e32",
        "79228162514264337593543950336",
        "1e-29",
    ] {
        let error = Decimal::decode(&Type::NUMERIC, &raw(text, &Type::NUMERIC)).unwrap_err();
        assert!(error.to_string().contains("read it as Numeric"), "{text}");
    }
}
