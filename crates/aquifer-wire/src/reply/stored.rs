//! Replies that are kept somewhere and read again by another process.
//!
//! | bytes | what |
//! |---|---|
//! | 2 | how many columns |
//! | each | its name, the OID of its table, its type |
//! | rest | the rows and the completion, as the server sent them |
//!
//! Texts stand behind their lengths. A type that PostgreSQL does not bring along is told with all that
//! it is made of, since the reader may never have asked for it.

use std::sync::Arc;

use bytes::Bytes;
use postgres_types::Field;

use super::{Reply, read_one};
use crate::statement::{Column, Columns, Statement};
use crate::types::{Kind, Type};

/// Types are not made of themselves, but who knows what is read.
const DEPTH_MAX: u8 = 16;

impl Reply {
    /// The reply as bytes, for [`restore`](Self::restore); nothing where its columns are not those of its
    /// statement any more.
    #[doc(hidden)]
    #[must_use]
    pub fn store(&self) -> Option<Vec<u8>> {
        if self.changed_fields.is_some() {
            return None;
        }
        let columns = self.columns.list();
        let mut bytes = Vec::with_capacity(self.frames.len() + 24 * columns.len() + 2);
        bytes.extend(u16::try_from(columns.len()).ok()?.to_be_bytes());
        for column in columns {
            put_text(column.name(), &mut bytes)?;
            bytes.extend(column.table().unwrap_or(0).to_be_bytes());
            put_type(column.ty(), &mut bytes)?;
        }
        bytes.extend_from_slice(&self.frames);
        Some(bytes)
    }

    /// Reads what [`store`](Self::store) wrote; nothing if it is something else.
    #[doc(hidden)]
    #[must_use]
    pub fn restore(bytes: &[u8]) -> Option<Self> {
        let mut rest = Rest(bytes);
        let count = rest.u16()?;
        let mut columns = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let name = rest.text()?;
            let table = rest.u32()?;
            columns.push(Column::new(name, rest.ty(0)?, table));
        }
        let columns = Arc::new(Columns::new(columns));
        let statement = Statement::new(0, "", Vec::new(), columns);
        let reply = read_one(Bytes::copy_from_slice(rest.0), &statement).ok()?;
        // Descriptions are not stored: one that comes along is somebody else's.
        reply.changed_fields.is_none().then_some(reply)
    }
}

fn put_text(text: &str, bytes: &mut Vec<u8>) -> Option<()> {
    bytes.extend(u16::try_from(text.len()).ok()?.to_be_bytes());
    bytes.extend(text.as_bytes());
    Some(())
}

fn put_type(ty: &Type, bytes: &mut Vec<u8>) -> Option<()> {
    bytes.extend(ty.oid().to_be_bytes());
    if Type::from_oid(ty.oid()).is_some() {
        return Some(());
    }
    put_text(ty.name(), bytes)?;
    put_text(ty.schema(), bytes)?;
    let put_count = |number: u8, count: usize, bytes: &mut Vec<u8>| {
        bytes.push(number);
        u16::try_from(count).map(|count| bytes.extend(count.to_be_bytes()))
    };
    match ty.kind() {
        Kind::Simple => bytes.push(0),
        Kind::Enum(labels) => {
            put_count(1, labels.len(), bytes).ok()?;
            labels.iter().try_for_each(|label| put_text(label, bytes))?;
        }
        Kind::Pseudo => bytes.push(2),
        Kind::Array(of) => put_of(3, of, bytes)?,
        Kind::Range(of) => put_of(4, of, bytes)?,
        Kind::Multirange(of) => put_of(5, of, bytes)?,
        Kind::Domain(of) => put_of(6, of, bytes)?,
        Kind::Composite(fields) => {
            put_count(7, fields.len(), bytes).ok()?;
            for field in fields {
                put_text(field.name(), bytes)?;
                put_type(field.type_(), bytes)?;
            }
        }
        _ => return None,
    }
    Some(())
}

fn put_of(number: u8, of: &Type, bytes: &mut Vec<u8>) -> Option<()> {
    bytes.push(number);
    put_type(of, bytes)
}

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.u16()?;
        let (text, rest) = self.0.split_at_checked(length.into())?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    fn ty(&mut self, depth: u8) -> Option<Type> {
        let oid = self.u32()?;
        if let Some(known) = Type::from_oid(oid) {
            return Some(known);
        }
        if depth == DEPTH_MAX {
            return None;
        }
        let (name, schema) = (self.text()?.to_owned(), self.text()?.to_owned());
        let kind = match self.take::<1>()? {
            [0] => Kind::Simple,
            [1] => {
                let count = self.u16()?;
                let labels = (0..count).map(|_| self.text().map(str::to_owned));
                Kind::Enum(labels.collect::<Option<_>>()?)
            }
            [2] => Kind::Pseudo,
            [3] => Kind::Array(self.ty(depth + 1)?),
            [4] => Kind::Range(self.ty(depth + 1)?),
            [5] => Kind::Multirange(self.ty(depth + 1)?),
            [6] => Kind::Domain(self.ty(depth + 1)?),
            [7] => {
                let count = self.u16()?;
                let fields = (0..count).map(|_| {
                    let name = self.text()?.to_owned();
                    Some(Field::new(name, self.ty(depth + 1)?))
                });
                Kind::Composite(fields.collect::<Option<_>>()?)
            }
            _ => return None,
        };
        Some(Type::new(name, oid, kind, schema))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Raw;

    fn reply() -> Reply {
        let mood = Kind::Enum(vec!["sad".into(), "glad".into()]);
        let mood = Type::new("mood".into(), 70_000, mood, "app".into());
        let moods = Type::new(
            "_mood".into(),
            70_001,
            Kind::Array(mood.clone()),
            "app".into(),
        );
        let fields = vec![Field::new("moods".into(), moods)];
        let pair = Type::new("pair".into(), 70_002, Kind::Composite(fields), "app".into());
        let id = Raw::new(Type::INT8, Some(7_i64.to_be_bytes().to_vec()));
        let mood = Raw::new(mood, Some(b"glad".to_vec()));
        let pair = Raw::new(pair, None);
        Reply::composed([("id", &id), ("mood", &mood), ("pair", &pair)]).unwrap()
    }

    #[test]
    fn a_stored_reply_is_read_as_it_was() {
        let reply = reply();
        let again = Reply::restore(&reply.store().unwrap()).unwrap();
        assert_eq!(again.columns().list(), reply.columns().list());
        assert_eq!((again.len(), again.tag()), (1, "SELECT 1"));
        let rows = again.decode::<(i64, String, Option<Raw>)>().unwrap();
        let [(7, mood, None)] = rows.as_slice() else {
            panic!("other rows");
        };
        assert_eq!(mood, "glad");
    }

    #[test]
    fn a_description_among_the_rows_is_not_believed() {
        let bytes = reply().store().unwrap();
        let frames = reply().frames;
        let (columns, _) = bytes.split_at(bytes.len() - frames.len());
        // No columns, then a row of none.
        let forged: &[u8] = b"n\0\0\0\x04D\0\0\0\x06\0\0C\0\0\0\rSELECT 1\0";
        assert!(Reply::restore(&[columns, forged].concat()).is_none());
    }

    #[test]
    fn what_was_cut_off_is_no_reply_and_no_panic() {
        let bytes = reply().store().unwrap();
        for length in 0..bytes.len() {
            assert!(Reply::restore(&bytes[..length]).is_none(), "{length}");
        }
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0xff;
            if let Some(reply) = Reply::restore(&damaged) {
                drop(reply.decode::<(i64, String, Option<Raw>)>());
            }
        }
    }
}
