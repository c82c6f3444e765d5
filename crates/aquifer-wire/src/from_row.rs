#[cfg(test)]
mod tests;

use std::any::TypeId;
use std::slice::Iter;

use crate::frame::protocol;
use crate::reply::{Reply, RowAt};
use crate::row::{self, ColumnIndex, Fields, Row};
use crate::statement::{Column, Columns};
use crate::types::{Decode, DecodeError, DecodeOwned};
use crate::{Error, Kind};

/// A type that one row is read into; usually derived.
///
/// How the columns are found is worked out once per statement shape ([`resolve`](Self::resolve)),
/// then every row is read straight from the buffer ([`read`](Self::read)).
#[diagnostic::on_unimplemented(
    message = "a row can't be read into `{Self}`",
    label = "`FromRow` is not implemented for `{Self}`",
    note = "derive it: #[derive(aquifer::FromRow)]; for a single column use `query_value` or `query_column`"
)]
pub trait FromRow: Sized + 'static {
    /// Adds to `mapping`, for each field in order, the column that it is read from.
    ///
    /// # Errors
    /// [`Kind::Decode`] when a column is missing.
    fn resolve(columns: &Columns, mapping: &mut Mapping) -> Result<(), Error>;

    /// Reads one row, taking the fields in the order in which [`resolve`](Self::resolve) added them.
    ///
    /// # Errors
    /// [`Kind::Decode`] when a value can't be read as its field's type.
    fn read(row: &mut RowReader<'_>) -> Result<Self, Error>;
}

/// The columns that the fields of a type are read from.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    positions: Vec<Option<usize>>,
    /// How many fields, from the first on, are each read from the column of their own position.
    straight: usize,
    /// The position behind the last one.
    next: usize,
    /// Some field's column stands before, or is, that of the field before it.
    unordered: bool,
}

impl Mapping {
    /// The next field is read from the column of that name.
    ///
    /// # Errors
    /// [`Kind::Decode`] when there is none; `of` and `field` name the place in the error.
    pub fn column(
        &mut self,
        columns: &Columns,
        of: &str,
        field: &str,
        name: &str,
    ) -> Result<(), Error> {
        let Some(position) = columns.position(name) else {
            let text = format!(
                "{of}.{field}: there is no column \"{name}\"; there are {}",
                row::names(columns)
            );
            return Err(Error::new(Kind::Decode, text).with_sent(true));
        };
        self.push(Some(position));
        Ok(())
    }

    /// The next fields are read from the columns of these names: pairs of a field and its column.
    ///
    /// # Errors
    /// As [`column`](Self::column).
    pub fn columns(
        &mut self,
        columns: &Columns,
        of: &str,
        fields: &[(&str, &str)],
    ) -> Result<(), Error> {
        fields
            .iter()
            .try_for_each(|(field, name)| self.column(columns, of, field, name))
    }

    /// The next field is read from the column of that name, or takes its default when there is none.
    pub fn column_or_default(&mut self, columns: &Columns, name: &str) {
        self.push(columns.position(name));
    }

    /// The next field is read from the column at that position, from 0.
    pub fn position(&mut self, position: usize) {
        self.push(Some(position));
    }

    fn push(&mut self, position: Option<usize>) {
        let field = self.positions.len();
        if position == Some(field) && self.straight == field {
            self.straight += 1;
        }
        if let Some(position) = position {
            self.unordered |= position < self.next;
            self.next = position + 1;
        }
        self.positions.push(position);
    }
}

/// Reads the fields of one row in the order of a [`Mapping`].
#[derive(Debug)]
pub struct RowReader<'a> {
    reply: &'a Reply,
    columns: &'a [Column],
    body: &'a [u8],
    mapping: &'a Mapping,
    /// The columns of the fields that come first and in order, as nearly all do.
    straight: Iter<'a, Column>,
    /// How many fields were read when those are read.
    field: usize,
    /// Where columns come in the order of the fields: the walk over the row, and how far it is.
    walk: Fields<'a>,
    walked: usize,
    /// Where they do not: all of the row's fields.
    fields: &'a [Option<&'a [u8]>],
}

type FieldOf<'a> = (&'a Column, Option<&'a [u8]>);

