//! Answers that no server gave, for what stands in for one in a user's tests.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use super::Reply;
use crate::database_error::DatabaseError;
use crate::frame::tag;
use crate::statement::{Column, Columns};
use crate::types::Raw;
use crate::{Error, SqlState};

impl Reply {
    /// A reply of one row: names of columns and their values.
    ///
    /// # Errors
    /// [`Kind::Limit`](crate::Kind::Limit) for more than PostgreSQL's protocol can carry.
    #[doc(hidden)]
    pub fn composed<'a>(row: impl IntoIterator<Item = (&'a str, &'a Raw)>) -> Result<Self, Error> {
        let mut columns = Vec::new();
        let mut body = BytesMut::new();
        for (name, value) in row {
            columns.push(Column::new(name, value.ty().clone(), 0));
            match value.bytes() {
                Some(bytes) => {
                    body.put_i32(i32::try_from(bytes.len()).map_err(too_large)?);
                    body.put_slice(bytes);
                }
                None => body.put_i32(-1),
            }
        }
        // Length and width count themselves in, as on the wire.
        let length = i32::try_from(body.len() + 6).map_err(too_large)?;
        let mut frames = BytesMut::with_capacity(body.len() + 32);
        frames.put_u8(tag::DATA_ROW);
        frames.put_i32(length);
        frames.put_i16(i16::try_from(columns.len()).map_err(too_large)?);
        frames.put_slice(&body);
        let completion = frames.len();
        frames.put_u8(tag::COMMAND_COMPLETE);
        frames.put_i32(13);
        frames.put_slice(b"SELECT 1\0");
        Ok(Self {
            columns: Arc::new(Columns::new(columns)),
            changed_fields: None,
            frames: frames.freeze(),
            completion,
            rows: 1,
        })
    }
}

impl Error {
    /// What the server says of a value that it does not take.
    #[doc(hidden)]
    #[must_use]
    pub fn composed_refusal(sqlstate: &str, message: &str) -> Self {
        let fields = [(b'V', "ERROR"), (b'C', sqlstate), (b'M', message)];
        let fields = fields.map(|(kind, text)| (kind, text.as_bytes()));
        Self::from_database(DatabaseError::from_fields(fields.into_iter()))
    }

    /// What the server says of a row that a unique index already has.
    #[doc(hidden)]
    #[must_use]
    pub fn composed_unique_violation(schema: Option<&str>, table: &str, constraint: &str) -> Self {
        let text = format!("duplicate key value violates unique constraint \"{constraint}\"");
        let fields = [
            (b'V', "ERROR"),
            (b'C', SqlState::UNIQUE_VIOLATION.code()),
            (b'M', &text),
            (b's', schema.unwrap_or("public")),
            (b't', table),
            (b'n', constraint),
        ];
        let fields = fields.map(|(kind, text)| (kind, text.as_bytes()));
        Self::from_database(DatabaseError::from_fields(fields.into_iter()))
    }
}

#[cold]
fn too_large(_error: std::num::TryFromIntError) -> Error {
    Error::new(
        crate::Kind::Limit,
        "a row has more columns or longer values than PostgreSQL can carry",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Type;

    #[test]
    fn a_composed_row_is_read_as_one_that_was_sent() {
        let id = Raw::new(Type::INT8, Some(7_i64.to_be_bytes().to_vec()));
        let name = Raw::new(Type::TEXT, Some(b"Ann".to_vec()));
        let nick = Raw::new(Type::TEXT, None);
        let row = [("id", &id), ("name", &name), ("nick", &nick)];
        let reply = Reply::composed(row).unwrap();
        assert_eq!((reply.len(), reply.affected()), (1, 1));
        let rows = reply.decode::<(i64, String, Option<String>)>().unwrap();
        assert_eq!(rows, [(7, "Ann".to_owned(), None)]);
        let row = reply.rows().next().unwrap();
        assert_eq!(row.get::<&str>("name").unwrap(), "Ann");
    }
}
