use bytes::{BufMut, BytesMut};

use crate::types::codec::Binary;
use crate::types::numeric::Numeric;
use crate::types::reader::exactly;
use crate::types::{Decode, DecodeError, Encode, EncodeError, IsNull, Type};

/// Sent as float4, float8 or numeric.
impl Encode for f32 {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        match *ty {
            Type::FLOAT4 => out.put_f32(*self),
            Type::FLOAT8 => out.put_f64(f64::from(*self)),
            Type::NUMERIC => Numeric::from(*self).write(out),
            _ => return Err(EncodeError::mismatch::<Self>(ty)),
        }
        Ok(IsNull::No)
    }
}

/// Sent as float8, numeric (its shortest decimal form) or float4, which rounds as the server's own
/// cast does and is refused where that overflows to infinity or underflows to zero.
impl Encode for f64 {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        match *ty {
            Type::FLOAT8 => out.put_f64(*self),
            Type::FLOAT4 => {
                #[expect(clippy::cast_possible_truncation, reason = "checked below")]
                let narrow = *self as f32;
                if narrow.is_infinite() != self.is_infinite() || (narrow == 0.0) != (*self == 0.0) {
                    return Err(EncodeError::out_of_range::<Self>(ty));
                }
                out.put_f32(narrow);
            }
            Type::NUMERIC => Numeric::from(*self).write(out),
            _ => return Err(EncodeError::mismatch::<Self>(ty)),
        }
        Ok(IsNull::No)
    }
}

/// Read from float4 and int2, the types that it holds without rounding.
impl<'a> Decode<'a> for f32 {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        match *ty {
            Type::FLOAT4 => exactly(raw).map(Self::from_be_bytes),
            Type::INT2 => exactly(raw).map(|bytes| i16::from_be_bytes(bytes).into()),
            _ => return Err(DecodeError::mismatch::<Self>(ty)),
        }
        .ok_or_else(|| DecodeError::malformed::<Self>(ty))
    }
}

/// Read from float8, float4, int4 and int2, the types that it holds without rounding.
impl<'a> Decode<'a> for f64 {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        match *ty {
            Type::FLOAT8 => exactly(raw).map(Self::from_be_bytes),
            Type::FLOAT4 => exactly(raw).map(|bytes| f32::from_be_bytes(bytes).into()),
            Type::INT4 => exactly(raw).map(|bytes| i32::from_be_bytes(bytes).into()),
            Type::INT2 => exactly(raw).map(|bytes| i16::from_be_bytes(bytes).into()),
            _ => return Err(DecodeError::mismatch::<Self>(ty)),
        }
        .ok_or_else(|| DecodeError::malformed::<Self>(ty))
    }
}
