use std::error::Error as _;

use aquifer_wire::types::{Kind, Params, ParamsError, Type};
use bytes::{Buf, BufMut, BytesMut};

use super::{CopyIn, Seat};
use crate::statement::{Name, TableName};
use crate::{Error, ErrorKind};

/// The columns that rows go into.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    table: String,
    columns: Vec<Name>,
    types: Vec<Type>,
}

impl Target {
    pub(crate) fn new(
        table: &TableName,
        columns: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, Error> {
        let columns: Vec<_> = columns
            .into_iter()
            .map(|column| Name::new("column", column.as_ref()))
            .collect::<Result<_, _>>()?;
        if columns.is_empty() {
            let text = "there is no column to insert into; name at least one";
            return Err(Error::new(ErrorKind::Usage, text));
        }
        Ok(Self {
            table: table.quoted()?,
            columns,
            types: Vec::new(),
        })
    }

    /// Asks the server for the columns' types, unless they are known.
    pub(crate) async fn describe(&mut self, seat: &Seat) -> Result<(), Error> {
        let (checkout, sharing) = seat.connection()?;
        let sql = self.select();
        let request = checkout.client().statement(&sql, sharing);
        let statement = seat.run(&sql, false, request).await?;
        let columns = statement.columns().list().iter();
        self.types = columns.map(|column| base(column.ty()).clone()).collect();
        Ok(())
    }

    /// A value did not fit: the columns may have been altered since they were described.
    pub(super) fn forget(&self, copy: &CopyIn) {
        copy.forget_description(&self.select());
    }

    /// What describes the columns.
    pub(crate) fn select(&self) -> String {
        format!("select {} from {}", self.list(), self.table)
    }

    /// What it is told of as, whatever types the columns have.
    pub(crate) fn insert_text(&self) -> String {
        let values: Vec<_> = (1..=self.columns.len())
            .map(|number| format!("${number}"))
            .collect();
        let values = values.join(", ");
        format!(
            "insert into {} ({}) values ({values})",
            self.table,
            self.list()
        )
    }

    pub(super) fn copy(&self) -> String {
        format!(
            "copy {} ({}) from stdin (format binary)",
            self.table,
            self.list()
        )
    }

    /// One statement for any number of rows: an array for each column.
    ///
    /// # Errors
    /// For types of which UNNEST would make something else.
    pub(crate) fn insert(&self) -> Result<String, Error> {
        let mut arrays = Vec::with_capacity(self.types.len());
        for (index, (column, ty)) in self.columns.iter().zip(&self.types).enumerate() {
            if matches!(
                ty.kind(),
                Kind::Array(_) | Kind::Composite(_) | Kind::Pseudo
            ) {
                let text = format!(
                    "column {column} is an array or a composite, which insert_many can't pass by \
                     UNNEST; use `copy_into`"
                );
                return Err(Error::new(ErrorKind::Usage, text));
            }
            let (schema, name) = (quoted(ty.schema()), quoted(ty.name()));
            arrays.push(format!("${}::{schema}.{name}[]", index + 1));
        }
        Ok(format!(
            "insert into {} ({}) select * from unnest({})",
            self.table,
            self.list(),
            arrays.join(", ")
        ))
    }

    /// Appends a row as COPY has it: the number of its fields, each with its length.
    pub(super) fn encode(&self, row: &impl Params, out: &mut BytesMut) -> Result<(), Error> {
        out.put_u16(u16::try_from(self.types.len()).unwrap_or(u16::MAX));
        self.encode_fields(row, out)
    }

    fn encode_fields(&self, row: &impl Params, out: &mut BytesMut) -> Result<(), Error> {
        if row.count() != self.types.len() {
            return Err(self.miscounted(row.count()));
        }
        row.encode(&self.types, out)
            .map_err(|error| self.unfit(error))
    }

    #[cold]
    fn miscounted(&self, count: usize) -> Error {
        let text = format!(
            "a row has {count} values for {} columns",
            self.columns.len()
        );
        Error::new(ErrorKind::Encode, text)
    }

    #[cold]
    fn unfit(&self, error: ParamsError) -> Error {
        let column = self.columns.get(error.number().wrapping_sub(1));
        let column = column.map_or_else(String::new, Name::to_string);
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        let text = format!("column {column} of {}: {cause}", self.table);
        Error::new(ErrorKind::Encode, text).with_source(error)
    }

    fn list(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(Name::to_string).collect();
        names.join(", ")
    }
}

/// Rows as one array for each column: the parameters of [`Target::insert`].
#[derive(Debug)]
pub(crate) struct Arrays {
    columns: Vec<Elements>,
    rows: i32,
    bytes: usize,
    row: BytesMut,
}

#[derive(Debug, Default)]
struct Elements {
    data: BytesMut,
    nulls: bool,
}

impl Arrays {
    pub(crate) fn new(target: &Target) -> Self {
        Self {
            columns: target.types.iter().map(|_| Elements::default()).collect(),
            rows: 0,
            bytes: 0,
            row: BytesMut::new(),
        }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, target: &Target, row: &impl Params) -> Result<(), Error> {
        self.row.clear();
        target.encode_fields(row, &mut self.row)?;
        self.bytes += self.row.len();
        let mut rest: &[u8] = &self.row;
        for column in &mut self.columns {
            let length = rest.get(..4).map_or(-1, |mut length| length.get_i32());
            column.nulls |= length < 0;
            // Each value stands behind its length, in a row and in an array alike.
            let size = 4 + usize::try_from(length).unwrap_or(0);
            let Some((field, others)) = rest.split_at_checked(size) else {
                return Err(target.miscounted(row.count()));
            };
            column.data.put_slice(field);
            rest = others;
        }
        self.rows += 1;
        Ok(())
    }

    pub(crate) fn rows(&self) -> u64 {
        u64::try_from(self.rows).unwrap_or(0)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn clear(&mut self) {
        for column in &mut self.columns {
            column.data.clear();
            column.nulls = false;
        }
        (self.rows, self.bytes) = (0, 0);
    }
}

impl Params for Arrays {
    fn count(&self) -> usize {
        self.columns.len()
    }

    fn encode(&self, types: &[Type], out: &mut BytesMut) -> Result<(), ParamsError> {
        out.reserve(self.bytes + 24 * self.columns.len());
        for (column, ty) in self.columns.iter().zip(types) {
            let element = match ty.kind() {
                Kind::Array(element) => element.oid(),
                _ => ty.oid(),
            };
            // Bounded by the limits of one chunk, or one row too large for the server anyway.
            out.put_i32(i32::try_from(20 + column.data.len()).unwrap_or(i32::MAX));
            // One dimension, whether there are NULLs, the type, the length, the lower bound.
            out.put_i32(1);
            out.put_i32(i32::from(column.nulls));
            out.put_u32(element);
            out.put_i32(self.rows);
            out.put_i32(1);
            out.put_slice(&column.data);
        }
        Ok(())
    }
}

/// The type under any number of domains.
fn base(mut ty: &Type) -> &Type {
    while let Kind::Domain(base) = ty.kind() {
        ty = base;
    }
    ty
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
