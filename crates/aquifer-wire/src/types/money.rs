use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Serialize};

use crate::types::codec::{Binary, binary_codec};
use crate::types::reader::exactly;

/// An amount of PostgreSQL's `money` type, in the smallest unit of the database's `lc_monetary`:
/// cents where that has two digits.
///
/// It has no text form here, since only the server knows where the point belongs.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[expect(clippy::exhaustive_structs, reason = "an amount is a number of units")]
#[serde(transparent)]
pub struct Money(pub i64);

impl Binary for Money {
    fn read(raw: &[u8]) -> Option<Self> {
        exactly(raw).map(i64::from_be_bytes).map(Self)
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_i64(self.0);
    }
}

binary_codec!(Money: MONEY);
