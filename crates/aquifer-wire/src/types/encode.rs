use std::fmt;

use bytes::BytesMut;

use crate::types::Type;

/// A value that can be sent as a parameter.
///
/// `ty` is the type that the server inferred for the parameter; the implementation writes the
/// binary form of *that* type, or says why it can't. Domains arrive as their base type.
pub trait Encode {
    /// Appends the binary form of the value for `ty` to `out`, without its length.
    ///
    /// # Errors
    /// When the value has no form in `ty`; `out` is then discarded and nothing is sent.
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError>;
}

/// Whether a parameter is NULL; then what was appended is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a value is NULL or it is not")]
pub enum IsNull {
    /// NULL.
    Yes,
    /// The bytes appended are the value.
    No,
}

/// Why a value can't be sent as the server's type.
pub struct EncodeError {
    rust: &'static str,
    postgres: String,
    reason: String,
}

impl EncodeError {
    /// `T` can't be sent as `ty`, because of `reason`, which must not contain the value itself.
    pub fn new<T: ?Sized>(ty: &Type, reason: impl Into<String>) -> Self {
        Self {
            rust: std::any::type_name::<T>(),
            postgres: ty.to_string(),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "Rust {} can't be sent as PostgreSQL {}: {}",
            self.rust, self.postgres, self.reason
        )
    }
}

impl fmt::Debug for EncodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "EncodeError({self})")
    }
}

impl std::error::Error for EncodeError {}