impl<'a> RowReader<'a> {
    /// The next field's value.
    ///
    /// # Errors
    /// [`Kind::Decode`]; `of` and `field` name the place, besides the column and both types.
    #[inline]
    pub fn value<T: Decode<'a>>(&mut self, of: &str, field: &str) -> Result<T, Error> {
        match self.next(of)? {
            Some((column, raw)) => {
                row::decode_value(column, raw).map_err(|error| refused(column, error, of, field))
            }
            None => Err(unmapped(of, field)),
        }
    }

    /// The next field's value, or the default where it has no column or the column is NULL.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    #[inline]
    pub fn value_or_default<T: Decode<'a> + Default>(
        &mut self,
        of: &str,
        field: &str,
    ) -> Result<T, Error> {
        match self.next(of)? {
            Some((column, raw @ Some(_))) => {
                row::decode_value(column, raw).map_err(|error| refused(column, error, of, field))
            }
            _ => Ok(T::default()),
        }
    }

    /// The next field's column and raw value; `None` where it has no column.
    #[inline]
    fn next(&mut self, of: &str) -> Result<Option<FieldOf<'a>>, Error> {
        match self.straight.next() {
            Some(column) => Ok(Some((column, self.walk.next()?))),
            None => self.find(of),
        }
    }

    fn find(&mut self, of: &str) -> Result<Option<FieldOf<'a>>, Error> {
        let position = self.mapping.positions.get(self.field).copied().flatten();
        self.field += 1;
        let Some(position) = position else {
            return Ok(None);
        };
        let Some(column) = self.columns.get(position) else {
            return Err(missing(of, position, self.columns.len()));
        };
        if self.mapping.unordered {
            let raw = self.fields.get(position).copied();
            let raw = raw.ok_or_else(|| protocol("a row with too few fields"))?;
            return Ok(Some((column, raw)));
        }
        while self.walked < position {
            self.walk.next()?;
            self.walked += 1;
        }
        self.walked += 1;
        Ok(Some((column, self.walk.next()?)))
    }
}

#[cold]
fn unmapped(of: &str, field: &str) -> Error {
    let text = format!("{of}.{field}: no column was mapped to it");
    Error::new(Kind::Decode, text).with_sent(true)
}

#[cold]
fn refused(column: &Column, error: DecodeError, of: &str, field: &str) -> Error {
    let error = row::undecodable(column, error);
    let text = format!("{of}.{field}: {error}");
    Error::new(Kind::Decode, text)
        .with_sent(true)
        .with_source(error)
}

#[cold]
fn missing(of: &str, position: usize, count: usize) -> Error {
    let text =
        format!("{of}: there is no column {position}, counted from 0; number of columns: {count}");
    Error::new(Kind::Decode, text).with_sent(true)
}

impl Reply {
    /// All rows as values of one type.
    ///
    /// # Errors
    /// [`Kind::Decode`] naming type, field, column and both types.
    pub fn decode<T: FromRow>(&self) -> Result<Vec<T>, Error> {
        let mapping = self.mapping::<T>()?;
        let mut fields = Vec::new();
        let mut values = Vec::with_capacity(self.len());
        for body in self.bodies() {
            values.push(self.read(body, mapping, &mut fields)?);
        }
        Ok(values)
    }

    /// As [`decode`](Self::decode), as far as it goes: the rows before the first one that can't be
    /// read, and why it can't.
    #[must_use]
    pub fn decode_until_error<T: FromRow>(&self) -> (Vec<T>, Option<Error>) {
        let mut values = Vec::with_capacity(self.len());
        let outcome = self.mapping::<T>().and_then(|mapping| {
            let mut fields = Vec::new();
            self.bodies().try_for_each(|body| {
                values.push(self.read(body, mapping, &mut fields)?);
                Ok(())
            })
        });
        (values, outcome.err())
    }

    /// The first row as a value; `None` when there is no row.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    #[inline]
    pub fn decode_first<T: FromRow>(&self) -> Result<Option<T>, Error> {
        let Some(body) = self.bodies().next() else {
            return Ok(None);
        };
        let mapping = self.mapping::<T>()?;
        self.read(body, mapping, &mut Vec::new()).map(Some)
    }

