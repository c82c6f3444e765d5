use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::frame::{Body, protocol};
use crate::statement::{Column, Columns};
use crate::types::{Decode, DecodeError};
use crate::{Error, Kind};

/// One row of a result; cheap to clone.
#[derive(Clone)]
pub struct Row {
    columns: Arc<Columns>,
    body: Bytes,
}

impl Row {
    pub(crate) fn new(columns: Arc<Columns>, body: Bytes) -> Self {
        Self { columns, body }
    }

    /// The columns of this row's result.
    #[must_use]
    pub fn columns(&self) -> &Arc<Columns> {
        &self.columns
    }

    /// The value of the column of that name, or at that position from 0.
    ///
    /// # Errors
    /// [`Kind::Decode`] when there is no such column, or its value can't be read as a `T`; the text
    /// names the column, the Rust type and the PostgreSQL type.
    ///
    /// ```no_run
    /// # fn example(row: &aquifer_wire::Row) -> Result<(), aquifer_wire::Error> {
    /// let name: String = row.get("name")?;
    /// let nick: Option<&str> = row.get(1)?;
    /// # Ok(()) }
    /// ```
    pub fn get<'a, T: Decode<'a>>(&'a self, column: impl ColumnIndex) -> Result<T, Error> {
        let index = column.find(&self.columns)?;
        let described = self
            .columns
            .list()
            .get(index)
            .ok_or_else(|| out_of_range(index, &self.columns))?;
        let raw = field(&self.body, index)?;
        decode(described, raw)
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values stay out: Debug ends up in logs.
        formatter
            .debug_struct("Row")
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

/// How a column is named: `&str` or position from 0.
pub trait ColumnIndex: sealed::Sealed {
    /// The position among `columns`.
    ///
    /// # Errors
    /// [`Kind::Decode`] when there is none; the text lists those there are.
    fn find(&self, columns: &Columns) -> Result<usize, Error>;
}

impl ColumnIndex for usize {
    fn find(&self, _columns: &Columns) -> Result<usize, Error> {
        Ok(*self)
    }
}

impl ColumnIndex for &str {
    fn find(&self, columns: &Columns) -> Result<usize, Error> {
        columns.position(self).ok_or_else(|| {
            let text = format!(
                "there is no column \"{self}\"; there are {}",
                names(columns)
            );
            Error::new(Kind::Decode, text).with_sent(true)
        })
    }
}

mod sealed {
    #[expect(unnameable_types, reason = "that is how a trait is sealed")]
    pub trait Sealed {}
    impl Sealed for usize {}
    impl Sealed for &str {}
}

/// Reads one value, with the column's name in the error.
pub(crate) fn decode<'a, T: Decode<'a>>(
    column: &Column,
    raw: Option<&'a [u8]>,
) -> Result<T, Error> {
    decode_value(column, raw).map_err(|error| undecodable(column, error))
}

#[inline]
pub(crate) fn decode_value<'a, T: Decode<'a>>(
    column: &Column,
    raw: Option<&'a [u8]>,
) -> Result<T, DecodeError> {
    match raw {
        // What most values are takes the short way.
        Some(raw) if !column.is_domain() => T::decode(column.ty(), raw),
        _ => T::decode_nullable(column.ty(), raw),
    }
}

#[cold]
pub(crate) fn undecodable(column: &Column, error: DecodeError) -> Error {
    if error.is_altered() {
        column.set_altered();
    }
    let text = format!("column \"{}\": {error}", column.name());
    Error::new(Kind::Decode, text)
        .with_sent(true)
        .with_source(error)
}

/// The raw value of one column, walking over those before it.
pub(crate) fn field(body: &[u8], index: usize) -> Result<Option<&[u8]>, Error> {
    let mut fields = Fields::new(body)?;
    for _ in 0..index {
        fields.next()?;
    }
    fields.next()
}

/// Walks over the fields of a DataRow.
#[derive(Debug)]
pub(crate) struct Fields<'a>(Body<'a>);

impl<'a> Fields<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Result<Self, Error> {
        let mut body = Body(body);
        body.i16()?;
        Ok(Self(body))
    }

    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<&'a [u8]>, Error> {
        let length = self.0.i32()?;
        if length == -1 {
            return Ok(None);
        }
        let length =
            usize::try_from(length).map_err(|_negative| protocol("a value of negative length"))?;
        let (value, rest) = self
            .0
            .0
            .split_at_checked(length)
            .ok_or_else(|| protocol("a row ended within a value"))?;
        self.0 = Body(rest);
        Ok(Some(value))
    }
}

fn out_of_range(index: usize, columns: &Columns) -> Error {
    let text = format!("there is no column {index}; there are {}", names(columns));
    Error::new(Kind::Decode, text).with_sent(true)
}

/// The columns' names for an error text.
pub(crate) fn names(columns: &Columns) -> String {
    if columns.list().is_empty() {
        return "none".to_owned();
    }
    let names: Vec<_> = columns
        .list()
        .iter()
        .map(|column| format!("\"{}\"", column.name()))
        .collect();
    names.join(", ")
}
