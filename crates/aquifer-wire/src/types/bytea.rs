//! Byte strings, and the byte itself.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};

use crate::types::array::{decode_array_vec, encode_array};
use crate::types::encode::put_bytes;
use crate::types::integers::{decode_integer, encode_integer};
use crate::types::reader::exactly;
use crate::types::{Decode, DecodeError, Encode, EncodeError, IsNull, Type};

/// A number or a `"char"`; a list of them is a bytea, or an array where the server expects one.
impl Encode for u8 {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        if *ty == Type::CHAR {
            out.put_u8(*self);
            return Ok(IsNull::No);
        }
        encode_integer::<Self>(i128::from(*self), ty, out)
    }

    fn encode_slice(values: &[Self], ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        if *ty == Type::BYTEA {
            return put_bytes::<[Self]>(values, ty, out);
        }
        encode_array(values, ty, out)
    }
}

impl<'a> Decode<'a> for u8 {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        if *ty == Type::CHAR {
            return exactly(raw)
                .map(Self::from_be_bytes)
                .ok_or_else(|| DecodeError::malformed::<Self>(ty));
        }
        decode_integer(ty, raw)
    }

    fn decode_vec(ty: &Type, raw: &'a [u8]) -> Result<Vec<Self>, DecodeError> {
        if *ty == Type::BYTEA {
            return Ok(raw.to_vec());
        }
        decode_array_vec(ty, raw)
    }
}

impl<'a> Decode<'a> for &'a [u8] {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        if *ty == Type::BYTEA {
            return Ok(raw);
        }
        Err(DecodeError::mismatch::<Self>(ty))
    }
}

impl<'a> Decode<'a> for Cow<'a, [u8]> {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        <&[u8]>::decode(ty, raw).map(Cow::Borrowed)
    }
}

impl Encode for Bytes {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        u8::encode_slice(self, ty, out)
    }
}

impl<'a> Decode<'a> for Bytes {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        <&[u8]>::decode(ty, raw).map(Self::copy_from_slice)
    }
}

impl Encode for BytesMut {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        u8::encode_slice(self, ty, out)
    }
}
