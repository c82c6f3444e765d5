use std::fmt;

use aquifer_wire::Reply;
use serde::de::Visitor;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is kept of a query: its result as the server sent it, so that whoever reads it decides what it
/// becomes, and types need not be written by serde.
#[derive(Clone)]
pub(crate) struct Rows {
    /// Of the query that it is the result of.
    pub(crate) identity: u128,
    pub(crate) reply: Reply,
}

/// By which the layout is known: another one is another name.
const LAYOUT: &str = "aquifer rows 1";

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let reply = self.reply.store();
        let reply = reply.ok_or_else(|| S::Error::custom("the columns are other ones by now"))?;
        let mut bytes = self.identity.to_be_bytes().to_vec();
        bytes.extend(reply);
        serializer.serialize_newtype_struct(LAYOUT, &Bytes(bytes))
    }
}

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(LAYOUT, Read)
    }
}

/// Not a list of numbers.
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

struct Read;

impl<'de> Visitor<'de> for Read {
    type Value = Rows;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the rows of a query")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Rows, D::Error> {
        deserializer.deserialize_bytes(self)
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Rows, E> {
        let read = || {
            let (identity, reply) = bytes.split_first_chunk::<16>()?;
            Some(Rows {
                identity: u128::from_be_bytes(*identity),
                reply: Reply::restore(reply)?,
            })
        };
        read().ok_or_else(|| E::custom("no rows of a query"))
    }
}

/// Values stay out.
impl fmt::Debug for Rows {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Rows")
            .field("rows", &self.reply.len())
            .finish_non_exhaustive()
    }
}
