use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Serialize};

use crate::types::encode::patch_i32;
use crate::types::range::{decode_range, encode_range};
use crate::types::reader::Reader;
use crate::types::{Decode, DecodeError, Encode, EncodeError, IsNull, Kind, Range, Type};

/// A value of a multirange type, which PostgreSQL knows from version 14 on.
///
/// The server sorts the ranges, drops the empty ones and joins those that overlap or touch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "a multirange is its ranges")]
#[serde(transparent)]
pub struct Multirange<T>(pub Vec<Range<T>>);

impl<T> Default for Multirange<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> FromIterator<Range<T>> for Multirange<T> {
    fn from_iter<I: IntoIterator<Item = Range<T>>>(ranges: I) -> Self {
        Self(ranges.into_iter().collect())
    }
}

impl<T: Encode> Encode for Multirange<T> {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        let Kind::Multirange(element) = ty.kind() else {
            return Err(EncodeError::mismatch::<Self>(ty));
        };
        let out_of_range = |_| EncodeError::out_of_range::<Self>(ty);
        out.put_i32(self.0.len().try_into().map_err(out_of_range)?);
        for range in &self.0 {
            let start = out.len();
            out.put_i32(0);
            encode_range(range, ty, element, out)?;
            let length = (out.len() - start - 4).try_into().map_err(out_of_range)?;
            patch_i32(out, start, length);
        }
        Ok(IsNull::No)
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Multirange<T> {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        let Kind::Multirange(element) = ty.kind() else {
            return Err(DecodeError::mismatch::<Self>(ty));
        };
        let malformed = || DecodeError::malformed::<Self>(ty);
        let mut reader = Reader::new(raw);
        // A range takes five bytes at least: its length and its flags.
        let count = reader.count(5).ok_or_else(malformed)?;
        let mut ranges = Vec::with_capacity(count);
        for _ in 0..count {
            let raw = reader.value().flatten().ok_or_else(malformed)?;
            ranges.push(decode_range(element, raw)?.ok_or_else(malformed)?);
        }
        reader.finish(Self(ranges)).ok_or_else(malformed)
    }
}
