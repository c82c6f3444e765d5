use std::fmt;

use bytes::{BufMut, BytesMut};

use crate::types::{Decode, DecodeError, Encode, EncodeError, IsNull, Type};

/// A value of any type, as its bytes: what is read where no Rust type fits. Reading it never fails,
/// not even for NULL or a type that the connection could not look up.
///
/// Types without another form here are tsvector, tsquery and most types of extensions; their text
/// can be had with a cast in SQL.
#[derive(Clone, PartialEq, Eq)]
pub struct Raw {
    ty: Type,
    bytes: Option<Vec<u8>>,
}

impl Raw {
    /// The binary form `bytes` of a value of type `ty`; `None` is NULL.
    #[must_use]
    pub fn new(ty: Type, bytes: Option<Vec<u8>>) -> Self {
        Self { ty, bytes }
    }

    /// The value's type.
    #[must_use]
    pub fn ty(&self) -> &Type {
        &self.ty
    }

    /// The object identifier of the value's type.
    #[must_use]
    pub fn oid(&self) -> u32 {
        self.ty.oid()
    }

    /// Whether the value is NULL.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.bytes.is_none()
    }

    /// The binary form, or `None` for NULL.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        self.bytes.as_deref()
    }

    /// Reads the value as a Rust type after all.
    ///
    /// # Errors
    /// When the type or the bytes don't fit `T`.
    pub fn read<'a, T: Decode<'a>>(&'a self) -> Result<T, DecodeError> {
        T::decode_nullable(&self.ty, self.bytes())
    }
}

/// Shows the type and the length, never the value.
impl fmt::Debug for Raw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Raw")
            .field("type", &self.ty.name())
            .field("oid", &self.oid())
            .field("length", &self.bytes().map(<[u8]>::len))
            .finish()
    }
}

/// Sent only where the server expects the very type that it has.
impl Encode for Raw {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        let Some(bytes) = self.bytes() else {
            return Ok(IsNull::Yes);
        };
        if ty.oid() != self.oid() {
            return Err(EncodeError::new::<Self>(
                ty,
                format!("the bytes are of type {}", self.ty),
            ));
        }
        out.put_slice(bytes);
        Ok(IsNull::No)
    }
}

impl<'a> Decode<'a> for Raw {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        Ok(Self::new(ty.clone(), Some(raw.to_vec())))
    }

    fn decode_null(ty: &Type) -> Result<Self, DecodeError> {
        Ok(Self::new(ty.clone(), None))
    }
}
