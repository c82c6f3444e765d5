//! Reads every value of an answer as types of every kind: errors are fine, panics are not.

use aquifer_wire::types::{
    Array, Bit, Date, Decode, Inet, Interval, Json, Multirange, Numeric, PgLsn, Point, Polygon,
    Range, Raw, Time, Timestamp, TimestampTz,
};
use aquifer_wire::{Kind, Reply, Row};

/// Reads all rows of an answer in all ways.
///
/// # Panics
/// When a value that can't be read is told in another way than promised.
pub(crate) fn read(reply: &Reply) {
    let mut rows = 0;
    for row in reply.rows() {
        rows += 1;
        for column in 0..row.columns().list().len() {
            read_value(&row, column);
        }
    }
    assert_eq!(
        rows,
        reply.len(),
        "rows that were counted and are not there"
    );
    let _tag = (reply.tag(), reply.affected(), reply.is_empty());
    let _read: Result<Vec<(i32, String)>, _> = reply.decode();
    let _read: Result<Vec<Option<i64>>, _> = reply.decode_column();
}

fn read_value(row: &Row, column: usize) {
    macro_rules! each {
        ($($rust:ty),+ $(,)?) => {$(
            attempt::<$rust>(row, column);
        )+};
    }
    each!(
        bool,
        i16,
        i32,
        i64,
        f64,
        u32,
        String,
        &str,
        Vec<u8>,
        &[u8],
        char,
        serde_json::Value,
        Vec<i32>,
        Vec<Option<String>>,
        Array<Option<String>>,
        Array<i64>,
        Numeric,
        Interval,
        Date,
        Time,
        Timestamp,
        TimestampTz,
        Inet,
        Bit,
        PgLsn,
        Point,
        Polygon,
        Range<i32>,
        Range<Numeric>,
        Multirange<i32>,
        Json<Vec<i32>>,
    );
    // Whatever it is, it can be had as it came: unless the row itself is broken.
    match row.get::<Raw>(column) {
        Ok(raw) => drop(format!("{raw:?}")),
        Err(error) => assert_eq!(error.kind(), Kind::Protocol, "{error:?}"),
    }
}

fn attempt<'a, T: Decode<'a>>(row: &'a Row, column: usize) {
    if let Err(error) = row.get::<T>(column) {
        assert!(
            matches!(error.kind(), Kind::Decode | Kind::Protocol),
            "{error:?}"
        );
    }
}
