use std::fmt;

use crate::types::Type;

/// A value that can be read from a column.
pub trait Decode<'a>: Sized {
    /// Reads the binary form `raw` of a value of type `ty`.
    ///
    /// # Errors
    /// When the bytes have no form in this Rust type.
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError>;

    /// Reads NULL; only `Option` and types with a NULL of their own override it.
    ///
    /// # Errors
    /// By default always: the Rust type has no place for NULL.
    fn decode_null(ty: &Type) -> Result<Self, DecodeError> {
        Err(DecodeError::new::<Self>(
            ty,
            "the value is NULL; use Option",
        ))
    }
}

/// Why a column can't be read as a Rust type.
pub struct DecodeError {
    rust: &'static str,
    postgres: String,
    reason: String,
}

impl DecodeError {
    /// `ty` can't be read as `T`, because of `reason`, which must not contain the value itself.
    pub fn new<T: ?Sized>(ty: &Type, reason: impl Into<String>) -> Self {
        Self {
            rust: std::any::type_name::<T>(),
            postgres: ty.to_string(),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "PostgreSQL {} can't be read as Rust {}: {}",
            self.postgres, self.rust, self.reason
        )
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DecodeError({self})")
    }
}

impl std::error::Error for DecodeError {}
