use std::ops::RangeInclusive;

use aquifer_wire::types::{Money, Numeric, PgLsn};
use proptest::prelude::*;

use super::{Trip, printed, samples, strategies};
use crate::database::{row, session};

/// The ends of a type, what lies beside them, and values from between.
fn edges<T>(range: RangeInclusive<T>, others: &[T]) -> Vec<T>
where
    T: Clone + std::fmt::Debug,
    RangeInclusive<T>: Strategy<Value = T>,
{
    let ends = [range.start().clone(), range.end().clone()];
    let mut values = [&ends[..], others].concat();
    values.extend(samples(range));
    values
}

#[tokio::test]
async fn whole_numbers_and_booleans() {
    let client = session().await;
    Trip::of(&client, "bool").run(&[true, false]).await;
    Trip::of(&client, "int2")
        .run(&edges(i16::MIN..=i16::MAX, &[0, -1]))
        .await;
    Trip::of(&client, "int4")
        .run(&edges(i32::MIN..=i32::MAX, &[0, -1]))
        .await;
    Trip::of(&client, "int8")
        .run(&edges(i64::MIN..=i64::MAX, &[0, -1]))
        .await;
    Trip::of(&client, "oid")
        .run(&edges(u32::MIN..=u32::MAX, &[1]))
        .await;
    Trip::of(&client, "xid8")
        .run(&edges(u64::MIN..=u64::MAX, &[1]))
        .await;
    let every_byte: Vec<i8> = (i8::MIN..=i8::MAX).collect();
    Trip::of(&client, "\"char\"").run(&every_byte).await;
    Trip::of(&client, "money")
        .run(
            &samples(any::<i64>())
                .into_iter()
                .map(Money)
                .collect::<Vec<_>>(),
        )
        .await;
    let positions: Vec<_> = edges(0..=u64::MAX, &[1 << 32])
        .into_iter()
        .map(PgLsn)
        .collect();
    Trip::of(&client, "pg_lsn").run(&positions).await;
    printed(&client, "pg_lsn", &positions).await;
}

#[tokio::test]
async fn floats_keep_every_bit() {
    let client = session().await;
    let edges = [
        0.0,
        -0.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN,
        f64::MAX,
    ];
    let small = [
        f64::MIN_POSITIVE,
        5e-324,
        -5e-324,
        0.1,
        1.0 / 3.0,
        1e22,
        1e23,
    ];
    let mut wide = [edges, small].concat();
    wide.extend(samples(any::<u64>()).into_iter().map(f64::from_bits));
    let same = |a: &f64, b: &f64| a.to_bits() == b.to_bits();
    Trip::of(&client, "float8")
        .compared_by(same)
        .run(&wide)
        .await;
    let narrow: Vec<_> = samples(any::<u32>())
        .into_iter()
        .map(f32::from_bits)
        .collect();
    let edges = [
        0.0,
        -0.0,
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MIN,
        f32::MAX,
        1e-45,
    ];
    let narrow = [&edges[..], &narrow].concat();
    let same = |a: &f32, b: &f32| a.to_bits() == b.to_bits();
    Trip::of(&client, "float4")
        .compared_by(same)
        .run(&narrow)
        .await;
    // The server reads them as what they are.
    let sql = "select $1::float8 = 'NaN' and $2::float8::text = '-0'";
    assert!(
        row(&client, sql, &(f64::NAN, -0.0))
            .await
            .get::<bool>(0)
            .unwrap()
    );
}

fn numerics() -> Vec<Numeric> {
    let texts = [
        "0",
        "0.00",
        "-0.000",
        "1",
        "-1",
        "9999",
        "10000",
        "0.0001",
        "0.00001",
        "1.50",
        "1.5",
        "NaN",
        "Infinity",
        "-Infinity",
        "1e131071",
        "-1e131071",
        "1e-16383",
        "0e-16383",
        "12345678901234567890123456789012345678.00000000000000000001",
    ];
    let mut values: Vec<Numeric> = texts.iter().map(|text| text.parse().unwrap()).collect();
    values.extend(samples(strategies::numeric()));
    values
}

/// Equal, and printed alike: the scale is kept.
fn identical(a: &Numeric, b: &Numeric) -> bool {
    a == b && a.to_string() == b.to_string()
}

#[tokio::test]
async fn numerics_keep_their_scale() {
    let client = session().await;
    let values = numerics();
    Trip::of(&client, "numeric")
        .compared_by(identical)
        .run(&values)
        .await;
    printed(&client, "numeric", &values).await;
}

#[tokio::test]
async fn the_longest_numerics_lose_no_digit() {
    let client = session().await;
    let whole = "9".repeat(131_072);
    let fraction = format!("-0.{}1", "0".repeat(16_382));
    let both = format!(
        "{}.{}",
        "123456789".repeat(14_563),
        "987654321".repeat(1_820)
    );
    let values: Vec<Numeric> = [whole, fraction, both]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
    Trip::of(&client, "numeric")
        .compared_by(identical)
        .run(&values)
        .await;
    printed(&client, "numeric", &values).await;
    let back = row(&client, "select $1::numeric::text", &(&values[0],)).await;
    assert_eq!(back.get::<String>(0).unwrap().len(), 131_072);
}
