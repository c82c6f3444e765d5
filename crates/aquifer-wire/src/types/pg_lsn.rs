use std::fmt;
use std::str::FromStr;

use bytes::{BufMut, BytesMut};

use crate::types::ParseError;
use crate::types::codec::{Binary, binary_codec};
use crate::types::reader::exactly;

/// A position in the write-ahead log: PostgreSQL's `pg_lsn`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[expect(clippy::exhaustive_structs, reason = "a position is a number of bytes")]
pub struct PgLsn(pub u64);

const EXPECTED: ParseError = ParseError::new("a position in the log such as 16/B374D848");

impl fmt::Display for PgLsn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl fmt::Debug for PgLsn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PgLsn({self})")
    }
}

impl FromStr for PgLsn {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let half = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            true => u32::from_str_radix(digits, 16).ok(),
            false => None,
        };
        text.split_once('/')
            .and_then(|(high, low)| half(high).zip(half(low)))
            .map(|(high, low)| Self(u64::from(high) << 32 | u64::from(low)))
            .ok_or(EXPECTED)
    }
}

impl Binary for PgLsn {
    fn read(raw: &[u8]) -> Option<Self> {
        exactly(raw).map(u64::from_be_bytes).map(Self)
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_u64(self.0);
    }
}

binary_codec!(PgLsn: PG_LSN);
