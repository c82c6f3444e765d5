use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Serialize};

use crate::types::catalog::is_extension;
use crate::types::reader::Reader;
use crate::types::{Decode, DecodeError, Encode, EncodeError, IsNull, Type};

/// A value of the pgvector extension's `vector` type. Its `halfvec` and `sparsevec` can be read as
/// [`Raw`](crate::types::Raw) and cast in SQL.
///
/// The server refuses a vector of another dimension than the column's, NaN and infinities.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "a vector is its elements")]
#[serde(transparent)]
pub struct Vector(pub Vec<f32>);

impl Encode for Vector {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        if !is_extension(ty, "vector") {
            return Err(EncodeError::mismatch::<Self>(ty));
        }
        let dimension = u16::try_from(self.0.len()).map_err(|_too_long| {
            EncodeError::new::<Self>(ty, "the vector has more than 65,535 elements")
        })?;
        out.put_u16(dimension);
        // Reserved by the extension.
        out.put_u16(0);
        for element in &self.0 {
            out.put_f32(*element);
        }
        Ok(IsNull::No)
    }
}

impl<'a> Decode<'a> for Vector {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        if !is_extension(ty, "vector") {
            return Err(DecodeError::mismatch::<Self>(ty));
        }
        read(raw).ok_or_else(|| DecodeError::malformed::<Self>(ty))
    }
}

fn read(raw: &[u8]) -> Option<Vector> {
    let mut reader = Reader::new(raw);
    let dimension = reader.u16()?;
    let _reserved = reader.u16()?;
    if reader.remaining() != usize::from(dimension) * 4 {
        return None;
    }
    let elements = (0..dimension)
        .map(|_| reader.f32())
        .collect::<Option<_>>()?;
    reader.finish(Vector(elements))
}
