//! NULL, and values behind a pointer.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::BytesMut;

use crate::types::{Decode, DecodeError, Encode, EncodeError, IsNull, Type};

/// `None` is NULL, of whatever type the server expects.
impl<T: Encode> Encode for Option<T> {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        match self {
            Some(value) => value.encode(ty, out),
            None => Ok(IsNull::Yes),
        }
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Option<T> {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        T::decode(ty, raw).map(Some)
    }

    fn decode_null(_ty: &Type) -> Result<Self, DecodeError> {
        Ok(None)
    }
}

macro_rules! pointer {
    ($($pointer:ty),+) => {$(
        impl<T: Encode + ?Sized> Encode for $pointer {
            fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
                T::encode(self, ty, out)
            }
        }
    )+};
}

pointer!(&T, Box<T>, Arc<T>);

impl<T: Encode + ToOwned + ?Sized> Encode for Cow<'_, T> {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        T::encode(self, ty, out)
    }
}

macro_rules! owning_pointer {
    ($($pointer:ident)+) => {$(
        impl<'a, T: Decode<'a>> Decode<'a> for $pointer<T> {
            fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
                T::decode(ty, raw).map(Self::new)
            }

            fn decode_null(ty: &Type) -> Result<Self, DecodeError> {
                T::decode_null(ty).map(Self::new)
            }
        }
    )+};
}

owning_pointer!(Box Arc);
