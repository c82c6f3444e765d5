use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::reply::read_one;
use crate::statement::Statement;
use crate::types::Type;

/// The fields of each case, by the names of their columns; the row has a = 1, b = 2, c = 3.
const CASES: [&[&str]; 7] = [
    &["a", "b", "c"],
    &["a", "b"],
    &["a", "c"],
    &["b", "c"],
    &["a", "c", "b", "c"],
    &["a", "none", "b"],
    &["none", "b", "a"],
];

/// What the fields of one case were read as.
#[derive(Debug)]
struct Read<const CASE: usize>(Vec<i32>);

impl<const CASE: usize> FromRow for Read<CASE> {
    fn resolve(columns: &Columns, mapping: &mut Mapping) -> Result<(), Error> {
        for name in CASES[CASE] {
            mapping.column_or_default(columns, name);
        }
        Ok(())
    }

    fn read(row: &mut RowReader<'_>) -> Result<Self, Error> {
        let fields = CASES[CASE].iter();
        let values = fields.map(|field| row.value_or_default("Read", field));
        values.collect::<Result<_, _>>().map(Self)
    }
}

/// Reads a field more than it has mapped.
#[derive(Debug)]
struct Greedy;

impl FromRow for Greedy {
    fn resolve(_columns: &Columns, mapping: &mut Mapping) -> Result<(), Error> {
        mapping.position(0);
        Ok(())
    }

    fn read(row: &mut RowReader<'_>) -> Result<Self, Error> {
        row.value::<i32>("Greedy", "first")?;
        row.value::<i32>("Greedy", "second")?;
        Ok(Self)
    }
}

fn one_row() -> Reply {
    let column = |name| Column::new(name, Type::INT4, 0);
    let columns = Columns::new(["a", "b", "c"].map(column).into());
    let statement = Statement::new(1, "select", Vec::new(), Arc::new(columns));
    let mut frames = b"2\0\0\0\x04D\0\0\0\x1e\0\x03".to_vec();
    for value in [1, 2, 3_i32] {
        frames.extend(4_i32.to_be_bytes());
        frames.extend(value.to_be_bytes());
    }
    frames.extend(b"C\0\0\0\x0dSELECT 1\0");
    read_one(Bytes::from(frames), &statement).unwrap()
}

fn read<const CASE: usize>() -> Vec<i32> {
    let reply = one_row();
    let rows = reply.decode::<Read<CASE>>().unwrap();
    let first = reply.decode_first::<Read<CASE>>().unwrap().unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].0, first.0);
    first.0
}

#[test]
fn each_field_is_read_from_its_column_in_whatever_order_they_stand() {
    assert_eq!(read::<0>(), [1, 2, 3]);
    assert_eq!(read::<1>(), [1, 2]);
    assert_eq!(read::<2>(), [1, 3]);
    assert_eq!(read::<3>(), [2, 3]);
    assert_eq!(read::<4>(), [1, 3, 2, 3]);
    assert_eq!(read::<5>(), [1, 0, 2]);
    assert_eq!(read::<6>(), [0, 2, 1]);
}

#[test]
fn a_field_beyond_the_columns_is_an_error() {
    let reply = one_row();
    let error = reply.decode::<(i32, i32, i32, i32)>().unwrap_err();
    assert_eq!(error.kind(), Kind::Decode);
    let text = "tuple: there is no column 3, counted from 0; number of columns: 3";
    assert!(error.to_string().contains(text), "{error}");
}

#[test]
fn a_field_that_was_not_mapped_is_an_error() {
    let error = one_row().decode_first::<Greedy>().unwrap_err();
    assert_eq!(error.kind(), Kind::Decode);
    let text = "Greedy.second: no column was mapped to it";
    assert!(error.to_string().contains(text), "{error}");
}
