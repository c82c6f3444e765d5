use std::any::type_name;
use std::error::Error as StdError;
use std::fmt;

use bytes::{BufMut, BytesMut};

use crate::types::array::encode_array;
use crate::types::catalog::{base_type, describe, rust_type_for, short_name};
use crate::types::{Kind, Type};

/// A value that can be sent as a parameter.
///
/// `ty` is the type that the server inferred for the parameter; the implementation writes the
/// binary form of *that* type, or says why it can't. Domains arrive as their base type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be sent as a parameter",
    note = "derive `Encode`, or wrap a type that implements `ToSql` in `Foreign`"
)]
pub trait Encode {
    /// Appends the binary form of the value for `ty` to `out`, without its length.
    ///
    /// # Errors
    /// When the value has no form in `ty`; `out` is then discarded and nothing is sent.
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError>;

    /// Appends the binary form of a list of these values for `ty`: by default a one-dimensional
    /// array. Only types whose lists have another form (`u8`: bytea) override it.
    ///
    /// # Errors
    /// When the list, or one of its values, has no form in `ty`.
    fn encode_slice(values: &[Self], ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError>
    where
        Self: Sized,
    {
        encode_array(values, ty, out)
    }
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
pub struct EncodeError(Box<Inner>);

struct Inner {
    rust: &'static str,
    postgres: String,
    reason: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl EncodeError {
    /// `T` can't be sent as `ty`, because of `reason`, which must not contain the value itself.
    pub fn new<T: ?Sized>(ty: &Type, reason: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            rust: type_name::<T>(),
            postgres: describe(ty),
            reason: reason.into(),
            source: None,
        }))
    }

    /// The same error with the error that caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// `T` has no form at all in `ty`.
    #[must_use]
    pub fn mismatch<T: ?Sized>(ty: &Type) -> Self {
        let reason = match ty.kind() {
            Kind::Pseudo => {
                "a pseudo-type takes no values; name a type in SQL, as in $1::text".into()
            }
            _ => match rust_type_for(ty) {
                // Whatever has a form in text was sent as such before it came to this.
                Some(rust) if *ty == Type::TEXT => format!("send {rust}"),
                Some(rust) => {
                    format!(
                        "send {rust}, or name another type in SQL, as in $1::text::{}",
                        describe(ty)
                    )
                }
                None => format!("send it as text, with $1::text::{}", describe(ty)),
            },
        };
        Self::new::<T>(ty, reason)
    }

    /// The value is beyond what `ty` can hold.
    pub(crate) fn out_of_range<T: ?Sized>(ty: &Type) -> Self {
        Self::new::<T>(ty, "the value is out of range")
    }

    /// The Rust type, as the compiler names it.
    #[must_use]
    pub fn rust_type(&self) -> &'static str {
        self.0.rust
    }

    /// The PostgreSQL type.
    #[must_use]
    pub fn postgres_type(&self) -> &str {
        &self.0.postgres
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            postgres, reason, ..
        } = &*self.0;
        let rust = short_name(self.0.rust);
        write!(
            formatter,
            "Rust {rust} can't be sent as PostgreSQL {postgres}: {reason}"
        )
    }
}

impl fmt::Debug for EncodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "EncodeError({self})")
    }
}

impl StdError for EncodeError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}

/// Appends one value behind its length, or the length -1 for NULL; returns which it was.
///
/// This is how a value stands in a Bind message, an array, a range and a composite alike.
pub(crate) fn encode_value<T: Encode + ?Sized>(
    value: &T,
    ty: &Type,
    out: &mut BytesMut,
) -> Result<IsNull, EncodeError> {
    let start = out.len();
    out.put_i32(-1);
    let ty = base_type(ty);
    let null = value.encode(ty, out)?;
    if null == IsNull::Yes {
        out.truncate(start + 4);
        return Ok(IsNull::Yes);
    }
    let length = i32::try_from(out.len() - start - 4)
        .map_err(|_too_long| EncodeError::new::<T>(ty, "the value is larger than 2 GiB"))?;
    patch_i32(out, start, length);
    Ok(IsNull::No)
}

/// Overwrites the four bytes at `position`, which were put there as a placeholder.
pub(crate) fn patch_i32(out: &mut BytesMut, position: usize, value: i32) {
    if let Some(field) = out.get_mut(position..position + 4) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}
