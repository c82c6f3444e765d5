//! Every Rust integer goes into every PostgreSQL number that can hold its value exactly, and is
//! read from every one that holds a whole number; the range is checked both ways.
//!
//! Not into money, where it would be unclear whether 5 means five dollars or five cents.

use bytes::{BufMut, BytesMut};

use crate::types::codec::Binary;
use crate::types::numeric::Numeric;
use crate::types::reader::exactly;
use crate::types::{Decode, DecodeError, Encode, EncodeError, IsNull, Type};

macro_rules! integer {
    // The type whose width is the same goes first, since it is the usual one.
    ($rust:ident = $postgres:ident) => {
        impl Encode for $rust {
            fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
                if *ty == Type::$postgres {
                    out.put_slice(&self.to_be_bytes());
                    return Ok(IsNull::No);
                }
                encode_integer::<Self>(i128::from(*self), ty, out)
            }
        }

        impl<'a> Decode<'a> for $rust {
            fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
                if *ty == Type::$postgres {
                    return exactly(raw)
                        .map(Self::from_be_bytes)
                        .ok_or_else(|| DecodeError::malformed::<Self>(ty));
                }
                decode_integer(ty, raw)
            }
        }
    };
    // Pointer-sized integers are as portable as their value: only the range decides.
    ($rust:ident) => {
        impl Encode for $rust {
            fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
                encode_integer::<Self>(*self as i128, ty, out)
            }
        }

        impl<'a> Decode<'a> for $rust {
            fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
                decode_integer(ty, raw)
            }
        }
    };
}

integer!(i8 = CHAR);
integer!(i16 = INT2);
integer!(i32 = INT4);
integer!(i64 = INT8);
integer!(u32 = OID);
integer!(u64 = XID8);
integer!(u16);
integer!(isize);
integer!(usize);

/// Appends `value`, which was a `T`, as the number type `ty`.
pub(crate) fn encode_integer<T>(
    value: i128,
    ty: &Type,
    out: &mut BytesMut,
) -> Result<IsNull, EncodeError> {
    let out_of_range = |_| EncodeError::out_of_range::<T>(ty);
    match *ty {
        Type::INT2 => out.put_i16(value.try_into().map_err(out_of_range)?),
        Type::INT4 => out.put_i32(value.try_into().map_err(out_of_range)?),
        Type::INT8 => out.put_i64(value.try_into().map_err(out_of_range)?),
        oid_like!() => out.put_u32(value.try_into().map_err(out_of_range)?),
        Type::XID8 => out.put_u64(value.try_into().map_err(out_of_range)?),
        Type::NUMERIC => Numeric::from(value).write(out),
        Type::FLOAT4 if has_significant_bits(value, f32::MANTISSA_DIGITS) => {
            out.put_f32(value as f32);
        }
        Type::FLOAT8 if has_significant_bits(value, f64::MANTISSA_DIGITS) => {
            out.put_f64(value as f64);
        }
        Type::FLOAT4 | Type::FLOAT8 => {
            return Err(EncodeError::new::<T>(
                ty,
                "the value has more digits than the float can hold; send it as f64 to round it",
            ));
        }
        _ => return Err(EncodeError::mismatch::<T>(ty)),
    }
    Ok(IsNull::No)
}

/// Reads a whole number from any number type; a numeric must have no fraction.
pub(crate) fn decode_integer<T: TryFrom<i128>>(ty: &Type, raw: &[u8]) -> Result<T, DecodeError> {
    let value = match *ty {
        Type::INT2 => exactly(raw).map(|bytes| i16::from_be_bytes(bytes).into()),
        Type::INT4 => exactly(raw).map(|bytes| i32::from_be_bytes(bytes).into()),
        Type::INT8 => exactly(raw).map(|bytes| i64::from_be_bytes(bytes).into()),
        oid_like!() => exactly(raw).map(|bytes| u32::from_be_bytes(bytes).into()),
        Type::XID8 => exactly(raw).map(|bytes| u64::from_be_bytes(bytes).into()),
        Type::NUMERIC => match Numeric::read(raw) {
            Some(numeric) => Some(numeric.to_i128().ok_or_else(|| {
                DecodeError::new::<T>(
                    ty,
                    "the value is no whole number in range; read it as Numeric",
                )
            })?),
            None => None,
        },
        _ => return Err(DecodeError::mismatch::<T>(ty)),
    };
    value
        .ok_or_else(|| DecodeError::malformed::<T>(ty))?
        .try_into()
        .map_err(|_out_of_range| DecodeError::out_of_range::<T>(ty))
}

/// Whether the value fits a mantissa of so many bits, and so converts without rounding.
fn has_significant_bits(value: i128, bits: u32) -> bool {
    let magnitude = value.unsigned_abs();
    u128::BITS - magnitude.leading_zeros() <= bits + magnitude.trailing_zeros()
}

/// The types that are an object identifier of four bytes on the wire.
macro_rules! oid_like {
    () => {
        Type::OID
            | Type::REGPROC
            | Type::REGPROCEDURE
            | Type::REGOPER
            | Type::REGOPERATOR
            | Type::REGCLASS
            | Type::REGTYPE
            | Type::REGCONFIG
            | Type::REGDICTIONARY
            | Type::REGNAMESPACE
            | Type::REGROLE
            | Type::REGCOLLATION
            | Type::XID
            | Type::CID
    };
}
use oid_like;