    /// Tells `each` the value of one column in each row, and where that row stands, until it returns
    /// `false`: for a reply that several callers share. Returns whether all rows were told.
    ///
    /// # Errors
    /// [`Kind::Decode`] when there is no such column, or a value can't be read.
    pub fn locate<K: DecodeOwned>(
        &self,
        column: impl ColumnIndex,
        mut each: impl FnMut(K, RowAt) -> bool,
    ) -> Result<bool, Error> {
        let index = column.find(self.columns())?;
        let list = self.columns().list();
        let described = list.get(index);
        let described = described.ok_or_else(|| missing("result", index, list.len()))?;
        for (at, body) in self.places() {
            if !each(row::decode(described, row::field(body, index)?)?, at) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Some of the rows as values, by the places that [`locate`](Self::locate) told.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_at<T: FromRow>(
        &self,
        rows: impl IntoIterator<Item = RowAt>,
    ) -> Result<Vec<T>, Error> {
        let mapping = self.mapping::<T>()?;
        let mut fields = Vec::new();
        let mut values = Vec::new();
        for row in rows {
            values.push(self.read(self.body_at(row)?, mapping, &mut fields)?);
        }
        Ok(values)
    }

    /// As [`decode_at`](Self::decode_at), of a single row and without a list.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_one_at<T: FromRow>(&self, row: RowAt) -> Result<T, Error> {
        let mapping = self.mapping::<T>()?;
        self.read(self.body_at(row)?, mapping, &mut Vec::new())
    }

    /// The first column of all rows.
    ///
    /// # Errors
    /// [`Kind::Decode`] when there is no column, or a value can't be read.
    pub fn decode_column<T: for<'a> Decode<'a>>(&self) -> Result<Vec<T>, Error> {
        let column = self
            .columns()
            .list()
            .first()
            .ok_or_else(|| missing("result", 0, 0))?;
        self.bodies()
            .map(|body| row::decode(column, row::field(body, 0)?))
            .collect()
    }

    fn mapping<T: FromRow>(&self) -> Result<&Mapping, Error> {
        self.columns().mapping(TypeId::of::<T>(), || {
            let mut mapping = Mapping::default();
            T::resolve(self.columns(), &mut mapping)?;
            Ok(mapping)
        })
    }

    /// One row; `fields` is room for its fields, used where they are not read in order.
    fn read<'a, T: FromRow>(
        &'a self,
        body: &'a [u8],
        mapping: &Mapping,
        fields: &mut Vec<Option<&'a [u8]>>,
    ) -> Result<T, Error> {
        let columns = self.columns().list();
        fields.clear();
        if mapping.unordered {
            let mut walk = Fields::new(body)?;
            for _ in columns {
                fields.push(walk.next()?);
            }
        }
        let straight = columns.get(..mapping.straight).unwrap_or(columns);
        let mut reader = RowReader {
            reply: self,
            columns,
            body,
            mapping,
            straight: straight.iter(),
            field: straight.len(),
            walk: Fields::new(body)?,
            walked: straight.len(),
            fields,
        };
        T::read(&mut reader)
    }
}

impl FromRow for Row {
    fn resolve(_columns: &Columns, _mapping: &mut Mapping) -> Result<(), Error> {
        Ok(())
    }

    fn read(row: &mut RowReader<'_>) -> Result<Self, Error> {
        Ok(row.reply.row(row.body))
    }
}

macro_rules! tuples {
    ($(($($position:literal $name:ident),+))+) => {
        $(
            impl<$($name: for<'a> Decode<'a> + 'static),+> FromRow for ($($name,)+) {
                fn resolve(_columns: &Columns, mapping: &mut Mapping) -> Result<(), Error> {
                    $(mapping.position($position);)+
                    Ok(())
                }

                fn read(row: &mut RowReader<'_>) -> Result<Self, Error> {
                    Ok(($(row.value::<$name>("tuple", stringify!($position))?,)+))
                }
            }
        )+
    };
}

tuples! {
    (0 A)
    (0 A, 1 B)
    (0 A, 1 B, 2 C)
    (0 A, 1 B, 2 C, 3 D)
    (0 A, 1 B, 2 C, 3 D, 4 E)
    (0 A, 1 B, 2 C, 3 D, 4 E, 5 F)
    (0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G)
    (0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G, 7 H)
    (0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G, 7 H, 8 I)
    (0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G, 7 H, 8 I, 9 J)
    (0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G, 7 H, 8 I, 9 J, 10 K)
    (0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G, 7 H, 8 I, 9 J, 10 K, 11 L)
}
